/* decide: where each input and output comes from and goes to, the command, the broker; print. */

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "check.h"
#include "plan/parts.h"
#include "plan/plan.h"

#define GUID	"aaaaaaaa-0000-4000-8000-00000000000a"

/* A job with room for a few inputs and outputs, on a cluster with a system-assigned identity. */
struct world {
	struct arena		mem;
	struct spec		spec;
	struct spec_io		inputs[6], outputs[4];
	struct spec_datastore	datastores[4];
	struct facts		facts;
	struct plan_options	opt;
	struct plan		plan;
	struct err		err;
};

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->spec.job.file = "jobs/job.yml";
	w->spec.job.name = "train";
	w->spec.job.command = "true";
	w->spec.job.inputs = w->inputs;
	w->spec.job.outputs = w->outputs;
	w->spec.datastores = w->datastores;
	w->spec.compute = (struct spec_compute){ .given = 1, .name = "cpu", .has_system = 1,
		.kind = SPEC_COMPUTE_CLUSTER };
	w->facts.cwd = "/home/me";
	w->facts.has_shell_sh = w->facts.has_shell_bash = 1;
}

static struct spec_datastore *
add_datastore(struct world *w, const char *name, enum spec_store_type type)
{
	struct spec_datastore *ds = &w->datastores[w->spec.ndatastores++];

	*ds = (struct spec_datastore){ .name = name, .type = type, .account = "acct",
		.container = "box", .endpoint = "core.windows.net", .protocol = "https" };
	return (ds);
}

static struct spec_io *
add_input(struct world *w, const char *name, const char *path)
{
	struct spec_io *io = &w->inputs[w->spec.job.ninputs++];

	*io = (struct spec_io){ .name = name, .type = SPEC_URI_FOLDER, .path = path,
		.at = { "job.yml", 4, 3 }, .path_at = { "job.yml", 5, 11 } };
	return (io);
}

static struct spec_io *
add_output(struct world *w, const char *name, const char *path)
{
	struct spec_io *io = &w->outputs[w->spec.job.noutputs++];

	*io = (struct spec_io){ .name = name, .type = SPEC_URI_FOLDER, .path = path,
		.at = { "job.yml", 8, 3 }, .path_at = { "job.yml", 9, 11 } };
	return (io);
}

static int
decide(struct world *w)
{
	w->err = ERR_EMPTY;
	return (plan_decide(&w->plan, &w->spec, &w->facts, &w->opt, &w->mem, &w->err));
}

static int
warned(const struct world *w, const char *rule)
{
	size_t i;

	for (i = 0; i < w->plan.nwarnings; i++)
		if (strcmp(w->plan.warnings[i].rule, rule) == 0)
			return (1);
	return (0);
}

/* The complaint of a world that cannot be planned. */
static void
check_refused(struct world *w, enum err_kind kind, enum err_remedy remedy, const char *resource,
    const char *cause_has)
{
	check_int(decide(w), -1);
	check_int(w->err.kind, kind);
	check_int(w->err.remedy, remedy);
	check_str(w->err.resource, resource);
	if (!check(strstr(w->err.cause, cause_has) != NULL))
		printf("#    cause: %s\n", w->err.cause);
	arena_done(&w->mem);
}

static void
test_folder_and_file(void)
{
	struct world w;
	const struct plan_access *a;

	world_init(&w);
	add_datastore(&w, "data", SPEC_GEN2);
	add_input(&w, "dir", "azureml://datastores/data/paths/a/b%20c/");
	add_input(&w, "file", "azureml://datastores/data/paths/x/y.csv")->type = SPEC_URI_FILE;
	add_input(&w, "all", "azureml://datastores/data");
	check_int(decide(&w), 0);
	check_int(w.plan.naccesses, 3);
	a = &w.plan.accesses[0];
	check_int(a->action, PLAN_MOUNT_RO);
	check_str(a->base_url, "https://acct.blob.core.windows.net");
	check_str(a->container, "box");
	check_str(a->prefix, "a/b c");
	check_int(a->is_file, 0);
	check_int(a->hns, 1);
	check_str(a->target, "/mnt/amlshim/inputs/dir");
	check_str(a->value, "/mnt/amlshim/inputs/dir");
	check(a->staging == NULL);
	check_str(a->identity.rule, "none-sai-fallback");
	a = &w.plan.accesses[1];
	check_str(a->prefix, "x/y.csv");
	check_int(a->is_file, 1);
	check_str(a->target, "/mnt/amlshim/inputs/file");
	check_str(a->value, "/mnt/amlshim/inputs/file/y.csv");
	check_str(w.plan.accesses[2].prefix, "");
	arena_done(&w.mem);
}

static void
test_outputs(void)
{
	struct world w;
	const struct plan_access *a;

	world_init(&w);
	w.opt.root = "/data";
	w.opt.cache_dir = "cache/";
	add_datastore(&w, "other", SPEC_BLOB);
	add_datastore(&w, "workspaceblobstore", SPEC_BLOB);
	add_output(&w, "model", NULL);
	add_output(&w, "score", "azureml://datastores/other/paths/s/score.json")->type =
	    SPEC_URI_FILE;
	w.outputs[1].mode = SPEC_UPLOAD;
	add_output(&w, "one", NULL)->type = SPEC_URI_FILE;
	add_output(&w, "words",
	    "azureml://datastores/${{ default_datastore }}/paths/${{name}}/x/${{output_name}}/");
	check_int(decide(&w), 0);
	a = &w.plan.accesses[0];
	check_int(a->action, PLAN_MOUNT_RW);
	check_str(a->uri, "azureml://datastores/workspaceblobstore/paths/azureml/train/model/");
	check_str(a->prefix, "azureml/train/model");
	check_str(a->target, "/data/outputs/model");
	check_str(a->staging, "/home/me/cache/model");
	a = &w.plan.accesses[1];
	check_int(a->action, PLAN_UPLOAD);
	check_str(a->prefix, "s");
	check_int(a->is_file, 0);
	check_str(a->value, "/data/outputs/score/score.json");
	check_str(w.plan.accesses[2].prefix, "azureml/train");
	check_str(w.plan.accesses[2].value, "/data/outputs/one/one");
	check_str(w.plan.accesses[3].prefix, "train/x/words");
	check_str(w.plan.accesses[3].datastore, "workspaceblobstore");
	arena_done(&w.mem);
}

static const char *
default_store(struct world *w)
{
	const char *name;

	w->spec.job.noutputs = 0;
	add_output(w, "o", NULL);
	if (decide(w) != 0)
		return (NULL);
	name = w->plan.accesses[0].datastore;
	return (name);
}

