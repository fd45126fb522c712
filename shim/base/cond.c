#include <time.h>

#include "base/cond.h"

#define LONGEST_MS	(INT64_C(1000) * 86400 * 365)

void
cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

int
cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms)
{
	struct timespec until;
	int64_t ns;

	if (ms <= 0)
		return (-1);
	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns = until.tv_nsec + ms % 1000 * 1000000;
	until.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
	until.tv_nsec = (long)(ns % 1000000000);
	return (pthread_cond_timedwait(cond, lock, &until) == 0 ? 0 : -1);
}
