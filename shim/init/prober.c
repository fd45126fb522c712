#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/httpd.h"
#include "base/log.h"
#include "base/mem.h"
#include "init/probe.h"

#define BODY_MAX	(64 * 1024)	/* read of an answer, so that its sender is not cut off */
#define FIRST_LINE	16		/* "HTTP/1.1 200" and some */
#define GUESTS_MAX	32
#define GUEST_MS	2000
#define HEAD_MAX	2048

/* One probe of the server. */
struct check {
	const struct spec_probe *spec;
	const char	*name;
	_Atomic int	*verdict, *failures;
	int		 fd;			/* a request is under way; -1: none */
	int64_t		 next_ms, deadline_ms;
	char		 line[FIRST_LINE];
	size_t		 got;			/* bytes of the answer so far */
	int		 is_sent;		/* the request is; before, it is being connected */
	int		 successes;		/* in a row */
};

/* Somebody who asks us. */
struct guest {
	int	 fd;				/* -1: none */
	int64_t	 deadline_ms;
	size_t	 len;
	char	 head[HEAD_MAX];
};

struct prober {
	const struct probe_options *opt;
	struct health	*health;
	int		 fd, listen_fd, run;
	struct check	 checks[2];
	struct guest	 guests[GUESTS_MAX];
	struct httpd_request req;		/* being answered */
	struct pollfd	 polls[2 + 2 + GUESTS_MAX];	/* init, listener, checks, guests */
};

/* ---- asking ------------------------------------------------------------ */

int
probe_read_status(const char *text, size_t len)
{
	long long status;
	char digits[4];

	if (len < 12 || strncmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ' ||
	    (len > 12 && text[12] != ' ' && text[12] != '\r'))
		return (0);
	memcpy(digits, text + 9, 3);
	digits[3] = '\0';
	return (str_to_i64(digits, 100, 599, &status) == 0 ? (int)status : 0);
}

static void
tell_init(const struct prober *p)
{
	if (send(p->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		_exit(0);		/* it is gone */
}

/* Liveness that was good stays so until it failed often enough, and so on. */
static void
judge(struct prober *p, struct check *c, int is_success)
{
	if (is_success) {
		*c->failures = 0;
		if (++c->successes >= c->spec->success_threshold)
			*c->verdict = HEALTH_GOOD;
		return;
	}
	c->successes = 0;
	if (++*c->failures < c->spec->failure_threshold)
		return;
	if (*c->verdict == HEALTH_GOOD)		/* before, it is only not ready yet */
		log_warning("%s probe %s on port %d failed %d times in a row", c->name,
		    c->spec->path, c->spec->port, (int)*c->failures);
	*c->verdict = HEALTH_BAD;
	if (c->verdict == &p->health->live)
		tell_init(p);
}

static void
finish(struct prober *p, struct check *c, int is_whole)
{
	int status = probe_read_status(c->line, c->got < FIRST_LINE ? c->got : FIRST_LINE);

	mem_close_fd(&c->fd);
	if (status == 0)
		log_debug("%s probe: %s", c->name, is_whole ? "no answer" : "no answer in time");
	judge(p, c, status >= 200 && status < 400);
}

static void
begin(struct prober *p, struct check *c, int64_t now)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)c->spec->port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	c->next_ms = now + c->spec->period_s * 1000;
	c->deadline_ms = now + c->spec->timeout_s * 1000;
	c->got = 0;
	c->is_sent = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || (connect(c->fd, (const void *)&to, sizeof(to)) != 0 &&
	    errno != EINPROGRESS))
		finish(p, c, 1);
}

