#ifndef BASE_FD_H
#define BASE_FD_H

/*
 * fd -- descriptors: whole reads and writes, files, directories, close-on-exec.
 *
 * Everything opened here is close-on-exec.  EINTR is retried.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

int	fd_take(int *);			/* moves ownership: returns it, leaves -1 */
int	fd_write_all(int fd, const void *, size_t);
int	fd_pwrite_all(int fd, const void *, size_t, off_t);
/* Reads until size or end; returns the bytes read, -1 on error. */
ssize_t	fd_pread_full(int fd, void *, size_t, off_t);
/*
 * A whole file (or "-": stdin) of at most max_bytes; ret, a valid buf, is
 * replaced and NUL-terminated.  Too long: ERR_USAGE, else ERR_SYSTEM.
 */
int	fd_read_file(const char *path, size_t max_bytes, struct buf *ret, struct err *);
/* mkdir -p; existing directories are fine. */
int	fd_mkdir_p(const char *path, mode_t, struct err *);
/*
 * mkdir -p of path's parent, through dirfd and never through a symbolic link.
 * ERR_USAGE for a name with an empty component, "." or "..".
 */
int	fd_mkdir_parents_at(int dirfd, const char *relative, mode_t, struct err *);
/* Remove a tree that we made; missing is fine.  Stops (EXDEV) at a mount inside it. */
int	fd_remove_tree(const char *path, struct err *);
/* Replace path atomically with data (temporary name + rename), mode as given. */
int	fd_replace_file(const char *path, const void *, size_t, mode_t, struct err *);
/* Bytes that are free for us on fd's file system, and how large it is (NULL: not asked).
   INT64_MAX, 0: it does not say. */
int64_t	fd_disk_free(int fd, int64_t *ret_total);
/* Close every descriptor >= first except those in keep[] (any order). */
void	fd_close_except(int first, const int *keep, size_t nkeep);

#endif
