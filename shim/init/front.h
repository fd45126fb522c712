#ifndef INIT_FRONT_H
#define INIT_FRONT_H

/*
 * front -- what init shows to the outside: the control socket and the prober, behind one door.
 *
 * Made only where there is a job spec, or a flag asks for it; a bare init has none of it.
 */

#include <poll.h>

#include "init/control.h"
#include "init/health.h"
#include "init/probe.h"

struct front {
	struct control	 control;
	struct probe	 probe;
	struct health	*health;
	int		 has_probe;
};

#define FRONT_POLLS	(CONTROL_POLLS + 1)
#define FRONT_FDS_MAX	(CONTROL_POLLS + 2)

/*
 * A control socket that cannot be made is a log line, a prober that cannot is a failure.
 * with_control: make the socket, answered by answerer.
 */
int	front_open(struct front *, const struct probe_options *, int with_control,
	    control_answerer *, void *arg, struct err *);
/* run: which start of the job it is, from 1; job_runs: it was exec'd and lives. */
void	front_show(struct front *, enum sup_state, int job_runs, int run);
void	front_fill(const struct front *, struct pollfd *);
/* 1: the job's liveness probe has failed for good. */
int	front_handle(struct front *, const struct pollfd *);
/* When to call front_tick(), as clock_ms(); 0: no need. */
int64_t	front_next_ms(const struct front *);
void	front_tick(struct front *);
/* 1: the pid was the prober's, and is no job's. */
int	front_reaped(struct front *, pid_t);
pid_t	front_pid(const struct front *);	/* 0: no process */
size_t	front_fds(const struct front *, int *ret);
void	front_close(struct front *);

#endif
