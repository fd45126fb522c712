#ifndef BASE_PROC_H
#define BASE_PROC_H

/*
 * proc -- what /proc tells of a process: its parent, its name, its sockets.
 *
 * Source: proc(5), the kernel's Documentation/filesystems/proc.rst.  The name in
 * /proc/PID/stat may hold anything, also ") R 1".
 */

#include <stdint.h>
#include <sys/types.h>

#define PROC_COMM_SIZE	64

struct proc_stat {
	pid_t	 parent;
	char	 state;			/* 'R', 'S', ...; 'Z' and 'X': only waiting to be reaped */
	uint64_t start;			/* clock ticks since boot: with the pid, this process */
	char	 comm[PROC_COMM_SIZE];
};

/* 0: /proc is missing, or another PID namespace's: its numbers mean other processes. */
int	proc_is_own(void);
/* -1: there is no such process, or it is not shown to us. */
int	proc_read_stat(pid_t, struct proc_stat *ret);
/* The same from the text of /proc/PID/stat, which is overwritten. */
int	proc_parse_stat(char *text, struct proc_stat *ret);
/* 1: one of the process's descriptors is the socket of that inode.  0: none, or not shown. */
int	proc_has_socket(pid_t, uint64_t inode);
/* Calls fn for every process until it returns non-zero, which is returned; -1: no /proc. */
int	proc_each(int (*fn)(void *arg, pid_t), void *arg);

#endif
