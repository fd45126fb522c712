#include <stdlib.h>

#include "base/mem.h"
#include "check.h"
#include "spec/expr.h"

static int calls;

static enum expr_found
look_up(void *arg, int is_output, const char *name, const char **ret_value)
{
	static const struct {
		int is_output;
		const char *name, *value;
	} known[] = {
		{ 0, "a", "1" }, { 0, "b_2", "two words" }, { 0, "group.x", "gx" },
		{ 0, "empty", "" }, { 0, "none", NULL }, { 0, "tricky", "${{inputs.a}} $[[x]]" },
		{ 1, "out", "/mnt/out" },
	};
	size_t i;

	check(arg == &calls);
	calls++;
	for (i = 0; i < LENGTH(known); i++)
		if (known[i].is_output == is_output && strcmp(known[i].name, name) == 0) {
			*ret_value = known[i].value;
			return (known[i].value != NULL ? EXPR_VALUE : EXPR_ABSENT);
		}
	return (EXPR_UNKNOWN);
}

static void
test_expand(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "echo $HOME ${x} {{a}} [[ -f x ]]", "echo $HOME ${x} {{a}} [[ -f x ]]" },
		{ "${{inputs.a}}", "1" },
		{ "x${{ inputs.a }}y${{\toutputs.out\n}}z", "x1y/mnt/outz" },
		{ "${{inputs.group.x}}", "gx" },
		{ "'${{inputs.b_2}}'", "'two words'" },
		{ "[${{inputs.empty}}]", "[]" },
		{ "${{inputs.tricky}}", "${{inputs.a}} $[[x]]" },	/* once only */
		{ "a $[[--b ${{inputs.a}}]] c", "a --b 1 c" },
		{ "a $[[--b ${{inputs.none}}]] c", "a  c" },
		{ "a $[[--b ${{inputs.unknown}}]] c", "a  c" },
		{ "a $[[--b ${{inputs.a}} ${{inputs.none}}]]$[[d]]", "a d" },
		{ "$[[${{outputs.out}}]]$[[ ]]", "/mnt/out " },
		{ "]] }} $[[x]]]", "]] }} x]" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		auto_buf struct buf out = BUF_EMPTY;
		struct err err = ERR_EMPTY;

		buf_adds(&out, "=");
		check_int(expr_expand(rows[i].text, look_up, &calls, &out, &err), 0);
		check_str(buf_str(&out) + 1, rows[i].want);
		check_int(err.kind, ERR_NONE);
	}
}

static void
test_refuse(void)
{
	static const struct {
		const char *text, *cause;
	} rows[] = {
		{ "x ${{inputs.nope}}", "${{inputs.nope}}: there is no such input" },
		{ "${{outputs.a}}", "${{outputs.a}}: there is no such output" },
		{ "${{inputs.none}}", "${{inputs.none}}: this optional input has no value: "
		    "put the text around it in $[[ ]]" },
		{ "${{inputs.a", "${{inputs.a: the expression has no }}" },
		{ "${{inputs.}}", "${{inputs.}}: a name has letters, digits and underscores" },
		{ "${{inputs.1a}}", "${{inputs.1a}}: a name has letters, digits and underscores" },
		{ "${{inputs.a b}}", "${{inputs.a b}}: a name has letters, digits and "
		    "underscores" },
		{ "${{inputs.a.}}", "${{inputs.a.}}: a name has letters, digits and underscores" },
		{ "${{}}", "${{}}: only ${{inputs.NAME}} and ${{outputs.NAME}} are known in a "
		    "container; the service resolves others before it starts" },
		{ "${{parent.inputs.a}}", "${{parent.inputs.a}}: only ${{inputs.NAME}} and "
		    "${{outputs.NAME}} are known in a container; the service resolves others "
		    "before it starts" },
		{ "$[[ --x", "$[[ --x: the optional group has no ]]" },
		{ "$[[ ${{inputs.a ]] }}", "${{inputs.a ]] }}: a name has letters, digits and "
		    "underscores" },
		{ "a\n${{search_space.lr}}\nb", "${{search_space.lr}}: only ${{inputs.NAME}} and "
		    "${{outputs.NAME}} are known in a container; the service resolves others "
		    "before it starts" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		auto_buf struct buf out = BUF_EMPTY;
		struct err err = ERR_EMPTY;

		check_int(expr_expand(rows[i].text, look_up, &calls, &out, &err), -1);
		check_int(err.kind, ERR_USAGE);
		check_str(err.cause, rows[i].cause);
		check_str(err.resource, "");
	}
	{
		auto_buf struct buf out = BUF_EMPTY;

		check_int(expr_expand("${{inputs.nope}}", look_up, &calls, &out, NULL), -1);
	}
}

static enum expr_found
long_value(void *arg, int is_output, const char *name, const char **ret_value)
{
	(void)is_output;
	(void)name;
	*ret_value = arg;
	return (EXPR_VALUE);
}

static void
test_bound(void)
{
	auto_buf struct buf value = BUF_EMPTY, text = BUF_EMPTY, out = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	int i;

	for (i = 0; i < 1 << 20; i++)
		buf_addc(&value, 'x');
	for (i = 0; i < 4; i++)
		buf_adds(&text, "${{inputs.v}}");
	check_int(expr_expand(text.data, long_value, value.data, &out, &err), 0);
	check_int(out.len, EXPR_TEXT_MAX);
	buf_addc(&text, 'y');
	check_int(expr_expand(text.data, long_value, value.data, &out, &err), -1);
	check_str(err.cause, "the text gets longer than 4194304 bytes");
}

int
main(void)
{
	test_expand();
	check(calls > 0);
	test_refuse();
	test_bound();
	check(expr_has("x ${{y") && expr_has("$[[ x") && !expr_has("${x} $[x] {{x}}"));
	return (check_done());
}
