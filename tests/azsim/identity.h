#ifndef AZSIM_IDENTITY_H
#define AZSIM_IDENTITY_H

/*
 * identity -- the token endpoints.
 *
 *   GET /metadata/identity/oauth2/token   the VM's metadata service; with api-version 2020-06-01
 *                                         Azure Arc's agent (arc.h), with 2019-07-01-preview
 *                                         Service Fabric's endpoint (TLS only)
 *   GET /MSI/auth                         Azure ML compute
 *   GET /msi/token                        App Service, online endpoints
 *   GET /OBO/token                        the submitter, in an Azure ML job
 *   POST /oauth2/token                    Cloud Shell
 *   POST /TENANT/oauth2/v2.0/token        Entra ID (entra.h)
 *
 * Each is as strict, and as odd, as its original; identity.c says where the
 * shape is documented.
 */

#include "exchange.h"

int	identity_route(struct exchange *);	/* 0: it is for us; -1: it is not */
int	identity_handle(struct exchange *);

/* For arc.c: OAuth's error, and the machine's own token (resource from the query). */
int	identity_fail(struct exchange *, int status, const char *error, const char *description);
int	identity_give_system(struct exchange *);

#endif
