#ifndef AZURE_BLOB_H
#define AZURE_BLOB_H

/*
 * blob -- what the parts of the Blob implementation of store.h share.
 *
 * blob.c builds and runs single requests, blob_list.c pages through listings,
 * blob_read.c reads ranges, blob_write.c uploads whole files, blob_block.c has the
 * blocks of large ones, dfs.c does what only the dfs endpoint can.  Beside them only gen1.h
 * includes this, for what is not of Blob alone: request ids, deadlines, refused credentials,
 * reasons.
 */

#include <stdint.h>

#include "azure/backend.h"

#define BLOB_HEADERS_MAX	6
#define BLOB_REQUEST_ID_SIZE	40
#define BLOB_SETS_ACCESS	2

enum { PROPS_HEADERS = 1, PROPS_METADATA = 2, PROPS_SUM = 4 };

/* One request; zeroed, then blob_op_init.  Strings are borrowed until it is over. */
struct blob_op {
	struct http_call call;
	struct store	*store;
	const char	*method;
	const char	*name;		/* of the blob; NULL: the container itself */
	const char	*query;		/* encoded; NULL: none */
	struct http_header headers[BLOB_HEADERS_MAX];
	size_t		 nheaders;
	const void	*body;
	size_t		 body_len;
	int		 body_fd;
	int64_t		 body_offset;
	const char	*copy_from;	/* name of the blob to copy, NULL: none */
	const char	*rename_from;	/* name of the path to rename, NULL: none */
	int		 is_dfs;	/* for the dfs endpoint */
	int		 writing;	/* or BLOB_SETS_ACCESS */
	const char	*props_name;	/* whose properties it gets; NULL: those of name */
	const char	*props;		/* headers that set these (props.h); NULL: none */
	int		 props_what;	/* of PROPS_HEADERS, PROPS_METADATA, PROPS_SUM */
	struct arena	 mem;		/* of props */
	void		*owner;		/* the submitter's */
	char		 request_id[BLOB_REQUEST_ID_SIZE];
	uint64_t	 generation;
};

void	blob_op_init(struct blob_op *, struct store *, const char *what, const char *method,
	    const char *name);
void	blob_op_header(struct blob_op *, const char *name, const char *value);
/* NULL: none; "*": must not exist; else the ETag that must match. */
void	blob_op_condition(struct blob_op *, const char *if_match);
/* When began_ms was, by the service's clock, or a little before; 0: not known. */
int64_t	blob_since_s(const struct http_response *, int64_t began_ms);
/* It writes a blob whole: with what store_options.props_of has for it. */
void	blob_op_props(struct blob_op *);
/* Runs it and waits.  On failure err is explained.  Call blob_op_done in any case. */
int	blob_op_run(struct blob_op *, struct err *);
void	blob_op_done(struct blob_op *);
/*
 * The same for a write that makes a blob of size bytes, when its answer may get lost:
 * is_ours tells whether the blob that is there now is what op has sent; since_s: when
 * we began, by the service's clock (0: not known).
 */
int	blob_op_create(struct blob_op *, const char *if_match, int64_t size,
	    int (*is_ours)(void *, const struct store_attr *now, int64_t since_s), void *arg,
	    char etag[HTTP_ETAG_MAX], struct err *);

/* What both kinds of callers need: a URL, a verdict that refreshes credentials, a reason. */
const char *blob_url(const struct store *, const char *name, const char *query, struct arena *);
enum http_verdict blob_judge(struct store *, uint64_t generation, const struct http_response *,
	    int *ret_delay_ms);
void	blob_explain(struct store *, const struct http_response *, int writing, struct err *);
/* A new x-ms-client-request-id. */
void	blob_request_id(char out[BLOB_REQUEST_ID_SIZE]);
int64_t	blob_deadline(const struct store *);
/* Asks for the namespace: 1 it is hierarchical, 0 it is not, or nobody knows. */
int	blob_find_hns(struct store *, const char *near);
/* HEAD. */
int	blob_head(struct store *, const char *name, struct store_attr *ret,
	    struct http_response *ret_response, struct err *);

/* 1: a file has that name, no directory. */
int	blob_is_file(struct store *, const char *name);

/* The operations of blob_backend that stand in other files than blob.c; as in store.h. */
int	blob_list(struct store *, const char *prefix, int delimited, int max_results,
	    store_entry_fn *, void *arg, struct err *);
int	blob_stat(struct store *, const char *name, int exact, struct store_attr *, struct err *);
int	blob_probe(struct store *, const char *prefix, struct err *);
void	blob_read_submit(struct store_read *);
int	blob_read(struct store *, const char *name, const char *etag, int64_t offset, void *buf,
	    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *);
int	blob_upload(struct store *, const char *name, int fd, int64_t size, const char *if_match,
	    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
	    struct err *);
void	blob_put_submit(struct store_put *);
void	blob_put_cancel(struct store_put *);
int	blob_commit(struct store *, const char *name, const struct store_block *, size_t n,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
/* With the properties of the blob that will have the name as. */
int	blob_commit_as(struct store *, const char *name, const char *as,
	    const struct store_block *, size_t n, const char *if_match,
	    char ret_etag[HTTP_ETAG_MAX], struct err *);
int	blob_list_blocks(struct store *, const char *name, struct arena *,
	    struct store_block **ret, size_t *ret_n, char ret_etag[HTTP_ETAG_MAX], struct err *);

#endif
