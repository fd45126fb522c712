/* disk: kept over restarts, checked, bounded for all processes, never in the way of a read. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "check.h"
#include "mount/disk.h"

#define MIB	((int64_t)1 << 20)
#define CHUNK	((int64_t)DISK_CHUNK)

static char dir[64];
static char chunk[DISK_CHUNK], got[DISK_CHUNK];
static atomic_int notes, bad_notes, kept;

static void
on_note(void *arg, int is_bad, const char *text)
{
	(void)arg;
	(void)text;
	atomic_fetch_add(is_bad ? &bad_notes : &notes, 1);
}

static void
on_kept(void *arg, void *token, int is_kept)
{
	(void)arg;
	(void)is_kept;
	(void)token;
	atomic_fetch_add(&kept, 1);
}

static struct disk *
begin_with(int64_t bytes, int64_t reserve, unsigned int queue)
{
	struct disk_options o = { .dir = dir, .bytes = bytes, .reserve_bytes = reserve,
	    .place = "https://acct/data", .queue = queue, .note = on_note, .kept = on_kept };
	struct err err = ERR_EMPTY;
	struct disk *d = disk_new(&o, &err);

	if (d == NULL)
		printf("# %s %s\n", err.op, err.cause);
	return (d);
}

static struct disk *
begin(int64_t bytes)
{
	return (begin_with(bytes, 1, 0));
}

static void
end(struct disk *d)
{
	disk_drain(d, 10000);
	disk_free(d);
}

/* What chunk index of a file looks like. */
static void
fill(char *to, size_t len, int64_t index, int salt)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = (char)((int64_t)(i * 31 + i / 251) + index * 7 + salt);
}

static size_t
len_of(int64_t size, int64_t index)
{
	return ((size_t)(size - index * CHUNK < CHUNK ? size - index * CHUNK : CHUNK));
}

/* All chunks of [from, until), one after the other. */
static void
keep(struct disk *d, struct disk_entry *e, int64_t size, int64_t from, int64_t until, int salt)
{
	for (; from < until; from++) {
		fill(chunk, len_of(size, from), from, salt);
		if (disk_keep(e, from, chunk, NULL) != 0)
			return;
		disk_drain(d, 10000);
	}
}

static int
holds(struct disk_entry *e, int64_t size, int64_t index, int salt)
{
	size_t len = len_of(size, index);

	memset(got, 0xee, sizeof(got));
	fill(chunk, len, index, salt);
	return (disk_read(e, index, got) == 0 && memcmp(got, chunk, len) == 0);
}

static void
clear(void)
{
	if (fd_remove_tree(dir, NULL) != 0)
		abort();
	notes = bad_notes = kept = 0;
}

/* Each file's path; how many. */
static int
each_file(void (*fn)(const char *path, void *arg), void *arg)
{
	DIR *list = opendir(dir);
	struct dirent *each;
	char path[400];
	int n = 0;

	while (list != NULL && (each = readdir(list)) != NULL) {
		if (each->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, each->d_name);
		if (fn != NULL)
			fn(path, arg);
		n++;
	}
	if (list != NULL)
		closedir(list);
	return (n);
}

static void
add_bytes(const char *path, void *arg)
{
	struct stat st;

	if (stat(path, &st) == 0)
		*(int64_t *)arg += (int64_t)st.st_blocks * 512;
}

static int64_t
bytes_used(void)
{
	int64_t bytes = 0;

	each_file(add_bytes, &bytes);
	return (bytes);
}

/* One byte of what is no file of sums is another. */
static void
flip(const char *path, void *arg)
{
	int64_t at = *(int64_t *)arg;
	int fd = open(path, O_RDWR);
	char c;

	if (!str_ends(path, ".sum") && pread(fd, &c, 1, at) == 1) {
		c = (char)(c ^ 4);
		if (pwrite(fd, &c, 1, at) != 1)
			abort();
	}
	close(fd);
}

