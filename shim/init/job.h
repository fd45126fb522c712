#ifndef INIT_JOB_H
#define INIT_JOB_H

/*
 * job -- the child: its group, terminal, signals, environment, exec.
 *
 * The child leads a process group of its own, in the foreground when amlshim's
 * was; a session of its own (--setsid) takes the terminal along where amlshim led
 * the one before (docs/decisions/001).  It gets exactly the mask, dispositions,
 * descriptors, limits and environment that amlshim was started with (what was
 * ignored stays ignored), plus what the plan exports.  Rules: reference init.md S, F, T, X, I.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "init/launch.h"
#include "plan/plan.h"

struct job_options {
	char *const	*argv;
	char *const	*envp;
	const char	*cwd;		/* NULL: stay; missing: warn and stay */
	const struct launch *launch;	/* what flags ask of the child; its cwd wins */
	uint64_t	 old_mask;	/* as inherited */
	int		 ignore_chld;	/* as inherited; we touch no other disposition */
	int		 parent_death_signal;	/* 0: none */
	/* Variables with a token: the child asks the agent for them, init never has them. */
	int		 token_fd;	/* -1 */
	const struct plan_token *tokens;	size_t ntokens;
};

struct job {
	pid_t	pid;			/* 0: not started, or reaped: never signal it again */
	pid_t	group_id;		/* of its process group: stays after the reap */
	int	status;			/* of waitpid, once gone */
	int	gone;
	int	group;			/* signals go to the process group */
	const unsigned char *rewrite;	/* [65], of struct launch */
	int	stopped;
	int	has_terminal;		/* it is in a session with a terminal, and so are we */
	int	report_fd;		/* the child, until exec; -1: it has exec'd or ended */
	const char *command, *cwd;	/* for messages: borrowed from the options */
	const struct plan_token *tokens;
	size_t	ntokens;
	/* While a signal cannot be passed on since the queue is full; NULL: nobody can. */
	void	(*make_room)(void *);
	void	*room_arg;
	int	queue_tries;		/* for the next one that finds no room; 0: all */
};

/*
 * Fork.  The child execs when it can: a command on a mount may take its time,
 * and init has to serve signals and workers meanwhile.
 * fails  ERR_SYSTEM: no process or no pipe to be had
 */
int	job_start(struct job *, const struct job_options *, struct err *);
/*
 * One report of the child; call it when report_fd is readable, or when the
 * child was reaped.  Closes report_fd behind the last one.
 * 0: more may come; 1: exec has happened (or the child died before it);
 * -1: it could not: ERR_NOT_FOUND (the child ends with 127) or ERR_SYSTEM
 * REMEDY_CHECK_COMMAND (126); ERR_NO_IDENTITY: no token for its environment
 */
int	job_read_report(struct job *, struct err *);
/*
 * Forward sig; a value given with sigqueue(3) goes along (to the process, not to
 * a group).  No such process is fine.  SIGTERM also continues a stopped job.
 */
struct signalfd_siginfo;
void	job_signal(struct job *, int sig, const struct signalfd_siginfo *);
/* The same with what --rewrite makes of sig: the job's instead of ours, or nothing. */
void	job_forward(struct job *, int sig, const struct signalfd_siginfo *);
/* The job is gone and will be started again: the terminal is amlshim's, to be given anew. */
void	job_reclaim_terminal(const struct job *);
/* After amlshim itself was stopped and continued: the terminal is the job's again. */
void	job_take_terminal(const struct job *);
/* 0..255: the code, 128+n for signal n. */
int	job_exit_status(const struct job *);

#endif
