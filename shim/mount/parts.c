#include "mount/parts.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/uri.h"

#define BLOCK_MAX	((int64_t)4000 << 20)
#define RAW_ID		24		/* bytes; as long as other ids of ours */

int64_t
parts_block_size(const struct store *s, int64_t size)
{
	int64_t block;

	if (size <= STORE_SINGLE_MAX || !store_has_blocks(s))
		return (0);
	for (block = STORE_SINGLE_MAX; size / block >= STORE_BLOCKS_MAX && block < BLOCK_MAX;)
		block *= 2;
	return (block);
}

int64_t
parts_len(const struct parts *p, size_t index)
{
	int64_t left = p->size - (int64_t)index * p->block_size;

	return (left < p->block_size ? left : p->block_size);
}

static size_t
count(const struct parts *p)
{
	return ((size_t)((p->size + p->block_size - 1) / p->block_size));
}

static void
part_id(const struct parts *p, size_t index, char id[STORE_BLOCK_ID_SIZE])
{
	auto_buf struct buf b = BUF_EMPTY;
	char raw[RAW_ID + 1];

	str_format(raw, sizeof(raw), "%016llx%08llx", (unsigned long long)p->prefix,
	    (unsigned long long)index);
	base64_encode(&b, raw, RAW_ID);
	str_format(id, STORE_BLOCK_ID_SIZE, "%s", b.data);
}

/* ---- one block, and wait ----------------------------------------------- */

struct waiting {
	struct store_put put;
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 cond;
	int		 over;
	struct err	 err;		/* kind NONE: the service has it */
};

static void
put_over(struct store_put *put, struct err *err)
{
	struct waiting *w = put->arg;

	pthread_mutex_lock(&w->lock);
	w->err = err != NULL ? *err : ERR_EMPTY;
	w->over = 1;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

int
parts_put(const struct parts *p, size_t index, int *ret_differs, struct err *err)
{
	struct waiting w = { .put = { .store = p->store, .name = p->name, .fd = p->fd,
	    .offset = (int64_t)index * p->block_size, .len = (size_t)parts_len(p, index),
	    .done = put_over }, .lock = PTHREAD_MUTEX_INITIALIZER,
	    .cond = PTHREAD_COND_INITIALIZER };

	w.put.arg = &w;
	part_id(p, index, w.put.id);
	store_put_submit(&w.put);
	pthread_mutex_lock(&w.lock);
	while (!w.over)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_cond_destroy(&w.cond);
	pthread_mutex_destroy(&w.lock);
	*ret_differs = w.put.length_differs;
	if (w.err.kind == ERR_NONE)
		return (0);
	*err = w.err;
	return (-1);
}

/* ---- which are there; all of them together ----------------------------- */

/* The number is the last eight digits. */
static int
index_of(const struct parts *p, const char *text, size_t n, size_t *ret)
{
	char raw[RAW_ID + 1], id[STORE_BLOCK_ID_SIZE], *end;

	if (base64_decode((unsigned char *)raw, RAW_ID, text, strlen(text)) != RAW_ID)
		return (-1);
	raw[RAW_ID] = '\0';
	*ret = strtoul(raw + 16, &end, 16);
	if (*end != '\0' || *ret >= n)
		return (-1);
	part_id(p, *ret, id);
	return (strcmp(id, text) == 0 ? 0 : -1);
}

int
parts_find(const struct parts *p, unsigned char *there, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	char etag[HTTP_ETAG_MAX];
	struct store_block *blocks;
	struct err e = ERR_EMPTY;
	size_t n = 0, i, index;
	int rc;

	rc = store_list_blocks(p->store, p->name, &mem, &blocks, &n, etag, &e);
	if (rc != 0 && e.kind == ERR_NOT_FOUND) {
		rc = 0;			/* no blob, and nothing staged */
		n = 0;
	}
	for (i = 0; rc == 0 && i < n; i++)
		if (!blocks[i].is_committed &&
		    index_of(p, blocks[i].id, count(p), &index) == 0 &&
		    blocks[i].size == parts_len(p, index))
			there[index] = 1;
	arena_done(&mem);
	if (rc != 0)
		*err = e;
	return (rc);
}

int
parts_commit(const struct parts *p, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	size_t n = count(p), i;
	auto_free struct store_block *blocks = mem_alloc(n * sizeof(*blocks));
	auto_free char *ids = mem_alloc(n * STORE_BLOCK_ID_SIZE);

	for (i = 0; i < n; i++) {
		part_id(p, i, ids + i * STORE_BLOCK_ID_SIZE);
		blocks[i] = (struct store_block){ ids + i * STORE_BLOCK_ID_SIZE,
		    parts_len(p, i), 0 };
	}
	return (store_commit(p->store, p->name, blocks, n, NULL, ret_etag, err));
}
