#include <errno.h>
#include <string.h>

#include "azure/gen1.h"
#include "azure/refusal.h"
#include "base/uri.h"
#include "spec/cloud.h"

/* The newest that the last SDKs ask for: pages have a continuationToken from it on. */
#define API_VERSION	"2018-09-01"

/* ---- building blocks --------------------------------------------------- */

const char *
gen1_url(const struct store *s, const char *op, const char *name, const char *query,
    struct arena *mem)
{
	auto_buf struct buf path = BUF_EMPTY;

	uri_encode(&path, name, strlen(name), 1);
	if (op == NULL)
		return (arena_printf(mem, "%s/%s", s->root, buf_str(&path)));
	return (arena_printf(mem, "%s/webhdfs/v1/%s?op=%s&api-version=" API_VERSION "%s", s->root,
	    buf_str(&path), op, query));
}

/* Once they were 403, and the status says nothing. */
enum http_verdict
gen1_judge(struct store *s, uint64_t generation, const struct http_response *r,
    int *ret_delay_ms)
{
	char code[96];

	if (r->status == 403) {
		refusal_code(r, code);
		if (strcmp(code, "ThrottledException") == 0)
			return (HTTP_RETRY);
	}
	return (blob_judge(s, generation, r, ret_delay_ms));
}

/* Nothing that speaks WebHDFS has answered for the service's own name. */
static int
is_retired(const struct store *s, const struct http_response *r, const struct err *err)
{
	char code[96];

	refusal_code(r, code);
	return (code[0] == '\0' && strstr(s->root, cloud_public.gen1_suffix) != NULL &&
	    (err->kind == ERR_UNREACHABLE || err->kind == ERR_DENIED ||
	    err->kind == ERR_NOT_FOUND || err->kind == ERR_PROTOCOL));
}

int
gen1_failed_on(const struct store *s, const char *name, struct err *err)
{
	struct arena mem = ARENA_EMPTY;

	err_on(err, "%s", gen1_url(s, NULL, name, "", &mem));
	arena_done(&mem);
	return (-1);
}

void
gen1_explain(struct store *s, const struct http_response *r, const char *name, int writing,
    struct err *err)
{
	err->resource[0] = '\0';	/* http knows how WebHDFS writes it */
	gen1_failed_on(s, name, err);
	blob_explain(s, r, writing, err);
	if (is_retired(s, r, err))
		err->remedy = REMEDY_RETIRED_GEN1;
}

/* ---- one request ------------------------------------------------------- */

static int
op_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct gen1_op *op = call->arg;

	q->method = op->method;
	q->url = gen1_url(op->store, op->op, op->name, op->query, &call->scratch);
	q->body_fd = op->body_fd;
	q->body_offset = op->body_offset;
	q->body_len = op->body_len;
	if (op->body_len > 0)
		q->headers[q->nheaders++] = (struct http_header){ "Content-Type",
		    "application/octet-stream" };
	return (auth_bearer_request(&op->store->auth, q, op->request_id, &call->scratch,
	    &op->generation, err));
}

static enum http_verdict
op_judge(struct http_call *call, const struct http_response *r, int *ret_delay_ms)
{
	struct gen1_op *op = call->arg;

	return (gen1_judge(op->store, op->generation, r, ret_delay_ms));
}

void
gen1_op_init(struct gen1_op *op, struct store *s, const char *what, const char *method,
    const char *name_of_op, const char *name)
{
	memset(op, 0, sizeof(*op));
	op->store = s;
	op->method = method;
	op->op = name_of_op;
	op->name = name;
	op->query = "";
	op->body_fd = -1;
	blob_request_id(op->request_id);
	op->call.op = what;
	op->call.prepare = op_prepare;
	op->call.judge = op_judge;
	op->call.arg = op;
	op->call.deadline_ms = blob_deadline(s);
}

int
gen1_op_run(struct gen1_op *op, struct err *err)
{
	struct err e = ERR_EMPTY;

	if (http_do(op->store->http, &op->call, &e) == 0)
		return (0);
	gen1_explain(op->store, &op->call.response, op->shown != NULL ? op->shown : op->name,
	    strcmp(op->method, "GET") != 0, &e);
	if (err != NULL)
		*err = e;
	return (-1);
}

