#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "azure/blob.h"
#include "azure/dfs.h"
#include "base/clock.h"
#include "base/fd.h"

#define IN_FLIGHT	8
#define COMPARE_SIZE	(1 << 20)

struct upload;

struct block {
	struct store_put put;
	struct upload	*upload;
	int		 in_use;
	int		 over, ok;		/* upload.lock */
	struct err	 err;			/* upload.lock until over */
};

struct upload {
	struct store	*store;
	const char	*name, *as;		/* as: whose properties it gets */
	int		 fd;
	int64_t		 size, next_at;
	size_t		 n;
	struct store_block *list;		/* in blob's order */
	struct arena	 mem;			/* their ids */
	pthread_mutex_t	 lock;			/* guards over and ok of blocks; innermost */
	pthread_cond_t	 cond;
	struct block	 blocks[IN_FLIGHT];
};

/* ---- the answer to a write that makes a blob ----------------------------- */

int64_t
blob_since_s(const struct http_response *r, int64_t began_ms)
{
	return (r->date_unix_s == 0 ? 0 : r->date_unix_s - (clock_ms() - began_ms) / 1000 - 1);
}

/*
 * A repeated write whose condition fails may have succeeded the first time, the
 * answer being lost: is_ours looks at what is there now, not older than since_s
 * (by the service's clock; 0: not known).
 */
static int
was_ours(struct blob_op *op, const char *if_match, int64_t size, int64_t began_ms,
    int (*is_ours)(void *, const struct store_attr *, int64_t), void *arg,
    char etag[HTTP_ETAG_MAX])
{
	const struct http_response *r = &op->call.response;
	struct store_attr now;

	if (op->call.tries < 2 || if_match == NULL || (r->status != 412 && r->status != 409) ||
	    blob_head(op->store, op->name, &now, NULL, NULL) != 0 || now.size != size ||
	    strcmp(now.etag, if_match) == 0 ||
	    !is_ours(arg, &now, blob_since_s(r, began_ms)))
		return (0);
	memcpy(etag, now.etag, sizeof(now.etag));
	return (1);
}

int
blob_op_create(struct blob_op *op, const char *if_match, int64_t size,
    int (*is_ours)(void *, const struct store_attr *, int64_t), void *arg,
    char etag[HTTP_ETAG_MAX], struct err *err)
{
	int64_t began_ms = clock_ms();
	struct err e;

	blob_op_condition(op, if_match);
	if (blob_op_run(op, &e) == 0) {
		memcpy(etag, op->call.response.etag, sizeof(op->call.response.etag));
		return (0);
	}
	if (was_ours(op, if_match, size, began_ms, is_ours, arg, etag))
		return (0);
	if (err != NULL)
		*err = e;
	return (-1);
}

/* ---- in one request ------------------------------------------------------ */

/* Written since we began, and holding what we sent. */
static int
has_our_bytes(void *arg, const struct store_attr *now, int64_t since_s)
{
	auto_free char *ours = mem_alloc(COMPARE_SIZE), *theirs = mem_alloc(COMPARE_SIZE);
	struct upload *u = arg;
	int64_t at;
	size_t n;

	if (since_s == 0 || now->mtime_unix_s < since_s)
		return (0);
	for (at = 0; at < u->size; at += (int64_t)n)
		if (blob_read(u->store, u->name, now->etag, at, theirs, COMPARE_SIZE, &n, NULL,
		    NULL) != 0 || n == 0 || fd_pread_full(u->fd, ours, n, at) != (ssize_t)n ||
		    memcmp(ours, theirs, n) != 0)
			return (0);
	return (1);
}

static int
put_blob(struct upload *u, const char *if_match, char etag[HTTP_ETAG_MAX], struct err *err)
{
	struct blob_op op;
	int rc;

	blob_op_init(&op, u->store, "upload", "PUT", u->name);
	blob_op_header(&op, "x-ms-blob-type", "BlockBlob");
	op.body_fd = u->fd;
	op.body_len = (size_t)u->size;
	blob_op_props(&op);
	rc = blob_op_create(&op, if_match, u->size, has_our_bytes, u, etag, err);
	blob_op_done(&op);
	return (rc);
}

