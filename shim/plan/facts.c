#include "plan/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/uri.h"
#include "base/userns.h"

#define FUSE_DEVICE		"/dev/fuse"
#define CGROUP_NONE		(INT64_C(1) << 60)	/* version 1 says so much for none */
#define CGROUP_TEXT_MAX		64
#define CWD_MAX			4096
#define ARM_API_VERSION		"2024-10-01"

/* capabilities(7), capget(2): the kernel's ABI, version 3. */
#define CAPABILITY_VERSION_3	0x20080522u
#define CAPABILITY_SYS_ADMIN	21

/* The value of a variable that is set and not empty; the first one counts, as in getenv(3). */
static const char *
look_up(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return ((*envp)[len + 1] != '\0' ? *envp + len + 1 : NULL);
	return (NULL);
}

static int
take_secret(struct secret *ret, char *const *envp, const char *name, struct err *err)
{
	const char *value = look_up(envp, name);

	if (value == NULL)
		return (0);
	if (secret_set(ret, value, strlen(value), err) != 0)
		return (err_on(err, "%s", name));
	return (0);
}

/* Whoever wipes the original (/proc shows it) leaves the job's environment whole. */
static char *const *
copy_environ(char *const *envp, struct arena *mem)
{
	char **copy;
	size_t n = 0, i;

	while (envp[n] != NULL)
		n++;
	copy = arena_alloc(mem, (n + 1) * sizeof(*copy));
	for (i = 0; i < n; i++)
		copy[i] = arena_strdup(mem, envp[i]);
	return (copy);
}

/* An unknown name is somebody's private cloud: --cloud has to describe it. */
static const struct cloud *
find_cloud(struct facts *f, char *const *envp)
{
	const char *name = look_up(envp, "AZUREML_CURRENT_CLOUD");
	const struct cloud *cloud = name != NULL ? cloud_find(name) : NULL;

	if (name != NULL && cloud == NULL)
		f->unknown_cloud = name;
	if (cloud == NULL && f->authority_host != NULL)
		cloud = cloud_of_authority(f->authority_host);
	return (cloud != NULL ? cloud : &cloud_public);
}

/* "2024-10-01", "2024-07-01-preview" */
static int
is_api_version(const char *text)
{
	size_t len = strlen(text);

	return (len >= 10 && len <= 40 &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len);
}

static int
read_arm(struct facts *f, char *const *envp, struct arena *mem, struct err *err)
{
	const char *endpoint = look_up(envp, "AMLSHIM_ARM_ENDPOINT");
	const char *version = look_up(envp, "AMLSHIM_ARM_API_VERSION");
	size_t len = endpoint != NULL ? strlen(endpoint) : 0;
	struct uri u;

	if (endpoint != NULL && (uri_parse(&u, endpoint, mem) != 0 || u.host[0] == '\0' ||
	    strcmp(u.scheme, "https") != 0 || strpbrk(endpoint, "?#@ ") != NULL)) {
		err_set(err, ERR_USAGE, REMEDY_USE_HTTPS, "use",
		    "expected an https URL such as https://management.azure.com");
		return (err_on(err, "AMLSHIM_ARM_ENDPOINT"));
	}
	if (version != NULL && !is_api_version(version)) {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "use",
		    "expected a version such as " ARM_API_VERSION);
		return (err_on(err, "AMLSHIM_ARM_API_VERSION"));
	}
	while (len > 0 && endpoint[len - 1] == '/')
		len--;
	f->arm_endpoint = endpoint != NULL ? arena_strndup(mem, endpoint, len) : NULL;
	f->arm_api_version = version != NULL ? version : ARM_API_VERSION;
	return (0);
}

