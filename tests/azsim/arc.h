#ifndef AZSIM_ARC_H
#define AZSIM_ARC_H

/*
 * arc -- the challenge of Azure Arc's agent: a key file that only the right people can read.
 *
 * Azure/azure-sdk-for-python sdk/identity/azure-identity/azure/identity/_credentials/azure_arc.py;
 * MicrosoftDocs/azure-docs articles/azure-arc/servers/managed-identity-authentication.md.
 */

#include <pthread.h>

#include "exchange.h"

int	arc_handle(struct exchange *);

#endif
