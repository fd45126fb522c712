#include "entra.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "form.h"

#define PATH		"/oauth2/v2.0/token"
#define DISCOVERY	"/v2.0/.well-known/openid-configuration"
#define DEFAULT_SCOPE	"/.default"
#define JSON_TYPE	"application/json; charset=utf-8"
#define LIFETIME_S	3599
#define ASSERTION_TYPE	"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* The words of reference-error-codes.md, and those that the service is seen to send. */
static const struct refusal {
	int	 code, status;
	const char *error, *text;
} refusals[] = {
	{ 900561, 400, "invalid_request", "The endpoint only accepts POST requests." },
	{ 900144, 400, "invalid_request", "The request body must contain the following parameter: "
	    "'%s'." },
	{ 90014, 400, "invalid_request", "The required field is missing or given twice." },
	{ 90002, 400, "invalid_request", "Tenant '%s' not found. Check to make sure you have the "
	    "correct tenant ID and are signing into the correct cloud." },
	{ 70003, 400, "unsupported_grant_type", "The app requested an unsupported grant type "
	    "'%s'." },
	{ 700016, 400, "unauthorized_client", "Application with identifier '%s' was not found in "
	    "the directory." },
	{ 1002012, 400, "invalid_scope", "The provided value for scope %s is not valid. Client "
	    "credential flows must have a scope value with /.default suffixed to the resource "
	    "identifier (application ID URI)." },
	{ 500011, 400, "invalid_resource", "The resource principal named %s was not found in the "
	    "tenant." },
	{ 7000218, 401, "invalid_client", "The request body must contain the following parameter: "
	    "'client_assertion' or 'client_secret'." },
	{ 7000215, 401, "invalid_client", "Invalid client secret provided. Ensure the secret being "
	    "sent in the request is the client secret value, not the client secret ID." },
	{ 7000222, 401, "invalid_client", "The provided client secret keys for app '%s' are "
	    "expired." },
	{ 50027, 401, "invalid_client", "JWT token is invalid or malformed." },
	{ 700027, 401, "invalid_client", "The certificate with identifier used to sign the client "
	    "assertion is not registered on application." },
	{ 700024, 401, "invalid_client", "Client assertion is not within its valid time range." },
	{ 700023, 401, "invalid_client", "Client assertion audience claim does not match Realm "
	    "issuer." },
	{ 700021, 401, "invalid_client", "Client assertion application identifier doesn't match "
	    "'client_id' parameter." },
	{ 70021, 401, "invalid_client", "No matching federated identity record found for presented "
	    "assertion." },
};

int
entra_is_path(const char *path)
{
	const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;

	return (slash != NULL && slash != path + 1 &&
	    (strcmp(slash, PATH) == 0 || strcmp(slash, DISCOVERY) == 0));
}

static int
send_refusal(struct exchange *ex, const struct refusal *r, const char *description)
{
	static const char trace[] = "f0e1d2c3-0000-4000-8000-0123456789ab";
	static const char correlation[] = "c0ffee00-0000-4000-8000-ba9876543210";
	auto_buf struct buf body = BUF_EMPTY;
	char now[CLOCK_ISO8601_SIZE];
	struct json_out out;

	clock_format_iso8601(clock_wall_s(), now);
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "error", r->error);
	json_out_kstring(&out, "error_description", arena_printf(&ex->mem,
	    "AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", r->code, description,
	    trace, correlation, now));
	json_out_key(&out, "error_codes");
	json_out_begin(&out, '[');
	json_out_int(&out, r->code);
	json_out_end(&out, ']');
	json_out_kstring(&out, "timestamp", now);
	json_out_kstring(&out, "trace_id", trace);
	json_out_kstring(&out, "correlation_id", correlation);
	json_out_kstring(&out, "error_uri", arena_printf(&ex->mem,
	    "https://login.microsoftonline.com/error?code=%d", r->code));
	json_out_end(&out, '}');
	return (answer(ex, r->status, JSON_TYPE, body.data, body.len));
}

/* about stands for %s, where the text has one. */
static int
fail(struct exchange *ex, int code, const char *about)
{
	auto_buf struct buf text = BUF_EMPTY;
	const struct refusal *r = refusals;
	const char *at;

	while (r->code != code)
		r++;
	ex->code = arena_printf(&ex->mem, "AADSTS%d", code);
	at = strstr(r->text, "%s");
	if (at == NULL)
		buf_adds(&text, r->text);
	else
		buf_printf(&text, "%.*s%s%s", (int)(at - r->text), r->text, about, at + 2);
	return (send_refusal(ex, r, buf_str(&text)));
}

static int
give(struct exchange *ex, const struct app *app, const char *resource)
{
	auto_buf struct buf token = BUF_EMPTY, body = BUF_EMPTY;
	int64_t knob = ex->sim->knobs.token_lifetime_s, life = knob > 0 ? knob : LIFETIME_S;
	struct jwt_claims claims;
	struct json_out out;

	people_claims(&ex->sim->people, &app->person, resource, life, &claims);
	jwt_mint(&ex->sim->people.key, &claims, &token);
	str_format(ex->oid, sizeof(ex->oid), "%s", app->person.object_id);
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "token_type", "Bearer");
	json_out_kint(&out, "expires_in", life);
	json_out_kint(&out, "ext_expires_in", life);
	json_out_kstring(&out, "access_token", buf_str(&token));
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

