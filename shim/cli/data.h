#ifndef CLI_DATA_H
#define CLI_DATA_H

/*
 * data -- amlshim ls, cat and cp: a look at the job's data as the job has it, without the job.
 *
 * PLACE is a URI, or an input or output of the job (place.h).  Standard output has nothing but
 * names, JSON lines, or bytes; a reader that goes away ends them quietly, with 128+13.
 */

#include "cli/options.h"
#include "init/init.h"

/* The exit status: that of a run that fails for the same reason. */
int	ls_command(const struct options *, const struct init_inherited *, char **envp);
int	cat_command(const struct options *, const struct init_inherited *, char **envp);
/*
 * Whole folders with -R, and single files from a store, are copied by the processes that a job's
 * download and upload modes have: many at once, checked, and resumed where one was interrupted.
 */
int	cp_command(const struct options *, const struct init_inherited *, char **envp);

#endif
