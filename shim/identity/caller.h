#ifndef IDENTITY_CALLER_H
#define IDENTITY_CALLER_H

/*
 * caller -- the bearer of a REST call whose tokens come from the cache, as one identity.
 */

#include "azure/rest.h"
#include "identity/cache.h"
#include "plan/plan.h"

struct caller {
	struct bearer	 bearer;	/* give this to the client */
	struct cache	*cache;
	const struct plan_identity *as;
};

/* All borrowed; the caller must not move. */
void	caller_init(struct caller *, struct cache *, const struct plan_identity *as);

#endif
