#ifndef SPEC_CLOUD_H
#define SPEC_CLOUD_H

/*
 * cloud -- the names of one Azure cloud: one row a cloud, nothing is derived by string surgery.
 *
 * Public, US Government and China are compiled in; any other is a JSON object
 * with the members of struct cloud, as `amlshim --cloud FILE` takes it: strings; gen1_... may be
 * left out, nothing else may, and nothing may be added.  Sources:
 * Azure/azure-cli src/azure-cli-core/azure/cli/core/cloud.py; Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/_azure_environments.py.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct cloud {
	const char	*name;		/* "AzureCloud" */
	const char	*authority;	/* "https://login.microsoftonline.com", no '/' at the end */
	const char	*arm;		/* "https://management.azure.com": URL and resource */
	const char	*storage_suffix;	/* "core.windows.net"; HOST:PORT: path-style */
	const char	*storage_resource;	/* "https://storage.azure.com/" */
	const char	*gen1_suffix, *gen1_resource;	/* NULL: this cloud has none */
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

/* The words that cloud_find() takes, for messages: "AzureCloud, AzureUSGovernment, ...". */
const char *cloud_names(struct arena *);
/*
 * What a person gave: a name of the table, the path of a JSON file, or its text ('{' first).
 * NULL with ERR_USAGE, resource "FILE: MEMBER".  Memory from the arena.
 */
const struct cloud *cloud_load(const char *name_or_file, struct arena *, struct err *);
/* The text alone; file: for messages. */
const struct cloud *cloud_parse(const char *text, size_t len, const char *file, struct arena *,
	    struct err *);

#endif
