#include "dfs.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/uri.h"
#include "blob.h"
#include "gate.h"

#define DEPTH_MAX	63
#define VERSION_MIN	"2018-11-09"

struct dfs_op {
	struct blob_op base;
	const char *resource, *action;	/* NULL: must be absent */
	int	 is_rename;
};

#define FS	LEVEL_CONTAINER
#define PATH	LEVEL_BLOB

/* Letters of a SAS: learn.microsoft.com "Create a service SAS", permissions for a directory. */
static const struct dfs_op ops[] = {
	{ { "ListPaths", "GET", FS, NULL, NULL, -1, " recursive directory maxResults continuation "
	    "upn ", "l", "l", ROLE_READER, dfs_list }, "filesystem", NULL, 0 },
	{ { "RenamePath", "PUT", PATH, NULL, NULL, -1, " mode continuation ", "mcw", "mcw",
	    ROLE_CONTRIBUTOR, dfs_rename }, NULL, NULL, 1 },
	{ { "CreatePath", "PUT", PATH, NULL, NULL, -1, " continuation mode ", "cw", "cw",
	    ROLE_CONTRIBUTOR, dfs_create }, "directory file", NULL, 0 },
	{ { "AppendData", "PATCH", PATH, NULL, NULL, -1, " position flush ", "aw", "aw",
	    ROLE_CONTRIBUTOR, dfs_append }, NULL, "append", 0 },
	{ { "FlushData", "PATCH", PATH, NULL, NULL, -1, " position close retainUncommittedData ",
	    "w", "w", ROLE_CONTRIBUTOR, dfs_flush }, NULL, "flush", 0 },
	{ { "SetAccessControl", "PATCH", PATH, NULL, NULL, -1, "", "po", "po", ROLE_CONTRIBUTOR,
	    dfs_set_access }, NULL, "setAccessControl", 0 },
	{ { "SetAccessControlRecursive", "PATCH", PATH, NULL, NULL, -1, " mode continuation "
	    "forceFlag maxRecords ", "p", "p", ROLE_CONTRIBUTOR, dfs_set_access_recursive }, NULL,
	    "setAccessControlRecursive", 0 },
	{ { "ReadPath", "GET", PATH, NULL, NULL, -1, "", "r", "r", ROLE_READER, blob_get },
	    NULL, NULL, 0 },
	{ { "GetPathStatus", "HEAD", PATH, NULL, NULL, -1, " upn ", "re", "r", ROLE_READER,
	    dfs_get_status }, NULL, NULL, 0 },
	{ { "GetPathStatus", "HEAD", PATH, NULL, NULL, -1, " upn ", "re", "r", ROLE_READER,
	    dfs_get_status }, NULL, "getStatus", 0 },
	{ { "GetAccessControl", "HEAD", PATH, NULL, NULL, -1, " upn ", "re", "r", ROLE_READER,
	    dfs_get_status }, NULL, "getAccessControl", 0 },
	{ { "DeletePath", "DELETE", PATH, NULL, NULL, -1, " recursive continuation paginated ", "d",
	    "d", ROLE_CONTRIBUTOR, dfs_delete }, NULL, NULL, 0 },
};

/* Of the service, but not of the simulator. */
static const char other_words[] = " checkAccess setProperties account ";

static const char sas_params[] = " sv ss srt sp st se sip spr sr si skoid sktid skt ske sks skv "
    "saoid suoid scid skdutid sduoid sdd ses sig rscc rscd rsce rscl rsct ";

static const char known_headers[] = " x-ms-acl x-ms-cache-control x-ms-client-request-id "
    "x-ms-client-transaction-id x-ms-content-disposition x-ms-content-encoding "
    "x-ms-content-language x-ms-content-md5 x-ms-content-type x-ms-date x-ms-group x-ms-owner "
    "x-ms-permissions x-ms-properties x-ms-range x-ms-range-get-content-md5 x-ms-rename-source "
    "x-ms-source-if-match x-ms-source-if-modified-since x-ms-source-if-none-match "
    "x-ms-source-if-unmodified-since x-ms-umask x-ms-useragent x-ms-version ";

/* Ignored by OneLake, and named in its answer. */
static const char *const rejected_headers[] = { "x-ms-owner", "x-ms-group", "x-ms-permissions",
    "x-ms-acl" };

static int
is_listed(const char *list, const char *word)
{
	char spaced[96];

	return (word[0] != '\0' && strchr(word, ' ') == NULL &&
	    str_format(spaced, sizeof(spaced), " %s ", word) == 0 &&
	    strcasestr(list, spaced) != NULL);
}

