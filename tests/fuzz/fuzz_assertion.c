/* PEM text of a certificate credential: refused with a cause, or signed; in bounds. */

#include "identity/assertion.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char noise[ASSERTION_RANDOM_SIZE] = "noise";
	struct assertion_request req = { .pem = (const char *)data, .pem_len = size,
	    .client_id = "ffffffff-0000-4000-8000-00000000000f",
	    .audience = "https://login.microsoftonline.com/t/oauth2/v2.0/token",
	    .now_unix_s = 1795471920 };
	struct secret jwt = { NULL, 0 };
	struct err err = ERR_EMPTY;

	req.alg = size % 2 == 0 ? ASSERTION_PS256 : ASSERTION_RS256;
	if (size % 5 == 0)
		req.thumbprint = "0123456789012345678901234567890123456789";
	if (assertion_make(&req, noise, &jwt, &err) != 0) {
		if (err.kind != ERR_USAGE || err.cause[0] == '\0' || jwt.text != NULL)
			abort();
		return (0);
	}
	if (req.thumbprint != NULL || strspn(jwt.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_.") != jwt.len)
		abort();
	secret_done(&jwt);
	return (0);
}
