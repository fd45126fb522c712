#include "plan/policy.h"

#include <string.h>

#include "base/uri.h"
#include "plan/issuer.h"
#include "plan/parts.h"

/* A question, sorted into classes; each field holds one bit of its enum. */
struct sorted {
	unsigned	credential, store, job, named, selector, offer, kind, reach, pick, obo,
			endpoint;
};

enum {	/* credential: stored with the datastore */
	CRED_NONE = 1, CRED_CACHED = 2,
};
enum {	/* store: what the data lives in */
	STORE_SERVED = 1, STORE_FILE = 2,
	STORE_GEN1_NEVER = 4,		/* Gen1 in a cloud that has none */
};
enum {	/* job: identity.type */
	JOB_NONE = 1, JOB_USER = 2, JOB_MANAGED = 4, JOB_TOKEN = 8,
};
enum {	/* named: what the job's selector points to */
	NAMED_NOTHING = 1,		/* no selector */
	NAMED_UAI = 2,			/* a user-assigned identity that the compute lists */
	NAMED_SYSTEM = 4,		/* the compute's system-assigned identity */
	NAMED_ABSENT = 8,		/* none that the compute has */
	NAMED_UNSEEN = 16,		/* nobody knows: no description, or it lacks that id */
};
enum {	/* selector */
	BY_NOTHING = 1, BY_CLIENT = 2, BY_OTHER = 4,
};
enum {	/* offer: the compute's identities */
	OFFER_UNKNOWN = 1, OFFER_NOTHING = 2, OFFER_SYSTEM = 4, OFFER_ONE = 8,
	OFFER_SEVERAL = 16, OFFER_BOTH = 32,
};
enum {	/* kind of compute */
	KIND_UNKNOWN = 1 << SPEC_COMPUTE_UNKNOWN, KIND_CLUSTER = 1 << SPEC_COMPUTE_CLUSTER,
	KIND_INSTANCE = 1 << SPEC_COMPUTE_INSTANCE, KIND_KUBERNETES = 1 << SPEC_COMPUTE_KUBERNETES,
	KIND_SERVERLESS = 1 << SPEC_COMPUTE_SERVERLESS,
};
enum {	/* reach: how the identity in question can be asked for at this compute's endpoint */
	REACH_CLIENT = 1,		/* by client id */
	REACH_OTHER = 2,		/* by object or resource id, or as the default */
	REACH_NOT = 4,
};
enum {	/* pick: can an identity be named to this compute's endpoint at all? */
	PICK_SOME = 1, PICK_NONE = 2,
};
enum {	/* obo: OBO_ENDPOINT */
	OBO_THERE = 1, OBO_MISSING = 2,
};
enum {	/* endpoint: a managed identity endpoint in the environment */
	ENDPOINT_SHOWN = 1, ENDPOINT_UNKNOWN = 2,
};

enum use {
	USE_CACHED,		/* the datastore's credentials */
	USE_USER,
	USE_SYSTEM,		/* the compute's system-assigned identity */
	USE_FIRST,		/* its default user-assigned identity */
	USE_NAMED,		/* the one the job names */
	USE_ENVIRONMENT,	/* whatever this machine's default is */
	USE_PLAIN,		/* the compute's, asked for without any id */
	USE_NOTHING,		/* an error */
};

struct row {
	struct policy_row_text	text;
	struct sorted		when;		/* per field the bits that fit; 0: any */
	enum use		use;
	enum err_kind		error;		/* USE_NOTHING */
	enum err_remedy		remedy;
	int			list;		/* error: name what is wanted and what is there */
	const char		*warning;
};

static const char token_warning[] =
    "identity type aml_token is for Azure ML's own services and opens no storage: data is "
    "read with the compute's default identity";

/*
 * MicrosoftDocs/azure-ai-docs articles/machine-learning/
 * {how-to-identity-based-service-authentication,how-to-administrate-data-authentication,
 * how-to-use-serverless-compute}.md.
 */
