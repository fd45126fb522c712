/* restart: how long a successor waits, and when there is none any more. */

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "init/restart.h"
#include "init/worker.h"

static void
test_first_is_at_once(void)
{
	struct restart r = { .born_ms = 1000 };

	check_int(restart_delay(&r, 1001, 1000), 0);
	check_int(r.deaths, 1);
}

/* Each at its longest and shortest; the fifth is the last. */
static void
test_crash_loop(void)
{
	static const int64_t longest[] = { 0, 50, 200, 800 };
	int64_t now = 1000;
	struct restart slow = { .born_ms = now }, fast = slow;
	int i;

	for (i = 0; i < RESTART_DEATHS_MAX - 1; i++) {
		now += RESTART_HEALTHY_MS - 1;
		check_int(restart_delay(&slow, now, 1000), longest[i]);
		check_int(restart_delay(&fast, now, 0), longest[i] / 2);
		slow.born_ms = fast.born_ms = now;
	}
	check_int(restart_delay(&slow, now + RESTART_HEALTHY_MS - 1, 1000), -1);
	check_int(restart_delay(&slow, now + RESTART_HEALTHY_MS - 1, 1000), -1);
}

/* A day of it, one every ten seconds. */
static void
test_goes_on_for_ever(void)
{
	struct restart r = { .born_ms = 0 };
	int64_t now;
	int late = 0;

	for (now = 10000; now < 86400000; now += 10000) {
		late += restart_delay(&r, now, 1000) != 0;
		r.born_ms = now + 900;
	}
	check_int(late, 0);
}

/* One that lives long enough ends the row. */
static void
test_row_is_broken(void)
{
	struct restart r = { .born_ms = 0 };
	int i, given_up = 0;

	for (i = 0; i < 100; i++) {
		r.born_ms = 0;
		given_up += restart_delay(&r, i % 4 == 3 ? RESTART_HEALTHY_MS : 1, 0) < 0;
	}
	check_int(given_up, 0);
}

/* Looked at on time for so long, with a beat or without.  When it was found hung; 0: never. */
static int64_t
watched(int64_t bound_ms, int64_t beats_every_ms, int64_t for_ms)
{
	struct watch w = { .looked_ms = 0 };
	int64_t now, beat = 1;

	for (now = 0; now < for_ms; now += watch_interval_ms(bound_ms)) {
		if (beats_every_ms != 0)
			beat = 1 + now / beats_every_ms;
		if (watch_look(&w, beat, now, bound_ms))
			return (now);
	}
	return (0);
}

static void
test_hung(void)
{
	check_int(watch_interval_ms(30000), 5000);
	check_int(watch_interval_ms(2000), 500);
	check_int(watched(30000, 0, 1000000), 30000);
	check_int(watched(2000, 0, 1000000), 2000);
	check_int(watched(30000, 25000, 1000000), 0);
}

/* The first sign has to come in time, too; from then on the next. */
static void
test_no_beat_yet(void)
{
	struct watch w;

	watch_begin(&w, 1000000);
	check_int(watch_look(&w, 0, 1005000, 30000), 0);
	check_int(watch_look(&w, 0, 1010000, 30000), 0);
	check_int(w.silent_ms, 10000);
	check_int(watch_look(&w, 7, 1015000, 30000), 0);
	check_int(w.silent_ms, 0);
	watch_begin(&w, 2000000);
	check_int(watch_look(&w, 0, 2000250, 1000), 0);
	check_int(watch_look(&w, 0, 2000500, 1000), 0);
	check_int(watch_look(&w, 0, 2000750, 1000), 0);
	check_int(watch_look(&w, 0, 2001000, 1000), 1);
}

/* How the process of a worker in that state ended that never says anything. */
static int
end_of_silent(enum worker_state state, int was_ready)
{
	struct vitals vitals = { .beat_ms = 0 };
	struct worker self = { .name = "mount data", .state = state, .life = 1,
	    .was_ready = was_ready, .vitals = &vitals };
	struct workers all = { .list = &self, .n = 1 };
	int64_t until_ms = clock_ms() + 500;
	int status;

	self.pid = fork();
	if (self.pid == 0) {
		for (;;)
			pause();
	}
	watch_begin(&self.watch, clock_ms());
	while (!self.hung && clock_ms() < until_ms) {
		if (workers_watch(&all, 20) == 0)
			break;
		clock_sleep_ms(5);
	}
	kill(self.pid, SIGTERM);	/* not if it was killed before */
	waitpid(self.pid, &status, 0);
	return (WTERMSIG(status));
}

static void
test_watched_from_birth(void)
{
	check_int(end_of_silent(WORKER_STARTING, 1), SIGKILL);
	check_int(end_of_silent(WORKER_READY, 0), SIGKILL);
	check_int(end_of_silent(WORKER_STARTING, 0), SIGTERM);	/* the start timeout's */
	check_int(end_of_silent(WORKER_STOPPING, 1), SIGTERM);	/* the flush timeout's */
}

/* The container was frozen for an hour, us included: the worker has as long as ever. */
static void
test_after_a_pause(void)
{
	struct watch w = { .looked_ms = 0 };

	check_int(watch_look(&w, 7, 5000, 30000), 0);
	check_int(watch_look(&w, 7, 10000, 30000), 0);
	check_int(watch_look(&w, 7, 3610000, 30000), 0);
	check_int(watch_look(&w, 8, 3615000, 30000), 0);
	check_int(w.silent_ms, 0);
}

int
main(void)
{
	test_hung();
	test_no_beat_yet();
	test_watched_from_birth();
	test_after_a_pause();
	test_first_is_at_once();
	test_crash_loop();
	test_goes_on_for_ever();
	test_row_is_broken();
	return (check_done());
}
