#include <string.h>

#include "base/uri.h"
#include "spec/parts.h"

#define DATASTORES_MAX	1000

struct store {
	const char	*type;		/* str_same_loose also fits ARM's AzureBlob ... */
	enum spec_store_type store;
	const char	*account_field, *container_field;	/* NULL: has none */
	const char	*own_protocol;	/* stands for https, as in wasbs:// */
};

/*
 * _schema/_datastore/{azure_storage,adls_gen1,one_lake,credentials}.py in
 * Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/.
 */
static const struct store stores[] = {
	{ "azure_blob", SPEC_BLOB, "account_name", "container_name", "wasbs" },
	{ "azure_data_lake_gen2", SPEC_GEN2, "account_name", "filesystem", "abfss" },
	{ "azure_data_lake_gen1", SPEC_GEN1, "store_name", NULL, NULL },
	{ "azure_file", SPEC_FILE_SHARE, "account_name", "file_share_name", NULL },
	{ "one_lake", SPEC_ONELAKE, NULL, "one_lake_workspace_name", NULL },
};

static const struct field fields[] = {
	{ "$schema", NULL, 1 }, { "name", NULL, 1 }, { "type", "datastoreType", 1 },
	{ "account_name", NULL, 1 }, { "container_name", NULL, 1 }, { "filesystem", NULL, 1 },
	{ "file_share_name", NULL, 1 }, { "store_name", NULL, 1 }, { "endpoint", NULL, 1 },
	{ "protocol", NULL, 1 }, { "credentials", NULL, 1 }, { "is_default", NULL, 1 },
	{ "one_lake_workspace_name", NULL, 1 }, { "artifact", NULL, 1 },
	{ "description", NULL, 0 }, { "tags", NULL, 0 }, { "id", NULL, 0 },
	{ "properties", NULL, 0 }, { "resourceGroup", NULL, 0 }, { "creation_context", NULL, 0 },
	{ "subscription_id", NULL, 0 }, { "resource_group", NULL, 0 },
	{ "service_data_access_auth_identity", NULL, 0 }, { "is_credential_less", NULL, 0 },
	{ "intellectual_property", NULL, 0 },
};

static const struct field artifact_fields[] = {
	{ "name", "artifactName", 1 }, { "type", "artifactType", 1 },
	{ "artifact_name", NULL, 1 }, { "artifact_type", NULL, 1 },
};

/* ---- names (Microsoft: Naming and Referencing Containers, Blobs, and Metadata) ---- */

static int
only(const char *s, const char *extra)
{
	for (; *s != '\0'; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') &&
		    strchr(extra, *s) == NULL)
			return (0);
	return (1);
}

/* Emulators take longer names and hyphens. */
static int
is_account(const char *name, int path_style)
{
	size_t len = strlen(name);

	return (path_style ? len > 0 && len <= 63 && only(name, "-") :
	    len >= 3 && len <= 24 && only(name, ""));
}

static int
check_account(const struct object *o, const char *field, const char *name, int path_style)
{
	return (is_account(name, path_style) ? 0 : object_fail(o, field, "expected the name of a "
	    "storage account: 3 to 24 lower-case letters and digits"));
}

static int
is_container(const char *name)
{
	size_t len = strlen(name);

	if (strcmp(name, "$root") == 0 || strcmp(name, "$web") == 0 || strcmp(name, "$logs") == 0)
		return (1);
	return (len >= 3 && len <= 63 && only(name, "-") && *name != '-' &&
	    name[len - 1] != '-' && strstr(name, "--") == NULL);
}

static int
check_container(const struct object *o, const char *field, const char *name)
{
	return (is_container(name) ? 0 : object_fail(o, field, "expected the name of a container: "
	    "3 to 63 lower-case letters, digits and single hyphens"));
}

/* OneLake: a workspace or an item, by name or GUID. */
static int
is_segment(const char *name)
{
	return (name != NULL && *name != '\0' && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0 && strpbrk(name, "/\\?#%") == NULL &&
	    !str_has_control(name));
}

