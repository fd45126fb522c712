#ifndef CLI_WORKSPACE_H
#define CLI_WORKSPACE_H

/*
 * workspace -- the plan, with what only the workspace knows filled in first.
 *
 * Decides; what no file describes and the workspace may know is asked of it by
 * a process of its own (init/ask.h); the answers are added to the spec, and it
 * is decided again.  Assets lead to datastores, hence several rounds.
 */

#include "base/err.h"
#include "cli/options.h"
#include "cli/story.h"
#include "plan/plan.h"

/* Fills story->plan, or story->stop_signal and *err. */
int	workspace_plan(struct story *, const struct options *, const struct plan_options *,
	    struct err *);

/* An answer checked and added to the spec, for workspace_plan and its test. */
int	workspace_add(struct spec *, const struct plan_want *, const struct facts *,
	    const struct wire_found *, struct arena *, struct err *);

#endif
