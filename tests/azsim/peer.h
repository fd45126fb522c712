#ifndef AZSIM_PEER_H
#define AZSIM_PEER_H

/*
 * peer -- the bytes of one connection: plain or TLS, at a bounded rate.
 *
 * recv and send have the shape that httpd's callbacks want (arg is the peer).
 * The rate is that of *rate_bytes_per_s (0: none), in each direction on its
 * own, kept by sleeping before a slice is moved.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls.h"

#define PEER_SCRATCH	(256 * 1024)

struct peer {
	int	 fd;
	struct tls_conn *tls;		/* NULL: plain */
	const _Atomic int64_t *rate_bytes_per_s;
	int64_t	 in_due_us, out_due_us;	/* when the next slice may move */
	int64_t	 received, sent;
	int64_t	 send_max;		/* -1; else bytes that may still be sent: then the end */
	int	 is_reset;
	void	*scratch;		/* PEER_SCRATCH bytes for who reads a body; NULL at first */
};

ssize_t	peer_recv(void *arg, void *, size_t);
int	peer_send(void *arg, const void *, size_t);
int	peer_send_more(struct peer *, const void *, size_t);	/* something follows at once */
int	peer_send_file(struct peer *, int from, int64_t offset, int64_t len);
/* No more will be sent; waits a little for the other side to have read it and to end, too. */
void	peer_end(struct peer *);
/* The descriptor's close will be a TCP reset. */
void	peer_reset(struct peer *);

#endif
