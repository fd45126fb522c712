#include <string.h>

#include "azure/gen1.h"

enum fault { FAULT_NONE, FAULT_RANGE, FAULT_SINK };

/* ---- the bytes --------------------------------------------------------- */

/* What a reader got cannot be taken back: bytes of a version are given out when it was looked. */
static int
give(struct store_read *r, size_t at, const void *bytes, size_t len)
{
	if (r->held == NULL)
		return (r->sink(r, at, bytes, len));
	memcpy(r->held + at, bytes, len);
	return (0);
}

static int
read_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct store_read *r = call->arg;

	r->received = (size_t)call->response.body_received;
	if (r->received == r->len)	/* all came, only the end of the answer did not */
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, call->op, "nothing is left"));
	q->method = "GET";
	q->url = gen1_url(r->store, "OPEN", r->name, arena_printf(&call->scratch,
	    "&read=true&offset=%lld&length=%zu", (long long)r->offset + (long long)r->received,
	    r->len - r->received), &call->scratch);
	return (auth_bearer_request(&r->store->auth, q, r->request_id, &call->scratch,
	    &r->generation, err));
}

static int
read_sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct store_read *r = call->arg;

	if (len > r->len - (size_t)offset)
		r->fault = FAULT_RANGE;
	else if (give(r, (size_t)offset, bytes, len) != 0)
		r->fault = FAULT_SINK;
	return (r->fault != FAULT_NONE ? -1 : 0);
}

/* Answers have no length, and may be shorter than asked for: then the rest is asked for. */
static enum http_verdict
read_judge(struct http_call *call, const struct http_response *a, int *ret_delay_ms)
{
	struct store_read *r = call->arg;
	size_t received = (size_t)a->body_received;
	enum http_verdict verdict = gen1_judge(r->store, r->generation, a, ret_delay_ms);

	if (verdict != HTTP_OK || received == r->len || received == r->received)
		return (verdict);
	*ret_delay_ms = 0;
	return (HTTP_RETRY);
}

static void
begin(struct store_read *r)
{
	memset(&r->call, 0, sizeof(r->call));
	r->received = 0;
	r->fault = FAULT_NONE;
	r->held = NULL;
	r->failure = NULL;
	blob_request_id(r->request_id);
	r->call.op = "read";
	r->call.prepare = read_prepare;
	r->call.sink = read_sink;
	r->call.judge = read_judge;
	r->call.arg = r;
	r->call.resumable = 1;
	r->call.priority = r->priority;
	r->call.deadline_ms = r->deadline_ms != 0 ? r->deadline_ms : blob_deadline(r->store);
}

static int
no_place(const struct store_read *r, struct err *err)
{
	return (err_set(err, ERR_SYSTEM, REMEDY_NONE, r->call.op, "the bytes found no place"));
}

/*
 * What came of it.  0: all or some bytes came; else the failure is explained.  *ret_look: it
 * depends on what the file is by now.  Behind the end of a file there is an error as well.
 */
static int
read_ended(struct store_read *r, int ok, int *ret_look, struct err *err)
{
	int status = r->call.response.status;

	r->received = (size_t)r->call.response.body_received;
	*ret_look = 1;
	if (r->fault == FAULT_NONE && (ok || r->received == r->len))
		return (0);
	if (r->fault == FAULT_RANGE)
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, r->call.op,
		    "the answer is longer than what was asked for");
	else if (r->fault == FAULT_SINK)
		no_place(r, err);
	else
		gen1_explain(r->store, &r->call.response, r->name, 0, err);
	*ret_look = r->fault == FAULT_NONE && (status == 400 || status == 403 || status == 416);
	return (-1);
}

static int
changed(const struct store_read *r, struct err *err)
{
	return (err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, r->call.op,
	    "the file was replaced"));
}

static int
too_short(const struct store_read *r, struct err *err)
{
	return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, r->call.op,
	    "%zu bytes came of %zu that were asked for", r->received, r->len));
}

/* ---- asynchronous: bytes, then status ---------------------------------- */

static void
finish(struct store_read *r, int failed, struct err *err)
{
	if (failed)
		gen1_failed_on(r->store, r->name, err);
	free(r->held);
	free(r->failure);
	r->held = NULL;
	r->failure = NULL;
	http_call_done(&r->call);
	r->done(r, failed ? err : NULL);
}

