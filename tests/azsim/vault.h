#ifndef AZSIM_VAULT_H
#define AZSIM_VAULT_H

/*
 * vault -- Key Vault, its secrets: GET https://NAME.vault.localhost:PORT/secrets/NAME[/VERSION].
 *
 * Clients compare the resource of the challenge with the vault's own name, so
 * this cloud's vaults live below "vault.localhost", which is loopback by its name, and
 * their resource is https://vault.localhost; in the public cloud both are
 * vault.azure.net.
 *
 * Source: Azure/azure-sdk-for-js sdk/keyvault/keyvault-secrets/recordings/node/
 * challenge_based_authentication_tests (the challenge); MicrosoftDocs/azure-docs
 * articles/key-vault/general/rest-error-codes.md; the 403s as in
 * piyushsachdeva/Terraform_AKS issue 2, hashicorp/terraform-provider-azurerm issue 17015.
 */

#include "exchange.h"

#define VAULT_SUFFIX	".vault.localhost"
#define VAULT_RESOURCE	"https://vault.localhost"

int	vault_route(struct exchange *);		/* 0: it is for us; -1: it is not */
int	vault_handle(struct exchange *);

#endif
