/*
 * http: retries, resumption, stalls, deadlines, priorities, throttling and cancellation,
 * against a server in this process.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "azure/http.h"
#include "azure/http_answer.h"
#include "base/clock.h"
#include "base/sys.h"
#include "check.h"
#include "origin.h"

#define PATTERN_SIZE	(3 << 20)

static char pattern[PATTERN_SIZE];
static atomic_int tries_seen[16];	/* by the digit behind a path: /x/N */
static atomic_int order_next;
static atomic_int body_faults;
static atomic_int deaf;		/* requests to /deaf that got no answer */
static atomic_int busy, busy_max;	/* requests being worked on */

/* ---- the server -------------------------------------------------------- */

static int
seen(struct origin_conn *c)
{
	const char *digit = strrchr(c->http.req.path, '/') + 1;

	return (atomic_fetch_add(&tries_seen[atoi(digit) & 15], 1));
}

static enum origin_end
reply(struct origin_conn *c, int status, const char *headers, const char *body)
{
	return (httpd_reply(&c->http, status, headers, body, strlen(body)) == 0 &&
	    c->http.req.keep_alive ? ORIGIN_KEEP : ORIGIN_CLOSE);
}

/* The body has to be the pattern from its beginning. */
static int64_t
read_pattern(struct origin_conn *c)
{
	static _Thread_local char chunk[16384];
	int64_t at = 0;
	ssize_t n;

	while ((n = httpd_read_body(&c->http, chunk, sizeof(chunk))) > 0) {
		if (memcmp(chunk, pattern + at, (size_t)n) != 0)
			atomic_fetch_add(&body_faults, 1);
		at += n;
	}
	return (n < 0 ? -1 : at);
}

static enum origin_end
do_upload(struct origin_conn *c, int nth)
{
	static _Thread_local char chunk[4096];
	char text[32];
	int64_t n;

	if (str_starts(c->http.req.path, "/upload-reset") && nth == 0) {
		(void)httpd_read_body(&c->http, chunk, sizeof(chunk));
		return (ORIGIN_RESET);
	}
	n = read_pattern(c);
	snprintf(text, sizeof(text), "%lld %s", (long long)n, c->http.req.method);
	return (reply(c, str_starts(c->http.req.path, "/upload-busy") && nth == 0 ? 503 : 200,
	    NULL, text));
}

/* A range of the pattern; its first tries are cut: after 0, 100,000, 200,000 bytes. */
static enum origin_end
do_range(struct origin_conn *c, int nth)
{
	long long first = 0, last = PATTERN_SIZE - 1;
	char head[256];
	size_t len;

	sscanf(origin_header(c, "x-ms-range"), "bytes=%lld-%lld", &first, &last);
	len = (size_t)(last - first + 1);
	snprintf(head, sizeof(head), "HTTP/1.1 206 Partial Content\r\n"
	    "Content-Range: bytes %lld-%lld/%d\r\nContent-Length: %zu\r\nETag: \"e1\"\r\n\r\n",
	    first, last, PATTERN_SIZE, len);
	if (origin_send(c, head) != 0)
		return (ORIGIN_CLOSE);
	if (nth < 3)
		len = (size_t)nth * 100000;
	if (c->http.send(c->http.arg, pattern + first, len) != 0 || nth < 3)
		return (nth == 1 ? ORIGIN_RESET : ORIGIN_CLOSE);
	return (ORIGIN_KEEP);
}

static enum origin_end
do_odd_answers(struct origin_conn *c, const char *path)
{
	if (str_starts(path, "/continue"))
		return (origin_send(c, "HTTP/1.1 100 Continue\r\n\r\n"
		    "HTTP/1.1 103 Early Hints\r\nx-ms-error-code: No\r\n\r\n") == 0 ?
		    reply(c, 200, NULL, "after") : ORIGIN_CLOSE);
	if (str_starts(path, "/empty"))
		return (reply(c, 204, NULL, ""));
	if (str_starts(path, "/unchanged"))
		return (reply(c, 304, "ETag: \"e9\"\r\n", ""));
	if (str_starts(path, "/redirect"))
		return (reply(c, 302, "Location: http://127.0.0.1:1/\r\n", ""));
	if (str_starts(path, "/garbage")) {
		(void)origin_send(c, "BEGONE\r\n\r\n");
		return (ORIGIN_CLOSE);
	}
	if (str_starts(path, "/chunked-cut")) {
		(void)origin_send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "5\r\nhello\r\n5\r\nwo");
		return (ORIGIN_CLOSE);
	}
	return (reply(c, 404, "x-ms-error-code: BlobNotFound\r\n", "<Error/>"));
}

static void
work(int ms)
{
	int n = atomic_fetch_add(&busy, 1) + 1, max = atomic_load(&busy_max);

	while (n > max && !atomic_compare_exchange_weak(&busy_max, &max, n))
		continue;
	clock_sleep_ms(ms);
	atomic_fetch_sub(&busy, 1);
}

