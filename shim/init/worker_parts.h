#ifndef INIT_WORKER_PARTS_H
#define INIT_WORKER_PARTS_H

/* What worker.c and worker_run.c share: init's side, and what a forked process becomes. */

#include "init/worker.h"

int	worker_is_mount(const struct plan_access *);
/* In the forked process.  init_fd: its end of the socket with init. */
void	worker_run(struct workers *, const struct worker *, int init_fd, pid_t init_pid)
	    __attribute__((noreturn));

#endif
