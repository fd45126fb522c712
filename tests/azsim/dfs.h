#ifndef AZSIM_DFS_H
#define AZSIM_DFS_H

/*
 * dfs -- the Data Lake Storage Gen2 endpoint of the Blob service's accounts.
 *
 * The same accounts, containers and blobs as blob.h: what one endpoint writes the
 * other shows.  A request is host-style (Host: ACCOUNT.dfs.SUFFIX) or path-style; on
 * a path-style host both endpoints have one address, and what only this one knows
 * (resource=, action=, recursive=, mode= or continuation= in the query,
 * x-ms-rename-source) tells them apart, which is how the official clients, that
 * rewrite only ".blob." and ".dfs." of a host, use both there.
 *
 * Operations on names want a hierarchical namespace.  Refusals are JSON.
 *
 * An account with onelake=1 is OneLake: tokens alone, workspaces for containers, items
 * and their first folders cannot be changed, access control is not set.
 *
 * learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path (create, update, delete,
 * list, get-properties, with their tables of codes); renaming over directories as Apache Arrow's
 * cpp/src/arrow/filesystem/azurefs.cc found it; MicrosoftDocs/fabric-docs
 * docs/onelake/onelake-api-parity.md.
 */

#include "exchange.h"

int	dfs_route(struct exchange *);
int	dfs_handle(struct exchange *);
/* The refusal that ex->code says, as JSON with this message. */
int	dfs_answer_refusal(struct exchange *, int status, const char *code, const char *message);

/* dfs_path.c */
int	dfs_list(struct exchange *);
int	dfs_create(struct exchange *);
int	dfs_delete(struct exchange *);
int	dfs_append(struct exchange *);
int	dfs_flush(struct exchange *);
int	dfs_get_status(struct exchange *);
/* dfs_rename.c */
int	dfs_rename(struct exchange *);
/* dfs_access.c */
int	dfs_set_access(struct exchange *);
int	dfs_set_access_recursive(struct exchange *);
/* x-ms-permissions, x-ms-umask of a new path.  -1: recorded. */
int	dfs_read_permissions(struct exchange *, int is_dir, struct access *ret);
/* As x-ms-permissions and listings spell it. */
#define ACCESS_SYMBOLIC_SIZE	10
const char *access_symbolic(const struct access *, int is_dir, char out[ACCESS_SYMBOLIC_SIZE]);
const char *access_owner(const struct access *);
const char *access_group(const struct access *);
void	access_add_acl(const struct access *, int is_dir, struct buf *to);
/* The path's version and access, lock held for reading until dfs_unlook; -1: recorded. */
struct dfs_seen {
	struct container *container;
	struct blob *blob;		/* NULL: the root */
};
int	dfs_look(struct exchange *, struct dfs_seen *ret, int writing);
void	dfs_unlook(struct dfs_seen *);
void	dfs_add_access(struct exchange *, const struct access *, int is_dir, int with_acl);

/* 1: OneLake keeps this name for itself: an item, a folder right below it. */
int	dfs_is_managed(const struct account *, const char *path);

#endif
