#ifndef PLAN_EXPORT_H
#define PLAN_EXPORT_H

/*
 * export -- the environment of the job, made of ours, the plan and the broker.
 *
 * Kept: everything init was started with, in order, byte for byte, except the
 * variables that carry amlshim's own inputs (AMLSHIM_JOB, AMLSHIM_DATASTORES,
 * AMLSHIM_COMPUTE: they may hold secrets; AMLSHIM_EXPORT_TOKENS,
 * AMLSHIM_TOKEN_FILES, AMLSHIM_AUDIT, AMLSHIM_SNAPSHOT: a second amlshim must not repeat
 * them) and, when a broker stands in or a job gets no tokens because its submitter's are not
 * to be had, every variable by which an SDK would find another source of tokens:
 * docs/decisions/008.  Added: AZURE_ML_INPUT_name,
 * AZURE_ML_OUTPUT_name, what a deployment's server reads (plan/parts.h, serve.c),
 * environment_variables (they win over ours), and the broker's endpoints.  Without a plan
 * nothing is changed.
 */

#include "base/mem.h"
#include "plan/plan.h"

struct export_broker {		/* NULL members: not offered */
	const char *msi_endpoint, *msi_secret, *obo_endpoint, *default_client_id;
	const char *identity_endpoint, *identity_header, *pod_identity_authority_host;
	const char *socket;
};

/* NULL-terminated; lives in the arena. */
char	**export_environ(const struct plan *, const struct facts *, const struct export_broker *,
	    struct arena *);

#endif
