#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "azure/props.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/uri.h"
#include "mount/catalog.h"
#include "mount/inode_state.h"
#include "mount/listing.h"

#define HASH_FIRST	1024
#define MAX_INODES	200000
#define LARGE		50000
#define NAMES_BYTES	((size_t)64 << 20)
#define ROOT_INO	1
#define COUNTED_INO	(UINT64_C(1) << 63)
/* Scripts and programs on a mount can be run: the service knows no mode. */
#define MODE_READ_ONLY	0555
#define MODE_WRITABLE	0777

int
inode_is_dir(const struct inode *i)
{
	return (S_ISDIR(i->mode));
}

int
inode_is_link(const struct inode *i)
{
	return (S_ISLNK(i->mode));
}

int
inode_is_below(const struct inode *i, const struct inode *ancestor)
{
	while (i != NULL && i != ancestor)
		i = i->parent;
	return (i == ancestor);
}

/* ---- the hash ------------------------------------------------------------------------ */

static uint64_t
hash_of(const struct inode *parent, const char *name)
{
	uint64_t h = hash_bytes(name, strlen(name)) ^ parent->ino * UINT64_C(0x9e3779b97f4a7c15);

	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return (h ^ h >> 32);
}

static struct inode **
bucket(struct tree *t, uint64_t hash)
{
	return (&t->hash[hash & (t->hash_size - 1)]);
}

static void
hash_insert(struct tree *t, struct inode *i)
{
	struct inode **p = bucket(t, hash_of(i->parent, i->text));

	i->next_hash = *p;
	*p = i;
}

static void
hash_remove(struct tree *t, struct inode *i)
{
	struct inode **p = bucket(t, hash_of(i->parent, i->text));

	while (*p != i)
		p = &(*p)->next_hash;
	*p = i->next_hash;
	i->next_hash = NULL;
}

static void
hash_grow(struct tree *t)
{
	size_t old_size = t->hash_size, k;
	struct inode **old = t->hash, *i, *next;

	t->hash_size = old_size * 2;
	t->hash = mem_zalloc(t->hash_size * sizeof(struct inode *));
	for (k = 0; k < old_size; k++)
		for (i = old[k]; i != NULL; i = next) {
			next = i->next_hash;
			hash_insert(t, i);
		}
	free(old);
}

struct inode *
tree_find(struct tree *t, const struct inode *parent, const char *name)
{
	struct inode *i;

	for (i = *bucket(t, hash_of(parent, name)); i != NULL; i = i->next_hash)
		if (i->parent == parent && strcmp(i->text, name) == 0)
			return (i);
	return (NULL);
}

uint64_t
tree_number(struct tree *t, const struct inode *parent, const char *name)
{
	uint64_t hash = hash_of(parent, name), ino = hash & ~COUNTED_INO;
	const struct inode *i;

	if (ino <= ROOT_INO)
		return (COUNTED_INO | ++t->counter);
	for (i = *bucket(t, hash); i != NULL; i = i->next_hash)
		if (i->ino == ino)
			return (COUNTED_INO | ++t->counter);
	return (ino);
}

/* ---- the tree ------------------------------------------------------------------------ */

void
tree_set_text(struct inode *i, const char *name, const char *etag, const char *props)
{
	size_t name_len = strlen(name), etag_len = strlen(etag), props_len = strlen(props);
	char *text = mem_alloc(name_len + etag_len + props_len + 3);

	memcpy(text, name, name_len + 1);
	memcpy(text + name_len + 1, etag, etag_len + 1);
	memcpy(text + name_len + etag_len + 2, props, props_len + 1);
	free(i->text);
	i->text = text;
	i->etag_at = (uint16_t)(name_len + 1);
	i->props_at = (uint16_t)(name_len + etag_len + 2);
	i->noted = 0;
}

void
tree_set_props(struct inode *i, const char *etag, const char *props)
{
	tree_set_text(i, inode_name(i), etag, props);
}

void
tree_set_etag(struct inode *i, const char *etag)
{
	auto_buf struct buf props = BUF_EMPTY;

	if (strcmp(inode_etag(i), etag) == 0)
		return;
	props_change(&props, inode_props(i), PROPS_MD5, NULL, NULL, 0);
	tree_set_text(i, inode_name(i), etag, buf_str(&props));
}

