#include "azure/rest.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static int
prepare(struct http_call *call, struct http_request *req, struct err *err)
{
	struct rest *r = call->arg;

	(void)err;
	req->method = r->method;
	req->url = r->url;
	req->headers[req->nheaders++] = (struct http_header){ "Accept", "application/json" };
	if (r->token.text != NULL)
		req->headers[req->nheaders++] = (struct http_header){ "Authorization",
		    arena_printf(&call->scratch, "Bearer %s", r->token.text) };
	if (r->body != NULL) {
		req->headers[req->nheaders++] = (struct http_header){ "Content-Type",
		    "application/json" };
		req->body = r->body;
		req->body_len = strlen(r->body);
	}
	return (0);
}

static int
once(struct http *http, struct rest *r, uint64_t newer_than, uint64_t *ret_generation,
    struct err *err)
{
	http_call_done(&r->call);
	r->call = (struct http_call){ .op = r->op, .prepare = prepare, .arg = r,
	    .deadline_ms = r->deadline_ms, .body_max = REST_BODY_MAX };
	if (r->resource != NULL && r->bearer->get(r->bearer->arg, r->resource, newer_than,
	    r->deadline_ms, &r->token, ret_generation, err) != 0)
		return (-1);
	return (http_do(http, &r->call, err));
}

int
rest_do(struct http *http, struct rest *r, struct err *err)
{
	struct err failure = ERR_EMPTY;
	uint64_t generation = 0;
	char url[320];
	int failed;

	if (!str_starts(r->url, "https://")) {
		err_set(err, ERR_USAGE, REMEDY_USE_HTTPS, r->op, "tokens are sent over https only");
		return (err_on(err, "%s", http_printable_url(r->url, url, sizeof(url))));
	}
	failed = once(http, r, 0, &generation, &failure);
	if (failed != 0 && r->resource != NULL && r->call.response.status == 401)
		failed = once(http, r, generation, &generation, &failure);
	if (failed == 0)
		return (0);
	err_doing(&failure, r->op);
	err_on(&failure, "%s", http_printable_url(r->url, url, sizeof(url)));
	if (r->bearer != NULL)
		err_as(&failure, r->bearer->label);
	if (err != NULL)
		*err = failure;
	return (-1);
}

void
rest_done(struct rest *r)
{
	secret_done(&r->token);
	http_call_done(&r->call);
}

/* What the other side says, on one line. */
static void
copy_line(char *to, size_t size, const char *text)
{
	size_t n = 0, len = text != NULL ? strlen(text) : 0, used;

	for (; len > 0 && n + 4 < size; text += used, len -= used) {
		used = str_utf8_printable(text, len);
		if (used != 0) {
			memcpy(to + n, text, used);
			n += used;
		} else {
			used = 1;
			if (n > 0 && to[n - 1] != ' ')
				to[n++] = ' ';
		}
	}
	to[n] = '\0';
}

void
rest_read_refusal(const char *body, size_t len, struct rest_refusal *ret)
{
	struct json *root = len > 0 ? json_parse(body, len) : NULL;
	const struct json *e = json_get(root, "error"), *inner = json_get(e, "innererror");

	copy_line(ret->code, sizeof(ret->code), json_string(json_get(e, "code")));
	copy_line(ret->inner, sizeof(ret->inner), json_string(json_get(inner, "code")));
	copy_line(ret->message, sizeof(ret->message), json_string(json_get(e, "message")));
	json_free(root);
}

const char *
rest_refusal_text(const struct rest_refusal *r, char *buf, size_t size)
{
	const char *code = r->inner[0] != '\0' ? r->inner : r->code;

	str_format(buf, size, "%s%s%s", code, code[0] != '\0' && r->message[0] != '\0' ? ": " : "",
	    r->message);
	return (buf);
}
