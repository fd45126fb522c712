#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wire.h"

int
wire_is_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size), i, n;

	for (i = 0; i < len; i += n) {
		n = str_utf8_printable(text + i, len - i);
		if (n == 0)
			return (0);
	}
	return (len < size);
}

int
wire_pair(int fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return (err_errno(err, "make a socket pair", NULL));
	return (0);
}

static int
send_packet(int fd, const void *message, size_t size, int flags)
{
	ssize_t n;

	do
		n = send(fd, message, size, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return (-1);
	if ((size_t)n != size) {
		errno = EMSGSIZE;
		return (-1);
	}
	return (0);
}

int
wire_send(int fd, const void *message, size_t size)
{
	return (send_packet(fd, message, size, 0));
}

int
wire_send_now(int fd, const void *message, size_t size)
{
	return (send_packet(fd, message, size, MSG_DONTWAIT));
}

/* 1: readable or closed; 0: the deadline passed; -1: error. */
static int
wait_readable(int fd, int64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left_ms;
	int n;

	do {
		left_ms = -1;
		if (deadline_ms >= 0) {
			left_ms = deadline_ms - clock_ms();
			if (left_ms < 0)
				left_ms = 0;
		}
		n = poll(&p, 1, (int)left_ms);
	} while (n < 0 && errno == EINTR);
	return (n);
}

static int
receive(int fd, void *message, size_t size, int timeout_ms, int flags)
{
	int64_t deadline_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
	ssize_t n;
	int ready;

	for (;;) {
		ready = wait_readable(fd, deadline_ms);
		if (ready < 0)
			return (-1);
		if (ready == 0) {
			errno = ETIMEDOUT;
			return (-1);
		}
		n = recv(fd, message, size, MSG_DONTWAIT | MSG_TRUNC | flags);
		if (n >= 0)
			break;
		/* Reset: it ended with messages of ours unread.  Said once; its own come then. */
		if (errno != EINTR && errno != EAGAIN && errno != ECONNRESET)
			return (-1);
	}
	if (n <= 0)
		return (0);
	if ((size_t)n != size) {
		errno = EBADMSG;
		return (-1);
	}
	return (1);
}

int
wire_recv(int fd, void *message, size_t size, int timeout_ms)
{
	return (receive(fd, message, size, timeout_ms, 0));
}

int
wire_peek(int fd, void *message, size_t size, int timeout_ms)
{
	return (receive(fd, message, size, timeout_ms, MSG_PEEK));
}

int
wire_question(int fd, struct wire_ask *ask, struct wire_cred *ret, int timeout_ms)
{
	int64_t deadline_ms = clock_ms() + timeout_ms, left_ms;
	int rc;

	ask->serial = (uint64_t)clock_us();	/* later than that of any question before */
	if (wire_send(fd, ask, sizeof(*ask)) != 0)
		return (-1);
	do {
		left_ms = deadline_ms - clock_ms();
		rc = wire_recv(fd, ret, sizeof(*ret), left_ms < 0 ? 0 : (int)left_ms);
	} while (rc == 1 && ret->serial != ask->serial);
	return (rc);
}
