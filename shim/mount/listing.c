#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "mount/catalog.h"
#include "mount/listing.h"
#include "mount/stats.h"

#define LISTERS	8		/* threads */
#define STACK	(256 * 1024)
#define PASSING	16384		/* names ahead of and behind the one that is read */
#define PASSING_MAX	64		/* directories so read at a time */
#define TRIM_STEPS	2

static void trim(struct tree *, struct inode *dir);

/* ---- one name from the service into the tree; mutex held ----------------------------- */

void
listing_replace(struct tree *t, struct inode *i)
{
	if (i->lookups > 0 && t->opt.replaced != NULL)
		t->opt.replaced(t->opt.arg, i->parent, inode_name(i));
	tree_detach(t, i);
}

static uint32_t
type_of(const struct store_attr *a)
{
	return (a->is_dir ? S_IFDIR : a->is_link ? S_IFLNK : S_IFREG);
}

static int
is_same_version(const struct inode *i, const struct store_attr *a)
{
	return (i->size == a->size && strcmp(inode_etag(i), a->etag) == 0);
}

struct inode *
listing_merge(struct tree *t, struct inode *parent, const char *name, const struct store_attr *a,
    int64_t now_ms)
{
	struct inode *i = tree_find(t, parent, name);

	if (i != NULL && i->local && inode_is_dir(i) == a->is_dir) {
		if (!a->is_dir && inode_etag(i)[0] != '\0' && strcmp(inode_etag(i), a->etag) != 0)
			i->stale = 1;
	} else if (i != NULL && (inode_is_dir(i) != a->is_dir ||
	    (!a->is_dir && !is_same_version(i, a)))) {
		if (i->local)
			return (i);	/* ours is on its way out and will say so */
		listing_replace(t, i);
		i = NULL;
	} else if (i != NULL && i->changed) {
		i->changed = 0;
		tree_new_key(t, i);
	}
	if (i == NULL) {
		i = tree_add(t, parent, name, type_of(a));
		tree_set_remote(t, i, a);
		if (parent->dir->too_large) {
			tree_ref(i);
			trim(t, parent);
			tree_unref(t, i);
		}
	} else if (!a->is_dir && !i->knows_props && a->props != NULL && !i->local) {
		tree_set_props(i, a->etag, a->props);
		i->knows_props = 1;
	}
	if (!i->local)
		tree_set_access(i, &a->access);
	i->marker |= a->is_dir != 0;
	i->epoch = ++t->epoch;
	i->valid_until_ms = now_ms + t->opt.ttl_ms;
	return (i);
}

/* ---- the names of a directory, complete or still coming ------------------------------ */

static struct tree_names *
names_new(const struct inode *dir)
{
	struct tree_names *names = mem_zalloc(sizeof(*names));

	names->list = catalog_new();
	names->refs = 1;
	names->ino = dir->ino;
	names->parent_ino = dir->parent != NULL ? dir->parent->ino : dir->ino;
	names->version = dir->dir->version;
	return (names);
}

static void
names_add(struct tree_names *names, const struct inode *i)
{
	struct store_attr a = { .size = i->size, .mtime_unix_s = i->mtime_s,
	    .mtime_ns = (long)i->mtime_ns, .is_dir = inode_is_dir(i),
	    .is_link = inode_is_link(i) };

	str_format(a.etag, sizeof(a.etag), "%s", inode_etag(i));
	catalog_add(names->rest != NULL ? names->rest : names->list, inode_name(i), i->mode, &a);
}

/* How many came so far. */
static size_t
names_count(const struct tree_names *names)
{
	return (catalog_count(names->list) +
	    (names->rest != NULL ? catalog_count(names->rest) : 0));
}

/* Where entry *at is, which becomes its place there. */
static struct catalog *
names_part(const struct tree_names *names, size_t *at)
{
	size_t first = catalog_count(names->list);

	if (names->rest == NULL || *at < first)
		return (names->list);
	*at -= first;
	return (names->rest);
}

static void
names_unref(struct tree_names *names)
{
	if (--names->refs > 0)
		return;
	catalog_free(names->list);
	if (names->rest != NULL)
		catalog_free(names->rest);
	free(names->failure);
	free(names);
}

