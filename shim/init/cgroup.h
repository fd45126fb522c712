#ifndef INIT_CGROUP_H
#define INIT_CGROUP_H

/*
 * cgroup -- a kill that no fork escapes.
 *
 * Where amlshim runs in a cgroup (version 2) other than the root one and may write
 * there, what is left of the job is moved into a group below it, and the kernel ends
 * all of that group at once (cgroup.kill, Linux 5.14): a process that forks meanwhile
 * takes its children along.  Nothing is made before it is needed.
 * Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */

#include <sys/types.h>

struct cgroup {
	char	path[512];		/* "": there is none */
	int	dir_fd;
};

/* A group for the kill; -1: this is no place for one. */
int	cgroup_make(struct cgroup *);
/* 0: moved, or it is there already. */
int	cgroup_add(const struct cgroup *, pid_t);
int	cgroup_kill(const struct cgroup *);
/* Remove it, which waits for nobody: what cannot be killed keeps it. */
void	cgroup_done(struct cgroup *);
/* The path of version 2 in the text of /proc/PID/cgroup; NULL, or owned by the text. */
const char *cgroup_parse_path(char *text);

#endif
