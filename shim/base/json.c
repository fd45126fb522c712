#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json.h"
#include "base/secret.h"

#define EXACT_MAX	9007199254740992.0	/* 2^53: whole numbers are exact in a double */

/* cJSON's memory holds tokens; whatever it frees, also after an error, is wiped. */
static void __attribute__((constructor))
set_hooks(void)
{
	cJSON_Hooks hooks = { .malloc_fn = mem_alloc, .free_fn = secret_free };

	cJSON_InitHooks(&hooks);
}

static const cJSON *
node(const struct json *j)
{
	return ((const cJSON *)(const void *)j);
}

static const struct json *
wrap(const cJSON *n)
{
	return ((const struct json *)(const void *)n);
}

/* What follows "\\u": four hexadecimal digits, not all of them 0. */
static int
is_code_unit(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < 4; i++)
		if (i == len || !isxdigit((unsigned char)s[i]))
			return (0);
	return (memcmp(s, "0000", 4) != 0);
}

/*
 * What cJSON lets through: control characters (it takes them for white space), strings with a NUL,
 * which is also what it makes of bad digits after "\\u", and deep nesting (it recurses, threads
 * have small stacks).
 */
static int
is_acceptable(const char *text, size_t len)
{
	int in_string = 0, depth = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && (in_string || (c != '\t' && c != '\n' && c != '\r')))
			return (0);
		if (c == '"')
			in_string = !in_string;
		else if (in_string && c == '\\') {
			if (len - i >= 2 && text[i + 1] == 'u' &&
			    !is_code_unit(text + i + 2, len - i - 2))
				return (0);
			i++;	/* an escaped quote ends nothing */
		} else if (!in_string && (c == '{' || c == '[')) {
			if (++depth > JSON_DEPTH_MAX)
				return (0);
		} else if (!in_string && (c == '}' || c == ']'))
			depth--;
	}
	return (1);
}

struct json *
json_parse(const char *text, size_t len)
{
	const char *end = NULL;
	cJSON *root;

	if (!is_acceptable(text, len))
		return (NULL);
	root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (root == NULL)
		return (NULL);
	while (end < text + len && strchr(" \t\r\n", *end) != NULL)
		end++;
	if (end != text + len) {
		cJSON_Delete(root);
		return (NULL);
	}
	return ((struct json *)(void *)root);
}

void
json_free(struct json *j)
{
	cJSON_Delete((cJSON *)(void *)j);
}

const struct json *
json_get(const struct json *j, const char *key)
{
	if (j == NULL || !cJSON_IsObject(node(j)))
		return (NULL);
	return (wrap(cJSON_GetObjectItemCaseSensitive(node(j), key)));
}

const struct json *
json_first(const struct json *j)
{
	if (j == NULL || (!cJSON_IsObject(node(j)) && !cJSON_IsArray(node(j))))
		return (NULL);
	return (wrap(node(j)->child));
}

const struct json *
json_next(const struct json *j)
{
	return (j != NULL ? wrap(node(j)->next) : NULL);
}

const char *
json_key(const struct json *j)
{
	return (j != NULL ? node(j)->string : NULL);
}

const char *
json_string(const struct json *j)
{
	if (j == NULL || !cJSON_IsString(node(j)))
		return (NULL);
	return (node(j)->valuestring);
}

int
json_int(const struct json *j, int64_t *ret)
{
	const char *text = json_string(j);
	long long v;
	double d;

	if (text != NULL) {
		if (str_to_i64(text, LLONG_MIN, LLONG_MAX, &v) != 0)
			return (-1);
		*ret = v;
		return (0);
	}
	if (j == NULL || !cJSON_IsNumber(node(j)))
		return (-1);
	d = node(j)->valuedouble;
	if (!(d >= -EXACT_MAX && d <= EXACT_MAX) || d < (double)(int64_t)d ||
	    d > (double)(int64_t)d)
		return (-1);
	*ret = (int64_t)d;
	return (0);
}

int
json_bool(const struct json *j, int *ret)
{
	if (j == NULL || !cJSON_IsBool(node(j)))
		return (-1);
	*ret = cJSON_IsTrue(node(j)) ? 1 : 0;
	return (0);
}

