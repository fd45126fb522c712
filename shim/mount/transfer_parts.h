#ifndef MOUNT_TRANSFER_PARTS_H
#define MOUNT_TRANSFER_PARTS_H

/*
 * transfer_parts -- what downloads and uploads share: the process, what it tells init.
 *
 * transfer.c begins and reports; download.c, download_url.c and upload.c copy.  Nobody else
 * includes this.
 */

#include <pthread.h>
#include <sys/stat.h>

#include "azure/http.h"
#include "azure/store.h"
#include "base/wire.h"
#include "mount/journal.h"
#include "mount/pool.h"
#include "mount/transfer.h"

#define TRANSFER_FIRST_MS (30 * 1000)	/* of the first page of a listing: init waits for it */

struct transfer {
	const struct transfer_options *opt;
	const struct plan_access *access;
	struct cred	*cred;
	struct http	*http;
	struct store	*store;			/* NULL: a public address */
	int		 target_fd;
	struct journal	*journal;		/* NULL: none */
	struct pool	 pool;
	int64_t		 deadline_ms;		/* of the upload; 0: none */
	pthread_mutex_t	 lock;			/* guards the rest; nothing is locked inside */
	struct err	 failure;		/* the first; kind NONE: none */
	struct wire_stats stats;
	int64_t		 files_found, bytes_found;	/* so far; stats' totals once all are */
	int64_t		 told, next_ms;		/* of transfer_progress; no lock: one thread's */
};

/* HTTP, the store unless it is a public address, the target directory; or it ends. */
void	transfer_begin(struct transfer *, const struct transfer_options *, size_t connections);
void	transfer_open_journal(struct transfer *, const char *what);
void	transfer_send(struct transfer *, enum wire_type, const struct err *);
/* WIRE_PROGRESS about once a second, if there is any: init takes it as a sign of life. */
void	transfer_progress(struct transfer *);
/* Downloads a->url.  Does not return. */
void	transfer_url_main(const struct transfer_options *) __attribute__((noreturn));
void	transfer_fail(struct transfer *, const struct err *) __attribute__((noreturn));
/* The first one counts; lanes begin nothing more. */
void	transfer_keep_failure(struct transfer *, const struct err *);
/* 1: init wants us to end.  If init is gone, so are we. */
int	transfer_told_to_stop(struct transfer *, int wait_ms, int64_t *ret_value);
void	transfer_found(struct transfer *, int64_t bytes);
void	transfer_all_found(struct transfer *);
void	transfer_count(struct transfer *, int64_t *counter, int64_t n);
/* How many pieces of so many bytes; at least 1. */
size_t	transfer_pieces(int64_t size, int64_t piece);
/* The blob of a file below the target; the caller frees it. */
char	*transfer_blob(const struct transfer *, const char *relative);
/* What tells one state of a local file from another, and the ETag it belongs to. */
uint64_t transfer_fingerprint(const char *etag, const struct stat *);

#endif
