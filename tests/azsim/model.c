#include "model.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/uri.h"

void
pairs_add(struct pairs *p, const char *name, const char *value)
{
	p->list = mem_grow(p->list, (p->n + 1) * sizeof(*p->list));
	p->list[p->n].name = mem_strdup(name);
	p->list[p->n].value = mem_strdup(value);
	p->n++;
}

const char *
pairs_get(const struct pairs *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (strcasecmp(p->list[i].name, name) == 0)
			return (p->list[i].value);
	return (NULL);
}

void
pairs_copy(struct pairs *p, const struct pairs *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		pairs_add(p, from->list[i].name, from->list[i].value);
}

void
pairs_done(struct pairs *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->list[i].name);
		free(p->list[i].value);
	}
	free(p->list);
	p->list = NULL;
	p->n = 0;
}

/* As the service's: 0x8D and digits that grow. */
uint64_t
model_next_etag(void)
{
	static _Atomic uint64_t last;

	if (last == 0) {
		uint64_t zero = 0, first = UINT64_C(0x8D0000000000000) +
		    ((uint64_t)clock_wall_s() << 20);

		atomic_compare_exchange_strong(&last, &zero, first);
	}
	return (atomic_fetch_add(&last, UINT64_C(0x1d)));
}

static char *
copy_text(const char *text)
{
	return (text != NULL ? mem_strdup(text) : NULL);
}

void
access_copy(struct access *a, const struct access *from)
{
	access_done(a);
	a->mode = from->mode;
	a->owner = copy_text(from->owner);
	a->group = copy_text(from->group);
	a->acl = copy_text(from->acl);
}

void
access_done(struct access *a)
{
	free(a->owner);
	free(a->group);
	free(a->acl);
	memset(a, 0, sizeof(*a));
}

struct version *
version_new(int64_t size)
{
	struct version *v = mem_zalloc(sizeof(*v));
	struct timespec now;

	v->refs = 1;
	v->size = size;
	v->etag = model_next_etag();
	clock_gettime(CLOCK_REALTIME, &now);
	v->created_unix_s = v->modified_unix_s = now.tv_sec;
	v->modified_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	return (v);
}

struct version *
version_hold(struct version *v)
{
	v->refs++;
	return (v);
}

void
version_drop(struct version *v)
{
	size_t i;

	if (v == NULL || --v->refs > 0)
		return;
	for (i = 0; i < v->nsegments; i++) {
		extent_drop(v->segments[i].extent);
		free(v->segments[i].id);
	}
	free(v->segments);
	pairs_done(&v->headers);
	pairs_done(&v->meta);
	free(v->copy_id);
	free(v->copy_source);
	access_done(&v->access);
	free(v);
}

void
version_add_segment(struct version *v, struct extent *x, const char *id)
{
	size_t n = v->nsegments;
	struct segment *s;

	if ((n & (n - 1)) == 0)		/* a power of two: full */
		v->segments = mem_grow(v->segments, (n == 0 ? 1 : 2 * n) * sizeof(*s));
	s = &v->segments[n];
	s->extent = x;
	s->end = (n == 0 ? 0 : v->segments[n - 1].end) + x->size;
	s->id = id == NULL ? NULL : mem_strdup(id);
	v->nsegments = n + 1;
}

struct version *
version_again(const struct version *from)
{
	struct version *v = version_new(from->size);
	size_t i;

	v->is_dir = from->is_dir;
	v->is_synthetic = from->is_synthetic;
	v->is_flushed = from->is_flushed;
	v->seed = from->seed;
	v->created_unix_s = from->created_unix_s;
	access_copy(&v->access, &from->access);
	pairs_copy(&v->headers, &from->headers);
	pairs_copy(&v->meta, &from->meta);
	for (i = 0; i < from->nsegments; i++)
		version_add_segment(v, extent_hold(from->segments[i].extent),
		    from->segments[i].id);
	return (v);
}

int
version_is_pending(const struct version *v)
{
	return (v->copy_until_ms != 0 && clock_ms() < v->copy_until_ms);
}

void
version_piece(const struct version *v, const struct depot *d, int64_t offset, struct piece *ret)
{
	size_t low = 0, high = v->nsegments;
	const struct segment *s;
	int64_t begin;

	if (v->is_synthetic) {
		ret->fd = d->pattern_fd;
		ret->offset = depot_pattern_offset(v->seed, offset, &ret->len);
		if (ret->len > v->size - offset)
			ret->len = v->size - offset;
		return;
	}
	while (low < high) {	/* the first that ends behind offset */
		size_t mid = low + (high - low) / 2;

		if (v->segments[mid].end > offset)
			high = mid;
		else
			low = mid + 1;
	}
	s = &v->segments[low];
	begin = s->end - s->extent->size;
	ret->fd = d->fd;
	ret->offset = s->extent->offset + (offset - begin);
	ret->len = s->end - offset;
}

