#include <string.h>

#include "spec/bind.h"
#include "spec/dsuri.h"
#include "spec/io.h"
#include "spec/literal.h"

#define NAMES_MAX	1000		/* inputs or outputs of a job */

#define BIT(mode)	(1u << (mode))
#define READ_MODES	(BIT(SPEC_RO_MOUNT) | BIT(SPEC_DOWNLOAD) | BIT(SPEC_DIRECT))
#define EVAL_MODES	(BIT(SPEC_EVAL_MOUNT) | BIT(SPEC_EVAL_DOWNLOAD))
#define WRITE_MODES	(BIT(SPEC_RW_MOUNT) | BIT(SPEC_UPLOAD) | BIT(SPEC_DIRECT))

static const struct {
	unsigned int input, output;
} allowed[] = {
	[SPEC_LITERAL] = { 0, 0 },
	[SPEC_URI_FOLDER] = { READ_MODES, WRITE_MODES },
	[SPEC_URI_FILE] = { READ_MODES, WRITE_MODES },
	[SPEC_MLTABLE] = { READ_MODES | EVAL_MODES, WRITE_MODES },
	[SPEC_MLFLOW_MODEL] = { READ_MODES, WRITE_MODES },
	[SPEC_CUSTOM_MODEL] = { READ_MODES, WRITE_MODES },
	[SPEC_TRITON_MODEL] = { READ_MODES, WRITE_MODES },
};

/* Types of component inputs that are no data. */
static const char *const literal_types[] = {
	"literal", "string", "integer", "number", "boolean", "enum",
};

static const struct field input_fields[] = {
	{ "type", "jobInputType", 1 }, { "path", "uri", 1 }, { "mode", NULL, 1 },
	{ "path_on_compute", NULL, 1 }, { "value", NULL, 1 }, { "default", NULL, 1 },
	{ "optional", NULL, 1 }, { "description", NULL, 0 }, { "datastore", NULL, 0 },
	{ "min", NULL, 0 }, { "max", NULL, 0 }, { "enum", NULL, 0 }, { "name", NULL, 0 },
	{ "version", NULL, 0 }, { "intellectual_property", NULL, 0 },
};

static const struct field output_fields[] = {
	{ "type", "jobOutputType", 1 }, { "path", "uri", 1 }, { "mode", NULL, 1 },
	{ "path_on_compute", NULL, 1 }, { "name", "assetName", 0 },
	{ "version", "assetVersion", 0 }, { "description", NULL, 0 },
	{ "early_available", NULL, 0 }, { "intellectual_property", NULL, 0 },
	{ "auto_delete_setting", NULL, 0 }, { "datastore", NULL, 0 },
};

/* ---- words ---- */

static int
parse_type(const struct object *o, int is_output, int *ret_given, enum spec_type *ret)
{
	enum spec_type found;
	const char *text;
	size_t i;

	if (object_string(o, "type", &text) != 0)
		return (-1);
	*ret_given = text != NULL;
	if (text == NULL)
		return (0);
	if ((found = spec_type_find(text, SPEC_URI_FOLDER)) != SPEC_LITERAL) {
		*ret = found;
		return (0);
	}
	for (i = 0; i < LENGTH(literal_types) && !is_output; i++)
		if (str_same_loose(text, literal_types[i])) {
			*ret = SPEC_LITERAL;
			return (0);
		}
	return (object_fail(o, "type", "expected uri_folder, uri_file, mltable, mlflow_model, "
	    "custom_model or triton_model, got \"%s\"", yaml_show(text, o->r->scratch)));
}

