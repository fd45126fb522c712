#ifndef AZURE_KEYVAULT_H
#define AZURE_KEYVAULT_H

/*
 * keyvault -- read one secret of an Azure Key Vault.
 *
 * GET https://VAULT/secrets/NAME[/VERSION]?api-version=7.4, first without a token on
 * purpose: the 401 says, in WWW-Authenticate, for which resource one is wanted.
 * The resource's host has to be a parent of the vault's own, or the token would
 * be somebody else's to have: a URL in a datastore's file could harvest tokens.
 *
 * Sources: Azure/azure-sdk-for-js sdk/keyvault/keyvault-common/src/
 * {keyVaultAuthenticationPolicy,parseWWWAuthenticate}.ts; Azure/azure-sdk-for-python
 * sdk/keyvault/azure-keyvault-secrets/azure/keyvault/secrets/_shared/challenge_auth_policy.py;
 * MicrosoftDocs/azure-docs articles/key-vault/general/rest-error-codes.md.
 */

#include <stdint.h>

#include "azure/rest.h"
#include "base/err.h"
#include "base/secret.h"

#define KEYVAULT_API_VERSION	"7.4"

struct keyvault_secret {
	struct secret	 value;
	int64_t		 expires_unix_s;	/* attributes.exp; 0: none */
};

/* The label of an err's identity is the bearer's. */
int	keyvault_read(struct http *, const struct bearer *, const char *url, int64_t deadline_ms,
	    struct keyvault_secret *ret, struct err *);

struct keyvault_challenge {
	char	resource[256];		/* without /.default */
	char	authority[256];		/* "https://login.../TENANT"; "" none */
};
/* The value of WWW-Authenticate.  Fails: ERR_PROTOCOL. */
int	keyvault_read_challenge(const char *header, struct keyvault_challenge *ret, struct err *);
/* url: of the secret.  Fails: ERR_DENIED, the resource is not the vault's. */
int	keyvault_check_challenge(const struct keyvault_challenge *, const char *url, struct err *);
int	keyvault_read_answer(const char *body, size_t len, struct keyvault_secret *ret,
	    struct err *);

#endif