static const struct row rows[] = {
	/* What no identity can open. */
	{ { "gen1-no-cloud", "any", "any", "any", "error",
	    "this cloud has no ADLS Gen1: it was a service of the public cloud alone" },
	    { .store = STORE_GEN1_NEVER },
	    USE_NOTHING, ERR_USAGE, REMEDY_RETIRED_GEN1, 0, NULL },
	{ { "file-share-identity", "none", "any", "any", "error",
	    "identity-based access is not supported for file shares (azure_file): only Blob and "
	    "ADLS Gen1 and Gen2 have it" },
	    { .store = STORE_FILE, .credential = CRED_NONE },
	    USE_NOTHING, ERR_USAGE, REMEDY_FIX_SPEC, 0, NULL },
	{ { "file-share", "any", "any", "any", "error",
	    "file shares (azure_file) have a protocol of their own: only Blob, ADLS and "
	    "OneLake datastores can be mounted or copied" },
	    { .store = STORE_FILE },
	    USE_NOTHING, ERR_USAGE, REMEDY_FIX_SPEC, 0, NULL },

	/* Credentials stored with the datastore win over every identity. */
	{ { "cached-beats-user", "cached", "user_identity", "any", "cached credentials",
	    "credentials stored with the datastore come before any identity, the user's too" },
	    { .credential = CRED_CACHED, .job = JOB_USER },
	    USE_CACHED, 0, 0, 0,
	    "the job asks for user_identity, but the datastore has stored credentials: they are "
	    "used, and the user's own rights do not count" },
	{ { "cached", "cached", "any", "any", "cached credentials",
	    "credentials stored with the datastore come before any identity" },
	    { .credential = CRED_CACHED },
	    USE_CACHED, 0, 0, 0, NULL },

	/* The submitter, never mixed with an identity of the compute. */
	{ { "user", "none", "user_identity", "any with OBO_ENDPOINT", "the submitter",
	    "the job asks for user_identity: the submitter's token, on behalf of" },
	    { .job = JOB_USER, .obo = OBO_THERE },
	    USE_USER, 0, 0, 0, NULL },
	{ { "user-kind", "none", "user_identity", "kubernetes or instance, no OBO_ENDPOINT",
	    "error",
	    "user_identity works on compute clusters and serverless compute: this kind of compute "
	    "offers no on-behalf-of endpoint, and the compute's identity must not stand in" },
	    { .job = JOB_USER, .kind = KIND_KUBERNETES | KIND_INSTANCE },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_SUBMIT_WITH_USER_IDENTITY, 0, NULL },
	{ { "user-no-obo", "none", "user_identity", "any without OBO_ENDPOINT", "error",
	    "the job asks for user_identity, but there is no on-behalf-of endpoint here "
	    "(OBO_ENDPOINT is not set), and the compute's identity must not stand in" },
	    { .job = JOB_USER },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_SUBMIT_WITH_USER_IDENTITY, 0, NULL },

	{ { "both-kinds", "none", "any but user_identity", "system- and user-assigned", "error",
	    "a compute has one system-assigned identity or user-assigned ones, never both" },
	    { .offer = OFFER_BOTH },
	    USE_NOTHING, ERR_USAGE, REMEDY_ONE_KIND_OF_IDENTITY, 0, NULL },

	/* An identity that the job names. */
	{ { "managed-none", "none", "managed", "no identity", "error",
	    "the job asks for a managed identity, but the compute has none" },
	    { .job = JOB_MANAGED, .offer = OFFER_NOTHING,
	    .kind = KIND_UNKNOWN | KIND_CLUSTER | KIND_INSTANCE | KIND_KUBERNETES },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, 0, NULL },
	{ { "named-absent", "none", "managed, named", "without it", "error",
	    "the compute does not have the identity that the job names" },
	    { .named = NAMED_ABSENT },
	    USE_NOTHING, ERR_USAGE, REMEDY_NAME_ASSIGNED_IDENTITY, 1, NULL },
	{ { "named-kubernetes", "none", "managed, named", "kubernetes",
	    "the compute's identity",
	    "the compute's one identity; Kubernetes compute is asked without client id" },
	    { .named = NAMED_UAI | NAMED_SYSTEM | NAMED_UNSEEN, .kind = KIND_KUBERNETES },
	    USE_PLAIN, 0, 0, 0, NULL },
	{ { "named-no-selector", "none", "managed, named", "endpoint has one identity", "error",
	    "the token endpoint here (Azure Arc, Service Fabric or Cloud Shell) has one identity "
	    "and gives no other: the job cannot name one" },
	    { .named = NAMED_UAI | NAMED_UNSEEN, .pick = PICK_NONE },
	    USE_NOTHING, ERR_USAGE, REMEDY_OMIT_SELECTOR, 0, NULL },
	{ { "named-system", "none", "managed, client_id of the system one", "system-assigned",
	    "the system-assigned identity",
	    "the job names the compute's system-assigned identity" },
	    { .named = NAMED_SYSTEM },
	    USE_SYSTEM, 0, 0, 0, NULL },
	{ { "named", "none", "managed, client_id", "has it", "that identity",
	    "the job names this identity, and the compute has it" },
	    { .named = NAMED_UAI, .selector = BY_CLIENT },
	    USE_NAMED, 0, 0, 0, NULL },
	{ { "named-translated", "none", "managed, object_id or resource_id",
	    "has it, client id known", "that identity, by client id",
	    "the job names this identity by object or resource id; its client id is in the "
	    "compute's description" },
	    { .named = NAMED_UAI, .reach = REACH_CLIENT },
	    USE_NAMED, 0, 0, 0, NULL },
	{ { "named-no-client-id", "none", "managed, object_id or resource_id",
	    "client id not known, endpoint takes nothing else", "error",
	    "the token endpoint here (Azure ML's MSI_ENDPOINT, or workload identity) takes client "
	    "ids only, and the client id of the named identity is not known: name it by "
	    "client_id, or describe the compute" },
	    { .named = NAMED_UAI | NAMED_UNSEEN, .reach = REACH_NOT },
	    USE_NOTHING, ERR_USAGE, REMEDY_NAME_ASSIGNED_IDENTITY, 0, NULL },
	{ { "named-other", "none", "managed, object_id or resource_id", "has it",
	    "that identity, by object or resource id",
	    "the job names this identity, and the compute has it" },
	    { .named = NAMED_UAI, .reach = REACH_OTHER },
	    USE_NAMED, 0, 0, 0, NULL },
	{ { "named-serverless", "none", "managed, named", "serverless", "that identity",
	    "the job names a user-assigned identity of the workspace; whether it is one could "
	    "not be checked" },
	    { .named = NAMED_UNSEEN, .kind = KIND_SERVERLESS },
	    USE_NAMED, 0, 0, 0, NULL },
	{ { "named-unchecked", "none", "managed, named", "not described", "that identity",
	    "the job names this identity; whether the compute has it could not be checked (there "
	    "is no description of the compute that tells)" },
	    { .named = NAMED_UNSEEN },
	    USE_NAMED, 0, 0, 0, NULL },

	/* No identity is named: the compute's default. */
	{ { "serverless-unnamed", "none", "none, aml_token or managed, none named", "serverless",
	    "error",
	    "serverless compute has no identity of its own: name a user-assigned identity of the "
	    "workspace by client_id, or use user_identity" },
	    { .kind = KIND_SERVERLESS },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_FIX_SPEC, 0, NULL },
	{ { "none-none", "none", "none or aml_token", "no identity", "error",
	    "the data has no stored credentials, the job names no identity, the compute has none" },
	    { .offer = OFFER_NOTHING },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY, 0, NULL },
	{ { "token-kubernetes", "none", "aml_token", "kubernetes", "the compute's identity",
	    "aml_token opens no storage; Kubernetes compute is asked without client id" },
	    { .job = JOB_TOKEN, .kind = KIND_KUBERNETES },
	    USE_PLAIN, 0, 0, 0, token_warning },
	{ { "kubernetes", "none", "none or managed, none named", "kubernetes",
	    "the compute's identity",
	    "the identity of the compute; Kubernetes compute is asked without client id" },
	    { .kind = KIND_KUBERNETES },
	    USE_PLAIN, 0, 0, 0, NULL },
	{ { "token-no-selector", "none", "aml_token", "user-assigned, endpoint has one identity",
	    "the endpoint's identity",
	    "aml_token opens no storage; the token endpoint here has one identity and takes no "
	    "client id: it is asked without" },
	    { .job = JOB_TOKEN, .offer = OFFER_ONE | OFFER_SEVERAL, .pick = PICK_NONE },
	    USE_PLAIN, 0, 0, 0, token_warning },
	{ { "default-no-selector", "none", "none or managed, none named",
	    "user-assigned, endpoint has one identity", "the endpoint's identity",
	    "the token endpoint here (Azure Arc, Service Fabric or Cloud Shell) has one identity "
	    "and takes no client id: it is asked without" },
	    { .offer = OFFER_ONE | OFFER_SEVERAL, .pick = PICK_NONE },
	    USE_PLAIN, 0, 0, 0, NULL },
	{ { "default-no-client-id", "none", "none, aml_token or managed, none named",
	    "client id not known, endpoint takes nothing else", "error",
	    "the token endpoint here (Azure ML's MSI_ENDPOINT, or workload identity) takes client "
	    "ids only, and the client id of the compute's default identity is not known: neither "
	    "the compute's description nor DEFAULT_IDENTITY_CLIENT_ID gives it" },
	    { .offer = OFFER_ONE | OFFER_SEVERAL, .reach = REACH_NOT },
	    USE_NOTHING, ERR_NO_IDENTITY, REMEDY_NAME_ASSIGNED_IDENTITY, 0, NULL },
	{ { "token-sai-fallback", "none", "aml_token", "system-assigned",
	    "the system-assigned identity",
	    "aml_token opens no storage; the compute's system-assigned identity does" },
	    { .job = JOB_TOKEN, .offer = OFFER_SYSTEM },
	    USE_SYSTEM, 0, 0, 0, token_warning },
	{ { "token-uai-fallback", "none", "aml_token", "user-assigned",
	    "the first user-assigned identity",
	    "aml_token opens no storage; the compute's default identity does" },
	    { .job = JOB_TOKEN, .offer = OFFER_ONE | OFFER_SEVERAL },
	    USE_FIRST, 0, 0, 0, token_warning },
	{ { "token-unknown", "none", "aml_token", "not described", "the default identity here",
	    "aml_token opens no storage; the default identity of this compute is asked for, "
	    "for the compute is not described" },
	    { .job = JOB_TOKEN },
	    USE_ENVIRONMENT, 0, 0, 0, token_warning },
	{ { "instance-sai", "none", "none or managed, none named",
	    "instance, system-assigned, client id not known", "the system-assigned identity",
	    "the compute instance's system-assigned identity" },
	    { .kind = KIND_INSTANCE, .offer = OFFER_SYSTEM, .reach = REACH_OTHER },
	    USE_SYSTEM, 0, 0, 0,
	    "a compute instance with single sign-on gives the logged-in user's token when no "
	    "client id is asked for, and the client id of its identity is not known: the token's "
	    "owner is checked when it comes" },
	{ { "none-sai-fallback", "none", "none", "system-assigned",
	    "the system-assigned identity",
	    "the job names no identity: the compute's system-assigned identity is the fallback" },
	    { .job = JOB_NONE, .offer = OFFER_SYSTEM },
	    USE_SYSTEM, 0, 0, 0, NULL },
	{ { "none-uai-fallback", "none", "none", "one user-assigned",
	    "that user-assigned identity",
	    "the job names no identity: the compute's user-assigned identity is the fallback" },
	    { .job = JOB_NONE, .offer = OFFER_ONE },
	    USE_FIRST, 0, 0, 0, NULL },
	{ { "none-uais-first", "none", "none", "several user-assigned",
	    "the first user-assigned identity",
	    "the job names no identity: the first of the compute's user-assigned identities is "
	    "the fallback" },
	    { .job = JOB_NONE, .offer = OFFER_SEVERAL },
	    USE_FIRST, 0, 0, 0, NULL },
	{ { "managed-sai", "none", "managed, none named", "system-assigned",
	    "the system-assigned identity",
	    "the job asks for a managed identity without naming one: the compute's "
	    "system-assigned identity" },
	    { .job = JOB_MANAGED, .offer = OFFER_SYSTEM },
	    USE_SYSTEM, 0, 0, 0, NULL },
	{ { "managed-uai", "none", "managed, none named", "one user-assigned",
	    "that user-assigned identity",
	    "the job asks for a managed identity without naming one: the compute's "
	    "user-assigned identity" },
	    { .job = JOB_MANAGED, .offer = OFFER_ONE },
	    USE_FIRST, 0, 0, 0, NULL },
	{ { "managed-uais-first", "none", "managed, none named", "several user-assigned",
	    "the first user-assigned identity",
	    "the job asks for a managed identity without naming one: the first of the compute's "
	    "user-assigned identities" },
	    { .job = JOB_MANAGED, .offer = OFFER_SEVERAL },
	    USE_FIRST, 0, 0, 0, NULL },
	{ { "unknown-endpoint", "none", "none or managed, none named",
	    "not described, with a token endpoint", "the default identity here",
	    "the compute is not described: its token endpoint is asked for the default identity" },
	    { .offer = OFFER_UNKNOWN, .endpoint = ENDPOINT_SHOWN },
	    USE_ENVIRONMENT, 0, 0, 0, NULL },
	{ { "unknown", "none", "none or managed, none named", "not described, nothing known",
	    "the default identity here",
	    "the compute is not described and shows no token endpoint: the machine's metadata "
	    "service is asked for the default identity" },
	    { .offer = OFFER_UNKNOWN },
	    USE_ENVIRONMENT, 0, 0, 0, NULL },
};

