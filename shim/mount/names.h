#ifndef MOUNT_NAMES_H
#define MOUNT_NAMES_H

/*
 * names -- what changes the names of a writable mount: create, mkdir, unlink, rmdir, rename.
 *
 * Over there a name is there when its data was uploaded.  An empty directory
 * exists over there on accounts with a hierarchical namespace; on flat ones it is
 * a matter of this mount until a file is in it, or until the end (writer_finish).
 *
 * Renaming is one request there, for a file as for a directory with all that is below
 * it, and what was written to files and not uploaded follows.  Whether an account is of
 * this kind its datastore need not say: what is not known is asked for at the first change
 * that depends on it.  On flat accounts a file is copied on the service's side and the old
 * one deleted, in this order: a crash leaves two, never none; a directory is renamed blob by
 * blob, many at once.  A file that was not uploaded yet is only renamed here.
 */

#include "mount/writer.h"

/*
 * A new empty file, open for writing; *ret has one more lookup.  An existing one
 * is opened (truncated if asked) unless exclusive.
 */
struct names_create {
	uint32_t mode;
	int	 exclusive, truncate;
	int	 direct;	/* a new one: past the kernel's pages, see writer.h */
};
int	names_create(struct writer *, struct inode *parent, const char *name,
	    const struct names_create *, struct inode **ret, struct inode_attr *, struct err *);
int	names_mkdir(struct writer *, struct inode *parent, const char *name, uint32_t mode,
	    struct inode **ret, struct inode_attr *, struct err *);
int	names_unlink(struct writer *, struct inode *parent, const char *name, struct err *);
int	names_rmdir(struct writer *, struct inode *parent, const char *name, struct err *);
/* no_replace: EEXIST if there is a file of the new name. */
int	names_rename(struct writer *, struct inode *from, const char *name, struct inode *to,
	    const char *new_name, int no_replace, struct err *);

#endif
