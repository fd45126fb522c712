#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/yaml_build.h"

#define SHOW_MAX	64

struct entry {			/* a pair of a map, while keys are made unique */
	struct yaml_node *key, *value;
	size_t	 rank;		/* earlier wins; own pairs come before merged ones */
	int	 own;
};

int
yaml_err(struct err *err, const char *file, int line, int column, const char *field,
    const char *cause_fmt, ...)
{
	char cause[sizeof(err->cause)];
	va_list ap;

	va_start(ap, cause_fmt);
	(void)vsnprintf(cause, sizeof(cause), cause_fmt, ap);
	va_end(ap);
	(void)err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "load", "%s", cause);
	if (line == 0)
		(void)err_on(err, "%s%s%s", file, field && *field ? ": " : "", field ? field : "");
	else
		(void)err_on(err, "%s:%d:%d%s%s", file, line, column,
		    field && *field ? ": " : "", field ? field : "");
	return (-1);
}

const char *
yaml_show(const char *text, struct arena *arena)
{
	size_t i, len = strnlen(text, SHOW_MAX + 1);
	char *out;

	if (len <= SHOW_MAX) {
		out = arena_strndup(arena, text, len);
	} else {
		/* Not in the middle of a UTF-8 sequence. */
		for (len = SHOW_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
		out = arena_printf(arena, "%.*s...", (int)len, text);
	}
	for (i = 0; out[i] != '\0'; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			out[i] = '?';
	return (out);
}

const struct yaml_node *
yaml_get(const struct yaml_node *map, const char *key)
{
	size_t i;

	if (map == NULL || map->kind != YAML_KIND_MAP)
		return (NULL);
	for (i = 0; i < map->n; i++)
		if (strcmp(map->keys[i]->text, key) == 0)
			return (map->values[i]);
	return (NULL);
}

int
yaml_is_null(const struct yaml_node *node)
{
	return (node == NULL ||
	    (node->kind == YAML_KIND_SCALAR && node->scalar == YAML_IS_NULL));
}

const char *
yaml_what(const struct yaml_node *node)
{
	if (node == NULL)
		return ("nothing");
	if (node->kind == YAML_KIND_LIST)
		return ("a list");
	if (node->kind == YAML_KIND_MAP)
		return ("an object");
	switch (node->scalar) {
	case YAML_IS_NULL:
		return ("null");
	case YAML_IS_BOOL:
		return ("a boolean");
	case YAML_IS_INT:
		return ("an integer");
	case YAML_IS_FLOAT:
		return ("a number");
	case YAML_IS_STRING:
		break;
	}
	return (node->len == 0 ? "an empty string" : "a string");
}

static int
one_of(const char *s, const char *const *words, size_t n)
{
	while (n-- > 0)
		if (strcmp(s, words[n]) == 0)
			return (1);
	return (0);
}

static size_t
digits(const char *s)
{
	return (strspn(s, "0123456789"));
}

static int
is_int(const char *s)
{
	if (s[0] == '0' && s[1] == 'o')
		return (s[2] != '\0' && s[2 + strspn(s + 2, "01234567")] == '\0');
	if (s[0] == '0' && s[1] == 'x')
		return (s[2] != '\0' && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0');
	if (*s == '-' || *s == '+')
		s++;
	return (*s != '\0' && s[digits(s)] == '\0');
}

static int
is_float(const char *s)
{
	static const char *const nan_words[] = { ".nan", ".NaN", ".NAN" };
	static const char *const inf_words[] = { ".inf", ".Inf", ".INF" };
	size_t whole, part = 0;

	if (one_of(s, nan_words, LENGTH(nan_words)))
		return (1);
	if (*s == '-' || *s == '+')
		s++;
	if (one_of(s, inf_words, LENGTH(inf_words)))
		return (1);
	whole = digits(s);
	s += whole;
	if (*s == '.') {
		part = digits(s + 1);
		s += 1 + part;
	}
	if (whole + part == 0)
		return (0);
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		if (digits(s) == 0)
			return (0);
		s += digits(s);
	}
	return (*s == '\0');
}

enum yaml_scalar
yaml_plain_type(const char *s)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	static const char *const bools[] = { "true", "True", "TRUE", "false", "False", "FALSE" };

	if (one_of(s, nulls, LENGTH(nulls)))
		return (YAML_IS_NULL);
	if (one_of(s, bools, LENGTH(bools)))
		return (YAML_IS_BOOL);
	if (is_int(s))
		return (YAML_IS_INT);
	return (is_float(s) ? YAML_IS_FLOAT : YAML_IS_STRING);
}

static int
too_many(struct yaml_builder *b, int line, int column)
{
	return (yaml_err(b->err, b->file, line, column, NULL,
	    "the text has more than %d values, aliases counted as what they stand for",
	    YAML_NODES_MAX));
}

struct yaml_node *
yaml_new(struct yaml_builder *b, enum yaml_kind kind, int line, int column)
{
	struct yaml_node *node;

	if (b->nodes >= YAML_NODES_MAX) {
		(void)too_many(b, line, column);
		return (NULL);
	}
	b->nodes++;
	node = arena_alloc(b->arena, sizeof(*node));
	node->kind = kind;
	node->line = line;
	node->column = column;
	return (node);
}

int
yaml_set_text(struct yaml_builder *b, struct yaml_node *node, const char *text, size_t len,
    int plain)
{
	if (memchr(text, '\0', len) != NULL)
		return (yaml_err(b->err, b->file, node->line, node->column, NULL,
		    "a NUL character in a string"));
	node->text = arena_strndup(b->arena, text, len);
	node->len = len;
	node->quoted = !plain;
	node->scalar = plain ? yaml_plain_type(node->text) : YAML_IS_STRING;
	node->weight = 1;
	return (0);
}

int
yaml_charge(struct yaml_builder *b, const struct yaml_node *at, size_t weight)
{
	/* nodes never passes the maximum, so the difference does not wrap. */
	if (weight > YAML_NODES_MAX - b->nodes)
		return (too_many(b, at->line, at->column));
	b->nodes += weight;
	return (0);
}

static void
grow(struct arena *arena, struct yaml_node ***array, size_t n, size_t cap)
{
	struct yaml_node **bigger = arena_alloc(arena, cap * sizeof(*bigger));

	if (n > 0)
		memcpy(bigger, *array, n * sizeof(*bigger));
	*array = bigger;
}

void
yaml_add(struct yaml_builder *b, struct yaml_children *c, struct yaml_node *key,
    struct yaml_node *value)
{
	int full = c->n == c->cap;

	if (full) {
		c->cap = c->cap == 0 ? 4 : c->cap * 2;
		grow(b->arena, &c->values, c->n, c->cap);
	}
	if (key != NULL) {
		if (full || c->keys == NULL)
			grow(b->arena, &c->keys, c->keys == NULL ? 0 : c->n, c->cap);
		c->keys[c->n] = key;
	}
	c->values[c->n++] = value;
}

static int
is_merge(const struct yaml_node *key)
{
	return (!key->quoted && strcmp(key->text, "<<") == 0);
}

static int
by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->key->text, y->key->text);

	if (order != 0)
		return (order);
	return (x->rank < y->rank ? -1 : x->rank > y->rank);
}

