#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "azure/cred.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "base/secret.h"

#define FIRST_ANSWER_MS		(120 * 1000)	/* IMDS alone may be away for 70 s */
#define ANSWER_MS		(30 * 1000)	/* then ask again: it may have restarted */
#define RETRY_MS		(30 * 1000)	/* after a refresh that failed; as azure-identity */
#define RETRY_MIN_MS		500		/* the same, when little of its life is left */
#define RETRY_NONE_MS		2000		/* the same, when there never was one */
#define REFUSED_AGAIN_MS	(60 * 1000)	/* refused so young: it never was any good */
#define WHIM_MS			(5 * 1000)	/* of what was accepted: one in that time, */
#define WHIMS_MAX		6		/* and so many at once */
#define EARLY_MAX_S		60		/* refresh up to so much earlier, not all at once */
#define THREAD_STACK		(256 * 1024)
#define NEVER			INT64_MAX
#define TIME_MAX		(INT64_C(1) << 40)	/* Unix seconds */
#define NO_ANSWER		(-2)

struct cred {
	int		 agent_fd;		/* -1: fixed */
	pthread_t	 thread;
	pthread_mutex_t	 lock;			/* guards the rest; innermost */
	pthread_cond_t	 changed;
	enum wire_cred_kind kind;
	struct secret	 text;
	uint64_t	 generation;		/* ours: an agent that restarts counts anew */
	uint64_t	 agent_generation;	/* what the agent calls it */
	int64_t		 born_ms;
	int64_t		 expires_unix_s;	/* 0: never */
	int64_t		 refresh_ms;		/* ask again from here on */
	int		 refused;		/* the current one was; the thread is to ask */
	int		 born_of_refusal;
	uint64_t	 accepted;		/* the service took this generation */
	int64_t		 whims_ms;		/* WHIM_MS ahead of now for each of late */
	uint64_t	 hopeless;		/* no better one can be had than this generation */
	int64_t		 hopeless_until_ms;
	int		 stopping;
	int		 patience_ms;		/* of one question */
};

/* Far enough off that sums of it in ms have room. */
static int
is_time(int64_t unix_s)
{
	return (unix_s >= 0 && unix_s < TIME_MAX);
}

/* No newer one was to be had: again in a fifth of what is left of its life. */
static int64_t
retry_time(int64_t expires_unix_s)
{
	int64_t delay_ms = RETRY_MS, left_s = expires_unix_s - clock_wall_s();

	if (expires_unix_s != 0 && left_s < 5 * RETRY_MS / 1000)
		delay_ms = left_s < 5 ? RETRY_MIN_MS : left_s * 1000 / 5;
	return (clock_ms() + clock_jitter(delay_ms / 2, delay_ms));
}

/* Somewhat before the time given: many mounts share one agent. */
static int64_t
refresh_time(const struct wire_cred *w)
{
	int64_t left_s = w->refresh_unix_s - clock_wall_s(), early_s;

	if (w->refresh_unix_s == 0)
		return (NEVER);
	early_s = left_s / 10 < EARLY_MAX_S ? left_s / 10 : EARLY_MAX_S;
	if (left_s <= 0)
		return (retry_time(w->expires_unix_s));
	return (clock_ms() + left_s * 1000 - clock_jitter(0, early_s * 1000));
}

static int
same_as_now(const struct cred *c, const struct wire_cred *w)
{
	return (c->kind == (enum wire_cred_kind)w->kind &&
	    secret_equal(&c->text, w->text, w->len));
}

/* Lock held.  -1: the message makes no sense. */
static int
take(struct cred *c, const struct wire_cred *w, struct err *err)
{
	if (w->len > WIRE_CRED_TEXT_MAX || w->kind > WIRE_CRED_ANONYMOUS ||
	    !is_time(w->expires_unix_s) || !is_time(w->refresh_unix_s) ||
	    (w->len > 0 && !str_is_visible(w->text, w->len)))
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "get credential",
		    "the agent's message is malformed"));
	c->agent_generation = w->generation;
	c->refresh_ms = refresh_time(w);
	c->expires_unix_s = w->expires_unix_s;
	if (c->generation > 0 && same_as_now(c, w))
		return (0);
	if (secret_set(&c->text, w->text, w->len, err) != 0)
		return (-1);
	c->kind = (enum wire_cred_kind)w->kind;
	c->generation++;
	c->born_ms = clock_ms();
	return (0);
}

