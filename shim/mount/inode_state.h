#ifndef MOUNT_INODE_STATE_H
#define MOUNT_INODE_STATE_H

/* inode_state -- what inode.c and inode_state.c share: an inode from its record.  Mutex held. */

#include "mount/inode.h"

void	tree_set_text(struct inode *, const char *name, const char *etag, const char *props);
/* Last of its parent's children; the name is free. */
void	tree_link(struct tree *, struct inode *parent, struct inode *);

#endif
