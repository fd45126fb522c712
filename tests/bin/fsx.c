/*
 * fsx [OPTION...] DIR: random operations on files below DIR, which is empty at the start, against
 * a model of them in memory.  In the spirit of fsx of NeXT and of Linux test suites.
 *
 *   -s SEED      the same seed and threads do the same operations (1)
 *   -t THREADS   each has files of its own in directories that all share, and one of its own (4)
 *   -n COUNT     operations of each thread; 0: until the time is over (1000)
 *   -l SECONDS   stop after it (0: never)
 *   -f FILES     of each thread (8)
 *   -z BYTES     a file has at most so many (150000), and
 *   -Z BYTES     the first one of the first thread so many (-z)
 *   -c PERCENT   after so many operations all descriptors of the file are closed (0)
 *   -p MS        pause after each operation (0)
 *   -x LIST      leave these operations out: "copy,rename"; what they are: below
 *   -o OUT       at the end, what DIR has to hold is made in this directory
 *   -w SECONDS   an operation that takes longer is a failure (300)
 *
 * Each thread does one operation after the other; whatever was read is compared, also attributes
 * and directories.  At a failure the last operations of that thread stand on stderr, and the
 * status is 1.  At the end: how many operations, and the slowest.
 */

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG		200	/* operations remembered */
#define SHARED		3	/* directories that all threads use */
#define DIRS		(SHARED + 1)
#define VARIANTS	3	/* names of one file */
#define PATH_SIZE	512
#define FILES_MAX	64
#define THREADS_MAX	64
#define FALLOCATES	4
#define BLOCK		4096	/* of O_DIRECT */
#define ZERO_RANGE	0x10	/* of linux/falloc.h, which clashes with fcntl.h */

enum which { READWRITE, READONLY, APPEND, WRITEONLY, FDS };

struct file {
	int	 index, dir, variant;
	int	 exists;
	off_t	 size, max;
	unsigned char *data;		/* max bytes; zero from size on */
	int	 fd[FDS];		/* -1: not open */
};

struct entry {				/* of the log */
	uint64_t number;
	const char *what;
	char	 path[64], more[64];
	long long a, b;
};

struct worker {
	int	 id;
	uint64_t random, number;	/* of operations so far */
	struct file *files;
	int	 own;			/* variant of the name of its own directory */
	struct entry log[LOG];
	uint64_t nlog;
	unsigned char *buf;
	_Atomic int64_t began_ms;	/* 0: idle */
	int64_t	 slowest_ms;
	const char *slowest, *now;
	unsigned int refused;		/* bits of fallocate modes that the file system has not */
	pthread_t thread;
};

static struct {
	const char *dir, *out, *without;
	uint64_t seed, count;
	int	 threads, files, seconds, watch, close_percent, pause_ms;
	off_t	 max, first_max;
	int64_t	 until_ms;
} opt = { .without = "", .seed = 1, .count = 1000, .threads = 4, .files = 8, .watch = 300,
    .max = 150000 };

static pthread_mutex_t failing = PTHREAD_MUTEX_INITIALIZER;

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* splitmix64 */
static uint64_t
next(struct worker *w)
{
	uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31));
}

static off_t
below(struct worker *w, off_t n)
{
	return (n <= 1 ? 0 : (off_t)(next(w) % (uint64_t)n));
}

static int
chance(struct worker *w, int percent)
{
	return (below(w, 100) < percent);
}

/* ---- failures and their log ---------------------------------------------------------- */

static void
note(struct worker *w, const char *what, const char *path, const char *more, long long a,
    long long b)
{
	struct entry *e = &w->log[w->nlog++ % LOG];

	e->number = w->number;
	e->what = what;
	snprintf(e->path, sizeof(e->path), "%s", path + strlen(opt.dir) + 1);
	snprintf(e->more, sizeof(e->more), "%s", more);
	e->a = a;
	e->b = b;
	w->now = what;
}

static void
print_log(const struct worker *w)
{
	uint64_t i = w->nlog > LOG ? w->nlog - LOG : 0;
	const struct entry *e;

	fprintf(stderr, "fsx: the last operations of thread %d:\n", w->id);
	for (; i < w->nlog; i++) {
		e = &w->log[i % LOG];
		fprintf(stderr, "%8llu %-10s %-20s %lld %lld %s\n", (unsigned long long)e->number,
		    e->what, e->path, e->a, e->b, e->more);
	}
}

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(const struct worker *w, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&failing);
	print_log(w);
	fprintf(stderr, "fsx: FAILED: seed %llu thread %d operation %llu: ",
	    (unsigned long long)opt.seed, w->id, (unsigned long long)w->number);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