/* 0: there is a credential in it; -1: it tells why there is none. */
static int
told(struct wire_cred *answer, struct err *err)
{
	if (answer->kind != WIRE_CRED_NONE)
		return (0);
	err_seal(&answer->err);
	if (err != NULL)
		*err = answer->err;
	return (-1);
}

/* One question and its answer.  Without the lock.  NO_ANSWER: in time; its agent may have died. */
static int
ask(struct cred *c, uint64_t refused_generation, int refresh, int timeout_ms,
    struct wire_cred *answer, struct err *err)
{
	struct wire_ask question = { .refresh = (uint32_t)refresh,
	    .generation = refused_generation };

	switch (wire_question(c->agent_fd, &question, answer, timeout_ms)) {
	case 1:
		return (told(answer, err));
	case 0:
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_NONE, "get credential",
		    "the agent is gone"));
	default:
		err_errno(err, "get credential", NULL);
		return (errno == ETIMEDOUT ? NO_ANSWER : -1);
	}
}

static void
wipe(struct wire_cred *w)
{
	secret_wipe(w, sizeof(*w));
}

/* What became of a refresh.  Lock held. */
static void
settle(struct cred *c, int was_refused, int failed, uint64_t asked_for)
{
	int64_t now_ms = clock_ms();

	c->refused = 0;
	if (was_refused && c->generation == asked_for && c->accepted == asked_for) {
		c->generation++;	/* no better one, but it was good: once more */
		c->born_ms = now_ms;
	}
	if (failed)
		c->refresh_ms = c->generation > 0 ? retry_time(c->expires_unix_s) :
		    clock_ms() + clock_jitter(RETRY_NONE_MS / 2, RETRY_NONE_MS);
	if (was_refused && c->generation == asked_for) {	/* none, or the same again */
		c->hopeless = asked_for;
		c->hopeless_until_ms = now_ms + RETRY_MS;
	} else if (c->generation != asked_for)
		c->born_of_refusal = was_refused;
	pthread_cond_broadcast(&c->changed);
}

static void
refresh(struct cred *c)
{
	struct wire_cred answer __attribute__((cleanup(wipe)));
	uint64_t asked_for = c->generation, agent_generation = c->agent_generation;
	int was_refused = c->refused, patience_ms = c->patience_ms, failed;

	pthread_mutex_unlock(&c->lock);
	failed = ask(c, agent_generation, was_refused, patience_ms, &answer, NULL);
	pthread_mutex_lock(&c->lock);
	if (failed == NO_ANSWER && was_refused)
		return;		/* nothing was decided: who reads waits on, and we ask again */
	if (failed == 0)
		failed = take(c, &answer, NULL) != 0;
	settle(c, was_refused, failed, asked_for);
}

static void
wait_until(struct cred *c, int64_t when_ms)
{
	int64_t left_ms = when_ms - clock_ms();

	if (when_ms == NEVER) {
		pthread_cond_wait(&c->changed, &c->lock);
		return;
	}
	/* The condition's clock stands still in a suspended machine. */
	if (left_ms > RETRY_MS)
		left_ms = RETRY_MS;
	cond_wait_ms(&c->changed, &c->lock, left_ms);
}

static void *
refresher(void *arg)
{
	struct cred *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		if (c->refused || c->refresh_ms <= clock_ms())
			refresh(c);
		else
			wait_until(c, c->refresh_ms);
	}
	pthread_mutex_unlock(&c->lock);
	return (NULL);
}

static struct cred *
cred_alloc(int agent_fd)
{
	struct cred *c = mem_zalloc(sizeof(*c));

	c->agent_fd = agent_fd;
	c->refresh_ms = NEVER;
	c->patience_ms = ANSWER_MS;
	pthread_mutex_init(&c->lock, NULL);
	cond_init(&c->changed);
	return (c);
}

