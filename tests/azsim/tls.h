#ifndef AZSIM_TLS_H
#define AZSIM_TLS_H

/*
 * tls -- the server side of TLS 1.2, by BearSSL, over one blocking socket.
 *
 * AES-GCM first; RSA or EC certificate and key from PEM files; sessions are
 * resumed from a cache that all connections share.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct tls_server;
struct tls_conn;

struct tls_server *tls_server_new(const char *cert_file, const char *key_file, struct err *);
struct tls_conn *tls_conn_new(struct tls_server *, int fd);	/* fd is borrowed */
void	tls_conn_free(struct tls_conn *);

/* >0 bytes, 0 end of stream, -1 error.  The handshake happens on first use. */
ssize_t	tls_recv(struct tls_conn *, void *, size_t);
/* more != 0: something follows, a record need not be finished.  0 or -1. */
int	tls_send(struct tls_conn *, const void *, size_t, int more);
/* The same from a file, read straight into the record. */
int	tls_send_file(struct tls_conn *, int fd, int64_t offset, int64_t len, int more);
void	tls_close(struct tls_conn *);	/* close_notify, if it can still be sent */

#endif
