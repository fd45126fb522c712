/*
 * keeper: secrets that stand in the workspace or a vault.  Those two are functions here: how often
 * they are asked, and what is given on of what they answer.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "azure/arm.h"
#include "azure/keyvault.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "check.h"
#include "denied.h"
#include "identity/keeper.h"

#define KEY	"bm90IGEgcmVhbCBrZXkgYnV0IGxvbmcgZW5vdWdo"
#define SP	"a client's secret"

static _Atomic int is_slow, has_second;

/* What the next question is answered with; text NULL: not at all. */
static struct {
	const char	*text;
	enum spec_credential kind;
	int64_t		 expires_unix_s;
	int		 asked;
} told;

static int
answer(struct secret *ret, struct err *err)
{
	int64_t until = clock_us() + 5000000;

	told.asked++;
	while (is_slow && !has_second && clock_us() < until)
		clock_sleep_ms(1);
	if (is_slow)
		clock_sleep_ms(100);	/* for the second one to find that somebody asks */
	if (told.text == NULL)
		return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "ask", "try %d failed",
		    told.asked));
	return (secret_set(ret, told.text, strlen(told.text), err));
}

int
arm_list_secrets(const struct arm *arm, const struct spec_workspace *of, const char *name,
    struct arm_secret *ret, struct err *err)
{
	check(arm->deadline_ms > 0 && of->name != NULL && name != NULL);
	ret->kind = told.kind;
	return (answer(&ret->text, err));
}

int
keyvault_read(struct http *http, const struct bearer *as, const char *url, int64_t deadline_ms,
    struct keyvault_secret *ret, struct err *err)
{
	check(http == NULL && as->get != NULL && url != NULL && deadline_ms > 0);
	ret->expires_unix_s = told.expires_unix_s;
	return (answer(&ret->value, err));
}

static struct plan plan;
static const struct facts facts = { .cwd = "/" };
static struct keeper *keeper;
static struct kept kept;
static struct err err;
static int64_t now;

static void
begin(const char *text, enum spec_credential kind)
{
	kept_done(&kept);
	keeper_free(keeper);
	keeper = keeper_new(&plan, &facts, NULL, NULL);
	memset(&told, 0, sizeof(told));
	told.text = text;
	told.kind = kind;
	now = 1000000;
	clock_stand(now);
}

static int
get(const struct plan_identity *of, uint64_t newer_than)
{
	err = ERR_EMPTY;
	kept_done(&kept);
	return (keeper_get(keeper, of, newer_than, now + 5000, &kept, &err));
}

static void
later(int64_t ms)
{
	clock_stand(now += ms);
}

static const struct plan_identity in_vault = { .kind = PLAN_ID_SAS, .secret_of = "data",
	.secret_from = SPEC_SECRET_VAULT, .secret_url = "https://v.vault.azure.net/secrets/s" };
static const struct plan_identity key_in_vault = { .kind = PLAN_ID_ACCOUNT_KEY,
	.secret_of = "data", .secret_from = SPEC_SECRET_VAULT,
	.secret_url = "https://v/secrets/k" };
static const struct plan_identity in_workspace = { .kind = PLAN_ID_ACCOUNT_KEY,
	.secret_of = "data", .secret_from = SPEC_SECRET_WORKSPACE,
	.workspace = { "s", "g", "w" } };
static const struct plan_identity principal = { .kind = PLAN_ID_SERVICE_PRINCIPAL,
	.secret_of = "lake", .secret_from = SPEC_SECRET_WORKSPACE,
	.workspace = { "s", "g", "w" } };

/* As people paste them. */
static void
test_pasted(void)
{
	begin("?sv=2024-11-04&sig=abc%3D \r\n\t", SPEC_CRED_SAS);
	check_int(get(&in_vault, 0), 0);
	check_str(kept.text.text, "sv=2024-11-04&sig=abc%3D");
	check_int(kept.kind, SPEC_CRED_SAS);
	begin(KEY "\n", SPEC_CRED_ACCOUNT_KEY);
	check_int(get(&key_in_vault, 0), 0);
	check_str(kept.text.text, KEY);
	begin("\n", SPEC_CRED_ACCOUNT_KEY);
	check_int(get(&key_in_vault, 0), -1);
	check_int(err.remedy, REMEDY_RENEW_VAULT_SECRET);
	check_str(err.resource, key_in_vault.secret_url);
}

