#include "depot.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define ALIGN		INT64_C(4096)
#define STRIDE		UINT64_C(40503)		/* odd: neighbouring blocks start elsewhere */

/* Two blocks of xorshift64: every start in the first has a whole block behind it. */
static int
fill_pattern(int fd, struct err *err)
{
	size_t n = 2 * (size_t)DEPOT_BLOCK / sizeof(uint64_t), i;
	uint64_t *words = mem_alloc(n * sizeof(*words)), x = UINT64_C(0x9e3779b97f4a7c15);
	int failed;

	for (i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
	failed = fd_pwrite_all(fd, words, n * sizeof(*words), 0);
	free(words);
	return (failed != 0 ? err_errno(err, "write the pattern", NULL) : 0);
}

int
depot_open(struct depot *d, const char *dir, struct err *err)
{
	d->end = d->bytes = 0;
	d->pattern_fd = memfd_create("azsim-pattern", MFD_CLOEXEC);
	if (d->pattern_fd < 0)
		return (err_errno(err, "create a memory file", NULL));
	if (dir == NULL)
		d->fd = memfd_create("azsim-data", MFD_CLOEXEC);
	else
		d->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (d->fd < 0)
		return (err_errno(err, "create the data file", dir));
	return (fill_pattern(d->pattern_fd, err));
}

struct extent *
extent_new(struct depot *d, int64_t size)
{
	struct extent *x = mem_zalloc(sizeof(*x));

	x->depot = d;
	x->size = size;
	x->refs = 1;
	x->offset = atomic_fetch_add(&d->end, (size + ALIGN - 1) / ALIGN * ALIGN);
	d->bytes += size;
	return (x);
}

struct extent *
extent_hold(struct extent *x)
{
	x->refs++;
	return (x);
}

void
extent_drop(struct extent *x)
{
	if (x == NULL || --x->refs > 0)
		return;
	x->depot->bytes -= x->size;
	if (x->size > 0)
		fallocate(x->depot->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, x->offset,
		    (x->size + ALIGN - 1) / ALIGN * ALIGN);
	free(x);
}

int64_t
depot_pattern_offset(uint64_t seed, int64_t offset, int64_t *ret_run)
{
	uint64_t block = (uint64_t)(offset / DEPOT_BLOCK);
	int64_t within = offset % DEPOT_BLOCK;
	uint64_t start = (seed + block * STRIDE) % (uint64_t)DEPOT_BLOCK;

	*ret_run = DEPOT_BLOCK - within;
	return ((int64_t)start + within);
}
