#ifndef MOUNT_LISTING_H
#define MOUNT_LISTING_H

/*
 * listing -- what listing.c and lookup.c share: names from the service into the tree.
 *
 * All with the tree's mutex held; those that ask the service give it up meanwhile.
 */

#include "mount/inode.h"

/*
 * What the service says of one name.  The inode of it: the one that is there, if
 * that is still true, else a new one in its place.
 */
struct inode *listing_merge(struct tree *, struct inode *parent, const char *name,
	    const struct store_attr *, int64_t now_ms);
/* Out of the tree; the kernel is told. */
void	listing_replace(struct tree *, struct inode *);
/* The names of a directory begin with this: "", or ending in '/'. */
int	listing_prefix(struct tree *, const struct inode *dir, char buf[INODE_PATH_MAX],
	    struct err *);
/* No longer what answers for it. */
void	listing_drop_catalog(struct tree *, struct directory *);
/*
 * What its catalog knows of a name that has no inode: 1 it is there (*ret is made);
 * 0 it is not in it, or there is no catalog; -1 it was changed since.
 */
int	listing_recall(struct tree *, struct inode *dir, const char *name, struct inode **ret);
/* The kernel has forgotten this one; 1: so have we. */
int	listing_forgot(struct tree *, struct inode *);
/*
 * List it now: nobody else lists or changes it.  limit: give up after so many
 * names, if nobody reads them (0: never; over names_bytes: in any case).
 * along: others may read it meanwhile, who then are waited for.  How many came, or -1.
 */
long	listing_run(struct tree *, struct inode *dir, long limit, int along, struct err *);
/* The same in a thread of its own; -1: there can be no more of them. */
int	listing_start(struct tree *, struct inode *dir, long limit);

#endif