/* The connection stands, or could not be made.  A fresh one takes a small request whole. */
static void
send_request(struct prober *p, struct check *c)
{
	char text[HEAD_MAX];

	if (str_format(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
	    "User-Agent: amlshim-probe/" AMLSHIM_VERSION "\r\nAccept: */*\r\n"
	    "Connection: close\r\n\r\n", c->spec->path, c->spec->port) != 0 ||
	    send(c->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		finish(p, c, 1);
	c->is_sent = 1;
}

static void
read_answer(struct prober *p, struct check *c)
{
	char bytes[4096];
	size_t room;
	ssize_t n;

	while (c->fd >= 0) {
		n = recv(c->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || c->got > BODY_MAX) {
			finish(p, c, 1);
			return;
		}
		room = c->got < FIRST_LINE ? FIRST_LINE - c->got : 0;
		if (room != 0)
			memcpy(c->line + c->got, bytes, (size_t)n < room ? (size_t)n : room);
		c->got += (size_t)n;
	}
}

/* The job was started (again): what was known of it is not true any more. */
static void
follow_run(struct prober *p)
{
	int64_t now = clock_ms();
	size_t i;

	if (p->run == p->health->run)
		return;
	p->run = p->health->run;
	p->health->live = HEALTH_GOOD;
	p->health->ready = HEALTH_UNKNOWN;
	for (i = 0; i < LENGTH(p->checks); i++) {
		mem_close_fd(&p->checks[i].fd);
		*p->checks[i].failures = 0;
		p->checks[i].successes = 0;
		p->checks[i].next_ms = now + p->checks[i].spec->initial_delay_s * 1000;
	}
	p->health->probed = p->run;
}

static int
is_asked(const struct prober *p, const struct check *c)
{
	return (c->spec->port != 0 && p->run != 0 && p->health->job_runs);
}

static int64_t
next_check_ms(const struct prober *p)
{
	int64_t next = INT64_MAX, at;
	size_t i;

	for (i = 0; i < LENGTH(p->checks); i++) {
		const struct check *c = &p->checks[i];

		at = c->fd >= 0 ? c->deadline_ms : is_asked(p, c) ? c->next_ms : INT64_MAX;
		if (at < next)
			next = at;
	}
	return (next);
}

static void
run_checks(struct prober *p)
{
	int64_t now = clock_ms();
	size_t i;

	for (i = 0; i < LENGTH(p->checks); i++) {
		struct check *c = &p->checks[i];

		if (c->fd >= 0 && now >= c->deadline_ms)
			finish(p, c, 0);
		if (c->fd < 0 && is_asked(p, c) && now >= c->next_ms)
			begin(p, c, now);
	}
}

/* ---- being asked ------------------------------------------------------- */

static void
answer(struct guest *g, int status, const char *text)
{
	char reply[512];

	str_format(reply, sizeof(reply), "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s\n",
	    status, httpd_reason(status), strlen(text) + 1, text);
	if (send(g->fd, reply, strlen(reply), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("who asked for our health is gone");
	shutdown(g->fd, SHUT_WR);
	mem_close_fd(&g->fd);
}

static void
answer_request(struct prober *p, struct guest *g)
{
	int refusal = httpd_parse_head(g->head, g->len, &p->req), for_ready;
	const char *flaw;

	if (refusal != 0) {
		answer(g, refusal, httpd_reason(refusal));
		return;
	}
	for_ready = strcmp(p->req.path, "/ready") == 0;
	if (!for_ready && strcmp(p->req.path, "/live") != 0) {
		answer(g, 404, "there are /live and /ready");
		return;
	}
	if (strcmp(p->req.method, "GET") != 0) {
		answer(g, 405, "only GET");
		return;
	}
	flaw = health_flaw(p->health, for_ready);
	answer(g, flaw == NULL ? 200 : 503, flaw == NULL ? for_ready ? "ready" : "live" : flaw);
}

static void
read_guest(struct prober *p, struct guest *g)
{
	ssize_t n = recv(g->fd, g->head + g->len, sizeof(g->head) - 1 - g->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		mem_close_fd(&g->fd);
		return;
	}
	g->len += (size_t)n;
	g->head[g->len] = '\0';
	if (memmem(g->head, g->len, "\r\n\r\n", 4) != NULL)
		answer_request(p, g);
	else if (g->len == sizeof(g->head) - 1)
		answer(g, 431, httpd_reason(431));
}

/* The one that has been here for longest makes room. */
static void
welcome(struct prober *p)
{
	struct guest *oldest;
	int fd, i;

	while ((fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		oldest = &p->guests[0];
		for (i = 0; i < GUESTS_MAX && oldest->fd >= 0; i++)
			if (p->guests[i].fd < 0 || p->guests[i].deadline_ms < oldest->deadline_ms)
				oldest = &p->guests[i];
		mem_close_fd(&oldest->fd);
		oldest->fd = fd;
		oldest->len = 0;
		oldest->deadline_ms = clock_ms() + GUEST_MS;
	}
}

static int64_t
next_guest_ms(struct prober *p)
{
	int64_t now = clock_ms(), next = INT64_MAX;
	int i;

	for (i = 0; i < GUESTS_MAX; i++) {
		struct guest *g = &p->guests[i];

		if (g->fd >= 0 && now >= g->deadline_ms)
			mem_close_fd(&g->fd);
		if (g->fd >= 0 && g->deadline_ms < next)
			next = g->deadline_ms;
	}
	return (next);
}

/* ---- the loop ---------------------------------------------------------- */

enum { POLL_INIT, POLL_LISTEN, POLL_CHECKS, POLL_GUESTS = POLL_CHECKS + 2 };

static void
wait_for_events(struct prober *p)
{
	int64_t next = next_guest_ms(p), at = next_check_ms(p), now = clock_ms();
	struct pollfd *f = p->polls;
	size_t i;

	if (at < next)
		next = at;
	f[POLL_INIT] = (struct pollfd){ .fd = p->fd, .events = POLLIN };
	f[POLL_LISTEN] = (struct pollfd){ .fd = p->listen_fd, .events = POLLIN };
	for (i = 0; i < LENGTH(p->checks); i++)
		f[POLL_CHECKS + i] = (struct pollfd){ .fd = p->checks[i].fd,
		    .events = p->checks[i].is_sent ? POLLIN : POLLOUT };
	for (i = 0; i < GUESTS_MAX; i++)
		f[POLL_GUESTS + i] = (struct pollfd){ .fd = p->guests[i].fd, .events = POLLIN };
	if (poll(f, LENGTH(p->polls), next == INT64_MAX ? -1 : next <= now ? 0 :
	    next - now > INT32_MAX ? INT32_MAX : (int)(next - now)) < 0)
		memset(f, 0, sizeof(p->polls));
}

static void
listen_to_init(const struct prober *p)
{
	char byte;
	ssize_t n;

	while ((n = recv(p->fd, &byte, 1, MSG_DONTWAIT)) > 0)
		;
	if (n == 0)
		_exit(0);
}

static void
handle_events(struct prober *p)
{
	const struct pollfd *f = p->polls;
	size_t i;

	if (f[POLL_INIT].revents != 0)
		listen_to_init(p);
	for (i = 0; i < GUESTS_MAX; i++)
		if (f[POLL_GUESTS + i].revents != 0)
			read_guest(p, &p->guests[i]);
	if (f[POLL_LISTEN].revents != 0)
		welcome(p);
	for (i = 0; i < LENGTH(p->checks); i++)
		if (f[POLL_CHECKS + i].revents != 0 && p->checks[i].is_sent)
			read_answer(p, &p->checks[i]);
		else if (f[POLL_CHECKS + i].revents != 0)
			send_request(p, &p->checks[i]);
}

void
prober_main(const struct probe_options *opt, struct health *health, int fd, int listen_fd)
{
	struct prober *p = mem_zalloc(sizeof(*p));	/* too large to be there in every process */
	size_t i;

	p->opt = opt;
	p->health = health;
	p->fd = fd;
	p->listen_fd = listen_fd;
	p->checks[0] = (struct check){ .spec = &opt->liveness, .name = "liveness", .fd = -1,
	    .verdict = &health->live, .failures = &health->live_failures };
	p->checks[1] = (struct check){ .spec = &opt->readiness, .name = "readiness", .fd = -1,
	    .verdict = &health->ready, .failures = &health->ready_failures };
	for (i = 0; i < GUESTS_MAX; i++)
		p->guests[i].fd = -1;
	for (;;) {
		follow_run(p);
		run_checks(p);
		wait_for_events(p);
		handle_events(p);
	}
}
