#include "azure/keyvault.h"

#include <string.h>

#include "azure/challenge.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/uri.h"

static const char challenge_op[] = "read the vault's challenge";

/* ---- the challenge ----------------------------------------------------- */

static void
drop_default(char *resource)
{
	static const char suffix[] = "/.default";
	size_t len = strlen(resource), n = strlen(suffix);

	if (len > n && strcmp(resource + len - n, suffix) == 0)
		resource[len - n] = '\0';
}

int
keyvault_read_challenge(const char *header, struct keyvault_challenge *ret, struct err *err)
{
	struct keyvault_challenge c = { .resource = "" };
	char scope[sizeof(c.resource)], authority[sizeof(c.authority)];
	const struct challenge_field fields[] = {
		{ "resource", c.resource, sizeof(c.resource) },
		{ "scope", scope, sizeof(scope) },
		{ "authorization", c.authority, sizeof(c.authority) },
		{ "authorization_uri", authority, sizeof(authority) },
	};

	if (challenge_read(header, "Bearer", fields, LENGTH(fields)) != 0)
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_VAULT, challenge_op,
		    "it does not ask for a bearer token, or is malformed"));
	if (c.resource[0] == '\0')
		memcpy(c.resource, scope, sizeof(scope));
	if (c.authority[0] == '\0')
		memcpy(c.authority, authority, sizeof(authority));
	drop_default(c.resource);
	if (c.resource[0] == '\0')
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_VAULT, challenge_op,
		    "it names no resource"));
	*ret = c;
	return (0);
}

/* 1: https, nothing but a host, and ours ends in '.' and that host. */
static int
is_parent(const char *resource, const char *url, struct arena *mem)
{
	struct uri of, own;
	size_t n, len;

	if (uri_parse(&of, resource, mem) != 0 || uri_parse(&own, url, mem) != 0)
		return (0);
	if (strcmp(of.scheme, "https") != 0 || *of.user != '\0' || *of.query != '\0' ||
	    of.port != 0 || (*of.path != '\0' && strcmp(of.path, "/") != 0))
		return (0);
	n = strlen(of.host);
	len = strlen(own.host);
	/* A parent of one label is a top-level domain: anybody's. */
	return (n > 0 && strchr(of.host, '.') != NULL && len > n + 1 &&
	    own.host[len - n - 1] == '.' && strcmp(own.host + len - n, of.host) == 0);
}

int
keyvault_check_challenge(const struct keyvault_challenge *c, const char *url, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	int fine = is_parent(c->resource, url, &mem);

	arena_done(&mem);
	if (fine)
		return (0);
	return (err_set(err, ERR_DENIED, REMEDY_CHECK_VAULT, "trust the vault", "it asks for a "
	    "token for %s, which is no parent of its own name: none is sent", c->resource));
}

/* ---- the answer -------------------------------------------------------- */

int
keyvault_read_answer(const char *body, size_t len, struct keyvault_secret *ret, struct err *err)
{
	struct json *root = json_parse(body, len);
	const char *value = json_string(json_get(root, "value"));
	int64_t exp = 0;
	int failed;

	if (value == NULL || value[0] == '\0')
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_VAULT, "read the vault's answer",
		    "there is no \"value\" in it");
	else
		failed = secret_set(&ret->value, value, strlen(value), err);
	if (failed == 0) {
		ret->expires_unix_s = 0;
		if (json_int(json_get(json_get(root, "attributes"), "exp"), &exp) == 0 && exp > 0)
			ret->expires_unix_s = exp;
	}
	json_free(root);
	return (failed);
}

struct row {
	int		 status;
	const char	*code;		/* inner code, else the code; NULL: any */
	enum err_kind	 kind;
	enum err_remedy	 remedy;
};