/* ---- in blocks ----------------------------------------------------------- */

static void
block_over(struct store_put *p, struct err *err)
{
	struct block *b = p->arg;

	pthread_mutex_lock(&b->upload->lock);
	b->ok = err == NULL;
	if (err != NULL)
		b->err = *err;
	b->over = 1;
	pthread_cond_signal(&b->upload->cond);
	pthread_mutex_unlock(&b->upload->lock);
}

static void
block_start(struct upload *u, struct block *b, size_t i)
{
	struct store_block *to = &u->list[i];

	b->upload = u;
	b->over = b->ok = 0;
	b->in_use = 1;
	b->put = (struct store_put){ .store = u->store, .name = u->name, .fd = u->fd,
	    .offset = u->next_at, .len = (size_t)to->size, .done = block_over, .arg = b };
	str_format(b->put.id, sizeof(b->put.id), "%s", to->id);
	u->next_at += to->size;
	blob_put_submit(&b->put);
}

/* A block that is over, and NULL when none is under way. */
static struct block *
block_wait(struct upload *u)
{
	struct block *b, *found = NULL;
	int busy;

	pthread_mutex_lock(&u->lock);
	for (;;) {
		busy = 0;
		for (b = u->blocks; b < u->blocks + IN_FLIGHT && found == NULL; b++) {
			busy += b->in_use;
			if (b->in_use && b->over)
				found = b;
		}
		if (found != NULL || !busy)
			break;
		pthread_cond_wait(&u->cond, &u->lock);
	}
	pthread_mutex_unlock(&u->lock);
	return (found);
}

static void
cancel_blocks(struct upload *u)
{
	struct block *b;

	pthread_mutex_lock(&u->lock);
	for (b = u->blocks; b < u->blocks + IN_FLIGHT; b++)
		if (b->in_use && !b->over)
			blob_put_cancel(&b->put);
	pthread_mutex_unlock(&u->lock);
}

static struct block *
free_block(struct upload *u)
{
	struct block *b;

	for (b = u->blocks; b < u->blocks + IN_FLIGHT; b++)
		if (!b->in_use)
			return (b);
	return (NULL);
}

/*
 * The first failure ends it; blocks left behind are thrown away by the service.
 * 1: the blob's ids have another length.
 */
static int
send_blocks(struct upload *u, void (*progress)(void *, int64_t), void *arg, struct err *err)
{
	struct block *b;
	size_t next = 0;
	int failed = 0;

	for (;;) {
		while (!failed && next < u->n && (b = free_block(u)) != NULL)
			block_start(u, b, next++);
		if ((b = block_wait(u)) == NULL)
			return (failed);
		if (!b->ok && !failed) {
			failed = b->put.length_differs ? 1 : -1;
			if (err != NULL)
				*err = b->err;
			cancel_blocks(u);
		}
		if (b->ok && progress != NULL)
			progress(arg, (int64_t)b->put.len);
		b->in_use = 0;
	}
}

static int
plan_blocks(struct upload *u, struct err *err)
{
	int64_t left = u->size, size;
	size_t i;

	for (u->n = 0; left > 0 && u->n < STORE_BLOCKS_MAX; u->n++)
		left -= store_block_size(u->n);
	if (left > 0) {
		err_set(err, ERR_OUTPUT, REMEDY_NONE, "upload", "no blob can be so large");
		if (err != NULL)
			err->sys_errno = EFBIG;
		return (-1);
	}
	u->list = arena_alloc(&u->mem, u->n * sizeof(*u->list));
	for (i = 0, left = u->size; i < u->n; i++, left -= size) {
		size = store_block_size(i);
		u->list[i].size = size = size < left ? size : left;
	}
	return (0);
}

