/* workspace: what the resolver answers is checked before it is part of the spec. */

#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "cli/workspace.h"

static struct arena mem;
static struct err err;

static const struct facts facts = { .subscription = "sub", .resource_group = "rg",
    .workspace = "ws" };
static const struct plan_want by_name = { .kind = WIRE_WANT_DATASTORE, .name = "data",
    .workspace = { "sub", "rg", "ws" } };
static const struct plan_want by_default = { .kind = WIRE_WANT_DEFAULT,
    .workspace = { "sub", "rg", "ws" } };
static const struct plan_want elsewhere = { .kind = WIRE_WANT_DATASTORE, .name = "data",
    .workspace = { "sub", "rg", "other" } };

static struct wire_found
good(void)
{
	struct wire_found f;

	memset(&f, 0, sizeof(f));
	f.datastore.type = SPEC_BLOB;
	f.datastore.credential = SPEC_CRED_ACCOUNT_KEY;
	f.datastore.is_default = 1;
	strcpy(f.datastore.name, "data");
	strcpy(f.datastore.account, "acct");
	strcpy(f.datastore.container, "cont");
	strcpy(f.datastore.endpoint, "core.windows.net");
	return (f);
}

static int
add(struct spec *spec, const struct plan_want *want, const struct wire_found *found)
{
	err = ERR_EMPTY;
	return (workspace_add(spec, want, &facts, found, &mem, &err));
}

static void
test_datastores(void)
{
	struct plan_want twin = by_default;
	struct wire_found found = good();
	struct spec spec = { .ndatastores = 0 };

	check_int(add(&spec, &by_name, &found), 0);
	check_int(add(&spec, &elsewhere, &found), 0);
	if (!check_int(spec.ndatastores, 2))
		return;
	check_str(spec.datastores[0].name, "data");
	check_str(spec.datastores[0].protocol, "https");
	check_int(spec.datastores[0].secret_from, SPEC_SECRET_WORKSPACE);
	check_str(spec.datastores[0].workspace.name, "ws");
	check(spec.datastores[0].tenant_id == NULL);
	check_int(spec.datastores[0].is_default, 1);
	check_int(spec.datastores[1].is_default, 0);	/* of another workspace */
	found.datastore.credential = SPEC_CRED_NONE;
	strcpy(found.datastore.name, "main");
	check_int(add(&spec, &by_default, &found), 0);
	check_int(spec.ndatastores, 3);
	check_int(spec.datastores[2].secret_from, SPEC_SECRET_HERE);
	check_int(add(&spec, &by_default, &found), 0);		/* the same: kept once */
	check_int(spec.ndatastores, 3);
	twin.workspace.subscription = "another";
	check_int(add(&spec, &twin, &found), 0);
	check_int(spec.ndatastores, 4);
}

static void
check_bad(const struct wire_found *found)
{
	struct spec spec = { .ndatastores = 0 };

	check_int(add(&spec, &by_name, found), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_str(err.resource, "data of workspace ws");
	check_int(spec.ndatastores, 0);
}

static void
test_bad_datastores(void)
{
	struct wire_found found = good();

	found.datastore.type = 77;
	check_bad(&found);
	found = good();
	found.datastore.type = -1;
	check_bad(&found);
	found = good();
	found.datastore.credential = 5;
	check_bad(&found);
	found = good();
	memset(found.datastore.account, 'a', sizeof(found.datastore.account));
	check_bad(&found);		/* no NUL */
	found = good();
	strcpy(found.datastore.endpoint, "core\n.net");
	check_bad(&found);
	found = good();
	strcpy(found.datastore.container, "../cont");
	check_bad(&found);
	found = good();
	strcpy(found.datastore.name, "other");
	check_bad(&found);
	found = good();
	found.datastore.credential = SPEC_CRED_SERVICE_PRINCIPAL;
	check_bad(&found);		/* without tenant and client */
	found = good();
	err_set(&found.err, ERR_DENIED, REMEDY_GRANT_WORKSPACE, "get", "no");
	check_int(add(&(struct spec){ .ndatastores = 0 }, &by_name, &found), -1);
	check_int(err.kind, ERR_DENIED);
	check_str(err.cause, "no");
}

static void
test_assets(void)
{
	static const struct plan_want want = { .kind = WIRE_WANT_ASSET, .name = "iris",
	    .version = "1", .text = "azureml:iris:1", .workspace = { "sub", "rg", "ws" } };
	struct spec_io inputs[] = { { .name = "a", .path = "azureml:iris:1" },
	    { .name = "b", .path = "azureml:iris:2" }, { .name = "c", .value = "1" } };
	struct spec spec = { .job = { .inputs = inputs, .ninputs = 3 } };
	struct wire_found found;

	memset(&found, 0, sizeof(found));
	check_int(add(&spec, &want, &found), -1);		/* no place at all */
	found.asset.type = SPEC_URI_FILE;
	strcpy(found.asset.uri, "azureml://datastores/d/paths/p");
	check_int(add(&spec, &want, &found), 0);
	check_str(inputs[0].path, "azureml://datastores/d/paths/p");
	check_str(inputs[0].asset, "azureml:iris:1");
	check_int(inputs[0].asset_type, SPEC_URI_FILE);
	check_str(inputs[1].path, "azureml:iris:2");
	check(inputs[1].asset == NULL && inputs[2].path == NULL);
	found.asset.type = 99;
	check_int(add(&spec, &want, &found), -1);
	found.asset.type = SPEC_LITERAL;
	memset(found.asset.uri, 'x', sizeof(found.asset.uri));
	check_int(add(&spec, &want, &found), -1);
	check_int(err.kind, ERR_PROTOCOL);
}

int
main(void)
{
	test_datastores();
	test_bad_datastores();
	test_assets();
	arena_done(&mem);
	return (check_done());
}
