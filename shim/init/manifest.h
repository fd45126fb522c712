#ifndef INIT_MANIFEST_H
#define INIT_MANIFEST_H

/*
 * manifest -- the text form of a code snapshot: checksums of files, one a line.
 *
 *	# amlshim snapshot 1
 *	HEX  path			SHA-256 of a file, as sha256sum writes and checks it
 *	\HEX  a\nb			a path with a line break or '\', escaped as sha256sum does
 *	#link HEX  path			a symbolic link: SHA-256 of its target's text
 *
 * Other lines that begin with "# " are comments.  Paths are relative, without
 * empty, "." or ".." parts, each once.  Pure text: no file is touched.
 * Escapes: GNU coreutils manual, "cksum output modes"; src/cksum.c.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define MANIFEST_HEADER		"# amlshim snapshot 1"
#define MANIFEST_FILES_MAX	100000
#define MANIFEST_SUM		32
#define MANIFEST_PATH_MAX	4095

struct manifest_entry {
	const char	*path;
	int		 is_link;
	int		 seen;		/* the reader's own mark */
	unsigned char	 sum[MANIFEST_SUM];
};

struct manifest {
	struct manifest_entry *entries;		/* sorted by path, bytewise */
	size_t		 n;
};

void	manifest_add_line(struct buf *, const struct manifest_entry *);
/*
 * text ends with a NUL behind len bytes.
 * fails  ERR_USAGE, resource "FILE:LINE"
 */
int	manifest_parse(struct manifest *ret, const char *file, const char *text, size_t len,
	    struct arena *, struct err *);
/* NULL: no such path. */
struct manifest_entry *manifest_find(const struct manifest *, const char *path);
void	manifest_sort(struct manifest_entry *, size_t n);

#endif
