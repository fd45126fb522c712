#ifndef MOUNT_LINK_H
#define MOUNT_LINK_H

/*
 * link -- symbolic links: blobs whose metadata says is_symlink=true, their bytes the target.
 *
 * The form is blobfuse2's (Azure/azure-storage-fuse component/azstorage/block_blob.go).
 * amlshim follows none: a target is a text for the job's kernel.  Who wrote an input
 * could send the job to a file of its own container that way, so a link of a
 * read-only mount leads nowhere but to places in it: a target that starts with '/',
 * or climbs above the mount's root, or has ".." behind a name (which may be a link
 * itself) is refused.  In a writable mount links are the job's own matter.
 */

#include "mount/writer.h"

/*
 * The target, NUL-terminated.
 * fails    EPERM (it leads out), EIO (it is no path), ESTALE, as the service says
 */
int	link_read(struct tree *, struct inode *, char target[4096], struct err *);
/* *ret has one more lookup. */
int	link_make(struct writer *, struct inode *parent, const char *name, const char *target,
	    struct inode **ret, struct inode_attr *, struct err *);

#endif
