#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "azure/blob.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/uri.h"
#include "base/xml.h"

#define BLOCK_FIRST	((int64_t)8 << 20)	/* over 4 MiB: the service's fast path */
#define BLOCK_MAX	((int64_t)4000 << 20)
#define BLOCKS_MAX	50000
#define IN_FLIGHT	8
#define BLOCK_LIST_MAX	(16 << 20)
#define COMPARE_SIZE	(1 << 20)
#define ID_SIZE		33			/* base64 of 24 bytes, and a NUL */

struct upload;

struct block {
	struct blob_op	 op;
	struct upload	*upload;
	int64_t		 len;
	char		 query[32 + 3 * ID_SIZE];
	int		 in_use;
	int		 over, ok;		/* upload.lock */
	struct err	 err;			/* upload.lock until over */
};

struct upload {
	struct store	*store;
	const char	*name;
	int		 fd;
	int64_t		 size, block_size;
	size_t		 nblocks;
	char		 random[17];		/* so that no other writer's blocks get mixed in */
	pthread_mutex_t	 lock;			/* guards over and ok of blocks; innermost */
	pthread_cond_t	 cond;
	struct block	 blocks[IN_FLIGHT];
};

static void
block_id(const struct upload *u, size_t index, char id[ID_SIZE])
{
	auto_buf struct buf b = BUF_EMPTY;
	char raw[48];

	snprintf(raw, sizeof(raw), "%s%08zx", u->random, index);
	base64_encode(&b, raw, 24);
	str_format(id, ID_SIZE, "%s", b.data);
}

static void
block_over(struct http_call *call, int ok, struct err *err)
{
	struct block *b = ((struct blob_op *)call->arg)->owner;

	pthread_mutex_lock(&b->upload->lock);
	b->ok = ok;
	b->err = *err;
	b->over = 1;
	pthread_cond_signal(&b->upload->cond);
	pthread_mutex_unlock(&b->upload->lock);
}

