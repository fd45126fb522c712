#include <string.h>

#include "spec/expr.h"

#define SHOW_MAX	80

struct expansion {
	expr_lookup	*lookup;
	void		*arg;
	struct buf	*out;
	size_t		 start;		/* bytes of out that were there before */
	struct err	*err;
	int		 in_group;
	int		 absent;	/* in a group: a name had no value */
};

static int
fail(struct expansion *x, const char *at, size_t len, const char *why)
{
	const char *newline = memchr(at, '\n', len);

	if (newline != NULL)
		len = (size_t)(newline - at);
	return (err_set(x->err, ERR_USAGE, REMEDY_FIX_SPEC, "expand", "%.*s%s: %s",
	    (int)(len < SHOW_MAX ? len : SHOW_MAX), at, len <= SHOW_MAX ? "" : "...", why));
}

static int
add(struct expansion *x, const char *text, size_t len)
{
	if (len > EXPR_TEXT_MAX || x->out->len - x->start > EXPR_TEXT_MAX - len ||
	    buf_add(x->out, text, len) != 0)
		return (err_set(x->err, ERR_USAGE, REMEDY_FIX_SPEC, "expand",
		    "the text gets longer than %u bytes", EXPR_TEXT_MAX));
	return (0);
}

static int
is_letter(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_');
}

static size_t
name_length(const char *s)
{
	size_t n = 0;

	for (;;) {
		if (!is_letter(s[n]))
			return (0);
		while (is_letter(s[n]) || (s[n] >= '0' && s[n] <= '9'))
			n++;
		if (s[n] != '.')
			return (n);
		n++;
	}
}

static const char *
skip_space(const char *s)
{
	return (s + strspn(s, " \t\r\n"));
}

static int
expand_name(struct expansion *x, const char *at, size_t len, int is_output, const char *name)
{
	const char *value = NULL;

	switch (x->lookup(x->arg, is_output, name, &value)) {
	case EXPR_VALUE:
		return (add(x, value, strlen(value)));
	case EXPR_ABSENT:
		if (!x->in_group)
			return (fail(x, at, len,
			    "this optional input has no value: put the text around it "
			    "in $[[ ]]"));
		break;
	case EXPR_UNKNOWN:
		if (!x->in_group)
			return (fail(x, at, len, is_output ? "there is no such output" :
			    "there is no such input"));
		break;
	}
	x->absent = 1;
	return (0);
}

/* One ${{...}} at at; *ret_end is behind it. */
static int
expand_reference(struct expansion *x, const char *at, const char **ret_end)
{
	auto_free char *name = NULL;
	const char *s = skip_space(at + 3), *end = strstr(at, "}}");
	size_t whole, len;
	int is_output;

	if (end == NULL)
		return (fail(x, at, strlen(at), "the expression has no }}"));
	*ret_end = end + 2;
	whole = (size_t)(*ret_end - at);
	is_output = str_starts(s, "outputs.");
	if (!is_output && !str_starts(s, "inputs."))
		return (fail(x, at, whole, "only ${{inputs.NAME}} and ${{outputs.NAME}} are "
		    "known in a container; the service resolves others before it starts"));
	s += is_output ? strlen("outputs.") : strlen("inputs.");
	len = name_length(s);
	if (len == 0 || skip_space(s + len) != end)
		return (fail(x, at, whole, "a name has letters, digits and underscores"));
	name = mem_alloc(len + 1);
	memcpy(name, s, len);
	name[len] = '\0';
	return (expand_name(x, at, whole, is_output, name));
}

/* Text up to end, in which only references are special. */
static int
expand_text(struct expansion *x, const char *s, const char *end)
{
	const char *at;

	while ((at = memmem(s, (size_t)(end - s), "${{", 3)) != NULL) {
		if (add(x, s, (size_t)(at - s)) != 0 || expand_reference(x, at, &s) != 0)
			return (-1);
		if (s > end)
			return (fail(x, at, (size_t)(s - at),
			    "the expression does not end within its group"));
	}
	return (add(x, s, (size_t)(end - s)));
}

/* $[[ at s; *ret_end is behind its ]]. */
static int
expand_group(struct expansion *x, const char *s, const char **ret_end)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct expansion inner = *x;
	const char *end = strstr(s + 3, "]]");

	if (end == NULL)
		return (fail(x, s, strlen(s), "the optional group has no ]]"));
	*ret_end = end + 2;
	inner.out = &text;
	inner.start = 0;
	inner.in_group = 1;
	inner.absent = 0;
	if (expand_text(&inner, s + 3, end) != 0)
		return (-1);
	return (inner.absent ? 0 : add(x, buf_str(&text), text.len));
}

int
expr_expand(const char *text, expr_lookup *lookup, void *arg, struct buf *ret, struct err *err)
{
	struct expansion x = { .lookup = lookup, .arg = arg, .out = ret, .start = ret->len,
	    .err = err };
	const char *s = text, *group;

	while ((group = strstr(s, "$[[")) != NULL) {
		if (expand_text(&x, s, group) != 0 || expand_group(&x, group, &s) != 0)
			return (-1);
	}
	return (expand_text(&x, s, s + strlen(s)));
}

int
expr_has(const char *text)
{
	return (strstr(text, "${{") != NULL || strstr(text, "$[[") != NULL);
}
