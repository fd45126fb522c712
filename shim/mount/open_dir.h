#ifndef MOUNT_OPEN_DIR_H
#define MOUNT_OPEN_DIR_H

/*
 * open_dir -- a directory that is being read: its names in an order that stays, also when the
 * process that began is dead (handle.h).  One thread at a time reads one.
 */

#include "mount/handle.h"

struct open_dir {
	struct tree	*tree;
	struct inode	*dir;
	struct state	*state;
	uint32_t	 fh;
	struct tree_names *names;
	int		 fresh;		/* not read from yet */
	uint64_t	 asked;		/* lookups in it when it was opened */
	struct handle_names given;
	uint64_t	*before;	/* hashes that earlier ones gave, by ordinal; or NULL */
	long		*order;		/* places in names, < 0: gone; NULL: as they are */
	size_t		 norder;
};

/* Waits for the first name. */
struct open_dir *open_dir_new(struct state *, struct tree *, struct inode *, struct err *);
/* Give it its number; -1: there is no room. */
int	open_dir_number(struct open_dir *);
/* The one of this number, perhaps opened by an earlier process; NULL: it is not open. */
struct open_dir *open_dir_of(struct state *, struct tree *, uint64_t fh);
/* It and its record. */
void	open_dir_free(struct open_dir *);
/* From its beginning, as it is now. */
int	open_dir_rewind(struct open_dir *, struct err *);
/* What an earlier process gave is put in order; waits for all names then. */
int	open_dir_ready(struct open_dir *, struct err *);
/*
 * Entry at: 1 it is there; OPEN_DIR_GONE it was there; 0 there are no more, or (wait == 0) it
 * has not come yet; -1 failed.
 */
#define OPEN_DIR_GONE	2
int	open_dir_entry(struct open_dir *, size_t at, int wait, struct tree_entry *,
	    struct err *);

#endif
