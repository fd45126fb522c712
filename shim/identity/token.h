#ifndef IDENTITY_TOKEN_H
#define IDENTITY_TOKEN_H

/*
 * token -- an access token and what its text says.
 *
 * The claims are read without checking the signature: they serve only to
 * compare who we got with whom we asked for, and to explain; never to trust.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

struct token {
	struct secret	text;
	int64_t		expires_unix_s;
	int64_t		refresh_unix_s;	/* renew from here on */
	uint64_t	generation;	/* grows; set by the cache */
};
void	token_done(struct token *);
int	token_copy(struct token *, const struct token *from, struct err *);

struct token_claims {		/* "" when absent */
	char	tid[40], oid[40], appid[40], aud[128], idtyp[16], upn[128], xms_mirid[256];
	int	is_user;	/* idtyp is "user", or it is not "app" and there is scp */
};
/* -1: the text is no JWT (opaque tokens are legal). */
int	token_read_claims(const char *text, size_t len, struct token_claims *ret);

/*
 * An endpoint's JSON answer: access_token (or token), then the expiry by
 * identity.md 1.8's order: expires_on (number, decimal string, date text),
 * expires_in, expiresOn; refresh_in when present.  now is Unix seconds.
 * fails  ERR_PROTOCOL: empty body, not JSON (cause: first line), no token, no expiry
 */
int	token_parse_answer(const char *body, size_t len, int64_t now, struct token *ret,
	    struct err *);

#endif
