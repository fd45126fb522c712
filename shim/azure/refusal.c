#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "azure/challenge.h"
#include "azure/refusal.h"
#include "base/httpd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/uri.h"
#include "base/xml.h"

#define CLOCK_SKEW_S	300	/* the service refuses 15 min; what is left may be a slow host */

struct row {
	int		 status;	/* 0: any */
	const char	*code;		/* NULL: any */
	enum err_kind	 kind;
	enum err_remedy	 remedy;
	int		 sys_errno;
};

/*
 * The first row that fits counts.  Where the table's remedy is only the
 * commonest case, special() below looks closer.
 */
static const struct row rows[] = {
	{ 400, "InvalidAuthenticationInfo", ERR_PROTOCOL, REMEDY_REPORT_BUG, EIO },
	{ 400, "AccountRequiresHttps", ERR_USAGE, REMEDY_USE_HTTPS, EACCES },
	{ 0, "NoAuthenticationInformation", ERR_DENIED, REMEDY_ASSIGN_IDENTITY, EACCES },
	{ 0, "InvalidAuthenticationInfo", ERR_DENIED, REMEDY_RETRY_LATER, EACCES },
	{ 0, "AuthenticationFailed", ERR_DENIED, REMEDY_RENEW_KEY, EACCES },
	{ 0, "AuthorizationPermissionMismatch", ERR_DENIED, REMEDY_GRANT_DATA_READER, EACCES },
	{ 0, "AuthorizationFailure", ERR_DENIED, REMEDY_OPEN_NETWORK, EACCES },
	{ 0, "AuthorizationSourceIPMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 0, "AuthorizationProtocolMismatch", ERR_DENIED, REMEDY_USE_HTTPS, EACCES },
	{ 0, "AuthorizationServiceMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 0, "AuthorizationResourceTypeMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 0, "UnauthorizedBlobOverwrite", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 0, "KeyBasedAuthenticationNotPermitted", ERR_DENIED, REMEDY_SHARED_KEY_DISABLED,
	    EACCES },
	{ 0, "PublicAccessNotPermitted", ERR_DENIED, REMEDY_ASSIGN_IDENTITY, EACCES },
	{ 0, "InsufficientAccountPermissions", ERR_DENIED, REMEDY_ASK_OWNER, EACCES },
	{ 0, "AccountIsDisabled", ERR_DENIED, REMEDY_ASK_OWNER, EACCES },
	{ 0, "RequestForbiddenByContainerEncryptionPolicy", ERR_DENIED, REMEDY_ASK_OWNER, EACCES },
	{ 0, "ContainerNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "FilesystemNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "ResourceNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "AccountNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, EHOSTUNREACH },
	{ 0, "BlobNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "PathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "BlobAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 0, "PathAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 0, "SourcePathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "RenameDestinationParentPathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "InvalidRenameSourcePath", ERR_USAGE, REMEDY_CHECK_NAME, EINVAL },
	{ 0, "InvalidSourceOrDestinationResourceType", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 0, "ResourceTypeMismatch", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 0, "PathConflict", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 0, "DestinationPathIsBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "SourcePathIsBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "FilesystemBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "ContainerAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 0, "LeaseAlreadyPresent", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "LeaseIdMissing", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "LeaseIdMismatchWithBlobOperation", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "ContainerBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 0, "BlobBeingRehydrated", ERR_UNREACHABLE, REMEDY_REHYDRATE, EBUSY },
	{ 0, "BlobArchived", ERR_UNREACHABLE, REMEDY_REHYDRATE, EIO },
	{ 0, "BlobImmutableDueToPolicy", ERR_DENIED, REMEDY_ASK_OWNER, EPERM },
	{ 0, "SnapshotsPresent", ERR_DENIED, REMEDY_NONE, EBUSY },
	{ 0, "DirectoryNotEmpty", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 0, "DirectoryIsNotEmpty", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 0, "InvalidFlushPosition", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "FeatureVersionMismatch", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "PathIsTooDeep", ERR_USAGE, REMEDY_CHECK_NAME, ENAMETOOLONG },
	{ 0, "RequestBodyTooLarge", ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 0, "BlockCountExceedsLimit", ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 0, "InvalidRange", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 0, "ConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 0, "TargetConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 0, "SourceConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 0, "InvalidBlockList", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "InvalidHeaderValue", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "InvalidQueryParameterValue", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "Md5Mismatch", ERR_PROTOCOL, REMEDY_RETRY_LATER, EIO },
	{ 0, "ServerBusy", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 0, "InternalError", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 0, "OperationTimedOut", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	/* ADLS Gen1: org.apache.hadoop and java names without their package. */
	{ 0, "AccessControlException", ERR_DENIED, REMEDY_GRANT_GEN1_ACL, EACCES },
	{ 0, "SecurityException", ERR_DENIED, REMEDY_TOKEN_AUDIENCE, EACCES },
	{ 0, "FileNotFoundException", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 0, "FileAlreadyExistsException", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 0, "PathIsNotEmptyDirectoryException", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 0, "BadOffsetException", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 0, "ThrottledException", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 0, "IOException", ERR_PROTOCOL, REMEDY_NONE, EIO },
	/* Without a code it is no storage service that speaks: a proxy, a firewall. */
	{ 401, NULL, ERR_DENIED, REMEDY_CHECK_ENDPOINT, EACCES },
	{ 403, NULL, ERR_DENIED, REMEDY_CHECK_ENDPOINT, EACCES },
	{ 404, NULL, ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 408, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, ETIMEDOUT },
	{ 409, NULL, ERR_PROTOCOL, REMEDY_NONE, EBUSY },
	{ 412, NULL, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 413, NULL, ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 416, NULL, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 429, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 500, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 502, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 503, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 504, NULL, ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 507, NULL, ERR_DENIED, REMEDY_NONE, EACCES },
	{ 0, NULL, ERR_PROTOCOL, REMEDY_NONE, EIO },
};

/* ---- the body of an error ---------------------------------------------- */

struct told {
	char	code[96];
	char	message[256];
	char	detail[256];	/* AuthenticationErrorDetail */
};

static void
copy_line(char *to, size_t size, const char *text)
{
	str_format(to, size, "%.*s", (int)strcspn(text, "\r\n"), text);
}

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	(void)arg;
	(void)name;
	(void)attributes;
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct told *t = arg;

	(void)len;
	if (strcmp(name, "Code") == 0)
		copy_line(t->code, sizeof(t->code), text);
	else if (strcmp(name, "Message") == 0)
		copy_line(t->message, sizeof(t->message), text);
	else if (strcmp(name, "AuthenticationErrorDetail") == 0)
		copy_line(t->detail, sizeof(t->detail), text);
}

static void
read_xml(const struct buf *body, struct told *t)
{
	static const struct xml_handler handler = { on_begin, on_end };
	struct xml *x = xml_new(&handler, t);

	/* A body that was cut has told its code before that. */
	(void)xml_feed(x, body->data, body->len, 1, NULL);
	xml_free(x);
}

static void
read_json(const struct buf *body, struct told *t)
{
	struct json *root = json_parse(body->data, body->len);
	const struct json *remote = json_get(root, "RemoteException");
	const struct json *e = remote != NULL ? remote : json_get(root, "error");
	const char *code = json_string(json_get(e, remote != NULL ? "exception" : "code"));
	const char *message = json_string(json_get(e, "message"));

	if (code != NULL)
		copy_line(t->code, sizeof(t->code), code);
	if (message != NULL)
		copy_line(t->message, sizeof(t->message), message);
	json_free(root);
}

static void
read_body(const struct http_response *r, struct told *t)
{
	const struct buf *body = &r->error_body;

	memset(t, 0, sizeof(*t));
	if (body->len > 0 && body->data[0] == '{')
		read_json(body, t);
	else if (body->len > 0)
		read_xml(body, t);
	if (r->error_code[0] != '\0')
		copy_line(t->code, sizeof(t->code), r->error_code);
}

void
refusal_code(const struct http_response *r, char code[96])
{
	struct told told;

	read_body(r, &told);
	memcpy(code, told.code, sizeof(told.code));
}

/* ---- looking closer ---------------------------------------------------- */

int
refusal_challenge_tenant(const char *challenge, char tenant[37])
{
	char url[256];
	const struct challenge_field field = { "authorization_uri", url, sizeof(url) };
	const char *p;

	/* What follows the URL does not matter. */
	(void)challenge_read(challenge, "Bearer", &field, 1);
	for (p = strchr(url, '/'); p != NULL; p = strchr(p, '/')) {
		p++;
		if (str_format(tenant, 37, "%.*s", (int)strcspn(p, "/?"), p) == 0 &&
		    str_is_guid(tenant))
			return (0);
	}
	return (-1);
}

static int
is_skewed(int64_t skew_s)
{
	return (skew_s > CLOCK_SKEW_S || skew_s < -CLOCK_SKEW_S);
}

static enum err_remedy
failed_authentication(const struct told *t, const struct refusal_context *ctx, int64_t skew_s)
{
	int is_sas = ctx->sas != NULL || ctx->sas_expiry_unix_s != 0 ||
	    strstr(t->detail, "Signature not valid in the specified") != NULL ||
	    strstr(t->detail, "sr is") != NULL || strstr(t->detail, "se is") != NULL;

	if (ctx->sas_expiry_unix_s != 0 && ctx->now_unix_s - skew_s >= ctx->sas_expiry_unix_s)
		return (REMEDY_RENEW_SAS);
	if (is_skewed(skew_s))
		return (REMEDY_CHECK_CLOCK);
	if (is_sas)
		return (REMEDY_RENEW_SAS);
	return (ctx->token_tenant != NULL ? REMEDY_RETRY_LATER : REMEDY_RENEW_KEY);
}

/*
 * A token that was not accepted.  The details are those of the service's token
 * library ("Lifetime validation failed. The token is expired.", "Audience
 * validation failed. Audience did not match.", "Issuer validation failed. ...");
 * a HEAD has none.
 */
static enum err_remedy
refused_token(const struct told *t, int64_t skew_s, enum err_remedy otherwise)
{
	if (is_skewed(skew_s))
		return (REMEDY_CHECK_CLOCK);
	if (str_starts(t->detail, "Issuer validation"))
		return (REMEDY_SAME_TENANT);
	if (str_starts(t->detail, "Audience validation"))
		return (REMEDY_TOKEN_AUDIENCE);
	if (str_starts(t->detail, "Lifetime validation"))
		return (REMEDY_TOKEN_EXPIRED);
	return (otherwise);
}

/* A right is missing: of the SAS, a data role, or an access control list. */
static enum err_remedy
missing_right(const struct refusal_context *ctx)
{
	if (ctx->sas != NULL || ctx->sas_expiry_unix_s != 0)
		return (REMEDY_WIDEN_SAS);
	if (ctx->writing || ctx->is_output)
		return (ctx->hns ? REMEDY_GRANT_CONTRIBUTOR_OR_ACL :
		    REMEDY_GRANT_DATA_CONTRIBUTOR);
	return (ctx->hns ? REMEDY_GRANT_READER_OR_ACL : REMEDY_GRANT_DATA_READER);
}

/* Remedies that depend on more than the code.  skew_s: local time minus the service's. */
static enum err_remedy
special(const struct http_response *r, const struct told *t, const struct refusal_context *ctx,
    int64_t skew_s, enum err_remedy otherwise)
{
	char tenant[37];

	if (r->status == 401 && ctx->token_tenant != NULL &&
	    refusal_challenge_tenant(r->www_authenticate, tenant) == 0 &&
	    !str_same(tenant, ctx->token_tenant))
		return (REMEDY_SAME_TENANT);
	if (strcmp(t->code, "AuthenticationFailed") == 0)
		return (failed_authentication(t, ctx, skew_s));
	if (r->status == 401 && (strcmp(t->code, "InvalidAuthenticationInfo") == 0 ||
	    strcmp(t->code, "SecurityException") == 0))
		return (refused_token(t, skew_s, otherwise));
	if (otherwise == REMEDY_KEEP_INPUT_STILL && ctx->writing)
		return (REMEDY_NONE);		/* another writer was quicker: the caller decides */
	if (strcmp(t->code, "AuthorizationPermissionMismatch") == 0)
		return (ctx->setting_access && ctx->sas == NULL ? REMEDY_GRANT_DATA_OWNER :
		    missing_right(ctx));
	return (otherwise);
}

/* What the SAS allows: none of these fields is a secret, the signature is. */
static void
add_sas_limits(struct buf *to, const char *sas)
{
	static const char *const fields[] = { "sp", "ss", "srt", "sr", "st", "se", "sip", "spr" };
	const char *separator = " (the SAS has ", *value;
	struct arena mem = ARENA_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(fields); i++) {
		value = uri_query_get(sas + strspn(sas, "?&"), fields[i], &mem);
		if (value == NULL || value[0] == '\0')
			continue;
		buf_printf(to, "%s%s=%.32s", separator, fields[i], value);
		separator = " ";
	}
	if (separator[1] == '\0')
		buf_addc(to, ')');
	arena_done(&mem);
}

static void
add_cause(struct buf *to, const struct http_response *r, const struct told *t,
    const struct refusal_context *ctx, int64_t skew_s, enum err_remedy remedy)
{
	char tenant[37];

	buf_adds(to, t->code[0] != '\0' ? t->code : httpd_reason(r->status));
	if (remedy == REMEDY_SAME_TENANT && ctx->token_tenant != NULL &&
	    refusal_challenge_tenant(r->www_authenticate, tenant) == 0)
		buf_printf(to, ": the account is of tenant %s, the token of %s", tenant,
		    ctx->token_tenant);
	else if (remedy == REMEDY_CHECK_CLOCK)
		buf_printf(to, ": the local clock is %lld s %s the service's",
		    (long long)llabs(skew_s), skew_s > 0 ? "ahead of" : "behind");
	/* The detail of a wrong key is the string to sign: long and of no use here. */
	else if (t->detail[0] != '\0' && !str_starts(t->detail, "The MAC signature"))
		buf_printf(to, ": %s", t->detail);
	else if (t->message[0] != '\0')
		buf_printf(to, ": %s", t->message);
	if (ctx->sas != NULL && (remedy == REMEDY_RENEW_SAS || remedy == REMEDY_WIDEN_SAS ||
	    remedy == REMEDY_USE_HTTPS))
		add_sas_limits(to, ctx->sas);
	if (r->request_id[0] != '\0')
		buf_printf(to, " [request %s]", r->request_id);
}

void
refusal_explain(const struct http_response *r, const struct refusal_context *ctx, struct err *err)
{
	auto_buf struct buf cause = BUF_EMPTY;
	const struct row *row = rows;
	int64_t skew_s = r->date_unix_s != 0 ? ctx->now_unix_s - r->date_unix_s : 0;
	enum err_remedy remedy;
	struct told told;

	if (err == NULL || r->status < 300 || err->http_status != r->status)
		return;		/* the failure was not this answer */
	read_body(r, &told);
	while ((row->status != 0 && row->status != r->status) ||
	    (row->code != NULL && strcmp(row->code, told.code) != 0))
		row++;
	remedy = special(r, &told, ctx, skew_s, row->remedy);
	add_cause(&cause, r, &told, ctx, skew_s, remedy);
	err->kind = row->kind;
	if (err->remedy == REMEDY_NONE || err->remedy == REMEDY_RETRY_LATER)
		err->remedy = remedy;
	str_format(err->cause, sizeof(err->cause), "%s", cause.data);
	if (err->sys_errno == 0)
		err->sys_errno = row->sys_errno;
}

int
refusal_errno(const struct err *err)
{
	if (err->sys_errno != 0)
		return (err->sys_errno);
	switch (err->kind) {
	case ERR_USAGE:
		return (EINVAL);
	case ERR_NO_IDENTITY:
	case ERR_DENIED:
		return (EACCES);
	case ERR_NOT_FOUND:
		return (ENOENT);
	case ERR_CHANGED:
		return (ESTALE);
	case ERR_UNREACHABLE:
		return (err->remedy == REMEDY_CHECK_DNS ? EHOSTUNREACH : EIO);
	default:
		return (EIO);
	}
}
