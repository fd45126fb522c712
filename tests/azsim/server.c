#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exchange.h"

#define BACKLOG		1024
#define SILENT_S	300		/* a peer that stops in the middle of a message */
#define STACK_BYTES	(256 * 1024)

struct guest {
	struct sim *sim;
	int	 fd;
	struct tls_server *tls;		/* NULL: plain */
	uint64_t id;
};

int
server_listen(const char *host, int port, int *ret_fd, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(at);
	int one = 1, fd;

	if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
		return (err_set(err, ERR_USAGE, REMEDY_NONE, "listen", "%s is no IPv4 address",
		    host));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return (err_errno(err, "create a socket", NULL));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		close(fd);
		return (err_errno(err, "listen", host));
	}
	*ret_fd = fd;
	return (ntohs(at.sin_port));
}

static void *
serve(void *arg)
{
	struct guest *g = arg;
	struct peer p = { .fd = g->fd, .send_max = -1,
	    .rate_bytes_per_s = &g->sim->knobs.rate_bytes_per_s };
	struct timeval limit = { .tv_sec = SILENT_S };
	int one = 1;

	setsockopt(g->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(g->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (g->tls != NULL)
		p.tls = tls_conn_new(g->tls, g->fd);
	if (g->tls == NULL || p.tls != NULL)
		exchange_serve(g->sim, &p, g->id);
	tls_conn_free(p.tls);
	free(p.scratch);
	close(g->fd);
	free(g);
	return (NULL);
}

static void
admit(struct sim *sim, int listener, struct tls_server *tls, const pthread_attr_t *attr)
{
	static uint64_t last_id;
	struct guest *g;
	pthread_t thread;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			clock_sleep_ms(10);
		return;
	}
	g = mem_zalloc(sizeof(*g));
	*g = (struct guest){ sim, fd, tls, ++last_id };
	if (pthread_create(&thread, attr, serve, g) != 0) {
		close(fd);
		free(g);
	}
}

void
server_run(struct sim *sim, const int listeners[SERVER_LISTENERS])
{
	struct tls_server *const tls[SERVER_LISTENERS] = { NULL, sim->tls, sim->self_tls };
	struct pollfd fds[SERVER_LISTENERS];
	pthread_attr_t attr;
	int i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < SERVER_LISTENERS; i++)
		fds[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	for (;;) {
		if (poll(fds, SERVER_LISTENERS, -1) < 0)
			continue;
		for (i = 0; i < SERVER_LISTENERS; i++)
			if (fds[i].revents & POLLIN)
				admit(sim, fds[i].fd, tls[i], &attr);
	}
}
