/*
 * orphans N [PID]: makes N grandchildren whose parents end at once (above 10,000: a parent has
 * 500); prints how many, waits for none.  With PID the grandchildren end in the same instant, while
 * that process is stopped.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int
make_some(int index, int n, int wait_fd, int other_fd)
{
	pid_t child = fork(), own = 1;
	char byte;
	int status;

	if (child < 0)
		return (-1);
	if (child == 0) {
		while (n-- > 0 && (own = fork()) > 0)
			index++;
		if (own != 0)
			_exit(own < 0);
		close(other_fd);
		if (wait_fd < 0)
			usleep((useconds_t)(index % 7) * 3000);
		else if (read(wait_fd, &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	return (waitpid(child, &status, 0) == child && status == 0 ? 0 : -1);
}

int
main(int argc, char **argv)
{
	int i, n = argc > 1 ? atoi(argv[1]) : 1, ends[2] = { -1, -1 };
	int each = n > 10000 ? 500 : 1;
	pid_t stopped = argc > 2 ? atoi(argv[2]) : 0;

	if (stopped != 0 && pipe(ends) != 0)
		return (1);
	for (i = 0; i < n; i += each)
		if (make_some(i, each, ends[0], ends[1]) != 0)
			return (1);
	if (stopped != 0) {
		kill(stopped, SIGSTOP);
		close(ends[1]);
		usleep(500000);
		kill(stopped, SIGCONT);
	}
	printf("%d\n", n);
	return (0);
}
