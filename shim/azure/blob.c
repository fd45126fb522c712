#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "azure/blob.h"
#include "azure/claims.h"
#include "azure/dfs.h"
#include "azure/props.h"
#include "azure/refusal.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/uri.h"

#define REFRESH_WAIT_MS		200	/* while a credential is being fetched */
#define COPY_POLL_FIRST_MS	50
#define COPY_POLL_MAX_MS	2000
#define AUTH_HEADERS		6	/* that signing and the library may add */

/* ---- building blocks --------------------------------------------------- */

void
blob_request_id(char out[BLOB_REQUEST_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char b[16] = { 0 };
	size_t i, n = 0;

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		b[0] = (unsigned char)clock_ms();	/* an id for logs: it may repeat */
	for (i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[n++] = '-';
		out[n++] = digits[b[i] >> 4];
		out[n++] = digits[b[i] & 15];
	}
	out[n] = '\0';
}

int64_t
blob_deadline(const struct store *s)
{
	return (clock_ms() + s->timeout_ms);
}

static const char *
url_at(const char *root, const struct store *s, const char *name, const char *query,
    struct arena *mem)
{
	auto_buf struct buf encoded = BUF_EMPTY;

	if (name != NULL)
		uri_encode(&encoded, name, strlen(name), 1);
	return (arena_printf(mem, "%s/%s%s%s%s%s", root, s->container,
	    name != NULL ? "/" : "", buf_str(&encoded), query != NULL ? "?" : "",
	    query != NULL ? query : ""));
}

const char *
blob_url(const struct store *s, const char *name, const char *query, struct arena *mem)
{
	return (url_at(s->root, s, name, query, mem));
}

/* A credential that was refused is refreshed, by cred's rules. */
enum http_verdict
blob_judge(struct store *s, uint64_t generation, const struct http_response *r,
    int *ret_delay_ms)
{
	if (r->status != 401 &&
	    (r->status != 403 || strcmp(r->error_code, "AuthenticationFailed") != 0)) {
		if (r->status >= 200 && r->status < 300)
			cred_accepted(s->auth.cred, generation);
		return (http_default_verdict(r));
	}
	switch (cred_refused(s->auth.cred, generation)) {
	case 1:
		*ret_delay_ms = 0;
		return (HTTP_RETRY);
	case 0:
		*ret_delay_ms = REFRESH_WAIT_MS;
		return (HTTP_RETRY);
	default:
		return (HTTP_FAIL);
	}
}

/* "LABEL (client id C, object id O)": what a role is given to. */
static void
name_identity(const struct store *s, const struct token_claims *who, struct err *err)
{
	int has_client = strstr(s->identity, who->appid) != NULL || who->is_user;

	if (who->oid[0] == '\0')
		err_as(err, s->identity);
	else if (err->identity[0] == '\0')
		str_format(err->identity, sizeof(err->identity), "%s (%s%s%sobject id %s)",
		    s->identity, has_client ? "" : "client id ", has_client ? "" : who->appid,
		    has_client ? "" : ", ", who->oid);
}

static void
name_datastore(const struct store *s, struct err *err)
{
	size_t len = strlen(err->resource);

	if (s->datastore != NULL && len > 0 &&
	    len + strlen(s->datastore) + sizeof(" (datastore )") <= sizeof(err->resource))
		str_format(err->resource + len, sizeof(err->resource) - len, " (datastore %s)",
		    s->datastore);
}

void
blob_explain(struct store *s, const struct http_response *r, int writing, struct err *err)
{
	struct refusal_context ctx = { .writing = writing != 0,
	    .setting_access = writing == BLOB_SETS_ACCESS, .now_unix_s = clock_wall_s(),
	    .hns = store_hns(s), .is_output = s->is_output };
	struct token_claims who = { .tid = "" };
	struct arena mem = ARENA_EMPTY;
	enum wire_cred_kind kind;
	uint64_t generation;
	const char *text;

	if (err == NULL)
		return;
	cred_current(s->auth.cred, &kind, &generation, &text, &mem);
	if (kind == WIRE_CRED_BEARER && token_read_claims(text, strlen(text), &who) == 0 &&
	    who.tid[0] != '\0')
		ctx.token_tenant = who.tid;
	if (kind == WIRE_CRED_SAS) {
		ctx.sas = text;
		if ((ctx.sas_expiry_unix_s = auth_sas_expiry(text)) == 0)
			ctx.sas_expiry_unix_s = INT64_MAX;	/* a stored policy decides */
	}
	refusal_explain(r, &ctx, err);
	if (s->identity != NULL)
		name_identity(s, &who, err);
	name_datastore(s, err);
	arena_done(&mem);
}

/* ---- one request ------------------------------------------------------- */

/* What the request takes, as a URL or from its path on: with the SAS, if that gives access. */
static void
add_source(struct blob_op *op, const char *header, const char *url, struct http_request *q)
{
	struct arena *mem = &op->call.scratch;
	const char *text;
	enum wire_cred_kind kind;
	uint64_t generation;

	cred_current(op->store->auth.cred, &kind, &generation, &text, mem);
	if (kind == WIRE_CRED_SAS)
		url = arena_printf(mem, "%s?%s", url, text + strspn(text, "?&"));
	q->headers[q->nheaders++] = (struct http_header){ header, url };
}

/* "/FILESYSTEM/PATH", on path-style hosts behind the account. */
static const char *
rename_source(struct blob_op *op)
{
	const struct store *s = op->store;
	const char *url = url_at(s->dfs_root, s, op->rename_from, NULL, &op->call.scratch);

	return (strchr(strstr(url, "://") + 3, '/'));
}

/* What is not sent would be gone: all or nothing. */
static int
add_props(struct blob_op *op, struct http_request *q, struct err *err)
{
	struct arena *mem = &op->call.scratch;
	const char *at = op->props;
	struct http_header h;
	struct props_line l;

	while (at != NULL && props_next(&at, &l)) {
		if ((op->props_what & PROPS_METADATA) != 0 && l.letter == PROPS_META)
			h.name = arena_printf(mem, "x-ms-meta-%.*s", (int)l.name_len, l.name);
		else if (((op->props_what & PROPS_HEADERS) != 0 && props_is_settable(l.letter)) ||
		    ((op->props_what & PROPS_SUM) != 0 && l.letter == PROPS_MD5))
			h.name = arena_printf(mem, "x-ms-blob-%s", props_header(l.letter));
		else
			continue;
		if (q->nheaders == HTTP_HEADERS_MAX - AUTH_HEADERS) {
			errno = E2BIG;
			return (err_errno(err, "keep the metadata of", op->name));
		}
		h.value = arena_strndup(mem, l.value, l.len);
		q->headers[q->nheaders++] = h;
	}
	return (0);
}

static int
op_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct blob_op *op = call->arg;
	size_t i;

	q->method = op->method;
	q->url = url_at(op->is_dfs ? op->store->dfs_root : op->store->root, op->store, op->name,
	    op->query, &call->scratch);
	for (i = 0; i < op->nheaders; i++)
		q->headers[q->nheaders++] = op->headers[i];
	if (op->copy_from != NULL)
		add_source(op, "x-ms-copy-source",
		    blob_url(op->store, op->copy_from, NULL, &call->scratch), q);
	if (op->rename_from != NULL)
		add_source(op, "x-ms-rename-source", rename_source(op), q);
	if (add_props(op, q, err) != 0)
		return (-1);
	q->body = op->body;
	q->body_len = op->body_len;
	q->body_fd = op->body_fd;
	q->body_offset = op->body_offset;
	return (auth_storage_request(&op->store->auth, q, op->request_id, &call->scratch,
	    &op->generation, err));
}

