#ifndef MOUNT_NAME_H
#define MOUNT_NAME_H

/*
 * name -- which blob names can be file names: names from the service are untrusted.
 *
 * Not: empty, ".", "..", with '/' or NUL inside, over NAME_MAX bytes.
 */

#include <stddef.h>

/* One segment of len bytes. */
int	name_is_safe(const char *, size_t len);
/* Segments between '/', each safe; no leading or trailing '/'. */
int	name_is_safe_path(const char *);

#endif
