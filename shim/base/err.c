#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/uri.h"

static const char *const kind_names[ERR_KINDS] = {
	[ERR_NONE] = "none",
	[ERR_USAGE] = "usage",
	[ERR_NO_IDENTITY] = "no-identity",
	[ERR_DENIED] = "denied",
	[ERR_NOT_FOUND] = "not-found",
	[ERR_UNREACHABLE] = "unreachable",
	[ERR_CHANGED] = "changed",
	[ERR_OUTPUT] = "output",
	[ERR_PROTOCOL] = "protocol",
	[ERR_SYSTEM] = "system",
	[ERR_BUG] = "bug",
};

static const int exit_statuses[ERR_KINDS] = {
	[ERR_NONE] = 0,
	[ERR_USAGE] = 2,
	[ERR_NO_IDENTITY] = 121,
	[ERR_DENIED] = 122,
	[ERR_NOT_FOUND] = 120,
	[ERR_UNREACHABLE] = 120,
	[ERR_CHANGED] = 120,
	[ERR_OUTPUT] = 123,
	[ERR_PROTOCOL] = 125,
	[ERR_SYSTEM] = 125,
	[ERR_BUG] = 125,
};

/*
 * The role names, az commands and settings below are those of Microsoft's
 * public documentation: "Assign an Azure role for access to blob data",
 * "Set up authentication for Azure Machine Learning", "Prevent Shared Key
 * authorization", "Rehydrate an archived blob", "Azure Data Lake Storage Gen1
 * retirement".
 */
