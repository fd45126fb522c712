#include "azure/acr.h"

#include <string.h>
#include <strings.h>

#include "azure/challenge.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/uri.h"

#define ANSWER_MAX	65536
#define RETRY_LOW_MS	1000
#define RETRY_HIGH_MS	2000

/* --- names ------------------------------------------------------------------------ */

static int
is_label_char(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
}

/* Labels of letters, digits and hyphens, none empty. */
static int
is_dns_name(const char *name, size_t len)
{
	size_t i, label = 0;

	for (i = 0; i < len; i++) {
		if (name[i] == '.' ? label == 0 : !is_label_char(name[i]))
			return (0);
		label = name[i] == '.' ? 0 : label + 1;
	}
	return (label > 0 && len <= 253);
}

int
acr_host(const char *server_url, char ret[ACR_HOST_SIZE])
{
	const char *colon;
	size_t len, i;
	long long port;

	if (strncasecmp(server_url, "https://", 8) == 0)
		server_url += 8;
	len = strcspn(server_url, "/?#");
	if (len >= ACR_HOST_SIZE)
		return (-1);
	for (i = 0; i < len; i++)
		ret[i] = (char)(server_url[i] >= 'A' && server_url[i] <= 'Z' ?
		    server_url[i] | 0x20 : server_url[i]);
	ret[len] = '\0';
	colon = strchr(ret, ':');
	if (colon != NULL && str_to_i64(colon + 1, 1, 65535, &port) != 0)
		return (-1);
	return (is_dns_name(ret, colon != NULL ? (size_t)(colon - ret) : len) ? 0 : -1);
}

int
acr_named(const char *named, size_t i, char ret[ACR_HOST_SIZE])
{
	char text[ACR_HOST_SIZE];
	size_t len;

	for (; named != NULL && *named != '\0'; named += len + (named[len] == ',')) {
		len = strcspn(named, ",");
		if (len == 0)
			continue;
		if (i-- > 0)
			continue;
		return (str_format(text, sizeof(text), "%.*s", (int)len, named) == 0 &&
		    acr_host(text, ret) == 0 ? 1 : -1);
	}
	return (0);
}

int
acr_is_registry(const char *host, const char *suffix, const char *named)
{
	size_t len = strlen(host), n = strlen(suffix), i;
	char other[ACR_HOST_SIZE];
	int found;

	if (len > n + 1 && host[len - n - 1] == '.' && strcmp(host + len - n, suffix) == 0)
		return (1);
	for (i = 0; (found = acr_named(named, i, other)) != 0; i++)
		if (found == 1 && strcmp(host, other) == 0)
			return (1);
	return (0);
}

/* --- the challenge ---------------------------------------------------------------- */

int
acr_read_challenge(const char *text, struct acr_challenge *ret)
{
	const struct challenge_field fields[] = {
		{ "realm", ret->realm, sizeof(ret->realm) },
		{ "service", ret->service, sizeof(ret->service) },
	};

	return (challenge_read(text, "Bearer", fields, LENGTH(fields)) == 0 &&
	    ret->realm[0] != '\0' && ret->service[0] != '\0' ? 0 : -1);
}

/* The realm only shows that this is a registry: nothing is sent there but on the same host. */
static int
check_realm(const struct acr_challenge *c, const char *host, struct err *err)
{
	char own[ACR_HOST_SIZE] = "";

	if (str_starts(c->realm, "https://") && acr_host(c->realm, own) == 0 &&
	    strcmp(own, host) == 0)
		return (0);
	return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "sign in to",
	    "it names %s as the place to get a token: not over https on its own host", c->realm));
}

struct step {
	const struct acr_login *login;
	const char	*url;
	const struct secret *token;	/* of the exchange */
	const char	*tenant, *service;
	struct buf	 form;
};

static int
prepare_challenge(struct http_call *call, struct http_request *req, struct err *err)
{
	const struct step *s = call->arg;

	(void)err;
	req->method = "GET";
	req->url = s->url;
	return (0);
}

static enum http_verdict
judge_challenge(struct http_call *call, const struct http_response *res, int *ret_delay_ms)
{
	(void)call;
	(void)ret_delay_ms;
	return (res->status == 401 ? HTTP_OK : http_default_verdict(res));
}

static int
ask_challenge(struct http *http, struct step *s, struct acr_challenge *ret, struct err *err)
{
	struct http_call call = { .op = "sign in to", .prepare = prepare_challenge,
	    .judge = judge_challenge, .arg = s, .deadline_ms = s->login->deadline_ms,
	    .body_max = ANSWER_MAX };
	int failed = http_do(http, &call, err);

	*ret = (struct acr_challenge){ .realm = "" };
	if (failed == 0 && call.response.status != 401)
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "sign in to",
		    "it asks for no credentials (status %d)", call.response.status);
	else if (failed == 0 && acr_read_challenge(call.response.www_authenticate, ret) != 0)
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "sign in to",
		    "its challenge is not that of an Azure Container Registry");
	if (failed == 0)
		failed = check_realm(ret, s->login->host, err);
	http_call_done(&call);
	return (failed);
}

/* --- the exchange ------------------------------------------------------------------ */

