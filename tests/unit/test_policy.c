/* policy: each row is reached, the first that fits decides, users and computes never mix. */

#include <stdlib.h>

#include "base/mem.h"
#include "plan/policy.h"
#include "check.h"

#define ID_A	"aaaaaaaa-0000-4000-8000-00000000000a"
#define ID_B	"bbbbbbbb-0000-4000-8000-00000000000b"
#define ID_S	"55555555-0000-4000-8000-000000000005"	/* the system-assigned one */
#define ID_X	"ffffffff-0000-4000-8000-00000000000f"	/* nobody's */
#define ARM_A	"/subscriptions/s/resourceGroups/g/providers/m/userAssignedIdentities/a"

static char key_text[] = "a2V5";

static struct spec_uai full[2] = {
	{ ID_A, "0bjec7aa-0000-4000-8000-00000000000a", ARM_A },
	{ ID_B, "0bjec7bb-0000-4000-8000-00000000000b", NULL },
};
static struct spec_uai bare[2] = { { NULL, NULL, ARM_A }, { NULL, NULL, "/b" } };

static const struct spec_datastore datastores[] = {
	{ .name = "blob", .type = SPEC_BLOB },
	{ .name = "gen2", .type = SPEC_GEN2 },
	{ .name = "gen1", .type = SPEC_GEN1, .endpoint = "azuredatalakestore.net" },
	{ .name = "gen1here", .type = SPEC_GEN1, .endpoint = "127.0.0.1:8443" },
	{ .name = "share", .type = SPEC_FILE_SHARE },
	{ .name = "lake", .type = SPEC_ONELAKE },
	{ .name = "key", .type = SPEC_BLOB, .credential = SPEC_CRED_ACCOUNT_KEY,
	    .secret = { key_text, 4 } },
	{ .name = "sas", .type = SPEC_BLOB, .credential = SPEC_CRED_SAS },
	{ .name = "sp", .type = SPEC_GEN2, .credential = SPEC_CRED_SERVICE_PRINCIPAL,
	    .client_id = ID_X, .tenant_id = "t" },
	{ .name = "cert", .type = SPEC_GEN2, .credential = SPEC_CRED_CERTIFICATE,
	    .client_id = ID_X, .tenant_id = "t", .resource_url = "https://elsewhere/",
	    .thumbprint = "01:23" },
	{ .name = "gen1sp", .type = SPEC_GEN1, .credential = SPEC_CRED_SERVICE_PRINCIPAL },
	{ .name = "sharekey", .type = SPEC_FILE_SHARE, .credential = SPEC_CRED_ACCOUNT_KEY },
};

static const struct spec_identity jobs[] = {
	{ .type = SPEC_IDENTITY_NONE },
	{ .type = SPEC_IDENTITY_USER },
	{ .type = SPEC_IDENTITY_AML_TOKEN },
	{ .type = SPEC_IDENTITY_MANAGED },
	{ .type = SPEC_IDENTITY_MANAGED, .client_id = ID_A },
	{ .type = SPEC_IDENTITY_MANAGED, .client_id = ID_B },
	{ .type = SPEC_IDENTITY_MANAGED, .client_id = ID_S },
	{ .type = SPEC_IDENTITY_MANAGED, .client_id = ID_X },
	{ .type = SPEC_IDENTITY_MANAGED, .object_id = "0bjec7aa-0000-4000-8000-00000000000a" },
	{ .type = SPEC_IDENTITY_MANAGED, .object_id = ID_X },
	{ .type = SPEC_IDENTITY_MANAGED, .resource_id = ARM_A },
	{ .type = SPEC_IDENTITY_MANAGED, .resource_id = "/x" },
};

/* The offers; the kind is put in by the walk.  given 0 comes last. */
static const struct spec_compute offers[] = {
	{ .given = 1 },
	{ .given = 1, .has_system = 1 },
	{ .given = 1, .has_system = 1, .system_client_id = ID_S },
	{ .given = 1, .uais = full, .nuais = 1 },
	{ .given = 1, .uais = full, .nuais = 2 },
	{ .given = 1, .uais = bare, .nuais = 1 },
	{ .given = 1, .uais = bare, .nuais = 2 },
	{ .given = 1, .has_system = 1, .uais = full, .nuais = 1 },
	{ .given = 0 },
};

