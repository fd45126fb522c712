#ifndef INIT_WORKER_PARTS_H
#define INIT_WORKER_PARTS_H

/* What worker*.c share: init's side, successors, and what a forked process becomes. */

#include "init/worker.h"

int	worker_is_mount(const struct plan_access *);
/* One more life of it, with a socket of its own. */
int	worker_fork(struct workers *, struct worker *, struct err *);
/* To flush and end, in what is left of the time. */
void	worker_stop(const struct workers *, struct worker *);
/* The agent is told of a worker, so that it does not take it for the job's. */
void	worker_announce(const struct workers *, const struct worker *);
/* In the forked process.  init_fd: its end of the socket with init. */
void	worker_run(struct workers *, const struct worker *, int init_fd, pid_t init_pid)
	    __attribute__((noreturn));

/* The descriptors that its process has, -1 among them; ret has room for WORKER_KEPT_MAX(n). */
#define WORKER_KEPT_MAX(n)	((n) + 7)
size_t	worker_kept_fds(const struct workers *, const struct worker *, int init_fd, int *ret);
/*
 * In the forked process: become the file at w->exe.  Returns where that cannot be; worker_run()
 * then does what it always did.
 */
void	worker_execute(struct workers *, const struct worker *, int init_fd, pid_t init_pid);

#endif
