/*
 * The prober between two strangers: what the job's server answers a probe with, and what asks for
 * our health.  Whatever is sent, in however many pieces, gets one answer; a server is well only
 * if its first line says so.
 */

#include "fuzz.h"
#include "init/prober.c"

static struct health health = { .phase = SUP_RUNNING, .job_runs = 1, .has_live = 1 };
static struct prober prober = { .health = &health, .fd = -1 };

static void
send_all(int fd, const char *bytes, size_t len)
{
	must(len == 0 || send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

/* The status that the guest gets; 0: it was cut off. */
static int
asked(const char *bytes, size_t len, size_t first)
{
	static struct guest g;
	char reply[1024];
	ssize_t n;
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	g = (struct guest){ .fd = fds[1] };
	send_all(fds[0], bytes, first);
	read_guest(&prober, &g);
	if (g.fd >= 0 && len > first) {
		send_all(fds[0], bytes + first, len - first);
		while (g.fd >= 0 && (n = recv(g.fd, reply, 1, MSG_PEEK)) > 0)
			read_guest(&prober, &g);
	}
	n = recv(fds[0], reply, sizeof(reply) - 1, 0);
	mem_close_fd(&g.fd);
	close(fds[0]);
	if (n <= 0)
		return (0);
	reply[n] = '\0';
	must(strstr(reply, "\r\n\r\n") != NULL);
	return (probe_read_status(reply, (size_t)n));
}

static void
probed(const char *bytes, size_t len)
{
	static const struct spec_probe spec = { .success_threshold = 1, .failure_threshold = 1 };
	struct check c = { .spec = &spec, .name = "readiness", .verdict = &health.ready,
	    .failures = &health.ready_failures };
	int fds[2], status = len >= 12 ? probe_read_status(bytes, len) : 0;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	c.fd = fds[1];
	send_all(fds[0], bytes, len);
	shutdown(fds[0], SHUT_WR);
	read_answer(&prober, &c);
	must(c.fd < 0 && c.got <= len);
	must((health.ready == HEALTH_GOOD) == (status >= 200 && status < 400));
	close(fds[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	int status;

	if (size == 0 || size > 16384)
		return (0);
	status = asked(bytes, size, size);
	must(status == 0 || status >= 200);
	must(status != 503);
	if (memmem(bytes, size, "\r\n\r\n", 4) == bytes + size - 4)
		must(asked(bytes, size, size / 2) == status);
	probed(bytes, size);
	return (0);
}
