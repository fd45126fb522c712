#ifndef AZSIM_JOURNAL_H
#define AZSIM_JOURNAL_H

/*
 * journal -- every request that was answered, as a line of JSON.
 *
 * Fields, in this order: seq, ms (since the start), conn, tls, service, method,
 * op, path, query (without signatures), auth, oid, account, status, code, range,
 * in, out (body bytes), took_ms, if_match, if_none_match, client_request_id, fault.
 * Never a token, key, secret or signature.
 * Adding takes no lock.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct entry {
	struct entry *next;		/* the one before */
	uint64_t seq;
	size_t	 len;
	char	 line[];
};

struct journal {
	_Atomic(struct entry *) last;
	_Atomic uint64_t seq;
	_Atomic int64_t kept;
	pthread_mutex_t lock;		/* of those who walk or clear */
	int	 fd;			/* -1; else each line is written there as well */
};

void	journal_add(struct journal *, const char *line, size_t len, uint64_t seq);
void	journal_clear(struct journal *);
/*
 * Lines that hold every one of the n texts, oldest first, each with a newline;
 * ret may be NULL.  Returns how many.
 */
int64_t	journal_find(struct journal *, const char *const texts[], size_t n, struct buf *ret);

#endif