static void
test_default_datastore(void)
{
	struct world w;

	world_init(&w);
	add_datastore(&w, "first", SPEC_BLOB);
	check_str(default_store(&w), "first");
	add_datastore(&w, "second", SPEC_BLOB);
	check_str(default_store(&w), NULL);
	check_int(w.err.remedy, REMEDY_DATASTORE_FILE);
	check_str(w.err.resource, "job.yml:8:3: outputs.o");
	check(strstr(w.err.cause, "first, second") != NULL);
	add_datastore(&w, "workspaceblobstore", SPEC_BLOB);
	check_str(default_store(&w), "workspaceblobstore");
	w.datastores[1].is_default = 1;
	check_str(default_store(&w), "second");
	w.spec.job.default_datastore = "azureml:first";
	check_str(default_store(&w), "first");
	w.spec.job.name = NULL;
	check_str(default_store(&w), NULL);
	w.facts.run_id = "run 7";
	check_str(default_store(&w), "first");
	check_str(w.plan.accesses[0].prefix, "azureml/run 7/o");
	arena_done(&w.mem);
}

/* An endpoint may name the service, or be the whole host. */
static void
test_named_endpoints(void)
{
	static const struct { const char *endpoint, *base_url; } rows[] = {
		{ "core.windows.net", "https://acct.blob.core.windows.net" },
		{ "dfs.core.windows.net", "https://acct.blob.core.windows.net" },
		{ "blob.core.windows.net", "https://acct.blob.core.windows.net" },
		{ "acct.dfs.core.windows.net", "https://acct.blob.core.windows.net" },
		{ "z12.blob.storage.azure.net", "https://acct.blob.z12.blob.storage.azure.net" },
		{ "localhost:10000", "https://localhost:10000/acct" },
	};
	struct world w;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		world_init(&w);
		add_datastore(&w, "data", SPEC_GEN2)->endpoint = rows[i].endpoint;
		add_input(&w, "a", "azureml://datastores/data/paths/a");
		check_int(decide(&w), 0);
		check_str(w.plan.accesses[0].base_url, rows[i].base_url);
		arena_done(&w.mem);
	}
}

static void
test_onelake(void)
{
	struct spec_datastore *ds;
	struct world w;

	world_init(&w);
	ds = add_datastore(&w, "lake", SPEC_ONELAKE);
	ds->account = "westus-onelake";
	ds->endpoint = "fabric.microsoft.com";
	ds->artifact = "7e9d0000-0000-4000-8000-0000000000aa";
	add_input(&w, "item", "azureml://datastores/lake");
	add_output(&w, "out", "azureml://datastores/lake/paths/Tables/t/");
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].base_url, "https://westus-onelake.blob.fabric.microsoft.com");
	check_str(w.plan.accesses[0].prefix, "7e9d0000-0000-4000-8000-0000000000aa");
	check_int(w.plan.accesses[0].hns, 1);
	check_str(w.plan.accesses[1].prefix, "7e9d0000-0000-4000-8000-0000000000aa/Tables/t");
	arena_done(&w.mem);
	world_init(&w);
	ds = add_datastore(&w, "lake", SPEC_ONELAKE);
	ds->artifact = "sales";				/* by name: with its type */
	add_output(&w, "out", "azureml://datastores/lake/paths/Files");
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].prefix, "sales.Lakehouse/Files");
	arena_done(&w.mem);
	world_init(&w);
	add_datastore(&w, "lake", SPEC_ONELAKE)->artifact = "sales";
	add_output(&w, "out", "azureml://datastores/lake/paths/Filesystem/x");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:9:11: outputs.out.path",
	    "below Files/ or Tables/");
}

static void
test_raw_uris(void)
{
	struct world w;

	world_init(&w);
	add_input(&w, "a", "wasbs://c@acct.blob.core.windows.net/p");
	add_input(&w, "b", "abfss://fs@acct.dfs.core.chinacloudapi.cn/");
	add_input(&w, "c", "https://127.0.0.1:10000/devstore/c/p/q");
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].base_url, "https://acct.blob.core.windows.net");
	check_str(w.plan.accesses[1].base_url, "https://acct.blob.core.chinacloudapi.cn");
	check_int(w.plan.accesses[1].hns, 1);
	check_str(w.plan.accesses[1].prefix, "");
	check_str(w.plan.accesses[2].base_url, "https://127.0.0.1:10000/devstore");
	check_str(w.plan.accesses[2].account, "devstore");
	check_str(w.plan.accesses[2].prefix, "p/q");
	check(w.plan.accesses[0].datastore == NULL);
	arena_done(&w.mem);
	world_init(&w);
	add_output(&w, "o", "wasbs://c@acct.blob.core.windows.net/p");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:9:11: outputs.o.path",
	    "name a datastore");
	world_init(&w);
	add_input(&w, "g", "adl://store.azuredatalakestore.net/p/q");
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].base_url, "https://store.azuredatalakestore.net");
	check_str(w.plan.accesses[0].container, "");
	check_str(w.plan.accesses[0].prefix, "p/q");
	check_int(w.plan.accesses[0].hns, 1);
	check_str(w.plan.accesses[0].identity.audience, "https://datalake.azure.net/");
	check_str(w.plan.warnings[0].rule, "gen1-retired");
	arena_done(&w.mem);
}

static void
test_endpoints(void)
{
	static const struct { const char *endpoint, *protocol, *url; } cases[] = {
		{ "core.windows.net", "wasbs", "https://acct.blob.core.windows.net" },
		{ "core.windows.net", "abfss", "https://acct.blob.core.windows.net" },
		{ NULL, NULL, "https://acct.blob.core.windows.net" },
		{ "azurite:10000", "https", "https://azurite:10000/acct" },
		{ "localhost", "https", "https://localhost/acct" },
		{ "[::1]:10000", "https", "https://[::1]:10000/acct" },
		{ "10.0.0.4:443", "http", "http://10.0.0.4:443/acct" },
	};
	struct world w;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		world_init(&w);
		add_datastore(&w, "d", SPEC_BLOB)->endpoint = cases[i].endpoint;
		w.datastores[0].protocol = cases[i].protocol;
		w.datastores[0].credential = SPEC_CRED_ACCOUNT_KEY;
		add_input(&w, "i", "azureml://datastores/d/paths/p");
		check_int(decide(&w), 0);
		check_str(w.plan.accesses[0].base_url, cases[i].url);
		arena_done(&w.mem);
	}
	w.datastores[0].credential = SPEC_CRED_NONE;
	w.datastores[0].at = (struct spec_at){ "d.yml", 1, 2 };
	check_refused(&w, ERR_USAGE, REMEDY_USE_HTTPS, "d.yml:1:2: datastore d", "over https only");
}

