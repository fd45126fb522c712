#include "gen1.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"

#define AUDIENCE	"https://datalake.azure.net"
#define BEARER_SKEW_S	300

struct op {
	const char *name, *method;
	const char *direct;		/* "=true" in the query, else a redirect names it; NULL */
	const char *params;		/* others that it takes, between spaces */
	enum gen1_need need;
	int	(*run)(struct exchange *);
};

static const struct op ops[] = {
	{ "LISTSTATUS", "GET", NULL, " listSize listAfter listBefore tooId ", GEN1_LIST,
	    gen1_list_status },
	{ "GETFILESTATUS", "GET", NULL, " tooId ", GEN1_TRAVERSE, gen1_get_file_status },
	{ "OPEN", "GET", "read", " offset length fileSessionId ", GEN1_READ, gen1_open },
	{ "CREATE", "PUT", "write", " overwrite permission syncFlag leaseId fileSessionId "
	    "CreateParent ", GEN1_WRITE, gen1_create },
	{ "APPEND", "POST", "append", " offset syncFlag leaseId fileSessionId ", GEN1_WRITE,
	    gen1_append },
	{ "MKDIRS", "PUT", NULL, " permission ", GEN1_WRITE, gen1_mkdirs },
	{ "RENAME", "PUT", NULL, " destination renameoptions ", GEN1_WRITE, gen1_rename },
	{ "DELETE", "DELETE", NULL, " recursive ", GEN1_WRITE, gen1_delete },
};

static const char versions[] = " 2015-10-01-preview 2016-11-01 2018-05-01 2018-09-01 ";

/* ---- refusals ---------------------------------------------------------- */

static const struct refusal {
	const char *exception, *package;
	int	 status;
	const char *message;
} refusals[] = {
	{ "FileNotFoundException", "java.io.", 404, "File/Folder does not exist: %s" },
	{ "FileAlreadyExistsException", "org.apache.hadoop.fs.", 403, "%s already exists." },
	{ "AccessControlException", "org.apache.hadoop.security.", 403, "%s failed with error "
	    "0x83090aa2 (Forbidden. ACL verification failed. Either the resource does not exist "
	    "or the user is not authorized to perform the requested operation.)." },
	{ "PathIsNotEmptyDirectoryException", "org.apache.hadoop.fs.", 403,
	    "`%s is non empty': Directory is not empty" },
	{ "IOException", "java.io.", 403, "%s is not possible." },
	{ "IllegalArgumentException", "java.lang.", 400, "Invalid request for %s." },
	{ "BadOffsetException", "org.apache.hadoop.fs.adl.", 400,
	    "%s: the offset is not the end of the stream." },
	{ "UnsupportedOperationException", "java.lang.", 400, "%s: azsim does not know it." },
	{ "SecurityException", "java.lang.", 401, "The token for %s was not accepted." },
	{ "ThrottledException", "java.io.", 429, "Too many requests for %s." },
	{ "RuntimeException", "java.lang.", 500, "%s failed." },
};

static const struct refusal *
find_refusal(const char *exception)
{
	size_t i;

	for (i = 0; i < LENGTH(refusals) - 1; i++)
		if (strcmp(refusals[i].exception, exception) == 0)
			break;
	return (&refusals[i]);
}

void
gen1_answer_refusal(struct exchange *ex, int status)
{
	const struct refusal *r = find_refusal(ex->code);
	auto_buf struct buf body = BUF_EMPTY;
	auto_buf struct buf message = BUF_EMPTY;
	const char *at = strstr(r->message, "%s");
	struct json_out out;

	buf_add(&message, r->message, (size_t)(at - r->message));
	buf_printf(&message, "/%s%s [%s]", ex->blob != NULL ? ex->blob : "", at + 2,
	    ex->request_id);
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "RemoteException");
	json_out_begin(&out, '{');
	json_out_kstring(&out, "exception", ex->code);
	json_out_kstring(&out, "message", message.data);
	json_out_kstring(&out, "javaClassName", arena_printf(&ex->mem, "%s%s", r->package,
	    ex->code));
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	answer(ex, status != 0 ? status : r->status, "application/json; charset=utf-8",
	    body.data, body.len);
}

/* ---- who asks ---------------------------------------------------------- */

static int
is_audience(const char *aud)
{
	size_t n = strlen(aud);

	if (n > 0 && aud[n - 1] == '/')
		n--;
	return (n == strlen(AUDIENCE) && strncmp(aud, AUDIENCE, n) == 0);
}

static int
authenticate(struct exchange *ex)
{
	const char *text = exchange_header(ex, "authorization");
	int64_t now = sim_now(ex->sim);
	struct jwt_claims claims;

	if (text == NULL || !str_starts(text, "Bearer "))
		return (-1);
	ex->auth = AUTH_BEARER;
	text += strlen("Bearer ");
	if (jwt_verify(&ex->sim->people.key, text, strlen(text), &claims) != 0)
		return (-1);
	str_format(ex->oid, sizeof(ex->oid), "%s", claims.oid);
	return (claims.exp <= now || claims.nbf > now + BEARER_SKEW_S ||
	    !is_audience(claims.aud) || !str_same(claims.tid, ex->account->tenant) ? -1 : 0);
}

