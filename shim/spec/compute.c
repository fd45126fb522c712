#include <string.h>

#include "spec/parts.h"

#define IDENTITIES_MAX	1000

/*
 * _schema/compute/{compute,aml_compute,compute_instance,kubernetes_compute}.py in
 * Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/.
 */
static const struct field fields[] = {
	{ "$schema", NULL, 1 }, { "name", NULL, 1 }, { "type", "computeType", 1 },
	{ "identity", NULL, 1 }, { "id", NULL, 0 }, { "location", NULL, 0 },
	{ "description", NULL, 0 }, { "tags", NULL, 0 }, { "provisioning_errors", NULL, 0 },
	{ "created_on", NULL, 0 }, { "provisioning_state", NULL, 0 }, { "resource_id", NULL, 0 },
	{ "size", NULL, 0 }, { "tier", NULL, 0 }, { "min_instances", NULL, 0 },
	{ "max_instances", NULL, 0 }, { "idle_time_before_scale_down", NULL, 0 },
	{ "ssh_public_access_enabled", NULL, 0 }, { "ssh_settings", NULL, 0 },
	{ "network_settings", NULL, 0 }, { "enable_node_public_ip", NULL, 0 },
	{ "create_on_behalf_of", NULL, 0 }, { "state", NULL, 0 }, { "last_operation", NULL, 0 },
	{ "services", NULL, 0 }, { "schedules", NULL, 0 },
	{ "idle_time_before_shutdown", NULL, 0 },
	{ "idle_time_before_shutdown_minutes", NULL, 0 }, { "custom_applications", NULL, 0 },
	{ "setup_scripts", NULL, 0 }, { "os_image_metadata", NULL, 0 },
	{ "enable_sso", NULL, 0 }, { "enable_root_access", NULL, 0 }, { "namespace", NULL, 0 },
	{ "properties", NULL, 1 }, { "resourceGroup", NULL, 0 }, { "subnet", NULL, 0 },
	{ "release_quota_on_stop", NULL, 0 }, { "enable_os_patching", NULL, 0 },
	{ "system_data", NULL, 0 }, { "sku", NULL, 0 }, { "zones", NULL, 0 },
	{ "creation_context", NULL, 0 },
};

static const struct field identity_fields[] = {
	{ "type", NULL, 1 }, { "user_assigned_identities", NULL, 1 }, { "client_id", NULL, 1 },
	{ "principal_id", NULL, 0 }, { "tenant_id", NULL, 0 },
};

static const struct field uai_fields[] = {
	{ "resource_id", NULL, 1 }, { "client_id", NULL, 1 }, { "principal_id", NULL, 1 },
	{ "object_id", NULL, 1 }, { "tenant_id", NULL, 0 },
};

static int
read_kind(const struct object *o, enum spec_compute_kind *ret)
{
	static const struct {
		const char *name;
		enum spec_compute_kind kind;
	} kinds[] = {
		{ "amlcompute", SPEC_COMPUTE_CLUSTER },
		{ "computeinstance", SPEC_COMPUTE_INSTANCE },
		{ "kubernetes", SPEC_COMPUTE_KUBERNETES },
		{ "serverless", SPEC_COMPUTE_SERVERLESS },
	};
	const char *text;
	size_t i;

	if (object_string(o, "type", &text) != 0)
		return (-1);
	if (text == NULL)
		return (0);
	for (i = 0; i < LENGTH(kinds); i++)
		if (str_same_loose(text, kinds[i].name)) {
			*ret = kinds[i].kind;
			return (0);
		}
	return (object_fail(o, "type", "expected amlcompute, computeinstance, kubernetes or "
	    "serverless, got \"%s\"", yaml_show(text, o->r->scratch)));
}

static int
add_uai(struct reader *r, const struct spec_uai *uai, const struct yaml_node *at, const char *path)
{
	struct spec_compute *c = &r->spec->compute;

	if (c->nuais == IDENTITIES_MAX)
		return (reader_fail(r, at, path, "more than %d identities", IDENTITIES_MAX));
	CHECK_GROW(r->arena, c->uais, c->nuais);
	c->uais[c->nuais++] = *uai;
	return (0);
}

static int
is_resource_id(const char *text)
{
	return (strncasecmp(text, "/subscriptions/", strlen("/subscriptions/")) == 0);
}

/* resource_id: of the map's key, or NULL. */
static int
read_uai(struct reader *r, const struct yaml_node *node, const char *path,
    const char *resource_id)
{
	struct spec_uai uai = { NULL, NULL, NULL };
	const char *principal;
	struct object o;

	if (resource_id != NULL && !is_resource_id(resource_id))
		return (reader_fail(r, node, path,
		    "expected resource ids that start with /subscriptions/ as keys"));
	if (resource_id != NULL && yaml_is_null(node)) {
		uai.resource_id = resource_id;
		return (add_uai(r, &uai, node, path));
	}
	if (object_open(&o, r, node, path, uai_fields, LENGTH(uai_fields)) != 0 ||
	    object_guid(&o, "client_id", &uai.client_id) != 0 ||
	    object_guid(&o, "object_id", &uai.object_id) != 0 ||
	    object_guid(&o, "principal_id", &principal) != 0 ||
	    object_string(&o, "resource_id", &uai.resource_id) != 0)
		return (-1);
	if (uai.object_id == NULL)
		uai.object_id = principal;
	if (uai.resource_id == NULL)
		uai.resource_id = resource_id;
	if (uai.client_id == NULL && uai.object_id == NULL && uai.resource_id == NULL)
		return (object_fail(&o, NULL,
		    "an identity needs a resource_id, client_id or principal_id"));
	if (uai.resource_id != NULL && !is_resource_id(uai.resource_id))
		return (object_fail(&o, "resource_id",
		    "expected a resource id that starts with /subscriptions/"));
	return (add_uai(r, &uai, node, path));
}

