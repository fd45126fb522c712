/*
 * Walks every world that the supervisor's table can reach, with a model of what the actions do:
 * no job starts beside a living one, without a restart policy it starts at most once, none starts
 * after a stop signal or once a worker is lost, the end is never reached with a process alive, and
 * every world can still end.
 */

#include <string.h>

#include "check.h"
#include "init/supervise.h"

enum { JOB_NOT_YET, JOB_ALIVE, JOB_OVER };
#define MAX_WORKERS 2

/* A worker that died and has a successor to come is no event, and none of the living. */
struct world {
	enum sup_state state;
	int job, workers, workers_asked, waiting;
	int told;			/* a stop signal came, or a worker was lost */
	int policy;			/* the job may be started again */
};

#define WORLDS (SUP_STATES * 3 * (MAX_WORKERS + 1) * (MAX_WORKERS + 1) * 2 * 2 * 2)
static struct { int seen, ends; } known[WORLDS];
static int started_beside, started_again, started_late, ended_alive, worlds;

static int
number(const struct world *w)
{
	return (int)(((((unsigned)w->state * 3 + (unsigned)w->job) * (MAX_WORKERS + 1) +
	    (unsigned)w->workers) * (MAX_WORKERS + 1) + (unsigned)w->waiting) * 8 +
	    (unsigned)w->workers_asked * 4 + (unsigned)w->told * 2 +
	    (unsigned)w->policy);
}

static struct world
after(struct world w, enum sup_event event)
{
	struct sup_step step = supervise_step(w.state, event);

	w.state = step.next;
	w.told |= event == EV_SIGNAL || event == EV_LINGER || event == EV_LOST;
	switch (step.action) {
	case DO_START_JOB:
		started_beside += w.job == JOB_ALIVE;
		started_again += w.job == JOB_OVER && !w.policy;
		started_late += w.told;
		w.job = JOB_ALIVE;
		break;
	case DO_STOP_WORKERS:
		w.workers_asked = 1;
		break;
	case DO_EXIT:
		ended_alive += w.job == JOB_ALIVE || w.workers + w.waiting != 0;
		break;
	case DO_NOTHING: case DO_FORWARD: case DO_TERM_JOB: case DO_KILL_JOB:
	case DO_KILL_WORKERS: case SUP_ACTIONS:
		break;
	}
	return (w);
}

/* The worlds that can come next; returns how many. */
static int
successors(struct world w, struct world *out)
{
	struct world next;
	int n = 0;

	if (w.state == SUP_PREPARING) {
		out[n++] = after(w, EV_READY);
		out[n++] = after(w, EV_DEADLINE);
		out[n++] = after(w, EV_HOLD);
	}
	out[n++] = after(w, EV_SIGNAL);
	out[n++] = after(w, EV_LINGER);
	if (w.state != SUP_PREPARING && w.state != SUP_ENDED)
		out[n++] = after(w, EV_DEADLINE);
	if (w.state != SUP_ENDED)	/* a probe's answer can come at any time */
		out[n++] = after(w, EV_UNHEALTHY);
	if (w.job == JOB_ALIVE) {
		next = w;
		next.job = JOB_OVER;
		out[n++] = after(next, EV_JOB_GONE);
		out[n++] = after(next, EV_HOLD);
		if (w.policy)
			out[n++] = after(next, EV_JOB_AGAIN);
	}
	if (w.workers > 0) {
		next = w;
		next.workers--;
		out[n++] = w.workers_asked ? next : after(next, EV_LOST);
		if (w.state == SUP_PREPARING)
			out[n++] = after(next, EV_HOLD);
		next.waiting++;		/* also when asked: it had not flushed everything */
		out[n++] = next;
	}
	if (w.waiting > 0) {
		next = w;
		next.waiting--;
		out[n++] = w.workers_asked ? next : after(next, EV_LOST);
		if (w.state == SUP_PREPARING)
			out[n++] = after(next, EV_HOLD);
		next.workers++;
		out[n++] = next;
	}
	if (w.workers + w.waiting == 0)
		out[n++] = after(w, EV_EMPTY);
	return (n);
}

static void
visit(struct world w)
{
	struct world next[16];
	int i, n, me = number(&w);

	if (known[me].seen)
		return;
	known[me].seen = 1;
	worlds++;
	n = successors(w, next);
	for (i = 0; i < n; i++)
		visit(next[i]);
}

static struct world
world_of(int n)
{
	struct world w = { .policy = n & 1, .told = n >> 1 & 1, .workers_asked = n >> 2 & 1 };

	n /= 8;
	w.waiting = n % (MAX_WORKERS + 1);
	n /= MAX_WORKERS + 1;
	w.workers = n % (MAX_WORKERS + 1);
	n /= MAX_WORKERS + 1;
	w.job = n % 3;
	w.state = (enum sup_state)(n / 3);
	return (w);
}

/* Marks the worlds from which the end can be reached, until nothing changes. */
static int
stuck_worlds(void)
{
	struct world next[16];
	int changed = 1, stuck = 0, i, n, me;

	while (changed) {
		changed = 0;
		for (me = 0; me < WORLDS; me++) {
			if (!known[me].seen || known[me].ends)
				continue;
			n = successors(world_of(me), next);
			for (i = 0; i < n; i++)
				if (next[i].state == SUP_ENDED || known[number(&next[i])].ends)
					known[me].ends = changed = 1;
		}
	}
	for (i = 0; i < WORLDS; i++)
		stuck += known[i].seen && !known[i].ends;
	return (stuck);
}

int
main(void)
{
	int workers, policy, s, e;

	for (policy = 0; policy < 2; policy++)
		for (workers = 0; workers <= MAX_WORKERS; workers++)
			visit((struct world){ SUP_PREPARING, JOB_NOT_YET, workers, 0, 0, 0,
			    policy });
	check_int(worlds, 176);
	check_int(started_beside, 0);
	check_int(started_again, 0);
	check_int(started_late, 0);
	check_int(ended_alive, 0);
	check_int(stuck_worlds(), 0);
	for (s = 0; s < SUP_STATES; s++) {	/* it is amlshim that ends it: with a deadline */
		struct sup_step step = supervise_step((enum sup_state)s, EV_LOST);

		if (s != SUP_STOPPING && step.next == SUP_STOPPING)
			check_int(step.action, DO_TERM_JOB);
	}
	check_int(supervise_step(SUP_HOLDING, EV_SIGNAL).action, DO_STOP_WORKERS);
	check_int(supervise_step(SUP_HOLDING, EV_DEADLINE).action, DO_STOP_WORKERS);
	for (s = 0; s < SUP_STATES; s++)
		check(strlen(supervise_state_name((enum sup_state)s)) > 0);
	for (e = 0; e < SUP_EVENTS; e++)
		check(strlen(supervise_event_name((enum sup_event)e)) > 0);
	return (check_done());
}
