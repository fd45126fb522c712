#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "mount/cond.h"
#include "mount/inode.h"

#define LOOKUPS_BEFORE_LISTING	2	/* the next one lists the directory */
#define LISTING_WAIT_MS		300	/* what a lookup gives a listing before it asks by itself */
#define LISTING_TOO_LARGE	200000	/* names: not worth it for lookups */
#define PROBE_NAMES		5000	/* one page */
#define LISTERS			4
#define STACK			(256 * 1024)
#define TRIES			8	/* of a lookup while others change the directory */

/* ---- one name from the service into the tree; mutex held --------------------- */

static void
replace(struct tree *t, struct inode *i)
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

static struct inode *
merge(struct tree *t, struct inode *parent, const char *name, const struct store_attr *a,
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
		replace(t, i);
		i = NULL;
	} else if (i != NULL && i->changed) {
		i->changed = 0;
		tree_new_key(t, i);
	}
	if (i == NULL) {
		i = tree_add(t, parent, name, a->is_dir ? S_IFDIR : S_IFREG);
		tree_set_remote(t, i, a);
	}
	i->marker |= a->is_dir != 0;
	i->epoch = ++t->epoch;
	i->valid_until_ms = now_ms + t->opt.ttl_ms;
	return (i);
}

/* ---- a whole directory -------------------------------------------------------- */

struct filling {
	struct tree	*tree;
	struct inode	*dir;
	size_t		 prefix_len;	/* of the names, with its '/' */
	uint64_t	 epoch;
	int64_t		 now_ms;
	size_t		 n, limit;	/* 0: none */
	int		 told;
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
	str_format(text, sizeof(text), "%.*s", len < INODE_NAME_MAX ? (int)len : INODE_NAME_MAX, name);
	pthread_mutex_lock(&f->tree->lock);
	if (tree_path(f->tree, f->dir, directory) != 0)
		directory[0] = '\0';
	pthread_mutex_unlock(&f->tree->lock);
	f->tree->opt.hidden(f->tree->opt.arg, directory, text, why);
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
		merge(f->tree, f->dir, name, a, f->now_ms);
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
			replace(t, i);
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

static int
directory_prefix(struct tree *t, const struct inode *dir, char buf[INODE_PATH_MAX],
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
	}
}

/* Mutex held, given up meanwhile.  Returns the names that came, -1 on failure. */
static int
list_now(struct tree *t, struct inode *dir, size_t limit, struct err *err)
{
	struct filling f = { .tree = t, .dir = dir, .limit = limit, .now_ms = clock_ms() };
	struct directory *d = dir->dir;
	char prefix[INODE_PATH_MAX];
	struct err why = ERR_EMPTY;
	int failed;

	if (directory_prefix(t, dir, prefix, err) != 0)
		return (-1);
	f.prefix_len = strlen(prefix);
	f.epoch = ++t->epoch;
	d->listing = 1;
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
	pthread_cond_broadcast(&t->settled);
	tree_unref(t, dir);
	if (failed && err != NULL)
		*err = why;
	return (failed ? -1 : (int)f.n);
}

