#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "mount/access.h"
#include "mount/inflight.h"
#include "mount/names.h"
#include "mount/rename_tree.h"
#include "mount/staged.h"

#define RENAME_TRIES	8	/* while listings find other versions */

static int
refuse(int why, const char *what, const char *name, struct err *err)
{
	errno = why;
	return (err_errno(err, what, name));
}

static void
unref(struct writer *w, struct inode *i)
{
	if (i == NULL)
		return;
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_unref(w->opt.tree, i);
	pthread_mutex_unlock(&w->opt.tree->lock);
}

/* The inode of a name with a reference, *ret NULL if there is none. */
static int
find_child(struct writer *w, struct inode *parent, const char *name, struct inode **ret,
    struct err *err)
{
	struct inode_attr a;

	if (tree_lookup(w->opt.tree, parent, name, ret, &a, err) != 0)
		return (-1);
	if (*ret == NULL)
		return (0);
	pthread_mutex_lock(&w->opt.tree->lock);
	(*ret)->lookups--;
	tree_renote(w->opt.tree, *ret);
	tree_ref(*ret);
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (0);
}

static int
blob_name(struct writer *w, struct inode *i, char buf[INODE_PATH_MAX], struct err *err)
{
	int gone;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = tree_blob_name(w->opt.tree, i, buf);
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (gone ? refuse(ESTALE, "change", "a name that is gone", err) : 0);
}

/*
 * 0, or why the service would not take it: up to 1,024 characters of UTF-8.
 * learn.microsoft.com/rest/api/storageservices, "Naming and Referencing Containers,
 * Blobs, and Metadata".
 */
static int
blob_name_fault(const char *blob)
{
	size_t left = strlen(blob), n = 0, len;

	for (; left > 0; n++, blob += len, left -= len) {
		len = (*blob & 0x80) == 0 ? 1 : str_utf8_printable(blob, left);
		if (len == 0)
			return (EILSEQ);
	}
	return (n > STORE_NAME_MAX ? ENAMETOOLONG : 0);
}

/* "DIRECTORY/NAME", as a blob or as a path in the staging directory. */
static int
name_below(struct writer *w, struct inode *dir, const char *name, int is_blob,
    char buf[INODE_PATH_MAX], struct err *err)
{
	size_t len;
	int gone, why;

	pthread_mutex_lock(&w->opt.tree->lock);
	gone = is_blob ? tree_blob_name(w->opt.tree, dir, buf) : tree_path(w->opt.tree, dir, buf);
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (gone)
		return (refuse(ESTALE, "change", name, err));
	len = strlen(buf);
	if (str_format(buf + len, INODE_PATH_MAX - len, "%s%s", len > 0 ? "/" : "", name) != 0)
		return (refuse(ENAMETOOLONG, "change", name, err));
	why = is_blob ? blob_name_fault(buf) : 0;
	return (why == 0 ? 0 : refuse(why, "change", name, err));
}

/* ---- create, mkdir ------------------------------------------------------------------- */

static int
open_existing(struct writer *w, struct inode *i, const struct names_create *how,
    const char *name, struct err *err)
{
	if (how->exclusive && !inflight_is_repeat())
		return (refuse(EEXIST, "create", name, err));
	if (inode_is_dir(i))
		return (refuse(EISDIR, "create", name, err));
	if (writer_open(w, i, how->truncate, err) != 0)
		return (-1);
	writer_watch(w, i);
	return (0);
}

/*
 * A name that nobody has, with one lookup; NULL: it has come meanwhile, look again.  A directory
 * that was made a moment ago somebody may have asked for already.
 */
