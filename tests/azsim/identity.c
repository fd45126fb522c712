#include "identity.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "arc.h"
#include "base/clock.h"
#include "base/json.h"
#include "entra.h"
#include "form.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define LIFETIME_S	86400	/* entra-docs "managed-identity-best-practice": about 24 h */
#define LIFETIME_USER_S	4500

enum expiry { EXPIRY_TEXT, EXPIRY_NUMBER };

/* error, error_description: OAuth's shape, as IMDS has it. */
int
identity_fail(struct exchange *ex, int status, const char *error, const char *description)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	ex->code = error;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "error", error);
	json_out_kstring(&out, "error_description", description);
	json_out_end(&out, '}');
	return (answer(ex, status, JSON_TYPE, body.data, body.len));
}

/* statusCode, message: azure-docs "How to use managed identities for App Service". */
static int
fail_appservice(struct exchange *ex, int status, const char *message)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	ex->code = "AppServiceError";
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kint(&out, "statusCode", status);
	json_out_kstring(&out, "message", message);
	json_out_kstring(&out, "correlationId", ex->request_id);
	json_out_end(&out, '}');
	return (answer(ex, status, JSON_TYPE, body.data, body.len));
}

/* What the Azure ML endpoint says of an identity it cannot find: azure-sdk-for-python 30427. */
static int
fail_aml(struct exchange *ex)
{
	ex->code = "InternalError";
	return (answer_text(ex, 500, "text/plain", "InternalError - :{\n"
	    "  \"error\": \"failed to get token from MSI, status code: 404\"\n}\n"));
}

static int64_t
lifetime_of(const struct exchange *ex, const struct person *who)
{
	int64_t knob = ex->sim->knobs.token_lifetime_s;

	if (knob > 0)
		return (knob);
	return (who->kind == PERSON_USER ? LIFETIME_USER_S : LIFETIME_S);
}

static void
add_number(struct json_out *out, const char *key, int64_t n, enum expiry form)
{
	char text[24];

	str_format(text, sizeof(text), "%" PRId64, n);
	if (form == EXPIRY_NUMBER)
		json_out_kint(out, key, n);
	else
		json_out_kstring(out, key, text);
}

/* The answer of one endpoint: which fields it has beside the four that all have. */
struct token_shape {
	enum expiry expires_on;
	int	 has_client_id, has_times;	/* expires_in, ext_expires_in, not_before */
};

static int
give_token(struct exchange *ex, const struct person *who, const char *resource,
    const struct token_shape *shape)
{
	auto_buf struct buf token = BUF_EMPTY, body = BUF_EMPTY;
	struct jwt_claims claims;
	struct json_out out;
	int64_t life = lifetime_of(ex, who);
	int failed;

	people_claims(&ex->sim->people, who, resource, life, &claims);
	jwt_mint(&ex->sim->people.key, &claims, &token);
	str_format(ex->oid, sizeof(ex->oid), "%s", who->object_id);
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "access_token", buf_str(&token));
	if (shape->has_client_id)
		json_out_kstring(&out, "client_id", who->client_id);
	if (shape->has_times) {
		add_number(&out, "expires_in", life, shape->expires_on);
		add_number(&out, "ext_expires_in", life, shape->expires_on);
		add_number(&out, "not_before", claims.nbf, shape->expires_on);
	}
	add_number(&out, "expires_on", claims.exp, shape->expires_on);
	json_out_kstring(&out, "resource", resource);
	json_out_kstring(&out, "token_type", "Bearer");
	json_out_end(&out, '}');
	failed = answer(ex, 200, JSON_TYPE, body.data, body.len);
	return (failed);
}

/* One selector, by the names that this endpoint knows; -1: more than one. */
static int
read_selector(const struct exchange *ex, struct person_selector *ret)
{
	const char *mi = exchange_param(ex, "mi_res_id");
	const char *principal = exchange_param(ex, "principal_id");

	ret->client_id = exchange_param(ex, "client_id");
	ret->object_id = exchange_param(ex, "object_id");
	if (ret->object_id == NULL)
		ret->object_id = principal;
	ret->resource_id = exchange_param(ex, "msi_res_id");
	if (ret->resource_id == NULL)
		ret->resource_id = mi;
	return ((ret->client_id != NULL) + (ret->object_id != NULL) +
	    (ret->resource_id != NULL) > 1 ? -1 : 0);
}

