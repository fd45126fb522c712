/*
 * Walks every world that the supervisor's table can reach, with a model of what the actions do:
 * the job starts at most once, the end is never reached with a process alive, and every world can
 * still end.
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
};

#define WORLDS (SUP_STATES * 3 * (MAX_WORKERS + 1) * 2 * (MAX_WORKERS + 1))
static struct { int seen, ends; } known[WORLDS];
static int started_twice, ended_alive, worlds;

static int
number(const struct world *w)
{
	return (int)(((((unsigned)w->state * 3 + (unsigned)w->job) * (MAX_WORKERS + 1) +
	    (unsigned)w->workers) * 2 + (unsigned)w->workers_asked) * (MAX_WORKERS + 1) +
	    (unsigned)w->waiting);
}

static struct world
after(struct world w, enum sup_event event)
{
	struct sup_step step = supervise_step(w.state, event);

	w.state = step.next;
	switch (step.action) {
	case DO_START_JOB:
		started_twice += w.job != JOB_NOT_YET;
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
	if (w.state == SUP_DRAINING || w.state == SUP_RUNNING || w.state == SUP_STOPPING ||
	    w.state == SUP_HOLDING)
		out[n++] = after(w, EV_DEADLINE);
	if (w.job == JOB_ALIVE) {
		next = w;
		next.job = JOB_OVER;
		out[n++] = after(next, EV_JOB_GONE);
		out[n++] = after(next, EV_HOLD);
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

/* Marks the worlds from which the end can be reached, until nothing changes. */
static int
stuck_worlds(void)
{
	struct world w, next[16];
	int changed = 1, stuck = 0, i, n, me, s, j, k, a, p;

	while (changed) {
		changed = 0;
		for (s = 0; s < SUP_STATES; s++)
		for (j = 0; j < 3; j++)
		for (k = 0; k <= MAX_WORKERS; k++)
		for (a = 0; a < 2; a++)
		for (p = 0; p <= MAX_WORKERS; p++) {
			w = (struct world){ (enum sup_state)s, j, k, a, p };
			me = number(&w);
			if (!known[me].seen || known[me].ends)
				continue;
			n = successors(w, next);
			for (i = 0; i < n; i++)
				if (next[i].state == SUP_ENDED || known[number(&next[i])].ends) {
					known[me].ends = 1;
					changed = 1;
					break;
				}
		}
	}
	for (i = 0; i < WORLDS; i++)
		stuck += known[i].seen && !known[i].ends;
	return (stuck);
}

int
main(void)
{
	int workers, s, e;

	for (workers = 0; workers <= MAX_WORKERS; workers++)
		visit((struct world){ SUP_PREPARING, JOB_NOT_YET, workers, 0, 0 });
	check_int(worlds, 32);
	check_int(started_twice, 0);
	check_int(ended_alive, 0);
	check_int(stuck_worlds(), 0);
	check_int(supervise_step(SUP_HOLDING, EV_SIGNAL).action, DO_STOP_WORKERS);
	check_int(supervise_step(SUP_HOLDING, EV_DEADLINE).action, DO_STOP_WORKERS);
	for (s = 0; s < SUP_STATES; s++)
		check(strlen(supervise_state_name((enum sup_state)s)) > 0);
	for (e = 0; e < SUP_EVENTS; e++)
		check(strlen(supervise_event_name((enum sup_event)e)) > 0);
	return (check_done());
}
