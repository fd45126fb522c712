#ifndef INIT_SAFE_H
#define INIT_SAFE_H

/*
 * safe -- the secrets of a run, for every life of the agent, out of everybody else's reach.
 *
 * init reads secrets (they stand in files and in its environment) and must not hold any, but an
 * agent that dies needs them again.  So they move to memory of which init keeps only the
 * descriptor (base/secret_fd.h); the agent maps it.
 * docs/decisions/018-workers-have-successors.md
 */

#include "base/err.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

/* Move them out of plan, spec and facts, whose copies are wiped.  The descriptor, or -1. */
int	safe_close(struct plan *, struct spec *, struct facts *, struct err *);
/* In the agent: plan and facts have theirs again. */
int	safe_open(int fd, struct plan *, struct facts *, struct err *);

#endif
