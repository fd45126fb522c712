#ifndef INIT_ANSWER_H
#define INIT_ANSWER_H

/*
 * answer -- what init says on its control socket: its own state, put into control.h's structs.
 */

#include "init/control.h"
#include "init/health.h"
#include "init/job.h"
#include "init/probe.h"
#include "init/worker.h"
#include "plan/plan.h"

struct answer_view {		/* all borrowed */
	const struct plan	*plan;		/* NULL: just an init */
	const struct workers	*workers;
	const struct job	*job;
	enum sup_state		 phase;		/* not the one that the prober could have changed */
	const struct health	*health;
	const struct probe_options *probe;
	const char		*command;	/* first word */
	int			 restarts, last_status;
	int64_t			 started_unix_s, job_started_unix_s, orphans;
};

/* -1: no such part. */
int	answer_make(const struct answer_view *, const struct control_request *,
	    struct control_answer *);

#endif
