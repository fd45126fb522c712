#ifndef MOUNT_CHUNKS_H
#define MOUNT_CHUNKS_H

/*
 * chunks -- the memory of blocks: one mapping cut into chunks of 64 pages, found by
 * owner and index, reused when nobody has them pinned.
 *
 * Only blocks.c includes this; its mutex guards all of it but a chunk's bytes.
 * Which chunk is reused: the least recently used of those that were read, if they
 * are more than a few (the kernel has their bytes, and their memory is in the
 * processor's caches), else a free one, else what was read, else what was
 * fetched ahead and not read.  For reading ahead an eighth stays, and what is
 * unread is taken only when it is old: its reader has ended.
 *
 * Chunks can be lent to who needs memory for something else: theirs goes back to the kernel.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mount/blocks.h"

#define CHUNK_PAGES	(BLOCKS_CHUNK / BLOCKS_PAGE)	/* one bit each */

struct chunk_owner {
	uint64_t	 key;
	size_t		 nchunks;
};

struct chunk {
	struct chunk	*next_hash;
	struct chunk	*prev, *next;		/* in list */
	struct chunk_list *list;		/* that it is in; NULL: pinned, or being taken */
	struct chunk_owner *owner;		/* NULL: free */
	int64_t		 index;			/* offset / BLOCKS_CHUNK */
	uint64_t	 valid, pending;	/* pages; never both */
	uint64_t	 unread;		/* fetched ahead, not read yet */
	unsigned int	 pins;			/* spans, fetches, the disk cache */
	int		 on_disk;		/* it is in the disk cache, or was offered to it */
	int64_t		 touched_ms;
	struct blocks_wait *waiters;
	char		*memory;
};

struct chunk_list {		/* oldest first */
	struct chunk	*head, *tail;
	size_t		 n;
};

struct chunks {
	char		*memory;
	struct chunk	*all;
	size_t		 n;
	struct chunk	**hash;
	size_t		 hash_mask;
	struct chunk_list free, read, unread, lent;
	int64_t		 evicted;
	/* An owner has no chunk any more. */
	void		(*left)(void *arg, struct chunk_owner *);
	void		*arg;
};

int	chunks_init(struct chunks *, int64_t bytes, struct err *);
/* All must be unpinned. */
void	chunks_done(struct chunks *);

static inline uint64_t
chunk_bit(int64_t page)
{
	return (UINT64_C(1) << (page % CHUNK_PAGES));
}

static inline int
chunk_is_missing(const struct chunk *c, int64_t page)
{
	return (((c->valid | c->pending) & chunk_bit(page)) == 0);
}

/* Those that are not lent. */
static inline size_t
chunks_usable(const struct chunks *cs)
{
	return (cs->n - cs->lent.n);
}

struct chunk *chunks_find(const struct chunks *, const struct chunk_owner *, int64_t index);
/* Made if it is not there; NULL: no room (ahead: for reading ahead).  It may be in a list. */
struct chunk *chunks_get(struct chunks *, struct chunk_owner *, int64_t index, int ahead);
/* How many could be had for a reader now. */
size_t	chunks_room(const struct chunks *);
/* Towards so many lent, by at most so many; those in use stay. */
void	chunks_lend(struct chunks *, size_t want, size_t most);
void	chunks_pin(struct chunk *);
/* 1: nobody has it pinned any more. */
int	chunks_unpin(struct chunks *, struct chunk *);
/* What is here of it counts as read. */
void	chunks_forget(struct chunks *, const struct chunk_owner *);

#endif
