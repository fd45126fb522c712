#ifndef MOUNT_DISK_H
#define MOUNT_DISK_H

/*
 * disk -- bytes of remote files on a local disk, for all mounts of a run and for later runs.
 *
 * In one directory (0700) a version of a blob is one sparse file, its bytes where they
 * are in the blob, so that the kernel can serve a whole one by itself (passthrough).  Its
 * name is a SHA-256 of place, blob name and ETag: no customer's name is on the disk, and
 * another version is another file.  Unit is the chunk of 256 KiB; for each there is a
 * 64-bit sum (XXH64, seeded with file and index: Cyan4973/xxHash doc/xxhash_spec.md), 0:
 * not here.  Sums stand in NAME.sum, for files up to 1 MiB behind the data.  A chunk is
 * read, and given to nobody before its sum was found right: torn writes of a crash and rot
 * cost one fetch.  Data is written before its sum; nothing is ever synced.
 *
 * Between processes: who uses a file holds flock(SH) on it (a passthrough file's is held by
 * the kernel), who evicts it takes EX without waiting and unlinks; who finds that it locked
 * an unlinked file has none.  All writing is done under flock(EX) of ".state", which holds
 * the number of bytes in use: the bound is one for all.  It counts more rather than less,
 * and is counted anew when a process starts and at each eviction, so that no crash makes it
 * wrong for long.  Least recently opened files go first.
 *
 * Why not one file a chunk: no passthrough, and a hundred times the inodes.  Why no index
 * in memory or on disk: the directory is one, and a crash cannot make it disagree.
 *
 * One thread writes, from a bounded queue; what finds it full is not kept.  A disk that is
 * full or fails keeps nothing, and fails no read.  Files take half of the descriptors that
 * the process may have (RLIMIT_NOFILE when it begins) at most: beyond, none is opened.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DISK_CHUNK		(256 * 1024)
#define DISK_SMALL		(1 << 20)	/* sums stand behind the data; no passthrough */
#define DISK_CHECK_AT_ONCE	(64 << 20)	/* a whole file is checked by disk_whole itself */
#define DISK_SIZE_MAX		(INT64_C(1) << 53)	/* offsets in it have room */
#define DISK_QUEUE		128		/* chunks on their way to the disk */

struct disk;
struct disk_entry;

struct disk_options {
	const char	*dir;			/* made if missing; must be ours alone */
	int64_t		 bytes;			/* bound */
	int64_t		 reserve_bytes;		/* free space that stays; < 0: 150 MB */
	const char	*place;			/* account and container: a part of each key */
	unsigned int	 queue;			/* chunks; 0: DISK_QUEUE */
	/* What a person should know; is_bad: something is broken.  From any thread. */
	void		(*note)(void *arg, int is_bad, const char *text);
	/* What disk_keep() took is not needed any more: it is on the disk, or will not be. */
	void		(*kept)(void *arg, void *token, int is_kept);
	void		*arg;
};

/* Starts the thread.  fails  the directory cannot be used, or belongs to somebody else */
struct disk *disk_new(const struct disk_options *, struct err *);
/* Waits until nothing is queued, at most so long; what is left then is not kept. */
void	disk_drain(struct disk *, int64_t ms);
/* After disk_drain(), and when all entries are closed. */
void	disk_free(struct disk *);

/* Never NULL.  A file without an ETag, empty, or beyond DISK_SIZE_MAX is never kept. */
struct disk_entry *disk_open(struct disk *, const char *name, const char *etag, int64_t size);
void	disk_close(struct disk_entry *);
/* 1: the chunk is there (its sum is not checked yet). */
int	disk_has(const struct disk_entry *, int64_t index);
/* 0: memory has all of the chunk; -1: it does not. */
int	disk_read(struct disk_entry *, int64_t index, void *memory);
/*
 * Have it kept.  0: data must stay until kept(token); -1: it is not going to be.
 * Never waits.
 */
int	disk_keep(struct disk_entry *, int64_t index, const void *data, void *token);
/*
 * The descriptor of a file that is whole, and was checked since it was last written; valid
 * until disk_close().  -1: it is not (or is to be checked first: ask again).
 */
int	disk_whole(struct disk_entry *);
/* 1: the directory is on an overlayfs. */
int	disk_is_stacked(const struct disk *);
/* A descriptor of an empty file in the directory, without a name; -1. */
int	disk_probe_fd(const struct disk *);

struct disk_counts {
	int64_t	hits, kept, dropped, damaged, evicted;	/* chunks, evicted: files */
};
void	disk_counts(struct disk *, struct disk_counts *ret);

#endif