static void
block_start(struct upload *u, struct block *b, size_t index)
{
	auto_buf struct buf query = BUF_EMPTY;
	int64_t offset = (int64_t)index * u->block_size;
	char id[ID_SIZE];

	block_id(u, index, id);
	buf_adds(&query, "comp=block&blockid=");
	uri_encode(&query, id, strlen(id), 0);
	str_format(b->query, sizeof(b->query), "%s", query.data);
	b->upload = u;
	b->len = u->size - offset < u->block_size ? u->size - offset : u->block_size;
	b->over = b->ok = 0;
	b->in_use = 1;
	blob_op_init(&b->op, u->store, "upload a block of", "PUT", u->name);
	b->op.query = b->query;
	b->op.body_fd = u->fd;
	b->op.body_offset = offset;
	b->op.body_len = (size_t)b->len;
	b->op.owner = b;
	b->op.call.done = block_over;
	b->op.call.priority = 1;
	http_submit(u->store->http, &b->op.call);
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

	for (b = u->blocks; b < u->blocks + IN_FLIGHT; b++)
		if (b->in_use)
			http_cancel(u->store->http, &b->op.call);
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

/* The first failure ends it; blocks left behind are thrown away by the service. */
static int
send_blocks(struct upload *u, void (*progress)(void *, int64_t), void *arg, struct err *err)
{
	struct block *b;
	size_t next = 0;
	int failed = 0;

	for (;;) {
		while (!failed && next < u->nblocks && (b = free_block(u)) != NULL)
			block_start(u, b, next++);
		if ((b = block_wait(u)) == NULL)
			return (failed ? -1 : 0);
		if (!b->ok && !failed) {
			failed = 1;
			blob_explain(u->store, &b->op.call.response, 1, &b->err);
			if (err != NULL)
				*err = b->err;
			cancel_blocks(u);
		}
		if (b->ok && progress != NULL)
			progress(arg, b->len);
		blob_op_done(&b->op);
		b->in_use = 0;
	}
}

static void
add_block_list(const struct upload *u, struct buf *xml)
{
	char id[ID_SIZE];
	size_t i;

	buf_adds(xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (i = 0; i < u->nblocks; i++) {
		block_id(u, i, id);
		buf_printf(xml, "<Latest>%s</Latest>", id);
	}
	buf_adds(xml, "</BlockList>");
}

/* ---- was it us? --------------------------------------------------------- */

struct block_check {
	const struct upload *upload;
	size_t		 n;
	int		 differ;
};

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	(void)arg;
	(void)name;
	(void)attributes;
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct block_check *c = arg;
	char id[ID_SIZE];

	if (strcmp(name, "Name") != 0)
		return;
	block_id(c->upload, c->n++, id);
	if (len != strlen(id) || memcmp(text, id, len) != 0)
		c->differ = 1;
}

/* Our blocks have names that nobody else gives. */
static int
has_our_blocks(struct upload *u)
{
	static const struct xml_handler handler = { on_begin, on_end };
	struct block_check check = { .upload = u };
	struct blob_op op;
	struct xml *x;
	int ok;

	blob_op_init(&op, u->store, "get the blocks of", "GET", u->name);
	op.query = "comp=blocklist&blocklisttype=committed";
	op.call.body_max = BLOCK_LIST_MAX;
	ok = blob_op_run(&op, NULL) == 0;
	if (ok) {
		x = xml_new(&handler, &check);
		ok = xml_feed(x, buf_str(&op.call.response.error_body),
		    op.call.response.error_body.len, 1, NULL) == 0;
		xml_free(x);
	}
	blob_op_done(&op);
	return (ok && check.n == u->nblocks && !check.differ);
}

static int
has_our_bytes(struct upload *u, const struct store_attr *now)
{
	auto_free char *ours = mem_alloc(COMPARE_SIZE), *theirs = mem_alloc(COMPARE_SIZE);
	int64_t at;
	size_t n;

	for (at = 0; at < u->size; at += (int64_t)n)
		if (blob_read(u->store, u->name, now->etag, at, theirs, COMPARE_SIZE, &n, NULL,
		    NULL) != 0 || n == 0 || fd_pread_full(u->fd, ours, n, at) != (ssize_t)n ||
		    memcmp(ours, theirs, n) != 0)
			return (0);
	return (1);
}

/*
 * A repeated write whose condition fails may have succeeded the first time, the
 * answer being lost.  It did if the blob consists of our blocks; one without
 * blocks, if it was written since we began (by the service's clock) and holds
 * what we sent.
 */
static int
was_ours(struct upload *u, const struct blob_op *op, const char *if_match, int64_t began_ms,
    char etag[HTTP_ETAG_MAX])
{
	const struct http_response *r = &op->call.response;
	int64_t since_s = r->date_unix_s - (clock_ms() - began_ms) / 1000 - 1;
	struct store_attr now;

	if (op->call.tries < 2 || if_match == NULL || (r->status != 412 && r->status != 409) ||
	    blob_head(u->store, u->name, &now, NULL, NULL) != 0 || now.size != u->size ||
	    strcmp(now.etag, if_match) == 0)
		return (0);
	if (u->nblocks > 0 ? !has_our_blocks(u) : r->date_unix_s == 0 ||
	    now.mtime_unix_s < since_s || !has_our_bytes(u, &now))
		return (0);
	memcpy(etag, now.etag, sizeof(now.etag));
	return (1);
}

/* ---- commit -------------------------------------------------------------- */

static int
commit(struct upload *u, struct blob_op *op, const char *if_match, char etag[HTTP_ETAG_MAX],
    struct err *err)
{
	int64_t began_ms = clock_ms();
	struct err e;
	int rc;

	blob_op_condition(op, if_match);
	rc = blob_op_run(op, &e);
	if (rc == 0)
		memcpy(etag, op->call.response.etag, sizeof(op->call.response.etag));
	else if (was_ours(u, op, if_match, began_ms, etag))
		rc = 0;
	else if (err != NULL)
		*err = e;
	blob_op_done(op);
	return (rc);
}

static int
put_blob(struct upload *u, const char *if_match, char etag[HTTP_ETAG_MAX], struct err *err)
{
	struct blob_op op;

	blob_op_init(&op, u->store, "upload", "PUT", u->name);
	blob_op_header(&op, "x-ms-blob-type", "BlockBlob");
	op.body_fd = u->fd;
	op.body_len = (size_t)u->size;
	return (commit(u, &op, if_match, etag, err));
}

static int
put_block_list(struct upload *u, const char *if_match, char etag[HTTP_ETAG_MAX],
    struct err *err)
{
	auto_buf struct buf xml = BUF_EMPTY;
	struct blob_op op;

	add_block_list(u, &xml);
	blob_op_init(&op, u->store, "upload", "PUT", u->name);
	blob_op_header(&op, "Content-Type", "application/xml");
	op.query = "comp=blocklist";
	op.body = xml.data;
	op.body_len = xml.len;
	return (commit(u, &op, if_match, etag, err));
}

/* Blocks grow with the file: there may be 50,000 of them. */
static int
plan_blocks(struct upload *u, struct err *err)
{
	unsigned char r[8];
	size_t i;

	for (u->block_size = BLOCK_FIRST; u->size / u->block_size >= BLOCKS_MAX;)
		u->block_size *= 2;
	if (u->block_size > BLOCK_MAX) {
		err_set(err, ERR_OUTPUT, REMEDY_NONE, "upload", "no blob can be so large");
		if (err != NULL)
			err->sys_errno = EFBIG;
		return (-1);
	}
	u->nblocks = (size_t)((u->size + u->block_size - 1) / u->block_size);
	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return (err_errno(err, "upload", NULL));
	for (i = 0; i < sizeof(r); i++)
		snprintf(u->random + 2 * i, 3, "%02x", r[i]);
	return (0);
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
	rc = send_blocks(u, progress, arg, err);
	if (rc == 0)
		rc = put_block_list(u, if_match, etag, err);
	pthread_cond_destroy(&u->cond);
	pthread_mutex_destroy(&u->lock);
	return (rc);
}

int
blob_upload(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
    struct err *err)
{
	struct upload *u = mem_zalloc(sizeof(*u));	/* large for a thread's stack */
	char etag[HTTP_ETAG_MAX];
	int rc;

	u->store = s;
	u->name = name;
	u->fd = fd;
	u->size = size;
	if (size <= BLOCK_FIRST) {
		rc = put_blob(u, if_match, etag, err);
		if (rc == 0 && progress != NULL)
			progress(arg, size);
	} else
		rc = put_in_blocks(u, if_match, progress, arg, etag, err);
	if (rc == 0 && ret_etag != NULL)
		memcpy(ret_etag, etag, sizeof(etag));
	free(u);
	return (rc);
}
