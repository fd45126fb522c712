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
 * Of reads that continue no stream some are told apart.  Two equal distances one after the
 * other: the next in the row are fetched, more each time (a negative one of the reads'
 * length is a file read backwards: its windows are single GETs).  In the last 64 KiB: all of
 * those, an index of Parquet or zip.  The second within 64 KiB of another: the 64 KiB around
 * it.  Once such reads brought half of a file that the memory has room for four times, or
 * that the disk cache may keep (up to 1 GiB), the rest follows in the background.
 *
 * The state of the streams lives with the version of the file (blocks_user()), so
 * that all handles share it.
 */

#include "mount/blocks.h"

#define READER_SMALL		(1 << 20)
#define READER_WINDOW_MAX	(128 << 20)
#define READER_STREAMS		8
#define READER_TAIL		(64 << 10)
#define READER_PROMOTE_MAX	(1 << 30)

struct reader_stream {
	int64_t		 position;	/* end of the furthest read */
	int64_t		 ahead;		/* fetched or under way up to here */
	int64_t		 window;	/* 0: one read so far, may be random */
	unsigned int	 near;		/* random reads around it */
	uint64_t	 used;		/* for finding the least recent; 0: free */
};
/* Random reads in a row. */
struct reader_row {
	int64_t		 last, stride;	/* offset of the last read; from the one before it */
	unsigned int	 repeats;	/* of the same stride */
	unsigned int	 ahead;		/* so many after the last are fetched or under way */
	int64_t		 bytes;		/* that random reads fetched */
	int64_t		 promoted;	/* the file is being fetched up to here; 0: it is not */
};
/* In each file: blocks_options.user_bytes. */
struct reader_streams {
	struct reader_stream stream[READER_STREAMS];
	struct reader_row row;
};

struct reader;
struct reader *reader_new(struct blocks *);	/* borrows blocks until reader_free */
/* No stream is read further ahead than this; 0: the default.  Before the first read. */
void	reader_bound(struct reader *, int64_t bytes);
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
