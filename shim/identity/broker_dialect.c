#include "identity/broker_dialect.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"

#define RESOURCE_MAX	512
#define JSON_HEADER	"Content-Type: application/json\r\n"

struct words {			/* of a refusal: NULL: as all others say it */
	enum refusal which;
	int	 status;
	const char *code, *text;
};

struct dialect {
	const char	*name;
	unsigned	 bit;		/* enum plan_dialect; 0: always offered */
	enum plan_broker kind;
	const char	*path;		/* a '/' may follow; NULL: is_own_path decides */
	const char	*secret_header;	/* NULL: there is none */
	const char	*versions[3];
	int		 version_optional;
	int		 metadata;	/* "Metadata: true" is required */
	int		 knows_all_ids;	/* client_id, object_id, ...; else clientid first */
	int		 expires_as_text;
	int		 has_lifetime;	/* expires_in, not_before as well */
	int		 status_and_message;	/* App Service's errors; else OAuth's */
	const struct words *words;	/* where it differs; ends with REFUSED_NOTHING */
};

static const struct words common_words[REFUSALS] = {
	[REFUSED_PROBE] = { 0, 400, "invalid_request", "header \"Metadata: true\" is missing" },
	[REFUSED_METHOD] = { 0, 405, "invalid_request", "only GET is known here" },
	[REFUSED_FORWARDED] = { 0, 403, "invalid_request", "forwarded requests are refused" },
	[REFUSED_SECRET] = { 0, 403, "invalid_secret", "the secret is missing or wrong" },
	[REFUSED_VERSION] = { 0, 400, "invalid_request", "api-version is missing or unknown" },
	[REFUSED_RESOURCE] = { 0, 400, "invalid_resource", "resource is missing" },
	[REFUSED_SELECTOR] = { 0, 400, "invalid_request", "more than one identity is named" },
	[REFUSED_PEER] = { 0, 403, "client_not_allowed", "" },
	[REFUSED_KIND] = { 0, 403, "identity_not_allowed", "this job runs under user identity: "
	    "managed identities are not for it; use OBO_ENDPOINT" },
	[REFUSED_IDENTITY] = { 0, 403, "identity_not_allowed",
	    "the compute does not have the managed identity that was named" },
	[REFUSED_BY_SOURCE] = { 0, 400, "invalid_request", "" },
	[REFUSED_FOR_NOW] = { 0, 503, "temporarily_unavailable", "" },
};

static const struct words aml_words[] = {
	{ REFUSED_SECRET, 403, "invalid_secret",
	    "header \"secret\" is missing or wrong: send MSI_SECRET" },
	{ REFUSED_VERSION, 400, "invalid_request", "api-version must be 2017-09-01" },
	{ REFUSED_NOTHING, 0, NULL, NULL },
};

static const struct words appservice_words[] = {
	{ REFUSED_SECRET, 403, NULL,
	    "header \"X-IDENTITY-HEADER\" is missing or wrong: send IDENTITY_HEADER" },
	{ REFUSED_VERSION, 400, NULL, "api-version must be 2019-08-01" },
	{ REFUSED_NOTHING, 0, NULL, NULL },
};

/* A 400 makes SDKs say "identity unavailable", a 403 "refused". */
static const struct words imds_words[] = {
	{ REFUSED_PROBE, 400, "bad_request_102", "Required metadata header not specified" },
	{ REFUSED_FORWARDED, 400, "bad_request_101",
	    "Required to not have X-Forwarded-For header" },
	{ REFUSED_VERSION, 400, "bad_request_103", "api-version must be 2018-02-01" },
	{ REFUSED_RESOURCE, 400, "invalid_request",
	    "Required query variable 'resource' is missing" },
	{ REFUSED_IDENTITY, 400, "invalid_request", "Identity not found" },
	{ REFUSED_NOTHING, 0, NULL, NULL },
};

static const struct words obo_words[] = {
	{ REFUSED_KIND, 403, "identity_not_allowed",
	    "this job does not run under user identity; use MSI_ENDPOINT" },
	{ REFUSED_NOTHING, 0, NULL, NULL },
};

