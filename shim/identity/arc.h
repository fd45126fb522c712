#ifndef IDENTITY_ARC_H
#define IDENTITY_ARC_H

/*
 * arc -- the challenge of Azure Arc's agent: "prove that you may read this file".
 *
 * The agent names a key file in WWW-Authenticate; only a file NAME.key directly in
 * the agent's own directory, of at most 4096 bytes and no link, is read: else whoever
 * stands in for the agent could have any file sent to it.
 *
 * Azure/azure-sdk-for-python sdk/identity/azure-identity/azure/identity/_credentials/azure_arc.py;
 * AzureAD/microsoft-authentication-library-for-go apps/managedidentity/managedidentity.go.
 */

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

#define ARC_TOKENS_DIR	"/var/opt/azcmagent/tokens"
#define ARC_KEY_MAX	4096
#define ARC_NAME_MAX	255

/*
 * The file's name in dir, from a header "Basic realm=DIR/NAME.key".
 * fails  ERR_NO_IDENTITY: another scheme, a second '=', another directory, another name
 */
int	arc_key_name(const char *header, const char *dir, char ret[ARC_NAME_MAX + 1],
	    struct err *);
/* Its content, without white space at the end. */
int	arc_read_key(const char *dir, const char *name, struct secret *ret, struct err *);

#endif
