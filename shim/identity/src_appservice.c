/*
 * App Service and online endpoints: GET $IDENTITY_ENDPOINT?api-version=2019-08-01&resource=R, with
 * the header X-IDENTITY-HEADER.  Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/app_service.py.
 */

#include "identity/source.h"
#include "plan/issuer.h"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_APPSERVICE);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct source_call call = { .header_name = "X-IDENTITY-HEADER",
	    .header_value = facts->identity_header.text, .metadata = 1 };
	int failed;

	call.url = source_url_add(facts->identity_endpoint, "api-version", "2019-08-01", &mem);
	call.url = source_url_add(call.url, "resource", resource, &mem);
	if (identity->client_id != NULL)
		call.url = source_url_add(call.url, "client_id", identity->client_id, &mem);
	else if (identity->object_id != NULL)
		call.url = source_url_add(call.url, "object_id", identity->object_id, &mem);
	else if (identity->resource_id != NULL)
		call.url = source_url_add(call.url, "mi_res_id", identity->resource_id, &mem);
	failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_appservice = {
	.name = "App Service endpoint (IDENTITY_ENDPOINT)", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
