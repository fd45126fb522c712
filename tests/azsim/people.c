#include "people.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "words.h"

/* Of the public cloud; a '/' at the end makes no difference (entra-docs, "how-to-use-vm-token"). */
static const char *const resources[] = {
	"https://storage.azure.com",
	"https://datalake.azure.net",
	"https://management.azure.com",
	"https://management.core.windows.net",
	"https://vault.azure.net",
	"https://vault.localhost",	/* of this cloud: vault.h */
	"https://ml.azure.com",
	"https://containerregistry.azure.net",
	"https://graph.microsoft.com",
	"https://cognitiveservices.azure.com",
};

static size_t
count(const struct people *p)
{
	const struct person *x;
	size_t n = 0;

	for (x = p->list; x != NULL; x = x->next)
		n++;
	return (n);
}

static char *
word_or(const struct pairs *words, const char *name, const char *otherwise)
{
	const char *value = pairs_get(words, name);

	return (mem_strdup(value != NULL ? value : otherwise));
}

static int
parse_kind(const char *text, enum person_kind *ret)
{
	if (text == NULL)
		return (-1);
	if (strcmp(text, "system") == 0)
		*ret = PERSON_SYSTEM;
	else if (strcmp(text, "user-assigned") == 0)
		*ret = PERSON_ASSIGNED;
	else if (strcmp(text, "user") == 0)
		*ret = PERSON_USER;
	else
		return (-1);
	return (0);
}

int
people_add(struct people *p, const char *text)
{
	static const char *const known[] = { "kind", "client_id", "object_id", "oid",
	    "resource_id", "upn", "tenant", NULL };
	struct pairs words = { NULL, 0 };
	char id[64], oid[64];
	struct person *x, **at;
	enum person_kind kind;

	if (words_parse(&words, text, known) != 0 ||
	    parse_kind(pairs_get(&words, "kind"), &kind) != 0) {
		pairs_done(&words);
		return (-1);
	}
	str_format(id, sizeof(id), "c11e0000-0000-4000-8000-%012zu", count(p) + 1);
	str_format(oid, sizeof(oid), "0b1ec700-0000-4000-8000-%012zu", count(p) + 1);
	x = mem_zalloc(sizeof(*x));
	x->kind = kind;
	x->client_id = word_or(&words, "client_id", id);
	x->object_id = word_or(&words, pairs_get(&words, "oid") != NULL ? "oid" : "object_id", oid);
	x->resource_id = word_or(&words, "resource_id", "");
	x->upn = word_or(&words, "upn", "");
	x->tenant = word_or(&words, "tenant", "");
	pairs_done(&words);
	for (at = &p->list; *at != NULL; at = &(*at)->next)
		;
	*at = x;
	return (0);
}

int
people_add_role(struct people *p, const char *text)
{
	static const char *const known[] = { "oid", "role", "account", "container", NULL };
	struct pairs words = { NULL, 0 };
	const char *oid, *role, *account, *container;
	struct role *r;

	if (words_parse(&words, text, known) != 0) {
		pairs_done(&words);
		return (-1);
	}
	oid = pairs_get(&words, "oid");
	role = pairs_get(&words, "role");
	account = pairs_get(&words, "account");
	container = pairs_get(&words, "container");
	if (oid == NULL || role == NULL || (strcmp(role, "reader") != 0 &&
	    strcmp(role, "contributor") != 0 && strcmp(role, "owner") != 0 &&
	    strcmp(role, "acrpull") != 0)) {
		pairs_done(&words);
		return (-1);
	}
	r = mem_zalloc(sizeof(*r));
	r->kind = strcmp(role, "reader") == 0 ? ROLE_READER :
	    strcmp(role, "acrpull") == 0 ? ROLE_ACR_PULL :
	    strcmp(role, "owner") == 0 ? ROLE_OWNER : ROLE_CONTRIBUTOR;
	r->oid = mem_strdup(oid);
	r->account = account == NULL ? NULL : mem_strdup(account);
	r->container = container == NULL ? NULL : mem_strdup(container);
	pairs_done(&words);
	pthread_rwlock_wrlock(&p->lock);
	r->next = p->roles;
	p->roles = r;
	pthread_rwlock_unlock(&p->lock);
	return (0);
}