static void
test_nothing_to_do(void)
{
	struct world w;

	world_init(&w);
	add_input(&w, "near", "./data//x/");
	add_input(&w, "abs", "file:/abs/./y");
	add_input(&w, "web", "https://example.org/x.csv?a=b")->mode = SPEC_DIRECT;
	add_input(&w, "raw", "azureml://datastores/unknown/paths/p")->mode = SPEC_DIRECT;
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].value, "/home/me/jobs/data/x");
	check_str(w.plan.accesses[0].identity.rule, "local");
	check_str(w.plan.accesses[1].value, "/abs/y");
	check_str(w.plan.accesses[2].value, "https://example.org/x.csv?a=b");
	check_str(w.plan.accesses[2].identity.rule, "direct");
	check_str(w.plan.accesses[3].value, "azureml://datastores/unknown/paths/p");
	check_int(w.plan.accesses[3].action, PLAN_PASS);
	check_int(w.plan.accesses[3].identity.kind, PLAN_ID_NONE);
	check(w.plan.accesses[3].target == NULL);
	arena_done(&w.mem);
}

static void
test_optional(void)
{
	struct world w;

	world_init(&w);
	add_input(&w, "maybe", NULL)->optional = 1;
	add_input(&w, "lit", NULL)->type = SPEC_LITERAL;
	w.inputs[1].value = "3";
	add_input(&w, "void", NULL)->type = SPEC_LITERAL;
	w.spec.job.command = "run $[[--maybe ${{inputs.maybe}}]] --lit ${{inputs.lit}} "
	    "$[[--void ${{inputs.void}}]]";
	check_int(decide(&w), 0);
	check_int(w.plan.naccesses, 0);
	check_int(w.plan.nvalues, 3);
	check_str(w.plan.command, "run  --lit 3");
	check_str(w.plan.argv[1], "--lit");
	check_str(w.plan.argv[2], "3");
	check(w.plan.argv[3] == NULL);
	arena_done(&w.mem);
	w.inputs[0].optional = 0;
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.maybe", "no path");
}

static void
test_unknown_datastore(void)
{
	struct world w;

	world_init(&w);
	add_datastore(&w, "one", SPEC_BLOB);
	add_datastore(&w, "two", SPEC_BLOB);
	add_input(&w, "i", "azureml://datastores/three/paths/p");
	check_refused(&w, ERR_USAGE, REMEDY_DATASTORE_FILE, "job.yml:5:11: inputs.i.path",
	    "\"three\"; described are: one, two");
	world_init(&w);
	add_input(&w, "i", "azureml:asset:1");
	check_refused(&w, ERR_USAGE, REMEDY_ASK_WORKSPACE, "job.yml:5:11: inputs.i.path",
	    "only the workspace");
	world_init(&w);
	add_input(&w, "i", "azureml:asset@stable");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.i.path",
	    "one label, @latest");
	world_init(&w);
	add_input(&w, "i", "azureml://registries/r/data/n/versions/1");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.i.path",
	    "only assets of a workspace");
	world_init(&w);
	add_output(&w, "o", "azureml:asset:1");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:9:11: outputs.o.path",
	    "not an asset");
	world_init(&w);
	add_input(&w, "i", "https://example.org/x");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.i.path",
	    "mode: direct");
}

static void
workspace_is(struct world *w, const char *name)
{
	w->facts.subscription = "sub";
	w->facts.resource_group = "rg";
	w->facts.workspace = name;
}

static const char *
plan_variable(const struct world *w, const char *name)
{
	size_t i;

	for (i = 0; i < w->plan.nvariables; i++)
		if (strcmp(w->plan.variables[i].name, name) == 0)
			return (w->plan.variables[i].value);
	return (NULL);
}

/* A deployment's model, by the forms of its path: where it comes from, where it stands. */
static void
test_models(void)
{
	static const struct {
		const char *path, *asset, *prefix, *only, *target, *dir;
		enum spec_type type;
		int mount;
	} rows[] = {
		{ "azureml://datastores/d/paths/m/w.pkl", NULL, "m", "w.pkl",
		    "/var/azureml-app/azureml-models/blue/1",
		    "/var/azureml-app/azureml-models/blue/1", SPEC_CUSTOM_MODEL, 0 },
		{ "azureml://datastores/d/paths/w.pkl", NULL, "", "w.pkl",
		    "/var/azureml-app/azureml-models/blue/1",
		    "/var/azureml-app/azureml-models/blue/1", SPEC_CUSTOM_MODEL, 0 },
		{ "azureml://datastores/d/paths/m/f/", "azureml:weather:3", "m", "f",
		    "/var/azureml-app/azureml-models/weather/3",
		    "/var/azureml-app/azureml-models/weather/3", SPEC_CUSTOM_MODEL, 0 },
		{ "azureml://datastores/d/paths/m/w.pkl", "azureml:weather@latest", "m", NULL,
		    "/var/azureml-app/azureml-models/weather/7",
		    "/var/azureml-app/azureml-models/weather/7", SPEC_CUSTOM_MODEL, 1 },
		{ "azureml://datastores/d/paths/m/f", NULL, "m/f", "f",
		    "/var/azureml-app/azureml-models/blue/1/f",
		    "/var/azureml-app/azureml-models/blue/1", SPEC_MLFLOW_MODEL, 1 },
		{ "azureml://datastores/d/paths/m/f/", NULL, "m/f", "f",
		    "/var/azureml-app/azureml-models/blue/1/f",
		    "/var/azureml-app/azureml-models/blue/1", SPEC_CUSTOM_MODEL, 1 },
	};
	const struct plan_access *a;
	struct spec_io *io;
	struct world w;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		world_init(&w);
		add_datastore(&w, "d", SPEC_BLOB);
		io = add_input(&w, "model", rows[i].path);
		io->type = rows[i].type;
		io->is_model = 1;
		io->asset = rows[i].asset;
		io->asset_version = "7";
		w.spec.job.name = "blue";
		w.spec.job.deployment.given = 1;
		w.opt.mount_model = rows[i].mount;
		if (!check_int(decide(&w), 0) || !check_int(w.plan.naccesses, 1))
			continue;
		a = &w.plan.accesses[0];
		check_int(a->action, rows[i].mount ? PLAN_MOUNT_RO : PLAN_DOWNLOAD);
		check_str(a->prefix, rows[i].prefix);
		check_str(a->only, rows[i].only);
		check_str(a->target, rows[i].target);
		check_str(plan_variable(&w, "AZUREML_MODEL_DIR"), rows[i].dir);
		arena_done(&w.mem);
	}
}

