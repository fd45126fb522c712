/*
 * A service principal with a client secret, cached with the datastore: see entra.h.
 */

#include "identity/entra.h"
#include "identity/source.h"

static int
detect(const struct facts *facts)
{
	(void)facts;
	return (1);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct entra_request req = { .authority = identity->authority_url != NULL ?
	    identity->authority_url : facts_cloud(facts)->authority,
	    .tenant = identity->tenant_id, .client_id = identity->client_id,
	    .resource = resource, .secret = &identity->secret };

	return (entra_acquire(http, &req, deadline_ms, ret, err));
}

const struct source source_secret = {
	.name = "Entra ID", .kind = PLAN_ID_SERVICE_PRINCIPAL,
	.detect = detect, .acquire = acquire,
};
