/*
 * Answers of a workspace and refusals of a control plane: what is taken is text that ends, what is
 * not has a cause.  A datastore that is taken is looked at as init does.
 */

#include "azure/arm.h"
#include "base/mem.h"
#include "fuzz.h"

static void
check_datastore(const struct wire_datastore *w)
{
	const struct spec_datastore ds = { .name = w->name, .account = w->account,
	    .container = w->container, .protocol = "https",
	    .endpoint = w->endpoint[0] != '\0' ? w->endpoint : NULL,
	    .type = (enum spec_store_type)w->type,
	    .credential = (enum spec_credential)w->credential, .tenant_id = w->tenant_id,
	    .client_id = w->client_id, .thumbprint = w->thumbprint };
	const char *flaw = spec_datastore_flaw(&ds);

	must(wire_is_text(w->name, sizeof(w->name)));
	must(wire_is_text(w->endpoint, sizeof(w->endpoint)));
	must(wire_is_text(w->resource_url, sizeof(w->resource_url)));
	must(flaw == NULL || flaw[0] != '\0');
	if (flaw == NULL)
		must(strpbrk(w->account, "/.@:") == NULL && strpbrk(w->container, "/.@:") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *body = (const char *)data;
	struct arm_secret secret = { .kind = SPEC_CRED_NONE };
	struct rest_refusal refusal;
	struct wire_datastore ds;
	struct wire_asset asset;
	struct err err = ERR_EMPTY;
	char oid[64], action[128], text[256];

	if (arm_read_datastore(body, size, &ds, &err) == 0)
		check_datastore(&ds);
	else
		must(err.kind != ERR_NONE && err.cause[0] != '\0');
	if (arm_read_default(body, size, &ds, &err) == 0)
		check_datastore(&ds);
	if (arm_read_asset(body, size, 0, &asset, &err) == 0)
		must(asset.uri[0] != '\0' && wire_is_text(asset.uri, sizeof(asset.uri)));
	if (arm_read_asset(body, size, 1, &asset, &err) == 0)
		must(asset.uri[0] != '\0' && wire_is_text(asset.uri, sizeof(asset.uri)));
	if (arm_read_secret(body, size, &secret, &err) == 0)
		must(spec_secret_flaw(secret.kind, secret.text.text, secret.text.len) == NULL);
	secret_done(&secret.text);
	rest_read_refusal(body, size, &refusal);
	must(strpbrk(rest_refusal_text(&refusal, text, sizeof(text)), "\r\n\x1b") == NULL);
	if (arm_read_denial(refusal.message, oid, action) == 0)
		must(oid[0] != '\0' && action[0] != '\0');
	return (0);
}
