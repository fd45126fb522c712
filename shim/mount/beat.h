#ifndef MOUNT_BEAT_H
#define MOUNT_BEAT_H

/*
 * beat -- a worker's numbers and its sign of life, once a second (base/vitals.h).
 *
 * The sign must mean that requests get answered, not that a thread runs: look() goes where the
 * others go (it takes their locks), and tells whether somebody waits longer than can be right.
 * Who waits for a lock that nobody gives back gives no sign any more, and init ends the process.
 */

#include "azure/http.h"
#include "base/err.h"
#include "base/vitals.h"

struct beat_options {
	struct vitals	*vitals;
	struct http	*http;
	/* 1: it is as it should be.  moved: bytes and requests of services so far. */
	int		(*look)(void *arg, int64_t now_ms, int64_t moved);
	void		*arg;
};

struct beat;
/* Starts the thread.  The counters go on from where an earlier life left them. */
struct beat *beat_new(const struct beat_options *, struct err *);
/* Once more at the end: the counters are exact then. */
void	beat_count(struct beat *);

#endif
