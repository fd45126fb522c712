#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "azure/refusal.h"
#include "azure/store.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cli/advice.h"
#include "cli/credential.h"
#include "cli/doctor_parts.h"
#include "identity/source.h"

#define BLOB_TEXT	"amlshim doctor: may be deleted\n"

/* One input or output while it is looked at. */
struct visit {
	struct doctor	*doctor;
	const struct plan_access *access;
	struct findings	*out;
	struct credential got;
	struct store	*store;
};

static void
add_failure(struct visit *v, const char *check, struct err *err, int writing)
{
	const struct facts *f = &v->doctor->story->facts;
	/* No az command is left for Gen1. */
	struct advice_case c = { .remedy = err->remedy,
	    .account = v->access->store != SPEC_GEN1 ? v->access->account : NULL,
	    .container = v->access->container, .writing = writing || v->access->is_output,
	    .object_id = v->got.who.oid, .is_user = v->got.who.is_user,
	    .compute = v->doctor->story->spec.compute.name, .resource_group = f->resource_group,
	    .workspace = f->workspace };

	findings_err(v->out, 1, check, v->access->name, err)->run =
	    advice_command(&c, &v->out->mem);
}

/* ---- as whom ----------------------------------------------------------- */

static const char *
how_long(int64_t s, char *buf, size_t size)
{
	str_format(buf, size, "%lld h %02lld min", (long long)(s / 3600),
	    (long long)(s / 60 % 60));
	return (buf);
}

/* Everything that tells whose it is; the token itself never. */
static void
tell_token(struct visit *v)
{
	const struct token_claims *c = &v->got.who;
	const struct plan_identity *id = &v->access->identity;
	const struct source *source = source_find(id->kind, &v->doctor->story->facts, NULL);
	char left[32];

	findings_add(v->out, FINDING_OK, "identity", v->access->name,
	    "%s, from %s: client id %s, object id %s, tenant %s, %s%s%s, for %s, ends in %s",
	    id->label, source != NULL ? source->name : "nowhere",
	    c->appid[0] != '\0' ? c->appid : "not told", c->oid[0] != '\0' ? c->oid : "not told",
	    c->tid[0] != '\0' ? c->tid : "not told", c->is_user ? "a person" : "an application",
	    c->upn[0] != '\0' ? " " : "", c->upn, c->aud[0] != '\0' ? c->aud : id->audience,
	    how_long(v->got.expires_unix_s - clock_wall_s(), left, sizeof(left)));
}

static void
tell_sas(struct visit *v)
{
	int64_t expiry = v->got.expires_unix_s;
	char date[CLOCK_ISO8601_SIZE];

	if (expiry != 0)
		clock_format_iso8601(expiry, date);
	findings_add(v->out, expiry != 0 && expiry <= clock_wall_s() ? FINDING_WARN : FINDING_OK,
	    "identity", v->access->name, "%s, ends %s", v->access->identity.label,
	    expiry != 0 ? date : "when its stored policy says");
}

static int
find_credential(struct visit *v)
{
	const struct plan_identity *id = &v->access->identity;
	struct err err = ERR_EMPTY;
	char url[256];

	if (credential_get(&v->got, id, v->doctor->cache, v->doctor->keeper, DOCTOR_CHECK_MS,
	    &err) != 0) {
		if (id->secret_from == SPEC_SECRET_HERE)
			err_on(&err, "%s", http_printable_url(v->access->uri, url, sizeof(url)));
		add_failure(v, "identity", &err, 0);
		return (-1);
	}
	if (v->got.kind == WIRE_CRED_BEARER)
		tell_token(v);
	else if (v->got.kind == WIRE_CRED_SAS)
		tell_sas(v);
	else
		findings_add(v->out, FINDING_OK, "identity", v->access->name, "%s", id->label);
	return (0);
}

/* ---- may it ------------------------------------------------------------ */

static int
stop_at_first(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	(void)name;
	(void)len;
	(void)attr;
	*(int *)arg = 1;
	return (1);
}

/* What the mount or copy asks first. */
static int
look(struct visit *v, struct err *err)
{
	const struct plan_access *a = v->access;
	struct store_attr attr;
	char *below;
	int found = 0;

	if (a->is_file)
		return (store_stat(v->store, a->prefix, 1, &attr, err));
	below = arena_printf(&v->out->mem, "%s%s", a->prefix, a->prefix[0] != '\0' ? "/" : "");
	if (store_is_single(v->store))
		return (store_probe(v->store, below, err));
	if (store_list(v->store, below, 1, 2, stop_at_first, &found, err) != 0)
		return (-1);
	if (found || a->is_output || a->prefix[0] == '\0')
		return (0);
	err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_NAME, "find", "nothing is stored under this path");
	return (err_on(err, "%s", plan_place(a, a->prefix, &v->out->mem)));
}

/* A refusal for the network's sake, and how the name resolves. */
static void
add_network_hint(struct visit *v, const struct err *err)
{
	const struct doctor_host *h = doctor_find_host(v->doctor, v->access->base_url);
	struct finding *last = &v->out->list[v->out->n - 1];

	if (err->remedy != REMEDY_OPEN_NETWORK || h == NULL || h->class == ADDRESS_NONE)
		return;
	last->seen = arena_printf(&v->out->mem, "%s resolves to %s, which is %s", h->host,
	    h->address, h->class == ADDRESS_PUBLIC ? "public: with a private endpoint the private "
	    "DNS zone is not seen here" : "not public: the endpoint it belongs to refuses");
}

