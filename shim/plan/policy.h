#ifndef PLAN_POLICY_H
#define PLAN_POLICY_H

/*
 * policy -- which identity serves a data access: one table, one row a case.
 *
 * The rows are those of the Azure ML document "Set up service authentication"
 * (MicrosoftDocs/azure-ai-docs how-to-identity-based-service-authentication.md):
 * cached credentials win over all; then the job's identity; then the compute's
 * default.  User identity and compute identity never serve the same job.
 * Rows are matched in order; the first that fits decides.  Pure.
 */

#include "base/err.h"
#include "base/mem.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

struct policy_question {
	const struct spec_datastore *datastore;	/* NULL: raw URI, never has credentials */
	const struct spec_identity *job;
	const struct spec_compute *compute;
	const struct facts *facts;
	enum spec_store_type store;
};

/* Row i of the table, for printing and for the test that covers each row; NULL past the end. */
struct policy_row_text {
	const char *id, *credentials, *job, *compute, *used, *reason;
};
const struct policy_row_text *policy_row(size_t i);
/* 1: the conditions of row i hold for the question (an earlier row may decide all the same). */
int	policy_row_fits(size_t i, const struct policy_question *);

/*
 * fails    ERR_NO_IDENTITY, ERR_USAGE with the remedy; identity is left alone
 * warning  set to a row's warning or NULL
 */
int	policy_choose(struct plan_identity *ret, const struct policy_question *,
	    struct plan_warning *ret_warning, struct arena *, struct err *);

/* The compute's own rules: SAI xor UAIs, DEFAULT_IDENTITY_CLIENT_ID is a GUID and one of them. */
int	policy_check_compute(const struct spec_compute *, const struct facts *,
	    struct plan_warning *ret_warning, struct arena *, struct err *);

#endif
