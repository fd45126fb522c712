#ifndef MOUNT_OPS_H
#define MOUNT_OPS_H

/*
 * ops -- the FUSE operations, one function an operation, linear and blocking.
 *
 * A node's id is that of its inode's record (state.h), fh that of what is open (handle.h): both
 * mean the same to every process that serves the mount.
 * Only session.c includes this.
 */

#define FUSE_USE_VERSION 317
#include <fuse_lowlevel.h>

#include "mount/backing.h"
#include "mount/filler.h"
#include "mount/handle.h"
#include "mount/inflight.h"
#include "mount/inode.h"
#include "mount/notify.h"
#include "mount/reader.h"
#include "mount/report.h"
#include "mount/writer.h"

struct ops {			/* the session's user data */
	struct tree	*tree;
	struct state	*state;
	struct inflight	*inflight;
	struct blocks	*blocks;
	struct reader	*reader;
	struct writer	*writer;	/* NULL: read-only */
	struct report	*report;
	struct filler	*filler;	/* NULL: none */
	struct disk	*disk;		/* NULL: none */
	struct backing	*backing;	/* NULL: all reads come to us */
	_Atomic int	 backing_works;	/* 0: not tried yet; -1: it does not */
	int64_t		 timeout_ms;	/* of one request */
	_Atomic int	 no_open;	/* the kernel need not ask to open files */
	_Atomic int	 direct;	/* it can map what is written past its pages */
	void		(*ready)(void *arg);	/* INIT is answered */
	void		*ready_arg;
	struct notifier	*names, *pages;	/* of what the kernel is to forget */
};

extern const struct fuse_lowlevel_ops ops_read_only, ops_writable;



#endif