const struct policy_row_text *
policy_row(size_t i)
{
	return (i < LENGTH(rows) ? &rows[i].text : NULL);
}

static int
same(const char *a, const char *b)
{
	return (a != NULL && b != NULL && str_same(a, b));
}

static const char *
system_client_id(const struct policy_question *q)
{
	return (q->compute->system_client_id != NULL ? q->compute->system_client_id :
	    q->facts->default_client_id);
}

/* DEFAULT_IDENTITY_CLIENT_ID says which, else the order of the description. */
static const struct spec_uai *
default_uai(const struct policy_question *q)
{
	const struct spec_compute *c = q->compute;
	size_t i;

	for (i = 0; i < c->nuais; i++)
		if (same(c->uais[i].client_id, q->facts->default_client_id))
			return (&c->uais[i]);
	return (&c->uais[0]);
}

static const char *
default_client_id(const struct policy_question *q)
{
	const struct spec_uai *uai = default_uai(q);

	return (uai->client_id != NULL ? uai->client_id : q->facts->default_client_id);
}

static const struct spec_uai *
named_uai(const struct policy_question *q)
{
	const struct spec_uai *uai = q->compute->uais;
	const struct spec_uai *end = uai + q->compute->nuais;

	for (; uai < end; uai++)
		if (same(uai->client_id, q->job->client_id) ||
		    same(uai->object_id, q->job->object_id) ||
		    same(uai->resource_id, q->job->resource_id))
			return (uai);
	return (NULL);
}

