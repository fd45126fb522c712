#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "mount/crew.h"

#define STACK	(256 * 1024)

struct crew {
	struct crew_work work;
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 ended;
	size_t		 next;
	unsigned int	 running;
	int		 failed, abandoned;
};

static void
free_crew(struct crew *c)
{
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->ended);
	free(c);
}

/* Returns 1 when the caller of crew_run() is gone and this was the last. */
static int
take_part(struct crew *c)
{
	size_t i;
	int failed, last;

	pthread_mutex_lock(&c->lock);
	while (c->next < c->work.n && !c->abandoned && !(c->failed && c->work.stop_at_failure)) {
		i = c->next++;
		pthread_mutex_unlock(&c->lock);
		failed = c->work.one(c->work.arg, i) != 0;
		pthread_mutex_lock(&c->lock);
		c->failed |= failed;
	}
	last = --c->running == 0 && c->abandoned;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return (last);
}

static void *
member_main(void *arg)
{
	struct crew *c = arg;

	if (take_part(c)) {
		if (c->work.late != NULL)
			c->work.late(c->work.arg);
		free_crew(c);
	}
	return (NULL);
}

static void
start(struct crew *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < c->work.threads && i < c->work.n; i++) {
		pthread_mutex_lock(&c->lock);
		c->running++;
		pthread_mutex_unlock(&c->lock);
		if (pthread_create(&thread, &attr, member_main, c) == 0)
			continue;
		pthread_mutex_lock(&c->lock);
		c->running--;
		pthread_mutex_unlock(&c->lock);
		break;
	}
	pthread_attr_destroy(&attr);
	if (i == 0 && c->work.n > 0) {	/* no thread to be had: do it here */
		c->running++;
		(void)take_part(c);
	}
}

/* Lock held.  Returns 0 when the deadline passed. */
static int
wait_for_all(struct crew *c)
{
	while (c->running > 0) {
		if (c->work.deadline_ms == 0)
			pthread_cond_wait(&c->ended, &c->lock);
		else if (clock_ms() >= c->work.deadline_ms)
			return (0);
		else
			cond_wait_ms(&c->ended, &c->lock, c->work.deadline_ms - clock_ms());
	}
	return (1);
}

int
crew_run(const struct crew_work *work)
{
	struct crew *c = mem_zalloc(sizeof(*c));
	int all, rc;

	c->work = *work;
	pthread_mutex_init(&c->lock, NULL);
	cond_init(&c->ended);
	start(c);
	pthread_mutex_lock(&c->lock);
	all = wait_for_all(c);
	c->abandoned = !all;
	rc = c->failed || c->next < c->work.n;
	pthread_mutex_unlock(&c->lock);
	if (!all)
		return (-1);
	free_crew(c);
	return (rc);
}
