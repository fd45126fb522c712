#ifndef INIT_LEFTOVER_H
#define INIT_LEFTOVER_H

/*
 * leftover -- the job's processes that outlive its first one.
 *
 * PID 1: every process of the namespace that is not ours; else every descendant,
 * found by the parent chain (orphans are our children: we are their subreaper).
 * A group signal would miss those that made a session of their own.
 */

#include <sys/types.h>

struct leftover_options {
	pid_t	group_id;		/* of the job: what is left to try without /proc */
	/* 1: one of amlshim's own processes, never signalled. */
	int	(*is_ours)(void *arg, pid_t);
	void	*arg;
	int	 has_workers;
	const struct cgroup *cgroup;	/* SIGKILL goes through it; NULL: to each */
};

/*
 * Signal each (0: only count).  With a cgroup SIGKILL moves them there first and ends
 * all of it at once.  How many there are, or 1 where they cannot be
 * counted.  Zombies that /proc shows as such do not count.
 */
int	leftover_signal(const struct leftover_options *, int sig);

#endif