static int
parse_mode(const struct object *o, int is_output, enum spec_mode *ret)
{
	static const struct {
		const char *arm;
		enum spec_mode mode;
	} arm_names[] = {
		{ "ReadOnlyMount", SPEC_RO_MOUNT }, { "ReadWriteMount", SPEC_RW_MOUNT },
	};
	const char *text;
	size_t i;

	if (object_string(o, "mode", &text) != 0)
		return (-1);
	if (text == NULL)
		return (0);
	if (str_same(text, "mount")) {
		*ret = is_output ? SPEC_RW_MOUNT : SPEC_RO_MOUNT;
		return (0);
	}
	for (i = SPEC_RO_MOUNT; i <= SPEC_EVAL_DOWNLOAD; i++)
		if (str_same_loose(text, spec_mode_name((enum spec_mode)i))) {
			*ret = (enum spec_mode)i;
			return (0);
		}
	for (i = 0; i < LENGTH(arm_names); i++)
		if (str_same_loose(text, arm_names[i].arm)) {
			*ret = arm_names[i].mode;
			return (0);
		}
	return (object_fail(o, "mode", "expected %s, got \"%s\"", is_output ?
	    "rw_mount, upload or direct" : "ro_mount, download, direct, eval_mount or "
	    "eval_download", yaml_show(text, o->r->scratch)));
}

static int
check_mode(const struct object *o, int is_output, const struct spec_io *io)
{
	unsigned int modes = is_output ? allowed[io->type].output : allowed[io->type].input;
	auto_buf struct buf names = BUF_EMPTY;
	unsigned int mode;

	if (io->mode == SPEC_MODE_DEFAULT || (modes & BIT(io->mode)) != 0)
		return (0);
	if (io->type == SPEC_LITERAL)
		return (object_fail(o, "mode", "a literal value has no mode"));
	for (mode = SPEC_RO_MOUNT; mode <= SPEC_EVAL_DOWNLOAD; mode++)
		if ((modes & BIT(mode)) != 0)
			(void)buf_printf(&names, "%s%s", names.len > 0 ? ", " : "",
			    spec_mode_name((enum spec_mode)mode));
	return (object_fail(o, "mode", "%s is not a mode of %s of type %s; it may be: %s",
	    spec_mode_name(io->mode), is_output ? "an output" : "an input",
	    spec_type_name(io->type), buf_str(&names)));
}

static int
read_path_on_compute(const struct object *o, struct spec_io *io)
{
	const char *text;

	if (object_string(o, "path_on_compute", &text) != 0)
		return (-1);
	if (text == NULL)
		return (0);
	if (str_starts(text, "file:"))
		text += strlen("file:");
	if (str_starts(text, "///"))
		text += 2;
	if (str_has_control(text))
		return (object_fail(o, "path_on_compute", "a control character in the path"));
	if (*text != '/' || text[1] == '\0' || text[1] == '/')
		return (object_fail(o, "path_on_compute",
		    "expected an absolute path below /, such as /data"));
	if (strstr(text, "/../") != NULL || str_ends(text, "/.."))
		return (object_fail(o, "path_on_compute", "a segment \"..\" in the path"));
	io->path_on_compute = text;
	return (0);
}

/* ---- paths ---- */

static int
check_path(struct reader *r, const struct yaml_node *at, const char *path, const char *text,
    int is_output)
{
	struct dsuri u;

	if (*text == '\0')
		return (reader_fail(r, at, path, "expected a path, got an empty string"));
	if (dsuri_parse(&u, text, r->scratch, r->err) != 0)
		return (err_on(r->err, "%s:%d:%d: %s", r->file, at->line, at->column, path));
	if (is_output && u.form != DSURI_DATASTORE && u.form != DSURI_LOCAL)
		return (reader_fail(r, at, path, "the path of an output must be "
		    "azureml://datastores/NAME/paths/PATH, Azure ML takes no other"));
	return (0);
}

/*
 * ${{default_datastore}}, ${{name}} and ${{output_name}} stay for the plan,
 * which knows them; here something stands in for each.
 */