static void
test_kept(void)
{
	int64_t sizes[] = { 1, 4095, 4096, 100000, CHUNK, MIB, MIB + 1, 3 * MIB + 77 }, n, i;
	struct disk_entry *e;
	struct disk *d;
	char name[32];
	size_t k;
	int ok = 1;

	d = begin(64 * MIB);
	for (k = 0; k < LENGTH(sizes); k++) {
		snprintf(name, sizeof(name), "dir/customer%zu", k);
		n = (sizes[k] + CHUNK - 1) / CHUNK;
		e = disk_open(d, name, "\"1\"", sizes[k]);
		ok &= !disk_has(e, 0) && disk_read(e, 0, got) != 0;
		keep(d, e, sizes[k], 0, n, (int)k);
		for (i = 0; i < n; i++)
			ok &= holds(e, sizes[k], i, (int)k);
		ok &= !disk_has(e, n);
		disk_close(e);
	}
	check(ok);
	end(d);
	d = begin(64 * MIB);		/* the next run */
	for (k = 0; k < LENGTH(sizes); k++) {
		snprintf(name, sizeof(name), "dir/customer%zu", k);
		e = disk_open(d, name, "\"1\"", sizes[k]);
		for (i = 0; i < (sizes[k] + CHUNK - 1) / CHUNK; i++)
			ok &= holds(e, sizes[k], i, (int)k);
		disk_close(e);
		e = disk_open(d, name, "\"2\"", sizes[k]);	/* another version */
		ok &= !disk_has(e, 0);
		disk_close(e);
	}
	check(ok);
	e = disk_open(d, "x", "", 5000);		/* nothing to know it by */
	check(disk_keep(e, 0, chunk, NULL) != 0);
	disk_close(e);
	end(d);
	clear();
}

static void
no_name(const char *path, void *arg)
{
	struct stat st;

	*(int *)arg |= strstr(path, "customer") != NULL || stat(path, &st) != 0 ||
	    (st.st_mode & 07777) != 0600;
}