static void
test_deployment(void)
{
	static struct spec_variable variables[] = { { "SCORING_TIMEOUT_MS", "7" } };
	struct world w;
	struct spec_io *io;

	world_init(&w);
	io = add_input(&w, "model", "models/w.pkl");
	io->is_model = 1;
	w.spec.job.code = "score";
	w.spec.job.deployment = (struct spec_deployment){ .given = 1, .scoring_script = "a/s.py",
	    .request_timeout_ms = 3000, .app_insights = 0, .model_mount_path = "/models" };
	w.spec.job.variables = variables;
	w.spec.job.nvariables = LENGTH(variables);
	check_int(decide(&w), 0);
	check_str(plan_variable(&w, "AZUREML_MODEL_DIR"), "/home/me/jobs/models");
	check_str(plan_variable(&w, "AML_APP_ROOT"), "/home/me/jobs/score/a");
	check_str(plan_variable(&w, "AZUREML_ENTRY_SCRIPT"), "s.py");
	check_str(plan_variable(&w, "SCORING_TIMEOUT_MS"), "7");
	check_str(plan_variable(&w, "AML_APP_INSIGHTS_ENABLED"), "false");
	check_str(w.plan.cwd, "/home/me/jobs/score/a");
	arena_done(&w.mem);
	world_init(&w);
	io = add_input(&w, "model", "azureml://registries/r/models/m/versions/1");
	io->is_model = 1;
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: model",
	    "only assets of a workspace");
}

/* With a workspace, what is not described is collected: each name once, in the job's order. */
static void
test_wants(void)
{
	struct plan_wants wants = { NULL, 0 };
	struct world w;

	world_init(&w);
	workspace_is(&w, "ws");
	w.opt.wants = &wants;
	add_datastore(&w, "here", SPEC_BLOB);
	add_datastore(&w, "too", SPEC_BLOB);
	add_input(&w, "a", "azureml://datastores/there/paths/p");
	add_input(&w, "b", "azureml:iris@latest");
	add_input(&w, "c", "azureml://subscriptions/s/resourcegroups/g/workspaces/other/datastores/"
	    "there/paths/p");
	add_input(&w, "d", "azureml://datastores/here/paths/p");
	add_input(&w, "m", "azureml:iris:3")->type = SPEC_MLFLOW_MODEL;
	add_output(&w, "x", "azureml://datastores/there/paths/p");
	add_output(&w, "y", NULL);
	add_output(&w, "z", "azureml://datastores/${{default_datastore}}/paths/z/");
	check_int(decide(&w), 0);
	if (check_int(wants.n, 5)) {
		check_int(wants.list[0].kind, WIRE_WANT_DATASTORE);
		check_str(wants.list[0].name, "there");
		check_str(wants.list[0].workspace.name, "ws");
		check_int(wants.list[1].kind, WIRE_WANT_ASSET);
		check_str(wants.list[1].name, "iris");
		check(wants.list[1].version == NULL);
		check_str(wants.list[1].text, "azureml:iris@latest");
		check_str(wants.list[2].workspace.name, "other");
		check_str(wants.list[2].workspace.subscription, "s");
		check_int(wants.list[3].kind, WIRE_WANT_MODEL);
		check_int(wants.list[4].kind, WIRE_WANT_DEFAULT);
	}
	arena_done(&w.mem);
	/* Nobody knows the workspace: an error, as without wants. */
	world_init(&w);
	wants = (struct plan_wants){ NULL, 0 };
	w.opt.wants = &wants;
	add_input(&w, "a", "azureml://datastores/there/paths/p");
	check_refused(&w, ERR_USAGE, REMEDY_DATASTORE_FILE, "job.yml:5:11: inputs.a.path", "there");
	/* In direct mode a datastore is not needed; what asset it is has to be known. */
	world_init(&w);
	workspace_is(&w, "ws");
	w.opt.wants = &wants;
	add_input(&w, "a", "azureml://datastores/there/paths/p")->mode = SPEC_DIRECT;
	add_input(&w, "b", "azureml:iris:1")->mode = SPEC_DIRECT;
	check_int(decide(&w), 0);
	check_int(wants.n, 1);
	arena_done(&w.mem);
}

/* Told by a workspace: counts in that one alone; its secret is fetched as the plan says. */
static void
test_told_by_workspace(void)
{
	struct world w;
	struct spec_datastore *ds;

	world_init(&w);
	workspace_is(&w, "ws");
	ds = add_datastore(&w, "data", SPEC_BLOB);
	ds->workspace = (struct spec_workspace){ "sub", "rg", "ws" };
	ds->credential = SPEC_CRED_ACCOUNT_KEY;
	ds->secret_from = SPEC_SECRET_WORKSPACE;
	add_input(&w, "a", "azureml://datastores/data/paths/p");
	check_int(decide(&w), 0);
	check_int(w.plan.accesses[0].identity.secret_from, SPEC_SECRET_WORKSPACE);
	check_str(w.plan.accesses[0].identity.label,
	    "account key of datastore data (kept in workspace ws)");
	check_int(w.plan.readers[SPEC_SECRET_WORKSPACE].kind, PLAN_ID_MANAGED);
	check_str(w.plan.readers[SPEC_SECRET_WORKSPACE].audience, "https://management.azure.com");
	check_int(w.plan.readers[SPEC_SECRET_VAULT].kind, PLAN_ID_NONE);
	if (check_int(w.plan.nnotes, 2)) {
		check_str(w.plan.notes[0].rule, "resolved");
		check_str(w.plan.notes[1].rule, "secret-in-workspace");
	}
	check_int(w.plan.nwarnings, 0);
	w.inputs[0].asset = "azureml:iris:1";
	w.inputs[0].asset_type = w.inputs[0].type;
	check_int(decide(&w), 0);
	check(!warned(&w, "asset-type"));
	w.inputs[0].asset_type = SPEC_MLTABLE;
	check_int(decide(&w), 0);
	check(warned(&w, "asset-type"));
	workspace_is(&w, "another");
	check_int(decide(&w), -1);
	check_int(w.err.remedy, REMEDY_DATASTORE_FILE);
	arena_done(&w.mem);
}

static void
test_vault_reader(void)
{
	struct world w;
	struct spec_datastore *ds;

	world_init(&w);
	w.spec.job.identity.type = SPEC_IDENTITY_USER;
	w.facts.obo_endpoint = "http://127.0.0.1/OBO";
	ds = add_datastore(&w, "data", SPEC_BLOB);
	ds->credential = SPEC_CRED_ACCOUNT_KEY;
	ds->secret_from = SPEC_SECRET_VAULT;
	ds->secret_url = "https://v.vault.azure.net/secrets/s";
	add_input(&w, "a", "azureml://datastores/data/paths/p");
	check_int(decide(&w), 0);
	check_int(w.plan.readers[SPEC_SECRET_VAULT].kind, PLAN_ID_MANAGED);
	check(warned(&w, "secret-in-key-vault"));
	check(warned(&w, "cached-beats-user"));
	check_int(w.plan.broker, PLAN_BROKER_USER);
	/* The compute has nobody to read it. */
	w.spec.compute.has_system = 0;
	check_int(decide(&w), -1);
	check_int(w.err.kind, ERR_NO_IDENTITY);
	check(strstr(w.err.resource, "Key Vault") != NULL);
	arena_done(&w.mem);
}

