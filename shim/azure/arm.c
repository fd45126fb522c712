#include "azure/arm.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/uri.h"

#define EXPIRABLE_SINCE	"2024-07-01"
/* What the SDK asks for; renewed at half of it. */
#define EXPIRABLE_BODY	"{\"expirableSecret\":true,\"expireAfterHours\":1}"

static const char read_op[] = "read the workspace's answer";

/* ---- answers ----------------------------------------------------------- */

static int
malformed(struct err *err, const char *what)
{
	return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, read_op, "%s", what));
}

/* Absent: "".  -1: no string, or longer than anything of that kind is. */
static int
copy_text(const struct json *object, const char *key, char *to, size_t size, struct err *err)
{
	const struct json *value = json_get(object, key);
	const char *text = json_string(value);

	to[0] = '\0';
	if (value == NULL || json_type(value) == JSON_NULL)
		return (0);
	if (text == NULL || str_format(to, size, "%s", text) != 0 || !wire_is_text(to, size))
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, read_op,
		    "\"%s\" is not the text that it should be", key));
	return (0);
}

static const struct {
	const char *name;
	enum spec_store_type type;
	const char *account, *container;
} stores[] = {
	{ "AzureBlob", SPEC_BLOB, "accountName", "containerName" },
	{ "AzureDataLakeGen2", SPEC_GEN2, "accountName", "filesystem" },
	{ "AzureDataLakeGen1", SPEC_GEN1, "storeName", NULL },
	{ "AzureFile", SPEC_FILE_SHARE, "accountName", "fileShareName" },
	{ "OneLake", SPEC_ONELAKE, NULL, "oneLakeWorkspaceName" },
};

static const struct { const char *name; enum spec_credential kind; } credentials[] = {
	{ "None", SPEC_CRED_NONE }, { "AccountKey", SPEC_CRED_ACCOUNT_KEY },
	{ "Sas", SPEC_CRED_SAS }, { "ServicePrincipal", SPEC_CRED_SERVICE_PRINCIPAL },
	{ "Certificate", SPEC_CRED_CERTIFICATE },
};

static int
find_credential(const char *name, enum spec_credential *ret)
{
	size_t i;

	for (i = 0; name != NULL && i < LENGTH(credentials); i++)
		if (str_same(name, credentials[i].name)) {
			*ret = credentials[i].kind;
			return (0);
		}
	return (-1);
}

static int
read_credentials(const struct json *c, struct wire_datastore *ds, struct err *err)
{
	enum spec_credential kind = SPEC_CRED_NONE;

	if (c != NULL && json_type(c) != JSON_NULL &&
	    find_credential(json_string(json_get(c, "credentialsType")), &kind) != 0)
		return (malformed(err, "\"credentialsType\" is none that is known"));
	ds->credential = (int32_t)kind;
	return (copy_text(c, "tenantId", ds->tenant_id, sizeof(ds->tenant_id), err) |
	    copy_text(c, "clientId", ds->client_id, sizeof(ds->client_id), err) |
	    copy_text(c, "thumbprint", ds->thumbprint, sizeof(ds->thumbprint), err) |
	    copy_text(c, "authorityUrl", ds->authority_url, sizeof(ds->authority_url), err) |
	    copy_text(c, "resourceUrl", ds->resource_url, sizeof(ds->resource_url), err));
}

static int
read_store(const struct json *p, struct wire_datastore *ds, struct err *err)
{
	const char *type = json_string(json_get(p, "datastoreType"));
	size_t i;

	for (i = 0; type != NULL && i < LENGTH(stores); i++)
		if (str_same_loose(type, stores[i].name))
			break;
	if (type == NULL)
		return (malformed(err, "there is no \"datastoreType\" in it"));
	if (i == LENGTH(stores))
		return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, read_op,
		    "a datastore of type %.40s cannot be mounted or copied", type));
	ds->type = (int32_t)stores[i].type;
	if ((stores[i].account != NULL && copy_text(p, stores[i].account, ds->account,
	    sizeof(ds->account), err) != 0) ||
	    (stores[i].container != NULL && copy_text(p, stores[i].container, ds->container,
	    sizeof(ds->container), err) != 0) ||
	    copy_text(json_get(p, "artifact"), "artifactName", ds->artifact,
	    sizeof(ds->artifact), err) != 0)
		return (-1);
	return (copy_text(p, "endpoint", ds->endpoint, sizeof(ds->endpoint), err));
}

