#include <string.h>
#include <strings.h>

#include "azure/props.h"
#include "base/clock.h"

static const struct { char letter; const char *header; } headers[] = {
	{ PROPS_TYPE, "Content-Type" }, { 'e', "Content-Encoding" }, { 'l', "Content-Language" },
	{ 'k', "Cache-Control" }, { 'd', "Content-Disposition" }, { PROPS_MD5, "Content-MD5" },
	{ PROPS_TIER, "AccessTier" },
};

char
props_letter(const char *header)
{
	size_t i;

	for (i = 0; i < LENGTH(headers); i++)
		if (strcmp(headers[i].header, header) == 0)
			return (headers[i].letter);
	return (0);
}

const char *
props_header(char letter)
{
	size_t i;

	for (i = 0; i < LENGTH(headers); i++)
		if (headers[i].letter == letter)
			return (headers[i].header);
	return (NULL);
}

int
props_is_settable(char letter)
{
	return (letter != PROPS_MD5 && letter != PROPS_TIER && props_header(letter) != NULL);
}

void
props_add(struct buf *to, char letter, const char *name, const char *value, size_t len)
{
	size_t name_len = name != NULL ? strlen(name) : 0;

	if (memchr(value, '\n', len) != NULL || memchr(value, '\0', len) != NULL ||
	    to->len + name_len + len > PROPS_MAX)
		return;
	buf_addc(to, letter);
	if (name != NULL) {
		buf_add(to, name, name_len);
		buf_addc(to, '=');
	}
	buf_add(to, value, len);
	buf_addc(to, '\n');
}

int
props_next(const char **at, struct props_line *ret)
{
	const char *line = *at + strspn(*at, "\n"), *end = strchr(line, '\n'), *equal;

	if (end == NULL)
		return (0);
	*at = end + 1;
	*ret = (struct props_line){ .letter = line[0], .value = line + 1,
	    .len = (size_t)(end - line - 1) };
	if (ret->letter == PROPS_META &&
	    (equal = memchr(ret->value, '=', ret->len)) != NULL) {
		ret->name = ret->value;
		ret->name_len = (size_t)(equal - ret->value);
		ret->value = equal + 1;
		ret->len = (size_t)(end - ret->value);
	}
	return (1);
}

static int
is_it(const struct props_line *l, char letter, const char *name)
{
	return (l->letter == letter && (name == NULL || (l->name != NULL &&
	    l->name_len == strlen(name) &&
	    strncasecmp(l->name, name, l->name_len) == 0)));
}

const char *
props_get(const char *props, char letter, const char *name, size_t *ret_len)
{
	struct props_line l;

	while (props_next(&props, &l))
		if (is_it(&l, letter, name)) {
			*ret_len = l.len;
			return (l.value);
		}
	return (NULL);
}

void
props_change(struct buf *to, const char *props, char letter, const char *name,
    const char *value, size_t len)
{
	const char *line = props;
	struct props_line l;

	for (; props_next(&props, &l); line = props)
		if (!is_it(&l, letter, name))
			buf_add(to, line, (size_t)(props - line));
	if (value != NULL)
		props_add(to, letter, name, value, len);
}

void
props_mtime(int64_t unix_s, long ns, char out[PROPS_MTIME_SIZE])
{
	char text[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(unix_s, text);
	str_format(out, PROPS_MTIME_SIZE, "%.19s.%09ldZ", text, ns);
}
