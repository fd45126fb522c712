/*
 * Workload identity: a Kubernetes service account's token is exchanged at Entra ID (entra.h).  The
 * kubelet rotates the file: it is read again for every request.
 * Azure/azure-workload-identity pkg/webhook/consts.go; Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/workload_identity.py.
 */

#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "identity/entra.h"
#include "identity/source.h"
#include "plan/issuer.h"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_WORKLOAD);
}

static int
complain(struct err *err, const char *file, const char *cause)
{
	err_set(err, ERR_NO_IDENTITY, REMEDY_PROJECT_TOKEN, "read the federated token", "%s",
	    cause);
	return (err_on(err, "%s", file));
}

static int
read_token(void *arg, const char *audience, struct secret *ret, struct err *err)
{
	const char *file = arg;
	auto_buf struct buf text = BUF_EMPTY;
	struct err why = ERR_EMPTY;
	struct stat st;
	size_t len;

	(void)audience;
	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))	/* a pipe would keep us waiting */
		return (complain(err, file, "it is no regular file"));
	if (fd_read_file(file, SECRET_MAX, &text, &why) != 0)
		return (complain(err, file, why.cause));
	len = str_trim_end(text.data, text.len);
	if (len == 0)
		return (complain(err, file, "it is empty"));
	if (!str_is_visible(text.data, len))
		return (complain(err, file, "it holds something else than a token"));
	return (secret_set(ret, text.data, len, err));
}

static int
incomplete(struct err *err, const char *variable)
{
	err_set(err, ERR_NO_IDENTITY, REMEDY_PROJECT_TOKEN, "get a token",
	    "AZURE_FEDERATED_TOKEN_FILE is set, %s is not", variable);
	return (err_on(err, "%s", variable));
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct entra_request req = { .authority = facts->authority_host != NULL ?
	    facts->authority_host : facts_cloud(facts)->authority, .tenant = facts->tenant_id,
	    .client_id = identity->client_id != NULL ? identity->client_id : facts->client_id,
	    .resource = resource, .assertion = read_token,
	    .arg = (void *)(uintptr_t)facts->federated_token_file };

	if (identity->client_id == NULL &&
	    (identity->object_id != NULL || identity->resource_id != NULL))
		return (err_set(err, ERR_USAGE, REMEDY_NAME_ASSIGNED_IDENTITY, "get a token",
		    "workload identity selects an identity by client id only"));
	if (req.tenant == NULL)
		return (incomplete(err, "AZURE_TENANT_ID"));
	if (req.client_id == NULL)
		return (incomplete(err, "AZURE_CLIENT_ID"));
	return (entra_acquire(http, &req, deadline_ms, ret, err));
}

const struct source source_workload = {
	.name = "Entra ID, by workload identity", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
