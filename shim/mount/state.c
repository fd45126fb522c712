#include "mount/state.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/uri.h"

#define MAGIC		UINT64_C(0x3165746174736d61)	/* "amstate1" */
#define NODES		((uint32_t)1 << 24)
#define HANDLES		((uint32_t)1 << 20)
#define GIVEN		((uint32_t)1 << 22)
#define UNITS		((uint32_t)1 << 25)
#define UNIT_DATA	60
#define CHUNK		4096			/* objects */
#define CHUNKS		(NODES / CHUNK)
#define RECORD_MAX	((uint32_t)1 << 20)

struct head {
	_Atomic uint32_t first;		/* unit; 0: no record */
	_Atomic uint32_t word;
};

struct unit {
	uint32_t	 next;
	unsigned char	 data[UNIT_DATA];
};

/* Stands at the beginning of a record's bytes. */
struct prefix {
	uint32_t	 len, sum;
};

/* Sparse: of its 2.7 GiB of addresses only what was written takes memory. */
struct shared {
	uint64_t	 magic, size;
	_Atomic uint32_t units;			/* that were ever in use; the first is none */
	_Atomic uint32_t top[STATE_KINDS];	/* numbers that were ever given */
	struct head	 metas[STATE_METAS];
	struct head	 nodes[NODES];
	struct head	 staged[NODES];
	struct head	 moves[NODES];
	struct head	 handles[HANDLES];
	struct head	 given[GIVEN];
	_Alignas(64) struct unit unit[UNITS];
	_Alignas(4096) char room[STATE_ROOM];
};

struct ids {				/* that were given back */
	uint32_t	*list;
	size_t		 n, size;
};

struct state {
	struct shared	*shared;
	int		 is_resumed;
	pthread_mutex_t	 lock;		/* guards the rest, and all changes of records */
	struct ids	 ids[STATE_KINDS];
	uint32_t	 free_units;	/* a chain of them */
	int64_t		 used;
	_Atomic(void **) objects[2][CHUNKS];
};

static const uint32_t limits[STATE_KINDS] = { STATE_METAS, NODES, NODES, NODES, HANDLES, GIVEN };

/* 1 is the root. */
static uint32_t
first_id(int kind)
{
	return (kind == STATE_NODE ? 2 : 1);
}

static struct head *
heads_of(struct shared *s, enum state_kind kind)
{
	switch (kind) {
	case STATE_META:
		return (s->metas);
	case STATE_NODE:
		return (s->nodes);
	case STATE_STAGED:
		return (s->staged);
	case STATE_MOVE:
		return (s->moves);
	case STATE_HANDLE:
		return (s->handles);
	default:
		return (s->given);
	}
}

static struct head *
head_of(const struct state *st, enum state_kind kind, uint64_t id)
{
	return (id < limits[kind] ? &heads_of(st->shared, kind)[id] : NULL);
}

/* ---- units --------------------------------------------------------------------------- */

static size_t
units_of(size_t len)
{
	return ((sizeof(struct prefix) + len + UNIT_DATA - 1) / UNIT_DATA);
}

/* 0: there is none left. */
static uint32_t
take_unit(struct state *st)
{
	uint32_t u = st->free_units;

	if (u != 0)
		st->free_units = st->shared->unit[u].next;
	else if (st->shared->units < UNITS)
		u = st->shared->units++;
	st->used += u != 0 ? (int64_t)sizeof(struct unit) : 0;
	return (u);
}

static void
free_unit(struct state *st, uint32_t u)
{
	st->shared->unit[u].next = st->free_units;
	st->free_units = u;
}

static void
free_chain(struct state *st, uint32_t u)
{
	uint32_t next;

	for (; u != 0; u = next) {
		next = st->shared->unit[u].next;
		free_unit(st, u);
		st->used -= (int64_t)sizeof(struct unit);
	}
}

/* A chain of n; 0: there is no room for it. */
static uint32_t
take_chain(struct state *st, size_t n)
{
	uint32_t first = 0, u;

	for (; n > 0; n--) {
		if ((u = take_unit(st)) == 0) {
			free_chain(st, first);
			return (0);
		}
		st->shared->unit[u].next = first;
		first = u;
	}
	return (first);
}

/* Bytes at *at of the chain that ends *u, onwards. */
static void
fill(struct state *st, uint32_t *u, size_t *at, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		if (*at == UNIT_DATA) {
			*u = st->shared->unit[*u].next;
			*at = 0;
		}
		n = len < UNIT_DATA - *at ? len : UNIT_DATA - *at;
		memcpy(st->shared->unit[*u].data + *at, p, n);
		*at += n;
	}
}

/* ---- records ------------------------------------------------------------------------- */

static uint32_t
sum_of(enum state_kind kind, uint32_t id, const void *data, size_t len)
{
	uint64_t h = hash_bytes(data, len) + ((uint64_t)kind << 32) + id;

	return ((uint32_t)(h ^ h >> 32));
}

