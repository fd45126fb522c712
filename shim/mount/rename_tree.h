#ifndef MOUNT_RENAME_TREE_H
#define MOUNT_RENAME_TREE_H

/*
 * rename_tree -- a directory under another name: one request where the account has
 * directories, else blob by blob.  Only names.c includes this.
 */

#include "mount/staged.h"

struct rename_tree {
	/* Filled by the caller. */
	struct inode	*dir;
	const char	*from, *to;	/* blob names, without '/' at the end */
	int		 no_replace;
	/* Our own. */
	struct writer	*writer;
	struct moved	*moved;		/* by name */
	size_t		 n, size;
	struct staged	**staged;
	size_t		 nstaged;
	int		 at_once;	/* the service did it: ETags stayed */
};

/*
 * Rename from to to over there, or copy everything below it, then delete the old ones; the
 * staged files below dir stay busy until the end.  A failure to copy can leave both.
 * failed: do nothing of it, say the same.
 */
int	rename_tree_begin(struct writer *, struct rename_tree *, int failed, struct err *);
/* After the inode was moved (or not: failed): what is known below it learns its new ETags. */
void	rename_tree_end(struct writer *, struct rename_tree *, int failed);

#endif
