#ifndef AZURE_REFUSAL_H
#define AZURE_REFUSAL_H

/*
 * refusal -- what a storage service's "no" means and what to do about it: a table.
 *
 * Key: status and x-ms-error-code (or the code in the XML or JSON body; of ADLS Gen1 the
 * exception's name: its statuses say little, 403 is "exists" as well as "denied").  Result:
 * the kind and remedy of the error, an errno for FUSE.  Told apart: data role
 * missing (or an access control list), network rules, clock skew, token expired or of
 * another audience or tenant, SAS expired or too narrow, key rotated or disabled, no
 * such container, the account's state, archived, leased.
 *
 * Source: identity-free REST pages "Common REST API error codes", "Blob service
 * error codes"; MicrosoftDocs/SupportArticles-docs storage-troubleshoot-403-errors.md;
 * for Gen1 the recordings in Azure/azure-data-lake-store-python tests/recordings.
 */

#include "azure/http.h"
#include "base/err.h"

struct refusal_context {
	int	 writing;		/* which data role is missing */
	int	 setting_access;	/* of owners and modes, which wants another one */
	int	 is_output;		/* the same role, also where it was only looked at */
	const char *token_tenant;	/* tid of the bearer token, NULL if none or unknown */
	int64_t	 sas_expiry_unix_s;	/* 0: no SAS or no expiry */
	const char *sas;		/* its text, NULL if none: what it limits is told */
	int	 hns;			/* access control lists may decide as well as roles */
	int64_t	 now_unix_s;
};

/*
 * Refine err: kind and cause are replaced (http only knew the status), remedy
 * and sys_errno filled where nobody knew better.  An err that is not about this
 * answer (err->http_status differs, no answer) stays as it is.
 */
void	refusal_explain(const struct http_response *, const struct refusal_context *, struct err *);
/* The code of a refusal alone, "" if it has none. */
void	refusal_code(const struct http_response *, char code[96]);
/*
 * The tenant that a 401's challenge names ("Bearer authorization_uri=https://login.../TENANT/
 * oauth2/authorize resource_id=..."): the one the account trusts.  0, or -1: none.
 */
int	refusal_challenge_tenant(const char *challenge, char tenant[37]);
/* The errno for a FUSE reply: ENOENT, EACCES, ESTALE, EBUSY, EIO ... */
int	refusal_errno(const struct err *);

#endif
