#include <string.h>

#include "spec/parts.h"

#define TIMEOUT_MAX_S	(10LL * 365 * 24 * 3600)
#define VARIABLES_MAX	10000

/*
 * Keys of command jobs, of command steps and components, and those that
 * `az ml job show` adds.  (_schema/job/{base_job,command_job,parameterized_command}.py,
 * _schema/pipeline/component_job.py, _schema/component/command_component.py in
 * Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/.)
 */
static const struct field command_fields[] = {
	{ "$schema", NULL, 1 }, { "type", "jobType", 1 }, { "name", NULL, 1 },
	{ "command", NULL, 1 }, { "code", "codeId", 1 }, { "compute", "computeId", 1 },
	{ "environment_variables", NULL, 1 }, { "inputs", NULL, 1 }, { "outputs", NULL, 1 },
	{ "identity", NULL, 1 }, { "limits", NULL, 1 }, { "component", NULL, 1 },
	{ "environment", "environmentId", 0 }, { "display_name", NULL, 0 },
	{ "experiment_name", NULL, 0 }, { "description", NULL, 0 }, { "tags", NULL, 0 },
	{ "properties", NULL, 0 }, { "distribution", NULL, 0 }, { "resources", NULL, 0 },
	{ "queue_settings", NULL, 0 }, { "services", NULL, 0 }, { "parent_job_name", NULL, 0 },
	{ "id", NULL, 0 }, { "status", NULL, 0 }, { "creation_context", NULL, 0 },
	{ "log_files", NULL, 0 }, { "parameters", NULL, 0 }, { "version", NULL, 0 },
	{ "is_deterministic", NULL, 0 }, { "additional_includes", NULL, 0 },
	{ "component_id", NULL, 0 }, { "is_archived", NULL, 0 }, { "is_anonymous", NULL, 0 },
	{ "notification_setting", NULL, 0 }, { "secrets_configuration", NULL, 0 },
	{ "autologger_settings", NULL, 0 }, { "resourceGroup", NULL, 0 },
	{ "intellectual_property", NULL, 0 }, { "base_path", NULL, 0 }, { "latest_version", NULL,
	    0 },
};

static const struct field identity_fields[] = {
	{ "type", "identityType", 1 }, { "client_id", NULL, 1 }, { "object_id", NULL, 1 },
	{ "msi_resource_id", NULL, 1 }, { "resource_id", NULL, 1 },
};

static const struct field limits_fields[] = {
	{ "timeout", NULL, 1 }, { "type", "jobLimitsType", 1 },
};

/* Job types of the service and the SDK that are no command (constants/_job/job.py). */
static const char *const other_types[] = {
	"sweep", "automl", "spark", "parallel", "import", "finetuning", "fine_tuning",
	"distillation", "data_transfer", "labeling", "base", "loop", "do_while", "if_else",
	"parallel_for", "autoMLJob",
};

int
job_refuse_type(struct reader *r, const struct yaml_node *at, const char *path, const char *type)
{
	size_t i;

	for (i = 0; i < LENGTH(other_types); i++)
		if (str_same_loose(type, other_types[i]))
			return (reader_fail(r, at, path, "a %s job cannot be run here: only "
			    "command jobs, steps of pipelines and online deployments can",
			    other_types[i]));
	return (reader_fail(r, at, path, "expected command or pipeline, got \"%s\"",
	    yaml_show(type, r->scratch)));
}

/* ---- identity ---- */

static int
read_identity_type(const struct object *o, enum spec_identity_type *ret)
{
	static const struct {
		const char *name;
		enum spec_identity_type type;
	} types[] = {
		{ "user_identity", SPEC_IDENTITY_USER }, { "managed", SPEC_IDENTITY_MANAGED },
		{ "managed_identity", SPEC_IDENTITY_MANAGED },
		{ "aml_token", SPEC_IDENTITY_AML_TOKEN },
	};
	const char *text;
	size_t i;

	if (object_need_string(o, "type", &text) != 0)
		return (-1);
	for (i = 0; i < LENGTH(types); i++)
		if (str_same_loose(text, types[i].name)) {
			*ret = types[i].type;
			return (0);
		}
	return (object_fail(o, "type", "expected user_identity, managed or aml_token, got \"%s\"",
	    yaml_show(text, o->r->scratch)));
}

