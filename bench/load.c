/*
 * load: what a job does to files, cheap enough that the file system's cost is what is seen.
 *
 *   load read THREADS SECONDS                   files whose paths are lines of stdin, to their end
 *   load stat THREADS SECONDS                   lstat(2) of those
 *   load random THREADS SECONDS FILE            4 KiB at random places, none of them twice; each
 *                                               thread has opened it for itself
 *   load write THREADS SECONDS DIR COUNT SIZE   new files DIR/000000 and on, SIZE bytes each
 *   load warm MIB                               touch so much memory and give it back: where the host
 *                                               of a virtual machine gives pages when they are first
 *                                               touched, the next one who wants them has them at once
 *
 * Threads take the next item until there is none, or SECONDS have gone by: a slow contender is
 * measured by what it did in that time.  A file that is being written is finished.  Prints
 * "ITEMS BYTES SECONDS CPU": how many files or reads, the wall's seconds, and this process's own
 * seconds of CPU, the kernel's share for its system calls among them.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHUNK		((size_t)1 << 20)
#define PAGE		((size_t)4096)
#define THREADS_MAX	256

struct thread {
	struct load *load;
	pthread_t id;
	char	*chunk;
	int	 fd;			/* of random */
};

struct load {
	void	(*fn)(struct load *, uint64_t item, struct thread *);
	char	**paths;		/* of read and stat */
	const char *where;		/* of random the file, of write the directory */
	unsigned bits;			/* of random: 2^bits places at least */
	uint64_t n;			/* items */
	uint64_t size;			/* of write: of a file; of random: pages */
	double	 deadline;
	_Atomic uint64_t next, items, bytes;
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

static void
die(const char *what, const char *on)
{
	fprintf(stderr, "load: %s %s: %s\n", what, on, strerror(errno));
	exit(1);
}

static void
read_file(struct load *l, uint64_t item, struct thread *t)
{
	const char *path = l->paths[item];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		die("open", path);
	while (n > 0 && now_s() < l->deadline) {
		n = read(fd, t->chunk, CHUNK);
		if (n < 0)
			die("read", path);
		l->bytes += (uint64_t)n;
	}
	close(fd);
	l->items += n == 0;
}

static void
stat_file(struct load *l, uint64_t item, struct thread *t)
{
	struct stat st;

	(void)t;
	if (lstat(l->paths[item], &st) != 0)
		die("lstat", l->paths[item]);
	l->items++;
}

/* Each number below 2^bits to another one of them: odd factors and shifts can be undone. */
static uint64_t
scatter(uint64_t x, unsigned bits)
{
	uint64_t mask = (UINT64_C(1) << bits) - 1;

	for (int round = 0; round < 3; round++) {
		x = (x * UINT64_C(0x9e3779b97f4a7c15) + 0x632b) & mask;
		x ^= x >> (bits / 2 + 1);
	}
	return (x);
}

static void
read_page(struct load *l, uint64_t item, struct thread *t)
{
	uint64_t page = scatter(item, l->bits);

	if (page >= l->size)
		return;
	if (pread(t->fd, t->chunk, PAGE, (off_t)(page * PAGE)) != (ssize_t)PAGE)
		die("pread", l->where);
	l->items++;
	l->bytes += PAGE;
}

static void
write_file(struct load *l, uint64_t item, struct thread *t)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%06llu", l->where, (unsigned long long)item);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		die("create", path);
	for (uint64_t left = l->size; left > 0;) {
		ssize_t n = write(fd, t->chunk, left < CHUNK ? (size_t)left : CHUNK);

		if (n <= 0)
			die("write", path);
		left -= (uint64_t)n;
	}
	if (close(fd) != 0)
		die("close", path);
	l->items++;
	l->bytes += l->size;
}

static void *
work(void *arg)
{
	struct thread *t = arg;
	struct load *l = t->load;
	uint64_t item;

	t->chunk = malloc(CHUNK);
	if (t->chunk == NULL)
		die("allocate", "");
	memset(t->chunk, 'x', CHUNK);
	if (l->fn == read_page && (t->fd = open(l->where, O_RDONLY | O_CLOEXEC)) < 0)
		die("open", l->where);
	while (now_s() < l->deadline && (item = l->next++) < l->n)
		l->fn(l, item, t);
	free(t->chunk);
	return (NULL);
}

static void
take_lines(struct load *l)
{
	size_t room = 0, size = 0;
	char *line = NULL;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (l->n == room) {
			room = room == 0 ? 1024 : 2 * room;
			l->paths = realloc(l->paths, room * sizeof(*l->paths));
			if (l->paths == NULL)
				die("allocate", "");
		}
		l->paths[l->n++] = line;
		line = NULL;
		size = 0;
	}
	free(line);
}

static void
take_pages(struct load *l, const char *path)
{
	struct stat st;

	l->where = path;
	if (stat(path, &st) != 0)
		die("stat", path);
	l->size = (uint64_t)st.st_size / PAGE;
	for (l->bits = 2; (UINT64_C(1) << l->bits) < l->size;)
		l->bits++;
	l->n = UINT64_C(1) << l->bits;
}

/* What argv[1] names; -1: nothing. */
static int
take_words(struct load *l, int argc, char **argv)
{
	if (strcmp(argv[1], "read") == 0 && argc == 4) {
		l->fn = read_file;
		take_lines(l);
	} else if (strcmp(argv[1], "stat") == 0 && argc == 4) {
		l->fn = stat_file;
		take_lines(l);
	} else if (strcmp(argv[1], "random") == 0 && argc == 5) {
		l->fn = read_page;
		take_pages(l, argv[4]);
	} else if (strcmp(argv[1], "write") == 0 && argc == 7) {
		l->fn = write_file;
		l->where = argv[4];
		l->n = strtoull(argv[5], NULL, 10);
		l->size = strtoull(argv[6], NULL, 10);
	} else {
		return (-1);
	}
	return (0);
}

/* Not to have so much is no failure. */
static int
warm(size_t mib)
{
	void *all = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (all != MAP_FAILED)
		munmap(all, mib << 20);
	return (0);
}

static void
report(const struct load *l, double began)
{
	double took = now_s() - began;
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	printf("%llu %llu %.6f %.6f\n", (unsigned long long)l->items, (unsigned long long)l->bytes,
	    took, (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	    (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
}

int
main(int argc, char **argv)
{
	static struct thread threads[THREADS_MAX];
	static struct load l;
	int n = argc < 4 ? 0 : atoi(argv[2]);
	double began;

	if (argc == 3 && strcmp(argv[1], "warm") == 0)
		return (warm(strtoul(argv[2], NULL, 10)));
	if (n < 1 || n > THREADS_MAX || take_words(&l, argc, argv) != 0)
		return (2);
	began = now_s();
	l.deadline = began + atof(argv[3]);
	for (int i = 0; i < n; i++) {
		threads[i].load = &l;
		if ((errno = pthread_create(&threads[i].id, NULL, work, &threads[i])) != 0)
			die("start", "a thread");
	}
	for (int i = 0; i < n; i++)
		pthread_join(threads[i].id, NULL);
	report(&l, began);
	return (0);
}
