#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "azure/ca.h"
#include "azure/http.h"
#include "azure/http_answer.h"
#include "azure/http_lib.h"
#include "base/clock.h"
#include "base/trace.h"

#define CONNECTIONS_DEFAULT	64
#define CONNECT_TIMEOUT_MS	10000
#define STALL_TIMEOUT_MS	20000
#define CALL_TIMEOUT_MS		(5 * 60 * 1000)
#define STALL_DOUBLINGS		3	/* a slow answer gets 8 times as long in the end */
#define TELLING_SILENCE_MS	2000	/* at the end it says more than an earlier failure */
#define PROGRESS		65536	/* a try that brought so much was no failure */
#define LIMIT_FLOOR		4	/* of calls under way when throttled */
#define THREAD_STACK		(512 * 1024)	/* musl's default is 128 KiB */
#define PRIORITIES		3
#define THREAD_CALLS		4	/* so few at a time are not worth another thread */
#define THREAD_CONNECTIONS	8	/* a thread has at least so many */

enum job_state { JOB_QUEUED, JOB_SLEEPING, JOB_RUNNING };

/* Where http_do() waits. */
struct waiter {
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 cond;
	int		 over, ok;
	struct err	 err;
};

/* A call in the engine.  Its network thread's own but for what http.lock guards. */
struct job {
	struct http_try	 try;			/* first: found again from it */
	struct loop	*loop;
	struct job	*next, *prev;		/* inbox and spare: http.lock */
	struct job	*next_cancelled;	/* http.lock */
	int		 cancelled, hurried;	/* http.lock */
	struct job	*next_hurried;		/* http.lock */
	struct http_call *call;
	struct waiter	*waiter;		/* NULL: call->done is called */
	enum job_state	 state;
	int64_t		 deadline_ms;
	int64_t		 timer_ms;		/* when to look at it again */
	size_t		 timer_at;		/* place in the heap + 1; 0: in none */
	int64_t		 base;			/* body_received when the try began */
	int64_t		 began_us;		/* of the try, for the trace */
	int		 told_slow;
	int		 failures;		/* in a row, without progress */
	int		 stalls;
	struct err	 last;			/* why the last try failed */
};

struct queue {
	struct job	*head, *tail;
};

/* A network thread, its connections, and the calls that were given to it. */
struct loop {
	struct http	*http;
	struct http_lib	*lib;
	pthread_t	 thread;
	unsigned int	 index;

	/* Guarded by http.lock. */
	struct queue	 inbox;
	struct job	*cancelled, *hurried;
	unsigned int	 ncalls;	/* submitted, not over */
	int		 awake;		/* the thread was woken and has not looked yet */

	/* The thread's own. */
	struct queue	 waiting[PRIORITIES];
	struct job	**timers;	/* heap, earliest first */
	size_t		 ntimers, timers_size;
	int		 running;
};

struct http {
	int		 max_connections, stall_timeout_ms, max_tries;
	unsigned int	 nloops;
	struct loop	 loops[HTTP_THREADS];

	pthread_mutex_t	 lock;	/* guards the next four, and what it says above; innermost */
	struct job	*spare;
	int		 stopping;
	int		 good;		/* answers since limit last changed */
	int64_t		 cut_ms;	/* when limit was halved last */
	_Atomic int	 limit;		/* of calls under way, in all loops; see adjust_limit */

	_Atomic int64_t	 requests, retries, bytes_in, bytes_out, throttled, in_flight;
	_Atomic int64_t	 first_byte[HTTP_BUCKETS];
	struct { const char *_Atomic op; _Atomic int64_t tries; } ops[HTTP_OPS];
};

/* ---- lists and timers -------------------------------------------------- */

static void
queue_add(struct queue *q, struct job *j, int at_head)
{
	j->next = at_head ? q->head : NULL;
	j->prev = at_head ? NULL : q->tail;
	*(j->next != NULL ? &j->next->prev : &q->tail) = j;
	*(j->prev != NULL ? &j->prev->next : &q->head) = j;
}

