#ifndef AZSIM_IDENTITY_H
#define AZSIM_IDENTITY_H

/*
 * identity -- the token endpoints: IMDS, Azure ML, App Service, on-behalf-of.
 *
 *   GET /metadata/identity/oauth2/token   the VM's metadata service
 *   GET /MSI/auth                         Azure ML compute
 *   GET /msi/token                        App Service, online endpoints
 *   GET /OBO/token                        the submitter, in an Azure ML job
 *
 * Each is as strict, and as odd, as its original; identity.c says where the
 * shape is documented.
 */

#include "exchange.h"

int	identity_route(struct exchange *);	/* 0: it is for us; -1: it is not */
int	identity_handle(struct exchange *);

#endif
