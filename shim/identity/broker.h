#ifndef IDENTITY_BROKER_H
#define IDENTITY_BROKER_H

/*
 * broker -- the loopback endpoint that the job's SDKs take for Azure ML's own.
 *
 * Dialects: GET /MSI/auth?api-version=2017-09-01&resource=R[&clientid=C] with
 * header "secret" (Azure ML), and GET /OBO/SECRET/token?resource=R (user
 * identity; its clients send no header, docs/decisions/003).
 * Answers only for identities that the plan allows: under user identity no
 * managed-identity token and the reverse; a clientid, object or resource id
 * outside the plan is refused; a missing, empty or non-GUID clientid means the
 * plan's default.
 * Each grant and refusal is one log line: who, audience, expiry; never the token.
 *
 * A client has request_ms for a whole request, however slowly it sends; with
 * all connections taken the one that is idle for longest is closed.
 *
 * Contract of the dialects: AzureAD/microsoft-authentication-library-for-go
 * apps/managedidentity/azure_ml.go; Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/identity/_credentials/aml_on_behalf_of.py.
 */

#include "base/secret.h"
#include "identity/cache.h"
#include "plan/plan.h"

struct broker_options {
	int		 listen_fd;		/* 127.0.0.1, made by init */
	const struct plan *plan;
	struct cache	*cache;
	const struct secret *secret;		/* per-job, exported to the job as MSI_SECRET */
	int		 request_ms;		/* 0: 30000 */
	size_t		 connections_max;	/* 0: 256 */
};
struct broker;

/* Serves on its own threads until broker_free. */
struct broker *broker_new(const struct broker_options *, struct err *);
void	broker_free(struct broker *);
int64_t	broker_grants(const struct broker *);
/* A listening socket on 127.0.0.1 and its port: for init. */
int	broker_listen(int *ret_port, struct err *);

#endif
