#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/httpd.h"
#include "base/mem.h"

#define DRAIN_MAX	(INT64_C(16) << 20)
#define TRAILERS_MAX	100
#define JOIN_MAX	65536	/* bodies up to here are sent together with the head */

/* RFC 9110, section 5.6.2 */
static int
is_token_char(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL));
}

static int
is_token(const char *s)
{
	if (*s == '\0')
		return (0);
	while (is_token_char(*s))
		s++;
	return (*s == '\0');
}

static int
is_space(char c)
{
	return (c == ' ' || c == '\t');
}

/* Removes the white space around s, in place. */
static char *
trim(char *s)
{
	size_t n;

	while (is_space(*s))
		s++;
	for (n = strlen(s); n > 0 && is_space(s[n - 1]); n--)
		s[n - 1] = '\0';
	return (s);
}

/* The line at *p as a string; *p moves behind its CRLF.  NULL: no CRLF, or a bare CR or LF. */
static char *
take_line(char **p, const char *end)
{
	char *line = *p, *c;

	for (c = line; c < end; c++) {
		if (*c == '\n' || *c == '\0')
			return (NULL);
		if (*c == '\r') {
			if (end - c < 2 || c[1] != '\n')
				return (NULL);
			*c = '\0';
			*p = c + 2;
			return (line);
		}
	}
	return (NULL);
}

static int
parse_version(struct httpd_request *req, const char *s)
{
	if (!str_starts(s, "HTTP/") || s[5] < '0' || s[5] > '9' || s[6] != '.' || s[7] < '0' ||
	    s[7] > '9' || s[8] != '\0')
		return (400);
	if (s[5] != '1')
		return (505);
	req->minor = s[7] - '0';
	return (0);
}

static int
parse_target(struct httpd_request *req, char *target)
{
	const char *c;
	size_t n;

	if (target[0] != '/')
		return (400);
	for (c = target; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f || *c == '#')
			return (400);
	if (strlen(target) > HTTPD_TARGET_MAX)
		return (414);
	n = strcspn(target, "?");
	memcpy(req->path_text, target, n);
	req->path_text[n] = '\0';
	req->path = req->path_text;
	req->target = target;
	req->query = target[n] == '?' ? target + n + 1 : target + n;
	return (0);
}

static int
parse_request_line(struct httpd_request *req, char *line)
{
	char *target, *version;
	int status;

	target = strchr(line, ' ');
	if (target == NULL)
		return (400);
	*target++ = '\0';
	version = strchr(target, ' ');
	if (version == NULL || !is_token(line))
		return (400);
	*version++ = '\0';
	req->method = line;
	status = parse_version(req, version);
	return (status != 0 ? status : parse_target(req, target));
}

static int
add_header(struct httpd_request *req, char *line)
{
	char *c, *value, *colon = strchr(line, ':');

	if (colon == NULL || req->nheaders == HTTPD_HEADERS_MAX)
		return (400);
	*colon = '\0';
	if (!is_token(line))	/* also a folded line, and white space before the colon */
		return (400);
	for (c = line; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	value = trim(colon + 1);
	for (c = value; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return (400);
	req->headers[req->nheaders++] = (struct httpd_header){ line, value };
	return (0);
}

static size_t
count_headers(const struct httpd_request *req, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < req->nheaders; i++)
		n += strcmp(req->headers[i].name, name) == 0;
	return (n);
}

const char *
httpd_header(const struct httpd_request *req, const char *name)
{
	size_t i;

	for (i = 0; i < req->nheaders; i++)
		if (strcmp(req->headers[i].name, name) == 0)
			return (req->headers[i].value);
	return (NULL);
}

/* RFC 9112, section 6.3; stricter where a proxy could read it otherwise. */
static int
understand_body(struct httpd_request *req)
{
	const char *length = httpd_header(req, "content-length");
	const char *coding = httpd_header(req, "transfer-encoding");
	long long n;

	if (count_headers(req, "content-length") > 1 ||
	    count_headers(req, "transfer-encoding") > 1 || (length != NULL && coding != NULL))
		return (400);
	if (length != NULL) {
		if (length[0] == '-' || str_to_i64(length, 0, INT64_MAX, &n) != 0)
			return (400);
		req->content_length = n;
	}
	if (coding != NULL) {
		if (req->minor == 0)
			return (400);
		if (!str_same(coding, "chunked"))
			return (501);
		req->chunked = 1;
	}
	return (0);
}

static int
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (*list != '\0') {
		size_t len;

		list += strspn(list, " \t,");
		len = strcspn(list, " \t,");
		if (len == n) {
			char copy[16];

			if (str_format(copy, sizeof(copy), "%.*s", (int)len, list) == 0 &&
			    str_same(copy, word))
				return (1);
		}
		list += len;
	}
	return (0);
}

static void
understand_connection(struct httpd_request *req)
{
	int closes = 0, keeps = 0;
	size_t i;

	for (i = 0; i < req->nheaders; i++) {
		if (strcmp(req->headers[i].name, "connection") != 0)
			continue;
		closes |= has_word(req->headers[i].value, "close");
		keeps |= has_word(req->headers[i].value, "keep-alive");
	}
	req->keep_alive = !closes && (req->minor >= 1 || keeps);
}