static int
check_output_path(struct reader *r, const struct yaml_node *at, const char *path, const char *text)
{
	static const char *const words[] = { "default_datastore", "name", "output_name" };
	auto_buf struct buf out = BUF_EMPTY;
	const char *found, *end, *word;
	size_t i;

	while ((found = strstr(text, "${{")) != NULL) {
		word = bind_expression_at(found, r->scratch, &end);
		for (i = 0; i < LENGTH(words); i++)
			if (word != NULL && strcmp(word, words[i]) == 0)
				break;
		if (i == LENGTH(words))
			return (reader_fail(r, at, path, "only ${{default_datastore}}, ${{name}} "
			    "and ${{output_name}} may stand in the path of an output"));
		(void)buf_add(&out, text, (size_t)(found - text));
		(void)buf_addc(&out, 'x');
		text = end;
	}
	(void)buf_adds(&out, text);
	return (check_path(r, at, path, buf_str(&out), 1));
}

/* ---- inputs ---- */

static int
set_input_path(struct reader *r, const struct scope *scope, const struct yaml_node *at,
    const char *path, const char *text, struct spec_io *io)
{
	if (bind_text(r, scope, at, path, text, &io->path) != 0 ||
	    check_path(r, at, path, io->path, 0) != 0)
		return (-1);
	io->path_at = reader_at(r, at);
	return (0);
}

/* What a binding found becomes io; what io says itself stays. */
static void
take_bound(struct spec_io *io, const struct spec_io *bound, int has_type)
{
	if (bound->type == SPEC_LITERAL && has_type && io->type != SPEC_LITERAL &&
	    bound->value != NULL) {
		io->path = bound->value;	/* a literal that is the path */
	} else {
		io->path = bound->path;
		io->value = bound->value;
		if (!has_type || io->type == SPEC_LITERAL || bound->type == SPEC_LITERAL)
			io->type = bound->type;
	}
	io->path_at = bound->path != NULL ? bound->path_at : bound->at;
	if (io->mode == SPEC_MODE_DEFAULT)
		io->mode = bound->mode;
	if (io->path_on_compute == NULL)
		io->path_on_compute = bound->path_on_compute;
	io->optional |= bound->optional;
}

static int
read_scalar(struct reader *r, const struct scope *scope, const struct yaml_node *node,
    const char *path, int has_type, struct spec_io *io)
{
	struct spec_io bound = { .name = NULL };
	int is_bound = 0;

	if (node->scalar == YAML_IS_STRING) {
		is_bound = bind_whole(r, scope, node, path, node->text, &bound);
		if (is_bound < 0)
			return (-1);
	}
	if (is_bound) {
		if (strstr(node->text, "parent.outputs.") != NULL)
			return (reader_fail(r, node, path, "expected an input of the pipeline "
			    "or an output of another step"));
		take_bound(io, &bound, has_type);
		if (io->type == SPEC_LITERAL)
			return (0);
		if (io->path == NULL)
			return (reader_fail(r, node, path, "what this stands for has no path in "
			    "this file: the service knows it; write its path here"));
		return (check_path(r, node, path, io->path, 0));
	}
	if (has_type && io->type != SPEC_LITERAL && node->scalar != YAML_IS_STRING)
		return (reader_wrong_type(r, node, path, "a path"));
	if (has_type && io->type != SPEC_LITERAL)
		return (set_input_path(r, scope, node, path, node->text, io));
	io->type = SPEC_LITERAL;
	return (bind_text(r, scope, node, path, literal_text(node, r->scratch), &io->value));
}

/* value or default of a literal; else the path of data. */
static int
read_content(const struct object *o, const struct scope *scope, int has_type, struct spec_io *io)
{
	const struct yaml_node *path = object_find(o, "path"), *value = object_find(o, "value");
	const char *name = value != NULL ? "value" : "default";

	if (value == NULL)
		value = object_find(o, "default");
	if (path == NULL && value == NULL) {
		if (!io->optional)
			return (object_missing(o,
			    io->type == SPEC_LITERAL && has_type ? "value" : "path"));
		io->type = SPEC_LITERAL;
		return (0);
	}
	if (path != NULL) {
		if (io->type == SPEC_LITERAL)
			return (object_fail(o, "path", "a literal value has no path"));
		if (path->kind != YAML_KIND_SCALAR || path->scalar != YAML_IS_STRING)
			return (reader_wrong_type(o->r, path, object_path(o, "path"), "a string"));
		return (read_scalar(o->r, scope, path, object_path(o, "path"), 1, io));
	}
	if (value->kind != YAML_KIND_SCALAR)
		return (reader_wrong_type(o->r, value, object_path(o, name),
		    "a number, a boolean or a string"));
	return (read_scalar(o->r, scope, value, object_path(o, name), has_type, io));
}