static void
test_private(void)
{
	struct disk_options o = { .dir = dir, .bytes = MIB, .place = "p", .kept = on_kept };
	struct disk *d = begin(64 * MIB);
	struct disk_entry *e = disk_open(d, "customer", "\"1\"", 5 * MIB);
	struct err err = ERR_EMPTY;
	struct stat st;
	int bad = 0;

	keep(d, e, 5 * MIB, 0, 2, 0);
	disk_close(e);
	end(d);
	check_int(each_file(no_name, &bad), 2);
	check_int(bad, 0);
	check(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
	check(chmod(dir, 0777) == 0);
	check(disk_new(&o, &err) == NULL && err.cause[0] != '\0');
	clear();
}

static void
test_damage(void)
{
	struct disk *d = begin(64 * MIB);
	struct disk_entry *e = disk_open(d, "f", "\"1\"", 3 * MIB);
	struct disk_entry *s = disk_open(d, "s", "\"1\"", 9000);
	struct disk_counts n;
	int64_t at = CHUNK + 100;

	keep(d, e, 3 * MIB, 0, 12, 0);
	check(disk_whole(e) >= 0);
	check(disk_whole(e) >= 0);		/* known by now */
	each_file(flip, &at);
	check_int(disk_whole(e), -1);
	check_int(bad_notes, 1);
	check(holds(e, 3 * MIB, 0, 0) && !disk_has(e, 1) && holds(e, 3 * MIB, 2, 0));
	keep(d, e, 3 * MIB, 1, 2, 0);		/* fetched again */
	check(holds(e, 3 * MIB, 1, 0));
	check(disk_whole(e) >= 0);
	keep(d, s, 9000, 0, 1, 5);
	check(holds(s, 9000, 0, 5));
	at = 8999;
	each_file(flip, &at);
	check(disk_read(s, 0, got) != 0 && !disk_has(s, 0));
	check_int(disk_whole(s), -1);
	check(disk_read(e, 0, got) != 0);	/* it was flipped there as well */
	disk_counts(d, &n);
	check_int(n.damaged, 3);
	disk_close(e);
	disk_close(s);
	/* Cut, as by a crash of the machine: that is none of ours. */
	end(d);
	clear();
}

static void
cut(const char *path, void *arg)
{
	(void)arg;
	if (truncate(path, 1000) != 0)
		abort();
}

static void
test_torn(void)
{
	struct disk *d = begin(64 * MIB);
	struct disk_entry *e = disk_open(d, "f", "\"1\"", 3 * MIB);

	keep(d, e, 3 * MIB, 0, 12, 0);
	each_file(cut, NULL);
	check(disk_read(e, 5, got) != 0);
	disk_close(e);
	end(d);
	d = begin(64 * MIB);
	e = disk_open(d, "f", "\"1\"", 3 * MIB);
	check(disk_read(e, 0, got) != 0);
	keep(d, e, 3 * MIB, 0, 12, 0);
	check(holds(e, 3 * MIB, 11, 0));
	check(holds(e, 3 * MIB, 0, 0));
	disk_close(e);
	end(d);
	clear();
}

/* A large file is checked behind the reader's back. */
static void
test_large(void)
{
	int64_t size = DISK_CHECK_AT_ONCE + 5 * CHUNK + 7, n = size / CHUNK + 1, i;
	int64_t until_ms = clock_ms() + 20000, at = 70 * CHUNK;
	struct disk *d = begin(256 * MIB);
	struct disk_entry *e = disk_open(d, "f", "\"1\"", size);
	int fd = -1, ok = 1;

	keep(d, e, size, 1, n, 0);
	check_int(disk_whole(e), -1);
	keep(d, e, size, 0, 1, 0);
	check_int(disk_whole(e), -1);
	while (fd < 0 && clock_ms() < until_ms) {
		fd = disk_whole(e);
		clock_sleep_ms(2);
	}
	check(fd >= 0);
	for (i = 0; i < n; i += 13)
		ok &= holds(e, size, i, 0);
	check(ok);
	each_file(flip, &at);
	for (i = 0; i < 20; i++) {
		ok &= disk_whole(e) == -1;
		clock_sleep_ms(5);
	}
	check(ok);
	disk_close(e);
	end(d);
	clear();
}

static void
test_bound(void)
{
	struct disk *d = begin(16 * MIB);
	struct disk_entry *used = disk_open(d, "used", "\"1\"", 4 * MIB), *e;
	struct disk_counts n;
	char name[16];
	int i, ok = 1;

	keep(d, used, 4 * MIB, 0, 16, 1);
	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e = disk_open(d, name, "\"1\"", 2 * MIB);
		keep(d, e, 2 * MIB, 0, 8, i);
		ok &= holds(e, 2 * MIB, 7, i);
		disk_close(e);
		ok &= bytes_used() <= 16 * MIB;
	}
	check(ok);
	disk_counts(d, &n);
	check(n.evicted >= 24);
	check(bytes_used() > 10 * MIB);
	for (i = 0; i < 16; i++)		/* the oldest of all, but in use */
		ok &= holds(used, 4 * MIB, i, 1);
	check(ok);
	disk_close(used);
	/* One that is larger than all: its beginning stays, and what is there is right. */
	e = disk_open(d, "huge", "\"1\"", INT64_C(100) << 30);
	keep(d, e, INT64_C(100) << 30, 0, 80, 3);
	check(bytes_used() <= 16 * MIB);
	check(holds(e, INT64_C(100) << 30, 0, 3));
	fill(chunk, sizeof(chunk), 400000, 3);
	check_int(disk_whole(e), -1);
	disk_close(e);
	end(d);
	/* A lower bound holds from the start. */
	d = begin(8 * MIB);
	end(d);
	check(bytes_used() <= 8 * MIB);
	clear();
}

