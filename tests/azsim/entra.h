#ifndef AZSIM_ENTRA_H
#define AZSIM_ENTRA_H

/*
 * entra -- POST /TENANT/oauth2/v2.0/token, over TLS: client credentials.
 *
 * MicrosoftDocs/entra-docs docs/identity-platform/v2-oauth2-client-creds-grant-flow.md,
 * certificate-credentials.md, reference-error-codes.md.
 */

#include "exchange.h"

int	entra_is_path(const char *path);	/* 1: /ONE-SEGMENT/oauth2/v2.0/token */
int	entra_handle(struct exchange *);

#endif