/* Some identity of the compute is described without the kind of id that the job uses. */
static int
description_has_gaps(const struct policy_question *q)
{
	const struct spec_compute *c = q->compute;
	size_t i;

	for (i = 0; i < c->nuais; i++)
		if ((q->job->client_id != NULL && c->uais[i].client_id == NULL) ||
		    (q->job->object_id != NULL && c->uais[i].object_id == NULL) ||
		    (q->job->resource_id != NULL && c->uais[i].resource_id == NULL))
			return (1);
	return (0);
}

static unsigned
sort_selector(const struct spec_identity *job)
{
	if (job->type != SPEC_IDENTITY_MANAGED)
		return (BY_NOTHING);
	if (job->client_id != NULL)
		return (BY_CLIENT);
	return (job->object_id != NULL || job->resource_id != NULL ? BY_OTHER : BY_NOTHING);
}

static unsigned
sort_named(const struct policy_question *q)
{
	const struct spec_compute *c = q->compute;

	if (sort_selector(q->job) == BY_NOTHING)
		return (NAMED_NOTHING);
	if (!c->given)
		return (NAMED_UNSEEN);
	if (named_uai(q) != NULL)
		return (NAMED_UAI);
	if (c->has_system && same(q->job->client_id, system_client_id(q)))
		return (NAMED_SYSTEM);
	if (c->kind == SPEC_COMPUTE_SERVERLESS || description_has_gaps(q))
		return (NAMED_UNSEEN);
	return (NAMED_ABSENT);
}

