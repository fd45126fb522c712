#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mount/chunks.h"

#define RESERVE		8	/* reading ahead leaves 1/8 alone */
#define STALE_MS	10000	/* fetched ahead and not read for so long */
#define KEEP		64	/* chunks that were read stay: so many, and ... */
#define KEEP_PART	16	/* ... this part of all; the kernel has their bytes as well */

static void
list_add(struct chunk_list *l, struct chunk *c)
{
	c->list = l;
	c->prev = l->tail;
	c->next = NULL;
	*(l->tail != NULL ? &l->tail->next : &l->head) = c;
	l->tail = c;
	l->n++;
}

static void
list_remove(struct chunk *c)
{
	struct chunk_list *l = c->list;

	if (l == NULL)
		return;
	*(c->prev != NULL ? &c->prev->next : &l->head) = c->next;
	*(c->next != NULL ? &c->next->prev : &l->tail) = c->prev;
	c->prev = c->next = NULL;
	c->list = NULL;
	l->n--;
}

static struct chunk **
bucket(const struct chunks *cs, const struct chunk_owner *o, int64_t index)
{
	uint64_t h = (o->key + (uint64_t)index * UINT64_C(0x9e3779b97f4a7c15)) ^ (o->key >> 29);

	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (&cs->hash[(h >> 32) & cs->hash_mask]);
}

struct chunk *
chunks_find(const struct chunks *cs, const struct chunk_owner *o, int64_t index)
{
	struct chunk *c;

	for (c = *bucket(cs, o, index); c != NULL; c = c->next_hash)
		if (c->owner == o && c->index == index)
			return (c);
	return (NULL);
}

static void
evict(struct chunks *cs, struct chunk *c)
{
	struct chunk_owner *o = c->owner;
	struct chunk **p;

	if (o == NULL)
		return;
	p = bucket(cs, o, c->index);
	while (*p != c)
		p = &(*p)->next_hash;
	*p = c->next_hash;
	c->next_hash = NULL;
	c->owner = NULL;
	c->valid = c->unread = 0;
	c->on_disk = 0;
	if (--o->nchunks == 0)
		cs->left(cs->arg, o);
}

/* A chunk that may be used for something else, in no list; NULL: none. */
static struct chunk *
victim(struct chunks *cs, int ahead)
{
	struct chunk *c;

	if (ahead && cs->free.n + cs->read.n <= chunks_usable(cs) / RESERVE) {
		c = cs->unread.head;
		if (c == NULL || clock_ms() - c->touched_ms < STALE_MS)
			return (NULL);
	} else if (cs->read.n > KEEP + chunks_usable(cs) / KEEP_PART) {
		c = cs->read.head;
	} else if ((c = cs->free.head) == NULL && (c = cs->read.head) == NULL &&
	    (c = cs->unread.head) == NULL)
		return (NULL);
	list_remove(c);
	cs->evicted += c->owner != NULL;
	evict(cs, c);
	return (c);
}

struct chunk *
chunks_get(struct chunks *cs, struct chunk_owner *o, int64_t index, int ahead)
{
	struct chunk *c = chunks_find(cs, o, index), **p;

	if (c != NULL)
		return (c);
	if ((c = victim(cs, ahead)) == NULL)
		return (NULL);
	p = bucket(cs, o, index);
	c->owner = o;
	c->index = index;
	c->next_hash = *p;
	c->touched_ms = clock_ms();
	*p = c;
	o->nchunks++;
	return (c);
}

void
chunks_lend(struct chunks *cs, size_t want, size_t most)
{
	size_t have = cs->lent.n;
	struct chunk *c;

	for (; have < want && most > 0 && (c = victim(cs, 0)) != NULL; have++, most--) {
		madvise(c->memory, BLOCKS_CHUNK, MADV_DONTNEED);
		list_add(&cs->lent, c);
	}
	for (; have > want && most > 0; have--, most--) {
		c = cs->lent.head;
		list_remove(c);
		list_add(&cs->free, c);
	}
}

size_t
chunks_room(const struct chunks *cs)
{
	return (cs->free.n + cs->read.n + cs->unread.n);
}

void
chunks_pin(struct chunk *c)
{
	if (c->pins++ == 0)
		list_remove(c);
}

int
chunks_unpin(struct chunks *cs, struct chunk *c)
{
	if (--c->pins > 0)
		return (0);
	if (c->valid == 0) {
		evict(cs, c);
		list_add(&cs->free, c);
	} else
		list_add(c->unread != 0 ? &cs->unread : &cs->read, c);
	return (1);
}

void
chunks_forget(struct chunks *cs, const struct chunk_owner *o)
{
	struct chunk *c, *next;

	for (c = cs->unread.head; c != NULL; c = next) {
		next = c->next;
		if (c->owner != o)
			continue;
		c->unread = 0;
		list_remove(c);
		list_add(&cs->read, c);
	}
}

int
chunks_init(struct chunks *cs, int64_t bytes, struct err *err)
{
	size_t i;

	cs->n = (size_t)(bytes / BLOCKS_CHUNK);
	cs->memory = mmap(NULL, cs->n * BLOCKS_CHUNK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cs->memory == MAP_FAILED)
		return (err_errno(err, "map the memory for reading", NULL));
	/* 68,000 page faults a GiB, else; a kernel without huge pages refuses. */
	madvise(cs->memory, cs->n * BLOCKS_CHUNK, MADV_HUGEPAGE);
	for (cs->hash_mask = 1; cs->hash_mask < cs->n; cs->hash_mask *= 2)
		continue;
	cs->hash = mem_zalloc(cs->hash_mask * sizeof(struct chunk *));
	cs->hash_mask--;
	cs->all = mem_zalloc(cs->n * sizeof(*cs->all));
	for (i = 0; i < cs->n; i++) {
		cs->all[i].memory = cs->memory + i * BLOCKS_CHUNK;
		list_add(&cs->free, &cs->all[i]);
	}
	return (0);
}

void
chunks_done(struct chunks *cs)
{
	size_t i;

	for (i = 0; i < cs->n; i++)
		evict(cs, &cs->all[i]);
	munmap(cs->memory, cs->n * BLOCKS_CHUNK);
	free(cs->all);
	free(cs->hash);
}
