#ifndef MOUNT_POOL_H
#define MOUNT_POOL_H

/*
 * pool -- threads that copy many files, and several pieces of a large one at once.
 *
 * One thread adds items as it learns of them (pool_add waits while there are many, so
 * that millions need little memory), lanes take them.  Wide lanes have a buffer for a
 * whole piece and prefer what is large, narrow ones take only items that are told to be
 * small: so the connections are busy with both kinds at all times, and a large file that is found
 * last still has all wide lanes to itself.  Narrow lanes join after a second: a short copy
 * would pay more for their connections than they bring.
 *
 * Of an item: open, then each of its pieces (from any lane, in any order, those marked
 * there are left out), then close, then settled.  A failure anywhere leads to failed(), once
 * nobody is at the item any more.  Callbacks run on the lanes' threads without the lock.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The first member of the owner's own struct. */
struct pool_item {
	size_t		 pieces;	/* at least 1; may be set until open() returned */
	int		 is_small;	/* a single piece that fits a narrow lane */
	unsigned char	*there;		/* [pieces], freed by the pool; NULL: none is there */
	/* The pool's own, by its lock. */
	struct pool_item *next;		/* of its queue */
	struct pool_item *left_next, **left_link;	/* of those not settled */
	size_t		 next_piece, at_work;
	struct err	*err;		/* the first failure; NULL: none */
};

struct pool_lane {
	int	 is_narrow;
	void	*buf;			/* pool_options.wide_bytes or narrow_bytes; may be NULL */
	char	 folder[4096];		/* the owner's: of the item before; "" at first */
};

struct pool_ops {
	int	(*open)(void *arg, struct pool_item *, struct pool_lane *, struct err *);
	int	(*piece)(void *arg, struct pool_item *, size_t index, struct pool_lane *,
		    struct err *);
	int	(*close)(void *arg, struct pool_item *, struct err *);
	/* 1: it begins anew, as it is now; 0: it is over. */
	int	(*failed)(void *arg, struct pool_item *, struct err *);
	/* The end of it: err NULL: it was copied.  Frees it.  Not told of those taken out. */
	void	(*settled)(void *arg, struct pool_item *, const struct err *);
};

struct pool_options {
	const struct pool_ops *ops;
	void		*arg;
	size_t		 wide, narrow;	/* lanes */
	size_t		 wide_bytes, narrow_bytes;	/* buffers; 0: none */
};

struct pool {
	struct pool_options opt;
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 work[2];	/* for wide lanes, for narrow ones */
	pthread_cond_t	 room, ended;
	struct pool_item *large, **large_end, *small, **small_end;	/* not begun */
	struct pool_item *open;		/* with pieces to hand out */
	struct pool_item *left;		/* all that are not settled */
	size_t		 waiting[2];
	size_t		 queued, at_work, settling, running;
	int		 is_complete;	/* nothing is added any more */
	int		 is_stopping;
};

/* fails: ERR_SYSTEM (no thread can be started) */
int	pool_start(struct pool *, const struct pool_options *, struct err *);
/* -1: it is stopping, the item is not taken. */
int	pool_add(struct pool *, struct pool_item *);
/* All were added, or no more will be; once. */
void	pool_complete(struct pool *);
/* Nothing more is begun. */
void	pool_stop(struct pool *);
/* Wait for the lanes to end, and for pool_complete, at most so long.  1: they have. */
int	pool_wait(struct pool *, int wait_ms);
/* Wait for pool_complete alone, at most so long. */
void	pool_wait_added(struct pool *, int wait_ms);
/*
 * Take the items that are not settled out, one after the other; NULL: none is left, and
 * all others have been told of.  A lane may still be at it: read it, and leave it.
 */
struct pool_item *pool_take_left(struct pool *);

#endif