static void
queue_remove(struct queue *q, struct job *j)
{
	*(j->next != NULL ? &j->next->prev : &q->tail) = j->prev;
	*(j->prev != NULL ? &j->prev->next : &q->head) = j->next;
	j->next = j->prev = NULL;
}

static struct queue *
queue_of(struct loop *l, const struct job *j)
{
	int p = j->call->priority;

	return (&l->waiting[p < 0 ? 0 : p >= PRIORITIES ? PRIORITIES - 1 : p]);
}

static void
heap_put(struct loop *l, size_t at, struct job *j)
{
	l->timers[at] = j;
	j->timer_at = at + 1;
}

static void
heap_sift(struct loop *l, size_t at, struct job *j)
{
	size_t child, parent;

	for (; at > 0; at = parent) {
		parent = (at - 1) / 2;
		if (l->timers[parent]->timer_ms <= j->timer_ms)
			break;
		heap_put(l, at, l->timers[parent]);
	}
	for (; (child = 2 * at + 1) < l->ntimers; at = child) {
		if (child + 1 < l->ntimers &&
		    l->timers[child + 1]->timer_ms < l->timers[child]->timer_ms)
			child++;
		if (l->timers[child]->timer_ms >= j->timer_ms)
			break;
		heap_put(l, at, l->timers[child]);
	}
	heap_put(l, at, j);
}

static void
timer_set(struct loop *l, struct job *j, int64_t when_ms)
{
	if (j->timer_at == 0) {
		if (l->ntimers == l->timers_size) {
			l->timers_size = l->timers_size > 0 ? 2 * l->timers_size : 64;
			l->timers = mem_grow(l->timers, l->timers_size * sizeof(struct job *));
		}
		j->timer_at = ++l->ntimers;
	}
	j->timer_ms = when_ms;
	heap_sift(l, j->timer_at - 1, j);
}

static void
timer_clear(struct loop *l, struct job *j)
{
	size_t at = j->timer_at;
	struct job *last;

	if (at == 0)
		return;
	last = l->timers[--l->ntimers];
	j->timer_at = 0;
	if (last != j)
		heap_sift(l, at - 1, last);
}

/* ---- the end of a call ------------------------------------------------- */

static void
unlink_cancelled(struct loop *l, struct job *j)
{
	struct job **p;

	for (p = &l->cancelled; *p != NULL; p = &(*p)->next_cancelled)
		if (*p == j) {
			*p = j->next_cancelled;
			return;
		}
}

static void
unlink_hurried(struct loop *l, struct job *j)
{
	struct job **p;

	for (p = &l->hurried; *p != NULL; p = &(*p)->next_hurried)
		if (*p == j) {
			*p = j->next_hurried;
			return;
		}
}

