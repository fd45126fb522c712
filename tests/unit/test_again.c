/* The restart policy: how often, after which pause; and what is live, ready, a good answer. */

#include <string.h>

#include "check.h"
#include "init/again.h"
#include "init/health.h"
#include "init/probe.h"

static void
test_policy(void)
{
	struct again no = { AGAIN_NO, 0, 0 }, failure = { AGAIN_ON_FAILURE, 2, 0 };
	struct again always = { AGAIN_ALWAYS, 0, 0 };
	int64_t pause = 0;
	int i;

	check_int(again_next(&no, 1, 0), -1);
	check_int(again_next(&failure, 0, 0), -1);
	check_int(again_next(&failure, 1, 0), 100);
	check_int(again_next(&failure, 1, 9999), 200);
	check_int(again_next(&failure, 1, 0), -1);
	/* A good run between: it counts anew. */
	check_int(again_next(&failure, 1, 10000), 100);
	check_int(again_next(&failure, 1, 0), 200);
	check_int(again_next(&failure, 1, 0), -1);
	for (i = 0; i < 1000; i++)
		pause = again_next(&always, 0, 0);
	check_int(pause, 30000);
	check_int(again_next(&always, 0, 60000), 100);
}

static void
test_health(void)
{
	struct health h = { .phase = SUP_PREPARING };

	check(health_flaw(&h, 0) == NULL);
	check(health_flaw(&h, 1) != NULL);
	h.phase = SUP_RUNNING;
	h.run = 1;
	check(health_flaw(&h, 1) != NULL);	/* not exec'd yet */
	h.job_runs = 1;
	check(health_flaw(&h, 1) == NULL);
	h.has_live = h.has_ready = 1;
	check(health_flaw(&h, 0) == NULL);
	check(health_flaw(&h, 1) != NULL);
	h.probed = 1;
	h.live = h.ready = HEALTH_GOOD;
	check(health_flaw(&h, 1) == NULL);
	h.ready = HEALTH_BAD;
	check(health_flaw(&h, 0) == NULL);
	check(health_flaw(&h, 1) != NULL);
	h.live = HEALTH_BAD;
	check(health_flaw(&h, 0) != NULL);
	/* What was found out of the run before says nothing of this one. */
	h.run = 2;
	check(health_flaw(&h, 0) == NULL);
	check(health_flaw(&h, 1) != NULL);
	h.phase = SUP_LINGERING;
	check(health_flaw(&h, 0) == NULL);
	check(health_flaw(&h, 1) != NULL);
}

static void
test_answers(void)
{
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{ "HTTP/1.1 200 OK", 200 }, { "HTTP/1.0 503\r\n", 503 }, { "HTTP/1.1 204", 204 },
		{ "HTTP/1.1 2000", 0 }, { "HTTP/1.1 20", 0 }, { "HTTP/2.0 200 OK", 0 },
		{ "HTTP/1.1 -99 OK", 0 }, { "HTTP/1.1 600 X", 0 }, { "SSH-2.0-OpenSSH", 0 },
		{ "", 0 },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (!check_int(probe_read_status(rows[i].text, strlen(rows[i].text)),
		    rows[i].status))
			printf("# text: %s\n", rows[i].text);
}

int
main(void)
{
	test_policy();
	test_health();
	test_answers();
	return (check_done());
}
