#include "identity/source.h"

#include <string.h>

#include "azure/http_answer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "identity/aadsts.h"

#define SKEW_MIN_S	60	/* what is less is rounding, and the way */
#define SECRET_BEGIN	8	/* bytes of a secret that are none in a message */

/* In the order in which the Azure SDKs look. */
static const struct source *const sources[] = {
	&source_fabric,
	&source_appservice,
	&source_aml,
	&source_cloudshell,
	&source_arc,
	&source_workload,
	&source_imds,
	&source_obo,
	&source_secret,
	&source_certificate,
};

const struct source *
source_find(enum plan_identity_kind kind, const struct facts *facts, struct err *err)
{
	size_t i;

	for (i = 0; i < LENGTH(sources); i++)
		if (sources[i]->kind == kind && sources[i]->detect(facts))
			return (sources[i]);
	if (kind == PLAN_ID_USER)
		err_set(err, ERR_NO_IDENTITY, REMEDY_SUBMIT_WITH_USER_IDENTITY,
		    "find the on-behalf-of endpoint", "OBO_ENDPOINT is not set");
	else
		err_set(err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "find a token endpoint",
		    "there is no source for a %s", plan_identity_kind_name(kind));
	return (NULL);
}

/* The endpoint may answer for somebody else than was asked for. */
static int
check_who(const struct source *source, const struct plan_identity *asked, const struct token *t,
    struct err *err)
{
	const char *op = "check whose token it is";
	struct token_claims got;

	if (token_read_claims(t->text.text, t->text.len, &got) != 0)
		return (0);		/* opaque: nothing to compare */
	if (asked->kind == PLAN_ID_USER && !got.is_user && strcmp(got.idtyp, "app") == 0)
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_SUBMIT_WITH_USER_IDENTITY, op,
		    "asked for the submitter's token, got that of the application %s", got.appid));
	if (asked->kind == PLAN_ID_MANAGED && got.is_user && !source->gives_user)
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, op,
		    "asked for a managed identity, got the token of a person (object id %s)",
		    got.oid));
	if (asked->client_id != NULL && got.appid[0] != '\0' &&
	    !str_same(asked->client_id, got.appid))
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_NAME_ASSIGNED_IDENTITY, op,
		    "asked for client id %s, got %s", asked->client_id, got.appid));
	if (asked->kind == PLAN_ID_MANAGED && asked->object_id != NULL && got.oid[0] != '\0' &&
	    !str_same(asked->object_id, got.oid))
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_NAME_ASSIGNED_IDENTITY, op,
		    "asked for object id %s, got %s", asked->object_id, got.oid));
	return (0);
}

int
source_acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	const struct source *source = source_find(identity->kind, facts, err);
	struct token t = { .generation = 0 };

	if (source == NULL)
		return (err_as(err, identity->label));
	if (source->acquire(facts, http, identity, resource, deadline_ms, &t, err) != 0) {
		err_as(err, identity->label);
		return (err_doing(err, "get a token"));
	}
	if (check_who(source, identity, &t, err) != 0) {
		token_done(&t);
		err_on(err, "%s", source->name);
		return (err_as(err, identity->label));
	}
	*ret = t;
	return (0);
}

int
source_no_selector(const struct plan_identity *identity, const char *why, struct err *err)
{
	if (identity->client_id == NULL && identity->object_id == NULL &&
	    identity->resource_id == NULL)
		return (0);
	return (err_set(err, ERR_USAGE, REMEDY_OMIT_SELECTOR, "get a token",
	    "no identity can be selected here: %s", why));
}

const char *
source_url_add(const char *url, const char *name, const char *value, struct arena *mem)
{
	auto_buf struct buf text = BUF_EMPTY;

	buf_printf(&text, "%s%c%s=", url, strchr(url, '?') == NULL ? '?' : '&', name);
	uri_encode(&text, value, strlen(value), 0);
	return (arena_strdup(mem, buf_str(&text)));
}

