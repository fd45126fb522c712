#ifndef AZSIM_ACL_H
#define AZSIM_ACL_H

/*
 * acl -- access control lists of accounts with a hierarchical namespace.
 *
 * One entry a named user and path; only who has no fitting data role is asked
 * for one.  An entry with default=1 stands for the paths below as well, which is
 * what children made under a default ACL would have; owners, groups and masks
 * are not simulated: without an entry there is no permission.
 *
 * learn.microsoft.com "Access control lists (ACLs) in Azure Data Lake Storage", the table
 * "Common scenarios related to ACL permissions".
 */

#include <pthread.h>

struct acl {
	struct acl *next;
	char	*oid, *account, *container, *path;	/* path: "" the root */
	char	 permissions[4];	/* of "rwx", '-' where there is none */
	int	 is_default;
};

struct acls {
	pthread_rwlock_t lock;		/* guards list */
	struct acl *list;
};

/* "oid=,account=,container=,path=,permissions=r-x[,default=1]"; -1: bad words. */
int	acl_add(struct acls *, const char *text);
void	acl_drop_all(struct acls *);

enum acl_need { ACL_READ, ACL_WRITE, ACL_LIST, ACL_TRAVERSE };
/* path: of the blob, or of the directory that is listed.  1: allowed. */
int	acl_allows(struct acls *, const char *oid, const char *account, const char *container,
	    const char *path, enum acl_need);

#endif