struct directory *
tree_dir(struct tree *t, struct inode *i)
{
	(void)t;
	if (i->dir == NULL)
		i->dir = mem_zalloc(sizeof(*i->dir));
	return (i->dir);
}

void
tree_link(struct tree *t, struct inode *parent, struct inode *i)
{
	struct directory *d = tree_dir(t, parent);

	i->parent = parent;
	i->next = NULL;
	i->prev = d->last;
	*(d->last != NULL ? &d->last->next : &d->children) = i;
	d->last = i;
	d->nchildren++;
	d->names++;
	if (++t->n > t->hash_size)
		hash_grow(t);
	hash_insert(t, i);
}

static void
unlink_child(struct tree *t, struct inode *i)
{
	struct directory *d;

	if (i->parent == NULL)
		return;
	d = i->parent->dir;
	hash_remove(t, i);
	*(i->prev != NULL ? &i->prev->next : &d->children) = i->next;
	*(i->next != NULL ? &i->next->prev : &d->last) = i->prev;
	i->prev = i->next = NULL;
	d->nchildren--;
	d->names++;
	t->n--;
	i->parent = NULL;
	i->noted = 0;
}

void
tree_to_end(struct tree *t, struct inode *i)
{
	struct directory *d = i->parent->dir;

	(void)t;
	if (d->last == i)
		return;
	*(i->prev != NULL ? &i->prev->next : &d->children) = i->next;
	i->next->prev = i->prev;
	i->prev = d->last;
	i->next = NULL;
	d->last->next = i;
	d->last = i;
}

static uint32_t
default_mode(const struct tree *t, uint32_t type)
{
	if (type == S_IFLNK)
		return (type | 0777);
	return (type | ((t->opt.writable ? MODE_WRITABLE : MODE_READ_ONLY) & ~t->opt.umask));
}

struct inode *
tree_add(struct tree *t, struct inode *parent, const char *name, uint32_t mode)
{
	struct inode *i = mem_zalloc(sizeof(*i));

	tree_set_text(i, name, "", "");
	i->mode = (mode & 07777) != 0 ? mode : default_mode(t, mode & S_IFMT);
	i->uid = t->opt.uid;
	i->gid = t->opt.gid;
	i->ino = tree_number(t, parent, name);
	i->key = ++t->keys;
	i->epoch = ++t->epoch;
	tree_link(t, parent, i);
	return (i);
}

void
tree_make_local(struct tree *t, struct inode *i)
{
	i->local = 1;
	i->ino = COUNTED_INO | ++t->counter;
}

static void
forget_listing(struct tree *t, struct inode *i)
{
	struct directory *d = i->dir;

	d->listed_until_ms = 0;
	listing_drop_catalog(t, d);
	if (t->oldest != i && d->older == NULL)
		return;
	*(d->older != NULL ? &d->older->dir->newer : &t->oldest) = d->newer;
	*(d->newer != NULL ? &d->newer->dir->older : &t->newest) = d->older;
	d->older = d->newer = NULL;
}

static void
free_dir(struct tree *t, struct inode *i)
{
	struct inode *c, *next;

	if (i->dir == NULL)
		return;
	forget_listing(t, i);
	for (c = i->dir->children; c != NULL; c = next) {
		next = c->next;
		tree_detach(t, c);
	}
	free(i->dir->failure);
	free(i->dir);
	i->dir = NULL;
}

static void
doubt(const struct inode *i)
{
	struct tree_names *large = i->parent != NULL ? i->parent->dir->large : NULL;
	long at = large != NULL ? catalog_find(large->list, inode_name(i)) : -1;

	if (at >= 0)
		catalog_doubt(large->list, (size_t)at);
}

static void
release(struct tree *t, struct inode *i)
{
	if (i->parent != NULL || i->lookups > 0 || i->refs > 0 || i == &t->root)
		return;
	tree_unnote(t, i);
	free_dir(t, i);
	if (i->staged != NULL)
		t->opt.drop_staged(i->staged);
	free(i->text);
	free(i);
}

void
tree_detach(struct tree *t, struct inode *i)
{
	doubt(i);
	unlink_child(t, i);
	tree_renote(t, i);
	release(t, i);
}

void
tree_evict(struct tree *t, struct inode *i)
{
	unlink_child(t, i);
	release(t, i);
}

void
tree_ref(struct inode *i)
{
	i->refs++;
}

void
tree_unref(struct tree *t, struct inode *i)
{
	if (--i->refs == 0)
		tree_renote(t, i);
	release(t, i);
}

