#ifndef INIT_PROGRESS_H
#define INIT_PROGRESS_H

/*
 * progress -- how far downloads and uploads are: one line on a terminal that is
 * rewritten, a log line now and then elsewhere.
 */

#include <stdint.h>

#include "base/wire.h"

struct progress {
	int64_t	next_ms;		/* when the next log line is due */
	int	line_open;		/* a terminal line without its newline */
};

void	progress_show(struct progress *, const char *name, const struct wire_stats *);
/* End an open line: before anything else is printed. */
void	progress_clear(struct progress *);
/* "1.2 GiB"; lives in buf. */
const char *progress_bytes(int64_t, char buf[24]);

#endif