static void __attribute__((noreturn))
fail_errno(const struct worker *w, const char *what)
{
	fail(w, "%s: %s", what, strerror(errno));
}

/* ---- names --------------------------------------------------------------------------- */

static void
dir_path(const struct worker *w, const char *root, int dir, int own, char path[PATH_SIZE])
{
	if (dir < SHARED)
		snprintf(path, PATH_SIZE, "%s/shared%d", root, dir);
	else
		snprintf(path, PATH_SIZE, "%s/own%d.%d", root, w->id, own);
}

static void
path_in(const struct worker *w, const char *root, const struct file *f, char path[PATH_SIZE])
{
	size_t len;

	dir_path(w, root, f->dir, w->own, path);
	len = strlen(path);
	snprintf(path + len, PATH_SIZE - len, "/t%d.f%d.%d", w->id, f->index, f->variant);
}

static const char *
path_of(const struct worker *w, const struct file *f, char path[PATH_SIZE])
{
	path_in(w, opt.dir, f, path);
	return (path);
}

static struct file *
any(struct worker *w, int exists)
{
	struct file *f = &w->files[below(w, opt.files)];
	int i;

	for (i = 0; i < opt.files && f->exists != exists; i++)
		f = &w->files[(f->index + 1) % opt.files];
	return (f->exists == exists ? f : NULL);
}

/* ---- descriptors --------------------------------------------------------------------- */

static void
close_fd(struct worker *w, struct file *f, int which)
{
	char path[PATH_SIZE];

	if (f->fd[which] < 0)
		return;
	note(w, "close", path_of(w, f, path), "", which, 0);
	if (close(f->fd[which]) != 0)
		fail_errno(w, "close");
	f->fd[which] = -1;
}

static void
close_all(struct worker *w, struct file *f)
{
	int which;

	for (which = 0; which < FDS; which++)
		close_fd(w, f, which);
}

static const int flags_of[FDS] = { O_RDWR, O_RDONLY, O_WRONLY | O_APPEND, O_WRONLY };

static int
open_fd(struct worker *w, struct file *f, int which)
{
	char path[PATH_SIZE];

	if (f->fd[which] < 0) {
		note(w, "open", path_of(w, f, path), "", which, 0);
		f->fd[which] = open(path, flags_of[which] | O_CLOEXEC);
		if (f->fd[which] < 0)
			fail_errno(w, "open");
	}
	return (f->fd[which]);
}

/* ---- bytes --------------------------------------------------------------------------- */

/* They tell the operation and the place: what is displaced or old is seen. */
static void
fill(const struct worker *w, unsigned char *to, off_t at, size_t len)
{
	unsigned char base = (unsigned char)(w->number * 31 + (uint64_t)w->id * 7);
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = (unsigned char)(base + (uint64_t)at + i + (((uint64_t)at + i) >> 8) * 13);
}

static void
compare(const struct worker *w, const struct file *f, const unsigned char *got, off_t at,
    size_t len)
{
	const unsigned char *want = f->data + at;
	size_t i, bad = 0, last = 0;

	if (memcmp(got, want, len) == 0)
		return;
	for (i = len; i-- > 0;)
		if (got[i] != want[i]) {
			bad = i;
			last = last > 0 ? last : i;
		}
	fail(w, "wrong bytes from %lld to %lld: got %02x ... %02x, wanted %02x ... %02x",
	    (long long)at + (long long)bad, (long long)at + (long long)last, got[bad], got[last],
	    want[bad], want[last]);
}

static void
set_size(struct file *f, off_t size)
{
	if (size < f->size)
		memset(f->data + size, 0, (size_t)(f->size - size));
	f->size = size;
}

/* A range within max, mostly small; at most rest beyond the end of the file. */
static void
range(struct worker *w, off_t max, off_t *at, size_t *len)
{
	off_t longest = chance(w, 10) ? max : max < 20000 ? max : 20000;

	*at = below(w, max);
	if (chance(w, 20))
		*at &= ~(off_t)4095;
	*len = 1 + (size_t)below(w, longest);
	if (*at + (off_t)*len > max)
		*len = (size_t)(max - *at);
}

