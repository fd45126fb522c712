/* cred: first answer, refresh on time and after a refusal, an agent that fails or is gone. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "azure/cred.h"
#include "base/clock.h"
#include "check.h"

/* ---- an agent that answers from a script -------------------------------- */

struct step {
	enum wire_cred_kind kind;	/* NONE: refused */
	const char	*text;		/* NULL: no answer at all */
	int64_t		 refresh_in_s;	/* 0: never */
	int		 wait_ms;
};

static const char unended[] = "a refusal whose texts do not end";

struct agent {
	int		 fds[2];	/* [0] the agent's, [1] the mount's */
	const struct step *steps;
	int		 nsteps;
	atomic_int	 asked;
	struct wire_ask	 asks[16];
	pthread_t	 thread;
};

static void
answer(struct agent *a, int n)
{
	const struct step *s = &a->steps[n < a->nsteps ? n : a->nsteps - 1];
	struct wire_cred c = { .kind = (uint32_t)s->kind, .generation = (uint64_t)n + 70,
	    .serial = a->asks[n < 16 ? n : 15].serial };

	clock_sleep_ms(s->wait_ms);
	if (s->text == NULL)
		return;
	if (s->kind == WIRE_CRED_NONE)
		err_set(&c.err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, "get token", "%s",
		    s->text);
	if (s->text == unended) {
		memset(&c.err, 'x', sizeof(c.err));
		c.err.kind = ERR_DENIED;
	}
	c.len = (uint32_t)strlen(s->text);
	memcpy(c.text, s->text, c.len);
	if (s->refresh_in_s != 0)
		c.refresh_unix_s = clock_wall_s() + s->refresh_in_s;
	(void)wire_send(a->fds[0], &c, sizeof(c));
}

static void *
agent_main(void *arg)
{
	struct agent *a = arg;
	struct wire_ask ask;
	int n;

	for (n = 0; wire_recv(a->fds[0], &ask, sizeof(ask), -1) == 1; n++) {
		if (n < 16)
			a->asks[n] = ask;
		atomic_fetch_add(&a->asked, 1);
		answer(a, n);
	}
	return (NULL);
}

static struct cred *
start(struct agent *a, const struct step *steps, int nsteps, struct err *err)
{
	memset(a, 0, sizeof(*a));
	a->steps = steps;
	a->nsteps = nsteps;
	if (wire_pair(a->fds, err) != 0 ||
	    pthread_create(&a->thread, NULL, agent_main, a) != 0)
		exit(1);
	return (cred_new(a->fds[1], err));
}

static void
stop(struct agent *a, struct cred *c)
{
	cred_free(c);			/* closes the mount's end */
	pthread_join(a->thread, NULL);
	close(a->fds[0]);
}

static const char *
text_of(struct cred *c, uint64_t *ret_generation)
{
	static char copy[64];
	struct arena mem = ARENA_EMPTY;
	enum wire_cred_kind kind;
	const char *text;

	cred_current(c, &kind, ret_generation, &text, &mem);
	snprintf(copy, sizeof(copy), "%d %s", (int)kind, text);
	arena_done(&mem);
	return (copy);
}

/* As a caller does: again while the answer is "in a moment". */
static int
refused(struct cred *c, uint64_t generation)
{
	int64_t until = clock_ms() + 5000;
	int verdict;

	while ((verdict = cred_refused(c, generation)) == 0 && clock_ms() < until)
		clock_sleep_ms(2);
	return (verdict);
}

/* ---- tests -------------------------------------------------------------- */

static void
test_fixed(void)
{
	struct cred *c = cred_fixed(WIRE_CRED_SAS, "sv=1&sig=x");
	uint64_t g;

	check_str(text_of(c, &g), "3 sv=1&sig=x");
	check_int(g, 1);
	check_int(cred_refused(c, g), -1);
	cred_free(c);
	cred_free(NULL);
	c = cred_fixed(WIRE_CRED_ANONYMOUS, "");
	check_str(text_of(c, &g), "4 ");
	cred_free(c);
}

/* What a header cannot hold is no credential, and a refusal ends in its fields. */
static void
test_malformed(void)
{
	static const struct step bad[][1] = {
		{ { WIRE_CRED_BEARER, "one\r\nX: y", 0, 0 } },
		{ { WIRE_CRED_BEARER, "one", INT64_MAX / 2, 0 } },
		{ { WIRE_CRED_NONE, unended, 0, 0 } },
	};
	struct agent a;
	struct cred *c;
	struct err err;
	size_t i;

	for (i = 0; i < 3; i++) {
		err = ERR_EMPTY;
		c = start(&a, bad[i], 1, &err);
		check(c == NULL && err.kind == (i < 2 ? ERR_BUG : ERR_DENIED));
		check(memchr(err.cause, '\0', sizeof(err.cause)) != NULL);
		check(memchr(err.op, '\0', sizeof(err.op)) != NULL);
		stop(&a, c);
	}
}