int
facts_from_environ(struct facts *ret, char *const *envp, struct arena *mem, struct err *err)
{
	struct facts f = { .environ = copy_environ(envp, mem) };

	envp = f.environ;
	f.msi_endpoint = look_up(envp, "MSI_ENDPOINT");
	f.identity_endpoint = look_up(envp, "IDENTITY_ENDPOINT");
	f.imds_endpoint = look_up(envp, "IMDS_ENDPOINT");
	f.obo_endpoint = look_up(envp, "OBO_ENDPOINT");
	f.pod_identity_authority_host = look_up(envp, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
	f.identity_server_thumbprint = look_up(envp, "IDENTITY_SERVER_THUMBPRINT");
	f.federated_token_file = look_up(envp, "AZURE_FEDERATED_TOKEN_FILE");
	f.assertion_rs256 = look_up(envp, "AMLSHIM_CERTIFICATE_ALG") != NULL &&
	    str_same(look_up(envp, "AMLSHIM_CERTIFICATE_ALG"), "RS256");
	f.client_id = look_up(envp, "AZURE_CLIENT_ID");
	f.tenant_id = look_up(envp, "AZURE_TENANT_ID");
	f.authority_host = look_up(envp, "AZURE_AUTHORITY_HOST");
	f.cloud = find_cloud(&f, envp);
	f.default_client_id_raw = look_up(envp, "DEFAULT_IDENTITY_CLIENT_ID");
	if (f.default_client_id_raw != NULL && str_is_guid(f.default_client_id_raw))
		f.default_client_id = f.default_client_id_raw;
	f.run_id = look_up(envp, "AZUREML_RUN_ID");
	f.experiment = look_up(envp, "AZUREML_ARM_PROJECT_NAME");
	f.subscription = look_up(envp, "AZUREML_ARM_SUBSCRIPTION");
	f.resource_group = look_up(envp, "AZUREML_ARM_RESOURCEGROUP");
	f.workspace = look_up(envp, "AZUREML_ARM_WORKSPACE_NAME");
	f.workspace_id = look_up(envp, "AZUREML_WORKSPACE_ID");
	if (read_arm(&f, envp, mem, err) != 0)
		return (-1);
	if (take_secret(&f.msi_secret, envp, "MSI_SECRET", err) != 0 ||
	    take_secret(&f.identity_header, envp, "IDENTITY_HEADER", err) != 0) {
		facts_forget_secrets(&f);
		return (-1);
	}
	*ret = f;
	return (0);
}

const struct cloud *
facts_cloud(const struct facts *f)
{
	return (f->cloud != NULL ? f->cloud : &cloud_public);
}

const char *
facts_arm_endpoint(const struct facts *f)
{
	return (f->arm_endpoint != NULL ? f->arm_endpoint : facts_cloud(f)->arm);
}

int
facts_set_workspace(struct facts *f, const char *text, struct arena *mem, struct err *err)
{
	size_t first = strcspn(text, "/"), second = 0;

	if (text[first] == '/')
		second = first + 1 + strcspn(text + first + 1, "/");
	if (first == 0 || second <= first + 1 || text[second] != '/' || text[second + 1] == '\0' ||
	    strchr(text + second + 1, '/') != NULL) {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options",
		    "expected SUBSCRIPTION/GROUP/NAME, got \"%s\"", text);
		return (err_on(err, "--workspace"));
	}
	f->subscription = arena_strndup(mem, text, first);
	f->resource_group = arena_strndup(mem, text + first + 1, second - first - 1);
	f->workspace = arena_strdup(mem, text + second + 1);
	return (0);
}

void
facts_forget_secrets(struct facts *f)
{
	secret_done(&f->msi_secret);
	secret_done(&f->identity_header);
}

/* The effective set, from the kernel itself: /proc may be missing or another namespace's. */
static int
has_sys_admin(void)
{
	struct { uint32_t version; int32_t pid; } head = { CAPABILITY_VERSION_3, 0 };
	struct { uint32_t effective, permitted, inheritable; } sets[2] = { { 0, 0, 0 } };

	return (syscall(SYS_capget, &head, sets) == 0 &&
	    (sets[0].effective >> CAPABILITY_SYS_ADMIN & 1) != 0);
}

static enum facts_fuse
probe_fuse(void)
{
	auto_close int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return (errno == EACCES ? FACTS_FUSE_NO_ACCESS : FACTS_FUSE_NO_DEVICE);
	if (has_sys_admin())
		return (FACTS_FUSE_OK);
	return (userns_can_mount(FUSE_DEVICE) ? FACTS_FUSE_USERNS : FACTS_FUSE_NO_PRIVILEGE);
}

const char *
facts_no_fuse(enum facts_fuse fuse)
{
	switch (fuse) {
	case FACTS_FUSE_NO_DEVICE:
		return (FUSE_DEVICE " cannot be opened");
	case FACTS_FUSE_NO_ACCESS:
		return (FUSE_DEVICE " is not open to this user (its mode on the host is to be "
		    "0666)");
	case FACTS_FUSE_NO_PRIVILEGE:
		return ("the capability SYS_ADMIN is missing, and a user namespace in its place "
		    "is not allowed");
	case FACTS_FUSE_OK:
	case FACTS_FUSE_USERNS:
		break;
	}
	return (NULL);
}