static unsigned
sort_offer(const struct spec_compute *c)
{
	if (!c->given)
		return (OFFER_UNKNOWN);
	if (c->has_system)
		return (c->nuais != 0 ? OFFER_BOTH : OFFER_SYSTEM);
	if (c->nuais == 0)
		return (OFFER_NOTHING);
	return (c->nuais == 1 ? OFFER_ONE : OFFER_SEVERAL);
}

static unsigned
sort_reach(const struct policy_question *q, const struct sorted *s)
{
	const unsigned other = ISSUER_BY_OBJECT | ISSUER_BY_RESOURCE;
	unsigned by_other = (issuer_find(q->facts)->by & other) != 0 ? REACH_OTHER : REACH_NOT;

	switch (s->named) {
	case NAMED_UAI:
		return (named_uai(q)->client_id != NULL ? REACH_CLIENT : by_other);
	case NAMED_UNSEEN:
		return (s->selector == BY_CLIENT ? REACH_CLIENT : by_other);
	case NAMED_NOTHING:
		if (s->offer == OFFER_SYSTEM)
			return (system_client_id(q) != NULL ? REACH_CLIENT : REACH_OTHER);
		if (s->offer == OFFER_ONE || s->offer == OFFER_SEVERAL)
			return (default_client_id(q) != NULL ? REACH_CLIENT : by_other);
		return (REACH_CLIENT);
	default:
		return (REACH_CLIENT);
	}
}

static unsigned
sort_store(const struct policy_question *q)
{
	const char *endpoint = q->datastore != NULL ? q->datastore->endpoint : NULL;

	switch (q->store) {
	case SPEC_GEN1:
		return ((endpoint != NULL && plan_is_path_style(endpoint)) ||
		    facts_cloud(q->facts)->gen1_suffix != NULL ? STORE_SERVED :
		    STORE_GEN1_NEVER);
	case SPEC_FILE_SHARE:
		return (STORE_FILE);
	case SPEC_ONELAKE:
	case SPEC_BLOB:
	case SPEC_GEN2:
		break;
	}
	return (STORE_SERVED);
}

static unsigned
sort_job(const struct spec_identity *job)
{
	switch (job->type) {
	case SPEC_IDENTITY_USER:
		return (JOB_USER);
	case SPEC_IDENTITY_MANAGED:
		return (JOB_MANAGED);
	case SPEC_IDENTITY_AML_TOKEN:
		return (JOB_TOKEN);
	case SPEC_IDENTITY_NONE:
		break;
	}
	return (JOB_NONE);
}

