#ifndef INIT_RESTART_H
#define INIT_RESTART_H

/*
 * restart -- when a worker that died gets a successor, when it has died too often, and when one
 * that lives is as good as dead.
 *
 * The first death of a worker that has lived a while is answered at once, the next ones after
 * 50 ms, 200 ms, 800 ms, each drawn from half of that to all of it so that workers that died
 * together do not start together.  Five deaths in a row, each but the first less than five seconds
 * after the start, are a crash loop: no successor.  A worker that is killed every ten seconds goes
 * on for ever.  Pure: the caller has the clock and the dice.
 */

#include <stdint.h>

#define RESTART_DEATHS_MAX	5
#define RESTART_HEALTHY_MS	5000
#define RESTART_DELAY_MAX_MS	5000

struct restart {
	int		deaths;		/* young, in a row */
	int64_t		born_ms;	/* of the one that lives */
};

/*
 * It died at now_ms.  dice: 0 to 1000, what share of the spread is waited.
 * returns  ms to wait before its successor is started; -1: a crash loop
 */
int64_t	restart_delay(struct restart *, int64_t now_ms, int dice);

/*
 * The watchdog: a worker whose sign of life (base/vitals.h) stays the same is hung.  Only time in
 * which we looked counts: after a night in which the whole container stood still nobody is
 * blamed.
 */
struct watch {
	int64_t		beat_ms, looked_ms;
	int64_t		silent_ms;
};

/* Of watching with that bound: how long to wait between two looks. */
int64_t	watch_interval_ms(int64_t bound_ms);
/* Its process begins: its first sign has to come in the same time. */
void	watch_begin(struct watch *, int64_t now_ms);
/* One look.  beat_ms 0: it has given none yet.  1: it is hung. */
int	watch_look(struct watch *, int64_t beat_ms, int64_t now_ms, int64_t bound_ms);

#endif
