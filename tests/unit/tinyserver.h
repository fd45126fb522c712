#ifndef TESTS_UNIT_TINYSERVER_H
#define TESTS_UNIT_TINYSERVER_H

/*
 * tinyserver -- an HTTP server inside a unit test: one handler, loopback, any port.
 *
 * The handler runs on a thread of its own for each connection and answers with
 * httpd_reply; it returns -1 to cut the connection without an answer.
 */

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/httpd.h"

typedef int tinyserver_handler(struct httpd_conn *);

static struct {
	int			 fd, port;
	tinyserver_handler	*handler;
	pthread_t		 thread;
} tinyserver;

static ssize_t
tinyserver_recv(void *arg, void *data, size_t size)
{
	return (recv(*(int *)arg, data, size, 0));
}

static int
tinyserver_send(void *arg, const void *data, size_t size)
{
	return (send(*(int *)arg, data, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1);
}

static void *
tinyserver_connection(void *arg)
{
	struct httpd_conn *conn = calloc(1, sizeof(*conn));
	int fd = *(int *)arg;

	free(arg);
	if (conn != NULL) {
		conn->recv = tinyserver_recv;
		conn->send = tinyserver_send;
		conn->arg = &fd;
		while (httpd_next(conn) == 1 && tinyserver.handler(conn) == 0 &&
		    conn->req.keep_alive)
			;
	}
	free(conn);
	close(fd);
	return (NULL);
}

static void *
tinyserver_accept(void *arg)
{
	pthread_t thread;
	int fd, *own;

	(void)arg;
	while ((fd = accept(tinyserver.fd, NULL, NULL)) >= 0) {
		own = malloc(sizeof(*own));
		if (own == NULL)
			abort();
		*own = fd;
		if (pthread_create(&thread, NULL, tinyserver_connection, own) != 0)
			abort();
		pthread_detach(thread);
	}
	return (NULL);
}

static inline void
tinyserver_start(tinyserver_handler *handler)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	tinyserver.handler = handler;
	tinyserver.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(tinyserver.fd, (struct sockaddr *)&addr, len) != 0 ||
	    listen(tinyserver.fd, 256) != 0 ||
	    getsockname(tinyserver.fd, (struct sockaddr *)&addr, &len) != 0 ||
	    pthread_create(&tinyserver.thread, NULL, tinyserver_accept, NULL) != 0)
		abort();
	tinyserver.port = ntohs(addr.sin_port);
}

static inline void
tinyserver_stop(void)
{
	shutdown(tinyserver.fd, SHUT_RDWR);
	pthread_join(tinyserver.thread, NULL);
	close(tinyserver.fd);
}

#endif
