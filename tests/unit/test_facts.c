/* facts: the environment as a value; secrets apart; probes that AMLSHIM_FACTS stands in for. */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "plan/facts.h"

#define GUID	"aaaaaaaa-0000-4000-8000-00000000000a"

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

static void
test_nothing_set(void)
{
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_from_environ(&f, envp, &mem, &err), 0);
	check(f.msi_endpoint == NULL && f.identity_endpoint == NULL && f.obo_endpoint == NULL);
	check(f.msi_secret.text == NULL && f.identity_header.text == NULL);
	check(f.default_client_id == NULL && f.default_client_id_raw == NULL);
	check_int(f.fuse, FACTS_FUSE_OK);
	check(f.environ != NULL && f.environ[0] == NULL);
	arena_done(&mem);
}

static void
test_workspace(void)
{
	struct arena mem = ARENA_EMPTY;
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_from_environ(&f, env_of("A=1", &mem), &mem, &err), 0);
	check_str(facts_arm_endpoint(&f), "https://management.azure.com");
	check_str(f.arm_api_version, "2024-10-01");
	check_int(facts_set_workspace(&f, "s/g r/w", &mem, &err), 0);
	check_str(f.subscription, "s");
	check_str(f.resource_group, "g r");
	check_str(f.workspace, "w");
	check_int(facts_set_workspace(&f, "s/g", &mem, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check_int(facts_set_workspace(&f, "s//w", &mem, &err), -1);
	check_int(facts_set_workspace(&f, "/g/w", &mem, &err), -1);
	check_int(facts_set_workspace(&f, "s/g/", &mem, &err), -1);
	check_int(facts_set_workspace(&f, "s/g/w/x", &mem, &err), -1);
	check_str(f.workspace, "w");
	check_int(facts_from_environ(&f, env_of("AMLSHIM_ARM_ENDPOINT=https://arm.test:1/\n"
	    "AMLSHIM_ARM_API_VERSION=2025-01-01-preview\nAZUREML_WORKSPACE_ID=" GUID, &mem), &mem,
	    &err), 0);
	check_str(facts_arm_endpoint(&f), "https://arm.test:1");
	check_str(f.arm_api_version, "2025-01-01-preview");
	check_str(f.workspace_id, GUID);
	check_int(facts_from_environ(&f, env_of("AMLSHIM_ARM_ENDPOINT=http://arm.test", &mem), &mem,
	    &err), -1);
	check_str(err.resource, "AMLSHIM_ARM_ENDPOINT");
	err = ERR_EMPTY;
	check_int(facts_from_environ(&f, env_of("AMLSHIM_ARM_ENDPOINT=https:///", &mem), &mem,
	    &err), -1);
	check_str(err.resource, "AMLSHIM_ARM_ENDPOINT");
	err = ERR_EMPTY;
	check_int(facts_from_environ(&f, env_of("AMLSHIM_ARM_API_VERSION=2024&x=1", &mem), &mem,
	    &err), -1);
	check_str(err.resource, "AMLSHIM_ARM_API_VERSION");
	arena_done(&mem);
}

static void
test_all_set(void)
{
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("AZUREML_RUN_ID=run_1\nMSI_ENDPOINT=http://127.0.0.1:46808/MSI/auth\n"
	    "MSI_SECRET=s3cret\nIDENTITY_ENDPOINT=http://i\nIDENTITY_HEADER=h\n"
	    "IMDS_ENDPOINT=http://m\nOBO_ENDPOINT=http://o\n"
	    "AZURE_POD_IDENTITY_AUTHORITY_HOST=http://p\nIDENTITY_SERVER_THUMBPRINT=00\n"
	    "DEFAULT_IDENTITY_CLIENT_ID=" GUID "\nAZUREML_ARM_PROJECT_NAME=exp\n"
	    "AZUREML_ARM_SUBSCRIPTION=sub\nAZUREML_ARM_RESOURCEGROUP=rg\n"
	    "AZUREML_ARM_WORKSPACE_NAME=ws\nMSI_ENDPOINT=http://second", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_from_environ(&f, envp, &mem, &err), 0);
	memset(envp[1], 'x', strlen(envp[1]));	/* as init wipes what /proc shows */
	memset(envp[2], 'x', strlen(envp[2]));
	check_str(f.msi_endpoint, "http://127.0.0.1:46808/MSI/auth");
	check_str(f.msi_secret.text, "s3cret");
	check_int(f.msi_secret.len, 6);
	check_str(f.identity_endpoint, "http://i");
	check_str(f.identity_header.text, "h");
	check_str(f.imds_endpoint, "http://m");
	check_str(f.obo_endpoint, "http://o");
	check_str(f.pod_identity_authority_host, "http://p");
	check_str(f.identity_server_thumbprint, "00");
	check_str(f.default_client_id, GUID);
	check_str(f.run_id, "run_1");
	check_str(f.experiment, "exp");
	check_str(f.subscription, "sub");
	check_str(f.resource_group, "rg");
	check_str(f.workspace, "ws");
	check_str(f.environ[2], "MSI_SECRET=s3cret");
	facts_forget_secrets(&f);
	check(f.msi_secret.text == NULL && f.identity_header.text == NULL);
	facts_forget_secrets(&f);
	arena_done(&mem);
}

static void
test_empty_is_absent(void)
{
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("MSI_ENDPOINT=\nMSI_SECRET=\nMSI_ENDPOINTS=http://no\nOBO_ENDPOINT\n"
	    "DEFAULT_IDENTITY_CLIENT_ID=clientid", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_from_environ(&f, envp, &mem, &err), 0);
	check(f.msi_endpoint == NULL && f.msi_secret.text == NULL && f.obo_endpoint == NULL);
	check(f.default_client_id == NULL);
	check_str(f.default_client_id_raw, "clientid");
	arena_done(&mem);
}

static void
test_gather(void)
{
	char cwd[4096];
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("AMLSHIM_FACTS=", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_gather(&f, envp, &mem, &err), 0);
	check_str(f.cwd, getcwd(cwd, sizeof(cwd)));
	check_int(f.uid, geteuid());
	check_int(f.is_pid1, getpid() == 1);
	check_int(f.has_shell_sh, access("/bin/sh", X_OK) == 0);
	check_int(f.has_shell_bash, access("/bin/bash", X_OK) == 0);
	if (access("/dev/fuse", R_OK | W_OK) != 0)
		check_int(f.fuse, errno == EACCES ? FACTS_FUSE_NO_ACCESS : FACTS_FUSE_NO_DEVICE);
	else
		check(f.fuse != FACTS_FUSE_NO_ACCESS);
	check((facts_no_fuse(f.fuse) == NULL) ==
	    (f.fuse == FACTS_FUSE_OK || f.fuse == FACTS_FUSE_USERNS));
	arena_done(&mem);
}

static void
test_stand_ins(void)
{
	static const struct { const char *text; enum facts_fuse fuse; int sh, bash; } cases[] = {
		{ "AMLSHIM_FACTS=fuse=ok,sh=yes,bash=yes", FACTS_FUSE_OK, 1, 1 },
		{ "AMLSHIM_FACTS= fuse=no-device  sh=no bash=yes ", FACTS_FUSE_NO_DEVICE, 0, 1 },
		{ "AMLSHIM_FACTS=bash=no,fuse=no-privilege,sh=yes", FACTS_FUSE_NO_PRIVILEGE, 1, 0 },
		{ "AMLSHIM_FACTS=fuse=no-access,sh=no,bash=no", FACTS_FUSE_NO_ACCESS, 0, 0 },
		{ "AMLSHIM_FACTS=fuse=userns,sh=no,bash=no", FACTS_FUSE_USERNS, 0, 0 },
	};
	struct arena mem = ARENA_EMPTY;
	struct facts f;
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		check_int(facts_gather(&f, env_of(cases[i].text, &mem), &mem, &err), 0);
		check_int(f.fuse, cases[i].fuse);
		check_int(f.has_shell_sh, cases[i].sh);
		check_int(f.has_shell_bash, cases[i].bash);
	}
	arena_done(&mem);
}

