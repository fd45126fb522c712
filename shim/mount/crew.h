#ifndef MOUNT_CREW_H
#define MOUNT_CREW_H

/*
 * crew -- a number of like pieces of work, done by a few threads.
 *
 * For the rare long jobs (uploads at the end, downloads, renamed directories),
 * whose pieces wait for the network.
 */

#include <stddef.h>
#include <stdint.h>

struct crew_work {
	size_t		 n;
	unsigned int	 threads;		/* at most; the caller is none of them */
	int		 stop_at_failure;	/* begin no more pieces then */
	int64_t		 deadline_ms;		/* clock_ms(); 0: none */
	int		(*one)(void *arg, size_t i);	/* non-zero: failed */
	void		(*late)(void *arg);	/* all ended, but after the deadline; or NULL */
	void		*arg;
};

/*
 * 0: all done; 1: some failed or were not begun; -1: the deadline passed, threads
 * are still at work and use arg until late() is called.
 */
int	crew_run(const struct crew_work *);

#endif
