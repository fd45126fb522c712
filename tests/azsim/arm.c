#include "arm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "gate.h"
#include "plane.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define PROVIDER	"Microsoft.MachineLearningServices"
#define SEGMENTS_MAX	16
#define BODY_MAX	65536
#define SKEW_S		300

/* The stable versions and the preview that brought expirable secrets. */
static const char versions[] = " 2022-10-01 2023-04-01 2023-10-01 2024-04-01 2024-07-01-preview "
    "2024-10-01 2025-04-01 2025-06-01 2025-09-01 ";

int
arm_fail(struct exchange *ex, int status, const char *code, const char *inner, const char *fmt,
    ...)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;
	char message[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	ex->code = code;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "error");
	json_out_begin(&out, '{');
	json_out_kstring(&out, "code", code);
	json_out_kstring(&out, "message", message);
	if (inner != NULL) {
		json_out_key(&out, "innererror");
		json_out_begin(&out, '{');
		json_out_kstring(&out, "code", inner);
		json_out_end(&out, '}');
	}
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	return (answer(ex, status, JSON_TYPE, body.data, body.len));
}

int
arm_is_audience(const char *aud, const char *const list[])
{
	size_t n = strlen(aud);

	if (n > 0 && aud[n - 1] == '/')
		n--;
	for (; *list != NULL; list++)
		if (strlen(*list) == n && strncmp(*list, aud, n) == 0)
			return (1);
	return (0);
}

int
arm_bearer(struct exchange *ex, struct jwt_claims *claims, const char **ret_why)
{
	const char *authorization = exchange_header(ex, "authorization");
	int64_t now = clock_wall_s();

	*ret_why = NULL;
	if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
		return (-1);
	authorization += 7;
	if (jwt_verify(&ex->sim->people.key, authorization, strlen(authorization), claims) != 0) {
		*ret_why = "The access token is invalid.";
		return (-1);
	}
	ex->auth = AUTH_BEARER;
	str_format(ex->oid, sizeof(ex->oid), "%s", claims->oid);
	if (claims->exp <= now)
		*ret_why = "The access token has expired.";
	else if (claims->nbf > now + SKEW_S)
		*ret_why = "The access token is not yet valid.";
	else if (!str_same(claims->tid, ex->sim->people.tenant))
		*ret_why = "The access token is from the wrong issuer.";
	return (*ret_why != NULL ? -1 : 0);
}

/* ---- the path ---------------------------------------------------------- */

struct asked {
	char	*segments[SEGMENTS_MAX];	/* decoded */
	size_t	 n;
	struct jwt_claims claims;
	const char *version;			/* api-version */
	const struct thing *workspace;
	char	*subscription, *group, *name;	/* of the workspace */
	char	**rest;				/* behind it */
	size_t	 nrest;
};

static int
split(struct exchange *ex, struct asked *a)
{
	char *rest = arena_strdup(&ex->mem, ex->req->path + 1), *word;

	a->n = 0;
	while ((word = strsep(&rest, "/")) != NULL) {
		if (a->n == SEGMENTS_MAX || uri_decode(word) <= 0)
			return (-1);
		a->segments[a->n++] = word;
	}
	if (a->n < 9 || !str_same(a->segments[0], "subscriptions") ||
	    !str_same(a->segments[2], "resourceGroups") || !str_same(a->segments[4], "providers") ||
	    !str_same(a->segments[5], PROVIDER) || !str_same(a->segments[6], "workspaces"))
		return (-1);
	a->subscription = a->segments[1];
	a->group = a->segments[3];
	a->name = a->segments[7];
	a->rest = a->segments + 8;
	a->nrest = a->n - 8;
	return (0);
}

int
arm_route(struct exchange *ex)
{
	if (strncasecmp(ex->req->path, "/subscriptions/", strlen("/subscriptions/")) != 0)
		return (-1);
	ex->service = SERVICE_ARM;
	ex->op = "Arm";
	return (0);
}

/* ---- who --------------------------------------------------------------- */