static void
test_bad_stand_in(void)
{
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("MSI_SECRET=s\nAMLSHIM_FACTS=sh=yes fuse=maybe", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_gather(&f, envp, &mem, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check_str(err.resource, "AMLSHIM_FACTS");
	check(strstr(err.cause, "fuse=maybe") != NULL);
	arena_done(&mem);
}

/* A secret that is longer than any is told by its variable's name, not kept in part. */
static void
test_endless_secret(void)
{
	static const char *const names[] = { "MSI_SECRET", "IDENTITY_HEADER" };
	static char value[SECRET_MAX + 2];
	struct arena mem = ARENA_EMPTY;
	struct facts f;
	struct err err;
	size_t i;

	memset(value, 'x', sizeof(value) - 1);
	for (i = 0; i < LENGTH(names); i++) {
		char *envp[] = { arena_printf(&mem, "%s=%s", names[i], value), NULL };

		err = ERR_EMPTY;
		check_int(facts_gather(&f, envp, &mem, &err), -1);
		check_str(err.resource, names[i]);
		check(strstr(err.cause, "65537 bytes, more than 65536") != NULL);
	}
	arena_done(&mem);
}

static void
test_certificate_alg(void)
{
	static const struct { const char *variable; int rs256; } rows[] = {
		{ "AMLSHIM_CERTIFICATE_ALG=RS256", 1 }, { "AMLSHIM_CERTIFICATE_ALG=rs256", 1 },
		{ "AMLSHIM_CERTIFICATE_ALG=PS256", 0 }, { "AMLSHIM_CERTIFICATE_ALG=", 0 },
		{ "A=1", 0 },
	};
	struct arena mem = ARENA_EMPTY;
	struct facts f;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		char *envp[] = { (char *)(uintptr_t)rows[i].variable, NULL };

		check_int(facts_from_environ(&f, envp, &mem, NULL), 0);
		check_int(f.assertion_rs256, rows[i].rs256);
	}
	arena_done(&mem);
}

static void
test_arc_and_cloud(void)
{
	struct arena mem = ARENA_EMPTY;
	char **envp = env_of("AMLSHIM_FACTS=himds=yes arc-tokens=/tmp/keys\n"
	    "AZUREML_CURRENT_CLOUD=AzureChinaCloud", &mem);
	struct facts f;
	struct err err = ERR_EMPTY;

	check_int(facts_gather(&f, envp, &mem, &err), 0);
	check_int(f.has_himds, 1);
	check_str(f.arc_tokens_dir, "/tmp/keys");
	check(f.unknown_cloud == NULL);
	check_str(facts_cloud(&f)->storage_suffix, "core.chinacloudapi.cn");
	envp = env_of("AMLSHIM_FACTS=himds=no\nAZUREML_CURRENT_CLOUD=Elsewhere\n"
	    "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/", &mem);
	check_int(facts_gather(&f, envp, &mem, &err), 0);
	check_int(f.has_himds, 0);
	check(f.arc_tokens_dir == NULL);
	check_str(f.unknown_cloud, "Elsewhere");
	check_str(facts_cloud(&f)->name, "AzureUSGovernment");
	envp = env_of("AMLSHIM_FACTS=arc-tokens=relative", &mem);
	check_int(facts_gather(&f, envp, &mem, &err), -1);
	arena_done(&mem);
}

int
main(void)
{
	test_arc_and_cloud();
	test_endless_secret();
	test_certificate_alg();
	test_nothing_set();
	test_workspace();
	test_all_set();
	test_empty_is_absent();
	test_gather();
	test_stand_ins();
	test_bad_stand_in();
	return (check_done());
}