struct account *
model_account(const struct model *m, const char *name)
{
	struct account *a;

	for (a = m->accounts; a != NULL && strcmp(a->name, name) != 0; a = a->next)
		;
	return (a);
}

struct account *
model_add_account(struct model *m, const char *name)
{
	struct account *a = model_account(m, name);

	if (a != NULL)
		return (a);
	a = mem_zalloc(sizeof(*a));
	a->name = mem_strdup(name);
	a->shared_key = a->network_allow = a->dfs_allow = 1;
	pthread_rwlock_init(&a->lock, NULL);
	a->next = m->accounts;
	m->accounts = a;
	return (a);
}

int
account_set_key(struct account *a, const char *base64)
{
	unsigned char key[MODEL_KEY_MAX];
	ssize_t n = base64_decode(key, sizeof(key), base64, strlen(base64));

	if (n <= 0)
		return (-1);
	pthread_rwlock_wrlock(&a->lock);
	memcpy(a->key, key, (size_t)n);
	a->key_len = (size_t)n;
	pthread_rwlock_unlock(&a->lock);
	return (0);
}

static struct blob *
new_blob(const char *name, int levels)
{
	struct blob *b = mem_zalloc(sizeof(*b) + (size_t)levels * sizeof(b->next[0]));

	b->name = mem_strdup(name);
	b->levels = levels;
	return (b);
}

void
blob_drop_staged(struct blob *b)
{
	size_t i;

	for (i = 0; i < b->nstaged; i++) {
		free(b->staged[i].id);
		extent_drop(b->staged[i].extent);
	}
	free(b->staged);
	b->staged = NULL;
	b->nstaged = b->staged_cap = 0;
	for (i = 0; i < b->nappended; i++)
		extent_drop(b->appended[i].extent);
	free(b->appended);
	b->appended = NULL;
	b->nappended = 0;
}

static void
free_blob(struct blob *b)
{
	blob_drop_staged(b);
	version_drop(b->now);
	free(b->name);
	free(b);
}

static struct container *
find_container(struct account *a, const char *name)
{
	struct container *c;

	for (c = a->containers; c != NULL; c = c->next)
		if (!c->is_deleted && strcmp(c->name, name) == 0)
			return (c);
	return (NULL);
}

struct container *
model_container(struct account *a, const char *name)
{
	struct container *c;

	pthread_rwlock_rdlock(&a->lock);
	c = find_container(a, name);
	pthread_rwlock_unlock(&a->lock);
	return (c);
}

int
model_create_container(struct account *a, const char *name, struct container **ret)
{
	struct container *c, **at;
	int made;

	pthread_rwlock_wrlock(&a->lock);
	c = find_container(a, name);
	made = c == NULL;
	if (made) {
		c = mem_zalloc(sizeof(*c));
		c->account = a;
		c->name = mem_strdup(name);
		c->etag = model_next_etag();
		c->modified_unix_s = clock_wall_s();
		c->head = new_blob("", MODEL_LEVELS);
		pthread_rwlock_init(&c->lock, NULL);
		for (at = &a->containers; *at != NULL && strcmp((*at)->name, name) < 0;
		    at = &(*at)->next)
			;
		c->next = *at;
		*at = c;
	}
	pthread_rwlock_unlock(&a->lock);
	*ret = c;
	return (made);
}

void
model_delete_container(struct model *m, struct container *c)
{
	struct blob *b, *next;

	pthread_rwlock_wrlock(&c->account->lock);
	c->is_deleted = 1;
	pthread_rwlock_unlock(&c->account->lock);
	pthread_rwlock_wrlock(&c->lock);
	for (b = c->head->next[0]; b != NULL; b = next) {
		next = b->next[0];
		free_blob(b);
		m->blobs--;
	}
	memset(c->head->next, 0, MODEL_LEVELS * sizeof(c->head->next[0]));
	c->count = 0;
	pthread_rwlock_unlock(&c->lock);
}

/* The last before name on each level. */
static void
find_path(const struct container *c, const char *name, struct blob *path[MODEL_LEVELS])
{
	struct blob *b = c->head;
	int i;

	for (i = MODEL_LEVELS - 1; i >= 0; i--) {
		while (b->next[i] != NULL && strcmp(b->next[i]->name, name) < 0)
			b = b->next[i];
		path[i] = b;
	}
}