static char word[] = "secret";
#define AML	.msi_endpoint = "http://127.0.0.1:1/MSI/auth", .msi_secret = { word, 6 }
#define OBO	.obo_endpoint = "http://127.0.0.1:2/OBO/token"

static const struct cloud elsewhere = { .name = "Elsewhere",
    .authority = "https://login.elsewhere", .storage_suffix = "core.elsewhere",
    .storage_resource = "https://storage.elsewhere/" };

static const struct facts machines[] = {
	{ .cwd = NULL },
	{ OBO },
	{ AML },
	{ AML, OBO, .default_client_id = ID_A, .default_client_id_raw = ID_A },
	{ AML, .default_client_id = ID_S, .default_client_id_raw = ID_S },
	{ AML, .default_client_id_raw = "clientid" },
	{ .identity_endpoint = "http://127.0.0.1:3/", .identity_header = { word, 6 } },
	{ AML, .identity_endpoint = "http://127.0.0.1:3/", .identity_header = { word, 6 } },
	{ .pod_identity_authority_host = "http://127.0.0.1:4", .default_client_id = ID_B,
	    .default_client_id_raw = ID_B },
	/* 9: Service Fabric, 10: Cloud Shell, 11, 12: Arc, 13: workload identity */
	{ AML, .identity_endpoint = "https://localhost:2377/", .identity_header = { word, 6 },
	    .identity_server_thumbprint = "00", .default_client_id = ID_A },
	{ .msi_endpoint = "http://localhost:50342/oauth2/token", .default_client_id = ID_A },
	{ .identity_endpoint = "http://localhost:40342/", .imds_endpoint = "http://localhost:40342",
	    .federated_token_file = "/token" },
	{ .has_himds = 1, OBO },
	{ .federated_token_file = "/token", .client_id = ID_B, .tenant_id = "t" },
	{ .cloud = &elsewhere },
};
#define FABRIC		9
#define CLOUD_SHELL	10
#define ARC		11
#define WORKLOAD	13

static size_t
row_count(void)
{
	size_t n = 0;

	while (policy_row(n) != NULL)
		n++;
	return (n);
}

static int
is_row_error(size_t row)
{
	return (strcmp(policy_row(row)->used, "error") == 0);
}

static int
is_none(const struct policy_question *q)
{
	return (q->datastore == NULL || q->datastore->credential == SPEC_CRED_NONE);
}

static int
selectors(const struct plan_identity *id)
{
	return ((id->client_id != NULL) + (id->object_id != NULL) + (id->resource_id != NULL));
}

/* What must hold for every identity that is chosen; NULL if it does. */
static const char *
wrong_choice(const struct policy_question *q, const struct plan_identity *id)
{
	int user = q->job->type == SPEC_IDENTITY_USER;
	int aml = q->facts->msi_secret.len != 0 && q->facts->identity_endpoint == NULL;
	size_t machine = (size_t)(q->facts - machines);
	int bearer = id->kind != PLAN_ID_ACCOUNT_KEY && id->kind != PLAN_ID_SAS;

	if (!is_none(q))
		return (id->kind == PLAN_ID_USER || id->kind == PLAN_ID_MANAGED ||
		    id->kind == PLAN_ID_NONE ? "cached credentials are not used" : NULL);
	if (user && id->kind != PLAN_ID_USER)
		return ("user_identity got something else");
	if (!user && id->kind != PLAN_ID_MANAGED)
		return ("an identity of the compute was due");
	if (user && q->facts->obo_endpoint == NULL)
		return ("a user without on-behalf-of endpoint");
	if (selectors(id) > (user ? 0 : 1))
		return ("too many selectors");
	if (!user && aml && (id->object_id != NULL || id->resource_id != NULL))
		return ("the Azure ML endpoint takes client ids only");
	if (machine == WORKLOAD && (id->object_id != NULL || id->resource_id != NULL))
		return ("workload identity takes client ids only");
	if (!user && machine >= FABRIC && machine < WORKLOAD && selectors(id) != 0)
		return ("an endpoint without selectors got one");
	if (id->source == NULL)
		return ("nobody is said to be asked");
	if (q->compute->given && q->compute->kind == SPEC_COMPUTE_KUBERNETES && selectors(id) != 0)
		return ("Kubernetes is asked without client id");
	if (q->job->client_id != NULL && id->client_id != NULL &&
	    strcmp(q->job->client_id, id->client_id) != 0)
		return ("another identity than the job names");
	if (bearer != (id->audience != NULL))
		return ("audience");
	if (q->compute->given && !user && q->compute->nuais == 0 && !q->compute->has_system &&
	    q->compute->kind != SPEC_COMPUTE_SERVERLESS)
		return ("an identity of a compute that has none");
	return (id->label == NULL || id->reason == NULL ? "no label or reason" : NULL);
}