static void
set_old(const char *path, void *arg)
{
	struct timespec t[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };

	(void)arg;
	if (utimensat(AT_FDCWD, path, t, 0) != 0)
		abort();
}

/* What was opened lately stays. */
static void
test_least_recent(void)
{
	struct disk *d = begin(16 * MIB);
	struct disk_entry *e;
	char name[16];
	int i, n = 0;

	for (i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e = disk_open(d, name, "\"1\"", 2 * MIB);
		keep(d, e, 2 * MIB, 0, 8, i);
		disk_close(e);
	}
	each_file(set_old, NULL);
	for (i = 2; i < 4; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		disk_close(disk_open(d, name, "\"1\"", 2 * MIB));
	}
	for (i = 10; i < 14; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e = disk_open(d, name, "\"1\"", 2 * MIB);
		keep(d, e, 2 * MIB, 0, 8, i);
		disk_close(e);
	}
	for (i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e = disk_open(d, name, "\"1\"", 2 * MIB);
		if (i == 2 || i == 3)
			check(holds(e, 2 * MIB, 5, i));
		else
			n += disk_has(e, 5);
		disk_close(e);
	}
	check(n <= 2);
	end(d);
	clear();
}

/* Several processes at once, each with a disk of its own. */
static void
process_main(int salt)
{
	struct disk *d = begin(16 * MIB);
	struct disk_entry *e;
	char name[16];
	int i, k, bad = 0;

	for (i = 0; i < 40 && d != NULL; i++) {
		snprintf(name, sizeof(name), "f%d", (i * 7 + salt * 3) % 20);
		e = disk_open(d, name, "\"1\"", 2 * MIB);
		for (k = 0; k < 8; k++)
			if (disk_read(e, k, got) == 0) {
				fill(chunk, sizeof(chunk), k, 9);
				bad |= memcmp(got, chunk, sizeof(chunk)) != 0;
			} else
				keep(d, e, 2 * MIB, k, k + 1, 9);
		disk_close(e);
	}
	if (d != NULL)
		end(d);
	_exit(bad || d == NULL || bad_notes > 0);
}

static void
test_processes(void)
{
	pid_t pids[4];
	int i, status, alive = 4, ok = 1;

	for (i = 0; i < 4; i++)
		if ((pids[i] = fork()) == 0)
			process_main(i);
	while (alive > 0) {
		ok &= bytes_used() <= 16 * MIB;
		if (waitpid(-1, &status, WNOHANG) > 0) {
			alive--;
			check_int(status, 0);
		} else
			clock_sleep_ms(2);
	}
	check(ok);
	check(bytes_used() > 8 * MIB);
	clear();
}

