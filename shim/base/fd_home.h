#ifndef BASE_FD_HOME_H
#define BASE_FD_HOME_H

/*
 * fd_home -- files that root keeps in a directory of another user.
 *
 * That user can put a link to anywhere in the place of the directory, and root would then write
 * there.  So the directory is remembered before anything of that user runs, and each time it has
 * to be the same one; what is done is done in it, not along its path.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct fd_home {
	dev_t	dev;
	ino_t	ino;		/* 0: there was none; nothing is written then */
};

/* Of the directory that path's file is in. */
void	fd_home_of(const char *path, struct fd_home *ret);
/*
 * Replace path atomically; the file is that user's, 0600, before it has its name.
 * fails  ERR_SYSTEM with errno ESTALE: the directory is another one by now
 */
int	fd_home_replace(const struct fd_home *, const char *path, const void *, size_t, uid_t,
	    gid_t, struct err *);
/* unlink(2).  -1 with errno, ESTALE as above. */
int	fd_home_unlink(const struct fd_home *, const char *path);

#endif