/* ---- operations ---------------------------------------------------------------------- */

static void
create(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	int which = chance(w, 50) ? WRITEONLY : READWRITE;

	f->dir = (int)below(w, DIRS);
	f->variant = (int)below(w, VARIANTS);
	note(w, "create", path_of(w, f, path), "O_EXCL", which, 0);
	f->fd[which] = open(path, flags_of[which] | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (f->fd[which] < 0)
		fail_errno(w, "create");
	f->exists = 1;
	f->size = 0;
	memset(f->data, 0, (size_t)f->max);
}

static void
op_create(struct worker *w, struct file *f)
{
	struct file *g = any(w, 0);
	char path[PATH_SIZE];
	int fd;

	if (g != NULL) {
		create(w, g);
		return;
	}
	note(w, "exclusive", path_of(w, f, path), "", 0, 0);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0 || errno != EEXIST)
		fail(w, "O_EXCL on a file that is there: %s", fd >= 0 ? "made" : strerror(errno));
}

static void
write_at(struct worker *w, struct file *f, int fd, off_t at, size_t len, int append)
{
	ssize_t n;

	fill(w, f->data + at, at, len);
	n = append ? write(fd, f->data + at, len) : pwrite(fd, f->data + at, len, at);
	if (n < 0)
		fail_errno(w, "write");
	if ((size_t)n != len)
		fail(w, "short write: %zd of %zu", n, len);
	if (f->size < at + (off_t)len)
		f->size = at + (off_t)len;
}

static void
op_write(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	size_t len;
	off_t at;
	int fd = open_fd(w, f, chance(w, 30) ? WRITEONLY : READWRITE);

	range(w, f->max, &at, &len);
	if (at > f->size && chance(w, 50))
		at = f->size;		/* in sequence: holes are the rarer case */
	if (at + (off_t)len > f->max)
		len = (size_t)(f->max - at);
	if (len == 0)
		return;
	note(w, "write", path_of(w, f, path), "", at, (long long)len);
	write_at(w, f, fd, at, len, 0);
}

static void
op_append(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	off_t room = f->max - f->size;
	size_t len = 1 + (size_t)below(w, room < 5000 ? room : 5000);
	int fd;

	if (room == 0)
		return;
	fd = open_fd(w, f, APPEND);
	note(w, "append", path_of(w, f, path), "", f->size, (long long)len);
	write_at(w, f, fd, f->size, len, 1);
}

static void
check_range(struct worker *w, struct file *f, int fd, off_t at, size_t len)
{
	size_t want = at >= f->size ? 0 : (size_t)(f->size - at);
	ssize_t n;

	if (want > len)
		want = len;
	n = pread(fd, w->buf, len, at);
	if (n < 0)
		fail_errno(w, "read");
	if ((size_t)n != want)
		fail(w, "read %zd bytes, wanted %zu (size %lld)", n, want, (long long)f->size);
	compare(w, f, w->buf, at, want);
}

/* What the kernel has of it goes: the next read is ours. */
static void
op_forget(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	int fd = open_fd(w, f, READONLY);

	note(w, "forget", path_of(w, f, path), "", 0, 0);
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		fail(w, "posix_fadvise");
}

static void
op_read(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	size_t len;
	off_t at;
	int fd;

	if (chance(w, 30))
		op_forget(w, f);
	fd = open_fd(w, f, chance(w, 50) ? READONLY : READWRITE);
	range(w, f->max, &at, &len);
	if (chance(w, 80) && f->size > 0)
		at %= f->size;
	note(w, "read", path_of(w, f, path), "", at, (long long)len);
	check_range(w, f, fd, at, len);
}

