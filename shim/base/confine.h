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
 * Sources: linux/seccomp.h, Documentation/userspace-api/seccomp_filter.rst.
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

#endif