static int
refuse_token(struct exchange *ex, const char *code, const char *message)
{
	answer_header(ex, "WWW-Authenticate", "Bearer authorization_uri=\"https://login.windows."
	    "net/%s\", error=\"invalid_token\", error_description=\"%s\"", ex->sim->people.tenant,
	    message);
	return (arm_fail(ex, 401, code, NULL, "%s", message));
}

/* 0: *a has the caller; 1: answered. */
static int
authenticate(struct exchange *ex, struct asked *a)
{
	static const char *const audiences[] = { "https://management.azure.com",
	    "https://management.core.windows.net", NULL };
	const char *why;

	if (ex->peer->tls == NULL) {
		arm_fail(ex, 400, "HttpsRequired", NULL, "Resource Manager is reached over https.");
		return (1);
	}
	if (arm_bearer(ex, &a->claims, &why) != 0) {
		if (why == NULL)
			refuse_token(ex, "AuthenticationFailed", "Authentication failed. The "
			    "'Authorization' header is missing.");
		else
			refuse_token(ex, strstr(why, "expired") != NULL ?
			    "ExpiredAuthenticationToken" : strstr(why, "issuer") != NULL ?
			    "InvalidAuthenticationTokenTenant" : "InvalidAuthenticationToken", why);
		return (1);
	}
	if (arm_is_audience(a->claims.aud, audiences))
		return (0);
	refuse_token(ex, "InvalidAuthenticationTokenAudience", "The access token has been obtained "
	    "for wrong audience or resource.");
	return (1);
}

/* Built-in roles: Reader may read all but secrets, the others list these as well. */
static int
may(struct exchange *ex, const struct asked *a, int secrets)
{
	static const char *const roles[] = { "data-scientist", "contributor", "reader" };
	size_t i;

	for (i = 0; i < LENGTH(roles) - (secrets ? 1 : 0); i++)
		if (plane_find(&ex->sim->plane, THING_GRANT, a->name, a->claims.oid,
		    roles[i]) != NULL)
			return (1);
	return (0);
}

static int
refuse_action(struct exchange *ex, const struct asked *a, const char *action)
{
	return (arm_fail(ex, 403, "AuthorizationFailed", NULL, "The client '%s' with object id "
	    "'%s' does not have authorization to perform action '" PROVIDER "/workspaces/%s' over "
	    "scope '/subscriptions/%s/resourceGroups/%s/providers/" PROVIDER "/workspaces/%s' or "
	    "the scope is invalid. If access was recently granted, please refresh your "
	    "credentials.",
	    a->claims.appid, a->claims.oid, action, a->subscription, a->group, a->name));
}

/* 0: fine; 1: answered. */
static int
check_version(struct exchange *ex, struct asked *a)
{
	char spaced[64];

	a->version = exchange_param(ex, "api-version");
	if (a->version == NULL) {
		arm_fail(ex, 400, "MissingApiVersionParameter", NULL, "The api-version query "
		    "parameter (?api-version=) is required for all requests.");
		return (1);
	}
	if (strchr(a->version, ' ') != NULL ||
	    str_format(spaced, sizeof(spaced), " %s ", a->version) != 0 ||
	    strstr(versions, spaced) == NULL) {
		arm_fail(ex, 400, "NoRegisteredProviderFound", NULL, "No registered resource "
		    "provider found for API version '%s' for type 'workspaces'. The supported "
		    "api-versions are '%s'.", a->version, versions);
		return (1);
	}
	return (0);
}

/* ---- what -------------------------------------------------------------- */

static const char *
credential_of(struct exchange *ex, const struct thing *ds)
{
	const struct account *account = model_account(&ex->sim->model, thing_word(ds, "account"));
	const char *kind = thing_word(ds, "credential");

	/* An account that forbids keys shows no key. */
	if (kind[0] == '\0' || (strcmp(kind, "AccountKey") == 0 && account != NULL &&
	    !account->shared_key))
		return ("None");
	return (kind);
}