static struct sorted
sort(const struct policy_question *q)
{
	const struct facts *f = q->facts;
	struct sorted s = {
		.credential = q->datastore != NULL && q->datastore->credential != SPEC_CRED_NONE ?
		    CRED_CACHED : CRED_NONE,
		.store = sort_store(q),
		.job = sort_job(q->job),
		.named = sort_named(q),
		.selector = sort_selector(q->job),
		.offer = sort_offer(q->compute),
		.kind = q->compute->given ? 1u << q->compute->kind : (unsigned)KIND_UNKNOWN,
		.obo = f->obo_endpoint != NULL ? OBO_THERE : OBO_MISSING,
		.pick = issuer_find(f)->by != 0 ? PICK_SOME : PICK_NONE,
		.endpoint = issuer_is_shown(f) ? ENDPOINT_SHOWN : ENDPOINT_UNKNOWN,
	};

	s.reach = sort_reach(q, &s);
	return (s);
}

static int
fits(const struct sorted *when, const struct sorted *s)
{
#define FIT(field) (when->field == 0 || (when->field & s->field) != 0)
	return (FIT(credential) && FIT(store) && FIT(job) && FIT(named) && FIT(selector) &&
	    FIT(offer) && FIT(kind) && FIT(reach) && FIT(pick) && FIT(obo) && FIT(endpoint));
#undef FIT
}

int
policy_row_fits(size_t i, const struct policy_question *q)
{
	struct sorted s = sort(q);

	return (i < LENGTH(rows) && fits(&rows[i].when, &s));
}

static const char *
compute_name(const struct policy_question *q)
{
	return (q->compute->name != NULL ? q->compute->name : "the compute");
}

static const char *
any_id(const char *client_id, const char *object_id, const char *resource_id)
{
	return (client_id != NULL ? client_id : object_id != NULL ? object_id : resource_id);
}

static const char *
list_identities(const struct policy_question *q, struct arena *mem)
{
	const struct spec_compute *c = q->compute;
	const char *list = "", *id;
	size_t i;

	if (c->has_system)
		list = arena_printf(mem, "its system-assigned identity%s%s",
		    c->system_client_id != NULL ? " " : "",
		    c->system_client_id != NULL ? c->system_client_id : "");
	for (i = 0; i < c->nuais; i++) {
		id = any_id(c->uais[i].client_id, c->uais[i].object_id, c->uais[i].resource_id);
		list = arena_printf(mem, "%s%s%s", list, *list != '\0' ? ", " : "",
		    id != NULL ? id : "a user-assigned identity without id");
	}
	return (*list != '\0' ? list : "none");
}

static int
complain(const struct row *row, const struct policy_question *q, struct arena *mem,
    struct err *err)
{
	const struct spec_identity *job = q->job;
	const char *id = sort_selector(job) == BY_NOTHING ? NULL :
	    any_id(job->client_id, job->object_id, job->resource_id);

	if (row->list)
		err_set(err, row->error, row->remedy, "choose an identity for",
		    "%s has no identity %s; it has %s", compute_name(q), id,
		    list_identities(q, mem));
	else
		err_set(err, row->error, row->remedy, "choose an identity for", "%s",
		    row->text.reason);
	if (row->when.store != 0 && q->datastore != NULL)
		return (plan_err_at(err, &q->datastore->at, "datastore %s", q->datastore->name));
	if (row->when.named != 0)
		return (plan_err_at(err, &job->at, "identity"));
	return (-1);
}

static void
use_cached(struct plan_identity *ret, const struct policy_question *q, struct arena *mem)
{
	const struct spec_datastore *ds = q->datastore;
	const char *where = "";
	static const enum plan_identity_kind kinds[] = {
		[SPEC_CRED_NONE] = PLAN_ID_NONE,
		[SPEC_CRED_ACCOUNT_KEY] = PLAN_ID_ACCOUNT_KEY,
		[SPEC_CRED_SAS] = PLAN_ID_SAS,
		[SPEC_CRED_SERVICE_PRINCIPAL] = PLAN_ID_SERVICE_PRINCIPAL,
		[SPEC_CRED_CERTIFICATE] = PLAN_ID_CERTIFICATE,
	};

	ret->kind = kinds[ds->credential];
	ret->secret = ds->secret;
	ret->secret_from = ds->secret_from;
	ret->secret_url = ds->secret_url;
	ret->secret_of = ds->name;
	ret->workspace = ds->workspace;
	if (ds->secret_from != SPEC_SECRET_HERE)
		where = ds->secret_from == SPEC_SECRET_VAULT ? " (kept in a Key Vault)" :
		    arena_printf(mem, " (kept in workspace %s)", ds->workspace.name);
	if (ret->kind == PLAN_ID_ACCOUNT_KEY || ret->kind == PLAN_ID_SAS) {
		ret->label = arena_printf(mem, "%s of datastore %s%s",
		    ret->kind == PLAN_ID_SAS ? "SAS" : "account key", ds->name, where);
		return;
	}
	ret->client_id = ds->client_id;
	ret->tenant_id = ds->tenant_id;
	ret->thumbprint = ds->thumbprint;
	ret->authority_url = ds->authority_url != NULL ? ds->authority_url :
	    facts_cloud(q->facts)->authority;
	ret->audience = ds->resource_url;
	ret->label = arena_printf(mem, "service principal %s%s of datastore %s%s",
	    ds->client_id != NULL ? ds->client_id : "without id",
	    ret->kind == PLAN_ID_CERTIFICATE ? " (certificate)" : "", ds->name, where);
}

