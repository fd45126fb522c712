#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "origin.h"

static ssize_t
from_peer(void *arg, void *to, size_t size)
{
	struct origin_conn *c = arg;

	return (recv(c->fd, to, size, 0));
}

static int
to_peer(void *arg, const void *bytes, size_t len)
{
	struct origin_conn *c = arg;
	const char *p = bytes;
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = send(c->fd, p, len, MSG_NOSIGNAL)) <= 0)
			return (-1);
	return (0);
}

int
origin_send(struct origin_conn *c, const char *text)
{
	return (to_peer(c, text, strlen(text)));
}

const char *
origin_header(struct origin_conn *c, const char *name)
{
	const char *value = httpd_header(&c->http.req, name);

	return (value != NULL ? value : "");
}

void
origin_hold(struct origin_conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	while (poll(&p, 1, 10000) < 0)
		continue;
}

static void
forget(struct origin_conn *c)
{
	struct origin *o = c->origin;
	struct origin_conn **p;

	pthread_mutex_lock(&o->lock);
	for (p = &o->open; *p != c; p = &(*p)->next)
		continue;
	*p = c->next;
	close(c->fd);
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->lock);
	free(c);
}

static void *
serve(void *arg)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct origin_conn *c = arg;
	enum origin_end end = ORIGIN_KEEP;

	while (end == ORIGIN_KEEP && httpd_next(&c->http) == 1) {
		c->nth++;
		end = c->origin->fn(c);
	}
	if (end == ORIGIN_RESET)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	forget(c);
	return (NULL);
}

static void
start_connection(struct origin *o, int fd)
{
	static const int on = 1;
	struct origin_conn *c = mem_zalloc(sizeof(*c));
	pthread_t thread;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->origin = o;
	c->fd = fd;
	c->arg = o->arg;
	c->http.recv = from_peer;
	c->http.send = to_peer;
	c->http.arg = c;
	pthread_mutex_lock(&o->lock);
	o->connections++;
	c->next = o->open;
	o->open = c;
	if (o->stopping)
		shutdown(fd, SHUT_RDWR);
	pthread_mutex_unlock(&o->lock);
	if (pthread_create(&thread, NULL, serve, c) != 0)
		exit(1);
	pthread_detach(thread);
}

static void *
accept_all(void *arg)
{
	struct origin *o = arg;
	int fd;

	while ((fd = accept4(o->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		start_connection(o, fd);
	return (NULL);
}

void
origin_start(struct origin *o, origin_fn *fn, void *arg)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *sa = (struct sockaddr *)&at;
	socklen_t len = sizeof(at);

	memset(o, 0, sizeof(*o));
	o->fn = fn;
	o->arg = arg;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	o->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (o->listen_fd < 0 || bind(o->listen_fd, sa, len) != 0 ||
	    listen(o->listen_fd, 128) != 0 || getsockname(o->listen_fd, sa, &len) != 0 ||
	    pthread_create(&o->thread, NULL, accept_all, o) != 0) {
		perror("origin");
		exit(1);
	}
	o->port = ntohs(at.sin_port);
	snprintf(o->url, sizeof(o->url), "http://127.0.0.1:%d", o->port);
}

void
origin_stop(struct origin *o)
{
	struct origin_conn *c;

	shutdown(o->listen_fd, SHUT_RDWR);
	pthread_join(o->thread, NULL);
	close(o->listen_fd);
	pthread_mutex_lock(&o->lock);
	o->stopping = 1;
	for (c = o->open; c != NULL; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	while (o->open != NULL)
		pthread_cond_wait(&o->changed, &o->lock);
	pthread_mutex_unlock(&o->lock);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
}

int
origin_connections(struct origin *o)
{
	int n;

	pthread_mutex_lock(&o->lock);
	n = o->connections;
	pthread_mutex_unlock(&o->lock);
	return (n);
}