static void
waiter_tell(struct waiter *w, int ok, const struct err *err)
{
	pthread_mutex_lock(&w->lock);
	w->over = 1;
	w->ok = ok;
	w->err = *err;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

/* The caller may free the call, or submit it again, from done() on. */
static void
finish(struct loop *l, struct job *j, const struct err *failure)
{
	const char *url = j->try.request.url;
	struct http_call *call = j->call;
	struct waiter *waiter = j->waiter;
	struct err err = ERR_EMPTY;
	char printable[sizeof(err.resource)];

	timer_clear(l, j);
	if (failure != NULL) {
		err = *failure;
		err_doing(&err, call->op);
		if (url != NULL)
			err_on(&err, "%s", http_printable_url(url, printable, sizeof(printable)));
	}
	pthread_mutex_lock(&l->http->lock);
	call->engine = NULL;
	if (j->cancelled)
		unlink_cancelled(l, j);
	if (j->hurried)
		unlink_hurried(l, j);
	l->ncalls--;
	j->next = l->http->spare;
	l->http->spare = j;
	pthread_mutex_unlock(&l->http->lock);
	if (waiter != NULL)
		waiter_tell(waiter, failure == NULL, &err);
	else
		call->done(call, failure == NULL, &err);
}

static void
finish_with(struct loop *l, struct job *j, enum err_kind kind, enum err_remedy remedy,
    const char *cause)
{
	struct err err;

	err_set(&err, kind, remedy, j->call->op, "%s", cause);
	finish(l, j, &err);
}

/* The deadline is near or past: the last failure says more than the clock does. */
static void
finish_late(struct loop *l, struct job *j)
{
	if (j->last.kind != ERR_NONE)
		finish(l, j, &j->last);
	else
		finish_with(l, j, ERR_UNREACHABLE, REMEDY_RETRY_LATER,
		    "no connection became free in the time given");
}

static void
enqueue(struct loop *l, struct job *j, int at_head)
{
	j->state = JOB_QUEUED;
	queue_add(queue_of(l, j), j, at_head);
	timer_set(l, j, j->deadline_ms);
}

static void
retry_after(struct loop *l, struct job *j, int delay_ms)
{
	int64_t when_ms = clock_ms() + delay_ms;
	int max_tries = j->call->max_tries > 0 ? j->call->max_tries : l->http->max_tries;

	if ((max_tries > 0 && j->call->tries >= max_tries) ||
	    when_ms >= j->deadline_ms) {
		finish_late(l, j);
		return;
	}
	atomic_fetch_add_explicit(&l->http->retries, 1, memory_order_relaxed);
	if (delay_ms <= 0) {
		enqueue(l, j, 1);
		return;
	}
	j->state = JOB_SLEEPING;
	timer_set(l, j, when_ms);
}

/* ---- the start of a try ------------------------------------------------ */

static int
check_request(const struct http_call *call, const struct http_request *q, struct err *err)
{
	size_t i;

	if (q->method == NULL || q->url == NULL || q->nheaders > HTTP_HEADERS_MAX)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, call->op,
		    "incomplete request"));
	for (i = 0; i < q->nheaders; i++)
		if (strpbrk(q->headers[i].value, "\r\n") != NULL)
			return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, call->op,
			    "line break in header %s", q->headers[i].name));
	return (0);
}

static int
prepare(struct job *j, struct err *err)
{
	struct http_request *q = &j->try.request;
	struct http_call *call = j->call;

	arena_done(&call->scratch);
	memset(q, 0, sizeof(*q));
	q->body_fd = -1;
	if (!call->resumable || call->sink == NULL)
		call->response.body_received = 0;
	if (call->prepare(call, q, err) != 0)
		return (-1);
	return (check_request(call, q, err));
}

/* A body that began is waited for less long: the rest comes sooner over another connection. */
static int64_t
stall_ms(const struct loop *l, const struct job *j)
{
	int doublings = j->stalls < STALL_DOUBLINGS ? j->stalls : STALL_DOUBLINGS;
	int begun = j->call->resumable && j->call->response.body_received > j->base;

	return ((int64_t)(begun && j->call->stall_ms > 0 ? j->call->stall_ms :
	    l->http->stall_timeout_ms) << doublings);
}

/*
 * When this try is slow; INT64_MAX: that is not asked for, was told, its answer began, or
 * nobody waits for it.
 */
static int64_t
slow_at(const struct job *j)
{
	const struct http_call *call = j->call;

	if (call->slow == NULL || j->told_slow || call->priority != 0 ||
	    call->response.head_ms >= 0)
		return (INT64_MAX);
	return (j->try.started_ms + call->slow_ms);
}

/* Look again when the first of deadline, stall and slowness can have come. */
static void
watch(struct loop *l, struct job *j)
{
	int64_t when_ms = j->try.progress_ms + stall_ms(l, j), slow_ms = slow_at(j);

	if (j->call->stall_ms > 0 && when_ms > j->try.progress_ms + j->call->stall_ms)
		when_ms = clock_ms() + j->call->stall_ms;	/* the body may begin meanwhile */
	if (when_ms > slow_ms)
		when_ms = slow_ms;
	timer_set(l, j, when_ms < j->deadline_ms ? when_ms : j->deadline_ms);
}