static const char *const remedies[REMEDIES] = {
	[REMEDY_NONE] = "",
	[REMEDY_FIX_SPEC] =
	    "correct the specification at the place named, then check it with amlshim plan",
	[REMEDY_SEE_HELP] =
	    "see amlshim --help for the commands, flags and AMLSHIM_ variables",
	[REMEDY_ASSIGN_IDENTITY] =
	    "assign a managed identity to the compute (az ml compute update --identity-type "
	    "SystemAssigned), or store credentials with the datastore, or set "
	    "identity: {type: user_identity} in the job",
	[REMEDY_NAME_ASSIGNED_IDENTITY] =
	    "name an identity that the compute has (az ml compute show --query identity) in "
	    "the job's identity: {type: managed, client_id: ...}, or assign %i to the compute",
	[REMEDY_ONE_KIND_OF_IDENTITY] =
	    "use one kind of identity: set identity.type to user_identity or to managed, and "
	    "give the compute either a system-assigned or user-assigned identities",
	[REMEDY_SUBMIT_WITH_USER_IDENTITY] =
	    "submit the job to a compute that offers the on-behalf-of endpoint (OBO_ENDPOINT) "
	    "with identity: {type: user_identity}, or set identity: {type: managed} to use the "
	    "compute's identity",
	[REMEDY_GRANT_DATA_READER] =
	    "give %i the role \"Storage Blob Data Reader\" on %c (a new assignment needs up to "
	    "10 minutes)",
	[REMEDY_GRANT_DATA_CONTRIBUTOR] =
	    "give %i the role \"Storage Blob Data Contributor\" on %c (a new assignment needs "
	    "up to 10 minutes)",
	[REMEDY_GRANT_READER_OR_ACL] =
	    "give %i the role \"Storage Blob Data Reader\" on %c (a new assignment needs up to "
	    "10 minutes), or by access control lists r-x on the path and --x on each directory "
	    "above it (az storage fs access set)",
	[REMEDY_GRANT_CONTRIBUTOR_OR_ACL] =
	    "give %i the role \"Storage Blob Data Contributor\" on %c (a new assignment needs up "
	    "to 10 minutes), or by access control lists rwx on the path and --x on each directory "
	    "above it (az storage fs access set)",
	[REMEDY_GRANT_DATA_OWNER] =
	    "give %i the role \"Storage Blob Data Owner\" on %c (a new assignment needs up to 10 "
	    "minutes), or leave --acl out: else only who owns a path may set its mode and owner",
	[REMEDY_OPEN_NETWORK] =
	    "allow the compute's network in the firewall of %r (az storage account "
	    "network-rule add), or reach it by a private endpoint in the compute's network",
	[REMEDY_CHECK_CLOCK] =
	    "set the clock of the host (it must be within 15 minutes of the service's time)",
	[REMEDY_RENEW_SAS] =
	    "renew the SAS of %r (az storage container generate-sas) and store it with the "
	    "datastore (az ml datastore create)",
	[REMEDY_WIDEN_SAS] =
	    "create a SAS of %c that allows what the job does (sp: rl to read, racwdl to write; "
	    "ss, srt, sr, sip and spr to fit) and store it with the datastore (az ml datastore "
	    "create)",
	[REMEDY_RENEW_KEY] =
	    "renew the stored credential of %r: store the current one with the datastore "
	    "(az ml datastore create)",
	[REMEDY_SHARED_KEY_DISABLED] =
	    "create the datastore again without credentials, so that %r is read with an "
	    "identity (its account refuses keys: allowSharedKeyAccess is false)",
	[REMEDY_SAME_TENANT] =
	    "use storage in the identity's own Entra tenant: %r trusts another tenant than "
	    "the one of %i, and cross-tenant access is not supported",
	[REMEDY_TOKEN_AUDIENCE] =
	    "check which cloud this is (AZUREML_CURRENT_CLOUD) and the datastore's resource_url: "
	    "%r does not take tokens of the audience that was asked for",
	[REMEDY_TOKEN_EXPIRED] =
	    "renew the sign-in behind %i: the tokens it gets have expired (submit the job again; "
	    "restart the compute if its token endpoint hands out old ones)",
	[REMEDY_ASK_OWNER] =
	    "ask the owner of %c to lift what forbids this: the account's state, a policy or an "
	    "encryption scope of the container",
	[REMEDY_CHECK_NAME] =
	    "check the name %r: account, container and path",
	[REMEDY_CHECK_DNS] =
	    "check that the name in %r resolves in this container: the DNS server of the "
	    "network, and the private DNS zone where there is a private endpoint",
	[REMEDY_CHECK_TLS] =
	    "check the certificate of %r: set SSL_CERT_FILE to a bundle that has its issuer "
	    "(a proxy that inspects TLS has its own)",
	[REMEDY_CHECK_TLS_DATES] =
	    "check the clock of this machine; if it is right, who runs %r has to renew the "
	    "certificate",
	[REMEDY_CHECK_TLS_NAME] =
	    "check that %r leads to the right server (DNS, a firewall, a proxy that inspects "
	    "TLS): the one that answers has a certificate for other names",
	[REMEDY_CHECK_HANDSHAKE] =
	    "check what is between this container and %r: a firewall that filters by name, a "
	    "proxy, or a server without TLS 1.2 lets the connection begin, but no TLS "
	    "handshake end",
	[REMEDY_CHECK_ENDPOINT] =
	    "check that %r is the right endpoint and that a firewall or proxy (HTTPS_PROXY, "
	    "NO_PROXY) lets it through",
	[REMEDY_CHECK_PROXY] =
	    "check the proxy (HTTPS_PROXY): it has to let %r through; a host behind a private "
	    "endpoint belongs into NO_PROXY",
	[REMEDY_GIVE_FUSE] =
	    "run the container with --device /dev/fuse --cap-add SYS_ADMIN --security-opt "
	    "apparmor=unconfined (Kubernetes: securityContext.privileged: true), or set "
	    "AMLSHIM_FUSE=copy to copy the data instead",
	[REMEDY_ROOT_DIR] =
	    "set --root (AMLSHIM_ROOT) to a directory that this user can make and write to: "
	    "inputs and outputs appear in it (with a read-only root file system on a tmpfs or "
	    "a volume: --tmpfs /tmp; Kubernetes: emptyDir)",
	[REMEDY_FREE_DISK] =
	    "free space on the disk of %r, give the container a larger one, or use a mount "
	    "mode in place of download",
	[REMEDY_MORE_MEMORY] =
	    "give the container more memory (docker run --memory, Kubernetes: resources.limits), "
	    "or amlshim's mounts less (--memory)",
	[REMEDY_OPEN_FILES] =
	    "raise the limit of open files (docker run --ulimit nofile=65536:65536, fs.file-max "
	    "of the host)",
	[REMEDY_PROCESSES] =
	    "raise the limit of processes and threads (docker run --pids-limit, --ulimit nproc, "
	    "Kubernetes: podPidsLimit)",
	[REMEDY_CACHE_DIR] =
	    "set --cache-dir (AMLSHIM_CACHE_DIR) to a directory that can be made and written to: "
	    "outputs are staged there (Docker: a volume or --tmpfs, Kubernetes: emptyDir)",
	[REMEDY_RETRY_LATER] =
	    "try again later: the service is busy or unavailable, and amlshim's own retries "
	    "are used up",
	[REMEDY_KEEP_INPUT_STILL] =
	    "keep %r unchanged while the job reads it: write new data under a new name, or "
	    "use mode: download",
	[REMEDY_UPLOAD_BY_HAND] =
	    "upload the file with az storage blob upload: it is kept at the path named",
	[REMEDY_USE_HTTPS] =
	    "use https:// in %r: credentials are sent over plain HTTP to this machine only",
	[REMEDY_CHECK_COMMAND] =
	    "check the command: that the file is in the image, is executable, is for this "
	    "processor, and that its interpreter is there",
	[REMEDY_DATASTORE_FILE] =
	    "describe the datastore in a file and name it with --datastore FILE or "
	    "AMLSHIM_DATASTORES, or name its workspace: --workspace SUBSCRIPTION/GROUP/NAME "
	    "(amlshim plan asks it with --resolve only)",
	[REMEDY_ASK_WORKSPACE] =
	    "name the workspace that knows it: --workspace SUBSCRIPTION/GROUP/NAME, or the "
	    "variables AZUREML_ARM_... of Azure ML (amlshim plan asks it with --resolve only); or "
	    "write its place, azureml://datastores/NAME/paths/PATH",
	[REMEDY_GRANT_WORKSPACE] =
	    "give %i a role on the workspace of %r that allows "
	    "Microsoft.MachineLearningServices/workspaces/datastores/read and "
	    "datastores/listSecrets/action, such as \"AzureML Data Scientist\" (Reader does not)",
	[REMEDY_CHECK_WORKSPACE] =
	    "check the names in %r: subscription, resource group, workspace, and what the "
	    "workspace has (az ml datastore list, az ml data list)",
	[REMEDY_GRANT_VAULT] =
	    "give %i the role \"Key Vault Secrets User\" on %r, or where the vault has access "
	    "policies, \"get\" on secrets (az keyvault set-policy --secret-permissions get)",
	[REMEDY_OPEN_VAULT] =
	    "allow the compute's network in the firewall of the vault of %r (az keyvault "
	    "network-rule add), or reach it by a private endpoint in the compute's network",
	[REMEDY_CHECK_VAULT] =
	    "check %r in the datastore's credentials: vault, name and version of the secret "
	    "(az keyvault secret list)",
	[REMEDY_ENABLE_SECRET] =
	    "enable the secret %r (az keyvault secret set-attributes --enabled true), or name "
	    "another version of it",
	[REMEDY_RENEW_VAULT_SECRET] =
	    "set the right value of %r (az keyvault secret set)",
	[REMEDY_RETIRED_GEN1] =
	    "migrate the data to Azure Data Lake Storage Gen2: Gen1 was retired on 29 February "
	    "2024, and only a server that speaks WebHDFS can stand for it",
	[REMEDY_GRANT_GEN1_ACL] =
	    "give %i by access control lists r-x on %r (rwx to write) and --x on each directory "
	    "above it (az dls fs access set-entry): ADLS Gen1 has no data roles",
	[REMEDY_REHYDRATE] =
	    "rehydrate %r: move it out of the archive tier (az storage blob set-tier --tier "
	    "Hot) and wait until that is done",
	[REMEDY_CHECK_TENANT] =
	    "check that the resource asked for exists in the tenant and the cloud of %i "
	    "(tenant_id, AZURE_TENANT_ID, --cloud)",
	[REMEDY_CHECK_APPLICATION] =
	    "check the client id and the tenant of %i: the application has to exist in that "
	    "tenant, and the tenant in this cloud (--cloud)",
	[REMEDY_REGISTER_CERTIFICATE] =
	    "add the certificate of %i to its app registration (az ad app credential reset "
	    "--cert), and check that the datastore's thumbprint is that certificate's",
	[REMEDY_RENEW_CLIENT_SECRET] =
	    "make a new client secret for %i (az ad app credential reset) and store it with "
	    "the datastore (az ml datastore create)",
	[REMEDY_SIGN_IN_POLICY] =
	    "let %i obtain tokens without a person: leave it out of the Conditional Access "
	    "policy that the message names, or use a managed identity",
	[REMEDY_GRANT_CONSENT] =
	    "grant %i the consent of an administrator for the resource (az ad app permission "
	    "admin-consent)",
	[REMEDY_ADD_FEDERATION] =
	    "add a federated credential to %i with exactly the issuer, subject and audience "
	    "of the token (az identity federated-credential create)",
	[REMEDY_SUBMIT_AGAIN] =
	    "submit the job again: the sign-in of the person behind it has ended, and only "
	    "that person can renew it",
	[REMEDY_OMIT_SELECTOR] =
	    "leave the identity's id out (client_id, object_id, resource_id): the endpoint "
	    "of this machine has one identity and gives no other",
	[REMEDY_READ_ARC_KEY] =
	    "run amlshim as root or as a member of the group himds, with the directory "
	    "/var/opt/azcmagent/tokens of the host in the container",
	[REMEDY_PROJECT_TOKEN] =
	    "give the pod the label azure.workload.identity/use: \"true\" and a service "
	    "account with a federated credential, so that AZURE_FEDERATED_TOKEN_FILE, "
	    "AZURE_CLIENT_ID and AZURE_TENANT_ID are set and the file is there",
	[REMEDY_DESCRIBE_CLOUD] =
	    "name a known cloud with --cloud (AMLSHIM_CLOUD), or give it a JSON file that "
	    "describes the cloud: docs/IDENTITY.md has its members",
	[REMEDY_GRANT_ACR_PULL] =
	    "give %i the role \"AcrPull\" on %r (az role assignment create; a new assignment "
	    "needs up to 10 minutes)",
	[REMEDY_CODE_SNAPSHOT] =
	    "restore the code in %r, or write its snapshot again with amlshim snapshot if the "
	    "change is wanted",
	[REMEDY_REPORT_BUG] =
	    "report this as a bug of amlshim, with the output of amlshim version and of the "
	    "same run with -vv",
};