static int
fits(const char *wanted, const char *given)
{
	char list[64];

	if (wanted == NULL || given == NULL)
		return (wanted == NULL && given == NULL);
	str_format(list, sizeof(list), " %s ", wanted);
	return (is_listed(list, given));
}

static const struct dfs_op *
find_op(const struct exchange *ex)
{
	const char *resource = exchange_param(ex, "resource");
	const char *action = exchange_param(ex, "action");
	int is_rename = exchange_header(ex, "x-ms-rename-source") != NULL;
	enum blob_level level = ex->blob != NULL ? PATH : FS;
	size_t i;

	for (i = 0; i < LENGTH(ops); i++)
		if (ops[i].base.level == level && ops[i].is_rename == is_rename &&
		    strcmp(ops[i].base.method, ex->req->method) == 0 &&
		    fits(ops[i].resource, resource) && fits(ops[i].action, action))
			return (&ops[i]);
	return (NULL);
}

/* Does the request say something that the Blob endpoint does not know? */
static int
is_ours(const struct exchange *ex)
{
	static const char *const words[] = { "resource", "action", "recursive", "mode",
	    "continuation" };
	size_t i;

	for (i = 0; i < LENGTH(words); i++)
		if (exchange_param(ex, words[i]) != NULL)
			return (1);
	return (exchange_header(ex, "x-ms-rename-source") != NULL);
}

/* The first segment of *path, decoded; NULL: none, or bad. */
static char *
take_segment(struct exchange *ex, const char **path)
{
	size_t n = strcspn(*path, "/");
	char *segment = arena_strndup(&ex->mem, *path, n);

	*path += n;
	return (n == 0 || uri_decode(segment) <= 0 ? NULL : segment);
}

/* FILESYSTEM, FILESYSTEM/ (its root) or FILESYSTEM/PATH. */
static int
take_names(struct exchange *ex, const char *path)
{
	size_t n;

	if ((ex->container = take_segment(ex, &path)) == NULL)
		return (refuse(ex, "InvalidUri"));
	if (*path == '\0') {
		/* What acts on a path acts on the root then. */
		ex->blob = exchange_param(ex, "resource") != NULL ? NULL :
		    arena_strdup(&ex->mem, "");
		return (0);
	}
	ex->blob = arena_strdup(&ex->mem, path + 1);
	if (uri_decode(ex->blob) < 0)
		return (refuse(ex, "InvalidUri"));
	n = strlen(ex->blob);
	if (n > 0 && ex->blob[n - 1] == '/')
		ex->blob[n - 1] = '\0';
	if (ex->blob[0] == '\0' && exchange_param(ex, "resource") != NULL)
		ex->blob = NULL;
	return (0);
}

int
dfs_route(struct exchange *ex)
{
	const char *path = ex->req->path + 1, *account = blob_account_of_host(ex, ".dfs.");
	const struct dfs_op *op;

	if (account == NULL && (blob_account_of_host(ex, ".blob.") != NULL || !is_ours(ex)))
		return (-1);
	ex->service = SERVICE_DFS;
	ex->version = exchange_header(ex, "x-ms-version");
	if (ex->version == NULL)
		ex->version = "";
	if (account == NULL) {
		account = take_segment(ex, &path);
		path += *path == '/';
		ex->path_style = 1;
	}
	ex->account = account == NULL ? NULL : model_account(&ex->sim->model, account);
	if (ex->account == NULL)
		refuse(ex, "ResourceNotFound");
	else if (take_names(ex, path) == 0 && (op = find_op(ex)) != NULL)
		ex->op = op->base.name;
	return (0);
}

static int
check_names(struct exchange *ex)
{
	const char *c;
	int depth = 1;

	if (!ex->account->onelake && !blob_is_container_name(ex->container))
		return (refuse(ex, "InvalidResourceName"));
	if (ex->blob == NULL || ex->blob[0] == '\0')
		return (0);
	if (!blob_is_name(ex->blob) || ex->blob[0] == '/' || strstr(ex->blob, "//") != NULL)
		return (refuse(ex, "InvalidUri"));
	for (c = ex->blob; *c != '\0'; c++)
		depth += *c == '/';
	return (depth > DEPTH_MAX ? refuse(ex, "PathIsTooDeep") : 0);
}

static int
check_params(struct exchange *ex, const struct dfs_op *op)
{
	int has_sas = exchange_param(ex, "sig") != NULL;
	size_t i;

	for (i = 0; i < ex->nparams; i++) {
		const char *name = ex->params[i].name;

		if (!is_listed(" resource action timeout ", name) &&
		    !is_listed(op->base.params, name) &&
		    !(has_sas && is_listed(sas_params, name)))
			return (refuse(ex, "UnsupportedQueryParameter"));
	}
	return (0);
}