struct blob *
model_seek(const struct container *c, const char *name)
{
	struct blob *path[MODEL_LEVELS];

	find_path(c, name, path);
	return (path[0]->next[0]);
}

struct blob *
model_find(const struct container *c, const char *name)
{
	struct blob *b = model_seek(c, name);

	return (b != NULL && strcmp(b->name, name) == 0 ? b : NULL);
}

/* One more with a chance of a quarter, from the name: the same list each time. */
static int
choose_levels(const char *name)
{
	uint64_t h = hash_bytes(name, strlen(name));
	int n = 1;

	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	h ^= h >> 32;
	for (; n < MODEL_LEVELS && (h & 3) == 0; h >>= 2)
		n++;
	return (n);
}

struct blob *
model_insert(struct model *m, struct container *c, const char *name)
{
	struct blob *path[MODEL_LEVELS], *b;
	int i;

	find_path(c, name, path);
	b = path[0]->next[0];
	if (b != NULL && strcmp(b->name, name) == 0)
		return (b);
	b = new_blob(name, choose_levels(name));
	for (i = 0; i < b->levels; i++) {
		b->next[i] = path[i]->next[i];
		path[i]->next[i] = b;
	}
	c->count++;
	m->blobs++;
	return (b);
}

void
model_remove(struct model *m, struct container *c, const char *name)
{
	struct blob *path[MODEL_LEVELS] = { NULL }, *b;
	int i;

	find_path(c, name, path);
	b = path[0]->next[0];
	if (b == NULL || strcmp(b->name, name) != 0)
		return;
	for (i = 0; i < b->levels; i++)
		path[i]->next[i] = b->next[i];
	free_blob(b);
	c->count--;
	m->blobs--;
}

/* HNS: every name before a '/' is a directory. */
static int
make_parents(struct model *m, struct container *c, const char *name)
{
	char *path = mem_strdup(name), *slash;
	int failed = 0;

	for (slash = strchr(path, '/'); slash != NULL && !failed; slash = strchr(slash + 1, '/')) {
		struct blob *b;

		*slash = '\0';
		b = model_insert(m, c, path);
		if (b->now == NULL) {
			b->now = version_new(0);
			b->now->is_dir = 1;
		}
		failed = !b->now->is_dir;
		*slash = '/';
	}
	free(path);
	return (failed ? -1 : 0);
}

int
model_publish(struct model *m, struct container *c, const char *name, struct version *v)
{
	int hns = c->account->hns;
	struct blob *b = model_find(c, name);

	if (hns && ((b != NULL && b->now != NULL && b->now->is_dir && !v->is_dir) ||
	    make_parents(m, c, name) != 0)) {
		version_drop(v);
		return (-1);
	}
	b = model_insert(m, c, name);
	if (b->now != NULL)
		v->created_unix_s = b->now->created_unix_s;
	version_drop(b->now);
	b->now = v;
	blob_drop_staged(b);
	b->id_len = 0;
	return (0);
}

/* The entry itself, with its version as it is: the ETag stays. */
static void
move_one(struct model *m, struct container *c, const char *name, const char *to)
{
	struct blob *b = model_find(c, name);
	struct version *v;

	if (b == NULL)
		return;
	v = b->now;
	b->now = NULL;
	model_remove(m, c, name);
	b = model_insert(m, c, to);
	version_drop(b->now);
	b->now = v;
	blob_drop_staged(b);
	b->id_len = 0;
}

int
model_rename(struct model *m, struct container *c, const char *name, const char *to, size_t max)
{
	auto_buf struct buf below = BUF_EMPTY, target = BUF_EMPTY, source = BUF_EMPTY;
	struct blob *b;
	size_t n = 0;

	buf_printf(&below, "%s/", name);
	while ((b = model_seek(c, below.data)) != NULL && str_starts(b->name, below.data)) {
		if (max > 0 && n++ == max)
			return (1);
		buf_reset(&target);
		buf_reset(&source);
		buf_adds(&source, b->name);
		buf_printf(&target, "%s/%s", to, b->name + below.len);
		if (b->now == NULL)		/* uncommitted blocks do not move */
			model_remove(m, c, source.data);
		else
			move_one(m, c, source.data, target.data);
	}
	move_one(m, c, name, to);
	return (0);
}

int
model_has_children(const struct container *c, const char *name)
{
	size_t n = strlen(name);
	char *first = mem_alloc(n + 2);
	struct blob *b;
	int found;

	memcpy(first, name, n);
	first[n] = '/';
	first[n + 1] = '\0';
	b = model_seek(c, first);
	found = b != NULL && strncmp(b->name, first, n + 1) == 0;
	free(first);
	return (found);
}
