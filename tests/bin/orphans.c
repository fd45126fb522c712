/* orphans N: makes N grandchildren whose parents end at once; prints how many, waits for none. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int
make_one(int index)
{
	pid_t child = fork();

	if (child < 0)
		return (-1);
	if (child == 0) {
		if (fork() == 0)
			usleep((useconds_t)(index % 7) * 3000);
		_exit(0);
	}
	return (waitpid(child, NULL, 0) == child ? 0 : -1);
}

int
main(int argc, char **argv)
{
	int i, n = argc > 1 ? atoi(argv[1]) : 1;

	for (i = 0; i < n; i++)
		if (make_one(i) != 0)
			return (1);
	printf("%d\n", n);
	return (0);
}
