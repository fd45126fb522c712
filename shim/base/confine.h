#ifndef BASE_CONFINE_H
#define BASE_CONFINE_H

/*
 * confine -- what a worker may ask the kernel for, from some moment on (seccomp).
 *
 * The binary is static, so the calls it makes are known: what is on the list works, what is not
 * fails with EPERM, and what only an intruder would call (execve, ptrace, mount, bpf, ...) ends
 * the process with SIGSYS.  Also out of reach: processes instead of threads, executable memory,
 * sockets of other families, other ioctls than FUSE's.  Most calls are allowed whatever their
 * arguments are, which costs nothing (Linux 5.11 keeps a bitmap of them).
 *
 * A filter sees no paths: that the memory of other processes stays closed (/proc/PID/mem) is
 * done by Landlock, and on kernels without it by capabilities alone (sys_keep_caps).
 *
 * Sources: linux/seccomp.h, Documentation/userspace-api/seccomp_filter.rst,
 * Documentation/userspace-api/landlock.rst ("Ptrace restrictions").
 */

enum confine_kind {
	CONFINE_NETWORK,	/* agent, resolver: sockets, few files */
	CONFINE_FILES,		/* mounts and copies: files and FUSE as well */
};

/*
 * This process and its threads, for ever; no_new_privs must be set.  0; -1 with errno: the
 * kernel has no seccomp filters (EINVAL).
 */
int	confine_self(enum confine_kind);
/*
 * This process looks into no other one any more, whoever owns that, and executes nothing.  Before
 * confine_self(), with one thread; no_new_privs must be set.  0; -1 with errno: the kernel has no
 * Landlock that does only this (before 5.19 it also refuses renames between directories).
 */
int	confine_sight(void);

#endif
