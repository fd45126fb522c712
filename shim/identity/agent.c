#include "identity/agent.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "azure/auth.h"
#include "azure/http.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/wire.h"
#include "identity/audit.h"
#include "identity/broker.h"
#include "identity/cache.h"
#include "identity/keeper.h"
#include "identity/peer.h"
#include "identity/tokenfile.h"

#define TOKEN_WAIT_MS	110000	/* longer than the 70 s of a metadata service being updated */
#define AGENT_CONNECTIONS 16
#define BEAT_MS		1000
#define SETTLE_MS	2000		/* for answers under way, before an upgrade */
#define LIFE_SHIFT	40		/* of a generation: which agent has counted it */

struct agent;

/* One access: answers its worker's questions. */
struct desk {
	struct agent	*agent;
	const struct plan_access *access;
	int		 fd;
	pthread_t	 thread;
};

struct agent {
	const struct agent_options *opt;
	struct http	*http;
	struct cache	*cache;
	struct keeper	*keeper;
	struct audit	*audit;
	struct peers	*peers;
	struct broker	*broker;
	struct tokenfiles *files;
	pthread_t	 job_desk;
	struct desk	*desks;
	size_t		 ndesks;
	/* Guards the one below, and what init is told. */
	pthread_mutex_t	 lock;
	size_t		 waiting;	/* desks without their first credential, and main */
};

/*
 * An agent counts its credentials from one.  What an earlier one has given, and the service has
 * refused, is older than all of ours.
 */
static uint64_t
tell_generation(const struct agent *a, uint64_t ours)
{
	return ((uint64_t)a->opt->life << LIFE_SHIFT | ours);
}

static uint64_t
refused_generation(const struct agent *a, const struct wire_ask *ask)
{
	if (!ask->refresh || ask->generation >> LIFE_SHIFT != (uint64_t)a->opt->life)
		return (0);
	return (ask->generation & ((UINT64_C(1) << LIFE_SHIFT) - 1));
}

static void
set_text(struct wire_cred *cred, const struct secret *text)
{
	if (text->len > sizeof(cred->text)) {
		cred->kind = WIRE_CRED_NONE;
		err_set(&cred->err, ERR_PROTOCOL, REMEDY_REPORT_BUG, "hand on a credential",
		    "it is longer than %d bytes", WIRE_CRED_TEXT_MAX);
		return;
	}
	memcpy(cred->text, text->text, text->len);
	cred->len = (uint32_t)text->len;
}

/* As get_token(), with a secret that stands elsewhere; what was refused may have been rotated. */
static int
get_token_with_fetched(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct plan_identity with = *id;
	struct kept first = { .generation = 0 }, second = { .generation = 0 };
	int failed;

	if (keeper_get(a->keeper, id, 0, deadline_ms, &first, err) != 0)
		return (-1);
	with.secret = first.text;
	failed = cache_get(a->cache, &with, id->audience, newer_than, deadline_ms, ret, err);
	if (failed != 0 && err->kind == ERR_NO_IDENTITY && keeper_get(a->keeper, id,
	    first.generation, deadline_ms, &second, NULL) == 0 &&
	    !secret_equal(&first.text, second.text.text, second.text.len)) {
		with.secret = second.text;
		failed = cache_get(a->cache, &with, id->audience, 0, deadline_ms, ret, err);
	}
	kept_done(&first);
	kept_done(&second);
	return (failed);
}

/* As long as init waits, before the job; then as long as it can be worth. */
static int64_t
token_deadline(struct agent *a)
{
	int64_t wait_ms = a->opt->first_wait_ms;
	int is_ready;

	pthread_mutex_lock(&a->lock);
	is_ready = a->waiting == 0 || a->opt->was_ready;
	pthread_mutex_unlock(&a->lock);
	if (wait_ms <= 0 || wait_ms > TOKEN_WAIT_MS || is_ready)
		wait_ms = TOKEN_WAIT_MS;
	return (clock_ms() + wait_ms);
}

static int
get_token(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    struct token *ret, struct err *err)
{
	int64_t deadline_ms = token_deadline(a);

	if (id->secret_from != SPEC_SECRET_HERE)
		return (get_token_with_fetched(a, id, newer_than, deadline_ms, ret, err));
	return (cache_get(a->cache, id, id->audience, newer_than, deadline_ms, ret, err));
}

