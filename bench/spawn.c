/*
 * spawn RUNS NAME=COMMAND...: what an init costs, several of them in turn.
 *
 * Each run makes the init PID 1 of a new PID namespace (clone(2), CLONE_NEWPID) with this very
 * program as its command, which tells the time it began over a pipe: that is the time from fork to
 * the command's main.  Then the init's private memory is read from /proc/PID/smaps_rollup, and the
 * command ends.  COMMAND is split at blanks; the command to run is put behind it.  Prints, a line a
 * name: the median and the least of the times in microseconds, private dirty memory (what it has
 * written; pages of its file are the page cache's) and resident memory in KiB.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTENDERS_MAX	8
#define WORDS_MAX	16
#define RUNS_MAX	10000
#define TELL_FD		9
#define STAY_FD		8

struct contender {
	const char	*name;
	char		*words[WORDS_MAX];
	int64_t		 us[RUNS_MAX];
	long		 private_kib, resident_kib;
};

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* The command: tells its beginning, stays until the other end of the pipe is closed. */
static int
be_command(void)
{
	int64_t began = now_us();
	char c;

	if (write(TELL_FD, &began, sizeof(began)) != sizeof(began))
		return (1);
	return (read(STAY_FD, &c, 1) != 0);
}

static void
parse(struct contender *c, char *text, char *self)
{
	char *word = strchr(text, '=');
	int n = 0;

	if (word == NULL)
		exit(2);
	*word++ = '\0';
	c->name = text;
	for (word = strtok(word, " "); word != NULL && n < WORDS_MAX - 3; word = strtok(NULL, " "))
		c->words[n++] = word;
	c->words[n++] = self;
	c->words[n] = NULL;
}

static void
read_memory(struct contender *c, pid_t pid)
{
	char path[64], line[256];
	long kib, private_kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		die(path);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
			private_kib += kib;
		if (sscanf(line, "Rss: %ld", &kib) == 1)
			c->resident_kib = kib;
	}
	fclose(f);
	c->private_kib = private_kib;
}

static void
run(struct contender *c, int i)
{
	int tell[2], stay[2], status;
	int64_t forked, began;
	pid_t pid;

	if (pipe2(tell, O_CLOEXEC) != 0 || pipe2(stay, O_CLOEXEC) != 0)
		die("pipe");
	forked = now_us();
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		if (dup2(tell[1], TELL_FD) < 0 || dup2(stay[0], STAY_FD) < 0)
			_exit(1);
		execv(c->words[0], c->words);
		_exit(127);
	}
	if (pid < 0)
		die("clone");
	close(tell[1]);
	close(stay[0]);
	if (read(tell[0], &began, sizeof(began)) != sizeof(began))
		die(c->words[0]);
	c->us[i] = began - forked;
	read_memory(c, pid);
	close(tell[0]);
	close(stay[1]);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "%s: status %#x\n", c->name, (unsigned)status);
		exit(1);
	}
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return ((x > y) - (x < y));
}

int
main(int argc, char **argv)
{
	static struct contender contenders[CONTENDERS_MAX];
	static char self[4096];
	int n = argc - 2, runs, i, k;

	if (argc == 1)
		return (be_command());
	runs = atoi(argv[1]);
	if (n < 1 || n > CONTENDERS_MAX || runs < 1 || runs > RUNS_MAX ||
	    readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return (2);
	for (k = 0; k < n; k++)
		parse(&contenders[k], argv[2 + k], self);
	for (i = 0; i < runs; i++)
		for (k = 0; k < n; k++)
			run(&contenders[k], i);
	for (k = 0; k < n; k++) {
		struct contender *c = &contenders[k];

		qsort(c->us, (size_t)runs, sizeof(c->us[0]), compare);
		printf("%s %lld %lld %ld %ld\n", c->name, (long long)c->us[runs / 2],
		    (long long)c->us[0], c->private_kib, c->resident_kib);
	}
	return (0);
}
