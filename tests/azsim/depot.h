#ifndef AZSIM_DEPOT_H
#define AZSIM_DEPOT_H

/*
 * depot -- where the simulator keeps the bytes of blobs: one sparse file.
 *
 * The file is a memfd, or an unlinked file in a directory.  An extent is a
 * page-aligned piece of it, written once, shared by reference count, and
 * punched out of the file when the last one lets go.  A second descriptor
 * holds the pattern that synthetic blobs are cut from, so that their bytes
 * can be sent with sendfile(2) like any others.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct depot {
	int	 fd, pattern_fd;
	_Atomic int64_t end;
	_Atomic int64_t bytes;		/* in extents that are alive */
};

struct extent {
	struct depot *depot;
	int64_t	 offset, size;
	_Atomic int refs;
};

/* dir NULL: memory. */
int	depot_open(struct depot *, const char *dir, struct err *);
/* Room for size bytes; refs is 1. */
struct extent *extent_new(struct depot *, int64_t size);
struct extent *extent_hold(struct extent *);
void	extent_drop(struct extent *);	/* NULL is fine */

/*
 * Synthetic bytes: the byte at offset is that of the pattern at
 * depot_pattern_offset(seed, offset); at least *ret_run bytes follow in a row.
 */
#define DEPOT_BLOCK	(INT64_C(1) << 20)
int64_t	depot_pattern_offset(uint64_t seed, int64_t offset, int64_t *ret_run);

#endif
