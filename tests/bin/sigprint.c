/*
 * sigprint SECONDS [EXIT]: prints "ready", then each signal it gets ("15", "34 value 7"); ends with
 * EXIT after SIGUSR2 or when the time is over.  Everything catchable is caught.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct timespec limit = { .tv_sec = argc > 1 ? atoi(argv[1]) : 5 };
	uint64_t all = ~UINT64_C(0);
	siginfo_t info;
	int sig;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		sig = (int)syscall(SYS_rt_sigtimedwait, &all, &info, &limit, sizeof(all));
		if (sig < 0 && errno == EINTR)		/* stopped and continued */
			continue;
		if (sig < 0)
			break;
		if (info.si_code == SI_QUEUE)
			printf("%d value %d\n", sig, info.si_value.sival_int);
		else
			printf("%d\n", sig);
		fflush(stdout);
		if (sig == SIGUSR2)
			break;
	}
	return (argc > 2 ? atoi(argv[2]) : 0);
}
