#ifndef CLI_SNAPSHOT_H
#define CLI_SNAPSHOT_H

/*
 * cli/snapshot -- `amlshim snapshot DIR`, and the check before a job runs.
 */

#include "cli/options.h"
#include "cli/story.h"

/* opt->argv: DIR, --output FILE.  The exit status. */
int	snapshot_command(const struct options *);
/*
 * The code of the job (story NULL: none, the current directory) against --snapshot, or under
 * user identity against its own manifest; without one there is a warning.  0: go on; else the
 * exit status (128+n: a signal told it to stop); what was wrong is in *err, and logged.
 */
int	snapshot_check(const struct options *, const struct story *, struct err *);

#endif