/* entra-docs "how-to-use-vm-token"; "Azure Instance Metadata Service" for the general refusals. */
static int
handle_imds(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_TEXT, 1, 1 };
	const char *metadata = exchange_header(ex, "metadata");
	const char *version = exchange_param(ex, "api-version");
	const char *resource = exchange_param(ex, "resource");
	struct person_selector by;
	const struct person *who;
	int many;

	if (strcmp(ex->req->method, "GET") != 0)
		return (identity_fail(ex, 405, "method_not_allowed", "The method is not allowed"));
	if (metadata == NULL || strcmp(metadata, "true") != 0)
		return (identity_fail(ex, 400, "bad_request_102",
		    "Required metadata header not specified"));
	if (exchange_header(ex, "x-forwarded-for") != NULL)
		return (identity_fail(ex, 400, "bad_request_101",
		    "Required to not have X-Forwarded-For header"));
	if (version == NULL || strcmp(version, "2018-02-01") != 0) {
		ex->code = "bad_api_version";
		return (answer_text(ex, 400, JSON_TYPE, "{\"error\":\"Bad request. api-version was "
		    "not specified in the request or is not supported\",\"newest-versions\":"
		    "[\"2018-02-01\"]}"));
	}
	if (resource == NULL || resource[0] == '\0')
		return (identity_fail(ex, 400, "invalid_request",
		    "Required query variable 'resource' is missing"));
	if (read_selector(ex, &by) != 0)
		return (identity_fail(ex, 400, "invalid_request",
		    "Only one of client_id, object_id and msi_res_id may be specified"));
	who = people_find(&ex->sim->people, &by, &many);
	if (who == NULL)
		return (identity_fail(ex, 400, "invalid_request", many ?
		    "Multiple user assigned identities exist, please specify the clientId / "
		    "resourceId of the identity in the token request" : "Identity not found"));
	if (!people_knows_resource(resource))
		return (identity_fail(ex, 400, "invalid_resource", "AADSTS500011: The resource "
		    "principal was not found in the tenant"));
	return (give_token(ex, who, resource, &shape));
}

/* A person on a compute instance with single sign-on, else the first managed identity. */
static const struct person *
instance_default(const struct exchange *ex)
{
	static const struct person_selector none;
	const struct person *who = people_user(&ex->sim->people);
	int many;

	return (who != NULL ? who : people_find(&ex->sim->people, &none, &many));
}

/*
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/azure_ml.go; observed:
 * Azure/azure-sdk-for-python issues 30104 (empty body without clientid), 31032 and pull request
 * 36047 (any clientid that is no GUID counts as none on a compute instance).
 */
static int
handle_aml(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_NUMBER, 0, 0 };
	const char *secret = exchange_header(ex, "secret");
	const char *version = exchange_param(ex, "api-version");
	const char *resource = exchange_param(ex, "resource");
	const char *id = exchange_param(ex, "clientid");
	struct person_selector by = { id, NULL, NULL };
	const struct person *who;
	int many;

	if (secret == NULL || strcmp(secret, ex->sim->secret) != 0) {
		ex->code = "Unauthorized";
		return (answer_text(ex, 401, "text/plain", "Unauthorized\n"));
	}
	ex->auth = AUTH_SECRET;
	if (strcmp(ex->req->method, "GET") != 0 || (version != NULL &&
	    strcmp(version, "2017-09-01") != 0) || resource == NULL || resource[0] == '\0') {
		ex->code = "BadRequest";
		return (answer_text(ex, 400, "text/plain", "BadRequest\n"));
	}
	if (id == NULL && !ex->sim->knobs.compute_instance)
		return (answer(ex, 200, NULL, "", 0));
	who = id != NULL && str_is_guid(id) ? people_find(&ex->sim->people, &by, &many) :
	    instance_default(ex);
	if (who == NULL || !people_knows_resource(resource))
		return (fail_aml(ex));
	return (give_token(ex, who, resource, &shape));
}