int
gen1_may(struct exchange *ex, const char *path, enum gen1_need need)
{
	static const enum acl_need needs[] = { [GEN1_TRAVERSE] = ACL_TRAVERSE,
	    [GEN1_READ] = ACL_READ, [GEN1_LIST] = ACL_LIST, [GEN1_WRITE] = ACL_WRITE };
	enum role_kind role = people_role(&ex->sim->people, ex->oid, ex->account->name,
	    GEN1_CONTAINER);

	return (role >= (need == GEN1_WRITE ? ROLE_CONTRIBUTOR : ROLE_READER) ||
	    acl_allows(&ex->sim->acls, ex->oid, ex->account->name, GEN1_CONTAINER, path,
	    needs[need]));
}

/* ---- what is asked ----------------------------------------------------- */

static const struct op *
find_op(const struct exchange *ex)
{
	const char *name = exchange_param(ex, "op");
	size_t i;

	for (i = 0; i < LENGTH(ops); i++)
		if (name != NULL && strcasecmp(ops[i].name, name) == 0)
			return (&ops[i]);
	return (NULL);
}

static int
is_listed(const char *list, const char *word)
{
	char spaced[64];

	return (strchr(word, ' ') == NULL &&
	    str_format(spaced, sizeof(spaced), " %s ", word) == 0 &&
	    strcasestr(list, spaced) != NULL);
}

/* *path moves behind the account, if it is ours. */
static struct account *
find_account(struct exchange *ex, const char **path)
{
	const char *host = exchange_header(ex, "host");
	size_t n = host != NULL ? strcspn(host, ".:") : 0;
	struct account *a = NULL;

	if (n > 0 && host[n] == '.')
		a = model_account(&ex->sim->model, arena_strndup(&ex->mem, host, n));
	if (a == NULL) {
		n = strcspn(*path + 1, "/");
		a = model_account(&ex->sim->model, arena_strndup(&ex->mem, *path + 1, n));
		*path += a != NULL ? n + 1 : 0;
		ex->path_style = 1;
	}
	return (a != NULL && a->gen1 ? a : NULL);
}

int
gen1_route(struct exchange *ex)
{
	const char *path = ex->req->path, *op = exchange_param(ex, "op");
	const struct op *known = find_op(ex);
	struct account *a = find_account(ex, &path);

	if (a == NULL)
		return (-1);
	ex->service = SERVICE_GEN1;
	ex->account = a;
	ex->container = arena_strdup(&ex->mem, GEN1_CONTAINER);
	ex->op = known != NULL ? known->name : op != NULL ? "Other" : "None";
	if (str_starts(path, "/webhdfs/v1")) {
		path += strlen("/webhdfs/v1");
		ex->blob = arena_strdup(&ex->mem, path + strspn(path, "/"));
	}
	return (0);
}

/* Decoded, without '/' at its end. */
static int
check_path(struct exchange *ex)
{
	size_t n;

	if (uri_decode(ex->blob) < 0)
		return (refuse(ex, "IllegalArgumentException"));
	for (n = strlen(ex->blob); n > 0 && ex->blob[n - 1] == '/'; n--)
		ex->blob[n - 1] = '\0';
	return (strstr(ex->blob, "//") != NULL ? refuse(ex, "IllegalArgumentException") : 0);
}

static int
check_params(struct exchange *ex, const struct op *op)
{
	const char *version = exchange_param(ex, "api-version");
	size_t i;

	if (version != NULL && !is_listed(versions, version))
		return (refuse(ex, "IllegalArgumentException"));
	for (i = 0; i < ex->nparams; i++) {
		const char *name = ex->params[i].name;

		if (!is_listed(" op api-version ", name) && !is_listed(op->params, name) &&
		    (op->direct == NULL || strcasecmp(op->direct, name) != 0))
			return (refuse(ex, "IllegalArgumentException"));
	}
	return (0);
}

/* Classic WebHDFS sends the client to a data node first; here that is ourselves. */
static int
redirect(struct exchange *ex, const struct op *op)
{
	answer_header(ex, "Location", "https://%s%s?%s&%s=true", exchange_header(ex, "host"),
	    ex->req->path, ex->req->query, op->direct);
	return (answer(ex, 307, NULL, "", 0));
}

int
gen1_handle(struct exchange *ex)
{
	const struct op *op = find_op(ex);
	const char *direct = op != NULL && op->direct != NULL ? exchange_param(ex, op->direct) :
	    "true";

	if (ex->peer->tls == NULL || authenticate(ex) != 0)
		return (refuse(ex, "SecurityException"));
	if (op == NULL || ex->blob == NULL)
		return (refuse(ex, "UnsupportedOperationException"));
	if (strcmp(op->method, ex->req->method) != 0)
		return (refuse(ex, "IllegalArgumentException"));
	if (check_path(ex) != 0 || check_params(ex, op) != 0)
		return (-1);
	if (!gen1_may(ex, ex->blob, op->need))
		return (refuse(ex, "AccessControlException"));
	if (direct == NULL)
		return (redirect(ex, op));
	if (strcasecmp(direct, "true") != 0)
		return (refuse(ex, "IllegalArgumentException"));
	return (op->run(ex));
}