static void
bearer(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    struct wire_cred *cred)
{
	struct token t = { .generation = 0 };

	if (get_token(a, id, newer_than, &t, &cred->err) != 0)
		return;
	cred->kind = WIRE_CRED_BEARER;
	cred->generation = tell_generation(a, t.generation);
	cred->expires_unix_s = t.expires_unix_s;
	cred->refresh_unix_s = t.refresh_unix_s;
	set_text(cred, &t.text);
	token_done(&t);
}

/* In the workspace or a vault: kept fresh here. */
static void
fetched_secret(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    struct wire_cred *cred)
{
	struct kept k = { .generation = 0 };

	if (keeper_get(a->keeper, id, newer_than, token_deadline(a), &k,
	    &cred->err) != 0)
		return;
	cred->kind = k.kind == SPEC_CRED_SAS ? WIRE_CRED_SAS : WIRE_CRED_SHARED_KEY;
	cred->generation = tell_generation(a, k.generation);
	cred->expires_unix_s = k.expires_unix_s;
	cred->refresh_unix_s = k.refresh_unix_s;
	set_text(cred, &k.text);
	kept_done(&k);
}

/* A credential that cannot be renewed here was refused: the same one again says so. */
static void
cached_secret(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    struct wire_cred *cred)
{
	if (id->secret_from != SPEC_SECRET_HERE) {
		fetched_secret(a, id, newer_than, cred);
		return;
	}
	cred->generation = tell_generation(a, 1);
	if (id->kind == PLAN_ID_SAS)
		cred->expires_unix_s = auth_sas_expiry(id->secret.text);
	cred->kind = id->kind == PLAN_ID_SAS ? WIRE_CRED_SAS : WIRE_CRED_SHARED_KEY;
	set_text(cred, &id->secret);
}

static void
make_cred(struct agent *a, const struct plan_identity *id, uint64_t newer_than,
    struct wire_cred *cred)
{
	memset(cred, 0, sizeof(*cred));
	switch (id->kind) {
	case PLAN_ID_ACCOUNT_KEY:
	case PLAN_ID_SAS:
		cached_secret(a, id, newer_than, cred);
		break;
	case PLAN_ID_SERVICE_PRINCIPAL:
	case PLAN_ID_CERTIFICATE:
	case PLAN_ID_USER:
	case PLAN_ID_MANAGED:
		bearer(a, id, newer_than, cred);
		break;
	case PLAN_ID_NONE:
		cred->kind = WIRE_CRED_ANONYMOUS;
		cred->generation = tell_generation(a, 1);
		break;
	}
}

/* Once: whoever fails next waits here for the end. */
static void __attribute__((noreturn))
fail(struct agent *a, const struct err *err)
{
	struct wire_msg msg = { .type = WIRE_FAILED, .err = *err };

	pthread_mutex_lock(&a->lock);
	if (wire_send(a->opt->init_fd, &msg, sizeof(msg)) != 0)
		log_err(err);
	_exit(err_exit_status(err));
}

/* With the last of them the job may start. */
static void
first_cred_done(struct agent *a)
{
	struct wire_msg msg = { .type = WIRE_READY };

	pthread_mutex_lock(&a->lock);
	if (--a->waiting == 0 && wire_send(a->opt->init_fd, &msg, sizeof(msg)) != 0)
		_exit(0);		/* init is gone */
	pthread_mutex_unlock(&a->lock);
}

/* For amlshim status. */
static void
show_expiry(const struct desk *d, const struct wire_cred *cred)
{
	const struct agent_options *opt = d->agent->opt;
	ptrdiff_t i = d->access - opt->plan->accesses;

	if (opt->vitals != NULL && cred->kind != WIRE_CRED_NONE)
		opt->vitals->token_expiry_s[i < VITALS_IDENTITIES ? i : VITALS_IDENTITIES - 1] =
		    cred->expires_unix_s;
}

static void
first_cred(struct desk *d, struct wire_cred *cred)
{
	char url[256];

	make_cred(d->agent, &d->access->identity, 0, cred);
	show_expiry(d, cred);
	if (cred->kind == WIRE_CRED_NONE) {
		err_on(&cred->err, "%s", http_printable_url(d->access->uri, url, sizeof(url)));
		fail(d->agent, &cred->err);
	}
}

