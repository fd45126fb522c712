#ifndef BASE_SYS_H
#define BASE_SYS_H

/*
 * sys -- raw Linux calls that libc hides or gets wrong, one probe a feature.
 *
 * Signal masks are 64-bit kernel masks (bit n-1 is signal n): musl's sigset
 * functions leave out 32 to 34, but 34 is SIGRTMIN for every glibc program.
 */

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#define SYS_SIG(n)	(UINT64_C(1) << ((n) - 1))
#define SYS_SIG_ALL	(~UINT64_C(0))

int	sys_sigprocmask(int how, const uint64_t *set, uint64_t *ret_old);
/* Blocked signals that wait; and one of mask taken from among them, 0: none does. */
uint64_t sys_pending_signals(void);
int	sys_take_signal(uint64_t mask);
int	sys_signalfd(int fd, uint64_t mask);		/* close-on-exec, non-blocking */
/* Disposition as the kernel has it: reads or sets SIG_DFL / SIG_IGN for 1..64. */
int	sys_get_ignored(uint64_t *ret_mask);
int	sys_set_ignored(int sig, int ignored);
int	sys_pidfd_open(pid_t);
int	sys_close_range(unsigned int first, unsigned int last);
int	sys_memfd(const char *name);			/* close-on-exec */
/*
 * no_new_privs, not dumpable, no core, SIGKILL when parent ends (0: not that; ESRCH: it already
 * did).
 */
int	sys_harden_worker(pid_t parent);
/* capget(2) and capset(2), version 3: bit n is capability n. */
#define SYS_CAP(n)	(UINT64_C(1) << (n))
struct sys_caps {
	uint64_t effective, permitted, inheritable;
};
int	sys_get_caps(struct sys_caps *ret);
int	sys_set_caps(const struct sys_caps *);
/* Nothing but these, and never again: all sets, the bounding one if CAP_SETPCAP is there. */
int	sys_keep_caps(uint64_t keep);
/* /proc/self/oom_score_adj, -1000 to 1000; fails with errno, also where there is no /proc. */
int	sys_get_oom_score_adj(int *ret);
int	sys_set_oom_score_adj(int);
/* fork(2); while the process table is full, again for up to 0.6 s. */
pid_t	sys_fork(void);
/* The name in ps: /proc/self/comm, 15 bytes. */
void	sys_set_comm(const char *);

#endif
