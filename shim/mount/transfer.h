#ifndef MOUNT_TRANSFER_H
#define MOUNT_TRANSFER_H

/*
 * transfer -- the download and upload modes: a worker process that copies.
 *
 * Download: everything below the prefix (or one blob, or one public file) into the
 * target before the job starts; each file appears by rename when whole.  Upload: after the
 * job, everything in the target goes out; what fails is kept and named (WIRE_LOST).
 * Many files, and pieces of large ones, at once (pool.h); what a run that was interrupted has
 * copied is not copied again (journal.h).  WIRE_PROGRESS about every second, if there is any.
 * Names that cannot be files ("..", "//", NUL, > 255 bytes) are refused with their name,
 * never written; names that cannot be blobs are refused likewise.
 *
 * Nothing is fsynced: see journal.h.  docs/COPIES.md has the rules for people.
 */

#include <stdint.h>

#include "base/vitals.h"
#include "plan/plan.h"

struct transfer_options {
	const struct plan_access *access;
	int		 init_fd, agent_fd;
	int		 life;		/* 0: the first; n: the n-th successor */
	int		 was_ready;	/* an earlier life said WIRE_READY: the job may run */
	int64_t		 memory_bytes;
	const struct plan_tuning *tuning;
	struct vitals	*vitals;	/* to be kept up to date */
};

/* Downloads, WIRE_READY, ends.  Does not return. */
void	transfer_download_main(const struct transfer_options *) __attribute__((noreturn));
/* WIRE_READY once the service lets us in; waits for WIRE_STOP; uploads; WIRE_DONE. */
void	transfer_upload_main(const struct transfer_options *) __attribute__((noreturn));

#endif
