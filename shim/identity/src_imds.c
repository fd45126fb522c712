/*
 * The VM's metadata service: GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=R,
 * header Metadata: true.  404 and 410 come while it is being updated, 410 for up to 70 s.
 * MicrosoftDocs/entra-docs docs/identity/managed-identities-azure-resources/how-to-use-vm-token.md.
 */

#include <string.h>

#include "base/clock.h"
#include "identity/source.h"
#include "plan/issuer.h"

#define DEFAULT_HOST	"http://169.254.169.254"
#define TOKEN_PATH	"/metadata/identity/oauth2/token"
#define PROBE_MS	3000		/* a first packet that is lost is sent again after 1 s */
#define UPDATING_MS	90000
#define BUSY_MS		1000		/* "wait at least one second before retrying" */

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_IMDS);	/* acquire() probes */
}

static int
prepare_probe(struct http_call *call, struct http_request *req, struct err *err)
{
	(void)err;
	req->method = "GET";	/* without Metadata: any answer at all shows that it is there */
	req->url = call->arg;
	req->no_proxy = 1;
	return (0);
}

static enum http_verdict
judge_probe(struct http_call *call, const struct http_response *res, int *ret_delay_ms)
{
	(void)call;
	(void)res;
	(void)ret_delay_ms;
	return (HTTP_OK);
}

static int
probe(struct http *http, const char *url, struct err *err)
{
	struct http_call call = { .op = "reach the metadata service", .prepare = prepare_probe,
	    .judge = judge_probe, .arg = (void *)(uintptr_t)url, .max_tries = 1,
	    .deadline_ms = clock_ms() + PROBE_MS };
	struct err failure = ERR_EMPTY;
	int failed = http_do(http, &call, &failure);

	http_call_done(&call);
	if (failed == 0)
		return (0);
	err_set(err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "find a token endpoint",
	    "the environment shows no token endpoint (MSI_ENDPOINT, IDENTITY_ENDPOINT, "
	    "AZURE_FEDERATED_TOKEN_FILE), and the metadata service does not answer: %s",
	    failure.cause);
	return (err_on(err, "%s", url));
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	static const int updating[] = { 404, 410, 0 };
	struct arena mem = ARENA_EMPTY;
	struct source_call call = { .metadata = 1, .transient = updating,
	    .transient_ms = UPDATING_MS, .busy_ms = BUSY_MS };
	const char *host = facts->pod_identity_authority_host, *base;
	size_t len;
	int failed = 0;

	if (host == NULL)
		host = DEFAULT_HOST;
	for (len = strlen(host); len != 0 && host[len - 1] == '/'; len--)
		;
	base = arena_printf(&mem, "%.*s" TOKEN_PATH, (int)len, host);
	call.url = source_url_add(base, "api-version", "2018-02-01", &mem);
	call.url = source_url_add(call.url, "resource", resource, &mem);
	if (identity->client_id != NULL)
		call.url = source_url_add(call.url, "client_id", identity->client_id, &mem);
	else if (identity->object_id != NULL)
		call.url = source_url_add(call.url, "object_id", identity->object_id, &mem);
	else if (identity->resource_id != NULL)
		call.url = source_url_add(call.url, "msi_res_id", identity->resource_id, &mem);
	if (facts->pod_identity_authority_host == NULL)
		failed = probe(http, base, err);
	if (failed == 0)
		failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_imds = {
	.name = "the VM's metadata service", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