static void
test_modes(void)
{
	static const struct {
		int is_output; enum spec_mode mode; enum spec_type type; int action;
	} cases[] = {
		{ 0, SPEC_MODE_DEFAULT, SPEC_URI_FOLDER, PLAN_MOUNT_RO },
		{ 0, SPEC_RO_MOUNT, SPEC_CUSTOM_MODEL, PLAN_MOUNT_RO },
		{ 0, SPEC_RW_MOUNT, SPEC_URI_FOLDER, PLAN_MOUNT_RW },
		{ 0, SPEC_DOWNLOAD, SPEC_URI_FOLDER, PLAN_DOWNLOAD },
		{ 0, SPEC_DIRECT, SPEC_URI_FOLDER, PLAN_PASS },
		{ 0, SPEC_UPLOAD, SPEC_URI_FOLDER, -1 },
		{ 0, SPEC_EVAL_MOUNT, SPEC_MLTABLE, PLAN_MOUNT_RO },
		{ 0, SPEC_EVAL_DOWNLOAD, SPEC_MLTABLE, PLAN_DOWNLOAD },
		{ 0, SPEC_EVAL_MOUNT, SPEC_URI_FOLDER, -1 },
		{ 0, SPEC_EVAL_DOWNLOAD, SPEC_URI_FILE, -1 },
		{ 1, SPEC_MODE_DEFAULT, SPEC_MLTABLE, PLAN_MOUNT_RW },
		{ 1, SPEC_RW_MOUNT, SPEC_URI_FOLDER, PLAN_MOUNT_RW },
		{ 1, SPEC_UPLOAD, SPEC_URI_FOLDER, PLAN_UPLOAD },
		{ 1, SPEC_DIRECT, SPEC_URI_FOLDER, PLAN_PASS },
		{ 1, SPEC_RO_MOUNT, SPEC_URI_FOLDER, -1 },
		{ 1, SPEC_DOWNLOAD, SPEC_URI_FOLDER, -1 },
		{ 1, SPEC_EVAL_MOUNT, SPEC_MLTABLE, -1 },
	};
	struct spec_io *io;
	struct world w;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		world_init(&w);
		add_datastore(&w, "d", SPEC_BLOB);
		io = cases[i].is_output ? add_output(&w, "x", "azureml://datastores/d/paths/p") :
		    add_input(&w, "x", "azureml://datastores/d/paths/p");
		io->mode = cases[i].mode;
		io->type = cases[i].type;
		if (!check_int(decide(&w), cases[i].action < 0 ? -1 : 0))
			printf("#    case %zu\n", i);
		if (cases[i].action >= 0)
			check_int(w.plan.accesses[0].action, cases[i].action);
		else
			check_str(w.err.resource, cases[i].is_output ?
			    "job.yml:8:3: outputs.x.mode" : "job.yml:4:3: inputs.x.mode");
		if (cases[i].mode == SPEC_EVAL_MOUNT && cases[i].action >= 0)
			check(warned(&w, "mltable-not-evaluated"));
		arena_done(&w.mem);
	}
}

static void
test_without_fuse(void)
{
	struct world w;

	world_init(&w);
	w.facts.fuse = FACTS_FUSE_NO_DEVICE;
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "i", "azureml://datastores/d/paths/p");
	add_output(&w, "o", "azureml://datastores/d/paths/q");
	check_refused(&w, ERR_SYSTEM, REMEDY_GIVE_FUSE, "job.yml:4:3: inputs.i", "/dev/fuse");
	w.facts.fuse = FACTS_FUSE_NO_PRIVILEGE;
	check_refused(&w, ERR_SYSTEM, REMEDY_GIVE_FUSE, "job.yml:4:3: inputs.i", "SYS_ADMIN");
	w.facts.fuse = FACTS_FUSE_NO_ACCESS;
	check_refused(&w, ERR_SYSTEM, REMEDY_GIVE_FUSE, "job.yml:4:3: inputs.i", "0666");
	w.opt.fuse_copy = 1;
	check_int(decide(&w), 0);
	check_int(w.plan.accesses[0].action, PLAN_DOWNLOAD);
	check_int(w.plan.accesses[1].action, PLAN_UPLOAD);
	check_str(w.plan.accesses[1].staging, "/tmp/amlshim/o");
	check(warned(&w, "copied-without-fuse"));
	check_int(w.plan.nwarnings, 2);
	arena_done(&w.mem);
	w.inputs[0].mode = SPEC_RW_MOUNT;
	check_refused(&w, ERR_SYSTEM, REMEDY_GIVE_FUSE, "job.yml:4:3: inputs.i",
	    "cannot be a copy");
	w.opt.fuse_copy = 0;
	w.facts.fuse = FACTS_FUSE_USERNS;
	check_int(decide(&w), 0);
	check_int(w.plan.accesses[0].action, PLAN_MOUNT_RW);
	check_int(w.plan.nwarnings, 0);
	arena_done(&w.mem);
	w.facts.fuse = FACTS_FUSE_NO_DEVICE;
	w.inputs[0].mode = SPEC_DOWNLOAD;
	w.outputs[0].mode = SPEC_UPLOAD;
	check_int(decide(&w), 0);
	check_int(w.plan.nwarnings, 0);
	arena_done(&w.mem);
}

static void
test_places(void)
{
	struct world w;

	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "a", "azureml://datastores/d/paths/p/f")->path_on_compute = "/in//a/";
	w.inputs[0].type = SPEC_URI_FILE;
	add_input(&w, "b", "azureml://datastores/d/paths/q")->path_on_compute = "/in/ab";
	w.inputs[1].mode = SPEC_RW_MOUNT;
	check_int(decide(&w), 0);
	check_str(w.plan.accesses[0].target, "/in/a");
	check_str(w.plan.accesses[0].value, "/in/a/f");
	check_str(w.plan.accesses[1].staging, "/tmp/amlshim/b.in");
	w.inputs[1].path_on_compute = "/in/a";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b",
	    "input a stands at /in/a");
	w.inputs[1].path_on_compute = "/in/a/b";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b", "/in/a/b");
	w.inputs[1].path_on_compute = "/in";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b", "its own");
	w.inputs[1].path_on_compute = "relative";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b.path_on_compute",
	    "absolute");
	w.inputs[1].path_on_compute = "/in/../etc";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b.path_on_compute",
	    "..");
	w.inputs[1].path_on_compute = "//";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:4:3: inputs.b.path_on_compute",
	    "other than /");
	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "f", "azureml://datastores/d/paths/folder/")->type = SPEC_URI_FILE;
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.f.path", "a file");
}

