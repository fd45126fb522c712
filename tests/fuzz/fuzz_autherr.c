/*
 * A refusal: header lines up to an empty one, then the body.  Whatever it says, it is explained
 * in bounds, with a kind, a cause and an errno.
 */

#include "azure/http_answer.h"
#include "azure/refusal.h"
#include "fuzz.h"

static size_t
read_head(struct http_response *r, const char *text, size_t size)
{
	size_t at = 0, len;
	const char *nl;

	while (at < size) {
		nl = memchr(text + at, '\n', size - at);
		len = nl != NULL ? (size_t)(nl - text) - at + 1 : size - at;
		http_answer_line(r, text + at, len);
		at += len;
		if (len <= 2)
			break;
	}
	return (at);
}

static void
explain(struct http_response *r, const struct refusal_context *ctx, int may_say_null)
{
	struct err err = ERR_EMPTY;

	http_answer_err(r, &err);
	refusal_explain(r, ctx, &err);
	if (r->status >= 300 && (err.kind == ERR_NONE || err.cause[0] == '\0' ||
	    refusal_errno(&err) <= 0))
		abort();
	if (memchr(err.cause, '\0', sizeof(err.cause)) == NULL)
		abort();
	if (http_answer_delay_ms(r, 3) < 0)
		abort();
	must(may_say_null || strstr(err.cause, "(null)") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct refusal_context contexts[] = {
		{ .now_unix_s = 1795471920 },
		{ .writing = 1, .now_unix_s = 1795471920,
		    .token_tenant = "11111111-aaaa-4aaa-8aaa-111111111111" },
		{ .sas_expiry_unix_s = 1795471920, .now_unix_s = 1795471000 },
		{ .sas = "?sp=r&sr=%zz&sip=1.2.3.4&sig=x", .sas_expiry_unix_s = INT64_MAX,
		    .hns = 1, .is_output = 1, .now_unix_s = 1795471000 },
	};
	struct http_response r = { .status = 0 };
	const char *text = (const char *)data;
	size_t i, at;

	http_answer_reset(&r);
	at = read_head(&r, text, size);
	if (size - at <= 16384)
		buf_add(&r.error_body, text + at, size - at);
	for (i = 0; i < LENGTH(contexts); i++)
		explain(&r, &contexts[i], memmem(text, size, "(null)", 6) != NULL);
	buf_done(&r.continuation);
	buf_done(&r.error_body);
	return (0);
}
