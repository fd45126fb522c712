#ifndef IDENTITY_TOKEN_H
#define IDENTITY_TOKEN_H

/*
 * token -- an access token.  What its text says is read in azure/claims.h.
 */

#include <stdint.h>

#include "azure/claims.h"
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

/*
 * An endpoint's JSON answer: access_token (or token), then the expiry by
 * identity.md 1.8's order: expires_on (number, decimal string, date text),
 * expires_in, expiresOn; refresh_in when present.  now is Unix seconds.
 * fails  ERR_PROTOCOL: empty body, not JSON (cause: first line), no token, no expiry
 */
int	token_parse_answer(const char *body, size_t len, int64_t now, struct token *ret,
	    struct err *);

#endif
