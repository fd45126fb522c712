#ifndef CLI_STATUS_H
#define CLI_STATUS_H

/*
 * status -- what the amlshim that runs here does: command, probes, workers, data and identities.
 */

#include "cli/options.h"

int	status_command(const struct options *);		/* exit status */

#endif
