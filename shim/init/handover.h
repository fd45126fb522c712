#ifndef INIT_HANDOVER_H
#define INIT_HANDOVER_H

/*
 * handover -- what a worker has to know that begins as a program of its own, not as a fork of init.
 *
 * An upgrade (SIGUSR2 to a worker) executes the file that amlshim was started from.  What a fork
 * would inherit as it is in memory goes through a sealed memfd: plan, facts, the list of workers
 * with the numbers of the descriptors that this one gets, how to log.  No secret of the plan is in
 * it: those are in memory that only the agent maps (safe.h); the one that the broker's clients
 * show is, for the agent alone.
 *
 * One function a struct does both, writing and reading.  What is read comes from our own init, but
 * perhaps from another version of it: a number of the format stands in front, with the sizes of
 * what else the two have to share (base/wire.h, base/vitals.h).  All lengths, counts and
 * enumerations are checked; what does not fit is refused, and init goes on as for a crash.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "init/worker.h"

/* Another one with each change of what is written, and of an enumeration in it. */
#define HANDOVER_FORMAT		1
#define HANDOVER_BYTES_MAX	((size_t)16 << 20)

struct handover {
	struct workers	*workers;	/* plan, facts, list, vitals_fd; for the agent services,
					   token_homes and broker_secret as well */
	size_t		 self;		/* place in the list */
	int		 init_fd;	/* its end of the socket with init */
	int		 trace_fd;	/* -1: no trace */
	pid_t		 init_pid;
	int		 verbosity, log_json;	/* log_setup() */
};

/* The descriptor, close-on-exec, or -1. */
int	handover_write(const struct handover *, struct err *);
/*
 * ret->workers: zeroed; all that is read lives in its arena.
 * fails  ERR_SYSTEM: not sealed, of another format, damaged, or a descriptor is not there
 */
int	handover_read(int fd, struct handover *ret, struct err *);
/* The same from its bytes. */
int	handover_parse(const char *bytes, size_t len, struct handover *ret, struct err *);

#endif
