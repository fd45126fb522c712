#include <string.h>

#include "spec/parts.h"

#define STEPS_SHOWN	20

/* _schema/pipeline/pipeline_job.py, _schema/job/base_job.py, and what `az ml job show` adds. */
static const struct field pipeline_fields[] = {
	{ "$schema", NULL, 1 }, { "type", "jobType", 1 }, { "name", NULL, 1 },
	{ "jobs", NULL, 1 }, { "inputs", NULL, 1 }, { "outputs", NULL, 1 },
	{ "identity", NULL, 1 }, { "settings", NULL, 1 }, { "compute", "computeId", 1 },
	{ "component", NULL, 1 }, { "display_name", NULL, 0 }, { "experiment_name", NULL, 0 },
	{ "description", NULL, 0 }, { "tags", NULL, 0 }, { "properties", NULL, 0 },
	{ "services", NULL, 0 }, { "id", NULL, 0 }, { "status", NULL, 0 },
	{ "creation_context", NULL, 0 }, { "log_files", NULL, 0 }, { "version", NULL, 0 },
	{ "is_deterministic", NULL, 0 }, { "source_job_id", NULL, 0 },
	{ "component_id", NULL, 0 }, { "is_archived", NULL, 0 }, { "environment", NULL, 0 },
	{ "notification_setting", NULL, 0 }, { "resourceGroup", NULL, 0 },
	{ "queue_settings", NULL, 0 }, { "resources", NULL, 0 },
};

static const struct field settings_fields[] = {
	{ "default_datastore", NULL, 1 }, { "default_compute", NULL, 1 },
	{ "continue_on_step_failure", NULL, 0 }, { "force_rerun", NULL, 0 },
	{ "continue_on_failed_optional_input", NULL, 0 }, { "on_init", NULL, 0 },
	{ "on_finalize", NULL, 0 }, { "_source", NULL, 0 },
};

static const struct field step_fields[] = {
	{ "type", "jobType", 1 }, { "component", NULL, 1 }, { "jobs", NULL, 1 },
};

struct pipeline {
	struct object	 o;
	const struct yaml_node *component;	/* holds the jobs of a component, or NULL */
	const struct yaml_node *jobs;
	const char	*jobs_path;
};

/* A step that is itself a pipeline, in this text or by reference. */
static int
is_nested(struct reader *r, const struct yaml_node *step)
{
	struct object o = { r, step, "", step_fields, LENGTH(step_fields) };
	const struct yaml_node *type, *component;

	if (step->kind != YAML_KIND_MAP)
		return (0);
	type = object_find(&o, "type");
	component = object_find(&o, "component");
	if (type != NULL && type->kind == YAML_KIND_SCALAR &&
	    str_same_loose(type->text, "pipeline"))
		return (1);
	if (object_find(&o, "jobs") != NULL)
		return (1);
	if (component == NULL || component->kind != YAML_KIND_MAP)
		return (0);
	o.node = component;
	type = object_find(&o, "type");
	return (object_find(&o, "jobs") != NULL || (type != NULL &&
	    type->kind == YAML_KIND_SCALAR && str_same_loose(type->text, "pipeline")));
}

static int
has_nested(struct reader *r, const struct yaml_node *jobs)
{
	size_t i;

	for (i = 0; i < jobs->n; i++)
		if (is_nested(r, jobs->values[i]))
			return (1);
	return (0);
}

static int
read_settings(const struct object *pipeline)
{
	const struct yaml_node *node = object_find(pipeline, "settings");
	struct spec_job *job = &pipeline->r->spec->job;
	const char *datastore, *compute;
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, pipeline->r, node, object_path(pipeline, "settings"), settings_fields,
	    LENGTH(settings_fields)) != 0 ||
	    object_string(&o, "default_datastore", &datastore) != 0 ||
	    object_string(&o, "default_compute", &compute) != 0)
		return (-1);
	if (datastore != NULL)
		job->default_datastore = str_starts(datastore, "azureml:") ?
		    datastore + strlen("azureml:") : datastore;
	if (compute != NULL)
		job->compute = compute;
	return (0);
}

static int
open_pipeline(struct reader *r, const struct yaml_node *node, const char *path,
    struct pipeline *ret)
{
	struct object component;

	*ret = (struct pipeline){ .component = NULL };
	if (object_open(&ret->o, r, node, path, pipeline_fields, LENGTH(pipeline_fields)) != 0)
		return (-1);
	ret->component = object_find(&ret->o, "component");
	ret->jobs = object_find(&ret->o, "jobs");
	ret->jobs_path = object_path(&ret->o, "jobs");
	if (ret->component != NULL && ret->component->kind != YAML_KIND_MAP)
		return (object_fail(&ret->o, "component", "this pipeline component is not in this "
		    "file: give the job of the step itself"));
	if (ret->component != NULL) {
		if (object_open(&component, r, ret->component, object_path(&ret->o, "component"),
		    pipeline_fields, LENGTH(pipeline_fields)) != 0)
			return (-1);
		ret->jobs = object_find(&component, "jobs");
		ret->jobs_path = object_path(&component, "jobs");
	}
	if (ret->jobs == NULL)
		return (object_missing(ret->component != NULL ? &component : &ret->o, "jobs"));
	if (ret->jobs->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, ret->jobs, ret->jobs_path, "an object"));
	if (ret->jobs->n == 0)
		return (reader_fail(r, ret->jobs, ret->jobs_path, "the pipeline has no steps"));
	return (0);
}