static struct inode *
add(struct writer *w, struct inode *parent, const char *name, uint32_t mode, struct err *err)
{
	struct tree *t = w->opt.tree;
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = tree_find(t, parent, name);
	if (i != NULL && S_ISDIR(mode) && inode_is_dir(i))
		i->lookups++;
	else if (i != NULL)
		i = NULL;
	else {
		parent->dir->version++;
		i = tree_add(t, parent, name, mode);
		i->mode = mode;
		i->mtime_s = clock_wall_s();
		tree_make_local(t, i);
		i->lookups++;
	}
	pthread_mutex_unlock(&t->lock);
	if (i == NULL)
		refuse(ESTALE, "create", name, err);
	return (i);
}

static void
take_back(struct writer *w, struct inode *i)
{
	pthread_mutex_lock(&w->opt.tree->lock);
	i->lookups--;
	tree_detach(w->opt.tree, i);
	pthread_mutex_unlock(&w->opt.tree->lock);
}

static int
create_new(struct writer *w, struct inode *parent, const char *name,
    const struct names_create *how, struct inode **ret, struct err *err)
{
	struct inode *i = add(w, parent, name, S_IFREG | (how->mode & 07777), err);
	struct staged *s;
	int failed;

	if (i == NULL)
		return (-1);
	s = staged_of(w, i);
	pthread_mutex_lock(&w->opt.tree->lock);
	i->direct = how->direct != 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
	pthread_mutex_lock(&s->lock);
	s->exclusive = how->exclusive;
	s->whole = !how->exclusive;
	failed = staged_make(w, s, err);
	s->opens += !failed;
	pthread_mutex_unlock(&s->lock);
	if (failed)
		take_back(w, i);
	else
		*ret = i;
	return (failed);
}

int
names_create(struct writer *w, struct inode *parent, const char *name,
    const struct names_create *how, struct inode **ret, struct inode_attr *a, struct err *err)
{
	char blob[INODE_PATH_MAX];
	struct tree *t = w->opt.tree;
	struct inode *i;
	int failed;

	if (name_below(w, parent, name, 1, blob, err) != 0 ||
	    tree_lookup(t, parent, name, &i, a, err) != 0)
		return (-1);
	if (i != NULL) {
		failed = open_existing(w, i, how, name, err);
		if (failed)
			tree_forget(t, i, 1);
	} else {
		tree_begin_change(t, parent, NULL);
		inflight_begin();
		failed = create_new(w, parent, name, how, &i, err);
		tree_end_change(t, parent, NULL);
	}
	if (failed)
		return (-1);
	pthread_mutex_lock(&t->lock);
	tree_tell(t, i, a);
	pthread_mutex_unlock(&t->lock);
	*ret = i;
	return (0);
}

/* Are directories things of their own over there?  What is not known is asked for, once. */
static int
has_directories(struct writer *w, struct inode *near)
{
	char blob[INODE_PATH_MAX], prefix[INODE_PATH_MAX + 1];

	if (blob_name(w, near, blob, NULL) != 0)
		return (0);
	str_format(prefix, sizeof(prefix), "%s%s", blob, blob[0] != '\0' ? "/" : "");
	return (store_find_hns(w->opt.store, prefix));
}

int
names_mkdir(struct writer *w, struct inode *parent, const char *name, uint32_t mode,
    struct inode **ret, struct inode_attr *a, struct err *err)
{
	char blob[INODE_PATH_MAX];
	struct tree *t = w->opt.tree;
	struct inode *i;
	int failed, hns;