static int
understand(struct httpd_request *req)
{
	const char *expected = httpd_header(req, "expect");
	size_t hosts = count_headers(req, "host");
	int status = understand_body(req);

	if (status != 0)
		return (status);
	if (hosts > 1 || (hosts == 0 && req->minor >= 1))
		return (400);
	if (expected != NULL && req->minor >= 1) {
		if (!str_same(expected, "100-continue"))
			return (417);
		req->expect_continue = 1;
	}
	understand_connection(req);
	return (0);
}

/* The strings that no pointer leads to any more may stay. */
static void
reset(struct httpd_request *req)
{
	req->method = req->target = req->path = req->query = NULL;
	req->minor = 0;
	req->nheaders = 0;
	req->content_length = -1;
	req->chunked = req->keep_alive = req->expect_continue = 0;
}

int
httpd_parse_head(char *head, size_t len, struct httpd_request *req)
{
	const char *end = head + len;
	char *p = head, *line;
	int status;

	reset(req);
	if (len > HTTPD_HEAD_MAX)
		return (431);
	line = take_line(&p, end);
	if (line == NULL)
		return (400);
	status = parse_request_line(req, line);
	while (status == 0) {
		line = take_line(&p, end);
		if (line == NULL)
			return (400);
		if (*line == '\0')
			break;
		status = add_header(req, line);
	}
	if (status == 0 && p != end)
		return (400);
	return (status != 0 ? status : understand(req));
}

/* 1: more bytes are in in[]; 0: end; -1: error. */
static int
fill(struct httpd_conn *conn)
{
	ssize_t n = conn->recv(conn->arg, conn->in + conn->in_len,
	    sizeof(conn->in) - conn->in_len);

	if (n <= 0)
		return (n < 0 ? -1 : 0);
	conn->in_len += (size_t)n;
	return (1);
}

/* Moves up to n bytes that came behind the head to out (NULL: drops them); how many. */
static size_t
take_buffered(struct httpd_conn *conn, char *out, size_t n)
{
	char *from = conn->in + conn->head_len;
	size_t have = conn->in_len - conn->head_len;

	if (n > have)
		n = have;
	if (n == 0)
		return (0);
	if (out != NULL)
		memcpy(out, from, n);
	memmove(from, from + n, have - n);
	conn->in_len -= n;
	return (n);
}

/* One line of the chunked coding, as a string without its CRLF; -1: none, or it is too long. */
static int
take_body_line(struct httpd_conn *conn, char line[HTTPD_LINE_MAX])
{
	char *from = conn->in + conn->head_len;
	size_t n = 0;

	for (;; n++) {
		while (conn->in_len - conn->head_len <= n)
			if (fill(conn) <= 0)
				return (-1);
		if (from[n] == '\n')
			break;
		if (from[n] == '\0' || n + 1 >= HTTPD_LINE_MAX - 1)
			return (-1);
	}
	if (n == 0 || from[n - 1] != '\r' || memchr(from, '\r', n - 1) != NULL)
		return (-1);
	take_buffered(conn, line, n + 1);
	line[n - 1] = '\0';
	return (0);
}

/* CHUNK-SIZE[;EXTENSION] */
static int
parse_chunk_size(const char *line, int64_t *ret)
{
	size_t n = strspn(line, "0123456789abcdefABCDEF");
	unsigned long long size;

	if (n == 0 || n > 15)
		return (-1);
	size = strtoull(line, NULL, 16);
	line += n;
	while (is_space(*line))
		line++;
	if (*line != '\0' && *line != ';')
		return (-1);
	*ret = (int64_t)size;
	return (0);
}

static int
skip_trailers(struct httpd_conn *conn)
{
	char line[HTTPD_LINE_MAX];
	int n;

	for (n = 0; n < TRAILERS_MAX; n++) {
		if (take_body_line(conn, line) != 0)
			return (-1);
		if (line[0] == '\0')
			return (0);
	}
	return (-1);
}

/* To the data of the next chunk; body_left becomes 0 behind the last one. */
static int
next_chunk(struct httpd_conn *conn)
{
	char line[HTTPD_LINE_MAX];

	if (conn->chunk_left == 0 && (take_body_line(conn, line) != 0 || line[0] != '\0'))
		return (-1);
	if (take_body_line(conn, line) != 0 || parse_chunk_size(line, &conn->chunk_left) != 0)
		return (-1);
	if (conn->chunk_left == 0) {
		if (skip_trailers(conn) != 0)
			return (-1);
		conn->body_left = 0;
	}
	return (0);
}

static ssize_t
break_off(struct httpd_conn *conn)
{
	conn->req.keep_alive = 0;
	conn->body_left = 0;
	return (-1);
}