static const char *
wrong_error(const struct policy_question *q, const struct err *err)
{
	int served = q->store == SPEC_BLOB || q->store == SPEC_GEN2;

	if (served && !is_none(q))
		return ("cached credentials always serve");
	if (err->kind != ERR_NO_IDENTITY && err->kind != ERR_USAGE)
		return ("kind");
	if (err->remedy == REMEDY_NONE || err->cause[0] == '\0' || err->op[0] == '\0')
		return ("no remedy or cause");
	if (served && q->job->type == SPEC_IDENTITY_USER && q->facts->obo_endpoint != NULL)
		return ("the user's token is there");
	return (NULL);
}

struct walk {
	size_t		 questions, failures;
	int		*reached;
};

static void
complain(struct walk *w, const struct policy_question *q, const char *why, const char *row)
{
	if (w->failures++ < 10)
		printf("# %s: row %s, datastore %s, store %d, job %d, compute %d kind %d, "
		    "machine %td\n", why, row, q->datastore != NULL ? q->datastore->name : "(raw)",
		    (int)q->store, (int)q->job->type, q->compute->given, (int)q->compute->kind,
		    q->facts - machines);
}

static void
ask(struct walk *w, const struct policy_question *q)
{
	struct arena mem = ARENA_EMPTY;
	struct plan_identity id = { .kind = PLAN_ID_NONE };
	struct plan_warning warning = { "untouched", "untouched" };
	struct err err = ERR_EMPTY;
	const char *why = NULL;
	size_t row = 0;

	w->questions++;
	while (policy_row(row) != NULL && !policy_row_fits(row, q))
		row++;
	if (policy_row(row) == NULL) {
		complain(w, q, "no row fits", "none");
		return;
	}
	w->reached[row] = 1;
	if (policy_choose(&id, q, &warning, &mem, &err) != 0) {
		why = !is_row_error(row) ? "refused" : wrong_error(q, &err);
		if (id.label != NULL || strcmp(warning.text, "untouched") != 0)
			why = "something was returned with an error";
	} else if (is_row_error(row) || strcmp(id.rule, policy_row(row)->id) != 0) {
		why = "not the first row that fits";
	} else {
		why = wrong_choice(q, &id);
	}
	if (why != NULL)
		complain(w, q, why, policy_row(row)->id);
	arena_done(&mem);
}

static void
ask_every_job(struct walk *w, const struct policy_question *asked)
{
	size_t job, machine, kind, offer;
	struct spec_compute compute;
	struct policy_question q = *asked;

	q.compute = &compute;
	for (job = 0; job < LENGTH(jobs); job++)
		for (machine = 0; machine < LENGTH(machines); machine++)
			for (offer = 0; offer < LENGTH(offers); offer++)
				for (kind = 0; kind <= SPEC_COMPUTE_SERVERLESS; kind++) {
					compute = offers[offer];
					compute.kind = (enum spec_compute_kind)kind;
					q.job = &jobs[job];
					q.facts = &machines[machine];
					ask(w, &q);
				}
}

