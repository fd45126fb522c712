#ifndef MOUNT_BEHIND_H
#define MOUNT_BEHIND_H

/*
 * behind -- uploads that nobody waits for: files that were closed, with --write-behind.
 *
 * A queue of staged files and a few threads that upload them, in the order in which they
 * were closed.  A file that is renamed before its turn goes out under its new name (it was
 * never there under the old one); one that is deleted never goes; one that is being uploaded
 * is busy, and who renames it waits.  What fails is told to opt.failed, stays staged, and is
 * tried again by fsync, when it was written again, and at the end.
 *
 * When the queue is long, or the disk nearly full, close uploads by itself: that slows
 * the job down to the pace of the network.  Only writer.c includes this.
 */

#include "mount/staged.h"

struct behind;

struct behind *behind_new(struct writer *);
/* Waits for what is under way; what is queued stays as it is. */
void	behind_free(struct behind *);
/* With its lock held.  0: there is no thread to be had. */
int	behind_add(struct behind *, struct staged *);
int	behind_is_full(struct behind *);
/* Wait until one more upload is over; 0: there is none to wait for. */
int	behind_wait(struct behind *);

#endif
