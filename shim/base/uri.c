#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/uri.h"

static int
is_alpha(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

static int
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static void
make_lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* The address in "1.2.3.4" or "[::1]"; 0 if host is a name. */
static int
to_address(const char *host, unsigned char out[sizeof(struct in6_addr)])
{
	char text[INET6_ADDRSTRLEN];
	size_t n = strlen(host);

	if (inet_pton(AF_INET, host, out) == 1)
		return (AF_INET);
	if (n < 4 || n - 2 >= sizeof(text) || host[0] != '[' || host[n - 1] != ']')
		return (0);
	memcpy(text, host + 1, n - 2);
	text[n - 2] = '\0';
	return (inet_pton(AF_INET6, text, out) == 1 ? AF_INET6 : 0);
}

static int
is_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (host[0] == '[')
		return (to_address(host, address) != 0);
	if (host[0] == '\0')
		return (0);
	for (; *host != '\0'; host++)
		if (!is_alpha(*host) && !is_digit(*host) && strchr("-._~", *host) == NULL)
			return (0);
	return (1);
}

/* USER@HOST:PORT */
static int
parse_authority(struct uri *u, char *text)
{
	char *at = strchr(text, '@'), *host = text, *colon;
	long long port = 0;

	u->user = text + strlen(text);
	if (at != NULL) {
		*at = '\0';
		u->user = text;
		host = at + 1;
	}
	colon = strrchr(host, ':');
	if (colon != NULL && (host[0] != '[' || colon[-1] == ']')) {
		if (str_to_i64(colon + 1, 1, 65535, &port) != 0)
			return (-1);
		*colon = '\0';
	}
	make_lower(host);
	u->host = host;
	u->port = (int)port;
	return (is_host(host) ? 0 : -1);
}

int
uri_parse(struct uri *ret, const char *text, struct arena *mem)
{
	struct uri u = { 0 };
	const char *p, *slashes;
	size_t n;

	for (p = text; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#')
			return (-1);
	slashes = strstr(text, "://");
	if (slashes == NULL || !is_alpha(*text))
		return (-1);
	for (p = text; p < slashes; p++)
		if (!is_alpha(*p) && !is_digit(*p) && *p != '+' && *p != '-' && *p != '.')
			return (-1);
	u.scheme = arena_strndup(mem, text, (size_t)(slashes - text));
	make_lower(u.scheme);
	text = slashes + 3;
	n = strcspn(text, "/?");
	if (parse_authority(&u, arena_strndup(mem, text, n)) != 0)
		return (-1);
	text += n;
	n = strcspn(text, "?");
	u.path = arena_strndup(mem, text, n);
	u.query = arena_strdup(mem, text[n] == '?' ? text + n + 1 : "");
	*ret = u;
	return (0);
}

int
uri_is_path_style_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return (strchr(host, '.') == NULL || to_address(host, address) != 0);
}

int
uri_is_loopback_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;

	switch (to_address(host, address)) {
	case AF_INET:
		return (address[0] == 127);
	case AF_INET6:
		return (memcmp(address, &loopback, sizeof(loopback)) == 0);
	default:
		return (str_same(host, "localhost"));
	}
}

int
uri_encode(struct buf *to, const char *text, size_t len, int keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
		int stays = is_alpha(text[i]) || is_digit(text[i]) || c == '-' || c == '.' ||
		    c == '_' || c == '~' || (keep_slash && c == '/');

		if ((stays ? buf_addc(to, text[i]) : buf_add(to, escape, sizeof(escape))) != 0)
			return (-1);
	}
	return (0);
}

static int
hex_value(char c)
{
	if (is_digit(c))
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

void
uri_add_field(struct buf *form, const char *name, const char *value)
{
	buf_printf(form, "%s%s=", form->len == 0 ? "" : "&", name);
	uri_encode(form, value, strlen(value), 0);
}

ssize_t
uri_decode(char *text)
{
	char *to = text;
	const char *from;

	for (from = text; *from != '\0'; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = hex_value(from[1]);
		low = high < 0 ? -1 : hex_value(from[2]);
		if (low < 0 || (high == 0 && low == 0))
			return (-1);
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	return (to - text);
}

char *
uri_query_get(const char *query, const char *name, struct arena *mem)
{
	for (;;) {
		size_t n = strcspn(query, "&");
		char *pair = arena_strndup(mem, query, n);
		char *value = pair + strcspn(pair, "=");

		if (*value == '=')
			*value++ = '\0';
		if (uri_decode(pair) >= 0 && strcmp(pair, name) == 0)
			return (uri_decode(value) >= 0 ? value : NULL);
		if (query[n] == '\0')
			return (NULL);
		query += n + 1;
	}
}

static const char standard_digits[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[65] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int
encode(struct buf *to, const unsigned char *in, size_t len, const char *digits, int padding)
{
	size_t i, n;

	for (i = 0; i < len; i += 3) {
		size_t left = len - i < 3 ? len - i : 3;
		unsigned int bits = (unsigned int)in[i] << 16 |
		    (left > 1 ? (unsigned int)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
		char out[4] = "====";

		for (n = 0; n <= left; n++)
			out[n] = digits[bits >> (18 - 6 * n) & 63];
		if (buf_add(to, out, padding ? 4 : left + 1) != 0)
			return (-1);
	}
	return (0);
}

int
base64_encode(struct buf *to, const void *bytes, size_t len)
{
	return (encode(to, bytes, len, standard_digits, 1));
}

int
base64url_encode(struct buf *to, const void *bytes, size_t len)
{
	return (encode(to, bytes, len, url_digits, 0));
}

static int
digit_value(char c, int url)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (is_digit(c))
		return (c - '0' + 52);
	if (c == (url ? '-' : '+'))
		return (62);
	return (c == (url ? '_' : '/') ? 63 : -1);
}

/* text is without padding.  Writes behind what was read, so out may equal text. */
static ssize_t
decode(unsigned char *out, size_t out_size, const char *text, size_t len, int url)
{
	unsigned int bits = 0;
	size_t i, done = 0;
	int nbits = 0;

	if (len % 4 == 1)
		return (-1);
	for (i = 0; i < len; i++) {
		int v = digit_value(text[i], url);

		if (v < 0)
			return (-1);
		bits = (bits << 6 | (unsigned int)v) & 0xffff;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		if (done == out_size)
			return (-1);
		out[done++] = (unsigned char)(bits >> nbits & 0xff);
	}
	return ((ssize_t)done);
}

static size_t
without_padding(const char *text, size_t len)
{
	int n;

	for (n = 0; n < 2 && len > 0 && text[len - 1] == '='; n++)
		len--;
	return (len);
}

ssize_t
base64_decode(unsigned char *out, size_t out_size, const char *text, size_t len)
{
	if (len % 4 != 0)
		return (-1);
	return (decode(out, out_size, text, without_padding(text, len), 0));
}

ssize_t
base64url_decode(unsigned char *out, size_t out_size, const char *text, size_t len)
{
	if (len % 4 == 0)
		len = without_padding(text, len);
	return (decode(out, out_size, text, len, 1));
}

uint64_t
hash_bytes(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return (hash);
}
