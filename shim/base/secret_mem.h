#ifndef BASE_SECRET_MEM_H
#define BASE_SECRET_MEM_H

/*
 * secret_mem -- the memory of secrets: a few pages of their own.
 *
 * Left out of dumps, locked against swapping as far as RLIMIT_MEMLOCK lets it (Docker's is
 * 64 KiB, hence the small first pool), and zero again when given back.  A lock does not outlive
 * fork(2): secret_mem_lock() renews it, and so does a new secret.  Thread-safe.
 * Sources: mlock(2), madvise(2).
 */

#include <stddef.h>

/* Zeroed; NULL with errno. */
void	*secret_mem_new(size_t size);
/* With the same size.  What is not from here (secret_fd's) is left as it is.  NULL: nothing. */
void	secret_mem_free(void *, size_t size);

/* In a process that was forked: for what it has inherited. */
void	secret_mem_lock(void);
/* Room below RLIMIT_MEMLOCK for what cannot be without a lock.  For good: what is there now. */
void	secret_mem_unlock(void);

#endif
