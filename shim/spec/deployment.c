#include <string.h>

#include "spec/dsuri.h"
#include "spec/parts.h"

#define SECONDS_MAX	(30LL * 24 * 3600)
#define COUNT_MAX	1000
#define TIMEOUT_MAX_MS	180000LL		/* the service takes no more */
#define SERVER_PORT	5001			/* of azureml-inference-server-http, at "/" */

static const struct field deployment_fields[] = {
	{ "$schema", NULL, 1 }, { "name", NULL, 1 }, { "type", "endpointComputeType", 1 },
	{ "environment_variables", NULL, 1 }, { "model", NULL, 1 },
	{ "model_mount_path", NULL, 1 }, { "code_configuration", NULL, 1 },
	{ "environment", "environmentId", 1 }, { "app_insights_enabled", NULL, 1 },
	{ "request_settings", NULL, 1 }, { "liveness_probe", NULL, 1 },
	{ "readiness_probe", NULL, 1 }, { "endpoint_name", NULL, 0 },
	{ "description", NULL, 0 }, { "id", NULL, 0 }, { "tags", NULL, 0 },
	{ "properties", NULL, 0 }, { "scale_settings", NULL, 0 },
	{ "startup_probe", NULL, 0 }, { "provisioning_state", NULL, 0 },
	{ "instance_count", NULL, 0 }, { "instance_type", NULL, 0 },
	{ "data_collector", NULL, 0 }, { "egress_public_network_access", NULL, 0 },
	{ "private_network_connection", NULL, 0 },
	{ "resources", "containerResourceRequirements", 0 }, { "creation_context", NULL, 0 },
	{ "package_model", NULL, 0 }, { "resourceGroup", NULL, 0 },
	{ "allow_public_access_when_disabled", NULL, 0 },
};

static const struct field model_fields[] = {
	{ "path", NULL, 1 }, { "name", NULL, 1 }, { "version", NULL, 1 }, { "type", NULL, 1 },
	{ "id", NULL, 0 }, { "description", NULL, 0 }, { "properties", NULL, 0 },
	{ "tags", NULL, 0 }, { "utc_time_created", NULL, 0 }, { "flavors", NULL, 0 },
	{ "creation_context", NULL, 0 }, { "job_name", NULL, 0 }, { "latest_version", NULL, 0 },
	{ "$schema", NULL, 0 }, { "stage", NULL, 0 },
};

static const struct field code_fields[] = {
	{ "code", "codeId", 1 }, { "scoring_script", NULL, 1 },
};

static const struct field request_fields[] = {
	{ "request_timeout_ms", "requestTimeout", 1 },
	{ "max_concurrent_requests_per_instance", NULL, 0 },
	{ "max_queue_wait_ms", "maxQueueWait", 0 },
};

static const struct field probe_fields[] = {
	{ "initial_delay", NULL, 1 }, { "period", NULL, 1 }, { "timeout", NULL, 1 },
	{ "success_threshold", NULL, 1 }, { "failure_threshold", NULL, 1 },
	{ "path", NULL, 0 }, { "port", NULL, 0 }, { "scheme", NULL, 0 },
	{ "http_method", NULL, 0 },
};

static const struct field environment_fields[] = {
	{ "inference_config", NULL, 1 }, { "name", NULL, 0 }, { "version", NULL, 0 },
	{ "id", NULL, 0 }, { "image", NULL, 0 }, { "build", NULL, 0 }, { "conda_file", NULL, 0 },
	{ "os_type", NULL, 0 }, { "datastore", NULL, 0 }, { "description", NULL, 0 },
	{ "tags", NULL, 0 }, { "properties", NULL, 0 }, { "creation_context", NULL, 0 },
	{ "$schema", NULL, 0 },
};

static const struct field inference_fields[] = {
	{ "liveness_route", NULL, 1 }, { "readiness_route", NULL, 1 },
	{ "scoring_route", NULL, 0 },
};

