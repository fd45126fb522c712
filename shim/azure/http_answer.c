#include <limits.h>
#include <string.h>
#include <strings.h>

#include "azure/http_answer.h"
#include "base/clock.h"
#include "base/httpd.h"

#define BACKOFF_FIRST_MS	100
#define BACKOFF_CAP_MS		10000
#define RETRY_AFTER_CAP_MS	(60 * 60 * 1000)

void
http_answer_reset(struct http_response *r)
{
	struct buf body = r->error_body, continuation = r->continuation;
	int64_t received = r->body_received;

	memset(r, 0, sizeof(*r));
	r->content_length = r->range_total = r->range_first = -1;
	r->retry_after_ms = r->head_ms = -1;
	r->error_body = body;
	r->continuation = continuation;
	r->body_received = received;
	buf_reset(&r->error_body);
	buf_reset(&r->continuation);
}

struct value {
	const char	*text;
	size_t		 len;
};

static void
copy_cut(char *to, size_t size, struct value v)
{
	size_t n = v.len < size - 1 ? v.len : size - 1;

	memcpy(to, v.text, n);
	to[n] = '\0';
}

/* For values that are worthless when cut. */
static void
copy_whole(char *to, size_t size, struct value v)
{
	if (v.len < size)
		copy_cut(to, size, v);
}

static int
to_number(struct value v, long long *ret)
{
	char text[24];

	if (v.len >= sizeof(text))
		return (-1);
	copy_cut(text, sizeof(text), v);
	return (str_to_i64(text, 0, HTTP_LENGTH_MAX, ret));
}

/* "bytes FIRST-LAST/TOTAL" or "bytes * /TOTAL"; TOTAL can be '*'. */
static void
take_range(struct http_response *r, struct value v)
{
	const char *end = v.text + v.len, *dash, *slash;
	long long n;

	if (v.len < 6 || strncasecmp(v.text, "bytes ", 6) != 0)
		return;
	v.text += 6;
	if ((slash = memchr(v.text, '/', (size_t)(end - v.text))) == NULL)
		return;
	if (to_number((struct value){ slash + 1, (size_t)(end - slash - 1) }, &n) == 0)
		r->range_total = n;
	if ((dash = memchr(v.text, '-', (size_t)(slash - v.text))) == NULL)
		return;
	if (to_number((struct value){ v.text, (size_t)(dash - v.text) }, &n) == 0)
		r->range_first = n;
}

static int64_t
to_date(struct value v)
{
	char text[64];
	int64_t t;

	copy_cut(text, sizeof(text), v);
	return (clock_parse_rfc1123(text, &t) == 0 ? t : 0);
}

/* The largest of several wishes counts. */
static void
take_wait(struct http_response *r, long long ms)
{
	if (ms < 0)
		ms = 0;
	if (ms > RETRY_AFTER_CAP_MS)
		ms = RETRY_AFTER_CAP_MS;
	if (ms > r->retry_after_ms)
		r->retry_after_ms = (int)ms;
}

static void
take_retry_after(struct http_response *r, struct value v)
{
	int64_t date;
	long long n;

	if (to_number(v, &n) == 0)
		take_wait(r, n > RETRY_AFTER_CAP_MS / 1000 ? RETRY_AFTER_CAP_MS : n * 1000);
	else if ((date = to_date(v)) != 0)
		take_wait(r, (date - clock_wall_s()) * 1000);
}

/* Of several challenges the bearer one is of use. */
static void
take_challenge(struct http_response *r, struct value v)
{
	int bearer = v.len >= 6 && strncasecmp(v.text, "Bearer", 6) == 0;

	if (r->www_authenticate[0] == '\0' || bearer)
		copy_cut(r->www_authenticate, sizeof(r->www_authenticate), v);
}

static void
take_number(int64_t *to, struct value v)
{
	long long n;

	if (to_number(v, &n) == 0)
		*to = n;
}

static int
named(const char *name, size_t len, const char *want)
{
	return (strlen(want) == len && strncasecmp(name, want, len) == 0);
}

static void
take(struct http_response *r, const char *name, size_t n, struct value v)
{
	long long ms;

	if (named(name, n, "Content-Length"))
		take_number(&r->content_length, v);
	else if (named(name, n, "Content-Range"))
		take_range(r, v);
	else if (named(name, n, "Content-Type"))
		copy_cut(r->content_type, sizeof(r->content_type), v);
	else if (named(name, n, "ETag"))
		copy_whole(r->etag, sizeof(r->etag), v);
	else if (named(name, n, "Date"))
		r->date_unix_s = to_date(v);
	else if (named(name, n, "Last-Modified"))
		r->last_modified_unix_s = to_date(v);
	else if (named(name, n, "Retry-After"))
		take_retry_after(r, v);
	else if (named(name, n, "retry-after-ms") || named(name, n, "x-ms-retry-after-ms")) {
		if (to_number(v, &ms) == 0)
			take_wait(r, ms);
	} else if (named(name, n, "WWW-Authenticate"))
		take_challenge(r, v);
	else if (named(name, n, "Location"))
		copy_whole(r->location, sizeof(r->location), v);
	else if (named(name, n, "x-ms-error-code"))
		copy_cut(r->error_code, sizeof(r->error_code), v);
	else if (named(name, n, "x-ms-request-id"))
		copy_cut(r->request_id, sizeof(r->request_id), v);
	else if (named(name, n, "x-ms-copy-status"))
		copy_cut(r->copy_status, sizeof(r->copy_status), v);
	else if (named(name, n, "x-ms-resource-type"))
		copy_cut(r->resource_type, sizeof(r->resource_type), v);
	else if (named(name, n, "x-ms-permissions"))
		copy_whole(r->permissions, sizeof(r->permissions), v);
	else if (named(name, n, "x-ms-owner"))
		copy_whole(r->owner, sizeof(r->owner), v);
	else if (named(name, n, "x-ms-group"))
		copy_whole(r->group, sizeof(r->group), v);
	else if (named(name, n, "x-ms-continuation"))
		buf_add(&r->continuation, v.text, v.len);
	else if (named(name, n, "x-ms-meta-hdi_isfolder"))
		r->is_folder_meta = v.len == 4 && strncasecmp(v.text, "true", 4) == 0;
}

