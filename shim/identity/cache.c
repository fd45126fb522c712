#include "identity/cache.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/trace.h"

#define REFUSAL_KEPT_MS	60000
#define RETRY_MIN_MS	1000
#define RETRY_MAX_MS	30000
#define RENEW_MIN_MS	2000		/* one renewal in the background: a fifth of what is */
#define RENEW_MAX_MS	60000		/* left, as several must fit in */
#define KEEPER_IDLE_MS	60000

struct entry {
	struct entry	*next;
	struct plan_identity identity;	/* texts borrowed from the plan, or copied into mem;
					   the secret is a copy: it may be rotated */
	const char	*resource;
	struct token	 token;		/* empty text: none yet */
	int		 users;		/* callers that hold a pointer to this */
	int		 used;		/* since the token came */
	int64_t		 last_used_ms;
	int64_t		 life_ms;	/* of the token, when it came: */
	int64_t		 came_ms, came_unix_s;
	int		 fetching;	/* somebody is asking the source */
	uint64_t	 attempts;	/* finished ones, good or bad */
	struct err	 last_err;	/* of the last finished one; kind NONE: it was good */
	int64_t		 last_deadline_ms;	/* that it had */
	int64_t		 refused_until_ms;	/* last_err stands until then */
	int64_t		 next_try_ms;	/* renewals wait until then */
	struct arena	 mem;
};

struct cache {
	const struct facts *facts;
	struct http	*http;
	/* Guards all below; never held while asking a source. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct entry	*entries;
	uint64_t	 generation;	/* the last one of all: an entry may go and come again */
	int		 stopping;
	struct cache_counts counts;
	pthread_t	 keeper;
};

static int
same_text(const char *a, const char *b)
{
	return (a == b || (a != NULL && b != NULL && str_same(a, b)));
}

static int
same_secret(const struct secret *a, const struct secret *b)
{
	return (a->len == b->len && (a->len == 0 || secret_equal(a, b->text, b->len)));
}

static int
matches(const struct entry *e, const struct plan_identity *id, const char *resource)
{
	return (e->identity.kind == id->kind && same_text(e->identity.client_id, id->client_id) &&
	    same_text(e->identity.object_id, id->object_id) &&
	    same_text(e->identity.resource_id, id->resource_id) &&
	    same_text(e->identity.tenant_id, id->tenant_id) &&
	    same_text(e->identity.authority_url, id->authority_url) &&
	    same_secret(&e->identity.secret, &id->secret) &&
	    strcmp(e->resource, resource) == 0);
}

static const char *
copy_text(struct arena *mem, const char *text)
{
	return (text == NULL ? NULL : arena_strdup(mem, text));
}

static void
free_entry(struct entry *e)
{
	token_done(&e->token);
	secret_done(&e->identity.secret);
	arena_done(&e->mem);
	free(e);
}

/* The job may ask for any audience: room is made where nobody looks. */
static void
drop_oldest(struct cache *c)
{
	struct entry **at, **oldest = NULL, *e;

	for (at = &c->entries; *at != NULL; at = &(*at)->next)
		if ((*at)->users == 0 && !(*at)->fetching &&
		    (oldest == NULL || (*at)->last_used_ms < (*oldest)->last_used_ms))
			oldest = at;
	if (oldest != NULL) {
		e = *oldest;
		*oldest = e->next;
		c->counts.entries--;
		free_entry(e);
	}
}

/* NULL: no memory for its secret. */
static struct entry *
find_entry(struct cache *c, const struct plan_identity *id, const char *resource,
    struct err *err)
{
	struct entry *e;

	for (e = c->entries; e != NULL; e = e->next)
		if (matches(e, id, resource))
			return (e);
	if (c->counts.entries >= CACHE_ENTRIES_MAX)
		drop_oldest(c);
	e = mem_zalloc(sizeof(*e));
	e->identity = *id;
	e->identity.secret = (struct secret){ NULL, 0 };
	if (id->secret.text != NULL && secret_copy(&e->identity.secret, &id->secret, err) != 0) {
		free_entry(e);
		return (NULL);
	}
	c->counts.entries++;
	e->identity.client_id = copy_text(&e->mem, id->client_id);
	e->identity.label = copy_text(&e->mem, id->label);
	e->resource = arena_strdup(&e->mem, resource);
	e->next = c->entries;
	c->entries = e;
	return (e);
}