void
listing_drop_catalog(struct tree *t, struct directory *d)
{
	struct tree_names *names = d->large;

	d->large = NULL;
	if (names == NULL)
		return;
	t->catalog_bytes -= names->counted;
	names_unref(names);
}

static void
end_stream(struct directory *d, struct tree_names *names, const struct err *failure)
{
	if (d->stream == names)
		d->stream = NULL;
	names->done = 1;
	if (failure != NULL) {
		names->failure = mem_alloc(sizeof(*names->failure));
		*names->failure = *failure;
	} else if (names->refs > 1 && !names->is_large)
		d->kernel_names = d->names;
	names_unref(names);
}

/* ---- large directories --------------------------------------------------------------- */

static int
is_spare(const struct inode *i)
{
	return (i->lookups == 0 && i->refs == 0 && !i->local &&
	    (i->dir == NULL || (i->dir->nchildren == 0 && i->dir->listed_until_ms == 0)));
}

/* Its catalog, or the service, will say the same of it again. */
static int
is_recorded(const struct inode *i)
{
	struct tree_names *large = i->parent->dir->large;
	char name[INODE_NAME_MAX + 1];
	struct store_attr a;
	uint32_t type;
	long at;

	if (large == NULL)
		return (i->parent->dir->listed_until_ms == 0);
	if ((at = catalog_find(large->list, inode_name(i))) < 0)
		return (i->parent->dir->listed_until_ms == 0);
	if (catalog_get(large->list, (size_t)at, name, &type, &a) == 0 ||
	    (!a.is_dir && strcmp(a.etag, inode_etag(i)) != 0))
		catalog_doubt(large->list, (size_t)at);
	return (1);
}

/*
 * Inodes of a large directory are a few of its names: the oldest make room.  Those
 * that the kernel holds go when it forgets them, which it does when it is told to.
 */
static void
trim(struct tree *t, struct inode *dir)
{
	struct directory *d = dir->dir;
	struct inode *i;
	int steps;

	for (steps = 0; steps < TRIM_STEPS && d->nchildren > t->opt.large / 4; steps++) {
		i = d->children;
		if (is_spare(i) && is_recorded(i)) {
			tree_evict(t, i);
			continue;
		}
		tree_to_end(t, i);
		if (t->n > t->opt.max_inodes && i->lookups > 0 && !inode_is_dir(i) && !i->local &&
		    t->opt.replaced != NULL)
			t->opt.replaced(t->opt.arg, dir, inode_name(i));
	}
}

int
listing_forgot(struct tree *t, struct inode *i)
{
	if (i->parent == NULL || !i->parent->dir->too_large || t->n <= t->opt.max_inodes / 2 ||
	    !is_spare(i) || !is_recorded(i))
		return (0);
	tree_evict(t, i);
	return (1);
}

int
listing_recall(struct tree *t, struct inode *dir, const char *name, struct inode **ret)
{
	const struct tree_names *large = dir->dir->large;
	long at = large != NULL ? catalog_find(large->list, name) : -1;
	char same[INODE_NAME_MAX + 1];
	struct store_attr a;
	uint32_t type;

	if (at < 0)
		return (0);
	if (catalog_is_doubted(large->list, (size_t)at) ||
	    large->listed_ms + t->opt.ttl_ms <= clock_ms() ||
	    !catalog_get(large->list, (size_t)at, same, &type, &a))
		return (-1);
	*ret = listing_merge(t, dir, name, &a, large->listed_ms);
	return (1);
}

/* ---- a whole directory --------------------------------------------------------------- */

struct filling {
	struct tree	*tree;
	struct inode	*dir;
	size_t		 prefix_len;	/* of the names, with its '/' */
	uint64_t	 epoch;
	int64_t		 now_ms;
	long		 n, limit;	/* 0: none */
	int		 told, stopped, along;
	struct tree_names *stream;	/* others may read along */
};

