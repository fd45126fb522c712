#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

/*
 * fault -- calls that fail on purpose, in a test build of amlshim.
 *
 * build/fault/amlshim is linked from the objects and libraries of build/amlshim; the linker's
 * --wrap puts wrap.c between them and libc.  What is to fail is said by AMLSHIM_FAULT, rules
 * with commas between them, each of words with colons between them:
 *
 *	malloc:ENOMEM:role=mount:nth=7		the 7th malloc of all mount processes
 *	disk:ENOSPC:path=/cache/:from=3		from the 3rd on, on descriptors of such paths
 *	in:short:one=10:seed=4			one of ten, drawn by seed
 *	clock:+3600:after=2000			the wall clock jumps, 2 s after the start
 *
 * The first word is a function or a family (families[] in fault.c), the second an errno, or
 * "short": fewer bytes than asked for, of files, pipes and streams.  Others:
 *
 *	role=R[+R...]	init, child (forked, before it has a name), agent, mount, download, upload,
 *			resolver, prober; without it: all
 *	nth=N, from=N, one=N	which of the calls that fit; without these: each
 *	each		they are counted anew in each process
 *	count		nothing fails, they are only counted
 *	path=TEXT	that text is in the name of the file, or in what /proc calls the descriptor
 *	kind=K		the descriptor is a file (or directory), pipe, socket, device or anonymous
 *	once=PATH	from when that file is there
 *	after=MS	from so long after the start
 *	seed=N
 *
 * Spared is what the kernel does not do: errors of disks strike files and directories only, an
 * eventfd and /proc are not waited for, /dev/fuse takes an answer whole.  So are descriptors 0 to
 * 2: a log that cannot be written tells nothing.
 *
 * "clock" shifts CLOCK_REALTIME by seconds; "suspend" CLOCK_BOOTTIME too, which is what a machine
 * that slept sees.
 *
 * AMLSHIM_FAULT_COUNTS=FILE: a struct fault_page, shared by all processes of a run.
 */

#include <stdint.h>

#define FAULT_RULES	128

enum fault_role {
	FAULT_INIT, FAULT_CHILD, FAULT_AGENT, FAULT_MOUNT, FAULT_DOWNLOAD, FAULT_UPLOAD,
	FAULT_RESOLVER, FAULT_PROBER, FAULT_ROLES
};

/* Sorted as families[] has them. */
#define FAULT_FUNCTIONS(F) \
	F(malloc) F(calloc) F(realloc) F(aligned_alloc) F(posix_memalign) \
	F(open) F(openat) F(fopen) F(socket) F(socketpair) F(accept4) F(pipe2) F(epoll_create1) \
	F(eventfd) F(memfd_create) F(dup) F(sys_signalfd) \
	F(read) F(pread) F(recv) F(recvmsg) \
	F(write) F(pwrite) F(writev) F(send) F(sendmsg) \
	F(fsync) F(ftruncate) F(fallocate) F(mkdir) F(mkdirat) F(rename) F(renameat) \
	F(connect) F(poll) F(epoll_wait) F(wait4) F(waitpid) F(nanosleep) F(sigwait) F(flock) \
	F(fork) F(pthread_create) F(mmap) F(mount) F(clock_gettime) F(time) F(gettimeofday)

#define FAULT_ENUM(f)	FAULT_F_##f,
enum fault_function { FAULT_FUNCTIONS(FAULT_ENUM) FAULT_FUNCTION_COUNT };
#undef FAULT_ENUM

/* All are atomic.  tests/fault/sweep.py reads it. */
struct fault_page {
	int64_t	 start_ms;		/* of the run, CLOCK_MONOTONIC */
	uint64_t fired[FAULT_RULES];
	uint64_t caller[FAULT_RULES];	/* the last one's address in the program */
	uint64_t matched[FAULT_RULES];
};

#define FAULT_NONE	0
#define FAULT_SHORT	(-1)

/*
 * One call.  path: NULL, fd: -1 where there is none.
 * returns  FAULT_NONE: do it; FAULT_SHORT: with fewer bytes; else the errno that it fails with
 */
int	fault_at(enum fault_function, const char *path, int fd, const void *caller);
/* What the clock is to be moved by, in seconds. */
int64_t	fault_clock(int with_boot_time);
/* In a process that was just forked, or has got the name that amlshim's workers have. */
void	fault_forked(void);
void	fault_named(const char *name);

#endif
