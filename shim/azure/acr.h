#ifndef AZURE_ACR_H
#define AZURE_ACR_H

/*
 * acr -- Azure Container Registry: an Entra token exchanged for a registry's own.
 *
 *   GET  https://REG/v2/             401, WWW-Authenticate: Bearer realm=..., service=...
 *   POST https://REG/oauth2/exchange grant_type=access_token, service, tenant, access_token
 *
 * What comes back is a refresh token: a docker client takes it as the password
 * of the null GUID.  The token goes to the registry's own host over https only,
 * whatever the challenge says.
 *
 * Contract: Azure/acr docs/AAD-OAuth.md; Azure/azure-sdk-for-python
 * sdk/containerregistry/azure-containerregistry/azure/containerregistry/_exchange_client.py.
 */

#include <stddef.h>
#include <stdint.h>

#include "azure/http.h"
#include "base/err.h"
#include "base/secret.h"

#define ACR_USER	"00000000-0000-0000-0000-000000000000"
#define ACR_HOST_SIZE	272	/* a name, ':' and a port */

/*
 * HOST[:PORT] of what a docker client calls a server, in lower case: with or
 * without https:// and a path.  -1: another scheme, a user, no DNS name.
 */
int	acr_host(const char *server_url, char ret[ACR_HOST_SIZE]);
/* 1: a name below suffix ("azurecr.io"), or one of named ("HOST[:PORT],..."; NULL: none). */
int	acr_is_registry(const char *host, const char *suffix, const char *named);
/* Entry i of such a list as a host; 0 past the end, -1 for one that is no host. */
int	acr_named(const char *named, size_t i, char ret[ACR_HOST_SIZE]);

struct acr_challenge {
	char	realm[320], service[ACR_HOST_SIZE];
};
/* "Bearer realm="...",service="..."[,...]" (RFC 9110, 11.6.1).  -1: not that, or too long. */
int	acr_read_challenge(const char *text, struct acr_challenge *ret);

struct acr_login {
	const char	*host;		/* of acr_host() */
	const char	*audiences[2];	/* tried in this order; the second may be NULL */
	/* An Entra token for audience and the tenant that issued it ("" if not known). */
	int		(*token)(void *arg, const char *audience, struct secret *ret,
			    char ret_tenant[64], struct err *);
	void		*arg;
	int64_t		 deadline_ms;	/* clock_ms() */
	int64_t		 grant_ms;	/* a refusal may be a role that is too new: tried again */
};

/*
 * The registry's refresh token.
 *
 * fails  ERR_DENIED: refused for all audiences, remedy AcrPull (%i is the caller's to add);
 *        ERR_PROTOCOL: a challenge that no Azure registry sends; what token() says
 */
int	acr_login(struct http *, const struct acr_login *, struct secret *ret, struct err *);

#endif