static const struct dialect dialects[] = {
	{ .name = "aml", .bit = PLAN_DIALECT_AML, .kind = PLAN_BROKER_MANAGED,
	    .path = DIALECT_AML_PATH, .secret_header = "secret", .versions = { "2017-09-01" },
	    .version_optional = 1, .words = aml_words },
	{ .name = "appservice", .bit = PLAN_DIALECT_APPSERVICE, .kind = PLAN_BROKER_MANAGED,
	    .path = DIALECT_APPSERVICE_PATH, .secret_header = "x-identity-header",
	    .versions = { "2019-08-01" }, .knows_all_ids = 1, .expires_as_text = 1,
	    .status_and_message = 1, .words = appservice_words },
	{ .name = "imds", .bit = PLAN_DIALECT_IMDS, .kind = PLAN_BROKER_MANAGED,
	    .path = "/metadata/identity/oauth2/token", .versions = { "2018-02-01", "2019-08-01" },
	    .metadata = 1, .knows_all_ids = 1, .expires_as_text = 1, .has_lifetime = 1,
	    .words = imds_words },
	{ .name = "obo", .kind = PLAN_BROKER_USER, .words = obo_words },
};

const char *
refusal_name(enum refusal why)
{
	static const char *const names[REFUSALS] = {
		"none", "probe", "method", "forwarded", "secret", "version", "resource",
		"selector", "peer", "kind", "identity", "source", "unavailable",
	};

	return (names[why]);
}

const char *
dialect_name(const struct dialect *d)
{
	return (d->name);
}

int
dialect_is_for(const struct dialect *d, enum plan_broker kind)
{
	return (d->kind == kind);
}

/* The client of this dialect sends no secret, so the path holds it: /OBO/SECRET/token. */
static int
is_obo_path(const char *path, const struct secret *secret)
{
	const char *text, *end;

	if (!str_starts(path, "/OBO/"))
		return (0);
	text = path + strlen("/OBO/");
	end = strchr(text, '/');
	return (end != NULL && strcmp(end, "/token") == 0 &&
	    secret_equal(secret, text, (size_t)(end - text)));
}

/* MSAL adds a '/' to some addresses. */
static int
is_path(const char *path, const char *known)
{
	size_t n = strlen(known);

	return (strncmp(path, known, n) == 0 &&
	    (path[n] == '\0' || strcmp(path + n, "/") == 0));
}

const struct dialect *
dialect_find(unsigned offered, enum plan_broker kind, const char *path,
    const struct secret *secret)
{
	const struct dialect *d;
	size_t i;

	for (i = 0; i < LENGTH(dialects); i++) {
		d = &dialects[i];
		if (d->path == NULL ? is_obo_path(path, secret) : is_path(path, d->path))
			/* What this job has no use for answers nevertheless: it says why. */
			return (d->bit == 0 || (d->bit & offered) != 0 || (d->kind != kind &&
			    d->secret_header != NULL) ? d : NULL);
	}
	return (NULL);
}

static int
knows_version(const struct dialect *d, const char *version)
{
	size_t i;

	if (d->versions[0] == NULL)
		return (1);
	if (version == NULL)
		return (d->version_optional);
	for (i = 0; i < LENGTH(d->versions) && d->versions[i] != NULL; i++)
		if (strcmp(version, d->versions[i]) == 0)
			return (1);
	return (0);
}

/* A parameter that is there and not empty. */
static const char *
param(const char *query, const char *name, struct arena *mem)
{
	const char *value = uri_query_get(query, name, mem);

	return (value != NULL && value[0] != '\0' ? value : NULL);
}

static const char *
either(const char *query, const char *name, const char *other, struct arena *mem)
{
	const char *value = param(query, name, mem);

	return (value != NULL ? value : param(query, other, mem));
}

/*
 * Old code passes object and resource ids on to the Azure ML endpoint, which
 * knows client ids only; there any client id that is no GUID counts as none.
 */