/* The start of a field's last characters: "..." says that text was cut. */
static void
mark_cut(char *text, size_t size)
{
	size_t end = size - 4;

	/* Not in the middle of a UTF-8 character. */
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	memcpy(text + end, "...", 4);
}

static void __attribute__((format(printf, 3, 0)))
set_text(char *field, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(field, size, fmt, ap);

	if (n < 0)
		field[0] = '\0';
	else if ((size_t)n >= size)
		mark_cut(field, size);
}

static void __attribute__((format(printf, 3, 4)))
set_field(char *field, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(field, size, fmt, ap);
	va_end(ap);
}

int
err_set(struct err *err, enum err_kind kind, enum err_remedy remedy, const char *op,
    const char *cause_fmt, ...)
{
	struct err new = ERR_EMPTY;	/* the arguments may point into *err */
	va_list ap;

	if (err == NULL)
		return (-1);
	new.kind = kind;
	new.remedy = remedy;
	set_field(new.op, sizeof(new.op), "%s", op != NULL ? op : "");
	va_start(ap, cause_fmt);
	set_text(new.cause, sizeof(new.cause), cause_fmt, ap);
	va_end(ap);
	*err = new;
	return (-1);
}

/* What is used up.  EAGAIN is what fork and pthread_create say. */
static enum err_remedy
remedy_of(int e)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
		return (REMEDY_FREE_DISK);
	case ENOMEM:
		return (REMEDY_MORE_MEMORY);
	case EMFILE:
	case ENFILE:
		return (REMEDY_OPEN_FILES);
	case EAGAIN:
		return (REMEDY_PROCESSES);
	default:
		return (REMEDY_NONE);
	}
}