int
state_put(struct state *st, enum state_kind kind, uint32_t id, const void *data, size_t len)
{
	struct prefix p = { .len = (uint32_t)len, .sum = sum_of(kind, id, data, len) };
	struct head *h = head_of(st, kind, id);
	uint32_t first, u, before;
	size_t at = 0;

	if (h == NULL || len > RECORD_MAX)
		return (-1);
	pthread_mutex_lock(&st->lock);
	if (id >= st->shared->top[kind])
		st->shared->top[kind] = id + 1;
	first = u = take_chain(st, units_of(len));
	if (first != 0) {
		fill(st, &u, &at, &p, sizeof(p));
		fill(st, &u, &at, data, len);
		before = atomic_exchange(&h->first, first);
		free_chain(st, before);
	}
	pthread_mutex_unlock(&st->lock);
	return (first != 0 ? 0 : -1);
}

/* The bytes of a chain; -1: it is none. */
static int
copy_chain(const struct shared *s, uint32_t u, struct prefix *p, struct buf *ret)
{
	size_t n, left;

	if (u == 0 || u >= s->units)
		return (-1);
	memcpy(p, s->unit[u].data, sizeof(*p));
	if (p->len > RECORD_MAX)
		return (-1);
	n = UNIT_DATA - sizeof(*p) < p->len ? UNIT_DATA - sizeof(*p) : p->len;
	buf_add(ret, s->unit[u].data + sizeof(*p), n);
	for (left = p->len - n; left > 0; left -= n) {
		u = s->unit[u].next;
		if (u == 0 || u >= s->units)
			return (-1);
		n = left < UNIT_DATA ? left : UNIT_DATA;
		buf_add(ret, s->unit[u].data, n);
	}
	return (s->unit[u].next == 0 ? 0 : -1);
}

int
state_get(struct state *st, enum state_kind kind, uint32_t id, struct buf *ret)
{
	struct head *h = head_of(st, kind, id);
	struct prefix p;
	int found = 0;

	if (h == NULL)
		return (0);
	pthread_mutex_lock(&st->lock);
	if (h->first != 0)
		found = copy_chain(st->shared, h->first, &p, ret) == 0;
	pthread_mutex_unlock(&st->lock);
	return (found);
}

void
state_drop(struct state *st, enum state_kind kind, uint32_t id)
{
	struct head *h = head_of(st, kind, id);

	if (h == NULL)
		return;
	pthread_mutex_lock(&st->lock);
	free_chain(st, atomic_exchange(&h->first, 0));
	h->word = 0;
	pthread_mutex_unlock(&st->lock);
	if (kind == STATE_NODE || kind == STATE_HANDLE)
		state_set_object(st, kind, id, NULL);
}

_Atomic uint32_t *
state_word(struct state *st, enum state_kind kind, uint32_t id)
{
	struct head *h = head_of(st, kind, id);

	return (h != NULL ? &h->word : NULL);
}

int64_t
state_bytes(const struct state *st)
{
	return (st->used);
}

int64_t
state_memory(const struct state *st)
{
	int64_t bytes = (int64_t)st->shared->units * (int64_t)sizeof(struct unit);
	int kind;

	for (kind = 0; kind < STATE_KINDS; kind++)
		bytes += (int64_t)st->shared->top[kind] * (int64_t)sizeof(struct head);
	return (bytes);
}

void *
state_room(struct state *st)
{
	return (st->shared->room);
}

int
state_is_resumed(const struct state *st)
{
	return (st->is_resumed);
}

/* ---- numbers and objects ------------------------------------------------------------- */

uint32_t
state_top(const struct state *st, enum state_kind kind)
{
	return (st->shared->top[kind]);
}

uint32_t
state_count(struct state *st, enum state_kind kind)
{
	uint32_t n;

	pthread_mutex_lock(&st->lock);
	n = st->shared->top[kind] - (uint32_t)st->ids[kind].n - first_id(kind);
	pthread_mutex_unlock(&st->lock);
	return (n);
}

uint32_t
state_new_id(struct state *st, enum state_kind kind)
{
	struct ids *ids = &st->ids[kind];
	uint32_t id = 0;

	pthread_mutex_lock(&st->lock);
	if (ids->n > 0)
		id = ids->list[--ids->n];
	else if (st->shared->top[kind] < limits[kind])
		id = st->shared->top[kind]++;
	pthread_mutex_unlock(&st->lock);
	return (id);
}

/* With the lock held. */
static void
give_back(struct state *st, enum state_kind kind, uint32_t id)
{
	struct ids *ids = &st->ids[kind];

	if (ids->n == ids->size) {
		ids->size = ids->size > 0 ? ids->size * 2 : 256;
		ids->list = mem_grow(ids->list, ids->size * sizeof(*ids->list));
	}
	ids->list[ids->n++] = id;
}

void
state_free_id(struct state *st, enum state_kind kind, uint32_t id)
{
	pthread_mutex_lock(&st->lock);
	give_back(st, kind, id);
	pthread_mutex_unlock(&st->lock);
}

