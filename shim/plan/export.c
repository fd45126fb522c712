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

static void
drop_inputs(struct list *l, int broker)
{
	static const char *const own[] = {
		"AMLSHIM_JOB", "AMLSHIM_DATASTORES", "AMLSHIM_COMPUTE",
		"AMLSHIM_SNAPSHOT",	/* the job may change its folder */
	};
	static const char *const platform[] = {
		"MSI_ENDPOINT", "MSI_SECRET", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
		"OBO_ENDPOINT",
		"IDENTITY_SERVER_THUMBPRINT",
		"IMDS_ENDPOINT",
		"AZURE_FEDERATED_TOKEN_FILE",
	};
	size_t i;

	for (i = 0; i < LENGTH(own); i++)
		drop(l, 0, own[i]);
	for (i = 0; broker && i < LENGTH(platform); i++)
		drop(l, 0, platform[i]);
}

static void
set_broker(struct list *l, const struct export_broker *broker)
{
	set_if(l, "MSI_ENDPOINT", broker->msi_endpoint);
	set_if(l, "MSI_SECRET", broker->msi_secret);
	set_if(l, "OBO_ENDPOINT", broker->obo_endpoint);
	set_if(l, "DEFAULT_IDENTITY_CLIENT_ID", broker->default_client_id);
}

char **
export_environ(const struct plan *plan, const struct facts *facts,
    const struct export_broker *broker, struct arena *mem)
{
	struct list l = { .mem = mem };
	const struct plan_access *access;
	int stands_in = broker != NULL &&
	    (broker->msi_endpoint != NULL || broker->obo_endpoint != NULL);
	size_t i;

	append(&l, NULL);
	l.n = 0;
	for (i = 0; facts->environ != NULL && facts->environ[i] != NULL; i++)
		append(&l, facts->environ[i]);
	if (plan == NULL)
		return (l.items);
	drop_inputs(&l, stands_in);
	for (i = 0; i < plan->naccesses; i++) {
		access = &plan->accesses[i];
		set(&l, arena_printf(mem, "AZURE_ML_%s_%s", access->is_output ? "OUTPUT" : "INPUT",
		    access->name), access->value);
	}
	if (stands_in)
		set_broker(&l, broker);
	for (i = 0; i < plan->nvariables; i++)
		set(&l, plan->variables[i].name, plan->variables[i].value);
	return (l.items);
}