static int
name_blocks(struct upload *u, const char *like, struct err *err)
{
	char id[STORE_BLOCK_ID_SIZE];
	struct store_ids ids;
	size_t i;

	if (store_ids_init(&ids, like) != 0)
		return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "upload",
		    "the blob has blocks with ids of a length that cannot be matched"));
	for (i = 0; i < u->n; i++) {
		store_ids_next(&ids, id);
		u->list[i].id = arena_strdup(&u->mem, id);
	}
	u->next_at = 0;
	return (0);
}

static int
send_named(struct upload *u, void (*progress)(void *, int64_t), void *arg, struct err *err)
{
	char etag[HTTP_ETAG_MAX];
	struct store_block *have;
	size_t n;
	int rc;

	if (name_blocks(u, NULL, err) != 0)
		return (-1);
	if ((rc = send_blocks(u, progress, arg, err)) != 1)
		return (rc);
	if (blob_list_blocks(u->store, u->name, &u->mem, &have, &n, etag, NULL) != 0 || n == 0 ||
	    name_blocks(u, have[0].id, err) != 0)
		return (-1);
	return (send_blocks(u, progress, arg, err));
}

static int
put_in_blocks(struct upload *u, const char *if_match, void (*progress)(void *, int64_t),
    void *arg, char etag[HTTP_ETAG_MAX], struct err *err)
{
	int rc;

	if (plan_blocks(u, err) != 0)
		return (-1);
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->cond, NULL);
	rc = send_named(u, progress, arg, err);
	if (rc == 0)
		rc = blob_commit_as(u->store, u->name, u->as, u->list, u->n, if_match, etag, err);
	pthread_cond_destroy(&u->cond);
	pthread_mutex_destroy(&u->lock);
	return (rc == 0 ? 0 : -1);
}

static int
upload(struct store *s, const char *name, const char *as, int fd, int64_t size,
    const char *if_match, char etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t),
    void *arg, struct err *err)
{
	struct upload *u = mem_zalloc(sizeof(*u));	/* large for a thread's stack */
	int rc;

	u->store = s;
	u->name = name;
	u->as = as;
	u->fd = fd;
	u->size = size;
	if (size <= STORE_SINGLE_MAX) {
		rc = put_blob(u, if_match, etag, err);
		if (rc == 0 && progress != NULL)
			progress(arg, size);
	} else
		rc = put_in_blocks(u, if_match, progress, arg, etag, err);
	arena_done(&u->mem);
	free(u);
	return (rc);
}

/* Under another name first, then renamed over what takes no blocks: see dfs.h. */
static int
upload_beside(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg, struct err *err)
{
	auto_buf struct buf beside = BUF_EMPTY;
	char id[BLOB_REQUEST_ID_SIZE], new_etag[HTTP_ETAG_MAX];
	struct store_rename r = { .to = name, .etag = new_etag, .replaces = if_match,
	    .no_replace = if_match != NULL && strcmp(if_match, "*") == 0 };

	blob_request_id(id);
	buf_printf(&beside, "%s.%s", name, id);
	r.from = beside.data;
	if (upload(s, beside.data, name, fd, size, NULL, new_etag, progress, arg, err) != 0)
		return (-1);
	if (dfs_rename(s, &r, etag, err) == 0)
		return (0);
	store_delete(s, beside.data, NULL);
	return (-1);
}

int
blob_upload(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
    struct err *err)
{
	char etag[HTTP_ETAG_MAX];
	struct err e = ERR_EMPTY;
	int rc = upload(s, name, name, fd, size, if_match, etag, progress, arg, &e);

	if (rc != 0 && size > STORE_SINGLE_MAX && store_takes_no_blocks(s, &e))
		rc = upload_beside(s, name, fd, size, if_match, etag, progress, arg, &e);
	if (rc != 0 && err != NULL)
		*err = e;
	if (rc == 0 && ret_etag != NULL)
		memcpy(ret_etag, etag, sizeof(etag));
	return (rc);
}
