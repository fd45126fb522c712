/* What the linker's --wrap puts between amlshim with its libraries and libc: see fault.h. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

/* A libc's calloc may call its malloc by name: counted once. */
static _Thread_local int inside;

/* TYPE NAME(PARAMETERS), as libc has it and as the linker calls it. */
#define BOTH(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

#define CALLER	__builtin_return_address(0)

/* One that fails with errno and this value. */
#define PASS(type, name, failed, path, fd, parameters, arguments) \
	BOTH(type, name, parameters); \
	type \
	__wrap_##name(parameters) \
	{ \
		int e = fault_at(FAULT_F_##name, path, fd, CALLER); \
		if (e > 0) { \
			errno = e; \
			return (failed); \
		} \
		return (__real_##name(arguments)); \
	}

#define P(...)	__VA_ARGS__

/* One that moves n bytes. */
#define MOVE(name, parameters, arguments) \
	BOTH(ssize_t, name, parameters); \
	ssize_t \
	__wrap_##name(parameters) \
	{ \
		int e = fault_at(FAULT_F_##name, NULL, fd, CALLER); \
		if (e > 0) { \
			errno = e; \
			return (-1); \
		} \
		if (e == FAULT_SHORT) \
			n = fewer(fd, n); \
		return (__real_##name(arguments)); \
	}

/* Packets and devices are whole or not at all. */
static size_t
fewer(int fd, size_t n)
{
	int type = 0, saved = errno, is_whole = 1;
	socklen_t size = sizeof(type);
	struct stat st;

	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)))
		is_whole = 0;
	else if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0)
		is_whole = type != SOCK_STREAM;
	errno = saved;
	return (is_whole || n <= 1 ? n : n / 2);
}

/* ---- memory ------------------------------------------------------------- */

static int
no_memory(enum fault_function f, const void *caller)
{
	return (!inside && fault_at(f, NULL, -1, caller) > 0);
}

#define ALLOCATE(name, parameters, arguments) \
	BOTH(void *, name, parameters); \
	void * \
	__wrap_##name(parameters) \
	{ \
		void *p; \
		if (no_memory(FAULT_F_##name, CALLER)) { \
			errno = ENOMEM; \
			return (NULL); \
		} \
		inside++; \
		p = __real_##name(arguments); \
		inside--; \
		return (p); \
	}

ALLOCATE(malloc, P(size_t size), P(size))
ALLOCATE(calloc, P(size_t n, size_t size), P(n, size))
ALLOCATE(realloc, P(void *old, size_t size), P(old, size))
ALLOCATE(aligned_alloc, P(size_t align, size_t size), P(align, size))

BOTH(int, posix_memalign, void **, size_t, size_t);
int
__wrap_posix_memalign(void **p, size_t align, size_t size)
{
	int e;

	if (no_memory(FAULT_F_posix_memalign, CALLER))
		return (ENOMEM);
	inside++;
	e = __real_posix_memalign(p, align, size);
	inside--;
	return (e);
}

/* ---- descriptors --------------------------------------------------------- */

#define MODE(last) \
	__extension__({ \
		va_list ap; \
		mode_t m = 0; \
		if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) { \
			va_start(ap, last); \
			m = va_arg(ap, mode_t); \
			va_end(ap); \
		} \
		m; \
	})

BOTH(int, open, const char *, int, ...);
int
__wrap_open(const char *path, int flags, ...)
{
	int e = fault_at(FAULT_F_open, path, -1, CALLER);

	if (e > 0) {
		errno = e;
		return (-1);
	}
	return (__real_open(path, flags, MODE(flags)));
}

BOTH(int, openat, int, const char *, int, ...);
int
__wrap_openat(int dir, const char *path, int flags, ...)
{
	int e = fault_at(FAULT_F_openat, path, dir, CALLER);

	if (e > 0) {
		errno = e;
		return (-1);
	}
	return (__real_openat(dir, path, flags, MODE(flags)));
}

PASS(FILE *, fopen, NULL, path, -1, P(const char *path, const char *how), P(path, how))
PASS(int, socket, -1, NULL, -1, P(int family, int type, int protocol), P(family, type, protocol))
PASS(int, socketpair, -1, NULL, -1, P(int family, int type, int protocol, int *pair),
    P(family, type, protocol, pair))
PASS(int, accept4, -1, NULL, fd, P(int fd, struct sockaddr *to, socklen_t *size, int flags),
    P(fd, to, size, flags))
PASS(int, pipe2, -1, NULL, -1, P(int *ends, int flags), P(ends, flags))
PASS(int, epoll_create1, -1, NULL, -1, P(int flags), P(flags))
PASS(int, eventfd, -1, NULL, -1, P(unsigned int first, int flags), P(first, flags))
PASS(int, memfd_create, -1, name, -1, P(const char *name, unsigned int flags), P(name, flags))
PASS(int, dup, -1, NULL, fd, P(int fd), P(fd))
PASS(int, sys_signalfd, -1, NULL, -1, P(int fd, uint64_t mask), P(fd, mask))

/* ---- bytes ---------------------------------------------------------------- */

MOVE(read, P(int fd, void *to, size_t n), P(fd, to, n))
MOVE(pread, P(int fd, void *to, size_t n, off_t at), P(fd, to, n, at))
MOVE(recv, P(int fd, void *to, size_t n, int flags), P(fd, to, n, flags))
MOVE(write, P(int fd, const void *from, size_t n), P(fd, from, n))
MOVE(pwrite, P(int fd, const void *from, size_t n, off_t at), P(fd, from, n, at))
MOVE(send, P(int fd, const void *from, size_t n, int flags), P(fd, from, n, flags))
PASS(ssize_t, recvmsg, -1, NULL, fd, P(int fd, struct msghdr *m, int flags), P(fd, m, flags))
PASS(ssize_t, sendmsg, -1, NULL, fd, P(int fd, const struct msghdr *m, int flags),
    P(fd, m, flags))
