#ifndef MOUNT_CATALOG_H
#define MOUNT_CATALOG_H

/*
 * catalog -- the names of a directory with their attributes, in a service's order, packed:
 * 32 bytes and the name each, 8 more with an index (an inode takes eight times as much).
 *
 * Entries are added at the end, read by their ordinal, found by name once there is an
 * index, and dropped from the beginning.  An entry can be in doubt: it was changed
 * here, or the catalog is not sure; then who looks for it has to ask.
 * No locks: the tree's mutex guards it.
 */

#include <stddef.h>

#include "azure/store.h"

struct catalog;

struct catalog *catalog_new(void);
void	catalog_free(struct catalog *);
/* type: S_IFREG, S_IFDIR, S_IFLNK; attr's props are not kept. */
void	catalog_add(struct catalog *, const char *name, uint32_t type, const struct store_attr *);
/* Entries that were ever added; their bytes here. */
size_t	catalog_count(const struct catalog *);
size_t	catalog_bytes(const struct catalog *);
/* 0: it was dropped, or there is none.  name has room for 256 bytes. */
int	catalog_get(const struct catalog *, size_t ordinal, char *name, uint32_t *ret_type,
	    struct store_attr *);
/* From now on catalog_find works.  Not after catalog_drop. */
void	catalog_index(struct catalog *);
/* -1: there is none. */
long	catalog_find(const struct catalog *, const char *name);
void	catalog_doubt(struct catalog *, size_t ordinal);
int	catalog_is_doubted(const struct catalog *, size_t ordinal);
/* Entries before this one, and the index, are not needed any more. */
void	catalog_drop(struct catalog *, size_t ordinal);

#endif