static void
start(struct loop *l, struct job *j)
{
	struct err err;

	if (prepare(j, &err) != 0) {
		finish(l, j, &err);
		return;
	}
	http_answer_reset(&j->call->response);
	j->call->tries++;
	j->base = j->call->response.body_received;
	j->try.call = j->call;
	j->try.deadline_ms = j->deadline_ms;
	/* What emptied a load balancer's table killed more than the one that was waited for. */
	j->try.fresh = j->stalls > 0;
	if (http_lib_start(l->lib, &j->try, &err) != 0) {
		finish(l, j, &err);
		return;
	}
	l->running++;
	j->began_us = trace_begin();
	atomic_fetch_add_explicit(&l->http->requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->http->in_flight, 1, memory_order_relaxed);
	j->state = JOB_RUNNING;
	watch(l, j);
}

/* ---- the end of a try -------------------------------------------------- */

/*
 * Additive increase, multiplicative decrease: tries begun before a cut tell nothing new.  One
 * limit for all loops: it is the service that asks for less.
 */
static void
adjust_limit(struct http *h, const struct job *j, int throttled)
{
	int limit;

	pthread_mutex_lock(&h->lock);
	limit = h->limit;
	if (throttled && j->try.started_ms > h->cut_ms) {
		h->cut_ms = clock_ms();
		limit = limit / 2 > LIMIT_FLOOR ? limit / 2 : LIMIT_FLOOR;
		h->limit = limit < h->max_connections ? limit : h->max_connections;
		h->good = 0;
	} else if (!throttled && limit < h->max_connections && ++h->good >= limit) {
		h->limit = limit + 1;
		h->good = 0;
	}
	pthread_mutex_unlock(&h->lock);
}

static void
judge(struct loop *l, struct job *j)
{
	struct http_call *call = j->call;
	struct http_response *r = &call->response;
	enum http_verdict verdict = http_default_verdict(r);
	int delay_ms = -1, ok = verdict == HTTP_OK, throttled = http_answer_throttled(r);

	if (ok || throttled)
		adjust_limit(l->http, j, throttled);
	if (call->judge != NULL)
		verdict = call->judge(call, r, &delay_ms);
	if (verdict == HTTP_OK) {
		finish(l, j, NULL);
		return;
	}
	http_answer_err(r, &j->last);
	if (verdict == HTTP_FAIL) {
		finish(l, j, &j->last);
		return;
	}
	j->failures++;
	retry_after(l, j, delay_ms >= 0 ? delay_ms : http_answer_delay_ms(r, j->failures));
}

/* A callback of ours ended the try. */
static void
finish_stopped(struct loop *l, struct job *j)
{
	switch (j->try.stop) {
	case HTTP_STOP_TOO_LONG:
		finish_with(l, j, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "answer is too long");
		break;
	case HTTP_STOP_BODY:
		if (j->try.stop_errno != 0) {
			errno = j->try.stop_errno;
			err_errno(&j->last, j->call->op, NULL);
		} else
			err_set(&j->last, ERR_CHANGED, REMEDY_NONE, j->call->op,
			    "the file became shorter while it was sent");
		finish(l, j, &j->last);
		break;
	default:
		finish_with(l, j, ERR_PROTOCOL, REMEDY_NONE, "answer refused by its receiver");
		break;
	}
}

/* No answer, or not all of it.  last says why. */
static void
fail_try(struct loop *l, struct job *j)
{
	static const struct http_response none = { .status = 0 };
	int64_t got = j->call->resumable ? j->call->response.body_received - j->base : 0;

	if (j->try.hopeless) {
		finish(l, j, &j->last);
		return;
	}
	if (got >= PROGRESS)
		j->failures = j->stalls = 0;
	j->failures++;
	if ((j->try.stale || got > 0) && j->failures <= 1)
		retry_after(l, j, 0);
	else
		retry_after(l, j, http_answer_delay_ms(&none, j->failures));
}

