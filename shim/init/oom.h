#ifndef INIT_OOM_H
#define INIT_OOM_H

/*
 * oom -- when memory runs out: who is chosen last, and whether anybody was.
 *
 * Without init nobody could tell what happened, so it lowers its own score where it
 * may (CAP_SYS_RESOURCE); whatever it forks has the inherited one.  The kernel counts
 * what it kills for a memory cgroup: a job whose worker died so may go on or hang, and
 * its exit status says nothing.  Sources: proc_pid_oom_score_adj(5); the kernel's
 * Documentation/admin-guide/cgroup-v2.rst (memory.events), cgroup-v1/memory.rst.
 */

/* After the job was forked. */
void	oom_protect_self(void);
/* In a process that init forks: what was inherited.  Nothing where nothing was changed. */
void	oom_unprotect(void);
/* Processes killed for lack of memory in our cgroup so far; -1: the kernel does not tell us. */
long	oom_kills(void);
/* The number in the text of memory.events or memory.oom_control; -1: it has none. */
long	oom_parse_kills(const char *text);

#endif