static void
test_whole_product(void)
{
	static const enum spec_store_type raw[] = { SPEC_BLOB, SPEC_GEN2, SPEC_GEN1 };
	struct walk w = { .reached = calloc(row_count(), sizeof(int)) };
	struct policy_question q = { .datastore = NULL };
	size_t i;

	if (!check(w.reached != NULL))
		return;
	for (i = 0; i < LENGTH(raw); i++) {
		q.store = raw[i];
		ask_every_job(&w, &q);
	}
	for (i = 0; i < LENGTH(datastores); i++) {
		q.datastore = &datastores[i];
		q.store = datastores[i].type;
		ask_every_job(&w, &q);
	}
	printf("# %zu questions, %zu rows\n", w.questions, row_count());
	check(w.questions > 50000);
	check_int(w.failures, 0);
	for (i = 0; i < row_count(); i++)
		if (!w.reached[i]) {
			printf("# row %s decides nothing\n", policy_row(i)->id);
			check(w.reached[i]);
		}
	check(row_count() > 30);
	free(w.reached);
}

static void
test_rows_are_told_apart(void)
{
	size_t i, j, same = 0, empty = 0;

	for (i = 0; i < row_count(); i++) {
		const struct policy_row_text *t = policy_row(i);

		empty += t->id[0] == '\0' || t->credentials[0] == '\0' || t->job[0] == '\0' ||
		    t->compute[0] == '\0' || t->used[0] == '\0' || t->reason[0] == '\0';
		for (j = 0; j < i; j++)
			same += strcmp(t->id, policy_row(j)->id) == 0;
	}
	check_int(same, 0);
	check_int(empty, 0);
	check(policy_row(row_count() + 5) == NULL);
}

/* The same by hand, one line a case of the published table. */
struct example {
	int		 line;
	size_t		 job, offer, machine;
	enum spec_compute_kind kind;
	const char	*rule;		/* NULL: an error */
	const char	*client_id, *resource_id;
	enum err_remedy	 remedy;
};
#define LINE	__LINE__
#define CLUSTER	SPEC_COMPUTE_CLUSTER

