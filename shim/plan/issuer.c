#include "plan/issuer.h"

#define BY_ANY	(ISSUER_BY_CLIENT | ISSUER_BY_OBJECT | ISSUER_BY_RESOURCE)

static int
is_fabric(const struct facts *f)
{
	return (f->identity_endpoint != NULL && f->identity_header.len != 0 &&
	    f->identity_server_thumbprint != NULL);
}

static int
is_appservice(const struct facts *f)
{
	return (f->identity_endpoint != NULL && f->identity_header.len != 0);
}

static int
is_aml(const struct facts *f)
{
	return (f->msi_endpoint != NULL && f->msi_secret.len != 0);
}

static int
is_cloud_shell(const struct facts *f)
{
	return (f->msi_endpoint != NULL);
}

static int
is_arc(const struct facts *f)
{
	return ((f->identity_endpoint != NULL && f->imds_endpoint != NULL) || f->has_himds);
}

/* Without the tenant it is not complete; it still must not turn into the node's own identity. */
static int
is_workload(const struct facts *f)
{
	return (f->federated_token_file != NULL);
}

static int
is_anything(const struct facts *f)
{
	(void)f;
	return (1);
}

static const struct {
	struct issuer	 issuer;
	int		(*fits)(const struct facts *);
} rows[] = {
	{ { ISSUER_FABRIC, "Service Fabric endpoint (IDENTITY_ENDPOINT, pinned certificate)",
	    0, 0, 0 }, is_fabric },
	{ { ISSUER_APPSERVICE, "App Service endpoint (IDENTITY_ENDPOINT)", BY_ANY, 0, 0 },
	    is_appservice },
	{ { ISSUER_AML, "Azure ML endpoint (MSI_ENDPOINT)", ISSUER_BY_CLIENT, 1, 0 }, is_aml },
	{ { ISSUER_CLOUD_SHELL, "Cloud Shell endpoint (MSI_ENDPOINT without MSI_SECRET)", 0, 0, 0 },
	    is_cloud_shell },
	{ { ISSUER_ARC, "Azure Arc agent (IMDS_ENDPOINT, or its himds on disk)", 0, 0, 0 },
	    is_arc },
	{ { ISSUER_WORKLOAD, "workload identity federation (AZURE_FEDERATED_TOKEN_FILE)",
	    ISSUER_BY_CLIENT, 0, 0 }, is_workload },
	{ { ISSUER_IMDS, "metadata service of the VM (IMDS)", BY_ANY, 0, 1 }, is_anything },
};

const struct issuer *
issuer_find(const struct facts *f)
{
	size_t i = 0;

	while (!rows[i].fits(f))
		i++;
	return (&rows[i].issuer);
}

int
issuer_is_shown(const struct facts *f)
{
	return (!issuer_find(f)->is_default || f->pod_identity_authority_host != NULL);
}
