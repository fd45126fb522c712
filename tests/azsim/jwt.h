#ifndef AZSIM_JWT_H
#define AZSIM_JWT_H

/*
 * jwt -- access tokens that look like Entra's, and that only we can have made.
 *
 * The header says RS256, as the real ones do; the signature is an HMAC under a
 * random key of this process, so that jwt_verify tells our own tokens from all
 * others.  Clients must treat it as opaque; Azurite with "--oauth basic" reads
 * the claims alone and takes them as well.
 *
 * Claims: learn.microsoft.com "Access token claims reference".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct jwt_key {
	unsigned char bytes[32];
};

struct jwt_claims {
	char	aud[512], iss[160], tid[64], oid[64], appid[64];
	char	idtyp[16];		/* "app", "user" */
	char	upn[160], scp[64];	/* of a person */
	char	mirid[512];		/* resource id of a managed identity */
	int64_t	iat, nbf, exp;
};

int	jwt_key_init(struct jwt_key *);
void	jwt_mint(const struct jwt_key *, const struct jwt_claims *, struct buf *ret);
/* 0; -1: not a JWT; -2: not one of ours.  Times and audience are the caller's to judge. */
int	jwt_verify(const struct jwt_key *, const char *text, size_t len, struct jwt_claims *ret);

#endif