static int
check_segment(const struct object *o, const char *field, const char *name)
{
	return (is_segment(name) ? 0 :
	    object_fail(o, field, "expected a name without / \\ ? # and %%"));
}

static int
is_name(const char *name)
{
	const char *s;

	for (s = name; *s != '\0'; s++)
		if (!(*s >= 'A' && *s <= 'Z') && !(*s >= 'a' && *s <= 'z') &&
		    !(*s >= '0' && *s <= '9') && ((*s != '_' && *s != '-') || s == name))
			return (0);
	return (s != name && s - name <= 255);
}

static int
check_name(const struct object *o, const char *name)
{
	return (is_name(name) ? 0 : object_fail(o, "name", "expected the name of a datastore: "
	    "letters, digits, hyphens and underscores"));
}

/* ---- endpoint and protocol ---- */

/* HOST[:PORT]; *ret_host is the host alone. */
static int
parse_endpoint(const char *text, struct arena *arena, char **ret_host)
{
	const char *end = *text == '[' ? strchr(text, ']') : NULL, *s;
	size_t len = *text == '[' ? 0 : strcspn(text, ":");
	long long port;

	if (*text == '[') {
		if (end == NULL)
			return (-1);
		len = (size_t)(end + 1 - text);
	}
	*ret_host = arena_strndup(arena, text, len);
	if (len == 0 || len > 253)
		return (-1);
	for (s = *ret_host; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			(*ret_host)[s - *ret_host] = (char)(*s - 'A' + 'a');
	if (*text == '[' ? strspn(*ret_host + 1, "0123456789abcdef:.") != len - 2 :
	    !only(*ret_host, "-."))
		return (-1);
	if (**ret_host == '.' || **ret_host == '-' || strstr(*ret_host, "..") != NULL)
		return (-1);
	return (text[len] == '\0' || (text[len] == ':' &&
	    str_to_i64(text + len + 1, 1, 65535, &port) == 0) ? 0 : -1);
}

static int
read_endpoint(const struct object *o, struct spec_datastore *ds, int *ret_path_style)
{
	const char *text;
	char *host;

	if (object_string(o, "endpoint", &text) != 0)
		return (-1);
	*ret_path_style = 0;
	ds->endpoint = NULL;
	if (text == NULL)		/* the cloud's, which is not a matter of this file */
		return (0);
	if (parse_endpoint(text, o->r->scratch, &host) != 0)
		return (object_fail(o, "endpoint", strstr(text, "://") != NULL ?
		    "expected a host such as core.windows.net, got a URL" :
		    "expected HOST or HOST:PORT, such as core.windows.net"));
	*ret_path_style = uri_is_path_style_host(host);
	ds->endpoint = arena_printf(o->r->arena, "%s%s", host,
	    *text == '[' ? strchr(text, ']') + 1 : text + strcspn(text, ":"));
	return (0);
}

/*
 * "onelake.dfs.fabric.microsoft.com" is account "onelake" of endpoint "fabric.microsoft.com";
 * regions ("westus-onelake") and private links ("WORKSPACE.zXY.onelake") stand in the account.
 */
void
spec_split_onelake(struct arena *arena, struct spec_datastore *ds)
{
	static const char *const services[] = { ".dfs.", ".blob." };
	const char *dot;
	size_t i;

	ds->account = "onelake";
	if (ds->endpoint == NULL)
		return;
	for (i = 0; i < LENGTH(services); i++)
		if ((dot = strstr(ds->endpoint, services[i])) != NULL && dot != ds->endpoint) {
			ds->account = arena_strndup(arena, ds->endpoint,
			    (size_t)(dot - ds->endpoint));
			ds->endpoint = dot + strlen(services[i]);
			return;
		}
	if (str_starts(ds->endpoint, "onelake."))
		ds->endpoint += strlen("onelake.");
}

static int
read_protocol(const struct object *o, const struct store *store, int path_style,
    struct spec_datastore *ds)
{
	const char *text;

	if (object_string(o, "protocol", &text) != 0)
		return (-1);
	ds->protocol = "https";
	if (text == NULL || str_same(text, "https") ||
	    (store->own_protocol != NULL && str_same(text, store->own_protocol)))
		return (0);
	if (!str_same(text, "http"))
		return (object_fail(o, "protocol", "expected https%s%s, got \"%s\"",
		    store->own_protocol != NULL ? " or " : "",
		    store->own_protocol != NULL ? store->own_protocol : "",
		    yaml_show(text, o->r->scratch)));
	if (!path_style) {
		(void)object_fail(o, "protocol", "http is for an emulator, with an endpoint that "
		    "is an address or a name without a dot");
		if (o->r->err != NULL)
			o->r->err->remedy = REMEDY_USE_HTTPS;
		return (-1);
	}
	ds->protocol = "http";
	return (0);
}

static int
read_artifact(const struct object *o, const char **ret)
{
	const struct yaml_node *node = object_find(o, "artifact");
	const char *field = "name";
	struct object artifact;

	if (node == NULL)
		return (object_missing(o, "artifact"));
	if (object_open(&artifact, o->r, node, object_path(o, "artifact"), artifact_fields,
	    LENGTH(artifact_fields)) != 0)
		return (-1);
	if (object_find(&artifact, "artifact_name") != NULL)
		field = "artifact_name";
	return (object_need_string(&artifact, field, ret) != 0 ? -1 :
	    check_segment(&artifact, field, *ret));
}

static int
read_place(const struct object *o, const struct store *store, struct spec_datastore *ds)
{
	int path_style;

	if (store->account_field != NULL &&
	    object_need_string(o, store->account_field, &ds->account) != 0)
		return (-1);
	if (store->container_field != NULL &&
	    object_need_string(o, store->container_field, &ds->container) != 0)
		return (-1);
	if (read_endpoint(o, ds, &path_style) != 0 ||
	    read_protocol(o, store, path_style, ds) != 0)
		return (-1);
	if (store->store == SPEC_ONELAKE) {
		if (ds->endpoint == NULL)
			return (object_missing(o, "endpoint"));
		spec_split_onelake(o->r->arena, ds);
		return (check_segment(o, store->container_field, ds->container) != 0 ? -1 :
		    read_artifact(o, &ds->artifact));
	}
	if (check_account(o, store->account_field, ds->account, path_style) != 0)
		return (-1);
	return (store->container_field == NULL ? 0 :
	    check_container(o, store->container_field, ds->container));
}

/* ---- one datastore ---- */

static int
find_store(const struct object *o, const struct store **ret)
{
	const char *type;
	size_t i;

	if (object_need_string(o, "type", &type) != 0)
		return (-1);
	for (i = 0; i < LENGTH(stores); i++)
		if (str_same_loose(type, stores[i].type)) {
			*ret = &stores[i];
			return (0);
		}
	return (object_fail(o, "type", "expected azure_blob, azure_data_lake_gen2, "
	    "azure_data_lake_gen1, azure_file or one_lake, got \"%s\"",
	    yaml_show(type, o->r->scratch)));
}

static int
read_one(struct reader *r, const struct yaml_node *node, const char *name, const char *path)
{
	struct spec *spec = r->spec;
	const struct store *store = NULL;
	struct spec_datastore *ds;
	struct object o;

	if (object_open(&o, r, node, path, fields, LENGTH(fields)) != 0)
		return (-1);
	if (spec->ndatastores == DATASTORES_MAX)
		return (reader_fail(r, node, path, "more than %d datastores", DATASTORES_MAX));
	CHECK_GROW(r->arena, spec->datastores, spec->ndatastores);
	/* Counted at once: its secret is to be dropped if the rest fails. */
	ds = &spec->datastores[spec->ndatastores++];
	*ds = (struct spec_datastore){ .at = reader_at(r, node), .name = name };
	if ((name == NULL && object_need_string(&o, "name", &ds->name) != 0) ||
	    check_name(&o, ds->name) != 0 || find_store(&o, &store) != 0)
		return (-1);
	ds->type = store->store;
	if (read_place(&o, store, ds) != 0 ||
	    object_bool(&o, "is_default", &ds->is_default) != 0)
		return (-1);
	return (credential_read(&o, ds));
}

static int
has_datastore_type(const struct yaml_node *properties)
{
	size_t i;

	for (i = 0; properties != NULL && properties->kind == YAML_KIND_MAP && i < properties->n;
	    i++)
		if (str_same_loose(properties->keys[i]->text, "datastoreType"))
			return (1);
	return (0);
}

static int
read_document(struct reader *r, const struct yaml_node *node, const char *path)
{
	const struct yaml_node *properties = yaml_get(node, "properties"), *name;
	const char *text;
	int status;

	if (!has_datastore_type(properties))
		return (read_one(r, node, NULL, path));
	name = yaml_get(node, "name");
	if (yaml_is_null(name))
		return (reader_fail(r, node, reader_path(r, path, "name"),
		    "this field is required and missing"));
	if (reader_string(r, name, reader_path(r, path, "name"), &text) != 0)
		return (-1);
	r->arm = 1;
	status = read_one(r, properties, text, reader_path(r, path, "properties"));
	r->arm = 0;
	return (status);
}

int
datastore_read(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *list = yaml_get(root, "value");	/* what ARM's list call answers */
	const char *path = "value";
	size_t i;

	if (yaml_is_null(root))
		return (0);
	if (root->kind == YAML_KIND_LIST) {
		list = root;
		path = "";
	}
	if (list == NULL || list->kind != YAML_KIND_LIST) {
		if (root->kind != YAML_KIND_MAP)
			return (reader_wrong_type(r, root, "", "a datastore (an object)"));
		return (read_document(r, root, ""));
	}
	for (i = 0; i < list->n; i++)
		if (read_document(r, list->values[i], arena_printf(r->scratch, "%s[%zu]", path,
		    i)) != 0)
			return (-1);
	return (0);
}

int
datastore_check_all(const struct spec *spec, struct err *err)
{
	const struct spec_datastore *a, *b;
	size_t i, j;

	for (i = 0; i < spec->ndatastores; i++)
		for (j = 0; j < i; j++) {
			a = &spec->datastores[j];
			b = &spec->datastores[i];
			if (str_same(a->name, b->name))
				return (yaml_err(err, b->at.file, b->at.line, b->at.column, "name",
				    "datastore \"%.100s\" is described twice, first at %s:%d:%d",
				    b->name, a->at.file, a->at.line, a->at.column));
			if (a->is_default && b->is_default)
				return (yaml_err(err, b->at.file, b->at.line, b->at.column,
				    "is_default", "two default datastores, the other at %s:%d:%d",
				    a->at.file, a->at.line, a->at.column));
		}
	return (0);
}

const char *
spec_datastore_flaw(const struct spec_datastore *ds)
{
	struct arena scratch = ARENA_EMPTY;
	int path_style = 0, bad_endpoint = 0;
	char *host;

	if (ds->name == NULL || !is_name(ds->name))
		return ("a name that a datastore cannot have");
	if (ds->type == SPEC_ONELAKE && ds->endpoint == NULL)
		return ("no endpoint");
	if (ds->account == NULL)
		return ("no account");
	if (ds->endpoint != NULL) {
		bad_endpoint = parse_endpoint(ds->endpoint, &scratch, &host) != 0;
		path_style = !bad_endpoint && uri_is_path_style_host(host);
		arena_done(&scratch);
	}
	if (bad_endpoint)
		return ("an endpoint that is no host");
	if (ds->type == SPEC_ONELAKE) {
		if (!is_segment(ds->container) || !is_segment(ds->artifact))
			return ("a name that no workspace or item of Fabric can have");
	} else if (!is_account(ds->account, path_style))
		return ("a name that a storage account cannot have");
	else if (ds->type != SPEC_GEN1 && (ds->container == NULL || !is_container(ds->container)))
		return ("a name that a container cannot have");
	if (ds->protocol == NULL || strcmp(ds->protocol, "https") != 0)
		return ("a protocol other than https");
	return (credential_flaw(ds));
}
