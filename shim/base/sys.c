#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

#define MASK_SIZE	sizeof(uint64_t)

/* The kernel's struct sigaction, the same on x86_64 and aarch64. */
#if !defined(__x86_64__) && !defined(__aarch64__)
#error "struct kernel_sigaction is not known for this processor"
#endif
struct kernel_sigaction {
	void	(*handler)(int);
	unsigned long flags;
	void	(*restorer)(void);
	uint64_t mask;
};

int
sys_sigprocmask(int how, const uint64_t *set, uint64_t *ret_old)
{
	return ((int)syscall(SYS_rt_sigprocmask, how, set, ret_old, MASK_SIZE));
}

int
sys_signalfd(int fd, uint64_t mask)
{
	return ((int)syscall(SYS_signalfd4, fd, &mask, MASK_SIZE, SFD_CLOEXEC | SFD_NONBLOCK));
}

int
sys_get_ignored(uint64_t *ret_mask)
{
	struct kernel_sigaction old;
	uint64_t mask = 0;
	int sig;

	for (sig = 1; sig <= 64; sig++) {
		memset(&old, 0, sizeof(old));
		if (syscall(SYS_rt_sigaction, sig, NULL, &old, MASK_SIZE) != 0)
			return (-1);
		if (old.handler == SIG_IGN)
			mask |= SYS_SIG(sig);
	}
	*ret_mask = mask;
	return (0);
}

int
sys_set_ignored(int sig, int ignored)
{
	struct kernel_sigaction action;

	memset(&action, 0, sizeof(action));
	action.handler = ignored ? SIG_IGN : SIG_DFL;
	return ((int)syscall(SYS_rt_sigaction, sig, &action, NULL, MASK_SIZE));
}

int
sys_pidfd_open(pid_t pid)
{
	return ((int)syscall(SYS_pidfd_open, pid, 0));
}

int
sys_close_range(unsigned int first, unsigned int last)
{
	return ((int)syscall(SYS_close_range, first, last, 0));
}

int
sys_memfd(const char *name)
{
	return (memfd_create(name, MFD_CLOEXEC));
}

int
sys_harden_worker(pid_t parent)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return (-1);
	if (parent == 0)
		return (0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return (-1);
	if (getppid() != parent) {	/* it died before the line above */
		errno = ESRCH;
		return (-1);
	}
	return (0);
}

void
sys_set_comm(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}
