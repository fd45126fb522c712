/* restart: how long a successor waits, and when there is none any more. */

#include "check.h"
#include "init/restart.h"

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

int
main(void)
{
	test_first_is_at_once();
	test_crash_loop();
	test_goes_on_for_ever();
	test_row_is_broken();
	return (check_done());
}
