/* sigstate: prints its masks of blocked and ignored signals, if it leads a group, its open fds. */

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

int
main(void)
{
	uint64_t blocked = 0, ignored = 0;
	struct kernel_sigaction action;
	int sig, fd;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof(blocked));
	for (sig = 1; sig <= 64; sig++) {
		memset(&action, 0, sizeof(action));
		if (syscall(SYS_rt_sigaction, sig, NULL, &action, sizeof(uint64_t)) == 0 &&
		    action.handler == (void *)(uintptr_t)1)
			ignored |= UINT64_C(1) << (sig - 1);
	}
	printf("blocked %llx\nignored %llx\nleader %d\nfds", (unsigned long long)blocked,
	    (unsigned long long)ignored, getpgrp() == getpid());
	for (fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	printf("\n");
	return (0);
}
