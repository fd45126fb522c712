#ifndef MOUNT_DISK_PARTS_H
#define MOUNT_DISK_PARTS_H

/*
 * disk_parts -- what disk.c (files, sums, reading) and disk_keep.c (writing, room, the
 * thread) share.  Only they include this.
 */

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "mount/disk.h"

#define DISK_NAME	33		/* of a file, with its NUL */
#define DISK_SUM	".sum"
#define DISK_SUM_NAME	(DISK_NAME + sizeof(DISK_SUM) - 1)
#define DISK_CHECKED	256		/* files that are known to be whole and right */

struct disk_job {
	struct disk_entry *entry;	/* a reference */
	int64_t		 index;
	const void	*data;
	void		*token;
};

struct disk_checked {
	uint64_t	 seed;
	ino_t		 ino;
	struct timespec	 mtime;
};

struct disk {
	struct disk_options opt;
	char		*place;
	int		 dir_fd, state_fd;
	pthread_t	 thread;
	_Atomic int	 nbad;		/* told of */
	_Atomic int	 told_full;
	_Atomic int64_t	 hits, damaged;
	_Atomic unsigned int nfds;	/* of entries */
	unsigned int	 fds_max;
	/* Guards the rest; innermost. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct disk_job	*queue;		/* ring */
	unsigned int	 head, n, size;
	int		 busy, stopping;
	struct disk_entry *checking;	/* a reference: to be checked as a whole; NULL: none */
	struct disk_checked	 checked[DISK_CHECKED];
	struct disk_counts counts;
	/* The thread's own. */
	int64_t		 used, pause_until_ms;
	int64_t		 check_at;		/* next chunk of checking */
	struct disk_checked	 check_as;		/* what it was at the first */
};

struct disk_entry {
	struct disk	*disk;
	char		 name[DISK_NAME];
	uint64_t	 seed;
	int64_t		 size, nchunks;
	_Atomic unsigned int refs;
	/* Set once, data_fd first; the same for a small file. */
	_Atomic int	 data_fd, sums_fd;
};

/* NAME.sum */
void	disk_sum_name(char out[DISK_SUM_NAME], const char *name);
void	disk_note(struct disk *, int is_bad, const char *text);
size_t	disk_chunk_len(const struct disk_entry *, int64_t index);
/* Where the chunk's sum stands in sums_fd, and what it is for these bytes: never 0. */
int64_t	disk_sum_at(const struct disk_entry *, int64_t index);
uint64_t disk_sum(const struct disk_entry *, int64_t index, const void *data);
/*
 * create: on the thread, .state locked.  Sums of other data are none.  -1 also when too many
 * are open: a file that is not used from here or kept here is read from the service.
 */
int	disk_open_files(struct disk_entry *, int create);
/* A step of checking d->checking; lock held, given up meanwhile. */
void	disk_check_on(struct disk *);

#endif
