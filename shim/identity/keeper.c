#include "identity/keeper.h"

#include <pthread.h>
#include <string.h>

#include "azure/arm.h"
#include "azure/auth.h"
#include "azure/keyvault.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/caller.h"

#define SPACING_MIN_MS	1000
#define SPACING_MAX_MS	60000
#define EARLY_MAX_S	300		/* before a secret in a vault expires */

struct entry {
	struct entry	*next;
	const struct plan_identity *of;	/* the plan's */
	struct kept	 now;		/* empty text: none yet */
	int		 fetching;
	int		 fruitless;	/* tries in a row that brought nothing new */
	int64_t		 next_try_ms;
	struct err	 last_err;	/* of the last try; kind NONE: it was good */
};

struct keeper {
	const struct facts *facts;
	struct http	*http;
	struct caller	 callers[SPEC_SECRET_VAULT + 1];
	/* Guards the rest; never held while asking. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct entry	*entries;
};

void
kept_done(struct kept *k)
{
	secret_done(&k->text);
	*k = (struct kept){ .generation = 0 };
}

struct keeper *
keeper_new(const struct plan *plan, const struct facts *facts, struct http *http,
    struct cache *cache)
{
	struct keeper *k = mem_zalloc(sizeof(*k));
	int from;

	k->facts = facts;
	k->http = http;
	for (from = SPEC_SECRET_HERE; from <= SPEC_SECRET_VAULT; from++)
		caller_init(&k->callers[from], cache, &plan->readers[from]);
	pthread_mutex_init(&k->lock, NULL);
	cond_init(&k->changed);
	return (k);
}

void
keeper_free(struct keeper *k)
{
	struct entry *e;

	if (k == NULL)
		return;
	while ((e = k->entries) != NULL) {
		k->entries = e->next;
		kept_done(&e->now);
		free(e);
	}
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* ---- asking ------------------------------------------------------------ */

static int
ask_workspace(struct keeper *k, const struct plan_identity *of, int64_t deadline_ms,
    struct kept *ret, struct err *err)
{
	const struct arm arm = { .http = k->http, .endpoint = facts_arm_endpoint(k->facts),
	    .bearer = &k->callers[SPEC_SECRET_WORKSPACE].bearer,
	    .resource = facts_cloud(k->facts)->arm, .api_version = k->facts->arm_api_version,
	    .deadline_ms = deadline_ms };
	struct arm_secret got = { .kind = SPEC_CRED_NONE };
	int64_t now;

	if (arm_list_secrets(&arm, &of->workspace, of->secret_of, &got, err) != 0)
		return (-1);
	now = clock_wall_s();
	ret->kind = got.kind;
	ret->text = got.text;
	if (got.kind == SPEC_CRED_SAS)
		ret->expires_unix_s = auth_sas_expiry(got.text.text);
	if (ret->expires_unix_s != 0)
		ret->refresh_unix_s = ret->expires_unix_s <= now ? now :
		    now + (ret->expires_unix_s - now) / 2;
	return (0);
}

static enum spec_credential
credential_of(const struct plan_identity *of)
{
	switch (of->kind) {
	case PLAN_ID_ACCOUNT_KEY:
		return (SPEC_CRED_ACCOUNT_KEY);
	case PLAN_ID_SAS:
		return (SPEC_CRED_SAS);
	case PLAN_ID_CERTIFICATE:
		return (SPEC_CRED_CERTIFICATE);
	case PLAN_ID_SERVICE_PRINCIPAL:
	case PLAN_ID_USER:
	case PLAN_ID_MANAGED:
	case PLAN_ID_NONE:
		break;
	}
	return (SPEC_CRED_SERVICE_PRINCIPAL);
}

/* People paste secrets with a line break behind, and a SAS with its '?'. */
static void
trim(const char **text, size_t *len, enum spec_credential kind)
{
	*len = str_trim_end(*text, *len);
	if (kind == SPEC_CRED_SAS && *len > 0 && **text == '?') {
		(*text)++;
		(*len)--;
	}
}

static int
ask_vault(struct keeper *k, const struct plan_identity *of, int64_t deadline_ms,
    struct kept *ret, struct err *err)
{
	const struct bearer *bearer = &k->callers[SPEC_SECRET_VAULT].bearer;
	struct keyvault_secret got = { .expires_unix_s = 0 };
	enum spec_credential kind = credential_of(of);
	int64_t now, sas_expiry, life;
	const char *text, *flaw;
	size_t len;
	int failed;

	if (keyvault_read(k->http, bearer, of->secret_url, deadline_ms, &got, err) != 0)
		return (-1);
	now = clock_wall_s();
	text = got.value.text;
	len = got.value.len;
	trim(&text, &len, kind);
	flaw = spec_secret_flaw(kind, text, len);
	if (flaw != NULL) {
		failed = err_set(err, ERR_USAGE, REMEDY_RENEW_VAULT_SECRET, "use the secret", "%s",
		    flaw);
		err_on(err, "%s", of->secret_url);
	} else {
		failed = secret_set(&ret->text, text, len, err);
	}
	secret_done(&got.value);
	if (failed != 0)
		return (-1);
	ret->kind = kind;
	ret->expires_unix_s = got.expires_unix_s;
	sas_expiry = kind == SPEC_CRED_SAS ? auth_sas_expiry(ret->text.text) : 0;
	if (sas_expiry != 0 && (ret->expires_unix_s == 0 || sas_expiry < ret->expires_unix_s))
		ret->expires_unix_s = sas_expiry;
	life = ret->expires_unix_s - now;
	if (ret->expires_unix_s != 0)
		ret->refresh_unix_s = life <= 0 ? now : ret->expires_unix_s -
		    (life / 2 < EARLY_MAX_S ? life / 2 : EARLY_MAX_S);
	return (0);
}

/* A datastore of principals cannot suddenly have a key, nor the reverse. */
static int
check_kind(const struct plan_identity *of, const struct kept *got, struct err *err)
{
	enum spec_credential want = credential_of(of);
	int key = got->kind == SPEC_CRED_ACCOUNT_KEY || got->kind == SPEC_CRED_SAS;

	if (want == got->kind ||
	    (key && (want == SPEC_CRED_ACCOUNT_KEY || want == SPEC_CRED_SAS)))
		return (0);
	err_set(err, ERR_PROTOCOL, REMEDY_CHECK_WORKSPACE, "get the datastore's secret",
	    "expected %s, got %s", spec_credential_name(want), spec_credential_name(got->kind));
	return (err_on(err, "datastore %s", of->secret_of));
}

/* ---- keeping ----------------------------------------------------------- */

static int
same_text(const char *a, const char *b)
{
	return (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0));
}