/* The question is the next one to be received until it is answered: see base/wire.h. */
static int
answer(int fd, const struct wire_ask *ask, struct wire_cred *cred)
{
	struct wire_ask done;

	cred->serial = ask->serial;
	return (wire_send(fd, cred, sizeof(*cred)) == 0 &&
	    wire_recv(fd, &done, sizeof(done), 0) == 1 ? 0 : -1);
}

static void *
desk_thread(void *arg)
{
	struct desk *d = arg;
	struct agent *a = d->agent;
	struct wire_cred *cred = mem_alloc(sizeof(*cred));
	struct wire_ask ask;

	if (!a->opt->was_ready)
		first_cred(d, cred);
	first_cred_done(a);
	while (wire_peek(d->fd, &ask, sizeof(ask), -1) == 1) {
		make_cred(a, &d->access->identity, refused_generation(a, &ask), cred);
		show_expiry(d, cred);
		if (answer(d->fd, &ask, cred) != 0)
			break;
		secret_wipe(cred, sizeof(*cred));
	}
	secret_wipe(cred, sizeof(*cred));
	free(cred);
	return (NULL);
}

/* --- tokens that the job gets without its asking ------------------------------------- */

static void
warn_of_expiry(const struct agent *a, const struct plan_token *what,
    const struct wire_cred *cred)
{
	const struct plan_identity *id = &a->opt->plan->broker_default;
	struct audit_event e = { .dialect = "variable", .identity = id->label,
	    .client_id = id->client_id, .audience = what->audience,
	    .expires_unix_s = cred->expires_unix_s };
	char date[CLOCK_ISO8601_SIZE];

	audit_write(a->audit, &e);
	clock_format_iso8601(cred->expires_unix_s, date);
	log_warning("the token in %s expires at %s and cannot be renewed there: what runs longer "
	    "takes --token-file, or asks the token endpoint", what->place, date);
}

static void
variable_cred(struct agent *a, size_t index, struct wire_cred *cred)
{
	struct plan_identity id = a->opt->plan->broker_default;

	memset(cred, 0, sizeof(*cred));
	id.audience = a->opt->plan->variables_with_token[index].audience;
	bearer(a, &id, 0, cred);
	if (cred->kind == WIRE_CRED_NONE)
		err_on(&cred->err, "%s", id.audience);
}

/* Both kinds are there before the job is. */
static void
first_tokens(struct agent *a, struct wire_cred *cred)
{
	const struct plan *plan = a->opt->plan;
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < plan->nvariables_with_token && !a->opt->was_ready; i++) {
		variable_cred(a, i, cred);
		if (cred->kind == WIRE_CRED_NONE)
			fail(a, &cred->err);
	}
	if (plan->nfiles_with_token == 0)
		return;
	a->files = tokenfiles_new(plan, a->opt->facts, a->opt->token_homes, a->cache, a->audit,
	    a->opt->was_ready ? 0 : token_deadline(a), &err);
	if (a->files == NULL)
		fail(a, &err);
}

static void *
job_desk_thread(void *arg)
{
	struct agent *a = arg;
	const struct plan *plan = a->opt->plan;
	struct wire_cred *cred = mem_alloc(sizeof(*cred));
	int fd = a->opt->job_fd;
	struct wire_ask ask;

	first_tokens(a, cred);
	first_cred_done(a);
	while (fd >= 0 && wire_peek(fd, &ask, sizeof(ask), -1) == 1) {
		if (ask.index >= plan->nvariables_with_token)
			break;
		variable_cred(a, ask.index, cred);
		if (answer(fd, &ask, cred) != 0)
			break;
		if (cred->kind != WIRE_CRED_NONE)
			warn_of_expiry(a, &plan->variables_with_token[ask.index], cred);
		secret_wipe(cred, sizeof(*cred));
	}
	secret_wipe(cred, sizeof(*cred));
	free(cred);
	return (NULL);
}