static int
read_one_datastore(const struct json *o, struct wire_datastore *ret, struct err *err)
{
	const struct json *p = json_get(o, "properties");
	struct wire_datastore ds;
	int is_default = 0;

	memset(&ds, 0, sizeof(ds));
	if (json_type(p) != JSON_OBJECT)
		return (malformed(err, "no datastore: there are no \"properties\" in it"));
	if (copy_text(o, "name", ds.name, sizeof(ds.name), err) != 0 ||
	    read_store(p, &ds, err) != 0 ||
	    read_credentials(json_get(p, "credentials"), &ds, err) != 0)
		return (-1);
	if (json_bool(json_get(p, "isDefault"), &is_default) == 0)
		ds.is_default = is_default;
	*ret = ds;
	return (0);
}

int
arm_read_datastore(const char *body, size_t len, struct wire_datastore *ret, struct err *err)
{
	struct json *root = json_parse(body, len);
	int failed = json_type(root) != JSON_OBJECT ? malformed(err, "not a JSON object") :
	    read_one_datastore(root, ret, err);

	json_free(root);
	return (failed);
}

/* The first of a list; NULL: there is none. */
static const struct json *
first_of(const struct json *root)
{
	const struct json *list = json_get(root, "value");

	return (json_type(list) == JSON_ARRAY ? json_first(list) : NULL);
}

int
arm_read_default(const char *body, size_t len, struct wire_datastore *ret, struct err *err)
{
	struct json *root = json_parse(body, len);
	const struct json *first = first_of(root);
	int failed;

	if (json_type(json_get(root, "value")) != JSON_ARRAY)
		failed = malformed(err, "not a list of datastores");
	else if (first == NULL)
		failed = err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_WORKSPACE, read_op,
		    "the workspace has no default datastore");
	else
		failed = read_one_datastore(first, ret, err);
	json_free(root);
	if (failed == 0)
		ret->is_default = 1;
	return (failed);
}

static int32_t
asset_type(const char *name)
{
	return ((int32_t)(name != NULL ? spec_type_find(name, SPEC_URI_FOLDER) : SPEC_LITERAL));
}

static int
read_one_asset(const struct json *o, struct wire_asset *ret, struct err *err)
{
	const struct json *p = json_get(o, "properties");
	int is_model = json_get(p, "modelUri") != NULL;
	struct wire_asset asset;

	memset(&asset, 0, sizeof(asset));
	if (copy_text(p, is_model ? "modelUri" : "dataUri", asset.uri, sizeof(asset.uri),
	    err) != 0 || copy_text(o, "name", asset.version, sizeof(asset.version), err) != 0)
		return (-1);
	if (asset.uri[0] == '\0')
		return (malformed(err,
		    "no asset: there is neither \"dataUri\" nor \"modelUri\" in it"));
	asset.type = asset_type(json_string(json_get(p, is_model ? "modelType" : "dataType")));
	*ret = asset;
	return (0);
}

int
arm_read_asset(const char *body, size_t len, int is_list, struct wire_asset *ret, struct err *err)
{
	struct json *root = json_parse(body, len);
	int failed;

	if (json_type(root) != JSON_OBJECT ||
	    (is_list && json_type(json_get(root, "value")) != JSON_ARRAY))
		failed = malformed(err, "not what an asset is described by");
	else if (is_list && first_of(root) == NULL)
		failed = err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_WORKSPACE, read_op,
		    "the workspace has no version of it");
	else
		failed = read_one_asset(is_list ? first_of(root) : root, ret, err);
	json_free(root);
	return (failed);
}

