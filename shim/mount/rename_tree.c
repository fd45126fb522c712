#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mount/crew.h"
#include "mount/inflight.h"
#include "mount/rename_tree.h"

#define THREADS	32
#define MANY	1000		/* blobs: worth a word */

struct moved {
	char	*name;			/* below the directory */
	char	*old_etag, *etag;	/* when it was listed; of the copy, NULL: none */
	struct err *err;		/* NULL: nothing went wrong */
	int	 is_dir;
};

/* ---- what is there ------------------------------------------------------------------- */

static int
on_entry(void *arg, const char *name, size_t len, const struct store_attr *a)
{
	struct rename_tree *r = arg;
	size_t skip = strlen(r->from) + 1;
	struct moved *m;

	if (len <= skip)
		return (0);		/* the marker of the directory itself */
	if (r->n == r->size) {
		r->size = r->size > 0 ? r->size * 2 : 64;
		r->moved = mem_grow(r->moved, r->size * sizeof(*r->moved));
	}
	m = &r->moved[r->n++];
	memset(m, 0, sizeof(*m));
	m->name = mem_alloc(len - skip + 1);
	memcpy(m->name, name + skip, len - skip);
	m->name[len - skip] = '\0';
	m->old_etag = mem_strdup(a->etag);
	m->is_dir = a->is_dir;
	return (0);
}

static int
by_name(const void *a, const void *b)
{
	return (strcmp(((const struct moved *)a)->name, ((const struct moved *)b)->name));
}

static int
list(struct rename_tree *r, struct err *err)
{
	auto_buf struct buf prefix = BUF_EMPTY;

	buf_printf(&prefix, "%s/", r->from);
	if (store_list(r->writer->opt.store, buf_str(&prefix), 0, 0, on_entry, r, err) != 0)
		return (-1);
	if (r->n > 0)
		qsort(r->moved, r->n, sizeof(*r->moved), by_name);
	return (0);
}

/* ---- copies and deletions ------------------------------------------------------------ */

static const char *
join(struct buf *b, const char *dir, const char *name)
{
	buf_printf(b, "%s/%s", dir, name);
	return (buf_str(b));
}

static int
note_failure(struct moved *m, const struct err *err)
{
	m->err = mem_alloc(sizeof(*m->err));
	*m->err = *err;
	return (-1);
}

static int
copy_one(void *arg, size_t i)
{
	struct rename_tree *r = arg;
	struct moved *m = &r->moved[i];
	auto_buf struct buf from = BUF_EMPTY, to = BUF_EMPTY;
	char etag[HTTP_ETAG_MAX];
	struct err err = ERR_EMPTY;

	if (m->is_dir)
		return (0);
	if (store_copy(r->writer->opt.store, join(&from, r->from, m->name),
	    join(&to, r->to, m->name), NULL, etag, &err) != 0)
		return (note_failure(m, &err));
	m->etag = mem_strdup(etag);
	return (0);
}

static int
delete_one(void *arg, size_t i)
{
	struct rename_tree *r = arg;
	struct moved *m = &r->moved[i];
	auto_buf struct buf from = BUF_EMPTY;
	struct err err = ERR_EMPTY;

	if (m->is_dir || store_delete(r->writer->opt.store, join(&from, r->from, m->name),
	    &err) == 0)
		return (0);
	return (note_failure(m, &err));
}

static int
for_all_files(struct rename_tree *r, int (*one)(void *, size_t), struct err *err)
{
	struct crew_work work = { .n = r->n, .threads = THREADS, .stop_at_failure = 1, .one = one,
	    .arg = r };
	size_t i;

	if (crew_run(&work) == 0)
		return (0);
	for (i = 0; i < r->n; i++)
		if (r->moved[i].err != NULL) {
			*err = *r->moved[i].err;
			break;
		}
	return (-1);
}

/* Parents come before what is in them. */
static int
make_directories(struct rename_tree *r, struct err *err)
{
	struct store *store = r->writer->opt.store;
	size_t i;

	if (r->dir->marker && r->n == 0 && store_mkdir(store, r->to, err) != 0)
		return (-1);
	for (i = 0; i < r->n; i++) {
		auto_buf struct buf to = BUF_EMPTY;

		if (r->moved[i].is_dir &&
		    store_mkdir(store, join(&to, r->to, r->moved[i].name), err) != 0)
			return (-1);
	}
	return (0);
}

static int
delete_directories(struct rename_tree *r, struct err *err)
{
	struct store *store = r->writer->opt.store;
	size_t i;

	for (i = r->n; i-- > 0;) {
		auto_buf struct buf from = BUF_EMPTY;

		if (r->moved[i].is_dir &&
		    store_delete(store, join(&from, r->from, r->moved[i].name), err) != 0)
			return (-1);
	}
	return (r->dir->marker ? store_delete(store, r->from, err) : 0);
}

/* ---- staged files -------------------------------------------------------------------- */