/* The container's own, of cgroups version 2 and 1. */
static int64_t
memory_limit(void)
{
	static const char *const files[] = { "/sys/fs/cgroup/memory.max",
	    "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
	auto_buf struct buf text = BUF_EMPTY;
	long long limit;
	size_t i;

	for (i = 0; i < LENGTH(files); i++) {
		if (fd_read_file(files[i], CGROUP_TEXT_MAX, &text, NULL) != 0)
			continue;
		if (text.len > 0 && text.data[text.len - 1] == '\n')
			text.data[text.len - 1] = '\0';
		if (str_to_i64(text.data, 1, CGROUP_NONE, &limit) == 0)
			return (limit);
	}
	return (0);
}

/* Where MSAL for Go and for Python look, then where earlier ones of Python did. */
static int
find_himds(void)
{
	return (access("/opt/azcmagent/bin/himds", F_OK) == 0 ||
	    access("/var/opt/azcmagent/bin/himds", F_OK) == 0);
}

static int
bad_assumption(struct err *err, const char *word)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read",
	    "expected fuse=ok|userns|no-device|no-access|no-privilege, sh=yes|no, "
	    "bash=yes|no, himds=yes|no, arc-tokens=DIR, got \"%s\"", word);
	return (err_on(err, "AMLSHIM_FACTS"));
}

static int
assume(struct facts *f, const char *word, struct err *err)
{
	static const struct { const char *word; enum facts_fuse fuse; } states[] = {
		{ "fuse=ok", FACTS_FUSE_OK }, { "fuse=userns", FACTS_FUSE_USERNS },
		{ "fuse=no-device", FACTS_FUSE_NO_DEVICE },
		{ "fuse=no-access", FACTS_FUSE_NO_ACCESS },
		{ "fuse=no-privilege", FACTS_FUSE_NO_PRIVILEGE },
	};
	size_t i;

	for (i = 0; i < LENGTH(states); i++)
		if (strcmp(word, states[i].word) == 0) {
			f->fuse = states[i].fuse;
			return (0);
		}
	if (strcmp(word, "sh=yes") == 0 || strcmp(word, "sh=no") == 0)
		f->has_shell_sh = word[3] == 'y';
	else if (strcmp(word, "bash=yes") == 0 || strcmp(word, "bash=no") == 0)
		f->has_shell_bash = word[5] == 'y';
	else if (strcmp(word, "himds=yes") == 0 || strcmp(word, "himds=no") == 0)
		f->has_himds = word[6] == 'y';
	else if (str_starts(word, "arc-tokens=/"))
		f->arc_tokens_dir = word + strlen("arc-tokens=");
	else
		return (bad_assumption(err, word));
	return (0);
}

/* AMLSHIM_FACTS: words separated by spaces or commas. */
static int
assume_all(struct facts *f, char *const *envp, struct arena *mem, struct err *err)
{
	const char *text = look_up(envp, "AMLSHIM_FACTS");
	size_t len;

	for (; text != NULL && *text != '\0'; text += len) {
		text += strspn(text, " ,");
		len = strcspn(text, " ,");
		if (len != 0 && assume(f, arena_strndup(mem, text, len), err) != 0)
			return (-1);
	}
	return (0);
}

int
facts_gather(struct facts *ret, char *const *envp, struct arena *mem, struct err *err)
{
	struct facts f;
	char cwd[CWD_MAX];

	if (facts_from_environ(&f, envp, mem, err) != 0)
		return (-1);
	if (getcwd(cwd, sizeof(cwd)) != NULL && cwd[0] == '/')
		f.cwd = arena_strdup(mem, cwd);
	f.uid = (uint32_t)geteuid();
	f.gid = (uint32_t)getegid();
	f.is_pid1 = getpid() == 1;
	f.fuse = probe_fuse();
	f.memory_limit = memory_limit();
	f.has_himds = find_himds();
	f.has_shell_sh = access("/bin/sh", X_OK) == 0;
	f.has_shell_bash = access("/bin/bash", X_OK) == 0;
	if (assume_all(&f, envp, mem, err) != 0) {
		facts_forget_secrets(&f);
		return (-1);
	}
	*ret = f;
	return (0);
}