static enum refusal
read_selector(const struct dialect *d, const char *query, struct dialect_selector *ret,
    struct arena *mem)
{
	ret->client_id = d->knows_all_ids ? either(query, "client_id", "clientid", mem) :
	    either(query, "clientid", "client_id", mem);
	ret->object_id = either(query, "object_id", "principal_id", mem);
	ret->resource_id = either(query, "mi_res_id", "msi_res_id", mem);
	if (ret->client_id != NULL && !str_is_guid(ret->client_id) && !d->knows_all_ids)
		ret->client_id = NULL;
	return ((ret->client_id != NULL) + (ret->object_id != NULL) +
	    (ret->resource_id != NULL) > 1 ? REFUSED_SELECTOR : REFUSED_NOTHING);
}

static int
has_metadata_header(const struct httpd_request *req)
{
	const char *value = httpd_header(req, "metadata");

	return (value != NULL && str_same(value, "true"));
}

enum refusal
dialect_read(const struct dialect *d, const struct httpd_request *req, const struct secret *secret,
    const char **ret_resource, struct dialect_selector *ret, struct arena *mem)
{
	const char *given;

	if (strcmp(req->method, "GET") != 0)
		return (REFUSED_METHOD);
	*ret_resource = uri_query_get(req->query, "resource", mem);
	if (httpd_header(req, "x-forwarded-for") != NULL)
		return (REFUSED_FORWARDED);
	if (d->metadata && !has_metadata_header(req))
		return (REFUSED_PROBE);
	if (d->secret_header != NULL) {
		given = httpd_header(req, d->secret_header);
		if (given == NULL || !secret_equal(secret, given, strlen(given)))
			return (REFUSED_SECRET);
	}
	if (!knows_version(d, uri_query_get(req->query, "api-version", mem)))
		return (REFUSED_VERSION);
	if (*ret_resource == NULL || (*ret_resource)[0] == '\0' ||
	    strlen(*ret_resource) > RESOURCE_MAX)
		return (REFUSED_RESOURCE);
	return (read_selector(d, req->query, ret, mem));
}

static void
add_time(struct json_out *out, const char *key, int64_t n, int as_text)
{
	char text[24];

	str_format(text, sizeof(text), "%" PRId64, n);
	if (as_text)
		json_out_kstring(out, key, text);
	else
		json_out_kint(out, key, n);
}

int
dialect_grant(const struct dialect *d, struct httpd_conn *http, const struct token *t,
    const char *resource, const char *client_id)
{
	auto_buf struct buf body = BUF_EMPTY;
	int64_t now = clock_wall_s();
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "access_token", t->text.text);
	if (client_id != NULL)
		json_out_kstring(&out, "client_id", client_id);
	if (d->has_lifetime) {
		add_time(&out, "expires_in", t->expires_unix_s - now, 1);
		add_time(&out, "ext_expires_in", t->expires_unix_s - now, 1);
		add_time(&out, "not_before", now, 1);
		json_out_kstring(&out, "refresh_token", "");
	}
	add_time(&out, "expires_on", t->expires_unix_s, d->expires_as_text);
	json_out_kstring(&out, "resource", resource);
	json_out_kstring(&out, "token_type", "Bearer");
	json_out_end(&out, '}');
	return (httpd_reply(http, 200, JSON_HEADER "Cache-Control: no-store\r\n", buf_str(&body),
	    body.len));
}

static const struct words *
words_for(const struct dialect *d, enum refusal why)
{
	const struct words *own;

	for (own = d->words; own != NULL && own->which != REFUSED_NOTHING; own++)
		if (own->which == why)
			return (own);
	return (&common_words[why]);
}

const char *
dialect_reason(const struct dialect *d, enum refusal why)
{
	return (words_for(d, why)->text);
}

int
dialect_refuse(const struct dialect *d, struct httpd_conn *http, enum refusal refusal,
    const char *why)
{
	const struct words *words = words_for(d, refusal);
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	if (d->status_and_message) {
		json_out_kint(&out, "statusCode", words->status);
		json_out_kstring(&out, "message", why);
	} else {
		json_out_kstring(&out, "error", words->code);
		json_out_kstring(&out, "error_description", why);
	}
	json_out_end(&out, '}');
	return (httpd_reply(http, words->status, JSON_HEADER, buf_str(&body), body.len) == 0 ?
	    words->status : -1);
}
