#ifndef MOUNT_HANDLE_H
#define MOUNT_HANDLE_H

/*
 * handle -- what is open, as records (state.h), so that the successor of a killed process knows
 * it: files open for writing (HANDLE_DIRECT: past the kernel's pages), files that the kernel
 * reads by itself, directories.
 *
 * A handle's number is what the kernel has as fh.  Its record names the request that opened
 * it: when this one comes again, its answer lost, it gets the same handle.
 *
 * A directory's names have ordinals, which the kernel gives back as offsets.  The successor lists
 * the directory anew, and others may have added and removed names meanwhile.  So that none is
 * missed and none comes twice, a hash of each name that was given is recorded; these keep their
 * ordinals, the others follow.
 */

#include "mount/inode.h"

enum handle_kind { HANDLE_WRITE = 1, HANDLE_BACKED, HANDLE_DIR, HANDLE_DIRECT };

struct handle {
	uint32_t	kind;		/* enum handle_kind */
	uint32_t	node;		/* id of the inode */
	int32_t		backing_id;	/* of HANDLE_BACKED; 0: through us */
	uint32_t	unused;
	uint64_t	unique;		/* of the request that opened it */
};

/* Of the request that this thread has.  object: see state_object().  0: there is no room. */
uint32_t handle_open(struct state *, enum handle_kind, const struct inode *, int backing_id,
	    void *object);
/* The one that this request has opened already, in an earlier process; 0: none. */
uint32_t handle_again(struct state *, struct handle *ret);
/* 1: it is open. */
int	handle_get(struct state *, uint64_t fh, struct handle *ret);
/* It writes no more: what it was must not make the file direct again for a successor. */
void	handle_end_direct(struct state *, uint64_t fh, struct handle *);
/*
 * Its record goes.  The number stays taken until handle_reuse(), after the answer: the same
 * request, come again to a successor, must not close what another one opened meanwhile.
 */
void	handle_close(struct state *, uint64_t fh);
void	handle_reuse(struct state *, uint64_t fh);

/* The names that an open directory gave. */
struct handle_names {
	uint32_t	*ids;		/* of records */
	size_t		 nids;
	size_t		 given;		/* ordinals below this are recorded */
	uint64_t	*pending;	/* hashes of those that the next record will have */
	size_t		 npending, size;
};
uint64_t handle_hash(const char *name);
/* It is in the answer that is being made, as entry at. */
void	handle_names_add(struct handle_names *, size_t at, const char *name);
/* 1: the answer must end here, the next one goes on. */
int	handle_names_full(const struct handle_names *);
/* Before the answer. */
void	handle_names_save(struct handle_names *, struct state *, uint32_t fh);
/* It is read from its beginning again, or closed. */
void	handle_names_drop(struct handle_names *, struct state *);
/* What earlier processes saved: hashes by ordinal, to be freed; NULL: nothing. */
uint64_t *handle_names_restore(struct handle_names *, struct state *, uint32_t fh);

#endif