static void
add_datastore(struct exchange *ex, struct json_out *out, const struct thing *ds)
{
	const char *kind = credential_of(ex, ds), *type = thing_word(ds, "type");

	json_out_begin(out, '{');
	json_out_kstring(out, "id", arena_printf(&ex->mem, "%s/%s", ex->req->path, ds->name));
	json_out_kstring(out, "name", ds->name);
	json_out_kstring(out, "type", PROVIDER "/workspaces/datastores");
	json_out_key(out, "properties");
	json_out_begin(out, '{');
	json_out_key(out, "description");
	json_out_string(out, NULL);
	json_out_kbool(out, "isDefault", strcmp(thing_word(ds, "default"), "1") == 0);
	json_out_key(out, "credentials");
	json_out_begin(out, '{');
	json_out_kstring(out, "credentialsType", kind);
	if (strcmp(kind, "ServicePrincipal") == 0 || strcmp(kind, "Certificate") == 0) {
		json_out_kstring(out, "authorityUrl", thing_word(ds, "authority"));
		json_out_kstring(out, "tenantId", thing_word(ds, "tenant"));
		json_out_kstring(out, "clientId", thing_word(ds, "client"));
		if (strcmp(kind, "Certificate") == 0)
			json_out_kstring(out, "thumbprint", thing_word(ds, "thumbprint"));
	}
	json_out_end(out, '}');
	json_out_kstring(out, "datastoreType", type);
	json_out_kstring(out, "accountName", thing_word(ds, "account"));
	json_out_kstring(out, strcmp(type, "AzureBlob") == 0 ? "containerName" :
	    strcmp(type, "AzureFile") == 0 ? "fileShareName" : "filesystem",
	    thing_word(ds, "container"));
	json_out_kstring(out, "endpoint", thing_word(ds, "endpoint"));
	json_out_kstring(out, "protocol", "https");
	json_out_kstring(out, "serviceDataAccessAuthIdentity", "None");
	json_out_end(out, '}');
	json_out_end(out, '}');
}

static const struct thing *
find_datastore(struct exchange *ex, const struct asked *a)
{
	const struct thing *ds = plane_find(&ex->sim->plane, THING_DATASTORE, a->name, a->rest[1],
	    NULL);

	if (ds == NULL)
		arm_fail(ex, 404, "UserError", NULL, "Could not find datastore: %s", a->rest[1]);
	return (ds);
}

static int
get_datastore(struct exchange *ex, struct asked *a)
{
	auto_buf struct buf body = BUF_EMPTY;
	const struct thing *ds;
	struct json_out out;

	ex->op = "ArmGetDatastore";
	if (!may(ex, a, 0))
		return (refuse_action(ex, a, "datastores/read"));
	ds = find_datastore(ex, a);
	if (ds == NULL)
		return (0);
	json_out_init(&out, &body, 0);
	add_datastore(ex, &out, ds);
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

/* Of the filters: isDefault, names, count. */
static int
list_datastores(struct exchange *ex, struct asked *a)
{
	const char *only_default = exchange_param(ex, "isDefault");
	const char *names = exchange_param(ex, "names"), *count = exchange_param(ex, "count");
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;
	const struct thing *t;
	long long left = 30;

	ex->op = "ArmListDatastores";
	if (!may(ex, a, 0))
		return (refuse_action(ex, a, "datastores/read"));
	if (count != NULL && str_to_i64(count, 1, 1000, &left) != 0)
		return (arm_fail(ex, 400, "BadRequest", NULL, "count is no number"));
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "value");
	json_out_begin(&out, '[');
	pthread_rwlock_rdlock(&ex->sim->plane.lock);
	for (t = ex->sim->plane.list; t != NULL && left > 0; t = t->next) {
		if (t->kind != THING_DATASTORE || !str_same(t->in, a->name) ||
		    (only_default != NULL && str_same(only_default, "true") &&
		    strcmp(thing_word(t, "default"), "1") != 0) ||
		    (names != NULL && !str_same(names, t->name)))
			continue;
		add_datastore(ex, &out, t);
		left--;
	}
	pthread_rwlock_unlock(&ex->sim->plane.lock);
	json_out_end(&out, ']');
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

/* What the body wishes: seconds, or 0 for the secret itself.  -1: answered. */
static int64_t
read_expiry(struct exchange *ex, const struct asked *a)
{
	auto_buf struct buf text = BUF_EMPTY;
	const char *type = exchange_header(ex, "content-type");
	int64_t hours = 1, life = 0;
	struct json *o;
	int yes = 0;

	if (exchange_read_body(ex, BODY_MAX, &text) != 0)
		return (-1);
	if (text.len == 0)
		return (0);
	o = json_parse(text.data, text.len);
	if (type == NULL || !str_starts(type, "application/json") || json_type(o) != JSON_OBJECT) {
		arm_fail(ex, 415, "UnsupportedMediaType", NULL, "expected a JSON object");
		life = -1;
	} else if (json_first(o) != NULL && strcmp(a->version, "2024-07-01") < 0) {
		arm_fail(ex, 400, "BadRequest", NULL, "this api-version takes no body");
		life = -1;
	} else if (json_bool(json_get(o, "expirableSecret"), &yes) == 0 && yes) {
		if (json_get(o, "expireAfterHours") != NULL &&
		    (json_int(json_get(o, "expireAfterHours"), &hours) != 0 || hours < 1)) {
			arm_fail(ex, 400, "BadRequest", NULL, "expireAfterHours is not positive");
			life = -1;
		} else {
			life = hours * 3600;
		}
	}
	json_free(o);
	return (life);
}

static int
answer_secret(struct exchange *ex, const char *type, const char *field, const char *value)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "secretsType", type);
	json_out_kstring(&out, field, value);
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

