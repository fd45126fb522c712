/*
 * Cloud Shell: POST $MSI_ENDPOINT, form resource=R, header Metadata: true.  The token is that of
 * the person who is signed in; there is nothing to select.
 * Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/cloud_shell.py;
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/cloud_shell.go.
 */

#include "base/uri.h"
#include "identity/source.h"
#include "plan/issuer.h"

static int
detect(const struct facts *facts)
{
	return (issuer_find(facts)->kind == ISSUER_CLOUD_SHELL);
}

static int
fill(void *arg, struct buf *form, struct err *err)
{
	const char *resource = *(const char **)arg;

	(void)err;
	uri_add_field(form, "resource", resource);
	return (0);
}

static int
acquire(const struct facts *facts, struct http *http, const struct plan_identity *identity,
    const char *resource, int64_t deadline_ms, struct token *ret, struct err *err)
{
	struct source_call call = { .url = facts->msi_endpoint, .fill = fill, .arg = &resource,
	    .metadata = 1 };

	if (source_no_selector(identity, "Cloud Shell gives the token of whoever is signed in to "
	    "it (where this is Azure ML, MSI_SECRET is missing)", err) != 0)
		return (-1);
	return (source_do(http, &call, deadline_ms, ret, err));
}

const struct source source_cloudshell = {
	.name = "Cloud Shell endpoint (MSI_ENDPOINT)", .kind = PLAN_ID_MANAGED,
	.gives_user = 1, .detect = detect, .acquire = acquire,
};
