#ifndef SPEC_CLOUD_H
#define SPEC_CLOUD_H

/*
 * cloud -- the names of one Azure cloud: one row a cloud, nothing is derived by string surgery.
 *
 * Public, US Government and China are compiled in; any other is a JSON file with
 * the members of struct cloud, as `amlshim --cloud FILE` takes it.  Sources:
 * Azure/azure-cli src/azure-cli-core/azure/cli/core/cloud.py; Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/_azure_environments.py.
 */

#include <stddef.h>

struct cloud {
	const char	*name;		/* "AzureCloud" */
	const char	*authority;	/* "https://login.microsoftonline.com", no '/' at the end */
	const char	*arm;		/* "https://management.azure.com": URL and resource */
	const char	*storage_suffix;	/* "core.windows.net" */
	const char	*storage_resource;	/* "https://storage.azure.com/" */
	const char	*gen1_suffix, *gen1_resource;
	const char	*vault_suffix;	/* "vault.azure.net" */
	const char	*vault_resource;	/* "https://vault.azure.net" */
	const char	*registry_suffix;	/* "azurecr.io" */
	const char	*registry_resource;	/* "https://containerregistry.azure.net" */
	const char	*aml_resource;	/* "https://ml.azure.com/" */
};

extern const struct cloud cloud_public;

/* Row i of the table; NULL past the end. */
const struct cloud *cloud_row(size_t i);
/* By name, any case; "public", "usgov" and "china" too.  NULL: no such row. */
const struct cloud *cloud_find(const char *name);
/* The cloud whose authority this is (scheme and trailing '/' do not matter); NULL: none. */
const struct cloud *cloud_of_authority(const char *authority);

#endif
