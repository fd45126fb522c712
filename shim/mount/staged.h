#ifndef MOUNT_STAGED_H
#define MOUNT_STAGED_H

/*
 * staged -- what writer.c and names.c share: the staged file of one inode.
 */

#include "mount/writer.h"

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
	int		 unlinked;
	int		 exclusive;	/* the first upload must find no blob */
	int		 whole;		/* all of it was written here: it replaces any other */
	int		 exists;	/* there is a blob under this name, as far as we know */
	char		 etag[HTTP_ETAG_MAX];	/* that it must have; "": any, or none */
	struct err	 why;		/* of the last failure */
	/* writer.lock */
	struct staged	*prev, *next;	/* all that are local */
	int64_t		 kept;		/* bytes, if only kept for a next use; -1: in use */
};

struct writer {
	struct writer_options opt;
	int		 staging_fd;
	char		*staging;
	int64_t		 keep_bytes;
	/* One directory is renamed at a time: it makes many files busy. */
	pthread_mutex_t	 rename_lock;	/* before staged.lock */
	pthread_mutex_t	 lock;		/* guards the rest and the tail of struct staged */
	struct staged	*first, *last;	/* least recently closed first */
	int64_t		 kept_bytes;
	int64_t		 uploads;	/* that succeeded */
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
/* Upload it, busy, under this name. */
int	staged_upload(struct writer *, struct staged *, const char *blob, const char *if_match,
	    struct err *);
/* No longer local: forget it (and remove its file at path, NULL: somebody else did). */
void	staged_drop(struct writer *, struct staged *, const char *path);
int	staged_is_dirty(const struct staged *);

#endif