struct source_try {
	const struct source_call *what;
	int64_t	started_ms;
	struct buf form;
};

static void
add_header(struct http_request *req, const char *name, const char *value)
{
	req->headers[req->nheaders++] = (struct http_header){ name, value };
}

static int
prepare(struct http_call *call, struct http_request *req, struct err *err)
{
	struct source_try *try = call->arg;
	const struct source_call *what = try->what;

	req->method = what->fill == NULL ? "GET" : "POST";
	req->url = what->url;
	req->no_proxy = !what->use_proxy;
	req->pin_sha1 = what->pin_sha1;
	add_header(req, "Accept", "application/json");
	if (what->header_name != NULL)
		add_header(req, what->header_name, what->header_value);
	if (what->metadata)
		add_header(req, "Metadata", "true");
	if (what->fill == NULL)
		return (0);
	add_header(req, "Content-Type", "application/x-www-form-urlencoded");
	buf_done(&try->form);
	if (what->fill(what->arg, &try->form, err) != 0)
		return (-1);
	req->body = buf_str(&try->form);
	req->body_len = try->form.len;
	return (0);
}

/* The Azure ML endpoint passes refusals on as 500, "failed ... from MSI, status code: 404". */
static const char *
wrapped_refusal(const struct http_response *res)
{
	return (res->status != 500 ? NULL : strstr(buf_str(&res->error_body), "status code: 40"));
}

static int
says_transient(const struct http_response *res)
{
	struct json *answer = json_parse(buf_str(&res->error_body), res->error_body.len);
	int transient = aadsts_is_transient(answer);

	json_free(answer);
	return (transient);
}

enum http_verdict
source_verdict(const struct http_response *res)
{
	static const int always[] = { 408, 429, 500, 502, 503, 504, 0 };
	const int *status;

	if (res->status >= 200 && res->status < 300)
		return (HTTP_OK);
	for (status = always; *status != 0 && wrapped_refusal(res) == NULL; status++)
		if (res->status == *status)
			return (HTTP_RETRY);
	return (says_transient(res) ? HTTP_RETRY : HTTP_FAIL);
}

static int
is_updating(const struct source_try *try, int code)
{
	const int *status = try->what->transient;

	while (status != NULL && *status != 0 && *status != code)
		status++;
	return (status != NULL && *status != 0 &&
	    clock_ms() - try->started_ms < try->what->transient_ms);
}

static enum http_verdict
judge(struct http_call *call, const struct http_response *res, int *ret_delay_ms)
{
	const struct source_try *try = call->arg;
	enum http_verdict verdict = source_verdict(res);
	int delay_ms;

	if (verdict == HTTP_OK)
		return (verdict);
	if (is_updating(try, res->status)) {
		*ret_delay_ms = (int)clock_jitter(1000, 3000);
		return (HTTP_RETRY);
	}
	if (verdict == HTTP_FAIL && (try->what->busy_ms == 0 || res->status < 500))
		return (verdict);
	delay_ms = http_answer_delay_ms(res, call->tries);
	*ret_delay_ms = delay_ms < try->what->busy_ms ? try->what->busy_ms : delay_ms;
	return (HTTP_RETRY);
}

static int
is_busy(int status)
{
	return (status >= 500 || status == 429 || status == 408);
}

/* OAuth's error is a word; Service Fabric's an object with a code and a message. */
static void
find_words(const struct json *answer, const char **ret_code, const char **ret_text)
{
	const struct json *error = json_get(answer, "error");

	*ret_code = json_string(error);
	*ret_text = json_string(json_get(answer, "error_description"));
	if (json_type(error) == JSON_OBJECT) {
		*ret_code = json_string(json_get(error, "code"));
		*ret_text = json_string(json_get(error, "message"));
	}
	if (*ret_text == NULL)
		*ret_text = json_string(json_get(answer, "message"));
}