static const char *
why_hidden(const char *name, size_t len)
{
	if (len > INODE_NAME_MAX)
		return ("longer than 255 bytes");
	if (memchr(name, '\0', len) != NULL)
		return ("it has a NUL byte");
	if (memchr(name, '/', len) != NULL)
		return ("it has an empty component");
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return ("\".\" and \"..\" are no names");
	return (NULL);
}

static void
hide(struct filling *f, const char *name, size_t len, const char *why)
{
	char directory[INODE_PATH_MAX], text[INODE_NAME_MAX + 1];

	if (f->told++ > 0 || f->tree->opt.hidden == NULL)
		return;
	str_format(text, sizeof(text), "%.*s", (int)(len < INODE_NAME_MAX ? len : INODE_NAME_MAX),
	    name);
	pthread_mutex_lock(&f->tree->lock);
	if (tree_path(f->tree, f->dir, directory) != 0)
		directory[0] = '\0';
	pthread_mutex_unlock(&f->tree->lock);
	f->tree->opt.hidden(f->tree->opt.arg, directory, text, why);
}

static void
use(struct tree *t, struct inode *i)
{
	struct directory *d = i->dir;

	if (t->newest == i)
		return;
	if (d->newer != NULL) {
		*(d->older != NULL ? &d->older->dir->newer : &t->oldest) = d->newer;
		d->newer->dir->older = d->older;
	}
	d->older = t->newest;
	d->newer = NULL;
	*(t->newest != NULL ? &t->newest->dir->newer : &t->oldest) = i;
	t->newest = i;
}

/* What a catalog without room for all knows is worth as much as what another would know. */
static int
is_good_enough(const struct filling *f, const struct tree_names *large)
{
	return (large != NULL && large->rest != NULL && large->version == f->stream->version &&
	    large->listed_ms + f->tree->opt.ttl_ms > f->now_ms);
}

/* Names beyond these have no inodes of their own.  Changes need not wait for the rest. */
static void
become_large(struct filling *f)
{
	struct directory *d = f->dir->dir;
	struct inode *i, *next;

	f->stream->is_large = 1;
	d->too_large = 1;
	catalog_index(f->stream->list);
	d->listed_until_ms = 0;		/* names that are not in it are not known */
	if (!is_good_enough(f, d->large)) {
		listing_drop_catalog(f->tree, d);
		d->large = f->stream;
		f->stream->refs++;
	}
	if (f->tree->opt.writable)
		d->listing = 0;
	for (i = d->children; i != NULL; i = next) {
		next = i->next;
		if (is_spare(i) && is_recorded(i))
			tree_evict(f->tree, i);
	}
	pthread_cond_broadcast(&f->tree->settled);
}

/* No room for more names: only those around what is read just now are kept. */
static void
begin_passing(struct filling *f)
{
	struct directory *d = f->dir->dir;

	f->stream->rest = catalog_new();
	f->tree->listers -= f->along;
	f->tree->passing += f->along;
	if (d->stream == f->stream)
		d->stream = NULL;	/* who comes now begins at the beginning */
	if (d->large != f->stream)
		return;
	f->tree->catalog_bytes += f->stream->counted = catalog_bytes(f->stream->list);
	use(f->tree, f->dir);
}

static size_t
readers(const struct filling *f)
{
	return (f->stream->refs - 1 - (f->dir->dir->large == f->stream));
}

/* Nobody can begin to read it now. */
static int
give_up(struct filling *f)
{
	struct directory *d = f->dir->dir;

	if (d->stream == f->stream)
		d->stream = NULL;
	return (1);
}

/* Mutex held, given up while it waits for readers.  1: nobody wants the rest. */
static int
keep_pace(struct filling *f)
{
	struct tree_names *names = f->stream;
	size_t n = names_count(names), first = catalog_count(names->list);

	if (f->limit > 0 && f->n >= f->limit && readers(f) == 0)
		return (give_up(f));
	if (!names->is_large && n >= f->tree->opt.large)
		become_large(f);
	if (names->is_large && names->rest == NULL &&
	    catalog_bytes(names->list) > f->tree->opt.names_bytes / 4 * 3)
		begin_passing(f);
	if (names->rest == NULL)
		return (0);
	if (names->read > first + PASSING)
		catalog_drop(names->rest, names->read - first - PASSING);
	while (n > names->read + PASSING && readers(f) > 0)
		pthread_cond_wait(&f->tree->settled, &f->tree->lock);
	return (readers(f) == 0 ? give_up(f) : 0);
}

