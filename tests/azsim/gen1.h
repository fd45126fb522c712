#ifndef AZSIM_GEN1_H
#define AZSIM_GEN1_H

/*
 * gen1 -- ADLS Gen1: WebHDFS on accounts made with gen1=1.
 *
 * Host-style (ACCOUNT.azuredatalakestore.net/webhdfs/v1/PATH, whatever the suffix) or with the
 * account as the first segment of the path.  The account's one tree is the container "root" of
 * the model, which is how tests put files there (control.h).  Data roles, which the service has
 * none of, stand for entries of access control lists on everything: who has none is asked for
 * those of acl.h.
 *
 * What is known of the service is what its last clients and their recordings tell:
 * Azure/azure-data-lake-store-python azure/datalake/store/{lib,core}.py, tests/recordings/
 * test_core (shapes, headers, texts of refusals), Azure/azure-data-lake-store-java Core.java
 * and TestFileSdk.java; where they are silent, Hadoop's "WebHDFS REST API" and "FileSystem
 * specification" (a rename onto a directory moves into it; an offset behind the end is refused).
 * Not simulated: leases, expiry, concatenation, access control lists that can be set.
 */

#include "exchange.h"

#define GEN1_CONTAINER	"root"

int	gen1_route(struct exchange *);		/* -1: not for us */
int	gen1_handle(struct exchange *);
/* The JSON that stands for ex->code. */
void	gen1_answer_refusal(struct exchange *, int status);	/* 0: the code's own */

/* The operations (gen1_op.c). */
int	gen1_list_status(struct exchange *);
int	gen1_get_file_status(struct exchange *);
int	gen1_open(struct exchange *);
int	gen1_create(struct exchange *);
int	gen1_append(struct exchange *);
int	gen1_mkdirs(struct exchange *);
int	gen1_rename(struct exchange *);
int	gen1_delete(struct exchange *);
/* 1: the caller may; path "" is the root. */
enum gen1_need { GEN1_TRAVERSE, GEN1_READ, GEN1_LIST, GEN1_WRITE };
int	gen1_may(struct exchange *, const char *path, enum gen1_need);

#endif
