/*
 * Service Fabric: GET $IDENTITY_ENDPOINT?api-version=2019-07-01-preview&resource=R, header Secret,
 * over TLS with a self-signed certificate that IDENTITY_SERVER_THUMBPRINT (SHA-1) names.  The
 * cluster decides which identity; redirects are not followed.
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/servicefabric.go,
 * AzureAD/microsoft-authentication-library-for-python msal/managed_identity.py.
 */

#include <string.h>

#include "identity/source.h"
#include "plan/issuer.h"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_FABRIC);
}

static int
digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);

	return (at == NULL ? -1 : (int)(at - digits));
}

/* 40 hex digits; case, colons and blanks do not matter. */
static int
read_thumbprint(const char *text, unsigned char pin[HTTP_PIN_SIZE], struct err *err)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		int value = digit(*text);

		if (*text == ':' || *text == ' ')
			continue;
		if (value < 0 || n == 2 * (size_t)HTTP_PIN_SIZE)
			break;
		pin[n / 2] = (unsigned char)(n % 2 == 0 ? value << 4 : pin[n / 2] | value);
		n++;
	}
	if (*text == '\0' && n == 2 * (size_t)HTTP_PIN_SIZE)
		return (0);
	err_set(err, ERR_NO_IDENTITY, REMEDY_CHECK_ENDPOINT, "get a token",
	    "expected 40 hexadecimal digits, the SHA-1 of the endpoint's certificate");
	return (err_on(err, "IDENTITY_SERVER_THUMBPRINT"));
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	unsigned char pin[HTTP_PIN_SIZE];
	struct arena mem = ARENA_EMPTY;
	struct source_call call = { .header_name = "Secret",
	    .header_value = facts->identity_header.text, .pin_sha1 = pin };
	int failed;

	if (source_no_selector(identity, "the Service Fabric endpoint has the identity that the "
	    "cluster's application manifest assigns", err) != 0 ||
	    read_thumbprint(facts->identity_server_thumbprint, pin, err) != 0)
		return (-1);
	if (!str_starts(facts->identity_endpoint, "https://")) {
		err_set(err, ERR_NO_IDENTITY, REMEDY_USE_HTTPS, "get a token",
		    "the Service Fabric endpoint is known by its certificate: https only");
		return (err_on(err, "IDENTITY_ENDPOINT"));
	}
	call.url = source_url_add(facts->identity_endpoint, "api-version", "2019-07-01-preview",
	    &mem);
	call.url = source_url_add(call.url, "resource", resource, &mem);
	failed = source_do(http, &call, deadline_ms, ret, err);
	arena_done(&mem);
	return (failed);
}

const struct source source_fabric = {
	.name = "Service Fabric endpoint (IDENTITY_ENDPOINT)", .kind = PLAN_ID_MANAGED,
	.detect = detect, .acquire = acquire,
};
