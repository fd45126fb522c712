#ifndef MOUNT_BLOCKS_H
#define MOUNT_BLOCKS_H

/*
 * blocks -- bytes of remote files in a bounded pool, fetched once for all readers.
 *
 * The seam between the readers, who block, and the network, which calls back:
 * pages are wanted here and arrive here.  The pool is one mapping cut into chunks
 * of 64 pages; two bits a page say "valid" and "under way", so that a random read
 * fetches exactly its pages and readers of the same bytes share one fetch.  What a
 * reader got is pinned until blocks_put(); it may be sent from where it is.
 *
 * A struct blocks_file is one version (ETag) of one blob: each range is asked for
 * with If-Match, and once the service says that the blob changed every read of it
 * fails with ERR_CHANGED.  Bytes of two versions never meet.
 *
 * Room: least recently used chunks go first, those that were read before those
 * that were fetched ahead and not read yet.  Reading ahead never takes from data
 * that is still to be read; a reader takes what is there, and waits when all is
 * pinned or under way.  No function here allocates once a file is open.
 *
 * With a disk cache (disk.h), a chunk of which nothing is here is looked for there first,
 * by the thread that wants it; one that became complete is offered to it.
 *
 * One mutex guards all of it; network, disk and memcpy happen outside of it.  Not here:
 * what to fetch ahead (reader.h).
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "azure/store.h"
#include "base/err.h"
#include "mount/disk.h"

#define BLOCKS_PAGE		4096
#define BLOCKS_CHUNK		(64 * BLOCKS_PAGE)
#define BLOCKS_READ_MAX		(1 << 20)	/* what one blocks_start() may ask for */
#define BLOCKS_FETCH_MAX	(8 << 20)	/* one GET */
#define BLOCKS_SPAN_MAX		(BLOCKS_READ_MAX / BLOCKS_CHUNK + 1)
#define BLOCKS_MEMORY_MIN	(16 << 20)	/* less is made this */

struct blocks;
struct blocks_file;
struct chunk;

struct blocks_options {
	struct store	*store;			/* borrowed */
	struct disk	*disk;			/* borrowed; NULL: none.  Its kept is blocks_kept */
	int64_t		 memory_bytes;
	int64_t		 timeout_ms;		/* of one fetch; 0: 5 minutes */
	size_t		 user_bytes;		/* for the caller, in each file, zeroed */
};

struct blocks *blocks_new(const struct blocks_options *, struct err *);
/* Waits for what is under way.  Every file must be closed. */
void	blocks_free(struct blocks *);
/* Bytes of the pool, without those that are lent. */
int64_t	blocks_memory(const struct blocks *);
/*
 * So many bytes of the pool are needed elsewhere, but for BLOCKS_MEMORY_MIN of it.  Called now
 * and then: each time some of it goes, or comes back.
 */
void	blocks_lend(struct blocks *, int64_t bytes);

/*
 * The file with this key, opened once more, or NULL: not known.  A file is known
 * as long as it is open or any of its data is here.
 */
struct blocks_file *blocks_find(struct blocks *, uint64_t key);
/* The same; made if not known.  name and etag are copied.  A key never gets a second version. */
struct blocks_file *blocks_open(struct blocks *, uint64_t key, const char *name,
	    const char *etag, int64_t size);
void	blocks_close(struct blocks *, struct blocks_file *);
int64_t	blocks_size(const struct blocks_file *);
/* 1: the disk cache may keep it. */
int	blocks_keeps(const struct blocks_file *);
/* As disk_whole(); valid until the file is closed. */
int	blocks_whole(struct blocks_file *);
/* disk_options.kept, with any arg. */
void	blocks_kept(void *arg, void *token, int is_kept);
void	*blocks_user(struct blocks_file *);
/* Nobody will read what is here of this key: it goes first. */
void	blocks_forget(struct blocks *, uint64_t key);

/* One waiting thread. */
struct blocks_wait {
	pthread_cond_t	 cond;
	int64_t		 deadline_ms;		/* clock_ms() */
	int		 interrupted;
	uint64_t	 need;			/* pages of the chunk that it waits for; 0: room */
	struct blocks_wait *next;
};
void	blocks_wait_init(struct blocks_wait *, int64_t deadline_ms);
void	blocks_wait_done(struct blocks_wait *);
/* End the wait with EINTR, now or when it starts; what is under way goes on.  Any thread. */
void	blocks_interrupt(struct blocks *, struct blocks_wait *);

/* Pinned bytes of a file: iov[0..n). */
struct blocks_span {
	struct blocks_file *file;
	int64_t		 offset;
	size_t		 len;
	unsigned int	 n;
	int		 fetched;
	struct chunk	*chunks[BLOCKS_SPAN_MAX];
	struct iovec	 iov[BLOCKS_SPAN_MAX];
};

/*
 * Pin [offset, offset + len), at most BLOCKS_READ_MAX and within the file, and see
 * to it that it is valid or under way.  A fetch that is needed is stretched to
 * [from, until) as far as pages are missing and there is room for them.
 * *ret_missing: 0 all is there; else some has still to come (blocks_wait() before
 * reading it): 1 it was under way already, 2 not all of it.
 *
 * waits    for room only
 * fails    as blocks_wait(); nothing is pinned then
 */
struct blocks_range {
	int64_t	offset;
	size_t	len;
	int64_t	from, until;
};
int	blocks_start(struct blocks *, struct blocks_file *, const struct blocks_range *,
	    struct blocks_wait *, struct blocks_span *, int *ret_missing, struct err *);
/*
 * Wait until all of the span is valid.
 * fails    with what the service said (ERR_CHANGED: for ever), sys_errno EINTR
 *          (interrupted) or ETIMEDOUT (the deadline); the span stays pinned
 */
int	blocks_wait(struct blocks *, const struct blocks_span *, struct blocks_wait *,
	    struct err *);
/* Let go; what the span covers counts as read. */
void	blocks_put(struct blocks *, struct blocks_span *);

/*
 * Fetch what is missing in [from, until) ahead, in GETs of at most step bytes, as
 * far as there is room.  Never waits.  Returns how far the file is valid or under
 * way from from on, at most until.
 */
int64_t	blocks_ahead(struct blocks *, struct blocks_file *, int64_t from, int64_t until,
	    size_t step);

/* For tests and debug lines. */
struct blocks_counts {
	int64_t	fetches, fetched_bytes;	/* asked of the store */
	int64_t	evicted;		/* chunks */
	int64_t	chunks, idle_chunks;	/* of the pool; unpinned and with data */
};
void	blocks_counts(struct blocks *, struct blocks_counts *ret);

#endif
