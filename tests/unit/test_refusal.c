/*
 * refusal: every row of the table, and the cases that look closer.  The file itself
 * is included so that the walk sees the table.
 */
#include "azure/refusal.c"

#include "check.h"

#define OUR_TENANT	"11111111-aaaa-4aaa-8aaa-111111111111"
#define OTHER_TENANT	"22222222-bbbb-4bbb-8bbb-222222222222"
#define CHALLENGE(t)	"Bearer authorization_uri=https://login.microsoftonline.com/" t \
	"/oauth2/authorize resource_id=https://storage.azure.com"

#define NOW	1795471920

struct answer {
	int		 status;
	const char	*code;
	enum err_kind	 kind;
	enum err_remedy	 remedy;
	int		 sys_errno;
};

/* One for each line of the tables in the service's documents, by hand. */
static const struct answer answers[] = {
	{ 400, "InvalidAuthenticationInfo", ERR_PROTOCOL, REMEDY_REPORT_BUG, EIO },
	{ 400, "AccountRequiresHttps", ERR_USAGE, REMEDY_USE_HTTPS, EACCES },
	{ 400, "InvalidBlockList", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 400, "InvalidHeaderValue", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 400, "InvalidQueryParameterValue", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 400, "Md5Mismatch", ERR_PROTOCOL, REMEDY_RETRY_LATER, EIO },
	{ 400, "InvalidFlushPosition", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 400, "PathIsTooDeep", ERR_USAGE, REMEDY_CHECK_NAME, ENAMETOOLONG },
	{ 400, "SomethingNew", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 401, "NoAuthenticationInformation", ERR_DENIED, REMEDY_ASSIGN_IDENTITY, EACCES },
	{ 401, "InvalidAuthenticationInfo", ERR_DENIED, REMEDY_RETRY_LATER, EACCES },
	{ 401, "", ERR_DENIED, REMEDY_CHECK_ENDPOINT, EACCES },
	{ 403, "AuthenticationFailed", ERR_DENIED, REMEDY_RENEW_KEY, EACCES },
	{ 403, "AuthorizationPermissionMismatch", ERR_DENIED, REMEDY_GRANT_DATA_READER, EACCES },
	{ 403, "AuthorizationFailure", ERR_DENIED, REMEDY_OPEN_NETWORK, EACCES },
	{ 403, "AuthorizationSourceIPMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 403, "AuthorizationProtocolMismatch", ERR_DENIED, REMEDY_USE_HTTPS, EACCES },
	{ 403, "AuthorizationServiceMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 403, "AuthorizationResourceTypeMismatch", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 403, "UnauthorizedBlobOverwrite", ERR_DENIED, REMEDY_WIDEN_SAS, EACCES },
	{ 403, "KeyBasedAuthenticationNotPermitted", ERR_DENIED, REMEDY_SHARED_KEY_DISABLED,
	    EACCES },
	{ 409, "PublicAccessNotPermitted", ERR_DENIED, REMEDY_ASSIGN_IDENTITY, EACCES },
	{ 403, "InsufficientAccountPermissions", ERR_DENIED, REMEDY_ASK_OWNER, EACCES },
	{ 403, "AccountIsDisabled", ERR_DENIED, REMEDY_ASK_OWNER, EACCES },
	{ 403, "RequestForbiddenByContainerEncryptionPolicy", ERR_DENIED, REMEDY_ASK_OWNER,
	    EACCES },
	{ 403, "", ERR_DENIED, REMEDY_CHECK_ENDPOINT, EACCES },
	{ 404, "ContainerNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "FilesystemNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "ResourceNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "AccountNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, EHOSTUNREACH },
	{ 404, "BlobNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "PathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 408, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, ETIMEDOUT },
	{ 409, "BlobAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 409, "PathAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 404, "SourcePathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 404, "RenameDestinationParentPathNotFound", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 409, "InvalidRenameSourcePath", ERR_USAGE, REMEDY_CHECK_NAME, EINVAL },
	{ 409, "InvalidSourceOrDestinationResourceType", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 409, "ResourceTypeMismatch", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 409, "PathConflict", ERR_CHANGED, REMEDY_NONE, ENOTDIR },
	{ 409, "DestinationPathIsBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 409, "SourcePathIsBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 409, "FilesystemBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 409, "ContainerAlreadyExists", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 409, "LeaseAlreadyPresent", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 409, "ContainerBeingDeleted", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EBUSY },
	{ 409, "BlobBeingRehydrated", ERR_UNREACHABLE, REMEDY_REHYDRATE, EBUSY },
	{ 409, "BlobArchived", ERR_UNREACHABLE, REMEDY_REHYDRATE, EIO },
	{ 409, "BlobImmutableDueToPolicy", ERR_DENIED, REMEDY_ASK_OWNER, EPERM },
	{ 409, "SnapshotsPresent", ERR_DENIED, REMEDY_NONE, EBUSY },
	{ 409, "DirectoryNotEmpty", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 409, "DirectoryIsNotEmpty", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 409, "FeatureVersionMismatch", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 409, "BlockCountExceedsLimit", ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 409, "", ERR_PROTOCOL, REMEDY_NONE, EBUSY },
	{ 412, "ConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 412, "TargetConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 412, "SourceConditionNotMet", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 412, "LeaseIdMissing", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 412, "LeaseIdMismatchWithBlobOperation", ERR_DENIED, REMEDY_RETRY_LATER, EBUSY },
	{ 412, "", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 413, "RequestBodyTooLarge", ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 413, "", ERR_PROTOCOL, REMEDY_NONE, EFBIG },
	{ 416, "InvalidRange", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 416, "", ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, ESTALE },
	{ 429, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 500, "InternalError", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 500, "OperationTimedOut", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 500, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 502, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 503, "ServerBusy", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 503, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 504, "", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 507, "", ERR_DENIED, REMEDY_NONE, EACCES },
	{ 403, "AccessControlException", ERR_DENIED, REMEDY_GRANT_GEN1_ACL, EACCES },
	{ 401, "SecurityException", ERR_DENIED, REMEDY_TOKEN_AUDIENCE, EACCES },
	{ 404, "FileNotFoundException", ERR_NOT_FOUND, REMEDY_CHECK_NAME, ENOENT },
	{ 403, "FileAlreadyExistsException", ERR_CHANGED, REMEDY_NONE, EEXIST },
	{ 403, "PathIsNotEmptyDirectoryException", ERR_DENIED, REMEDY_NONE, ENOTEMPTY },
	{ 400, "BadOffsetException", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 429, "ThrottledException", ERR_UNREACHABLE, REMEDY_RETRY_LATER, EIO },
	{ 403, "IOException", ERR_PROTOCOL, REMEDY_NONE, EIO },
	{ 302, "", ERR_PROTOCOL, REMEDY_NONE, EIO },
};

static struct http_response
response(int status, const char *code, const char *body)
{
	struct http_response r = { .status = status, .date_unix_s = NOW };

	str_format(r.error_code, sizeof(r.error_code), "%s", code);
	if (body != NULL)
		buf_adds(&r.error_body, body);
	return (r);
}

static struct err
explain(struct http_response *r, const struct refusal_context *ctx)
{
	struct err err = { .kind = ERR_PROTOCOL, .http_status = r->status };

	refusal_explain(r, ctx, &err);
	buf_done(&r->error_body);
	return (err);
}

static int
covers(const struct row *row)
{
	size_t i;

	for (i = 0; i < LENGTH(answers); i++) {
		const struct answer *a = &answers[i];

		if (row->code != NULL ? strcmp(row->code, a->code) == 0 &&
		    (row->status == 0 || row->status == a->status) :
		    a->code[0] == '\0' && (row->status == a->status || row->status == 0))
			return (1);
	}
	return (0);
}

static void
test_table(void)
{
	const struct refusal_context ctx = { .now_unix_s = NOW };
	char body[256];
	size_t i;
	int fine;

	for (i = 0; i < LENGTH(answers); i++) {
		const struct answer *a = &answers[i];
		struct http_response r = response(a->status, a->code, NULL);
		struct err e = explain(&r, &ctx);

		fine = e.kind == a->kind && e.remedy == a->remedy && e.http_status == a->status &&
		    refusal_errno(&e) == a->sys_errno && e.cause[0] != '\0';
		/* The same code, told in the body alone. */
		snprintf(body, sizeof(body), "\xef\xbb\xbf<?xml version=\"1.0\"?><Error><Code>%s"
		    "</Code><Message>Words.\nRequestId:1\nTime:2</Message></Error>", a->code);
		r = response(a->status, "", body);
		e = explain(&r, &ctx);
		fine = fine && e.kind == a->kind && e.remedy == a->remedy &&
		    strstr(e.cause, "Words.") != NULL && strstr(e.cause, "RequestId") == NULL;
		snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"Words.\"}}",
		    a->code);
		r = response(a->status, "", body);
		e = explain(&r, &ctx);
		fine = fine && e.kind == a->kind && e.remedy == a->remedy;
		if (!check(fine))
			printf("# %d %s: %s, remedy %d, errno %d\n", a->status, a->code,
			    err_kind_name(e.kind), (int)e.remedy, e.sys_errno);
	}
	for (i = 0; i < LENGTH(rows); i++)
		if (!check(covers(&rows[i])))
			printf("# no answer for the row %d %s\n", rows[i].status, rows[i].code);
}

static void
test_tenants(void)
{
	const struct refusal_context ctx = { .now_unix_s = NOW, .token_tenant = OUR_TENANT };
	const struct refusal_context opaque = { .now_unix_s = NOW };
	struct http_response r = response(401, "InvalidAuthenticationInfo", NULL);
	struct err e;

	strcpy(r.www_authenticate, CHALLENGE(OTHER_TENANT));
	e = explain(&r, &ctx);
	check_int(e.remedy, REMEDY_SAME_TENANT);
	check(strstr(e.cause, OUR_TENANT) != NULL && strstr(e.cause, OTHER_TENANT) != NULL);
	strcpy(r.www_authenticate, CHALLENGE(OUR_TENANT));
	check_int(explain(&r, &ctx).remedy, REMEDY_RETRY_LATER);
	/* Whose token it is, need not be known. */
	r = response(401, "InvalidAuthenticationInfo", "<Error><Code>InvalidAuthenticationInfo"
	    "</Code><AuthenticationErrorDetail>Issuer validation failed. x"
	    "</AuthenticationErrorDetail></Error>");
	strcpy(r.www_authenticate, CHALLENGE(OTHER_TENANT));
	e = explain(&r, &opaque);
	check_int(e.remedy, REMEDY_SAME_TENANT);
	check(strstr(e.cause, "null") == NULL && strstr(e.cause, "Issuer validation") != NULL);
	strcpy(r.www_authenticate, "Bearer authorization_uri=https://login/");
	check_int(explain(&r, &ctx).remedy, REMEDY_RETRY_LATER);
	strcpy(r.www_authenticate, "Bearer authorization_uri=https://login/not-a-tenant/oauth2/"
	    "authorize/and/so/on/and/so/on/and/so/on");
	check_int(explain(&r, &ctx).remedy, REMEDY_RETRY_LATER);
}

static void
test_authentication_failed(void)
{
	struct refusal_context ctx = { .now_unix_s = NOW };
	struct http_response r = response(403, "AuthenticationFailed", "<Error><Code>"
	    "AuthenticationFailed</Code><Message>Server failed.</Message>"
	    "<AuthenticationErrorDetail>The MAC signature found in the HTTP request 'x' is not the "
	    "same as any computed signature.</AuthenticationErrorDetail></Error>");
	struct err e = explain(&r, &ctx);

	check_int(e.remedy, REMEDY_RENEW_KEY);
	check(strstr(e.cause, "MAC") == NULL && strstr(e.cause, "Server failed.") != NULL);

	ctx.now_unix_s = NOW + 1200;
	e = explain(&r, &ctx);
	check_int(e.remedy, REMEDY_CHECK_CLOCK);
	check(strstr(e.cause, "1200 s ahead") != NULL);
	ctx.now_unix_s = NOW - 400;
	check_int(explain(&r, &ctx).remedy, REMEDY_CHECK_CLOCK);
	ctx.now_unix_s = NOW - 200;
	check_int(explain(&r, &ctx).remedy, REMEDY_RENEW_KEY);

	/* Expired by the service's clock, whatever ours says. */
	ctx.now_unix_s = NOW - 400;
	ctx.sas_expiry_unix_s = NOW - 10;
	check_int(explain(&r, &ctx).remedy, REMEDY_RENEW_SAS);
	ctx.sas_expiry_unix_s = NOW + 1000;
	check_int(explain(&r, &ctx).remedy, REMEDY_CHECK_CLOCK);
	ctx.now_unix_s = NOW;
	check_int(explain(&r, &ctx).remedy, REMEDY_RENEW_SAS);
	ctx.sas_expiry_unix_s = 0;
	ctx.token_tenant = OUR_TENANT;
	check_int(explain(&r, &ctx).remedy, REMEDY_RETRY_LATER);
	ctx.token_tenant = NULL;
	r = response(403, "AuthenticationFailed", "<Error><AuthenticationErrorDetail>Signature not "
	    "valid in the specified time frame</AuthenticationErrorDetail></Error>");
	e = explain(&r, &ctx);
	check_int(e.remedy, REMEDY_RENEW_SAS);
	check(strstr(e.cause, "time frame") != NULL);
	r = response(401, "InvalidAuthenticationInfo", NULL);
	ctx.now_unix_s = NOW + 4000;
	check_int(explain(&r, &ctx).remedy, REMEDY_CHECK_CLOCK);
}

static void
test_writing(void)
{
	struct refusal_context ctx = { .now_unix_s = NOW, .writing = 1 };
	struct http_response r = response(403, "AuthorizationPermissionMismatch", NULL);

	check_int(explain(&r, &ctx).remedy, REMEDY_GRANT_DATA_CONTRIBUTOR);
	ctx.hns = 1;
	check_int(explain(&r, &ctx).remedy, REMEDY_GRANT_CONTRIBUTOR_OR_ACL);
	ctx.writing = 0;
	check_int(explain(&r, &ctx).remedy, REMEDY_GRANT_READER_OR_ACL);
	ctx.is_output = 1;
	check_int(explain(&r, &ctx).remedy, REMEDY_GRANT_CONTRIBUTOR_OR_ACL);
	ctx.writing = 1;
	ctx.sas_expiry_unix_s = NOW + 100;
	check_int(explain(&r, &ctx).remedy, REMEDY_WIDEN_SAS);
	r = response(412, "ConditionNotMet", NULL);
	check_int(explain(&r, &ctx).remedy, REMEDY_NONE);
}

static void
test_tokens(void)
{
	static const struct { const char *detail; enum err_remedy want; } cases[] = {
		{ "Lifetime validation failed. The token is expired.", REMEDY_TOKEN_EXPIRED },
		{ "Audience validation failed. Audience did not match.", REMEDY_TOKEN_AUDIENCE },
		{ "Issuer validation failed. Issuer did not match.", REMEDY_SAME_TENANT },
		{ "Signature validation failed. Signature verification failed.",
		    REMEDY_RETRY_LATER },
	};
	struct refusal_context ctx = { .now_unix_s = NOW, .token_tenant = OUR_TENANT };
	char body[512];
	size_t i;

	for (i = 0; i < LENGTH(cases); i++) {
		struct http_response r;
		struct err e;

		snprintf(body, sizeof(body), "<Error><Code>InvalidAuthenticationInfo</Code>"
		    "<AuthenticationErrorDetail>%s</AuthenticationErrorDetail></Error>",
		    cases[i].detail);
		r = response(401, "InvalidAuthenticationInfo", body);
		e = explain(&r, &ctx);
		check_int(e.remedy, cases[i].want);
		check(strstr(e.cause, cases[i].detail) != NULL);
	}
}

/* What a SAS limits is told, its signature never. */
static void
test_sas_limits(void)
{
	const struct refusal_context ctx = { .now_unix_s = NOW, .sas_expiry_unix_s = NOW + 100,
	    .sas = "?sv=2021-12-02&sp=r&sr=c&se=2026-11-25T00%3A00%3A00Z&sip=10.0.0.1&sig=s3cret" };
	struct http_response r = response(403, "AuthorizationSourceIPMismatch", NULL);
	struct err e = explain(&r, &ctx);

	check_int(e.remedy, REMEDY_WIDEN_SAS);
	check_str(e.cause, "AuthorizationSourceIPMismatch (the SAS has sp=r sr=c "
	    "se=2026-11-25T00:00:00Z sip=10.0.0.1)");
	r = response(403, "AuthenticationFailed", NULL);
	e = explain(&r, &ctx);
	check_int(e.remedy, REMEDY_RENEW_SAS);
	check(strstr(e.cause, "s3cret") == NULL);
}

/* What was known before stays; what is not about the answer stays altogether. */
static void
test_fields(void)
{
	const struct refusal_context ctx = { .now_unix_s = NOW };
	struct http_response r = response(404, "BlobNotFound", NULL);
	struct err e = { .kind = ERR_UNREACHABLE, .remedy = REMEDY_CHECK_DNS, .cause = "no name" };

	refusal_explain(&r, &ctx, &e);
	check_int(e.kind, ERR_UNREACHABLE);
	check_str(e.cause, "no name");
	check_int(refusal_errno(&e), EHOSTUNREACH);
	e = (struct err){ .kind = ERR_NOT_FOUND, .remedy = REMEDY_REHYDRATE, .http_status = 404,
	    .op = "read", .sys_errno = ESTALE };
	strcpy(r.request_id, "abc-1");
	refusal_explain(&r, &ctx, &e);
	check_int(e.remedy, REMEDY_REHYDRATE);
	check_int(e.sys_errno, ESTALE);
	check_str(e.op, "read");
	check_str(e.cause, "BlobNotFound [request abc-1]");
	refusal_explain(&r, &ctx, NULL);

	/* Bodies that are none of ours. */
	r = response(403, "", "<html><body>Proxy says no<br></body>");
	check_int(explain(&r, &ctx).kind, ERR_DENIED);
	r = response(403, "", "{\"error\":[1,2]}");
	check_int(explain(&r, &ctx).kind, ERR_DENIED);
	r = response(403, "", "<Error><Code>AuthorizationFailure</Code><Message>cut of");
	check_int(explain(&r, &ctx).remedy, REMEDY_OPEN_NETWORK);
}

static void
test_errno(void)
{
	static const struct { enum err_kind kind; int want; } kinds[] = {
		{ ERR_USAGE, EINVAL }, { ERR_NO_IDENTITY, EACCES }, { ERR_DENIED, EACCES },
		{ ERR_NOT_FOUND, ENOENT }, { ERR_UNREACHABLE, EIO }, { ERR_CHANGED, ESTALE },
		{ ERR_OUTPUT, EIO }, { ERR_PROTOCOL, EIO }, { ERR_BUG, EIO },
	};
	size_t i;

	for (i = 0; i < LENGTH(kinds); i++)
		check_int(refusal_errno(&(struct err){ .kind = kinds[i].kind }), kinds[i].want);
	check_int(refusal_errno(&(struct err){ .kind = ERR_SYSTEM, .sys_errno = ENOSPC }), ENOSPC);
}

int
main(void)
{
	test_table();
	test_tenants();
	test_authentication_failed();
	test_writing();
	test_tokens();
	test_sas_limits();
	test_fields();
	test_errno();
	return (check_done());
}