static int
is_space(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

static int
status_line(struct http_response *r, const char *line, size_t len)
{
	const char *space;
	long long status;

	if (len < 5 || memcmp(line, "HTTP/", 5) != 0)
		return (0);
	http_answer_reset(r);
	space = memchr(line, ' ', len);
	if (space != NULL && len - (size_t)(space - line) > 3 &&
	    to_number((struct value){ space + 1, 3 }, &status) == 0)
		r->status = (int)status;
	return (1);
}

/* What no header may hold (RFC 9110, 5.5); some of these texts go out again. */
static int
has_control(struct value v)
{
	size_t i;

	for (i = 0; i < v.len; i++)
		if (((unsigned char)v.text[i] < ' ' && v.text[i] != '\t') || v.text[i] == 0x7f)
			return (1);
	return (0);
}

void
http_answer_line(struct http_response *r, const char *line, size_t len)
{
	const char *colon;
	struct value v;

	if (status_line(r, line, len))
		return;
	if ((colon = memchr(line, ':', len)) == NULL)
		return;
	v.text = colon + 1;
	v.len = len - (size_t)(v.text - line);
	while (v.len > 0 && is_space(v.text[0]))
		v.text++, v.len--;
	while (v.len > 0 && is_space(v.text[v.len - 1]))
		v.len--;
	if (!has_control(v))
		take(r, line, (size_t)(colon - line), v);
}

enum http_verdict
http_default_verdict(const struct http_response *r)
{
	switch (r->status) {
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return (HTTP_RETRY);
	default:
		return (r->status >= 200 && r->status < 300 ? HTTP_OK : HTTP_FAIL);
	}
}

int
http_answer_throttled(const struct http_response *r)
{
	return (r->status == 429 || r->status == 503 ||
	    (r->status == 500 && strcmp(r->error_code, "OperationTimedOut") == 0));
}

void
http_answer_err(const struct http_response *r, struct err *err)
{
	enum err_kind kind = ERR_PROTOCOL;
	enum err_remedy remedy = REMEDY_NONE;

	if (r->status == 401 || r->status == 403)
		kind = ERR_DENIED;
	else if (r->status == 404)
		kind = ERR_NOT_FOUND;
	else if (r->status == 412)
		kind = ERR_CHANGED;
	else if (http_default_verdict(r) == HTTP_RETRY) {
		kind = ERR_UNREACHABLE;
		remedy = REMEDY_RETRY_LATER;
	}
	err_set(err, kind, remedy, "", "%s",
	    r->error_code[0] != '\0' ? r->error_code : httpd_reason(r->status));
	err->http_status = r->status;
}

void
http_answer_silence(const struct http_response *r, int64_t silent_ms, struct err *err)
{
	static const struct { enum err_remedy remedy; const char *cause; } at[] = {
		[HTTP_AT_NAME] = { REMEDY_CHECK_DNS, "no answer of a DNS server" },
		[HTTP_AT_PROXY] = { REMEDY_CHECK_PROXY, "no answer of the proxy" },
		[HTTP_AT_CONNECT] = { REMEDY_CHECK_ENDPOINT, "no connection" },
		[HTTP_AT_TLS] = { REMEDY_CHECK_HANDSHAKE, "no end of the TLS handshake" },
		[HTTP_AT_ANSWER] = { REMEDY_CHECK_ENDPOINT, "no answer" },
	};

	if (silent_ms > 0)
		err_set(err, ERR_UNREACHABLE, at[r->stage].remedy, "", "%s for %lld ms",
		    at[r->stage].cause, (long long)silent_ms);
	else
		err_set(err, ERR_UNREACHABLE, at[r->stage].remedy, "", "%s in the time given",
		    at[r->stage].cause);
}

int
http_answer_delay_ms(const struct http_response *r, int failures)
{
	int64_t ceiling = BACKOFF_CAP_MS;

	if (r->status != 0 && r->retry_after_ms >= 0)
		return (r->retry_after_ms + (int)clock_jitter(0, r->retry_after_ms / 8));
	if (failures < 1)
		return (0);
	if (failures < 8)
		ceiling = (int64_t)BACKOFF_FIRST_MS << (failures - 1);
	if (ceiling > BACKOFF_CAP_MS)
		ceiling = BACKOFF_CAP_MS;
	return ((int)clock_jitter(0, ceiling));
}

const char *
http_printable_url(const char *url, char *buf, size_t size)
{
	const char *end = url + strcspn(url, "?#"), *host, *at, *p;
	size_t n = 0;

	host = strstr(url, "://");
	host = host != NULL && host < end ? host + 3 : url;
	at = memchr(host, '@', strcspn(host, "/?#"));
	for (p = url; p < end && n + 1 < size; p++) {
		if (at != NULL && p >= host && p <= at)
			continue;	/* a password can stand there */
		buf[n++] = *p > ' ' && *p < 0x7f ? *p : '_';
	}
	if (size > 0)
		buf[n] = '\0';
	return (buf);
}
