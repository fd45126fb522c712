#ifndef AZURE_ARM_H
#define AZURE_ARM_H

/*
 * arm -- what an Azure ML workspace tells of its datastores, data assets and models.
 *
 *   GET  WORKSPACE/datastores/NAME
 *   GET  WORKSPACE/datastores?isDefault=true&count=1&orderByAsc=false
 *   POST WORKSPACE/datastores/NAME/listSecrets   {"expirableSecret":true,"expireAfterHours":N}
 *   GET  WORKSPACE/data/NAME/versions/VERSION
 *   GET  WORKSPACE/data/NAME/versions?$orderBy=createdtime desc&$top=1    the latest
 *   GET  WORKSPACE/models/NAME/versions...                                likewise
 * with WORKSPACE = ENDPOINT/subscriptions/S/resourceGroups/G/providers/
 * Microsoft.MachineLearningServices/workspaces/W.  The body of listSecrets, and
 * with it a SAS in place of the account key, exists from version
 * 2024-07-01-preview on.
 *
 * Sources: Azure/azure-rest-api-specs specification/machinelearningservices/
 * resource-manager/Microsoft.MachineLearningServices/stable/2024-10-01/examples/Datastore/
 * {get,list,listSecrets}.json, Workspace/{DataVersionBase,ModelVersion}/get.json;
 * Azure/azure-sdk-for-python
 * sdk/evaluation/azure-ai-evaluation/azure/ai/evaluation/_azure/_clients.py (LiteMLClient),
 * sdk/ml/azure-ai-ml/azure/ai/ml/_utils/_asset_utils.py (what "latest" is).
 */

#include <stdint.h>

#include "azure/rest.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/wire.h"
#include "spec/spec.h"

struct arm {
	struct http	*http;
	const struct bearer *bearer;
	const char	*endpoint;	/* "https://management.azure.com" */
	const char	*resource;	/* audience of the tokens */
	const char	*api_version;	/* "2024-10-01" */
	int64_t		 deadline_ms;
};

/* name NULL: the workspace's default one. */
int	arm_datastore(const struct arm *, const struct spec_workspace *, const char *name,
	    struct wire_datastore *ret, struct err *);
/* A data asset or a model.  version NULL: the latest. */
int	arm_asset(const struct arm *, const struct spec_workspace *, int is_model,
	    const char *name, const char *version, struct wire_asset *ret, struct err *);

struct arm_secret {
	enum spec_credential kind;	/* SAS where the datastore has an account key, mostly */
	struct secret	 text;		/* a SAS without its '?' */
};
int	arm_list_secrets(const struct arm *, const struct spec_workspace *, const char *name,
	    struct arm_secret *ret, struct err *);

/* The answers, for tests and fuzzers.  Fails: ERR_PROTOCOL. */
int	arm_read_datastore(const char *body, size_t len, struct wire_datastore *, struct err *);
int	arm_read_default(const char *body, size_t len, struct wire_datastore *, struct err *);
int	arm_read_asset(const char *body, size_t len, int is_list, struct wire_asset *,
	    struct err *);
int	arm_read_secret(const char *body, size_t len, struct arm_secret *, struct err *);
/* The object id and the action of a 403's message; -1: it has another form. */
int	arm_read_denial(const char *message, char oid[64], char action[128]);

#endif
