#include "plan/parts.h"

#include <string.h>

#include "spec/dsuri.h"

#define MODELS	"/var/azureml-app/azureml-models"

/* The name and version of a model that is one of the workspace; else they stay. */
static void
read_asset(const struct deciding *d, const struct spec_io *io, const char **name,
    const char **version)
{
	struct dsuri uri;

	if (io->asset == NULL || dsuri_parse(&uri, io->asset, d->mem, NULL) != 0 ||
	    uri.asset_name == NULL)
		return;
	*name = uri.asset_name;
	*version = uri.asset_version != NULL ? uri.asset_version : io->asset_version;
}

/* One that has no name gets one from the service; here, the deployment's. */
const char *
serve_model_dir(const struct deciding *d, const struct spec_io *io)
{
	const struct spec_job *job = &d->spec->job;
	const char *name = job->deployment.model_name, *version = job->deployment.model_version;
	const char *root = job->deployment.model_mount_path;

	read_asset(d, io, &name, &version);
	if (name == NULL)
		name = job->name != NULL && strchr(job->name, '/') == NULL ? job->name : "model";
	return (deciding_join(d, root != NULL ? root : MODELS, arena_printf(d->mem, "%s/%s", name,
	    version != NULL ? version : "1")));
}

/* What environment_variables says of one stands. */
static void
add_variable(struct deciding *d, const char *name, const char *value)
{
	const struct spec_job *job = &d->spec->job;
	struct plan *plan = d->plan;
	size_t i;

	for (i = 0; i < job->nvariables; i++)
		if (strcmp(job->variables[i].name, name) == 0)
			return;
	if (value != NULL)
		plan->variables[plan->nvariables++] = (struct spec_variable){ name, value };
}

/*
 * What azureml-inference-server-http reads (microsoft/azureml-inference-server
 * azureml_inference_server_http/constants.py, server/config.py).
 */
static void
decide_variables(struct deciding *d)
{
	const struct spec_deployment *dep = &d->spec->job.deployment;
	struct plan *plan = d->plan;

	add_variable(d, "AZUREML_MODEL_DIR", plan->model_dir);
	add_variable(d, "AML_APP_ROOT", plan->app_root);
	add_variable(d, "AZUREML_ENTRY_SCRIPT", plan->entry_script);
	if (dep->request_timeout_ms != 0)
		add_variable(d, "SCORING_TIMEOUT_MS", arena_printf(d->mem, "%lld",
		    dep->request_timeout_ms));
	if (dep->app_insights >= 0)
		add_variable(d, "AML_APP_INSIGHTS_ENABLED", dep->app_insights ? "true" : "false");
}

/*
 * The script's folder is the application's root and where the server starts, its name the entry
 * script (azure-ai-ml _local_endpoints/azureml_image_context.py).
 */
static void
decide_code(struct deciding *d)
{
	const char *script = d->spec->job.deployment.scoring_script, *slash;
	struct plan *plan = d->plan;

	slash = script != NULL ? strrchr(script, '/') : NULL;
	if (plan->cwd != NULL && slash != NULL)
		plan->cwd = deciding_join(d, plan->cwd, arena_strndup(d->mem, script,
		    (size_t)(slash - script)));
	plan->app_root = plan->cwd;
	plan->entry_script = plan->cwd != NULL && slash != NULL ? slash + 1 : script;
}

void
serve_decide(struct deciding *d)
{
	const struct spec_deployment *dep = &d->spec->job.deployment;
	struct plan *plan = d->plan;

	if (!dep->given)
		return;
	plan->is_deployment = 1;
	if (dep->liveness.port == 0 && dep->readiness.port == 0)
		deciding_note(d, "not-probed", "the deployment does not say where its server "
		    "answers (inference_config, scoring_script): it is not probed unless --probe "
		    "does");
	plan->liveness = dep->liveness;
	plan->readiness = dep->readiness;
	decide_code(d);
	decide_variables(d);
}
