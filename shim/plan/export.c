#include "plan/export.h"

#include <string.h>

struct list {
	char		**items;
	size_t		  n, cap;
	struct arena	 *mem;
};

static void
append(struct list *l, char *item)
{
	char **grown;

	if (l->n + 1 >= l->cap) {
		l->cap = l->cap * 2 + 64;
		grown = arena_alloc(l->mem, l->cap * sizeof(*grown));
		if (l->n != 0)
			memcpy(grown, l->items, l->n * sizeof(*grown));
		l->items = grown;
	}
	l->items[l->n++] = item;
	l->items[l->n] = NULL;
}

static int
is_named(const char *item, const char *name)
{
	size_t len = strlen(name);

	return (strncmp(item, name, len) == 0 && item[len] == '=');
}

/* Drops every entry of that name from index `from` on. */
static void
drop(struct list *l, size_t from, const char *name)
{
	size_t i, kept = from;

	for (i = from; i < l->n; i++)
		if (!is_named(l->items[i], name))
			l->items[kept++] = l->items[i];
	l->n = kept;
	if (l->items != NULL)
		l->items[kept] = NULL;
}

/* In the place of the first entry of that name, else at the end. */
static void
set(struct list *l, const char *name, const char *value)
{
	char *item = arena_printf(l->mem, "%s=%s", name, value);
	size_t i;

	for (i = 0; i < l->n; i++)
		if (is_named(l->items[i], name)) {
			l->items[i] = item;
			drop(l, i + 1, name);
			return;
		}
	append(l, item);
}

static void
set_if(struct list *l, const char *name, const char *value)
{
	if (value != NULL)
		set(l, name, value);
}

static int
has(const struct list *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (is_named(l->items[i], name) && l->items[i][strlen(name) + 1] != '\0')
			return (1);
	return (0);
}

static void
drop_all(struct list *l, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		drop(l, 0, names[i]);
}

/*
 * Workload identity is a source of ours, not the job's: several SDKs prefer its
 * file to every endpoint.  The client id and tenant that came with it make half
 * a service principal when they stay alone; with a credential of the user's own
 * they are the user's.
 */
static void
drop_workload_identity(struct list *l)
{
	static const char *const file[] = {
		"AZURE_FEDERATED_TOKEN_FILE", "AZURE_KUBERNETES_TOKEN_PROXY",
		"AZURE_KUBERNETES_CA_FILE", "AZURE_KUBERNETES_CA_DATA",
		"AZURE_KUBERNETES_SNI_NAME",
	};
	static const char *const ids[] = { "AZURE_CLIENT_ID", "AZURE_TENANT_ID" };

	if (has(l, "AZURE_FEDERATED_TOKEN_FILE") && !has(l, "AZURE_CLIENT_SECRET") &&
	    !has(l, "AZURE_CLIENT_CERTIFICATE_PATH") && !has(l, "AZURE_USERNAME"))
		drop_all(l, ids, LENGTH(ids));
	drop_all(l, file, LENGTH(file));
}

static void
drop_inputs(struct list *l, int endpoints)
{
	static const char *const own[] = {
		"AMLSHIM_JOB", "AMLSHIM_DATASTORES", "AMLSHIM_COMPUTE", "AMLSHIM_EXPORT_TOKENS",
		"AMLSHIM_TOKEN_FILES", "AMLSHIM_AUDIT", "AMLSHIM_BROKER_SOCKET",
		"AMLSHIM_SNAPSHOT",	/* the job may change its folder */
	};
	static const char *const platform[] = {
		"MSI_ENDPOINT", "MSI_SECRET", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
		"IDENTITY_SERVER_THUMBPRINT", "IDENTITY_API_VERSION", "IMDS_ENDPOINT",
		"AZURE_POD_IDENTITY_AUTHORITY_HOST", "OBO_ENDPOINT",
	};

	drop_all(l, own, LENGTH(own));
	if (!endpoints)
		return;
	drop_all(l, platform, LENGTH(platform));
	drop_workload_identity(l);
}

static void
set_broker(struct list *l, const struct export_broker *broker)
{
	set_if(l, "MSI_ENDPOINT", broker->msi_endpoint);
	set_if(l, "MSI_SECRET", broker->msi_secret);
	set_if(l, "IDENTITY_ENDPOINT", broker->identity_endpoint);
	set_if(l, "IDENTITY_HEADER", broker->identity_header);
	set_if(l, "AZURE_POD_IDENTITY_AUTHORITY_HOST", broker->pod_identity_authority_host);
	set_if(l, "OBO_ENDPOINT", broker->obo_endpoint);
	set_if(l, "DEFAULT_IDENTITY_CLIENT_ID", broker->default_client_id);
	set_if(l, "AMLSHIM_BROKER_SOCKET", broker->socket);
}

char **
export_environ(const struct plan *plan, const struct facts *facts,
    const struct export_broker *broker, struct arena *mem)
{
	struct list l = { .mem = mem };
	const struct plan_access *access;
	int stands_in = broker != NULL && (broker->msi_endpoint != NULL ||
	    broker->identity_endpoint != NULL || broker->obo_endpoint != NULL ||
	    broker->pod_identity_authority_host != NULL);
	size_t i;

	append(&l, NULL);
	l.n = 0;
	for (i = 0; facts->environ != NULL && facts->environ[i] != NULL; i++)
		append(&l, facts->environ[i]);
	if (plan == NULL)
		return (l.items);
	drop_inputs(&l, stands_in || plan->hides_endpoints);
	for (i = 0; i < plan->naccesses; i++) {
		access = &plan->accesses[i];
		if (access->is_model)
			continue;
		set(&l, arena_printf(mem, "AZURE_ML_%s_%s", access->is_output ? "OUTPUT" : "INPUT",
		    access->name), access->value);
	}
	if (stands_in)
		set_broker(&l, broker);
	for (i = 0; i < plan->nvariables; i++)
		set(&l, plan->variables[i].name, plan->variables[i].value);
	return (l.items);
}