static const struct example examples[] = {
	{ LINE, 0, 1, 0, CLUSTER, "none-sai-fallback", NULL, NULL, 0 },
	{ LINE, 0, 2, 4, CLUSTER, "none-sai-fallback", ID_S, NULL, 0 },
	{ LINE, 0, 1, 4, CLUSTER, "none-sai-fallback", ID_S, NULL, 0 },
	{ LINE, 0, 2, 6, CLUSTER, "none-sai-fallback", NULL, NULL, 0 },
	{ LINE, 0, 3, 0, CLUSTER, "none-uai-fallback", ID_A, NULL, 0 },
	{ LINE, 0, 4, 0, CLUSTER, "none-uais-first", ID_A, NULL, 0 },
	/* DEFAULT_IDENTITY_CLIENT_ID tells which one is the first. */
	{ LINE, 0, 4, 8, CLUSTER, "none-uais-first", ID_B, NULL, 0 },
	/* One that the description does not list is not followed. */
	{ LINE, 0, 4, 4, CLUSTER, "none-uais-first", ID_A, NULL, 0 },
	/* A description without client ids: the variable, else the resource id. */
	{ LINE, 0, 5, 3, CLUSTER, "none-uai-fallback", ID_A, NULL, 0 },
	{ LINE, 0, 5, 0, CLUSTER, "none-uai-fallback", NULL, ARM_A, 0 },
	{ LINE, 0, 5, 5, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 0, 0, 3, CLUSTER, NULL, NULL, NULL, REMEDY_ASSIGN_IDENTITY },
	{ LINE, 2, 1, 0, CLUSTER, "token-sai-fallback", NULL, NULL, 0 },
	{ LINE, 2, 0, 0, CLUSTER, NULL, NULL, NULL, REMEDY_ASSIGN_IDENTITY },
	{ LINE, 3, 1, 0, CLUSTER, "managed-sai", NULL, NULL, 0 },
	{ LINE, 3, 4, 0, CLUSTER, "managed-uais-first", ID_A, NULL, 0 },
	{ LINE, 3, 0, 0, CLUSTER, NULL, NULL, NULL, REMEDY_ASSIGN_IDENTITY },
	{ LINE, 5, 4, 3, CLUSTER, "named", ID_B, NULL, 0 },
	{ LINE, 5, 3, 3, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 4, 0, 3, CLUSTER, NULL, NULL, NULL, REMEDY_ASSIGN_IDENTITY },
	{ LINE, 6, 2, 2, CLUSTER, "named-system", ID_S, NULL, 0 },
	{ LINE, 7, 2, 2, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 8, 4, 2, CLUSTER, "named-translated", ID_A, NULL, 0 },
	{ LINE, 10, 4, 2, CLUSTER, "named-translated", ID_A, NULL, 0 },
	{ LINE, 10, 5, 2, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 10, 5, 6, CLUSTER, "named-other", NULL, ARM_A, 0 },
	{ LINE, 10, 8, 2, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 10, 8, 0, CLUSTER, "named-unchecked", NULL, ARM_A, 0 },
	{ LINE, 4, 8, 2, CLUSTER, "named-unchecked", ID_A, NULL, 0 },
	{ LINE, 4, 7, 2, CLUSTER, NULL, NULL, NULL, REMEDY_ONE_KIND_OF_IDENTITY },
	{ LINE, 0, 8, 0, CLUSTER, "unknown", NULL, NULL, 0 },
	{ LINE, 0, 8, 3, CLUSTER, "unknown-endpoint", ID_A, NULL, 0 },
	{ LINE, 0, 8, 5, CLUSTER, "unknown-endpoint", NULL, NULL, 0 },
	{ LINE, 1, 8, 1, CLUSTER, "user", NULL, NULL, 0 },
	{ LINE, 1, 0, 1, CLUSTER, "user", NULL, NULL, 0 },
	{ LINE, 1, 2, 2, CLUSTER, NULL, NULL, NULL, REMEDY_SUBMIT_WITH_USER_IDENTITY },
	{ LINE, 1, 2, 2, SPEC_COMPUTE_INSTANCE, NULL, NULL, NULL,
	    REMEDY_SUBMIT_WITH_USER_IDENTITY },
	{ LINE, 0, 3, 3, SPEC_COMPUTE_KUBERNETES, "kubernetes", NULL, NULL, 0 },
	{ LINE, 4, 3, 3, SPEC_COMPUTE_KUBERNETES, "named-kubernetes", NULL, NULL, 0 },
	{ LINE, 7, 3, 3, SPEC_COMPUTE_KUBERNETES, NULL, NULL, NULL,
	    REMEDY_NAME_ASSIGNED_IDENTITY },
	{ LINE, 0, 0, 3, SPEC_COMPUTE_SERVERLESS, NULL, NULL, NULL, REMEDY_FIX_SPEC },
	{ LINE, 7, 0, 3, SPEC_COMPUTE_SERVERLESS, "named-serverless", ID_X, NULL, 0 },
	{ LINE, 0, 1, 2, SPEC_COMPUTE_INSTANCE, "instance-sai", NULL, NULL, 0 },
	{ LINE, 0, 2, 2, SPEC_COMPUTE_INSTANCE, "none-sai-fallback", ID_S, NULL, 0 },
	/* Endpoints that have one identity. */
	{ LINE, 0, 8, FABRIC, CLUSTER, "unknown-endpoint", NULL, NULL, 0 },
	{ LINE, 0, 8, CLOUD_SHELL, CLUSTER, "unknown-endpoint", NULL, NULL, 0 },
	{ LINE, 0, 8, ARC, CLUSTER, "unknown-endpoint", NULL, NULL, 0 },
	{ LINE, 0, 8, ARC + 1, CLUSTER, "unknown-endpoint", NULL, NULL, 0 },
	{ LINE, 0, 2, ARC, CLUSTER, "none-sai-fallback", NULL, NULL, 0 },
	{ LINE, 0, 4, FABRIC, CLUSTER, "default-no-selector", NULL, NULL, 0 },
	{ LINE, 2, 4, FABRIC, CLUSTER, "token-no-selector", NULL, NULL, 0 },
	{ LINE, 4, 4, FABRIC, CLUSTER, NULL, NULL, NULL, REMEDY_OMIT_SELECTOR },
	{ LINE, 4, 8, CLOUD_SHELL, CLUSTER, NULL, NULL, NULL, REMEDY_OMIT_SELECTOR },
	{ LINE, 10, 8, ARC, CLUSTER, NULL, NULL, NULL, REMEDY_OMIT_SELECTOR },
	{ LINE, 6, 2, ARC, CLUSTER, "named-system", NULL, NULL, 0 },
	{ LINE, 4, 3, ARC, SPEC_COMPUTE_KUBERNETES, "named-kubernetes", NULL, NULL, 0 },
	{ LINE, 0, 8, WORKLOAD, CLUSTER, "unknown-endpoint", ID_B, NULL, 0 },
	{ LINE, 0, 3, WORKLOAD, SPEC_COMPUTE_KUBERNETES, "kubernetes", NULL, NULL, 0 },
	{ LINE, 4, 8, WORKLOAD, CLUSTER, "named-unchecked", ID_A, NULL, 0 },
	{ LINE, 10, 8, WORKLOAD, CLUSTER, NULL, NULL, NULL, REMEDY_NAME_ASSIGNED_IDENTITY },
};