static int
read_input_object(struct reader *r, const struct scope *scope, const struct yaml_node *node,
    const char *path, int has_type, struct spec_io *io)
{
	struct object o;
	int given;

	if (object_open(&o, r, node, path, input_fields, LENGTH(input_fields)) != 0 ||
	    parse_type(&o, 0, &given, &io->type) != 0 || parse_mode(&o, 0, &io->mode) != 0 ||
	    object_bool(&o, "optional", &io->optional) != 0 ||
	    read_path_on_compute(&o, io) != 0 ||
	    read_content(&o, scope, has_type || given, io) != 0)
		return (-1);
	return (io->type == SPEC_LITERAL && io->value == NULL ? 0 : check_mode(&o, 0, io));
}

/* The type that an inline component declares for what a step gives. */
static int
read_declared_type(struct reader *r, const struct io_source *from, const char *name, int *has_type,
    struct spec_io *io)
{
	const char *path = reader_path(r, from->declared_path, name);
	struct object o;

	if (yaml_is_null(from->declared))
		return (0);
	if (object_open(&o, r, from->declared, path, input_fields, LENGTH(input_fields)) != 0 ||
	    object_bool(&o, "optional", &io->optional) != 0)
		return (-1);
	return (parse_type(&o, 0, has_type, &io->type));
}

int
io_read_input(struct reader *r, const struct io_source *from, const char *name, struct spec_io *io)
{
	const struct yaml_node *node = from->given;
	const char *path = reader_path(r, from->path, name);
	int has_type = 0;

	*io = (struct spec_io){ .name = arena_strdup(r->arena, name), .type = SPEC_URI_FOLDER };
	if (yaml_is_null(node) && !yaml_is_null(from->declared)) {
		io->at = reader_at(r, from->declared);
		return (read_input_object(r, from->scope, from->declared,
		    reader_path(r, from->declared_path, name), 0, io));
	}
	if (node == NULL)
		node = from->declared;
	io->at = reader_at(r, node);
	if (yaml_is_null(node) || node->kind == YAML_KIND_LIST)
		return (reader_wrong_type(r, node, path, "a value or an object"));
	if (read_declared_type(r, from, name, &has_type, io) != 0)
		return (-1);
	if (node->kind == YAML_KIND_MAP)
		return (read_input_object(r, from->scope, node, path, has_type, io));
	return (read_scalar(r, from->scope, node, path, has_type, io));
}

/* ---- outputs ---- */

static int
read_output_path(const struct object *o, const struct scope *scope, const struct yaml_node *node,
    const char *path, int has_type, struct spec_io *io)
{
	struct reader *r = o->r;
	struct spec_io bound = { .name = NULL };
	const char *text;
	int is_bound;

	if (reader_string(r, node, path, &text) != 0)
		return (-1);
	is_bound = bind_whole(r, scope, node, path, text, &bound);
	if (is_bound < 0)
		return (-1);
	if (is_bound && bound.type == SPEC_LITERAL && bound.value != NULL) {
		text = bound.value;
	} else if (is_bound) {
		take_bound(io, &bound, has_type);
		if (io->type == SPEC_LITERAL || strstr(text, "parent.inputs.") != NULL)
			return (reader_fail(r, node, path, "expected an output of the pipeline"));
		return (io->path == NULL ? 0 : check_output_path(r, node, path, io->path));
	}
	if (bind_text(r, scope, node, path, text, &text) != 0 ||
	    check_output_path(r, node, path, text) != 0)
		return (-1);
	io->path = text;
	io->path_at = reader_at(r, node);
	return (0);
}

