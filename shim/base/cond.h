#ifndef BASE_COND_H
#define BASE_COND_H

/*
 * cond -- condition variables that wait for so many milliseconds, by a clock that
 * never steps.
 */

#include <pthread.h>
#include <stdint.h>

void	cond_init(pthread_cond_t *);
/* 0: woken, perhaps for no reason; -1: the time is over.  lock is held. */
int	cond_wait_ms(pthread_cond_t *, pthread_mutex_t *lock, int64_t ms);

#endif