static int
look_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct store_read *r = call->arg;

	q->method = "GET";
	q->url = gen1_url(r->store, "GETFILESTATUS", r->name, "", &call->scratch);
	return (auth_bearer_request(&r->store->auth, q, r->request_id, &call->scratch,
	    &r->generation, err));
}

static enum http_verdict
look_judge(struct http_call *call, const struct http_response *a, int *ret_delay_ms)
{
	struct store_read *r = call->arg;

	return (gen1_judge(r->store, r->generation, a, ret_delay_ms));
}

static void
look_over(struct http_call *call, int ok, struct err *err)
{
	struct store_read *r = call->arg;
	struct store_attr now;
	int failed = 1;

	if (!ok)
		gen1_explain(r->store, &call->response, r->name, 0, err);
	else if (gen1_read_status(&call->response, &now) != 0)
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, call->op,
		    "the answer is no FileStatus");
	else if (strcmp(now.etag, r->etag) != 0)
		changed(r, err);
	else if (r->failure != NULL)
		*err = *r->failure;
	else if (r->received < r->len)
		too_short(r, err);
	else if (r->sink(r, 0, r->held, r->len) != 0)
		no_place(r, err);
	else
		failed = 0;
	finish(r, failed, err);
}

/*
 * On the same call, which is over and may be submitted again; its engine stays alone, for somebody
 * may be hurrying it.  The bytes are here: nothing goes before this.
 */
static void
look(struct store_read *r)
{
	struct http_call *call = &r->call;

	http_call_done(call);
	call->response = (struct http_response){ .status = 0 };
	blob_request_id(r->request_id);
	call->prepare = look_prepare;
	call->judge = look_judge;
	call->sink = NULL;
	call->done = look_over;
	call->resumable = call->tries = call->priority = 0;
	http_submit(r->store->http, call);
}

static void
read_over(struct http_call *call, int ok, struct err *err)
{
	struct store_read *r = call->arg;
	int wants_look, failed = read_ended(r, ok, &wants_look, err) != 0;

	if (!failed && r->received < r->len && r->etag[0] == '\0')
		failed = too_short(r, err) != 0;
	if (!wants_look || r->etag[0] == '\0') {
		finish(r, failed, err);
		return;
	}
	if (failed) {
		r->failure = mem_alloc(sizeof(*r->failure));
		*r->failure = *err;
	}
	look(r);
}

void
gen1_read_submit(struct store_read *r)
{
	begin(r);
	if (r->len == 0) {
		r->done(r, NULL);
		return;
	}
	if (r->etag[0] != '\0')
		r->held = mem_alloc(r->len);
	r->call.done = read_over;
	http_submit(r->store->http, &r->call);
}

/* ---- and wait ---------------------------------------------------------- */

static int
copy_sink(struct store_read *r, size_t at, const void *bytes, size_t len)
{
	memcpy((char *)r->arg + at, bytes, len);
	return (0);
}

/* Fewer bytes are fine at the end of the file, and only there. */
static int
check_small(struct store_read *r, int failed, struct store_attr *now, struct err *err)
{
	struct err e;

	if (gen1_stat(r->store, r->name, 1, now, &e) != 0) {
		*err = e;
		return (-1);
	}
	if (r->etag[0] != '\0' && strcmp(r->etag, now->etag) != 0)
		return (changed(r, err));
	if (r->received < r->len && r->offset + (int64_t)r->received < now->size)
		return (failed ? -1 : too_short(r, err));
	return (0);
}

int
gen1_read(struct store *s, const char *name, const char *etag, int64_t offset, void *buf,
    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *err)
{
	struct store_read r = { .store = s, .name = name, .offset = offset, .len = len,
	    .sink = copy_sink, .arg = buf };
	struct err e = ERR_EMPTY;
	struct store_attr now;
	int look_at = 1, failed = 0;

	str_format(r.etag, sizeof(r.etag), "%s", etag != NULL ? etag : "");
	begin(&r);
	if (len > 0) {
		failed = http_do(s->http, &r.call, &e) != 0;
		failed = read_ended(&r, !failed, &look_at, &e) != 0;
	}
	if (look_at && (failed || r.etag[0] != '\0' || ret_attr != NULL || r.received < len))
		failed = check_small(&r, failed, &now, &e) != 0;
	if (failed) {
		gen1_failed_on(s, name, &e);
		if (err != NULL)
			*err = e;
	} else {
		*ret_len = r.received;
		if (ret_attr != NULL)
			*ret_attr = now;
	}
	http_call_done(&r.call);
	return (failed ? -1 : 0);
}
