#ifndef CLI_RUN_H
#define CLI_RUN_H

/*
 * run -- the story of a job: spec, facts, plan, then init carries it out.
 *
 * Also `plan` and --dry-run, which stop before anything is forked or fetched.
 */

#include "cli/options.h"
#include "init/init.h"

/* The exit status of amlshim. */
int	run_command(struct options *, const struct init_inherited *, char **envp);

#endif
