#include "registry.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "form.h"

#define ISSUER		"Azure Container Registry"	/* claims: AAD-OAuth.md */
#define NOBODY		"00000000-0000-0000-0000-000000000000"
#define REFRESH_LIFE_S	10800
#define ACCESS_LIFE_S	4500
#define MANIFEST_TYPE	"application/vnd.docker.distribution.manifest.v2+json"
#define JSON_TYPE	"application/json; charset=utf-8"

static const char *
service_of(const struct exchange *ex)
{
	const char *host = exchange_header(ex, "host");

	return (host != NULL ? host : "");
}

/* docs/content/spec/api.md "Errors". */
static int
fail(struct exchange *ex, int status, const char *code, const char *message)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	ex->code = code;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "errors");
	json_out_begin(&out, '[');
	json_out_begin(&out, '{');
	json_out_kstring(&out, "code", code);
	json_out_kstring(&out, "message", message);
	json_out_end(&out, '}');
	json_out_end(&out, ']');
	json_out_end(&out, '}');
	return (answer(ex, status, JSON_TYPE, body.data, body.len));
}

static int
fail_unauthorized(struct exchange *ex)
{
	return (fail(ex, 401, "UNAUTHORIZED", "authentication required, visit "
	    "https://aka.ms/acr/authorization for more information."));
}

static int
challenge(struct exchange *ex, const char *scope)
{
	const char *service = service_of(ex);

	answer_header(ex, "Www-Authenticate",
	    "Bearer realm=\"https://%s/oauth2/token\",service=\"%s\"%s%s%s",
	    ex->sim->registry_realm != NULL ? ex->sim->registry_realm : service, service,
	    scope != NULL ? ",scope=\"" : "", scope != NULL ? scope : "",
	    scope != NULL ? "\"" : "");
	return (fail_unauthorized(ex));
}

static int
is_field(const struct pairs *form, const char *name, const char *value)
{
	const char *got = pairs_get(form, name);

	return (got != NULL && strcmp(got, value) == 0);
}

/* --- tokens --------------------------------------------------------------------------- */

static void
mint(struct exchange *ex, const char *oid, const char *kind, const char *scope, int64_t life,
    struct buf *ret)
{
	struct jwt_claims c = { .aud = "" };

	str_format(c.aud, sizeof(c.aud), "%s", service_of(ex));
	str_format(c.iss, sizeof(c.iss), "%s", ISSUER);
	str_format(c.oid, sizeof(c.oid), "%s", oid);
	str_format(c.idtyp, sizeof(c.idtyp), "%s", kind);
	str_format(c.scp, sizeof(c.scp), "%s", scope);
	c.iat = c.nbf = clock_wall_s();
	c.exp = c.iat + life;
	jwt_mint(&ex->sim->people.key, &c, ret);
}

/* One of this registry's own, of that kind. */
static int
verify_own(const struct exchange *ex, const char *token, const char *kind, struct jwt_claims *c)
{
	return (token != NULL && jwt_verify(&ex->sim->people.key, token, strlen(token), c) == 0 &&
	    strcmp(c->iss, ISSUER) == 0 && strcmp(c->idtyp, kind) == 0 &&
	    strcmp(c->aud, service_of(ex)) == 0 && c->exp > clock_wall_s() ? 0 : -1);
}

static int
give(struct exchange *ex, const char *name, const struct buf *token)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, name, buf_str(token));
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

static int
is_audience(const struct exchange *ex, const char *aud)
{
	static const char *const arm[] = { "https://management.azure.com",
	    "https://management.core.windows.net" };
	size_t n = strlen(aud), i;

	if (n > 0 && aud[n - 1] == '/')
		n--;
	for (i = 0; i < LENGTH(arm); i++)
		if (!ex->sim->knobs.registry_no_arm && strlen(arm[i]) == n &&
		    strncmp(aud, arm[i], n) == 0)
			return (1);
	return (!ex->sim->knobs.registry_only_arm &&
	    n == strlen("https://containerregistry.azure.net") &&
	    strncmp(aud, "https://containerregistry.azure.net", n) == 0);
}

