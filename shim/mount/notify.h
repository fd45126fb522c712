#ifndef MOUNT_NOTIFY_H
#define MOUNT_NOTIFY_H

/*
 * notify -- what the kernel has to forget: names of directories, pages of files.
 *
 * It is told by a thread, in the order of posting.  Whoever posts may hold the tree's mutex, or
 * serve a request that the kernel has a lock for; telling waits for such locks: of a name for
 * the directory's, of pages for each page's, which may be held until a request is answered.
 *
 * Names and pages have a notifier each (session.c), since who has written waits for pages.
 */

#define FUSE_USE_VERSION 317
#include <fuse_lowlevel.h>

#include "mount/inode.h"

struct notifier;

struct notifier *notifier_new(void);
/* Before this what is posted waits.  Once; it runs as long as the process. */
int	notifier_start(struct notifier *, struct fuse_session *, struct tree *,
	    struct err *);

/* With the tree's mutex held: parent/name; len bytes from offset on. */
void	notifier_name(struct notifier *, struct inode *parent, const char *name);
void	notifier_pages(struct notifier *, struct inode *, int64_t offset, int64_t len);

/*
 * Without it: wait until the kernel was told what has been posted so far.  Bounded (100 ms): what
 * it waits for may be waiting for us.
 */
void	notifier_settle(struct notifier *);

#endif