static void
op_direct(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	size_t len;
	off_t at;
	int fd;

	range(w, f->max, &at, &len);
	at &= ~(off_t)(BLOCK - 1);
	len = (len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	note(w, "direct", path_of(w, f, path), "", at, (long long)len);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fail_errno(w, "open with O_DIRECT");
	check_range(w, f, fd, at, len);
	if (close(fd) != 0)
		fail_errno(w, "close");
}

static void
op_truncate(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	off_t size = chance(w, 20) ? 0 : below(w, f->max + 1);
	int fd = chance(w, 50) ? open_fd(w, f, READWRITE) : -1;

	if (chance(w, 50) && size > f->size)
		size = below(w, f->size + 1);
	note(w, fd >= 0 ? "ftruncate" : "truncate", path_of(w, f, path), "", f->size, size);
	if ((fd >= 0 ? ftruncate(fd, size) : truncate(path, size)) != 0)
		fail_errno(w, "truncate");
	set_size(f, size);
}

static void
op_overwrite(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	size_t len = 1 + (size_t)below(w, f->max < 10000 ? f->max : 10000);
	int fd;

	note(w, "overwrite", path_of(w, f, path), "O_TRUNC", f->size, (long long)len);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_errno(w, "open with O_TRUNC");
	set_size(f, 0);
	write_at(w, f, fd, 0, len, 0);
	if (close(fd) != 0)
		fail_errno(w, "close");
}

/* What was written so far is changed, read, synced or cut while the rest is still to come. */
static void
interrupt(struct worker *w, struct file *f, int fd)
{
	char path[PATH_SIZE];
	off_t at = below(w, f->size), len = 1 + below(w, f->size - at < 9000 ? f->size - at : 9000);

	path_of(w, f, path);
	switch (below(w, 4)) {
	case 0:
		note(w, "back", path, "", at, len);
		write_at(w, f, fd, at, (size_t)len, 0);
		break;
	case 1:
		note(w, "so far", path, "", at, len);
		check_range(w, f, open_fd(w, f, READONLY), at, (size_t)len);
		break;
	case 2:
		note(w, "fsync", path, "", 0, 0);
		if (fsync(fd) != 0)
			fail_errno(w, "fsync");
		break;
	default:
		note(w, "cut", path, "", f->size, at);
		if (ftruncate(fd, at) != 0)
			fail_errno(w, "ftruncate");
		set_size(f, at);
	}
}

/* From the beginning to the end, as most files are written. */
static void
op_stream(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	off_t total = below(w, f->max + 1), step;
	int fd, percent = chance(w, 50) ? 0 : 4;

	note(w, "stream", path_of(w, f, path), "O_TRUNC", f->size, total);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_errno(w, "open with O_TRUNC");
	set_size(f, 0);
	while (f->size < total) {
		step = 1 + below(w, total < 1000000 ? 20000 : 300000);
		if (step > total - f->size)
			step = total - f->size;
		write_at(w, f, fd, f->size, (size_t)step, 0);
		if (chance(w, percent))
			interrupt(w, f, fd);
	}
	note(w, "streamed", path, "", f->size, 0);
	if (close(fd) != 0)
		fail_errno(w, "close");
}

static void
op_map(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	off_t at, page, size;
	size_t len;
	int writes = chance(w, 50), sync = chance(w, 30);
	int fd = open_fd(w, f, writes || chance(w, 50) ? READWRITE : READONLY);
	unsigned char *map;

	size = f->size;
	if (size == 0)
		return;
	range(w, size, &at, &len);
	page = at & ~(off_t)4095;
	note(w, writes ? "mapwrite" : "mapread", path_of(w, f, path), sync ? "msync" : "", at,
	    (long long)len);
	map = mmap(NULL, len + (size_t)(at - page), writes ? PROT_READ | PROT_WRITE : PROT_READ,
	    MAP_SHARED, fd, page);
	if (map == MAP_FAILED)
		fail_errno(w, "mmap");
	compare(w, f, map + (at - page), at, len);
	if (writes) {
		fill(w, f->data + at, at, len);
		memcpy(map + (at - page), f->data + at, len);
		if (sync && msync(map, len + (size_t)(at - page), MS_SYNC) != 0)
			fail_errno(w, "msync");
	}
	if (munmap(map, len + (size_t)(at - page)) != 0)
		fail_errno(w, "munmap");
}

static void
op_sync(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];
	int data = chance(w, 50);
	int fd = open_fd(w, f, READWRITE);

	note(w, data ? "fdatasync" : "fsync", path_of(w, f, path), "", 0, 0);
	if ((data ? fdatasync(fd) : fsync(fd)) != 0)
		fail_errno(w, "fsync");
}

static void
op_close(struct worker *w, struct file *f)
{
	if (chance(w, 50))
		close_all(w, f);
	else
		close_fd(w, f, (int)below(w, FDS));
}

