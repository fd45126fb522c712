#ifndef AZURE_STORE_H
#define AZURE_STORE_H

/*
 * store -- one container (or prefix) of a storage account: list, stat, read, write.
 *
 * The seam between the mount and the services.  store.c finds the implementation
 * (backend.h); blob.c is the one over the Blob endpoint, also for ADLS Gen2 accounts
 * and OneLake, whose data it serves; what only the dfs endpoint can do with names there
 * is in dfs.c.  gen1.h is the one of ADLS Gen1, whose account is one tree without containers.
 * Names are decoded blob names from the container's root.
 * Everything is synchronous but store_read_submit, which the read path uses to keep
 * many ranges in flight.
 * Retries, tokens and signing happen below.
 *
 * Sources: Azure/azure-rest-api-specs specification/storage/data-plane/Microsoft.BlobStorage;
 * learn.microsoft.com/rest/api/storageservices.
 */

#include <stddef.h>
#include <stdint.h>

#include "azure/auth.h"
#include "azure/http.h"
#include "base/err.h"
#include "spec/spec.h"

struct store_options {
	/* SPEC_GEN1: WebHDFS; any other: the Blob endpoint.  Of SPEC_ONELAKE items and their
	   first folders are not ours to change. */
	enum spec_store_type kind;
	const char	*base_url;	/* "https://ACCT.blob.SUFFIX" or ".../ACCT" */
	const char	*account, *container;	/* Gen1 has no container */
	int		 hns;		/* it is known to have a hierarchical namespace */
	int		 access;	/* modes and owners are asked for, where there are any */
	struct cred	*cred;		/* borrowed */
	struct http	*http;		/* borrowed */
	const char	*version;	/* x-ms-version; NULL: AUTH_STORAGE_VERSION */
	int64_t		 timeout_ms;	/* per operation, retries included; 0: 5 minutes */
	/* For errors: whose name the datastore has, as whom it is used.  NULL: not told. */
	const char	*datastore, *identity;
	int		 is_output;	/* rights to write are needed in any case */
	/*
	 * What shall stand beside the bytes of a blob that is written whole: asked for each
	 * Put Blob and Put Block List, which replace all of it.  Text as in props.h; NULL:
	 * nothing.  May be NULL.
	 */
	const char	*(*props_of)(void *arg, const char *name, struct arena *mem);
	void		*props_arg;
};
struct plan_access;
/* What the plan says of it; all else is the caller's. */
struct store_options store_options_of(const struct plan_access *);
struct store;
struct store *store_new(const struct store_options *, struct err *);
void	store_free(struct store *);
/*
 * The dfs endpoint beside a Blob endpoint, to be freed: ".blob." becomes ".dfs.", the only part
 * of a host that is ever rewritten.  Where the account is in the path one address serves both.
 */
char	*store_dfs_url(const char *base_url);
/* 1: the SAS is for one blob (sr=b), and cannot list. */
int	store_is_single(const struct store *);
/* Of the operations that start from now on; 0: 5 minutes. */
void	store_set_timeout(struct store *, int64_t timeout_ms);

#define STORE_NAME_MAX	1024		/* characters of a blob name (up to 4 bytes each) */

/* What a hierarchical account keeps of a path; owners that are no numbers are not told. */
struct store_access {
	unsigned int	 has_mode : 1, has_uid : 1, has_gid : 1;
	uint32_t	 mode, uid, gid;
};

struct store_attr {
	int64_t	size;
	int64_t	mtime_unix_s;
	char	etag[HTTP_ETAG_MAX];	/* with quotes, as If-Match wants it */
	int	is_dir;			/* marker blob, BlobPrefix or HNS directory */
	struct store_access access;	/* if store_options.access */
	int	is_link;		/* metadata is_symlink=true: the bytes are the target */
	long	mtime_ns;		/* of a mtime that metadata told of (props.h) */
	/*
	 * Stored headers and metadata (props.h); NULL: not known.  Borrowed in a listing;
	 * of store_stat() the caller's to free.
	 */
	char	*props;
};

/* Return non-zero to stop.  name is the full blob name; a directory's has no trailing '/'. */
typedef int store_entry_fn(void *arg, const char *name, size_t len, const struct store_attr *);

