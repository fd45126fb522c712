/*
 * Azure ML compute: GET $MSI_ENDPOINT?api-version=2017-09-01&resource=R&clientid=C, with the
 * header "secret".  The client id is sent even for the system-assigned identity, or the body comes
 * back empty.
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/azure_ml.go.
 */

#include "identity/source.h"
#include "plan/issuer.h"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_AML);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct source_call call = { .header_name = "secret", .header_value = facts->msi_secret.text,
	    .metadata = 1 };
	int failed;

	if (identity->client_id == NULL &&
	    (identity->object_id != NULL || identity->resource_id != NULL))
		return (err_set(err, ERR_USAGE, REMEDY_NAME_ASSIGNED_IDENTITY, "get a token",
		    "the Azure ML endpoint selects identities by client id only"));
	call.url = source_url_add(facts->msi_endpoint, "api-version", "2017-09-01", &mem);
	call.url = source_url_add(call.url, "resource", resource, &mem);
	if (identity->client_id != NULL)
		call.url = source_url_add(call.url, "clientid", identity->client_id, &mem);
	failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_aml = {
	.name = "Azure ML endpoint (MSI_ENDPOINT)", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