static void
op_stat(struct worker *w, struct file *f)
{
	struct file *gone = any(w, 0);
	char path[PATH_SIZE];
	struct stat st;

	note(w, "stat", path_of(w, f, path), "", f->size, 0);
	if (stat(path, &st) != 0)
		fail_errno(w, "stat");
	if (st.st_size != f->size || !S_ISREG(st.st_mode))
		fail(w, "stat: size %lld, wanted %lld, mode %o", (long long)st.st_size,
		    (long long)f->size, st.st_mode);
	if (gone == NULL)
		return;
	note(w, "no stat", path_of(w, gone, path), "", 0, 0);
	if (stat(path, &st) == 0 || errno != ENOENT)
		fail(w, "stat of what is not there: %s", strerror(errno));
}

/* Under its own new name or in the place of another file. */
static void
op_rename(struct worker *w, struct file *f)
{
	struct file *to = chance(w, 40) ? any(w, 1) : f;
	char path[PATH_SIZE], new_path[PATH_SIZE];
	struct file place = *f, was;

	if (to == f) {
		place.dir = (int)below(w, DIRS);
		place.variant = (int)below(w, VARIANTS);
	} else {
		place.index = to->index;
		place.dir = to->dir;
		place.variant = to->variant;
		if (to->fd[READWRITE] < 0 || chance(w, 50))
			close_all(w, to);
	}
	if (f->fd[READWRITE] >= 0 && chance(w, 30))
		close_all(w, f);
	path_of(w, &place, new_path);
	note(w, "rename", path_of(w, f, path), new_path + strlen(opt.dir) + 1, 0, 0);
	if (rename(path, new_path) != 0)
		fail_errno(w, "rename");
	if (to == f) {
		f->dir = place.dir;
		f->variant = place.variant;
		return;
	}
	if (to->fd[READWRITE] >= 0)	/* its last name is gone, its data is not */
		check_range(w, to, to->fd[READWRITE], 0, (size_t)to->max);
	close_all(w, to);
	was = *f;
	f->exists = 0;
	f->size = 0;
	f->data = to->data;
	f->max = to->max;
	memset(f->fd, 0xff, sizeof(f->fd));
	to->data = was.data;
	to->max = was.max;
	to->size = was.size;
	memcpy(to->fd, was.fd, sizeof(to->fd));
}

static void
op_rename_own(struct worker *w, struct file *f)
{
	char path[PATH_SIZE], new_path[PATH_SIZE];
	int own = (w->own + 1) % VARIANTS;

	(void)f;
	dir_path(w, opt.dir, SHARED, w->own, path);
	dir_path(w, opt.dir, SHARED, own, new_path);
	note(w, "renamedir", path, new_path + strlen(opt.dir) + 1, 0, 0);
	if (rename(path, new_path) != 0)
		fail_errno(w, "rename of a directory");
	w->own = own;
}

/* By the kernel, or read and written here. */
static int
copy_bytes(struct worker *w, int from, int to, size_t size)
{
	int kernel = chance(w, 50);
	size_t done = 0;
	ssize_t n = 0;

	while (kernel && done < size) {
		n = copy_file_range(from, NULL, to, NULL, size - done, 0);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == size)
		return (0);
	if (kernel && (n == 0 || done > 0 || (errno != EXDEV && errno != EOPNOTSUPP &&
	    errno != ENOSYS && errno != EINVAL)))
		return (-1);
	n = read(from, w->buf, size);
	return (n == (ssize_t)size && write(to, w->buf, size) == (ssize_t)size ? 0 : -1);
}

