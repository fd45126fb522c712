#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "init/worker_parts.h"

#define FORK_AGAIN_MS	1000	/* no process was to be had */

static int64_t
sooner(int64_t a, int64_t b)
{
	return (a == 0 || (b != 0 && b < a) ? b : a);
}

int64_t
workers_reaped_early(struct worker *self)
{
	int64_t now_ms = clock_ms(),
	    delay_ms = restart_delay(&self->restart, now_ms, (int)clock_jitter(0, 1000));

	if (delay_ms < 0)
		return (-1);
	self->pid = 0;
	mem_close_fd(&self->fd);
	self->again_ms = now_ms + delay_ms;
	return (delay_ms);
}

void
workers_begin_again(struct worker *self, int from_file)
{
	self->pid = 0;
	mem_close_fd(&self->fd);
	self->wants_new = from_file;
	self->again_ms = clock_ms();
}

static void
start_again(struct workers *w, struct worker *self)
{
	int was_stopping = self->state == WORKER_STOPPING;
	struct err err = ERR_EMPTY;
	size_t i;

	self->life++;
	if (worker_fork(w, self, &err) != 0) {
		self->life--;
		self->again_ms = clock_ms() + FORK_AGAIN_MS;
		if (self->unborn_ms != 0)
			return;		/* said once */
		self->unborn_ms = clock_ms();
		log_err(&err);
		return;
	}
	self->unborn_ms = 0;
	if (was_stopping)
		worker_stop(w, self);
	if (self != &w->list[0])
		worker_announce(w, self);
	for (i = 1; self == &w->list[0] && i < w->n; i++)
		worker_announce(w, &w->list[i]);
}

int64_t
workers_start_again(struct workers *w)
{
	int64_t next_ms = 0, now_ms = 0;
	size_t i;

	for (i = 0; i < w->n; i++) {
		struct worker *self = &w->list[i];

		if (self->again_ms == 0)
			continue;
		if (now_ms == 0)
			now_ms = clock_ms();
		if (self->again_ms <= now_ms)
			start_again(w, self);
		next_ms = sooner(next_ms, self->again_ms);
	}
	return (next_ms);
}

struct worker *
workers_unborn(struct workers *w, int64_t bound_ms)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->list[i].unborn_ms != 0 && w->list[i].again_ms != 0 &&
		    clock_ms() - w->list[i].unborn_ms >= bound_ms)
			return (&w->list[i]);
	return (NULL);
}

/*
 * The successor of one that was ready from its birth on: what it hangs in is as bad for the job.
 * What never was ready waits for the service perhaps, and has the start timeout.
 */
static int
is_watched(const struct worker *self)
{
	return (self->pid != 0 && !self->done && !self->hung &&
	    (self->state == WORKER_READY || (self->state == WORKER_STARTING && self->was_ready)));
}

int64_t
workers_watch(struct workers *w, int64_t bound_ms)
{
	int64_t now_ms = clock_ms();
	int watched = 0;
	size_t i;

	for (i = 0; i < w->n; i++) {
		struct worker *self = &w->list[i];

		if (!is_watched(self))
			continue;
		watched = 1;
		if (!watch_look(&self->watch, atomic_load(&self->vitals->beat_ms), now_ms,
		    bound_ms))
			continue;
		log_warning("%s, pid %d, has given no sign of life for %lld ms: SIGKILL",
		    self->name, (int)self->pid, (long long)self->watch.silent_ms);
		self->hung = 1;
		kill(self->pid, SIGKILL);
	}
	return (watched ? now_ms + watch_interval_ms(bound_ms) : 0);
}

int
workers_restarts(const struct workers *w)
{
	int restarts = 0;
	size_t i;

	for (i = 0; i < w->n; i++)
		restarts += w->list[i].life;
	return (restarts);
}
