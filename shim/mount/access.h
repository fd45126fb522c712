#ifndef MOUNT_ACCESS_H
#define MOUNT_ACCESS_H

/*
 * access -- modes and owners that a hierarchical account keeps (--acl).
 *
 * Without the flag they are a matter of the mount.  With it a listing tells them, chmod
 * and chown are sent on, and a refusal is the caller's.  Owners are names or ids of
 * people there; those that are numbers are shown, the others are the mount's own.
 *
 * An upload replaces a file with its mode (Azure/azure-storage-fuse component/azstorage/
 * datalake.go, "override the permissions"), so that it is set again afterwards; the further
 * entries of an access control list are gone then.
 */

#include <sys/stat.h>

#include "mount/writer.h"

/* chmod, chown: what is FUSE's to_set.  Success if it is not to be sent. */
int	access_change(struct writer *, struct inode *, const struct stat *, int what, struct err *);
/*
 * What was just uploaded or made as blob gets the inode's mode, and its owner if that is
 * known.  A refusal is told once; etag, which may be NULL, becomes the new one.
 */
void	access_keep(struct writer *, struct inode *, const char *blob, char etag[HTTP_ETAG_MAX]);
/* No listing tells of the root. */
void	access_of_root(struct tree *);

#endif
