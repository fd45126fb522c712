#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "mount/disk_parts.h"

#define FORMAT		"amlshim cache 1"	/* another one makes other names */
#define TOUCH_S		60
#define CHECK_STEP	8
#define TOLD_MAX	10

/* ---- sums ---------------------------------------------------------------------------- */

#define P1	UINT64_C(0x9E3779B185EBCA87)
#define P2	UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3	UINT64_C(0x165667B19E3779F9)
#define P4	UINT64_C(0x85EBCA77C2B2AE63)
#define P5	UINT64_C(0x27D4EB2F165667C5)

static uint64_t
rotate(uint64_t x, int by)
{
	return (x << by | x >> (64 - by));
}

static uint64_t
load64(const unsigned char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return (x);
}

static uint64_t
round64(uint64_t acc, uint64_t lane)
{
	return (rotate(acc + lane * P2, 31) * P1);
}

/* XXH64; its steps of 4 bytes and 1 are one here: the rest is padded with zeros. */
static uint64_t
sum_of(const void *data, size_t len, uint64_t seed)
{
	uint64_t v[4] = { seed + P1 + P2, seed + P2, seed, seed - P1 }, h;
	unsigned char last[8] = { 0 };
	const unsigned char *p = data;
	size_t left;
	int i;

	for (left = len; left >= 32; left -= 32, p += 32)
		for (i = 0; i < 4; i++)
			v[i] = round64(v[i], load64(p + 8 * i));
	h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
	for (i = 0; i < 4; i++)
		h = (h ^ round64(0, v[i])) * P1 + P4;
	for (h += len; left >= 8; left -= 8, p += 8)
		h = rotate(h ^ round64(0, load64(p)), 27) * P1 + P4;
	memcpy(last, p, left);
	h = rotate(h ^ load64(last) * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	h ^= h >> 32;
	return (h != 0 ? h : 1);
}

/* ---- places -------------------------------------------------------------------------- */

static int
is_small(const struct disk_entry *e)
{
	return (e->size <= DISK_SMALL);
}

size_t
disk_chunk_len(const struct disk_entry *e, int64_t index)
{
	int64_t left = e->size - index * DISK_CHUNK;

	return ((size_t)(left < DISK_CHUNK ? left : DISK_CHUNK));
}

static int64_t
sums_from(const struct disk_entry *e)
{
	return (is_small(e) ? (e->size + 4095) / 4096 * 4096 : 0);
}

int64_t
disk_sum_at(const struct disk_entry *e, int64_t index)
{
	return (sums_from(e) + index * (int64_t)sizeof(uint64_t));
}

static int64_t
file_size(const struct disk_entry *e)
{
	return (is_small(e) ? disk_sum_at(e, e->nchunks) : e->size);
}

void
disk_sum_name(char out[DISK_SUM_NAME], const char *name)
{
	str_format(out, DISK_SUM_NAME, "%s" DISK_SUM, name);
}

/* Another chunk's bytes are wrong here. */
uint64_t
disk_sum(const struct disk_entry *e, int64_t index, const void *data)
{
	return (sum_of(data, disk_chunk_len(e, index), e->seed + (uint64_t)index));
}

/* 0: not there. */
static uint64_t
stored_sum(const struct disk_entry *e, int64_t index)
{
	int fd = e->sums_fd;
	uint64_t sum;

	if (fd < 0 || index >= e->nchunks ||
	    pread(fd, &sum, sizeof(sum), disk_sum_at(e, index)) != (ssize_t)sizeof(sum))
		return (0);
	return (sum);
}

void
disk_note(struct disk *d, int is_bad, const char *text)
{
	if (d->opt.note != NULL)
		d->opt.note(d->opt.arg, is_bad, text);
}

/* ---- entries ------------------------------------------------------------------------- */

/* The lock comes with the descriptor: of a file that is being evicted nobody gets one. */
static int
open_data(struct disk_entry *e, int create, int *ret_is_new)
{
	auto_close int fd = openat(e->disk->dir_fd, e->name,
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) != 0 || fstat(fd, &st) != 0 ||
	    st.st_nlink == 0)
		return (-1);
	*ret_is_new = st.st_size != file_size(e);
	if (*ret_is_new && (!create || ftruncate(fd, 0) != 0 || ftruncate(fd, file_size(e)) != 0))
		return (-1);
	return (fd_take(&fd));
}

