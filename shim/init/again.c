#include "init/again.h"

#define FIRST_MS	100
#define LONGEST_MS	30000
#define GOOD_RUN_MS	10000

int64_t
again_next(struct again *a, int has_failed, int64_t ran_ms)
{
	int64_t pause_ms = FIRST_MS;
	int i;

	if (a->policy == AGAIN_NO || (a->policy == AGAIN_ON_FAILURE && !has_failed))
		return (-1);
	if (ran_ms >= GOOD_RUN_MS)
		a->tries = 0;
	if (a->max != 0 && a->tries >= a->max)
		return (-1);
	for (i = 0; i < a->tries && pause_ms < LONGEST_MS; i++)
		pause_ms *= 2;
	a->tries++;
	return (pause_ms < LONGEST_MS ? pause_ms : LONGEST_MS);
}