static void
trace_try(const struct job *j)
{
	char url[256];

	if (trace_on())
		trace_request("http", j->call->op, j->began_us,
		    http_printable_url(j->try.request.url, url, sizeof(url)), "status",
		    j->call->response.status);
}

static void
add(_Atomic int64_t *counter, int64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Names of operations are literals: few, and the same text is mostly the same address. */
static void
count_op(struct http *h, const char *op)
{
	const char *have;
	size_t i;

	for (i = 0; i < HTTP_OPS - 1; i++) {
		have = NULL;
		if (atomic_compare_exchange_strong(&h->ops[i].op, &have, op) || have == op ||
		    strcmp(have, op) == 0)
			break;
	}
	if (i == HTTP_OPS - 1)
		atomic_store(&h->ops[i].op, "other");
	add(&h->ops[i].tries, 1);
}

static void
count_answer(struct loop *l, const struct job *j)
{
	const struct http_response *r = &j->call->response;
	int bucket = 0;

	count_op(l->http, j->call->op);
	if (r->status == 0 || r->head_ms < 0)
		return;
	while (bucket < HTTP_BUCKETS - 1 && r->head_ms >= 1 << bucket)
		bucket++;
	add(&l->http->first_byte[bucket], 1);
	add(&l->http->throttled, http_answer_throttled(r));
}

static void
count(struct loop *l, const struct job *j)
{
	trace_try(j);
	count_answer(l, j);
	l->running--;
	add(&l->http->in_flight, -1);
	atomic_fetch_add_explicit(&l->http->bytes_in, j->call->response.body_received - j->base,
	    memory_order_relaxed);
	atomic_fetch_add_explicit(&l->http->bytes_out, j->try.body_sent, memory_order_relaxed);
}

static void
ended(void *arg, struct http_try *try)
{
	struct job *j = (struct job *)try;
	struct loop *l = arg;

	count(l, j);
	if (try->stop != HTTP_STOP_NONE) {
		finish_stopped(l, j);
	} else if (try->complete || j->call->response.status >= 300) {
		judge(l, j);	/* a refusal counts even if its explanation was cut */
	} else {
		j->last = try->err;
		fail_try(l, j);
	}
}

static void
stop_try(struct loop *l, struct job *j)
{
	http_lib_stop(l->lib, &j->try);
	count(l, j);
}

static void
timed_out(struct loop *l, struct job *j)
{
	int64_t silent_ms = clock_ms() - j->try.progress_ms;

	stop_try(l, j);
	if (clock_ms() >= j->deadline_ms) {
		if (j->last.kind == ERR_NONE || silent_ms >= TELLING_SILENCE_MS)
			http_answer_silence(&j->call->response, 0, &j->last);
		finish_late(l, j);
		return;
	}
	j->stalls++;
	http_answer_silence(&j->call->response, silent_ms, &j->last);
	fail_try(l, j);
}

/* ---- the network thread ------------------------------------------------ */

static void
run_timers(struct loop *l)
{
	int64_t now_ms = clock_ms();
	struct job *j;

	while (l->ntimers > 0 && (j = l->timers[0])->timer_ms <= now_ms) {
		switch (j->state) {
		case JOB_QUEUED:
			queue_remove(queue_of(l, j), j);
			finish_late(l, j);
			break;
		case JOB_SLEEPING:
			enqueue(l, j, 1);
			break;
		case JOB_RUNNING:
			if (now_ms >= slow_at(j)) {
				j->told_slow = 1;
				j->call->slow(j->call);
			}
			if (now_ms >= j->deadline_ms ||
			    now_ms >= j->try.progress_ms + stall_ms(l, j))
				timed_out(l, j);
			else
				watch(l, j);
			break;
		}
	}
}

/* Take a call out of whatever it waits for, and end it. */
static void
abandon(struct loop *l, struct job *j, const char *cause)
{
	if (j->state == JOB_QUEUED)
		queue_remove(queue_of(l, j), j);
	else if (j->state == JOB_RUNNING)
		stop_try(l, j);
	finish_with(l, j, ERR_UNREACHABLE, REMEDY_NONE, cause);
}

static void
accept_job(struct loop *l, struct job *j)
{
	struct http_call *call = j->call;

	j->deadline_ms = call->deadline_ms != 0 ? call->deadline_ms :
	    clock_ms() + CALL_TIMEOUT_MS;
	enqueue(l, j, 0);
}

/* A cancelled call that has left the inbox, or NULL. */
static struct job *
next_cancelled(struct loop *l)
{
	struct job *j;

	pthread_mutex_lock(&l->http->lock);
	for (j = l->cancelled; j != NULL && j->timer_at == 0; j = j->next_cancelled)
		continue;
	pthread_mutex_unlock(&l->http->lock);
	return (j);
}

/* A call that has left the inbox and is to be hurried, once; or NULL. */
static struct job *
next_hurried(struct loop *l)
{
	struct job *j;

	pthread_mutex_lock(&l->http->lock);
	for (j = l->hurried; j != NULL && j->timer_at == 0; j = j->next_hurried)
		continue;
	if (j != NULL) {
		unlink_hurried(l, j);
		j->hurried = 0;
	}
	pthread_mutex_unlock(&l->http->lock);
	return (j);
}

static void
hurry(struct loop *l, struct job *j)
{
	int queued = j->state == JOB_QUEUED;

	if (queued)
		queue_remove(queue_of(l, j), j);
	j->call->priority = 0;
	if (queued)
		queue_add(queue_of(l, j), j, 0);
	else if (j->state == JOB_RUNNING)
		watch(l, j);		/* it may be slow already */
}

/* Returns 0 when it is time to end. */
static int
read_inbox(struct loop *l)
{
	struct queue inbox;
	struct job *j, *next;
	int stopping;

	pthread_mutex_lock(&l->http->lock);
	inbox = l->inbox;
	l->inbox = (struct queue){ NULL, NULL };
	l->awake = 0;
	stopping = l->http->stopping;
	pthread_mutex_unlock(&l->http->lock);
	for (j = inbox.head; j != NULL; j = next) {
		next = j->next;
		accept_job(l, j);
	}
	while ((j = next_hurried(l)) != NULL)
		hurry(l, j);
	while ((j = next_cancelled(l)) != NULL)
		abandon(l, j, "cancelled");
	return (!stopping);
}

/*
 * This loop's part of the limit.  Prefetch and background work leave an eighth of it to what
 * somebody waits for, or one.
 */
static int
limit_of(const struct loop *l, int priority)
{
	int n = (int)l->http->nloops, share = (l->http->limit + n - 1 - (int)l->index) / n;

	return (priority == 0 || share <= 1 ? share : share - (share + 7) / 8);
}

static void
start_waiting(struct loop *l)
{
	struct job *j;
	int p;

	for (p = 0; p < PRIORITIES; p++)
		while ((j = l->waiting[p].head) != NULL && l->running < limit_of(l, p)) {
			queue_remove(&l->waiting[p], j);
			start(l, j);
		}
}

/* Until the next timer; -1: for ever. */
static int
idle_ms(const struct loop *l)
{
	int64_t left_ms;

	if (l->ntimers == 0)
		return (-1);
	left_ms = l->timers[0]->timer_ms - clock_ms();
	return (left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms);
}

/* Every call has a timer as long as it is here. */
static void
end_all(struct loop *l)
{
	do {
		while (l->ntimers > 0)
			abandon(l, l->timers[0], "shutting down");
		read_inbox(l);	/* what the ends brought up */
	} while (l->ntimers > 0);
}

static void *
network_main(void *arg)
{
	struct loop *l = arg;

	while (read_inbox(l)) {
		run_timers(l);
		start_waiting(l);
		http_lib_wait(l->lib, idle_ms(l), ended, l);
	}
	end_all(l);
	return (NULL);
}

/* ---- the interface ----------------------------------------------------- */

static int
start_thread(struct loop *l, struct err *err)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&l->thread, &attr, network_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	errno = rc;
	return (rc == 0 ? 0 : err_errno(err, "start the network thread", NULL));
}

