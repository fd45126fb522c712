#ifndef INIT_WORKER_H
#define INIT_WORKER_H

/*
 * worker -- the agent and the mount and transfer processes, seen from init.
 *
 * Forked, not re-exec'd: the plan is passed as it is.  Each gets only its own
 * sockets and descriptors, is hardened (no_new_privs, not dumpable, dies with
 * init) and named for ps.
 *
 * One that dies gets a successor (restart.h), forked from init as it was.  What has to
 * outlive a worker is held here: both ends of its socket with the agent, so that no question
 * and no answer is lost; /dev/fuse, so that the kernel keeps the mount and what it asked; a
 * memfd for what a mount has to remember; the broker's listening sockets.  Only the
 * socket between init and the worker is new in each life.
 */

#include <linux/capability.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/confine.h"
#include "base/err.h"
#include "base/fd_home.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/sys.h"
#include "base/vitals.h"
#include "base/wire.h"
#include "identity/broker.h"
#include "init/restart.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

/* In any worker: files of another user, who may be the job's; memory that is not swapped. */
#define WORKER_CAPS	(SYS_CAP(CAP_DAC_OVERRIDE) | SYS_CAP(CAP_IPC_LOCK))

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_STOPPING };

/* Held for as long as the worker may have a successor; -1: none. */
struct worker_fds {
	int	agent_side, ask_side;		/* agent <-> worker; none for the agent itself */
	int	fuse_fd;			/* mounts */
	int	state_fd;			/* mounts: empty at first; theirs to fill */
};

struct worker {
	const char	*name;			/* "agent", "mount data", "download data" */
	const struct plan_access *access;	/* NULL: the agent */
	pid_t		 pid;			/* 0: not alive */
	int64_t		 began_us;		/* of its process, for the trace */
	int		 fd;			/* wire to it; -1 */
	struct worker_fds fds;
	int		 life;			/* how many were before this one */
	struct restart	 restart;
	int64_t		 again_ms;		/* dead, and when its successor starts; 0: no */
	int64_t		 unborn_ms;		/* since when no process was to be had; 0 */
	struct watch	 watch;
	int		 hung;			/* and was killed for it */
	int		 wants_new;		/* its next life is the file at workers.exe */
	int		 untried;		/* this life is that, and did not say ready yet */
	enum worker_state state;
	int		 was_ready;
	int		 done;			/* said WIRE_DONE, or is a download that said
						   WIRE_READY: its end is no loss */
	int		 told;			/* why it ends was said: its end needs no message */
	struct wire_stats stats;		/* last told */
	int		 mounted;		/* target is a mount point that we made */
	struct vitals	*vitals;		/* shared with it */
};

/* What only the agent gets; -1: none. */
struct worker_services {
	int	broker_fd, unix_fd, audit_fd;
	int	job_fd;			/* its end of the socket with the job's process */
	int	safe_fd;		/* safe.h */
};

struct workers_options {
	const struct plan *plan;
	struct facts	*facts;
	struct spec	*spec;			/* secrets are moved out of it: safe.h */
	const char	*audit_file;		/* NULL: none */
	int64_t		 start_ms;	/* init waits so long without progress; <= 0: no bound */
};

struct workers {
	struct worker	*list;			/* [0] is the agent */
	struct workers_options opt;
	struct worker_services services;
	int64_t		 stop_by_ms;		/* flushed until then; 0: no bound, or not asked */
	struct vitals	*vitals;		/* one a place in the list */
	int		 vitals_fd;
	const char	*exe;			/* amlshim's file, absolute; NULL: not known */
	size_t		 n;
	int		 broker_port;		/* 0: no broker */
	char		 broker_socket[BROKER_PATH_SIZE];	/* "": none */
	struct secret	 broker_secret;
	int		 job_fd;		/* to the agent, for the job's process; -1 */
	ino_t		*files_before;		/* at the places of token files; 0: none */
	struct fd_home	*token_homes;		/* of these; NULL: the job's user is ours */
	struct arena	 mem;
};

/*
 * In a process that was just forked: only these descriptors and capabilities (bit n is
 * capability n), hardened and confined, named for ps and the log.
 */
void	worker_become(const char *name, enum confine_kind, uint64_t caps, const int *keep,
	    size_t nkeep, pid_t init_pid);
/* A worker at the start: how long it may wait, to fail before init gives up; 0: any time. */
int64_t	workers_first_wait_ms(const struct workers *);
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
/* How many live, or will again. */
size_t	workers_alive(const struct workers *);
/* 1: only the agent is left. */
int	workers_only_agent(const struct workers *);
/* 1: every worker has said ready (or, a download, is done). */
int	workers_all_ready(const struct workers *);
/* The names of those that did not say ready, with commas; returns buf. */
const char *workers_waited_for(const struct workers *, char *buf, size_t size);
struct worker *workers_find(struct workers *, pid_t);
/* A worker's process was reaped, and it has no successor. */
void	workers_reaped(struct workers *, struct worker *, int64_t flush_ms);
/*
 * A worker's process was reaped too early: it is started again after a while.
 * returns  ms until then; -1: it died too often, workers_reaped() is to be called
 */
int64_t	workers_reaped_early(struct worker *);
/*
 * Likewise, and its successor is started at once, which is no sign of a crash loop.  from_file: it
 * is what stands now at workers.exe, if that can be executed.
 */
void	workers_begin_again(struct worker *, int from_file);
/* Start those whose time has come.  When the next one's comes; 0: there is none. */
int64_t	workers_start_again(struct workers *);
/* One that could not be started again for so long: it is to be given up.  NULL: there is none. */
struct worker *workers_unborn(struct workers *, int64_t bound_ms);
/*
 * Kill those that are ready, or successors of who was, and have given no sign of life for so
 * long.  When to look again; 0: there is nobody to watch.
 */
int64_t	workers_watch(struct workers *, int64_t bound_ms);
/*
 * The other half of an upgrade, in the program that was executed: amlshim WORKER_TAKE_OVER FD,
 * with the descriptor of a handover (init/handover.h).  Goes on as that worker; returns an exit
 * status if it cannot.
 */
#define WORKER_TAKE_OVER	"--take-over"
int	worker_take_over(const char *fd);
/* How many successors there were. */
int	workers_restarts(const struct workers *);
/* Descriptors held for workers, at most WORKER_FDS_MAX(n).  How many. */
#define WORKER_FDS_MAX(n)	(5 * (n) + 6)
size_t	workers_fds(const struct workers *, int *ret);
/* Where data that did not get out stands; NULL: there is none. */
const char *worker_data(const struct worker *);
void	workers_detach(struct worker *);
/* The run has succeeded: none goes on with its downloads. */
void	workers_forget_journals(const struct workers *);
void	workers_done(struct workers *);

#endif