static void
open_desks(struct agent *a)
{
	const struct plan *plan = a->opt->plan;
	struct err err = ERR_EMPTY;
	size_t i;

	a->desks = mem_zalloc((plan->naccesses + 1) * sizeof(*a->desks));
	for (i = 0; i < plan->naccesses; i++)
		if (a->opt->access_fds[i] >= 0)
			a->desks[a->ndesks++] = (struct desk){ .agent = a,
			    .access = &plan->accesses[i], .fd = a->opt->access_fds[i] };
	a->waiting = a->ndesks + 2;
	errno = pthread_create(&a->job_desk, NULL, job_desk_thread, a);
	if (errno != 0) {
		err_errno(&err, "start a thread", "agent");
		fail(a, &err);
	}
	for (i = 0; i < a->ndesks; i++) {
		errno = pthread_create(&a->desks[i].thread, NULL, desk_thread, &a->desks[i]);
		if (errno != 0) {
			err_errno(&err, "start a thread", "agent");
			fail(a, &err);
		}
	}
	first_cred_done(a);
}

static void
start_services(struct agent *a)
{
	struct http_options http = { .max_connections = AGENT_CONNECTIONS };
	struct broker_options broker = { .listen_fd = a->opt->broker_fd,
	    .unix_fd = a->opt->broker_unix_fd, .plan = a->opt->plan,
	    .secret = a->opt->broker_secret,
	    .granted = a->opt->vitals != NULL ? &a->opt->vitals->tokens : NULL };
	struct err err = ERR_EMPTY;

	a->http = http_new(&http, &err);
	if (a->http == NULL)
		fail(a, &err);
	a->cache = cache_new(a->opt->facts, a->http, &err);
	if (a->cache == NULL)
		fail(a, &err);
	a->keeper = keeper_new(a->opt->plan, a->opt->facts, a->http, a->cache);
	broker.cache = a->cache;
	broker.audit = a->audit = audit_new(a->opt->audit_fd);
	broker.peers = a->peers = peers_new((pid_t)a->opt->init_pid, a->opt->facts->uid, 0);
	peers_exclude(a->peers, getpid());
	if (a->opt->broker_fd >= 0) {
		a->broker = broker_new(&broker, &err);
		if (a->broker == NULL)
			fail(a, &err);
	}
}

/* It takes the locks that every answer needs: whoever holds one for ever stops the heart. */
static void
beat(struct agent *a, const struct http_counts *before)
{
	struct vitals *v = a->opt->vitals;
	struct cache_counts tokens;
	struct http_counts http;

	http_counts(a->http, &http);
	cache_counts(a->cache, &tokens);
	atomic_store(&v->requests, before->requests + http.requests);
	atomic_store(&v->retries, before->retries + http.retries);
	atomic_store(&v->beat_ms, clock_ms());
}

/* 1: for a successor of another version (SIGUSR2, which is blocked). */
static int
wait_for_stop(struct agent *a)
{
	const struct http_counts before = { .requests = atomic_load(&a->opt->vitals->requests),
	    .retries = atomic_load(&a->opt->vitals->retries) };
	struct wire_msg msg;
	int rc;

	do {
		if (sys_take_signal(SYS_SIG(SIGUSR2)) != 0)
			return (1);
		beat(a, &before);
		rc = wire_recv(a->opt->init_fd, &msg, sizeof(msg), BEAT_MS);
		if (rc == 1 && msg.type == WIRE_WORKER)
			peers_exclude(a->peers, (pid_t)msg.value);
	} while (rc == 1 ? msg.type != WIRE_STOP : rc < 0 && errno == ETIMEDOUT);
	beat(a, &before);		/* what it did since the last one counts, too */
	return (0);
}

/* Questions of the others stay where they are until they are answered: base/wire.h. */
static void __attribute__((noreturn))
give_way(struct agent *a)
{
	if (a->broker != NULL)
		broker_settle(a->broker, SETTLE_MS);
	audit_flush(a->audit);
	_exit(WIRE_EXIT_UPGRADE);
}

void
agent_main(const struct agent_options *opt)
{
	static struct agent a;
	struct wire_msg msg = { .type = WIRE_DONE };

	a.opt = opt;
	pthread_mutex_init(&a.lock, NULL);
	start_services(&a);
	open_desks(&a);
	if (wait_for_stop(&a))
		give_way(&a);
	msg.stats.requests = atomic_load(&opt->vitals->requests);
	msg.stats.retries = atomic_load(&opt->vitals->retries);
	msg.stats.tokens = a.broker != NULL ? broker_grants(a.broker) : 0;
	audit_flush(a.audit);
	if (wire_send(opt->init_fd, &msg, sizeof(msg)) != 0)
		log_debug("init is gone");
	_exit(0);		/* memory with secrets goes with the process */
}