static int
loop_start(struct http *h, const struct http_lib_options *o, struct err *err)
{
	struct loop *l = &h->loops[h->nloops];

	l->http = h;
	l->index = h->nloops;
	if ((l->lib = http_lib_new(o, err)) == NULL)
		return (-1);
	if (start_thread(l, err) != 0) {
		http_lib_free(l->lib);
		return (-1);
	}
	h->nloops++;
	return (0);
}

static void
release(struct http *h)
{
	struct job *j, *next;
	unsigned int i;

	for (i = 0; i < h->nloops; i++) {
		http_lib_free(h->loops[i].lib);
		free(h->loops[i].timers);
	}
	for (j = h->spare; j != NULL; j = next) {
		next = j->next;
		free(j);
	}
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static int
or_default(int n, int otherwise)
{
	return (n > 0 ? n : otherwise);
}

/* Not more than there are processors for, and none with a handful of connections. */
static int
threads_for(int wanted, int connections)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted > HTTP_THREADS)
		wanted = HTTP_THREADS;
	if (wanted > cpus)
		wanted = (int)cpus;
	if (wanted > connections / THREAD_CONNECTIONS)
		wanted = connections / THREAD_CONNECTIONS;
	return (wanted > 1 ? wanted : 1);
}

struct http *
http_new(const struct http_options *o, struct err *err)
{
	struct http *h = mem_zalloc(sizeof(*h));
	int max = or_default(o->max_connections, CONNECTIONS_DEFAULT);
	int threads = threads_for(o->threads, max);
	struct http_lib_options lib = {
		.max_connections = (max + threads - 1) / threads,
		.connect_timeout_ms = or_default(o->connect_timeout_ms, CONNECT_TIMEOUT_MS),
		.user_agent = o->user_agent != NULL ? o->user_agent : "amlshim/" AMLSHIM_VERSION,
		.ca_file = o->ca_file != NULL ? o->ca_file : ca_file(),
	};

	pthread_mutex_init(&h->lock, NULL);
	h->max_connections = max;
	h->limit = max;
	h->max_tries = o->max_tries;
	h->stall_timeout_ms = or_default(o->stall_timeout_ms, STALL_TIMEOUT_MS);
	while ((int)h->nloops < threads)
		if (loop_start(h, &lib, err) != 0) {
			http_free(h);
			return (NULL);
		}
	return (h);
}