int
err_errno(struct err *err, const char *op, const char *resource)
{
	int e = errno;

	err_set(err, ERR_SYSTEM, remedy_of(e), op, "%s", strerror(e));
	if (err != NULL)
		err->sys_errno = e;
	if (resource != NULL)
		err_on(err, "%s", resource);
	errno = e;
	return (-1);
}

int
err_on(struct err *err, const char *resource_fmt, ...)
{
	va_list ap;

	if (err == NULL || err->resource[0] != '\0')
		return (-1);
	va_start(ap, resource_fmt);
	set_text(err->resource, sizeof(err->resource), resource_fmt, ap);
	va_end(ap);
	return (-1);
}

int
err_as(struct err *err, const char *identity_label)
{
	if (err != NULL && err->identity[0] == '\0' && identity_label != NULL)
		set_field(err->identity, sizeof(err->identity), "%s", identity_label);
	return (-1);
}

int
err_doing(struct err *err, const char *op)
{
	if (err != NULL && err->op[0] == '\0' && op != NULL)
		set_field(err->op, sizeof(err->op), "%s", op);
	return (-1);
}

void
err_seal(struct err *err)
{
	err->op[sizeof(err->op) - 1] = '\0';
	err->resource[sizeof(err->resource) - 1] = '\0';
	err->identity[sizeof(err->identity) - 1] = '\0';
	err->cause[sizeof(err->cause) - 1] = '\0';
}

