#include <stdlib.h>

#include "check.h"
#include "spec/yaml.h"

static struct arena mem;

/* The last document of a text that must be read. */
static const struct yaml_node *
parse(const char *text)
{
	struct yaml_docs docs = { NULL, 0 };
	struct err err = ERR_EMPTY;

	if (yaml_parse(&docs, "t.yml", text, strlen(text), &mem, &err) != 0) {
		printf("# %s: %s: %s\n", text, err.resource, err.cause);
		return (NULL);
	}
	return (docs.n > 0 ? docs.docs[docs.n - 1] : NULL);
}

/* "RESOURCE CAUSE" of a text that must not be read; "" if it is read. */
static const char *
refusal_len(const char *text, size_t len)
{
	struct yaml_docs docs;
	struct err err = ERR_EMPTY;

	if (yaml_parse(&docs, "t.yml", text, len, &mem, &err) == 0)
		return ("");
	if (err.kind != ERR_USAGE || err.remedy != REMEDY_FIX_SPEC)
		return ("of another kind");
	return (arena_printf(&mem, "%s %s", err.resource, err.cause));
}

static const char *
refusal(const char *text)
{
	return (refusal_len(text, strlen(text)));
}

static const char *
text_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = yaml_get(map, key);

	return (node != NULL && node->kind == YAML_KIND_SCALAR ? node->text : NULL);
}

static void
test_positions(void)
{
	const struct yaml_node *root = parse("a: 1\nb:\n  - x\n  - {c: 2}\n\"d\": |\n  text\n"), *b;

	if (!check(root != NULL && root->kind == YAML_KIND_MAP && root->n == 3))
		return;
	b = yaml_get(root, "b");
	check_int(root->line, 1);
	check_int(root->keys[1]->line, 2);
	check(b != NULL && b->kind == YAML_KIND_LIST && b->n == 2);
	check_int(b->values[0]->line, 3);
	check_int(b->values[0]->column, 5);
	check_int(yaml_get(b->values[1], "c")->line, 4);
	check_int(yaml_get(b->values[1], "c")->column, 9);
	check_str(text_of(root, "d"), "text\n");
	check(yaml_get(root, "d")->quoted);
	check(yaml_get(root, "none") == NULL);
	check(yaml_get(b, "c") == NULL);
	/* Columns count characters, not bytes. */
	root = parse("{\"\xc3\xa4\xc3\xb6\": x}");
	check_int(root->values[0]->column, 8);
}