static enum err_remedy
remedy_of(const struct http_response *res, const struct json *answer, int is_refusal)
{
	enum err_remedy remedy = aadsts_remedy(aadsts_code(answer));

	if (remedy != REMEDY_NONE)
		return (remedy);
	if (!is_refusal)
		return (REMEDY_RETRY_LATER);
	return (wrapped_refusal(res) != NULL || res->status == 400 || res->status == 403 ?
	    REMEDY_NAME_ASSIGNED_IDENTITY : REMEDY_CHECK_ENDPOINT);
}

/* OAuth's error/error_description, App Service's statusCode/message, or plain text. */
void
source_explain(const struct http_response *res, struct err *err)
{
	const char *body = buf_str(&res->error_body), *code, *text;
	const char *wrapped = wrapped_refusal(res);
	struct json *answer = json_parse(body, res->error_body.len);
	int is_refusal = wrapped != NULL || (!is_busy(res->status) &&
	    !aadsts_is_transient(answer));

	if (res->status < 300)		/* none, or its body broke off: no refusal */
		goto out;
	err->kind = is_refusal ? ERR_NO_IDENTITY : ERR_UNREACHABLE;
	err->remedy = remedy_of(res, answer, is_refusal);
	err->http_status = res->status;
	find_words(answer, &code, &text);
	if (text == NULL)
		text = wrapped != NULL ? wrapped : answer == NULL ? body : "";
	aadsts_cause(answer, code, text, err->cause, sizeof(err->cause));
out:
	json_free(answer);
}

/*
 * When a token ends is said by the source's clock.  Ours may be wrong, or have jumped: it would
 * take a new token for one that has expired, or one that has expired for a new one.
 */
static int
read_answer(const struct http_response *res, struct token *ret, struct err *err)
{
	int64_t now = clock_wall_s(), skew = res->date_unix_s != 0 ? now - res->date_unix_s : 0;

	if (skew > -SKEW_MIN_S && skew < SKEW_MIN_S)
		skew = 0;
	if (token_parse_answer(buf_str(&res->error_body), res->error_body.len, now - skew, ret,
	    err) != 0)
		return (-1);
	ret->expires_unix_s += skew;
	ret->refresh_unix_s += skew;
	return (0);
}

/* Its beginning is enough: the cause ends somewhere in the answer, perhaps in the secret. */
static void
hide(struct err *err, const char *secret)
{
	char begin[SECRET_BEGIN + 1];

	if (secret == NULL || secret[0] == '\0')
		return;
	if (str_starts(secret, "Basic "))
		secret += strlen("Basic ");
	(void)str_format(begin, sizeof(begin), "%.*s", SECRET_BEGIN, secret);
	if (strstr(err->cause, begin) != NULL)
		str_format(err->cause, sizeof(err->cause),
		    "(not shown: the answer repeats the secret)");
}

int
source_do(struct http *http, const struct source_call *what, int64_t deadline_ms,
    struct token *ret, struct err *err)
{
	struct source_try try = { .what = what, .started_ms = clock_ms() };
	struct http_call call = { .op = "get a token", .prepare = prepare, .judge = judge,
	    .arg = &try, .deadline_ms = deadline_ms, .body_max = SOURCE_ANSWER_MAX };
	struct err failure = ERR_EMPTY;
	char url[256];
	int failed;

	failed = http_do(http, &call, &failure);
	if (failed != 0)
		source_explain(&call.response, &failure);
	else
		failed = read_answer(&call.response, ret, &failure);
	if (failed != 0) {
		hide(&failure, what->header_value);
		hide(&failure, what->form_secret);
		if (failure.http_status == 0)
			failure.http_status = call.response.status;
		err_on(&failure, "%s", http_printable_url(what->url, url, sizeof(url)));
		if (err != NULL)
			*err = failure;
	}
	secret_wipe(call.response.error_body.data, call.response.error_body.data == NULL ? 0 :
	    call.response.error_body.len);
	http_call_done(&call);
	buf_done(&try.form);
	return (failed);
}
