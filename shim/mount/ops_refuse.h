#ifndef MOUNT_OPS_REFUSE_H
#define MOUNT_OPS_REFUSE_H

/*
 * ops_refuse -- operations that are refused, whoever asks.
 *
 * The kernel refuses changes of a read-only mount by itself (MS_RDONLY); but root can
 * remount it writable, and then these say EROFS.  Only ops.c includes this.
 */

#define FUSE_USE_VERSION 317
#include <fuse_lowlevel.h>

/* EPERM: hard links and devices, which the service cannot hold. */
void	refuse_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void	refuse_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);

/* EROFS. */
void	rofs_setattr(fuse_req_t, fuse_ino_t, struct stat *, int, struct fuse_file_info *);
void	rofs_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);
void	rofs_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);
void	rofs_remove(fuse_req_t, fuse_ino_t, const char *);		/* unlink, rmdir */
void	rofs_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);
void	rofs_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned int);
void	rofs_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void	rofs_create(fuse_req_t, fuse_ino_t, const char *, mode_t, struct fuse_file_info *);
void	rofs_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void	rofs_removexattr(fuse_req_t, fuse_ino_t, const char *);
void	rofs_setxattr(fuse_req_t, fuse_ino_t, const char *, const char *, size_t, int);

#endif