/* The error of a step that is not named or not there lists those that are. */
static int
list_steps(struct reader *r, const struct pipeline *p, const char *prefix, const char *why)
{
	auto_buf struct buf names = BUF_EMPTY;
	size_t i;

	for (i = 0; i < p->jobs->n && i < STEPS_SHOWN; i++)
		(void)buf_printf(&names, "%s%s%s", i > 0 ? ", " : "", prefix,
		    yaml_show(p->jobs->keys[i]->text, r->scratch));
	if (p->jobs->n > STEPS_SHOWN)
		(void)buf_adds(&names, ", ...");
	return (reader_fail(r, p->jobs, p->jobs_path, "%s; it has: %s", why, buf_str(&names)));
}

/* "a.b" is step b of the pipeline that step a is; *ret_rest is "b" or NULL. */
static const struct yaml_node *
choose(struct reader *r, const struct yaml_node *jobs, const char *step, const char **ret_name,
    const char **ret_rest)
{
	const struct yaml_node *found = yaml_get(jobs, step);
	const char *dot = strchr(step, '.');

	*ret_name = step;
	*ret_rest = NULL;
	if (found != NULL || dot == NULL)
		return (found);
	*ret_name = arena_strndup(r->scratch, step, (size_t)(dot - step));
	*ret_rest = dot + 1;
	return (yaml_get(jobs, *ret_name));
}

/* The identity of a pipeline reaches its steps only if it and all around it are plain. */
static void
inherit(struct spec_job *job, const struct spec_identity *around, int reaches)
{
	if (around->type == SPEC_IDENTITY_NONE)
		return;
	if (!reaches) {
		job->ignored_root_identity = *around;
	} else if (job->identity.type == SPEC_IDENTITY_NONE) {
		job->identity = *around;
		job->from_pipeline_root = 1;
	}
}

static int	read_step(struct reader *, const struct pipeline *, const char *step,
		    const char *prefix, const struct scope *, struct spec_identity *around);

static int
read_nested(struct reader *r, const struct yaml_node *node, const char *path, const char *rest,
    const char *prefix, const struct scope *around, struct spec_identity *identity)
{
	struct object component = { .r = r };
	struct pipeline p;
	struct spec_identity own = { .type = SPEC_IDENTITY_NONE };
	struct scope scope = { .path = path, .parent = around };

	if (open_pipeline(r, node, path, &p) != 0 || job_read_identity(&p.o, &own) != 0)
		return (-1);
	if (identity->type == SPEC_IDENTITY_NONE)
		*identity = own;
	scope.inputs = object_find(&p.o, "inputs");
	scope.outputs = object_find(&p.o, "outputs");
	scope.jobs = p.jobs;
	if (p.component != NULL) {
		component = (struct object){ r, p.component, path, pipeline_fields,
		    LENGTH(pipeline_fields) };
		scope.declared = object_find(&component, "inputs");
		if (scope.outputs == NULL)
			scope.outputs = object_find(&component, "outputs");
	}
	if (rest == NULL)
		return (list_steps(r, &p, prefix,
		    "this step is a pipeline: name one of its steps"));
	return (read_step(r, &p, rest, prefix, &scope, identity));
}

static int
read_step(struct reader *r, const struct pipeline *p, const char *step, const char *prefix,
    const struct scope *scope, struct spec_identity *around)
{
	const char *name, *rest, *path;
	const struct yaml_node *node = choose(r, p->jobs, step, &name, &rest);

	if (yaml_is_null(node))
		return (list_steps(r, p, prefix, "the pipeline has no step of that name"));
	path = reader_path(r, p->jobs_path, name);
	if (node->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, node, path, "an object"));
	if (is_nested(r, node))
		return (read_nested(r, node, path, rest,
		    arena_printf(r->scratch, "%s%s.", prefix, name), scope, around));
	if (rest != NULL)
		return (reader_fail(r, node, path, "this step is no pipeline and has no steps"));
	return (job_read_command(r, node, path, scope));
}

int
pipeline_read(struct reader *r, const struct yaml_node *root, const char *path, const char *step)
{
	struct spec_job *job = &r->spec->job;
	struct spec_identity identity = { .type = SPEC_IDENTITY_NONE };
	struct scope scope = { .path = path };
	struct pipeline p;
	const char *compute, *name;

	if (open_pipeline(r, root, path, &p) != 0 || read_settings(&p.o) != 0 ||
	    job_read_identity(&p.o, &identity) != 0 ||
	    object_string(&p.o, "compute", &compute) != 0 ||
	    object_string(&p.o, "name", &name) != 0)
		return (-1);
	if (job->compute == NULL)
		job->compute = compute;
	if (name != NULL)
		job->name = name;
	if (step == NULL)
		return (list_steps(r, &p, "", "this is a pipeline: name one of its steps with "
		    "--step"));
	scope.inputs = object_find(&p.o, "inputs");
	scope.outputs = object_find(&p.o, "outputs");
	scope.jobs = p.jobs;
	if (read_step(r, &p, step, "", &scope, &identity) != 0)
		return (-1);
	job->step = arena_strdup(r->arena, step);
	inherit(job, &identity, !has_nested(r, p.jobs));
	return (0);
}