void
tree_forget(struct tree *t, struct inode *i, uint64_t n)
{
	if (i == &t->root)
		return;
	pthread_mutex_lock(&t->lock);
	i->lookups -= n < i->lookups ? n : i->lookups;
	tree_renote(t, i);
	if (i->lookups > 0 || !listing_forgot(t, i))
		release(t, i);
	pthread_mutex_unlock(&t->lock);
}

void
tree_new_key(struct tree *t, struct inode *i)
{
	i->key = ++t->keys;
}

/* What is below it is found by its number, and is fetched under other names now. */
void
tree_move(struct tree *t, struct inode *i, struct inode *parent, const char *name)
{
	auto_free char *etag = mem_strdup(inode_etag(i)), *props = mem_strdup(inode_props(i));
	struct inode *c;

	doubt(i);
	unlink_child(t, i);
	for (c = i->dir != NULL ? i->dir->children : NULL; c != NULL; c = c->next)
		hash_remove(t, c);
	tree_set_text(i, name, etag, props);
	i->ino = COUNTED_INO | ++t->counter;
	tree_new_key(t, i);
	tree_link(t, parent, i);
	for (c = i->dir != NULL ? i->dir->children : NULL; c != NULL; c = c->next)
		hash_insert(t, c);
	tree_renote(t, i);
}

void
tree_set_remote(struct tree *t, struct inode *i, const struct store_attr *a)
{
	i->size = a->is_dir ? 0 : a->size;
	i->mtime_s = a->mtime_unix_s != 0 ? a->mtime_unix_s : t->root.mtime_s;
	i->mtime_ns = (uint32_t)a->mtime_ns;
	i->knows_props = a->props != NULL;
	tree_set_text(i, inode_name(i), a->etag, a->props != NULL ? a->props : "");
}

void
tree_set_access(struct inode *i, const struct store_access *a)
{
	if (a->has_mode)
		i->mode = (i->mode & S_IFMT) | a->mode;
	if (a->has_uid)
		i->uid = a->uid;
	if (a->has_gid)
		i->gid = a->gid;
	i->has_uid |= a->has_uid;
	i->has_gid |= a->has_gid;
}