static const struct field route_fields[] = { { "port", NULL, 1 }, { "path", NULL, 1 } };

/* Absent: *ret is left alone. */
static int
read_number(const struct object *o, const char *name, long long min, long long max,
    long long *ret)
{
	const struct yaml_node *node = object_find(o, name);

	if (node == NULL)
		return (0);
	if (node->kind != YAML_KIND_SCALAR || node->scalar != YAML_IS_INT)
		return (reader_wrong_type(o->r, node, object_path(o, name), "a whole number"));
	if (str_to_i64(node->text, min, max, ret) != 0)
		return (object_fail(o, name, "expected a number from %lld to %lld, got %s", min,
		    max, yaml_show(node->text, o->r->scratch)));
	return (0);
}

static int
read_count(const struct object *o, const char *name, int max, int *ret)
{
	long long n = *ret;

	if (read_number(o, name, 1, max, &n) != 0)
		return (-1);
	*ret = (int)n;
	return (0);
}

/* A number in YAML, as ISO 8601 in ARM (PT10S); units of a second: 1, or 1000 for ms. */
static int
read_time(const struct object *o, const char *name, long long min, long long max, int units,
    long long *ret)
{
	const struct yaml_node *node = object_find(o, name);
	long long seconds;

	if (node == NULL || !o->r->arm || node->kind != YAML_KIND_SCALAR ||
	    node->scalar != YAML_IS_STRING)
		return (read_number(o, name, min, max, ret));
	if (job_parse_duration(node->text, &seconds) != 0 || seconds > max / units)
		return (object_fail(o, name, "expected a duration such as PT10S"));
	*ret = seconds * units;
	return (0);
}

/* ---- probes ------------------------------------------------------------ */

static int
read_probe(const struct object *deployment, const char *name, int successes_max,
    struct spec_probe *ret)
{
	const struct yaml_node *node = object_find(deployment, name);
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, deployment->r, node, object_path(deployment, name), probe_fields,
	    LENGTH(probe_fields)) != 0 ||
	    read_time(&o, "initial_delay", 0, SECONDS_MAX, 1, &ret->initial_delay_s) != 0 ||
	    read_time(&o, "period", 1, SECONDS_MAX, 1, &ret->period_s) != 0 ||
	    read_time(&o, "timeout", 1, SECONDS_MAX, 1, &ret->timeout_s) != 0)
		return (-1);
	if (read_count(&o, "success_threshold", successes_max, &ret->success_threshold) != 0)
		return (-1);
	return (read_count(&o, "failure_threshold", COUNT_MAX, &ret->failure_threshold));
}

static int
read_route(const struct object *config, const char *name, struct spec_probe *ret)
{
	const struct yaml_node *node = object_find(config, name);
	const char *path;
	struct object o;
	size_t len;

	if (node == NULL)
		return (0);
	if (object_open(&o, config->r, node, object_path(config, name), route_fields,
	    LENGTH(route_fields)) != 0 || object_need_string(&o, "path", &path) != 0)
		return (-1);
	if (object_find(&o, "port") == NULL)
		return (object_missing(&o, "port"));
	if (read_count(&o, "port", 65535, &ret->port) != 0)
		return (-1);
	for (len = 0; path[len] > ' ' && path[len] < 0x7f; len++)
		;
	if (path[0] != '/' || path[len] != '\0')
		return (object_fail(&o, "path", "expected the path of a URL, such as /health"));
	ret->path = path;
	return (0);
}

