/* with-signals {ignore N | block N | unblock N | raise N}... -- COMMAND ARG...: start it so. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
mask(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

int
main(int argc, char **argv)
{
	int i, sig;

	for (i = 1; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
		sig = atoi(argv[i + 1]);
		if (strcmp(argv[i], "ignore") == 0)
			signal(sig, SIG_IGN);
		else if (strcmp(argv[i], "block") == 0)
			mask(SIG_BLOCK, sig);
		else if (strcmp(argv[i], "unblock") == 0)
			mask(SIG_UNBLOCK, sig);
		else if (strcmp(argv[i], "raise") == 0)
			raise(sig);
	}
	if (i + 1 >= argc)
		return (2);
	execvp(argv[i + 1], &argv[i + 1]);
	perror(argv[i + 1]);
	return (127);
}
