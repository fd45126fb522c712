#ifndef INIT_INIT_H
#define INIT_INIT_H

/*
 * init -- PID 1: spawn, forward, reap, stop in order, exit as the job did.
 *
 * One loop over a signalfd, the workers' sockets and one timer; no thread, no
 * allocation in the loop, no remote byte, no path below a mount.  Works the same
 * when it is not PID 1: it makes itself the child subreaper.  Without a plan it
 * is just an init: no worker, no socket.
 */

#include <stdint.h>

#include "base/err.h"
#include "init/again.h"
#include "init/launch.h"
#include "init/probe.h"
#include "init/report.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

struct init_inherited {
	uint64_t	mask;		/* everything is blocked now */
	int		ignore_chld;	/* no longer */
};
/*
 * Block every signal, wait for children again if SIGCHLD was ignored, and
 * occupy 0, 1 and 2 where they are closed.  First thing in main().
 */
int	init_take_over(struct init_inherited *);

struct init_options {
	struct init_inherited inherited;
	const struct plan *plan;	/* NULL: just an init */
	struct spec	*spec;		/* its secrets are wiped once the agent is forked; NULL */
	struct facts	*facts;		/* likewise */
	char *const	*argv;		/* when plan is NULL */
	char *const	*envp;
	/* Times in ms, < 0: no bound. */
	int64_t		 grace_ms;	/* from the first stop signal to SIGKILL */
	int64_t		 leftover_ms;	/* for descendants after the job ended; 0: off */
	int64_t		 flush_ms;	/* for outputs at the end */
	int64_t		 start_ms;	/* without progress before the job starts */
	int64_t		 watchdog_ms;	/* without a sign of life of a worker; 0: off */
	int64_t		 drain_ms;	/* from the first stop signal until it is passed on */
	struct again	 again;		/* restart policy of the job */
	struct probe_options probe;
	int		 with_control;	/* the control socket is made */
	int		 group;		/* -1: for shell commands; 0: child only; 1: always */
	int		 no_subreaper;
	int		 parent_death_signal;	/* for amlshim itself; 0: none */
	const char	*audit_file;	/* NULL: none */
	const struct launch *launch;	/* what the command's process changes; NULL: nothing */
	const unsigned char *exit_as_zero;	/* [256]: codes of the job that mean success */
	int		 shed;		/* this is amlshim as it was linked: shed.h */
	int64_t		 hold_ms;	/* after a failure; 0: not; < 0: until a stop signal */
	struct report	*report;	/* begun; NULL, or its file "": none is wanted */
	const struct err *failure;	/* it has failed already: nothing is started; NULL */
};

/* Runs to the end.  The exit status of amlshim. */
int	init_run(const struct init_options *);

#endif
