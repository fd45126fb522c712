#include "identity/aadsts.h"

#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

#define DESCRIPTION_MAX	200

static const struct {
	int		 code;
	enum err_remedy	 remedy;
} rows[] = {
	/* The resource is not known in the tenant. */
	{ 50001, REMEDY_CHECK_TENANT }, { 500011, REMEDY_CHECK_TENANT },
	{ 650057, REMEDY_CHECK_TENANT }, { 70011, REMEDY_CHECK_TENANT },
	{ 28002, REMEDY_CHECK_TENANT },
	/* The application is not, or there is no such tenant in this cloud. */
	{ 700016, REMEDY_CHECK_APPLICATION }, { 700011, REMEDY_CHECK_APPLICATION },
	{ 90002, REMEDY_CHECK_APPLICATION },
	/* Its certificate: thumbprint, signature, subject. */
	{ 50012, REMEDY_REGISTER_CERTIFICATE }, { 700027, REMEDY_REGISTER_CERTIFICATE },
	{ 700030, REMEDY_REGISTER_CERTIFICATE },
	/* The assertion's times. */
	{ 50013, REMEDY_CHECK_CLOCK }, { 500133, REMEDY_CHECK_CLOCK },
	{ 700024, REMEDY_CHECK_CLOCK },
	{ 50020, REMEDY_SAME_TENANT },
	{ 50076, REMEDY_SIGN_IN_POLICY }, { 50079, REMEDY_SIGN_IN_POLICY },
	{ 53003, REMEDY_SIGN_IN_POLICY },
	{ 65001, REMEDY_GRANT_CONSENT },
	{ 70002, REMEDY_RENEW_CLIENT_SECRET }, { 7000215, REMEDY_RENEW_CLIENT_SECRET },
	{ 7000222, REMEDY_RENEW_CLIENT_SECRET },
	/* No federated credential fits issuer, subject or audience. */
	{ 70021, REMEDY_ADD_FEDERATION }, { 700211, REMEDY_ADD_FEDERATION },
	{ 700212, REMEDY_ADD_FEDERATION }, { 700213, REMEDY_ADD_FEDERATION },
	/* A person's sign-in has ended: a job that ran for days. */
	{ 70043, REMEDY_SUBMIT_AGAIN }, { 700082, REMEDY_SUBMIT_AGAIN },
	{ 70008, REMEDY_SUBMIT_AGAIN },
	{ 90006, REMEDY_RETRY_LATER }, { 90012, REMEDY_RETRY_LATER },
	{ 90024, REMEDY_RETRY_LATER },
};

int
aadsts_code(const struct json *answer)
{
	const struct json *codes = json_get(answer, "error_codes");
	const char *text = json_string(json_get(answer, "error_description"));
	char digits[12];
	int64_t code;
	long long n;
	size_t len;

	if (json_type(codes) == JSON_ARRAY && json_int(json_first(codes), &code) == 0 &&
	    code > 0 && code < INT32_MAX)
		return ((int)code);
	if (text == NULL || (text = strstr(text, "AADSTS")) == NULL)
		return (0);
	text += strlen("AADSTS");
	len = strspn(text, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return (0);
	memcpy(digits, text, len);
	digits[len] = '\0';
	return (str_to_i64(digits, 1, INT32_MAX, &n) == 0 ? (int)n : 0);
}

enum err_remedy
aadsts_remedy(int code)
{
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (rows[i].code == code)
			return (rows[i].remedy);
	return (REMEDY_NONE);
}

int
aadsts_is_transient(const struct json *answer)
{
	const char *error = json_string(json_get(answer, "error"));

	return ((error != NULL && (strcmp(error, "temporarily_unavailable") == 0 ||
	    strcmp(error, "server_error") == 0)) ||
	    aadsts_remedy(aadsts_code(answer)) == REMEDY_RETRY_LATER);
}

/* An id that goes into a message: a GUID and nothing else. */
static const char *
id_of(const struct json *answer, const char *name)
{
	const char *id = json_string(json_get(answer, name));

	return (id != NULL && str_is_guid(id) ? id : NULL);
}

/* Up to the line's end, and to the ids that some answers put into the same line. */
static int
description_length(const char *text)
{
	const char *ids = strstr(text, " Trace ID:");
	size_t len = strcspn(text, "\r\n\"");

	if (secret_in_text(text))
		return (0);
	if (ids != NULL && (size_t)(ids - text) < len)
		len = (size_t)(ids - text);
	return ((int)(len > DESCRIPTION_MAX ? DESCRIPTION_MAX : len));
}

void
aadsts_cause(const struct json *answer, const char *error, const char *description,
    char *out, size_t size)
{
	const char *trace = id_of(answer, "trace_id");
	const char *correlation = id_of(answer, "correlation_id");
	int len = description == NULL ? 0 : description_length(description);
	char code[24] = "";

	if (description == NULL || strstr(description, "AADSTS") == NULL)
		if (aadsts_code(answer) != 0)
			str_format(code, sizeof(code), " (AADSTS%d)", aadsts_code(answer));
	str_format(out, size, "%s%s%s%.*s%s%s%s%s%s%s", error == NULL ? "" : error, code,
	    (error == NULL && code[0] == '\0') || len == 0 ? "" : ": ", len,
	    description == NULL ? "" : description,
	    trace != NULL || correlation != NULL ? ";" : "",
	    trace != NULL ? " trace " : "", trace != NULL ? trace : "",
	    trace != NULL && correlation != NULL ? "," : "",
	    correlation != NULL ? " correlation " : "", correlation != NULL ? correlation : "");
}