/* A process that died while it wrote: locks are gone, what it counted is counted anew. */
static void
test_killed(void)
{
	struct disk_entry *e;
	struct disk *d;
	int status, i;
	pid_t pid;

	if ((pid = fork()) == 0) {
		d = begin(16 * MIB);
		e = disk_open(d, "f", "\"1\"", 8 * MIB);
		for (;;)
			for (i = 0; i < 32; i++)
				keep(d, e, 8 * MIB, i, i + 1, 2);
	}
	while (bytes_used() < 2 * MIB)
		clock_sleep_ms(1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	d = begin(16 * MIB);
	e = disk_open(d, "f", "\"1\"", 8 * MIB);
	check(holds(e, 8 * MIB, 0, 2));
	keep(d, e, 8 * MIB, 0, 32, 2);
	check(holds(e, 8 * MIB, 31, 2));
	check(disk_whole(e) >= 0);
	disk_close(e);
	end(d);
	check_int(bad_notes, 0);
	clear();
}

/* Neither a full disk nor one that is nearly full harms. */
static void
test_full(void)
{
	struct disk_counts n;
	struct disk_entry *e;
	struct disk *d;
	int round, i, ok = 1;

	if (mkdir(dir, 0700) != 0 || mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=700") != 0) {
		check_skip("a tmpfs cannot be mounted");
		rmdir(dir);
		return;
	}
	for (round = 0; round < 2; round++) {
		d = begin_with(64 * MIB, round == 0 ? 0 : 3 * MIB, 0);
		e = disk_open(d, round == 0 ? "f" : "g", "\"1\"", 20 * MIB);
		keep(d, e, 20 * MIB, 0, 60, 0);
		disk_counts(d, &n);
		ok &= n.dropped > 0;
		check(round == 0 ? n.kept >= 10 : n.kept == 0);
		for (i = 0; i < 60; i++)
			ok &= !disk_has(e, i) || holds(e, 20 * MIB, i, 0);
		disk_close(e);
		end(d);
	}
	check(ok);
	check_int(bad_notes, 0);
	check(umount(dir) == 0);
	clear();
}

/* The queue is bounded: nobody waits for the disk. */
static void
test_queue(void)
{
	struct disk *d = begin_with(64 * MIB, 1, 4);
	struct disk_entry *e = disk_open(d, "f", "\"1\"", 64 * MIB);
	struct disk_counts n;
	int i, taken = 0;

	fill(chunk, sizeof(chunk), 0, 0);
	for (i = 0; i < 200; i++)
		taken += disk_keep(e, i, chunk, NULL) == 0;
	disk_drain(d, 10000);
	disk_counts(d, &n);
	check_int(kept, taken);
	check_int(n.kept, taken);
	check_int(n.dropped, 200 - taken);
	check(taken >= 4);
	disk_close(e);
	end(d);
	clear();
}

/* Files that are open here leave descriptors to everything else; what is closed gives way. */
static void
test_descriptors(void)
{
	struct disk_entry *e[60];
	struct rlimit old, few;
	struct disk *d = begin(64 * MIB);
	int i, fd, round, held[2] = { 0, 0 };
	char name[16];

	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e[0] = disk_open(d, name, "\"1\"", i % 2 == 0 ? 9000 : 2 * MIB);
		keep(d, e[0], i % 2 == 0 ? 9000 : 2 * MIB, 0, 1, i);
		disk_close(e[0]);
	}
	end(d);
	if (getrlimit(RLIMIT_NOFILE, &old) != 0)
		abort();
	few = old;
	few.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &few) != 0)
		abort();
	d = begin(64 * MIB);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 60; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			e[i] = disk_open(d, name, "\"1\"", i % 2 == 0 ? 9000 : 2 * MIB);
			held[round] += holds(e[i], i % 2 == 0 ? 9000 : 2 * MIB, 0, i);
		}
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		check(fd >= 0);
		mem_close_fd(&fd);
		for (i = 0; i < 60; i++)
			disk_close(e[i]);
	}
	check(held[0] >= 16 && held[0] < 40);	/* of 32 descriptors; one or two each */
	check_int(held[1], held[0]);
	check(setrlimit(RLIMIT_NOFILE, &old) == 0);
	end(d);
	clear();
}

/* A service may tell anything: offsets in the file are not to overflow. */
static void
test_too_large(void)
{
	struct disk *d = begin(16 * MIB);
	struct disk_entry *e = disk_open(d, "f", "\"e\"", INT64_MAX);

	check(!disk_has(e, 0) && disk_read(e, 0, got) != 0 && disk_whole(e) < 0);
	check_int(disk_keep(e, 0, chunk, NULL), -1);
	disk_close(e);
	disk_free(d);
	clear();
}

int
main(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_disk.%d", (int)getpid());
	test_kept();
	test_private();
	test_damage();
	test_torn();
	test_large();
	test_bound();
	test_least_recent();
	test_processes();
	test_killed();
	test_full();
	test_queue();
	test_descriptors();
	test_too_large();
	return (check_done());
}
