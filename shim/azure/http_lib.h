#ifndef AZURE_HTTP_LIB_H
#define AZURE_HTTP_LIB_H

/*
 * http_lib -- single exchanges, many at a time, by the HTTP library.
 *
 * The seam between http.c, which decides when a call is tried and what its
 * answer means, and http_curl.c, which knows libcurl, sockets and TLS.  All but
 * http_lib_wake is called by one thread, a network thread.
 */

#include <stdint.h>

#include "azure/http.h"

struct http_lib;

struct http_lib_options {
	int	 max_connections;
	int	 connect_timeout_ms;
	const char *user_agent;
	const char *ca_file;		/* NULL: the compiled-in roots */
};

/* Why one of our own callbacks ended a try. */
enum http_stop { HTTP_STOP_NONE, HTTP_STOP_SINK, HTTP_STOP_TOO_LONG, HTTP_STOP_BODY };

struct http_try {
	/* Filled before the start. */
	struct http_call *call;
	struct http_request request;
	int64_t		 deadline_ms;
	int		 fresh;		/* over a new connection: kept ones may all be dead */
	/* Kept up to date. */
	int64_t		 started_ms;
	int64_t		 progress_ms;	/* when a byte went or came last */
	int64_t		 body_sent;
	enum http_stage	 stage;		/* that it has reached */
	int		 sent;		/* times it went out: a dead kept connection is repeated */
	/* At the end. */
	int		 complete;	/* a whole answer is in call->response */
	enum http_stop	 stop;
	int		 stop_errno;	/* of HTTP_STOP_BODY; 0: the file was too short */
	int		 stale;		/* a kept connection turned out to be dead */
	int		 hopeless;	/* another try cannot help */
	struct err	 err;		/* why it is not complete, unless stopped */
	void		*handle;	/* the library's */
};

struct http_lib *http_lib_new(const struct http_lib_options *, struct err *);
void	http_lib_free(struct http_lib *);	/* no try may be under way */

/* The answer's head and body go to try->call's response and sink as they come. */
int	http_lib_start(struct http_lib *, struct http_try *, struct err *);
/* Ends it early, with its connection.  The response tells of that as at any other end. */
void	http_lib_stop(struct http_lib *, struct http_try *);

/*
 * Waits until something happens or timeout_ms (-1: none) have passed, and does
 * what there is to do.  ended is told of each try that is over; it may start others.
 */
void	http_lib_wait(struct http_lib *, int timeout_ms,
	    void (*ended)(void *arg, struct http_try *), void *arg);
/* End http_lib_wait, or the next one.  Any thread. */
void	http_lib_wake(struct http_lib *);

#endif
