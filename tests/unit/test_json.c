/* json: what is read and refused; what is written. */

#include <stdlib.h>

#include "base/json.h"
#include "check.h"

static struct json *
parse(const char *text)
{
	return (json_parse(text, strlen(text)));
}

static void
values_are_read(void)
{
	struct json *j = parse(" {\"s\":\"a\\u00e9\\n\\\"\",\"n\":12,\"t\":true,\"f\":false,"
	    "\"z\":null,\"a\":[1,\"2\",{}],\"o\":{\"S\":\"in\"}} \r\n");
	const struct json *e;
	int64_t n = 0;
	int b = 7;

	if (!check(j != NULL))
		return;
	check_int(json_type(j), JSON_OBJECT);
	check_str(json_string(json_get(j, "s")), "a\xc3\xa9\n\"");
	check(json_get(j, "S") == NULL);
	check_str(json_string(json_get(json_get(j, "o"), "S")), "in");
	check(json_int(json_get(j, "n"), &n) == 0 && n == 12);
	check(json_double(json_get(j, "n")) > 11.9);
	check_int(json_int(json_get(j, "s"), &n), -1);
	check_int(json_int(json_get(j, "t"), &n), -1);
	check_int(json_bool(json_get(j, "t"), &b), 0);
	check_int(b, 1);
	check_int(json_bool(json_get(j, "f"), &b), 0);
	check_int(b, 0);
	check_int(json_bool(json_get(j, "n"), &b), -1);
	check_int(json_type(json_get(j, "z")), JSON_NULL);
	check_int(json_type(json_get(j, "t")), JSON_BOOL);
	check_int(json_type(json_get(j, "n")), JSON_NUMBER);
	check_int(json_type(json_get(j, "s")), JSON_STRING);
	check(json_string(json_get(j, "n")) == NULL);
	e = json_get(j, "a");
	check_int(json_type(e), JSON_ARRAY);
	check(json_get(e, "s") == NULL);
	check_str(json_key(e), "a");
	e = json_first(e);
	check(json_key(e) == NULL);
	e = json_next(e);
	check_str(json_string(e), "2");
	e = json_next(e);
	check(json_first(e) == NULL && json_next(e) == NULL);
	check_str(json_key(json_first(j)), "s");
	check_str(json_key(json_next(json_first(j))), "n");
	json_free(j);

	check(json_get(NULL, "x") == NULL && json_first(NULL) == NULL && json_next(NULL) == NULL);
	check(json_key(NULL) == NULL && json_string(NULL) == NULL);
	check(json_int(NULL, &n) == -1 && json_bool(NULL, &b) == -1);
	json_free(NULL);
}

static void
numbers(void)
{
	static const struct {
		const char *text;
		int status;
		int64_t want;
	} cases[] = {
		{ "1795471920", 0, 1795471920 }, { "\"1795471920\"", 0, 1795471920 },
		{ "-5", 0, -5 }, { "\"-5\"", 0, -5 }, { "5.0", 0, 5 }, { "1e3", 0, 1000 },
		{ "9007199254740992", 0, INT64_C(9007199254740992) },
		{ "9007199254740994", -1, 0 }, { "1e300", -1, 0 }, { "-1e300", -1, 0 },
		{ "1e999", -1, 0 }, { "5.5", -1, 0 }, { "-0.1", -1, 0 }, { "\"5.0\"", -1, 0 },
		{ "\"9223372036854775807\"", 0, INT64_MAX }, { "\"\"", -1, 0 },
		{ "\" 5\"", -1, 0 }, { "\"5x\"", -1, 0 }, { "null", -1, 0 }, { "[5]", -1, 0 },
	};
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		struct json *j = parse(cases[i].text);
		int64_t n = 0;

		check_int(json_int(j, &n), cases[i].status);
		check_int(n, cases[i].want);
		json_free(j);
	}
}

