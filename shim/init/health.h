#ifndef INIT_HEALTH_H
#define INIT_HEALTH_H

/*
 * health -- does the container live, is it ready: what init and its prober each know of it.
 *
 * One page of memory that both share; each writes its own numbers and reads the other's.
 * Live: the command is not known to hang.  Ready: mounts, identities and the command are,
 * its probe (if there is one) says so, and nobody has asked it to stop.
 */

#include <stddef.h>

#include "base/err.h"
#include "init/supervise.h"

enum health_probe { HEALTH_UNKNOWN, HEALTH_GOOD, HEALTH_BAD };

struct health {
	/* init's */
	_Atomic int	phase;			/* enum sup_state */
	_Atomic int	job_runs;		/* it was exec'd and has not ended */
	_Atomic int	run;			/* which start of the job this is, from 1 */
	/* The prober's; of the run that .probed names. */
	_Atomic int	probed;
	_Atomic int	live, ready;		/* enum health_probe */
	_Atomic int	live_failures, ready_failures;	/* in a row */
	int		has_live, has_ready;	/* there are such probes; set before the fork */
};

struct health *health_new(struct err *);
void	health_free(struct health *);
/* NULL: it is; else why not, for a person. */
const char *health_flaw(const struct health *, int for_ready);

#endif