int
disk_open_files(struct disk_entry *e, int create)
{
	char name[DISK_SUM_NAME];
	struct disk *d = e->disk;
	int data = e->data_fd, is_new = 0;

	if (atomic_load(&d->nfds) >= d->fds_max)
		return (-1);
	if (data < 0) {
		if ((data = open_data(e, create, &is_new)) < 0)
			return (-1);
		e->data_fd = data;
		atomic_fetch_add(&d->nfds, 1);
	}
	if (is_small(e)) {
		e->sums_fd = data;
		return (0);
	}
	disk_sum_name(name, e->name);
	e->sums_fd = openat(d->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
	    (create ? O_CREAT : 0) | (is_new ? O_TRUNC : 0), 0600);
	if (e->sums_fd < 0)
		return (-1);
	atomic_fetch_add(&d->nfds, 1);
	return (0);
}

/* It is used: it goes later. */
static void
touch(const struct disk_entry *e)
{
	struct stat st;

	if (fstat(e->sums_fd, &st) == 0 && clock_wall_s() - st.st_mtim.tv_sec > TOUCH_S)
		futimens(e->sums_fd, NULL);	/* best effort */
}

static void
make_name(struct disk_entry *e, const char *name, const char *etag)
{
	unsigned char digest[br_sha256_SIZE];
	br_sha256_context h;
	int i;

	br_sha256_init(&h);
	br_sha256_update(&h, FORMAT, sizeof(FORMAT));
	br_sha256_update(&h, e->disk->place, strlen(e->disk->place) + 1);
	br_sha256_update(&h, name, strlen(name) + 1);
	br_sha256_update(&h, etag, strlen(etag) + 1);
	br_sha256_update(&h, &e->size, sizeof(e->size));
	br_sha256_out(&h, digest);
	for (i = 0; i < (DISK_NAME - 1) / 2; i++)
		str_format(e->name + 2 * i, 3, "%02x", digest[i]);
	e->seed = load64(digest + 16);
}

struct disk_entry *
disk_open(struct disk *d, const char *name, const char *etag, int64_t size)
{
	struct disk_entry *e = mem_zalloc(sizeof(*e));

	e->disk = d;
	e->refs = 1;
	e->data_fd = e->sums_fd = -1;
	if (etag[0] == '\0' || size <= 0 || size > DISK_SIZE_MAX)
		return (e);
	e->size = size;
	e->nchunks = (size + DISK_CHUNK - 1) / DISK_CHUNK;
	make_name(e, name, etag);
	if (disk_open_files(e, 0) == 0)
		touch(e);
	return (e);
}

static void
close_one(struct disk *d, int fd)
{
	close(fd);
	atomic_fetch_sub(&d->nfds, 1);
}

void
disk_close(struct disk_entry *e)
{
	if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1)
		return;
	if (e->sums_fd >= 0 && e->sums_fd != e->data_fd)
		close_one(e->disk, e->sums_fd);
	if (e->data_fd >= 0)
		close_one(e->disk, e->data_fd);
	free(e);
}

/* ---- reading ------------------------------------------------------------------------- */

int
disk_has(const struct disk_entry *e, int64_t index)
{
	return (stored_sum(e, index) != 0);
}

static void
drop_damaged(struct disk_entry *e, int64_t index)
{
	static const uint64_t none = 0;
	struct disk *d = e->disk;

	atomic_fetch_add(&d->damaged, 1);
	fd_pwrite_all(e->sums_fd, &none, sizeof(none), disk_sum_at(e, index));
	if (atomic_fetch_add(&d->nbad, 1) < TOLD_MAX)
		disk_note(d, 1, "a damaged block was dropped and is fetched again");
}

