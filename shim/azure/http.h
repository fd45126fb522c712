#ifndef AZURE_HTTP_H
#define AZURE_HTTP_H

/*
 * http -- the only way to the network: requests with deadlines and retries.
 *
 * One struct http a process: a network thread that drives libcurl's multi
 * interface over kept-alive connections (HTTP/1.1 only: Blob offers no more), or
 * several, since TLS is work.  A caller submits a struct http_call that it owns
 * and is called back on a network thread, always the same one for one submission,
 * or waits with http_do().  What a callback submits runs on its own thread, so
 * that a call and its repetition never run at the same time; other calls may.
 * Connections, what throttling left of them, and counts are those of all threads.
 * TLS is behind libcurl alone; which library does it is a build matter (docs/decisions).
 *
 * Retries are here, once, for all services: connection failures, short bodies,
 * 408, 429, 500, 502, 503, 504 (and what the call adds), exponential with full
 * jitter from 100 ms, capped at 10 s, honouring Retry-After, the first retry
 * after a dead idle connection at once; until call->deadline_ms.  Each try calls
 * prepare() again, so that dates, signatures and tokens are fresh.  A GET body
 * cut short is resumed at its offset when the call allows it.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct http;
struct http_call;

#define HTTP_THREADS	4
struct http_options {
	int	 max_connections;	/* to all hosts together; 0: 64 */
	int	 threads;		/* at most, HTTP_THREADS for much data; 0: 1 */
	int	 connect_timeout_ms;	/* 0: 10000 */
	int	 stall_timeout_ms;	/* no byte for so long; 0: 20000 */
	int	 max_tries;		/* of calls that do not say; 0: until their deadline */
	const char *user_agent;		/* NULL: "amlshim/VERSION" */
	const char *ca_file;		/* NULL: as ca_file() says, else the compiled-in roots */
};

#define HTTP_BUCKETS	20
#define HTTP_OPS	16
struct http_counts {
	int64_t	requests, retries, bytes_in, bytes_out;
	int64_t	throttled;		/* answers that asked for less */
	int64_t	in_flight;		/* tries under way now */
	/* Answers whose first line took less than 1, 2, 4, ... ms. */
	int64_t	first_byte[HTTP_BUCKETS];
	/* By call->op; the last has all that found no place.  NULL: no more. */
	struct { const char *op; int64_t tries; } ops[HTTP_OPS];
};

/* Starts the network threads.  One a process, after the last fork. */
struct http *http_new(const struct http_options *, struct err *);
/* Calls under way end with ERR_UNREACHABLE "shutting down". */
void	http_free(struct http *);
void	http_counts(const struct http *, struct http_counts *ret);

enum http_verdict { HTTP_OK, HTTP_RETRY, HTTP_FAIL };

#define HTTP_HEADERS_MAX 72	/* a blob's metadata is one each: some 60 */
#define HTTP_PIN_SIZE	20
struct http_header { const char *name, *value; };

/*
 * What prepare() fills, for each try.  Strings are borrowed until the try ends;
 * put them into call->scratch (reset before each prepare).
 */
struct http_request {
	const char	*method;		/* GET HEAD PUT POST DELETE PATCH */
	const char	*url;			/* complete, encoded; its query may be a SAS */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t		 nheaders;
	const void	*body;			/* NULL: no body, or body_fd */
	size_t		 body_len;
	int		 body_fd;		/* or -1: body_len bytes from body_offset */
	int64_t		 body_offset;
	int		 no_proxy;		/* link-local and loopback token endpoints */
	/*
	 * SHA-1 of the one certificate (DER) that the server may have, HTTP_PIN_SIZE bytes, or
	 * NULL.  Then names, times and roots do not matter, only that and its key; and the
	 * connection serves no request with another pin or with none.
	 */
	const unsigned char *pin_sha1;
};

/* How far a try came; to an endpoint of plain HTTP without HTTP_AT_TLS. */
enum http_stage {
	HTTP_AT_NAME,
	HTTP_AT_PROXY,			/* its name, the connection to it, its answer to CONNECT */
	HTTP_AT_CONNECT,
	HTTP_AT_TLS,
	HTTP_AT_ANSWER			/* the request was sent, or could have been */
};