/* The token endpoint's URL as the client named it. */
static const char *
audience(struct exchange *ex)
{
	const char *host = exchange_header(ex, "host");

	return (arena_printf(&ex->mem, "https://%s%s", host != NULL ? host : "", ex->req->path));
}

/* 0, or the AADSTS code. */
static int
prove(struct exchange *ex, const struct app *app, const struct pairs *form)
{
	const char *secret = pairs_get(form, "client_secret");
	const char *assertion = pairs_get(form, "client_assertion");
	const char *type = pairs_get(form, "client_assertion_type");
	struct apps *apps = &ex->sim->apps;

	if ((secret == NULL) == (assertion == NULL) ||
	    (assertion != NULL && (type == NULL || strcmp(type, ASSERTION_TYPE) != 0)))
		return (7000218);
	ex->auth = AUTH_SECRET;
	if (secret != NULL)
		switch (apps_check_secret(apps, app, secret)) {
		case PROOF_OK:
			return (0);
		case PROOF_WRONG:
			return (7000215);
		case PROOF_EXPIRED:
			return (7000222);
		}
	if (apps_is_federated(apps, app, assertion))
		return (0);
	return (app->has_cert ? apps_check_assertion(app, assertion, audience(ex)) : 70021);
}

static int
grant(struct exchange *ex, const char *tenant, const struct pairs *form)
{
	static const char *const needed[] = { "grant_type", "client_id", "scope" };
	const char *grant_type = pairs_get(form, "grant_type"), *scope = pairs_get(form, "scope");
	const char *id = pairs_get(form, "client_id");
	struct app *app;
	size_t i;
	int code;

	for (i = 0; i < LENGTH(needed); i++)
		if (pairs_get(form, needed[i]) == NULL || pairs_get(form, needed[i])[0] == '\0')
			return (fail(ex, 900144, needed[i]));
	if (strcmp(grant_type, "client_credentials") != 0)
		return (fail(ex, 70003, grant_type));
	app = apps_find(&ex->sim->apps, id);
	if (app == NULL || !str_same(app->person.tenant, tenant))
		return (fail(ex, 700016, id));
	if (!str_ends(scope, DEFAULT_SCOPE) || strchr(scope, ' ') != NULL)
		return (fail(ex, 1002012, scope));
	code = prove(ex, app, form);
	if (code != 0)
		return (fail(ex, code, id));
	scope = arena_strndup(&ex->mem, scope, strlen(scope) - strlen(DEFAULT_SCOPE));
	if (!people_knows_resource(scope))
		return (fail(ex, 500011, scope));
	return (give(ex, app, scope));
}

static int
is_tenant(const struct exchange *ex, const char *tenant)
{
	const struct app *app;

	for (app = ex->sim->apps.list; app != NULL; app = app->next)
		if (str_same(app->person.tenant, tenant))
			return (1);
	return (str_same(ex->sim->people.tenant, tenant));
}

/* entra-docs docs/identity-platform/v2-protocols-oidc.md: what MSAL reads of it. */
static int
discover(struct exchange *ex, const char *tenant)
{
	const char *host = exchange_header(ex, "host");
	auto_buf struct buf body = BUF_EMPTY;
	const char *base = arena_printf(&ex->mem, "https://%s/%s", host != NULL ? host : "",
	    tenant);
	struct json_out out;

	if (strcmp(ex->req->method, "GET") != 0)
		return (answer(ex, 405, NULL, "", 0));
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "token_endpoint", arena_printf(&ex->mem, "%s" PATH, base));
	json_out_kstring(&out, "authorization_endpoint", arena_printf(&ex->mem,
	    "%s/oauth2/v2.0/authorize", base));
	json_out_kstring(&out, "jwks_uri", arena_printf(&ex->mem, "%s/discovery/v2.0/keys", base));
	json_out_kstring(&out, "issuer", arena_printf(&ex->mem, "%s/v2.0", base));
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

int
entra_handle(struct exchange *ex)
{
	const char *path = ex->req->path + 1;
	const char *tenant = arena_strndup(&ex->mem, path, strcspn(path, "/"));
	struct pairs form = { NULL, 0 };
	int failed;

	if (ex->peer->tls == NULL)
		return (-1);		/* nobody answers on that port */
	if (str_ends(path, DISCOVERY)) {
		ex->op = "EntraDiscovery";
		return (is_tenant(ex, tenant) ? discover(ex, tenant) : fail(ex, 90002, tenant));
	}
	if (strcmp(ex->req->method, "POST") != 0)
		return (fail(ex, 900561, ""));
	failed = form_read(ex, &form);
	if (failed == -2)
		failed = fail(ex, 90014, "");
	else if (failed == 0 || failed == -1)
		failed = !is_tenant(ex, tenant) ? fail(ex, 90002, tenant) :
		    grant(ex, tenant, &form);
	pairs_done(&form);
	return (failed);
}
