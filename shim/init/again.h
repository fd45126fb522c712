#ifndef INIT_AGAIN_H
#define INIT_AGAIN_H

/*
 * again -- the restart policy of the job: whether, and after which pause.  Pure.
 *
 * The pause doubles from 100 ms to 30 s.  A run of 10 s or more was a good one: what comes
 * after it begins to count anew, as Docker has it (docs.docker.com "Start containers
 * automatically", --restart on-failure:max-retries).
 */

#include <stdint.h>

enum again_policy { AGAIN_NO, AGAIN_ON_FAILURE, AGAIN_ALWAYS };

struct again {
	enum again_policy policy;
	int	max;			/* in a row; 0: no bound */
	int	tries;			/* in a row, so far */
};

/* ms to wait before the next start, or -1: it stays ended.  ran_ms: how long it ran. */
int64_t	again_next(struct again *, int has_failed, int64_t ran_ms);

#endif