void
gen1_op_done(struct gen1_op *op)
{
	http_call_done(&op->call);
}

/* ---- status ------------------------------------------------------------ */

int
gen1_read_attr(const struct json *j, struct store_attr *ret)
{
	const char *type = json_string(json_get(j, "type"));
	int64_t length, modified_ms;

	if (type == NULL || json_int(json_get(j, "length"), &length) != 0 || length < 0 ||
	    length > HTTP_LENGTH_MAX ||
	    json_int(json_get(j, "modificationTime"), &modified_ms) != 0)
		return (-1);
	memset(ret, 0, sizeof(*ret));
	ret->is_dir = strcmp(type, "DIRECTORY") == 0;
	if (!ret->is_dir && strcmp(type, "FILE") != 0)
		return (-1);
	ret->size = ret->is_dir ? 0 : length;
	ret->mtime_unix_s = modified_ms / 1000;
	str_format(ret->etag, sizeof(ret->etag), "\"%llx-%llx\"", (unsigned long long)modified_ms,
	    (unsigned long long)ret->size);
	return (0);
}

int
gen1_read_status(const struct http_response *r, struct store_attr *ret)
{
	struct json *root = json_parse(buf_str(&r->error_body), r->error_body.len);
	int failed = gen1_read_attr(json_get(root, "FileStatus"), ret);

	json_free(root);
	return (failed);
}

int
gen1_stat(struct store *s, const char *name, int exact, struct store_attr *ret, struct err *err)
{
	struct gen1_op op;
	int rc;

	(void)exact;
	gen1_op_init(&op, s, "get the status of", "GET", "GETFILESTATUS", name);
	rc = gen1_op_run(&op, err);
	if (rc == 0 && (rc = gen1_read_status(&op.call.response, ret)) != 0) {
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op.call.op,
		    "the answer is no FileStatus");
		gen1_failed_on(s, name, err);
	}
	gen1_op_done(&op);
	return (rc);
}

/* ---- changes ----------------------------------------------------------- */

/* 1: there is something, 0: not, -1: not known. */
static int
exists(struct store *s, const char *name, struct store_attr *ret, struct err *err)
{
	struct err e;

	if (gen1_stat(s, name, 1, ret, &e) == 0)
		return (1);
	if (e.kind == ERR_NOT_FOUND)
		return (0);
	if (err != NULL)
		*err = e;
	return (-1);
}

/* {"boolean":false} is a failure that looks like none. */
static int
was_done(const struct http_response *r)
{
	struct json *root = json_parse(buf_str(&r->error_body), r->error_body.len);
	int done = 0;

	(void)json_bool(json_get(root, "boolean"), &done);
	json_free(root);
	return (done);
}

static int
refuse(struct store *s, const char *op, const char *name, int sys_errno, const char *why,
    struct err *err)
{
	enum err_kind kind = ERR_DENIED;

	if (sys_errno == ENOENT)
		kind = ERR_NOT_FOUND;
	else if (sys_errno == EEXIST || sys_errno == ESTALE)
		kind = ERR_CHANGED;
	err_set(err, kind, kind == ERR_NOT_FOUND ? REMEDY_CHECK_NAME : REMEDY_NONE, op, "%s", why);
	if (err != NULL)
		err->sys_errno = sys_errno;
	return (gen1_failed_on(s, name, err));
}

/* "false": nothing was there, or a directory is not empty. */
int
gen1_delete(struct store *s, const char *name, struct err *err)
{
	struct store_attr now;
	struct gen1_op op;
	struct err e;
	int rc;

	gen1_op_init(&op, s, "delete", "DELETE", "DELETE", name);
	op.query = "&recursive=false";
	rc = gen1_op_run(&op, &e);
	if (rc != 0 && e.kind == ERR_NOT_FOUND)
		rc = 0;
	else if (rc == 0 && !was_done(&op.call.response) &&
	    (rc = exists(s, name, &now, &e)) == 1)
		rc = refuse(s, op.call.op, name, now.is_dir ? ENOTEMPTY : EACCES,
		    "the service did not delete it", &e);
	if (rc != 0 && err != NULL)
		*err = e;
	gen1_op_done(&op);
	return (rc);
}

