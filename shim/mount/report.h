#ifndef MOUNT_REPORT_H
#define MOUNT_REPORT_H

/*
 * report -- what went wrong in a mount, for the log: each kind of failure once,
 * then at most every half minute, with the number of those left out.
 *
 * For the process's top (session, ops, mountd, transfer); any thread.
 */

#include "base/err.h"

struct report;
/* label: as whom the data is accessed; borrowed. */
struct report *report_new(const char *label);
void	report_free(struct report *);
/* An error line. */
void	report_failure(struct report *, const struct err *);

#endif
