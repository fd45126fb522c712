#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "azure/blob.h"
#include "base/clock.h"

/*
 * A read that somebody waits for and that has no answer after thrice the usual time is asked
 * for once more, over another connection; whose bytes come first goes on, the other is
 * cancelled (Dean and Barroso, "The Tail at Scale", 2013: hedged requests).  At most
 * three of a hundred reads.
 */
#define SLOW_MIN_MS	100
#define SLOW_TIMES	3
#define SLOW_UNKNOWN_MS	1000		/* before it is known what is usual */
#define HEADS_MIN	8
#define REPEAT_EARNED	3		/* by each read; one may be owed */
#define REPEAT_PRICE	100
#define REPEATS_MAX	(8 * REPEAT_PRICE)
#define STALL_MS	2000		/* in a body; it goes on elsewhere from where it is */

enum fault { FAULT_NONE, FAULT_CHANGED, FAULT_SHORT, FAULT_RANGE, FAULT_SINK };

struct blob_second {
	struct http_call call;
	size_t		 received;
	int		 fault;
	int		 first_over, over;
	/* Whose end counts: that of the first bytes, or the first's; and how it ended. */
	const struct http_call *winner;
	int		 ok;
	struct err	 err;
};

/* Each of the two calls has its own. */
static size_t *
received_of(struct store_read *r, const struct http_call *call)
{
	return (r->second == NULL || call == &r->call ? &r->received : &r->second->received);
}

static int *
fault_of(struct store_read *r, const struct http_call *call)
{
	return (r->second == NULL || call == &r->call ? &r->fault : &r->second->fault);
}

static int
read_prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct store_read *r = call->arg;
	int64_t first = r->offset + call->response.body_received;

	*received_of(r, call) = (size_t)call->response.body_received;
	if (first == r->offset + (int64_t)r->len) /* all came, only the answer's end did not */
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
check_answer(struct store_read *r, const struct http_response *a, size_t received)
{
	int64_t first = r->offset + (int64_t)received;

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

/* The median moves a little towards each value.  On the network thread. */
static void
learn(struct store *s, int head_ms)
{
	int median = s->head_median, step = median / 8 + 1, off = head_ms * 16 - median;

	if (s->nheads == 0)
		step = off;
	s->head_median = median + (off > step ? step : off < -step ? -step : off);
	if (s->nheads < HEADS_MIN)
		s->nheads++;
}

/* The first bytes of a try.  -1: the other call had them before. */
static int
begin_body(struct store_read *r, struct http_call *call)
{
	struct blob_second *x = r->second;

	if (call->response.body_received == 0)
		learn(r->store, call->response.head_ms);
	if (x == NULL || x->winner == call)
		return (0);
	if (x->winner != NULL)
		return (-1);
	x->winner = call;
	http_cancel(r->store->http, call == &r->call ? &x->call : &r->call);
	return (0);
}

static int
read_sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct store_read *r = call->arg;
	int *fault = fault_of(r, call);

	if ((size_t)offset == *received_of(r, call)) {
		*fault = (int)check_answer(r, &call->response, (size_t)offset);
		if (*fault != FAULT_NONE || begin_body(r, call) != 0)
			return (-1);
	} else if (r->second != NULL && r->second->winner != call)
		return (-1);
	if (len > r->len - (size_t)offset) {
		*fault = FAULT_RANGE;
		return (-1);
	}
	if (r->sink(r, (size_t)offset, bytes, len) != 0) {
		*fault = FAULT_SINK;
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
describe_fault(enum fault fault, const char *op, struct err *err)
{
	switch (fault) {
	case FAULT_CHANGED:
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, op, "the blob was replaced");
		break;
	case FAULT_SHORT:
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, op,
		    "the blob is shorter than it was");
		break;
	case FAULT_RANGE:
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, op,
		    "the answer is not the range that was asked for");
		break;
	default:
		err_set(err, ERR_SYSTEM, REMEDY_NONE, op, "the bytes found no place");
		break;
	}
}

