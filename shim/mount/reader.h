#ifndef MOUNT_READER_H
#define MOUNT_READER_H

/*
 * reader -- file and offset in, pinned bytes out; decides what is fetched ahead.
 *
 * Files up to READER_SMALL are fetched whole by the first read.  In larger ones up
 * to eight streams are told apart: a read that continues one (a little gap forward
 * or back is allowed: the kernel's own readahead arrives out of order) moves it on;
 * one that continues none is random, and fetches exactly its pages.  A stream
 * starts with 1 MiB; each time a reader has to wait for its data the window grows,
 * up to READER_WINDOW_MAX or its share of the pool; a reader that never waits does
 * not make it grow.  The window is kept in flight as GETs of 1 to 8 MiB.
 *
 * The state of the streams lives with the version of the file (blocks_user()), so
 * that all handles share it.
 */

#include "mount/blocks.h"

#define READER_SMALL		(1 << 20)
#define READER_WINDOW_MAX	(128 << 20)
#define READER_STREAMS		8

struct reader_stream {
	int64_t		 position;	/* end of the furthest read */
	int64_t		 ahead;		/* fetched or under way up to here */
	int64_t		 window;	/* 0: one read so far, may be random */
	uint64_t	 used;		/* for finding the least recent; 0: free */
};
/* In each file: blocks_options.user_bytes. */
struct reader_streams {
	struct reader_stream stream[READER_STREAMS];
};

struct reader;
struct reader *reader_new(struct blocks *);	/* borrows blocks until reader_free */
void	reader_free(struct reader *);

/*
 * len bytes at offset, less at the end of the file (none beyond it), valid and
 * pinned until blocks_put().
 *
 * fails    as blocks_wait(); nothing is pinned then
 */
int	reader_read(struct reader *, struct blocks_file *, int64_t offset, size_t len,
	    struct blocks_wait *, struct blocks_span *ret, struct err *);

#endif
