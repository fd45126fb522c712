#include "init/restart.h"

#define FIRST_DELAY_MS	50
#define GROWTH		4

/* Before the successor of the deaths'th: at most. */
static int64_t
longest_delay(int deaths)
{
	int64_t delay_ms = FIRST_DELAY_MS;
	int i;

	if (deaths <= 1)
		return (0);
	for (i = 2; i < deaths && delay_ms < RESTART_DELAY_MAX_MS; i++)
		delay_ms *= GROWTH;
	return (delay_ms < RESTART_DELAY_MAX_MS ? delay_ms : RESTART_DELAY_MAX_MS);
}

int64_t
restart_delay(struct restart *r, int64_t now_ms, int dice)
{
	int64_t longest;

	if (now_ms - r->born_ms >= RESTART_HEALTHY_MS)
		r->deaths = 0;
	if (++r->deaths >= RESTART_DEATHS_MAX)
		return (-1);
	longest = longest_delay(r->deaths);
	return (longest / 2 + longest * dice / 2000);
}