static void
other_texts_are_refused(void)
{
	static const char *const bad[] = {
		"", " ", "{", "[1,]", "{\"a\":1}x", "{\"a\":1}{}", "1 2", "\"a", "tru", "{'a':1}",
		"\"a\\u0000b\"", "{\"a\\u0000\":1}", "\"a\tb\"", "\"\n\"", "[1\v]", "]", "}{",
		"\"\\x\"", "\"\\ud800\"", "// c\n1", "\"a\\uzzzzb\"",
		"\"a\\u00g0b\"", "\"a\\u 1  b\"", "\"a\\u00\"", "\"a\\u"
	};
	char deep[3 * JSON_DEPTH_MAX];
	struct json *j;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		j = parse(bad[i]);
		check(j == NULL);
		json_free(j);
	}
	check(json_parse("1\0", 2) == NULL);
	check(json_parse("\"a\0\"", 4) == NULL);
	j = parse("\"a\\\\u0000\"");	/* a backslash, then letters */
	check_str(json_string(j), "a\\u0000");
	json_free(j);

	for (i = 0; i <= 1; i++) {
		size_t depth = JSON_DEPTH_MAX + i;

		memset(deep, '[', depth);
		memset(deep + depth, ']', depth);
		j = json_parse(deep, 2 * depth);
		check_int(j != NULL, i == 0);
		json_free(j);
	}
	j = parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
	    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"]");	/* not nested */
	check(j != NULL);
	json_free(j);
}

/* No terminating NUL is read: under a sanitizer or valgrind this would be seen. */
static void
the_length_is_the_end(void)
{
	static const char *const texts[] = {
		"{\"a\":[1,true,\"x\"]}", "12", "\"abc\"", "nul", "{\"1\":1,", "\"\\u12"
	};
	size_t i, n, parsed = 0;

	for (i = 0; i < LENGTH(texts); i++) {
		for (n = 0; n <= strlen(texts[i]); n++) {
			char *exact = malloc(n > 0 ? n : 1);
			struct json *j;

			memcpy(exact, texts[i], n);
			j = json_parse(exact, n);
			parsed += j != NULL;
			json_free(j);
			free(exact);
		}
	}
	check_int(parsed, 4);	/* the first, 1, 12, "abc" */
}

static void
write_example(struct json_out *o)
{
	json_out_begin(o, '{');
	json_out_kstring(o, "s", "q\"b\\n\n\x01\xc3\xa9\xff");
	json_out_kint(o, "n", INT64_MIN);
	json_out_kbool(o, "b", 2);
	json_out_kstring(o, "z", NULL);
	json_out_key(o, "empty");
	json_out_begin(o, '[');
	json_out_end(o, ']');
	json_out_key(o, "a");
	json_out_begin(o, '[');
	json_out_int(o, 1);
	json_out_bool(o, 0);
	json_out_begin(o, '{');
	json_out_end(o, '}');
	json_out_string(o, "");
	json_out_end(o, ']');
	json_out_end(o, '}');
}

static void
values_are_written(void)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct json_out o;
	struct json *j;

	json_out_init(&o, &b, 0);
	write_example(&o);
	check_str(buf_str(&b), "{\"s\":\"q\\\"b\\\\n\\n\\u0001\xc3\xa9\xef\xbf\xbd\","
	    "\"n\":-9223372036854775808,\"b\":true,\"z\":null,\"empty\":[],"
	    "\"a\":[1,false,{},\"\"]}");
	j = json_parse(b.data, b.len);
	check_str(json_string(json_get(j, "s")), "q\"b\\n\n\x01\xc3\xa9\xef\xbf\xbd");
	json_free(j);

	buf_reset(&b);
	json_out_init(&o, &b, 1);
	write_example(&o);
	check_str(buf_str(&b), "{\n"
	    "  \"s\": \"q\\\"b\\\\n\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\n"
	    "  \"n\": -9223372036854775808,\n"
	    "  \"b\": true,\n"
	    "  \"z\": null,\n"
	    "  \"empty\": [],\n"
	    "  \"a\": [\n"
	    "    1,\n"
	    "    false,\n"
	    "    {},\n"
	    "    \"\"\n"
	    "  ]\n"
	    "}\n");
	buf_reset(&b);
	json_out_init(&o, &b, 0);
	json_out_string(&o, "\x7f\b\f\r\t/");
	check_str(buf_str(&b), "\"\\u007f\\b\\f\\r\\t/\"");
}

int
main(void)
{
	values_are_read();
	numbers();
	other_texts_are_refused();
	the_length_is_the_end();
	values_are_written();
	return (check_done());
}
