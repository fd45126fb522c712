#ifndef INIT_SUPERVISE_H
#define INIT_SUPERVISE_H

/*
 * supervise -- the life of the container as a table: state x event -> state, action.
 *
 * Pure, so that a test can walk every reachable world: never stuck, never ended
 * with a child alive, no second job beside a living one, none started after a stop
 * signal.  Whether a job that is gone is to be started again is init.c's to know
 * (init/again.h), whether it still may is this table's.  init.c carries out.
 */

enum sup_state {
	SUP_PREPARING,
	SUP_RUNNING,
	SUP_WAITING,	/* the job is gone, and will be started again when the timer runs out */
	SUP_REPLACING,	/* it does not answer and was told to end, to be started again */
	SUP_LINGERING,	/* a stop signal came; the job serves on until nobody sends it requests */
	SUP_STOPPING,
	SUP_HOLDING,	/* it failed; nothing is taken down, for somebody to look at it */
	SUP_DRAINING, SUP_ENDED, SUP_STATES
};
enum sup_event {
	EV_READY,	/* the last worker said ready (at once without workers) */
	EV_LOST,	/* a worker failed or died before it was asked to end */
	EV_JOB_GONE,	/* the job's process was reaped and its descendants are gone */
	EV_JOB_AGAIN,	/* the same, and the restart policy wants it back */
	EV_UNHEALTHY,	/* it failed its liveness probe too often */
	EV_SIGNAL,	/* a stop signal came */
	EV_LINGER,	/* the first one, and the job is to serve on for a while (--drain) */
	EV_DEADLINE,	/* the timer of this state ran out */
	EV_EMPTY,	/* level: no worker lives */
	EV_HOLD,	/* in place of EV_LOST, EV_JOB_GONE or EV_DEADLINE: and it is to be held */
	SUP_EVENTS
};
enum sup_action {
	DO_NOTHING, DO_START_JOB, DO_FORWARD, DO_TERM_JOB, DO_KILL_JOB, DO_STOP_WORKERS,
	DO_KILL_WORKERS, DO_EXIT, SUP_ACTIONS
};
struct sup_step { enum sup_state next; enum sup_action action; };

struct sup_step supervise_step(enum sup_state, enum sup_event);
const char *supervise_state_name(enum sup_state);
const char *supervise_event_name(enum sup_event);

#endif
