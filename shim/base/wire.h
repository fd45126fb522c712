#ifndef BASE_WIRE_H
#define BASE_WIRE_H

/*
 * wire -- messages between amlshim's own processes.
 *
 * SOCK_SEQPACKET pairs made by init before it forks: one message a packet,
 * fixed structs of one binary.  init <-> worker (struct wire_msg), worker ->
 * agent (struct wire_ask) and back (struct wire_cred).  A reader checks the
 * size and the type; a wrong one is ERR_BUG.
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum wire_type {
	WIRE_READY = 1,		/* worker -> init: the mount answers, inputs are local, ... */
	WIRE_FAILED,		/* worker -> init: .err; the worker ends after it */
	WIRE_STOP,		/* init -> worker: flush outputs and end, at most .value ms */
	WIRE_LOST,		/* worker -> init: a file did not get out: .err, path in cause */
	WIRE_DONE,		/* worker -> init: everything is flushed; .stats; the worker ends */
	WIRE_PROGRESS,		/* worker -> init: .stats so far (download, upload) */
};

struct wire_stats {
	int64_t	bytes_read, bytes_written;	/* payload from and to the service */
	int64_t	requests, retries;
	int64_t	files_done, files_total;	/* transfers; total 0: not known */
	int64_t	bytes_total;
	int64_t	files_failed;
	int64_t	tokens;				/* agent: tokens handed to the job */
};

struct wire_msg {
	uint32_t	type;			/* enum wire_type */
	uint32_t	worker;			/* index, set by the sender's creator */
	int64_t		value;
	struct wire_stats stats;
	struct err	err;
};

/* A worker asks the agent for the credential of its own access. */
struct wire_ask {
	uint32_t	refresh;	/* 1: the one you gave me was refused */
	uint32_t	unused;		/* in place of padding: no stray bytes on a socket */
	uint64_t	generation;	/* of the refused one; 0: first */
};

enum wire_cred_kind {
	WIRE_CRED_NONE = 0,	/* refused: .err of the message tells why */
	WIRE_CRED_BEARER,
	WIRE_CRED_SHARED_KEY,	/* text: base64 account key */
	WIRE_CRED_SAS,		/* text: query string without '?' */
	WIRE_CRED_ANONYMOUS,
};

#define WIRE_CRED_TEXT_MAX	16384
struct wire_cred {
	uint32_t	kind;		/* enum wire_cred_kind */
	uint32_t	len;		/* bytes of text used */
	uint64_t	generation;	/* grows with each new credential */
	int64_t		expires_unix_s;	/* 0: does not expire */
	int64_t		refresh_unix_s;	/* ask again from here on; 0: never */
	struct err	err;
	char		text[WIRE_CRED_TEXT_MAX];
};

int	wire_pair(int fds[2], struct err *);		/* close-on-exec */
/* A packet of exactly size bytes.  -1: closed or failed (errno). */
int	wire_send(int fd, const void *, size_t size);
/*
 * 1: got one; 0: the peer is gone; -1: error (errno), ETIMEDOUT, wrong size
 * (EBADMSG).  timeout_ms < 0: for ever.
 */
int	wire_recv(int fd, void *, size_t size, int timeout_ms);

#endif