static int
exchange(struct exchange *ex, const struct pairs *form)
{
	const char *token = pairs_get(form, "access_token");
	const char *tenant = pairs_get(form, "tenant");
	auto_buf struct buf refresh = BUF_EMPTY;
	struct jwt_claims c;

	if (!is_field(form, "grant_type", "access_token"))
		return (fail(ex, 400, "UNSUPPORTED", "grant_type is missing or not supported"));
	if (!is_field(form, "service", service_of(ex)))
		return (fail(ex, 400, "BAD_REQUEST", "service is not this registry"));
	if (tenant == NULL || token == NULL)
		return (fail(ex, 400, "BAD_REQUEST", "tenant or access_token is missing"));
	if (jwt_verify(&ex->sim->people.key, token, strlen(token), &c) != 0 ||
	    c.exp <= clock_wall_s() || !is_audience(ex, c.aud) || !str_same(c.tid, tenant))
		return (fail_unauthorized(ex));
	ex->auth = AUTH_BEARER;
	str_format(ex->oid, sizeof(ex->oid), "%s", c.oid);
	if (!people_may_pull(&ex->sim->people, c.oid, service_of(ex)))
		return (fail_unauthorized(ex));
	mint(ex, c.oid, "refresh", "", REFRESH_LIFE_S, &refresh);
	return (give(ex, "refresh_token", &refresh));
}

static int
handle_exchange(struct exchange *ex)
{
	struct pairs form = { NULL, 0 };
	int failed;

	if (strcmp(ex->req->method, "POST") != 0)
		return (fail(ex, 405, "UNSUPPORTED", "The operation is unsupported."));
	failed = form_read(ex, &form) != 0 ? fail(ex, 400, "BAD_REQUEST", "the body is no form") :
	    exchange(ex, &form);
	pairs_done(&form);
	return (failed);
}

/* "Basic base64(00000000-...:REFRESH)", as a docker client sends what its helper gave it. */
static char *
basic_password(struct exchange *ex)
{
	const char *header = exchange_header(ex, "authorization");
	unsigned char *text;
	size_t len;
	ssize_t n;

	if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
		return (NULL);
	len = strlen(header + 6);
	text = arena_alloc(&ex->mem, len + 1);
	n = base64_decode(text, len, header + 6, len);
	if (n < 0 || strncmp((char *)text, NOBODY ":", strlen(NOBODY ":")) != 0)
		return (NULL);
	text[n] = '\0';
	return ((char *)text + strlen(NOBODY ":"));
}

static int
give_access(struct exchange *ex, const char *service, const char *scope, const char *refresh,
    enum auth_kind auth)
{
	auto_buf struct buf access = BUF_EMPTY;
	struct jwt_claims c;

	if (service == NULL || strcmp(service, service_of(ex)) != 0)
		return (fail(ex, 400, "BAD_REQUEST", "service is not this registry"));
	if (verify_own(ex, refresh, "refresh", &c) != 0)
		return (fail_unauthorized(ex));
	ex->auth = auth;
	str_format(ex->oid, sizeof(ex->oid), "%s", c.oid);
	mint(ex, c.oid, "access", scope != NULL ? scope : "", ACCESS_LIFE_S, &access);
	return (give(ex, "access_token", &access));
}

static int
handle_token(struct exchange *ex)
{
	struct pairs form = { NULL, 0 };
	int failed;

	if (strcmp(ex->req->method, "GET") == 0)
		return (give_access(ex, exchange_param(ex, "service"),
		    exchange_param(ex, "scope"), basic_password(ex), AUTH_SECRET));
	if (strcmp(ex->req->method, "POST") != 0)
		return (fail(ex, 405, "UNSUPPORTED", "The operation is unsupported."));
	if (form_read(ex, &form) != 0)
		failed = fail(ex, 400, "BAD_REQUEST", "the body is no form");
	else if (!is_field(&form, "grant_type", "refresh_token"))
		failed = fail(ex, 400, "UNSUPPORTED", "grant_type is missing or not supported");
	else
		failed = give_access(ex, pairs_get(&form, "service"), pairs_get(&form, "scope"),
		    pairs_get(&form, "refresh_token"), AUTH_BEARER);
	pairs_done(&form);
	return (failed);
}

/* --- the registry's API ----------------------------------------------------------------- */

static struct version *
find_image(struct exchange *ex, const char *path)
{
	struct container *c = NULL;
	struct version *v = NULL;
	struct account *a;
	struct blob *b;

	for (a = ex->sim->model.accounts; a != NULL && c == NULL; a = a->next)
		c = model_container(a, "registry");
	if (c == NULL)
		return (NULL);
	pthread_rwlock_rdlock(&c->lock);
	b = model_find(c, path);
	if (b != NULL && b->now != NULL)
		v = version_hold(b->now);
	pthread_rwlock_unlock(&c->lock);
	return (v);
}

