#include "cli/findings.h"

#include <string.h>

#include "base/json.h"

#define LINE_MAX_BYTES	2048
#define INDENT		"        "

const char *
finding_state_name(enum finding_state state)
{
	static const char *const names[] = { "ok", "skip", "warn", "FAIL" };

	return ((size_t)state < LENGTH(names) ? names[state] : "?");
}

static struct finding *
add(struct findings *f)
{
	if (f->n == f->size) {
		f->size = f->size == 0 ? 16 : 2 * f->size;
		f->list = mem_grow(f->list, f->size * sizeof(*f->list));
	}
	return (&f->list[f->n++]);
}

struct finding *
findings_add(struct findings *f, enum finding_state state, const char *check, const char *about,
    const char *seen_fmt, ...)
{
	struct finding *x = add(f);
	char seen[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, seen_fmt);
	(void)vsnprintf(seen, sizeof(seen), seen_fmt, ap);
	va_end(ap);
	*x = (struct finding){ .state = state, .check = arena_strdup(&f->mem, check),
	    .about = arena_strdup(&f->mem, about), .seen = arena_strdup(&f->mem, seen) };
	return (x);
}

struct finding *
findings_err(struct findings *f, int needed, const char *check, const char *about,
    const struct err *err)
{
	struct finding *x = findings_add(f, needed ? FINDING_FAIL : FINDING_WARN, check, about,
	    "%s", "");

	x->err = *err;
	return (x);
}

void
findings_append(struct findings *f, struct findings *from)
{
	const struct finding *x;
	struct finding *copy;

	for (x = from->list; x < from->list + from->n; x++) {
		copy = findings_add(f, x->state, x->check, x->about, "%s", x->seen);
		copy->err = x->err;
		copy->run = x->run != NULL ? arena_strdup(&f->mem, x->run) : NULL;
	}
	findings_done(from);
}

void
findings_done(struct findings *f)
{
	free(f->list);
	arena_done(&f->mem);
	*f = (struct findings){ .n = 0 };
}

int
findings_exit_status(const struct findings *f)
{
	static const int worst_first[] = { 2, 125, 120, 121, 122 };
	size_t i, w;

	for (w = 0; w < LENGTH(worst_first); w++)
		for (i = 0; i < f->n; i++)
			if (f->list[i].state == FINDING_FAIL &&
			    err_exit_status(&f->list[i].err) == worst_first[w])
				return (worst_first[w]);
	return (0);
}

/* The failure without its remedy, which has a line of its own. */
static const char *
failure_text(const struct finding *x, char *buf, size_t size)
{
	struct err err = x->err;

	if (err.kind == ERR_NONE)
		return ("");
	err.remedy = REMEDY_NONE;
	return (err_line(&err, buf, size));
}

static const char *
remedy_text(const struct finding *x, char *buf, size_t size)
{
	return (x->err.kind == ERR_NONE ? "" : err_remedy_text(&x->err, buf, size));
}

/* What comes from files and services may not break a line nor command a terminal. */
static void
put_clean(FILE *out, const char *text)
{
	size_t n, left = strlen(text);

	for (; left > 0; text += n, left -= n) {
		n = str_utf8_printable(text, left);
		if (n > 0)
			(void)fwrite(text, 1, n, out);
		else {
			n = 1;
			fputc(' ', out);
		}
	}
}

static void
print_row(const struct finding *x, FILE *out)
{
	char line[LINE_MAX_BYTES];
	const char *failure = failure_text(x, line, sizeof(line)), *remedy;

	fprintf(out, "%-4s  %s", finding_state_name(x->state), x->check);
	if (x->about[0] != '\0') {
		fputc(' ', out);
		put_clean(out, x->about);
	}
	fputs(": ", out);
	put_clean(out, failure);
	if (failure[0] != '\0' && x->seen[0] != '\0')
		fputs("; ", out);
	put_clean(out, x->seen);
	fputc('\n', out);
	remedy = remedy_text(x, line, sizeof(line));
	if (remedy[0] != '\0') {
		fputs(INDENT "do:  ", out);
		put_clean(out, remedy);
		fputc('\n', out);
	}
	if (x->run != NULL) {
		fputs(INDENT "run: ", out);
		put_clean(out, x->run);
		fputc('\n', out);
	}
}

static void
print_table(const struct findings *f, FILE *out)
{
	size_t count[FINDING_FAIL + 1] = { 0 }, i;

	for (i = 0; i < f->n; i++) {
		print_row(&f->list[i], out);
		count[f->list[i].state]++;
	}
	fprintf(out, "%zu ok, %zu to look at, %zu failed, %zu not tried\n", count[FINDING_OK],
	    count[FINDING_WARN], count[FINDING_FAIL], count[FINDING_SKIP]);
}

static void
add_object(struct json_out *out, const struct finding *x)
{
	char line[LINE_MAX_BYTES];

	json_out_begin(out, '{');
	json_out_kstring(out, "check", x->check);
	json_out_kstring(out, "about", x->about[0] != '\0' ? x->about : NULL);
	json_out_kstring(out, "state", x->state == FINDING_FAIL ? "fail" :
	    finding_state_name(x->state));
	json_out_kstring(out, "seen", x->seen[0] != '\0' ? x->seen : NULL);
	if (x->err.kind != ERR_NONE) {
		json_out_kstring(out, "error", failure_text(x, line, sizeof(line)));
		json_out_kstring(out, "kind", err_kind_name(x->err.kind));
		json_out_kstring(out, "identity", x->err.identity[0] != '\0' ? x->err.identity :
		    NULL);
		json_out_kstring(out, "remedy", remedy_text(x, line, sizeof(line)));
		json_out_kstring(out, "run", x->run);
	}
	json_out_end(out, '}');
}

static void
print_json(const struct findings *f, FILE *out)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out json;
	size_t i;

	json_out_init(&json, &text, 1);
	json_out_begin(&json, '{');
	json_out_key(&json, "findings");
	json_out_begin(&json, '[');
	for (i = 0; i < f->n; i++)
		add_object(&json, &f->list[i]);
	json_out_end(&json, ']');
	json_out_kint(&json, "exit", findings_exit_status(f));
	json_out_end(&json, '}');
	buf_addc(&text, '\n');
	fputs(buf_str(&text), out);
}

int
findings_print(const struct findings *f, int json, FILE *out)
{
	if (json)
		print_json(f, out);
	else
		print_table(f, out);
	return (fflush(out) == 0 && !ferror(out) ? 0 : -1);
}
