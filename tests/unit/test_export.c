/* export: what init was started with, byte for byte, plus the plan, the broker, the job's own. */

#include "base/mem.h"
#include "check.h"
#include "plan/export.h"

static const char start[] = "PATH=/bin\nMSI_ENDPOINT=http://platform\nodd\n=x\nEMPTY=\n"
    "AMLSHIM_JOB={secret}\nMSI_SECRET=old\nLANG=C\nPATH=/second\nOBO_ENDPOINT=http://obo\n"
    "AMLSHIM_DATASTORES={key}\nAMLSHIM_COMPUTE=none\nIDENTITY_ENDPOINT=i\nIDENTITY_HEADER=h\n"
    "DEFAULT_IDENTITY_CLIENT_ID=clientid\nAMLSHIM_JOBS=kept\nMSI_SECRET=again\n"
    "BYTES=\xff\x01 \"'\n";

/* NULL-terminated, from lines. */
static char **
env_of(const char *lines, struct arena *mem)
{
	char **env = arena_alloc(mem, 64 * sizeof(*env));
	size_t n = 0, len;

	for (; *lines != '\0' && n < 63; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		env[n++] = arena_strndup(mem, lines, len);
	}
	return (env);
}

/* The whole environment as one text, an entry a line. */
static const char *
text_of(char **env, struct arena *mem)
{
	const char *text = "";

	for (; *env != NULL; env++)
		text = arena_printf(mem, "%s%s\n", text, *env);
	return (text);
}

static struct plan_access accesses[] = {
	{ .name = "data", .value = "/mnt/amlshim/inputs/data" },
	{ .name = "Model", .is_output = 1, .value = "/mnt/amlshim/outputs/Model" },
};

static void
test_without_plan(void)
{
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };

	check_str(text_of(export_environ(NULL, &facts, NULL, &mem), &mem), start);
	arena_done(&mem);
}

static void
test_plan_without_broker(void)
{
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };
	struct plan plan = { .accesses = accesses, .naccesses = 2 };
	struct export_broker none = { .msi_endpoint = NULL };

	check_str(text_of(export_environ(&plan, &facts, &none, &mem), &mem),
	    "PATH=/bin\nMSI_ENDPOINT=http://platform\nodd\n=x\nEMPTY=\nMSI_SECRET=old\nLANG=C\n"
	    "PATH=/second\nOBO_ENDPOINT=http://obo\nIDENTITY_ENDPOINT=i\nIDENTITY_HEADER=h\n"
	    "DEFAULT_IDENTITY_CLIENT_ID=clientid\nAMLSHIM_JOBS=kept\nMSI_SECRET=again\n"
	    "BYTES=\xff\x01 \"'\n"
	    "AZURE_ML_INPUT_data=/mnt/amlshim/inputs/data\n"
	    "AZURE_ML_OUTPUT_Model=/mnt/amlshim/outputs/Model\n");
	arena_done(&mem);
}

/* A user's job without on-behalf-of endpoint: the compute's identity must not stand in. */
static void
test_hidden_endpoints(void)
{
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };
	struct plan plan = { .hides_endpoints = 1 };

	check_str(text_of(export_environ(&plan, &facts, NULL, &mem), &mem),
	    "PATH=/bin\nodd\n=x\nEMPTY=\nLANG=C\nPATH=/second\n"
	    "DEFAULT_IDENTITY_CLIENT_ID=clientid\nAMLSHIM_JOBS=kept\nBYTES=\xff\x01 \"'\n");
	arena_done(&mem);
}

static void
test_managed_broker(void)
{
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };
	struct plan plan = { .broker = PLAN_BROKER_MANAGED };
	struct export_broker broker = { .msi_endpoint = "http://127.0.0.1:9/MSI/auth",
	    .msi_secret = "fresh", .default_client_id = "guid", .socket = "/s/broker" };
	const char *text = text_of(export_environ(&plan, &facts, &broker, &mem), &mem);

	check(strstr(text, "platform") == NULL && strstr(text, "http://obo") == NULL);
	check(strstr(text, "MSI_SECRET=old") == NULL && strstr(text, "again") == NULL);
	check(strstr(text, "IDENTITY_ENDPOINT") == NULL);
	check(strstr(text, "IDENTITY_HEADER") == NULL);
	check(strstr(text, "OBO_ENDPOINT") == NULL);
	check(strstr(text, "\nDEFAULT_IDENTITY_CLIENT_ID=guid\nAMLSHIM_JOBS=kept\n") != NULL);
	check(strstr(text, "MSI_ENDPOINT=http://127.0.0.1:9/MSI/auth\nMSI_SECRET=fresh\n") != NULL);
	check(strstr(text, "AMLSHIM_BROKER_SOCKET=/s/broker\n") != NULL);
	arena_done(&mem);
}

