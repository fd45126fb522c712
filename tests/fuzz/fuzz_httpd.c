/*
 * httpd: one head by itself, then the input as a connection, whole and byte by
 * byte: both must see the same requests and the same bodies.
 */

#include "base/httpd.h"
#include "base/uri.h"
#include "fuzz.h"

struct peer {
	const uint8_t *data;
	size_t	 size, piece;
};

static ssize_t
peer_recv(void *arg, void *to, size_t size)
{
	struct peer *p = arg;
	size_t n = p->piece < size ? p->piece : size;

	if (size == 0)
		abort();
	if (n > p->size)
		n = p->size;
	memcpy(to, p->data, n);
	p->data += n;
	p->size -= n;
	return ((ssize_t)n);
}

static int
peer_send(void *arg, const void *bytes, size_t len)
{
	(void)arg;
	return (memchr(bytes, '\0', len) != NULL ? -1 : 0);
}

static void
parse_alone(const uint8_t *data, size_t size)
{
	auto_free char *head = mem_alloc(size);
	auto_free struct httpd_request *req = mem_alloc(sizeof(*req));
	size_t i;

	memcpy(head, data, size);
	if (httpd_parse_head(head, size, req) != 0)
		return;
	if (req->method[0] == '\0' || req->target[0] != '/' || req->path[0] != '/' ||
	    strchr(req->path, '?') != NULL || strlen(req->path) + strlen(req->query) > size ||
	    (req->chunked && req->content_length >= 0))
		abort();
	for (i = 0; i < req->nheaders; i++)
		if (httpd_header(req, req->headers[i].name) == NULL ||
		    strpbrk(req->headers[i].value, "\r\n") != NULL)
			abort();
}

static uint64_t
converse(const uint8_t *data, size_t size, size_t piece)
{
	struct peer p = { data, size, piece };
	auto_free struct httpd_conn *conn = mem_zalloc(sizeof(*conn));
	uint64_t seen = 1;
	char body[512];
	ssize_t n, i;

	conn->recv = peer_recv;
	conn->send = peer_send;
	conn->arg = &p;
	while (httpd_next(conn) == 1) {
		seen = (seen ^ hash_bytes(conn->req.target, strlen(conn->req.target))) * 31;
		if (conn->req.minor % 2 == 1) {	/* else the body is left to httpd_next */
			while ((n = httpd_read_body(conn, body, sizeof(body))) > 0)
				for (i = 0; i < n; i++)
					seen = seen * 31 + (unsigned char)body[i];
			seen += n == 0;
		}
		httpd_reply(conn, 200, NULL, "x", 1);
	}
	return (seen);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse_alone(data, size);
	if (converse(data, size, size + 1) != converse(data, size, 1))
		abort();
	return (0);
}
