#include <pthread.h>
#include <string.h>

#include "azure/blob.h"
#include "base/clock.h"

enum fault { FAULT_NONE, FAULT_CHANGED, FAULT_SHORT, FAULT_RANGE, FAULT_SINK };

static int
read_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct store_read *r = call->arg;
	int64_t first = r->offset + call->response.body_received;

	r->received = (size_t)call->response.body_received;
	if (r->received == r->len)	/* all came, only the end of the answer did not */
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, call->op, "nothing is left"));
	q->method = "GET";
	q->url = blob_url(r->store, r->name, NULL, &call->scratch);
	q->headers[q->nheaders++] = (struct http_header){ "x-ms-range",
	    arena_printf(&call->scratch, "bytes=%lld-%lld", (long long)first,
	    (long long)(r->offset + (int64_t)r->len - 1)) };
	if (r->etag[0] != '\0')
		q->headers[q->nheaders++] = (struct http_header){ "If-Match", r->etag };
	return (auth_storage_request(&r->store->auth, q, r->request_id, &call->scratch,
	    &r->generation, err));
}

/* Is this the range that was asked for, of the blob that was opened? */
static enum fault
check_answer(struct store_read *r, const struct http_response *a)
{
	int64_t first = r->offset + (int64_t)r->received;

	if (a->status == 206 ? a->range_first != first : first != 0)
		return (FAULT_RANGE);
	if (r->etag[0] == '\0')
		memcpy(r->etag, a->etag, sizeof(r->etag));	/* the rest has to match this */
	else if (a->etag[0] != '\0' && strcmp(a->etag, r->etag) != 0)
		return (FAULT_CHANGED);
	if (!r->short_ok && a->range_total >= 0 && a->range_total < r->offset + (int64_t)r->len)
		return (FAULT_SHORT);
	return (FAULT_NONE);
}

static int
read_sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct store_read *r = call->arg;

	if ((size_t)offset == r->received &&
	    (r->fault = (int)check_answer(r, &call->response)) != FAULT_NONE)
		return (-1);
	if (len > r->len - (size_t)offset) {
		r->fault = FAULT_RANGE;
		return (-1);
	}
	if (r->sink(r, (size_t)offset, bytes, len) != 0) {
		r->fault = FAULT_SINK;
		return (-1);
	}
	return (0);
}

static enum http_verdict
read_judge(struct http_call *call, const struct http_response *a, int *ret_delay_ms)
{
	struct store_read *r = call->arg;

	return (blob_judge(r->store, r->generation, a, ret_delay_ms));
}

static void
describe_fault(struct store_read *r, struct err *err)
{
	switch ((enum fault)r->fault) {
	case FAULT_CHANGED:
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, r->call.op,
		    "the blob was replaced");
		break;
	case FAULT_SHORT:
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, r->call.op,
		    "the blob is shorter than it was");
		break;
	case FAULT_RANGE:
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, r->call.op,
		    "the answer is not the range that was asked for");
		break;
	default:
		err_set(err, ERR_SYSTEM, REMEDY_NONE, r->call.op, "the bytes found no place");
		break;
	}
}

static void
read_over(struct http_call *call, int ok, struct err *err)
{
	struct store_read *r = call->arg;
	struct arena mem = ARENA_EMPTY;

	r->received = (size_t)call->response.body_received;
	if (r->received == r->len && r->fault == FAULT_NONE)
		ok = 1;
	if (ok && r->received < r->len && !r->short_ok) {
		r->fault = FAULT_SHORT;
		ok = 0;
	}
	if (!ok) {
		if (r->fault != FAULT_NONE)
			describe_fault(r, err);
		else
			blob_explain(r->store, &call->response, 0, err);
		err_on(err, "%s", blob_url(r->store, r->name, NULL, &mem));
		arena_done(&mem);
	}
	http_call_done(call);
	r->done(r, ok ? NULL : err);
}

static void
submit(struct store_read *r, int short_ok)
{
	memset(&r->call, 0, sizeof(r->call));
	r->received = 0;
	r->short_ok = short_ok;
	r->fault = FAULT_NONE;
	if (r->len == 0) {
		r->done(r, NULL);
		return;
	}
	blob_request_id(r->request_id);
	r->call.op = "read";
	r->call.prepare = read_prepare;
	r->call.sink = read_sink;
	r->call.judge = read_judge;
	r->call.done = read_over;
	r->call.arg = r;
	r->call.resumable = 1;
	r->call.priority = r->priority;
	r->call.deadline_ms = r->deadline_ms != 0 ? r->deadline_ms : blob_deadline(r->store);
	http_submit(r->store->http, &r->call);
}

void
blob_read_submit(struct store_read *r)
{
	submit(r, 0);
}

/* ---- and wait ---------------------------------------------------------- */

struct small {
	struct store_read read;
	char		*buf;
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 cond;
	int		 over, ok;
	struct err	 err;
};

static int
small_sink(struct store_read *r, size_t at, const void *bytes, size_t len)
{
	struct small *s = r->arg;

	memcpy(s->buf + at, bytes, len);
	return (0);
}

static void
small_over(struct store_read *r, struct err *err)
{
	struct small *s = r->arg;

	pthread_mutex_lock(&s->lock);
	s->over = 1;
	s->ok = err == NULL;
	if (err != NULL)
		s->err = *err;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

static void
small_attr(const struct http_response *a, int64_t offset, size_t received,
    struct store_attr *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = a->range_total >= 0 ? a->range_total : offset + (int64_t)received;
	ret->mtime_unix_s = a->last_modified_unix_s;
	memcpy(ret->etag, a->etag, sizeof(ret->etag));
	ret->is_dir = a->is_folder_meta || strcmp(a->resource_type, "directory") == 0;
}

int
blob_read(struct store *store, const char *name, const char *etag, int64_t offset, void *buf,
    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *err)
{
	struct small s = { .buf = buf, .lock = PTHREAD_MUTEX_INITIALIZER,
	    .cond = PTHREAD_COND_INITIALIZER };
	struct store_read *r = &s.read;

	r->store = store;
	r->name = name;
	r->offset = offset;
	r->len = len;
	r->sink = small_sink;
	r->done = small_over;
	r->arg = &s;
	str_format(r->etag, sizeof(r->etag), "%s", etag != NULL ? etag : "");
	submit(r, 1);
	pthread_mutex_lock(&s.lock);
	while (!s.over)
		pthread_cond_wait(&s.cond, &s.lock);
	pthread_mutex_unlock(&s.lock);
	pthread_cond_destroy(&s.cond);
	pthread_mutex_destroy(&s.lock);
	if (!s.ok && r->call.response.status != 416) {	/* behind the end is no failure */
		if (err != NULL)
			*err = s.err;
		return (-1);
	}
	*ret_len = s.ok ? r->received : 0;
	if (ret_attr != NULL)
		small_attr(&r->call.response, s.ok ? offset : 0, *ret_len, ret_attr);
	return (0);
}
