#ifndef MOUNT_BACKING_H
#define MOUNT_BACKING_H

/*
 * backing -- files that the kernel reads by itself, from the disk cache (FUSE_PASSTHROUGH).
 *
 * Kernel 6.9: the answer to OPEN may name a registered descriptor; then read and mmap go
 * there and never come to us (torvalds/linux fs/fuse/passthrough.c, iomode.c,
 * Documentation/filesystems/fuse-passthrough.rst).  While a file is open one way, every open
 * of it has to be that way, with the same registration: how it is open is kept here, for
 * each inode with an open file.  A registration is given back after the last RELEASE.
 *
 * Registering needs CAP_SYS_ADMIN in the first user namespace, and a file system that may
 * lie below (ELOOP: one on another on another).  The first open tries it with an empty file.
 */

#include "base/err.h"
#include "mount/blocks.h"

#define FUSE_USE_VERSION 317
#include <fuse_lowlevel.h>

struct backing;
struct backing_open;			/* one inode that is open */

struct backing *backing_new(void);
void	backing_free(struct backing *);
/* 1: it works here; 0: it does not, errno says why.  fd: of an empty file; is closed. */
int	backing_try(fuse_req_t, int fd);
/*
 * An open of inode (only compared).  f is taken, and closed by the end of its last open.
 * *ret_id: what fuse_file_info.backing_id wants, 0: through us.
 */
struct backing_open *backing_begin(struct backing *, fuse_req_t, const void *inode,
	    struct blocks *, struct blocks_file *f, int *ret_id);
/* An open of an earlier process: it is open as id says. */
struct backing_open *backing_adopt(struct backing *, const void *inode, int id);
void	backing_end(struct backing *, fuse_req_t, struct backing_open *);

#endif