static void
test_refusal(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_BEARER, "two", 3600, 30 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 2, &err);
	uint64_t g, g2;

	check_str(text_of(c, &g), "1 one");
	check_int(cred_refused(c, g), 0);
	check_str(text_of(c, &g2), "1 one");	/* no waiting here */
	check_int(refused(c, g), 1);
	check_str(text_of(c, &g2), "1 two");
	check_int(g2, g + 1);
	check_int(cred_refused(c, g), 1);	/* somebody slow, with the old one */
	check_int(atomic_load(&a.asked), 2);
	check_int(a.asks[0].refresh, 0);
	check_int(a.asks[1].refresh, 1);
	check_int(a.asks[1].generation, 70);	/* in the agent's own counting */
	check_int(refused(c, g2), -1);		/* new, and refused as well: final */
	check_int(atomic_load(&a.asked), 2);
	stop(&a, c);
}

static void
test_no_better_one(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_SHARED_KEY, "key", 0, 0 }, { WIRE_CRED_SHARED_KEY, "key", 0, 0 },
	};
	static const struct step refusing[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_NONE, "no more", 0, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 2, &err);
	uint64_t g;

	check_str(text_of(c, &g), "2 key");
	check_int(refused(c, g), -1);		/* the same again */
	check_int(cred_refused(c, g), -1);	/* and the agent is left in peace */
	check_int(atomic_load(&a.asked), 2);
	stop(&a, c);

	c = start(&a, refusing, 2, &err);
	check_str(text_of(c, &g), "1 one");
	check_int(refused(c, g), -1);
	check_str(text_of(c, &g), "1 one");	/* the old one stays */
	stop(&a, c);
}

/* The newest credential is refused, if it was accepted before or not.  The verdict. */
static int
refuse_newest(struct cred *c, int was_accepted)
{
	uint64_t g;

	text_of(c, &g);
	if (was_accepted)
		cred_accepted(c, g);
	return (refused(c, g));
}

/* A service that accepts and refuses in turn: each refusal is answered, until it is a habit. */
static void
test_whims(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_BEARER, "a", 3600, 0 }, { WIRE_CRED_BEARER, "b", 3600, 0 },
		{ WIRE_CRED_BEARER, "c", 3600, 0 }, { WIRE_CRED_BEARER, "d", 3600, 0 },
		{ WIRE_CRED_BEARER, "e", 3600, 0 }, { WIRE_CRED_BEARER, "f", 3600, 0 },
		{ WIRE_CRED_BEARER, "g", 3600, 0 }, { WIRE_CRED_BEARER, "h", 3600, 0 },
		{ WIRE_CRED_BEARER, "i", 3600, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 9, &err);
	int i;

	for (i = 0; i < 3; i++)
		check_int(refuse_newest(c, 1), 1);
	check_int(refuse_newest(c, 0), -1);	/* this one never was any good */
	for (i = 0; i < 9 && refuse_newest(c, 1) == 1; i++)
		;
	check(i >= 3 && i <= 5);		/* and not for ever */
	stop(&a, c);
}

/* What was good and is refused, and no other is to be had: once more. */
static void
test_once_more(void)
{
	static const struct step same[] = {
		{ WIRE_CRED_SHARED_KEY, "key", 0, 0 }, { WIRE_CRED_SHARED_KEY, "key", 0, 0 },
	};
	static const struct step away[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_NONE, "IMDS is away", 0, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, same, 2, &err);
	uint64_t g;

	check_int(refuse_newest(c, 1), 1);
	check_str(text_of(c, &g), "2 key");
	check_int(refuse_newest(c, 0), -1);
	stop(&a, c);

	c = start(&a, away, 2, &err);
	check_int(refuse_newest(c, 1), 1);
	check_str(text_of(c, &g), "1 one");
	check_int(refuse_newest(c, 0), -1);
	stop(&a, c);
}

static void
test_scheduled_refresh(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_SAS, "sv=1", 1, 0 }, { WIRE_CRED_SAS, "sv=2", 3600, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 2, &err);
	int64_t until = clock_ms() + 5000;
	uint64_t g = 0;

	check_str(text_of(c, &g), "3 sv=1");
	while (g < 2 && clock_ms() < until) {
		text_of(c, &g);
		clock_sleep_ms(5);
	}
	check_str(text_of(c, &g), "3 sv=2");
	check_int(a.asks[1].refresh, 0);
	check_int(cred_refused(c, g), 0);	/* it was no refusal that made it */
	stop(&a, c);
}

static void
test_first(void)
{
	static const struct step none[] = { { WIRE_CRED_NONE, "none assigned", 0, 0 } };
	static const struct step odd[] = { { (enum wire_cred_kind)9, "x", 0, 0 } };
	struct agent a;
	struct err err = ERR_EMPTY;

	check(start(&a, none, 1, &err) == NULL);
	check_int(err.kind, ERR_NO_IDENTITY);
	check_str(err.cause, "none assigned");
	stop(&a, NULL);
	check(start(&a, odd, 1, &err) == NULL);
	check_int(err.kind, ERR_BUG);
	stop(&a, NULL);

	if (wire_pair(a.fds, &err) != 0)
		exit(1);
	close(a.fds[0]);
	check(cred_new(a.fds[1], &err) == NULL);
}

