#include "cli/credential.h"

#include "azure/auth.h"
#include "base/clock.h"

static int
keep(struct credential *ret, enum wire_cred_kind kind, const char *text)
{
	ret->kind = kind;
	ret->cred = cred_fixed(kind, text);
	if (kind == WIRE_CRED_SAS)
		ret->expires_unix_s = auth_sas_expiry(text);
	return (0);
}

static int
get_token(struct credential *ret, const struct plan_identity *id, struct cache *cache,
    int64_t deadline_ms, struct err *err)
{
	struct token t = { .generation = 0 };

	if (cache_get(cache, id, id->audience, 0, deadline_ms, &t, err) != 0)
		return (-1);
	ret->expires_unix_s = t.expires_unix_s;
	(void)token_read_claims(t.text.text, t.text.len, &ret->who);
	keep(ret, WIRE_CRED_BEARER, t.text.text);
	token_done(&t);
	return (0);
}

static int
get(struct credential *ret, const struct plan_identity *id, struct cache *cache,
    int64_t deadline_ms, struct err *err)
{
	switch (id->kind) {
	case PLAN_ID_ACCOUNT_KEY:
		return (keep(ret, WIRE_CRED_SHARED_KEY, id->secret.text));
	case PLAN_ID_SAS:
		return (keep(ret, WIRE_CRED_SAS, id->secret.text));
	case PLAN_ID_NONE:
		return (keep(ret, WIRE_CRED_ANONYMOUS, ""));
	case PLAN_ID_SERVICE_PRINCIPAL:
	case PLAN_ID_CERTIFICATE:
	case PLAN_ID_USER:
	case PLAN_ID_MANAGED:
		break;
	}
	return (get_token(ret, id, cache, deadline_ms, err));
}

int
credential_get(struct credential *ret, const struct plan_identity *id, struct cache *cache,
    struct keeper *keeper, int64_t wait_ms, struct err *err)
{
	int64_t deadline_ms = clock_ms() + wait_ms;
	struct plan_identity with = *id;
	struct kept k = { .generation = 0 };
	int failed;

	*ret = (struct credential){ .cred = NULL };
	if (id->secret_from == SPEC_SECRET_HERE)
		return (get(ret, id, cache, deadline_ms, err));
	/* In the workspace or a vault. */
	if (keeper_get(keeper, id, 0, deadline_ms, &k, err) != 0)
		return (-1);
	with.secret = k.text;
	if (id->kind == PLAN_ID_ACCOUNT_KEY || id->kind == PLAN_ID_SAS)
		with.kind = k.kind == SPEC_CRED_SAS ? PLAN_ID_SAS : PLAN_ID_ACCOUNT_KEY;
	failed = get(ret, &with, cache, deadline_ms, err);
	kept_done(&k);
	return (failed);
}
