#ifndef AZSIM_ENTRA_H
#define AZSIM_ENTRA_H

/*
 * entra -- POST /TENANT/oauth2/v2.0/token, over TLS: client credentials; and the document by
 * which clients find it, GET /TENANT/v2.0/.well-known/openid-configuration.
 *
 * MicrosoftDocs/entra-docs docs/identity-platform/v2-oauth2-client-creds-grant-flow.md,
 * certificate-credentials.md, reference-error-codes.md.
 */

#include "exchange.h"

int	entra_is_path(const char *path);	/* 1: it is one of the two */
int	entra_handle(struct exchange *);

#endif
