#ifndef MOUNT_XATTR_H
#define MOUNT_XATTR_H

/*
 * xattr -- what stands beside a blob's bytes, as extended attributes of its file.
 *
 *   user.mime_type                Content-Type
 *   user.azure.NAME               content_encoding, content_language, cache_control,
 *                                 content_disposition; md5 (base64), tier, etag: read only
 *   user.azure.meta.NAME          metadata
 *
 * Reading asks nobody: a listing or lookup told of all of it (of a file that only a
 * HEAD told of: the ETag alone).  Other names have none, and "system." and "security."
 * are not supported: tools then stop asking for lists of access and labels.  Setting
 * replaces what the service has by what was known and the change, if the file is still
 * that version; a file that is dirty takes it along with its bytes.  hdi_isfolder,
 * is_symlink and mtime have other meanings and cannot be set.
 *
 * Names: freedesktop.org "Guidelines for extended attributes" (user.mime_type);
 * kahing/goofys README.md gives metadata as user.NAME and the store's own under its
 * prefix; here both are below user., which every tool copies.
 */

#include "mount/writer.h"

/* 0, or an errno: ENODATA, EOPNOTSUPP. */
int	xattr_get(struct tree *, struct inode *, const char *name, struct buf *ret);
/* Names, each with its NUL. */
void	xattr_list(struct tree *, struct inode *, struct buf *ret);
/*
 * value NULL: remove it.  flags: XATTR_CREATE, XATTR_REPLACE.
 * fails    EEXIST, ENODATA, EOPNOTSUPP, EPERM, EINVAL (no header can hold it), E2BIG,
 *          ESTALE, as the service says
 */
int	xattr_set(struct writer *, struct inode *, const char *name, const char *value, size_t len,
	    int flags, struct err *);

#endif