static void
test_example(const struct example *e)
{
	struct arena mem = ARENA_EMPTY;
	struct spec_compute compute = offers[e->offer];
	struct policy_question q = { .datastore = &datastores[0], .job = &jobs[e->job],
		.compute = &compute, .facts = &machines[e->machine], .store = SPEC_BLOB };
	struct plan_identity id = { .kind = PLAN_ID_NONE };
	struct plan_warning warning;
	struct err err = ERR_EMPTY;
	int ok;

	compute.kind = e->kind;
	compute.name = "cpu";
	ok = policy_choose(&id, &q, &warning, &mem, &err) == 0;
	printf("# example of line %d: %s\n", e->line, ok ? id.label : err.cause);
	check_str(ok ? id.rule : NULL, e->rule);
	check_str(id.client_id, e->client_id);
	check_str(id.resource_id, e->resource_id);
	check_int(err.remedy, e->remedy);
	arena_done(&mem);
}

/* The plan names who is asked; where several variables are set, the SDKs' order decides. */
static void
test_who_is_asked(void)
{
	static const struct { size_t machine; const char *part; } rows[] = {
		{ 0, "metadata service" }, { 2, "Azure ML" }, { 6, "App Service" },
		{ 7, "App Service" }, { 8, "metadata service" }, { FABRIC, "Service Fabric" },
		{ CLOUD_SHELL, "Cloud Shell" }, { ARC, "Arc" }, { ARC + 1, "Arc" },
		{ WORKLOAD, "workload identity" },
	};
	struct policy_question q = { .job = &jobs[0], .compute = &offers[8], .store = SPEC_BLOB };
	struct arena mem = ARENA_EMPTY;
	struct plan_warning warning;
	struct plan_identity id;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		q.facts = &machines[rows[i].machine];
		check_int(policy_choose(&id, &q, &warning, &mem, NULL), 0);
		check(strstr(id.source, rows[i].part) != NULL);
	}
	check(strstr(id.label, "AZURE_CLIENT_ID") != NULL);
	arena_done(&mem);
}

static void
test_named_absent_lists_what_is_there(void)
{
	struct arena mem = ARENA_EMPTY;
	struct spec_compute compute = offers[4];
	struct spec_identity job = jobs[7];
	struct policy_question q = { .job = &job, .compute = &compute, .facts = &machines[0],
		.store = SPEC_BLOB };
	struct plan_identity id;
	struct plan_warning warning;
	struct err err = ERR_EMPTY;

	job.at = (struct spec_at){ "job.yml", 7, 3 };
	compute.name = "cpu";
	check_int(policy_choose(&id, &q, &warning, &mem, &err), -1);
	check_str(err.cause, "cpu has no identity " ID_X "; it has " ID_A ", " ID_B);
	check_str(err.resource, "job.yml:7:3: identity");
	check_int(err.kind, ERR_USAGE);
	arena_done(&mem);
}

