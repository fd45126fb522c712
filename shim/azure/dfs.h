#ifndef AZURE_DFS_H
#define AZURE_DFS_H

/*
 * dfs -- what only the Data Lake Storage endpoint of a hierarchical account can do: a
 * rename that is one step whatever lies below, directories, owners and modes.
 *
 * It is part of the Blob implementation of store.h: data goes through the Blob endpoint
 * also there, which has the same ranges, conditions and blocks.  URLs differ in ".dfs."
 * for ".blob." alone, requests are signed the same way, refusals are JSON with the same
 * codes.
 *
 * ETags survive a rename on such accounts (apache/hadoop hadoop-tools/hadoop-azure/src/
 * site/markdown/abfs.md, "etags preserved in rename"); they are how a repeated rename
 * knows its own first try.  Where a directory stands in the way the service was seen to
 * time out, empty as it was, and to say PathAlreadyExists if it was not (apache/arrow
 * cpp/src/arrow/filesystem/azurefs.cc): callers take an empty one away first.
 *
 * What this endpoint's append and flush have written has no blocks that the Blob endpoint
 * could replace: blocks are refused, a whole Put Blob is not (MicrosoftDocs/azure-docs
 * articles/storage/blobs/data-lake-storage-known-issues.md).  Large files go beside it
 * then and are renamed over it (blob_write.c).
 *
 * OneLake lets nobody change items and the folders right below them (MicrosoftDocs/
 * fabric-docs docs/onelake/onelake-api-parity.md): EPERM, without asking.
 *
 * learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path (create, update,
 * get-properties); Azure/azure-sdk-for-cpp sdk/storage/azure-storage-files-datalake/src/
 * rest_client.cpp.
 */

#include "azure/blob.h"

/* As in store.h. */
int	dfs_rename(struct store *, const struct store_rename *, char ret_etag[HTTP_ETAG_MAX],
	    struct err *);
int	dfs_get_access(struct store *, const char *name, struct store_access *, struct err *);
int	dfs_set_access(struct store *, const char *name, const struct store_access *,
	    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *);
/* A directory and its parents; existing is success. */
int	dfs_mkdir(struct store *, const char *name, struct err *);

/* -1 with EPERM: the name is one of OneLake's own. */
int	dfs_check_managed(const struct store *, const char *name, struct err *);
/* "rwxr-x---" and names of owners; what is no number is not taken. */
void	dfs_read_access(const char *permissions, const char *owner, const char *group,
	    struct store_access *ret);

#endif