/* Where the server answers: only an environment in place says so. */
static int
read_routes(const struct object *deployment, struct spec_deployment *ret)
{
	const struct yaml_node *node = object_find(deployment, "environment");
	const char *path = object_path(deployment, "environment");
	struct object environment, config;

	if (node == NULL || node->kind == YAML_KIND_SCALAR)
		return (0);
	if (object_open(&environment, deployment->r, node, path, environment_fields,
	    LENGTH(environment_fields)) != 0)
		return (-1);
	node = object_find(&environment, "inference_config");
	if (node == NULL)
		return (0);
	if (object_open(&config, deployment->r, node,
	    object_path(&environment, "inference_config"), inference_fields,
	    LENGTH(inference_fields)) != 0 ||
	    read_route(&config, "liveness_route", &ret->liveness) != 0)
		return (-1);
	return (read_route(&config, "readiness_route", &ret->readiness));
}

/* ---- model ------------------------------------------------------------- */

static int
read_model_type(const struct object *o, enum spec_type *ret)
{
	enum spec_type found;
	const char *text;

	if (object_string(o, "type", &text) != 0)
		return (-1);
	if (text == NULL)
		return (0);
	if ((found = spec_type_find(text, SPEC_MLFLOW_MODEL)) != SPEC_LITERAL) {
		*ret = found;
		return (0);
	}
	return (object_fail(o, "type", "expected custom_model, mlflow_model or triton_model, got "
	    "\"%s\"", yaml_show(text, o->r->scratch)));
}

/* A name or version becomes a directory. */
static int
read_segment(const struct object *o, const char *name, const char **ret)
{
	const struct yaml_node *node = object_find(o, name);
	const char *text;

	if (node == NULL)
		return (0);
	if (node->kind != YAML_KIND_SCALAR)
		return (reader_wrong_type(o->r, node, object_path(o, name), "a name"));
	text = node->text;
	if (*text == '\0' || *text == '.' || strlen(text) > 255 || text[strspn(text,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] != '\0')
		return (object_fail(o, name, "a name has letters, digits, '_', '-' and '.' only"));
	*ret = arena_strdup(o->r->arena, text);
	return (0);
}

static int
read_inline_model(const struct object *o, struct spec_deployment *ret, struct spec_io *model,
    const struct yaml_node **ret_at)
{
	if (object_need_string(o, "path", &model->path) != 0 ||
	    read_segment(o, "name", &ret->model_name) != 0 ||
	    read_segment(o, "version", &ret->model_version) != 0)
		return (-1);
	*ret_at = object_find(o, "path");
	return (read_model_type(o, &model->type));
}

static int
add_model(struct reader *r, const struct yaml_node *at, const char *path, struct spec_io *model)
{
	struct spec_job *job = &r->spec->job;
	struct dsuri uri;

	/* ARM has the id of a model as it is. */
	if (r->arm && strncasecmp(model->path, "/subscriptions/", 15) == 0)
		model->path = arena_printf(r->arena, "azureml:%s", model->path);
	if (dsuri_parse(&uri, model->path, r->scratch, r->err) != 0)
		return (err_on(r->err, "%s:%d:%d: %s", r->file, at->line, at->column, path));
	model->path_at = reader_at(r, at);
	CHECK_GROW(r->arena, job->inputs, job->ninputs);
	job->inputs[job->ninputs++] = *model;
	return (0);
}

static int
read_model(const struct object *deployment, struct spec_deployment *ret)
{
	const struct yaml_node *node = object_find(deployment, "model"), *at = node;
	const char *path = object_path(deployment, "model");
	struct reader *r = deployment->r;
	struct spec_io model = { .name = "model", .type = SPEC_CUSTOM_MODEL, .is_model = 1 };
	struct object o;

	if (node == NULL)
		return (0);
	model.at = reader_at(r, node);
	if (node->kind == YAML_KIND_MAP) {
		if (object_open(&o, r, node, path, model_fields, LENGTH(model_fields)) != 0 ||
		    read_inline_model(&o, ret, &model, &at) != 0)
			return (-1);
		path = object_path(&o, "path");
	} else if (reader_string(r, node, path, &model.path) != 0) {
		return (-1);
	}
	if (*model.path == '\0')
		return (reader_fail(r, at, path, "expected a model, got an empty string"));
	return (add_model(r, at, path, &model));
}

static int
read_mount_path(const struct object *o, const char **ret)
{
	const char *text;

	if (object_string(o, "model_mount_path", &text) != 0)
		return (-1);
	if (text != NULL && (text[0] != '/' || text[1] == '\0' || strstr(text, "/../") != NULL ||
	    str_ends(text, "/..")))
		return (object_fail(o, "model_mount_path",
		    "expected an absolute path below /, such as /var/models"));
	*ret = text;
	return (0);
}

/* ---- the rest ---------------------------------------------------------- */

static int
read_code(const struct object *deployment, struct spec_job *job)
{
	const struct yaml_node *node = object_find(deployment, "code_configuration");
	const char **script = &job->deployment.scoring_script;
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, deployment->r, node, object_path(deployment, "code_configuration"),
	    code_fields, LENGTH(code_fields)) != 0 ||
	    object_string(&o, "code", &job->code) != 0 ||
	    object_string(&o, "scoring_script", script) != 0)
		return (-1);
	if (job->code != NULL)
		job->code_at = reader_at(o.r, object_find(&o, "code"));
	if (*script != NULL && (**script == '/' || **script == '\0' || str_ends(*script, "/")))
		return (object_fail(&o, "scoring_script",
		    "expected the path of a file in the code's folder"));
	return (0);
}