void
http_free(struct http *h)
{
	unsigned int i;

	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->stopping = 1;
	pthread_mutex_unlock(&h->lock);
	for (i = 0; i < h->nloops; i++)
		http_lib_wake(h->loops[i].lib);
	for (i = 0; i < h->nloops; i++)
		pthread_join(h->loops[i].thread, NULL);
	release(h);
}

void
http_counts(const struct http *h, struct http_counts *ret)
{
	size_t i;

	ret->requests = atomic_load_explicit(&h->requests, memory_order_relaxed);
	ret->retries = atomic_load_explicit(&h->retries, memory_order_relaxed);
	ret->bytes_in = atomic_load_explicit(&h->bytes_in, memory_order_relaxed);
	ret->bytes_out = atomic_load_explicit(&h->bytes_out, memory_order_relaxed);
	ret->throttled = atomic_load_explicit(&h->throttled, memory_order_relaxed);
	ret->in_flight = atomic_load_explicit(&h->in_flight, memory_order_relaxed);
	for (i = 0; i < HTTP_BUCKETS; i++)
		ret->first_byte[i] = atomic_load_explicit(&h->first_byte[i],
		    memory_order_relaxed);
	for (i = 0; i < HTTP_OPS; i++) {
		ret->ops[i].op = atomic_load(&h->ops[i].op);
		ret->ops[i].tries = atomic_load_explicit(&h->ops[i].tries, memory_order_relaxed);
	}
}