static void
test_split(void)
{
	static const struct { const char *text, *words; } cases[] = {	/* NULL: a shell's */
		{ "python train.py --lr 0.1", "python|train.py|--lr|0.1|" },
		{ "a  b\tc", "a|b|c|" },
		{ "a 'b c' \"d e\"f g'h'", "a|b c|d ef|gh|" },
		{ "a '' \"\"", "a|||" },
		{ "a \\\n  b", "a|b|" },
		{ "a\\ b \\$x \\\\", "a b|$x|\\|" },
		{ "a '$x' 'b;c' '*'", "a|$x|b;c|*|" },
		{ "a \"x\\\"y\\\\z\\$w\\n\"", "a|x\"y\\z$w\\n|" },
		{ "a --x=1 b=2", "a|--x=1|b=2|" },
		{ "a b~ c#d", "a|b~|c#d|" },
		{ "a \"it's\"", "a|it's|" },
		{ "", "" },
		{ "a | b", NULL }, { "a && b", NULL }, { "a; b", NULL }, { "a > b", NULL },
		{ "a < b", NULL }, { "(a)", NULL }, { "a $X", NULL }, { "a \"$X\"", NULL },
		{ "a `b`", NULL }, { "a *.csv", NULL }, { "a ?", NULL }, { "a [b]", NULL },
		{ "a {b,c}", NULL }, { "a\nb", NULL }, { "X=1 a", NULL }, { "a ~/x", NULL },
		{ "a # comment", NULL }, { "a 'b", NULL }, { "a \"b", NULL }, { "a \\", NULL },
		{ "cd x", NULL }, { "exit 3", NULL }, { "export A", NULL }, { "exec a", NULL },
		{ ". x", NULL }, { "! a", NULL }, { "a &", NULL }, { "if true", NULL },
	};
	struct arena mem = ARENA_EMPTY;
	const char *text;
	char **words;
	size_t i, j;

	for (i = 0; i < LENGTH(cases); i++) {
		words = NULL;
		if (command_split(cases[i].text, &words, &mem)) {
			text = "";
			for (j = 0; words[j] != NULL; j++)
				text = arena_printf(&mem, "%s%s|", text, words[j]);
		} else {
			text = NULL;
		}
		printf("# %zu\n", i);
		check_str(text, cases[i].words);
	}
	arena_done(&mem);
}

static void
test_command(void)
{
	static char sh[] = "/bin/sh", dash_c[] = "-ec", script[] = "echo ${{inputs.n}}";
	static char group[] = "$[[--m=${{inputs.m}}]]", empty[] = "";
	static char *const argv[] = { sh, dash_c, script, group, empty, NULL };
	struct world w;

	world_init(&w);
	w.spec.job.command_at = (struct spec_at){ "job.yml", 2, 10 };
	w.spec.job.command = "\n a | b  \n\n";
	check_int(decide(&w), 0);
	check_str(w.plan.argv[0], "/bin/bash");
	check_str(w.plan.argv[1], "-c");
	check_str(w.plan.argv[2], "a | b");
	check_int(w.plan.through_shell, 1);
	w.facts.has_shell_bash = 0;
	check_int(decide(&w), 0);
	check_str(w.plan.argv[0], "/bin/sh");
	w.facts.has_shell_sh = 0;
	check_refused(&w, ERR_USAGE, REMEDY_CHECK_COMMAND, "job.yml:2:10: command",
	    "needs a shell");
	w.spec.job.command = "a b";
	check_int(decide(&w), 0);
	check_int(w.plan.through_shell, 0);
	check_str(w.plan.command, "a b");
	w.spec.job.command = "a ${{inputs.nope}}";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:2:10: command",
	    "neither inputs nor outputs");
	w.spec.job.command = " \n";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:2:10: command", "empty");
	w.spec.job.command = NULL;
	check_refused(&w, ERR_USAGE, REMEDY_SEE_HELP, "jobs/job.yml", "no command");
	w.opt.argv = argv;
	add_input(&w, "n", NULL)->type = SPEC_LITERAL;
	w.inputs[0].value = "7; x";
	add_input(&w, "m", NULL)->type = SPEC_LITERAL;
	check_int(decide(&w), 0);
	check_int(w.plan.through_shell, 1);
	check(w.plan.command == NULL);
	check_str(w.plan.argv[2], "echo 7; x");
	check_str(w.plan.argv[3], "");
	check(w.plan.argv[4] == NULL);
	arena_done(&w.mem);
}

static void
test_expansion(void)
{
	static struct spec_variable variables[] = { { "A", "${{inputs.d}}/x" }, { "B", "plain" } };
	struct world w;

	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "d", "azureml://datastores/d/paths/p");
	add_output(&w, "d", "azureml://datastores/d/paths/q");
	w.spec.job.command = "t ${{inputs.d}} ${{outputs.d}}";
	w.spec.job.variables = variables;
	w.spec.job.nvariables = 2;
	check_int(decide(&w), 0);
	check_str(w.plan.command, "t /mnt/amlshim/inputs/d /mnt/amlshim/outputs/d");
	check_str(w.plan.variables[0].value, "/mnt/amlshim/inputs/d/x");
	check_str(w.plan.variables[1].value, "plain");
	arena_done(&w.mem);
	variables[0].value = "${{outputs.e}}";
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "environment_variables.A",
	    "the job has inputs.d, outputs.d");
	variables[0].value = "x";
	w.spec.job.command = "t ${{inputs.d";
	check_int(decide(&w), -1);
	check(strstr(w.err.cause, "the job has") == NULL);
	arena_done(&w.mem);
}

static void
test_cwd(void)
{
	static const struct { const char *file, *code, *cwd; } cases[] = {
		{ "jobs/job.yml", "./src", "/home/me/jobs/src" },
		{ "job.yml", ".", "/home/me" },
		{ "/job.yml", "src/", "/src" },
		{ "/a/job.yml", "/b", "/b" },
		{ "a/job.yml", "../src", "/home/me/a/../src" },
		{ "job.yml", "file:src", "/home/me/src" },
		{ "job.yml", "azureml:code:1", NULL },
		{ "job.yml", "git+https://example.org/x", NULL },
		{ "job.yml", "https://example.org/x", NULL },
		{ "job.yml", NULL, NULL },
	};
	struct world w;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		world_init(&w);
		w.spec.job.file = cases[i].file;
		w.spec.job.code = cases[i].code;
		check_int(decide(&w), 0);
		check_str(w.plan.cwd, cases[i].cwd);
		arena_done(&w.mem);
	}
}

static void
test_broker(void)
{
	static struct spec_uai uais[] = { { GUID, NULL, NULL } };
	struct world w;

	world_init(&w);
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_MANAGED);
	check_str(w.plan.broker_default.rule, "none-sai-fallback");
	check(w.plan.broker_default.audience == NULL);
	check_int(w.plan.broker_any_client_id, 0);
	check_int(plan_needs_agent(&w.plan), 1);
	w.spec.compute.has_system = 0;
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_NONE);
	check_int(plan_needs_agent(&w.plan), 0);
	w.spec.compute.uais = uais;
	w.spec.compute.nuais = 1;
	check_int(decide(&w), 0);
	check_str(w.plan.broker_default.client_id, GUID);
	check(w.plan.broker_uais == uais && w.plan.nbroker_uais == 1);
	w.spec.compute = (struct spec_compute){ .given = 0 };
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_MANAGED);
	check_int(w.plan.broker_any_client_id, 1);
	w.spec.job.file = NULL;
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_NONE);
	arena_done(&w.mem);
}