static int
read_request_settings(const struct object *deployment, long long *ret_timeout_ms)
{
	const struct yaml_node *node = object_find(deployment, "request_settings");
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, deployment->r, node, object_path(deployment, "request_settings"),
	    request_fields, LENGTH(request_fields)) != 0)
		return (-1);
	return (read_time(&o, "request_timeout_ms", 1, TIMEOUT_MAX_MS, 1000, ret_timeout_ms));
}

static int
check_type(const struct object *o)
{
	const char *type;

	if (object_string(o, "type", &type) != 0)
		return (-1);
	if (type != NULL && !str_same_loose(type, "managed") && !str_same_loose(type, "kubernetes"))
		return (object_fail(o, "type", "expected managed or kubernetes, got \"%s\"",
		    yaml_show(type, o->r->scratch)));
	return (0);
}

/* A scoring script is served by Azure ML's own server; what else there is does not say where. */
static void
assume_routes(struct spec_deployment *d)
{
	if (d->scoring_script == NULL)
		return;
	if (d->liveness.port == 0)
		d->liveness.port = SERVER_PORT;
	if (d->readiness.port == 0)
		d->readiness.port = SERVER_PORT;
}

int
deployment_read(struct reader *r, const struct yaml_node *node, const char *path)
{
	const struct spec_probe probe = SPEC_PROBE_DEFAULT;
	struct spec_job *job = &r->spec->job;
	struct spec_deployment *d = &job->deployment;
	const char *name;
	struct object o;

	*d = (struct spec_deployment){ .given = 1, .app_insights = -1, .liveness = probe,
	    .readiness = probe };
	if (object_open(&o, r, node, path, deployment_fields, LENGTH(deployment_fields)) != 0 ||
	    object_string(&o, "name", &name) != 0 || check_type(&o) != 0 ||
	    read_model(&o, d) != 0 || read_mount_path(&o, &d->model_mount_path) != 0 ||
	    read_code(&o, job) != 0 ||
	    object_bool(&o, "app_insights_enabled", &d->app_insights) != 0 ||
	    read_request_settings(&o, &d->request_timeout_ms) != 0 || read_routes(&o, d) != 0 ||
	    read_probe(&o, "liveness_probe", 1, &d->liveness) != 0 ||
	    read_probe(&o, "readiness_probe", COUNT_MAX, &d->readiness) != 0)
		return (-1);
	if (name != NULL)
		job->name = name;
	assume_routes(d);
	return (job_read_variables(&o, NULL));
}