static int
check_list(struct visit *v)
{
	const struct doctor_host *h = doctor_find_host(v->doctor, v->access->base_url);
	const struct plan_access *a = v->access;
	struct err err = ERR_EMPTY;

	if (look(v, &err) != 0) {
		err_as(&err, a->identity.label);
		add_failure(v, "storage", &err, 0);
		add_network_hint(v, &err);
		return (-1);
	}
	findings_add(v->out, FINDING_OK, "storage", a->name, "%s %s%s%s",
	    a->is_file ? "sees" : "lists", plan_place(a, a->prefix, &v->out->mem),
	    h != NULL && h->tenant[0] != '\0' ? "; the account's tenant is " : "",
	    h != NULL ? h->tenant : "");
	return (0);
}

/* Renames, directories and modes: a private endpoint for "blob" alone does not serve them. */
static void
check_dfs(struct visit *v)
{
	const struct plan_access *a = v->access;
	auto_free char *url = store_dfs_url(a->base_url);
	struct store_access access;
	struct err err = ERR_EMPTY;
	int rc, answers;

	if (!store_hns(v->store) ||
	    (a->action != PLAN_MOUNT_RW && !v->doctor->story->plan.tuning.acl))
		return;
	rc = store_get_access(v->store, a->prefix, &access, &err);
	if (rc == 1)
		return;			/* OneLake has no modes to ask for */
	answers = err.http_status != 0 && err.remedy != REMEDY_OPEN_NETWORK;
	/* Renames need no right to look at modes: that the endpoint refuses that is an answer. */
	if (rc == 0 || err.kind == ERR_NOT_FOUND || (answers && err.kind == ERR_DENIED &&
	    !v->doctor->story->plan.tuning.acl)) {
		findings_add(v->out, FINDING_OK, "dfs", a->name, "%s answers for names", url);
		return;
	}
	err_as(&err, a->identity.label);
	add_failure(v, "dfs", &err, 0);
	if (!answers)
		v->out->list[v->out->n - 1].seen = "the Blob endpoint answers, the dfs endpoint "
		    "does not: directories cannot be made or renamed, and each of the two needs "
		    "its own private endpoint";
}

/* A small blob is put where the outputs go. */
static int
put_blob(struct visit *v, const char *name, struct err *err)
{
	auto_close int fd = sys_memfd("doctor");

	if (fd < 0 || fd_write_all(fd, BLOB_TEXT, strlen(BLOB_TEXT)) != 0)
		return (err_errno(err, "make a file in memory", NULL));
	return (store_upload(v->store, name, fd, (int64_t)strlen(BLOB_TEXT), NULL, NULL, NULL, NULL,
	    err));
}

static void
check_write(struct visit *v)
{
	const struct plan_access *a = v->access;
	struct secret random = { NULL, 0 };
	struct err err = ERR_EMPTY;
	const char *name;

	if (a->action != PLAN_MOUNT_RW && a->action != PLAN_UPLOAD)
		return;
	if (!v->doctor->opt->write_check) {
		findings_add(v->out, FINDING_SKIP, "write", a->name,
		    "not tried: --write puts and deletes a small blob");
		return;
	}
	if (secret_random_hex(&random, 8, &err) != 0)
		return;
	name = arena_printf(&v->out->mem, "%s%s.amlshim-doctor-%s", a->prefix,
	    a->prefix[0] != '\0' ? "/" : "", random.text);
	secret_done(&random);
	if (put_blob(v, name, &err) != 0) {
		err_as(&err, a->identity.label);
		add_failure(v, "write", &err, 1);
		return;
	}
	if (store_delete(v->store, name, &err) != 0) {
		err_as(&err, a->identity.label);
		findings_err(v->out, 0, "write", a->name, &err)->seen = arena_printf(&v->out->mem,
		    "the blob was put, but cannot be deleted: %s stays", name);
		return;
	}
	findings_add(v->out, FINDING_OK, "write", a->name, "a small blob was put and deleted");
}

static void
visit_store(struct visit *v)
{
	struct store_options store = store_options_of(v->access);
	struct err err = ERR_EMPTY;

	store.cred = v->got.cred;
	store.http = v->doctor->http;
	store.timeout_ms = DOCTOR_CHECK_MS;
	if ((v->store = store_new(&store, &err)) == NULL) {
		add_failure(v, "storage", &err, 0);
		return;
	}
	if (check_list(v) == 0) {
		check_dfs(v);
		check_write(v);
	}
	store_free(v->store);
}

void
doctor_ask_access(void *access, struct findings *out)
{
	struct doctor_access *da = access;
	struct visit v = { .doctor = da->doctor, .access = da->access, .out = out };
	const struct doctor_host *host = doctor_find_host(v.doctor, v.access->base_url);

	if (v.access->action == PLAN_PASS || v.access->url != NULL) {
		findings_add(out, FINDING_OK, "storage", v.access->name, "%s",
		    v.access->identity.reason);
		return;
	}
	if (find_credential(&v) != 0) {
		findings_add(out, FINDING_SKIP, "storage", v.access->name,
		    "there is no credential");
		return;
	}
	if (host != NULL && !host->reached)
		findings_add(out, FINDING_SKIP, "storage", v.access->name, "%s is not reached",
		    host->name);
	else
		visit_store(&v);
	cred_free(v.got.cred);
}
