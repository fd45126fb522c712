#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "spec/spec.h"

#define GUID_1	"11111111-2222-3333-4444-555555555551"
#define GUID_2	"11111111-2222-3333-4444-555555555552"

static struct arena mem;
static struct spec spec;	/* what the last call loaded */
static struct err err;

static int
job_step(const char *text, const char *step)
{
	spec_forget_secrets(&spec);
	spec = (struct spec){ .ndatastores = 0 };
	err = ERR_EMPTY;
	if (spec_load_job(&spec, "j.yml", text, strlen(text), step, &mem, &err) == 0)
		return (1);
	printf("# %s: %s\n", err.resource, err.cause);
	return (0);
}

static int
job(const char *text)
{
	return (job_step(text, NULL));
}

static int
datastores(const char *text)
{
	spec_forget_secrets(&spec);
	spec = (struct spec){ .ndatastores = 0 };
	err = ERR_EMPTY;
	if (spec_load_datastores(&spec, "d.yml", text, strlen(text), &mem, &err) == 0)
		return (1);
	printf("# %s: %s\n", err.resource, err.cause);
	return (0);
}

static int
compute(const char *text)
{
	spec_forget_secrets(&spec);
	spec = (struct spec){ .ndatastores = 0 };
	err = ERR_EMPTY;
	if (spec_load_compute(&spec, "c.yml", text, strlen(text), &mem, &err) == 0)
		return (1);
	printf("# %s: %s\n", err.resource, err.cause);
	return (0);
}

static const struct spec_io *
io(const char *name)
{
	static const struct spec_io none = { .name = "none", .value = "no such input or output" };
	size_t i;

	for (i = 0; i < spec.job.ninputs; i++)
		if (strcmp(spec.job.inputs[i].name, name) == 0)
			return (&spec.job.inputs[i]);
	for (i = 0; i < spec.job.noutputs; i++)
		if (strcmp(spec.job.outputs[i].name, name) == 0)
			return (&spec.job.outputs[i]);
	return (&none);
}

static const char *
variable(const char *name)
{
	size_t i;

	for (i = 0; i < spec.job.nvariables; i++)
		if (strcmp(spec.job.variables[i].name, name) == 0)
			return (spec.job.variables[i].value);
	return (NULL);
}

/* "LINE:COLUMN: TEXT" of remark i; "" if there is none. */
static const char *
remark(size_t i, enum spec_remark_kind kind)
{
	if (i >= spec.nremarks)
		return ("");
	if (spec.remarks[i].kind != kind)
		return ("of another kind");
	return (arena_printf(&mem, "%d:%d: %s", spec.remarks[i].at.line,
	    spec.remarks[i].at.column, spec.remarks[i].text));
}

static void
test_command_job(void)
{
	check(job(
	    "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\n"
	    "type: command\n"
	    "name: train\n"
	    "command: >-\n"
	    "  python t.py\n"
	    "  ${{inputs.data}}\n"
	    "code: ./src\n"
	    "compute: azureml:cpu\n"
	    "environment_variables: {A: 1, B: true, C: '', D: 1.50, E: on}\n"
	    "inputs:\n"
	    "  data:\n"
	    "    path: azureml://datastores/ds/paths/a\n"
	    "    mode: download\n"
	    "    path_on_compute: file:///data/in\n"
	    "  file: {type: uri_file, path: 'wasbs://c@acct.blob.core.windows.net/x'}\n"
	    "  table: {type: mltable, path: ./t, mode: eval_mount}\n"
	    "  old: {type: uri_folder, path: ./t, mode: mount}\n"
	    "outputs:\n"
	    "  a:\n"
	    "  b: {type: custom_model, mode: upload, path: "
	    "'azureml://datastores/d/paths/${{name}}'}\n"
	    "  c: {mode: mount}\n"
	    "limits: {timeout: 3600}\n"));
	check_str(spec.job.file, "j.yml");
	check_str(spec.job.name, "train");
	check_str(spec.job.command, "python t.py ${{inputs.data}}");
	check_int(spec.job.command_at.line, 4);
	check_str(spec.job.code, "./src");
	check_str(spec.job.compute, "azureml:cpu");
	check_int(spec.job.timeout_s, 3600);
	check_str(variable("A"), "1");
	check_str(variable("B"), "true");
	check_str(variable("C"), "");
	check_str(variable("D"), "1.50");
	check_str(variable("E"), "on");
	check_int(spec.job.ninputs, 4);
	check_int(io("data")->type, SPEC_URI_FOLDER);
	check_int(io("data")->mode, SPEC_DOWNLOAD);
	check_str(io("data")->path_on_compute, "/data/in");
	check_int(io("data")->path_at.line, 12);
	check_int(io("data")->at.line, 12);
	check_int(io("file")->mode, SPEC_MODE_DEFAULT);
	check_int(io("table")->mode, SPEC_EVAL_MOUNT);
	check_int(io("old")->mode, SPEC_RO_MOUNT);
	check_int(io("a")->type, SPEC_URI_FOLDER);
	check(io("a")->path == NULL);
	check_int(io("b")->type, SPEC_CUSTOM_MODEL);
	check_int(io("b")->mode, SPEC_UPLOAD);
	check_str(io("b")->path, "azureml://datastores/d/paths/${{name}}");
	check_int(io("c")->mode, SPEC_RW_MOUNT);
	check_int(spec.job.identity.type, SPEC_IDENTITY_NONE);
	check_int(spec.nremarks, 0);
	check(job("command: x\n"));	/* type is not needed, nor is a command */
	check(job("inputs: {}\noutputs:\n"));
	check(spec.job.command == NULL);
}