PASS(ssize_t, writev, -1, NULL, fd, P(int fd, const struct iovec *v, int n), P(fd, v, n))

/* ---- files ---------------------------------------------------------------- */

PASS(int, fsync, -1, NULL, fd, P(int fd), P(fd))
PASS(int, ftruncate, -1, NULL, fd, P(int fd, off_t size), P(fd, size))
PASS(int, fallocate, -1, NULL, fd, P(int fd, int mode, off_t at, off_t size),
    P(fd, mode, at, size))
PASS(int, mkdir, -1, path, -1, P(const char *path, mode_t mode), P(path, mode))
PASS(int, mkdirat, -1, path, dir, P(int dir, const char *path, mode_t mode), P(dir, path, mode))
PASS(int, rename, -1, to, -1, P(const char *from, const char *to), P(from, to))
PASS(int, renameat, -1, to, dir, P(int at, const char *from, int dir, const char *to),
    P(at, from, dir, to))
PASS(int, flock, -1, NULL, fd, P(int fd, int how), P(fd, how))
PASS(int, mount, -1, place, -1, P(const char *what, const char *place, const char *type,
    unsigned long flags, const void *data), P(what, place, type, flags, data))
PASS(void *, mmap, (void *)-1, NULL, fd, P(void *at, size_t size, int access, int how, int fd,
    off_t from), P(at, size, access, how, fd, from))

/* ---- waiting -------------------------------------------------------------- */

PASS(int, connect, -1, NULL, fd, P(int fd, const struct sockaddr *to, socklen_t size),
    P(fd, to, size))
PASS(int, poll, -1, NULL, -1, P(struct pollfd *list, nfds_t n, int ms), P(list, n, ms))
PASS(int, epoll_wait, -1, NULL, fd, P(int fd, struct epoll_event *list, int n, int ms),
    P(fd, list, n, ms))
/* Who does not wait is not interrupted. */
BOTH(pid_t, wait4, pid_t, int *, int, struct rusage *);
pid_t
__wrap_wait4(pid_t pid, int *status, int how, struct rusage *usage)
{
	int e = (how & WNOHANG) != 0 ? 0 : fault_at(FAULT_F_wait4, NULL, -1, CALLER);

	if (e <= 0)
		return (__real_wait4(pid, status, how, usage));
	errno = e;
	return (-1);
}

BOTH(pid_t, waitpid, pid_t, int *, int);
pid_t
__wrap_waitpid(pid_t pid, int *status, int how)
{
	int e = (how & WNOHANG) != 0 ? 0 : fault_at(FAULT_F_waitpid, NULL, -1, CALLER);

	if (e <= 0)
		return (__real_waitpid(pid, status, how));
	errno = e;
	return (-1);
}

/* What is left of the time is told, as the kernel does. */
BOTH(int, nanosleep, const struct timespec *, struct timespec *);
int
__wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	struct timespec all = *time;
	int e = fault_at(FAULT_F_nanosleep, NULL, -1, CALLER);

	if (e <= 0)
		return (__real_nanosleep(time, left));
	if (left != NULL)
		*left = all;
	errno = e;
	return (-1);
}

BOTH(int, sigwait, const sigset_t *, int *);
int
__wrap_sigwait(const sigset_t *set, int *sig)
{
	int e = fault_at(FAULT_F_sigwait, NULL, -1, CALLER);

	return (e > 0 ? e : __real_sigwait(set, sig));
}

/* ---- processes ------------------------------------------------------------ */

BOTH(pid_t, fork, void);
pid_t
__wrap_fork(void)
{
	int e = fault_at(FAULT_F_fork, NULL, -1, CALLER);
	pid_t pid;

	if (e > 0) {
		errno = e;
		return (-1);
	}
	pid = __real_fork();
	if (pid == 0)
		fault_forked();
	return (pid);
}

BOTH(int, pthread_create, pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *),
    void *arg)
{
	int e = fault_at(FAULT_F_pthread_create, NULL, -1, CALLER);

	return (e > 0 ? e : __real_pthread_create(thread, attr, main, arg));
}

BOTH(int, prctl, int, ...);
int
__wrap_prctl(int what, ...)
{
	unsigned long a[4];
	va_list ap;
	int i;

	va_start(ap, what);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (what == PR_SET_NAME)
		fault_named((const char *)a[0]);
	return (__real_prctl(what, a[0], a[1], a[2], a[3]));
}

/* ---- clocks --------------------------------------------------------------- */

BOTH(int, clock_gettime, clockid_t, struct timespec *);
int
__wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int e = __real_clock_gettime(id, t);

	if (e == 0 && (id == CLOCK_REALTIME || id == CLOCK_BOOTTIME))
		t->tv_sec += (time_t)fault_clock(id == CLOCK_BOOTTIME);
	return (e);
}

BOTH(time_t, time, time_t *);
time_t
__wrap_time(time_t *ret)
{
	time_t t = __real_time(NULL) + (time_t)fault_clock(0);

	if (ret != NULL)
		*ret = t;
	return (t);
}

BOTH(int, gettimeofday, struct timeval *, void *);
int
__wrap_gettimeofday(struct timeval *t, void *zone)
{
	int e = __real_gettimeofday(t, zone);

	if (e == 0)
		t->tv_sec += (time_t)fault_clock(0);
	return (e);
}
