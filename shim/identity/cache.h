#ifndef IDENTITY_CACHE_H
#define IDENTITY_CACHE_H

/*
 * cache -- tokens, one per (identity, audience), kept fresh.
 *
 * Lives in the agent; thread-safe.  Callers for the same key share one request
 * (single flight); one whose time is not over when that request's was tries
 * again.  A token past its refresh time is renewed by the keeper thread while
 * callers go on with the old one, if it was used since it was fetched or within
 * half of its life; a failed renewal keeps the old token while it is valid and is
 * tried again in a fifth of what is left, at most 30 s, with jitter.  So the source
 * may be away for 40 s at any moment where tokens live a minute or longer
 * (token.c).  A refusal (400, 401, 403 from the source) is remembered for 60 s.
 * At most CACHE_ENTRIES_MAX keys: then the one unused for longest goes.
 */

#include <stdint.h>

#include "identity/source.h"
#include "identity/token.h"

#define CACHE_ENTRIES_MAX	256

struct cache;

/* All borrowed until cache_free.  The keeper thread renews used tokens ahead of expiry. */
struct cache *cache_new(const struct facts *, struct http *, struct err *);
void	cache_free(struct cache *);

/*
 * The token to present to resource as identity.  *ret is a copy; end with
 * token_done().  newer_than: 0, or the generation that was refused: then a
 * token of a later generation is fetched (once for all who ask).
 * waits  up to deadline_ms (clock_ms) when none is valid
 */
int	cache_get(struct cache *, const struct plan_identity *, const char *resource,
	    uint64_t newer_than, int64_t deadline_ms, struct token *ret, struct err *);

struct cache_counts { int64_t requests, failures, hits, entries; };
void	cache_counts(const struct cache *, struct cache_counts *ret);

#endif
