#ifndef MOUNT_WRITER_H
#define MOUNT_WRITER_H

/*
 * writer -- files that the job writes: staged here, uploaded when they are closed.
 *
 * A file of a writable mount is remote, or staged: a file of its own under
 * STAGING/relative/path.  Opening one for writing stages it (whole, with If-Match;
 * empty with O_TRUNC or when created); reads and writes then go to the staged
 * file.  A large one is sent block by block while it is written (stream.h).  close
 * (writer_close) and fsync (writer_flush) upload what was written since the last
 * upload, and the caller gets the error; one upload of a file at a time, a second
 * one without changes costs nothing.  What could not be uploaded stays staged and is
 * tried again at the next flush and at the end.
 *
 * A shell's redirection closes a new file before anything is in it (dup2 and close):
 * what an open made or emptied is not uploaded at a close, but when it was written,
 * at an fsync, or when nobody has it open any more.  One that was created with
 * O_EXCL is, since who closes it wants to know whether it is his.
 *
 * With write_behind close does not wait: when nobody has a file open any more it is
 * queued, and uploaded by threads of its own (behind.c).  fsync still waits; an error
 * is told to the next close or fsync of the file, to failed(), and at the end.
 *
 * Uploads follow a lineage: a file whose bytes were fetched, or uploaded by us
 * before, is replaced only if it still has that ETag; O_EXCL only if there is
 * none; what is created otherwise, or truncated to nothing, replaces whatever is
 * there until it is closed: of two who write a whole file the last wins, as on
 * any file system.
 *
 * What is written to a new file that nobody reads meanwhile need not be copied to the kernel's
 * pages: they are the larger part of what a write costs the job, and as much memory as the file.
 * Such a file is direct (FOPEN_DIRECT_IO) from its making until it is closed.  The kernel does
 * not keep its pages in step with such writes, so whoever opens it meanwhile gets it direct as
 * well; the pages of who maps it are dropped after each write, before that is answered.  See
 * docs/decisions/024-direct-writes.md for what that means to whom.
 *
 * Staged files that are uploaded and closed are kept for a next use, up to a
 * bound; then they are removed and the file is remote again.
 *
 * Locks, in this order: staged.lock (one a file: guards its state, not held over
 * the network nor over reads and writes), writer.lock (the list of staged files),
 * tree.lock.  names.h changes names; both are one module in two files.
 */

#include <stdint.h>
#include <sys/statvfs.h>

#include "azure/store.h"
#include "mount/inode.h"
#include "mount/reader.h"

struct writer;

struct writer_options {
	struct tree	*tree;		/* these are borrowed */
	struct blocks	*blocks;
	struct reader	*reader;
	struct store	*store;
	const char	*staging;	/* made, 0700, if missing */
	int		 access;	/* the service keeps modes and owners: access.h */
	int64_t		 keep_bytes;	/* of uploaded files; < 0: by the space there is */
	int		 write_behind;
	/* write_behind: an upload that nobody waits for failed. */
	void		(*failed)(void *arg, const struct err *);
	void		*arg;
};

struct writer *writer_new(const struct writer_options *, struct err *);
/* No file may be open; before tree_free.  Staged files stay where they are. */
void	writer_free(struct writer *);
/* For tree_options. */
void	writer_drop_staged(void *arg);

/*
 * For writing; pairs with writer_release; any number of times.
 * fails    ESTALE when the service has another version, ENOSPC, as the service says
 */
int	writer_open(struct writer *, struct inode *, int truncate, struct err *);
/* The last one uploads what no flush did. */
int	writer_release(struct writer *, struct inode *, struct err *);
/* 1: it is direct. */
int	writer_is_direct(struct writer *, struct inode *);
/* The same; it is being opened by one who could map it. */
int	writer_watch(struct writer *, struct inode *);
/* These bytes were written, or some of them.  1: the kernel may have older pages, and is told. */
int	writer_drop_pages(struct writer *, struct inode *, int64_t offset, int64_t len);
int	writer_write(struct writer *, struct inode *, const void *, size_t, int64_t offset,
	    struct err *);
/* Of one descriptor; others may have it open. */
int	writer_close(struct writer *, struct inode *, struct err *);
/* What was written is in the store when this returns 0. */
int	writer_flush(struct writer *, struct inode *, struct err *);
/* As fallocate(2), of the staged file; EOPNOTSUPP where its file system cannot. */
int	writer_allocate(struct writer *, struct inode *, int mode, int64_t offset, int64_t len,
	    struct err *);
/* When nobody has it open for writing the change is uploaded at once. */
int	writer_truncate(struct writer *, struct inode *, int64_t size, struct err *);

/* 1: staged, *ret_fd may be read until writer_unhold; 0: remote; -1: failed. */
int	writer_hold(struct writer *, struct inode *, int *ret_fd, struct err *);
void	writer_unhold(struct writer *, struct inode *);

/*
 * An inode that is staged, uploaded and not open, while the service has another
 * version: drop what is staged, mark it changed.  1: done, the caller says ESTALE.
 */
int	writer_drop_stale(struct writer *, struct inode *);

/* Files that are written and not yet in the store. */
int64_t	writer_dirty(struct writer *);
/* Its mutex is to be had. */
void	writer_touch(struct writer *);
int	writer_statfs(struct writer *, struct statvfs *, struct err *);

/*
 * The end: upload what is left, many files at a time, and the directories that
 * were made here and are empty, until the deadline.  lost() is told of each that
 * failed: err->resource is its staged path, which stays.  The others are removed.
 */
struct writer_end {
	int64_t	files;		/* uploads that succeeded, from the start */
	int64_t	failed;
};
void	writer_finish(struct writer *, int64_t deadline_ms,
	    void (*lost)(void *arg, const struct err *), void *arg, struct writer_end *ret);

#endif