/* Who cannot give up asks again, and has none until then. */
static void
test_patient(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_NONE, "IMDS is away", 0, 0 }, { WIRE_CRED_BEARER, "one", 3600, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c;
	uint64_t g;

	memset(&a, 0, sizeof(a));
	a.steps = steps;
	a.nsteps = 2;
	if (wire_pair(a.fds, &err) != 0)
		exit(1);
	c = cred_patient(a.fds[1], &err);
	check_int(cred_wait(c, 10), 0);
	check_str(text_of(c, &g), "0 ");
	if (pthread_create(&a.thread, NULL, agent_main, &a) != 0)
		exit(1);
	check_int(cred_wait(c, 30000), 1);
	check_str(text_of(c, &g), "1 one");
	check_int(a.asked, 2);
	stop(&a, c);
}

/* An agent that dies: what is there is used on. */
static void
test_agent_gone(void)
{
	static const struct step steps[] = { { WIRE_CRED_BEARER, "one", 3600, 0 } };
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 1, &err);
	uint64_t g;

	shutdown(a.fds[0], SHUT_RDWR);
	check_str(text_of(c, &g), "1 one");
	check_int(refused(c, g), -1);
	check_str(text_of(c, &g), "1 one");
	stop(&a, c);
}

/* An agent was killed with the question: its successor is asked, with another serial. */
static void
test_silence(void)
{
	static const struct step refusal[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_BEARER, NULL, 0, 0 },
		{ WIRE_CRED_BEARER, NULL, 0, 0 }, { WIRE_CRED_BEARER, "two", 3600, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, refusal, 4, &err);
	uint64_t g;

	cred_patience(c, 50);
	text_of(c, &g);
	check_int(refused(c, g), 1);
	check_str(text_of(c, &g), "1 two");
	check_int(atomic_load(&a.asked), 4);
	check_int(a.asks[3].refresh, 1);
	check_int(a.asks[3].generation, 70);
	check(a.asks[3].serial != a.asks[2].serial);
	stop(&a, c);
}

/* One is due and nobody answers: what is there stays in use, and it is asked for later. */
static void
test_silence_when_due(void)
{
	static const struct step due[] = {
		{ WIRE_CRED_SAS, "sv=1", 1, 0 }, { WIRE_CRED_SAS, NULL, 0, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, due, 2, &err);
	int64_t until = clock_ms() + 5000;
	uint64_t g;

	cred_patience(c, 50);
	while (atomic_load(&a.asked) < 2 && clock_ms() < until)
		clock_sleep_ms(5);
	clock_sleep_ms(300);		/* it would be asked six times by now */
	check_int(atomic_load(&a.asked), 2);
	check_str(text_of(c, &g), "3 sv=1");
	stop(&a, c);
}

/* Ending it does not wait for an agent that does not answer. */
static void
test_free_while_asking(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_BEARER, NULL, 0, 0 },
	};
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 2, &err);
	int64_t t = clock_ms();
	uint64_t g;

	text_of(c, &g);
	check_int(cred_refused(c, g), 0);
	while (atomic_load(&a.asked) < 2 && clock_ms() < t + 5000)
		clock_sleep_ms(1);
	t = clock_ms();
	stop(&a, c);
	check(clock_ms() - t < 4000);
}

static atomic_int bad;

static void *
user(void *arg)
{
	struct cred *c = arg;
	struct arena mem = ARENA_EMPTY;
	enum wire_cred_kind kind;
	const char *text;
	uint64_t g;
	int i;

	for (i = 0; i < 500; i++) {
		cred_current(c, &kind, &g, &text, &mem);
		if (strcmp(text, g == 1 ? "one" : "two") != 0)
			atomic_fetch_add(&bad, 1);
		if (g == 1)
			(void)cred_refused(c, g);
		arena_done(&mem);
	}
	return (NULL);
}

static void
test_threads(void)
{
	static const struct step steps[] = {
		{ WIRE_CRED_BEARER, "one", 3600, 0 }, { WIRE_CRED_BEARER, "two", 3600, 2 },
	};
	pthread_t threads[4];
	struct agent a;
	struct err err;
	struct cred *c = start(&a, steps, 2, &err);
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, user, c) != 0)
			exit(1);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	check_int(atomic_load(&bad), 0);
	check_int(refused(c, 1), 1);
	check_int(atomic_load(&a.asked), 2);	/* one question for all of them */
	stop(&a, c);
}

int
main(void)
{
	test_fixed();
	test_malformed();
	test_refusal();
	test_no_better_one();
	test_whims();
	test_once_more();
	test_scheduled_refresh();
	test_first();
	test_patient();
	test_agent_gone();
	test_silence();
	test_silence_when_due();
	test_free_while_asking();
	test_threads();
	return (check_done());
}
