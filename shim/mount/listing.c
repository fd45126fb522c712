#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "mount/listing.h"

#define LISTERS	8		/* threads */
#define STACK	(256 * 1024)

/* ---- one name from the service into the tree; mutex held ----------------------------- */

void
listing_replace(struct tree *t, struct inode *i)
{
	if (i->lookups > 0 && t->opt.replaced != NULL)
		t->opt.replaced(t->opt.arg, i->parent, inode_name(i));
	tree_detach(t, i);
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
		i = tree_add(t, parent, name, a->is_dir ? S_IFDIR : S_IFREG);
		tree_set_remote(t, i, a);
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

	names->refs = 1;
	names->ino = dir->ino;
	names->parent_ino = dir->parent != NULL ? dir->parent->ino : dir->ino;
	return (names);
}

static void
names_add(struct tree_names *names, const struct inode *i)
{
	if (names->n == names->size) {
		names->size = names->size > 0 ? names->size * 2 : 64;
		names->entries = mem_grow(names->entries, names->size * sizeof(*names->entries));
	}
	names->entries[names->n++] = (struct tree_entry){
	    arena_strdup(&names->mem, inode_name(i)), i->ino, i->mode };
}

static void
names_unref(struct tree_names *names)
{
	if (--names->refs > 0)
		return;
	arena_done(&names->mem);
	free(names->failure);
	free(names->entries);
	free(names);
}

static void
end_stream(struct directory *d, struct tree_names *names, const struct err *failure)
{
	if (names == NULL)
		return;
	d->stream = NULL;
	names->done = 1;
	if (failure != NULL) {
		names->failure = mem_alloc(sizeof(*names->failure));
		*names->failure = *failure;
	} else if (names->refs > 1)
		d->kernel_names = d->names;
	names_unref(names);
}

/* ---- a whole directory --------------------------------------------------------------- */

