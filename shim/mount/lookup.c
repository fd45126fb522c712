#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "mount/listing.h"
#include "mount/stats.h"

#define LOOKUPS_BEFORE_LISTING	2	/* the next one lists the directory */
#define LISTING_WAIT_MS		300	/* what a lookup gives a listing before it asks by itself */
#define LISTING_TOO_LARGE	200000	/* names: more are not worth it for lookups */
#define PROBE_NAMES		5000	/* one page */
#define TRIES			3	/* of a lookup while others change the directory */

/* ---- one lookup ---------------------------------------------------------------------- */

/* Mutex held: a directory whose names are asked for one by one is listed instead. */
static void
consider_listing(struct tree *t, struct inode *dir)
{
	struct directory *d = dir->dir;
	int64_t until_ms = clock_ms() + LISTING_WAIT_MS;

	if (d->too_large)
		return;
	if (!d->listing && !d->starting && (d->lookups++ < LOOKUPS_BEFORE_LISTING ||
	    d->changing > 0))
		return;
	if (!d->listing && !d->starting)
		(void)listing_start(t, dir, LISTING_TOO_LARGE);
	while (d->listed_until_ms <= clock_ms() && (d->listing || d->starting))
		if (cond_wait_ms(&t->settled, &t->lock, until_ms - clock_ms()) != 0)
			break;
}

/* 1: the tree can answer (*ret NULL: there is none); 0: the service has to be asked. */
static int
is_known(struct tree *t, struct inode *parent, const char *name, struct inode **ret)
{
	struct inode *i = tree_find(t, parent, name);
	int64_t now_ms = clock_ms();
	int listed = parent->dir->listed_until_ms > now_ms, recalled;

	*ret = i;
	if (i == NULL) {
		recalled = listing_recall(t, parent, name, ret);
		return (recalled > 0 || (listed && recalled == 0));
	}
	return (i->local || (!i->changed && (listed || i->valid_until_ms > now_ms)));
}

/* Mutex held: nobody changes the directory until it is let go. */
static void
keep_still(struct tree *t, struct directory *d)
{
	while (d->listing || d->changing > 0)
		pthread_cond_wait(&t->settled, &t->lock);
	d->listing = 1;
}

static void
let_go(struct tree *t, struct directory *d)
{
	d->listing = 0;
	pthread_cond_broadcast(&t->settled);
}

/* Mutex held, given up meanwhile.  0: the directory was changed, what came may be old. */
static int
ask(struct tree *t, struct inode *parent, const char *name, struct inode **ret, struct err *err)
{
	char blob[INODE_PATH_MAX];
	uint64_t version = parent->dir->version;
	int64_t now_ms = clock_ms();
	struct err why = ERR_EMPTY;
	struct store_attr a = { .props = NULL };
	size_t len;
	int failed;

	if (listing_prefix(t, parent, blob, err) != 0)
		return (-1);
	len = strlen(blob);
	if (str_format(blob + len, sizeof(blob) - len, "%s", name) != 0) {
		errno = ENAMETOOLONG;
		return (err_errno(err, "look up", name));
	}
	tree_ref(parent);
	pthread_mutex_unlock(&t->lock);
	stats_add(STATS_ASKED, 1);
	failed = store_stat(t->opt.store, blob, t->opt.is_file, &a, &why);
	pthread_mutex_lock(&t->lock);
	tree_unref(t, parent);
	if (failed && why.kind != ERR_NOT_FOUND) {
		*err = why;
		return (-1);
	}
	if (parent->dir->version != version) {
		free(a.props);
		return (0);
	}
	*ret = tree_find(t, parent, name);
	if (!failed) {
		*ret = listing_merge(t, parent, name, &a, now_ms);
		free(a.props);
	}
	else if (*ret != NULL && !(*ret)->local) {
		listing_replace(t, *ret);
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
	tree_ref(parent);
	keep_still(t, parent->dir);	/* others change it faster than the service answers */
	known = is_known(t, parent, name, ret) ? 1 : ask(t, parent, name, ret, err);
	let_go(t, parent->dir);
	tree_unref(t, parent);
	return (known);
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
	d->asked++;
	answered = resolve(t, parent, name, &i, err);
	if (answered > 0 && i != NULL) {
		i->lookups++;
		tree_tell(t, i, ret_attr);
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

int
tree_learn_props(struct tree *t, struct inode *i, struct err *err)
{
	char blob[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	struct store_attr a = { .props = NULL };
	int known, gone, same;

	pthread_mutex_lock(&t->lock);
	known = i->knows_props || i->local;
	gone = tree_blob_name(t, i, blob);
	str_format(etag, sizeof(etag), "%s", inode_etag(i));
	pthread_mutex_unlock(&t->lock);
	if (known)
		return (0);
	if (gone) {
		errno = ESTALE;
		return (err_errno(err, "get the properties of", "a file that is gone"));
	}
	if (store_stat(t->opt.store, blob, 0, &a, err) != 0)
		return (-1);
	pthread_mutex_lock(&t->lock);
	same = strcmp(a.etag, etag) == 0 && strcmp(inode_etag(i), etag) == 0;
	if (same && a.props != NULL) {
		tree_set_props(i, a.etag, a.props);
		i->knows_props = 1;
	}
	pthread_mutex_unlock(&t->lock);
	free(a.props);
	if (same)
		return (0);
	err_set(err, ERR_CHANGED, REMEDY_NONE, "get the properties of", "it was replaced");
	return (err_on(err, "%s", blob));
}

/* ---- the first question -------------------------------------------------------------- */

static int
probe_file(struct tree *t, struct err *err)
{
	const char *slash = strrchr(t->opt.prefix, '/');
	struct store_attr a;

	if (store_stat(t->opt.store, t->opt.prefix, 1, &a, err) != 0)
		return (-1);
	if (a.is_dir) {
		return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "mount",
		    "it is a directory, the job says uri_file"));
	}
	pthread_mutex_lock(&t->lock);
	listing_merge(t, &t->root, slash != NULL ? slash + 1 : t->opt.prefix, &a, clock_ms());
	free(a.props);
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
		return (-1);
	}
	free(a.props);
	if (a.is_dir)
		return (0);
	return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "mount",
	    "it is a file, the job says uri_folder"));
}

int
tree_probe(struct tree *t, int must_exist, struct err *err)
{
	size_t n;
	int failed;

	if (t->opt.is_file)
		return (probe_file(t, err));
	pthread_mutex_lock(&t->lock);
	failed = listing_run(t, &t->root, PROBE_NAMES, 0, err) < 0;
	n = t->root.dir->nchildren;
	pthread_mutex_unlock(&t->lock);
	if (failed)
		return (-1);
	return (n == 0 && must_exist ? probe_empty(t, err) : 0);
}
