#ifndef CLI_STORY_H
#define CLI_STORY_H

/*
 * story -- what every command that knows of a job begins with: options, facts, spec, plan.
 */

#include "base/err.h"
#include "base/mem.h"
#include "cli/options.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

/* Lives as long as the container. */
struct story {
	struct arena	mem;
	struct facts	facts;
	struct spec	spec;
	struct plan	plan;
};

/* Nothing is run or fetched.  Remarks on the spec are logged. */
int	story_tell(struct story *, const struct options *, char *const *envp, struct err *);

#endif
