#ifndef PLAN_TUNING_H
#define PLAN_TUNING_H

/*
 * tuning -- how mounts and copies do their work: what flags and variables say of it.
 *
 * One struct from the command line to the worker: options fill it, plan_decide()
 * settles what was left open, a worker gets it with the plan.
 */

#include <stdint.h>

struct plan_tuning {
	int64_t	memory_bytes;		/* for all mounts together; 0: not said */
	int	write_behind;		/* close does not wait for uploads */
	int	acl;			/* hierarchical accounts: their modes and owners count */
	int64_t	disk_cache_bytes;	/* for all mounts of all runs together; 0: none */
	const char *disk_cache;		/* its directory, below --cache-dir; settled by the plan */
};

/* What nobody said. */
void	plan_tuning_settle(struct plan_tuning *);

#endif
