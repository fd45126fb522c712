#ifndef CLI_DOCKER_CREDENTIAL_H
#define CLI_DOCKER_CREDENTIAL_H

/*
 * docker_credential -- `amlshim docker-credential ACTION`, also under the name
 * docker-credential-amlshim: a docker client's credential helper for Azure
 * Container Registry.
 *
 * Credentials are made at each `get`, for the identity that the job's own code
 * gets tokens of, else for the machine's; nothing is stored.  A server that is
 * no Azure registry has none: the client then goes on without.
 *
 * Protocol: docker/docker-credential-helpers credentials/credentials.go and
 * credentials/error.go: failures are one line on standard output, exit 1.
 */

#include "cli/options.h"
#include "init/init.h"

#define DOCKER_CREDENTIAL_NAME	"docker-credential-amlshim"

/* opt->argv: the action alone.  The exit status. */
int	docker_credential(const struct options *, const struct init_inherited *,
	    char *const *envp);
/* A failure before there are options, as the client wants it: the exit status. */
int	docker_credential_fail(const struct err *);

#endif