static enum origin_end
do_slow(struct origin_conn *c)
{
	char text[16];

	work(80);
	snprintf(text, sizeof(text), "%d", atomic_fetch_add(&order_next, 1));
	return (reply(c, 200, NULL, text));
}

static enum origin_end
serve(struct origin_conn *c)
{
	const char *path = c->http.req.path;
	int nth;

	if (str_starts(path, "/ok"))
		return (reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/slow"))
		return (do_slow(c));
	if (str_starts(path, "/big"))
		return (httpd_reply(&c->http, 200, NULL, pattern, PATTERN_SIZE) == 0 ?
		    ORIGIN_KEEP : ORIGIN_CLOSE);
	if (str_starts(path, "/hold")) {
		origin_hold(c);
		return (ORIGIN_CLOSE);
	}
	if (str_starts(path, "/deaf")) {	/* to what comes over a kept connection */
		if (c->nth == 1)
			return (reply(c, 200, NULL, "hello"));
		atomic_fetch_add(&deaf, 1);
		origin_hold(c);
		return (ORIGIN_CLOSE);
	}
	if (strrchr(path, '/') == path)
		return (do_odd_answers(c, path));
	nth = seen(c);
	if (str_starts(path, "/upload"))
		return (do_upload(c, nth));
	if (str_starts(path, "/range"))
		return (do_range(c, nth));
	if (str_starts(path, "/busy"))
		return (nth < 2 ? reply(c, 503, "x-ms-error-code: ServerBusy\r\n", "busy") :
		    reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/wait-s"))
		return (nth < 1 ? reply(c, 429, "Retry-After: 1\r\n", "") :
		    reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/wait-ms"))
		return (nth < 1 ? reply(c, 503, "x-ms-retry-after-ms: 150\r\n", "") :
		    reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/reset"))
		return (nth < 1 ? ORIGIN_RESET : reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/stall") && nth < 1) {
		if (str_starts(path, "/stall-body"))
			(void)origin_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
		origin_hold(c);
		return (ORIGIN_CLOSE);
	}
	if (str_starts(path, "/token"))
		return (nth < 1 ? reply(c, 401, NULL, "") : reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/stale"))
		return (c->nth > 1 ? (nth & 1 ? ORIGIN_RESET : ORIGIN_CLOSE) :
		    reply(c, 200, NULL, "hello"));
	if (str_starts(path, "/throttle")) {
		work(10);
		return (nth < 16 ? reply(c, 503, "x-ms-retry-after-ms: 20\r\n", "") :
		    reply(c, 200, NULL, "hello"));
	}
	return (reply(c, 200, NULL, "hello"));
}

/* ---- the client -------------------------------------------------------- */

struct ask {
	struct http_call call;
	const char	*base, *path, *method;
	const void	*body;
	size_t		 body_len;
	int		 body_fd;
	int64_t		 body_offset;
	int		 is_ranged;
	char		*got;
	atomic_int	 faults;
	atomic_int	 over;		/* 1: ok, -1: failed */
	struct err	 err;
};

static int
prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct ask *a = call->arg;

	if (a->path == NULL)
		return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "", "no path"));
	q->method = a->method != NULL ? a->method : "GET";
	q->url = arena_printf(&call->scratch, "%s%s?sv=1&sig=SECRET", a->base, a->path);
	q->headers[q->nheaders++] = (struct http_header){ "x-ms-client-request-id", "id" };
	if (a->is_ranged)
		q->headers[q->nheaders++] = (struct http_header){ "x-ms-range",
		    arena_printf(&call->scratch, "bytes=%lld-%d",
		    (long long)call->response.body_received, PATTERN_SIZE - 1) };
	q->body = a->body;
	q->body_len = a->body_len;
	q->body_fd = a->body_fd;
	q->body_offset = a->body_offset;
	return (0);
}

static int
sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct ask *a = call->arg;

	if (a->got == NULL)
		return (-1);
	if (offset < 0 || (size_t)offset + len > PATTERN_SIZE)
		a->faults++;
	else
		memcpy(a->got + offset, bytes, len);
	return (0);
}

static void
done(struct http_call *call, int ok, struct err *err)
{
	struct ask *a = call->arg;

	a->err = *err;
	atomic_store(&a->over, ok ? 1 : -1);
}

static void
ask_init(struct ask *a, struct origin *o, const char *path)
{
	memset(a, 0, sizeof(*a));
	a->base = o != NULL ? o->url : "http://no-such-host.invalid";
	a->path = path;
	a->body_fd = -1;
	a->call.op = "test";
	a->call.prepare = prepare;
	a->call.done = done;
	a->call.arg = a;
	a->call.deadline_ms = clock_ms() + 10000;
}

/* Ask and wait; the text of the answer, or "". */
static const char *
get(struct http *h, struct ask *a)
{
	a->err = ERR_EMPTY;
	atomic_store(&a->over, http_do(h, &a->call, &a->err) == 0 ? 1 : -1);
	return (buf_str(&a->call.response.error_body));
}

static int
wait_over(struct ask *a)
{
	int64_t until = clock_ms() + 10000;

	while (atomic_load(&a->over) == 0 && clock_ms() < until)
		clock_sleep_ms(1);
	return (atomic_load(&a->over));
}

/* With 16 connections or more, on as many threads as the machine has a use for. */
static struct http *
engine(int connections)
{
	struct http_options opt = { .max_connections = connections, .connect_timeout_ms = 2000,
	    .stall_timeout_ms = 200, .threads = HTTP_THREADS };
	struct err err;
	struct http *h = http_new(&opt, &err);
	char line[512];

	if (h == NULL) {
		printf("Bail out! %s\n", err_line(&err, line, sizeof(line)));
		exit(1);
	}
	return (h);
}

static void
reset_seen(void)
{
	size_t i;

	for (i = 0; i < LENGTH(tries_seen); i++)
		atomic_store(&tries_seen[i], 0);
}

/* ---- tests ------------------------------------------------------------- */

static void
test_plain(struct http *h, struct origin *o)
{
	struct ask a;
	int i, before = origin_connections(o);

	for (i = 0; i < 10; i++) {
		ask_init(&a, o, "/ok");
		check_str(get(h, &a), "hello");
		check_int(a.call.response.status, 200);
		check_int(a.call.response.content_length, 5);
		http_call_done(&a.call);
	}
	check_int(origin_connections(o) - before, 1);
	ask_init(&a, o, "/continue");
	check_str(get(h, &a), "after");
	check_str(a.call.response.error_code, "");
	http_call_done(&a.call);
	ask_init(&a, o, "/empty");
	check_str(get(h, &a), "");
	check_int(atomic_load(&a.over), 1);
	http_call_done(&a.call);
	ask_init(&a, o, "/ok");
	a.method = "HEAD";
	check_str(get(h, &a), "");
	check_int(a.call.response.content_length, 5);
	http_call_done(&a.call);
	ask_init(&a, o, "/ok");
	a.method = "DELETE";
	check_str(get(h, &a), "hello");
	http_call_done(&a.call);
}

static void
test_failures(struct http *h, struct origin *o)
{
	struct ask a;
	char line[1024];

	ask_init(&a, o, "/missing");
	check_str(get(h, &a), "<Error/>");
	check_int(a.err.kind, ERR_NOT_FOUND);
	check_int(a.err.http_status, 404);
	check_str(a.err.cause, "BlobNotFound");
	check_str(a.err.op, "test");
	check(str_ends(a.err.resource, "/missing"));
	check(strstr(err_line(&a.err, line, sizeof(line)), "SECRET") == NULL);
	check_int(a.call.tries, 1);
	http_call_done(&a.call);

	ask_init(&a, o, "/unchanged");
	get(h, &a);
	check_int(atomic_load(&a.over), -1);
	check_int(a.call.response.status, 304);
	check_str(a.call.response.etag, "\"e9\"");
	http_call_done(&a.call);

	ask_init(&a, o, "/redirect");
	get(h, &a);
	check_int(a.call.response.status, 302);
	check_str(a.call.response.location, "http://127.0.0.1:1/");
	http_call_done(&a.call);

	ask_init(&a, o, "/garbage");
	a.call.max_tries = 2;
	get(h, &a);
	check_int(a.err.kind, ERR_PROTOCOL);
	http_call_done(&a.call);

	ask_init(&a, o, "/chunked-cut");
	a.call.max_tries = 2;
	get(h, &a);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check_int(a.call.tries, 2);
	http_call_done(&a.call);

	ask_init(&a, o, NULL);
	get(h, &a);
	check_int(a.err.kind, ERR_USAGE);
	check_str(a.err.op, "test");
	http_call_done(&a.call);

	ask_init(&a, o, "/ok");
	a.call.sink = sink;		/* has no room: refuses */
	get(h, &a);
	check_int(a.err.kind, ERR_PROTOCOL);
	check_int(a.call.tries, 1);
	http_call_done(&a.call);
}

static void
test_unreachable(struct http *h)
{
	struct ask a;
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char url[64];

	ask_init(&a, NULL, "/");
	a.call.max_tries = 1;
	get(h, &a);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check_int(a.err.remedy, REMEDY_CHECK_DNS);
	check_int(a.call.response.stage, HTTP_AT_NAME);
	http_call_done(&a.call);

	/* Bound, but nobody listens. */
	if (bind(fd, (struct sockaddr *)&at, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		exit(1);
	snprintf(url, sizeof(url), "http://user:SECRET@127.0.0.1:%d", ntohs(at.sin_port));
	ask_init(&a, NULL, "/");
	a.base = url;
	a.call.max_tries = 3;
	get(h, &a);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check_int(a.err.remedy, REMEDY_CHECK_ENDPOINT);
	check_int(a.call.tries, 3);
	check_int(a.call.response.stage, HTTP_AT_CONNECT);
	check(strstr(a.err.resource, "SECRET") == NULL && strstr(a.err.cause, "SECRET") == NULL);
	http_call_done(&a.call);

	/* The kernel connects, and nobody says anything. */
	if (listen(fd, 8) != 0)
		exit(1);
	snprintf(url, sizeof(url), "https://localhost:%d", ntohs(at.sin_port));
	ask_init(&a, NULL, "/");
	a.base = url;
	a.call.max_tries = 1;
	get(h, &a);
	check_int(a.err.remedy, REMEDY_CHECK_HANDSHAKE);
	check_int(a.call.response.stage, HTTP_AT_TLS);
	check(strstr(a.err.cause, "no end of the TLS handshake for ") != NULL);
	http_call_done(&a.call);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	setenv("http_proxy", url, 1);
	ask_init(&a, NULL, "/");
	a.base = "https://127.0.0.2:1";
	setenv("https_proxy", url, 1);
	a.call.max_tries = 1;
	get(h, &a);
	check_int(a.err.remedy, REMEDY_CHECK_PROXY);
	check_int(a.call.response.stage, HTTP_AT_PROXY);
	http_call_done(&a.call);
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	close(fd);
}

static void
test_retries(struct http *h, struct origin *o)
{
	struct http_counts before, after;
	struct ask a;
	int64_t t;

	reset_seen();
	http_counts(h, &before);
	ask_init(&a, o, "/busy/1");
	check_str(get(h, &a), "hello");
	check_int(a.call.tries, 3);
	http_counts(h, &after);
	check_int(after.retries - before.retries, 2);
	check_int(after.requests - before.requests, 3);
	check_int(after.bytes_in - before.bytes_in, 5);
	http_call_done(&a.call);

	t = clock_ms();
	ask_init(&a, o, "/wait-s/2");
	check_str(get(h, &a), "hello");
	check(clock_ms() - t >= 1000 && clock_ms() - t < 8000);
	http_call_done(&a.call);

	t = clock_ms();
	ask_init(&a, o, "/wait-ms/3");
	check_str(get(h, &a), "hello");
	check(clock_ms() - t >= 150 && clock_ms() - t < 5000);
	http_call_done(&a.call);

	ask_init(&a, o, "/reset/4");
	check_str(get(h, &a), "hello");
	http_call_done(&a.call);

	/* Waiting beyond the deadline is no use: the failure comes at once. */
	reset_seen();
	t = clock_ms();
	ask_init(&a, o, "/wait-s/2");
	a.call.deadline_ms = t + 900;
	get(h, &a);
	check_int(a.err.http_status, 429);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check(clock_ms() - t < 800);
	http_call_done(&a.call);

	reset_seen();
	ask_init(&a, o, "/busy/1");
	a.call.max_tries = 2;
	check_str(get(h, &a), "busy");
	check_str(a.err.cause, "ServerBusy");
	check_int(a.err.remedy, REMEDY_RETRY_LATER);
	http_call_done(&a.call);
}

static enum http_verdict
retry_401(struct http_call *call, const struct http_response *r, int *ret_delay_ms)
{
	(void)call;
	*ret_delay_ms = 0;
	return (r->status == 401 ? HTTP_RETRY : http_default_verdict(r));
}

static void
test_judge(struct http *h, struct origin *o)
{
	struct ask a;

	reset_seen();
	ask_init(&a, o, "/token/5");
	a.call.judge = retry_401;
	check_str(get(h, &a), "hello");
	check_int(a.call.tries, 2);
	http_call_done(&a.call);
	reset_seen();
	ask_init(&a, o, "/token/5");
	get(h, &a);
	check_int(a.err.kind, ERR_DENIED);
	http_call_done(&a.call);
}

/* The server closes, or resets, a kept connection when the next request comes. */
static void
test_stale(struct http *h, struct origin *o)
{
	struct ask a;
	int64_t t;
	int i, round, fine = 0, quick = 0;

	/* On a busy machine nothing is quick: one round of some is enough. */
	for (round = 0; round < 5 && quick < 6; round++) {
		reset_seen();
		for (i = quick = 0; i < 8; i++) {
			ask_init(&a, o, "/stale/6");
			t = clock_ms();
			fine += strcmp(get(h, &a), "hello") == 0;
			quick += clock_ms() - t < 25;
			http_call_done(&a.call);
		}
	}
	check_int(fine, 8 * round);
	check(quick >= 6);	/* with a pause of up to 100 ms, two would be */

	/* Without a body too it counts: a first answer may be lost. */
	reset_seen();
	ask_init(&a, o, "/ok");
	check_str(get(h, &a), "hello");
	http_call_done(&a.call);
	ask_init(&a, o, "/stale/6");
	a.method = "PUT";
	check_str(get(h, &a), "hello");
	check_int(a.call.tries, 2);
	http_call_done(&a.call);
}

static void
test_stalls(struct http *h, struct origin *o)
{
	struct ask a;
	int64_t t;

	reset_seen();
	t = clock_ms();
	ask_init(&a, o, "/stall/7");
	check_str(get(h, &a), "hello");
	check(clock_ms() - t >= 200 && clock_ms() - t < 5000);
	http_call_done(&a.call);
	ask_init(&a, o, "/stall-body/8");
	check_str(get(h, &a), "hello");
	check_int(a.call.tries, 2);
	http_call_done(&a.call);

	t = clock_ms();
	ask_init(&a, o, "/hold");
	a.call.deadline_ms = t + 150;
	get(h, &a);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check(clock_ms() - t >= 150 && clock_ms() - t < 5000);
	http_call_done(&a.call);
	t = clock_ms();
	ask_init(&a, o, "/hold");
	a.call.deadline_ms = t + 1000;
	get(h, &a);
	check(a.call.tries >= 2);
	check(clock_ms() - t < 5000);
	http_call_done(&a.call);
}

/*
 * All kept connections are dead without a word, as when a load balancer has forgotten them: that
 * costs one stall, not one for each.
 */
static void
test_deaf(struct origin *o)
{
	struct http *h = engine(4);
	struct ask asks[4], a;
	size_t i;

	for (i = 0; i < LENGTH(asks); i++) {
		ask_init(&asks[i], o, "/slow");
		http_submit(h, &asks[i].call);
	}
	for (i = 0; i < LENGTH(asks); i++) {
		check_int(wait_over(&asks[i]), 1);
		http_call_done(&asks[i].call);
	}
	ask_init(&a, o, "/deaf");
	check_str(get(h, &a), "hello");
	check_int(atomic_load(&deaf), 1);
	http_call_done(&a.call);
	http_free(h);
}

static void
on_slow(struct http_call *call)
{
	struct ask *a = call->arg;

	a->faults++;
}

/* Nobody waits for what is fetched ahead; who comes to wait for it later is told at once. */
static void
test_slow_hurried(struct origin *o)
{
	struct http_options opt = { .stall_timeout_ms = 60000 };
	struct http *h = http_new(&opt, NULL);
	int64_t until = clock_ms() + 5000;
	struct ask ahead, other;

	ask_init(&ahead, o, "/hold");
	ahead.call.priority = 1;
	ahead.call.slow = on_slow;
	ahead.call.slow_ms = 20;
	ask_init(&other, o, "/slow");			/* 80 ms */
	http_submit(h, &ahead.call);
	get(h, &other);
	check_int(ahead.faults, 0);
	http_hurry(h, &ahead.call);
	while (ahead.faults == 0 && clock_ms() < until)
		clock_sleep_ms(1);
	check_int(ahead.faults, 1);
	http_cancel(h, &ahead.call);
	wait_over(&ahead);
	http_call_done(&other.call);
	http_call_done(&ahead.call);
	http_free(h);
}

/* A body that stands still is left sooner than an answer that has not begun. */
static void
test_body_stall(struct origin *o)
{
	struct http_options opt = { .stall_timeout_ms = 60000 };
	struct http *h = http_new(&opt, NULL);
	struct ask a;

	reset_seen();
	ask_init(&a, o, "/stall-body/11");
	a.got = mem_zalloc(PATTERN_SIZE);
	a.call.sink = sink;
	a.call.resumable = 1;
	a.call.stall_ms = 60;
	check_str(get(h, &a), "");
	check_int(atomic_load(&a.over), 1);
	check_int(a.call.tries, 2);
	http_call_done(&a.call);
	free(a.got);

	ask_init(&a, o, "/slow");		/* 80 ms */
	a.call.slow = on_slow;
	a.call.slow_ms = 20;
	get(h, &a);
	check_int(atomic_load(&a.over), 1);
	check_int(a.faults, 1);
	check(a.call.response.head_ms >= 70);
	http_call_done(&a.call);
	ask_init(&a, o, "/slow");
	a.call.slow = on_slow;
	a.call.slow_ms = 5000;
	get(h, &a);
	check_int(a.faults, 0);
	http_call_done(&a.call);
	http_free(h);
}

static void
test_resume(struct http *h, struct origin *o)
{
	struct ask a;
	int64_t t = clock_ms();

	reset_seen();
	ask_init(&a, o, "/range/9");
	a.is_ranged = 1;
	a.got = mem_zalloc(PATTERN_SIZE);
	a.call.sink = sink;
	a.call.resumable = 1;
	check_str(get(h, &a), "");
	check_int(atomic_load(&a.over), 1);
	check_int(a.call.tries, 4);
	check_int(a.faults, 0);
	check_int(a.call.response.body_received, PATTERN_SIZE);
	check_int(a.call.response.range_total, PATTERN_SIZE);
	check(a.call.response.range_first > 200000);	/* what had come was not asked again */
	check(memcmp(a.got, pattern, PATTERN_SIZE) == 0);
	check(clock_ms() - t < 6000);
	http_call_done(&a.call);
	free(a.got);
}

static void
test_body_max(struct http *h, struct origin *o)
{
	struct ask a;

	ask_init(&a, o, "/big");
	get(h, &a);
	check_int(a.err.kind, ERR_PROTOCOL);
	check_int(a.call.tries, 1);
	http_call_done(&a.call);
	ask_init(&a, o, "/big");
	a.call.body_max = PATTERN_SIZE;
	get(h, &a);
	check_int(atomic_load(&a.over), 1);
	check_int(a.call.response.error_body.len, PATTERN_SIZE);
	http_call_done(&a.call);
}

static void
test_upload(struct http *h, struct origin *o)
{
	int fd = sys_memfd("pattern");
	char want[32];
	struct ask a;

	if (fd < 0 || write(fd, "junk", 4) != 4 ||
	    write(fd, pattern, PATTERN_SIZE) != PATTERN_SIZE)
		exit(1);
	snprintf(want, sizeof(want), "%d PUT", PATTERN_SIZE);
	reset_seen();
	ask_init(&a, o, "/upload/1");
	a.method = "PUT";
	a.body_fd = fd;
	a.body_offset = 4;
	a.body_len = PATTERN_SIZE;
	check_str(get(h, &a), want);
	http_call_done(&a.call);

	a.path = "/upload-busy/2";
	check_str(get(h, &a), want);
	check_int(a.call.tries, 2);
	http_call_done(&a.call);

	a.path = "/upload-reset/3";
	check_str(get(h, &a), want);
	http_call_done(&a.call);

	a.path = "/upload/4";
	a.body_len = PATTERN_SIZE + 1;	/* more than the file has */
	get(h, &a);
	check_int(a.err.kind, ERR_CHANGED);
	http_call_done(&a.call);

	ask_init(&a, o, "/upload/5");
	a.method = "POST";
	a.body = pattern;
	a.body_len = 1000;
	check_str(get(h, &a), "1000 POST");
	http_call_done(&a.call);
	ask_init(&a, o, "/upload/6");
	a.method = "PUT";
	check_str(get(h, &a), "0 PUT");
	http_call_done(&a.call);
	check_int(atomic_load(&body_faults), 0);
	close(fd);
}

static void
test_limits(struct origin *o, int connections)
{
	struct http *h = engine(connections);
	struct ask asks[80];
	int i, n = 4 * connections, ok = 0;

	atomic_store(&busy_max, 0);
	for (i = 0; i < n; i++) {
		ask_init(&asks[i], o, "/slow");
		http_submit(h, &asks[i].call);
	}
	for (i = 0; i < n; i++) {
		ok += wait_over(&asks[i]) == 1;
		http_call_done(&asks[i].call);
	}
	check_int(ok, n);
	check_int(atomic_load(&busy_max), connections);
	http_free(h);
}

struct follower {
	struct ask	 first, second;
	struct http	*http;
	pthread_t	 thread;
	int		 same;
};

static void
second_done(struct http_call *call, int ok, struct err *err)
{
	struct ask *a = call->arg;
	struct follower *f = (struct follower *)(void *)((char *)a -
	    offsetof(struct follower, second));

	f->same = pthread_equal(f->thread, pthread_self());
	done(call, ok, err);
}

static void
first_done(struct http_call *call, int ok, struct err *err)
{
	struct ask *a = call->arg;
	struct follower *f = (struct follower *)(void *)a;

	f->thread = pthread_self();
	http_submit(f->http, &f->second.call);
	done(call, ok, err);
}

/* What a callback submits is told of on the callback's thread. */
static void
test_followers(struct origin *o)
{
	struct http *h = engine(32);
	struct follower f[32];
	int i, same = 0;

	for (i = 0; i < 32; i++) {
		ask_init(&f[i].first, o, "/slow");
		ask_init(&f[i].second, o, "/ok");
		f[i].http = h;
		f[i].first.call.done = first_done;
		f[i].second.call.done = second_done;
		http_submit(h, &f[i].first.call);
	}
	for (i = 0; i < 32; i++) {
		wait_over(&f[i].first);
		check_int(wait_over(&f[i].second), 1);
		same += f[i].same;
		http_call_done(&f[i].first.call);
		http_call_done(&f[i].second.call);
	}
	check_int(same, 32);
	http_free(h);
}

static int
place(struct ask *a)
{
	int at = wait_over(a) == 1 ? atoi(buf_str(&a->call.response.error_body)) : -1;

	http_call_done(&a->call);
	return (at);
}

static void
test_priorities(struct origin *o)
{
	struct http *h = engine(1);
	struct ask asks[6];
	static const int priorities[] = { 0, 2, 1, 0, 0, 2 };
	int64_t until = clock_ms() + 5000;
	int i;

	atomic_store(&order_next, 0);
	for (i = 0; i < 6; i++) {
		ask_init(&asks[i], o, "/slow");
		asks[i].call.priority = priorities[i];
		http_submit(h, &asks[i].call);
		while (i == 0 && atomic_load(&busy) == 0 && clock_ms() < until)
			clock_sleep_ms(1);	/* then it has the only connection */
	}
	http_hurry(h, &asks[5].call);
	check_int(place(&asks[0]), 0);
	check_int(place(&asks[1]), 5);
	check_int(place(&asks[2]), 4);
	check_int(place(&asks[3]), 1);
	check_int(place(&asks[4]), 2);
	check_int(place(&asks[5]), 3);
	http_free(h);
}

static void
test_throttling(struct origin *o)
{
	struct http *h = engine(16);
	struct ask asks[48];
	int i, ok = 0;

	reset_seen();
	for (i = 0; i < 48; i++) {
		ask_init(&asks[i], o, "/throttle/10");
		http_submit(h, &asks[i].call);
	}
	while (atomic_load(&tries_seen[10]) < 26)
		clock_sleep_ms(1);
	atomic_store(&busy_max, 0);
	for (i = 0; i < 48; i++) {
		ok += wait_over(&asks[i]) == 1;
		http_call_done(&asks[i].call);
	}
	check_int(ok, 48);
	i = atomic_load(&busy_max);
	check(i >= 4 && i <= 13);
	http_free(h);
}

static void
test_cancel(struct http *h, struct origin *o)
{
	struct http_counts now;
	struct ask a, b;
	int ms = 0;

	ask_init(&a, o, "/hold");
	http_submit(h, &a.call);
	do {
		clock_sleep_ms(1);
		http_counts(h, &now);
	} while (now.in_flight == 0 && ++ms < 5000);
	check_int(now.in_flight, 1);
	http_cancel(h, &a.call);
	http_cancel(h, &a.call);
	check_int(wait_over(&a), -1);
	http_counts(h, &now);
	check_int(now.in_flight, 0);
	check_int(a.err.kind, ERR_UNREACHABLE);
	check_str(a.err.cause, "cancelled");
	http_cancel(h, &a.call);	/* too late: nothing happens */
	http_call_done(&a.call);
	ask_init(&b, o, "/hold");
	http_submit(h, &b.call);
	http_cancel(h, &b.call);	/* perhaps before it was begun */
	check_int(wait_over(&b), -1);
	http_call_done(&b.call);
}

static void
test_shutdown(struct origin *o, int connections)
{
	struct http *h = engine(connections);
	struct ask asks[32];
	int i, told = 0;

	for (i = 0; i < 2 * connections; i++) {	/* half of them under way, half waiting */
		ask_init(&asks[i], o, "/hold");
		http_submit(h, &asks[i].call);
	}
	clock_sleep_ms(20);
	http_free(h);
	for (i = 0; i < 2 * connections; i++) {
		told += atomic_load(&asks[i].over) == -1 &&
		    strcmp(asks[i].err.cause, "shutting down") == 0;
		http_call_done(&asks[i].call);
	}
	check_int(told, 2 * connections);
}

/* Many threads at once: submit, wait, cancel. */
static void *
hammer(void *arg)
{
	struct { struct http *h; struct origin *o; int bad; } *t = arg;
	struct ask a;
	int i;

	for (i = 0; i < 60; i++) {
		ask_init(&a, t->o, i % 3 == 2 ? "/hold" : "/ok");
		if (i % 3 == 2) {
			http_submit(t->h, &a.call);
			http_cancel(t->h, &a.call);
			t->bad += wait_over(&a) != -1;
		} else
			t->bad += strcmp(get(t->h, &a), "hello") != 0;
		http_call_done(&a.call);
	}
	return (NULL);
}

static void
test_threads(struct origin *o, int connections)
{
	struct http *h = engine(connections);
	struct { struct http *h; struct origin *o; int bad; } t[6];
	pthread_t threads[6];
	int i, bad = 0;

	for (i = 0; i < 6; i++) {
		t[i].h = h;
		t[i].o = o;
		t[i].bad = 0;
		if (pthread_create(&threads[i], NULL, hammer, &t[i]) != 0)
			exit(1);
	}
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		bad += t[i].bad;
	}
	check_int(bad, 0);
	http_free(h);
}

static void
line(struct http_response *r, const char *text)
{
	http_answer_line(r, text, strlen(text));
}

static void
test_head(void)
{
	struct http_response r = { .status = 0 };
	char longer[2048], url[64];
	int i, d;

	http_answer_reset(&r);
	line(&r, "HTTP/1.1 206 Partial Content\r\n");
	line(&r, "Content-Range: bytes 10-19/100\r\n");
	line(&r, "content-length:10\r\n");
	line(&r, "ETag: \"0x8D\"\r\n");
	line(&r, "Date: Mon, 23 Nov 2026 22:12:00 GMT\r\n");
	line(&r, "x-ms-meta-Hdi_isfolder: True\r\n");
	line(&r, "WWW-Authenticate: Negotiate\r\n");
	line(&r, "WWW-Authenticate: Bearer authorization_uri=x\r\n");
	line(&r, "WWW-Authenticate: Basic realm=y\r\n");
	check_int(r.status, 206);
	check_int(r.range_first, 10);
	check_int(r.range_total, 100);
	check_int(r.content_length, 10);
	check_str(r.etag, "\"0x8D\"");
	check_int(r.date_unix_s, 1795471920);
	check_int(r.is_folder_meta, 1);
	check_str(r.www_authenticate, "Bearer authorization_uri=x");

	line(&r, "HTTP/1.1 416 Range\r\n");
	check_str(r.etag, "");
	check_int(r.is_folder_meta, 0);
	line(&r, "Content-Range: bytes */7\r\n");
	check_int(r.range_first, -1);
	check_int(r.range_total, 7);
	line(&r, "Content-Range: bytes 99999999999999999999-1/8\r\n");
	check_int(r.range_first, -1);
	line(&r, "Retry-After: 99999999999999999999999999\r\n");
	check_int(r.retry_after_ms, -1);
	line(&r, "Retry-After: 120000\r\n");
	check_int(r.retry_after_ms, 3600000);
	line(&r, "Content-Length: 9007199254740993\r\n");	/* more than any service has */
	check_int(r.content_length, -1);
	line(&r, "ETag: \"a\rX: y\"\r\n");
	check_str(r.etag, "");
	line(&r, "no colon\r\n");
	line(&r, ":\r\n");
	line(&r, "");
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "ETag: ", 6);
	http_answer_line(&r, longer, sizeof(longer));
	check_str(r.etag, "");		/* a cut ETag would match nothing */
	memcpy(longer, "x-ms-error-code: ", 17);
	http_answer_line(&r, longer, sizeof(longer));
	check_int(strlen(r.error_code), sizeof(r.error_code) - 1);

	memset(&r, 0, sizeof(r));
	for (i = 0; i < 200; i++) {
		d = http_answer_delay_ms(&r, i % 20);
		if (d < 0 || d > 10000 || (i % 20 == 0 && d != 0) || (i % 20 == 1 && d > 100))
			break;
	}
	check_int(i, 200);
	check_str(http_printable_url("https://u:p@h/a%20b?sig=x", url, sizeof(url)),
	    "https://h/a%20b");
	check_str(http_printable_url("https://h?sig=a@b", url, sizeof(url)), "https://h");
	check_str(http_printable_url("https://h/@\x1b[31m", url, sizeof(url)), "https://h/@_[31m");
	check_str(http_printable_url("https://h/abc", url, 12), "https://h/a");
}

/* Addresses and networks in NO_PROXY are asked without the proxy, where nobody is. */
static void
test_no_proxy(struct origin *o)
{
	static const struct {
		const char *hosts;
		int	 is_asked;
	} rows[] = {
		{ "127.0.0.1", 1 },
		{ "10.0.0.0/8, 127.0.0.0/8", 1 },
		{ "127.0.0.1/32", 1 },
		{ "127.0.0.2", 0 },
		{ "10.0.0.0/8,127.0.1.0/24", 0 },
	};
	struct http *h = engine(2);	/* no connection that was made without */
	struct ask a;
	size_t i;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	for (i = 0; i < LENGTH(rows); i++) {
		setenv("NO_PROXY", rows[i].hosts, 1);
		ask_init(&a, o, "/ok");
		a.call.max_tries = 1;
		get(h, &a);
		if (!check_int(a.call.response.status, rows[i].is_asked ? 200 : 0))
			printf("# NO_PROXY=%s\n", rows[i].hosts);
		check_int(a.err.remedy, rows[i].is_asked ? REMEDY_NONE : REMEDY_CHECK_PROXY);
		http_call_done(&a.call);
	}
	unsetenv("NO_PROXY");
	unsetenv("http_proxy");
	http_free(h);
}

int
main(void)
{
	struct origin o;
	struct http *h;
	size_t i;

	for (i = 0; i < PATTERN_SIZE; i++)
		pattern[i] = (char)(i * 2654435761u >> 13);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	test_head();
	origin_start(&o, serve, NULL);
	h = engine(8);
	test_plain(h, &o);
	test_no_proxy(&o);
	test_failures(h, &o);
	test_unreachable(h);
	test_retries(h, &o);
	test_judge(h, &o);
	test_stale(h, &o);
	test_stalls(h, &o);
	test_deaf(&o);
	test_body_stall(&o);
	test_slow_hurried(&o);
	test_resume(h, &o);
	test_body_max(h, &o);
	test_upload(h, &o);
	test_limits(&o, 3);
	test_limits(&o, 20);
	test_followers(&o);
	test_priorities(&o);
	test_throttling(&o);
	test_cancel(h, &o);
	test_threads(&o, 8);
	test_threads(&o, 32);
	test_shutdown(&o, 2);
	test_shutdown(&o, 16);
	http_free(h);
	origin_stop(&o);
	return (check_done());
}