#define HTTP_ETAG_MAX	96
#define HTTP_LENGTH_MAX	(INT64_C(1) << 53)	/* no service has more; sums of it have room */
struct http_response {			/* of the last try */
	int	 status;		/* 0: none arrived */
	int64_t	 content_length;	/* -1: not told, or more than HTTP_LENGTH_MAX */
	int64_t	 range_total;		/* of Content-Range, -1: none */
	int64_t	 range_first;		/* -1: none */
	int64_t	 date_unix_s;		/* Date header, 0: none */
	int64_t	 last_modified_unix_s;	/* 0: none */
	int	 retry_after_ms;	/* -1: none */
	char	 etag[HTTP_ETAG_MAX];	/* with its quotes; "" none */
	char	 error_code[96];	/* x-ms-error-code, "" none */
	char	 request_id[64];	/* x-ms-request-id */
	char	 content_type[96];
	char	 www_authenticate[512];
	char	 location[2048];	/* addresses with a signature are long */
	char	 copy_status[32];	/* x-ms-copy-status */
	char	 resource_type[16];	/* x-ms-resource-type: file, directory */
	int	 is_folder_meta;	/* x-ms-meta-hdi_isfolder: true */
	char	 permissions[16];	/* x-ms-permissions: "rwxr-x---", perhaps with a '+' */
	char	 owner[64], group[64];	/* x-ms-owner, x-ms-group; "" where they are longer */
	/* Of the connection, also of one that failed. */
	enum http_stage stage;
	char	 peer[48];		/* the address that was connected to; "" none */
	int	 used_proxy;		/* it is a proxy's */
	int	 proxy_status;		/* its answer to CONNECT; 0: none */
	int64_t	 tls_expiry_unix_s;	/* of the server's certificate; 0: not seen */
	/* First 16 KiB of a body with status >= 300; without a sink, the body of any answer. */
	struct buf error_body;
	struct buf continuation;	/* x-ms-continuation */
	int64_t	 body_received;		/* bytes given to sink or put into error_body */
	int	 head_ms;		/* from the try's start to its first line; -1: none yet */
};

struct http_call {
	/* Filled by the caller, zeroed before. */
	const char	*op;			/* "read blob": for errors */
	/* Build the request for this try.  -1: give up with *err (final). */
	int	(*prepare)(struct http_call *, struct http_request *, struct err *);
	/*
	 * Body bytes of a 2xx answer, in order; offset counts from the first byte of the
	 * whole body, over resumed tries.  -1: stop, the call fails.  NULL: kept in
	 * response.error_body up to body_max bytes.
	 */
	int	(*sink)(struct http_call *, int64_t offset, const void *, size_t);
	/*
	 * Optional second opinion on an answer (not asked for transport failures): lets
	 * auth turn 401 into one refresh and HTTP_RETRY.  Default: 2xx OK, the list above
	 * RETRY, else FAIL.
	 */
	enum http_verdict (*judge)(struct http_call *, const struct http_response *,
		    int *ret_delay_ms);
	/*
	 * The end, on its network thread: must not block.  ok: last answer was OK.  err
	 * describes the last failure otherwise (kind, resource, cause, status) and may be refined.
	 */
	void	(*done)(struct http_call *, int ok, struct err *);
	/*
	 * Optional: once, on its network thread, when a try that somebody waits for (priority
	 * 0, perhaps since a moment ago) has had no answer's first line for slow_ms.  It may
	 * submit another call; must not block.
	 */
	void	(*slow)(struct http_call *);
	int	 slow_ms;
	int	 stall_ms;		/* resumable: no byte of a begun body; 0: as any stall */
	void	*arg;				/* the caller's */
	int64_t	 deadline_ms;			/* clock_ms(); 0: 5 minutes from submit */
	size_t	 body_max;			/* kept without sink; 0: 1 MiB; more fails */
	int	 max_tries;			/* 0: as http_options says */
	int	 resumable;			/* a short body goes on at body_received */
	int	 priority;			/* 0 demand, 1 prefetch, 2 background */
	/* Read-only for the caller. */
	struct http_response response;
	int	 tries;				/* so far */
	struct arena scratch;			/* for prepare */
	void	*engine;			/* the engine's own */
};

/* The call must live until done() was called.  Any thread. */
void	http_submit(struct http *, struct http_call *);
/* End early: done() comes soon with ERR_UNREACHABLE "cancelled".  Any thread, not in done(). */
void	http_cancel(struct http *, struct http_call *);
/* Somebody waits for it now: priority 0.  As http_cancel(). */
void	http_hurry(struct http *, struct http_call *);
/* Submit and wait.  done is ours.  0, or -1 with *err.  Not on a network thread. */
int	http_do(struct http *, struct http_call *, struct err *);
/* What is thought of an answer without judge(); for judges that only know some cases. */
enum http_verdict http_default_verdict(const struct http_response *);
/* Free what a finished call holds (scratch, error_body). */
void	http_call_done(struct http_call *);

/* URL without its query, for messages; lives in buf. */
const char *http_printable_url(const char *url, char *buf, size_t size);

#endif