/* Unix seconds.  A wall clock that is set back makes no token live longer. */
static int64_t
now_s(const struct entry *e)
{
	int64_t wall_s = clock_wall_s(), at_least_s = e->came_unix_s +
	    (clock_ms() - e->came_ms) / 1000;

	return (wall_s > at_least_s ? wall_s : at_least_s);
}

static int
is_valid(const struct entry *e, uint64_t newer_than)
{
	return (e->token.text.len != 0 && e->token.generation > newer_than &&
	    now_s(e) < e->token.expires_unix_s);
}

/* A mount looks in from time to time only: often enough is in use, too. */
static int
is_in_use(const struct entry *e)
{
	return (e->used || clock_ms() - e->last_used_ms < e->life_ms / 2);
}

static int
is_due(const struct entry *e)
{
	return (e->token.text.len != 0 && !e->fetching && is_in_use(e) &&
	    now_s(e) >= e->token.refresh_unix_s && clock_ms() >= e->next_try_ms);
}

/* A renewal failed: the old token serves on; try again in a fifth of what is left. */
static int64_t
retry_delay_ms(const struct entry *e)
{
	int64_t delay = (e->token.expires_unix_s - now_s(e)) * 1000 / 5;

	if (delay > RETRY_MAX_MS)
		delay = RETRY_MAX_MS;
	if (delay < RETRY_MIN_MS)
		delay = RETRY_MIN_MS;
	return (clock_jitter(delay / 2, delay));
}

/* No try may take so long that the next one comes too late. */
static int64_t
renewal_deadline_ms(const struct entry *e)
{
	int64_t wait = (e->token.expires_unix_s - now_s(e)) * 1000 / 5;

	if (wait > RENEW_MAX_MS)
		wait = RENEW_MAX_MS;
	return (clock_ms() + (wait < RENEW_MIN_MS ? RENEW_MIN_MS : wait));
}

/* Ask the source.  Called and returns with the lock held; it is released meanwhile. */
static void
fetch(struct cache *c, struct entry *e, int64_t deadline_ms)
{
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	int64_t began_us = trace_begin();
	int failed;

	e->fetching = 1;
	c->counts.requests++;
	pthread_mutex_unlock(&c->lock);
	failed = source_acquire(c->facts, c->http, &e->identity, e->resource, deadline_ms, &t,
	    &err);
	trace_span("token", e->identity.label, began_us, e->resource, "failed", failed != 0);
	pthread_mutex_lock(&c->lock);
	e->fetching = 0;
	e->attempts++;
	e->last_err = err;
	e->last_deadline_ms = deadline_ms;
	if (failed == 0) {
		token_done(&e->token);
		e->token = t;
		e->token.generation = ++c->generation;
		e->came_ms = clock_ms();
		e->came_unix_s = clock_wall_s();
		e->life_ms = (t.expires_unix_s - e->came_unix_s) * 1000;
		e->used = 0;
		e->refused_until_ms = e->next_try_ms = 0;
		e->last_err = ERR_EMPTY;
	} else {
		c->counts.failures++;
		e->next_try_ms = clock_ms() + retry_delay_ms(e);
		if (err.kind == ERR_NO_IDENTITY || err.kind == ERR_USAGE)
			e->refused_until_ms = clock_ms() + REFUSAL_KEPT_MS;
	}
	pthread_cond_broadcast(&c->changed);
}

static void
wait_until(struct cache *c, int64_t deadline_ms)
{
	cond_wait_ms(&c->changed, &c->lock, deadline_ms - clock_ms());
}

/* The attempt that failed had less time than this caller has. */
static int
may_try_again(const struct entry *e, int64_t deadline_ms)
{
	return (e->last_err.kind == ERR_UNREACHABLE && e->last_deadline_ms < deadline_ms &&
	    clock_ms() < deadline_ms);
}

