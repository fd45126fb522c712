#ifndef IDENTITY_ENTRA_H
#define IDENTITY_ENTRA_H

/*
 * entra -- Entra ID's token endpoint: POST AUTHORITY/TENANT/oauth2/v2.0/token.
 *
 * grant_type=client_credentials, with a client secret or with an assertion (a
 * signed JWT, or a federated token: RFC 7523).  HTTPS only, through the proxy,
 * no redirects.  408, 429, 5xx and Entra's transient errors are retried until
 * the deadline; each try asks for the assertion again.
 *
 * MicrosoftDocs/entra-docs docs/identity-platform/v2-oauth2-client-creds-grant-flow.md,
 * certificate-credentials.md; AzureAD/microsoft-authentication-library-for-go
 * apps/internal/oauth/ops/accesstokens/accesstokens.go.
 */

#include <stdint.h>

#include "azure/http.h"
#include "base/err.h"
#include "base/secret.h"
#include "identity/token.h"

struct entra_request {
	/* "https://login.microsoftonline.com"; scheme and '/' at the end may be missing;
	   NULL: the public cloud's.  Not https: ERR_USAGE. */
	const char	*authority;
	const char	*tenant;	/* GUID or domain: letters, digits, '.', '-' */
	const char	*client_id;
	const char	*resource;	/* as a v1 resource; "/.default" is added here */
	/* One of the two. */
	const struct secret *secret;
	/*
	 * Makes the assertion for one try, *ret is empty before and wiped after it.  audience:
	 * the endpoint's exact URL ("aud").  On the network thread: must not wait.  -1: final.
	 */
	int		(*assertion)(void *arg, const char *audience, struct secret *ret,
			    struct err *);
	void		*arg;
};

/* The identity's label (err_as) is the caller's to add.  No error text holds the secret. */
int	entra_acquire(struct http *, const struct entra_request *, int64_t deadline_ms,
	    struct token *ret, struct err *);
/* The endpoint's exact URL, or NULL with *err (ERR_USAGE).  Memory from the arena. */
const char *entra_endpoint(const char *authority, const char *tenant, struct arena *,
	    struct err *);

#endif