/* The entry is told to those who read the directory while it is listed. */
static void
tell_readers(struct filling *f, const struct inode *i, const char *name,
    const struct store_attr *a)
{
	struct tree_names *names = f->stream;
	long twice = names->is_large ? catalog_find(names->list, name) : -1;
	struct catalog *part;
	size_t at;

	if (twice >= 0) {		/* a blob and a directory: it is the directory */
		if (a->is_dir || i != NULL)
			catalog_doubt(names->list, (size_t)twice);
		return;
	}
	if (i != NULL)
		names_add(names, i);
	else
		catalog_add(names->rest != NULL ? names->rest : names->list, name, type_of(a), a);
	at = names_count(names) - 1;
	part = names_part(names, &at);
	if (f->dir->dir->version != names->version)
		catalog_doubt(part, at);
	if (names->waiting)
		pthread_cond_broadcast(&f->tree->settled);
}

/* Mutex held.  What this listing can know of a name that has an inode, or shall have one. */
static struct inode *
merge_entry(struct filling *f, const char *name, const struct store_attr *a, int *twice)
{
	struct inode *i = tree_find(f->tree, f->dir, name);
	int newer = i != NULL && i->epoch > f->epoch;

	*twice = newer && !i->local && inode_is_dir(i) != a->is_dir;
	if (i == NULL && f->stream->is_large)
		return (NULL);
	if (*twice ? a->is_dir : !newer)
		i = listing_merge(f->tree, f->dir, name, a, f->now_ms);
	return (i);
}

static int
on_entry(void *arg, const char *full, size_t full_len, const struct store_attr *a)
{
	struct filling *f = arg;
	char name[INODE_NAME_MAX + 1];
	const char *why;
	struct inode *i;
	size_t len;
	int twice;

	if (full_len <= f->prefix_len)
		return (0);		/* the directory's own marker */
	len = full_len - f->prefix_len;
	full += f->prefix_len;
	if ((why = why_hidden(full, len)) != NULL) {
		hide(f, full, len, why);
		return (0);
	}
	memcpy(name, full, len);
	name[len] = '\0';
	pthread_mutex_lock(&f->tree->lock);
	i = merge_entry(f, name, a, &twice);
	if (i == NULL || i->listing != f->epoch)
		tell_readers(f, i, name, a);
	if (i != NULL)
		i->listing = f->epoch;
	f->n++;
	f->stopped = keep_pace(f);
	pthread_mutex_unlock(&f->tree->lock);
	if (twice)
		hide(f, full, len, "a directory has the same name");
	return (f->stopped);
}

/* Names that the service has no longer. */
static void
sweep(struct tree *t, const struct filling *f)
{
	struct inode *i, *next;

	for (i = f->dir->dir->children; i != NULL; i = next) {
		next = i->next;
		if (i->epoch < f->epoch && !i->local)
			listing_replace(t, i);
	}
}

/* Drop the listings that were not used for the longest time. */
static void
shrink(struct tree *t)
{
	struct inode *dir, *i, *next;

	while ((t->n > t->opt.max_inodes || t->catalog_bytes > t->opt.names_bytes) &&
	    (dir = t->oldest) != NULL && dir != t->newest) {
		t->oldest = dir->dir->newer;
		t->oldest->dir->older = NULL;
		dir->dir->newer = NULL;
		dir->dir->listed_until_ms = 0;
		listing_drop_catalog(t, dir->dir);
		for (i = dir->dir->children; i != NULL; i = next) {
			next = i->next;
			if (is_spare(i))
				tree_detach(t, i);
		}
	}
}

int
listing_prefix(struct tree *t, const struct inode *dir, char buf[INODE_PATH_MAX],
    struct err *err)
{
	size_t len;