struct filling {
	struct tree	*tree;
	struct inode	*dir;
	size_t		 prefix_len;	/* of the names, with its '/' */
	uint64_t	 epoch;
	int64_t		 now_ms;
	long		 n, limit;	/* 0: none */
	int		 told;
	struct tree_names *stream;	/* NULL: nobody reads along */
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

/* The entry is told to those who read the directory while it is listed. */
static void
tell_readers(struct filling *f, struct inode *i)
{
	if (i->listing == f->epoch)
		return;
	i->listing = f->epoch;
	if (f->stream == NULL)
		return;
	names_add(f->stream, i);
	if (f->stream->waiting)
		pthread_cond_broadcast(&f->tree->settled);
}

static int
on_entry(void *arg, const char *full, size_t full_len, const struct store_attr *a)
{
	struct filling *f = arg;
	char name[INODE_NAME_MAX + 1];
	const char *why;
	struct inode *i;
	size_t len;
	int twice, newer;

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
	i = tree_find(f->tree, f->dir, name);
	newer = i != NULL && i->epoch > f->epoch;	/* than what this listing can know */
	twice = newer && !i->local && inode_is_dir(i) != a->is_dir;
	if (twice ? a->is_dir : !newer)
		i = listing_merge(f->tree, f->dir, name, a, f->now_ms);
	tell_readers(f, i);
	pthread_mutex_unlock(&f->tree->lock);
	if (twice)
		hide(f, full, len, "a directory has the same name");
	return (f->limit > 0 && ++f->n >= f->limit);
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

static int
is_spare(const struct inode *i)
{
	return (i->lookups == 0 && i->refs == 0 && !i->local && i->staged == NULL &&
	    (i->dir == NULL || (i->dir->nchildren == 0 && i->dir->listed_until_ms == 0)));
}

/* Drop the listings that were not used for the longest time. */
static void
shrink(struct tree *t)
{
	struct inode *dir, *i, *next;

	while (t->n > t->opt.max_inodes && (dir = t->oldest) != NULL && dir != t->newest) {
		t->oldest = dir->dir->newer;
		t->oldest->dir->older = NULL;
		dir->dir->newer = NULL;
		dir->dir->listed_until_ms = 0;
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

long
listing_run(struct tree *t, struct inode *dir, long limit, struct err *err)
{
	struct filling f = { .tree = t, .dir = dir, .limit = limit, .now_ms = clock_ms() };
	struct directory *d = dir->dir;
	char prefix[INODE_PATH_MAX];
	struct err why = ERR_EMPTY;
	int failed;

	if (listing_prefix(t, dir, prefix, err) != 0)
		return (-1);
	f.prefix_len = strlen(prefix);
	f.epoch = ++t->epoch;
	if (limit == 0 && !t->opt.writable)
		f.stream = d->stream = names_new(dir);
	d->listing = 1;
	pthread_cond_broadcast(&t->settled);	/* who waits to read along can do so now */
	tree_ref(dir);
	pthread_mutex_unlock(&t->lock);
	failed = store_list(t->opt.store, prefix, 1, 0, on_entry, &f, &why);
	pthread_mutex_lock(&t->lock);
	if (!failed && (limit == 0 || f.n < limit)) {
		sweep(t, &f);
		d->listed_until_ms = f.now_ms + t->opt.ttl_ms;
		d->lookups = 0;
		use(t, dir);
		shrink(t);
	}
	remember(d, failed ? &why : NULL);
	d->listing = 0;
	end_stream(d, f.stream, failed ? &why : NULL);
	pthread_cond_broadcast(&t->settled);
	tree_unref(t, dir);
	if (failed && err != NULL)
		*err = why;
	return (failed ? -1 : f.n);
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
	if (!d->listing && d->changing == 0 && d->listed_until_ms <= clock_ms()) {
		n = listing_run(t, l->dir, l->limit, NULL);
		d->too_large = l->limit > 0 && n >= l->limit;
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
tree_list(struct tree *t, struct inode *dir, struct err *err)
{
	struct directory *d;
	unsigned int before;
	int failed = 0;

	pthread_mutex_lock(&t->lock);
	d = tree_dir(t, dir);
	before = d->failures;
	while (!failed && d->listed_until_ms <= clock_ms()) {
		if (has_failed(d, before, err))
			failed = 1;
		else if (d->listing || d->changing > 0)
			pthread_cond_wait(&t->settled, &t->lock);
		else
			failed = listing_run(t, dir, 0, err) < 0;
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

/* 1: it is complete or on its way; 0: look again; -1: it failed.  Mutex held. */
static int
attach(struct tree *t, struct inode *dir, unsigned int failures, struct tree_names **ret,
    struct err *err)
{
	struct directory *d = dir->dir;

	if (d->listed_until_ms > clock_ms()) {
		*ret = snapshot(dir);
		return (1);
	}
	if (d->stream != NULL) {
		*ret = d->stream;
		d->stream->refs++;
		return (1);
	}
	if (has_failed(d, failures, err))
		return (-1);
	if (d->listing || d->starting || d->changing > 0 ||
	    (!t->opt.writable && listing_start(t, dir, 0) == 0))
		pthread_cond_wait(&t->settled, &t->lock);
	else if (listing_run(t, dir, 0, err) < 0)
		return (-1);
	return (0);
}

int
tree_names_new(struct tree *t, struct inode *dir, struct tree_names **ret, struct err *err)
{
	struct tree_names *names = NULL;
	unsigned int failures;
	int state;

	pthread_mutex_lock(&t->lock);
	failures = tree_dir(t, dir)->failures;
	while ((state = attach(t, dir, failures, &names, err)) == 0)
		continue;
	/* The first name, or what is wrong. */
	while (state > 0 && names->n == 0 && !names->done) {
		names->waiting++;
		pthread_cond_wait(&t->settled, &t->lock);
		names->waiting--;
	}
	if (state > 0 && names->n == 0 && names->failure != NULL) {
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
	pthread_mutex_unlock(&t->lock);
}

int
tree_names_get(struct tree *t, struct tree_names *names, size_t at, int wait,
    struct tree_entry *ret, struct err *err)
{
	int state = 0;

	pthread_mutex_lock(&t->lock);
	while (wait && at >= names->n && !names->done) {
		names->waiting++;
		pthread_cond_wait(&t->settled, &t->lock);
		names->waiting--;
	}
	if (at < names->n) {
		*ret = names->entries[at];
		state = 1;
	} else if (wait && names->failure != NULL) {
		*err = *names->failure;
		state = -1;
	}
	pthread_mutex_unlock(&t->lock);
	return (state);
}

int
tree_names_lookup(struct tree *t, struct inode *dir, const struct tree_entry *e,
    struct inode **ret, struct inode_attr *ret_attr)
{
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = tree_find(t, dir, e->name);
	if (i != NULL && (i->mode & S_IFMT) == (e->mode & S_IFMT)) {
		i->lookups++;
		tree_attr(t, i, ret_attr);
	} else
		i = NULL;
	pthread_mutex_unlock(&t->lock);
	*ret = i;
	return (i != NULL);
}
