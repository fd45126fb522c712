#ifndef MOUNT_STAGED_H
#define MOUNT_STAGED_H

/*
 * staged -- what writer.c and names.c share: the staged file of one inode.
 *
 * written counts changes; an upload notes the count before it begins, and is of that
 * generation: what is written meanwhile makes the file dirty again when the upload is
 * over, whichever bytes of it were caught.  A change is counted after its bytes are in
 * the file (the same rule as for single blocks, see stream.h), hence no change can be
 * in the file, missing in the upload, and not counted.  The service never shows a mix
 * for longer than until the next upload, which the writer's own flush, or the last
 * release, makes.
 *
 * Two who write one file here write one staged file, as on any file system, and each
 * one's flush uploads what is there.  Writes do not wait for an upload; what changes
 * the file's length downwards, its name or its existence waits (busy): a truncation
 * cannot cut bytes that a request under way has announced.
 */

#include "mount/stream.h"
#include "mount/writer.h"

/* What its record says (staged_state.c). */
struct staged_record {
	uint32_t	flags, unused;
	int64_t		sent_size;
	char		etag[HTTP_ETAG_MAX];
};

struct staged {
	struct writer	*writer;
	struct inode	*inode;		/* owns this; referenced from here while is_local */
	pthread_mutex_t	 lock;		/* guards what follows */
	pthread_cond_t	 idle;		/* busy ended */
	int		 busy;		/* is uploaded, fetched or renamed, without the lock */
	int		 is_local;
	int		 fd;		/* -1: not open; stays while opens or holds */
	unsigned int	 opens, holds;
	uint64_t	 written, uploaded;	/* generations: dirty if they differ */
	uint64_t	 failed;	/* the generation whose upload failed */
	int		 told;		/* who wrote it knows of that */
	int		 untouched;	/* made or emptied by an open, nothing written since */
	int		 unlinked;
	int		 exclusive;	/* the first upload must find no blob */
	int		 whole;		/* all of it was written here: it replaces any other */
	int		 exists;	/* there is a blob under this name, as far as we know */
	char		 etag[HTTP_ETAG_MAX];	/* that it must have; "": any, or none */
	int		 making;	/* its file is about to be made */
	int		 sending;	/* an upload is, or in an earlier life was, ... */
	int64_t		 sent_size;	/* ... under way, of so many bytes */
	int64_t		 late_size;	/* of what an earlier life sent and may yet arrive; -1 */
	int		 is_noted;
	struct staged_record noted;
	struct err	*why;		/* of the last failure; NULL: none so far */
	struct stream	*stream;	/* its blocks; NULL: it has none, or none are known */
	/* writer.lock */
	struct staged	*prev, *next;	/* all that are local */
	struct staged	*queued;	/* behind.c's: the next one in its queue */
	int		 is_queued;
	int64_t		 kept;		/* bytes, if only kept for a next use; -1: in use */
};

struct writer {
	struct writer_options opt;
	struct state	*state;		/* the tree's */
	int		 staging_fd;
	char		*staging;
	int64_t		 keep_bytes;
	struct streams	*streams;
	struct behind	*behind;	/* NULL: close waits for the upload */
	/* One directory is renamed at a time: it makes many files busy. */
	pthread_mutex_t	 rename_lock;	/* before staged.lock */
	/* Staged directories are where their inodes are; after staged.lock. */
	pthread_rwlock_t places;
	pthread_mutex_t	 lock;		/* guards the rest and the tail of struct staged */
	struct staged	*first, *last;	/* least recently closed first */
	int64_t		 kept_bytes;
	int64_t		 uploads;	/* that succeeded */
	_Atomic int64_t	 dirty;		/* files whose record says so */
};

/* Of this inode; made if there is none yet. */
struct staged *staged_of(struct writer *, struct inode *);
/* With its lock held: wait until nobody else is busy with it. */
void	staged_wait(struct staged *);
/* Lock, wait, be busy, unlock; and the reverse. */
void	staged_begin(struct staged *);
void	staged_end(struct staged *);
/*
 * The rest: lock held.
 */
/* An empty staged file for the inode's path. */
int	staged_make(struct writer *, struct staged *, struct err *);
/*
 * Upload it, busy, with the condition of its lineage.  blob: the name it has, under which
 * tree_props_of() finds what goes out beside the bytes, and blocks were sent already.
 */
int	staged_upload(struct writer *, struct staged *, const char *blob, struct err *);
/* Upload it if it is dirty, under the name it has. */
int	staged_commit(struct writer *, struct staged *, struct err *);
/* Closed: what nobody has open any more is let go, or kept for a next use (1). */
int	staged_rest(struct writer *, struct staged *);
/* Without it: of those kept only so many bytes stay. */
void	staged_trim(struct writer *);
/* So many bytes more fit into the staging directory. */
int	staged_has_room(const struct writer *, int64_t bytes);
/* No longer local: forget it (and remove its file at path, NULL: somebody else did). */
void	staged_drop(struct writer *, struct staged *, const char *path);
int	staged_is_dirty(const struct staged *);
/* It is in the list of those that are local. */
void	staged_list(struct writer *, struct staged *);
/* Its descriptor, opened if it is not. */
int	staged_have_fd(struct writer *, struct staged *, struct err *);

/* ---- what a successor has to know: staged_state.c ---- */

/* What its record says has changed: before what changed it is answered.  Cheap if nothing did. */
void	staged_note(struct writer *, struct staged *);
void	staged_unnote(struct writer *, struct staged *);
/* Around a rename: what is staged moves to this path before the inode does. */
void	staged_begin_move(struct writer *, struct inode *, const char *to);
void	staged_end_move(struct writer *, struct inode *);
/* Its file, at path, loses its name; it stays while it is open. */
void	staged_park(struct writer *, struct staged *, const char *path);
void	staged_parked_path(struct writer *, const struct staged *, char path[INODE_PATH_MAX]);
/* At the end: those that have no name. */
void	staged_forget_parked(struct writer *);
/*
 * An earlier process was sending it (sending): has that succeeded?  Lock held, also over the
 * network: bytes that are written meanwhile would pass for another version.
 * fails  the service does not say; nothing may be sent before it has
 */
int	staged_find_out(struct writer *, struct staged *, struct err *);
/* From the records of an earlier process; before anybody else has the writer. */
void	staged_restore(struct writer *);

#endif
