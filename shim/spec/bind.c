#include <string.h>

#include "spec/bind.h"
#include "spec/io.h"

#define BINDINGS_MAX	64

struct binding {
	enum { TO_INPUT, TO_OUTPUT, TO_STEP } to;
	char	*step, *name;
};

char *
bind_expression_at(const char *s, struct arena *arena, const char **ret_end)
{
	const char *end = strstr(s, "}}");
	size_t len;

	if (end == NULL)
		return (NULL);
	*ret_end = end + 2;
	s += strlen("${{");
	s += strspn(s, " \t\r\n");
	len = s < end ? str_trim_end(s, (size_t)(end - s)) : 0;
	return (arena_strndup(arena, s, len));
}

/* 0: expression is "parent.inputs.NAME" or the like.  -1: it is something else. */
static int
parse_binding(char *expression, struct binding *b)
{
	static const char jobs[] = "parent.jobs.", in[] = "parent.inputs.",
	    out[] = "parent.outputs.", step_out[] = ".outputs.";
	char *dot;

	*b = (struct binding){ TO_INPUT, NULL, NULL };
	if (str_starts(expression, in)) {
		b->name = expression + strlen(in);
	} else if (str_starts(expression, out)) {
		b->to = TO_OUTPUT;
		b->name = expression + strlen(out);
	} else if (str_starts(expression, jobs) &&
	    (dot = strstr(expression + strlen(jobs), step_out)) != NULL) {
		b->to = TO_STEP;
		b->step = expression + strlen(jobs);
		*dot = '\0';
		b->name = dot + strlen(step_out);
	} else {
		return (-1);
	}
	return (check_is_name(b->name, 1) && (b->step == NULL || *b->step != '\0') ? 0 : -1);
}

static int
follow(struct reader *r, const struct scope *scope, const struct binding *b,
    const struct yaml_node *at, const char *path, struct spec_io *ret)
{
	const char *kind = b->to == TO_INPUT ? "inputs" : "outputs";
	const struct yaml_node *step = NULL;
	struct io_source from = { scope->parent, NULL, NULL,
	    reader_path(r, scope->path, kind), "" };

	if (b->to == TO_INPUT) {
		from.given = yaml_get(scope->inputs, b->name);
		from.declared = yaml_get(scope->declared, b->name);
		from.declared_path = from.path;
	} else if (b->to == TO_OUTPUT) {
		from.given = yaml_get(scope->outputs, b->name);
	} else {
		step = yaml_get(scope->jobs, b->step);
		from.scope = scope;
		from.path = reader_path(r, reader_path(r, reader_path(r, scope->path, "jobs"),
		    b->step), kind);
		from.given = yaml_get(yaml_get(step, kind), b->name);
		if (yaml_is_null(from.given))
			return (reader_fail(r, at, path, "step %s has no output %s with a path in "
			    "this file: the service knows it; write its path here",
			    yaml_show(b->step, r->scratch), yaml_show(b->name, r->scratch)));
	}
	if (from.given == NULL && from.declared == NULL)
		return (reader_fail(r, at, path, "the pipeline has no %s named %s",
		    b->to == TO_INPUT ? "input" : "output", yaml_show(b->name, r->scratch)));
	if (b->to == TO_INPUT)
		return (io_read_input(r, &from, b->name, ret));
	if (io_read_output(r, &from, b->name, ret) != 0)
		return (-1);
	if (b->to == TO_STEP) {		/* how that step writes is its own affair */
		ret->mode = SPEC_MODE_DEFAULT;
		ret->path_on_compute = NULL;
	}
	return (0);
}

int
bind_whole(struct reader *r, const struct scope *scope, const struct yaml_node *at,
    const char *path, const char *text, struct spec_io *ret)
{
	struct binding b;
	const char *end;
	char *expression;
	int failed;

	if (!str_starts(text, "${{") ||
	    (expression = bind_expression_at(text, r->scratch, &end)) == NULL || *end != '\0' ||
	    !str_starts(expression, "parent."))
		return (0);
	if (scope == NULL)
		return (reader_fail(r, at, path,
		    "${{parent...}} stands only in the steps of a pipeline"));
	if (parse_binding(expression, &b) != 0)
		return (reader_fail(r, at, path, "expected ${{parent.inputs.NAME}}, "
		    "${{parent.outputs.NAME}} or ${{parent.jobs.STEP.outputs.NAME}}"));
	if (r->bindings == BINDINGS_MAX)
		return (reader_fail(r, at, path, "this leads through more than %d other "
		    "bindings, or in a circle", BINDINGS_MAX));
	r->bindings++;
	failed = follow(r, scope, &b, at, path, ret);
	r->bindings--;
	return (failed ? -1 : 1);
}

int
bind_text(struct reader *r, const struct scope *scope, const struct yaml_node *at,
    const char *path, const char *text, const char **ret)
{
	auto_buf struct buf out = { .max = SPEC_TEXT_MAX };
	const char *s = text, *found, *end;
	int bound;

	while ((found = strstr(s, "${{")) != NULL) {
		struct spec_io value = { .name = NULL };
		char *expression = bind_expression_at(found, r->scratch, &end);

		if (expression == NULL)
			break;
		bound = bind_whole(r, scope, at, path,
		    arena_strndup(r->scratch, found, (size_t)(end - found)), &value);
		if (bound < 0)
			return (-1);
		if (bound == 1 && (value.type != SPEC_LITERAL || value.value == NULL))
			return (reader_fail(r, at, path, "%s is not a plain value",
			    yaml_show(expression, r->scratch)));
		if (buf_add(&out, s, (size_t)(found - s)) != 0 ||
		    (bound == 1 ? buf_adds(&out, value.value) :
		    buf_add(&out, found, (size_t)(end - found))) != 0)
			return (reader_fail(r, at, path, "the text gets too long"));
		s = end;
	}
	if (buf_adds(&out, s) != 0)
		return (reader_fail(r, at, path, "the text gets too long"));
	if (reader_charge(r, at, path, out.len) != 0)
		return (-1);
	*ret = arena_strdup(r->arena, buf_str(&out));
	return (0);
}