	if (tree_blob_name(t, dir, buf) != 0 || (len = strlen(buf)) + 2 > INODE_PATH_MAX) {
		errno = ESTALE;
		return (err_errno(err, "list", "a directory that is gone"));
	}
	if (len > 0)
		memcpy(buf + len, "/", 2);
	return (0);
}

static void
remember(struct directory *d, const struct err *err)
{
	free(d->failure);
	d->failure = NULL;
	if (err != NULL) {
		d->failure = mem_alloc(sizeof(*d->failure));
		*d->failure = *err;
		d->failures++;
	}
}

/* The listing that was waited for has failed. */
static int
has_failed(const struct directory *d, unsigned int before, struct err *err)
{
	if (d->failures == before || d->failure == NULL)
		return (0);
	*err = *d->failure;
	return (1);
}

/* What was made here and is not over there yet. */
static void
tell_local(struct filling *f)
{
	struct inode *i;

	for (i = f->dir->dir->children; i != NULL; i = i->next)
		if (i->local && i->listing != f->epoch) {
			i->listing = f->epoch;
			names_add(f->stream, i);
		}
}

/* All names came.  Of a large directory that was changed meanwhile it is not known what is so. */
static void
complete(struct tree *t, struct filling *f)
{
	struct directory *d = f->dir->dir;

	tell_local(f);
	if (f->stream->rest != NULL)
		return;
	if (!f->stream->is_large) {
		sweep(t, f);
		d->too_large = 0;
		listing_drop_catalog(t, d);
	} else if (d->version != f->stream->version || d->large != f->stream)
		return;
	else
		t->catalog_bytes += f->stream->counted = catalog_bytes(f->stream->list);
	d->completed++;
	d->listed_until_ms = f->now_ms + t->opt.ttl_ms;
	d->lookups = 0;
	use(t, f->dir);
	shrink(t);
}

long
listing_run(struct tree *t, struct inode *dir, long limit, int along, struct err *err)
{
	struct filling f = { .tree = t, .dir = dir, .limit = limit, .along = along,
	    .now_ms = clock_ms() };
	struct directory *d = dir->dir;
	char prefix[INODE_PATH_MAX];
	struct err why = ERR_EMPTY;
	int failed;

	if (listing_prefix(t, dir, prefix, err) != 0)
		return (-1);
	f.prefix_len = strlen(prefix);
	f.epoch = ++t->epoch;
	f.stream = names_new(dir);
	d->stream = along ? f.stream : NULL;
	f.stream->listed_ms = f.now_ms;
	d->listing = 1;
	stats_add(STATS_LISTINGS, 1);
	pthread_cond_broadcast(&t->settled);	/* who waits to read along can do so now */
	tree_ref(dir);
	pthread_mutex_unlock(&t->lock);
	failed = store_list(t->opt.store, prefix, 1, 0, on_entry, &f, &why);
	pthread_mutex_lock(&t->lock);
	if (!failed && !f.stopped)
		complete(t, &f);
	if (d->large == f.stream && d->listed_until_ms == 0 && (failed || f.stream->rest == NULL))
		listing_drop_catalog(t, d);
	if (f.stream->rest != NULL) {
		t->listers += along;
		t->passing -= along;
	}
	remember(d, failed ? &why : NULL);
	if (!f.stream->is_large || !t->opt.writable)
		d->listing = 0;
	end_stream(d, f.stream, failed ? &why : NULL);
	pthread_cond_broadcast(&t->settled);
	tree_unref(t, dir);
	if (failed && err != NULL)
		*err = why;
	return (failed ? -1 : f.n);
}

/* 1: its listing can be read as it is. */
static int
is_listed(const struct directory *d)
{
	return (d->listed_until_ms > clock_ms() &&
	    (d->large == NULL || d->large->version == d->version));
}

struct lister {
	struct tree	*tree;
	struct inode	*dir;
	long		 limit;
};

