#ifndef AZSIM_BLOB_H
#define AZSIM_BLOB_H

/*
 * blob -- the Blob service: routing, and the table of operations.
 *
 * A request is host-style (Host: ACCOUNT.blob.SUFFIX) or path-style
 * (/ACCOUNT/CONTAINER/NAME).  blob_handle checks what the service's front end
 * checks, in its order: network, version, authentication, query, headers,
 * authorization; then it runs the operation.
 *
 * learn.microsoft.com/rest/api/storageservices, one page an operation;
 * Azure/azure-rest-api-specs specification/storage/data-plane/Microsoft.BlobStorage.
 */

#include "exchange.h"
#include "sum.h"

enum blob_level { LEVEL_SERVICE, LEVEL_CONTAINER, LEVEL_BLOB };

struct blob_op {
	const char *name, *method;
	enum blob_level level;
	const char *restype, *comp;	/* NULL: must be absent */
	int	 is_copy;		/* x-ms-copy-source is there; -1: of no interest */
	const char *params;		/* query parameters it takes, between spaces */
	const char *letters;		/* of a SAS: one of them is enough; NULL: no service SAS */
	const char *account_letters;	/* the same of an account SAS */
	enum role_kind role;
	int	(*run)(struct exchange *);
};

int	blob_route(struct exchange *);
int	blob_handle(struct exchange *);

/* blob_service.c */
int	blob_list_containers(struct exchange *);
int	blob_get_account_info(struct exchange *);
int	blob_get_user_delegation_key(struct exchange *);
int	blob_create_container(struct exchange *);
int	blob_delete_container(struct exchange *);
int	blob_get_container(struct exchange *);
int	blob_set_container_metadata(struct exchange *);
/* blob_list.c */
int	blob_list(struct exchange *);
/* blob_read.c */
int	blob_get(struct exchange *);
int	blob_get_properties(struct exchange *);
int	blob_get_block_list(struct exchange *);
/* blob_write.c */
int	blob_put(struct exchange *);
int	blob_put_block(struct exchange *);
int	blob_put_block_list(struct exchange *);
int	blob_delete(struct exchange *);
int	blob_set_metadata(struct exchange *);
int	blob_set_properties(struct exchange *);
/* blob_copy.c */
int	blob_copy(struct exchange *);
int	blob_abort_copy(struct exchange *);

/* What the operations share (blob.c). */

/* ACCOUNT of ACCOUNT.SERVICE.SUFFIX[:PORT], service with its dots; NULL: it is no such host. */
char	*blob_account_of_host(struct exchange *, const char *service);
int	blob_is_container_name(const char *);
int	blob_is_name(const char *);
/* On HNS who makes it owns it; keys and SAS leave it to $superuser. */
void	blob_own(const struct exchange *, struct version *);

#define ETAG_SIZE	24
void	blob_etag(uint64_t etag, char out[ETAG_SIZE]);	/* without quotes */
/* The container, or NULL with ContainerNotFound recorded. */
struct container *blob_container(struct exchange *);
/* ETag, Last-Modified. */
void	blob_add_identity(struct exchange *, const struct version *);
/* A body of known length into a new extent; sum (may be NULL) sees all.  -1: as a handler. */
int	blob_receive(struct exchange *, struct sum *sum, struct extent **ret);
/* x-ms-meta-* of the request; -1: recorded. */
int	blob_read_meta(struct exchange *, struct pairs *ret);
/* Version of the request is at least this; none counts as the oldest. */
int	blob_version_from(const struct exchange *, const char *version);

struct conditions {
	const char *match, *none_match;	/* NULL: not given */
	int64_t	 modified_since, unmodified_since;	/* 0: not given */
};
/* source: those of a copy's source.  -1: recorded. */
int	conditions_read(struct exchange *, int source, struct conditions *ret);
/* now NULL: nothing is there.  -1: recorded. */
int	conditions_check_write(struct exchange *, const struct conditions *,
	    const struct version *now);
int	conditions_check_read(struct exchange *, const struct conditions *,
	    const struct version *now);
int	conditions_check_source(struct exchange *, const struct conditions *,
	    const struct version *now);

#endif