static void
test_types(void)
{
	static const struct {
		const char *text;
		enum yaml_scalar type;
	} rows[] = {
		{ "~", YAML_IS_NULL }, { "null", YAML_IS_NULL }, { "", YAML_IS_NULL },
		{ "nULL", YAML_IS_STRING }, { "true", YAML_IS_BOOL }, { "False", YAML_IS_BOOL },
		{ "yes", YAML_IS_STRING }, { "tRUE", YAML_IS_STRING }, { "0", YAML_IS_INT },
		{ "-12", YAML_IS_INT }, { "+12", YAML_IS_INT }, { "0x1F", YAML_IS_INT },
		{ "0o17", YAML_IS_INT }, { "0o18", YAML_IS_STRING }, { "0x", YAML_IS_STRING },
		{ "-", YAML_IS_STRING }, { "1_000", YAML_IS_STRING }, { "1.", YAML_IS_FLOAT },
		{ ".5", YAML_IS_FLOAT }, { ".", YAML_IS_STRING }, { "1e3", YAML_IS_FLOAT },
		{ "1e", YAML_IS_STRING }, { "-1.5E-3", YAML_IS_FLOAT }, { ".inf", YAML_IS_FLOAT },
		{ "-.INF", YAML_IS_FLOAT }, { ".nan", YAML_IS_FLOAT }, { "-.nan", YAML_IS_STRING },
		{ "1.2.3", YAML_IS_STRING }, { "2020-01-01", YAML_IS_STRING },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (!check_int(yaml_plain_type(rows[i].text), rows[i].type))
			printf("# %s\n", rows[i].text);
	check_int(parse("\"1\"")->scalar, YAML_IS_STRING);
	check_int(parse("'true'")->scalar, YAML_IS_STRING);
	check_int(parse("!!str 1")->scalar, YAML_IS_STRING);
	check_int(parse("! 1")->scalar, YAML_IS_STRING);
	check_int(parse("!!float 1")->scalar, YAML_IS_FLOAT);
	check_str(yaml_what(parse("[1]")), "a list");
	check_str(yaml_what(parse("{}")), "an object");
	check_str(yaml_what(parse("''")), "an empty string");
}

static void
test_streams(void)
{
	struct yaml_docs docs;
	static const char three[] = "a: 1\n---\n---\nb: &x 2\n...\n";

	check_int(yaml_parse(&docs, "t", three, strlen(three), &mem, NULL), 0);
	check_int(docs.n, 3);
	check(yaml_is_null(docs.docs[1]));
	check_str(text_of(docs.docs[2], "b"), "2");
	check_int(yaml_parse(&docs, "t", "# only this\n", 12, &mem, NULL), 0);
	check_int(docs.n, 0);
	/* Anchors end with their document. */
	check_str(refusal("a: &x 1\n---\nb: *x\n"), "t.yml:3:4 no anchor &x before this alias");
	/* UTF-16 with a byte order mark, UTF-8 with one. */
	check_int(yaml_parse(&docs, "t", "\xff\xfe" "a\0:\0 \0b\0", 10, &mem, NULL), 0);
	check_str(text_of(docs.docs[0], "a"), "b");
	check_str(text_of(parse("\xef\xbb\xbf" "a: b"), "a"), "b");
}

static void
test_aliases(void)
{
	const struct yaml_node *root = parse("a: &a {x: 1, y: 2}\nb: *a\n"
	    "c:\n  y: 3\n  <<: *a\nd: {<<: [{x: 8}, *a], z: 9}\n\"<<\": quoted\n"), *c, *d;

	if (!check(root != NULL))
		return;
	check(yaml_get(root, "a") == yaml_get(root, "b"));
	c = yaml_get(root, "c");
	check_int(c->n, 2);
	check_str(text_of(c, "y"), "3");
	check_str(text_of(c, "x"), "1");
	check(yaml_get(c, "<<") == NULL);
	d = yaml_get(root, "d");
	check_int(d->n, 3);
	check_str(text_of(d, "x"), "8");
	check_str(text_of(d, "y"), "2");
	check_str(text_of(root, "<<"), "quoted");
	/* An anchor may be given anew. */
	root = parse("a: &x 1\nb: &x 2\nc: *x\n");
	check_str(text_of(root, "c"), "2");
	check_str(refusal("a: {<<: 3}"),
	    "t.yml:1:9 the merge key << takes an object or a list of objects, got an integer");
	check_str(refusal("a: {<<: [[]]}"), "t.yml:1:10 the merge key << takes objects, got a "
	    "list");
	check_str(refusal("a: &a [*a]"), "t.yml:1:8 the alias *a stands for what contains it");
	check_str(refusal("a: {<<: {b: 1}, <<: {c: 1}}"), "t.yml:1:17 the merge key << stands "
	    "twice in one object; write a list: <<: [*a, *b]");
}

static void
test_refusals(void)
{
	check_str(refusal("a: 1\nb: 2\na: 3\n"),
	    "t.yml:3:1: a the key stands twice in one object, first in line 1");
	check_str(refusal("x:\n  - {k: 1, 'k': 2}\n"),
	    "t.yml:2:12: k the key stands twice in one object, first in line 2");
	check_str(refusal("? [a]\n: b\n"), "t.yml:1:3 a key must be a word, got a list");
	check_str(refusal("a: !foo b"), "t.yml:1:4 the tag !foo does not fit here");
	check_str(refusal("a: !!int b"),
	    "t.yml:1:4 the tag tag:yaml.org,2002:int does not fit here");
	check_str(refusal("a: !!set {b: }"),
	    "t.yml:1:4 the tag tag:yaml.org,2002:set does not fit here");
	check_str(refusal("a: \"x\\0y\""), "t.yml:1:4 a NUL character in a string");
	check_str(refusal("a: b\n\tc: d\n"), "t.yml:2:1 found a tab character that violates "
	    "indentation, while scanning a plain scalar that starts in line 1");
	check_str(refusal("a:\n  b: 1\n c: 2\n"), "t.yml:3:2 did not find expected key, while "
	    "parsing a block mapping that starts in line 1");
	check_str(refusal("a: [1, 2\n"), "t.yml:2:1 did not find expected ',' or ']', while "
	    "parsing a flow sequence that starts in line 1");
	check_str(refusal("a: x\n\xff"), "t.yml:2:1 not a text: invalid leading UTF-8 octet");
	check(strstr(refusal_len("a: x\0b", 6), "control characters") != NULL);
	/* A key in a message: one line, cut, never in the middle of a character. */
	check_str(refusal("\"a\\nb\": 1\n\"a\\nb\": 2\n"),
	    "t.yml:2:1: a?b the key stands twice in one object, first in line 1");
	check_str(yaml_show("0123456789012345678901234567890123456789012345678901234567890123"
	    "\xc3\xa4", &mem),
	    "0123456789012345678901234567890123456789012345678901234567890123...");
	check_str(yaml_show("012345678901234567890123456789012345678901234567890123456789012"
	    "\xc3\xa4\xc3\xa4", &mem),
	    "012345678901234567890123456789012345678901234567890123456789012...");
}

static void
test_bounds(void)
{
	auto_buf struct buf text = BUF_EMPTY;
	int i, c;

	for (i = 0; i < YAML_DEPTH_MAX; i++)
		buf_addc(&text, '[');
	for (i = 0; i < YAML_DEPTH_MAX; i++)
		buf_addc(&text, ']');
	check_str(refusal(buf_str(&text)), "");
	buf_reset(&text);
	for (i = 0; i < 100000; i++)
		buf_addc(&text, '[');
	check_str(refusal(buf_str(&text)), "t.yml:1:65 nested more than 64 deep");
	/* What an alias stands for is as deep as it is. */
	for (c = 0; c <= 1; c++) {
		buf_reset(&text);
		buf_adds(&text, "[&a [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],");
		for (i = 0; i < YAML_DEPTH_MAX - 21 + c; i++)
			buf_addc(&text, '[');
		buf_adds(&text, "*a");
		for (i = 0; i < YAML_DEPTH_MAX - 21 + c; i++)
			buf_addc(&text, ']');
		buf_addc(&text, ']');
		check_str(refusal(buf_str(&text)), c == 0 ? "" :
		    "t.yml:1:90 nested more than 64 deep");
	}

	/* A billion laughs. */
	buf_reset(&text);
	buf_adds(&text, "a: &a [x, x, x, x, x, x, x, x, x, x]\n");
	for (c = 'b'; c < 'k'; c++) {
		buf_printf(&text, "%c: &%c [", c, c);
		for (i = 0; i < 10; i++)
			buf_printf(&text, "*%c, ", c - 1);
		buf_adds(&text, "]\n");
	}
	check(strstr(refusal(buf_str(&text)), "more than 200000 values") != NULL);

	/* The same with merge keys. */
	buf_reset(&text);
	buf_adds(&text, "a: &a {k: {");
	for (i = 0; i < 1000; i++)
		buf_printf(&text, "k%d: 1, ", i);
	buf_adds(&text, "}}\n");
	for (i = 0; i < 1000; i++)
		buf_printf(&text, "m%d: {<<: *a}\n", i);
	check(strstr(refusal(buf_str(&text)), "more than 200000 values") != NULL);

	buf_reset(&text);
	for (i = 0; i <= YAML_ANCHORS_MAX; i++)
		buf_printf(&text, "- &a%d x\n", i);
	check_str(refusal(buf_str(&text)), "t.yml:1001:3 more than 1000 anchors");

	/* Many keys: neither slow nor refused; the last is a duplicate. */
	buf_reset(&text);
	for (i = 0; i < 90000; i++)
		buf_printf(&text, "k%d: 1\n", i);
	check_str(refusal(buf_str(&text)), "");
	buf_adds(&text, "k5: 2\n");
	check_str(refusal(buf_str(&text)),
	    "t.yml:90001:1: k5 the key stands twice in one object, first in line 6");
}

static void
test_json(void)
{
	/* libyaml refuses surrogates: strict JSON is what makes this one readable. */
	const struct yaml_node *root = parse("{\"a\": \"\\ud83d\\ude00\\/\\u00e4\\n\",\n"
	    "\t\"n\": -1.5e3, \"t\": true, \"z\": null, \"l\": [1, {}, []]}"), *list;

	if (!check(root != NULL))
		return;
	check_str(text_of(root, "a"), "\xf0\x9f\x98\x80/\xc3\xa4\n");
	check_int(yaml_get(root, "n")->scalar, YAML_IS_FLOAT);
	check_int(yaml_get(root, "n")->line, 2);
	check_int(yaml_get(root, "n")->column, 7);
	check_int(yaml_get(root, "t")->scalar, YAML_IS_BOOL);
	check(yaml_is_null(yaml_get(root, "z")));
	list = yaml_get(root, "l");
	check(list != NULL && list->n == 3);
	/* Plain JSON goes through libyaml. */
	check_str(text_of(parse("{\"a\":\"b\",\"c\":1}\n"), "a"), "b");
	check_str(refusal("{\"e\": \"\\ud83d\\ude00\", \"a\": 1, \"a\": 2}"),
	    "t.yml:1:31: a the key stands twice in one object, first in line 1");
	/* Neither: libyaml's words count. */
	check_str(refusal("{\"e\": \"\\ud83d\"}"), "t.yml:1:10 found invalid Unicode character "
	    "escape code, while parsing a quoted scalar that starts in line 1");
	check(*refusal("{\"e\": \"\\ud83d\\ude00\", }") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\"} x") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\", \"n\": 01}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\", \"n\": nul}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\xff\"}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\xed\xa0\x80\"}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\u0041\"}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\\u0000\"}") != '\0');
	check(*refusal("{\"e\": \"\\ud83d\\ude00\", \"x\": \"") != '\0');
	check(*refusal("{'e': \"\\ud83d\\ude00\"}") != '\0');
}

int
main(void)
{
	test_positions();
	test_types();
	test_streams();
	test_aliases();
	test_refusals();
	test_bounds();
	test_json();
	arena_done(&mem);
	return (check_done());
}
