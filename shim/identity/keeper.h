#ifndef IDENTITY_KEEPER_H
#define IDENTITY_KEEPER_H

/*
 * keeper -- secrets of datastores that stand in the workspace or in a Key Vault.
 *
 * Lives in the agent; thread-safe.  A secret is fetched when it is first wanted,
 * one request for all who want it (single flight), and again
 *
 *   - from half of the life of a short-lived SAS on (workspace),
 *   - shortly before it expires (Key Vault: attributes.exp, se= of a SAS),
 *   - when the service that it opens has refused it: it may have been rotated.
 *
 * What cannot be renewed stays in use while it is valid; tries that bring nothing
 * new are spaced, from 1 s to 60 s.
 */

#include <stdint.h>

#include "azure/http.h"
#include "base/err.h"
#include "base/secret.h"
#include "identity/cache.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct keeper;

/* All borrowed until keeper_free.  Secrets are read as plan->readers say. */
struct keeper *keeper_new(const struct plan *, const struct facts *, struct http *,
	    struct cache *);
void	keeper_free(struct keeper *);

struct kept {
	enum spec_credential kind;	/* a SAS can stand for an account key */
	struct secret	 text;
	int64_t		 expires_unix_s;	/* 0: not known, or never */
	int64_t		 refresh_unix_s;	/* ask again from here on; 0: never */
	uint64_t	 generation;		/* grows with each that was fetched */
};
void	kept_done(struct kept *);

/*
 * The secret of an identity whose secret_from is not HERE; *ret is a copy.
 * newer_than: 0, or the generation that was refused.
 */
int	keeper_get(struct keeper *, const struct plan_identity *, uint64_t newer_than,
	    int64_t deadline_ms, struct kept *ret, struct err *);

#endif
