/*
 * steps STEP...: a job whose every call is told, with what it gave and how long it took.
 *
 *   copy FROM TO     "copy TO: ok 812 ms", or "copy TO: close EIO 4011 ms": which call failed;
 *                    reads and writes pieces of 64 KiB
 *   wait FILE        writes FILE.ready, and goes on when there is FILE.go
 *   fds COMM         "fds N threads N": of the one process called COMM
 *
 * Its status is 0 whatever the calls gave, but for a step that it does not know.
 */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE	65536

static long
clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec * 1000L + t.tv_nsec / 1000000);
}

static const char *
errno_name(int n)
{
	static const struct { int n; const char *name; } names[] = { { EIO, "EIO" },
	    { ETIMEDOUT, "ETIMEDOUT" }, { EHOSTUNREACH, "EHOSTUNREACH" }, { EACCES, "EACCES" },
	    { ENOENT, "ENOENT" }, { ESTALE, "ESTALE" }, { ENOTCONN, "ENOTCONN" },
	    { EINTR, "EINTR" }, { ENOSPC, "ENOSPC" } };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].n == n)
			return (names[i].name);
	return (strerror(n));
}

/* The call that failed, with errno; or NULL. */
static const char *
copy(const char *from, const char *to)
{
	static char piece[PIECE];
	int in = open(from, O_RDONLY), out, saved;
	const char *failed = NULL;
	ssize_t n = 0;

	if (in < 0)
		return ("open");
	if ((out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666)) < 0) {
		saved = errno;
		close(in);
		errno = saved;
		return ("create");
	}
	while (failed == NULL && (n = read(in, piece, sizeof(piece))) > 0)
		if (write(out, piece, (size_t)n) != n)
			failed = "write";
	if (n < 0)
		failed = "read";
	saved = errno;
	if (close(out) != 0 && failed == NULL) {
		failed = "close";
		saved = errno;
	}
	close(in);
	errno = saved;
	return (failed);
}

static void
do_copy(const char *from, const char *to)
{
	long began = clock_ms();
	const char *failed = copy(from, to);
	int n = errno;

	if (failed == NULL)
		printf("copy %s: ok %ld ms\n", to, clock_ms() - began);
	else
		printf("copy %s: %s %s %ld ms\n", to, failed, errno_name(n), clock_ms() - began);
}

static void
do_wait(const char *file)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.ready", file);
	if ((fd = open(path, O_WRONLY | O_CREAT, 0666)) >= 0)
		close(fd);
	snprintf(path, sizeof(path), "%s.go", file);
	while (access(path, F_OK) != 0)
		usleep(10000);
}

static int
entries(const char *pid, const char *what)
{
	char path[300];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, what);
	if ((dir = opendir(path)) == NULL)
		return (-1);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n - 2);
}

static void
do_fds(const char *comm)
{
	DIR *dir = opendir("/proc");
	char path[300], name[64];
	struct dirent *e;
	FILE *f;

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		if (!isdigit((unsigned char)e->d_name[0]) || (f = fopen(path, "r")) == NULL)
			continue;
		if (fgets(name, sizeof(name), f) != NULL &&
		    strncmp(name, comm, strlen(comm)) == 0)
			printf("fds %d threads %d\n", entries(e->d_name, "fd"),
			    entries(e->d_name, "task"));
		fclose(f);
	}
	if (dir != NULL)
		closedir(dir);
}

int
main(int argc, char **argv)
{
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "copy") == 0 && i + 2 < argc) {
			do_copy(argv[i + 1], argv[i + 2]);
			i += 2;
		} else if (strcmp(argv[i], "wait") == 0 && i + 1 < argc)
			do_wait(argv[++i]);
		else if (strcmp(argv[i], "fds") == 0 && i + 1 < argc)
			do_fds(argv[++i]);
		else
			return (2);
	return (0);
}
