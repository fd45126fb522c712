#ifndef CLI_CREDENTIAL_H
#define CLI_CREDENTIAL_H

/*
 * credential -- what an identity of the plan uses, got in this process: doctor, ls, cat, cp.
 *
 * In a run the agent gets it, from the same cache and keeper.
 */

#include <stdint.h>

#include "azure/claims.h"
#include "azure/cred.h"
#include "identity/cache.h"
#include "identity/keeper.h"
#include "plan/plan.h"

struct credential {
	struct cred	*cred;		/* cred_free() */
	enum wire_cred_kind kind;	/* a SAS can stand for an account key */
	int64_t		 expires_unix_s;	/* 0: never, or not known */
	struct token_claims who;	/* of a token; else empty */
};

/* fails: as the token's source or the keeper says; *ret is empty then */
int	credential_get(struct credential *ret, const struct plan_identity *, struct cache *,
	    struct keeper *, int64_t wait_ms, struct err *);

#endif
