#ifndef CLI_STORY_H
#define CLI_STORY_H

/*
 * story -- what every command that knows of a job begins with: options, facts, spec, plan.
 *
 * The workspace is asked for what no file describes when the job is to run, or
 * with --resolve; else nothing is fetched.
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
	struct plan_identity asked_as;	/* the workspace */
	int		stop_signal;	/* came while the workspace was asked; 0: none */
};

/* 1: data is looked at, or copied, without a job. */
int	story_reads_data(const struct options *);
/* 1: tokens are asked for by name, so that there is something to do even without a job. */
int	story_wants_tokens(const struct options *);
/*
 * Facts and spec; remarks on the spec are logged.  The facts are there whatever else fails.
 * Where the workspace may be asked, story_hide_inputs() is done too.
 */
int	story_read(struct story *, const struct options *, char *const *envp, struct err *);
/* The plan, of what was read.  -1 with stop_signal != 0: told to stop while it asked. */
int	story_decide(struct story *, const struct options *, struct err *);
/* Both.  Nothing is run. */
int	story_tell(struct story *, const struct options *, char *const *envp, struct err *);
/*
 * /proc/PID/environ and cmdline show the memory that exec filled: what may be a secret
 * there is overwritten, now that it is parsed.  Safe to call again.
 */
void	story_hide_inputs(const struct options *, char *const *envp);
/* Overwrites the values of variables; each name ends in '='. */
void	story_wipe_variables(char *const *envp, const char *const *names, size_t n);

#endif
