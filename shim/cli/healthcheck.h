#ifndef CLI_HEALTHCHECK_H
#define CLI_HEALTHCHECK_H

/*
 * healthcheck -- one line and 0 or 1: for Docker's HEALTHCHECK and exec probes of Kubernetes.
 */

#include "cli/options.h"

int	healthcheck_command(const struct options *);	/* exit status */

#endif
