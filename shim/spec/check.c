#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/check.h"

#define REMARKS_MAX	200
#define NAME_MAX_BYTES	255
#define COPIED_MAX	(4 * SPEC_TEXT_MAX)
#define WORD_MAX	40	/* longer words are no misspelling of a field */

void *
check_grow(struct arena *arena, void *old, size_t n, size_t element_size)
{
	void *bigger;

	if (n != 0 && (n & (n - 1)) != 0)
		return (old);
	bigger = arena_alloc(arena, (n == 0 ? 1 : n * 2) * element_size);
	if (n > 0)
		memcpy(bigger, old, n * element_size);
	return (bigger);
}

struct spec_at
reader_at(const struct reader *r, const struct yaml_node *node)
{
	return ((struct spec_at){ r->file, node->line, node->column });
}

const char *
reader_path(struct reader *r, const char *parent, const char *name)
{
	const char *shown = yaml_show(name, r->scratch);

	return (*parent == '\0' ? shown : arena_printf(r->scratch, "%s.%s", parent, shown));
}

static int	fail(struct reader *, const struct yaml_node *at, const char *path, const char *fmt,
		    va_list) __attribute__((format(printf, 4, 0)));

static int
fail(struct reader *r, const struct yaml_node *at, const char *path, const char *fmt, va_list ap)
{
	char cause[sizeof(r->err->cause)];

	(void)vsnprintf(cause, sizeof(cause), fmt, ap);
	return (yaml_err(r->err, r->file, at->line, at->column, path, "%s", cause));
}

int
reader_fail(struct reader *r, const struct yaml_node *at, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fail(r, at, path, fmt, ap);
	va_end(ap);
	return (-1);
}

int
reader_wrong_type(struct reader *r, const struct yaml_node *at, const char *path,
    const char *expected)
{
	int quotable = at->kind == YAML_KIND_SCALAR && strcmp(expected, "a string") == 0 &&
	    at->scalar != YAML_IS_NULL;

	return (reader_fail(r, at, path, "expected %s, got %s%s", expected, yaml_what(at),
	    quotable ? " (quote it)" : ""));
}

int
reader_charge(struct reader *r, const struct yaml_node *at, const char *path, size_t len)
{
	if (len <= COPIED_MAX - r->copied) {
		r->copied += len;
		return (0);
	}
	return (reader_fail(r, at, path, "the texts of this file, repeated by aliases or bindings, "
	    "have more than %u bytes", COPIED_MAX));
}

int
reader_string(struct reader *r, const struct yaml_node *node, const char *path, const char **ret)
{
	if (node->kind != YAML_KIND_SCALAR || node->scalar != YAML_IS_STRING)
		return (reader_wrong_type(r, node, path, "a string"));
	if (reader_charge(r, node, path, node->len) != 0)
		return (-1);
	*ret = arena_strdup(r->arena, node->text);
	return (0);
}

void
reader_remark(struct reader *r, enum spec_remark_kind kind, const struct yaml_node *at,
    const char *fmt, ...)
{
	struct spec *spec = r->spec;
	char text[512];
	size_t i;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What several steps share is read more than once. */
	for (i = 0; i < spec->nremarks; i++)
		if (spec->remarks[i].at.line == at->line &&
		    spec->remarks[i].at.column == at->column &&
		    strcmp(spec->remarks[i].at.file, r->file) == 0 &&
		    strcmp(spec->remarks[i].text, text) == 0)
			return;
	if (spec->nremarks >= REMARKS_MAX)
		return;
	CHECK_GROW(r->arena, spec->remarks, spec->nremarks);
	spec->remarks[spec->nremarks++] = (struct spec_remark){ kind, reader_at(r, at),
	    arena_strdup(r->arena, text) };
}

/* Edit distance (insert, delete, replace, swap of neighbours), for words up to WORD_MAX. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[3][WORD_MAX + 1], i, j, *last, *here, *before;

	for (j = 0; j <= nb; j++)
		row[0][j] = j;
	for (i = 1; i <= na; i++) {
		here = row[i % 3];
		last = row[(i + 2) % 3];
		before = row[(i + 1) % 3];
		here[0] = i;
		for (j = 1; j <= nb; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (here[j - 1] + 1 < best)
				best = here[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			here[j] = best;
		}
	}
	return (row[na % 3][nb]);
}

const char *
check_nearest(const char *word, const struct field *fields, size_t n)
{
	size_t i, d, best = 3, len = strnlen(word, WORD_MAX + 1), other;
	const char *found = NULL;

	if (len > WORD_MAX)
		return (NULL);
	for (i = 0; i < n; i++) {
		other = strlen(fields[i].name);
		if (other > WORD_MAX)
			continue;
		d = distance(word, len, fields[i].name, other);
		if (d < best && d * 2 < len) {
			best = d;
			found = fields[i].name;
		}
	}
	return (found);
}

int
check_is_name(const char *name, int dots)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	const char *p = name;

	if (strlen(name) > NAME_MAX_BYTES)
		return (0);
	for (;;) {
		if (*p == '\0' || strchr(letters, *p) == NULL)
			return (0);
		p += strspn(p, letters);
		while (*p != '\0' && (strchr(letters, *p) != NULL || (*p >= '0' && *p <= '9')))
			p++;
		if (*p == '\0')
			return (1);
		if (*p != '.' || !dots)
			return (0);
		p++;
	}
}

static int
is_named(const struct reader *r, const char *key, const struct field *f)
{
	if (strcmp(key, f->name) == 0)
		return (1);
	return (r->arm && (str_same_loose(key, f->name) ||
	    (f->arm != NULL && str_same_loose(key, f->arm))));
}

/* What several steps, or several bindings, share is read more than once. */
static int
is_remarked(const struct reader *r, const struct yaml_node *key)
{
	const struct spec *spec = r->spec;
	size_t i;

	for (i = 0; i < spec->nremarks; i++)
		if (spec->remarks[i].at.line == key->line &&
		    spec->remarks[i].at.column == key->column &&
		    strcmp(spec->remarks[i].at.file, r->file) == 0)
			return (1);
	return (0);
}

