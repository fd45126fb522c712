/*
 * A service principal with a certificate, cached with the datastore: see entra.h, assertion.h.
 */

#include <string.h>

#include "base/clock.h"
#include "identity/assertion.h"
#include "identity/entra.h"
#include "identity/source.h"

static int
detect(const struct facts *facts)
{
	(void)facts;
	return (1);
}

struct signing {
	const struct facts *facts;
	const struct plan_identity *identity;
};

/* AD FS knows neither PS256 nor x5t#S256: its endpoints have the path /adfs. */
static enum assertion_alg
choose_alg(const struct facts *facts, const char *endpoint)
{
	return (facts->assertion_rs256 || strstr(endpoint, "/adfs/") != NULL ?
	    ASSERTION_RS256 : ASSERTION_PS256);
}

static int
make_assertion(void *arg, const char *endpoint, struct secret *ret, struct err *err)
{
	const struct signing *s = arg;
	const struct assertion_request req = { .pem = s->identity->secret.text,
	    .pem_len = s->identity->secret.len, .thumbprint = s->identity->thumbprint,
	    .client_id = s->identity->client_id, .audience = endpoint,
	    .alg = choose_alg(s->facts, endpoint), .now_unix_s = clock_wall_s() };
	unsigned char random[ASSERTION_RANDOM_SIZE];

	if (secret_random_bytes(random, sizeof(random), err) != 0)
		return (-1);
	return (assertion_make(&req, random, ret, err));
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct signing signing = { facts, identity };
	struct entra_request req = { .authority = identity->authority_url != NULL ?
	    identity->authority_url : facts_cloud(facts)->authority,
	    .tenant = identity->tenant_id, .client_id = identity->client_id,
	    .resource = resource, .assertion = make_assertion, .arg = &signing };

	return (entra_acquire(http, &req, deadline_ms, ret, err));
}

const struct source source_certificate = {
	.name = "Entra ID", .kind = PLAN_ID_CERTIFICATE,
	.detect = detect, .acquire = acquire,
};