ssize_t
httpd_read_body(struct httpd_conn *conn, void *out, size_t size)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int64_t *left = conn->body_left < 0 ? &conn->chunk_left : &conn->body_left;
	ssize_t n;

	if (conn->body_left == 0 || size == 0)
		return (0);
	if (conn->req.expect_continue) {
		conn->req.expect_continue = 0;
		/* Not if the body is on its way already (RFC 9110, section 10.1.1). */
		if (conn->in_len == conn->head_len &&
		    conn->send(conn->arg, go_on, sizeof(go_on) - 1) != 0)
			return (break_off(conn));
	}
	if (conn->body_left < 0 && conn->chunk_left <= 0) {
		if (next_chunk(conn) != 0)
			return (break_off(conn));
		if (conn->body_left == 0)
			return (0);
	}
	if ((uint64_t)*left < size)
		size = (size_t)*left;
	n = (ssize_t)take_buffered(conn, out, size);
	if (n == 0)
		n = conn->recv(conn->arg, out, size);
	if (n <= 0)
		return (break_off(conn));
	*left -= n;
	return (n);
}

/* Reads past what is left of the request; 0: the connection is at the next one. */
static int
finish_request(struct httpd_conn *conn)
{
	int64_t drained = 0;
	char sink[8192];
	ssize_t n;

	while (conn->req.keep_alive && (n = httpd_read_body(conn, sink, sizeof(sink))) != 0) {
		if (n < 0)
			return (-1);
		drained += n;
		if (drained > DRAIN_MAX)
			break_off(conn);
	}
	if (!conn->req.keep_alive)
		return (-1);
	conn->in_len -= conn->head_len;
	memmove(conn->in, conn->in + conn->head_len, conn->in_len);
	conn->head_len = 0;
	return (0);
}

/* Length of the head in in[], 0 if its end is not there yet. */
static size_t
find_head_end(const struct httpd_conn *conn)
{
	const char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4);

	return (end != NULL ? (size_t)(end - conn->in) + 4 : 0);
}

static int
refuse(struct httpd_conn *conn, int status)
{
	reset(&conn->req);
	conn->head_len = conn->in_len;	/* what follows cannot be told from a body */
	conn->body_left = 0;
	httpd_reply(conn, status, NULL, NULL, 0);
	return (-1);
}

int
httpd_next(struct httpd_conn *conn)
{
	size_t len;
	int more, status, blank = 0;

	if (conn->head_len > 0 && finish_request(conn) != 0)
		return (0);
	for (;;) {
		/* An empty line in front can be left over from a body (RFC 9112, section 2.2). */
		if (conn->in_len >= 2 && memcmp(conn->in, "\r\n", 2) == 0 && !blank++)
			take_buffered(conn, NULL, 2);
		len = find_head_end(conn);
		if (len > 0 || conn->in_len > HTTPD_HEAD_MAX)
			break;
		more = fill(conn);
		if (more < 0 || (more == 0 && conn->in_len == 0))
			return (more);
		if (more == 0)
			return (refuse(conn, 400));
	}
	if (len == 0 || len > HTTPD_HEAD_MAX)
		return (refuse(conn, 431));
	status = httpd_parse_head(conn->in, len, &conn->req);
	if (status != 0)
		return (refuse(conn, status));
	conn->head_len = len;
	conn->body_left = conn->req.chunked ? -1 :
	    conn->req.content_length > 0 ? conn->req.content_length : 0;
	conn->chunk_left = -1;
	return (1);
}

static int
has_body(const struct httpd_conn *conn, int status)
{
	return (status != 204 && status != 304 &&
	    (conn->req.method == NULL || strcmp(conn->req.method, "HEAD") != 0));
}

int
httpd_reply(struct httpd_conn *conn, int status, const char *headers, const void *body, size_t len)
{
	auto_buf struct buf out = BUF_EMPTY;
	int joined = 0;

	/* The client was not told to go on: whether its body follows is not known. */
	if (conn->req.expect_continue && conn->body_left != 0)
		conn->req.keep_alive = 0;
	buf_printf(&out, "HTTP/1.1 %d %s\r\n", status, httpd_reason(status));
	if (headers != NULL)
		buf_adds(&out, headers);
	if (status != 204 && status != 304)
		buf_printf(&out, "Content-Length: %zu\r\n", len);
	if (!conn->req.keep_alive)
		buf_adds(&out, "Connection: close\r\n");
	else if (conn->req.minor == 0)
		buf_adds(&out, "Connection: keep-alive\r\n");
	buf_adds(&out, "\r\n");
	if (!has_body(conn, status))
		len = 0;
	if (len > 0 && len <= JOIN_MAX) {
		buf_add(&out, body, len);
		joined = 1;
	}
	if (conn->send(conn->arg, out.data, out.len) != 0 ||
	    (len > 0 && !joined && conn->send(conn->arg, body, len) != 0)) {
		conn->req.keep_alive = 0;
		return (-1);
	}
	return (0);
}

const char *
httpd_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < LENGTH(reasons); i++)
		if (reasons[i].status == status)
			return (reasons[i].reason);
	return ("Unknown");
}