/* azure-docs "How to use managed identities for App Service": REST endpoint reference. */
static int
handle_appservice(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_TEXT, 1, 0 };
	const char *secret = exchange_header(ex, "x-identity-header");
	const char *version = exchange_param(ex, "api-version");
	const char *resource = exchange_param(ex, "resource");
	struct person_selector by;
	const struct person *who;
	int many;

	if (secret == NULL || strcmp(secret, ex->sim->secret) != 0)
		return (fail_appservice(ex, 401, "X-IDENTITY-HEADER is missing or wrong"));
	ex->auth = AUTH_SECRET;
	if (strcmp(ex->req->method, "GET") != 0)
		return (fail_appservice(ex, 405, "The method is not allowed"));
	if (version == NULL || strcmp(version, "2019-08-01") != 0)
		return (fail_appservice(ex, 400, "Unsupported api-version"));
	if (resource == NULL || resource[0] == '\0')
		return (fail_appservice(ex, 400, "The parameter resource is missing"));
	if (read_selector(ex, &by) != 0)
		return (fail_appservice(ex, 400, "More than one identity was specified"));
	who = people_find(&ex->sim->people, &by, &many);
	if (who == NULL)
		return (fail_appservice(ex, 400, "No Managed Identity found for specified "
		    "ClientId/ResourceId/PrincipalId."));
	if (!people_knows_resource(resource))
		return (fail_appservice(ex, 500, "An unexpected error occured while fetching the "
		    "AAD Token."));
	return (give_token(ex, who, resource, &shape));
}

/*
 * Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/identity/_credentials/aml_on_behalf_of.py.
 */
static int
handle_obo(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_NUMBER, 0, 0 };
	const struct person *who = people_user(&ex->sim->people);
	const char *resource = exchange_param(ex, "resource");

	if (who == NULL || ex->sim->knobs.obo_empty)
		return (answer(ex, 200, NULL, "", 0));
	if (strcmp(ex->req->method, "GET") != 0 || resource == NULL || resource[0] == '\0')
		return (identity_fail(ex, 400, "invalid_request", "resource is missing"));
	if (!people_knows_resource(resource))
		return (identity_fail(ex, 400, "invalid_resource", "AADSTS500011: The resource "
		    "principal was not found in the tenant"));
	return (give_token(ex, who, resource, &shape));
}

/* Arc: expires_in, resource, token_type and expires_on, as text. */
int
identity_give_system(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_TEXT, 0, 1 };
	static const struct person_selector none;
	const char *resource = exchange_param(ex, "resource");
	const struct person *who;
	int many;

	if (resource == NULL || resource[0] == '\0')
		return (identity_fail(ex, 400, "invalid_request",
		    "Required query variable 'resource' is missing"));
	who = people_find(&ex->sim->people, &none, &many);
	if (who == NULL)
		return (identity_fail(ex, 404, "not_found", "The machine has no identity"));
	if (!people_knows_resource(resource))
		return (identity_fail(ex, 400, "invalid_resource", "AADSTS500011: The resource "
		    "principal was not found in the tenant"));
	return (give_token(ex, who, resource, &shape));
}

/* error.code, error.message: azure-docs "How to leverage a Service Fabric application's managed
   identity to access Azure services". */
static int
fail_fabric(struct exchange *ex, int status, const char *code, const char *message)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	ex->code = code;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "error");
	json_out_begin(&out, '{');
	json_out_kstring(&out, "correlationId", ex->request_id);
	json_out_kstring(&out, "code", code);
	json_out_kstring(&out, "message", message);
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	return (answer(ex, status, JSON_TYPE, body.data, body.len));
}

static int
handle_fabric(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_NUMBER, 0, 0 };
	const char *secret = exchange_header(ex, "secret");
	const char *resource = exchange_param(ex, "resource");
	static const struct person_selector none;
	const struct person *who;
	int many;

	if (ex->peer->tls == NULL)
		return (-1);
	if (secret == NULL)
		return (fail_fabric(ex, 400, "SecretHeaderNotFound",
		    "Secret is not found in the request headers."));
	if (strcmp(secret, ex->sim->secret) != 0)
		return (fail_fabric(ex, 404, "ManagedIdentityNotFound",
		    "Managed identity not found for the specified application host."));
	ex->auth = AUTH_SECRET;
	if (strcmp(ex->req->method, "GET") != 0)
		return (fail_fabric(ex, 405, "MethodNotAllowed", "The method is not allowed."));
	if (resource == NULL || resource[0] == '\0')
		return (fail_fabric(ex, 400, "ArgumentNullOrEmpty",
		    "The parameter 'resource' should not be null or empty string."));
	who = people_find(&ex->sim->people, &none, &many);
	if (who == NULL || !people_knows_resource(resource))
		return (fail_fabric(ex, 404, "ManagedIdentityNotFound",
		    "Managed identity not found for the specified application host."));
	return (give_token(ex, who, resource, &shape));
}

