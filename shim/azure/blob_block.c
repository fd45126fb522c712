#include <stdlib.h>
#include <string.h>

#include "azure/blob.h"
#include "base/clock.h"
#include "base/uri.h"
#include "base/xml.h"

#define BLOCK_LIST_MAX	(32 << 20)
#define SLOWEST		256		/* bytes a ms: large blocks get more time */

/* ---- Put Block ---------------------------------------------------------- */

struct put_op {
	struct blob_op	 op;
	char		 query[32 + 3 * STORE_BLOCK_ID_SIZE];
};

static void
put_over(struct http_call *call, int ok, struct err *err)
{
	struct blob_op *op = call->arg;
	struct store_put *p = op->owner;
	struct put_op *own = p->op;

	p->length_differs = !ok &&
	    strcmp(call->response.error_code, "InvalidBlobOrBlock") == 0;
	if (!ok)
		blob_explain(op->store, &call->response, 1, err);
	p->done(p, ok ? NULL : err);	/* p may be gone now; until then it may be cancelled */
	blob_op_done(&own->op);
	free(own);
}

void
blob_put_submit(struct store_put *p)
{
	auto_buf struct buf query = BUF_EMPTY;
	struct put_op *own = mem_zalloc(sizeof(*own));

	buf_adds(&query, "comp=block&blockid=");
	uri_encode(&query, p->id, strlen(p->id), 0);
	str_format(own->query, sizeof(own->query), "%s", query.data);
	blob_op_init(&own->op, p->store, "upload a block of", "PUT", p->name);
	own->op.query = own->query;
	own->op.body_fd = p->fd;
	own->op.body_offset = p->offset;
	own->op.body_len = p->len;
	own->op.owner = p;
	own->op.call.done = put_over;
	own->op.call.priority = 1;
	own->op.call.deadline_ms += (int64_t)(p->len / SLOWEST);
	p->length_differs = 0;
	p->op = own;
	http_submit(p->store->http, &own->op.call);
}

void
blob_put_cancel(struct store_put *p)
{
	http_cancel(p->store->http, &((struct put_op *)p->op)->op.call);
}

/* ---- Get Block List ----------------------------------------------------- */

struct listing {
	struct arena	*mem;
	struct store_block *blocks;
	size_t		 n, size;
	int		 is_committed, bad;
	const char	*id;
};

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	struct listing *l = arg;

	(void)attributes;
	if (strcmp(name, "CommittedBlocks") == 0)
		l->is_committed = 1;
	else if (strcmp(name, "UncommittedBlocks") == 0)
		l->is_committed = 0;
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct listing *l = arg;
	long long size = -1;

	if (strcmp(name, "Name") == 0)
		l->id = arena_strndup(l->mem, text, len);
	if (strcmp(name, "Size") != 0)
		return;
	if (l->id == NULL || strlen(l->id) >= STORE_BLOCK_ID_SIZE ||
	    str_to_i64(arena_strndup(l->mem, text, len), 0, INT64_MAX, &size) != 0) {
		l->bad = 1;
		return;
	}
	if (l->n == l->size) {
		l->size = l->size > 0 ? 2 * l->size : 64;
		l->blocks = mem_grow(l->blocks, l->size * sizeof(*l->blocks));
	}
	l->blocks[l->n++] = (struct store_block){ l->id, size, l->is_committed };
	l->id = NULL;
}

static int
parse_list(const struct buf *xml, struct listing *l, struct err *err)
{
	static const struct xml_handler handler = { on_begin, on_end };
	struct xml *x = xml_new(&handler, l);
	int failed = xml_feed(x, buf_str(xml), xml->len, 1, err);

	xml_free(x);
	if (!failed && l->bad)
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "get the blocks of",
		    "the answer is no list of blocks");
	return (failed);
}

int
blob_list_blocks(struct store *s, const char *name, struct arena *mem, struct store_block **ret,
    size_t *ret_n, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct listing l = { .mem = mem };
	struct blob_op op;
	int failed;

	blob_op_init(&op, s, "get the blocks of", "GET", name);
	op.query = "comp=blocklist&blocklisttype=all";
	op.call.body_max = BLOCK_LIST_MAX;
	failed = blob_op_run(&op, err) != 0 ||
	    parse_list(&op.call.response.error_body, &l, err) != 0;
	if (!failed) {
		*ret = arena_alloc(mem, (l.n + 1) * sizeof(**ret));
		if (l.n > 0)
			memcpy(*ret, l.blocks, l.n * sizeof(**ret));
		*ret_n = l.n;
		memcpy(ret_etag, op.call.response.etag, sizeof(op.call.response.etag));
	}
	free(l.blocks);
	blob_op_done(&op);
	return (failed ? -1 : 0);
}

/* ---- Put Block List ----------------------------------------------------- */

struct commit {
	struct store	*store;
	const char	*name;
	const struct store_block *blocks;
	size_t		 n;
};

/* The same ids in the same order: one of them at least nobody else has given. */
static int
has_our_blocks(void *arg, const struct store_attr *now, int64_t since_s)
{
	struct commit *c = arg;
	struct arena mem = ARENA_EMPTY;
	struct store_block *have = NULL;
	char etag[HTTP_ETAG_MAX];
	size_t n = 0, i = 0;

	(void)since_s;
	if (blob_list_blocks(c->store, c->name, &mem, &have, &n, etag, NULL) == 0 &&
	    strcmp(etag, now->etag) == 0)
		while (i < c->n && i < n && have[i].is_committed &&
		    strcmp(have[i].id, c->blocks[i].id) == 0)
			i++;
	if (i == c->n && i < n && have[i].is_committed)
		i = 0;			/* theirs goes on */
	arena_done(&mem);
	return (i == c->n);
}

static int64_t
add_list(const struct commit *c, struct buf *xml)
{
	int64_t size = 0;
	const char *kind;
	size_t i;

	buf_adds(xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (i = 0; i < c->n; i++) {
		/* Not Uncommitted: when the answer is lost they are committed at the next try. */
		kind = c->blocks[i].is_committed ? "Committed" : "Latest";
		buf_printf(xml, "<%s>%s</%s>", kind, c->blocks[i].id, kind);
		size += c->blocks[i].size;
	}
	buf_adds(xml, "</BlockList>");
	return (size);
}

int
blob_commit_as(struct store *s, const char *name, const char *as,
    const struct store_block *blocks, size_t n, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct commit c = { .store = s, .name = name, .blocks = blocks, .n = n };
	auto_buf struct buf xml = BUF_EMPTY;
	struct blob_op op;
	int64_t size = add_list(&c, &xml);
	int rc;

	blob_op_init(&op, s, "upload", "PUT", name);
	blob_op_header(&op, "Content-Type", "application/xml");
	op.query = "comp=blocklist";
	op.props_name = as;
	op.body = xml.data;
	op.body_len = xml.len;
	blob_op_props(&op);
	rc = blob_op_create(&op, if_match, size, has_our_blocks, &c, ret_etag, err);
	if (rc != 0 && strcmp(op.call.response.error_code, "InvalidBlockList") == 0)
		rc = 1;
	blob_op_done(&op);
	return (rc);
}

int
blob_commit(struct store *s, const char *name, const struct store_block *blocks, size_t n,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (blob_commit_as(s, name, name, blocks, n, if_match, ret_etag, err));
}