static void
test_cached(void)
{
	struct arena mem = ARENA_EMPTY;
	struct policy_question q = { .datastore = &datastores[6], .job = &jobs[1],
		.compute = &offers[1], .facts = &machines[0], .store = SPEC_BLOB };
	struct plan_identity id;
	struct plan_warning warning;
	struct err err = ERR_EMPTY;

	check_int(policy_choose(&id, &q, &warning, &mem, &err), 0);
	check_int(id.kind, PLAN_ID_ACCOUNT_KEY);
	check_str(id.rule, "cached-beats-user");
	check(id.secret.text == key_text);
	check_str(id.label, "account key of datastore key");
	check(warning.text != NULL && strstr(warning.text, "datastore key: ") == warning.text);
	q.job = &jobs[0];
	q.datastore = &datastores[8];
	check_int(policy_choose(&id, &q, &warning, &mem, &err), 0);
	check(warning.text == NULL);
	check_str(id.label, "service principal " ID_X " of datastore sp");
	check_str(id.audience, "https://storage.azure.com/");
	check_str(id.authority_url, "https://login.microsoftonline.com");
	q.datastore = &datastores[9];
	check_int(policy_choose(&id, &q, &warning, &mem, &err), 0);
	check_int(id.kind, PLAN_ID_CERTIFICATE);
	check_str(id.thumbprint, "01:23");
	check_str(id.audience, "https://elsewhere/");
	q.datastore = &datastores[3];
	q.store = SPEC_GEN1;
	check_int(policy_choose(&id, &q, &warning, &mem, &err), 0);
	check_str(id.audience, "https://datalake.azure.net/");
	arena_done(&mem);
}

static const char *
compute_rule(const struct spec_compute *compute, const struct facts *facts, struct err *err)
{
	static struct arena mem = ARENA_EMPTY;
	struct plan_warning warning = { "untouched", "untouched" };

	*err = ERR_EMPTY;
	if (policy_check_compute(compute, facts, &warning, &mem, err) != 0)
		return ("error");
	arena_done(&mem);
	return (warning.rule);
}

static void
test_compute_itself(void)
{
	struct spec_compute c = { .given = 1, .kind = CLUSTER, .has_system = 1, .uais = full,
		.nuais = 1 };
	struct err err;

	check_str(compute_rule(&c, &machines[0], &err), "error");
	check_int(err.remedy, REMEDY_ONE_KIND_OF_IDENTITY);
	c.has_system = 0;
	c.nuais = 2;
	check_str(compute_rule(&c, &machines[0], &err), NULL);
	check_str(compute_rule(&c, &machines[3], &err), NULL);
	check_str(compute_rule(&c, &machines[4], &err), "default-client-id-unlisted");
	check_str(compute_rule(&c, &machines[5], &err), "default-client-id-no-guid");
	c.kind = SPEC_COMPUTE_KUBERNETES;
	check_str(compute_rule(&c, &machines[0], &err), "error");
	c = (struct spec_compute){ .given = 1, .has_system = 1, .kind = SPEC_COMPUTE_SERVERLESS };
	check_str(compute_rule(&c, &machines[0], &err), "error");
	c = (struct spec_compute){ .given = 1, .has_system = 1, .system_client_id = ID_S };
	check_str(compute_rule(&c, &machines[4], &err), NULL);
	check_str(compute_rule(&c, &machines[3], &err), "default-client-id-unlisted");
	c.system_client_id = NULL;
	check_str(compute_rule(&c, &machines[3], &err), NULL);
	c = (struct spec_compute){ .given = 1 };
	check_str(compute_rule(&c, &machines[3], &err), "default-client-id-unlisted");
	c = (struct spec_compute){ .given = 0 };
	check_str(compute_rule(&c, &machines[3], &err), NULL);
}

int
main(void)
{
	size_t i;

	test_whole_product();
	test_rows_are_told_apart();
	for (i = 0; i < LENGTH(examples); i++)
		test_example(&examples[i]);
	test_who_is_asked();
	test_named_absent_lists_what_is_there();
	test_cached();
	test_compute_itself();
	return (check_done());
}
