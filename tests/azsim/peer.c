#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "base/clock.h"

#define SLICE_US	5000		/* of traffic that moves at once when the rate is bounded */
#define SLICE_MIN	4096
#define END_MS		500
#define SENDFILE_MAX	(INT64_C(1) << 30)

/* How many of len bytes may move now; sleeps until they may. */
static int64_t
pace(const struct peer *p, int64_t *due_us, int64_t len)
{
	int64_t rate = *p->rate_bytes_per_s, slice, now;

	if (rate <= 0)
		return (len);
	slice = rate * SLICE_US / 1000000;
	if (slice < SLICE_MIN)
		slice = SLICE_MIN;
	if (len > slice)
		len = slice;
	now = clock_us();
	if (*due_us < now - SLICE_US)
		*due_us = now - SLICE_US;	/* an idle connection saves up no more */
	while (*due_us > now) {
		struct timespec wait = { .tv_sec = (*due_us - now) / 1000000,
		    .tv_nsec = (*due_us - now) % 1000000 * 1000 };

		nanosleep(&wait, NULL);
		now = clock_us();
	}
	*due_us += len * 1000000 / rate;
	return (len);
}

ssize_t
peer_recv(void *arg, void *out, size_t size)
{
	struct peer *p = arg;
	ssize_t n;

	size = (size_t)pace(p, &p->in_due_us, (int64_t)size);
	if (p->tls != NULL)
		n = tls_recv(p->tls, out, size);
	else
		do
			n = recv(p->fd, out, size, 0);
		while (n < 0 && errno == EINTR);
	if (n > 0)
		p->received += n;
	/* What was granted and did not come is given back. */
	if (*p->rate_bytes_per_s > 0 && n < (ssize_t)size)
		p->in_due_us -= ((ssize_t)size - (n > 0 ? n : 0)) * INT64_C(1000000) /
		    *p->rate_bytes_per_s;
	return (n);
}

static int
send_plain(int fd, const void *data, size_t len, int more)
{
	const char *c = data;

	while (len > 0) {
		ssize_t n = send(fd, c, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (-1);
		c += n;
		len -= (size_t)n;
	}
	return (0);
}

/* Less than n when a fault cuts the answer; the peer is to be closed then. */
static int64_t
allowed(struct peer *p, int64_t n)
{
	if (p->send_max < 0)
		return (n);
	if (n > p->send_max)
		n = p->send_max;
	p->send_max -= n;
	return (n);
}

static int
send_bytes(struct peer *p, const void *data, size_t len, int more)
{
	int64_t may = allowed(p, (int64_t)len), at = 0;

	while (at < may) {
		int64_t n = pace(p, &p->out_due_us, may - at);
		const char *c = (const char *)data + at;
		int failed = p->tls != NULL ?
		    tls_send(p->tls, c, (size_t)n, more || at + n < may) :
		    send_plain(p->fd, c, (size_t)n, more || at + n < may);

		if (failed != 0)
			return (-1);
		at += n;
		p->sent += n;
	}
	return (may == (int64_t)len ? 0 : -1);
}

int
peer_send(void *arg, const void *data, size_t len)
{
	return (send_bytes(arg, data, len, 0));
}

int
peer_send_more(struct peer *p, const void *data, size_t len)
{
	return (send_bytes(p, data, len, 1));
}

static int
send_file_plain(int fd, int from, int64_t offset, int64_t len)
{
	off_t at = offset;

	while (len > 0) {
		ssize_t n = sendfile(fd, from, &at,
		    (size_t)(len < SENDFILE_MAX ? len : SENDFILE_MAX));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (-1);
		len -= n;
	}
	return (0);
}

int
peer_send_file(struct peer *p, int from, int64_t offset, int64_t len)
{
	int64_t may = allowed(p, len), at = 0;

	while (at < may) {
		int64_t n = pace(p, &p->out_due_us, may - at);
		int failed = p->tls != NULL ?
		    tls_send_file(p->tls, from, offset + at, n, 0) :
		    send_file_plain(p->fd, from, offset + at, n);

		if (failed != 0)
			return (-1);
		at += n;
		p->sent += n;
	}
	return (may == len ? 0 : -1);
}

void
peer_end(struct peer *p)
{
	struct pollfd wait = { .fd = p->fd, .events = POLLIN };
	int64_t until = clock_ms() + END_MS;
	char sink[16384];

	if (p->is_reset)
		return;
	if (p->tls != NULL && p->send_max < 0)
		tls_close(p->tls);
	if (shutdown(p->fd, SHUT_WR) != 0)
		return;
	while (clock_ms() < until && poll(&wait, 1, END_MS) > 0 &&
	    recv(p->fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

void
peer_reset(struct peer *p)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	p->send_max = 0;
	p->is_reset = 1;
}