/* One selector: the client id if it is known. */
static void
select_id(struct plan_identity *ret, const char *client_id, const char *object_id,
    const char *resource_id)
{
	ret->client_id = client_id;
	if (client_id == NULL)
		ret->object_id = object_id;
	if (client_id == NULL && object_id == NULL)
		ret->resource_id = resource_id;
}

static void
use_system(struct plan_identity *ret, const struct policy_question *q, struct arena *mem)
{
	const char *id = system_client_id(q);

	/* The Azure ML endpoint wants the client id even of a system identity; others may not. */
	if (issuer_find(q->facts)->needs_client_id)
		ret->client_id = id;
	ret->label = arena_printf(mem, "system-assigned identity%s%s of %s", id != NULL ? " " : "",
	    id != NULL ? id : "", compute_name(q));
}

static void
use_first(struct plan_identity *ret, const struct policy_question *q, struct arena *mem)
{
	const struct spec_uai *uai = default_uai(q);
	const char *id;

	select_id(ret, default_client_id(q), uai->object_id, uai->resource_id);
	id = any_id(ret->client_id, ret->object_id, ret->resource_id);
	ret->label = arena_printf(mem, "user-assigned identity %s of %s%s",
	    id != NULL ? id : "without id", compute_name(q),
	    same(id, q->facts->default_client_id) ? " (DEFAULT_IDENTITY_CLIENT_ID)" : "");
}

static void
use_named(struct plan_identity *ret, const struct policy_question *q, struct arena *mem)
{
	const struct spec_uai *uai = named_uai(q);
	const struct spec_identity *job = q->job;

	if (uai != NULL && uai->client_id != NULL)
		ret->client_id = uai->client_id;
	else
		select_id(ret, job->client_id, job->object_id, job->resource_id);
	ret->label = arena_printf(mem, "managed identity %s (named by the job)",
	    any_id(ret->client_id, ret->object_id, ret->resource_id));
}

/* Whoever the endpoint answers for; where that can be told, by client id, so that it is checked. */
static void
use_environment(struct plan_identity *ret, const struct policy_question *q, struct arena *mem)
{
	const struct issuer *issuer = issuer_find(q->facts);
	const char *variable = "DEFAULT_IDENTITY_CLIENT_ID";

	if (issuer->by & ISSUER_BY_CLIENT)
		ret->client_id = q->facts->default_client_id;
	if (issuer->kind == ISSUER_WORKLOAD && q->facts->client_id != NULL) {
		ret->client_id = q->facts->client_id;
		variable = "AZURE_CLIENT_ID";
	}
	if (issuer->kind == ISSUER_CLOUD_SHELL)
		ret->label = "the person signed in to Cloud Shell";
	else if (ret->client_id == NULL)
		ret->label = "default managed identity of this machine";
	else
		ret->label = arena_printf(mem, "managed identity %s (%s)", ret->client_id,
		    variable);
}

/* Who will be asked for the token; NULL: nobody. */
static const char *
source_of(const struct plan_identity *id, const struct policy_question *q, struct arena *mem)
{
	switch (id->kind) {
	case PLAN_ID_MANAGED:
		return (issuer_find(q->facts)->name);
	case PLAN_ID_USER:
		return ("on-behalf-of endpoint (OBO_ENDPOINT)");
	case PLAN_ID_SERVICE_PRINCIPAL:
	case PLAN_ID_CERTIFICATE:
		return (arena_printf(mem, "Entra ID (%s)", id->authority_url));
	case PLAN_ID_ACCOUNT_KEY:
	case PLAN_ID_SAS:
	case PLAN_ID_NONE:
		break;
	}
	return (NULL);
}