void
state_set_object(struct state *st, enum state_kind kind, uint32_t id, void *object)
{
	_Atomic(void **) *place = &st->objects[kind == STATE_HANDLE][id / CHUNK];
	void **chunk = atomic_load_explicit(place, memory_order_acquire);

	if (chunk == NULL && object == NULL)
		return;
	pthread_mutex_lock(&st->lock);
	if ((chunk = *place) == NULL) {
		chunk = mem_zalloc(CHUNK * sizeof(void *));
		atomic_store_explicit(place, chunk, memory_order_release);
	}
	__atomic_store_n(&chunk[id % CHUNK], object, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&st->lock);
}

void *
state_object(const struct state *st, enum state_kind kind, uint64_t id)
{
	void **chunk;

	if (id >= limits[kind])
		return (NULL);
	chunk = atomic_load_explicit(&st->objects[kind == STATE_HANDLE][id / CHUNK],
	    memory_order_acquire);
	return (chunk != NULL ? __atomic_load_n(&chunk[id % CHUNK], __ATOMIC_ACQUIRE) : NULL);
}

/* ---- a successor --------------------------------------------------------------------- */

static int
damaged(struct err *err, const char *why)
{
	return (err_set(err, ERR_SYSTEM, REMEDY_REPORT_BUG, "go on with a mount",
	    "the memory that it left %s", why));
}

/* Its units are in use from now on; -1: it is not what was written. */
static int
load_record(struct state *st, enum state_kind kind, uint32_t id, unsigned char *in_use)
{
	struct head *h = head_of(st, kind, id);
	auto_buf struct buf data = BUF_EMPTY;
	struct prefix p;
	uint32_t u;

	if (h->first == 0)
		return (0);
	if (copy_chain(st->shared, h->first, &p, &data) != 0 ||
	    p.sum != sum_of(kind, id, data.data, data.len))
		return (-1);
	for (u = h->first; u != 0; u = st->shared->unit[u].next) {
		if (in_use[u])
			return (-1);	/* two records share it */
		in_use[u] = 1;
		st->used += (int64_t)sizeof(struct unit);
	}
	return (0);
}

static int
load(struct state *st, struct err *err)
{
	struct shared *s = st->shared;
	auto_free unsigned char *in_use = NULL;
	uint32_t id, u;
	int kind;

	if (s->magic != MAGIC || s->size != sizeof(*s))
		return (damaged(err, "is of another version of amlshim"));
	if (s->units > UNITS)
		return (damaged(err, "is damaged"));
	in_use = mem_zalloc(s->units);
	for (kind = 0; kind < STATE_KINDS; kind++) {
		if (s->top[kind] > limits[kind])
			return (damaged(err, "is damaged"));
		for (id = 0; id < s->top[kind]; id++)
			if (load_record(st, (enum state_kind)kind, id, in_use) != 0)
				return (damaged(err, "is damaged"));
			else if (id >= first_id(kind) &&
			    head_of(st, (enum state_kind)kind, id)->first == 0)
				give_back(st, (enum state_kind)kind, id);
	}
	for (u = s->units; u-- > 1;)
		if (!in_use[u])
			free_unit(st, u);
	return (0);
}

static void
begin(struct shared *s)
{
	s->size = sizeof(*s);
	s->units = 1;
	s->top[STATE_META] = STATE_METAS;
	s->top[STATE_NODE] = first_id(STATE_NODE);
	s->top[STATE_HANDLE] = s->top[STATE_GIVEN] = first_id(STATE_HANDLE);
	s->magic = MAGIC;
}

static struct shared *
map(int fd)
{
	void *p;

	if (ftruncate(fd, (off_t)sizeof(struct shared)) != 0)
		return (NULL);
	p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return (p != MAP_FAILED ? p : NULL);
}

struct state *
state_open(int fd, struct err *err)
{
	struct state *st = mem_zalloc(sizeof(*st));
	auto_close int own = fd < 0 ? sys_memfd("mount state") : -1;
	struct shared *shared = map(fd < 0 ? own : fd);

	if (shared == NULL) {
		err_errno(err, "map the memory of", "a mount");
		free(st);
		return (NULL);
	}
	pthread_mutex_init(&st->lock, NULL);
	st->shared = shared;
	if (shared->magic == 0)
		begin(shared);
	else if (load(st, err) != 0) {
		state_close(st);
		return (NULL);
	}
	st->is_resumed = shared->metas[STATE_INIT_REPLY].first != 0;
	return (st);
}

void
state_close(struct state *st)
{
	size_t i, k;

	if (st == NULL)
		return;
	if (st->shared != NULL)
		munmap(st->shared, sizeof(*st->shared));
	for (i = 0; i < LENGTH(st->objects); i++)
		for (k = 0; k < CHUNKS; k++)
			free(st->objects[i][k]);
	for (i = 0; i < STATE_KINDS; i++)
		free(st->ids[i].list);
	pthread_mutex_destroy(&st->lock);
	free(st);
}
