#ifndef INIT_WORKER_H
#define INIT_WORKER_H

/*
 * worker -- the agent and the mount and transfer processes, seen from init.
 *
 * Forked, not re-exec'd: the plan is passed as it is.  Each gets only its own
 * sockets and descriptors, is hardened (no_new_privs, not dumpable, dies with
 * init) and named for ps.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/confine.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/vitals.h"
#include "base/wire.h"
#include "identity/broker.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_STOPPING };

struct worker {
	const char	*name;			/* "agent", "mount data", "download data" */
	const struct plan_access *access;	/* NULL: the agent */
	pid_t		 pid;			/* 0: not alive */
	int		 fd;			/* wire to it; -1 */
	enum worker_state state;
	int		 was_ready;
	int		 done;			/* said WIRE_DONE, or is a download that said
						   WIRE_READY: its end is no loss */
	int		 told;			/* why it ends was said: its end needs no message */
	struct wire_stats stats;		/* last told */
	int		 mounted;		/* target is a mount point that we made */
	struct vitals	*vitals;		/* shared with it */
};

struct workers {
	struct worker	*list;			/* [0] is the agent */
	struct vitals	*vitals;		/* one a place in the list */
	size_t		 n;
	int		 broker_port;		/* 0: no broker */
	char		 broker_socket[BROKER_PATH_SIZE];	/* "": none */
	struct secret	 broker_secret;
	int		 job_fd;		/* to the agent, for the job's process; -1 */
	const struct plan *plan;
	ino_t		*files_before;		/* at the places of token files; 0: none */
	struct arena	 mem;
};

struct workers_options {
	const struct plan *plan;
	struct facts	*facts;
	struct spec	*spec;			/* secrets are wiped once the agent has them */
	const char	*audit_file;		/* NULL: none */
};

/*
 * In a process that was just forked: only these descriptors, hardened and confined,
 * named for ps and the log.
 */
void	worker_become(const char *name, enum confine_kind, const int *keep, size_t nkeep,
	    pid_t init_pid);
/*
 * Attach the mounts and fork all: the agent first, then one worker an access
 * that needs one.  On failure those already started are left to workers_stop.
 */
int	workers_start(struct workers *, const struct workers_options *, struct err *);
/* Ask all but the agent to flush and end; the agent when it alone is left. */
void	workers_stop(struct workers *, int64_t flush_ms);
/*
 * SIGKILL to all but the agent; to the agent when it alone is left.  How many of
 * them had outputs that are not flushed.
 */
size_t	workers_kill(struct workers *);
/* Not even SIGKILL ends what is left: count them as gone. */
void	workers_abandon(struct workers *);
/* How many live. */
size_t	workers_alive(const struct workers *);
/* 1: only the agent is left. */
int	workers_only_agent(const struct workers *);
/* 1: every worker has said ready (or, a download, is done). */
int	workers_all_ready(const struct workers *);
/* The names of those that did not say ready, with commas; returns buf. */
const char *workers_waited_for(const struct workers *, char *buf, size_t size);
struct worker *workers_find(struct workers *, pid_t);
/* A worker's process was reaped. */
void	workers_reaped(struct workers *, struct worker *, int64_t flush_ms);
/* Where data that did not get out stands; NULL: there is none. */
const char *worker_data(const struct worker *);
void	workers_detach(struct worker *);
/* The run has succeeded: none goes on with its downloads. */
void	workers_forget_journals(const struct workers *);
void	workers_done(struct workers *);

#endif
