#ifndef MOUNT_FILLER_H
#define MOUNT_FILLER_H

/*
 * filler -- the small files of a directory that is being read one by one, put into
 * the kernel's page cache before the job asks for them.
 *
 * A job that opens thousands of small files waits a round trip for each.  Once
 * some of a directory were read in short time, the others are fetched many at a
 * time, from the one read last on and around, and pushed (FUSE_NOTIFY_STORE): what
 * the job then reads never reaches us.  How far it goes depends on what is seen:
 * a few hundred files at first, and twice as many each time the job still comes
 * upon one that was not there.  Never more than a part of the memory that is free;
 * the kernel drops these pages like any other.
 *
 * Read-only mounts only.  One thread; it takes only room that reading ahead may
 * take (blocks.h).
 */

#include "mount/inode.h"
#include "mount/reader.h"

struct filler_options {
	struct tree	*tree;		/* these are borrowed */
	struct blocks	*blocks;
	/* Into the kernel's cache of this file; non-zero: it does not know the file. */
	int		(*push)(void *arg, struct inode *, int64_t offset, const struct iovec *);
	void		*arg;
	int64_t		 budget_bytes;	/* 0: a quarter of the free memory */
};

struct filler;
struct filler *filler_new(const struct filler_options *, struct err *);
/* The job read from this file, and the kernel had to ask us. */
void	filler_saw(struct filler *, struct inode *);
/* Ends the thread. */
void	filler_free(struct filler *);

#endif
