#ifndef AZURE_GEN1_H
#define AZURE_GEN1_H

/*
 * gen1 -- ADLS Gen1 as an implementation of store.h: WebHDFS over https, JSON, bearer tokens.
 *
 * The service was retired on 29 February 2024; what answers today is a server that stands in for
 * it (an endpoint of the datastore), and the simulator of the tests.  An account is one tree:
 * names are paths from its root, directories are entries of their own.  gen1.c has single
 * operations, gen1_list.c pages through directories, gen1_read.c reads ranges, gen1_write.c
 * uploads.
 *
 * There are no ETags and no conditions.  What stands for an ETag is made of modificationTime (in
 * ms) and length.  What is promised:
 *   - a read of a known version asks for the file's status once its bytes are here, and gives
 *     them out then: bytes of another version never are, unless a write within one millisecond
 *     left the length as it was.  It costs a second, small request a range, and the range's size
 *     in memory while it is under way;
 *   - an upload goes to a name of its own and is renamed when the service has all of it: readers
 *     see the old file or the new one.  A condition is looked at just before, so of two writers
 *     in that moment the later wins.
 *
 * Sources: Azure/azure-data-lake-store-python azure/datalake/store/{lib,core}.py and
 * tests/recordings (a rename keeps the modificationTime: test_move.yaml; continuationToken:
 * test_chmod.yaml); Azure/azure-data-lake-store-java src/main/java/com/microsoft/azure/datalake/
 * store/{Core,ADLFileInputStream,ADLFileOutputStream}.java, src/test/java/com/contoso/
 * liveservicetests/TestFileSdk.java ("false" for what is not there).
 */

#include "azure/blob.h"
#include "base/json.h"

/* One request; gen1_op_init, then the fields.  Strings are borrowed until it is over. */
struct gen1_op {
	struct http_call call;
	struct store	*store;
	const char	*method, *op;
	const char	*name;		/* from the root; "": the root */
	const char	*shown;		/* name for errors; NULL: the same */
	const char	*query;		/* encoded, with a '&' in front; "" none */
	int		 body_fd;	/* -1: no body */
	int64_t		 body_offset;
	size_t		 body_len;
	char		 request_id[BLOB_REQUEST_ID_SIZE];
	uint64_t	 generation;
};

void	gen1_op_init(struct gen1_op *, struct store *, const char *what, const char *method,
	    const char *name_of_op, const char *name);
/* Runs it and waits.  On failure err is explained.  Call gen1_op_done in any case. */
int	gen1_op_run(struct gen1_op *, struct err *);
void	gen1_op_done(struct gen1_op *);

/* What reads need besides. */
const char *gen1_url(const struct store *, const char *op, const char *name, const char *query,
	    struct arena *);
enum http_verdict gen1_judge(struct store *, uint64_t generation, const struct http_response *,
	    int *ret_delay_ms);
/* A failure of the service on name; one of the retired service itself says so. */
void	gen1_explain(struct store *, const struct http_response *, const char *name, int writing,
	    struct err *);
/* The resource of an error of ours.  -1. */
int	gen1_failed_on(const struct store *, const char *name, struct err *);
/* -1: the answer to GETFILESTATUS is none. */
int	gen1_read_status(const struct http_response *, struct store_attr *ret);

/* A FileStatus; -1: a member is missing or strange. */
int	gen1_read_attr(const struct json *, struct store_attr *ret);

/*
 * An answer to LISTSTATUS: fn is told each entry, until it returns non-zero; then 1.
 * *ret_more: there is another page, after the name in *next.  asked: listSize.
 * fails  ERR_PROTOCOL
 */
typedef int gen1_entry_fn(void *arg, const char *suffix, const struct store_attr *);
int	gen1_read_page(const char *text, size_t len, int64_t asked, gen1_entry_fn *fn, void *arg,
	    struct buf *next, int *ret_more, struct err *err);

/* The operations of gen1_backend; as in store.h. */
int	gen1_list(struct store *, const char *prefix, int delimited, int max_results,
	    store_entry_fn *, void *arg, struct err *);
int	gen1_probe(struct store *, const char *prefix, struct err *);
int	gen1_stat(struct store *, const char *name, int exact, struct store_attr *, struct err *);
void	gen1_read_submit(struct store_read *);
int	gen1_read(struct store *, const char *name, const char *etag, int64_t offset, void *buf,
	    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *);
int	gen1_upload(struct store *, const char *name, int fd, int64_t size, const char *if_match,
	    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
	    struct err *);
int	gen1_delete(struct store *, const char *name, struct err *);
int	gen1_rename(struct store *, const struct store_rename *, char ret_etag[HTTP_ETAG_MAX],
	    struct err *);

#endif
