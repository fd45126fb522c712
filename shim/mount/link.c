#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "azure/props.h"
#include "base/clock.h"
#include "mount/inflight.h"
#include "mount/link.h"
#include "mount/staged.h"

static int
refuse(int why, const char *what, const char *name, struct err *err)
{
	errno = why;
	return (err_errno(err, what, name));
}

/* depth: of the link's directory below the root. */
static int
leads_out(const char *target, int depth)
{
	int named = 0;
	size_t n;

	if (target[0] == '/')
		return (1);
	for (; *target != '\0'; target += n + (target[n] == '/')) {
		n = strcspn(target, "/");
		if (n == 2 && strncmp(target, "..", 2) == 0) {
			if (named || --depth < 0)
				return (1);
		} else if (n > 0 && (n > 1 || target[0] != '.'))
			named = 1;
	}
	return (0);
}

int
link_read(struct tree *t, struct inode *i, char target[4096], struct err *err)
{
	char blob[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	const struct inode *up;
	int gone, depth = -1;
	size_t len = 0;

	pthread_mutex_lock(&t->lock);
	gone = tree_blob_name(t, i, blob);
	str_format(etag, sizeof(etag), "%s", inode_etag(i));
	for (up = i->parent; up != NULL; up = up->parent)
		depth++;
	pthread_mutex_unlock(&t->lock);
	if (gone)
		return (refuse(ESTALE, "read the link", NULL, err));
	if (store_read(t->opt.store, blob, etag, 0, target, PROPS_LINK_MAX, &len, NULL, err) != 0)
		return (-1);
	target[len] = '\0';
	if (len == 0 || strlen(target) != len)
		return (refuse(EIO, "read the link", blob, err));
	if (t->opt.writable || !leads_out(target, depth))
		return (0);
	err_set(err, ERR_DENIED, REMEDY_NONE, "read the link", "it leads out of the input");
	err->sys_errno = EPERM;
	return (err_on(err, "%s", blob));
}

static int
blob_below(struct tree *t, struct inode *dir, const char *name, char blob[INODE_PATH_MAX],
    struct err *err)
{
	int gone;
	size_t len;

	pthread_mutex_lock(&t->lock);
	gone = tree_blob_name(t, dir, blob);
	pthread_mutex_unlock(&t->lock);
	if (gone)
		return (refuse(ESTALE, "make the link", name, err));
	len = strlen(blob);
	if (str_format(blob + len, INODE_PATH_MAX - len, "%s%s", len > 0 ? "/" : "", name) != 0)
		return (refuse(ENAMETOOLONG, "make the link", name, err));
	return (0);
}

static struct inode *
add(struct tree *t, struct inode *parent, const char *name, const char *target,
    const char *etag, struct inode_attr *a)
{
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = tree_find(t, parent, name);
	if (i != NULL && strcmp(inode_etag(i), etag) == 0) {	/* asked for already */
		i->lookups++;
		tree_tell(t, i, a);
	} else if (i != NULL)
		i = NULL;
	else {
		parent->dir->version++;
		i = tree_add(t, parent, name, S_IFLNK);
		tree_make_local(t, i);
		i->local = 0;
		i->lookups = 1;
		i->size = (int64_t)strlen(target);
		i->mtime_s = clock_wall_s();
		i->valid_until_ms = clock_ms() + t->opt.ttl_ms;
		tree_set_etag(i, etag);
		tree_tell(t, i, a);
	}
	pthread_mutex_unlock(&t->lock);
	return (i);
}

int
link_make(struct writer *w, struct inode *parent, const char *name, const char *target,
    struct inode **ret, struct inode_attr *a, struct err *err)
{
	char blob[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	struct tree *t = w->opt.tree;
	struct inode *i;
	int failed;

	if (strlen(target) > PROPS_LINK_MAX)
		return (refuse(ENAMETOOLONG, "make the link", name, err));
	if (tree_lookup(t, parent, name, &i, a, err) != 0)
		return (-1);
	if (i != NULL && inflight_is_repeat() && inode_is_link(i)) {
		*ret = i;
		return (0);
	}
	if (i != NULL) {
		tree_forget(t, i, 1);
		return (refuse(EEXIST, "make the link", name, err));
	}
	tree_begin_change(t, parent, NULL);
	inflight_begin();
	failed = blob_below(t, parent, name, blob, err) != 0 ||
	    store_symlink(w->opt.store, blob, target, etag, err) != 0;
	if (!failed && (*ret = add(t, parent, name, target, etag, a)) == NULL)
		failed = refuse(ESTALE, "make the link", name, err);
	tree_end_change(t, parent, NULL);
	return (failed ? -1 : 0);
}
