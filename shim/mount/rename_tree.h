#ifndef MOUNT_RENAME_TREE_H
#define MOUNT_RENAME_TREE_H

/*
 * rename_tree -- a directory under another name, blob by blob: the service has no
 * such operation on flat accounts.  Only names.c includes this.
 */

#include "mount/staged.h"

struct rename_tree {
	/* Filled by the caller. */
	struct inode	*dir;
	const char	*from, *to;	/* blob names, without '/' at the end */
	/* Our own. */
	struct writer	*writer;
	struct moved	*moved;		/* by name */
	size_t		 n, size;
	struct staged	**staged;
	size_t		 nstaged;
};

/*
 * Copy everything over there below from to to, then delete the old ones; the
 * staged files below dir stay busy until the end.  A failure can leave both.
 */
int	rename_tree_begin(struct writer *, struct rename_tree *, struct err *);
/* After the inode was moved (or not: failed): what is known below it learns its new ETags. */
void	rename_tree_end(struct writer *, struct rename_tree *, int failed);

#endif
