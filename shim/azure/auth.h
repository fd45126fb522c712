#ifndef AZURE_AUTH_H
#define AZURE_AUTH_H

/*
 * auth -- how a storage request is signed: bearer, SharedKey, SAS.
 *
 * auth_storage_request() completes a request that has method, url (without
 * SAS), headers and body length: it adds x-ms-version, x-ms-date,
 * x-ms-client-request-id, and Authorization or the SAS.  Bearer goes over https
 * only.  The string to sign is that of
 * https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
 * (also Azure/azure-sdk-for-cpp sdk/storage/azure-storage-common/src/shared_key_policy.cpp).
 */

#include <stddef.h>
#include <stdint.h>

#include "azure/cred.h"
#include "azure/http.h"
#include "base/err.h"

#define AUTH_STORAGE_VERSION "2021-12-02"	/* AMLSHIM_STORAGE_VERSION overrides: see store.h */

struct auth {
	const char	*account;		/* name that SharedKey signs with */
	struct cred	*cred;
	const char	*version;		/* NULL: AUTH_STORAGE_VERSION */
};

/* request_id: the same over the tries of one operation.  Memory from call scratch. */
int	auth_storage_request(const struct auth *, struct http_request *, const char *request_id,
	    struct arena *scratch, uint64_t *ret_generation, struct err *);

/*
 * The same for ADLS Gen1, which takes bearer tokens and none of the x-ms- headers but the id.
 * Another kind of credential: ERR_USAGE.
 */
int	auth_bearer_request(const struct auth *, struct http_request *, const char *request_id,
	    struct arena *scratch, uint64_t *ret_generation, struct err *);

/* The signature alone, for tests: base64 of HMAC-SHA256. */
int	auth_string_to_sign(const char *account, const struct http_request *, struct buf *ret);
int	auth_hmac_sha256_base64(const char *key_base64, const char *text, size_t len,
	    struct buf *ret);
/* "se=" of a SAS as Unix seconds; 0 if it has none. */
int64_t	auth_sas_expiry(const char *sas);

#endif