static void
apply(struct plan_identity *ret, enum use use, const struct policy_question *q, struct arena *mem)
{
	const struct cloud *cloud = facts_cloud(q->facts);

	ret->kind = PLAN_ID_MANAGED;
	switch (use) {
	case USE_CACHED:
		use_cached(ret, q, mem);
		break;
	case USE_USER:
		ret->kind = PLAN_ID_USER;
		ret->label = "the submitting user (OBO_ENDPOINT)";
		break;
	case USE_SYSTEM:
		use_system(ret, q, mem);
		break;
	case USE_FIRST:
		use_first(ret, q, mem);
		break;
	case USE_NAMED:
		use_named(ret, q, mem);
		break;
	case USE_ENVIRONMENT:
		use_environment(ret, q, mem);
		break;
	case USE_PLAIN:
		ret->label = arena_printf(mem, "managed identity of %s", compute_name(q));
		break;
	case USE_NOTHING:	/* uncovered: policy_choose() has complained already */
		break;
	}
	if (ret->audience == NULL && ret->kind != PLAN_ID_ACCOUNT_KEY && ret->kind != PLAN_ID_SAS)
		ret->audience = q->store == SPEC_GEN1 && cloud->gen1_resource != NULL ?
		    cloud->gen1_resource : cloud->storage_resource;
}

int
policy_choose(struct plan_identity *ret, const struct policy_question *q,
    struct plan_warning *ret_warning, struct arena *mem, struct err *err)
{
	struct plan_identity chosen = { .kind = PLAN_ID_NONE };
	struct sorted s = sort(q);
	const struct row *row = rows;

	while (row < rows + LENGTH(rows) && !fits(&row->when, &s))
		row++;
	if (row == rows + LENGTH(rows))	/* uncovered: a unit test asks for all, each has a row */
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "choose an identity for",
		    "no row of the policy fits"));
	if (row->use == USE_NOTHING)
		return (complain(row, q, mem, err));
	apply(&chosen, row->use, q, mem);
	chosen.source = source_of(&chosen, q, mem);
	chosen.rule = row->text.id;
	chosen.reason = row->text.reason;
	*ret = chosen;
	*ret_warning = (struct plan_warning){ row->text.id, row->warning };
	if (row->warning != NULL && row->use == USE_CACHED)
		ret_warning->text = arena_printf(mem, "datastore %s: %s", q->datastore->name,
		    row->warning);
	return (0);
}

static int
refuse_compute(const struct spec_compute *c, struct err *err, const char *cause)
{
	err_set(err, ERR_USAGE, REMEDY_ONE_KIND_OF_IDENTITY, "use", "%s", cause);
	return (plan_err_at(err, &c->at, "compute%s%s", c->name != NULL ? " " : "",
	    c->name != NULL ? c->name : ""));
}

/* DEFAULT_IDENTITY_CLIENT_ID is a GUID that the description rules out. */
static int
default_is_strange(const struct spec_compute *c, const struct facts *f)
{
	size_t i;

	if (!c->given || f->default_client_id == NULL)
		return (0);
	if (c->has_system)
		return (c->system_client_id != NULL &&
		    !same(c->system_client_id, f->default_client_id));
	for (i = 0; i < c->nuais; i++)
		if (c->uais[i].client_id == NULL ||
		    same(c->uais[i].client_id, f->default_client_id))
			return (0);
	return (c->kind != SPEC_COMPUTE_SERVERLESS);
}

int
policy_check_compute(const struct spec_compute *c, const struct facts *f,
    struct plan_warning *ret_warning, struct arena *mem, struct err *err)
{
	struct plan_warning warning = { NULL, NULL };

	if (c->given && c->has_system && c->nuais != 0)
		return (refuse_compute(c, err, "a compute has one system-assigned identity or "
		    "user-assigned ones, never both"));
	if (c->given && c->kind == SPEC_COMPUTE_KUBERNETES && c->nuais > 1)
		return (refuse_compute(c, err, "Kubernetes compute has one identity, not several "
		    "user-assigned ones"));
	if (c->given && c->kind == SPEC_COMPUTE_SERVERLESS && c->has_system)
		return (refuse_compute(c, err, "serverless compute has no system-assigned "
		    "identity, only user-assigned ones of the workspace"));
	if (f->default_client_id_raw != NULL && f->default_client_id == NULL) {
		warning.rule = "default-client-id-no-guid";
		warning.text = arena_printf(mem, "DEFAULT_IDENTITY_CLIENT_ID is \"%s\", which is "
		    "no GUID (a compute instance without managed identity sets it so): it is "
		    "not used", f->default_client_id_raw);
	} else if (default_is_strange(c, f)) {
		warning.rule = "default-client-id-unlisted";
		warning.text = arena_printf(mem, "DEFAULT_IDENTITY_CLIENT_ID is %s, which the "
		    "compute's description does not list: the description is followed",
		    f->default_client_id);
	}
	*ret_warning = warning;
	return (0);
}