static void
hold_staged(struct writer *w, struct rename_tree *r)
{
	struct staged *s;
	size_t size = 0, i;

	pthread_mutex_lock(&w->lock);
	pthread_mutex_lock(&w->opt.tree->lock);
	for (s = w->first; s != NULL; s = s->next) {
		if (!inode_is_below(s->inode, r->dir))
			continue;
		if (r->nstaged == size) {
			size = size > 0 ? size * 2 : 16;
			r->staged = mem_grow(r->staged, size * sizeof(struct staged *));
		}
		tree_ref(s->inode);
		r->staged[r->nstaged++] = s;
	}
	pthread_mutex_unlock(&w->opt.tree->lock);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < r->nstaged; i++)
		staged_begin(r->staged[i]);
}

/* 1: it has to be copied. */
static int
rename_at_once(struct writer *w, struct rename_tree *r, struct err *err)
{
	char etag[HTTP_ETAG_MAX];
	struct store_rename q = { .from = r->from, .to = r->to, .etag = etag, .is_dir = 1,
	    .no_replace = r->no_replace };
	int rc, local;

	pthread_mutex_lock(&w->opt.tree->lock);
	str_format(etag, sizeof(etag), "%s", inode_etag(r->dir));
	local = r->dir->local;
	pthread_mutex_unlock(&w->opt.tree->lock);
	rc = store_rename(w->opt.store, &q, NULL, err);
	/* Made here when nobody knew better, and empty; or moved by a process that died then. */
	if (rc < 0 && (local || inflight_is_repeat()) && err->kind == ERR_NOT_FOUND)
		rc = 0;
	if (rc < 0 && !r->no_replace && err->sys_errno == EEXIST)
		err->sys_errno = ENOTEMPTY;	/* by somebody else, meanwhile */
	r->at_once = rc == 0;
	return (rc);
}

int
rename_tree_begin(struct writer *w, struct rename_tree *r, int failed, struct err *err)
{
	int rc;

	r->writer = w;
	hold_staged(w, r);
	if (failed || (rc = rename_at_once(w, r, err)) <= 0)
		return (failed ? -1 : rc);
	if (list(r, err) != 0)
		return (-1);
	if (r->n >= MANY)
		log_warning("renaming /%s: %zu blobs are copied and deleted one by one; an account "
		    "with a hierarchical namespace renames at once", r->from, r->n);
	if (make_directories(r, err) != 0 ||
	    for_all_files(r, copy_one, err) != 0 || for_all_files(r, delete_one, err) != 0)
		return (-1);
	return (delete_directories(r, err));
}

/* ---- afterwards ---------------------------------------------------------------------- */

/*
 * The inode's ETag in its new place, "" if it was not copied.  What somebody else had changed
 * before keeps the one that is not there: who has the old bytes notices.  Tree's mutex held.
 */
static const char *
new_etag(struct rename_tree *r, const struct inode *i)
{
	char path[INODE_PATH_MAX];
	size_t skip = strlen(r->to) + 1;
	struct moved key = { .name = path + skip }, *m;

	if (tree_blob_name(r->writer->opt.tree, i, path) != 0 || strlen(path) < skip || r->n == 0)
		return ("");
	m = bsearch(&key, r->moved, r->n, sizeof(*r->moved), by_name);
	if (m == NULL || m->etag == NULL)
		return ("");
	return (strcmp(m->old_etag, inode_etag(i)) == 0 ? m->etag : inode_etag(i));
}

static void
renew(struct rename_tree *r, struct inode *dir, int failed)
{
	struct tree *t = r->writer->opt.tree;
	struct inode *i;

	if (dir->dir == NULL)
		return;
	if (failed)
		dir->dir->listed_until_ms = 0;
	for (i = dir->dir->children; i != NULL; i = i->next) {
		if (failed)
			i->valid_until_ms = 0;
		if (inode_is_dir(i)) {
			renew(r, i, failed);
			continue;
		}
		if (!failed && !r->at_once)
			tree_set_etag(i, new_etag(r, i));
		tree_renote(t, i);
		tree_new_key(t, i);
	}
}

static void
release_staged(struct rename_tree *r, struct staged *s, int failed)
{
	struct tree *t = r->writer->opt.tree;
	struct inode *i = s->inode;

	pthread_mutex_lock(&s->lock);
	if (!failed && !r->at_once) {
		pthread_mutex_lock(&t->lock);
		str_format(s->etag, sizeof(s->etag), "%s", inode_etag(i));
		pthread_mutex_unlock(&t->lock);
		staged_note(r->writer, s);
	}
	pthread_mutex_unlock(&s->lock);
	staged_end(s);
	pthread_mutex_lock(&t->lock);
	tree_unref(t, i);
	pthread_mutex_unlock(&t->lock);
}

void
rename_tree_end(struct writer *w, struct rename_tree *r, int failed)
{
	size_t i;

	pthread_mutex_lock(&w->opt.tree->lock);
	renew(r, r->dir, failed);
	pthread_mutex_unlock(&w->opt.tree->lock);
	for (i = 0; i < r->nstaged; i++)
		release_staged(r, r->staged[i], failed);
	for (i = 0; i < r->n; i++) {
		free(r->moved[i].name);
		free(r->moved[i].old_etag);
		free(r->moved[i].etag);
		free(r->moved[i].err);
	}
	free(r->moved);
	free(r->staged);
}
