#ifndef IDENTITY_WHOSE_H
#define IDENTITY_WHOSE_H

/*
 * whose -- which identity of the plan is meant by a client id, object id or resource id.
 *
 * None of them: the plan's default.  One that the plan does not have: nobody; a
 * compute that is not described may have any.
 */

#include "base/mem.h"
#include "plan/plan.h"

/* 0; -1: the plan does not have it.  Texts of *ret live in the plan and in the arena. */
int	whose_identity(const struct plan *, const char *client_id, const char *object_id,
	    const char *resource_id, struct plan_identity *ret, struct arena *);

#endif
