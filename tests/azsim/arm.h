#ifndef AZSIM_ARM_H
#define AZSIM_ARM_H

/*
 * arm -- Azure Resource Manager, as far as Azure ML workspaces go: datastores, their secrets, and
 * versions of data assets and models.
 *
 * Shapes: Azure/azure-rest-api-specs specification/machinelearningservices/resource-manager/
 * Microsoft.MachineLearningServices/stable/2024-10-01/examples/Datastore/{get,list,
 * listSecrets}.json, Workspace/{DataVersionBase,ModelVersion}/{get,list}.json.  Refusals:
 * learn.microsoft.com "Common Azure deployment errors"; the 403 as in
 * MicrosoftLearning/mslearn-mlops issue 29.  What a SAS in place of the key looks like is not
 * published: a service SAS of the container here.
 */

#include "exchange.h"

int	arm_route(struct exchange *);		/* 0: it is for us; -1: it is not */
int	arm_handle(struct exchange *);

/* {"error":{"code":..,"message":..[,"innererror":{"code":..}]}} */
int	arm_fail(struct exchange *, int status, const char *code, const char *inner,
	    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The claims of a bearer token that is ours and valid; -1: none, *ret_why says. */
int	arm_bearer(struct exchange *, struct jwt_claims *, const char **ret_why);
/* 1: the audience is one of these, with or without '/' at the end; NULL-terminated. */
int	arm_is_audience(const char *aud, const char *const list[]);

#endif