	if (tree_lookup(t, parent, name, &i, a, err) != 0)
		return (-1);
	if (i != NULL && inflight_is_repeat() && inode_is_dir(i)) {
		*ret = i;
		return (0);
	}
	if (i != NULL) {
		tree_forget(t, i, 1);
		return (refuse(EEXIST, "create", name, err));
	}
	tree_begin_change(t, parent, NULL);
	inflight_begin();
	hns = has_directories(w, parent);
	failed = name_below(w, parent, name, 1, blob, err) != 0 ||
	    (hns && store_mkdir(w->opt.store, blob, err) != 0) ||
	    (i = add(w, parent, name, S_IFDIR | (mode & 07777), err)) == NULL;
	if (!failed && hns && w->opt.access)
		access_keep(w, i, blob, NULL);
	if (!failed) {
		pthread_mutex_lock(&t->lock);
		i->local = !hns;
		i->marker = hns != 0;
		i->noted = 0;
		i->valid_until_ms = clock_ms() + t->opt.ttl_ms;
		tree_dir(t, i)->listed_until_ms = i->valid_until_ms;
		tree_tell(t, i, a);
		pthread_mutex_unlock(&t->lock);
		*ret = i;
	}
	tree_end_change(t, parent, NULL);
	return (failed ? -1 : 0);
}

/* ---- unlink, rmdir ------------------------------------------------------------------- */

/* Mutex held: a directory that exists only here. */
static void
keep_here(struct tree *t, struct inode *dir)
{
	if (dir == &t->root)
		return;
	dir->local = 1;
	tree_note(t, dir);
}

/* Nothing is left in it: from now on it exists only here, if at all. */
static void
detach(struct writer *w, struct inode *i)
{
	struct tree *t = w->opt.tree;
	struct inode *parent = i->parent;

	pthread_mutex_lock(&t->lock);
	if (parent != NULL) {
		parent->dir->version++;		/* who asked before was told what was before */
		tree_detach(t, i);
	}
	if (parent != NULL && parent->dir->nchildren == 0 && !store_hns(w->opt.store))
		keep_here(t, parent);
	pthread_mutex_unlock(&t->lock);
}

/*
 * Its staged file loses its name; busy.  Before the inode does: a successor looks for a file
 * without a name only there.
 */
