/* httpd: heads, bodies, connections; what a strict server refuses. */

#include <stdlib.h>

#include "base/httpd.h"
#include "base/mem.h"
#include "check.h"

/* A peer that sends its bytes in pieces and records the answers. */
struct peer {
	const char *text;
	size_t	 len, piece;
	int	 broken;	/* recv fails at the end in place of "end of stream" */
	struct buf sent;
};

static ssize_t
peer_recv(void *arg, void *to, size_t size)
{
	struct peer *p = arg;
	size_t n = p->piece < size ? p->piece : size;

	if (n > p->len)
		n = p->len;
	if (n == 0)
		return (p->broken ? -1 : 0);
	memcpy(to, p->text, n);
	p->text += n;
	p->len -= n;
	return ((ssize_t)n);
}

static int
peer_send(void *arg, const void *bytes, size_t len)
{
	struct peer *p = arg;

	return (buf_add(&p->sent, bytes, len));
}

static struct httpd_conn *
connect_peer(struct peer *p, const char *text, size_t piece)
{
	struct httpd_conn *conn = calloc(1, sizeof(*conn));

	*p = (struct peer){ .text = text, .len = strlen(text), .piece = piece };
	conn->recv = peer_recv;
	conn->send = peer_send;
	conn->arg = p;
	return (conn);
}

static void
hang_up(struct httpd_conn *conn, struct peer *p)
{
	free(conn);
	buf_done(&p->sent);
}

/* The status for a head of exactly these bytes. */
static int
parse(const char *text, size_t len, struct httpd_request *req)
{
	static char *head;
	int status;

	free(head);	/* req points into it until the next call */
	head = NULL;
	if (text == NULL)
		return (0);
	head = malloc(len > 0 ? len : 1);
	memcpy(head, text, len);
	status = httpd_parse_head(head, len, req);
	return (status);
}

static void
a_head_is_taken_apart(struct httpd_request *req)
{
	static const char head[] = "GET /a%20b?x=1&y=?2 HTTP/1.1\r\nHost: h:80\r\n"
	    "X-Ms-Version:2021-12-02\r\nEmpty:\r\nSpaces: \t a b\t \r\nCONTENT-length: 12\r\n"
	    "Expect: 100-Continue\r\n\xc3\xa9: no\r\n\r\n";
	static const char good[] = "PUT /a%20b?x=1&y=?2 HTTP/1.1\r\nHost: h:80\r\n"
	    "X-Ms-Version:2021-12-02\r\nEmpty:\r\nSpaces: \t a b\xc3\xa9\t \r\n"
	    "CONTENT-length: 12\r\n"
	    "Expect: 100-Continue\r\n\r\n";

	check_int(parse(head, sizeof(head) - 1, req), 400);
	check_int(parse(good, sizeof(good) - 1, req), 0);
	check_str(req->method, "PUT");
	check_str(req->target, "/a%20b?x=1&y=?2");
	check_str(req->path, "/a%20b");
	check_str(req->query, "x=1&y=?2");
	check_int(req->minor, 1);
	check_int(req->nheaders, 6);
	check_str(httpd_header(req, "host"), "h:80");
	check_str(httpd_header(req, "x-ms-version"), "2021-12-02");
	check_str(httpd_header(req, "empty"), "");
	check_str(httpd_header(req, "spaces"), "a b\xc3\xa9");
	check(httpd_header(req, "none") == NULL);
	check_int(req->content_length, 12);
	check(req->keep_alive && req->expect_continue && !req->chunked);

	check_int(parse("GET / HTTP/1.0\r\n\r\n", 18, req), 0);
	check_str(req->path, "/");
	check_str(req->query, "");
	check(req->minor == 0 && !req->keep_alive && req->content_length == -1);
}

static void
connections_are_kept_or_not(struct httpd_request *req)
{
	static const struct {
		const char *head;
		int keep;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE ,y\r\n\r\n", 0 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", 1 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n", 0 },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1 },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", 0 },
		{ "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 1 },
	};
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		check_int(parse(cases[i].head, strlen(cases[i].head), req), 0);
		check_int(req->keep_alive, cases[i].keep);
	}
}