int
tree_list(struct tree *t, struct inode *dir, struct err *err)
{
	struct directory *d;
	int failed = 0, waited = 0;

	pthread_mutex_lock(&t->lock);
	d = tree_dir(t, dir);
	while (!failed && d->listed_until_ms <= clock_ms()) {
		if (d->listing || d->changing > 0) {
			waited = d->listing;
			pthread_cond_wait(&t->settled, &t->lock);
		} else if (waited && d->failure != NULL) {
			*err = *d->failure;	/* of the one that we waited for */
			failed = 1;
		} else
			failed = list_now(t, dir, 0, err) < 0;
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

/* ---- one lookup ----------------------------------------------------------------- */

struct lister {
	struct tree	*tree;
	struct inode	*dir;
};

static void *
lister_main(void *arg)
{
	struct lister *l = arg;
	struct tree *t = l->tree;
	struct directory *d = l->dir->dir;
	struct err err = ERR_EMPTY;
	int n;

	pthread_mutex_lock(&t->lock);
	if (!d->listing && d->changing == 0) {
		n = list_now(t, l->dir, LISTING_TOO_LARGE, &err);
		d->too_large = n >= LISTING_TOO_LARGE;
	}
	tree_unref(t, l->dir);
	t->listers--;
	pthread_cond_broadcast(&t->settled);
	pthread_mutex_unlock(&t->lock);
	free(l);
	return (NULL);
}

/* Mutex held. */
static void
start_lister(struct tree *t, struct inode *dir)
{
	pthread_attr_t attr;
	pthread_t thread;
	struct lister *l;

	if (t->listers >= LISTERS)
		return;
	l = mem_alloc(sizeof(*l));
	*l = (struct lister){ t, dir };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	tree_ref(dir);
	t->listers++;
	if (pthread_create(&thread, &attr, lister_main, l) != 0) {
		t->listers--;
		tree_unref(t, dir);
		free(l);
	}
	pthread_attr_destroy(&attr);
}

/* Mutex held: a directory whose names are asked for one by one is listed instead. */
static void
consider_listing(struct tree *t, struct inode *dir)
{
	struct directory *d = dir->dir;
	int64_t until_ms = clock_ms() + LISTING_WAIT_MS;

	if (!d->listing && (d->lookups++ < LOOKUPS_BEFORE_LISTING || d->too_large ||
	    d->changing > 0))
		return;
	if (!d->listing)
		start_lister(t, dir);
	while (d->listed_until_ms <= clock_ms() && (d->listing || t->listers > 0))
		if (cond_wait_ms(&t->settled, &t->lock, until_ms - clock_ms()) != 0)
			break;
}

/* 1: the tree can answer (*ret NULL: there is none); 0: the service has to be asked. */
static int
is_known(struct tree *t, struct inode *parent, const char *name, struct inode **ret)
{
	struct inode *i = tree_find(t, parent, name);
	int64_t now_ms = clock_ms();
	int listed = parent->dir->listed_until_ms > now_ms;

	*ret = i;
	if (i == NULL)
		return (listed);
	return (i->local || (!i->changed && (listed || i->valid_until_ms > now_ms)));
}

/* Mutex held, given up meanwhile. */
static int
ask(struct tree *t, struct inode *parent, const char *name, struct inode **ret, struct err *err)
{
	char blob[INODE_PATH_MAX];
	uint64_t version = parent->dir->version;
	int64_t now_ms = clock_ms();
	struct err why = ERR_EMPTY;
	struct store_attr a;
	size_t len;
	int failed;

	if (directory_prefix(t, parent, blob, err) != 0)
		return (-1);
	len = strlen(blob);
	if (str_format(blob + len, sizeof(blob) - len, "%s", name) != 0) {
		errno = ENAMETOOLONG;
		return (err_errno(err, "look up", name));
	}
	tree_ref(parent);
	pthread_mutex_unlock(&t->lock);
	failed = store_stat(t->opt.store, blob, t->opt.is_file, &a, &why);
	pthread_mutex_lock(&t->lock);
	tree_unref(t, parent);
	if (failed && why.kind != ERR_NOT_FOUND) {
		*err = why;
		return (-1);
	}
	if (parent->dir->version != version)
		return (0);
	*ret = tree_find(t, parent, name);
	if (!failed)
		*ret = merge(t, parent, name, &a, now_ms);
	else if (*ret != NULL && !(*ret)->local) {
		replace(t, *ret);
		*ret = NULL;
	}
	return (1);
}

/* 1: answered; mutex held. */
static int
resolve(struct tree *t, struct inode *parent, const char *name, struct inode **ret,
    struct err *err)
{
	int known, tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (is_known(t, parent, name, ret))
			return (1);
		if (*ret == NULL || !(*ret)->changed) {
			consider_listing(t, parent);
			if (is_known(t, parent, name, ret))
				return (1);
		}
		if ((known = ask(t, parent, name, ret, err)) != 0)
			return (known);
	}
	return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "look up",
	    "the directory kept changing"));
}

int
tree_lookup(struct tree *t, struct inode *parent, const char *name, struct inode **ret,
    struct inode_attr *ret_attr, struct err *err)
{
	struct directory *d;
	struct inode *i;
	int answered;