static int
by_rank(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->rank < y->rank ? -1 : x->rank > y->rank);
}

/* How many pairs one merge value brings; -1 if it is no map or list of maps. */
static int
merge_size(struct yaml_builder *b, const struct yaml_node *from, size_t *ret)
{
	size_t i;

	*ret = 0;
	if (from->kind == YAML_KIND_MAP) {
		*ret = from->n;
		return (yaml_charge(b, from, from->weight));
	}
	if (from->kind != YAML_KIND_LIST)
		return (yaml_err(b->err, b->file, from->line, from->column, NULL,
		    "the merge key << takes an object or a list of objects, got %s",
		    yaml_what(from)));
	for (i = 0; i < from->n; i++) {
		if (from->values[i]->kind != YAML_KIND_MAP)
			return (yaml_err(b->err, b->file, from->values[i]->line,
			    from->values[i]->column, NULL,
			    "the merge key << takes objects, got %s", yaml_what(from->values[i])));
		*ret += from->values[i]->n;
	}
	return (yaml_charge(b, from, from->weight));
}

static size_t
merge_map(struct entry *e, size_t n, const struct yaml_node *map)
{
	size_t i;

	for (i = 0; i < map->n; i++, n++)
		e[n] = (struct entry){ map->keys[i], map->values[i], n, 0 };
	return (n);
}