/* How a call ended; 1: all is there. */
static int
settle(struct store_read *r, struct http_call *call, int ok, struct err *err)
{
	enum fault fault = (enum fault)*fault_of(r, call);
	size_t received = (size_t)call->response.body_received;
	struct arena mem = ARENA_EMPTY;

	*received_of(r, call) = received;
	if (received == r->len && fault == FAULT_NONE)
		return (1);
	if (ok && (received == r->len || r->short_ok))
		return (1);
	if (ok)
		fault = FAULT_SHORT;
	if (fault != FAULT_NONE)
		describe_fault(fault, call->op, err);
	else
		blob_explain(r->store, &call->response, 0, err);
	err_on(err, "%s", blob_url(r->store, r->name, NULL, &mem));
	arena_done(&mem);
	return (0);
}

/* Both have to be over; the first's failure ends the second. */
static void
one_over(struct store_read *r, struct http_call *call, int ok, struct err *err)
{
	struct blob_second *x = r->second;
	int is_first = call == &r->call;

	*(is_first ? &x->first_over : &x->over) = 1;
	if (x->winner == NULL && is_first) {
		x->winner = call;
		http_cancel(r->store->http, &x->call);
	}
	if (x->winner == call) {
		x->ok = settle(r, call, ok, err);
		x->err = *err;
	}
	http_call_done(call);
	if (!x->first_over || !x->over)
		return;
	r->second = NULL;
	r->done(r, x->ok ? NULL : &x->err);
	free(x);
}

static void
read_over(struct http_call *call, int ok, struct err *err)
{
	struct store_read *r = call->arg;

	if (r->second != NULL) {
		one_over(r, call, ok, err);
		return;
	}
	ok = settle(r, call, ok, err);
	http_call_done(call);
	r->done(r, ok ? NULL : err);
}

static void
fill_call(struct store_read *r, struct http_call *call)
{
	call->op = "read";
	call->prepare = read_prepare;
	call->sink = read_sink;
	call->judge = read_judge;
	call->done = read_over;
	call->arg = r;
	call->resumable = 1;
	call->priority = r->priority;
	call->deadline_ms = r->deadline_ms != 0 ? r->deadline_ms : blob_deadline(r->store);
	call->stall_ms = STALL_MS;
}

/* No answer for long. */
static void
read_slow(struct http_call *call)
{
	struct store_read *r = call->arg;
	struct store *s = r->store;

	if (r->second != NULL || call->response.body_received > 0 || s->repeats_left < 0)
		return;
	atomic_fetch_sub(&s->repeats_left, REPEAT_PRICE);
	r->second = mem_zalloc(sizeof(*r->second));
	fill_call(r, &r->second->call);
	r->second->call.priority = 0;
	http_submit(s->http, &r->second->call);
}

static int
slow_ms(struct store *s)
{
	int ms = SLOW_TIMES * s->head_median / 16;

	if (s->nheads < HEADS_MIN)
		return (SLOW_UNKNOWN_MS);
	return (ms > SLOW_MIN_MS ? ms : SLOW_MIN_MS);
}

static void
submit(struct store_read *r, int short_ok)
{
	memset(&r->call, 0, sizeof(r->call));
	r->received = 0;
	r->short_ok = short_ok;
	r->fault = FAULT_NONE;
	r->second = NULL;
	if (r->len == 0) {
		r->done(r, NULL);
		return;
	}
	blob_request_id(r->request_id);
	fill_call(r, &r->call);
	if (!short_ok) {
		r->call.slow = read_slow;
		r->call.slow_ms = slow_ms(r->store);
		if (r->priority == 0 && r->store->repeats_left < REPEATS_MAX)
			atomic_fetch_add(&r->store->repeats_left, REPEAT_EARNED);
	}
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