static void *
lister_main(void *arg)
{
	struct lister *l = arg;
	struct tree *t = l->tree;
	struct directory *d = l->dir->dir;
	long n;

	pthread_mutex_lock(&t->lock);
	d->starting = 0;
	if (!d->listing && d->changing == 0 && !is_listed(d)) {
		n = listing_run(t, l->dir, l->limit, 1, NULL);
		if (l->limit > 0 && n >= l->limit && d->listed_until_ms == 0)
			d->too_large = 1;
	}
	tree_unref(t, l->dir);
	t->listers--;
	pthread_cond_broadcast(&t->settled);
	pthread_mutex_unlock(&t->lock);
	free(l);
	return (NULL);
}

int
listing_start(struct tree *t, struct inode *dir, long limit)
{
	struct lister *l;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (t->listers >= LISTERS)
		return (-1);
	l = mem_alloc(sizeof(*l));
	*l = (struct lister){ t, dir, limit };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	tree_ref(dir);
	t->listers++;
	dir->dir->starting = 1;
	rc = pthread_create(&thread, &attr, lister_main, l);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return (0);
	dir->dir->starting = 0;
	t->listers--;
	tree_unref(t, dir);
	free(l);
	return (-1);
}

int
tree_is_empty(const struct inode *dir)
{
	return (dir->dir->nchildren == 0 && !dir->dir->too_large);
}

