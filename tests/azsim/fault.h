#ifndef AZSIM_FAULT_H
#define AZSIM_FAULT_H

/*
 * fault -- what is to go wrong, and for which requests.
 *
 * Rules are tried in the order they were made; the first that matches, and is
 * not used up, applies.  Set as pairs of words:
 *
 *   match    method=GET  op=GetBlob  path=/PREFIX  query=TEXT  auth is not looked at
 *   how often  count=N (default: always)  skip=N (let the first N pass)  percent=P
 *   instead of an answer
 *            status=503 [code=ServerBusy] [retry_after=S]
 *            body=TEXT [type=text/plain] (status 200 unless given)
 *            reset=1      before the request is carried out
 *            lose=1       after it was carried out: no answer, a reset
 *            late=MS      carried out so much later, also if nobody waits any more
 *   with the answer
 *            delay=MS     before its first byte
 *            stall=MS     in the middle of its body, after=N bytes (default: half)
 *            truncate=N   the connection ends after N bytes of the body
 *            flip=N       byte N of the body is another
 */

#include <pthread.h>
#include <stdint.h>

#include "model.h"

struct fault_action {
	int	 status;		/* 0: answer as usual */
	char	 code[64];
	int	 retry_after_s;		/* -1: none */
	const char *body;		/* NULL: none; lives as long as the process */
	char	 type[64];
	int	 reset, lose;
	int64_t	 late_ms, delay_ms, stall_ms;
	int64_t	 stall_after, truncate_after, flip_at;	/* -1: not */
};

struct fault {
	struct fault *next;
	int64_t	 id;
	char	*method, *op, *path, *query;	/* NULL: any */
	int64_t	 skip, count, percent;		/* count -1: always */
	int64_t	 hits;
	struct fault_action action;
};

struct faults {
	_Atomic int n;			/* 0: nothing to look for */
	pthread_mutex_t lock;		/* guards all below */
	struct fault *list;
	int64_t	 last_id;
};

/* The id, or -1: words that are not understood. */
int64_t	fault_add(struct faults *, const struct pairs *);
void	fault_drop(struct faults *, int64_t id);	/* 0: all */
int64_t	fault_hits(struct faults *, int64_t id);	/* -1: no such rule */
/* 1: *ret is to be done. */
int	fault_match(struct faults *, const char *method, const char *op, const char *path,
	    const char *query, struct fault_action *ret);

#endif
