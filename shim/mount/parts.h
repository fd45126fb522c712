#ifndef MOUNT_PARTS_H
#define MOUNT_PARTS_H

/*
 * parts -- a file that goes out in blocks, each by a call of its own, from any thread.
 *
 * The ids are the prefix and the block's number, so that a run that knows the prefix finds
 * what an earlier one has staged (the service keeps it for a week).  Whoever stages under
 * the same prefix again has to stage the same bytes.
 */

#include <stddef.h>
#include <stdint.h>

#include "azure/store.h"

struct parts {
	struct store	*store;		/* borrowed, like name and fd */
	const char	*name;
	int		 fd;
	uint64_t	 prefix;	/* random for each content */
	int64_t		 size, block_size;
};

/* 0: a file of this size goes out whole (store_upload), or the service has no blocks. */
int64_t	parts_block_size(const struct store *, int64_t size);
int64_t	parts_len(const struct parts *, size_t index);
/* *ret_differs: the blob has ids of another length (err is filled, too). */
int	parts_put(const struct parts *, size_t index, int *ret_differs, struct err *);
/* there[i] is set for each block that is there, whole and not committed. */
int	parts_find(const struct parts *, unsigned char *there, struct err *);
/* 0; 1: some are not there any more (err is filled); -1. */
int	parts_commit(const struct parts *, char ret_etag[HTTP_ETAG_MAX], struct err *);

#endif
