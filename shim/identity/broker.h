#ifndef IDENTITY_BROKER_H
#define IDENTITY_BROKER_H

/*
 * broker -- the local endpoint that the job's SDKs take for the platform's own.
 *
 * On 127.0.0.1 and on a Unix socket, in the dialects of broker_dialect.h.
 * Answers only the job's own processes (peer.h), and only for identities that
 * the plan allows (whose.h): under user identity no managed-identity token and
 * the reverse; a client that names no identity gets the plan's default.
 * Each grant and refusal is recorded (audit.h).
 *
 * A client has request_ms for a whole request, however slowly it sends; with
 * all connections taken the one that is idle for longest is closed.  A thread a
 * connection: connections_max bounds threads and memory.
 */

#include "base/secret.h"
#include "identity/audit.h"
#include "identity/cache.h"
#include "identity/peer.h"
#include "plan/plan.h"

#define BROKER_LISTENERS	2
#define BROKER_PATH_SIZE	64

struct broker_options {
	int		 listen_fd;		/* 127.0.0.1, made by init; -1: none */
	int		 unix_fd;		/* likewise */
	struct peers	*peers;			/* NULL: whoever has the secret (unit tests) */
	struct audit	*audit;
	const struct plan *plan;
	struct cache	*cache;
	_Atomic int64_t	*granted;		/* counts tokens given, for others; or NULL */
	const struct secret *secret;		/* per-job, exported to the job as MSI_SECRET */
	int		 request_ms;		/* 0: 30000 */
	size_t		 connections_max;	/* 0: 256 */
};
struct broker;

/* Serves on its own threads until broker_free. */
struct broker *broker_new(const struct broker_options *, struct err *);
void	broker_free(struct broker *);
/*
 * Until what was asked is answered, at most bound_ms.  Nobody is accepted any more: who connects
 * waits for the process that has the listening sockets next.
 */
void	broker_settle(struct broker *, int64_t bound_ms);
int64_t	broker_grants(const struct broker *);
/* A listening socket on 127.0.0.1 and its port: for init. */
int	broker_listen(int *ret_port, struct err *);
/* The same on a socket in a new directory of mode 0700, of which path tells. */
int	broker_listen_unix(char *ret_path, size_t size, struct err *);
/* The socket is another user's, who can reach it. */
int	broker_give_unix(const char *path, uid_t, gid_t);
void	broker_remove_unix(const char *path);

#endif