/* Three services at one path: each knows its own versions. */
static int
handle_metadata(struct exchange *ex)
{
	switch (ex->service) {
	case SERVICE_ARC:
		return (arc_handle(ex));
	case SERVICE_FABRIC:
		return (handle_fabric(ex));
	default:
		break;
	}
	return (handle_imds(ex));
}

/*
 * Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/cloud_shell.py;
 * AzureAD/microsoft-authentication-library-for-python msal/cloudshell.py.
 */
static int
handle_cloudshell(struct exchange *ex)
{
	static const struct token_shape shape = { EXPIRY_TEXT, 0, 1 };
	const struct person *who = people_user(&ex->sim->people);
	const char *metadata = exchange_header(ex, "metadata"), *resource;
	struct pairs form = { NULL, 0 };
	int failed;

	if (strcmp(ex->req->method, "POST") != 0)
		return (identity_fail(ex, 405, "method_not_allowed", "POST is wanted"));
	failed = form_read(ex, &form);
	resource = arena_strdup(&ex->mem, pairs_get(&form, "resource") != NULL ?
	    pairs_get(&form, "resource") : "");
	if (failed == -3)
		goto out;
	if (metadata == NULL || strcmp(metadata, "true") != 0)
		failed = identity_fail(ex, 400, "bad_request_102",
		    "Required metadata header not specified");
	else if (failed != 0 || form.n != 1 || resource[0] == '\0')
		failed = identity_fail(ex, 400, "invalid_request",
		    "The audience (resource) is missing");
	else if (who == NULL || !people_knows_resource(resource))
		failed = identity_fail(ex, 400, "invalid_resource", "AADSTS500011: The resource "
		    "principal was not found in the tenant");
	else
		failed = give_token(ex, who, resource, &shape);
out:
	pairs_done(&form);
	return (failed);
}

static const struct {
	const char *path, *op;
	enum service service;
	int (*handle)(struct exchange *);
} endpoints[] = {
	{ "/metadata/identity/oauth2/token", "ImdsToken", SERVICE_IMDS, handle_metadata },
	{ "/MSI/auth", "AmlToken", SERVICE_AML, handle_aml },
	{ "/msi/token", "AppServiceToken", SERVICE_APPSERVICE, handle_appservice },
	{ "/OBO/token", "OboToken", SERVICE_OBO, handle_obo },
	{ "/oauth2/token", "CloudShellToken", SERVICE_CLOUDSHELL, handle_cloudshell },
};

/* A '/' may follow: MSAL adds one to the address of AZURE_POD_IDENTITY_AUTHORITY_HOST. */
static int
is_path(const char *path, const char *endpoint)
{
	size_t n = strlen(endpoint);

	return (strncmp(path, endpoint, n) == 0 &&
	    (path[n] == '\0' || strcmp(path + n, "/") == 0));
}

/* Which of the services at the metadata path is meant. */
static void
sort_metadata(struct exchange *ex)
{
	const char *version = exchange_param(ex, "api-version");

	if (version == NULL)
		return;
	if (strcmp(version, "2020-06-01") == 0 || strcmp(version, "2019-11-01") == 0) {
		ex->service = SERVICE_ARC;
		ex->op = "ArcToken";
	} else if (strcmp(version, "2019-07-01-preview") == 0) {
		ex->service = SERVICE_FABRIC;
		ex->op = "FabricToken";
	}
}

int
identity_route(struct exchange *ex)
{
	size_t i;

	if (entra_is_path(ex->req->path)) {
		ex->op = "EntraToken";
		ex->service = SERVICE_ENTRA;
		return (0);
	}
	for (i = 0; i < LENGTH(endpoints); i++)
		if (is_path(ex->req->path, endpoints[i].path)) {
			ex->op = endpoints[i].op;
			ex->service = endpoints[i].service;
			if (ex->service == SERVICE_IMDS)
				sort_metadata(ex);
			return (0);
		}
	return (-1);
}

int
identity_handle(struct exchange *ex)
{
	size_t i;

	if (ex->service == SERVICE_ENTRA)
		return (entra_handle(ex));
	if (ex->service == SERVICE_ARC || ex->service == SERVICE_FABRIC)
		return (handle_metadata(ex));
	for (i = 0; i < LENGTH(endpoints); i++)
		if (endpoints[i].service == ex->service)
			return (endpoints[i].handle(ex));
	return (-1);
}
