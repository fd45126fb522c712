#ifndef PLAN_ISSUER_H
#define PLAN_ISSUER_H

/*
 * issuer -- who gives out tokens of managed identities on this machine: a table, in order.
 *
 * The order and the conditions are those of Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/managed_identity.py and
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/managedidentity.go (where
 * they differ: docs/IDENTITY.md).  Both policy and the sources ask here, so that the plan names
 * the endpoint that is asked.  Pure.
 */

#include "plan/facts.h"

enum issuer_kind {
	ISSUER_FABRIC, ISSUER_APPSERVICE, ISSUER_AML, ISSUER_CLOUD_SHELL, ISSUER_ARC,
	ISSUER_WORKLOAD, ISSUER_IMDS,
};

enum {	/* by: how an identity can be named to it */
	ISSUER_BY_CLIENT = 1, ISSUER_BY_OBJECT = 2, ISSUER_BY_RESOURCE = 4,
};

struct issuer {
	enum issuer_kind kind;
	const char	*name;		/* "Azure ML endpoint (MSI_ENDPOINT)" */
	unsigned	 by;		/* 0: it has one identity and takes no selector */
	int		 needs_client_id;	/* even for the system-assigned identity */
	int		 is_default;	/* what is left: nothing in the environment shows it */
};

/* Never NULL: the VM's metadata service is the last resort. */
const struct issuer *issuer_find(const struct facts *);
/* 1: the environment shows a token endpoint, or a way to it. */
int	issuer_is_shown(const struct facts *);

#endif