static void
release(struct cred *c)
{
	mem_close_fd(&c->agent_fd);
	secret_done(&c->text);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int
start_thread(struct cred *c, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, &attr, refresher, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	errno = rc;
	return (rc == 0 ? 0 : err_errno(err, "start the credential thread", NULL));
}

struct cred *
cred_new(int agent_fd, struct err *err)
{
	struct wire_cred first __attribute__((cleanup(wipe)));
	struct cred *c = cred_alloc(agent_fd);

	if (ask(c, 0, 0, FIRST_ANSWER_MS, &first, err) != 0 || take(c, &first, err) != 0 ||
	    start_thread(c, err) != 0) {
		release(c);
		return (NULL);
	}
	return (c);
}

struct cred *
cred_patient(int agent_fd, struct err *err)
{
	struct cred *c = cred_alloc(agent_fd);

	c->refresh_ms = 0;
	if (start_thread(c, err) == 0)
		return (c);
	release(c);
	return (NULL);
}

int
cred_wait(struct cred *c, int ms)
{
	int64_t until_ms = clock_ms() + ms;
	int there;

	pthread_mutex_lock(&c->lock);
	while (c->generation == 0 && clock_ms() < until_ms)
		wait_until(c, until_ms);
	there = c->generation > 0;
	pthread_mutex_unlock(&c->lock);
	return (there);
}

struct cred *
cred_fixed(enum wire_cred_kind kind, const char *text)
{
	struct cred *c = cred_alloc(-1);
	struct err err;

	if (secret_set(&c->text, text, strlen(text), &err) != 0) {
		release(c);
		return (NULL);
	}
	c->kind = kind;
	c->generation = 1;
	return (c);
}

void
cred_free(struct cred *c)
{
	if (c == NULL)
		return;
	if (c->agent_fd >= 0) {
		pthread_mutex_lock(&c->lock);
		c->stopping = 1;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		shutdown(c->agent_fd, SHUT_RDWR);	/* ends a wait for the agent */
		pthread_join(c->thread, NULL);
	}
	release(c);
}

void
cred_current(struct cred *c, enum wire_cred_kind *ret_kind, uint64_t *ret_generation,
    const char **ret_text, struct arena *mem)
{
	pthread_mutex_lock(&c->lock);
	*ret_kind = c->kind;
	*ret_generation = c->generation;
	*ret_text = c->text.text != NULL ? arena_strndup(mem, c->text.text, c->text.len) : "";
	pthread_mutex_unlock(&c->lock);
}

/* A refusal then says nothing of what comes next. */
static int
has_expired(const struct cred *c)
{
	return (c->expires_unix_s != 0 && clock_wall_s() >= c->expires_unix_s);
}

/* Services accept and refuse the same credential in turn; as a habit it is no whim any more. */
static int
is_habit(struct cred *c, int64_t now_ms)
{
	if (c->whims_ms < now_ms)
		c->whims_ms = now_ms;
	if (c->whims_ms - now_ms > (WHIMS_MAX - 1) * WHIM_MS)
		return (1);
	c->whims_ms += WHIM_MS;
	return (0);
}

/* Lock held. */
static int
judge_refusal(struct cred *c, uint64_t generation)
{
	int64_t now_ms = clock_ms();
	int is_young = c->born_of_refusal && now_ms - c->born_ms < REFUSED_AGAIN_MS &&
	    !has_expired(c);

	if (generation < c->generation)
		return (1);
	if (c->agent_fd < 0 || (c->hopeless == generation && now_ms < c->hopeless_until_ms) ||
	    (is_young && c->accepted != generation))
		return (-1);
	if (!c->refused) {
		if (is_young && is_habit(c, now_ms))
			return (-1);
		c->refused = 1;
		pthread_cond_broadcast(&c->changed);
	}
	return (0);
}

int
cred_refused(struct cred *c, uint64_t generation)
{
	int verdict;

	pthread_mutex_lock(&c->lock);
	verdict = judge_refusal(c, generation);
	pthread_mutex_unlock(&c->lock);
	return (verdict);
}

void
cred_accepted(struct cred *c, uint64_t generation)
{
	pthread_mutex_lock(&c->lock);
	c->accepted = generation > c->accepted ? generation : c->accepted;
	pthread_mutex_unlock(&c->lock);
}

void
cred_patience(struct cred *c, int ms)
{
	pthread_mutex_lock(&c->lock);
	c->patience_ms = ms;
	pthread_mutex_unlock(&c->lock);
}
