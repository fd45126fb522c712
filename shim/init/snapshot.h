#ifndef INIT_SNAPSHOT_H
#define INIT_SNAPSHOT_H

/*
 * snapshot -- a code folder summed up, and checked against that before a job runs.
 *
 * Files by content, symbolic links by target; neither modes nor times nor empty
 * directories.  Each file is opened once, never through a link, and what was
 * opened is what is summed; a folder that is moved away in between is not
 * followed.  What counts, and why: docs/decisions.
 */

#include "base/err.h"
#include "base/mem.h"

#define SNAPSHOT_NAME		".amlshim-snapshot"	/* in the folder itself */
#define SNAPSHOT_NAMED_MAX	10

enum snapshot_fault { SNAPSHOT_CHANGED, SNAPSHOT_MISSING, SNAPSHOT_EXTRA, SNAPSHOT_FAULTS };

struct snapshot_report {
	size_t		 files;			/* in the manifest */
	size_t		 counts[SNAPSHOT_FAULTS];
	struct { enum snapshot_fault fault; const char *path; } named[SNAPSHOT_NAMED_MAX];
	size_t		 nnamed;		/* the first few */
};

/* The manifest's text, without what .amlignore or .gitignore names. */
int	snapshot_write(const char *dir, struct buf *ret, struct err *);
/*
 * Nothing is ignored here.  stop (NULL: never) is asked now and then; non-zero
 * ends the check with ERR_SYSTEM.
 *
 * fails  ERR_USAGE, remedy REMEDY_CODE_SNAPSHOT: the folder differs (*ret says how), or the
 *        manifest is not there or is none; ERR_SYSTEM
 */
int	snapshot_verify(const char *dir, const char *manifest, int (*stop)(void),
	    struct snapshot_report *ret, struct arena *, struct err *);
const char *snapshot_fault_name(enum snapshot_fault);

#endif
