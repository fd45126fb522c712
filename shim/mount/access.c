#include "mount/access.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "mount/ops.h"
#include "mount/staged.h"

/* The blob's name; -1: it has none any more. */
static int
name_of(struct tree *t, struct inode *i, char blob[INODE_PATH_MAX])
{
	int gone;

	pthread_mutex_lock(&t->lock);
	gone = tree_blob_name(t, i, blob);
	pthread_mutex_unlock(&t->lock);
	return (gone);
}

static int
is_only_here(struct writer *w, struct inode *i)
{
	struct staged *s;
	int only;

	pthread_mutex_lock(&w->opt.tree->lock);
	only = i->local;
	s = i->staged;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (s == NULL)
		return (only);
	pthread_mutex_lock(&s->lock);
	only = s->is_local && !s->exists;
	pthread_mutex_unlock(&s->lock);
	return (only);
}

/* The same bytes have another ETag from now on.  Not for directories. */
static void
use_etag(struct writer *w, struct inode *i, const char *etag)
{
	struct tree *t = w->opt.tree;
	struct staged *s;

	if (etag[0] == '\0')
		return;
	pthread_mutex_lock(&t->lock);
	s = i->staged;
	tree_set_etag(i, etag);
	tree_renote(t, i);
	tree_new_key(t, i);
	i->epoch = ++t->epoch;
	pthread_mutex_unlock(&t->lock);
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	str_format(s->etag, sizeof(s->etag), "%s", etag);
	staged_note(w, s);
	pthread_mutex_unlock(&s->lock);
}

/* Of the bytes that are here, or would be read; "": not known, or a directory's. */
static void
version_of(struct writer *w, struct inode *i, char etag[HTTP_ETAG_MAX])
{
	struct staged *s;

	pthread_mutex_lock(&w->opt.tree->lock);
	s = i->staged;
	str_format(etag, HTTP_ETAG_MAX, "%s", S_ISREG(i->mode) ? inode_etag(i) : "");
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	if (s->is_local)
		str_format(etag, HTTP_ETAG_MAX, "%s", s->etag);
	pthread_mutex_unlock(&s->lock);
}

/*
 * An ETag that comes back is that of our bytes only if the one before was: somebody else may have
 * replaced the file, and what is written here must not pass for a change of his.  The mode is
 * set all the same, of what stands there.
 */
static int
set(struct writer *w, struct inode *i, const char *blob, const struct store_access *a,
    struct err *err)
{
	char etag[HTTP_ETAG_MAX], new_etag[HTTP_ETAG_MAX] = "";
	struct err e = ERR_EMPTY;
	int rc;

	version_of(w, i, etag);
	rc = store_set_access(w->opt.store, blob, a, etag[0] != '\0' ? etag : NULL, new_etag, &e);
	if (rc == 0 && etag[0] != '\0')
		use_etag(w, i, new_etag);
	else if (rc < 0 && e.kind == ERR_CHANGED)
		rc = store_set_access(w->opt.store, blob, a, NULL, new_etag, &e);
	if (rc < 0)
		*err = e;
	return (rc < 0 ? -1 : 0);
}

/* The name is gone, or the file is not there yet: then it is sent with the first upload. */
int
access_change(struct writer *w, struct inode *i, const struct stat *st, int what, struct err *err)
{
	struct store_access a = { .has_mode = (what & FUSE_SET_ATTR_MODE) != 0,
	    .has_uid = (what & FUSE_SET_ATTR_UID) != 0,
	    .has_gid = (what & FUSE_SET_ATTR_GID) != 0,
	    .mode = st->st_mode & 01777, .uid = st->st_uid, .gid = st->st_gid };
	struct staged *s = NULL;
	char blob[INODE_PATH_MAX];
	int failed = 0;

	if (!w->opt.access || !(a.has_mode || a.has_uid || a.has_gid))
		return (0);
	pthread_mutex_lock(&w->opt.tree->lock);
	i->has_uid |= a.has_uid;
	i->has_gid |= a.has_gid;
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (S_ISREG(i->mode))
		staged_begin(s = staged_of(w, i));	/* an upload changes the ETag, too */
	if (!is_only_here(w, i) && name_of(w->opt.tree, i, blob) == 0)
		failed = set(w, i, blob, &a, err);
	else {		/* before an upload may begin that takes it along */
		pthread_mutex_lock(&w->opt.tree->lock);
		tree_set_access(i, &a);
		pthread_mutex_unlock(&w->opt.tree->lock);
	}
	if (s != NULL)
		staged_end(s);
	return (failed);
}

void
access_keep(struct writer *w, struct inode *i, const char *blob, char etag[HTTP_ETAG_MAX])
{
	static _Atomic int told;
	const char *if_match = etag != NULL && etag[0] != '\0' ? etag : NULL;
	char new_etag[HTTP_ETAG_MAX] = "";
	struct store_access a = { .has_mode = 1 };
	struct err err = ERR_EMPTY;
	int rc;

	pthread_mutex_lock(&w->opt.tree->lock);
	a.mode = i->mode & 01777;
	a.uid = i->uid;
	a.gid = i->gid;
	a.has_uid = i->has_uid;
	a.has_gid = i->has_gid;
	pthread_mutex_unlock(&w->opt.tree->lock);
	rc = store_set_access(w->opt.store, blob, &a, if_match, new_etag, &err);
	if (rc < 0 && err.kind != ERR_CHANGED && atomic_exchange(&told, 1) == 0)
		log_err(&err);
	if (rc == 0 && if_match != NULL && new_etag[0] != '\0')
		memcpy(etag, new_etag, HTTP_ETAG_MAX);
}

void
access_of_root(struct tree *t)
{
	char blob[INODE_PATH_MAX];
	struct store_access a;
	struct err err = ERR_EMPTY, *why = &err;

	/* A prefix that does not exist yet has none; one that may not be asked for keeps ours. */
	if (t->opt.is_file || name_of(t, &t->root, blob) != 0 ||
	    store_get_access(t->opt.store, blob, &a, why) != 0)
		return;
	pthread_mutex_lock(&t->lock);
	tree_set_access(&t->root, &a);
	pthread_mutex_unlock(&t->lock);
}
