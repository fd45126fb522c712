#ifndef MOUNT_PLACE_H
#define MOUNT_PLACE_H

/*
 * place -- a directory for files that come and go, where ext4 makes them quickly.
 *
 * ext4 makes a file in its directory's block group, and gives out no inode there that was
 * deleted less than a minute ago: it looks at each of those first (find_inode_bit() and
 * recently_deleted() in fs/ext4/ialloc.c).  Where thousands were deleted a create takes
 * 300 us instead of 18.  Directories below one with the flag FS_TOPDIR_FL (chattr +T) are
 * spread over the groups, by a hash of the name that they are made with.
 */

#include "base/err.h"

/*
 * A directory of mode 0700, its parents made as fd_mkdir_p() makes them; one that is there stays
 * where it is.  The parent gets the flag, if its file system has such a thing and we may.
 */
int	place_directory(const char *path, struct err *);

#endif
