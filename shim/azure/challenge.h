#ifndef AZURE_CHALLENGE_H
#define AZURE_CHALLENGE_H

/*
 * challenge -- what a service's 401 says in WWW-Authenticate: "SCHEME NAME=VALUE, NAME=VALUE".
 *
 * Values are tokens or quoted strings (RFC 9110, 11.6.1); as Azure's services write them,
 * plain values may be URLs and blanks may stand for commas (Storage: "Bearer
 * authorization_uri=https://login.../TENANT/oauth2/authorize resource_id=...").  Whether what is
 * said there may be trusted is the caller's to know.  (Azure Arc's is no list but a file's name:
 * identity/arc.h.)
 */

#include <stddef.h>

struct challenge_field {
	const char	*name;		/* any case */
	char		*to;		/* "" if it is not there */
	size_t		 size;
};

/*
 * The fields of a challenge of this scheme.  -1: of another scheme, malformed, or a field is
 * too long or stands there twice; those before the flaw are filled.
 */
int	challenge_read(const char *header, const char *scheme, const struct challenge_field *,
	    size_t n);

#endif
