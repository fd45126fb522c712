#ifndef INIT_PROGRESS_H
#define INIT_PROGRESS_H

/*
 * progress -- how far all downloads, or all uploads, are together: one line on a terminal
 * that is rewritten; elsewhere, with -v, a line (or a JSON object with the numbers) at most
 * every 10 s.  Only before the job and after it: never among what the job prints.
 */

#include <stdint.h>

#include "init/worker.h"

struct progress {
	int	shown;			/* enum plan_action that the rest is about */
	int64_t	next_ms;		/* when the next log line is due */
	int64_t	measured_ms, measured_bytes;	/* of the last change of rate */
	double	rate;			/* bytes per second, of late; 0: not known */
	int	line_open;		/* a terminal line without its newline */
};

/* The one that told something is among them: what all of its kind have done is shown. */
void	progress_show(struct progress *, const struct workers *, const struct worker *told);
/* End an open line: before anything else is printed. */
void	progress_clear(struct progress *);
/* Without the time: as a text of at most 79 columns, with a bar if the total is known. */
void	progress_text(char *buf, size_t size, const char *what, const struct wire_stats *sum,
	    double rate, int with_bar);

#endif