static const struct row rows[] = {
	{ 401, NULL, ERR_DENIED, REMEDY_CHECK_TENANT },	/* the token is no good, not the role */
	{ 403, "ForbiddenByRbac", ERR_DENIED, REMEDY_GRANT_VAULT },
	{ 403, "AccessDenied", ERR_DENIED, REMEDY_GRANT_VAULT },
	{ 403, "ForbiddenByPolicy", ERR_DENIED, REMEDY_GRANT_VAULT },
	{ 403, "ForbiddenByFirewall", ERR_DENIED, REMEDY_OPEN_VAULT },
	{ 403, "ForbiddenByConnection", ERR_DENIED, REMEDY_OPEN_VAULT },
	{ 403, "SecretDisabled", ERR_DENIED, REMEDY_ENABLE_SECRET },
	{ 403, NULL, ERR_DENIED, REMEDY_GRANT_VAULT },
	{ 404, NULL, ERR_NOT_FOUND, REMEDY_CHECK_VAULT },
};

static void
explain(const struct http_response *r, const struct keyvault_challenge *c, struct err *err)
{
	struct rest_refusal told;
	const char *code;
	char text[300];
	size_t i;

	if (r->status < 300 || err->http_status != r->status)
		return;		/* the failure was not this answer */
	rest_read_refusal(buf_str(&r->error_body), r->error_body.len, &told);
	code = told.inner[0] != '\0' ? told.inner : told.code;
	if (code[0] != '\0')
		str_format(err->cause, sizeof(err->cause), "%s%s%s",
		    rest_refusal_text(&told, text, sizeof(text)),
		    r->status == 401 && c->authority[0] != '\0' ? "; it trusts " : "",
		    r->status == 401 ? c->authority : "");
	for (i = 0; i < LENGTH(rows); i++)
		if (rows[i].status == r->status &&
		    (rows[i].code == NULL || strcmp(rows[i].code, code) == 0)) {
			err->kind = rows[i].kind;
			err->remedy = rows[i].remedy;
			return;
		}
}

/* ---- calls ------------------------------------------------------------- */

/* The 401 that a call without a token is meant to get. */
static int
get_challenge(struct http *http, const char *url, int64_t deadline_ms,
    struct keyvault_challenge *ret, struct err *err)
{
	struct rest r = { .op = "reach the vault", .method = "GET", .url = url,
	    .deadline_ms = deadline_ms };
	struct err failure = ERR_EMPTY;
	int failed = rest_do(http, &r, &failure);

	if (failed == 0) {
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_VAULT, challenge_op,
		    "it answers without asking for a token: this is no Key Vault");
	} else if (r.call.response.status == 401) {
		failed = keyvault_read_challenge(r.call.response.www_authenticate, ret, err);
		if (failed == 0)
			failed = keyvault_check_challenge(ret, url, err);
	} else {
		explain(&r.call.response, &(struct keyvault_challenge){ .resource = "" },
		    &failure);
		*err = failure;
	}
	rest_done(&r);
	return (failed);
}

static int
get_secret(struct http *http, struct rest *r, const struct keyvault_challenge *c,
    struct keyvault_secret *ret, struct err *err)
{
	const struct buf *body = &r->call.response.error_body;

	r->resource = c->resource;
	if (rest_do(http, r, err) != 0) {
		explain(&r->call.response, c, err);
		return (-1);
	}
	return (keyvault_read_answer(buf_str(body), body->len, ret, err));
}

int
keyvault_read(struct http *http, const struct bearer *bearer, const char *url,
    int64_t deadline_ms, struct keyvault_secret *ret, struct err *err)
{
	auto_buf struct buf full = BUF_EMPTY;
	struct rest r = { .op = "read the secret", .method = "GET", .bearer = bearer,
	    .deadline_ms = deadline_ms };
	struct keyvault_challenge c;
	struct err failure = ERR_EMPTY;
	int failed;

	buf_printf(&full, "%s?api-version=" KEYVAULT_API_VERSION, url);
	r.url = buf_str(&full);
	failed = get_challenge(http, r.url, deadline_ms, &c, &failure);
	if (failed == 0)
		failed = get_secret(http, &r, &c, ret, &failure);
	rest_done(&r);
	if (failed != 0) {
		err_on(&failure, "%s", url);
		err_as(&failure, bearer->label);
		if (err != NULL)
			*err = failure;
	}
	return (failed);
}