static int
answer_key(struct exchange *ex, const struct thing *ds, int64_t life_s)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct account *account = model_account(&ex->sim->model, thing_word(ds, "account"));
	int64_t knob = ex->sim->knobs.sas_lifetime_s;

	if (account == NULL)
		return (arm_fail(ex, 404, "UserError", NULL, "The storage account is not found."));
	if (life_s == 0) {
		pthread_rwlock_rdlock(&account->lock);
		base64_encode(&text, account->key, account->key_len);
		pthread_rwlock_unlock(&account->lock);
		return (answer_secret(ex, "AccountKey", "key", buf_str(&text)));
	}
	gate_make_sas(ex, account, thing_word(ds, "container"),
	    clock_wall_s() + (knob > 0 ? knob : life_s), &text);
	return (answer_secret(ex, "Sas", "sasToken", buf_str(&text)));
}

static int
list_secrets(struct exchange *ex, struct asked *a)
{
	const struct thing *ds;
	const char *kind;
	int64_t life;

	ex->op = "ArmListSecrets";
	if (!may(ex, a, 1))
		return (refuse_action(ex, a, "datastores/listSecrets/action"));
	ds = find_datastore(ex, a);
	if (ds == NULL)
		return (0);
	life = read_expiry(ex, a);
	if (life < 0)
		return (0);
	kind = credential_of(ex, ds);
	if (strcmp(kind, "AccountKey") == 0)
		return (answer_key(ex, ds, life));
	if (strcmp(kind, "Sas") == 0)
		return (answer_secret(ex, kind, "sasToken", thing_word(ds, "secret")));
	if (strcmp(kind, "ServicePrincipal") == 0)
		return (answer_secret(ex, kind, "clientSecret", thing_word(ds, "secret")));
	if (strcmp(kind, "Certificate") == 0)
		return (answer_secret(ex, kind, "certificate", thing_word(ds, "secret")));
	return (arm_fail(ex, 400, "UserError", NULL, "Datastore %s has no secrets", ds->name));
}

static void
add_asset(struct exchange *ex, struct json_out *out, const struct thing *asset)
{
	int is_model = asset->kind == THING_MODEL;

	json_out_begin(out, '{');
	json_out_kstring(out, "id", ex->req->path);
	json_out_kstring(out, "name", asset->version);
	json_out_kstring(out, "type", is_model ? PROVIDER "/workspaces/models/versions" :
	    PROVIDER "/workspaces/data/versions");
	json_out_key(out, "properties");
	json_out_begin(out, '{');
	json_out_kstring(out, is_model ? "modelType" : "dataType", thing_word(asset, "type"));
	json_out_kstring(out, is_model ? "modelUri" : "dataUri", thing_word(asset, "uri"));
	json_out_kbool(out, "isAnonymous", 0);
	json_out_kbool(out, "isArchived", 0);
	json_out_end(out, '}');
	json_out_end(out, '}');
}

