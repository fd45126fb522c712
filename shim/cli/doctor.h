#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

/*
 * doctor -- is everything there that the job needs, and if not, what to do.
 *
 * A table of checks, run in order: spec and plan, this machine, then each host
 * (names, proxy, connection, TLS, clock) and each input and output (identity,
 * listing as that identity, with --write a small blob put and deleted), those in
 * parallel.  The code that asks is the job's own: token sources, store, refusal
 * table; so what it says is what a run would say.  Nothing of the job is run.
 * Each check has 10 s.
 */

#include "cli/options.h"
#include "init/init.h"

/* The exit status: 0, or that of the worst failure (findings.h). */
int	doctor_command(const struct options *, const struct init_inherited *, char **envp);

#endif
