#ifndef INIT_ASK_H
#define INIT_ASK_H

/*
 * ask -- init's side of the resolver: fork it, ask, and stay a good PID 1 meanwhile.
 *
 * There is no job yet: SIGTERM, SIGINT, SIGQUIT and SIGHUP end the run, as while the
 * workers prepare.  The resolver is hardened as every worker is.  See
 * identity/resolve.h and docs/decisions/005-resolver.md.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/wire.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

struct ask_options {
	const struct facts *facts;
	struct spec	*spec;		/* the resolver wipes its copy of the secrets */
	const struct plan_identity *as;
	int64_t		 start_ms;	/* < 0: no bound */
	int		 parent_death_signal;	/* for amlshim itself; 0: none */
};

struct ask {
	pid_t		 pid;		/* 0: not running */
	int		 fd, signal_fd;
	int64_t		 deadline_ms;	/* 0: none */
};
#define ASK_NONE	{ 0, -1, -1, 0 }

int	ask_start(struct ask *, const struct ask_options *, struct err *);
/*
 * n questions and their answers; found[i] answers wants[i], .err tells if it
 * was found.  ret_signal: a signal that told amlshim to stop, or 0; then -1.
 */
int	ask_round(struct ask *, struct wire_want *wants, struct wire_found *found, size_t n,
	    int *ret_signal, struct err *);
/* The process is gone when it returns. */
void	ask_end(struct ask *);

#endif