static int
read_resource_id(const struct object *o, const char **ret)
{
	const char *name = object_find(o, "msi_resource_id") != NULL ? "msi_resource_id" :
	    "resource_id";

	if (object_find(o, "msi_resource_id") != NULL && object_find(o, "resource_id") != NULL)
		return (object_fail(o, "resource_id",
		    "msi_resource_id is the same; write one of them"));
	if (object_string(o, name, ret) != 0)
		return (-1);
	if (*ret != NULL && strncasecmp(*ret, "/subscriptions/", 15) != 0)
		return (object_fail(o, name, "expected a resource id that starts with "
		    "/subscriptions/"));
	return (0);
}

int
job_read_identity(const struct object *parent, struct spec_identity *ret)
{
	const struct yaml_node *node = object_find(parent, "identity");
	struct spec_identity id = { .type = SPEC_IDENTITY_NONE };
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, parent->r, node, object_path(parent, "identity"), identity_fields,
	    LENGTH(identity_fields)) != 0 || read_identity_type(&o, &id.type) != 0 ||
	    object_guid(&o, "client_id", &id.client_id) != 0 ||
	    object_guid(&o, "object_id", &id.object_id) != 0 ||
	    read_resource_id(&o, &id.resource_id) != 0)
		return (-1);
	id.at = reader_at(parent->r, node);
	/* The SDK shows a job's client id as its object id, too. */
	if (id.client_id != NULL && id.object_id != NULL && str_same(id.client_id, id.object_id))
		id.object_id = NULL;
	if ((id.client_id != NULL) + (id.object_id != NULL) + (id.resource_id != NULL) > 1)
		return (object_fail(&o, NULL,
		    "at most one of client_id, object_id and resource_id names an identity"));
	if (id.type != SPEC_IDENTITY_MANAGED &&
	    (id.client_id != NULL || id.object_id != NULL || id.resource_id != NULL))
		return (object_fail(&o, NULL, "%s takes no client_id, object_id or resource_id",
		    spec_identity_name(id.type)));
	*ret = id;
	return (0);
}

/* ---- environment variables ---- */

static void
set_variable(struct reader *r, const char *name, const char *value)
{
	struct spec_job *job = &r->spec->job;
	size_t i;

	for (i = 0; i < job->nvariables; i++)
		if (strcmp(job->variables[i].name, name) == 0) {
			job->variables[i].value = value;
			return;
		}
	CHECK_GROW(r->arena, job->variables, job->nvariables);
	job->variables[job->nvariables++] = (struct spec_variable){
	    arena_strdup(r->arena, name), value };
}

int
job_read_variables(const struct object *o, const struct scope *scope)
{
	const struct yaml_node *map = object_find(o, "environment_variables"), *value;
	const char *at = object_path(o, "environment_variables"), *path, *name, *text;
	struct reader *r = o->r;
	size_t i;

	if (map == NULL)
		return (0);
	if (map->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, map, at, "an object"));
	if (map->n > VARIABLES_MAX)
		return (reader_fail(r, map, at, "more than %d variables", VARIABLES_MAX));
	for (i = 0; i < map->n; i++) {
		name = map->keys[i]->text;
		value = map->values[i];
		path = reader_path(r, at, name);
		if (*name == '\0' || strchr(name, '=') != NULL)
			return (reader_fail(r, map->keys[i], path,
			    "the name of a variable is not empty and has no '='"));
		if (yaml_is_null(value))
			return (reader_fail(r, value, path,
			    "expected text, got null (write \"\" for an empty value)"));
		if (value->kind != YAML_KIND_SCALAR)
			return (reader_wrong_type(r, value, path, "text, a number or a boolean"));
		if (bind_text(r, scope, value, path, value->text, &text) != 0)
			return (-1);
		set_variable(r, name, text);
	}
	return (0);
}

/* ---- limits ---- */

