#ifndef TESTS_UNIT_ORIGIN_H
#define TESTS_UNIT_ORIGIN_H

/*
 * origin -- a loopback HTTP server in the test's own process.
 *
 * Built on base/httpd.h: one thread a connection, one handler for everything.
 * The handler may answer with httpd_reply, send bytes of its own, or wait.
 */

#include <pthread.h>

#include "base/httpd.h"

enum origin_end {
	ORIGIN_KEEP,		/* the connection stays */
	ORIGIN_CLOSE,		/* FIN */
	ORIGIN_RESET		/* RST */
};

struct origin_conn {
	struct httpd_conn http;
	struct origin	*origin;
	int		 fd;
	int		 nth;		/* request on this connection, from 1 */
	void		*arg;
	struct origin_conn *next;
};

typedef enum origin_end origin_fn(struct origin_conn *);

struct origin {
	origin_fn	*fn;
	void		*arg;
	int		 listen_fd, port;
	char		 url[64];		/* http://127.0.0.1:PORT */
	pthread_t	 thread;
	pthread_mutex_t	 lock;			/* guards the rest */
	pthread_cond_t	 changed;
	struct origin_conn *open;
	int		 connections;		/* accepted so far */
	int		 stopping;
};

/* Ends the test program if it cannot listen. */
void	origin_start(struct origin *, origin_fn *, void *arg);
void	origin_stop(struct origin *);
/* Wait until the peer has gone, or the origin stops. */
void	origin_hold(struct origin_conn *);
int	origin_send(struct origin_conn *, const char *text);
/* The request's header, or "". */
const char *origin_header(struct origin_conn *, const char *name);
int	origin_connections(struct origin *);

#endif
