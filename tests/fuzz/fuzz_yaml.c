/*
 * yaml_parse: nodes that know where they stand, within the bounds, and two readers that agree:
 * what is strict JSON is the same tree.
 */

#include "base/json.h"
#include "fuzz.h"
#include "spec/yaml_build.h"

static size_t
must_hold(const struct yaml_node *n, int depth)
{
	size_t i, weight = 1;

	must(n != NULL && n->line > 0 && n->column > 0 && depth <= YAML_DEPTH_MAX);
	if (n->kind == YAML_KIND_SCALAR) {
		must(n->text != NULL && strlen(n->text) == n->len);
		return (1);
	}
	for (i = 0; i < n->n; i++) {
		if (n->kind == YAML_KIND_MAP) {
			must(n->keys[i]->kind == YAML_KIND_SCALAR);
			must(yaml_get(n, n->keys[i]->text) == n->values[i]);
		}
		weight += must_hold(n->values[i], depth + 1);
		must(weight <= 2 * (size_t)YAML_NODES_MAX);
	}
	return (weight);
}

static void must_be_same(const struct yaml_node *, const struct json *);

static void
children_must_be_same(const struct yaml_node *n, const struct json *j)
{
	const struct json *child = json_first(j);
	size_t i;

	for (i = 0; i < n->n; i++, child = json_next(child)) {
		must(child != NULL);
		if (n->kind == YAML_KIND_MAP)
			must(strcmp(n->keys[i]->text, json_key(child)) == 0);
		must_be_same(n->values[i], child);
	}
	must(child == NULL);
}

static void
must_be_same(const struct yaml_node *n, const struct json *j)
{
	switch (json_type(j)) {
	case JSON_ARRAY:
		must(n->kind == YAML_KIND_LIST);
		children_must_be_same(n, j);
		break;
	case JSON_OBJECT:
		must(n->kind == YAML_KIND_MAP);
		children_must_be_same(n, j);
		break;
	case JSON_STRING:
		must(n->kind == YAML_KIND_SCALAR && strcmp(n->text, json_string(j)) == 0);
		break;
	default:
		must(n->kind == YAML_KIND_SCALAR);
		break;
	}
}

static void
strict(const char *text, size_t size)
{
	struct json *j = json_parse(text, size);
	struct arena mem = ARENA_EMPTY;
	struct yaml_builder b = { .file = "f", .arena = &mem };
	struct err err = ERR_EMPTY;
	struct yaml_node *node;

	b.err = &err;
	if (yaml_parse_json(&b, &node, text, size) == 0) {
		must_hold(node, 0);
		if (j != NULL)
			must_be_same(node, j);
	}
	json_free(j);
	arena_done(&mem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = input_exact(data, size);
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct yaml_docs docs;
	size_t i;

	if (yaml_parse(&docs, "f.yml", text, size, &mem, &err) == 0)
		for (i = 0; i < docs.n; i++)
			must_hold(docs.docs[i], 0);
	else {
		must_complain(&err, ERR_USAGE);
		must(strncmp(err.resource, "f.yml:", 6) == 0);
	}
	strict(text, size);
	arena_done(&mem);
	return (0);
}
