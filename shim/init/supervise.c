#include "init/supervise.h"

#include <stddef.h>

static const struct sup_step table[SUP_STATES][SUP_EVENTS] = {
	[SUP_PREPARING] = {
		[EV_READY]	= { SUP_RUNNING,   DO_START_JOB },
		[EV_LOST]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_JOB_GONE]	= { SUP_PREPARING, DO_NOTHING },
		[EV_SIGNAL]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_DEADLINE]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_EMPTY]	= { SUP_PREPARING, DO_NOTHING },
		[EV_HOLD]	= { SUP_HOLDING,   DO_NOTHING },
	},
	[SUP_RUNNING] = {
		[EV_READY]	= { SUP_RUNNING,   DO_NOTHING },
		[EV_LOST]	= { SUP_STOPPING,  DO_TERM_JOB },
		[EV_JOB_GONE]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_SIGNAL]	= { SUP_STOPPING,  DO_FORWARD },
		[EV_DEADLINE]	= { SUP_STOPPING,  DO_TERM_JOB },
		[EV_EMPTY]	= { SUP_RUNNING,   DO_NOTHING },
		[EV_HOLD]	= { SUP_HOLDING,   DO_NOTHING },
	},
	[SUP_STOPPING] = {
		[EV_READY]	= { SUP_STOPPING,  DO_NOTHING },
		[EV_LOST]	= { SUP_STOPPING,  DO_NOTHING },
		[EV_JOB_GONE]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_SIGNAL]	= { SUP_STOPPING,  DO_FORWARD },
		[EV_DEADLINE]	= { SUP_STOPPING,  DO_KILL_JOB },
		[EV_EMPTY]	= { SUP_STOPPING,  DO_NOTHING },
		[EV_HOLD]	= { SUP_HOLDING,   DO_NOTHING },
	},
	[SUP_HOLDING] = {
		[EV_READY]	= { SUP_HOLDING,   DO_NOTHING },
		[EV_LOST]	= { SUP_HOLDING,   DO_NOTHING },
		[EV_JOB_GONE]	= { SUP_HOLDING,   DO_NOTHING },
		[EV_SIGNAL]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_DEADLINE]	= { SUP_DRAINING,  DO_STOP_WORKERS },
		[EV_EMPTY]	= { SUP_HOLDING,   DO_NOTHING },
		[EV_HOLD]	= { SUP_HOLDING,   DO_NOTHING },
	},
	[SUP_DRAINING] = {
		[EV_READY]	= { SUP_DRAINING,  DO_NOTHING },
		[EV_LOST]	= { SUP_DRAINING,  DO_NOTHING },
		[EV_JOB_GONE]	= { SUP_DRAINING,  DO_NOTHING },
		[EV_SIGNAL]	= { SUP_DRAINING,  DO_NOTHING },
		[EV_DEADLINE]	= { SUP_DRAINING,  DO_KILL_WORKERS },
		[EV_EMPTY]	= { SUP_ENDED,     DO_EXIT },
		[EV_HOLD]	= { SUP_DRAINING,  DO_NOTHING },
	},
	[SUP_ENDED] = {
		[EV_READY]	= { SUP_ENDED,     DO_NOTHING },
		[EV_LOST]	= { SUP_ENDED,     DO_NOTHING },
		[EV_JOB_GONE]	= { SUP_ENDED,     DO_NOTHING },
		[EV_SIGNAL]	= { SUP_ENDED,     DO_NOTHING },
		[EV_DEADLINE]	= { SUP_ENDED,     DO_NOTHING },
		[EV_EMPTY]	= { SUP_ENDED,     DO_NOTHING },
		[EV_HOLD]	= { SUP_ENDED,     DO_NOTHING },
	},
};

struct sup_step
supervise_step(enum sup_state state, enum sup_event event)
{
	return (table[state][event]);
}

const char *
supervise_state_name(enum sup_state state)
{
	static const char *const names[SUP_STATES] = {
		[SUP_PREPARING] = "preparing", [SUP_RUNNING] = "running",
		[SUP_STOPPING] = "stopping", [SUP_HOLDING] = "holding",
		[SUP_DRAINING] = "draining", [SUP_ENDED] = "ended",
	};

	return (names[state]);
}

const char *
supervise_event_name(enum sup_event event)
{
	static const char *const names[SUP_EVENTS] = {
		[EV_READY] = "ready", [EV_LOST] = "lost", [EV_JOB_GONE] = "job gone",
		[EV_SIGNAL] = "stop signal", [EV_DEADLINE] = "deadline", [EV_EMPTY] = "no worker",
		[EV_HOLD] = "held",
	};

	return (names[event]);
}