static void
op_copy(struct worker *w, struct file *f)
{
	struct file *to = any(w, 1);
	char path[PATH_SIZE], to_path[PATH_SIZE];
	size_t size = (size_t)f->size;
	int from_fd, to_fd;

	if (to == f || to == NULL || f->size > to->max)
		return;
	path_of(w, to, to_path);
	note(w, "copy", path_of(w, f, path), to_path + strlen(opt.dir) + 1, f->size, to->size);
	from_fd = open(path, O_RDONLY | O_CLOEXEC);
	to_fd = open(to_path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (from_fd < 0 || to_fd < 0)
		fail_errno(w, "open to copy");
	if (size > 0 && copy_bytes(w, from_fd, to_fd, size) != 0)
		fail_errno(w, "copy");
	if (close(from_fd) != 0 || close(to_fd) != 0)
		fail_errno(w, "close of a copy");
	set_size(to, 0);
	memcpy(to->data, f->data, size);
	to->size = f->size;
}

/* Sometimes while it is open: its data lives on until it is closed. */
static void
op_unlink(struct worker *w, struct file *f)
{
	char path[PATH_SIZE];

	if (f->fd[READWRITE] < 0 || chance(w, 50))
		close_all(w, f);
	note(w, "unlink", path_of(w, f, path), f->fd[READWRITE] >= 0 ? "open" : "", f->size, 0);
	if (unlink(path) != 0)
		fail_errno(w, "unlink");
	if (f->fd[READWRITE] >= 0) {
		if (f->size + 100 <= f->max)
			write_at(w, f, f->fd[READWRITE], f->size, 100, 0);
		check_range(w, f, f->fd[READWRITE], 0, (size_t)f->max);
	}
	close_all(w, f);
	f->exists = 0;
	if (chance(w, 50))
		create(w, f);
}

static void
apply_fallocate(struct file *f, int kind, off_t at, size_t len)
{
	off_t end = at + (off_t)len;

	if (kind >= 2 && at < f->size)
		memset(f->data + at, 0, (size_t)((end < f->size ? end : f->size) - at));
	if ((kind == 0 || kind == 3) && f->size < end)
		f->size = end;
}

static void
op_fallocate(struct worker *w, struct file *f)
{
	static const int modes[FALLOCATES] = { 0, FALLOC_FL_KEEP_SIZE,
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ZERO_RANGE };
	char path[PATH_SIZE];
	int kind = (int)below(w, FALLOCATES), fd = open_fd(w, f, READWRITE);
	size_t len;
	off_t at;

	range(w, f->max, &at, &len);
	if ((w->refused & (1u << kind)) != 0)
		return;
	note(w, "fallocate", path_of(w, f, path), kind == 0 ? "" : kind == 1 ? "keep" :
	    kind == 2 ? "punch" : "zero", at, (long long)len);
	if (fallocate(fd, modes[kind], at, (off_t)len) == 0)
		apply_fallocate(f, kind, at, len);
	else if (errno == EOPNOTSUPP || errno == ENOSYS)
		w->refused |= 1u << kind;
	else
		fail_errno(w, "fallocate");
}

/* 1: the model has this name in this directory. */
static int
is_known(const struct worker *w, int dir, const char *name)
{
	char path[PATH_SIZE];
	int i;

	for (i = 0; i < opt.files; i++)
		if (w->files[i].exists && w->files[i].dir == dir &&
		    strcmp(strrchr(path_of(w, &w->files[i], path), '/') + 1, name) == 0)
			return (1);
	return (0);
}

static int
count_known(const struct worker *w, int dir)
{
	int i, n = 0;

	for (i = 0; i < opt.files; i++)
		n += w->files[i].exists && w->files[i].dir == dir;
	return (n);
}

/* Our names in one directory are those that the model has, each once. */
static void
op_list(struct worker *w, struct file *f)
{
	char path[PATH_SIZE], own[32];
	int dir = (int)below(w, DIRS), n = 0;
	struct dirent *e;
	DIR *d;

	(void)f;
	dir_path(w, opt.dir, dir, w->own, path);
	note(w, "list", path, "", 0, 0);
	if ((d = opendir(path)) == NULL)
		fail_errno(w, "opendir");
	snprintf(own, sizeof(own), "t%d.", w->id);
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, own, strlen(own)) != 0)
			continue;
		if (!is_known(w, dir, e->d_name))
			fail(w, "listed, but not there: %s", e->d_name);
		n++;
	}
	if (errno != 0)
		fail_errno(w, "readdir");
	closedir(d);
	if (n != count_known(w, dir))
		fail(w, "%d names listed, wanted %d", n, count_known(w, dir));
}

/* The own directory can be removed when nothing is in it, and only then. */
static void
op_mkdir(struct worker *w, struct file *f)
{
	char path[PATH_SIZE], own[PATH_SIZE];
	size_t len;

	(void)f;
	dir_path(w, opt.dir, (int)below(w, SHARED), 0, path);
	len = strlen(path);
	snprintf(path + len, PATH_SIZE - len, "/t%d.dir", w->id);
	note(w, "mkdir", path, "", 0, 0);
	if (mkdir(path, 0755) != 0)
		fail_errno(w, "mkdir");
	dir_path(w, opt.dir, SHARED, w->own, own);
	note(w, "rmdir", own, "", count_known(w, SHARED), 0);
	if (rmdir(own) != 0) {
		if (errno != ENOTEMPTY || count_known(w, SHARED) == 0)
			fail_errno(w, "rmdir");
	} else if (count_known(w, SHARED) > 0 || mkdir(own, 0755) != 0)
		fail(w, "rmdir of a directory with files, or it cannot be made again");
	if (rmdir(path) != 0)
		fail_errno(w, "rmdir");
}

