#ifndef MOUNT_STATS_H
#define MOUNT_STATS_H

/*
 * stats -- what a mount process did so far, in numbers, for --stats and SIGUSR1.
 *
 * One set of counters a process; counting is one relaxed atomic addition, from any
 * thread.  What the job asked (requests of the kernel's that came here; what its caches
 * answered is not seen) and what names cost are counted here; requests of the service
 * are counted by azure/http.
 */

#include <stdint.h>

#include "azure/http.h"
#include "mount/blocks.h"
#include "mount/disk.h"
#include "mount/inode.h"

enum stats_what {
	/* of the kernel */
	STATS_LOOKUPS, STATS_GETATTRS, STATS_OPENS, STATS_READS, STATS_READ_BYTES, STATS_WRITES,
	STATS_WRITTEN_BYTES, STATS_FLUSHES, STATS_READDIRS, STATS_XATTRS, STATS_CHANGES,
	/* names */
	STATS_LISTINGS, STATS_ASKED,
	STATS_COUNTERS
};

void	stats_add(enum stats_what, int64_t n);
int64_t	stats_get(enum stats_what);
/* Lines of "name value" pairs; first word of each: what it is about.  disk NULL: none. */
void	stats_print(const struct http_counts *, struct tree *, struct blocks *, struct disk *,
	    struct buf *);

#endif