static void
test_broker_of_users(void)
{
	struct world w;

	world_init(&w);
	w.spec.job.identity = (struct spec_identity){ .type = SPEC_IDENTITY_USER,
		.at = { "job.yml", 3, 1 } };
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_NONE);
	check(warned(&w, "no-tokens"));
	check(w.plan.hides_endpoints);
	w.facts.obo_endpoint = "http://127.0.0.1:1/OBO/token";
	check_int(decide(&w), 0);
	check_int(w.plan.broker, PLAN_BROKER_USER);
	check_int(w.plan.broker_default.kind, PLAN_ID_USER);
	check(w.plan.broker_uais == NULL && !w.plan.broker_any_client_id);
	/* What the job itself asks for and cannot have is an error, data or not. */
	w.spec.job.identity.type = SPEC_IDENTITY_MANAGED;
	w.spec.compute.has_system = 0;
	check_refused(&w, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "job.yml:3:1: identity", "none");
	w.spec.compute.has_system = 1;
	w.spec.job.identity.client_id = GUID;
	check_refused(&w, ERR_USAGE, REMEDY_NAME_ASSIGNED_IDENTITY, "job.yml:3:1: identity",
	    "no identity " GUID);
}

static void
test_no_identity_for_data(void)
{
	struct world w;

	world_init(&w);
	w.spec.compute.has_system = 0;
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "i", "azureml://datastores/d/paths/p");
	check_refused(&w, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "job.yml:4:3: inputs.i",
	    "no stored credentials");
	w.datastores[0].credential = SPEC_CRED_SAS;
	check_int(decide(&w), 0);
	check_int(w.plan.accesses[0].identity.kind, PLAN_ID_SAS);
	check_int(plan_needs_agent(&w.plan), 1);
	w.inputs[0].mode = SPEC_DIRECT;
	check_int(decide(&w), 0);
	check_int(plan_needs_agent(&w.plan), 0);
	arena_done(&w.mem);
}

static void
test_remarks(void)
{
	struct world w;

	world_init(&w);
	w.spec.job.step = "prep";
	w.spec.job.ignored_root_identity = (struct spec_identity){ .type = SPEC_IDENTITY_MANAGED,
		.at = { "job.yml", 3, 1 } };
	w.facts.default_client_id_raw = "clientid";
	w.facts.workspace = "here";
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "i", "azureml://subscriptions/s/resourcegroups/g/workspaces/there/"
	    "datastores/d/paths/p");
	check_int(decide(&w), 0);
	check(warned(&w, "root-identity-ignored"));
	check(warned(&w, "default-client-id-no-guid"));
	check(warned(&w, "other-workspace"));
	check_int(w.plan.nwarnings, 3);
	check_str(w.plan.job_name, "train.prep");
	check_int(w.plan.tuning.memory_bytes, 256 << 20);
	arena_done(&w.mem);
}

/* The same twice, and without err. */
static void
test_pure(void)
{
	struct world w;
	struct plan first;

	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "i", "azureml://datastores/d/paths/p");
	check_int(decide(&w), 0);
	first = w.plan;
	check_int(decide(&w), 0);
	check_str(first.accesses[0].value, w.plan.accesses[0].value);
	check(first.accesses != w.plan.accesses);
	w.spec.ndatastores = 0;
	check_int(plan_decide(&first, &w.spec, &w.facts, &w.opt, &w.mem, NULL), -1);
	check_int(first.naccesses, 1);
	arena_done(&w.mem);
}

/* What is printed, in memory. */
static const char *
printed(const struct plan *plan, int json, struct arena *mem)
{
	char *text = NULL;
	size_t len = 0;
	const char *copy;
	FILE *to = open_memstream(&text, &len);

	if (to == NULL)
		return ("");
	check_int(plan_print(plan, json, to), 0);
	fclose(to);
	copy = arena_strdup(mem, text);
	free(text);
	return (copy);
}

static void
test_print_is_safe(void)
{
	static struct spec_variable variables[] = {
		{ "URL", "https://h/c?sv=1&SIG=abc%3D&sp=r;sig=def" }, { "DB_PASSWORD", "hunter2" },
		{ "DESIGN", "sign=1 design=2" },
	};
	static char key[] = "s3cret-key";
	struct world w;
	struct json *tree;
	const char *text;

	world_init(&w);
	w.spec.job.name = "red\x1b[31m\r";
	w.spec.job.command = "run 'two words' \"it's\" \"\"";
	w.spec.job.variables = variables;
	w.spec.job.nvariables = 3;
	*add_datastore(&w, "d", SPEC_BLOB) = (struct spec_datastore){ .name = "d", .account = "a",
		.container = "c", .credential = SPEC_CRED_ACCOUNT_KEY, .secret = { key, 10 } };
	add_input(&w, "i", "azureml://datastores/d/paths/p");
	check_int(decide(&w), 0);
	text = printed(&w.plan, 0, &w.mem);
	check(strstr(text, "job        red\\x1b[31m\\x0d\n") != NULL);
	check(strstr(text, "command    run 'two words' 'it'\\''s' ''\n") != NULL);
	check(strstr(text, "URL=https://h/c?sv=1&SIG=(hidden)&sp=r;sig=(hidden)\n") != NULL);
	check(strstr(text, "DB_PASSWORD=(hidden)\n") != NULL);
	check(strstr(text, "DESIGN=sign=1 design=2\n") != NULL);
	check(strstr(text, "s3cret") == NULL);
	text = printed(&w.plan, 1, &w.mem);
	check(strstr(text, "s3cret") == NULL && strstr(text, "hunter2") == NULL);
	check(strstr(text, "abc%3D") == NULL);
	tree = json_parse(text, strlen(text));
	check_str(json_string(json_get(tree, "job")), "red\x1b[31m\r");
	check_str(json_string(json_get(json_first(json_get(tree, "accesses")), "action")),
	    "ro_mount");
	json_free(tree);
	arena_done(&w.mem);
}

static void
test_print_fails(void)
{
	struct world w;
	FILE *full = fopen("/dev/full", "w");

	world_init(&w);
	check_int(decide(&w), 0);
	if (full != NULL) {
		check_int(plan_print(&w.plan, 0, full), -1);
		fclose(full);
	}
	arena_done(&w.mem);
}

