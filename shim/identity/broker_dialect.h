#ifndef IDENTITY_BROKER_DIALECT_H
#define IDENTITY_BROKER_DIALECT_H

/*
 * broker_dialect -- how each token endpoint is asked, and answers: one table.
 *
 *   aml         GET /MSI/auth?api-version=2017-09-01&resource=R[&clientid=C], header "secret"
 *   appservice  GET /msi/token?api-version=2019-08-01&resource=R[&client_id=C|...],
 *               header "X-IDENTITY-HEADER"
 *   imds        GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=R[&...],
 *               header "Metadata: true"; there is no secret in it
 *   obo         GET /OBO/SECRET/token?resource=R (docs/decisions/003)
 *
 * A dialect says whether a request is well formed and puts answers and refusals
 * into its endpoint's words; who may have what is the broker's matter.
 *
 * Contracts: AzureAD/microsoft-authentication-library-for-go
 * apps/managedidentity/azure_ml.go; Azure/azure-sdk-for-python
 * sdk/identity/azure-identity/azure/identity/_credentials/{app_service,imds}.py and
 * sdk/ml/azure-ai-ml/azure/ai/ml/identity/_credentials/aml_on_behalf_of.py;
 * MicrosoftDocs/entra-docs docs/identity/managed-identities-azure-resources/how-to-use-vm-token.md.
 */

#include "base/httpd.h"
#include "base/mem.h"
#include "base/secret.h"
#include "identity/token.h"
#include "plan/plan.h"

#define DIALECT_APPSERVICE_PATH	"/msi/token"
#define DIALECT_AML_PATH	"/MSI/auth"

enum refusal {
	REFUSED_NOTHING = 0,
	REFUSED_PROBE,		/* IMDS without "Metadata": how clients see that it is there */
	REFUSED_METHOD,
	REFUSED_FORWARDED,
	REFUSED_SECRET,
	REFUSED_VERSION,
	REFUSED_RESOURCE,
	REFUSED_SELECTOR,	/* more than one identity is named */
	REFUSED_PEER,		/* not a process of the job */
	REFUSED_KIND,		/* managed under user identity, or the reverse */
	REFUSED_IDENTITY,	/* one that the plan does not have */
	REFUSED_BY_SOURCE,	/* the platform said no */
	REFUSED_FOR_NOW,	/* the platform did not answer */
	REFUSALS
};

struct dialect;

struct dialect_selector {	/* "" is NULL; at most one is set */
	const char *client_id, *object_id, *resource_id;
};

/* The one that serves this path, of those offered; NULL: none. */
const struct dialect *dialect_find(unsigned offered, enum plan_broker, const char *path,
	    const struct secret *);
const char *dialect_name(const struct dialect *);
/* 1: it hands out tokens of this kind. */
int	dialect_is_for(const struct dialect *, enum plan_broker);
/* The request by itself: method, headers, secret, version, resource, selectors. */
enum refusal dialect_read(const struct dialect *, const struct httpd_request *,
	    const struct secret *, const char **ret_resource, struct dialect_selector *ret,
	    struct arena *);
/* 0: sent. */
int	dialect_grant(const struct dialect *, struct httpd_conn *, const struct token *,
	    const char *resource, const char *client_id);
/* why: for people.  Returns the status that was sent, or -1. */
int	dialect_refuse(const struct dialect *, struct httpd_conn *, enum refusal, const char *why);
/* What is wrong with the request, for people; "" where only the caller knows. */
const char *dialect_reason(const struct dialect *, enum refusal);
/* The word for the record: "secret", "identity", ... */
const char *refusal_name(enum refusal);

#endif