	if (strlen(name) > INODE_NAME_MAX) {
		errno = ENAMETOOLONG;
		return (err_errno(err, "look up", name));
	}
	pthread_mutex_lock(&t->lock);
	d = tree_dir(t, parent);
	answered = resolve(t, parent, name, &i, err);
	if (answered > 0 && i != NULL) {
		i->lookups++;
		tree_attr(t, i, ret_attr);
	} else if (answered > 0) {
		memset(ret_attr, 0, sizeof(*ret_attr));
		ret_attr->ttl_ms = d->listed_until_ms - clock_ms();
		if (ret_attr->ttl_ms <= 0 || ret_attr->ttl_ms > t->opt.ttl_ms)
			ret_attr->ttl_ms = t->opt.ttl_ms;
	}
	pthread_mutex_unlock(&t->lock);
	if (answered <= 0)
		return (-1);
	*ret = i;
	return (0);
}

/* ---- the first question ------------------------------------------------------- */

static int
probe_file(struct tree *t, struct err *err)
{
	const char *slash = strrchr(t->opt.prefix, '/');
	struct store_attr a;

	if (store_stat(t->opt.store, t->opt.prefix, 1, &a, err) != 0)
		return (-1);
	if (a.is_dir) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "mount",
		    "it is a directory, the job says uri_file");
		return (err_on(err, "%s", t->opt.prefix));
	}
	pthread_mutex_lock(&t->lock);
	merge(t, &t->root, slash != NULL ? slash + 1 : t->opt.prefix, &a, clock_ms());
	t->root.dir->listed_until_ms = INODE_FOR_EVER;
	pthread_mutex_unlock(&t->lock);
	return (0);
}

/* No blob below the prefix: is there a directory all the same? */
static int
probe_empty(struct tree *t, struct err *err)
{
	struct err why = ERR_EMPTY;
	struct store_attr a;

	if (t->opt.prefix[0] == '\0')
		return (0);
	if (store_stat(t->opt.store, t->opt.prefix, 0, &a, &why) != 0) {
		if (why.kind != ERR_NOT_FOUND)
			*err = why;
		else
			err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_NAME, "mount",
			    "nothing is stored under this path");
		return (err_on(err, "%s", t->opt.prefix));
	}
	if (a.is_dir)
		return (0);
	err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "mount", "it is a file, the job says uri_folder");
	return (err_on(err, "%s", t->opt.prefix));
}

int
tree_probe(struct tree *t, int must_exist, struct err *err)
{
	size_t n;
	int failed;

	if (t->opt.is_file)
		return (probe_file(t, err));
	pthread_mutex_lock(&t->lock);
	failed = list_now(t, &t->root, PROBE_NAMES, err) < 0;
	n = t->root.dir->nchildren;
	pthread_mutex_unlock(&t->lock);
	if (failed)
		return (-1);
	return (n == 0 && must_exist ? probe_empty(t, err) : 0);
}

/* ---- the names of a directory at one moment -------------------------------------- */

int
tree_names_new(struct tree *t, struct inode *dir, struct tree_names **ret, struct err *err)
{
	struct tree_names *names;
	struct inode *i;

	if (tree_list(t, dir, err) != 0)
		return (-1);
	names = mem_zalloc(sizeof(*names));
	pthread_mutex_lock(&t->lock);
	names->ino = dir->ino;
	names->is_unchanged = dir->dir->names == dir->dir->kernel_names;
	dir->dir->kernel_names = dir->dir->names;
	names->parent_ino = dir->parent != NULL ? dir->parent->ino : dir->ino;
	names->entries = mem_alloc(dir->dir->nchildren * sizeof(*names->entries));
	for (i = dir->dir->children; i != NULL; i = i->next)
		names->entries[names->n++] = (struct tree_entry){
		    arena_strdup(&names->mem, inode_name(i)), i->ino, i->mode };
	pthread_mutex_unlock(&t->lock);
	*ret = names;
	return (0);
}

void
tree_names_free(struct tree_names *names)
{
	if (names == NULL)
		return;
	arena_done(&names->mem);
	free(names->entries);
	free(names);
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