int
job_parse_duration(const char *s, long long *ret_s)
{
	static const struct {
		char letter;
		long long seconds;
		int in_time;
	} units[] = { { 'D', 86400, 0 }, { 'H', 3600, 1 }, { 'M', 60, 1 }, { 'S', 1, 1 } };
	long long total = 0, n;
	size_t unit = 0, any = 0;
	int in_time = 0;

	if (*s++ != 'P')
		return (-1);
	while (*s != '\0') {
		if (*s == 'T' && !in_time) {
			in_time = 1;
			s++;
		}
		if (*s < '0' || *s > '9')
			return (-1);
		for (n = 0; *s >= '0' && *s <= '9'; s++)
			if ((n = n * 10 + (*s - '0')) > TIMEOUT_MAX_S)
				return (-1);
		if (*s == '.')		/* parts of a second do not count */
			s += 1 + strspn(s + 1, "0123456789");
		while (unit < LENGTH(units) &&
		    (units[unit].letter != *s || units[unit].in_time != in_time))
			unit++;
		if (unit == LENGTH(units))
			return (-1);
		total += n * units[unit++].seconds;
		s++;
		any = 1;
	}
	*ret_s = total;
	return (any ? 0 : -1);
}

static int
read_limits(const struct object *job, long long *ret_s)
{
	const struct yaml_node *limits = object_find(job, "limits"), *timeout;
	const char *path;
	struct object o;

	if (limits == NULL)
		return (0);
	if (object_open(&o, job->r, limits, object_path(job, "limits"), limits_fields,
	    LENGTH(limits_fields)) != 0)
		return (-1);
	timeout = object_find(&o, "timeout");
	if (timeout == NULL)
		return (0);
	path = object_path(&o, "timeout");
	if (timeout->kind == YAML_KIND_SCALAR && timeout->scalar == YAML_IS_STRING &&
	    job->r->arm) {
		if (job_parse_duration(timeout->text, ret_s) != 0)
			return (reader_fail(job->r, timeout, path,
			    "expected a duration such as PT1H30M"));
	} else if (timeout->kind != YAML_KIND_SCALAR || timeout->scalar != YAML_IS_INT) {
		return (reader_wrong_type(job->r, timeout, path, "a number of seconds"));
	} else if (str_to_i64(timeout->text, 0, TIMEOUT_MAX_S, ret_s) != 0) {
		*ret_s = 0;
	}
	if (*ret_s < 1 || *ret_s > TIMEOUT_MAX_S)
		return (reader_fail(job->r, timeout, path,
		    "expected a number of seconds from 1 to ten years"));
	return (0);
}

/* ---- a command ---- */

static int
is_command_type(const struct object *o)
{
	const char *type;

	if (object_string(o, "type", &type) != 0)
		return (-1);
	if (type == NULL || str_same_loose(type, "command") ||
	    str_same_loose(type, "CommandComponent") || str_same_loose(type, "CommandJob"))
		return (0);
	return (job_refuse_type(o->r, object_find(o, "type"), object_path(o, "type"), type));
}

/* What a job, a step and an inline component have in common. */
static int
read_command_text(const struct object *o, const struct scope *scope, struct spec_job *job)
{
	const struct yaml_node *command = object_find(o, "command"), *code = object_find(o, "code");

	if (is_command_type(o) != 0)
		return (-1);
	if (command != NULL) {
		if (object_need_string(o, "command", &job->command) != 0)
			return (-1);
		job->command_at = reader_at(o->r, command);
	}
	if (code != NULL) {
		if (object_need_string(o, "code", &job->code) != 0)
			return (-1);
		job->code_at = reader_at(o->r, code);
	}
	return (job_read_variables(o, scope));
}

static int
read_compute_name(const struct object *o, const struct scope *scope, const char **ret)
{
	const char *text;

	if (object_string(o, "compute", &text) != 0)
		return (-1);
	if (text == NULL)
		return (0);
	return (bind_text(o->r, scope, object_find(o, "compute"), object_path(o, "compute"),
	    text, ret));
}

/* ret->node is NULL unless the step has its component in place. */
static int
open_component(const struct object *step, struct object *ret)
{
	const struct yaml_node *node = object_find(step, "component");
	const char *path = object_path(step, "component");

	ret->node = NULL;
	if (node == NULL)
		return (0);
	if (node->kind == YAML_KIND_MAP)
		return (object_open(ret, step->r, node, path, command_fields,
		    LENGTH(command_fields)));
	if (node->kind != YAML_KIND_SCALAR || node->scalar != YAML_IS_STRING)
		return (reader_wrong_type(step->r, node, path, "a string or an object"));
	reader_remark(step->r, SPEC_REMARK_UNUSED, node,
	    "field \"%s\" names a component that is not read: its command and inputs must stand "
	    "in the step", path);
	return (0);
}

