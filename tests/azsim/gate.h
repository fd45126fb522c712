#ifndef AZSIM_GATE_H
#define AZSIM_GATE_H

/*
 * gate -- who asks (SharedKey, SAS, bearer, nobody), and whether they may.
 *
 * Written from the vendor's pages alone, not from the program it judges.
 */

#include "blob.h"

/* x-ms-version, then the credential.  -1: the refusal is recorded. */
int	gate_authenticate(struct exchange *);
int	gate_authorize(struct exchange *, const struct blob_op *);
/*
 * May the caller read this blob, named by a copy's source?  query: of the
 * source's URL, still encoded.  1: yes.
 */
int	gate_may_read(struct exchange *, struct account *, const char *container, const char *blob,
	    const char *query);
/* The secret that signs SAS tokens of a user delegation key with these fields. */
void	gate_user_delegation_key(const struct exchange *, const char *oid, const char *tid,
	    const char *start, const char *expiry, const char *service, const char *version,
	    unsigned char out[32]);

/* gate_key.c; credential: "ACCOUNT:SIGNATURE" */
int	gate_shared_key(struct exchange *, const char *credential);
/* HMAC-SHA256 in base64, with any key or with the account's. */
void	gate_hmac(const unsigned char *key, size_t key_len, const char *text, size_t len,
	    struct buf *ret);
void	gate_sign(struct account *, const char *text, size_t len, struct buf *ret);
/* gate_sas.c */
int	gate_sas(struct exchange *);
/* A SAS that is part of another request's header: it allows one of letters on blob.  1: yes. */
int	gate_sas_allows(struct exchange *, const char *blob, const char *query,
	    const char *letters);
/* A service SAS for all of a container, as listSecrets gives in place of a key. */
void	gate_make_sas(struct exchange *, struct account *, const char *container,
	    int64_t expiry_unix_s, struct buf *ret);
/* 1: set holds one of letters; either may be NULL. */
int	gate_has_any(const char *set, const char *letters);

#endif