enum json_type
json_type(const struct json *j)
{
	if (j == NULL)
		return (JSON_NULL);
	if (cJSON_IsBool(node(j)))
		return (JSON_BOOL);
	if (cJSON_IsNumber(node(j)))
		return (JSON_NUMBER);
	if (cJSON_IsString(node(j)))
		return (JSON_STRING);
	if (cJSON_IsArray(node(j)))
		return (JSON_ARRAY);
	if (cJSON_IsObject(node(j)))
		return (JSON_OBJECT);
	return (JSON_NULL);
}

double
json_double(const struct json *j)
{
	return (j != NULL && cJSON_IsNumber(node(j)) ? node(j)->valuedouble : 0);
}

size_t
json_escape_char(const char **text, char out[JSON_ESCAPE_SIZE])
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	unsigned char c = (unsigned char)**text;
	const char *special = c != '\0' ? strchr(plain, c) : NULL;
	size_t n;

	if (special != NULL) {
		out[0] = '\\';
		out[1] = letters[special - plain];
		(*text)++;
		return (2);
	}
	n = str_utf8_printable(*text, strnlen(*text, 4));
	if (n > 0) {
		memcpy(out, *text, n);
		*text += n;
		return (n);
	}
	(*text)++;
	if (c >= 0x80) {
		memcpy(out, "\xef\xbf\xbd", 3);
		return (3);
	}
	snprintf(out, JSON_ESCAPE_SIZE, "\\u%04x", (unsigned int)c);
	return (6);
}

void
json_out_init(struct json_out *o, struct buf *to, int pretty)
{
	*o = (struct json_out){ .to = to, .pretty = pretty };
}

static void
new_line(struct json_out *o)
{
	int i;

	if (!o->pretty)
		return;
	buf_addc(o->to, '\n');
	for (i = 0; i < o->depth; i++)
		buf_adds(o->to, "  ");
}

/* What stands between the value to come and the one before. */
static void
before_value(struct json_out *o)
{
	if (o->after_key) {
		o->after_key = 0;
		return;
	}
	if (o->used[o->depth])
		buf_addc(o->to, ',');
	o->used[o->depth] = 1;
	if (o->depth > 0)
		new_line(o);
}

void
json_out_begin(struct json_out *o, char bracket)
{
	before_value(o);
	buf_addc(o->to, bracket);
	o->depth++;
	assert((size_t)o->depth < LENGTH(o->used));
	o->used[o->depth] = 0;
}

void
json_out_end(struct json_out *o, char bracket)
{
	int empty = !o->used[o->depth];

	assert(o->depth > 0);
	o->depth--;
	if (!empty)
		new_line(o);
	buf_addc(o->to, bracket);
	if (o->depth == 0 && o->pretty)
		buf_addc(o->to, '\n');
}

static void
add_quoted(struct json_out *o, const char *s)
{
	char out[JSON_ESCAPE_SIZE];

	buf_addc(o->to, '"');
	while (*s != '\0') {
		size_t n = json_escape_char(&s, out);

		buf_add(o->to, out, n);
	}
	buf_addc(o->to, '"');
}

void
json_out_key(struct json_out *o, const char *key)
{
	before_value(o);
	add_quoted(o, key);
	buf_adds(o->to, o->pretty ? ": " : ":");
	o->after_key = 1;
}

void
json_out_string(struct json_out *o, const char *s)
{
	before_value(o);
	if (s == NULL)
		buf_adds(o->to, "null");
	else
		add_quoted(o, s);
}

void
json_out_int(struct json_out *o, int64_t v)
{
	before_value(o);
	buf_printf(o->to, "%" PRId64, v);
}

void
json_out_bool(struct json_out *o, int v)
{
	before_value(o);
	buf_adds(o->to, v ? "true" : "false");
}

void
json_out_kstring(struct json_out *o, const char *key, const char *s)
{
	json_out_key(o, key);
	json_out_string(o, s);
}

void
json_out_kint(struct json_out *o, const char *key, int64_t v)
{
	json_out_key(o, key);
	json_out_int(o, v);
}

void
json_out_kbool(struct json_out *o, const char *key, int v)
{
	json_out_key(o, key);
	json_out_bool(o, v);
}