/* A key where a principal was described: what it is for would be another's. */
static void
test_other_kind(void)
{
	begin(KEY, SPEC_CRED_ACCOUNT_KEY);
	check_int(get(&principal, 0), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(err.remedy, REMEDY_CHECK_WORKSPACE);
	check_str(err.resource, "datastore lake");
	check(strstr(err.cause, "expected ") != NULL && kept.text.text == NULL);
	begin("sv=2024-11-04&sig=x", SPEC_CRED_SAS);
	check_int(get(&in_workspace, 0), 0);	/* in place of the key: an hour of it */
	check_int(kept.kind, SPEC_CRED_SAS);
	begin(SP, SPEC_CRED_SERVICE_PRINCIPAL);
	check_int(get(&principal, 0), 0);
	check_str(kept.text.text, SP);
}

/* Who is asked in vain is asked less and less often, and never less than once a minute. */
static void
test_spacing(void)
{
	int i, asked;

	begin(NULL, SPEC_CRED_NONE);
	for (i = 1; i <= 10; i++) {
		check_int(get(&in_workspace, 0), -1);
		check_int(told.asked, i);
		check_int(get(&in_workspace, 0), -1);
		check_int(told.asked, i);		/* not again so soon */
		check(strstr(err.cause, "failed") != NULL);
		later(60001);
	}
	check_int(get(&in_workspace, 0), -1);
	asked = told.asked;
	later(44000);
	check_int(get(&in_workspace, 0), -1);
	check_int(told.asked, asked);
	told.text = KEY;
	told.kind = SPEC_CRED_ACCOUNT_KEY;
	later(16001);
	check_int(get(&in_workspace, 0), 0);
	check_int(told.asked, asked + 1);
	check_int(keeper_get(keeper, &in_workspace, 1, now, &kept, &err), -1);
	check_int(err.kind, ERR_UNREACHABLE);
	check_str(err.cause, "no answer in time");
}

/* The service has refused what is there. */
static void
test_refused(void)
{
	begin(KEY, SPEC_CRED_ACCOUNT_KEY);
	check_int(get(&in_workspace, 0), 0);
	check_int(kept.generation, 1);
	check_int(get(&in_workspace, 0), 0);
	check_int(told.asked, 1);
	check_int(get(&in_workspace, 1), 0);		/* asked at once */
	check_int(told.asked, 2);
	check_int(kept.generation, 2);
	check_int(get(&in_workspace, 2), 0);		/* the same again: the best there is */
	check_int(told.asked, 2);
	check_int(kept.generation, 2);
	told.text = NULL;
	later(60001);
	check_int(get(&in_workspace, 2), -1);
	check_int(told.asked, 3);
	told.text = KEY "AAAA";
	later(60001);
	check_int(get(&in_workspace, 2), 0);
	check_str(kept.text.text, KEY "AAAA");
	check_int(kept.generation, 3);
}

static void *
get_too(void *arg)
{
	has_second = 1;
	(void)keeper_get(keeper, &in_workspace, 0, now + 5000, arg, NULL);
	return (NULL);
}

/* Two at once: one question. */
static void
test_two(void)
{
	struct kept too = { .generation = 0 };
	pthread_t thread;

	begin(KEY, SPEC_CRED_ACCOUNT_KEY);
	is_slow = 1;
	check_int(pthread_create(&thread, NULL, get_too, &too), 0);
	check_int(get(&in_workspace, 0), 0);
	pthread_join(thread, NULL);
	is_slow = 0;
	check_int(told.asked, 1);
	check_str(too.text.text, KEY);
	kept_done(&too);
}

/* Read again before it expires; what is there serves on while that fails. */
static void
test_expiry(void)
{
	int64_t wall = clock_wall_s();

	begin(KEY, SPEC_CRED_ACCOUNT_KEY);
	told.expires_unix_s = wall - 1;
	check_int(get(&key_in_vault, 0), 0);
	check_int(kept.expires_unix_s, wall - 1);
	check(kept.refresh_unix_s >= wall);
	told.text = NULL;
	check_int(get(&key_in_vault, 0), 0);
	later(60001);
	check_int(get(&key_in_vault, 0), 0);
	check_int(told.asked, 2);
	check_str(kept.text.text, KEY);
	begin(KEY, SPEC_CRED_ACCOUNT_KEY);
	told.expires_unix_s = wall + 3600;
	check_int(get(&key_in_vault, 0), 0);
	check(kept.refresh_unix_s > wall && kept.refresh_unix_s < wall + 3600);
	check_int(get(&key_in_vault, 0), 0);
	check_int(told.asked, 1);
}

int
main(void)
{
	plan.readers[SPEC_SECRET_VAULT] = plan.readers[SPEC_SECRET_WORKSPACE] =
	    (struct plan_identity){ .kind = PLAN_ID_MANAGED, .label = "the compute" };
	test_pasted();
	test_other_kind();
	test_spacing();
	test_refused();
	test_two();
	test_expiry();
	kept_done(&kept);
	keeper_free(keeper);
	return (check_done());
}