static void
park(struct writer *w, struct staged *s, const char *path)
{
	pthread_mutex_lock(&s->lock);
	if (s->is_local) {
		if (s->opens > 0)
			staged_have_fd(w, s, NULL);	/* who writes to it finds no name now */
		staged_park(w, s, path);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Its name is gone over there: who has it open keeps the data until he closes it. */
static void
drop_unlinked(struct writer *w, struct staged *s)
{
	pthread_mutex_lock(&s->lock);
	s->unlinked = 1;
	if (s->stream != NULL)
		stream_stop(s->stream);
	if (s->is_local) {
		staged_note(w, s);
		if (s->opens == 0 && s->holds == 0)
			staged_drop(w, s, NULL);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Is there a blob of this inode's?  Busy. */
static int
has_blob(struct staged *s)
{
	int has;

	pthread_mutex_lock(&s->lock);
	has = !s->is_local || s->exists;
	pthread_mutex_unlock(&s->lock);
	return (has);
}

static int
unlink_file(struct writer *w, struct inode *i, struct err *err)
{
	char blob[INODE_PATH_MAX], path[INODE_PATH_MAX];
	struct staged *s = staged_of(w, i);
	int failed;

	staged_begin(s);		/* its directory may be renamed until then */
	pthread_mutex_lock(&w->opt.tree->lock);
	failed = tree_path(w->opt.tree, i, path) != 0 ||
	    tree_blob_name(w->opt.tree, i, blob) != 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (failed)
		refuse(ENOENT, "delete", NULL, err);
	if (failed || (has_blob(s) && store_delete(w->opt.store, blob, err) != 0)) {
		staged_end(s);
		return (-1);
	}
	park(w, s, path);
	detach(w, i);
	drop_unlinked(w, s);
	blocks_forget(w->opt.blocks, i->key);
	staged_end(s);
	return (0);
}

int
names_unlink(struct writer *w, struct inode *parent, const char *name, struct err *err)
{
	struct inode *i;
	int failed;

	if (find_child(w, parent, name, &i, err) != 0)
		return (-1);
	if (i == NULL)
		return (inflight_is_repeat() ? 0 : refuse(ENOENT, "delete", name, err));
	tree_begin_change(w->opt.tree, parent, NULL);
	inflight_begin();
	failed = inode_is_dir(i) ? refuse(EISDIR, "delete", name, err) : unlink_file(w, i, err);
	tree_end_change(w->opt.tree, parent, NULL);
	unref(w, i);
	return (failed);
}

/* With a complete listing.  1: nothing is in it. */
static int
is_empty(struct writer *w, struct inode *i, struct err *err)
{
	int empty;

	if (tree_list(w->opt.tree, i, err) != 0)
		return (-1);
	pthread_mutex_lock(&w->opt.tree->lock);
	empty = tree_is_empty(i);
	pthread_mutex_unlock(&w->opt.tree->lock);
	return (empty);
}

static int
remove_directory(struct writer *w, struct inode *parent, struct inode *i, const char *name,
    struct err *err)
{
	char blob[INODE_PATH_MAX], path[INODE_PATH_MAX];
	int marker;

	if (name_below(w, parent, name, 1, blob, err) != 0 ||
	    name_below(w, parent, name, 0, path, err) != 0)
		return (-1);
	pthread_mutex_lock(&w->opt.tree->lock);
	marker = i->marker;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (marker && store_delete(w->opt.store, blob, err) != 0)
		return (-1);
	detach(w, i);
	unlinkat(w->staging_fd, path, AT_REMOVEDIR);	/* was perhaps never made */
	return (0);
}

int
names_rmdir(struct writer *w, struct inode *parent, const char *name, struct err *err)
{
	struct inode *i;
	int empty, failed;

	if (find_child(w, parent, name, &i, err) != 0)
		return (-1);
	if (i == NULL)
		return (inflight_is_repeat() ? 0 : refuse(ENOENT, "delete", name, err));
	if (!inode_is_dir(i)) {
		unref(w, i);
		return (refuse(ENOTDIR, "delete", name, err));
	}
	if ((empty = is_empty(w, i, err)) == 1) {
		tree_begin_change(w->opt.tree, parent, NULL);
		inflight_begin();
		failed = remove_directory(w, parent, i, name, err);
		tree_end_change(w->opt.tree, parent, NULL);
	} else
		failed = empty == 0 ? refuse(ENOTEMPTY, "delete", name, err) : -1;
	unref(w, i);
	return (failed);
}

/* ---- rename -------------------------------------------------------------------------- */

struct renaming {
	struct inode	*from, *to;		/* directories */
	const char	*name, *new_name;
	struct inode	*what;			/* these two with a reference */
	struct inode	*victim;		/* NULL: the new name is free */
	int		 no_replace;
	char		 blob[INODE_PATH_MAX], new_blob[INODE_PATH_MAX];
	char		 path[INODE_PATH_MAX], new_path[INODE_PATH_MAX];	/* staged */
};

static int
check_victim(struct writer *w, const struct renaming *r, struct err *err)
{
	int empty;

	if (r->victim == NULL)
		return (0);
	if (inflight_is_repeat() && inode_is_dir(r->victim) == inode_is_dir(r->what))
		return (0);		/* it was checked; this may be what is there of ours */
	if (r->no_replace)
		return (refuse(EEXIST, "rename", r->new_name, err));
	if (inode_is_dir(r->victim) != inode_is_dir(r->what))
		return (refuse(inode_is_dir(r->victim) ? EISDIR : ENOTDIR, "rename", r->new_name,
		    err));
	if (!inode_is_dir(r->victim))
		return (0);
	if ((empty = is_empty(w, r->victim, err)) < 0)
		return (-1);
	return (empty ? 0 : refuse(ENOTEMPTY, "rename", r->new_name, err));
}

/*
 * Where files are copied: the copy first, so that a crash leaves two.  What was written goes out
 * before that under the name it has: the copy takes along what stands beside the bytes.
 */
static int
copy_blob(struct writer *w, struct renaming *r, struct staged *s, char known[HTTP_ETAG_MAX],
    char etag[HTTP_ETAG_MAX], struct err *err)
{
	struct store *store = w->opt.store;
	int failed = 0;

	pthread_mutex_lock(&s->lock);
	if (staged_is_dirty(s) && (failed = staged_upload(w, s, r->blob, err)) == 0)
		memcpy(known, s->etag, HTTP_ETAG_MAX);
	pthread_mutex_unlock(&s->lock);
	if (failed)
		return (-1);
	failed = store_copy(store, r->blob, r->new_blob, known[0] != '\0' ? known : NULL, etag,
	    err);
	if (failed && err->kind == ERR_CHANGED) {	/* as store_rename() does it */
		failed = store_copy(store, r->blob, r->new_blob, NULL, etag, err);
		memcpy(etag, known, HTTP_ETAG_MAX);
	}
	return (failed ? -1 : store_delete(store, r->blob, err));
}

/* By an earlier process, which died before it could say so.  *err: why it cannot be moved now. */
static int
was_moved(struct writer *w, const struct renaming *r, char etag[HTTP_ETAG_MAX],
    const struct err *err)
{
	struct store_attr a = { .props = NULL };
	struct err why = ERR_EMPTY;

	if (!inflight_is_repeat() || err->kind != ERR_NOT_FOUND ||
	    store_stat(w->opt.store, r->new_blob, 0, &a, &why) != 0)
		return (0);
	str_format(etag, HTTP_ETAG_MAX, "%s", a.etag);
	free(a.props);
	return (1);
}

/*
 * The file's blob under its new name; *ret_etag as it is there.  The staged file is busy.
 * What was written to it and is not over there yet stays so where the service renames.
 */
static int
move_blob(struct writer *w, struct renaming *r, struct staged *s, char etag[HTTP_ETAG_MAX],
    struct err *err)
{
	char known[HTTP_ETAG_MAX];
	struct store_rename q = { .from = r->blob, .to = r->new_blob, .etag = known,
	    .no_replace = r->no_replace && !inflight_is_repeat() };
	int rc, only_here;

	etag[0] = '\0';
	pthread_mutex_lock(&s->lock);
	only_here = s->is_local && !s->exists;
	if (only_here)
		s->exclusive = r->no_replace;
	str_format(known, sizeof(known), "%s", s->is_local ? s->etag : "");
	pthread_mutex_unlock(&s->lock);
	if (only_here)
		return (0);		/* it goes out under its new name when it is closed */
	pthread_mutex_lock(&w->opt.tree->lock);
	if (known[0] == '\0')
		str_format(known, sizeof(known), "%s", inode_etag(r->what));
	pthread_mutex_unlock(&w->opt.tree->lock);
	rc = store_rename(w->opt.store, &q, etag, err);
	if (rc > 0)
		rc = copy_blob(w, r, s, known, etag, err);
	return (rc != 0 && was_moved(w, r, etag, err) ? 0 : rc);
}

/* What stood under the new name is no more; a file's is busy.  1: it had a blob. */
static int
drop_victim(struct writer *w, struct renaming *r)
{
	struct staged *s;
	int had_blob;

	if (r->victim == NULL)
		return (0);
	detach(w, r->victim);
	if (inode_is_dir(r->victim))
		return (0);
	s = staged_of(w, r->victim);
	had_blob = has_blob(s);
	drop_unlinked(w, s);
	return (had_blob);
}

/*
 * Nobody uploads either while the name changes hands: what an upload under way of
 * the victim brings would replace ours.  A renamed directory makes many files busy,
 * in an order of its own: two at a time are taken only while none is at it.
 */
static void
begin_both(struct writer *w, struct staged *s, struct staged *victim)
{
	if (victim == NULL) {
		staged_begin(s);
		return;
	}
	pthread_mutex_lock(&w->rename_lock);
	staged_begin(victim);
	staged_begin(s);
	pthread_mutex_unlock(&w->rename_lock);
}

/* It went wrong half-way: what is known of the new name may be wrong. */
static void
doubt(struct writer *w, struct renaming *r)
{
	pthread_mutex_lock(&w->opt.tree->lock);
	r->to->dir->listed_until_ms = 0;
	if (r->victim != NULL)
		r->victim->valid_until_ms = 0;
	pthread_mutex_unlock(&w->opt.tree->lock);
}

/* Who asked for this name meanwhile may have brought another inode of it. */
static void
clear_name(struct tree *t, const struct renaming *r, struct inode *dir, const char *name)
{
	struct inode *i = tree_find(t, dir, name);

	dir->dir->version++;
	if (i != NULL && i != r->what)
		tree_detach(t, i);
}

static void
move_inode(struct writer *w, const struct renaming *r)
{
	struct tree *t = w->opt.tree;

	pthread_mutex_lock(&t->lock);
	clear_name(t, r, r->from, r->name);
	clear_name(t, r, r->to, r->new_name);
	tree_move(t, r->what, r->to, r->new_name);
	r->what->epoch = ++t->epoch;
	r->what->valid_until_ms = clock_ms() + t->opt.ttl_ms;
	if (r->from->dir->nchildren == 0 && !store_hns(w->opt.store))
		keep_here(t, r->from);
	pthread_mutex_unlock(&t->lock);
}

static int
move_staged(struct writer *w, const struct renaming *r, struct err *err)
{
	staged_begin_move(w, r->what, r->new_path);
	if (fd_mkdir_parents_at(w->staging_fd, r->new_path, 0700, err) != 0)
		return (-1);
	if (renameat(w->staging_fd, r->path, w->staging_fd, r->new_path) != 0 && errno != ENOENT) {
		err_errno(err, "rename", NULL);
		return (err_on(err, "%s/%s", w->staging, r->path));
	}
	return (0);
}

static int
rename_file(struct writer *w, struct renaming *r, struct err *err)
{
	struct staged *s = staged_of(w, r->what);
	struct staged *victim = r->victim != NULL ? staged_of(w, r->victim) : NULL;
	char etag[HTTP_ETAG_MAX];
	int failed, local, had_blob;

	begin_both(w, s, victim);
	failed = move_blob(w, r, s, etag, err);
	pthread_mutex_lock(&s->lock);
	local = s->is_local;
	if (!failed && local) {
		s->exclusive = s->exclusive && !s->exists;
		memcpy(s->etag, etag, sizeof(s->etag));
	}
	pthread_mutex_unlock(&s->lock);
	if (!failed && victim != NULL)
		park(w, victim, r->new_path);
	if (!failed && local)
		failed = move_staged(w, r, err);
	if (!failed) {
		had_blob = drop_victim(w, r);
		pthread_mutex_lock(&s->lock);
		s->exists |= had_blob;
		staged_note(w, s);
		pthread_mutex_unlock(&s->lock);
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_set_etag(r->what, etag);
		tree_renote(w->opt.tree, r->what);
		pthread_mutex_unlock(&w->opt.tree->lock);
		move_inode(w, r);
	} else
		doubt(w, r);
	staged_end_move(w, r->what);
	staged_end(s);
	if (victim != NULL)
		staged_end(victim);
	return (failed);
}

/* An earlier process began it: what stands under the new name may be what is moved. */
static int
is_half_done(struct writer *w, const struct renaming *r)
{
	struct store_attr a = { .props = NULL };
	struct err why = ERR_EMPTY;
	int gone;

	if (!inflight_is_repeat())
		return (0);
	gone = store_stat(w->opt.store, r->blob, 0, &a, &why) != 0;
	free(a.props);
	return (gone);
}

static int
rename_directory(struct writer *w, struct renaming *r, struct err *err)
{
	struct rename_tree moved = { .dir = r->what, .from = r->blob, .to = r->new_blob,
	    .no_replace = r->no_replace && !inflight_is_repeat() };
	int failed = 0;

	pthread_mutex_lock(&w->rename_lock);
	/* An empty directory in the way: azure/dfs.h says why it goes first. */
	if (r->victim != NULL && has_directories(w, r->to) && !is_half_done(w, r))
		failed = store_delete(w->opt.store, r->new_blob, err);
	failed = rename_tree_begin(w, &moved, failed, err);
	pthread_rwlock_wrlock(&w->places);
	if (!failed && r->victim != NULL)
		unlinkat(w->staging_fd, r->new_path, AT_REMOVEDIR);
	if (!failed)
		failed = move_staged(w, r, err);
	if (!failed) {
		drop_victim(w, r);
		move_inode(w, r);
		if (inflight_is_repeat())
			r->what->dir->listed_until_ms = 0;	/* ETags are others, perhaps */
	} else
		doubt(w, r);
	staged_end_move(w, r->what);
	pthread_rwlock_unlock(&w->places);
	rename_tree_end(w, &moved, failed);
	pthread_mutex_unlock(&w->rename_lock);
	return (failed);
}

/* No listing that ended meanwhile has put other versions in their places. */
static int
are_in_place(struct writer *w, const struct renaming *r)
{
	struct tree *t = w->opt.tree;
	int are;

	pthread_mutex_lock(&t->lock);
	are = tree_find(t, r->from, r->name) == r->what &&
	    tree_find(t, r->to, r->new_name) == r->victim;
	pthread_mutex_unlock(&t->lock);
	return (are);
}

/* 1: look again. */
static int
rename_checked(struct writer *w, struct renaming *r, struct err *err)
{
	int failed;

	tree_begin_change(w->opt.tree, r->from, r->to);
	if (!are_in_place(w, r)) {
		tree_end_change(w->opt.tree, r->from, r->to);
		return (1);
	}
	inflight_begin();
	failed = name_below(w, r->from, r->name, 1, r->blob, err) != 0 ||
	    name_below(w, r->to, r->new_name, 1, r->new_blob, err) != 0 ||
	    name_below(w, r->from, r->name, 0, r->path, err) != 0 ||
	    name_below(w, r->to, r->new_name, 0, r->new_path, err) != 0;
	if (!failed)
		failed = inode_is_dir(r->what) ? rename_directory(w, r, err) :
		    rename_file(w, r, err);
	tree_end_change(w->opt.tree, r->from, r->to);
	return (failed ? -1 : 0);
}

static int
look_and_rename(struct writer *w, struct renaming *r, struct err *err)
{
	int failed;

	r->what = r->victim = NULL;
	failed = find_child(w, r->from, r->name, &r->what, err);
	if (!failed)
		failed = find_child(w, r->to, r->new_name, &r->victim, err);
	if (!failed && r->what == NULL) {
		if (!inflight_is_repeat() || r->victim == NULL)
			failed = refuse(ENOENT, "rename", r->name, err);
	} else if (!failed && r->victim != r->what) {
		failed = check_victim(w, r, err);
		if (!failed)
			failed = rename_checked(w, r, err);
	}
	unref(w, r->what);
	unref(w, r->victim);
	return (failed);
}

int
names_rename(struct writer *w, struct inode *from, const char *name, struct inode *to,
    const char *new_name, int no_replace, struct err *err)
{
	struct renaming *r = mem_zalloc(sizeof(*r));	/* large for a thread's stack */
	int failed, tries = 0;

	r->from = from;
	r->to = to;
	r->name = name;
	r->new_name = new_name;
	r->no_replace = no_replace;
	while ((failed = look_and_rename(w, r, err)) > 0 && ++tries < RENAME_TRIES)
		continue;
	free(r);
	return (failed > 0 ? refuse(ESTALE, "rename", name, err) : failed);
}
