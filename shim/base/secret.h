#ifndef BASE_SECRET_H
#define BASE_SECRET_H

/*
 * secret -- a token, key, SAS or password in memory.
 *
 * Owned, NUL-terminated, at most SECRET_MAX bytes, in memory that is locked and not dumped
 * (secret_mem.h), wiped when dropped.  Zero is a valid empty secret.  No function formats one;
 * code that must send it reads .text and nothing prints .text.
 */

#include <stddef.h>

#include "base/err.h"

#define SECRET_MAX	65536

struct secret {
	char	*text;		/* NULL: empty */
	size_t	 len;
};

/* Copy len bytes.  Replaces (and wipes) what was there.  Fails: too long, memory. */
int	secret_set(struct secret *, const char *text, size_t len, struct err *);
int	secret_copy(struct secret *, const struct secret *from, struct err *);
/* Wipe and free; the secret is empty afterwards.  Idempotent. */
void	secret_done(struct secret *);
/* Overwrite memory so that the compiler cannot drop it. */
void	secret_wipe(void *, size_t);
/* free(3) and realloc(3) for what others keep secrets in: what they let go of is wiped first. */
void	secret_free(void *);
void	*secret_grow(void *, size_t size);
/* Compare in time that depends on the lengths only.  1: equal. */
int	secret_equal(const struct secret *, const char *text, size_t len);
/* 1: the text may hold a token: how every JWT begins is in it. */
int	secret_in_text(const char *);
/* From getrandom(2). */
int	secret_random_bytes(void *, size_t bytes, struct err *);
/* bytes from getrandom(2) as 2*bytes hex digits. */
int	secret_random_hex(struct secret *, size_t bytes, struct err *);

#endif