static int
is_same(const struct plan_identity *a, const struct plan_identity *b)
{
	return (a->secret_from == b->secret_from && a->kind == b->kind &&
	    same_text(a->secret_url, b->secret_url) && same_text(a->secret_of, b->secret_of) &&
	    same_text(a->workspace.name, b->workspace.name) &&
	    same_text(a->workspace.resource_group, b->workspace.resource_group) &&
	    same_text(a->workspace.subscription, b->workspace.subscription));
}

static struct entry *
find_entry(struct keeper *k, const struct plan_identity *of)
{
	struct entry *e;

	for (e = k->entries; e != NULL; e = e->next)
		if (is_same(e->of, of))
			return (e);
	e = mem_zalloc(sizeof(*e));
	e->of = of;
	e->next = k->entries;
	k->entries = e;
	return (e);
}

static int64_t
spacing_ms(int fruitless)
{
	int64_t ms = SPACING_MIN_MS;

	for (; fruitless > 0 && ms < SPACING_MAX_MS; fruitless--)
		ms *= 2;
	if (ms > SPACING_MAX_MS)
		ms = SPACING_MAX_MS;
	return (clock_jitter(ms - ms / 4, ms));
}

/* Called and returns with the lock held; it is released meanwhile. */
static void
fetch(struct keeper *k, struct entry *e, int64_t deadline_ms)
{
	struct kept got = { .generation = 0 };
	struct err err = ERR_EMPTY;
	int failed, same;

	e->fetching = 1;
	pthread_mutex_unlock(&k->lock);
	failed = (e->of->secret_from == SPEC_SECRET_VAULT ? ask_vault : ask_workspace)(k, e->of,
	    deadline_ms, &got, &err);
	if (failed == 0)
		failed = check_kind(e->of, &got, &err);
	pthread_mutex_lock(&k->lock);
	e->fetching = 0;
	e->last_err = err;
	if (failed == 0) {
		same = secret_equal(&e->now.text, got.text.text, got.text.len);
		e->fruitless = same ? e->fruitless + 1 : 0;
		got.generation = e->now.generation + 1;
		kept_done(&e->now);
		e->now = got;
		log_debug("fetched the secret of datastore %s%s", e->of->secret_of,
		    same ? ", which is the same as before" : "");
	} else {
		kept_done(&got);
		e->fruitless++;
	}
	e->next_try_ms = clock_ms() + spacing_ms(e->fruitless);
	pthread_cond_broadcast(&k->changed);
}

static int
is_there(const struct entry *e, uint64_t newer_than)
{
	return (e->now.text.len != 0 && e->now.generation > newer_than);
}

static int
is_due(const struct entry *e)
{
	return (e->now.refresh_unix_s != 0 && clock_wall_s() >= e->now.refresh_unix_s);
}

static void
wait_until(struct keeper *k, int64_t deadline_ms)
{
	cond_wait_ms(&k->changed, &k->lock, deadline_ms - clock_ms());
}

/* With the lock held: until there is one to give, or none can be had for now. */
static int
wait_for_secret(struct keeper *k, struct entry *e, uint64_t newer_than, int64_t deadline_ms,
    struct err *err)
{
	while (!is_there(e, newer_than) || is_due(e)) {
		if (e->fetching && is_there(e, newer_than))
			return (0);		/* somebody renews it: the old one serves */
		/* What was refused is asked for again at once, unless that brought nothing. */
		if (!e->fetching && clock_ms() < e->next_try_ms &&
		    (is_there(e, newer_than) || e->fruitless > 0)) {
			if (e->now.text.len != 0 && (is_there(e, newer_than) ||
			    e->last_err.kind == ERR_NONE))
				return (0);	/* the best there is */
			*err = e->last_err;
			return (-1);
		}
		if (clock_ms() >= deadline_ms)
			return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER,
			    "get the datastore's secret", "no answer in time"));
		if (e->fetching)
			wait_until(k, deadline_ms);
		else
			fetch(k, e, deadline_ms);
	}
	return (0);
}

int
keeper_get(struct keeper *k, const struct plan_identity *of, uint64_t newer_than,
    int64_t deadline_ms, struct kept *ret, struct err *err)
{
	struct err failure = ERR_EMPTY;
	struct kept copy;
	struct entry *e;
	int failed;

	pthread_mutex_lock(&k->lock);
	e = find_entry(k, of);
	failed = wait_for_secret(k, e, newer_than, deadline_ms, &failure);
	if (failed == 0) {
		copy = e->now;
		copy.text = (struct secret){ NULL, 0 };
		failed = secret_copy(&copy.text, &e->now.text, &failure);
		if (failed == 0)
			*ret = copy;
	}
	pthread_mutex_unlock(&k->lock);
	if (failed != 0 && err != NULL)
		*err = failure;
	return (failed);
}
