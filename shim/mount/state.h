#ifndef MOUNT_STATE_H
#define MOUNT_STATE_H

/*
 * state -- what a mount process has to know again after it was killed: records in memory that init
 * holds for it (a memfd).
 *
 * The memory outlives the process; its successor maps the same.  It is a table of records, each
 * of a kind and found by a number.  A record is written beside the one that it replaces, then
 * one store of 32 bits puts it in its place: whoever is killed at any instruction leaves the
 * old one or the new one.  What was taken and not put in place is found free by the successor,
 * which knows what is in use from the records alone.  A record carries a sum: what a process that
 * ran wild has written over is refused, not believed.
 *
 * Records are chains of units of 64 bytes, so that a removed one leaves room that fits any other:
 * there is nothing to compact, and the memory in use is what the most records at one time
 * needed (128 bytes for a name that the kernel knows; it counts as memory of the process).
 *
 * Beside its record each number has a word of 32 bits, stored at once and without a lock, and in
 * this process an object (a pointer), found without a lock.
 *
 * Any thread.  Its mutex is innermost.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum state_kind {
	STATE_META,		/* by enum state_meta */
	STATE_NODE,		/* an inode, by its node id: inode_state.c */
	STATE_STAGED,		/* a staged file, by the node id of its inode: staged_state.c */
	STATE_MOVE,		/* a rename under way, by the node id of what moves */
	STATE_HANDLE,		/* an open file or directory, by its fh: handle.h */
	STATE_GIVEN,		/* names that an open directory gave: handle.h */
	STATE_KINDS
};

/* STATE_UPLOADS: its word counts those that succeeded. */
enum state_meta { STATE_INIT_REQUEST, STATE_INIT_REPLY, STATE_UPLOADS, STATE_METAS };

struct state;

/*
 * fd: borrowed; < 0: nobody keeps it, it ends with this process.
 * fails  ERR_SYSTEM: it cannot be mapped, another version of amlshim wrote it, it is damaged
 */
struct state *state_open(int fd, struct err *);
void	state_close(struct state *);
/* 1: a process before this one had begun to serve. */
int	state_is_resumed(const struct state *);

/* A number that nobody has, from 1; of nodes from 2 (1 is the root).  0: all are taken. */
uint32_t state_new_id(struct state *, enum state_kind);
/* The same id may be given again. */
void	state_free_id(struct state *, enum state_kind, uint32_t id);
/* How many are in use. */
uint32_t state_count(struct state *, enum state_kind);
/* All numbers are below this. */
uint32_t state_top(const struct state *, enum state_kind);

/* Replaces the record of that number.  -1: no memory is left, what was there stays. */
int	state_put(struct state *, enum state_kind, uint32_t id, const void *, size_t len);
/* 1: appended to *ret; 0: there is none. */
int	state_get(struct state *, enum state_kind, uint32_t id, struct buf *ret);
/* The record, its word and its object. */
void	state_drop(struct state *, enum state_kind, uint32_t id);

/* NULL: there is no such number. */
_Atomic uint32_t *state_word(struct state *, enum state_kind, uint32_t id);
/* Of nodes and handles. */
void	state_set_object(struct state *, enum state_kind, uint32_t id, void *);
void	*state_object(const struct state *, enum state_kind, uint64_t id);

/* Bytes of records in use. */
int64_t	state_bytes(const struct state *);
/* Bytes of memory that it has taken: what the most records at one time needed. */
int64_t	state_memory(const struct state *);

/* Room of inflight.c, zeroed at first. */
#define STATE_ROOM	((size_t)192 << 20)
void	*state_room(struct state *);

#endif