static enum http_verdict
op_judge(struct http_call *call, const struct http_response *r, int *ret_delay_ms)
{
	struct blob_op *op = call->arg;

	return (blob_judge(op->store, op->generation, r, ret_delay_ms));
}

void
blob_op_init(struct blob_op *op, struct store *s, const char *what, const char *method,
    const char *name)
{
	memset(op, 0, sizeof(*op));
	op->store = s;
	op->method = method;
	op->name = name;
	op->body_fd = -1;
	op->writing = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	blob_request_id(op->request_id);
	op->call.op = what;
	op->call.prepare = op_prepare;
	op->call.judge = op_judge;
	op->call.arg = op;
	op->call.deadline_ms = blob_deadline(s);
}

void
blob_op_header(struct blob_op *op, const char *name, const char *value)
{
	op->headers[op->nheaders++] = (struct http_header){ name, value };
}

void
blob_op_condition(struct blob_op *op, const char *if_match)
{
	if (if_match == NULL)
		return;
	if (strcmp(if_match, "*") == 0)
		blob_op_header(op, "If-None-Match", "*");
	else
		blob_op_header(op, "If-Match", if_match);
}

void
blob_op_props(struct blob_op *op)
{
	const struct store *s = op->store;

	if (s->props_of != NULL)
		op->props = s->props_of(s->props_arg,
		    op->props_name != NULL ? op->props_name : op->name, &op->mem);
	op->props_what = PROPS_HEADERS | PROPS_METADATA;
}

int
blob_op_run(struct blob_op *op, struct err *err)
{
	struct err e = ERR_EMPTY;

	if (op->writing && dfs_check_managed(op->store, op->name, err) != 0)
		return (-1);
	if (http_do(op->store->http, &op->call, &e) == 0)
		return (0);
	blob_explain(op->store, &op->call.response, op->writing, &e);
	if (err != NULL)
		*err = e;
	return (-1);
}

