#ifndef TESTS_UNIT_DENIED_H
#define TESTS_UNIT_DENIED_H

/*
 * denied -- a call of libc that fails, as it does on a machine that has run out of something.
 *
 *	deny(DENIED_SOCKET, 1, 0, EMFILE);	the second one from now on, and all behind it
 *	...
 *	deny_nothing();
 *
 * For the whole process, one call at a time.  The Makefile links unit tests with --wrap for these,
 * so that calls in libraries fail as well, but not those inside libc.
 */

#include <stdint.h>

enum denied {
	DENIED_NOTHING,
	DENIED_PTHREAD_CREATE,
	DENIED_GETRANDOM,
	DENIED_SOCKET,
	DENIED_SOCKETPAIR,
	DENIED_LISTEN,
	DENIED_ACCEPT4,
	DENIED_GETSOCKNAME,
	DENIED_GETSOCKOPT,
	DENIED_GETPEERNAME,
	DENIED_SEND,
	DENIED_SENDMSG,
	DENIED_POLL,
	DENIED_RECV,
	DENIED_MKDTEMP,
	DENIED_FOPEN,
	DENIED_OPEN,
	DENIED_OPENAT,
	DENIED_READ,
	DENIED_PREAD,
	DENIED_WRITE,
	DENIED_PWRITE,
	DENIED_FSTAT,
	DENIED_FSYNC,
	DENIED_FTRUNCATE,
	DENIED_RENAME,
	DENIED_MMAP,
	DENIED_MEMFD_CREATE,
	DENIED_FORK,
	DENIED_PIPE2,
};

/* After so many that pass, so many fail (0: all) with this errno. */
void	deny(enum denied, int after, int times, int error);
void	deny_nothing(void);
/* How many were denied since deny(). */
int	denied_count(void);
/* clock_ms() says so and does not go on; 0: it does again. */
void	clock_stand(int64_t ms);

#endif
