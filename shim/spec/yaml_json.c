#include <string.h>

#include "spec/yaml_build.h"

struct json_reader {
	struct yaml_builder *build;
	const char	*at, *end;
	int		 line, column, depth;
};

static int
fail(struct json_reader *r, const char *cause)
{
	r->build->not_json = 1;
	return (yaml_err(r->build->err, r->build->file, r->line, r->column, NULL, "%s", cause));
}

static int
peek(const struct json_reader *r)
{
	return (r->at < r->end ? (unsigned char)*r->at : -1);
}

static void
advance(struct json_reader *r)
{
	unsigned char c = (unsigned char)*r->at++;

	if (c == '\n') {
		r->line++;
		r->column = 1;
	} else if ((c & 0xc0) != 0x80) {
		r->column++;
	}
}

static int
skip_space(struct json_reader *r)
{
	int c;

	while ((c = peek(r)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		advance(r);
	return (c);
}

static int
read_hex4(struct json_reader *r, unsigned int *ret)
{
	static const char hex[] = "0123456789abcdef";
	const char *digit;
	int i, c;

	*ret = 0;
	for (i = 0; i < 4; i++) {
		c = peek(r);
		if (c >= 'A' && c <= 'F')
			c += 'a' - 'A';
		if (c <= 0 || (digit = strchr(hex, c)) == NULL)
			return (fail(r, "\\u takes four hexadecimal digits"));
		*ret = *ret * 16 + (unsigned int)(digit - hex);
		advance(r);
	}
	return (0);
}

static void
add_utf8(struct buf *out, unsigned int c)
{
	if (c < 0x80) {
		(void)buf_addc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		(void)buf_addc(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			(void)buf_addc(out, (char)(0xe0 | c >> 12));
		} else {
			(void)buf_addc(out, (char)(0xf0 | c >> 18));
			(void)buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		(void)buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	(void)buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

static int
read_unicode(struct json_reader *r, struct buf *out)
{
	unsigned int c, low;

	if (read_hex4(r, &c) != 0)
		return (-1);
	if (c >= 0xd800 && c < 0xdc00) {
		if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
			return (fail(r, "half a surrogate pair"));
		advance(r);
		advance(r);
		if (read_hex4(r, &low) != 0)
			return (-1);
		if (low < 0xdc00 || low > 0xdfff)
			return (fail(r, "half a surrogate pair"));
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c <= 0xdfff) {
		return (fail(r, "half a surrogate pair"));
	}
	add_utf8(out, c);
	return (0);
}

static int
read_escape(struct json_reader *r, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int c = peek(r);

	if (c == 'u') {
		advance(r);
		return (read_unicode(r, out));
	}
	if (c <= 0 || (found = strchr(from, c)) == NULL)
		return (fail(r, "an escape that JSON does not know"));
	advance(r);
	return (buf_addc(out, to[found - from]));
}

static int
read_string(struct json_reader *r, struct yaml_node *node)
{
	auto_buf struct buf out = BUF_EMPTY;
	int c;

	advance(r);
	while ((c = peek(r)) != '"') {
		if (c < 0x20)
			return (fail(r, "a string that does not end, or has a control "
			    "character"));
		advance(r);
		if (c != '\\')
			(void)buf_addc(&out, (char)c);
		else if (read_escape(r, &out) != 0)
			return (-1);
	}
	advance(r);
	return (yaml_set_text(r->build, node, buf_str(&out), out.len, 0));
}

static int
is_json_number(const char *s)
{
	size_t n;

	if (*s == '-')
		s++;
	n = strspn(s, "0123456789");
	if (n == 0 || (*s == '0' && n > 1))
		return (0);
	s += n;
	if (*s == '.') {
		n = strspn(s + 1, "0123456789");
		if (n == 0)
			return (0);
		s += 1 + n;
	}
	if (*s == 'e' || *s == 'E') {
		s += s[1] == '+' || s[1] == '-' ? 2 : 1;
		n = strspn(s, "0123456789");
		if (n == 0)
			return (0);
		s += n;
	}
	return (*s == '\0');
}

static int
read_word(struct json_reader *r, struct yaml_node *node)
{
	const char *start = r->at;
	int c;

	while ((c = peek(r)) > ' ' && strchr(",:]}[{\"", c) == NULL)
		advance(r);
	if (yaml_set_text(r->build, node, start, (size_t)(r->at - start), 1) != 0)
		return (-1);
	if (strcmp(node->text, "null") == 0 || strcmp(node->text, "true") == 0 ||
	    strcmp(node->text, "false") == 0 || is_json_number(node->text))
		return (0);
	return (fail(r, "a JSON value was expected here"));
}

static int	read_value(struct json_reader *, struct yaml_node **);

static int
read_pair(struct json_reader *r, struct yaml_children *c, int is_map)
{
	struct yaml_node *key = NULL, *value;

	if (is_map) {
		if (skip_space(r) != '"')
			return (fail(r, "a key in double quotes was expected here"));
		if (read_value(r, &key) != 0)
			return (-1);
		if (skip_space(r) != ':')
			return (fail(r, "a colon was expected here"));
		advance(r);
	}
	if (read_value(r, &value) != 0)
		return (-1);
	yaml_add(r->build, c, key, value);
	return (0);
}

static int
read_collection(struct json_reader *r, struct yaml_node *node)
{
	struct yaml_children c = { NULL, NULL, 0, 0 };
	int is_map = node->kind == YAML_KIND_MAP, end = is_map ? '}' : ']', got;

	if (++r->depth > YAML_DEPTH_MAX)
		return (fail(r, "nested too deep"));
	advance(r);
	got = skip_space(r);
	while (got != end) {
		if (read_pair(r, &c, is_map) != 0)
			return (-1);
		got = skip_space(r);
		if (got == end)
			break;
		if (got != ',')
			return (fail(r, "a comma or the end was expected here"));
		advance(r);
		got = skip_space(r);
		if (got == end)
			return (fail(r, "a comma before the end"));
	}
	advance(r);
	r->depth--;
	return (yaml_close(r->build, node, &c));
}

static int
read_value(struct json_reader *r, struct yaml_node **ret)
{
	int c = skip_space(r);
	enum yaml_kind kind = c == '{' ? YAML_KIND_MAP : c == '[' ? YAML_KIND_LIST :
	    YAML_KIND_SCALAR;

	*ret = yaml_new(r->build, kind, r->line, r->column);
	if (*ret == NULL)
		return (-1);
	if (kind != YAML_KIND_SCALAR)
		return (read_collection(r, *ret));
	return (c == '"' ? read_string(r, *ret) : read_word(r, *ret));
}

/* The length of the UTF-8 sequence at s, 0 if it is none (RFC 3629). */
static size_t
sequence_length(const unsigned char *s, size_t left)
{
	size_t i, n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
	    s[0] < 0xf5 ? 4 : 0;

	if (n > left)
		return (0);
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return (0);
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return (0);
	return (n);
}

static int
is_utf8(const char *text, size_t len)
{
	size_t i, n;

	for (i = 0; i < len; i += n)
		if ((n = sequence_length((const unsigned char *)text + i, len - i)) == 0)
			return (0);
	return (1);
}

int
yaml_parse_json(struct yaml_builder *build, struct yaml_node **ret, const char *text, size_t len)
{
	struct json_reader r = { build, text, text + len, 1, 1, 0 };

	if (!is_utf8(text, len))
		return (fail(&r, "not a text: invalid UTF-8"));
	if (read_value(&r, ret) != 0)
		return (-1);
	if (skip_space(&r) != -1)
		return (fail(&r, "more text after the JSON value"));
	return (0);
}
