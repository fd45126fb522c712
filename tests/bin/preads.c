/*
 * preads FILE COPY SEED PROCESSES THREADS COUNT MAX: read both at random places and compare.
 *
 * Each thread has a descriptor of its own and a pattern of its own: random offsets with random
 * lengths up to MAX, forward with gaps, backwards, forward without gaps.  Prints how many reads
 * agreed, or where the first did not; status 1 then.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct work {
	const char	*file, *copy;
	uint64_t	 seed;
	int		 pattern;
	long		 count;
	size_t		 max;
	pthread_t	 thread;
};

static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (*seed);
}

static void
die(const char *what, const char *name)
{
	fprintf(stderr, "preads: %s %s: %s\n", what, name, strerror(errno));
	exit(1);
}

/* As much as there is: a short read before the end of the file is a fault of its own. */
static size_t
read_at(int fd, const char *name, char *buf, size_t len, off_t offset)
{
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		die("read", name);
	return ((size_t)n);
}

static off_t
place(struct work *w, off_t size, off_t last, size_t len)
{
	off_t random = (off_t)(next(&w->seed) % (uint64_t)size);

	switch (w->pattern) {
	case 1:
		return ((last + (off_t)len + random % 100000) % size);
	case 2:
		return (last >= (off_t)len ? last - (off_t)len : size - 1);
	case 3:
		return (last >= size ? 0 : last);
	default:
		return (random);
	}
}

static void *
run(void *arg)
{
	struct work *w = arg;
	int file = open(w->file, O_RDONLY), copy = open(w->copy, O_RDONLY);
	char *a = malloc(w->max), *b = malloc(w->max);
	size_t len, got, want;
	struct stat st;
	off_t at = 0;
	long i;

	if (file < 0 || copy < 0 || fstat(copy, &st) != 0 || a == NULL || b == NULL)
		die("open", w->file);
	for (i = 0; i < w->count; i++) {
		len = 1 + (size_t)(next(&w->seed) % w->max);
		at = place(w, st.st_size, at, len);
		got = read_at(file, w->file, a, len, at);
		want = read_at(copy, w->copy, b, len, at);
		if (got != want || memcmp(a, b, got) != 0) {
			fprintf(stderr, "preads: differs: %zu bytes at %lld, pattern %d, got %zu\n",
			    len, (long long)at, w->pattern, got);
			exit(1);
		}
		if (w->pattern == 3)
			at += (off_t)got;
	}
	free(a);
	free(b);
	close(file);
	close(copy);
	return (NULL);
}

static int
run_threads(char *const *argv, uint64_t seed, int threads)
{
	struct work *list = calloc((size_t)threads, sizeof(*list));
	int i;

	if (list == NULL)
		die("allocate", "threads");
	for (i = 0; i < threads; i++) {
		list[i] = (struct work){ .file = argv[1], .copy = argv[2], .pattern = i % 4,
		    .count = atol(argv[6]), .max = (size_t)atol(argv[7]),
		    .seed = seed * 1000 + (uint64_t)i + 1 };
		if (pthread_create(&list[i].thread, NULL, run, &list[i]) != 0)
			die("start", "a thread");
	}
	for (i = 0; i < threads; i++)
		pthread_join(list[i].thread, NULL);
	free(list);
	return (0);
}

int
main(int argc, char **argv)
{
	int processes, i, status, failed = 0;
	uint64_t seed;

	if (argc != 8) {
		fprintf(stderr, "usage: preads FILE COPY SEED PROCESSES THREADS COUNT MAX\n");
		return (2);
	}
	seed = strtoull(argv[3], NULL, 10);
	processes = atoi(argv[4]);
	for (i = 0; i < processes; i++)
		if (fork() == 0)
			_exit(run_threads(argv, seed + (uint64_t)i, atoi(argv[5])));
	while (wait(&status) > 0)
		failed |= status != 0;
	if (failed)
		return (1);
	printf("%ld reads agree\n", atol(argv[6]) * processes * atoi(argv[5]));
	return (0);
}
