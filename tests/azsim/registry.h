#ifndef AZSIM_REGISTRY_H
#define AZSIM_REGISTRY_H

/*
 * registry -- an Azure Container Registry: token exchange, challenge, pulls.
 *
 * Over TLS alone, as the real one.
 *
 *   GET  /v2/                        the challenge, or 200 with an access token
 *   POST /oauth2/exchange            an Entra token for a refresh token
 *   GET, POST /oauth2/token          a refresh token for an access token
 *   GET, HEAD /v2/NAME/manifests/REF, /v2/NAME/blobs/DIGEST
 *
 * The registry is called what the Host header says.  Images are the blobs
 * NAME/manifests/REF and NAME/blobs/DIGEST of a container named "registry".
 * Pulling wants the role acrpull ("--role oid=,role=acrpull,account=HOST").
 *
 * Sources: Azure/acr docs/AAD-OAuth.md; distribution/distribution
 * docs/content/spec/auth/token.md, docs/content/spec/api.md.
 */

#include "exchange.h"

int	registry_route(struct exchange *);		/* -1: not for a registry */
int	registry_handle(struct exchange *);

#endif
