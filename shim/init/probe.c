#include "init/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "base/wire.h"
#include "init/worker.h"

#define AGAIN_MS	1000
#define BACKLOG		64

int
probe_is_wanted(const struct probe_options *opt)
{
	return (opt->liveness.port != 0 || opt->readiness.port != 0 || opt->listen_port != 0);
}

/* On all addresses of both families; where IPv6 is off, of the other. */
static int
bind_any(int port)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6,
	    .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_ANY_INIT };
	const struct sockaddr_in four = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port) };
	int fd, on = 1, off = 0;

	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		if (bind(fd, (const void *)&six, sizeof(six)) == 0)
			return (fd);
		close(fd);
		if (errno != EADDRNOTAVAIL)
			return (-1);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return (-1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const void *)&four, sizeof(four)) == 0)
		return (fd);
	mem_close_fd(&fd);
	return (-1);
}

static int
open_listener(struct probe *p, struct err *err)
{
	if (p->opt.listen_port == 0)
		return (0);
	p->listen_fd = bind_any(p->opt.listen_port);
	if (p->listen_fd >= 0 && listen(p->listen_fd, BACKLOG) == 0)
		return (0);
	err_errno(err, "listen for health probes", NULL);
	return (err_on(err, "port %d (--health-listen)", p->opt.listen_port));
}

static int
fork_prober(struct probe *p, struct err *err)
{
	pid_t init_pid = getpid();
	int pair[2];

	if (wire_pair(pair, err) != 0)
		return (-1);
	p->pid = fork();
	if (p->pid == 0) {
		const int keep[] = { pair[1], p->listen_fd, trace_fd() };

		worker_become("prober", CONFINE_NETWORK, 0, keep, LENGTH(keep), init_pid);
		if (p->opt.hidden != NULL)
			secret_done(p->opt.hidden);
		prober_main(&p->opt, p->health, pair[1], p->listen_fd);
	}
	close(pair[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(pair[0]);
		return (err_errno(err, "start a process", "prober"));
	}
	p->fd = pair[0];
	p->again_ms = 0;
	return (0);
}

int
probe_start(struct probe *p, const struct probe_options *opt, struct health *health,
    struct err *err)
{
	*p = (struct probe){ .opt = *opt, .health = health, .fd = -1, .listen_fd = -1 };
	health->has_live = opt->liveness.port != 0;
	health->has_ready = opt->readiness.port != 0;
	if (open_listener(p, err) == 0 && fork_prober(p, err) == 0)
		return (0);
	mem_close_fd(&p->listen_fd);
	return (-1);
}

/* The message says nothing: all stands on the page.  One that is not read yet will do. */
void
probe_nudge(const struct probe *p)
{
	if (p->fd >= 0 && send(p->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		log_debug("the prober is gone");
}

int
probe_read(struct probe *p)
{
	const struct health *h = p->health;
	char byte;
	ssize_t n;

	while ((n = recv(p->fd, &byte, 1, MSG_DONTWAIT)) > 0)
		;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		mem_close_fd(&p->fd);		/* reaping tells that it died */
	return (h->probed == h->run && h->live == HEALTH_BAD);
}

void
probe_reaped(struct probe *p)
{
	log_warning("the prober ended; it is started again");
	p->pid = 0;
	mem_close_fd(&p->fd);
	p->again_ms = clock_ms() + AGAIN_MS;
}

void
probe_tick(struct probe *p)
{
	struct err err = ERR_EMPTY;

	if (p->again_ms == 0 || clock_ms() < p->again_ms)
		return;
	if (fork_prober(p, &err) != 0) {
		log_err(&err);
		p->again_ms = clock_ms() + AGAIN_MS;
	}
}

void
probe_end(struct probe *p)
{
	if (p->pid != 0 && kill(p->pid, SIGKILL) == 0)
		waitpid(p->pid, NULL, 0);
	p->pid = 0;
	mem_close_fd(&p->fd);
	mem_close_fd(&p->listen_fd);
}