static int
read_uais(const struct object *o)
{
	const struct yaml_node *node = object_find(o, "user_assigned_identities");
	const char *path = object_path(o, "user_assigned_identities"), *id;
	struct reader *r = o->r;
	size_t i;

	if (node == NULL)
		return (0);
	if (node->kind == YAML_KIND_SCALAR)
		return (reader_wrong_type(r, node, path, "a list or an object"));
	for (i = 0; i < node->n; i++) {
		if (node->kind == YAML_KIND_LIST) {
			if (read_uai(r, node->values[i], arena_printf(r->scratch, "%s[%zu]", path,
			    i), NULL) != 0)
				return (-1);
			continue;
		}
		id = arena_strdup(r->arena, node->keys[i]->text);
		if (read_uai(r, node->values[i], reader_path(r, path, id), id) != 0)
			return (-1);
	}
	return (0);
}

/* "system_assigned", "SystemAssigned,UserAssigned", "none", ... */
static int
read_identity_type(const struct object *o, int *ret_given, int *ret_system, int *ret_user)
{
	const char *text, *s, *word;
	size_t len;

	*ret_system = *ret_user = 0;
	if (object_string(o, "type", &text) != 0)
		return (-1);
	*ret_given = text != NULL;
	for (s = text; s != NULL && *s != '\0'; s += len + (s[len] == ',')) {
		len = strcspn(s, ",");
		word = arena_strndup(o->r->scratch, s, len);
		word += strspn(word, " ");
		if (str_same_loose(word, "system_assigned"))
			*ret_system = 1;
		else if (str_same_loose(word, "user_assigned"))
			*ret_user = 1;
		else if (!str_same(word, "none"))
			return (object_fail(o, "type", "expected system_assigned, user_assigned, "
			    "both with a comma, or none, got \"%s\"",
			    yaml_show(text, o->r->scratch)));
	}
	return (0);
}

static int
read_identity(const struct object *parent)
{
	const struct yaml_node *node = object_find(parent, "identity");
	struct spec_compute *c = &parent->r->spec->compute;
	int given, user;
	struct object o;

	if (node == NULL)
		return (0);
	if (object_open(&o, parent->r, node, object_path(parent, "identity"), identity_fields,
	    LENGTH(identity_fields)) != 0 ||
	    read_identity_type(&o, &given, &c->has_system, &user) != 0 || read_uais(&o) != 0 ||
	    object_guid(&o, "client_id", &c->system_client_id) != 0)
		return (-1);
	if (user && c->nuais == 0)
		return (object_missing(&o, "user_assigned_identities"));
	if (given && !user && !c->has_system && c->nuais > 0)
		return (object_fail(&o, "type",
		    "the type is none, but there are user_assigned_identities"));
	if (c->system_client_id != NULL && !c->has_system)
		return (object_fail(&o, "client_id", "client_id stands here for the "
		    "system-assigned identity, which the type does not name"));
	return (0);
}

int
compute_read(struct reader *r, const struct yaml_node *root)
{
	static const struct field properties_fields[] = { { "type", "computeType", 1 } };
	const struct yaml_node *properties = yaml_get(root, "properties");
	struct spec_compute *c = &r->spec->compute;
	struct object o, inner = { r, properties, "properties", properties_fields, 1 };

	if (root->kind != YAML_KIND_MAP)
		return (reader_wrong_type(r, root, "", "a compute (an object)"));
	*c = (struct spec_compute){ .at = reader_at(r, root), .given = 1 };
	if (properties != NULL && properties->kind == YAML_KIND_MAP) {
		r->arm = 1;
		r->arm = object_find(&inner, "type") != NULL;
	}
	if (object_open(&o, r, root, "", fields, LENGTH(fields)) != 0 ||
	    object_string(&o, "name", &c->name) != 0)
		return (-1);
	/* In ARM's form the outer type is that of the resource. */
	if (read_kind(r->arm ? &inner : &o, &c->kind) != 0)
		return (-1);
	return (read_identity(&o));
}

int
compute_read_short(struct spec_compute *ret, const char *text, struct arena *arena)
{
	struct spec_compute c = { .given = 1 };
	const char *s;
	char *word;
	size_t len;

	if (str_same(text, "none")) {
		*ret = c;
		return (0);
	}
	if (str_same_loose(text, "system_assigned")) {
		c.has_system = 1;
		*ret = c;
		return (0);
	}
	if (str_same(text, "serverless")) {
		c.kind = SPEC_COMPUTE_SERVERLESS;
		*ret = c;
		return (0);
	}
	for (s = text;; s += len + 1) {
		len = strcspn(s, ",");
		word = arena_strndup(arena, s, len);
		if (!str_is_guid(word))
			return (1);
		CHECK_GROW(arena, c.uais, c.nuais);
		c.uais[c.nuais++] = (struct spec_uai){ .client_id = word };
		if (s[len] == '\0')
			break;
	}
	*ret = c;
	return (0);
}
