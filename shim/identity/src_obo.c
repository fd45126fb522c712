/*
 * The submitter's token on Azure ML compute: GET $OBO_ENDPOINT?resource=R, no secret, no version.
 * Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/identity/_credentials/aml_on_behalf_of.py.
 */

#include "identity/source.h"

static int
detect(const struct facts *facts)
{
	return (facts->obo_endpoint != NULL);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct source_call call = { .metadata = 0 };
	int failed;

	(void)identity;
	call.url = source_url_add(facts->obo_endpoint, "resource", resource, &mem);
	failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_obo = {
	.name = "the on-behalf-of endpoint (OBO_ENDPOINT)", .kind = PLAN_ID_USER,
	.detect = detect, .acquire = acquire,
};