/* Until a token newer than that is there, or an attempt failed.  With the lock held. */
static int
wait_for_token(struct cache *c, struct entry *e, uint64_t newer_than, int64_t deadline_ms,
    struct err *err)
{
	uint64_t seen;

	while (!is_valid(e, newer_than)) {
		if (!e->fetching && clock_ms() < e->refused_until_ms) {
			*err = e->last_err;
			return (-1);
		}
		seen = e->attempts;
		if (!e->fetching)
			fetch(c, e, deadline_ms);
		else
			wait_until(c, deadline_ms);
		if (e->attempts != seen && e->last_err.kind != ERR_NONE &&
		    !is_valid(e, newer_than) && !may_try_again(e, deadline_ms)) {
			*err = e->last_err;
			return (-1);
		}
		if (!is_valid(e, newer_than) && clock_ms() >= deadline_ms) {
			err_set(err, ERR_UNREACHABLE, REMEDY_CHECK_ENDPOINT, "get a token",
			    "no answer in time");
			return (err_as(err, e->identity.label));
		}
	}
	return (0);
}

static void
note_use(struct cache *c, struct entry *e)
{
	if (e->used)
		return;
	e->used = 1;
	pthread_cond_broadcast(&c->changed);	/* the keeper has one more to look after */
}

int
cache_get(struct cache *c, const struct plan_identity *id, const char *resource,
    uint64_t newer_than, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct err failure = ERR_EMPTY;
	struct entry *e;
	int failed;

	pthread_mutex_lock(&c->lock);
	e = find_entry(c, id, resource, &failure);
	if (e == NULL) {
		pthread_mutex_unlock(&c->lock);
		if (err != NULL)
			*err = failure;
		return (-1);
	}
	e->users++;
	e->last_used_ms = clock_ms();
	if (is_valid(e, newer_than)) {
		c->counts.hits++;
		if (is_due(e))
			pthread_cond_broadcast(&c->changed);	/* the keeper's work */
	}
	failed = wait_for_token(c, e, newer_than, deadline_ms, &failure);
	if (failed == 0) {
		failed = token_copy(ret, &e->token, &failure);
		note_use(c, e);
	}
	e->users--;
	pthread_mutex_unlock(&c->lock);
	if (failed != 0 && err != NULL)
		*err = failure;
	return (failed);
}

/* When the next renewal is due, clock_ms().  With the lock held. */
static int64_t
next_due_ms(const struct cache *c)
{
	int64_t now = clock_ms(), next = now + KEEPER_IDLE_MS, due;
	const struct entry *e;

	for (e = c->entries; e != NULL; e = e->next) {
		if (e->token.text.len == 0 || e->fetching || !is_in_use(e))
			continue;
		due = now + (e->token.refresh_unix_s - now_s(e)) * 1000;
		if (due < e->next_try_ms)
			due = e->next_try_ms;
		if (due < next)
			next = due;
	}
	return (next);
}

static void *
keep(void *arg)
{
	struct cache *c = arg;
	struct entry *e;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		for (e = c->entries; e != NULL; e = e->next)
			if (is_due(e))
				break;
		if (e != NULL)
			fetch(c, e, renewal_deadline_ms(e));
		else
			wait_until(c, next_due_ms(c));
	}
	pthread_mutex_unlock(&c->lock);
	return (NULL);
}

struct cache *
cache_new(const struct facts *facts, struct http *http, struct err *err)
{
	struct cache *c = mem_zalloc(sizeof(*c));

	c->facts = facts;
	c->http = http;
	pthread_mutex_init(&c->lock, NULL);
	cond_init(&c->changed);
	errno = pthread_create(&c->keeper, NULL, keep, c);
	if (errno != 0) {
		err_errno(err, "start a thread", "token keeper");
		free(c);
		return (NULL);
	}
	return (c);
}

void
cache_free(struct cache *c)
{
	struct entry *e;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = 1;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->keeper, NULL);
	while ((e = c->entries) != NULL) {
		c->entries = e->next;
		free_entry(e);
	}
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
cache_counts(const struct cache *c, struct cache_counts *ret)
{
	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&c->lock);
	*ret = c->counts;
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&c->lock);
}
