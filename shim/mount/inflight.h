#ifndef MOUNT_INFLIGHT_H
#define MOUNT_INFLIGHT_H

/*
 * inflight -- the kernel's requests between their arrival and their answer, over the death of the
 * process that had them.
 *
 * libfuse reads and writes the descriptor through here.  The successor of a killed process gets
 * the saved INIT first (the kernel does not repeat it); the answer to it is compared with the one
 * that was given and swallowed.  Then the kernel is told to send again what was read and not
 * answered: FUSE_NOTIFY_RESEND, Linux 6.9, these requests have bit 63 of their unique set, which
 * the answer repeats (torvalds/linux include/uapi/linux/fuse.h, fs/fuse/dev.c fuse_resend).
 *
 * Older kernels send nothing again; all that ties an answer to a request is its unique.  There
 * each request is read into shared memory and copied from it, and the successor takes from there
 * what has no answer: the waiting caller sees no difference.  With the variable
 * AMLSHIM_TEST_NO_RESEND set (tests) a newer kernel is treated as such a one.
 *
 * What must not happen twice (mkdir, rename ...) says inflight_begin() when its first effect is
 * near, and its answer is saved before it is given.  Told again, such a request is answered with
 * the saved answer if there is one; else inflight_is_repeat() tells that its effect may be there,
 * so that EEXIST or ENOENT can be its success.  On old kernels the answers of all that changes
 * something are saved: the kernel may have taken the answer, and the job gone on, when
 * we died.
 *
 * A read costs no system call more, and on newer kernels nothing that is shared.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "mount/state.h"

struct inflight;

/* fd, state: borrowed.  One a process. */
struct inflight *inflight_new(struct state *, int fd);

/* What fuse_custom_io has; errno as read, writev, splice. */
ssize_t	inflight_read(struct inflight *, void *buf, size_t len);
ssize_t	inflight_writev(struct inflight *, struct iovec *, int n);
ssize_t	inflight_splice(struct inflight *, int pipe, size_t len, unsigned int flags);
/* 1: another answer to INIT than the one that was given; *err says so.  Nothing is served. */
int	inflight_refused(struct inflight *, struct err *);
/*
 * What an earlier process agreed upon with the kernel: fuse_init_out.max_stack_depth if that
 * reads files by itself (FUSE_PASSTHROUGH), 0 if it does not, -1: nothing is agreed upon yet.
 */
int	inflight_stack_depth(struct inflight *);
/* The same for files opened with FOPEN_DIRECT_IO: it maps them (FUSE_DIRECT_IO_ALLOW_MMAP). */
int	inflight_maps_direct(struct inflight *);

/* ---- of the request that this thread has ---- */

/* 0: it has none. */
uint64_t inflight_unique(void);
/* 1: it came to an earlier process already. */
int	inflight_is_again(void);
void	inflight_begin(void);
/* 1: an earlier process said inflight_begin() for it. */
int	inflight_is_repeat(void);

/* ---- how it goes ---- */

struct inflight_look {
	int64_t	waiting;	/* requests that have no answer yet */
	int64_t	oldest_ms;	/* since when the one waits that should be quick; 0: none */
	int64_t	oldest_long_ms;	/* of those that may move a file: close, fsync, rename ... */
};
void	inflight_look(struct inflight *, struct inflight_look *ret);

#endif
