#ifndef BASE_VITALS_H
#define BASE_VITALS_H

/*
 * vitals -- what a worker shows of itself while it lives, in memory that init shares with it.
 *
 * Numbers only, each written by the worker and read by init (watchdog, status, report) without
 * a lock; init believes none of them blindly.  The memory outlives the worker and serves its
 * successor.
 */

#include <stdint.h>

#include "base/err.h"

#define VITALS_IDENTITIES	16
struct vitals {
	_Atomic int64_t	beat_ms;		/* clock_ms() of the last sign of life; 0: none */
	_Atomic int64_t	requests, retries;	/* to services, over all its lives */
	_Atomic int64_t	bytes_read, bytes_written;
	_Atomic int64_t	in_flight;		/* requests under way */
	_Atomic int64_t	waiting;		/* mount: for the kernel, being answered */
	_Atomic int64_t	open_files;		/* mount */
	_Atomic int64_t	dirty_files;		/* mount: not yet in the store */
	/* Agent: of access i, in Unix seconds; the last also for all behind it; 0: none. */
	_Atomic int64_t	token_expiry_s[VITALS_IDENTITIES];
	_Atomic int64_t	tokens;			/* given to the job */
};

/*
 * n of them, zeroed, shared with processes that are forked later, and by *ret_fd (close-on-exec)
 * with a program that is executed.  NULL with *err.
 */
struct vitals *vitals_new(size_t n, int *ret_fd, struct err *);
/* The same n, from that descriptor (borrowed). */
struct vitals *vitals_map(int fd, size_t n, struct err *);
void	vitals_free(struct vitals *, size_t n);

#endif