int
disk_read(struct disk_entry *e, int64_t index, void *memory)
{
	uint64_t sum = stored_sum(e, index);
	size_t len;

	if (sum == 0)
		return (-1);
	len = disk_chunk_len(e, index);
	if (fd_pread_full(e->data_fd, memory, len, index * DISK_CHUNK) != (ssize_t)len ||
	    disk_sum(e, index, memory) != sum) {
		drop_damaged(e, index);
		return (-1);
	}
	atomic_fetch_add_explicit(&e->disk->hits, 1, memory_order_relaxed);
	return (0);
}

/* ---- whole files --------------------------------------------------------------------- */

static int
is_same(const struct disk_checked *a, const struct disk_checked *b)
{
	return (a->seed == b->seed && a->ino == b->ino && a->mtime.tv_sec == b->mtime.tv_sec &&
	    a->mtime.tv_nsec == b->mtime.tv_nsec);
}

static int
identify(const struct disk_entry *e, struct disk_checked *ret)
{
	struct stat st;

	if (fstat(e->data_fd, &st) != 0)
		return (-1);
	*ret = (struct disk_checked){ e->seed, st.st_ino, st.st_mtim };
	return (0);
}

static int
has_all(const struct disk_entry *e)
{
	uint64_t sums[512];
	int64_t at, n, i;

	for (at = 0; at < e->nchunks; at += n) {
		n = e->nchunks - at < (int64_t)LENGTH(sums) ? e->nchunks - at :
		    (int64_t)LENGTH(sums);
		if (fd_pread_full(e->sums_fd, sums, (size_t)n * sizeof(*sums),
		    disk_sum_at(e, at)) != (ssize_t)((size_t)n * sizeof(*sums)))
			return (0);
		for (i = 0; i < n; i++)
			if (sums[i] == 0)
				return (0);
	}
	return (1);
}

/* 0: the chunks of [from, until) are right. */
static int
check_chunks(struct disk_entry *e, int64_t from, int64_t until)
{
	auto_free char *memory = mem_alloc(DISK_CHUNK);

	for (; from < until; from++)
		if (disk_read(e, from, memory) != 0)
			return (-1);
	return (0);
}

static void
remember(struct disk *d, const struct disk_checked *what)
{
	pthread_mutex_lock(&d->lock);
	d->checked[what->seed % DISK_CHECKED] = *what;
	pthread_mutex_unlock(&d->lock);
}

static void
check_later(struct disk_entry *e)
{
	struct disk *d = e->disk;

	pthread_mutex_lock(&d->lock);
	if (d->checking == NULL && !d->stopping) {
		atomic_fetch_add(&e->refs, 1);
		d->checking = e;
		pthread_cond_broadcast(&d->changed);
	}
	pthread_mutex_unlock(&d->lock);
}

int
disk_whole(struct disk_entry *e)
{
	struct disk *d = e->disk;
	struct disk_checked now;
	int known;

	if (e->sums_fd < 0 || is_small(e) || identify(e, &now) != 0)
		return (-1);
	pthread_mutex_lock(&d->lock);
	known = is_same(&d->checked[now.seed % DISK_CHECKED], &now);
	pthread_mutex_unlock(&d->lock);
	if (known)
		return (e->data_fd);
	if (!has_all(e))
		return (-1);
	if (e->size > DISK_CHECK_AT_ONCE) {
		check_later(e);
		return (-1);
	}
	if (check_chunks(e, 0, e->nchunks) != 0)
		return (-1);
	remember(d, &now);
	return (e->data_fd);
}

/* A step of what check_later() wants; 1: it was the last. */
static int
check_step(struct disk *d, struct disk_entry *e)
{
	int64_t until = d->check_at + CHECK_STEP;

	if (d->check_at == 0 && identify(e, &d->check_as) != 0)
		return (1);
	if (until > e->nchunks)
		until = e->nchunks;
	if (check_chunks(e, d->check_at, until) != 0)
		return (1);
	d->check_at = until;
	if (until < e->nchunks)
		return (0);
	remember(d, &d->check_as);
	return (1);
}

void
disk_check_on(struct disk *d)
{
	struct disk_entry *e = d->checking;
	int over;

	pthread_mutex_unlock(&d->lock);
	over = check_step(d, e);
	pthread_mutex_lock(&d->lock);
	if (over) {
		d->checking = NULL;
		d->check_at = 0;
		disk_close(e);
	}
}