void
people_drop_roles(struct people *p, const char *oid)
{
	struct role **at, *r;

	pthread_rwlock_wrlock(&p->lock);
	for (at = &p->roles; (r = *at) != NULL;) {
		if (oid != NULL && !str_same(r->oid, oid)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		free(r->oid);
		free(r->account);
		free(r->container);
		free(r);
	}
	pthread_rwlock_unlock(&p->lock);
}

static int
is_named(const struct person *x, const struct person_selector *by)
{
	if (by->client_id != NULL)
		return (str_same(x->client_id, by->client_id));
	if (by->object_id != NULL)
		return (str_same(x->object_id, by->object_id));
	return (x->resource_id[0] != '\0' && str_same(x->resource_id, by->resource_id));
}

const struct person *
people_find(const struct people *p, const struct person_selector *by, int *ret_many)
{
	int named = by->client_id != NULL || by->object_id != NULL || by->resource_id != NULL;
	const struct person *x, *only = NULL;
	int n = 0;

	*ret_many = 0;
	for (x = p->list; x != NULL; x = x->next) {
		if (x->kind == PERSON_USER)
			continue;
		if (named && is_named(x, by))
			return (x);
		if (!named && x->kind == PERSON_SYSTEM)
			return (x);
		only = x;
		n++;
	}
	if (named || n == 0)
		return (NULL);
	*ret_many = n > 1;
	return (n > 1 ? NULL : only);
}

const struct person *
people_user(const struct people *p)
{
	const struct person *x;

	for (x = p->list; x != NULL && x->kind != PERSON_USER; x = x->next)
		;
	return (x);
}

enum role_kind
people_role(struct people *p, const char *oid, const char *account, const char *container)
{
	enum role_kind best = ROLE_NONE;
	const struct role *r;

	pthread_rwlock_rdlock(&p->lock);
	for (r = p->roles; r != NULL; r = r->next) {
		if (r->kind == ROLE_ACR_PULL || !str_same(r->oid, oid) ||
		    (r->account != NULL && strcmp(r->account, account) != 0) ||
		    (r->container != NULL &&
		    (container == NULL || strcmp(r->container, container) != 0)))
			continue;
		if (r->kind > best)
			best = r->kind;
	}
	pthread_rwlock_unlock(&p->lock);
	return (best);
}

int
people_may_pull(struct people *p, const char *oid, const char *registry)
{
	const struct role *r;

	pthread_rwlock_rdlock(&p->lock);
	for (r = p->roles; r != NULL; r = r->next)
		if (r->kind == ROLE_ACR_PULL && str_same(r->oid, oid) &&
		    (r->account == NULL || strcmp(r->account, registry) == 0))
			break;
	pthread_rwlock_unlock(&p->lock);
	return (r != NULL);
}

int
people_knows_resource(const char *resource)
{
	size_t n = strlen(resource), i;

	if (n > 0 && resource[n - 1] == '/')
		n--;
	for (i = 0; i < LENGTH(resources); i++)
		if (strlen(resources[i]) == n && strncmp(resource, resources[i], n) == 0)
			return (1);
	return (str_starts(resource, "https://") && strstr(resource, ".blob.") != NULL);
}

void
people_claims(const struct people *p, const struct person *x, const char *resource,
    int64_t lifetime_s, struct jwt_claims *ret)
{
	const char *tenant = x->tenant[0] != '\0' ? x->tenant : p->tenant;
	int64_t now = clock_wall_s();

	memset(ret, 0, sizeof(*ret));
	str_format(ret->aud, sizeof(ret->aud), "%s", resource);
	str_format(ret->iss, sizeof(ret->iss), "https://sts.windows.net/%s/", tenant);
	str_format(ret->tid, sizeof(ret->tid), "%s", tenant);
	str_format(ret->oid, sizeof(ret->oid), "%s", x->object_id);
	str_format(ret->appid, sizeof(ret->appid), "%s", x->client_id);
	if (x->kind == PERSON_USER) {
		str_format(ret->idtyp, sizeof(ret->idtyp), "user");
		str_format(ret->scp, sizeof(ret->scp), "user_impersonation");
		str_format(ret->upn, sizeof(ret->upn), "%s", x->upn);
	} else {
		str_format(ret->idtyp, sizeof(ret->idtyp), "app");
		str_format(ret->mirid, sizeof(ret->mirid), "%s", x->resource_id);
	}
	ret->iat = ret->nbf = now - (lifetime_s >= 600 ? 300 : 0);
	ret->exp = now + lifetime_s;
}