/* By which variables SDKs would find another source, and what stays the user's own. */
static void
test_other_sources(void)
{
	static const struct { const char *more, *left; } rows[] = {
		{ "", "" },
		{ "AZURE_CLIENT_SECRET=s", "AZURE_CLIENT_ID=c\nAZURE_TENANT_ID=t\n"
		    "AZURE_CLIENT_SECRET=s\n" },
		{ "AZURE_CLIENT_CERTIFICATE_PATH=/c", "AZURE_CLIENT_ID=c\nAZURE_TENANT_ID=t\n"
		    "AZURE_CLIENT_CERTIFICATE_PATH=/c\n" },
		{ "AZURE_CLIENT_SECRET=", "AZURE_CLIENT_SECRET=\n" },
	};
	static const char *const given[] = {
		"IDENTITY_ENDPOINT=x", "IDENTITY_HEADER=x", "IDENTITY_SERVER_THUMBPRINT=x",
		"IMDS_ENDPOINT=x", "AZURE_POD_IDENTITY_AUTHORITY_HOST=x", "AZURE_CLIENT_ID=c",
		"AZURE_TENANT_ID=t", "AZURE_FEDERATED_TOKEN_FILE=/f",
		"AZURE_KUBERNETES_TOKEN_PROXY=x", "AMLSHIM_EXPORT_TOKENS=a=B", "AMLSHIM_AUDIT=/a",
	};
	struct export_broker broker = { .identity_endpoint = "http://127.0.0.1:9/msi/token",
	    .identity_header = "fresh", .pod_identity_authority_host = "http://127.0.0.1:9" };
	struct plan plan = { .broker = PLAN_BROKER_MANAGED };
	char *env[LENGTH(given) + 2];
	struct facts facts = { .environ = env };
	struct arena mem = ARENA_EMPTY;
	char want[512];
	size_t i;

	for (i = 0; i < LENGTH(given); i++)
		env[i] = arena_strdup(&mem, given[i]);
	for (i = 0; i < LENGTH(rows); i++) {
		env[LENGTH(given)] = rows[i].more[0] == '\0' ? NULL :
		    arena_strdup(&mem, rows[i].more);
		env[LENGTH(given) + 1] = NULL;
		str_format(want, sizeof(want), "%sIDENTITY_ENDPOINT=http://127.0.0.1:9/msi/token\n"
		    "IDENTITY_HEADER=fresh\n"
		    "AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:9\n", rows[i].left);
		check_str(text_of(export_environ(&plan, &facts, &broker, &mem), &mem), want);
	}
	env[0] = arena_strdup(&mem, "AZURE_CLIENT_ID=mine");	/* no file: the user chose it */
	env[1] = NULL;
	check(strstr(text_of(export_environ(&plan, &facts, &broker, &mem), &mem),
	    "AZURE_CLIENT_ID=mine\n") != NULL);
	arena_done(&mem);
}

static void
test_user_broker(void)
{
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };
	struct plan plan = { .broker = PLAN_BROKER_USER };
	struct export_broker broker = { .obo_endpoint = "http://127.0.0.1:9/OBO/token" };
	const char *text = text_of(export_environ(&plan, &facts, &broker, &mem), &mem);

	check(strstr(text, "MSI_") == NULL);
	check(strstr(text, "OBO_ENDPOINT=http://127.0.0.1:9/OBO/token\n") != NULL);
	check(strstr(text, "DEFAULT_IDENTITY_CLIENT_ID=clientid\n") != NULL);
	arena_done(&mem);
}

static void
test_job_variables_win(void)
{
	static struct spec_variable variables[] = {
		{ "PATH", "/mine" }, { "AZURE_ML_INPUT_data", "elsewhere" }, { "NEW", "a b" },
		{ "MSI_ENDPOINT", "http://mock" },
	};
	struct arena mem = ARENA_EMPTY;
	const struct facts facts = { .environ = env_of(start, &mem) };
	struct plan plan = { .accesses = accesses, .naccesses = 2, .variables = variables,
		.nvariables = LENGTH(variables) };
	struct export_broker broker = { .msi_endpoint = "http://127.0.0.1:9/MSI/auth",
	    .msi_secret = "fresh" };
	char **env = export_environ(&plan, &facts, &broker, &mem);
	const char *text = text_of(env, &mem);

	check_str(env[0], "PATH=/mine");
	check(strstr(text, "/second") == NULL);
	check(strstr(text, "AZURE_ML_INPUT_data=elsewhere\n") != NULL);
	check(strstr(text, "/mnt/amlshim/inputs/data") == NULL);
	check(strstr(text, "MSI_ENDPOINT=http://mock\nMSI_SECRET=fresh\nNEW=a b\n") != NULL);
	arena_done(&mem);
}

static void
test_large(void)
{
	struct arena mem = ARENA_EMPTY;
	char *many[1001];
	const struct facts facts = { .environ = many };
	struct plan plan = { .accesses = accesses, .naccesses = 2 };
	char **env;
	size_t i;

	for (i = 0; i < 1000; i++)
		many[i] = arena_printf(&mem, "V%zu=%zu", i, i);
	many[1000] = NULL;
	env = export_environ(&plan, &facts, NULL, &mem);
	check_str(env[999], "V999=999");
	check_str(env[1001], "AZURE_ML_OUTPUT_Model=/mnt/amlshim/outputs/Model");
	check(env[1002] == NULL);
	many[0] = NULL;
	env = export_environ(NULL, &facts, NULL, &mem);
	check(env != NULL && env[0] == NULL);
	arena_done(&mem);
}

int
main(void)
{
	test_without_plan();
	test_plan_without_broker();
	test_hidden_endpoints();
	test_managed_broker();
	test_user_broker();
	test_other_sources();
	test_job_variables_win();
	test_large();
	return (check_done());
}
