#ifndef BASE_HTTPD_H
#define BASE_HTTPD_H

/*
 * httpd -- the server side of HTTP/1.1, as small as a loopback peer needs.
 *
 * Used by the token broker and by the simulator of the tests.  One blocking
 * connection per thread; reading and writing go through callbacks so that the
 * simulator can put TLS below.  The request head is at most HTTPD_HEAD_MAX
 * bytes; absolute-form, folded headers, NUL bytes, both Content-Length and
 * Transfer-Encoding, and more than HTTPD_HEADERS_MAX headers are refused with
 * 400.  The parser itself (httpd_parse_head) takes bytes and is fuzzed.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTPD_HEAD_MAX		32768
#define HTTPD_TARGET_MAX	16384
#define HTTPD_HEADERS_MAX	100
#define HTTPD_LINE_MAX		1024	/* a chunk's size line, a trailer */

struct httpd_header {
	char	*name;		/* lower case */
	char	*value;		/* without surrounding white space */
};

struct httpd_request {
	char	*method;
	char	*target;	/* as sent: path and query, still encoded; starts with '/' */
	char	*path;		/* target up to '?', still encoded */
	char	*query;		/* after '?', still encoded; "" if none */
	int	 minor;		/* HTTP/1.minor */
	struct httpd_header headers[HTTPD_HEADERS_MAX];
	size_t	 nheaders;
	int64_t	 content_length;	/* -1: none given */
	int	 chunked;
	int	 keep_alive;
	int	 expect_continue;
	char	 path_text[HTTPD_TARGET_MAX + 1];	/* what path points to */
};

/*
 * Parse one head in place (bytes up to and including the empty line).
 * Returns 0, or the status to answer (400, 414, 417, 431, 501, 505).  Pointers
 * in *req point into head and into *req: it is not copied.
 */
int	httpd_parse_head(char *head, size_t len, struct httpd_request *req);
/* NULL if absent; name in lower case. */
const char *httpd_header(const struct httpd_request *, const char *name);

/* Zero, but for the callbacks, when a connection begins. */
struct httpd_conn {
	/* recv: >0 bytes, 0 end of stream, -1 error.  send: whole buffer or -1. */
	ssize_t	(*recv)(void *arg, void *, size_t);
	int	(*send)(void *arg, const void *, size_t);
	void	*arg;
	char	 in[HTTPD_HEAD_MAX + HTTPD_LINE_MAX];
	size_t	 in_len;	/* bytes in in[]: the head, then what was not consumed yet */
	size_t	 head_len;	/* of the head being handled; 0: none */
	int64_t	 body_left;	/* of the request body; -1: chunked, see chunk_left */
	int64_t	 chunk_left;	/* of the chunk; -1: the first is still to come */
	struct httpd_request req;
};

/*
 * 1: a request is in conn->req; 0: the peer closed, or the connection is not
 * to be kept; -1: error (an answer was sent if one was due).  A body that was
 * not read is read past, up to 16 MiB.
 */
int	httpd_next(struct httpd_conn *);
/*
 * Reads up to size bytes of the body; 0: body complete; -1 error.  The first
 * call sends "100 Continue" to a client that waits for it.
 */
ssize_t	httpd_read_body(struct httpd_conn *, void *, size_t);
/*
 * Sends "HTTP/1.1 STATUS REASON", headers (lines, each ending in \r\n, or
 * NULL), Content-Length: len, body.  For HEAD len is announced and body not
 * sent; 204 and 304 have neither.
 */
int	httpd_reply(struct httpd_conn *, int status, const char *headers, const void *body,
	    size_t len);
const char *httpd_reason(int status);

#endif