static int
add_digest(struct exchange *ex, const struct version *v)
{
	unsigned char sum[br_sha256_SIZE], chunk[4096];
	char hex[2 * sizeof(sum) + 1];
	br_sha256_context h;
	struct piece piece;
	int64_t at;
	ssize_t n;
	size_t i;

	br_sha256_init(&h);
	for (at = 0; at < v->size; at += n) {
		version_piece(v, &ex->sim->model.depot, at, &piece);
		n = pread(piece.fd, chunk, piece.len < (int64_t)sizeof(chunk) ?
		    (size_t)piece.len : sizeof(chunk), piece.offset);
		if (n <= 0)
			return (-1);
		br_sha256_update(&h, chunk, (size_t)n);
	}
	br_sha256_out(&h, sum);
	for (i = 0; i < sizeof(sum); i++)
		str_format(hex + 2 * i, 3, "%02x", sum[i]);
	answer_header(ex, "Docker-Content-Digest", "sha256:%s", hex);
	return (0);
}

static int
send_image(struct exchange *ex, const char *path, int is_manifest)
{
	struct version *v = find_image(ex, path);
	int failed;

	if (v == NULL)
		return (fail(ex, 404, is_manifest ? "MANIFEST_UNKNOWN" : "BLOB_UNKNOWN",
		    is_manifest ? "manifest unknown" : "blob unknown to registry"));
	failed = add_digest(ex, v);
	if (is_manifest)
		answer_header(ex, "Content-Type", "%s", MANIFEST_TYPE);
	if (failed == 0)
		failed = strcmp(ex->req->method, "HEAD") == 0 ? answer_length(ex, 200, v->size) :
		    answer_bytes(ex, 200, v, 0, v->size);
	version_drop(v);
	return (failed);
}

/* 1: a token that is good for scope (NULL: for any). */
static int
is_let_in(struct exchange *ex, const char *scope)
{
	const char *header = exchange_header(ex, "authorization");
	struct jwt_claims c;

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0 ||
	    verify_own(ex, header + 7, "access", &c) != 0)
		return (0);
	ex->auth = AUTH_BEARER;
	str_format(ex->oid, sizeof(ex->oid), "%s", c.oid);
	return (scope == NULL || strncmp(c.scp, scope, strlen(scope)) == 0);
}

static int
handle_api(struct exchange *ex)
{
	char *path = arena_strdup(&ex->mem, ex->req->path), *what, *scope;

	if (strcmp(ex->req->method, "GET") != 0 && strcmp(ex->req->method, "HEAD") != 0)
		return (fail(ex, 405, "UNSUPPORTED", "The operation is unsupported."));
	if (strcmp(path, "/v2/") == 0 || strcmp(path, "/v2") == 0) {
		answer_header(ex, "Docker-Distribution-Api-Version", "registry/2.0");
		return (is_let_in(ex, NULL) ? answer_text(ex, 200, JSON_TYPE, "{}") :
		    challenge(ex, NULL));
	}
	path += strlen("/v2/");
	if (uri_decode(path) < 0)
		return (fail(ex, 400, "NAME_INVALID", "invalid repository name"));
	what = strstr(path, "/manifests/");
	if (what == NULL && (what = strstr(path, "/blobs/")) == NULL)
		return (fail(ex, 404, "NAME_UNKNOWN", "repository name not known to registry"));
	scope = arena_printf(&ex->mem, "repository:%.*s:pull", (int)(what - path), path);
	if (!is_let_in(ex, scope))
		return (challenge(ex, scope));
	return (send_image(ex, path, str_starts(what, "/manifests/")));
}

static const struct {
	const char *path, *op;
	int	 below;		/* and what is below it */
	int	(*handle)(struct exchange *);
} endpoints[] = {
	{ "/oauth2/exchange", "RegistryExchange", 0, handle_exchange },
	{ "/oauth2/token", "RegistryToken", 0, handle_token },
	{ "/v2", "RegistryBase", 0, handle_api },
	{ "/v2/", "RegistryPull", 1, handle_api },
};

static size_t
find(const char *path)
{
	size_t i;

	for (i = 0; i < LENGTH(endpoints); i++)
		if (endpoints[i].below ? str_starts(path, endpoints[i].path) :
		    strcmp(path, endpoints[i].path) == 0)
			break;
	return (i);
}

int
registry_route(struct exchange *ex)
{
	size_t i = find(ex->req->path);

	if (i == LENGTH(endpoints) || ex->peer->tls == NULL)
		return (-1);		/* without TLS /oauth2/token is Cloud Shell's */
	ex->service = SERVICE_REGISTRY;
	ex->op = strcmp(ex->req->path, "/v2/") == 0 ? "RegistryBase" : endpoints[i].op;
	return (0);
}

int
registry_handle(struct exchange *ex)
{
	return (endpoints[find(ex->req->path)].handle(ex));
}