/* ---- the run ------------------------------------------------------------------------- */

static const struct op {
	const char *name;
	int	 weight;
	void	 (*run)(struct worker *, struct file *);
} ops[] = {
	{ "write", 250, op_write }, { "append", 60, op_append }, { "read", 250, op_read },
	{ "direct", 30, op_direct }, { "truncate", 50, op_truncate },
	{ "overwrite", 15, op_overwrite }, { "stream", 5, op_stream }, { "map", 80, op_map },
	{ "sync", 15, op_sync },
	{ "close", 50, op_close }, { "stat", 80, op_stat }, { "rename", 12, op_rename },
	{ "renamedir", 1, op_rename_own }, { "copy", 12, op_copy }, { "unlink", 10, op_unlink },
	{ "create", 12, op_create }, { "fallocate", 20, op_fallocate }, { "list", 20, op_list },
	{ "mkdir", 3, op_mkdir },
};
#define OPS	(sizeof(ops) / sizeof(ops[0]))

static int
is_left_out(const char *name)
{
	const char *at = opt.without;
	size_t len = strlen(name);

	for (; (at = strstr(at, name)) != NULL; at += len)
		if ((at == opt.without || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return (1);
	return (0);
}

static const struct op *
choose(struct worker *w)
{
	int total = 0, at;
	size_t i;

	for (i = 0; i < OPS; i++)
		total += ops[i].weight;
	do {
		at = (int)below(w, total);
		for (i = 0; at >= ops[i].weight; i++)
			at -= ops[i].weight;
	} while (is_left_out(ops[i].name));
	return (&ops[i]);
}

static void
step(struct worker *w)
{
	const struct op *op = choose(w);
	struct file *f = any(w, 1);
	int64_t began = now_ms(), took;

	w->number++;
	atomic_store(&w->began_ms, began);
	if (f == NULL)
		create(w, &w->files[below(w, opt.files)]);
	else {
		op->run(w, f);
		if (chance(w, opt.close_percent))
			close_all(w, f);
	}
	took = now_ms() - began;
	atomic_store(&w->began_ms, 0);
	if (took > w->slowest_ms) {
		w->slowest_ms = took;
		w->slowest = w->now;
	}
}

static void
finish(struct worker *w)
{
	struct file *f;
	int fd;

	for (f = w->files; f < w->files + opt.files; f++) {
		close_all(w, f);
		if (!f->exists)
			continue;
		fd = open_fd(w, f, READONLY);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		check_range(w, f, fd, 0, (size_t)f->max);
		close_all(w, f);
	}
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	while ((opt.count == 0 || w->number < opt.count) &&
	    (opt.until_ms == 0 || now_ms() < opt.until_ms)) {
		step(w);
		if (opt.pause_ms > 0)
			usleep((unsigned int)opt.pause_ms * 1000);
	}
	atomic_store(&w->began_ms, now_ms());
	finish(w);
	atomic_store(&w->began_ms, -1);
	return (NULL);
}

static void
make_dirs(const struct worker *w, const char *root)
{
	char path[PATH_SIZE];
	int i;

	for (i = 0; i < DIRS; i++) {
		dir_path(w, root, i, w->own, path);
		if (mkdir(path, 0755) != 0 && (errno != EEXIST || i == SHARED))
			fail_errno(w, path);
	}
}

static void
prepare(struct worker *w, int id)
{
	int i;

	w->id = id;
	w->random = opt.seed * 1000003 + (uint64_t)id;
	w->slowest = "";
	w->files = calloc((size_t)opt.files, sizeof(*w->files));
	w->buf = aligned_alloc(BLOCK, ((size_t)(opt.max > opt.first_max ? opt.max : opt.first_max) /
	    BLOCK + 2) * BLOCK);
	if (w->files == NULL || w->buf == NULL)
		fail_errno(w, "allocate");
	for (i = 0; i < opt.files; i++) {
		w->files[i].index = i;
		w->files[i].max = i == 0 && id == 0 ? opt.first_max : opt.max;
		w->files[i].data = calloc(1, (size_t)w->files[i].max);
		memset(w->files[i].fd, 0xff, sizeof(w->files[i].fd));
		if (w->files[i].data == NULL)
			fail_errno(w, "allocate");
	}
	make_dirs(w, opt.dir);
}

/* Until all have ended; who takes too long ends it. */
static void
watch(struct worker *w)
{
	int i, busy = 1;
	int64_t began;

	while (busy) {
		usleep(50000);
		for (i = busy = 0; i < opt.threads; i++) {
			began = atomic_load(&w[i].began_ms);
			busy |= began >= 0;
			if (began > 0 && now_ms() - began > (int64_t)opt.watch * 1000)
				fail(&w[i], "this has taken more than %d s", opt.watch);
		}
	}
}

static void
write_out(const struct worker *w)
{
	char path[PATH_SIZE];
	struct file *f;
	int fd;

	make_dirs(w, opt.out);
	for (f = w->files; f < w->files + opt.files; f++) {
		if (!f->exists)
			continue;
		path_in(w, opt.out, f, path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, f->data, (size_t)f->size) != f->size || close(fd) != 0)
			fail_errno(w, path);
	}
}

static void
report(const struct worker *w)
{
	const struct worker *slow = &w[0];
	unsigned long long n = 0;
	unsigned int refused = 0;
	int i;

	for (i = 0; i < opt.threads; i++) {
		n += w[i].number;
		refused |= w[i].refused;
		if (w[i].slowest_ms > slow->slowest_ms)
			slow = &w[i];
	}
	printf("fsx: seed %llu: %llu operations agree, %d threads; fallocate refused: %x\n",
	    (unsigned long long)opt.seed, n, opt.threads, refused);
	printf("slowest %lld ms: %s\n", (long long)slow->slowest_ms, slow->slowest);
}

static int
usage(void)
{
	fprintf(stderr, "usage: fsx [-s SEED] [-t THREADS] [-n COUNT] [-l SECONDS] [-f FILES] "
	    "[-z BYTES] [-Z BYTES] [-c PERCENT] [-p MS] [-x LIST] [-o OUT] [-w SECONDS] DIR\n");
	return (2);
}

static int
parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:t:n:l:f:z:Z:c:p:x:o:w:")) != -1)
		switch (c) {
		case 's': opt.seed = strtoull(optarg, NULL, 10); break;
		case 't': opt.threads = atoi(optarg); break;
		case 'n': opt.count = strtoull(optarg, NULL, 10); break;
		case 'l': opt.seconds = atoi(optarg); break;
		case 'f': opt.files = atoi(optarg); break;
		case 'z': opt.max = atoll(optarg); break;
		case 'Z': opt.first_max = atoll(optarg); break;
		case 'c': opt.close_percent = atoi(optarg); break;
		case 'p': opt.pause_ms = atoi(optarg); break;
		case 'x': opt.without = optarg; break;
		case 'o': opt.out = optarg; break;
		case 'w': opt.watch = atoi(optarg); break;
		default: return (-1);
		}
	if (opt.first_max == 0)
		opt.first_max = opt.max;
	opt.dir = optind + 1 == argc ? argv[optind] : NULL;
	return (opt.dir == NULL || opt.threads < 1 || opt.threads > THREADS_MAX || opt.files < 2 ||
	    opt.files > FILES_MAX || opt.max < 1 ? -1 : 0);
}

int
main(int argc, char **argv)
{
	struct worker *w;
	int i;

	if (parse(argc, argv) != 0)
		return (usage());
	w = calloc((size_t)opt.threads, sizeof(*w));
	if (w == NULL)
		return (1);
	for (i = 0; i < opt.threads; i++)
		prepare(&w[i], i);
	if (opt.seconds > 0)
		opt.until_ms = now_ms() + (int64_t)opt.seconds * 1000;
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&w[i].thread, NULL, run, &w[i]) != 0)
			fail_errno(&w[i], "start a thread");
	watch(w);
	for (i = 0; i < opt.threads; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < opt.threads && opt.out != NULL; i++)
		write_out(&w[i]);
	report(w);
	return (0);
}
