#include <string.h>

#include <yaml.h>

#include "base/secret.h"
#include "spec/yaml_build.h"

struct anchor {
	const char	 *name;
	struct yaml_node *node;
};

struct loader {
	struct yaml_builder build;
	yaml_parser_t	 parser;
	struct anchor	*anchors;	/* of this document */
	size_t		 nanchors;
	int		 depth;
	const char	*text;		/* for positions of encoding errors */
	size_t		 len;
};

static int
line_of(yaml_mark_t mark)
{
	return ((int)mark.line + 1);
}

static int
column_of(yaml_mark_t mark)
{
	return ((int)mark.column + 1);
}

static int
fail_at(struct loader *l, yaml_mark_t mark, const char *cause)
{
	return (yaml_err(l->build.err, l->build.file, line_of(mark), column_of(mark), NULL,
	    "%s", cause));
}

/* The reader knows only an offset. */
static int
fail_encoding(struct loader *l)
{
	size_t i, end = l->parser.problem_offset < l->len ? l->parser.problem_offset : l->len;
	int line = 1, column = 1;

	for (i = 0; i < end; i++) {
		column++;
		if (l->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return (yaml_err(l->build.err, l->build.file, line, column, NULL,
	    "not a text: %s", l->parser.problem));
}

static int
fail_syntax(struct loader *l)
{
	const yaml_parser_t *p = &l->parser;

	if (p->error == YAML_MEMORY_ERROR)
		return (err_set(l->build.err, ERR_SYSTEM, REMEDY_NONE, "load", "out of memory"));
	if (p->error == YAML_READER_ERROR)
		return (fail_encoding(l));
	if (p->context != NULL)
		return (yaml_err(l->build.err, l->build.file, line_of(p->problem_mark),
		    column_of(p->problem_mark), NULL, "%s, %s that starts in line %d",
		    p->problem, p->context, line_of(p->context_mark)));
	return (fail_at(l, p->problem_mark, p->problem));
}

/* Scalars can be secrets: nothing of them stays in freed memory. */
static void
event_done(yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT && event->data.scalar.value != NULL)
		secret_wipe(event->data.scalar.value, event->data.scalar.length);
	yaml_event_delete(event);
}

static int
next_event(struct loader *l, yaml_event_t *event)
{
	if (yaml_parser_parse(&l->parser, event) == 1)
		return (0);
	return (fail_syntax(l));
}

static int
add_anchor(struct loader *l, const yaml_char_t *name, struct yaml_node *node)
{
	size_t i;

	if (name == NULL)
		return (0);
	for (i = 0; i < l->nanchors; i++)
		if (strcmp(l->anchors[i].name, (const char *)name) == 0)
			break;
	if (i == YAML_ANCHORS_MAX)
		return (yaml_err(l->build.err, l->build.file, node->line, node->column, NULL,
		    "more than %d anchors", YAML_ANCHORS_MAX));
	if (i == l->nanchors) {
		if (l->anchors == NULL)
			l->anchors = arena_alloc(l->build.arena,
			    YAML_ANCHORS_MAX * sizeof(*l->anchors));
		l->anchors[l->nanchors++].name =
		    arena_strdup(l->build.arena, (const char *)name);
	}
	l->anchors[i].node = node;
	return (0);
}

static int
too_deep(struct loader *l, int line, int column)
{
	return (yaml_err(l->build.err, l->build.file, line, column, NULL,
	    "nested more than %d deep", YAML_DEPTH_MAX));
}

static int
read_alias(struct loader *l, const yaml_event_t *event, struct yaml_node **ret)
{
	const char *name = (const char *)event->data.alias.anchor;
	size_t i;

	for (i = 0; i < l->nanchors; i++)
		if (strcmp(l->anchors[i].name, name) == 0)
			break;
	if (i == l->nanchors)
		return (yaml_err(l->build.err, l->build.file, line_of(event->start_mark),
		    column_of(event->start_mark), NULL, "no anchor &%s before this alias",
		    yaml_show(name, l->build.arena)));
	if (l->anchors[i].node->weight == 0)
		return (yaml_err(l->build.err, l->build.file, line_of(event->start_mark),
		    column_of(event->start_mark), NULL, "the alias *%s stands for what contains it",
		    yaml_show(name, l->build.arena)));
	if (l->depth + l->anchors[i].node->height > YAML_DEPTH_MAX)
		return (too_deep(l, line_of(event->start_mark), column_of(event->start_mark)));
	if (yaml_charge(&l->build, l->anchors[i].node, l->anchors[i].node->weight) != 0)
		return (-1);
	*ret = l->anchors[i].node;
	return (0);
}

/* The core schema's tags change the type of a scalar; others mean nothing here. */
static int
apply_tag(struct loader *l, const yaml_char_t *tag, struct yaml_node *node)
{
	static const struct {
		const char *tag;
		enum yaml_scalar type;
	} tags[] = {
		{ "!", YAML_IS_STRING }, { YAML_STR_TAG, YAML_IS_STRING },
		{ YAML_NULL_TAG, YAML_IS_NULL }, { YAML_BOOL_TAG, YAML_IS_BOOL },
		{ YAML_INT_TAG, YAML_IS_INT }, { YAML_FLOAT_TAG, YAML_IS_FLOAT },
	};
	enum yaml_scalar plain;
	size_t i;

	if (tag == NULL)
		return (0);
	for (i = 0; i < LENGTH(tags); i++)
		if (strcmp((const char *)tag, tags[i].tag) == 0)
			break;
	plain = yaml_plain_type(node->text);
	if (i < LENGTH(tags) && (tags[i].type == YAML_IS_STRING || tags[i].type == plain ||
	    (tags[i].type == YAML_IS_FLOAT && plain == YAML_IS_INT))) {
		node->scalar = tags[i].type;
		if (node->scalar == YAML_IS_STRING)
			node->quoted = 1;
		return (0);
	}
	return (yaml_err(l->build.err, l->build.file, node->line, node->column, NULL,
	    "the tag %s does not fit here", yaml_show((const char *)tag, l->build.arena)));
}

static int
check_collection_tag(struct loader *l, const yaml_char_t *tag, const char *fits,
    const struct yaml_node *node)
{
	if (tag == NULL || strcmp((const char *)tag, "!") == 0 ||
	    strcmp((const char *)tag, fits) == 0)
		return (0);
	return (yaml_err(l->build.err, l->build.file, node->line, node->column, NULL,
	    "the tag %s does not fit here", yaml_show((const char *)tag, l->build.arena)));
}

static int	read_node(struct loader *, yaml_event_t *, struct yaml_node **);

/* Reads a child; *ret is NULL at the end of the collection. */
static int
read_child(struct loader *l, struct yaml_node **ret)
{
	yaml_event_t event;
	int status = 0;

	if (next_event(l, &event) != 0)
		return (-1);
	*ret = NULL;
	if (event.type != YAML_SEQUENCE_END_EVENT && event.type != YAML_MAPPING_END_EVENT)
		status = read_node(l, &event, ret);
	event_done(&event);
	return (status);
}

static int
read_key_value(struct loader *l, struct yaml_node **key, struct yaml_node **value)
{
	if (read_child(l, key) != 0)
		return (-1);
	if (*key == NULL)
		return (0);
	if ((*key)->kind != YAML_KIND_SCALAR)
		return (yaml_err(l->build.err, l->build.file, (*key)->line, (*key)->column, NULL,
		    "a key must be a word, got %s", yaml_what(*key)));
	return (read_child(l, value));
}

static int
read_collection(struct loader *l, struct yaml_node *node)
{
	struct yaml_children c = { NULL, NULL, 0, 0 };
	struct yaml_node *key = NULL, *value = NULL;

	if (++l->depth > YAML_DEPTH_MAX)
		return (too_deep(l, node->line, node->column));
	for (;;) {
		if (node->kind == YAML_KIND_MAP) {
			if (read_key_value(l, &key, &value) != 0)
				return (-1);
			if (key == NULL)
				break;
		} else {
			if (read_child(l, &value) != 0)
				return (-1);
			if (value == NULL)
				break;
		}
		yaml_add(&l->build, &c, key, value);
	}
	l->depth--;
	return (yaml_close(&l->build, node, &c));
}

static int
read_scalar(struct loader *l, const yaml_event_t *event, struct yaml_node *node)
{
	if (yaml_set_text(&l->build, node, (const char *)event->data.scalar.value,
	    event->data.scalar.length,
	    event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) != 0 ||
	    apply_tag(l, event->data.scalar.tag, node) != 0)
		return (-1);
	return (add_anchor(l, event->data.scalar.anchor, node));
}

static int
read_node(struct loader *l, yaml_event_t *event, struct yaml_node **ret)
{
	enum yaml_kind kind = YAML_KIND_SCALAR;
	struct yaml_node *node;

	if (event->type == YAML_ALIAS_EVENT)
		return (read_alias(l, event, ret));
	if (event->type == YAML_SEQUENCE_START_EVENT)
		kind = YAML_KIND_LIST;
	else if (event->type == YAML_MAPPING_START_EVENT)
		kind = YAML_KIND_MAP;
	else if (event->type != YAML_SCALAR_EVENT)
		return (fail_at(l, event->start_mark, "a value was expected here"));
	node = yaml_new(&l->build, kind, line_of(event->start_mark),
	    column_of(event->start_mark));
	if (node == NULL)
		return (-1);
	*ret = node;
	if (kind == YAML_KIND_SCALAR)
		return (read_scalar(l, event, node));
	if (kind == YAML_KIND_LIST) {
		if (check_collection_tag(l, event->data.sequence_start.tag, YAML_SEQ_TAG,
		    node) != 0 || add_anchor(l, event->data.sequence_start.anchor, node) != 0)
			return (-1);
	} else if (check_collection_tag(l, event->data.mapping_start.tag, YAML_MAP_TAG,
	    node) != 0 || add_anchor(l, event->data.mapping_start.anchor, node) != 0)
		return (-1);
	return (read_collection(l, node));
}

/* Adds what one event of the stream's top level brings; 1: the stream has ended. */
static int
read_top(struct loader *l, yaml_event_t *event, struct yaml_children *docs)
{
	struct yaml_node *root = NULL;

	switch (event->type) {
	case YAML_STREAM_END_EVENT:
		return (1);
	case YAML_DOCUMENT_START_EVENT:
		l->nanchors = 0;
		return (0);
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return (0);
	default:
		if (read_node(l, event, &root) != 0)
			return (-1);
		yaml_add(&l->build, docs, NULL, root);
		return (0);
	}
}

/* libyaml frees its buffers as they are; the text may hold keys. */
static void
loader_done(struct loader *l)
{
	yaml_parser_t *p = &l->parser;

	if (p->raw_buffer.start != NULL)
		secret_wipe(p->raw_buffer.start,
		    (size_t)(p->raw_buffer.end - p->raw_buffer.start));
	if (p->buffer.start != NULL)
		secret_wipe(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
	yaml_parser_delete(p);
}

static int
parse_yaml(struct loader *l, struct yaml_docs *ret)
{
	struct yaml_children docs = { NULL, NULL, 0, 0 };
	yaml_event_t event;
	int status = 0;

	if (yaml_parser_initialize(&l->parser) != 1)
		return (err_set(l->build.err, ERR_SYSTEM, REMEDY_NONE, "load", "out of memory"));
	yaml_parser_set_input_string(&l->parser, (const unsigned char *)l->text, l->len);
	while (status == 0) {
		if (next_event(l, &event) != 0) {
			status = -1;
			break;
		}
		status = read_top(l, &event, &docs);
		event_done(&event);
	}
	loader_done(l);
	if (status < 0)
		return (-1);
	ret->docs = docs.values;
	ret->n = docs.n;
	return (0);
}

static int
looks_like_json(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			return (text[i] == '{' || text[i] == '[');
	return (0);
}

int
yaml_parse(struct yaml_docs *ret, const char *file, const char *text, size_t len,
    struct arena *arena, struct err *err)
{
	struct err first = ERR_EMPTY, second = ERR_EMPTY;
	struct loader l = { .build = { file, arena, &first, 0, 0 }, .text = text, .len = len };
	struct yaml_builder json = { file, arena, &second, 0, 0 };
	struct yaml_node *root;

	if (parse_yaml(&l, ret) == 0)
		return (0);
	if (looks_like_json(text, len)) {
		if (yaml_parse_json(&json, &root, text, len) == 0) {
			ret->docs = arena_alloc(arena, sizeof(*ret->docs));
			ret->docs[0] = root;
			ret->n = 1;
			return (0);
		}
		if (!json.not_json)
			first = second;
	}
	if (err != NULL)
		*err = first;
	return (-1);
}
