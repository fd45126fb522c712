#ifndef IDENTITY_ASSERTION_H
#define IDENTITY_ASSERTION_H

/*
 * assertion -- a service principal's certificate turned into a signed JWT.
 *
 * Pure: PEM text, names, time and random bytes in, the client assertion out.
 * The text holds an RSA key (PKCS#1 or PKCS#8, not encrypted) and its
 * certificate, in any order, among other certificates (a chain).  Signed as
 * PS256 with x5t#S256 in the header, or as RS256 with x5t: what AD FS takes.
 *
 * BearSSL has no RSA-PSS: the encoding (RFC 8017, 9.1.1; SHA-256, MGF1, 32
 * bytes of salt) is made here, the private operation is BearSSL's and takes
 * constant time.  Each signature is checked with the certificate's key before
 * it leaves: a faulty CRT signature would give the key away.
 *
 * Contract: MicrosoftDocs/entra-docs docs/identity-platform/certificate-credentials.md;
 * AzureAD/microsoft-authentication-library-for-python msal/application.py and
 * msal/oauth2cli/assertion.py; RFC 7515 4.1.7, RFC 7523.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define ASSERTION_LIFE_S	600
#define ASSERTION_RANDOM_SIZE	48	/* 16 for jti, 32 for the salt of PS256 */

enum assertion_alg { ASSERTION_PS256, ASSERTION_RS256 };

struct assertion_request {
	const char	*pem;
	size_t		 pem_len;
	const char	*thumbprint;	/* SHA-1 in hex, with or without ':' and ' '; NULL: any */
	const char	*client_id;	/* iss and sub */
	const char	*audience;	/* the token endpoint's exact URL */
	enum assertion_alg alg;
	int64_t		 now_unix_s;
};

/*
 * fails  ERR_USAGE: what the text lacks, a key that is no RSA key or too short,
 *        a certificate that is not the key's or not the one that thumbprint names
 */
int	assertion_make(const struct assertion_request *,
	    const unsigned char random[ASSERTION_RANDOM_SIZE], struct secret *ret, struct err *);

#endif
