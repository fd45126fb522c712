#ifndef PLAN_EXPORT_H
#define PLAN_EXPORT_H

/*
 * export -- the environment of the job, made of ours, the plan and the broker.
 *
 * Kept: everything init was started with, in order, byte for byte, except the
 * variables that carry amlshim's own inputs (AMLSHIM_JOB, AMLSHIM_DATASTORES,
 * AMLSHIM_COMPUTE: they may hold secrets) and the platform's token endpoints and
 * secrets (MSI_ENDPOINT, MSI_SECRET, IDENTITY_ENDPOINT, IDENTITY_HEADER,
 * OBO_ENDPOINT, IDENTITY_SERVER_THUMBPRINT, IMDS_ENDPOINT and
 * AZURE_FEDERATED_TOKEN_FILE when a broker stands in for them).  Added: AZURE_ML_INPUT_name,
 * AZURE_ML_OUTPUT_name, environment_variables (they win over ours), and the
 * broker's MSI_ENDPOINT, MSI_SECRET, OBO_ENDPOINT, DEFAULT_IDENTITY_CLIENT_ID.
 * Without a plan nothing is changed.
 */

#include "base/mem.h"
#include "plan/plan.h"

struct export_broker {		/* NULL members: not offered */
	const char *msi_endpoint, *msi_secret, *obo_endpoint, *default_client_id;
};

/* NULL-terminated; lives in the arena. */
char	**export_environ(const struct plan *, const struct facts *, const struct export_broker *,
	    struct arena *);

#endif