int
arm_read_secret(const char *body, size_t len, struct arm_secret *ret, struct err *err)
{
	static const char *const fields[] = {
		[SPEC_CRED_ACCOUNT_KEY] = "key", [SPEC_CRED_SAS] = "sasToken",
		[SPEC_CRED_SERVICE_PRINCIPAL] = "clientSecret",
		[SPEC_CRED_CERTIFICATE] = "certificate",
	};
	struct json *root = json_parse(body, len);
	const char *text = NULL, *flaw = NULL;
	enum spec_credential kind = SPEC_CRED_NONE;
	int failed;

	if (find_credential(json_string(json_get(root, "secretsType")), &kind) == 0 &&
	    kind != SPEC_CRED_NONE)
		text = json_string(json_get(root, fields[kind]));
	if (text != NULL && kind == SPEC_CRED_SAS && *text == '?')
		text++;
	if (text != NULL)
		flaw = spec_secret_flaw(kind, text, strlen(text));
	if (text == NULL || flaw != NULL)
		failed = malformed(err, flaw != NULL ? flaw : "there is no secret in it");
	else
		failed = secret_set(&ret->text, text, strlen(text), err);
	if (failed == 0)
		ret->kind = kind;
	json_free(root);
	return (failed);
}

/* ---- refusals ---------------------------------------------------------- */

/* The text between quotes behind words. */
static int
quoted(const char *message, const char *words, char *to, size_t size)
{
	const char *start = strstr(message, words), *end;

	if (start == NULL)
		return (-1);
	start += strlen(words);
	end = strchr(start, '\'');
	if (end == NULL || end == start || (size_t)(end - start) >= size)
		return (-1);
	memcpy(to, start, (size_t)(end - start));
	to[end - start] = '\0';
	return (0);
}

int
arm_read_denial(const char *message, char oid[64], char action[128])
{
	return (quoted(message, "with object id '", oid, 64) != 0 ||
	    quoted(message, "to perform action '", action, 128) != 0 ? -1 : 0);
}

/* "The client 'C' with object id 'O' does not have authorization to perform action 'A' ..." */
static void
explain_denied(const struct rest_refusal *told, struct err *err)
{
	char oid[64], action[128];

	err->kind = ERR_DENIED;
	err->remedy = REMEDY_GRANT_WORKSPACE;
	if (arm_read_denial(told->message, oid, action) == 0)
		str_format(err->cause, sizeof(err->cause), "%s: object id %s may not perform %s",
		    told->code, oid, action);
}

static void
explain(const struct http_response *r, struct err *err)
{
	struct rest_refusal told;
	char text[384];

	if (r->status < 300 || err->http_status != r->status)
		return;		/* the failure was not this answer */
	rest_read_refusal(buf_str(&r->error_body), r->error_body.len, &told);
	if (told.code[0] != '\0')
		str_format(err->cause, sizeof(err->cause), "%s",
		    rest_refusal_text(&told, text, sizeof(text)));
	if (r->status == 403 && strcmp(told.code, "AuthorizationFailed") == 0)
		explain_denied(&told, err);
	else if (strcmp(told.code, "InvalidAuthenticationTokenTenant") == 0)
		err->remedy = REMEDY_CHECK_TENANT;
	else if (r->status == 401 || r->status == 403)
		err->remedy = REMEDY_CHECK_ENDPOINT;
	else if (r->status == 404)
		err->remedy = REMEDY_CHECK_WORKSPACE;
}

/* ---- calls ------------------------------------------------------------- */