static int
prepare_exchange(struct http_call *call, struct http_request *req, struct err *err)
{
	struct step *s = call->arg;

	(void)err;
	req->method = "POST";
	req->url = s->url;
	req->headers[req->nheaders++] = (struct http_header){ "Accept", "application/json" };
	req->headers[req->nheaders++] = (struct http_header){ "Content-Type",
	    "application/x-www-form-urlencoded" };
	req->body = buf_str(&s->form);
	req->body_len = s->form.len;
	return (0);
}

/* {"errors":[{"code":"UNAUTHORIZED","message":"..."}]}: the first one's words. */
static void
explain(const struct http_response *res, struct err *err)
{
	struct json *answer = json_parse(buf_str(&res->error_body), res->error_body.len);
	const struct json *first = json_first(json_get(answer, "errors"));
	const char *code = json_string(json_get(first, "code"));
	const char *text = json_string(json_get(first, "message"));

	if (res->status == 401 || res->status == 403) {
		err->kind = ERR_DENIED;
		err->remedy = REMEDY_GRANT_ACR_PULL;
	}
	/* A service that repeats what it was sent must not put a token into a log. */
	if (code != NULL && !secret_in_text(code) && (text == NULL || !secret_in_text(text)))
		str_format(err->cause, sizeof(err->cause), "%s%s%.200s", code,
		    text != NULL ? ": " : "", text != NULL ? text : "");
	json_free(answer);
}

static int
take_refresh_token(const struct http_response *res, struct secret *ret, struct err *err)
{
	struct json *answer = json_parse(buf_str(&res->error_body), res->error_body.len);
	const char *text = json_string(json_get(answer, "refresh_token"));
	int failed;

	if (text == NULL || !str_is_visible(text, strlen(text)))
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "sign in to",
		    "there is no refresh_token in its answer");
	else
		failed = secret_set(ret, text, strlen(text), err);
	json_free(answer);
	return (failed);
}

static int
exchange(struct http *http, struct step *s, struct secret *ret, struct err *err)
{
	struct http_call call = { .op = "sign in to", .prepare = prepare_exchange, .arg = s,
	    .deadline_ms = s->login->deadline_ms, .body_max = ANSWER_MAX };
	int failed;

	buf_reset(&s->form);
	uri_add_field(&s->form, "grant_type", "access_token");
	uri_add_field(&s->form, "service", s->service);
	if (s->tenant[0] != '\0')
		uri_add_field(&s->form, "tenant", s->tenant);
	uri_add_field(&s->form, "access_token", s->token->text);
	failed = http_do(http, &call, err);
	if (failed != 0)
		explain(&call.response, err);
	else
		failed = take_refresh_token(&call.response, ret, err);
	if (call.response.error_body.data != NULL)
		secret_wipe(call.response.error_body.data, call.response.error_body.len);
	http_call_done(&call);
	buf_done(&s->form);
	return (failed);
}

/* --- both ---------------------------------------------------------------------------- */

struct entra {
	struct secret	text;
	char		tenant[64];
};

static int
sign_in(struct http *http, struct step *s, struct entra *t, const char *audience,
    struct secret *ret, struct err *err)
{
	const struct acr_login *login = s->login;

	if (t->text.len == 0 && login->token(login->arg, audience, &t->text, t->tenant, err) != 0)
		return (-1);
	s->token = &t->text;
	s->tenant = t->tenant;
	return (exchange(http, s, ret, err));
}

/* Each audience once.  A refusal of the registry says more than one of the token's source. */
static int
try_audiences(struct http *http, struct step *s, struct entra tokens[2], struct secret *ret,
    struct err *err)
{
	struct err failure;
	int i;

	*err = ERR_EMPTY;
	for (i = 0; i < 2 && s->login->audiences[i] != NULL; i++) {
		failure = ERR_EMPTY;
		if (sign_in(http, s, &tokens[i], s->login->audiences[i], ret, &failure) == 0)
			return (0);
		if (err->kind == ERR_NONE || failure.kind == ERR_DENIED)
			*err = failure;
		if (failure.kind != ERR_DENIED && failure.kind != ERR_NO_IDENTITY)
			break;
	}
	return (-1);
}

int
acr_login(struct http *http, const struct acr_login *login, struct secret *ret, struct err *err)
{
	struct entra tokens[2] = { { .tenant = "" } };
	struct arena mem = ARENA_EMPTY;
	struct acr_challenge challenge;
	struct step s = { .login = login };
	int64_t until = clock_ms() + login->grant_ms;
	struct err failure = ERR_EMPTY;
	int result;

	s.url = arena_printf(&mem, "https://%s/v2/", login->host);
	result = ask_challenge(http, &s, &challenge, &failure);
	s.url = arena_printf(&mem, "https://%s/oauth2/exchange", login->host);
	s.service = challenge.service;
	if (result == 0)
		while ((result = try_audiences(http, &s, tokens, ret, &failure)) != 0 &&
		    failure.kind == ERR_DENIED && clock_ms() < until)
			clock_sleep_ms(clock_jitter(RETRY_LOW_MS, RETRY_HIGH_MS));
	secret_done(&tokens[0].text);
	secret_done(&tokens[1].text);
	arena_done(&mem);
	if (result == 0)
		return (0);
	if (failure.kind == ERR_DENIED)		/* the role is given on the registry, not its URL */
		failure.resource[0] = '\0';
	err_on(&failure, "registry %s", login->host);
	if (err != NULL)
		*err = failure;
	return (-1);
}