static int
check_headers(struct exchange *ex)
{
	size_t i;

	for (i = 0; i < ex->req->nheaders; i++) {
		const char *name = ex->req->headers[i].name;

		if (str_starts(name, "x-ms-lease-") || str_starts(name, "x-ms-encryption-") ||
		    str_starts(name, "x-ms-proposed-"))
			return (refuse(ex, "NotImplemented"));
		if (str_starts(name, "x-ms-") && !is_listed(known_headers, name))
			return (refuse(ex, "UnsupportedHeader"));
	}
	return (0);
}

int
dfs_is_managed(const struct account *a, const char *path)
{
	const char *slash = strchr(path, '/');

	return (a->onelake && (slash == NULL || strchr(slash + 1, '/') == NULL));
}

/* What OneLake allows: reading all, changing what lies in an item's folders. */
static int
check_onelake(struct exchange *ex, const struct dfs_op *op)
{
	const char *names = "";
	size_t i;

	if (!ex->account->onelake)
		return (0);
	if (op->action != NULL && str_starts(op->action, "setAccessControl"))
		return (refuse(ex, "UnsupportedQueryParameter"));
	if (op->base.role == ROLE_CONTRIBUTOR && dfs_is_managed(ex->account, ex->blob))
		return (refuse(ex, "OperationNotAllowedOnManagedFolder"));
	for (i = 0; i < LENGTH(rejected_headers); i++)
		if (exchange_header(ex, rejected_headers[i]) != NULL)
			names = arena_printf(&ex->mem, "%s%s%s", names, names[0] != '\0' ? "," : "",
			    rejected_headers[i]);
	if (names[0] != '\0')
		answer_header(ex, "x-ms-rejected-headers", "%s", names);
	return (0);
}

static int
refuse_op(struct exchange *ex)
{
	const char *action = exchange_param(ex, "action");
	const char *resource = exchange_param(ex, "resource");

	if ((action != NULL && is_listed(other_words, action)) ||
	    (resource != NULL && is_listed(other_words, resource)) ||
	    strcmp(ex->req->method, "POST") == 0 || (ex->blob == NULL && resource != NULL))
		return (refuse(ex, "NotImplemented"));
	if (strcmp(ex->req->method, "PUT") == 0 && resource == NULL)
		return (refuse(ex, "MissingRequiredQueryParameter"));
	return (action != NULL || resource != NULL ? refuse(ex, "InvalidQueryParameterValue") :
	    refuse(ex, "UnsupportedHttpVerb"));
}

int
dfs_handle(struct exchange *ex)
{
	const struct dfs_op *op;

	if (ex->code != NULL)
		return (-1);
	op = find_op(ex);
	if (!ex->account->network_allow || !ex->account->dfs_allow)
		return (refuse(ex, "AuthorizationFailure"));
	if (ex->account->https_only && ex->peer->tls == NULL)
		return (refuse(ex, "AccountRequiresHttps"));
	if (gate_authenticate(ex) != 0)
		return (-1);
	if (ex->version[0] != '\0' && !blob_version_from(ex, VERSION_MIN))
		return (refuse(ex, "UnsupportedRestVersion"));
	if (op == NULL)
		return (refuse_op(ex));
	if (check_names(ex) != 0 || check_params(ex, op) != 0 || check_headers(ex) != 0 ||
	    gate_authorize(ex, &op->base) != 0)
		return (-1);
	/* What is left of this interface on flat accounts is not simulated. */
	if (!ex->account->hns)
		return (refuse(ex, op->action != NULL &&
		    strstr(op->action, "AccessControl") != NULL ?
		    "HierarchicalNamespaceNotEnabled" : "NotImplemented"));
	if ((strcmp(ex->req->method, "PUT") == 0 || strcmp(ex->req->method, "PATCH") == 0) &&
	    ex->req->content_length < 0)
		return (refuse(ex, "MissingContentLengthHeader"));
	if (op->base.run != dfs_append && ex->req->content_length > 0)
		return (refuse(ex, "ContentLengthMustBeZero"));
	return (check_onelake(ex, op) != 0 ? -1 : op->base.run(ex));
}

int
dfs_answer_refusal(struct exchange *ex, int status, const char *code, const char *message)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "error");
	json_out_begin(&out, '{');
	json_out_kstring(&out, "code", code);
	json_out_kstring(&out, "message", arena_printf(&ex->mem, "%s\nRequestId:%s", message,
	    ex->request_id));
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	if (strcmp(ex->req->method, "HEAD") == 0 || status == 304)
		return (answer_length(ex, status, status == 304 ? -1 : 0));
	return (answer(ex, status, "application/json;charset=utf-8", body.data, body.len));
}