/*
 * List prefix ("" or ending in '/') one level deep (delimited != 0) or all below it.
 * Pages are followed; a blob and a prefix of the same name are both reported.
 * Metadata is asked for, so that hdi_isfolder markers are directories.
 */
int	store_list(struct store *, const char *prefix, int delimited, int max_results,
	    store_entry_fn *, void *arg, struct err *);

/*
 * One name: file or directory (explicit or implicit), by one List of the name
 * as prefix; with a SAS for a single blob (sr=b) or exact != 0 by HEAD.
 * fails  ERR_NOT_FOUND
 */
int	store_stat(struct store *, const char *name, int exact, struct store_attr *ret,
	    struct err *);

/* HEAD of the container; what the mount asks first.  Denied listings are told apart. */
int	store_probe(struct store *, const char *prefix, struct err *);

/*
 * A ranged read, asynchronous.  sink gets the bytes of [offset, offset+len) in
 * order, with If-Match: etag ("" = none); a blob that changed is ERR_CHANGED.
 * Short bodies are resumed.  done is called once, on the network thread.
 */
struct store_read {
	/* Filled by the caller. */
	struct store	*store;
	const char	*name;		/* borrowed until done */
	char		 etag[HTTP_ETAG_MAX];
	int64_t		 offset;
	size_t		 len;
	int		 priority;
	int64_t		 deadline_ms;
	int	(*sink)(struct store_read *, size_t at, const void *, size_t); /* at: from offset */
	void	(*done)(struct store_read *, struct err *err);	/* err NULL: all bytes came */
	void		*arg;
	/* The store's own. */
	struct http_call call;
	size_t		 received;
	int		 short_ok, fault;
	char		*held;		/* bytes, and ... */
	struct err	*failure;	/* kept while it is looked whether the file changed */
	char		 request_id[40];
	uint64_t	 generation;
	struct blob_second *second;	/* the same once more, when the first was slow */
};
void	store_read_submit(struct store_read *);
/* Somebody waits for it now: it goes before what nobody waits for.  Between submit and done. */
void	store_read_hurry(struct store_read *);
/* Whole small read, waits: len bytes at offset into buf; *ret_len is less at the blob's end. */
int	store_read(struct store *, const char *name, const char *etag, int64_t offset, void *buf,
	    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *);

/*
 * Upload size bytes of fd as blob name: one Put Blob up to STORE_SINGLE_MAX, else blocks
 * in parallel and one Put Block List.  if_match: NULL none, "*" = must not exist
 * (If-None-Match: *), else an ETag.  ret_etag may be NULL.
 * progress (may be NULL) is told, on the caller's thread, how many bytes more
 * were acknowledged.
 */
#define STORE_SINGLE_MAX	((int64_t)8 << 20)	/* over 4 MiB: the service's fast path */
int	store_upload(struct store *, const char *name, int fd, int64_t size, const char *if_match,
	    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
	    struct err *);

/*
 * A large blob block by block: put in any order, then named in a list, which makes
 * the blob at once.  What is put is seen by nobody before.  Blocks that no list of
 * the blob has named are gone with the next list that is committed, with a Put Blob,
 * or after a week; a list names what is committed already as well, and that costs
 * nothing.  All ids of one blob have one length, those that others gave included.
 * A service may have no blocks (store_has_blocks): then store_upload() is what there is.
 *
 * Sources: learn.microsoft.com/rest/api/storageservices put-block, put-block-list,
 * get-block-list.
 */
#define STORE_BLOCKS_MAX	50000
#define STORE_BLOCK_ID_SIZE	89	/* base64 of at most 64 bytes, and a NUL */

int	store_has_blocks(const struct store *);
/*
 * Blocks or their list were refused so: 1, what stands there takes none (another endpoint of a
 * hierarchical account wrote it), but store_upload() knows a way.
 */
int	store_takes_no_blocks(const struct store *, const struct err *);
/* Of block i of a new blob: 8 MiB, twice as much after each 5,000, so that 38 TiB fit. */
int64_t	store_block_size(size_t i);

