#ifndef IDENTITY_TOKENFILE_H
#define IDENTITY_TOKENFILE_H

/*
 * tokenfile -- tokens in files, for tools that know no token endpoint.
 *
 * One thread keeps them all: each file holds the token's text and nothing else,
 * 0600, replaced by rename when the cache has a newer one, which is well ahead
 * of expiry.  init removes them at the end.  They are the job's user's.
 */

#include "base/fd_home.h"

#include "identity/audit.h"
#include "identity/cache.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct tokenfiles;

/*
 * homes: one a file, where the job's user is another one than ours; else NULL.
 * Writes all once (waits, up to deadline_ms), then goes on.  deadline_ms 0: they are there,
 * of an agent before this one, and may grow old a moment longer.  NULL: that failed.
 */
struct tokenfiles *tokenfiles_new(const struct plan *, const struct facts *,
	    const struct fd_home *homes, struct cache *, struct audit *, int64_t deadline_ms,
	    struct err *);
void	tokenfiles_free(struct tokenfiles *);

#endif
