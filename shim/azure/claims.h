#ifndef AZURE_CLAIMS_H
#define AZURE_CLAIMS_H

/*
 * claims -- what an access token's text says of its owner.
 *
 * They are read without checking the signature: they serve only to compare who
 * we got with whom we asked for, and to explain a refusal; never to trust.
 *
 * learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */

#include <stddef.h>

struct token_claims {		/* "" when absent */
	char	tid[40], oid[40], appid[40], aud[128], idtyp[16], upn[128], xms_mirid[256];
	int	is_user;	/* idtyp is "user", or it is not "app" and there is scp */
};
/* -1: the text is no JWT (opaque tokens are legal). */
int	token_read_claims(const char *text, size_t len, struct token_claims *ret);

#endif