void
tree_mark_changed(struct tree *t, struct inode *i)
{
	pthread_mutex_lock(&t->lock);
	if (!i->changed && i->parent != NULL) {
		i->changed = 1;
		tree_renote(t, i);
		if (t->opt.replaced != NULL)
			t->opt.replaced(t->opt.arg, i->parent, inode_name(i));
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- what the kernel and the service are told ---------------------------------------- */

void
tree_attr(struct tree *t, const struct inode *i, struct inode_attr *ret)
{
	const struct directory *d = i->parent != NULL ? i->parent->dir : NULL;
	int64_t until_ms = i->valid_until_ms, now_ms = clock_ms();

	if (d != NULL && d->listed_until_ms > until_ms)
		until_ms = d->listed_until_ms;
	memset(ret, 0, sizeof(*ret));
	ret->ttl_ms = i->local || i == &t->root || until_ms - now_ms > t->opt.ttl_ms ?
	    t->opt.ttl_ms : until_ms > now_ms ? until_ms - now_ms : 0;
	ret->ino = i->ino;
	ret->size = i->size;
	ret->mtime_s = i->mtime_s;
	ret->mtime_ns = i->mtime_ns;
	ret->mode = i->mode;
	ret->uid = i->uid;
	ret->gid = i->gid;
	ret->nlink = inode_is_dir(i) ? 2 : 1;
}

int
tree_path(struct tree *t, const struct inode *i, char buf[INODE_PATH_MAX])
{
	size_t at = INODE_PATH_MAX - 1, n;

	buf[at] = '\0';
	for (; i != &t->root; i = i->parent) {
		if (i->parent == NULL)
			return (-1);
		n = strlen(inode_name(i));
		if (n + 1 > at)
			return (-1);
		if (buf[at] != '\0')
			buf[--at] = '/';
		at -= n;
		memcpy(buf + at, inode_name(i), n);
	}
	memmove(buf, buf + at, INODE_PATH_MAX - at);
	return (0);
}

int
tree_blob_name(struct tree *t, const struct inode *i, char buf[INODE_PATH_MAX])
{
	size_t prefix_len = strlen(t->prefix), len, slash;

	if (tree_path(t, i, buf) != 0)
		return (-1);
	len = strlen(buf);
	slash = prefix_len > 0 && len > 0 ? 1 : 0;
	if (prefix_len + slash + len >= INODE_PATH_MAX)
		return (-1);
	memmove(buf + prefix_len + slash, buf, len + 1);
	memcpy(buf, t->prefix, prefix_len);
	if (slash > 0)
		buf[prefix_len] = '/';
	return (0);
}

/* ---- what goes out beside a file's bytes ---------------------------------------------- */

/* Mutex held. */
static struct inode *
find_blob(struct tree *t, const char *blob)
{
	size_t len = strlen(t->prefix), n;
	char name[INODE_NAME_MAX + 1];
	struct inode *i = &t->root;

	if (len > 0 && (strncmp(blob, t->prefix, len) != 0 || blob[len++] != '/'))
		return (NULL);
	for (blob += len; i != NULL && *blob != '\0'; blob += n + (blob[n] == '/')) {
		n = strcspn(blob, "/");
		if (n > INODE_NAME_MAX)
			return (NULL);
		memcpy(name, blob, n);
		name[n] = '\0';
		i = tree_find(t, i, name);
	}
	return (i);
}

const char *
tree_props_of(void *tree, const char *blob, struct arena *mem)
{
	auto_buf struct buf props = BUF_EMPTY;
	char mtime[PROPS_MTIME_SIZE];
	struct tree *t = tree;
	const char *ret = NULL;
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = find_blob(t, blob);
	if (i != NULL && S_ISREG(i->mode)) {
		if (i->said_mtime) {
			props_mtime(i->mtime_s, (long)i->mtime_ns, mtime);
			props_change(&props, inode_props(i), PROPS_META, PROPS_MTIME, mtime,
			    strlen(mtime));
		} else	/* new bytes: their time is now */
			props_change(&props, inode_props(i), PROPS_META, PROPS_MTIME, NULL, 0);
		tree_set_props(i, inode_etag(i), buf_str(&props));
		ret = arena_strdup(mem, buf_str(&props));
	}
	pthread_mutex_unlock(&t->lock);
	return (ret);
}

/* ---- making and ending it ------------------------------------------------------------ */

/* A prefix that names one blob: its directory; the blob is the root's only child. */
static char *
root_prefix(const struct tree_options *o)
{
	char *prefix = mem_strdup(o->prefix), *slash = strrchr(prefix, '/');

	if (o->is_file)
		*(slash != NULL ? slash : prefix) = '\0';
	return (prefix);
}

struct tree *
tree_new(const struct tree_options *o)
{
	struct tree *t = mem_zalloc(sizeof(*t));

	t->opt = *o;
	if (t->opt.max_inodes == 0)
		t->opt.max_inodes = MAX_INODES;
	if (t->opt.large == 0)
		t->opt.large = LARGE;
	if (t->opt.names_bytes == 0)
		t->opt.names_bytes = NAMES_BYTES;
	t->prefix = root_prefix(o);
	t->hash_size = HASH_FIRST;
	t->hash = mem_zalloc(t->hash_size * sizeof(struct inode *));
	pthread_mutex_init(&t->lock, NULL);
	cond_init(&t->settled);
	tree_set_text(&t->root, "", "", "");
	t->root.ino = ROOT_INO;
	t->root.mode = default_mode(t, S_IFDIR);
	t->root.uid = o->uid;
	t->root.gid = o->gid;
	t->root.mtime_s = clock_wall_s();
	t->root.valid_until_ms = INODE_FOR_EVER;
	tree_dir(t, &t->root);
	t->root.node = o->state != NULL;
	tree_set_text(&t->lost, "", "", "");
	t->lost.mode = S_IFREG;
	t->lost.refs = 1;
	return (t);
}

/* The kernel will not forget any more. */
static void
forget_all(struct inode *dir)
{
	struct inode *i;

	for (i = dir->dir != NULL ? dir->dir->children : NULL; i != NULL; i = i->next) {
		i->lookups = 0;
		forget_all(i);
	}
}

void
tree_free(struct tree *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	while (t->listers + t->passing > 0)
		pthread_cond_wait(&t->settled, &t->lock);
	forget_all(&t->root);
	free_dir(t, &t->root);
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->settled);
	free(t->root.text);
	free(t->lost.dir);
	free(t->lost.text);
	free(t->hash);
	free(t->prefix);
	free(t);
}