static int
read_output_object(struct reader *r, const struct io_source *from, const struct yaml_node *node,
    const char *path, struct spec_io *io)
{
	const struct yaml_node *where;
	struct object o;
	int has_type;

	if (object_open(&o, r, node, path, output_fields, LENGTH(output_fields)) != 0 ||
	    parse_type(&o, 1, &has_type, &io->type) != 0 || parse_mode(&o, 1, &io->mode) != 0 ||
	    read_path_on_compute(&o, io) != 0)
		return (-1);
	where = object_find(&o, "path");
	if (where != NULL && read_output_path(&o, from->scope, where, object_path(&o, "path"),
	    has_type, io) != 0)
		return (-1);
	return (check_mode(&o, 1, io));
}

int
io_read_output(struct reader *r, const struct io_source *from, const char *name,
    struct spec_io *io)
{
	const struct yaml_node *node = from->given;
	const char *path = reader_path(r, from->path, name);
	struct object whole = { .r = r, .node = node, .path = path };

	*io = (struct spec_io){ .name = arena_strdup(r->arena, name), .type = SPEC_URI_FOLDER };
	/* What a component declares of an output: its type, perhaps its mode. */
	if (!yaml_is_null(from->declared)) {
		struct io_source declared = { from->scope, NULL, NULL, from->declared_path, "" };

		io->at = reader_at(r, from->declared);
		if (read_output_object(r, &declared, from->declared,
		    reader_path(r, from->declared_path, name), io) != 0)
			return (-1);
	}
	if (node != NULL || from->declared != NULL)
		io->at = reader_at(r, node != NULL ? node : from->declared);
	if (node == NULL || yaml_is_null(node))
		return (0);
	if (node->kind == YAML_KIND_MAP)
		return (read_output_object(r, from, node, path, io));
	if (node->kind == YAML_KIND_SCALAR && str_starts(node->text, "${{"))
		return (read_output_path(&whole, from->scope, node, path, 0, io));
	return (reader_wrong_type(r, node, path, "an object or null"));
}

/* ---- all of a job ---- */

typedef int reader_of_one(struct reader *, const struct io_source *, const char *,
    struct spec_io *);

/* Those given, then those that are only declared. */
static int
read_all(struct reader *r, const struct io_source *from, const char *word, reader_of_one *read,
    struct spec_io **ret, size_t *ret_n)
{
	const struct yaml_node *maps[] = { from->given, from->declared };
	const char *paths[] = { reader_path(r, from->path, word),
	    from->declared_path != NULL ? reader_path(r, from->declared_path, word) : word };
	size_t m, i;

	for (m = 0; m < LENGTH(maps); m++) {
		if (yaml_is_null(maps[m]))
			continue;
		if (maps[m]->kind != YAML_KIND_MAP)
			return (reader_wrong_type(r, maps[m], paths[m], "an object"));
		if (maps[m]->n > NAMES_MAX)
			return (reader_fail(r, maps[m], paths[m], "more than %d %s", NAMES_MAX,
			    word));
		for (i = 0; i < maps[m]->n; i++) {
			const char *name = maps[m]->keys[i]->text;
			struct io_source one = { from->scope, yaml_get(from->given, name),
			    yaml_get(from->declared, name), paths[0], paths[1] };

			if (m == 1 && one.given != NULL)
				continue;
			if (!check_is_name(name, from->scope != NULL))
				return (reader_fail(r, maps[m]->keys[i],
				    reader_path(r, paths[m], name),
				    "a name has letters, digits and underscores only, and starts "
				    "with no digit"));
			CHECK_GROW(r->arena, *ret, *ret_n);
			if (read(r, &one, name, &(*ret)[*ret_n]) != 0)
				return (-1);
			(*ret_n)++;
		}
	}
	return (0);
}

int
io_read_inputs(struct reader *r, const struct io_source *from, struct spec_job *job)
{
	return (read_all(r, from, "inputs", io_read_input, &job->inputs, &job->ninputs));
}

int
io_read_outputs(struct reader *r, const struct io_source *from, struct spec_job *job)
{
	return (read_all(r, from, "outputs", io_read_output, &job->outputs, &job->noutputs));
}