/* "/SEGMENT"; "." and ".." would climb. */
static int
add_segment(struct buf *url, const char *text, struct err *err)
{
	if (text[0] == '\0' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return (err_set(err, ERR_USAGE, REMEDY_CHECK_WORKSPACE, "ask the workspace",
		    "\"%s\" is no name of a subscription, group, workspace, datastore or asset",
		    text));
	buf_addc(url, '/');
	return (uri_encode(url, text, strlen(text), 0));
}

static int
begin_url(const struct arm *arm, const struct spec_workspace *w, const char *kind,
    struct buf *url, struct err *err)
{
	buf_printf(url, "%s/subscriptions", arm->endpoint);
	if (add_segment(url, w->subscription, err) != 0)
		return (-1);
	buf_adds(url, "/resourceGroups");
	if (add_segment(url, w->resource_group, err) != 0)
		return (-1);
	buf_adds(url, "/providers/Microsoft.MachineLearningServices/workspaces");
	if (add_segment(url, w->name, err) != 0)
		return (-1);
	buf_printf(url, "/%s", kind);
	return (0);
}

static int
call(const struct arm *arm, struct rest *r, struct buf *url, const char *query, struct err *err)
{
	buf_printf(url, "?api-version=%s%s", arm->api_version, query);
	r->url = buf_str(url);
	r->resource = arm->resource;
	r->bearer = arm->bearer;
	r->deadline_ms = arm->deadline_ms;
	if (rest_do(arm->http, r, err) == 0)
		return (0);
	if (err != NULL)
		explain(&r->call.response, err);
	return (-1);
}

/* What a reader of the answer did not know. */
static int
finish(struct rest *r, int failed, struct err *err)
{
	char url[320];

	if (failed != 0) {
		err_on(err, "%s", http_printable_url(r->url != NULL ? r->url : "", url,
		    sizeof(url)));
		if (r->bearer != NULL)
			err_as(err, r->bearer->label);
	}
	rest_done(r);
	return (failed);
}

int
arm_datastore(const struct arm *arm, const struct spec_workspace *w, const char *name,
    struct wire_datastore *ret, struct err *err)
{
	auto_buf struct buf url = BUF_EMPTY;
	struct rest r = { .op = "get the datastore's description", .method = "GET" };
	const struct buf *body = &r.call.response.error_body;
	int failed = begin_url(arm, w, "datastores", &url, err);

	if (failed == 0 && name != NULL)
		failed = add_segment(&url, name, err);
	if (failed == 0)
		failed = call(arm, &r, &url, name != NULL ? "" :
		    "&isDefault=true&count=1&orderByAsc=false", err);
	if (failed == 0)
		failed = (name != NULL ? arm_read_datastore : arm_read_default)(buf_str(body),
		    body->len, ret, err);
	return (finish(&r, failed, err));
}

int
arm_asset(const struct arm *arm, const struct spec_workspace *w, int is_model, const char *name,
    const char *version, struct wire_asset *ret, struct err *err)
{
	auto_buf struct buf url = BUF_EMPTY;
	struct rest r = { .op = is_model ? "get the model's description" :
	    "get the data asset's description", .method = "GET" };
	const struct buf *body = &r.call.response.error_body;
	int failed = begin_url(arm, w, is_model ? "models" : "data", &url, err);

	if (failed == 0)
		failed = add_segment(&url, name, err);
	buf_adds(&url, "/versions");
	if (failed == 0 && version != NULL)
		failed = add_segment(&url, version, err);
	if (failed == 0)
		failed = call(arm, &r, &url, version != NULL ? "" :
		    "&%24orderBy=createdtime%20desc&%24top=1", err);
	if (failed == 0)
		failed = arm_read_asset(buf_str(body), body->len, version == NULL, ret, err);
	return (finish(&r, failed, err));
}

int
arm_list_secrets(const struct arm *arm, const struct spec_workspace *w, const char *name,
    struct arm_secret *ret, struct err *err)
{
	auto_buf struct buf url = BUF_EMPTY;
	struct rest r = { .op = "get the datastore's secret", .method = "POST",
	    .body = strcmp(arm->api_version, EXPIRABLE_SINCE) >= 0 ? EXPIRABLE_BODY : "{}" };
	const struct buf *body = &r.call.response.error_body;
	int failed = begin_url(arm, w, "datastores", &url, err);

	if (failed == 0)
		failed = add_segment(&url, name, err);
	buf_adds(&url, "/listSecrets");
	if (failed == 0)
		failed = call(arm, &r, &url, "", err);
	if (failed == 0)
		failed = arm_read_secret(buf_str(body), body->len, ret, err);
	return (finish(&r, failed, err));
}
