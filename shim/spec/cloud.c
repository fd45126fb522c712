#include "spec/cloud.h"

#include <string.h>

#include "base/mem.h"

const struct cloud cloud_public = {
	.name = "AzureCloud",
	.authority = "https://login.microsoftonline.com",
	.arm = "https://management.azure.com",
	.storage_suffix = "core.windows.net",
	.storage_resource = "https://storage.azure.com/",
	.gen1_suffix = "azuredatalakestore.net",
	.gen1_resource = "https://datalake.azure.net/",
	.vault_suffix = "vault.azure.net",
	.vault_resource = "https://vault.azure.net",
	.registry_suffix = "azurecr.io",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.com/",
};

static const struct cloud us_government = {
	.name = "AzureUSGovernment",
	.authority = "https://login.microsoftonline.us",
	.arm = "https://management.usgovcloudapi.net",
	.storage_suffix = "core.usgovcloudapi.net",
	.storage_resource = "https://storage.azure.com/",
	.vault_suffix = "vault.usgovcloudapi.net",
	.vault_resource = "https://vault.usgovcloudapi.net",
	.registry_suffix = "azurecr.us",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.us/",
};

static const struct cloud china = {
	.name = "AzureChinaCloud",
	.authority = "https://login.chinacloudapi.cn",
	.arm = "https://management.chinacloudapi.cn",
	.storage_suffix = "core.chinacloudapi.cn",
	.storage_resource = "https://storage.azure.com/",
	.vault_suffix = "vault.azure.cn",
	.vault_resource = "https://vault.azure.cn",
	.registry_suffix = "azurecr.cn",
	.registry_resource = "https://containerregistry.azure.net",
	.aml_resource = "https://ml.azure.cn/",
};

static const struct {
	const struct cloud *cloud;
	const char	*alias;
} rows[] = {
	{ &cloud_public, "public" }, { &us_government, "usgov" }, { &china, "china" },
};

const struct cloud *
cloud_row(size_t i)
{
	return (i < LENGTH(rows) ? rows[i].cloud : NULL);
}

const struct cloud *
cloud_find(const char *name)
{
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		if (str_same(name, rows[i].cloud->name) || str_same(name, rows[i].alias))
			return (rows[i].cloud);
	return (NULL);
}

static size_t
host_of(const char *url, const char **ret)
{
	if (str_starts(url, "https://"))
		url += strlen("https://");
	*ret = url;
	return (strcspn(url, "/"));
}

const struct cloud *
cloud_of_authority(const char *authority)
{
	const char *host, *other;
	size_t len = host_of(authority, &host), i;

	for (i = 0; i < LENGTH(rows); i++)
		if (host_of(rows[i].cloud->authority, &other) == len &&
		    strncmp(host, other, len) == 0)
			return (rows[i].cloud);
	return (NULL);
}
