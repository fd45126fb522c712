#ifndef MOUNT_SESSION_H
#define MOUNT_SESSION_H

/*
 * session -- the descriptor of a mount and the threads that answer it.
 *
 * libfuse's low-level loop on a descriptor that was mounted by somebody else; its
 * signal handlers stay out.  A thread of its own tells the kernel of names whose
 * file was replaced: from the thread that serves a request on it this could lock
 * up (Linux: fuse_reverse_inval_entry takes the directory's lock).
 */

#include <stdint.h>

#include "base/err.h"
#include "mount/disk.h"
#include "mount/inflight.h"
#include "mount/inode.h"
#include "mount/reader.h"
#include "mount/report.h"
#include "mount/state.h"
#include "mount/writer.h"

struct session_options {
	int		 fuse_fd;	/* taken */
	struct state	*state;		/* these are borrowed */
	struct blocks	*blocks;
	struct reader	*reader;
	struct disk	*disk;		/* NULL: none */
	struct report	*report;
	int64_t		 timeout_ms;	/* of one request */
	void		(*ready)(void *arg);	/* INIT is being answered; on a thread of ours */
	void		*arg;
};

struct session;
struct session *session_new(const struct session_options *, struct err *);
/* Of the requests of the kernel that are under way. */
void	session_look(struct session *, struct inflight_look *);
/* tree_options.replaced, with the session as its argument. */
void	session_replaced(void *arg, struct inode *parent, const char *name);
/* tree_options.pages_stale. */
void	session_pages_stale(void *arg, struct inode *, int64_t offset, int64_t len);
/* Serves until the mount is gone.  writer NULL: read-only. */
int	session_run(struct session *, struct tree *, struct writer *, struct err *);

#endif