/* Complaints of a part of the plan that names no path, or another workspace's. */
static void
test_complaints(void)
{
	struct world w;

	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_output(&w, "o", "azureml://datastores/d/paths/${{compute}}/");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:9:11: outputs.o.path",
	    "${{compute}} has no value here");
	world_init(&w);
	workspace_is(&w, "ws");
	w.facts.workspace_id = "bbbbbbbb-0000-4000-8000-00000000000b";
	add_input(&w, "i", "azureml://locations/westeurope/workspaces/" GUID "/data/n/versions/1");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.i.path",
	    "another workspace than this one");
	world_init(&w);
	add_input(&w, "i", "azureml://datastores");
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "job.yml:5:11: inputs.i.path", "azureml:");
	/* A default output's own URI cannot be the user's mistake: the output is named. */
	world_init(&w);
	add_output(&w, "o", NULL);
	w.spec.job.default_datastore = "elsewhere";
	check_refused(&w, ERR_USAGE, REMEDY_DATASTORE_FILE, "job.yml:8:3: outputs.o",
	    "\"elsewhere\"; described are: none");
	/* A token over http, at a place that no datastore describes. */
	world_init(&w);
	add_input(&w, "i", "http://127.0.0.1:10000/acct/box/p");
	check_refused(&w, ERR_USAGE, REMEDY_USE_HTTPS, "job.yml:5:11: inputs.i.path",
	    "tokens are sent over https only");
	/* A deployment has one model, and no name for it. */
	world_init(&w);
	add_datastore(&w, "d", SPEC_BLOB);
	add_input(&w, "model", "azureml://datastores/d/paths/m/")->is_model = 1;
	w.spec.job.deployment.given = 1;
	w.facts.fuse = FACTS_FUSE_NO_ACCESS;
	w.opt.mount_model = 1;
	check_refused(&w, ERR_SYSTEM, REMEDY_GIVE_FUSE, "job.yml:4:3: model", "/dev/fuse");
	/* Told by a workspace that nobody can have asked. */
	world_init(&w);
	workspace_is(&w, "ws");
	add_datastore(&w, "d", SPEC_BLOB)->workspace = (struct spec_workspace){ "sub", "rg", "ws" };
	w.datastores[0].credential = SPEC_CRED_SAS;
	w.spec.compute.has_system = 0;
	add_input(&w, "i", "azureml://datastores/d/paths/p");
	check_refused(&w, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY,
	    "the workspace, which knows the datastores", "identity");
	/* Nobody wants to know why. */
	world_init(&w);
	w.spec.job.command = "a ${{inputs.nope}}";
	check_int(plan_decide(&w.plan, &w.spec, &w.facts, &w.opt, &w.mem, NULL), -1);
	arena_done(&w.mem);
	check_int(plan_is_path_style("[::1]:10000"), 1);
	check_int(plan_is_path_style("[::1"), 0);
	check_int(plan_is_path_style("core.windows.net"), 0);
}

static void
test_tokens(void)
{
	static const char *const good[] = { "https://a.test=A_1", "api://b=B" };
	static const char *const files[] = { "https://a.test=run/token", "c=/t" };
	static const char *const bad[] = { "https://a.test", "=A", "a=", "a=1A", "a=B-C" };
	struct world w;
	size_t i;

	world_init(&w);
	w.opt.export_tokens = good;
	w.opt.nexport_tokens = 2;
	w.opt.token_files = files;
	w.opt.ntoken_files = 2;
	check_int(decide(&w), 0);
	if (check_int(w.plan.nvariables_with_token, 2) && check_int(w.plan.nfiles_with_token, 2)) {
		check_str(w.plan.variables_with_token[0].audience, "https://a.test");
		check_str(w.plan.variables_with_token[0].place, "A_1");
		check_str(w.plan.files_with_token[0].place, "/home/me/run/token");
		check_str(w.plan.files_with_token[1].place, "/t");
	}
	arena_done(&w.mem);
	for (i = 0; i < LENGTH(bad); i++) {
		world_init(&w);
		w.opt.export_tokens = &bad[i];
		w.opt.nexport_tokens = 1;
		check_refused(&w, ERR_USAGE, REMEDY_SEE_HELP, "--export-token",
		    "expected AUDIENCE=VARIABLE");
	}
	world_init(&w);
	w.opt.token_files = bad;
	w.opt.ntoken_files = 1;
	check_refused(&w, ERR_USAGE, REMEDY_SEE_HELP, "--token-file", "expected AUDIENCE=PATH");
	world_init(&w);
	w.spec.compute.has_system = 0;
	w.opt.export_tokens = good;
	w.opt.nexport_tokens = 2;
	check_refused(&w, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "",
	    "no identity that could have one");
}

/* More words than a command's first table has room for; one that cannot be expanded; no shell. */
static void
test_given_command(void)
{
	static char env[] = "/usr/bin/env", dash_c[] = "-ic", unknown[] = "${{inputs.n}}";
	static char *const argv[] = { env, dash_c, NULL }, *const bad[] = { env, unknown, NULL };
	struct world w;
	size_t n = 0;

	world_init(&w);
	w.spec.job.command = "w 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 last";
	check_int(decide(&w), 0);
	while (w.plan.argv[n] != NULL)
		n++;
	check_int(n, 21);
	check_str(w.plan.argv[0], "w");
	check_str(w.plan.argv[20], "last");
	w.opt.argv = argv;
	check_int(decide(&w), 0);
	check_int(w.plan.through_shell, 0);
	arena_done(&w.mem);
	world_init(&w);
	w.opt.argv = bad;
	check_refused(&w, ERR_USAGE, REMEDY_FIX_SPEC, "argument 2 of the command",
	    "neither inputs nor outputs");
}

static void
test_print_disk_cache(void)
{
	struct world w;
	struct json *tree;
	const char *text;
	int64_t bytes = 0;

	world_init(&w);
	w.opt.cache_dir = "/scratch";
	w.opt.tuning.disk_cache_bytes = INT64_C(64) << 20;
	check_int(decide(&w), 0);
	text = printed(&w.plan, 0, &w.mem);
	check(strstr(text, "disk cache 64 MiB in /scratch/.blocks\n") != NULL);
	text = printed(&w.plan, 1, &w.mem);
	tree = json_parse(text, strlen(text));
	check_int(json_int(json_get(tree, "disk_cache_bytes"), &bytes), 0);
	check_int(bytes, INT64_C(64) << 20);
	json_free(tree);
	arena_done(&w.mem);
}

int
main(void)
{
	test_folder_and_file();
	test_outputs();
	test_default_datastore();
	test_named_endpoints();
	test_onelake();
	test_raw_uris();
	test_endpoints();
	test_nothing_to_do();
	test_optional();
	test_unknown_datastore();
	test_models();
	test_deployment();
	test_wants();
	test_told_by_workspace();
	test_vault_reader();
	test_modes();
	test_without_fuse();
	test_places();
	test_split();
	test_command();
	test_expansion();
	test_cwd();
	test_broker();
	test_broker_of_users();
	test_no_identity_for_data();
	test_remarks();
	test_pure();
	test_print_is_safe();
	test_print_fails();
	test_complaints();
	test_tokens();
	test_given_command();
	test_print_disk_cache();
	return (check_done());
}
