#ifndef BASE_USERNS_H
#define BASE_USERNS_H

/*
 * userns -- mounting without CAP_SYS_ADMIN: a user namespace and a mount namespace of our own.
 *
 * In them the caller has all capabilities, over what belongs to them, and every id keeps its
 * number: all ids where the caller may say so (CAP_SETUID, CAP_SETGID, CAP_SETFCAP: root with
 * Docker's own set), else its own alone, and what others own looks like 65534's.  Facts:
 * user_namespaces(7), mount_namespaces(7); FUSE may be mounted so since Linux 4.18.
 */

#include "base/err.h"

/*
 * For good: only what is started afterwards sees what is mounted afterwards.  The caller has one
 * thread and is dumpable.  After a failure it may be in a namespace without ids: it has to end;
 * userns_can_mount() tells beforehand.
 * fails  remedy REMEDY_GIVE_FUSE
 */
int	userns_enter(struct err *);
/* Tried in a child process: would a FUSE file system be mounted in there?  fuse_device: a path. */
int	userns_can_mount(const char *fuse_device);

#endif
