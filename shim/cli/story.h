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

/* Facts and spec; remarks on the spec are logged.  The facts are there whatever else fails. */
int	story_read(struct story *, const struct options *, char *const *envp, struct err *);
/* The plan, of what was read. */
int	story_decide(struct story *, const struct options *, struct err *);
/* Both.  Nothing is run or fetched. */
int	story_tell(struct story *, const struct options *, char *const *envp, struct err *);

#endif
