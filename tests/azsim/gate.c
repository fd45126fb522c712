/*
 * The order of the checks, bearer tokens, and who may do what.
 *
 * Bearer: learn.microsoft.com "Authorize with Microsoft Entra ID".
 */

#include "gate.h"

#include <string.h>

#include "base/clock.h"

#define BEARER_SKEW_S	300

/* Azure/Azurite src/blob/utils/constants.ts, and newer ones that SDKs send. */
static const char versions[] = " 2009-04-14 2009-07-17 2009-09-19 2011-08-18 2012-02-12 2013-08-15 "
    "2014-02-14 2015-02-21 2015-04-05 2015-07-08 2015-12-11 2016-05-31 2017-04-17 2017-07-29 "
    "2017-11-09 2018-03-28 2018-11-09 2019-02-02 2019-07-07 2019-10-10 2019-12-12 2020-02-10 "
    "2020-04-08 2020-06-12 2020-08-04 2020-10-02 2020-12-06 2021-02-12 2021-04-10 2021-06-08 "
    "2021-08-06 2021-10-04 2021-12-02 2022-11-02 2023-01-03 2023-08-03 2023-11-03 2024-02-04 "
    "2024-05-04 2024-08-04 2024-11-04 2025-01-05 2025-05-05 2025-07-05 2025-11-05 2026-02-06 "
    "2026-06-06 2026-10-06 ";

static int
check_version(struct exchange *ex)
{
	const char *sv = exchange_param(ex, "sv");
	char spaced[40];

	if (ex->version[0] == '\0') {
		if (exchange_header(ex, "authorization") != NULL)
			return (refuse_header(ex, "MissingRequiredHeader", "x-ms-version", NULL));
		if (sv == NULL)
			return (0);	/* nobody in particular: the oldest */
		ex->version = sv;
	}
	if (strchr(ex->version, ' ') != NULL ||
	    str_format(spaced, sizeof(spaced), " %s ", ex->version) != 0 ||
	    strstr(versions, spaced) == NULL)
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-version", ex->version));
	return (0);
}

static int
is_storage_audience(const struct exchange *ex, const char *aud)
{
	char own[128];
	size_t n = strlen(aud);

	if (n > 0 && aud[n - 1] == '/')
		n--;
	str_format(own, sizeof(own), "https://%s.blob.core.windows.net", ex->account->name);
	return ((n == strlen(own) && strncmp(aud, own, n) == 0) ||
	    (n == strlen("https://storage.azure.com") &&
	    strncmp(aud, "https://storage.azure.com", n) == 0));
}

static int
refuse_token(struct exchange *ex, const char *why)
{
	return (refuse_detail(ex, "InvalidAuthenticationInfo", "AuthenticationErrorDetail", "%s",
	    why));
}

static int
authenticate_bearer(struct exchange *ex, const char *token)
{
	struct jwt_claims claims;
	int64_t now = sim_now(ex->sim);

	ex->auth = AUTH_BEARER;
	if (ex->peer->tls == NULL)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Authentication scheme Bearer is not allowed with HTTP."));
	if (!blob_version_from(ex, "2017-11-09"))
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Authentication scheme Bearer is not supported in this version."));
	switch (jwt_verify(&ex->sim->people.key, token, strlen(token), &claims)) {
	case -1:
		return (refuse_token(ex, "The token is not a JWT."));
	case -2:
		return (refuse_token(ex, "Signature validation failed. Signature verification "
		    "failed."));
	}
	str_format(ex->oid, sizeof(ex->oid), "%s", claims.oid);
	if (claims.exp <= now)
		return (refuse_token(ex, "Lifetime validation failed. The token is expired."));
	if (claims.nbf > now + BEARER_SKEW_S)
		return (refuse_token(ex, "Lifetime validation failed. The token is not yet "
		    "valid."));
	if (!is_storage_audience(ex, claims.aud))
		return (refuse_token(ex, "Audience validation failed. Audience did not match."));
	if (!str_same(claims.tid, ex->account->tenant))
		return (refuse_token(ex, "Issuer validation failed. Issuer did not match."));
	return (0);
}

int
gate_authenticate(struct exchange *ex)
{
	const char *authorization = exchange_header(ex, "authorization");

	if (check_version(ex) != 0)
		return (-1);
	if (authorization == NULL) {
		if (exchange_param(ex, "sig") != NULL)
			return (gate_sas(ex));
		ex->auth = AUTH_ANONYMOUS;
		return (0);
	}
	if (str_starts(authorization, "SharedKey "))
		return (gate_shared_key(ex, authorization + strlen("SharedKey ")));
	if (str_starts(authorization, "Bearer "))
		return (authenticate_bearer(ex, authorization + strlen("Bearer ")));
	return (refuse(ex, "InvalidAuthenticationInfo:400"));
}

