/*
 * Files of the disk cache that somebody has damaged, and sizes as a service may tell them: a chunk
 * that is given is one whose sum is right, and no size is too large to be refused.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fuzz.h"
#include "mount/disk_parts.h"

#define DIR	"/dev/shm/amlshim-fuzz-disk.%d"

static char dir[64];

static void
tidy(void)
{
	fd_remove_tree(dir, NULL);
}

static void
kept(void *arg, void *token, int is_kept)
{
	(void)arg;
	(void)token;
	(void)is_kept;
}

static struct disk *
the_disk(void)
{
	static const struct disk_options o = { .dir = dir, .bytes = 64 << 20, .place = "a/c",
	    .kept = kept };
	static struct disk *d;

	if (d == NULL) {
		str_format(dir, sizeof(dir), DIR, (int)getpid());
		fd_remove_tree(dir, NULL);	/* one of this number may have crashed */
		must((d = disk_new(&o, NULL)) != NULL);
		atexit(tidy);
	}
	return (d);
}

/* The file as long as it has to be, with these bytes at its end, where sums of small ones are. */
static void
write_file(const struct disk_entry *e, const char *bytes, size_t len)
{
	int64_t sums = e->nchunks * 8, pages = (e->size + 4095) / 4096 * 4096;
	int64_t size = e->size <= DISK_SMALL ? pages + sums : e->size;
	int64_t at = e->size <= DISK_SMALL ? pages - 64 : 0;
	char name[DISK_SUM_NAME];
	auto_close int fd = openat(e->disk->dir_fd, e->name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	auto_close int sum_fd = -1;

	must(fd >= 0 && ftruncate(fd, size) == 0);
	must(pwrite(fd, bytes, len, at < 0 ? 0 : at) == (ssize_t)len && ftruncate(fd, size) == 0);
	if (e->size <= DISK_SMALL)
		return;
	disk_sum_name(name, e->name);
	sum_fd = openat(e->disk->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	must(sum_fd >= 0 && pwrite(sum_fd, bytes, len, 0) == (ssize_t)len);
}

static void
read_all(struct disk_entry *e)
{
	static char memory[DISK_CHUNK];
	int64_t i, last = e->nchunks - 1;

	disk_whole(e);
	for (i = 0; i <= last && i < 4; i++)
		if (disk_has(e, i) && disk_read(e, i, memory) == 0)
			must(disk_sum(e, i, memory) != 0);
	must(!disk_has(e, e->nchunks));
	if (last >= 0 && disk_has(e, last))
		disk_read(e, last, memory);
	must(disk_read(e, e->nchunks, memory) != 0);
}

/* What was kept, is there, and with one bit changed it is not. */
static void
keep_one(struct disk *d, const char *name, const char *bytes, size_t len)
{
	static char memory[DISK_CHUNK], back[DISK_CHUNK];
	struct disk_entry *e = disk_open(d, name, "\"kept\"", (int64_t)len);
	uint64_t sum;

	memcpy(memory, bytes, len);
	must(e->nchunks == 1 && disk_open_files(e, 1) == 0);
	sum = disk_sum(e, 0, memory);
	must(pwrite(e->data_fd, memory, len, 0) == (ssize_t)len);
	must(pwrite(e->sums_fd, &sum, sizeof(sum), disk_sum_at(e, 0)) == (ssize_t)sizeof(sum));
	must(disk_read(e, 0, back) == 0 && memcmp(back, memory, len) == 0);
	memory[len / 2] ^= 4;
	must(pwrite(e->data_fd, memory, len, 0) == (ssize_t)len);
	must(disk_sum(e, 0, memory) == sum || (disk_read(e, 0, back) != 0 && !disk_has(e, 0)));
	unlinkat(d->dir_fd, e->name, 0);
	disk_close(e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	struct disk *d = the_disk();
	const char *name = input_line(&in, &mem);
	struct disk_entry *e;
	char sum_name[DISK_SUM_NAME];
	int64_t told;

	input_bytes(&in, &told, sizeof(told));
	e = disk_open(d, name, "\"e\"", told);
	read_all(e);
	disk_close(e);
	if (told > 0 && told <= 4 << 20 && in.left < 4096) {
		e = disk_open(d, name, "\"e\"", told);
		write_file(e, in.at, in.left);
		disk_close(e);
		e = disk_open(d, name, "\"e\"", told);
		must(e->data_fd >= 0);
		read_all(e);
		unlinkat(d->dir_fd, e->name, 0);
		disk_sum_name(sum_name, e->name);
		unlinkat(d->dir_fd, sum_name, 0);
		disk_close(e);
	}
	if (in.left > 0 && in.left <= DISK_CHUNK)
		keep_one(d, name, in.at, in.left);
	arena_done(&mem);
	return (0);
}
