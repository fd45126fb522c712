#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sys.h"

#define MASK_SIZE	sizeof(uint64_t)
#define FORK_TRIES	5

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

uint64_t
sys_pending_signals(void)
{
	uint64_t mask = 0;

	return (syscall(SYS_rt_sigpending, &mask, MASK_SIZE) != 0 ? 0 : mask);
}

int
sys_take_signal(uint64_t mask)
{
	const struct timespec at_once = { 0 };
	long sig = syscall(SYS_rt_sigtimedwait, &mask, NULL, &at_once, MASK_SIZE);

	return (sig < 0 ? 0 : (int)sig);
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
	/*
	 * For fs.suid_dumpable: a thread that looks as another user (setfsuid) makes the process as
	 * dumpable as that says.  Of 1 byte: 0 would not stop a dump into a pipe (core(5)).
	 */
	const struct rlimit no_core = { 1, 1 };

	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		errno = 0;		/* the hard limit is 0 */
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

/* capget(2)'s ABI, version 3: each set in two halves. */
#define CAPABILITY_VERSION_3	0x20080522u

struct kernel_cap_header {
	uint32_t version;
	int	 pid;			/* 0: this thread */
};
struct kernel_cap_half {
	uint32_t effective, permitted, inheritable;
};

int
sys_get_caps(struct sys_caps *ret)
{
	struct kernel_cap_header head = { CAPABILITY_VERSION_3, 0 };
	struct kernel_cap_half half[2];

	if (syscall(SYS_capget, &head, half) != 0)
		return (-1);
	ret->effective = half[0].effective | (uint64_t)half[1].effective << 32;
	ret->permitted = half[0].permitted | (uint64_t)half[1].permitted << 32;
	ret->inheritable = half[0].inheritable | (uint64_t)half[1].inheritable << 32;
	return (0);
}

int
sys_set_caps(const struct sys_caps *caps)
{
	struct kernel_cap_header head = { CAPABILITY_VERSION_3, 0 };
	const struct kernel_cap_half half[2] = {
		{ (uint32_t)caps->effective, (uint32_t)caps->permitted,
		    (uint32_t)caps->inheritable },
		{ (uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
		    (uint32_t)(caps->inheritable >> 32) },
	};

	return ((int)syscall(SYS_capset, &head, half));
}

int
sys_keep_caps(uint64_t keep)
{
	struct sys_caps caps;
	int cap;

	if (sys_get_caps(&caps) != 0)
		return (-1);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (cap = 0; cap < 64; cap++)	/* as far as CAP_SETPCAP goes */
		if ((keep >> cap & 1) == 0)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	caps.permitted &= keep;
	caps.effective = caps.permitted;
	caps.inheritable = 0;
	return (sys_set_caps(&caps));
}

#define OOM_SCORE_ADJ	"/proc/self/oom_score_adj"

int
sys_get_oom_score_adj(int *ret)
{
	auto_close int fd = open(OOM_SCORE_ADJ, O_RDONLY | O_CLOEXEC);
	char text[16];
	long long number;
	ssize_t len;

	if (fd < 0 || (len = read(fd, text, sizeof(text) - 1)) <= 0)
		return (-1);
	text[len - (text[len - 1] == '\n')] = '\0';
	if (str_to_i64(text, -1000, 1000, &number) != 0)
		return (-1);
	*ret = (int)number;
	return (0);
}

int
sys_set_oom_score_adj(int score)
{
	auto_close int fd = open(OOM_SCORE_ADJ, O_WRONLY | O_CLOEXEC);
	char text[16];

	if (fd < 0)
		return (-1);
	str_format(text, sizeof(text), "%d", score);
	return (write(fd, text, strlen(text)) < 0 ? -1 : 0);
}

pid_t
sys_fork(void)
{
	pid_t pid;
	int tries;

	for (tries = 0; (pid = fork()) < 0 && errno == EAGAIN && tries < FORK_TRIES; tries++)
		clock_sleep_ms(20 << tries);
	return (pid);
}

void
sys_set_comm(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}
