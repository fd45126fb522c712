#ifndef BASE_TRACE_H
#define BASE_TRACE_H

/*
 * trace -- a timeline of phases and requests that opens in Perfetto and chrome://tracing.
 *
 * One JSON array in Chrome's Trace Event Format (docs.google.com, "Trace Event Format", sections
 * "JSON Array Format", "Complete Events" and "Async Events"), times in microseconds of the
 * monotonic clock.  What a thread does one after the other is complete events ("ph": "X");
 * what overlaps on one thread is pairs of async ones ("b", "e").  init opens
 * the file before it forks; every process adds whole events with one write(2)
 * to the shared descriptor (O_APPEND), so that they do not interleave.  What cannot be
 * written, or would make it longer than TRACE_BYTES_MAX, is lost: a trace holds nobody up.
 * A process that dies leaves whole events.  Never pass a secret.
 */

#include <stdint.h>

#include "base/err.h"

#define TRACE_BYTES_MAX	(INT64_C(256) << 20)

/* Creates or empties path (0600).  Call once, before any fork. */
int	trace_open(const char *path, struct err *);
/* The same trace in a program that was executed: it is taken; -1: there is none. */
void	trace_adopt(int inherited);
/* The descriptor, for whoever closes all others; -1: no trace. */
int	trace_fd(void);
int	trace_on(void);
/* Begins a span: what trace_span() wants.  0 when there is no trace. */
int64_t	trace_begin(void);
/*
 * From began_us until now.  category: "phase", "worker", "token", "http", "fuse"; detail: NULL or
 * what it was about; value: NULL or the name of number.
 */
void	trace_span(const char *category, const char *name, int64_t began_us, const char *detail,
	    const char *value, int64_t number);
/* The same of one of several things that are under way on this thread. */
void	trace_request(const char *category, const char *name, int64_t began_us, const char *detail,
	    const char *value, int64_t number);
/* The name of this process in the picture. */
void	trace_process(const char *name);
/* By init, when nobody writes any more: the array ends. */
void	trace_close(void);

#endif
