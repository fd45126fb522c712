/* sigqueue PID SIGNAL COUNT: queue the signal COUNT times with the values 0, 1, ... */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	union sigval value;
	int i;

	if (argc != 4)
		return (2);
	for (i = 0; i < atoi(argv[3]); i++) {
		value.sival_int = i;
		while (sigqueue(atoi(argv[1]), atoi(argv[2]), value) != 0) {
			if (errno != EAGAIN)
				return (1);
			usleep(1000);
		}
	}
	return (0);
}
