#ifndef MOUNT_TRANSFER_H
#define MOUNT_TRANSFER_H

/*
 * transfer -- the download and upload modes: a worker process that copies.
 *
 * Download: everything below the prefix (or one blob) into the target before
 * the job starts: files in parallel, large ones by ranges; sizes are checked;
 * each file appears by rename when whole.  Upload: after the job, everything in
 * the target goes out, blocks in parallel; what fails is kept and named
 * (WIRE_LOST).  WIRE_PROGRESS about every second.  Names that cannot be files
 * ("..", "//", NUL, > 255 bytes) are refused with their name, never written.
 */

#include <stdint.h>

#include "plan/plan.h"

struct transfer_options {
	const struct plan_access *access;
	int		 init_fd, agent_fd;
	int64_t		 memory_bytes;
	const struct plan_tuning *tuning;
};

/* Downloads, WIRE_READY, ends.  Does not return. */
void	transfer_download_main(const struct transfer_options *) __attribute__((noreturn));
/* WIRE_READY once the service lets us in; waits for WIRE_STOP; uploads; WIRE_DONE. */
void	transfer_upload_main(const struct transfer_options *) __attribute__((noreturn));

#endif