int
job_read_command(struct reader *r, const struct yaml_node *node, const char *path,
    const struct scope *scope)
{
	struct spec_job *job = &r->spec->job;
	struct object o, component;
	struct io_source in = { .scope = scope }, out = { .scope = scope };
	const char *name;

	if (object_open(&o, r, node, path, command_fields, LENGTH(command_fields)) != 0 ||
	    open_component(&o, &component) != 0 || object_string(&o, "name", &name) != 0)
		return (-1);
	if (name != NULL)
		job->name = name;
	in.path = out.path = path;
	if (component.node != NULL) {
		in.declared_path = out.declared_path = component.path;
		in.declared = object_find(&component, "inputs");
		out.declared = object_find(&component, "outputs");
		if (read_command_text(&component, scope, job) != 0)
			return (-1);
	}
	in.given = object_find(&o, "inputs");
	out.given = object_find(&o, "outputs");
	if (read_command_text(&o, scope, job) != 0 ||
	    read_compute_name(&o, scope, &job->compute) != 0 ||
	    job_read_identity(&o, &job->identity) != 0 ||
	    read_limits(&o, &job->timeout_s) != 0)
		return (-1);
	return (io_read_inputs(r, &in, job) != 0 ? -1 : io_read_outputs(r, &out, job));
}

/* ---- what the text is ---- */

static int
is_deployment(const struct yaml_node *root)
{
	const struct yaml_node *schema = yaml_get(root, "$schema"), *type = yaml_get(root, "type");

	if (schema != NULL && schema->kind == YAML_KIND_SCALAR &&
	    strstr(schema->text, "OnlineDeployment.schema") != NULL)
		return (1);
	if (yaml_get(root, "endpoint_name") != NULL)
		return (1);
	return (type == NULL && yaml_get(root, "command") == NULL &&
	    yaml_get(root, "jobs") == NULL && (yaml_get(root, "instance_type") != NULL ||
	    yaml_get(root, "code_configuration") != NULL));
}

static int
is_pipeline(struct reader *r, const struct yaml_node *root)
{
	static const struct field type_field[] = { { "type", "jobType", 1 } };
	struct object o = { r, root, "", type_field, LENGTH(type_field) };
	const struct yaml_node *type = object_find(&o, "type");

	if (type != NULL)
		return (type->kind == YAML_KIND_SCALAR && str_same_loose(type->text, "pipeline"));
	return (yaml_get(root, "jobs") != NULL);
}

/* A key of a map, case and '_' ignored. */
static const struct yaml_node *
get_loose(const struct yaml_node *map, const char *key)
{
	size_t i;

	for (i = 0; map != NULL && map->kind == YAML_KIND_MAP && i < map->n; i++)
		if (str_same_loose(map->keys[i]->text, key))
			return (map->values[i]);
	return (NULL);
}

int
job_read(struct reader *r, const struct yaml_node *root, const char *step)
{
	const struct yaml_node *properties = yaml_get(root, "properties"), *name;
	const char *path = "";

	if (root->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, root, "", "a job (an object)"));
	r->spec->job.file = arena_strdup(r->arena, r->file);
	if (get_loose(properties, "jobType") != NULL ||
	    get_loose(properties, "endpointComputeType") != NULL) {
		r->arm = 1;
		path = "properties";
		name = yaml_get(root, "name");
		if (!yaml_is_null(name) &&
		    reader_string(r, name, "name", &r->spec->job.name) != 0)
			return (-1);
		root = properties;
	}
	if (r->arm ? get_loose(root, "endpointComputeType") != NULL : is_deployment(root)) {
		if (step != NULL)
			return (reader_fail(r, root, "", "a deployment has no steps"));
		return (deployment_read(r, root, path));
	}
	if (is_pipeline(r, root))
		return (pipeline_read(r, root, path, step));
	if (step != NULL)
		return (reader_fail(r, root, "", "--step names a step, but this is no pipeline"));
	return (job_read_command(r, root, path, NULL));
}
