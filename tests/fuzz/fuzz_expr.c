/*
 * Any text: expanding ends, keeps its bound, and text without ${{ and $[[
 * stays as it is.  Names that start with n have no value, those with u are
 * unknown.
 */

#include "spec/expr.h"
#include "fuzz.h"

static enum expr_found
look_up(void *arg, int is_output, const char *name, const char **ret_value)
{
	(void)arg;
	if (*name == '\0' || strlen(name) > 1 << 20)
		abort();
	if (*name == 'n')
		return (EXPR_ABSENT);
	if (*name == 'u')
		return (EXPR_UNKNOWN);
	*ret_value = is_output ? "/out ${{inputs.a}}" : "value $[[x]]";
	return (EXPR_VALUE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_alloc(size + 1);
	auto_buf struct buf out = BUF_EMPTY;
	struct err err = ERR_EMPTY;

	memcpy(text, data, size);
	text[size] = '\0';
	if (expr_expand(text, look_up, NULL, &out, &err) == 0) {
		if (out.len > EXPR_TEXT_MAX || strlen(buf_str(&out)) != out.len)
			abort();
		if (!expr_has(text) && strcmp(text, buf_str(&out)) != 0)
			abort();
	} else if (err.kind != ERR_USAGE || err.cause[0] == '\0' || !expr_has(text)) {
		abort();
	}
	return (0);
}
