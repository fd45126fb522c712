/*
 * sigqueue PID SIGNAL COUNT [STOPPED]: queue the signal COUNT times with the values 0, 1, ...
 *
 * The process STOPPED is stopped until the queue has been full for 20 ms.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static pid_t stopped;

static void
let_go(void)
{
	if (stopped == 0)
		return;
	usleep(20000);
	kill(stopped, SIGCONT);
	stopped = 0;
}

int
main(int argc, char **argv)
{
	union sigval value;
	int i;

	if (argc < 4 || argc > 5)
		return (2);
	if (argc == 5) {
		stopped = atoi(argv[4]);
		kill(stopped, SIGSTOP);
	}
	for (i = 0; i < atoi(argv[3]); i++) {
		value.sival_int = i;
		while (sigqueue(atoi(argv[1]), atoi(argv[2]), value) != 0) {
			if (errno != EAGAIN)
				return (1);
			let_go();
			usleep(1000);
		}
	}
	let_go();
	return (0);
}