/* A text of bounded size; what does not fit is marked when it is done. */
struct out {
	char	*text;
	size_t	 size, len;
	int	 cut;
};

static void
out_char(struct out *o, const char *bytes, size_t n)
{
	if (o->cut || o->len + n >= o->size) {
		o->cut = 1;
		return;
	}
	memcpy(o->text + o->len, bytes, n);
	o->len += n;
}

/* What came from elsewhere may not break the line nor command the terminal. */
static void
out_add(struct out *o, const char *s)
{
	size_t n, left = strlen(s);

	for (; left > 0; s += n, left -= n) {
		n = str_utf8_printable(s, left);
		if (n > 0)
			out_char(o, s, n);
		else {
			n = 1;
			out_char(o, (unsigned char)*s < 0x80 ? " " : "?", 1);
		}
	}
}

static const char *
out_done(struct out *o)
{
	if (o->size == 0)
		return ("");
	o->text[o->len] = '\0';
	if (!o->cut)
		return (o->text);
	if (o->size < 4)
		o->text[0] = '\0';
	else {
		if (o->len > o->size - 4)
			mark_cut(o->text, o->size);
		else
			memcpy(o->text + o->len, "...", 4);
	}
	return (o->text);
}

/* A URL as far as the container; anything else is left whole. */
static void
cut_to_container(char *resource)
{
	struct arena mem = ARENA_EMPTY;
	char *path = strstr(resource, "://");
	struct uri u;
	int segments;

	if (path != NULL && (path = strchr(path + 3, '/')) != NULL) {
		segments = uri_parse(&u, arena_strndup(&mem, resource, (size_t)(path - resource)),
		    &mem) == 0 && uri_is_path_style_host(u.host) ? 2 : 1;
		for (; segments > 0 && *path == '/'; segments--)
			path += 1 + strcspn(path + 1, "/ ");
		*path = '\0';
	}
	arena_done(&mem);
}

