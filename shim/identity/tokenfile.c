#include "identity/tokenfile.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fd.h"
#include "base/log.h"

#define LOOK_MIN_MS	500
#define LOOK_MAX_MS	30000
#define WAIT_MS		2000	/* for a token that is not at hand: others must not wait for long */

struct file {
	const struct plan_token *what;
	const struct fd_home *home;	/* NULL: the job's user is ours */
	uint64_t generation;		/* that was written */
	int	 failing;		/* said once */
};

struct tokenfiles {
	const struct plan *plan;
	const struct facts *facts;	/* whose they are */
	struct cache	*cache;
	struct audit	*audit;
	struct file	*files;
	size_t		 n;
	pthread_t	 thread;
	/* Guards the one below. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	int		 stopping;
};

static void
record(const struct tokenfiles *t, const struct file *f, const struct token *token)
{
	struct audit_event e = { .dialect = "file", .identity = t->plan->broker_default.label,
	    .client_id = t->plan->broker_default.client_id, .audience = f->what->audience,
	    .expires_unix_s = token->expires_unix_s };

	audit_write(t->audit, &e);
}

static int
write_file(const struct tokenfiles *t, const struct file *f, const struct secret *text,
    struct err *err)
{
	if (f->home == NULL)
		return (fd_replace_file(f->what->place, text->text, text->len, 0600, err));
	return (fd_home_replace(f->home, f->what->place, text->text, text->len, t->facts->uid,
	    t->facts->gid, err));
}

/* *ret_refresh_s: when a newer token is due. */
static int
update(const struct tokenfiles *t, struct file *f, int64_t deadline_ms, int64_t *ret_refresh_s,
    struct err *err)
{
	struct token token = { .generation = 0 };
	int failed = 0;

	if (cache_get(t->cache, &t->plan->broker_default, f->what->audience, 0, deadline_ms,
	    &token, err) != 0)
		return (-1);
	*ret_refresh_s = token.refresh_unix_s;
	if (token.generation != f->generation) {
		failed = write_file(t, f, &token.text, err);
		if (failed == 0) {
			f->generation = token.generation;
			record(t, f, &token);
		}
	}
	token_done(&token);
	return (failed);
}

/* ms until the next look: just behind the renewal, or soon again when it is late. */
static int64_t
look_again_ms(int64_t refresh_unix_s)
{
	int64_t ms = (refresh_unix_s - clock_wall_s()) * 1000;

	return (ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms);
}

static int64_t
update_all(struct tokenfiles *t)
{
	int64_t next_ms = LOOK_MAX_MS, refresh_s = 0, ms;
	struct err err = ERR_EMPTY;
	size_t i;
	int failed;

	for (i = 0; i < t->n; i++) {
		failed = update(t, &t->files[i], clock_ms() + WAIT_MS, &refresh_s, &err);
		if (failed != 0 && !t->files[i].failing) {
			err_on(&err, "%s", t->files[i].what->place);
			log_err(&err);
		}
		t->files[i].failing = failed != 0;
		ms = failed != 0 ? LOOK_MIN_MS : look_again_ms(refresh_s);
		if (ms < next_ms)
			next_ms = ms;
	}
	return (next_ms);
}

static void *
keep(void *arg)
{
	struct tokenfiles *t = arg;
	int64_t ms = LOOK_MIN_MS;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		if (cond_wait_ms(&t->changed, &t->lock, ms) == 0)
			continue;
		pthread_mutex_unlock(&t->lock);
		ms = update_all(t);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return (NULL);
}

static void
remove_file(const struct file *f)
{
	if (f->home == NULL)
		unlink(f->what->place);
	else
		fd_home_unlink(f->home, f->what->place);
}

static void
release(struct tokenfiles *t)
{
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t->files);
	free(t);
}

static int
start(struct tokenfiles *t, int64_t deadline_ms, struct err *err)
{
	int64_t refresh_s;
	size_t i;

	for (i = 0; i < t->n && deadline_ms != 0; i++)
		if (update(t, &t->files[i], deadline_ms, &refresh_s, err) != 0)
			return (err_on(err, "%s", t->files[i].what->place));
	errno = pthread_create(&t->thread, NULL, keep, t);
	return (errno == 0 ? 0 : err_errno(err, "start a thread", "token files"));
}

struct tokenfiles *
tokenfiles_new(const struct plan *plan, const struct facts *facts, const struct fd_home *homes,
    struct cache *cache, struct audit *audit, int64_t deadline_ms, struct err *err)
{
	struct tokenfiles *t = mem_zalloc(sizeof(*t));
	size_t i;

	t->plan = plan;
	t->facts = facts;
	t->cache = cache;
	t->audit = audit;
	t->n = plan->nfiles_with_token;
	t->files = mem_zalloc((t->n + 1) * sizeof(*t->files));
	for (i = 0; i < t->n; i++) {
		t->files[i].what = &plan->files_with_token[i];
		t->files[i].home = homes != NULL ? &homes[i] : NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	cond_init(&t->changed);
	if (start(t, deadline_ms, err) != 0) {
		for (i = 0; i < t->n; i++)
			if (t->files[i].generation != 0)
				remove_file(&t->files[i]);
		release(t);
		return (NULL);
	}
	return (t);
}

void
tokenfiles_free(struct tokenfiles *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->stopping = 1;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	release(t);
}
