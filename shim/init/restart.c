#include "init/restart.h"

#define FIRST_DELAY_MS	50
#define GROWTH		4
#define LOOKS_MIN	4	/* within the bound */
#define LOOK_MAX_MS	5000

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

int64_t
watch_interval_ms(int64_t bound_ms)
{
	int64_t ms = bound_ms / LOOKS_MIN;

	return (ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms);
}

void
watch_begin(struct watch *w, int64_t now_ms)
{
	*w = (struct watch){ .looked_ms = now_ms };
}

int
watch_look(struct watch *w, int64_t beat_ms, int64_t now_ms, int64_t bound_ms)
{
	int64_t gap_ms = now_ms - w->looked_ms, interval_ms = watch_interval_ms(bound_ms);

	w->looked_ms = now_ms;
	if (beat_ms != w->beat_ms) {
		w->beat_ms = beat_ms;
		w->silent_ms = 0;
		return (0);
	}
	w->silent_ms += gap_ms < interval_ms ? gap_ms : interval_ms;
	return (w->silent_ms >= bound_ms);
}
