#ifndef BASE_WIRE_H
#define BASE_WIRE_H

/*
 * wire -- messages between amlshim's own processes.
 *
 * SOCK_SEQPACKET pairs made by init before it forks: one message a packet,
 * fixed structs of one binary.  init <-> worker (struct wire_msg), worker ->
 * agent (struct wire_ask) and back (struct wire_cred), init -> resolver (struct
 * wire_want) and back (struct wire_found).  A reader checks the size and the
 * type; a wrong one is ERR_BUG.
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
	WIRE_WORKER,		/* init -> agent: .value is the pid of another worker */
};

/* Exit status of a worker that SIGUSR2 has ended in order: its successor is to be what stands now
   in the file that amlshim was started from. */
#define WIRE_EXIT_UPGRADE	121

struct wire_stats {
	int64_t	bytes_read, bytes_written;	/* payload from and to the service */
	int64_t	requests, retries;
	int64_t	files_done, files_total;	/* transfers; total 0: not known */
	int64_t	bytes_total;
	int64_t	files_failed;
	int64_t	files_kept;			/* transfers: copied by an earlier run */
	int64_t	tokens;				/* agent: tokens handed to the job */
};

struct wire_msg {
	uint32_t	type;			/* enum wire_type */
	uint32_t	worker;			/* index, set by the sender's creator */
	int64_t		value;
	struct wire_stats stats;
	struct err	err;
};

/*
 * A worker asks the agent for the credential of its own access; the job's
 * process, before exec, for the tokens of its environment.  The agent takes a question from
 * the socket after it has answered it (wire_peek): if it dies in between, its successor finds
 * the question and answers it, perhaps once more.  By the serial the asker knows which
 * question an answer is for, also of one that an earlier life of it has asked.
 */
struct wire_ask {
	uint32_t	refresh;	/* 1: the one you gave me was refused */
	uint32_t	index;		/* job only: which token; else 0 */
	uint64_t	generation;	/* of the refused one; 0: first */
	uint64_t	serial;		/* wire_question() sets it */
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
	uint64_t	generation;	/* another one with each new credential */
	uint64_t	serial;		/* of the question */
	int64_t		expires_unix_s;	/* 0: does not expire */
	int64_t		refresh_unix_s;	/* ask again from here on; 0: never */
	struct err	err;
	char		text[WIRE_CRED_TEXT_MAX];
};

/* What the workspace is asked for; texts end in NUL, "" is none. */
enum wire_want_kind {
	WIRE_WANT_DATASTORE = 1,	/* .name */
	WIRE_WANT_DEFAULT,		/* the workspace's default datastore */
	WIRE_WANT_ASSET,		/* .name and .version; no version: the latest */
	WIRE_WANT_MODEL,		/* likewise */
};

struct wire_want {
	uint32_t	kind;		/* enum wire_want_kind */
	uint32_t	id;		/* comes back with the answer */
	char		subscription[64], resource_group[96], workspace[64];
	char		name[256], version[256];
};

/* A datastore as the workspace describes it: no secret.  "" is not told. */
struct wire_datastore {
	int32_t		type;		/* enum spec_store_type */
	int32_t		credential;	/* enum spec_credential: what listSecrets would give */
	int32_t		is_default;
	char		name[256], account[64], container[264], endpoint[264];
	char		artifact[264];	/* OneLake: the item; "" else */
	char		tenant_id[128], client_id[64], thumbprint[128];
	char		authority_url[256], resource_url[256];
};

struct wire_asset {
	int32_t		type;		/* enum spec_type; SPEC_LITERAL: not told */
	char		version[256];	/* "": not told */
	char		uri[2048];
};

struct wire_found {
	uint32_t	id;		/* of the want */
	uint32_t	unused;
	struct err	err;		/* kind ERR_NONE: found */
	struct wire_datastore datastore;	/* of a want for one */
	struct wire_asset asset;
};

/* 1: size bytes hold a text that ends in NUL and is printable UTF-8 throughout. */
int	wire_is_text(const char *, size_t size);

int	wire_pair(int fds[2], struct err *);		/* close-on-exec */
/* A packet of exactly size bytes.  -1: closed or failed (errno). */
int	wire_send(int fd, const void *, size_t size);
/* The same, without waiting: -1 with EAGAIN while the other end does not read.  For init. */
int	wire_send_now(int fd, const void *, size_t size);
/*
 * 1: got one; 0: the peer is gone; -1: error (errno), ETIMEDOUT, wrong size
 * (EBADMSG).  timeout_ms < 0: for ever.
 */
int	wire_recv(int fd, void *, size_t size, int timeout_ms);
/* The same, and the packet stays the next one to be received. */
int	wire_peek(int fd, void *, size_t size, int timeout_ms);
/* Ask the agent and wait for the answer to just this.  As wire_recv(); -1 also: not sent. */
int	wire_question(int fd, struct wire_ask *, struct wire_cred *ret, int timeout_ms);

#endif