#define HEAD(line, headers)	line "\r\nHost: h\r\n" headers "\r\n"
#define GET(headers)		HEAD("GET / HTTP/1.1", headers)

static void
bad_heads_are_refused(struct httpd_request *req)
{
	static const struct {
		int status;
		const char *head;
	} cases[] = {
		{ 400, "" }, { 400, "\r\n" }, { 400, "\r\n\r\n" }, { 400, "GET\r\n\r\n" },
		{ 400, "GET /\r\n\r\n" }, { 400, "GET / HTTP/1.1\r\nHost: h\r\n" },
		{ 400, "GET / HTTP/1.1\nHost: h\n\n" }, { 400, "GET / HTTP/1.1\r\nHost: h\n\r\n" },
		{ 400, GET("") "x" }, { 400, GET("A: b\rc\r\n") },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },		/* no Host */
		{ 400, GET("Host: i\r\n") },
		{ 505, HEAD("GET / HTTP/2.0", "") }, { 505, HEAD("GET / HTTP/0.9", "") },
		{ 400, HEAD("GET / HTTP/1.10", "") }, { 400, HEAD("GET / HTTP/11", "") },
		{ 400, HEAD("GET / http/1.1", "") }, { 400, HEAD("GET / HTTP/1.1 ", "") },
		{ 400, HEAD("GET  / HTTP/1.1", "") }, { 400, HEAD("GET /a b HTTP/1.1", "") },
		{ 400, HEAD(" GET / HTTP/1.1", "") }, { 400, HEAD("GE(T / HTTP/1.1", "") },
		{ 400, HEAD("GET\t/ HTTP/1.1", "") }, { 400, HEAD("GET http://h/ HTTP/1.1", "") },
		{ 400, HEAD("GET * HTTP/1.1", "") }, { 400, HEAD("GET h:80 HTTP/1.1", "") },
		{ 400, HEAD("GET /\x7f HTTP/1.1", "") },
		{ 400, HEAD("GET /\xc3\xa9 HTTP/1.1", "") },
		{ 400, HEAD("GET /#f HTTP/1.1", "") }, { 400, GET("no colon\r\n") },
		{ 400, GET(": empty\r\n") }, { 400, GET("A : b\r\n") }, { 400, GET("A\t: b\r\n") },
		{ 400, GET("A: b\r\n folded\r\n") }, { 400, GET(" A: b\r\n") },
		{ 400, GET("A: b\x01\r\n") }, { 400, GET("A: b\x7f\r\n") },
		{ 400, GET("A(: b\r\n") },
		{ 400, GET("Content-Length: 1\r\nContent-Length: 1\r\n") },
		{ 400, GET("Content-Length: 1, 1\r\n") }, { 400, GET("Content-Length: -1\r\n") },
		{ 400, GET("Content-Length: -0\r\n") }, { 400, GET("Content-Length: +1\r\n") },
		{ 400, GET("Content-Length: 0x1\r\n") }, { 400, GET("Content-Length:\r\n") },
		{ 400, GET("Content-Length: 99999999999999999999\r\n") },
		{ 400, GET("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n") },
		{ 400, GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") },
		{ 501, GET("Transfer-Encoding: gzip, chunked\r\n") },
		{ 501, GET("Transfer-Encoding: identity\r\n") },
		{ 501, GET("Transfer-Encoding: chunked;x=1\r\n") },
		{ 400, HEAD("GET / HTTP/1.0", "Transfer-Encoding: chunked\r\n") },
		{ 417, GET("Expect: 200-ok\r\n") },
	};
	auto_buf struct buf b = BUF_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++)
		if (!check_int(parse(cases[i].head, strlen(cases[i].head), req), cases[i].status))
			printf("# %zu: %s\n", i, cases[i].head);
	check_int(parse("GET / HTTP/1.1\r\nHost: h\0\r\n\r\n", 29, req), 400);
	check_int(parse("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 29, req), 400);

	for (i = 0; i <= 1; i++) {
		size_t n;

		buf_reset(&b);
		buf_adds(&b, "GET / HTTP/1.1\r\nHost: h\r\n");
		for (n = 1; n < HTTPD_HEADERS_MAX + i; n++)
			buf_adds(&b, "a: b\r\n");
		buf_adds(&b, "\r\n");
		check_int(parse(b.data, b.len, req), i == 0 ? 0 : 400);
		buf_reset(&b);
		buf_adds(&b, "GET /");
		for (n = 1; n < HTTPD_TARGET_MAX + i; n++)
			buf_addc(&b, 'x');
		buf_adds(&b, " HTTP/1.1\r\nHost: h\r\n\r\n");
		check_int(parse(b.data, b.len, req), i == 0 ? 0 : 414);
		buf_reset(&b);
		buf_adds(&b, "GET / HTTP/1.1\r\nHost: ");
		while (b.len < HTTPD_HEAD_MAX - 4 + i)
			buf_addc(&b, 'h');
		buf_adds(&b, "\r\n\r\n");
		check_int(parse(b.data, b.len, req), i == 0 ? 0 : 431);
	}
}

static const char *
read_all(struct httpd_conn *conn, struct buf *b, size_t size)
{
	char part[64];
	ssize_t n;

	buf_reset(b);
	while ((n = httpd_read_body(conn, part, size)) > 0)
		buf_add(b, part, (size_t)n);
	return (n == 0 ? buf_str(b) : "failed");
}

static const char conversation[] =
    "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world"
    "\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
    "5\r\nhello\r\n00B;name=\"v\"\r\n, world and\r\n1 \r\n.\r\n0\r\nTrailer: x\r\n\r\n"
    "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
    "PUT /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"
    "PUT /5 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    "HEAD /6 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /7 HTTP/1.1\r\n";

/* Bodies read in full, in part, and not at all. */
static void
requests_follow_each_other(size_t piece, size_t size)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct peer p;
	struct httpd_conn *conn = connect_peer(&p, conversation, piece);
	char c;

	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/1");
	check_str(read_all(conn, &b, size), "hello world");
	check_int(httpd_read_body(conn, &c, 1), 0);
	check_int(httpd_reply(conn, 200, "A: b\r\n", "ok", 2), 0);
	check_str(buf_str(&p.sent), "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok");
	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/2");
	check_str(read_all(conn, &b, size), "hello, world and.");
	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/3");
	check_str(read_all(conn, &b, size), "");
	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/4");
	check_int(httpd_read_body(conn, &c, 1), 1);
	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/5");
	check_int(httpd_next(conn), 1);
	check_str(conn->req.path, "/6");
	buf_reset(&p.sent);
	check_int(httpd_reply(conn, 206, NULL, NULL, 4096), 0);
	check_str(buf_str(&p.sent), "HTTP/1.1 206 Partial Content\r\nContent-Length: 4096\r\n"
	    "Connection: close\r\n\r\n");
	check_int(httpd_next(conn), 0);
	hang_up(conn, &p);
}

