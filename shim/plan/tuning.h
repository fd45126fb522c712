#ifndef PLAN_TUNING_H
#define PLAN_TUNING_H

/*
 * tuning -- how mounts and copies do their work: what flags and variables say of it.
 *
 * One struct from the command line to the worker: options fill it, plan_decide()
 * settles what was left open, a worker gets it with the plan.  What no flag and no
 * AMLSHIM_ variable says may be said by the variables that tune Azure ML's own data
 * runtime, from the job's environment_variables or else the container's environment:
 * one table, which docs/MOUNTS.md shows and `amlshim plan` tells the outcome of.
 *
 * Source of the variables' meaning: MicrosoftDocs/azure-ai-docs
 * articles/machine-learning/how-to-read-write-data-v2.md, "Available mount settings",
 * "Download settings".
 */

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define PLAN_UNSAID	INT64_MIN
#define PLAN_DISK_RESERVE	((int64_t)150 * 1000 * 1000)	/* left free, as Azure ML does */

enum plan_knob {		/* what can be said twice: by us and by Azure ML */
	KNOB_MEMORY, KNOB_DISK_CACHE, KNOB_DISK_FREE, KNOB_READ_AHEAD, KNOB_CONNECTIONS,
	KNOB_DOWNLOADS, KNOB_TRIES, KNOB_ATTR_TTL, KNOB_IO_TIMEOUT, KNOB_UID, KNOB_GID,
	KNOB_UMASK, KNOBS
};

/* All int64_t: the knobs' table has their places.  Times in ms, < 0: never. */
struct plan_tuning {
	int64_t	memory_bytes;		/* for all mounts together; 0: not said */
	int64_t	disk_cache_bytes;	/* for all mounts of all runs together; <= 0: none */
	int64_t	disk_free_bytes;	/* what that leaves free; PLAN_UNSAID */
	int64_t	read_ahead_bytes;	/* of one stream, at most; 0: by the memory there is */
	int64_t	connections;		/* of one mount; 0: not said */
	int64_t	download_connections;	/* of one download; 0: not said */
	int64_t	tries;			/* of one request; 0: by time alone */
	int64_t	attr_ttl_ms;		/* PLAN_UNSAID: by the kind of mount */
	int64_t	io_timeout_ms;		/* of what a program waits for */
	int64_t	uid, gid;		/* of files on mounts; PLAN_UNSAID: the job's */
	int64_t	umask;
	int	allow_other;		/* -1: not said */
	int	stats;			/* counters at the end */
	int	write_behind;		/* close does not wait for uploads */
	int	acl;			/* hierarchical accounts: their modes and owners count */
	const char *disk_cache;		/* its directory, below --cache-dir; settled by the plan */
	const char *from[KNOBS];	/* "--memory", a variable's name; NULL: nobody said */
};

#define PLAN_TUNING_UNSAID	{ .disk_cache_bytes = PLAN_UNSAID,			\
	.disk_free_bytes = PLAN_UNSAID, .attr_ttl_ms = PLAN_UNSAID,			\
	.io_timeout_ms = PLAN_UNSAID, .uid = PLAN_UNSAID, .gid = PLAN_UNSAID,		\
	.umask = PLAN_UNSAID, .allow_other = -1 }

/* What surrounds it; arg is given to both. */
struct plan_tuning_world {
	const char *(*variable)(void *arg, const char *name);	/* NULL: it is not set */
	/* A variable that is not honoured, or whose value cannot be read. */
	void	(*remark)(void *arg, const char *variable, const char *value, const char *why,
		    int is_bad);
	void	*arg;
	int64_t	memory_limit;		/* of the container; 0: none */
};

/* What nobody said.  world NULL: there are no variables. */
void	plan_tuning_settle(struct plan_tuning *, const struct plan_tuning_world *);

/* "60 s", "64 MiB", "1000", "022", "never" of a knob; 0: it has no value of its own. */
int	plan_tuning_text(const struct plan_tuning *, enum plan_knob, char *buf, size_t size);
int64_t	plan_tuning_value(const struct plan_tuning *, enum plan_knob);
const char *plan_knob_name(enum plan_knob);

/* Azure ML's variables: row i of the table, its meaning here.  NULL: there are no more. */
const char *plan_tuning_variable(size_t i, const char **ret_meaning);

#endif