/* 1: the directive letter was one, and is written. */
static int
out_directive(struct out *o, char letter, const struct err *err)
{
	char container[sizeof(err->resource)];

	switch (letter) {
	case 'r':
		out_add(o, err->resource[0] != '\0' ? err->resource : "the resource");
		return (1);
	case 'c':
		memcpy(container, err->resource, sizeof(container));
		cut_to_container(container);
		out_add(o, container[0] != '\0' ? container : "the resource");
		return (1);
	case 'i':
		out_add(o, err->identity[0] != '\0' ? err->identity : "the identity");
		return (1);
	default:
		return (0);
	}
}

static void
out_remedy(struct out *o, const struct err *err)
{
	const char *t = err_remedy_template(err->remedy);
	char piece[2] = "";

	for (; *t != '\0'; t++) {
		if (t[0] == '%' && out_directive(o, t[1], err)) {
			t++;
		} else {
			piece[0] = *t;
			out_add(o, piece);
		}
	}
}

const char *
err_remedy_text(const struct err *err, char *buf, size_t size)
{
	struct out o = { .text = buf, .size = size };

	out_remedy(&o, err);
	return (out_done(&o));
}

void
err_fold_remedy(struct err *err)
{
	char text[sizeof(err->cause)], both[2 * sizeof(err->cause)];

	err_remedy_text(err, text, sizeof(text));
	err->remedy = REMEDY_NONE;
	if (text[0] == '\0')
		return;
	str_format(both, sizeof(both), "%s%s%s", err->cause, err->cause[0] != '\0' ? "; " : "",
	    text);
	set_field(err->cause, sizeof(err->cause), "%s", both);
}

const char *
err_remedy_template(enum err_remedy remedy)
{
	if ((unsigned int)remedy >= REMEDIES || remedies[remedy] == NULL)
		return ("");
	return (remedies[remedy]);
}

const char *
err_kind_name(enum err_kind kind)
{
	if ((unsigned int)kind >= ERR_KINDS)
		return ("unknown");
	return (kind_names[kind]);
}

static void
out_failure(struct out *o, const struct err *err)
{
	if (err->op[0] != '\0') {
		out_add(o, "cannot ");
		out_add(o, err->op);
	} else {
		out_add(o, err_kind_name(err->kind));
		out_add(o, " failure");
	}
	if (err->resource[0] != '\0') {
		out_add(o, err->op[0] != '\0' ? " " : " at ");
		out_add(o, err->resource);
	}
	if (err->identity[0] != '\0') {
		out_add(o, " as ");
		out_add(o, err->identity);
	}
}

const char *
err_line(const struct err *err, char *buf, size_t size)
{
	struct out o = { .text = buf, .size = size };
	const char *cause = err->cause;
	char status[16];

	out_failure(&o, err);
	if (cause[0] == '\0' && err->sys_errno != 0)
		cause = strerror(err->sys_errno);
	if (err->http_status != 0 || cause[0] != '\0')
		out_add(&o, ": ");
	if (err->http_status != 0) {
		str_format(status, sizeof(status), "%d", err->http_status);
		out_add(&o, status);
		if (cause[0] != '\0')
			out_add(&o, " ");
	}
	out_add(&o, cause);
	if (err_remedy_template(err->remedy)[0] != '\0') {
		out_add(&o, "; ");
		out_remedy(&o, err);
	}
	return (out_done(&o));
}

int
err_exit_status(const struct err *err)
{
	if ((unsigned int)err->kind >= ERR_KINDS)
		return (125);
	return (exit_statuses[err->kind]);
}