static int
gen1_mkdir(struct store *s, const char *name, struct err *err)
{
	struct gen1_op op;
	int rc;

	gen1_op_init(&op, s, "make the directory", "PUT", "MKDIRS", name);
	rc = gen1_op_run(&op, err);
	if (rc == 0 && !was_done(&op.call.response))
		rc = refuse(s, op.call.op, name, EEXIST, "the service did not make it", err);
	gen1_op_done(&op);
	return (rc);
}

/*
 * A request whose answer was lost is repeated, by libcurl also unseen, and what it moved is no
 * longer there the second time.  Then the new name has what the old one had.
 */
static int
was_moved(struct store *s, const struct store_rename *r)
{
	struct store_attr now;

	return (exists(s, r->from, &now, NULL) == 0 && exists(s, r->to, &now, NULL) == 1 &&
	    now.is_dir == r->is_dir &&
	    (r->is_dir || r->etag[0] == '\0' || strcmp(now.etag, r->etag) == 0));
}

static int
explain_rename(struct store *s, const struct store_rename *r, struct err *err)
{
	struct store_attr now;
	int rc;

	if ((rc = exists(s, r->from, &now, err)) < 0)
		return (-1);
	if (rc == 0)
		return (refuse(s, "rename", r->from, ENOENT, "it is not there", err));
	if (r->no_replace && exists(s, r->to, &now, NULL) == 1)
		return (refuse(s, "rename to", r->to, EEXIST, "something is there", err));
	return (refuse(s, "rename to", r->to, EACCES, "the service did not rename it", err));
}

/*
 * A plain rename onto a directory would move into it, so the new name is looked at before, as
 * for what must be there.  (Hadoop, "FileSystem specification", rename.)
 */
static int
check_new_name(struct store *s, const struct store_rename *r, struct err *err)
{
	struct store_attr now;
	int rc;

	if (!r->no_replace && r->replaces == NULL)
		return (0);
	if ((rc = exists(s, r->to, &now, err)) < 0)
		return (-1);
	if (r->no_replace && rc == 1)
		return (refuse(s, "rename to", r->to, EEXIST, "something is there", err));
	if (r->replaces != NULL && rc == 1 && strcmp(now.etag, r->replaces) != 0)
		return (refuse(s, "rename to", r->to, ESTALE, "another writer was quicker", err));
	return (0);
}

int
gen1_rename(struct store *s, const struct store_rename *r, char ret_etag[HTTP_ETAG_MAX],
    struct err *err)
{
	auto_buf struct buf query = BUF_EMPTY;
	struct gen1_op op;
	int rc;

	if (check_new_name(s, r, err) != 0)
		return (-1);
	buf_adds(&query, "&destination=%2F");
	uri_encode(&query, r->to, strlen(r->to), 0);
	if (!r->no_replace)
		buf_adds(&query, "&renameoptions=OVERWRITE");
	gen1_op_init(&op, s, "rename", "PUT", "RENAME", r->from);
	op.query = buf_str(&query);
	rc = gen1_op_run(&op, err);
	if ((rc != 0 || !was_done(&op.call.response)) && was_moved(s, r))
		rc = 0;
	else if (rc == 0 && !was_done(&op.call.response))
		rc = explain_rename(s, r, err);
	gen1_op_done(&op);
	if (rc == 0 && ret_etag != NULL)
		str_format(ret_etag, HTTP_ETAG_MAX, "%s", r->etag);
	return (rc);
}

static int
gen1_copy(struct store *s, const char *from, const char *to, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	(void)if_match;
	(void)from;
	(void)ret_etag;
	return (refuse(s, "copy to", to, ENOTSUP, "ADLS Gen1 renames, and copies nothing", err));
}

static int
gen1_create_container(struct store *s, struct err *err)
{
	(void)s;
	(void)err;
	return (0);	/* the account is the tree */
}

const struct store_backend gen1_backend = {
	.list = gen1_list,
	.stat = gen1_stat,
	.probe = gen1_probe,
	.read_submit = gen1_read_submit,
	.read = gen1_read,
	.upload = gen1_upload,
	.remove = gen1_delete,
	.mkdir = gen1_mkdir,
	.copy = gen1_copy,
	.rename = gen1_rename,
	.create_container = gen1_create_container,
};