/* Lock held.  The loop if it has to be woken: nobody else did since it looked; or NULL. */
static struct loop *
to_wake(struct loop *l)
{
	int was_awake = l->awake;

	l->awake = 1;
	return (was_awake ? NULL : l);
}

static void
wake(struct loop *l)
{
	if (l != NULL)
		http_lib_wake(l->lib);
}

/* The loop whose thread this is, or NULL. */
static struct loop *
own_loop(struct http *h)
{
	unsigned int i;

	for (i = 0; i < h->nloops; i++)
		if (pthread_equal(pthread_self(), h->loops[i].thread))
			return (&h->loops[i]);
	return (NULL);
}

/*
 * Lock held.  What a callback submits stays on its thread: calls that know of each other never run
 * at the same time.  The first loops are filled first, as they have open connections; when all have
 * something to do, the one with the least gets it.
 */
static struct loop *
choose_loop(struct http *h)
{
	struct loop *l, *best = own_loop(h);

	if (best != NULL)
		return (best);
	for (l = best = h->loops; l < h->loops + h->nloops; l++) {
		if (l->ncalls < THREAD_CALLS)
			return (l);
		if (l->ncalls < best->ncalls)
			best = l;
	}
	return (best);
}

static void
submit(struct http *h, struct http_call *call, struct waiter *waiter)
{
	struct loop *woken;
	struct job *j;

	call->tries = 0;
	call->response.body_received = 0;
	pthread_mutex_lock(&h->lock);
	if ((j = h->spare) != NULL)
		h->spare = j->next;
	else
		j = mem_alloc(sizeof(*j));
	memset(j, 0, sizeof(*j));
	j->call = call;
	j->waiter = waiter;
	j->loop = choose_loop(h);
	j->loop->ncalls++;
	call->engine = j;
	queue_add(&j->loop->inbox, j, 0);
	woken = to_wake(j->loop);
	pthread_mutex_unlock(&h->lock);
	wake(woken);
}

void
http_submit(struct http *h, struct http_call *call)
{
	submit(h, call, NULL);
}

void
http_cancel(struct http *h, struct http_call *call)
{
	struct loop *woken = NULL;
	struct job *j;

	pthread_mutex_lock(&h->lock);
	if ((j = call->engine) != NULL && !j->cancelled) {
		j->cancelled = 1;
		j->next_cancelled = j->loop->cancelled;
		j->loop->cancelled = j;
		woken = to_wake(j->loop);
	}
	pthread_mutex_unlock(&h->lock);
	wake(woken);
}

void
http_hurry(struct http *h, struct http_call *call)
{
	struct loop *woken = NULL;
	struct job *j;

	pthread_mutex_lock(&h->lock);
	if ((j = call->engine) != NULL && !j->hurried) {
		j->hurried = 1;
		j->next_hurried = j->loop->hurried;
		j->loop->hurried = j;
		woken = to_wake(j->loop);
	}
	pthread_mutex_unlock(&h->lock);
	wake(woken);
}

int
http_do(struct http *h, struct http_call *call, struct err *err)
{
	struct waiter w = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

	if (own_loop(h) != NULL)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, call->op,
		    "waiting on the network thread"));
	submit(h, call, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.over)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.cond);
	if (!w.ok && err != NULL)
		*err = w.err;
	return (w.ok ? 0 : -1);
}

void
http_call_done(struct http_call *call)
{
	arena_done(&call->scratch);
	buf_done(&call->response.error_body);
	buf_done(&call->response.continuation);
}
