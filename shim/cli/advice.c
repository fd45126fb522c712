#include "cli/advice.h"

#include <string.h>

/* One word of a shell's command line. */
static const char *
quote(const char *word, struct arena *mem)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	    "_-./:@";
	auto_buf struct buf out = BUF_EMPTY;

	if (word[0] != '\0' && strspn(word, plain) == strlen(word))
		return (arena_strdup(mem, word));
	buf_addc(&out, '\'');
	for (; *word != '\0'; word++)
		if (*word == '\'')
			buf_adds(&out, "'\\''");
		else
			buf_addc(&out, *word);
	buf_addc(&out, '\'');
	return (arena_strdup(mem, buf_str(&out)));
}

static const char *
grant(const struct advice_case *c, const char *role, struct arena *mem)
{
	if (c->object_id == NULL || c->object_id[0] == '\0')
		return (NULL);
	return (arena_printf(mem, "az role assignment create --role \"%s\" --assignee-object-id %s "
	    "--assignee-principal-type %s --scope \"$(az storage account show --name %s --query id "
	    "--output tsv)/blobServices/default/containers/%s\"", role, quote(c->object_id, mem),
	    c->is_user ? "User" : "ServicePrincipal", quote(c->account, mem),
	    quote(c->container, mem)));
}

static const char *
on_account(const struct advice_case *c, const char *fmt, struct arena *mem)
{
	const char *at = strstr(fmt, "%a");

	return (arena_printf(mem, "%.*s%s%s", (int)(at - fmt), fmt, quote(c->account, mem),
	    at + 2));
}

static const char *
make_sas(const struct advice_case *c, struct arena *mem)
{
	return (arena_printf(mem, "az storage container generate-sas --account-name %s --name %s "
	    "--permissions %s --https-only --expiry \"$(date -u -d '+7 days' +%%Y-%%m-%%dT%%H:%%MZ)"
	    "\" --output tsv", quote(c->account, mem), quote(c->container, mem),
	    c->writing ? "racwdl" : "rl"));
}

static const char *
on_compute(const struct advice_case *c, const char *verb, const char *option, struct arena *mem)
{
	if (c->compute == NULL || c->resource_group == NULL || c->workspace == NULL)
		return (NULL);
	return (arena_printf(mem, "az ml compute %s --name %s --resource-group %s --workspace-name "
	    "%s %s", verb, quote(c->compute, mem), quote(c->resource_group, mem),
	    quote(c->workspace, mem), option));
}

static const char *
about_storage(const struct advice_case *c, struct arena *mem)
{
	switch (c->remedy) {
	case REMEDY_GRANT_DATA_READER:
	case REMEDY_GRANT_READER_OR_ACL:
		return (grant(c, "Storage Blob Data Reader", mem));
	case REMEDY_GRANT_DATA_CONTRIBUTOR:
	case REMEDY_GRANT_CONTRIBUTOR_OR_ACL:
		return (grant(c, "Storage Blob Data Contributor", mem));
	case REMEDY_OPEN_NETWORK:
		return (on_account(c, "az storage account show --name %a --query \"{public: "
		    "publicNetworkAccess, rules: networkRuleSet, private: "
		    "privateEndpointConnections[].privateEndpoint.id}\"", mem));
	case REMEDY_RENEW_SAS:
	case REMEDY_WIDEN_SAS:
		return (make_sas(c, mem));
	case REMEDY_RENEW_KEY:
		return (on_account(c, "az storage account keys list --account-name %a", mem));
	case REMEDY_SHARED_KEY_DISABLED:
		return (on_account(c, "az storage account show --name %a --query "
		    "allowSharedKeyAccess", mem));
	case REMEDY_CHECK_NAME:
		return (on_account(c, "az storage container list --auth-mode login --account-name "
		    "%a --query \"[].name\"", mem));
	case REMEDY_CHECK_DNS:
		return (on_account(c, "az storage account show --name %a --query "
		    "primaryEndpoints.blob", mem));
	default:
		return (NULL);
	}
}

const char *
advice_command(const struct advice_case *c, struct arena *mem)
{
	switch (c->remedy) {
	case REMEDY_ASSIGN_IDENTITY:
		return (on_compute(c, "update", "--identity-type SystemAssigned", mem));
	case REMEDY_NAME_ASSIGNED_IDENTITY:
		return (on_compute(c, "show", "--query identity", mem));
	default:
		break;
	}
	return (c->account != NULL && c->container != NULL ? about_storage(c, mem) : NULL);
}
