/*
 * A service principal with a client secret, cached with the datastore:
 * POST AUTHORITY/TENANT/oauth2/v2.0/token, grant_type=client_credentials.
 * MicrosoftDocs/entra-docs docs/identity-platform/v2-oauth2-client-creds-grant-flow.md.
 */

#include <string.h>

#include "base/uri.h"
#include "identity/source.h"

#define DEFAULT_AUTHORITY	"https://login.microsoftonline.com"

static int
detect(const struct facts *facts)
{
	(void)facts;
	return (1);
}

static void
add_field(struct buf *form, const char *name, const char *value)
{
	buf_printf(form, "%s%s=", form->len == 0 ? "" : "&", name);
	uri_encode(form, value, strlen(value), 0);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	auto_buf struct buf form = BUF_EMPTY;
	const char *authority = identity->authority_url;
	struct source_call call = { .use_proxy = 1 };
	size_t len;
	int failed;

	(void)facts;
	if (authority == NULL)
		authority = DEFAULT_AUTHORITY;
	if (!str_starts(authority, "https://")) {
		err_set(err, ERR_USAGE, REMEDY_USE_HTTPS, "get a token",
		    "a client secret goes over https only");
		return (err_on(err, "%s", authority));
	}
	for (len = strlen(authority); authority[len - 1] == '/'; len--)
		;
	call.url = arena_printf(&mem, "%.*s/%s/oauth2/v2.0/token", (int)len, authority,
	    identity->tenant_id);
	add_field(&form, "grant_type", "client_credentials");
	add_field(&form, "client_id", identity->client_id);
	add_field(&form, "client_secret", identity->secret.text);
	add_field(&form, "scope", arena_printf(&mem, "%s/.default", resource));
	call.form = buf_str(&form);
	failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_secret = {
	.name = "Entra ID", .kind = PLAN_ID_SERVICE_PRINCIPAL,
	.detect = detect, .acquire = acquire,
};
