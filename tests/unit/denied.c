#include "denied.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int denied_what, passes_left, count, error_given, times_given;
static _Atomic int64_t standing_ms;

void
deny(enum denied what, int after, int times, int error)
{
	times_given = times;
	error_given = error;
	atomic_store(&count, 0);
	atomic_store(&passes_left, after);
	atomic_store(&denied_what, what);
}

void
deny_nothing(void)
{
	atomic_store(&denied_what, DENIED_NOTHING);
}

int
denied_count(void)
{
	return (atomic_load(&count));
}

static int
is_denied(enum denied what)
{
	if (atomic_load(&denied_what) != (int)what || atomic_fetch_sub(&passes_left, 1) > 0)
		return (0);
	if (atomic_fetch_add(&count, 1) >= times_given && times_given != 0) {
		atomic_fetch_sub(&count, 1);
		return (0);
	}
	errno = error_given;
	return (1);
}

/* The linker's names: __wrap_f is called in place of f, which __real_f is. */
#define WRAP(what, failed, type, f, parameters, arguments)				\
	type __real_##f parameters;							\
	type __wrap_##f parameters;							\
	type										\
	__wrap_##f parameters								\
	{										\
		return (is_denied(what) ? (failed) : __real_##f arguments);		\
	}

WRAP(DENIED_PTHREAD_CREATE, error_given, int, pthread_create,
    (pthread_t *t, const pthread_attr_t *attr, void *(*f)(void *), void *arg), (t, attr, f, arg))
WRAP(DENIED_GETRANDOM, -1, ssize_t, getrandom, (void *p, size_t n, unsigned int flags),
    (p, n, flags))
WRAP(DENIED_SOCKET, -1, int, socket, (int domain, int type, int protocol),
    (domain, type, protocol))
WRAP(DENIED_SOCKETPAIR, -1, int, socketpair, (int domain, int type, int protocol, int fds[2]),
    (domain, type, protocol, fds))
WRAP(DENIED_LISTEN, -1, int, listen, (int fd, int backlog), (fd, backlog))
WRAP(DENIED_ACCEPT4, -1, int, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags),
    (fd, a, len, flags))
WRAP(DENIED_GETSOCKNAME, -1, int, getsockname, (int fd, struct sockaddr *a, socklen_t *len),
    (fd, a, len))
WRAP(DENIED_GETPEERNAME, -1, int, getpeername, (int fd, struct sockaddr *a, socklen_t *len),
    (fd, a, len))
WRAP(DENIED_GETSOCKOPT, -1, int, getsockopt,
    (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len))
WRAP(DENIED_SEND, -1, ssize_t, send, (int fd, const void *p, size_t n, int flags),
    (fd, p, n, flags))
WRAP(DENIED_SENDMSG, -1, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
    (fd, m, flags))
WRAP(DENIED_POLL, -1, int, poll, (struct pollfd *list, nfds_t n, int ms), (list, n, ms))
WRAP(DENIED_RECV, -1, ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(DENIED_FOPEN, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))
WRAP(DENIED_MKDTEMP, NULL, char *, mkdtemp, (char *path), (path))
WRAP(DENIED_READ, -1, ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(DENIED_PREAD, -1, ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
WRAP(DENIED_WRITE, -1, ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(DENIED_PWRITE, -1, ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
    (fd, p, n, at))
WRAP(DENIED_FSTAT, -1, int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(DENIED_FSYNC, -1, int, fsync, (int fd), (fd))
WRAP(DENIED_FTRUNCATE, -1, int, ftruncate, (int fd, off_t size), (fd, size))
WRAP(DENIED_RENAME, -1, int, rename, (const char *from, const char *to), (from, to))
WRAP(DENIED_MMAP, MAP_FAILED, void *, mmap,
    (void *p, size_t n, int protection, int flags, int fd, off_t at),
    (p, n, protection, flags, fd, at))
WRAP(DENIED_MEMFD_CREATE, -1, int, memfd_create, (const char *name, unsigned int flags),
    (name, flags))
WRAP(DENIED_FORK, -1, pid_t, fork, (void), ())
WRAP(DENIED_PIPE2, -1, int, pipe2, (int fds[2], int flags), (fds, flags))

int64_t	__real_clock_ms(void);
int64_t	__wrap_clock_ms(void);

void
clock_stand(int64_t ms)
{
	atomic_store(&standing_ms, ms);
}

int64_t
__wrap_clock_ms(void)
{
	int64_t ms = atomic_load(&standing_ms);

	return (ms != 0 ? ms : __real_clock_ms());
}

int	__real_open(const char *, int, ...);
int	__wrap_open(const char *, int, ...);
int	__real_openat(int, const char *, int, ...);
int	__wrap_openat(int, const char *, int, ...);

int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return (is_denied(DENIED_OPEN) ? -1 : __real_open(path, flags, mode));
}

int
__wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return (is_denied(DENIED_OPENAT) ? -1 : __real_openat(dir, path, flags, mode));
}