static void
remark_field(const struct object *o, const struct yaml_node *key, const struct yaml_node *value)
{
	const char *path, *near;
	size_t i;

	if (o->r->spec->nremarks >= REMARKS_MAX || is_remarked(o->r, key))
		return;
	path = reader_path(o->r, o->path, key->text);
	for (i = 0; i < o->nfields; i++)
		if (is_named(o->r, key->text, &o->fields[i]))
			break;
	if (i < o->nfields) {
		if (!o->fields[i].used && !yaml_is_null(value))
			reader_remark(o->r, SPEC_REMARK_UNUSED, key,
			    "field \"%s\" is not used", path);
		return;
	}
	near = check_nearest(key->text, o->fields, o->nfields);
	if (near != NULL)
		reader_remark(o->r, SPEC_REMARK_UNKNOWN, key,
		    "unknown field \"%s\" (did you mean \"%s\"?)", path, near);
	else
		reader_remark(o->r, SPEC_REMARK_UNKNOWN, key, "unknown field \"%s\"", path);
}

int
object_open(struct object *ret, struct reader *r, const struct yaml_node *node, const char *path,
    const struct field *fields, size_t nfields)
{
	size_t i;

	if (node->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, node, path, "an object"));
	*ret = (struct object){ r, node, path, fields, nfields };
	for (i = 0; i < node->n; i++)
		remark_field(ret, node->keys[i], node->values[i]);
	return (0);
}

static const struct yaml_node *
find_key(const struct object *o, const char *name, const struct yaml_node **ret_key)
{
	const struct field *f = NULL;
	size_t i;

	for (i = 0; i < o->nfields && f == NULL; i++)
		if (strcmp(o->fields[i].name, name) == 0)
			f = &o->fields[i];
	for (i = 0; f != NULL && i < o->node->n; i++)
		if (is_named(o->r, o->node->keys[i]->text, f)) {
			*ret_key = o->node->keys[i];
			return (o->node->values[i]);
		}
	return (NULL);
}

const struct yaml_node *
object_find(const struct object *o, const char *name)
{
	const struct yaml_node *key, *value = find_key(o, name, &key);

	return (yaml_is_null(value) ? NULL : value);
}

const char *
object_path(const struct object *o, const char *name)
{
	const struct yaml_node *key;

	if (name == NULL)
		return (o->path);
	return (reader_path(o->r, o->path, find_key(o, name, &key) != NULL ? key->text : name));
}

int
object_fail(const struct object *o, const char *name, const char *fmt, ...)
{
	const struct yaml_node *at = name != NULL ? object_find(o, name) : NULL;
	va_list ap;

	va_start(ap, fmt);
	(void)fail(o->r, at != NULL ? at : o->node, object_path(o, name), fmt, ap);
	va_end(ap);
	return (-1);
}

int
object_missing(const struct object *o, const char *name)
{
	return (reader_fail(o->r, o->node, object_path(o, name),
	    "this field is required and missing"));
}

int
object_string(const struct object *o, const char *name, const char **ret)
{
	const struct yaml_node *node = object_find(o, name);

	*ret = NULL;
	if (node == NULL)
		return (0);
	return (reader_string(o->r, node, object_path(o, name), ret));
}

int
object_need_string(const struct object *o, const char *name, const char **ret)
{
	if (object_string(o, name, ret) != 0)
		return (-1);
	if (*ret == NULL)
		return (object_missing(o, name));
	if (**ret == '\0')
		return (object_fail(o, name, "expected a string, got an empty one"));
	return (0);
}

int
object_bool(const struct object *o, const char *name, int *ret)
{
	const struct yaml_node *node = object_find(o, name);

	if (node == NULL)
		return (0);
	if (node->kind != YAML_KIND_SCALAR || node->scalar != YAML_IS_BOOL)
		return (reader_wrong_type(o->r, node, object_path(o, name), "true or false"));
	*ret = node->text[0] == 't' || node->text[0] == 'T';
	return (0);
}

int
object_guid(const struct object *o, const char *name, const char **ret)
{
	if (object_string(o, name, ret) != 0)
		return (-1);
	if (*ret != NULL && !str_is_guid(*ret))
		return (object_fail(o, name,
		    "expected a GUID (8-4-4-4-12 hexadecimal digits)"));
	return (0);
}