/* Own pairs, then those of <<, in order. */
static int
collect(struct yaml_builder *b, const struct yaml_children *c, struct entry **ret, size_t *ret_n)
{
	const struct yaml_node *from = NULL;
	struct entry *e;
	size_t i, merged = 0, n = 0;

	for (i = 0; i < c->n; i++) {
		if (!is_merge(c->keys[i]))
			continue;
		if (from != NULL)
			return (yaml_err(b->err, b->file, c->keys[i]->line, c->keys[i]->column,
			    NULL, "the merge key << stands twice in one object; "
			    "write a list: <<: [*a, *b]"));
		from = c->values[i];
		if (merge_size(b, from, &merged) != 0)
			return (-1);
	}
	e = arena_alloc(b->arena, (c->n + merged + 1) * sizeof(*e));
	for (i = 0; i < c->n; i++)
		if (!is_merge(c->keys[i])) {
			e[n] = (struct entry){ c->keys[i], c->values[i], n, 1 };
			n++;
		}
	if (from != NULL && from->kind == YAML_KIND_MAP)
		n = merge_map(e, n, from);
	else if (from != NULL)
		for (i = 0; i < from->n; i++)
			n = merge_map(e, n, from->values[i]);
	*ret = e;
	*ret_n = n;
	return (0);
}

/* The first duplicate in the order of the text, or NULL; drops merged ones. */
static const struct entry *
unique(struct entry *e, size_t *n, const struct entry **ret_first)
{
	const struct entry *duplicate = NULL;
	size_t i, first = 0, kept = 0;

	qsort(e, *n, sizeof(*e), by_key);
	for (i = 0; i < *n; i++) {
		if (kept > 0 && strcmp(e[first].key->text, e[i].key->text) == 0) {
			if (e[i].own && (duplicate == NULL || e[i].rank < duplicate->rank)) {
				duplicate = &e[i];
				*ret_first = &e[first];
			}
			continue;
		}
		first = i;
		kept++;
	}
	if (duplicate != NULL)
		return (duplicate);
	for (i = kept = 0; i < *n; i++)
		if (kept == 0 || strcmp(e[kept - 1].key->text, e[i].key->text) != 0)
			e[kept++] = e[i];
	*n = kept;
	qsort(e, *n, sizeof(*e), by_rank);
	return (NULL);
}

static int
close_map(struct yaml_builder *b, struct yaml_children *c)
{
	const struct entry *again, *first = NULL;
	struct entry *e = NULL;
	size_t i, n = 0;

	if (collect(b, c, &e, &n) != 0)
		return (-1);
	again = n > 1 ? unique(e, &n, &first) : NULL;
	if (again != NULL)
		return (yaml_err(b->err, b->file, again->key->line, again->key->column,
		    yaml_show(again->key->text, b->arena),
		    "the key stands twice in one object, first in line %d",
		    first->key->line));
	*c = (struct yaml_children){ NULL, NULL, 0, 0 };
	for (i = 0; i < n; i++)
		yaml_add(b, c, e[i].key, e[i].value);
	return (0);
}

int
yaml_close(struct yaml_builder *b, struct yaml_node *node, struct yaml_children *c)
{
	size_t i;

	if (node->kind == YAML_KIND_MAP && close_map(b, c) != 0)
		return (-1);
	node->keys = c->keys;
	node->values = c->values;
	node->n = c->n;
	node->weight = 1;
	node->height = 1;
	for (i = 0; i < c->n; i++) {
		node->weight += c->values[i]->weight + (c->keys != NULL ? 1 : 0);
		if (node->height <= c->values[i]->height)
			node->height = c->values[i]->height + 1;
	}
	return (0);
}