/* str() of what PyYAML makes of it. */
static void
test_literals(void)
{
	static const struct {
		const char *yaml, *text;
	} rows[] = {
		{ "10", "10" }, { "0.010", "0.01" }, { "1.", "1.0" }, { "-0.0", "-0.0" },
		{ "1.0e-05", "1e-05" }, { "1e-5", "1e-5" }, { "1.5e+3", "1500.0" },
		{ "123456789.125", "123456789.125" }, { "1.0e+16", "1e+16" },
		{ "1234567890123456.0", "1234567890123456.0" }, { "0.0001", "0.0001" },
		{ "0.00001", "1e-05" }, { "0.1", "0.1" }, { "3.141592653589793238",
		    "3.141592653589793" },
		{ ".5", "0.5" }, { "-.5", "-.5" }, { "1.8e+308", "inf" }, { "5.0e-324", "5e-324" },
		{ ".inf", "inf" }, { "-.Inf", "-inf" }, { ".NaN", "nan" },
		{ "true", "True" }, { "False", "False" }, { "yes", "True" }, { "Off", "False" },
		{ "oN", "oN" }, { "y", "y" }, { "0x1f", "31" }, { "0b101", "5" }, { "017", "15" },
		{ "0o17", "0o17" }, { "018", "018" }, { "1_000", "1000" }, { "-5", "-5" },
		{ "+5", "5" }, { "-0", "0" }, { "99999999999999999999999",
		    "99999999999999999999999" },
		{ "\"1.0\"", "1.0" }, { "'yes'", "yes" }, { "a b", "a b" }, { "!!str 010", "010" },
		{ "|\n    x\n    y\n", "x\ny\n" }, { "1.2.3", "1.2.3" }, { "{value: 0.50}", "0.5" },
		{ "{type: string, default: yes}", "True" }, { "''", "" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		if (!check(job(arena_printf(&mem, "inputs:\n  x: %s\n", rows[i].yaml))) ||
		    !check_int(io("x")->type, SPEC_LITERAL) ||
		    !check_str(io("x")->value, rows[i].text))
			printf("# yaml: %s\n", rows[i].yaml);
	}
	check(job("inputs: {a: {type: integer, optional: true}, b: {type: uri_file, optional: "
	    "true}}"));
	check(io("a")->value == NULL && io("a")->optional);
	check_int(io("b")->type, SPEC_LITERAL);
	check(io("b")->value == NULL && io("b")->optional);
}

static void
test_identities(void)
{
	check(job("identity: {type: user_identity}"));
	check_int(spec.job.identity.type, SPEC_IDENTITY_USER);
	check(job("identity: {type: aml_token}"));
	check_int(spec.job.identity.type, SPEC_IDENTITY_AML_TOKEN);
	check(job("identity: {type: managed_identity, object_id: " GUID_1 "}"));
	check_int(spec.job.identity.type, SPEC_IDENTITY_MANAGED);
	check_str(spec.job.identity.object_id, GUID_1);
	check(job("identity: {type: managed, msi_resource_id: /subscriptions/s/x}"));
	check_str(spec.job.identity.resource_id, "/subscriptions/s/x");
	check(job("identity: {type: Managed, resource_id: /subscriptions/s/y}"));
	check_str(spec.job.identity.resource_id, "/subscriptions/s/y");
	/* As `az ml job show` has it. */
	check(job("identity: {type: managed, client_id: " GUID_1 ", object_id: " GUID_1 "}"));
	check_str(spec.job.identity.client_id, GUID_1);
	check(spec.job.identity.object_id == NULL);
	check_int(spec.job.identity.at.line, 1);
}

static void
test_arm_job(void)
{
	check(job("{\"id\": \"/x\", \"name\": \"arm\", \"properties\": {\"jobType\": \"Command\",\n"
	    "\"command\": \"c\", \"codeId\": \"/code\", \"environmentId\": \"/e\",\n"
	    "\"environmentVariables\": {\"A\": \"1\"}, \"computeId\": \"/c\",\n"
	    "\"identity\": {\"identityType\": \"UserIdentity\"},\n"
	    "\"inputs\": {\"l\": {\"jobInputType\": \"literal\", \"value\": \"1.50\"},\n"
	    "\"d\": {\"jobInputType\": \"uri_folder\", \"uri\": "
	    "\"azureml://datastores/d/paths/x\",\n"
	    "\"mode\": \"ReadOnlyMount\", \"description\": null},\n"
	    "\"E\": {\"jobInputType\": \"MLTable\", \"uri\": \"./x\", \"mode\": "
	    "\"EvalDownload\"}},\n"
	    "\"outputs\": {\"o\": {\"jobOutputType\": \"UriFile\", \"mode\": "
	    "\"ReadWriteMount\"}},\n"
	    "\"limits\": {\"jobLimitsType\": \"Command\", \"timeout\": \"P1DT1H1M1.5S\"},\n"
	    "\"distribution\": null}}"));
	check_str(spec.job.name, "arm");
	check_str(spec.job.command, "c");
	check_str(spec.job.code, "/code");
	check_str(spec.job.compute, "/c");
	check_str(variable("A"), "1");
	check_int(spec.job.identity.type, SPEC_IDENTITY_USER);
	check_str(io("l")->value, "1.50");
	check_int(io("d")->mode, SPEC_RO_MOUNT);
	check_str(io("d")->path, "azureml://datastores/d/paths/x");
	check_int(io("E")->mode, SPEC_EVAL_DOWNLOAD);
	check_int(io("o")->type, SPEC_URI_FILE);
	check_int(io("o")->mode, SPEC_RW_MOUNT);
	check_int(spec.job.timeout_s, 86400 + 3600 + 60 + 1);
	check_str(remark(0, SPEC_REMARK_UNUSED),
	    "2:36: field \"properties.environmentId\" is not used");
	check_int(spec.nremarks, 1);
}

static const char pipeline[] =
    "type: pipeline\n"
    "name: pipe\n"
    "identity: {type: user_identity}\n"
    "settings: {default_datastore: azureml:wsb, default_compute: azureml:c}\n"
    "inputs:\n"
    "  raw: {type: uri_file, path: azureml://datastores/ds/paths/x.csv, mode: download}\n"
    "  lr: 0.10\n"
    "  where: azureml://datastores/ds/paths/w\n"
    "outputs:\n"
    "  final: {type: mlflow_model, path: azureml://datastores/ds/paths/final/, mode: upload}\n"
    "jobs:\n"
    "  prep:\n"
    "    command: prep ${{inputs.raw}}\n"
    "    environment_variables: {LR: 'x${{parent.inputs.lr}}y', KEEP: '${{inputs.raw}}'}\n"
    "    inputs: {raw: '${{parent.inputs.raw}}', tag: 'lr=${{parent.inputs.lr}}',\n"
    "      dir: {type: uri_folder, path: '${{parent.inputs.where}}'},\n"
    "      sub: {path: 'azureml://datastores/ds/paths/${{parent.inputs.lr}}'}}\n"
    "    outputs: {mid: {path: azureml://datastores/ds/paths/mid/, mode: upload}, other: }\n"
    "  train:\n"
    "    identity: {type: managed}\n"
    "    compute: azureml:own\n"
    "    component:\n"
    "      type: command\n"
    "      command: train\n"
    "      inputs: {data: {type: uri_folder}, lr: {type: number, default: 0.5},\n"
    "        o: {type: string, optional: true}, d: {type: integer, default: 3}}\n"
    "      outputs: {m: {type: mlflow_model}, log: {type: uri_file}}\n"
    "    inputs: {data: {path: '${{parent.jobs.prep.outputs.mid}}', mode: download},\n"
    "      again: '${{parent.jobs.prep.outputs.mid}}',\n"
    "      lr: '${{parent.inputs.lr}}'}\n"
    "    outputs: {m: '${{parent.outputs.final}}'}\n";

static void
test_pipeline(void)
{
	check(job_step(pipeline, "prep"));
	check_str(spec.job.step, "prep");
	check_str(spec.job.name, "pipe");
	check_str(spec.job.compute, "azureml:c");
	check_str(spec.job.default_datastore, "wsb");
	check_int(spec.job.identity.type, SPEC_IDENTITY_USER);
	check_int(spec.job.from_pipeline_root, 1);
	check_int(spec.job.ignored_root_identity.type, SPEC_IDENTITY_NONE);
	check_str(io("raw")->path, "azureml://datastores/ds/paths/x.csv");
	check_int(io("raw")->type, SPEC_URI_FILE);
	check_int(io("raw")->mode, SPEC_DOWNLOAD);
	check_str(io("tag")->value, "lr=0.1");
	check_int(io("dir")->type, SPEC_URI_FOLDER);
	check_str(io("dir")->path, "azureml://datastores/ds/paths/w");
	check_str(io("sub")->path, "azureml://datastores/ds/paths/0.1");
	check_str(variable("LR"), "x0.1y");
	check_str(variable("KEEP"), "${{inputs.raw}}");
	check_str(io("mid")->path, "azureml://datastores/ds/paths/mid/");
	check(io("other")->path == NULL);

	check(job_step(pipeline, "train"));
	check_str(spec.job.command, "train");
	check_str(spec.job.compute, "azureml:own");
	check_int(spec.job.identity.type, SPEC_IDENTITY_MANAGED);
	check_int(spec.job.from_pipeline_root, 0);
	check_str(io("data")->path, "azureml://datastores/ds/paths/mid/");
	check_int(io("data")->mode, SPEC_DOWNLOAD);
	check_str(io("again")->path, "azureml://datastores/ds/paths/mid/");
	check_int(io("again")->mode, SPEC_MODE_DEFAULT);
	check_str(io("lr")->value, "0.1");
	check_str(io("d")->value, "3");
	check(io("o")->value == NULL && io("o")->optional);
	check_int(io("m")->type, SPEC_MLFLOW_MODEL);
	check_int(io("m")->mode, SPEC_UPLOAD);
	check_str(io("m")->path, "azureml://datastores/ds/paths/final/");
	check_int(io("log")->type, SPEC_URI_FILE);
}

static void
test_nested_pipeline(void)
{
	static const char nested[] =
	    "jobs:\n"
	    "  plain: {command: p}\n"
	    "  outer:\n"
	    "    type: pipeline\n"
	    "    inputs: {a: '${{parent.inputs.top}}'}\n"
	    "    component:\n"
	    "      type: pipeline\n"
	    "      inputs: {a: {type: string}, b: {type: number, default: 7}}\n"
	    "      jobs:\n"
	    "        leaf:\n"
	    "          command: l\n"
	    "          inputs: {x: '${{parent.inputs.a}}', y: '${{parent.inputs.b}}'}\n"
	    "inputs: {top: v}\n"
	    "identity: {type: managed}\n";

	check(job_step(nested, "outer.leaf"));
	check_str(spec.job.command, "l");
	check_str(spec.job.step, "outer.leaf");
	check_str(io("x")->value, "v");
	check_str(io("y")->value, "7");
	check_int(spec.job.identity.type, SPEC_IDENTITY_NONE);
	check_int(spec.job.ignored_root_identity.type, SPEC_IDENTITY_MANAGED);
	/* A plain step beside a nested pipeline does not inherit either. */
	check(job_step(nested, "plain"));
	check_int(spec.job.identity.type, SPEC_IDENTITY_NONE);
	check_int(spec.job.ignored_root_identity.type, SPEC_IDENTITY_MANAGED);
	check(!job_step(nested, "outer"));
	check_str(err.cause, "this step is a pipeline: name one of its steps; it has: outer.leaf");
	check(!job_step(nested, "plain.x"));
	check_str(err.cause, "this step is no pipeline and has no steps");
	check(!job_step(nested, NULL));
	check_str(err.cause,
	    "this is a pipeline: name one of its steps with --step; it has: plain, outer");
	check(!job_step(nested, "nope"));
	check_str(err.cause, "the pipeline has no step of that name; it has: plain, outer");
}

static void
test_deployment(void)
{
	check(job("$schema: https://azuremlschemas.azureedge.net/latest/"
	    "managedOnlineDeployment.schema.json\n"
	    "name: blue\nendpoint_name: e\nmodel: azureml:m:1\n"
	    "code_configuration: {code: ./s, scoring_script: s.py}\n"
	    "environment_variables: {UAI_CLIENT_ID: " GUID_1 "}\n"
	    "instance_type: Standard_DS3_v2\ninstance_count: 1\n"));
	check_str(spec.job.name, "blue");
	check_str(variable("UAI_CLIENT_ID"), GUID_1);
	check(spec.job.command == NULL);
	if (check_int(spec.job.ninputs, 1)) {
		check(spec.job.inputs[0].is_model);
		check_str(spec.job.inputs[0].path, "azureml:m:1");
	}
	check_str(spec.job.code, "./s");
	check_str(spec.job.deployment.scoring_script, "s.py");
	check_int(spec.job.deployment.liveness.port, 5001);
	check_int(spec.job.deployment.readiness.period_s, 10);
	check_int(spec.job.deployment.readiness.failure_threshold, 30);
	check_str(remark(0, SPEC_REMARK_UNUSED), "3:1: field \"endpoint_name\" is not used");
	check(job("name: b\nendpoint_name: e\ntype: kubernetes\n"));
	check(job("{\"name\": \"b\", \"properties\": {\"endpointComputeType\": \"Managed\", "
	    "\"environmentVariables\": {\"A\": \"b\"}}}"));
	check_str(variable("A"), "b");
	check_str(spec.job.name, "b");
}

static void
test_deployment_parts(void)
{
	const struct spec_deployment *d = &spec.job.deployment;

	check(job("name: b\nendpoint_name: e\nmodel_mount_path: /models\n"
	    "model: {path: ../m/, name: weather, version: 3, type: mlflow_model}\n"
	    "environment: {image: i, inference_config: {liveness_route: {port: 80, path: /live},\n"
	    "  readiness_route: {port: 81, path: /r}, scoring_route: {port: 80, path: /s}}}\n"
	    "app_insights_enabled: true\nrequest_settings: {request_timeout_ms: 3000}\n"
	    "liveness_probe: {initial_delay: 1, period: 2, timeout: 3, failure_threshold: 4}\n"
	    "readiness_probe: {success_threshold: 2}\n"));
	check_str(spec.job.inputs[0].path, "../m/");
	check_int(spec.job.inputs[0].type, SPEC_MLFLOW_MODEL);
	check_str(d->model_name, "weather");
	check_str(d->model_version, "3");
	check_str(d->model_mount_path, "/models");
	check_int(d->app_insights, 1);
	check_int(d->request_timeout_ms, 3000);
	check_int(d->liveness.port, 80);
	check_str(d->liveness.path, "/live");
	check_int(d->liveness.initial_delay_s * 100 + d->liveness.period_s * 10 +
	    d->liveness.timeout_s, 123);
	check_int(d->liveness.failure_threshold, 4);
	check_int(d->readiness.port, 81);
	check_int(d->readiness.success_threshold, 2);
	check(job("{\"name\": \"b\", \"properties\": {\"endpointComputeType\": \"Managed\", "
	    "\"model\": \"/subscriptions/s/resourceGroups/g/providers/Microsoft."
	    "MachineLearningServices/workspaces/w/models/m/versions/1\", "
	    "\"codeConfiguration\": {\"codeId\": \"/subscriptions/x\", "
	    "\"scoringScript\": \"s.py\"}, \"requestSettings\": {\"requestTimeout\": \"PT3S\"}, "
	    "\"livenessProbe\": {\"period\": \"PT20S\"}}}"));
	check(str_starts(spec.job.inputs[0].path, "azureml:/subscriptions/s/"));
	check_int(d->request_timeout_ms, 3000);
	check_int(d->liveness.period_s, 20);
}

static void
test_remarks(void)
{
	check(job("comand: x\nenviroment_variables: {}\ntags: {}\nx-note: y\n"
	    "inputs: {a: {tpye: uri_file, path: ./a, mod: download}}\nzz: 1\n"));
	check_str(remark(0, SPEC_REMARK_UNKNOWN),
	    "1:1: unknown field \"comand\" (did you mean \"command\"?)");
	check_str(remark(1, SPEC_REMARK_UNKNOWN), "2:1: unknown field \"enviroment_variables\" "
	    "(did you mean \"environment_variables\"?)");
	check_str(remark(2, SPEC_REMARK_UNUSED), "3:1: field \"tags\" is not used");
	check_str(remark(3, SPEC_REMARK_UNKNOWN), "4:1: unknown field \"x-note\"");
	check_str(remark(4, SPEC_REMARK_UNKNOWN), "6:1: unknown field \"zz\"");
	check_str(remark(5, SPEC_REMARK_UNKNOWN),
	    "5:14: unknown field \"inputs.a.tpye\" (did you mean \"type\"?)");
	check_str(remark(6, SPEC_REMARK_UNKNOWN),
	    "5:41: unknown field \"inputs.a.mod\" (did you mean \"mode\"?)");
	check_int(spec.nremarks, 7);
	/* Bounded. */
	{
		auto_buf struct buf many = BUF_EMPTY;
		int i;

		for (i = 0; i < 1000; i++)
			buf_printf(&many, "field%d: 1\n", i);
		check(job(buf_str(&many)));
		check_int(spec.nremarks, 200);
	}
}

/* An output that a component declares with nothing in it stands where it is declared. */
static void
test_declared_null(void)
{
	check(job("command: x\ncomponent:\n  outputs:\n    o:\n"));
	check_int(spec.job.noutputs, 1);
	check_int(io("o")->at.line, 4);
	check(io("o")->at.file != NULL);
}

static void
test_datastores(void)
{
	check(datastores(
	    "name: blob\ntype: azure_blob\naccount_name: acct\ncontainer_name: my-data\n"
	    "credentials: {account_key: c2VjcmV0}\n"
	    "---\n"
	    "name: sas\ntype: AzureBlob\naccount_name: acct\ncontainer_name: $root\n"
	    "protocol: wasbs\nendpoint: Core.Windows.NET\nis_default: true\n"
	    "credentials:\n  sas_token: |\n    ?sv=2021&sig=abc%3D\n"
	    "---\n---\n"
	    "name: emulator\ntype: azure_blob\naccount_name: devstoreaccount1\n"
	    "container_name: c-1\nendpoint: 127.0.0.1:10000\nprotocol: http\n"
	    "---\n"
	    "name: gen2\ntype: azure_data_lake_gen2\naccount_name: acct\nfilesystem: files\n"
	    "credentials: {tenant_id: contoso.com, client_id: " GUID_1 ", client_secret: '~s',\n"
	    "  authority_uri: 'https://login.microsoftonline.us', resource_url: 'https://r/'}\n"
	    "---\n"
	    "name: cert\ntype: azure_data_lake_gen1\nstore_name: store\n"
	    "credentials: {tenant_id: " GUID_2 ", client_id: " GUID_1 ", certificate: PEM,\n"
	    "  thumbprint: '01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67'}\n"
	    "---\n"
	    "name: share\ntype: azure_file\naccount_name: acct\nfile_share_name: share\n"
	    "---\n"
	    "name: lake\ntype: one_lake\none_lake_workspace_name: My Space\n"
	    "endpoint: onelake.dfs.fabric.microsoft.com\n"
	    "artifact: {type: lake_house, name: l.Lakehouse}\n"));
	if (!check_int(spec.ndatastores, 7))
		return;
	check_str(spec.datastores[0].account, "acct");
	check_str(spec.datastores[0].container, "my-data");
	check_str(spec.datastores[0].endpoint, NULL);	/* the cloud's */
	check_str(spec.datastores[0].protocol, "https");
	check_int(spec.datastores[0].credential, SPEC_CRED_ACCOUNT_KEY);
	check_str(spec.datastores[0].secret.text, "c2VjcmV0");
	check_int(spec.datastores[1].credential, SPEC_CRED_SAS);
	check_str(spec.datastores[1].secret.text, "sv=2021&sig=abc%3D");
	check_str(spec.datastores[1].endpoint, "core.windows.net");
	check_int(spec.datastores[1].is_default, 1);
	check_int(spec.datastores[1].at.line, 7);
	check_str(spec.datastores[2].protocol, "http");
	check_str(spec.datastores[2].endpoint, "127.0.0.1:10000");
	check_int(spec.datastores[2].credential, SPEC_CRED_NONE);
	check_int(spec.datastores[3].type, SPEC_GEN2);
	check_str(spec.datastores[3].container, "files");
	check_int(spec.datastores[3].credential, SPEC_CRED_SERVICE_PRINCIPAL);
	check_str(spec.datastores[3].tenant_id, "contoso.com");
	check_str(spec.datastores[3].client_id, GUID_1);
	check_str(spec.datastores[3].authority_url, "https://login.microsoftonline.us");
	check_str(spec.datastores[3].resource_url, "https://r/");
	check_int(spec.datastores[4].credential, SPEC_CRED_CERTIFICATE);
	check_str(spec.datastores[4].account, "store");
	check_str(spec.datastores[4].endpoint, NULL);
	check_int(spec.datastores[5].type, SPEC_FILE_SHARE);
	check_str(spec.datastores[5].container, "share");
	check_str(spec.datastores[6].account, "onelake");
	check_str(spec.datastores[6].endpoint, "fabric.microsoft.com");
	check_str(spec.datastores[6].container, "My Space");
	check_str(spec.datastores[6].artifact, "l.Lakehouse");
	check_int(spec.nremarks, 0);
	spec_forget_secrets(&spec);
	check(spec.datastores[0].secret.text == NULL);
}

static void
test_arm_datastores(void)
{
	check(datastores("{\"value\": [{\"id\": \"/x\", \"name\": \"w\", \"type\": \"T\", "
	    "\"properties\": "
	    "{\"datastoreType\": \"AzureBlob\", \"isDefault\": true, \"accountName\": \"acct\",\n"
	    "\"containerName\": \"cont\", \"endpoint\": \"core.windows.net\", \"protocol\": "
	    "\"https\",\n"
	    "\"credentials\": {\"credentialsType\": \"AccountKey\", \"secrets\": "
	    "{\"secretsType\": \"AccountKey\", \"key\": \"c2VjcmV0\"}}}},\n"
	    "{\"name\": \"n\", \"properties\": {\"datastoreType\": \"AzureDataLakeGen2\",\n"
	    "\"accountName\": \"acct\", \"filesystem\": \"files\", \"credentials\": "
	    "{\"credentialsType\": \"None\"}}}]}"));
	if (!check_int(spec.ndatastores, 2))
		return;
	check_str(spec.datastores[0].name, "w");
	check_int(spec.datastores[0].is_default, 1);
	check_str(spec.datastores[0].secret.text, "c2VjcmV0");
	check_int(spec.datastores[1].type, SPEC_GEN2);
	check_int(spec.datastores[1].credential, SPEC_CRED_NONE);
	check(!datastores("{\"name\": \"n\", \"properties\": {\"datastoreType\": \"AzureBlob\", "
	    "\"accountName\": \"acct\", \"containerName\": \"cont\", "
	    "\"credentials\": {\"credentialsType\": \"AccountKey\"}}}"));
	check_str(err.resource, "d.yml:1:123: properties.credentials");
	check_str(err.cause, "the secrets are missing: Azure Resource Manager shows them with "
	    "listSecrets only");
	/* A list, as `az ml datastore list` prints it. */
	check(datastores("- {name: a, type: azure_blob, account_name: acct, container_name: cont}\n"
	    "- {name: b, type: azure_blob, account_name: acct, container_name: cont}\n"));
	check_int(spec.ndatastores, 2);
	/* Works, though Azure ML would not store it. */
	check(datastores("{name: a, type: azure_data_lake_gen2, account_name: acct, "
	    "filesystem: files, credentials: {account_key: c2VjcmV0}}"));
	check_str(remark(0, SPEC_REMARK_WARNING), "1:105: Azure ML itself takes a service "
	    "principal "
	    "or a certificate for a datastore of type azure_data_lake_gen2");
}

static void
test_computes(void)
{
	check(compute("name: c\ntype: amlcompute\nsize: x\nidentity:\n"
	    "  type: system_assigned,user_assigned\n  principal_id: " GUID_1 "\n"
	    "  user_assigned_identities:\n"
	    "  - {resource_id: /subscriptions/u, client_id: " GUID_1 ", principal_id: " GUID_2 "}\n"
	    "  - {client_id: " GUID_2 "}\n"));
	check_int(spec.compute.given, 1);
	check_str(spec.compute.name, "c");
	check_int(spec.compute.kind, SPEC_COMPUTE_CLUSTER);
	check_int(spec.compute.has_system, 1);
	check_int(spec.compute.nuais, 2);
	check_str(spec.compute.uais[0].resource_id, "/subscriptions/u");
	check_str(spec.compute.uais[0].object_id, GUID_2);
	check_str(spec.compute.uais[1].client_id, GUID_2);
	check(compute("{\"name\": \"i\", \"type\": \"Microsoft.X/computes\", \"location\": \"l\", "
	    "\"identity\": {\"type\": \"SystemAssigned, UserAssigned\", \"tenantId\": \"t\", "
	    "\"userAssignedIdentities\": {\"/subscriptions/a\": {\"clientId\": \"" GUID_1 "\", "
	    "\"principalId\": \"" GUID_2 "\"}, \"/subscriptions/b\": null}}, "
	    "\"properties\": {\"computeType\": \"ComputeInstance\"}}"));
	check_int(spec.compute.kind, SPEC_COMPUTE_INSTANCE);
	check_int(spec.compute.has_system, 1);
	check_int(spec.compute.nuais, 2);
	check_str(spec.compute.uais[0].resource_id, "/subscriptions/a");
	check_str(spec.compute.uais[0].client_id, GUID_1);
	check_str(spec.compute.uais[1].resource_id, "/subscriptions/b");
	check(compute("type: kubernetes\nnamespace: x\nidentity: {type: none}\n"));
	check_int(spec.compute.kind, SPEC_COMPUTE_KUBERNETES);
	check_int(spec.compute.has_system, 0);
	check(compute("type: computeinstance\n"));
	check_int(spec.compute.nuais, 0);
}

static int
load(const struct spec_sources *from)
{
	spec_forget_secrets(&spec);
	spec = (struct spec){ .ndatastores = 0 };
	err = ERR_EMPTY;
	return (spec_load(&spec, from, &mem, &err));
}

static void
test_short_computes(void)
{
	struct spec_sources from = { .compute = "none" };

	check_int(load(&from), 0);
	check(spec.compute.given && !spec.compute.has_system && spec.compute.nuais == 0);
	from.compute = "system_assigned";
	check_int(load(&from), 0);
	check_int(spec.compute.has_system, 1);
	from.compute = GUID_1 "," GUID_2;
	check_int(load(&from), 0);
	check_int(spec.compute.nuais, 2);
	check_str(spec.compute.uais[1].client_id, GUID_2);
	from.compute = "serverless";
	check_int(load(&from), 0);
	check_int(spec.compute.kind, SPEC_COMPUTE_SERVERLESS);
	from.compute = GUID_1 ",";
	check_int(load(&from), -1);
	check_int(err.kind, ERR_USAGE);
	from.compute = NULL;
	check_int(load(&from), 0);
	check_int(spec.compute.given, 0);
}

static void
write_file(const char *path, const char *text)
{
	if (fd_replace_file(path, text, strlen(text), 0600, NULL) != 0)
		check(!"a file of the test can be written");
}

static void
test_sources(void)
{
	static const char blob[] = "type: azure_blob\naccount_name: acct\ncontainer_name: cont\n";
	char dir[] = "/tmp/test_spec.XXXXXX";
	const char *places[2], *a, *b;
	struct spec_sources from = { .datastores = places, .ndatastores = 1 };

	if (!check(mkdtemp(dir) != NULL))
		return;
	places[0] = dir;
	check_int(load(&from), -1);
	check_str(err.resource, dir);
	check_str(err.cause, "no file *.yml, *.yaml or *.json in this directory");
	a = arena_printf(&mem, "%s/a.yml", dir);
	b = arena_printf(&mem, "%s/b.json", dir);
	write_file(b, "{\"name\": \"b\", \"type\": \"azure_blob\", \"account_name\": \"acct\", "
	    "\"container_name\": \"cont\"}");
	write_file(a, arena_printf(&mem, "name: a\n%s", blob));
	write_file(arena_printf(&mem, "%s/.hidden.yml", dir), "no: good");
	write_file(arena_printf(&mem, "%s/notes.txt", dir), "no: good");
	check_int(load(&from), 0);
	check_int(spec.ndatastores, 2);
	check_str(spec.datastores[0].name, "a");
	check_str(spec.datastores[0].at.file, a);
	/* The same name in a file and inline. */
	places[1] = arena_printf(&mem, "name: A\n%s", blob);
	from.ndatastores = 2;
	check_int(load(&from), -1);
	check_str(err.resource, "inline datastore 2:1:1: name");
	check_str(err.cause,
	    arena_printf(&mem, "datastore \"A\" is described twice, first at %s:1:1", a));
	places[0] = a;
	from.ndatastores = 1;
	from.job = "{command: c, inputs: {x: 1}}";
	check_int(load(&from), 0);
	check_str(spec.job.file, "inline job");
	check_str(spec.job.command, "c");
	check_int(spec.ndatastores, 1);
	from.job = arena_printf(&mem, "%s/none.yml", dir);
	check_int(load(&from), -1);
	check_int(err_exit_status(&err), 2);
	check_str(err.resource, from.job);
	from.job = "";
	check_int(load(&from), -1);
	check_int(err.kind, ERR_USAGE);
	{
		auto_buf struct buf big = BUF_EMPTY;
		size_t i;

		for (i = 0; i <= SPEC_TEXT_MAX; i++)
			buf_addc(&big, '\n');
		from.job = big.data;
		check_int(load(&from), -1);
		check_str(err.cause, "the text has more than 4194304 bytes");
	}
	fd_remove_tree(dir, NULL);
}

/* Complaints: where and what.  More of them in 20-spec.bats. */
static void
test_refusals(void)
{
	static const struct {
		int (*load)(const char *);
		const char *text, *resource, *cause;
	} rows[] = {
		{ job, "[1]", "j.yml:1:1", "expected a job (an object), got a list" },
		{ job, "", "j.yml:1:1", "the text is empty: expected a job" },
		{ job, "a: 1\n---\nb: 2\n", "j.yml:3:1", "a second document: a file holds one "
		    "job" },
		{ job, "command: [a]", "j.yml:1:10: command", "expected a string, got a list" },
		{ job, "command: 42", "j.yml:1:10: command",
		    "expected a string, got an integer (quote it)" },
		{ job, "command: ''", "j.yml:1:10: command", "expected a string, got an empty "
		    "one" },
		{ job, "type: sweep", "j.yml:1:7: type", "a sweep job cannot be run here: only "
		    "command jobs, steps of pipelines and online deployments can" },
		{ job, "type: comand", "j.yml:1:7: type",
		    "expected command or pipeline, got \"comand\"" },
		{ job, "inputs: 3", "j.yml:1:9: inputs", "expected an object, got an integer" },
		{ job, "inputs:\n  1a: 3", "j.yml:2:3: inputs.1a", "a name has letters, digits and "
		    "underscores only, and starts with no digit" },
		{ job, "inputs:\n  a.b: 3", "j.yml:2:3: inputs.a.b", "a name has letters, digits "
		    "and underscores only, and starts with no digit" },
		{ job, "inputs:\n  a:\n    type: uri_file\n", "j.yml:3:5: inputs.a.path",
		    "this field is required and missing" },
		{ job, "inputs: {a: {type: string}}", "j.yml:1:13: inputs.a.value",
		    "this field is required and missing" },
		{ job, "inputs: {a: {type: file, path: x}}", "j.yml:1:20: inputs.a.type",
		    "expected uri_folder, uri_file, mltable, mlflow_model, custom_model or "
		    "triton_model, got \"file\"" },
		{ job, "inputs: {a: {path: x, mode: upload}}", "j.yml:1:29: inputs.a.mode",
		    "upload is not a mode of an input of type uri_folder; it may be: ro_mount, "
		    "download, direct" },
		{ job, "inputs: {a: {type: mltable, path: x, mode: rw_mount}}",
		    "j.yml:1:44: inputs.a.mode", "rw_mount is not a mode of an input of type "
		    "mltable; "
		    "it may be: ro_mount, download, direct, eval_mount, eval_download" },
		{ job, "inputs: {a: {path: x, mode: moun}}", "j.yml:1:29: inputs.a.mode",
		    "expected ro_mount, download, direct, eval_mount or eval_download, got "
		    "\"moun\"" },
		{ job, "inputs: {a: {type: string, value: x, mode: direct}}",
		    "j.yml:1:44: inputs.a.mode", "a literal value has no mode" },
		{ job, "inputs: {a: {type: string, path: x}}", "j.yml:1:34: inputs.a.path",
		    "a literal value has no path" },
		{ job, "inputs: {a: {path: 's3://b/k'}}", "j.yml:1:20: inputs.a.path",
		    "\"s3://b/k\": this scheme is not supported; known are azureml, wasbs, "
		    "abfss, adl, "
		    "https and file" },
		{ job, "inputs: {a: null}", "j.yml:1:13: inputs.a",
		    "expected a value or an object, got null" },
		{ job, "inputs: {a: {path: x, path_on_compute: data}}",
		    "j.yml:1:40: inputs.a.path_on_compute",
		    "expected an absolute path below /, such as /data" },
		{ job, "inputs: {a: {path: x, path_on_compute: /a/../b}}",
		    "j.yml:1:40: inputs.a.path_on_compute", "a segment \"..\" in the path" },
		{ job, "inputs: {a: '${{parent.inputs.b}}'}", "j.yml:1:13: inputs.a",
		    "${{parent...}} stands only in the steps of a pipeline" },
		{ job, "outputs: {a: {mode: ro_mount}}", "j.yml:1:21: outputs.a.mode", "ro_mount "
		    "is "
		    "not a mode of an output of type uri_folder; it may be: rw_mount, upload, "
		    "direct" },
		{ job, "outputs: {a: {path: 'https://a.blob.core.windows.net/c'}}",
		    "j.yml:1:21: outputs.a.path", "the path of an output must be "
		    "azureml://datastores/NAME/paths/PATH, Azure ML takes no other" },
		{ job, "outputs: {a: {path: 'azureml://datastores/d/paths/${{x}}'}}",
		    "j.yml:1:21: outputs.a.path", "only ${{default_datastore}}, ${{name}} and "
		    "${{output_name}} may stand in the path of an output" },
		{ job, "outputs: {a: x}", "j.yml:1:14: outputs.a",
		    "expected an object or null, got a string" },
		{ job, "outputs: {a: {type: string}}", "j.yml:1:21: outputs.a.type",
		    "expected uri_folder, uri_file, mltable, mlflow_model, custom_model or "
		    "triton_model, got \"string\"" },
		{ job, "environment_variables: {A: [1]}", "j.yml:1:28: environment_variables.A",
		    "expected text, a number or a boolean, got a list" },
		{ job, "environment_variables: {A: }", "j.yml:1:28: environment_variables.A",
		    "expected text, got null (write \"\" for an empty value)" },
		{ job, "environment_variables: {'A=B': 1}", "j.yml:1:25: environment_variables.A=B",
		    "the name of a variable is not empty and has no '='" },
		{ job, "limits: {timeout: 1.5}", "j.yml:1:19: limits.timeout",
		    "expected a number of seconds, got a number" },
		{ job, "limits: {timeout: PT1H}", "j.yml:1:19: limits.timeout",
		    "expected a number of seconds, got a string" },
		{ job, "limits: {timeout: 0}", "j.yml:1:19: limits.timeout",
		    "expected a number of seconds from 1 to ten years" },
		{ job, "limits: {timeout: 99999999999999999999}", "j.yml:1:19: limits.timeout",
		    "expected a number of seconds from 1 to ten years" },
		{ job, "identity: user_identity", "j.yml:1:11: identity",
		    "expected an object, got a string" },
		{ job, "identity: {}", "j.yml:1:11: identity.type",
		    "this field is required and missing" },
		{ job, "identity: {type: system}", "j.yml:1:18: identity.type",
		    "expected user_identity, managed or aml_token, got \"system\"" },
		{ job, "identity: {type: managed, client_id: abc}", "j.yml:1:38: "
		    "identity.client_id",
		    "expected a GUID (8-4-4-4-12 hexadecimal digits)" },
		{ job, "identity: {type: managed, client_id: " GUID_1 ", object_id: " GUID_2 "}",
		    "j.yml:1:11: identity",
		    "at most one of client_id, object_id and resource_id names an identity" },
		{ job, "identity: {type: user_identity, client_id: " GUID_1 "}",
		    "j.yml:1:11: identity",
		    "user_identity takes no client_id, object_id or resource_id" },
		{ job, "endpoint_name: e\ntype: batch\n", "j.yml:2:7: type",
		    "expected managed or kubernetes, got \"batch\"" },
		{ job, "jobs: {}", "j.yml:1:7: jobs", "the pipeline has no steps" },
		{ job, "type: pipeline", "j.yml:1:1: jobs", "this field is required and missing" },
		{ datastores, "type: azure_blob", "d.yml:1:1: name",
		    "this field is required and missing" },
		{ datastores, "{name: a b, type: azure_blob}", "d.yml:1:8: name", "expected the "
		    "name of a datastore: letters, digits, hyphens and underscores" },
		{ datastores, "{name: a, type: s3}", "d.yml:1:17: type", "expected azure_blob, "
		    "azure_data_lake_gen2, azure_data_lake_gen1, azure_file or one_lake, got "
		    "\"s3\"" },
		{ datastores, "x", "d.yml:1:1", "expected a datastore (an object), got a string" },
		{ datastores, "- 1", "d.yml:1:3: [0]", "expected an object, got an integer" },
		{ compute, "type: virtualmachine", "c.yml:1:7: type", "expected amlcompute, "
		    "computeinstance, kubernetes or serverless, got \"virtualmachine\"" },
		{ compute, "identity: {type: user_assigned}",
		    "c.yml:1:11: identity.user_assigned_identities",
		    "this field is required and missing" },
		{ compute, "identity: {type: none, user_assigned_identities: [{client_id: " GUID_1
		    "}]}", "c.yml:1:18: identity.type",
		    "the type is none, but there are user_assigned_identities" },
		{ compute, "identity: {type: user_assigned, user_assigned_identities: [{}]}",
		    "c.yml:1:60: identity.user_assigned_identities[0]",
		    "an identity needs a resource_id, client_id or principal_id" },
		{ compute, "identity: {type: sys}", "c.yml:1:18: identity.type", "expected "
		    "system_assigned, user_assigned, both with a comma, or none, got \"sys\"" },
		{ compute, "identity: {user_assigned_identities: {x: {}}}",
		    "c.yml:1:42: identity.user_assigned_identities.x",
		    "expected resource ids that start with /subscriptions/ as keys" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		if (!check(!rows[i].load(rows[i].text)) || !check_int(err.kind, ERR_USAGE) ||
		    !check_str(err.resource, rows[i].resource) ||
		    !check_str(err.cause, rows[i].cause))
			printf("# text: %s\n", rows[i].text);
	}
}

static void
test_step_refusals(void)
{
	static const struct {
		const char *text, *resource, *cause;
	} rows[] = {
		{ "jobs: {s: {type: sweep}}", "j.yml:1:18: jobs.s.type", "a sweep job cannot be "
		    "run "
		    "here: only command jobs, steps of pipelines and online deployments can" },
		{ "jobs: {s: [1]}", "j.yml:1:11: jobs.s", "expected an object, got a list" },
		{ "jobs: {s: {inputs: {a: '${{parent.inputs.b}}'}}}", "j.yml:1:24: jobs.s.inputs.a",
		    "the pipeline has no input named b" },
		{ "jobs: {s: {inputs: {a: '${{parent.foo}}'}}}", "j.yml:1:24: jobs.s.inputs.a",
		    "expected ${{parent.inputs.NAME}}, ${{parent.outputs.NAME}} or "
		    "${{parent.jobs.STEP.outputs.NAME}}" },
		{ "jobs: {s: {inputs: {a: '${{parent.jobs.p.outputs.o}}'}}, p: {outputs: {o: }}}",
		    "j.yml:1:24: jobs.s.inputs.a", "step p has no output o with a path in this "
		    "file: "
		    "the service knows it; write its path here" },
		{ "jobs: {s: {inputs: {a: '${{parent.jobs.p.outputs.o}}'}}, p: {outputs: {o: {}}}}",
		    "j.yml:1:24: jobs.s.inputs.a", "what this stands for has no path in this file: "
		    "the service knows it; write its path here" },
		{ "inputs: {d: {path: x}}\njobs: {s: {environment_variables: "
		    "{A: 'x${{parent.inputs.d}}'}}}", "j.yml:2:39: jobs.s.environment_variables.A",
		    "parent.inputs.d is not a plain value" },
		{ "jobs: {s: {outputs: {o: '${{parent.jobs.s.outputs.o}}'}}}",
		    "j.yml:1:25: jobs.s.outputs.o", "this leads through more than 64 other "
		    "bindings, or in a circle" },
		{ "jobs: {s: {inputs: {a: '${{parent.jobs.p.outputs.o}}'}},\n"
		    "  p: {outputs: {o: '${{parent.jobs.q.outputs.o}}'}},\n"
		    "  q: {outputs: {o: '${{parent.jobs.p.outputs.o}}'}}}",
		    "j.yml:3:20: jobs.q.outputs.o",
		    "this leads through more than 64 other bindings, or in a circle" },
		{ "jobs: {s: {component: {inputs: {a: {type: string}}}}}",
		    "j.yml:1:36: jobs.s.component.inputs.a.value",
		    "this field is required and missing" },
		{ "jobs: {s: {type: pipeline, component: 'azureml:c:1'}}",
		    "j.yml:1:39: jobs.s.component", "this pipeline component is not in this file: "
		    "give the job of the step itself" },
		{ "inputs: {d: {path: x}}\njobs: {s: {outputs: {a: '${{parent.inputs.d}}'}}}",
		    "j.yml:2:25: jobs.s.outputs.a", "expected an output of the pipeline" },
		{ "outputs: {f: {path: x}}\njobs: {s: {inputs: {a: '${{parent.outputs.f}}'}}}",
		    "j.yml:2:24: jobs.s.inputs.a",
		    "expected an input of the pipeline or an output of another step" },
		{ "command: x", "j.yml:1:1", "--step names a step, but this is no pipeline" },
		{ "endpoint_name: x", "j.yml:1:1", "a deployment has no steps" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (!check(!job_step(rows[i].text, "s")) ||
		    !check_str(err.resource, rows[i].resource) ||
		    !check_str(err.cause, rows[i].cause))
			printf("# text: %s\n", rows[i].text);
}

/* A long text many times: by an alias, by a binding. */
static void
test_copies(void)
{
	auto_buf struct buf text = BUF_EMPTY;
	int i;

	buf_adds(&text, "description: &long ");
	for (i = 0; i < 1 << 20; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\nenvironment_variables:\n");
	for (i = 0; i < 20; i++)
		buf_printf(&text, "  V%d: *long\n", i);
	check(!job(buf_str(&text)));
	check_str(err.cause, "the texts of this file, repeated by aliases or bindings, have more "
	    "than 16777216 bytes");
	buf_adds(&text, "jobs: {s: {inputs: {");
	for (i = 0; i < 20; i++)
		buf_printf(&text, "i%d: '${{parent.inputs.a}}', ", i);
	buf_adds(&text, "}}}\ninputs: {a: *long}\n");
	check(!job_step(buf_str(&text), "s"));
	check(strstr(err.cause, "repeated by aliases or bindings") != NULL);
}

/* Whatever is wrong in credentials, no message shows one. */
static void
test_no_secret_in_errors(void)
{
	static const struct {
		const char *type, *credentials, *field, *cause;
	} rows[] = {
		{ "azure_blob", "{account_key: 'SECRET!'}", "account_key",
		    "expected the base64 text of an account key" },
		{ "azure_blob", "{account_key: [SECRET]}", "account_key",
		    "expected a string, or {key_vault_secret: URL}, got a list" },
		{ "azure_blob", "{account_key: {SECRET}}", "account_key",
		    "expected a string, or {key_vault_secret: URL}" },
		{ "azure_blob", "{account_key: {key_vault_secret: 'http://v.test/secrets/a'}}",
		    "account_key.key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]" },
		{ "azure_blob", "{account_key: {key_vault_secret: "
		    "'https://v.test/secrets/a?SECRET'}}", "account_key.key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]" },
		{ "azure_blob", "{account_key: {key_vault_secret: 'https://v.test/secrets/a?'}}",
		    "account_key.key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]" },
		{ "azure_blob", "{account_key: {key_vault_secret: "
		    "'https://SECRET@v.test/secrets/a'}}", "account_key.key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]" },
		{ "azure_blob", "{account_key: {key_vault_secret: 'https://v.test/keys/a'}}",
		    "account_key.key_vault_secret",
		    "expected https://VAULT.vault.azure.net/secrets/NAME[/VERSION]" },
		{ "azure_blob", "{account_key: ' '}", "account_key",
		    "expected a string, got an empty one" },
		{ "azure_blob", "{sas_token: 'sv=1&SECRET'}", "sas_token",
		    "this is no SAS: it has no sig=" },
		{ "azure_blob", "{sas_token: 'sig=SECRET x'}", "sas_token",
		    "a SAS has no blanks or line breaks" },
		{ "azure_blob", "{account_key: c2VjcmV0, sas_token: 'sig=SECRET'}", "sas_token",
		    "a datastore has one credential, here is account_key as well" },
		{ "azure_data_lake_gen1", "{account_key: c2VjcmV0}", "account_key", "a datastore "
		    "of "
		    "type azure_data_lake_gen1 takes a service principal or a certificate" },
		{ "azure_data_lake_gen2", "{client_secret: SECRET}", "tenant_id",
		    "this field is required and missing" },
		{ "azure_data_lake_gen2", "{client_secret: SECRET, tenant_id: 'SECRET/x'}",
		    "tenant_id", "expected a GUID or the domain of a tenant" },
		{ "azure_data_lake_gen2", "{client_secret: S, tenant_id: t, client_id: SECRET}",
		    "client_id", "expected a GUID (8-4-4-4-12 hexadecimal digits)" },
		{ "azure_data_lake_gen2", "{tenant_id: t, client_id: " GUID_1 "}", "client_secret",
		    "this field is required and missing" },
		{ "azure_data_lake_gen2", "{client_secret: S, tenant_id: t, client_id: " GUID_1
		    ", authority_url: 'http://SECRET'}", "authority_url", "expected an https URL" },
		{ "azure_data_lake_gen2", "{client_secret: S, tenant_id: t, client_id: " GUID_1
		    ", authority_url: SECRET}", "authority_url",
		    "expected a URL such as https://login.microsoftonline.com" },
		{ "azure_data_lake_gen2", "{certificate: S, tenant_id: t, client_id: " GUID_1
		    ", thumbprint: SECRET}", "thumbprint",
		    "expected 40 hexadecimal digits (SHA-1 of the certificate)" },
		{ "azure_data_lake_gen2", "{thumbprint: SECRET}", "certificate",
		    "this field is required and missing" },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		check(!datastores(arena_printf(&mem, "name: x\ntype: %s\naccount_name: acct\n"
		    "store_name: store\ncontainer_name: cont\nfilesystem: files\ncredentials: %s\n",
		    rows[i].type, rows[i].credentials)));
		check_str(err.cause, rows[i].cause);
		check(str_ends(err.resource, arena_printf(&mem, ": credentials.%s",
		    rows[i].field)));
		check(str_starts(err.resource, "d.yml:7:"));
		check(strstr(err.cause, "SECRET") == NULL && strstr(err.resource,
		    "SECRET") == NULL);
	}
}

/* The secret stands in a Key Vault: the file has its address. */
static void
test_vault_references(void)
{
	check(datastores("[{name: a, type: azure_blob, account_name: acct, container_name: cont, "
	    "credentials: {account_key: {key_vault_secret: "
	    "'https://v.vault.azure.net/secrets/name'}}},\n"
	    "{name: b, type: azure_data_lake_gen2, account_name: acct, filesystem: files, "
	    "credentials: {tenant_id: t, client_id: " GUID_1 ", client_secret: {key_vault_secret: "
	    "'https://v.vault.azure.net:8443/secrets/name/0123abc'}}}]"));
	check_int(spec.ndatastores, 2);
	check_int(spec.datastores[0].credential, SPEC_CRED_ACCOUNT_KEY);
	check_int(spec.datastores[0].secret_from, SPEC_SECRET_VAULT);
	check_str(spec.datastores[0].secret_url, "https://v.vault.azure.net/secrets/name");
	check(spec.datastores[0].secret.text == NULL);
	check_int(spec.datastores[1].credential, SPEC_CRED_SERVICE_PRINCIPAL);
	check_str(spec.datastores[1].secret_url,
	    "https://v.vault.azure.net:8443/secrets/name/0123abc");
	check_str(spec.datastores[1].client_id, GUID_1);
}

/* What a workspace says is held to the rules of files. */
static void
test_flaws(void)
{
	const struct spec_datastore good = { .name = "d", .type = SPEC_BLOB, .account = "acct",
	    .container = "cont", .endpoint = "core.windows.net", .protocol = "https" };
	struct spec_datastore ds = good;

	check(spec_datastore_flaw(&ds) == NULL);
	ds.name = "../d";
	check(spec_datastore_flaw(&ds) != NULL);
	ds = good;
	ds.account = "Acct";
	check(spec_datastore_flaw(&ds) != NULL);
	ds.account = "acct.evil.test/x";
	check(spec_datastore_flaw(&ds) != NULL);
	ds = good;
	ds.container = "a/../b";
	check(spec_datastore_flaw(&ds) != NULL);
	ds = good;
	ds.endpoint = "evil.test/x";
	check(spec_datastore_flaw(&ds) != NULL);
	ds.endpoint = "localhost:1234";
	check(spec_datastore_flaw(&ds) == NULL);
	ds = good;
	ds.protocol = "http";
	check(spec_datastore_flaw(&ds) != NULL);
	ds = good;
	ds.credential = SPEC_CRED_SERVICE_PRINCIPAL;
	check(spec_datastore_flaw(&ds) != NULL);
	ds.client_id = GUID_1;
	ds.tenant_id = "contoso.com";
	check(spec_datastore_flaw(&ds) == NULL);
	ds.authority_url = "http://login.test";
	check(spec_datastore_flaw(&ds) != NULL);
	ds = good;
	ds.type = SPEC_GEN1;
	ds.credential = SPEC_CRED_ACCOUNT_KEY;
	check(spec_datastore_flaw(&ds) != NULL);
	check(spec_secret_flaw(SPEC_CRED_SAS, "sv=1&sig=x", 10) == NULL);
	check(spec_secret_flaw(SPEC_CRED_SAS, "sv=1", 4) != NULL);
	check(spec_secret_flaw(SPEC_CRED_ACCOUNT_KEY, "", 0) != NULL);
	check(spec_secret_flaw(SPEC_CRED_ACCOUNT_KEY, "c2VjcmV0", 8) == NULL);
}

static void
test_places(void)
{
	static const struct {
		const char *fields, *field, *cause;
		enum err_remedy remedy;
	} rows[] = {
		{ "account_name: A\ncontainer_name: cont", "account_name", "expected the name of a "
		    "storage account: 3 to 24 lower-case letters and digits", REMEDY_FIX_SPEC },
		{ "account_name: a-b-c\ncontainer_name: cont", "account_name", "expected the "
		    "name of "
		    "a storage account: 3 to 24 lower-case letters and digits", REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: a--b", "container_name", "expected the name "
		    "of a container: 3 to 63 lower-case letters, digits and single hyphens",
		    REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: -ab", "container_name", "expected the name "
		    "of a container: 3 to 63 lower-case letters, digits and single hyphens",
		    REMEDY_FIX_SPEC },
		{ "account_name: acct", "container_name", "this field is required and missing",
		    REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: cont\nendpoint: 'https://core.windows.net'",
		    "endpoint", "expected a host such as core.windows.net, got a URL",
		    REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: cont\nendpoint: 'a:99999'", "endpoint",
		    "expected HOST or HOST:PORT, such as core.windows.net", REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: cont\nendpoint: 'a/b'", "endpoint",
		    "expected HOST or HOST:PORT, such as core.windows.net", REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: cont\nendpoint: '[::1'", "endpoint",
		    "expected HOST or HOST:PORT, such as core.windows.net", REMEDY_FIX_SPEC },
		{ "account_name: acct\ncontainer_name: cont\nprotocol: http", "protocol", "http is "
		    "for an emulator, with an endpoint that is an address or a name without a dot",
		    REMEDY_USE_HTTPS },
		{ "account_name: acct\ncontainer_name: cont\nprotocol: abfss", "protocol",
		    "expected https or wasbs, got \"abfss\"", REMEDY_FIX_SPEC },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		check(!datastores(arena_printf(&mem, "name: x\ntype: azure_blob\n%s\n",
		    rows[i].fields)));
		check_str(err.cause, rows[i].cause);
		check(str_ends(err.resource, arena_printf(&mem, ": %s", rows[i].field)));
		check_int(err.remedy, rows[i].remedy);
	}
	/* Path-style endpoints: emulators and their account names. */
	check(datastores("{name: x, type: azure_blob, account_name: my-acct, container_name: cont, "
	    "endpoint: '[::1]:10000', protocol: http}"));
	check_str(spec.datastores[0].endpoint, "[::1]:10000");
	check(datastores("{name: x, type: azure_blob, account_name: a, container_name: cont, "
	    "endpoint: azurite:10000, protocol: http}"));
	/* Two files' worth of names. */
	check(!datastores("{name: x, type: azure_blob, account_name: acct, container_name: cont}\n"
	    "---\n{name: X, type: azure_blob, account_name: acct, container_name: cont}\n"));
	check_str(err.resource, "d.yml:3:1: name");
	check_str(err.cause, "datastore \"X\" is described twice, first at d.yml:1:1");
	check(!datastores("- {name: x, type: azure_blob, account_name: acct, container_name: "
	    "cont,\n"
	    "  is_default: true}\n- {name: y, type: azure_blob, account_name: acct,\n"
	    "  container_name: cont, is_default: true}\n"));
	check_str(err.cause, "two default datastores, the other at d.yml:1:3");
}

int
main(void)
{
	test_command_job();
	test_literals();
	test_identities();
	test_arm_job();
	test_pipeline();
	test_nested_pipeline();
	test_deployment();
	test_deployment_parts();
	test_remarks();
	test_declared_null();
	test_datastores();
	test_arm_datastores();
	test_computes();
	test_short_computes();
	test_sources();
	test_refusals();
	test_step_refusals();
	test_copies();
	test_no_secret_in_errors();
	test_vault_references();
	test_flaws();
	test_places();
	check_str(spec_type_name(SPEC_TRITON_MODEL), "triton_model");
	check_str(spec_mode_name(SPEC_EVAL_DOWNLOAD), "eval_download");
	check_str(spec_identity_name(SPEC_IDENTITY_AML_TOKEN), "aml_token");
	check_str(spec_store_name(SPEC_ONELAKE), "one_lake");
	spec_forget_secrets(&spec);
	arena_done(&mem);
	return (check_done());
}
