/* uri_parse, uri_decode, uri_query_get, the base64 decoders: what goes in comes out. */

#include "base/uri.h"
#include "fuzz.h"

static void
url(const char *text, struct arena *mem)
{
	auto_buf struct buf again = BUF_EMPTY;
	struct uri u, v;

	if (uri_parse(&u, text, mem) != 0)
		return;
	uri_is_path_style_host(u.host);
	uri_is_loopback_host(u.host);
	uri_query_get(u.query, "sig", mem);
	buf_printf(&again, "%s://%s%s%s", u.scheme, u.user, u.user[0] != '\0' ? "@" : "", u.host);
	if (u.port != 0)
		buf_printf(&again, ":%d", u.port);
	buf_printf(&again, "%s%s%s", u.path, u.query[0] != '\0' ? "?" : "", u.query);
	if (uri_parse(&v, again.data, mem) != 0 || strcmp(u.host, v.host) != 0 ||
	    strcmp(u.path, v.path) != 0 || strcmp(u.query, v.query) != 0 || u.port != v.port)
		abort();
}

static void
percent(const char *text, size_t len, struct arena *mem)
{
	auto_buf struct buf encoded = BUF_EMPTY;
	char *copy = arena_strndup(mem, text, len);
	ssize_t n = uri_decode(copy);

	if (n > (ssize_t)len || (n >= 0 && strlen(copy) != (size_t)n))
		abort();
	uri_encode(&encoded, text, len, len % 2 == 1);
	copy = arena_strdup(mem, buf_str(&encoded));
	if (uri_decode(copy) != (ssize_t)len || memcmp(copy, text, len) != 0)
		abort();
}

static void
base64(const uint8_t *data, size_t size)
{
	auto_buf struct buf text = BUF_EMPTY;
	auto_free unsigned char *out = mem_alloc(size);

	base64_decode(out, size, (const char *)data, size);
	base64url_decode(out, size, (const char *)data, size);
	base64_encode(&text, data, size);
	if (base64_decode(out, size, buf_str(&text), text.len) != (ssize_t)size ||
	    memcmp(out, data, size) != 0)
		abort();
	buf_reset(&text);
	base64url_encode(&text, data, size);
	if (base64url_decode(out, size, buf_str(&text), text.len) != (ssize_t)size ||
	    memcmp(out, data, size) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	char *text = arena_strndup(&mem, (const char *)data, size);

	url(text, &mem);
	percent(text, strlen(text), &mem);
	base64(data, size);
	arena_done(&mem);
	return (0);
}