static void
a_waiting_client_is_told_to_go_on(void)
{
	static const char request[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
	    "Expect: 100-continue\r\n\r\nabc";
	auto_buf struct buf b = BUF_EMPTY;
	struct peer p;
	struct httpd_conn *conn = connect_peer(&p, request, sizeof(request) - 4);

	check_int(httpd_next(conn), 1);
	check_str(buf_str(&p.sent), "");
	check_str(read_all(conn, &b, 1), "abc");
	check_str(buf_str(&p.sent), "HTTP/1.1 100 Continue\r\n\r\n");
	check_int(httpd_reply(conn, 201, NULL, NULL, 0), 0);
	check(str_ends(buf_str(&p.sent), "\r\n\r\n"
	    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
	check_int(httpd_next(conn), 0);
	hang_up(conn, &p);

	conn = connect_peer(&p, request, sizeof(request) - 4);	/* refused unread */
	check_int(httpd_next(conn), 1);
	check_int(httpd_reply(conn, 403, NULL, "no", 2), 0);
	check(strstr(buf_str(&p.sent), "Connection: close\r\n") != NULL);
	check_int(httpd_next(conn), 0);
	hang_up(conn, &p);

	conn = connect_peer(&p, request, 1000);	/* it did not wait */
	check_int(httpd_next(conn), 1);
	check_str(read_all(conn, &b, 64), "abc");
	check_str(buf_str(&p.sent), "");
	hang_up(conn, &p);
}

static void
bad_requests_are_answered(void)
{
	static const struct {
		const char *text;
		int result;
		const char *answer;	/* its first line */
	} cases[] = {
		{ "", 0, "" },
		{ "\r\n", 0, "" },
		{ "GET / HT", -1, "HTTP/1.1 400 Bad Request\r\n" },
		{ "\r\n\r\n\r\n", -1, "HTTP/1.1 400 Bad Request\r\n" },
		{ GET("A : b\r\n"), -1, "HTTP/1.1 400 Bad Request\r\n" },
		{ GET("Transfer-Encoding: x\r\n"), -1, "HTTP/1.1 501 Not Implemented\r\n" },
		{ HEAD("GET / HTTP/3.0", ""), -1, "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
	};
	auto_buf struct buf b = BUF_EMPTY;
	struct httpd_conn *conn;
	struct peer p;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		conn = connect_peer(&p, cases[i].text, 1);
		check_int(httpd_next(conn), cases[i].result);
		check(str_starts(buf_str(&p.sent), cases[i].answer));
		check_int(p.sent.len > 0, cases[i].result < 0);
		check(p.sent.len == 0 || strstr(buf_str(&p.sent), "Connection: close\r\n") != NULL);
		hang_up(conn, &p);
	}
	conn = connect_peer(&p, "GET /", 3);
	p.broken = 1;
	check_int(httpd_next(conn), -1);
	check_int(p.sent.len, 0);
	hang_up(conn, &p);

	for (i = 0; i < HTTPD_HEAD_MAX; i++)
		buf_addc(&b, 'x');
	conn = connect_peer(&p, b.data, 999);
	check_int(httpd_next(conn), -1);
	check(str_starts(buf_str(&p.sent), "HTTP/1.1 400 "));	/* it just ends */
	hang_up(conn, &p);
	buf_addc(&b, 'x');
	conn = connect_peer(&p, b.data, 999);
	check_int(httpd_next(conn), -1);
	check(str_starts(buf_str(&p.sent), "HTTP/1.1 431 "));
	hang_up(conn, &p);
}

static void
bad_bodies_break_the_connection(void)
{
	static const char *const bodies[] = {
		"", "5", "5\r\n", "5\r\nhell", "5\r\nhello", "5\r\nhello\r\n",
		"5\r\nhelloo\r\n0\r\n\r\n",
		"x\r\n", "\r\n", "-1\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n",
		" 5\r\nhello\r\n0\r\n\r\n", "5 x\r\nhello\r\n0\r\n\r\n", "1234567890123456\r\n",
		"5\r\nhello\r\n0\r\n", "5\r\nhello\r\n0\r\nA: b", "5\r\nhello\r\n0\r\nA: b\n\r\n",
		"5\r\nhello\r\n0\r\rn\r\n", "5;\r\r\nhello\r\n0\r\n\r\n"
	};
	auto_buf struct buf text = BUF_EMPTY, b = BUF_EMPTY;
	struct httpd_conn *conn;
	struct peer p;
	size_t i, piece;

	for (i = 0; i < LENGTH(bodies); i++) {
		for (piece = 1; piece <= 1000; piece += 999) {
			buf_reset(&text);
			buf_printf(&text, "%s%s", GET("Transfer-Encoding: chunked\r\n"), bodies[i]);
			conn = connect_peer(&p, text.data, piece);
			check_int(httpd_next(conn), 1);
			if (!check_str(read_all(conn, &b, 64), "failed"))
				printf("# %s\n", bodies[i]);
			check_int(httpd_read_body(conn, &i, 0), 0);
			check_int(httpd_next(conn), 0);
			hang_up(conn, &p);
		}
	}
	conn = connect_peer(&p, GET("Content-Length: 5\r\n") "hell", 1000);
	check_int(httpd_next(conn), 1);
	check_str(read_all(conn, &b, 64), "failed");
	hang_up(conn, &p);

	/* A size line that never ends, with a head that leaves no room beside it. */
	buf_reset(&text);
	buf_adds(&text, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: ");
	while (text.len < HTTPD_HEAD_MAX - 4)
		buf_addc(&text, 'h');
	buf_adds(&text, "\r\n\r\n1;");
	for (i = 0; i < 5000; i++)
		buf_addc(&text, 'e');
	conn = connect_peer(&p, text.data, 5000);
	check_int(httpd_next(conn), 1);
	check_str(read_all(conn, &b, 64), "failed");
	hang_up(conn, &p);
	text.len = HTTPD_HEAD_MAX;
	text.data[text.len] = '\0';
	buf_adds(&text, "3;ext\r\nabc\r\n0\r\n\r\n");
	conn = connect_peer(&p, text.data, 5000);
	check_int(httpd_next(conn), 1);
	check_str(read_all(conn, &b, 64), "abc");
	hang_up(conn, &p);
}

static void
an_endless_body_is_not_drained(void)
{
	size_t mib, size;
	char c;

	for (mib = 15; mib <= 17; mib += 2) {
		auto_buf struct buf text = BUF_EMPTY;
		struct httpd_conn *conn;
		struct peer p;

		size = mib << 20;
		buf_printf(&text, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
		text.max = 0;
		for (size_t i = 0; i < size; i += 1024)
			buf_printf(&text, "%1024s", "");
		buf_adds(&text, GET(""));
		conn = connect_peer(&p, text.data, 1 << 20);
		check_int(httpd_next(conn), 1);
		check_int(httpd_read_body(conn, &c, 1), 1);
		check_int(httpd_next(conn), mib == 15);
		hang_up(conn, &p);
	}
}

static void
answers(void)
{
	static char big[100000];
	struct peer p;
	struct httpd_conn *conn = connect_peer(&p, GET("") HEAD("GET / HTTP/1.0",
	    "Connection: keep-alive\r\n"), 1000);

	check_int(httpd_next(conn), 1);
	httpd_reply(conn, 204, NULL, NULL, 0);
	check_str(buf_str(&p.sent), "HTTP/1.1 204 No Content\r\n\r\n");
	buf_reset(&p.sent);
	httpd_reply(conn, 304, "ETag: \"1\"\r\n", "x", 1);
	check_str(buf_str(&p.sent), "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
	buf_reset(&p.sent);
	memset(big, 'x', sizeof(big));
	check_int(httpd_reply(conn, 299, NULL, big, sizeof(big)), 0);
	check(str_starts(buf_str(&p.sent), "HTTP/1.1 299 Unknown\r\n"
	    "Content-Length: 100000\r\n\r\nx"));
	check_int(p.sent.len, sizeof(big) + strlen("HTTP/1.1 299 Unknown\r\n"
	    "Content-Length: 100000\r\n\r\n"));
	check_int(httpd_next(conn), 1);
	buf_reset(&p.sent);
	httpd_reply(conn, 200, NULL, NULL, 0);
	check_str(buf_str(&p.sent), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
	    "Connection: keep-alive\r\n\r\n");
	p.sent.max = 1;
	check_int(httpd_reply(conn, 200, NULL, NULL, 0), -1);
	check_int(httpd_next(conn), 0);
	hang_up(conn, &p);
	check_str(httpd_reason(503), "Service Unavailable");
	check_str(httpd_reason(0), "Unknown");
}

int
main(void)
{
	struct httpd_request *req = calloc(1, sizeof(*req));
	size_t piece;

	a_head_is_taken_apart(req);
	connections_are_kept_or_not(req);
	bad_heads_are_refused(req);
	for (piece = 1; piece <= 2000; piece = piece < 8 ? piece + 1 : piece * 3)
		requests_follow_each_other(piece, piece < 64 ? piece : 64);
	requests_follow_each_other(5000, 64);
	a_waiting_client_is_told_to_go_on();
	bad_requests_are_answered();
	bad_bodies_break_the_connection();
	an_endless_body_is_not_drained();
	answers();
	parse(NULL, 0, NULL);
	free(req);
	return (check_done());
}
