#ifndef AZURE_TRUST_H
#define AZURE_TRUST_H

/*
 * trust -- the CA roots, read once, for every TLS connection of a process.
 *
 * libcurl's BearSSL backend reads and parses the whole bundle again for each
 * connection: 29 ms of the network thread for Debian's 144 roots.  Here they are
 * parsed when the first connection needs them, and handed to each in libcurl's
 * SSL context callback (CURLOPT_SSL_CTX_FUNCTION), which also declines
 * renegotiation: no connection looks at its certificates twice.  Another TLS
 * backend does without this module: http_curl.c then names the bundle to libcurl.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct trust;

/* file NULL: the roots that are compiled in.  Nothing is read yet. */
struct trust *trust_new(const char *file);
void	trust_free(struct trust *);
/* How many usable roots there are; reads them if need be. */
size_t	trust_count(struct trust *);
/* Why the file was not read: the next connection tries again.  NULL: it was. */
const struct err *trust_failure(const struct trust *);

/* What one handshake at a time needs; lives as long as connections made with it. */
struct trust_slot;
struct trust_slot *trust_slot_new(void);
void	trust_slot_free(struct trust_slot *);

/* When the certificate of the slot's last new connection ends, Unix seconds; 0: none was seen. */
int64_t	trust_slot_expiry(const struct trust_slot *);

/* Why the slot's last new connection was not trusted. */
enum trust_fault { TRUST_NO_FAULT, TRUST_ENDED, TRUST_NOT_YET, TRUST_OTHER_NAME, TRUST_NO_ISSUER,
	TRUST_BAD_CHAIN };
enum trust_fault trust_slot_fault(const struct trust_slot *);

/* tls: BearSSL's br_ssl_client_context.  -1: there is no root to trust. */
int	trust_apply(struct trust *, struct trust_slot *, void *tls);

/*
 * No roots: the server's own certificate has to have this SHA-1 (of its DER form), and its
 * key has to sign the handshake.  Its names and times are not looked at.
 */
#define TRUST_PIN_SIZE	20
void	trust_apply_pin(struct trust_slot *, const unsigned char pin[TRUST_PIN_SIZE], void *tls);

#endif