int
gate_has_any(const char *set, const char *letters)
{
	return (set != NULL && letters != NULL && strpbrk(set, letters) != NULL);
}

static int
authorize_anonymous(struct exchange *ex, const struct blob_op *op)
{
	struct container *c = ex->container == NULL ? NULL :
	    model_container(ex->account, ex->container);
	enum public_access access = c == NULL || !ex->account->public_allowed ? PUBLIC_NONE :
	    c->public_access;

	if (op->role == ROLE_READER && op->level == LEVEL_BLOB && access != PUBLIC_NONE)
		return (0);
	if (op->role == ROLE_READER && op->level == LEVEL_CONTAINER && access == PUBLIC_CONTAINER)
		return (0);
	/* Before the challenge there was only this; "Common REST API error codes". */
	return (refuse(ex, blob_version_from(ex, "2019-12-12") ? "NoAuthenticationInformation" :
	    "ResourceNotFound"));
}

static int
authorize_account_sas(struct exchange *ex, const struct blob_op *op)
{
	static const char letters[] = { 's', 'c', 'o' };
	const char *ss = exchange_param(ex, "ss"), *srt = exchange_param(ex, "srt");

	if (ss == NULL || strchr(ss, 'b') == NULL)
		return (refuse(ex, "AuthorizationServiceMismatch"));
	if (srt == NULL || strchr(srt, letters[op->level]) == NULL)
		return (refuse(ex, "AuthorizationResourceTypeMismatch"));
	if (!gate_has_any(ex->sas_permissions, op->account_letters))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

static int
authorize_service_sas(struct exchange *ex, const struct blob_op *op)
{
	const char *sr = exchange_param(ex, "sr");

	if (op->letters == NULL)
		return (refuse(ex, "AuthorizationFailure"));
	if (sr == NULL || (strcmp(sr, "c") != 0 && strcmp(sr, "b") != 0 && strcmp(sr, "d") != 0))
		return (refuse_param(ex, "InvalidQueryParameterValue", "sr", sr));
	if (op->level == LEVEL_CONTAINER && strcmp(sr, "b") == 0)
		return (refuse(ex, "AuthorizationFailure"));
	if (!gate_has_any(ex->sas_permissions, op->letters))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

/* Roles first; who has none that is enough may still be on an access control list. */
static int
is_on_acl(struct exchange *ex, const struct blob_op *op)
{
	const char *path = ex->blob, *prefix = exchange_param(ex, "prefix"), *slash;
	enum acl_need need = op->role == ROLE_READER ? ACL_READ : ACL_WRITE;

	if (!ex->account->hns || op->level == LEVEL_SERVICE)
		return (0);
	if (op->level == LEVEL_CONTAINER) {
		if (strcmp(op->name, "ListBlobs") != 0 && strcmp(op->name, "ListPaths") != 0)
			return (0);	/* of a container there is no list */
		slash = prefix != NULL ? strrchr(prefix, '/') : NULL;
		path = slash == NULL ? "" :
		    arena_strndup(&ex->mem, prefix, (size_t)(slash - prefix));
		if (exchange_param(ex, "directory") != NULL)
			path = exchange_param(ex, "directory");
		need = ACL_LIST;
	}
	return (acl_allows(&ex->sim->acls, ex->oid, ex->account->name, ex->container, path, need));
}

static int
authorize_role(struct exchange *ex, const struct blob_op *op)
{
	if (people_role(&ex->sim->people, ex->oid, ex->account->name, ex->container) < op->role &&
	    !is_on_acl(ex, op))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

int
gate_authorize(struct exchange *ex, const struct blob_op *op)
{
	switch (ex->auth) {
	case AUTH_ANONYMOUS:
		return (authorize_anonymous(ex, op));
	case AUTH_SHARED_KEY:
		return (0);
	case AUTH_ACCOUNT_SAS:
		return (authorize_account_sas(ex, op));
	case AUTH_SERVICE_SAS:
		return (authorize_service_sas(ex, op));
	case AUTH_USER_SAS:
		return (authorize_service_sas(ex, op) != 0 ? -1 : authorize_role(ex, op));
	case AUTH_BEARER:
		return (authorize_role(ex, op));
	case AUTH_SECRET:
		break;
	}
	return (refuse(ex, "InternalError"));
}