int
tree_list(struct tree *t, struct inode *dir, struct err *err)
{
	struct directory *d;
	unsigned int before;
	uint64_t completed;
	int failed = 0, ran = 0;

	pthread_mutex_lock(&t->lock);
	d = tree_dir(t, dir);
	before = d->failures;
	completed = d->completed;
	while (!failed && !is_listed(d) && d->completed == completed && !(ran && d->too_large)) {
		if (has_failed(d, before, err))
			failed = 1;
		else if (d->listing || d->changing > 0)
			pthread_cond_wait(&t->settled, &t->lock);
		else {
			failed = listing_run(t, dir, 0, 0, err) < 0;
			ran = 1;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return (failed ? -1 : 0);
}

void
tree_begin_change(struct tree *t, struct inode *a, struct inode *b)
{
	pthread_mutex_lock(&t->lock);
	while (a->dir->listing || (b != NULL && b->dir->listing))
		pthread_cond_wait(&t->settled, &t->lock);
	a->dir->changing++;
	if (b != NULL)
		b->dir->changing++;
	pthread_mutex_unlock(&t->lock);
}

void
tree_end_change(struct tree *t, struct inode *a, struct inode *b)
{
	pthread_mutex_lock(&t->lock);
	a->dir->changing--;
	a->dir->version++;
	if (b != NULL) {
		b->dir->changing--;
		b->dir->version++;
	}
	pthread_cond_broadcast(&t->settled);
	pthread_mutex_unlock(&t->lock);
}

/* ---- for readers of the directory ---------------------------------------------------- */

static struct tree_names *
snapshot(struct inode *dir)
{
	struct tree_names *names = names_new(dir);
	struct directory *d = dir->dir;
	struct inode *i;

	for (i = d->children; i != NULL; i = i->next)
		names_add(names, i);
	names->done = 1;
	names->is_unchanged = d->names == d->kernel_names;
	d->kernel_names = d->names;
	return (names);
}

/* With no thread to be had: here, if it is not too large for that. */
static int
start_or_run(struct tree *t, struct inode *dir, struct err *err)
{
	if (t->passing >= PASSING_MAX) {
		errno = ENFILE;
		err_errno(err, "list", inode_name(dir));
		return (-1);
	}
	if (listing_start(t, dir, 0) == 0 || t->listers > 0) {
		pthread_cond_wait(&t->settled, &t->lock);
		return (0);
	}
	if (listing_run(t, dir, 0, 0, err) < 0)
		return (-1);
	if (!dir->dir->too_large)
		return (0);
	errno = EAGAIN;
	err_errno(err, "list", inode_name(dir));
	return (-1);
}

/* What there was of it when somebody began to wait. */
struct before {
	unsigned int	failures;
	uint64_t	completed;
};

/* 1: it is complete or on its way; 0: look again; -1: it failed.  Mutex held. */
static int
attach(struct tree *t, struct inode *dir, const struct before *before, struct tree_names **ret,
    struct err *err)
{
	struct directory *d = dir->dir;
	int listed = is_listed(d) || d->completed != before->completed;

	if (listed && d->large == NULL && d->stream == NULL) {
		*ret = snapshot(dir);
		return (1);
	}
	if (listed || d->stream != NULL) {
		*ret = d->stream != NULL ? d->stream : d->large;
		(*ret)->refs++;
		return (1);
	}
	if (has_failed(d, before->failures, err))
		return (-1);
	if (!d->listing && !d->starting && d->changing == 0)
		return (start_or_run(t, dir, err));
	pthread_cond_wait(&t->settled, &t->lock);
	return (0);
}

static void
wait_for_more(struct tree *t, struct tree_names *names)
{
	names->waiting++;
	pthread_cond_wait(&t->settled, &t->lock);
	names->waiting--;
}

int
tree_names_new(struct tree *t, struct inode *dir, struct tree_names **ret, struct err *err)
{
	struct tree_names *names = NULL;
	struct before before;
	int state;

	pthread_mutex_lock(&t->lock);
	before = (struct before){ tree_dir(t, dir)->failures, dir->dir->completed };
	while ((state = attach(t, dir, &before, &names, err)) == 0)
		continue;
	/* The first name, or what is wrong. */
	while (state > 0 && names_count(names) == 0 && !names->done)
		wait_for_more(t, names);
	if (state > 0 && names_count(names) == 0 && names->failure != NULL) {
		*err = *names->failure;
		names_unref(names);
		state = -1;
	}
	pthread_mutex_unlock(&t->lock);
	*ret = names;
	return (state > 0 ? 0 : -1);
}

void
tree_names_free(struct tree *t, struct tree_names *names)
{
	if (names == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	names_unref(names);
	pthread_cond_broadcast(&t->settled);	/* perhaps nobody reads it any more */
	pthread_mutex_unlock(&t->lock);
}

/* Mutex held; the entry is there, or was. */
static int
get(struct tree *t, struct inode *dir, const struct tree_names *names, struct tree_entry *e)
{
	const struct inode *i;
	size_t at = e->ordinal;
	const struct catalog *part = names_part(names, &at);

	if (!catalog_get(part, at, e->name, &e->mode, &e->attr))
		return (TREE_NAMES_GONE);
	i = tree_find(t, dir, e->name);
	e->ino = i != NULL ? i->ino : tree_number(t, dir, e->name);
	return (1);
}

int
tree_names_get(struct tree *t, struct inode *dir, struct tree_names *names, size_t at, int wait,
    struct tree_entry *ret, struct err *err)
{
	int state = 0;

	pthread_mutex_lock(&t->lock);
	if (at > names->read) {
		names->read = at;
		if (names->rest != NULL && at % (PASSING / 4) == 0)
			pthread_cond_broadcast(&t->settled);
	}
	if (wait && at >= names_count(names) && !names->done && names->rest != NULL)
		pthread_cond_broadcast(&t->settled);
	while (wait && at >= names_count(names) && !names->done)
		wait_for_more(t, names);
	ret->ordinal = at;
	if (at < names_count(names))
		state = get(t, dir, names, ret);
	else if (wait && names->failure != NULL) {
		*err = *names->failure;
		state = -1;
	}
	pthread_mutex_unlock(&t->lock);
	return (state);
}

int
tree_names_lookup(struct tree *t, struct inode *dir, const struct tree_names *names,
    const struct tree_entry *e, struct inode **ret, struct inode_attr *ret_attr)
{
	const struct catalog *part;
	size_t at = e->ordinal;
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	part = names_part(names, &at);
	i = tree_find(t, dir, e->name);
	if (i == NULL && names->is_large && !catalog_is_doubted(part, at))
		i = listing_merge(t, dir, e->name, &e->attr, names->listed_ms);
	if (i != NULL && (i->mode & S_IFMT) == (e->mode & S_IFMT)) {
		i->lookups++;
		tree_tell(t, i, ret_attr);
	} else
		i = NULL;
	pthread_mutex_unlock(&t->lock);
	*ret = i;
	return (i != NULL);
}
