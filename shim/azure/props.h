#ifndef AZURE_PROPS_H
#define AZURE_PROPS_H

/*
 * props -- what stands beside a blob's bytes: stored headers and metadata, as one text.
 *
 * A line each: a letter and the value, "cimage/png\n"; metadata has the letter
 * PROPS_META, its name and '=': "xauthor=ann\n".  The content type that the service
 * gives to what has none ("application/octet-stream") is left out, so that most
 * files of a listing need nothing but their MD5 kept.  Names of metadata are compared
 * without case (HTTP header names), of two the first counts.
 *
 * Source: learn.microsoft.com/rest/api/storageservices list-blobs,
 * set-blob-properties (headers that are not sent are cleared), set-blob-metadata
 * (replaces all).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define PROPS_META	'x'
#define PROPS_TYPE	'c'
#define PROPS_MD5	'm'
#define PROPS_TIER	't'
#define PROPS_MAX	32768		/* bytes of the text; what is longer is left out */

#define PROPS_LINK	"is_symlink"	/* Azure/azure-storage-fuse component/azstorage/utils.go */
#define PROPS_LINK_MAX	4095		/* bytes of a target */

/*
 * A modification time that outlives the upload: metadata "mtime", RFC 3339 with
 * nanoseconds, in place of the Last-Modified of the service (rclone/rclone
 * backend/azureblob/azureblob.go, modTimeKey).
 */
#define PROPS_MTIME	"mtime"
#define PROPS_MTIME_SIZE	32
void	props_mtime(int64_t unix_s, long ns, char out[PROPS_MTIME_SIZE]);

#define PROPS_OCTETS	"application/octet-stream"

/* "Content-Type" and the like: its letter, 0 for what is not kept. */
char	props_letter(const char *header);
/* The reverse; NULL: no such letter. */
const char *props_header(char letter);
/* Stored headers that an upload or Set Blob Properties may give: all but MD5 and tier. */
int	props_is_settable(char letter);

/* One more line; a value with a newline is left out. */
void	props_add(struct buf *, char letter, const char *name, const char *value, size_t len);
/* name: of metadata, else NULL.  NULL: it is not there; the value ends at *ret_len. */
const char *props_get(const char *props, char letter, const char *name, size_t *ret_len);
/* props with this line replaced, or added; value NULL: without it. */
void	props_change(struct buf *, const char *props, char letter, const char *name,
	    const char *value, size_t len);

struct props_line {
	char		 letter;
	const char	*name, *value;
	size_t		 name_len, len;		/* 0: no metadata */
};
/* The line at *at, which moves on; 0: there is none. */
int	props_next(const char **at, struct props_line *);

#endif