/* GET data/NAME/versions/V (models/...), and the list that "latest" is: the newest first. */
static int
get_asset(struct exchange *ex, struct asked *a)
{
	const char *version = a->nrest == 4 ? a->rest[3] : NULL, *top = exchange_param(ex, "$top");
	const char *order = exchange_param(ex, "$orderBy");
	int is_model = str_same(a->rest[0], "models");
	auto_buf struct buf body = BUF_EMPTY;
	const struct thing *asset;
	struct json_out out;

	ex->op = is_model ? version != NULL ? "ArmGetModelVersion" : "ArmListModelVersions" :
	    version != NULL ? "ArmGetDataVersion" : "ArmListDataVersions";
	if (!may(ex, a, 0))
		return (refuse_action(ex, a, is_model ? "models/versions/read" :
		    "data/versions/read"));
	asset = plane_find(&ex->sim->plane, is_model ? THING_MODEL : THING_ASSET, a->name,
	    a->rest[1], version);
	if (asset == NULL && version != NULL)
		return (arm_fail(ex, 404, "UserError", NULL, "%s version %s:%s "
		    "(%sContainerName:version) not found.", is_model ? "Model" : "Data",
		    a->rest[1], version, is_model ? "model" : "data"));
	if (version == NULL && (top == NULL || strcmp(top, "1") != 0 || order == NULL ||
	    strcmp(order, "createdtime desc") != 0))
		return (arm_fail(ex, 501, "NotImplemented", NULL,
		    "azsim lists the newest version only"));
	json_out_init(&out, &body, 0);
	if (version == NULL) {
		json_out_begin(&out, '{');
		json_out_key(&out, "value");
		json_out_begin(&out, '[');
	}
	if (asset != NULL)
		add_asset(ex, &out, asset);
	if (version == NULL) {
		json_out_end(&out, ']');
		json_out_end(&out, '}');
	}
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

static int
run(struct exchange *ex, struct asked *a)
{
	int is_get = strcmp(ex->req->method, "GET") == 0;

	if (str_same(a->rest[0], "datastores") && a->nrest <= 2 && is_get)
		return (a->nrest == 1 ? list_datastores(ex, a) : get_datastore(ex, a));
	if (str_same(a->rest[0], "datastores") && a->nrest == 3 &&
	    str_same(a->rest[2], "listSecrets"))
		return (strcmp(ex->req->method, "POST") == 0 ? list_secrets(ex, a) :
		    arm_fail(ex, 405, "MethodNotAllowed", NULL, "The method is not allowed."));
	if ((str_same(a->rest[0], "data") || str_same(a->rest[0], "models")) &&
	    (a->nrest == 3 || a->nrest == 4) &&
	    str_same(a->rest[2], "versions") && is_get)
		return (get_asset(ex, a));
	return (arm_fail(ex, 501, "NotImplemented", NULL, "azsim does not simulate this"));
}

int
arm_handle(struct exchange *ex)
{
	const struct thing *w;
	struct asked a;

	memset(&a, 0, sizeof(a));
	if (split(ex, &a) != 0)
		return (arm_fail(ex, 404, "InvalidResourceType", NULL, "This is no workspace."));
	if (authenticate(ex, &a) != 0 || check_version(ex, &a) != 0)
		return (0);
	w = plane_find(&ex->sim->plane, THING_WORKSPACE, NULL, a.name, NULL);
	if (w == NULL || !str_same(thing_word(w, "subscription"), a.subscription) ||
	    !str_same(thing_word(w, "group"), a.group)) {
		/* Who may not read there is not told what there is. */
		if (!may(ex, &a, 0))
			return (refuse_action(ex, &a, "datastores/read"));
		return (arm_fail(ex, 404, "ResourceNotFound", NULL, "The Resource '" PROVIDER
		    "/workspaces/%s' under resource group '%s' was not found.", a.name, a.group));
	}
	return (run(ex, &a));
}