/* Ids that nobody else gives. */
struct store_ids {
	unsigned char	random[8];
	uint32_t	next;
	size_t		raw_len;
};
/* like: an id whose length they must have; NULL: any.  -1: such ids cannot be made. */
int	store_ids_init(struct store_ids *, const char *like);
void	store_ids_next(struct store_ids *, char id[STORE_BLOCK_ID_SIZE]);

struct store_put {
	/* Filled by the caller. */
	struct store	*store;
	const char	*name;		/* borrowed until done, like fd */
	char		 id[STORE_BLOCK_ID_SIZE];
	int		 fd;
	int64_t		 offset;
	size_t		 len;
	/* Called once, on the network thread.  err NULL: the service has it. */
	void		(*done)(struct store_put *, struct err *err);
	void		*arg;
	/* The store's own, but for length_differs: the blob has ids of another length. */
	int		 length_differs;
	void		*op;
};
void	store_put_submit(struct store_put *);
/* End early: done() comes soon.  Before done() has returned; not on the network thread. */
void	store_put_cancel(struct store_put *);

struct store_block {
	const char	*id;
	int64_t		 size;
	int		 is_committed;
};
/*
 * The blob is these blocks from now on; conditions as for store_upload().
 * returns  0; 1: some of them are not there any more (err is filled); -1
 */
int	store_commit(struct store *, const char *name, const struct store_block *, size_t n,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
/* The blocks of a blob, committed ones first, in mem. */
int	store_list_blocks(struct store *, const char *name, struct arena *mem,
	    struct store_block **ret, size_t *ret_n, char ret_etag[HTTP_ETAG_MAX], struct err *);

/* A symbolic link: the target as bytes, and metadata that says so.  fails: EEXIST */
int	store_symlink(struct store *, const char *name, const char *target,
	    char ret_etag[HTTP_ETAG_MAX], struct err *);
/*
 * Replace a blob's metadata (metadata != 0) or its stored headers by those of props,
 * if it still has this ETag.
 */
int	store_set_props(struct store *, const char *name, const char *props, int metadata,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
/* Missing is success. */
int	store_delete(struct store *, const char *name, struct err *);
/*
 * A directory, or on flat accounts what stands for one: a zero-length blob with
 * hdi_isfolder=true.  Existing is success.  fails: EEXIST, a file has that name
 */
int	store_mkdir(struct store *, const char *name, struct err *);
/*
 * Server-side copy inside the container, polled until done.  if_match: the ETag that from must
 * have (ERR_CHANGED), NULL any.
 */
int	store_copy(struct store *, const char *from, const char *to, const char *if_match,
	    char ret_etag[HTTP_ETAG_MAX], struct err *);
/*
 * Has the account a hierarchical namespace?  store_hns tells what is known: 1, or 0 also
 * for "not known".  store_find_hns asks, once, if nobody said: a listing with near as its
 * prefix, which data roles allow (no answer: 0 this time).
 */
int	store_hns(const struct store *);
int	store_find_hns(struct store *, const char *near);

/*
 * The rest returns 1 where the service has no such operation (flat accounts), 0, or -1.
 *
 * A file or directory to another name, at once, with all below it; what stands there is
 * replaced: a file, not a directory.  Parents of the new name that are missing are made.
 * ETags stay as they are.  A repeated request that finds the source gone and its ETag
 * (of a directory: it) under the new name has succeeded the first time.
 */
struct store_rename {
	const char	*from, *to;
	const char	*etag;		/* that from has; "" not known; see store_rename */
	int		 is_dir;
	int		 no_replace;	/* EEXIST if there is something */
	const char	*replaces;	/* ETag that what stands there must have; NULL: any */
};
/*
 * ret_etag may be NULL; "" if nobody told.  A file that has another ETag than it should is renamed
 * all the same, but *ret_etag is the one that it should have: who has the old bytes notices.
 */
int	store_rename(struct store *, const struct store_rename *, char ret_etag[HTTP_ETAG_MAX],
	    struct err *);
int	store_get_access(struct store *, const char *name, struct store_access *ret, struct err *);
/*
 * if_match: ETag that the path must have, NULL: any (else ERR_CHANGED).  ret_etag: the path's from
 * now on, "" if nobody told.
 */
int	store_set_access(struct store *, const char *name, const struct store_access *,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);

/* Existing is success; for tools. */
int	store_create_container(struct store *, struct err *);

#endif