void
blob_op_done(struct blob_op *op)
{
	arena_done(&op->mem);
	http_call_done(&op->call);
}

/* ---- operations on one name -------------------------------------------- */

int
blob_head(struct store *s, const char *name, struct store_attr *ret,
    struct http_response *ret_response, struct err *err)
{
	struct blob_op op;
	const struct http_response *r = &op.call.response;
	int rc;

	blob_op_init(&op, s, "get the properties of", "HEAD", name);
	rc = blob_op_run(&op, err);
	if (rc == 0) {
		memset(ret, 0, sizeof(*ret));
		ret->is_dir = r->is_folder_meta || strcmp(r->resource_type, "directory") == 0;
		ret->size = ret->is_dir || r->content_length < 0 ? 0 : r->content_length;
		ret->mtime_unix_s = r->last_modified_unix_s;
		memcpy(ret->etag, r->etag, sizeof(ret->etag));
		if (ret_response != NULL) {
			*ret_response = *r;
			ret_response->error_body = (struct buf)BUF_EMPTY;
			ret_response->continuation = (struct buf)BUF_EMPTY;
		}
	}
	blob_op_done(&op);
	return (rc);
}

static int
blob_delete(struct store *s, const char *name, struct err *err)
{
	struct blob_op op;
	struct err e;
	int rc;

	blob_op_init(&op, s, "delete", "DELETE", name);
	blob_op_header(&op, "x-ms-delete-snapshots", "include");
	rc = blob_op_run(&op, &e);
	if (rc != 0 && op.call.response.status == 404 &&
	    strcmp(op.call.response.error_code, "ContainerNotFound") != 0)
		rc = 0;
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

/* What was to be made as a directory was there. */
int
blob_is_file(struct store *s, const char *name)
{
	struct store_attr attr;

	return (blob_head(s, name, &attr, NULL, NULL) == 0 && !attr.is_dir);
}

static int
blob_mkdir(struct store *s, const char *name, struct err *err)
{
	struct blob_op op;
	struct err e;
	int rc;

	if (store_find_hns(s, name))
		return (dfs_mkdir(s, name, err));
	blob_op_init(&op, s, "make the directory", "PUT", name);
	blob_op_header(&op, "x-ms-blob-type", "BlockBlob");
	blob_op_header(&op, "x-ms-meta-hdi_isfolder", "true");
	blob_op_condition(&op, "*");
	rc = blob_op_run(&op, &e);
	if (rc != 0 && (op.call.response.status == 412 ||
	    strcmp(op.call.response.error_code, "BlobAlreadyExists") == 0)) {
		if ((rc = -blob_is_file(s, name)) != 0)
			e.sys_errno = EEXIST;
	}
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

struct link {
	struct store	*store;
	const char	*name, *target;
};

static int
is_our_link(void *arg, const struct store_attr *now, int64_t since_s)
{
	const struct link *l = arg;
	size_t len = strlen(l->target), n;
	auto_free char *there = mem_alloc(len + 1);

	return (since_s != 0 && now->mtime_unix_s >= since_s && len > 0 &&
	    blob_read(l->store, l->name, now->etag, 0, there, len, &n, NULL, NULL) == 0 &&
	    n == len && memcmp(there, l->target, len) == 0);
}

static int
blob_symlink(struct store *s, const char *name, const char *target,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct link l = { s, name, target };
	struct blob_op op;
	struct err e;
	int rc;

	blob_op_init(&op, s, "make the link", "PUT", name);
	blob_op_header(&op, "x-ms-blob-type", "BlockBlob");
	blob_op_header(&op, "x-ms-meta-" PROPS_LINK, "true");
	op.body = target;
	op.body_len = strlen(target);
	rc = blob_op_create(&op, "*", (int64_t)op.body_len, is_our_link, &l, ret_etag, &e);
	if (rc != 0 && (op.call.response.status == 409 || op.call.response.status == 412))
		e.sys_errno = EEXIST;
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

/* 1: b has all lines of a that Set Blob Metadata, or Properties, sends. */
static int
has_lines(const char *a, const char *b, int metadata)
{
	auto_buf struct buf name = BUF_EMPTY;
	const char *value;
	struct props_line l;
	size_t len;

	while (props_next(&a, &l)) {
		if ((l.letter == PROPS_META) != (metadata != 0) || l.letter == PROPS_TIER)
			continue;
		buf_reset(&name);
		buf_add(&name, l.name, l.name_len);
		value = props_get(b, l.letter, metadata ? buf_str(&name) : NULL, &len);
		if (value == NULL || len != l.len || memcmp(value, l.value, len) != 0)
			return (0);
	}
	return (1);
}

/* A repeated request whose condition failed: was it the first, its answer lost, that changed it? */
static int
was_set(const struct blob_op *op, int metadata, int64_t began_ms, char etag[HTTP_ETAG_MAX])
{
	int64_t since_s = blob_since_s(&op->call.response, began_ms);
	struct store_attr changed, now;
	int ours;

	if (op->call.tries < 2 || op->call.response.status != 412 || since_s == 0 ||
	    blob_head(op->store, op->name, &changed, NULL, NULL) != 0 ||
	    changed.mtime_unix_s < since_s ||
	    blob_stat(op->store, op->name, 0, &now, NULL) != 0)
		return (0);
	ours = now.props != NULL && strcmp(now.etag, changed.etag) == 0 &&
	    has_lines(op->props, now.props, metadata) && has_lines(now.props, op->props, metadata);
	if (ours)
		memcpy(etag, now.etag, sizeof(now.etag));
	free(now.props);
	return (ours);
}

/* Set Blob Properties clears what is not sent, Set Blob Metadata replaces all. */
static int
blob_set_props(struct store *s, const char *name, const char *props, int metadata,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	int64_t began_ms = clock_ms();
	struct blob_op op;
	struct err e;
	int rc;

	blob_op_init(&op, s, "set the properties of", "PUT", name);
	op.query = metadata ? "comp=metadata" : "comp=properties";
	op.props = props;
	op.props_what = metadata ? PROPS_METADATA : PROPS_HEADERS | PROPS_SUM;
	blob_op_condition(&op, if_match);
	rc = blob_op_run(&op, &e);
	if (rc == 0)
		memcpy(ret_etag, op.call.response.etag, sizeof(op.call.response.etag));
	else if (was_set(&op, metadata, began_ms, ret_etag))
		rc = 0;
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

static int
blob_create_container(struct store *s, struct err *err)
{
	struct blob_op op;
	struct err e;
	int rc;

	blob_op_init(&op, s, "create the container", "PUT", NULL);
	op.query = "restype=container";
	rc = blob_op_run(&op, &e);
	if (rc != 0 && strcmp(op.call.response.error_code, "ContainerAlreadyExists") == 0)
		rc = 0;
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

/* A copy inside one account is nearly always over at once. */
static int
await_copy(struct store *s, const char *to, char etag[HTTP_ETAG_MAX], int64_t deadline_ms,
    struct err *err)
{
	struct http_response r;
	struct store_attr attr;
	int64_t wait_ms = COPY_POLL_FIRST_MS;

	for (;;) {
		if (blob_head(s, to, &attr, &r, err) != 0)
			return (-1);
		memcpy(etag, attr.etag, sizeof(attr.etag));
		if (strcmp(r.copy_status, "success") == 0)
			return (0);
		if (strcmp(r.copy_status, "pending") != 0)
			return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "copy to",
			    "copy status is \"%s\"", r.copy_status));
		if (clock_ms() + wait_ms >= deadline_ms)
			return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "copy to",
			    "not over in the time given"));
		clock_sleep_ms(wait_ms);
		if (wait_ms < COPY_POLL_MAX_MS)
			wait_ms *= 2;
	}
}

static int
blob_copy(struct store *s, const char *from, const char *to, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	char etag[HTTP_ETAG_MAX], url[320];
	struct blob_op op;
	int rc;

	blob_op_init(&op, s, "copy to", "PUT", to);
	op.copy_from = from;
	if (if_match != NULL)
		blob_op_header(&op, "x-ms-source-if-match", if_match);
	rc = blob_op_run(&op, err);
	if (rc == 0) {
		memcpy(etag, op.call.response.etag, sizeof(etag));
		if (strcmp(op.call.response.copy_status, "success") != 0)
			rc = await_copy(s, to, etag, op.call.deadline_ms, err);
	}
	if (rc == 0 && ret_etag != NULL)
		memcpy(ret_etag, etag, sizeof(etag));
	if (rc != 0)
		err_on(err, "%s", http_printable_url(blob_url(s, to, NULL, &mem), url,
		    sizeof(url)));
	arena_done(&mem);
	blob_op_done(&op);
	return (rc);
}

const struct store_backend blob_backend = {
	.list = blob_list,
	.stat = blob_stat,
	.probe = blob_probe,
	.read_submit = blob_read_submit,
	.read = blob_read,
	.upload = blob_upload,
	.symlink = blob_symlink,
	.set_props = blob_set_props,
	.remove = blob_delete,
	.mkdir = blob_mkdir,
	.copy = blob_copy,
	.create_container = blob_create_container,
	.put_submit = blob_put_submit,
	.put_cancel = blob_put_cancel,
	.commit = blob_commit,
	.list_blocks = blob_list_blocks,
	.find_hns = blob_find_hns,
	.rename = dfs_rename,
	.get_access = dfs_get_access,
	.set_access = dfs_set_access,
};
