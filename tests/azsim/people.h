#ifndef AZSIM_PEOPLE_H
#define AZSIM_PEOPLE_H

/*
 * people -- who exists in the simulated directory, and what they may do.
 *
 * Identities are fixed at the start.  Role assignments can change; they are
 * data-plane roles (Storage Blob Data Reader, Contributor) on an account or on
 * one of its containers.
 */

#include <pthread.h>
#include <stddef.h>

#include "jwt.h"

#define PEOPLE_TENANT	"72f988bf-0000-4000-8000-2d7cd011db47"

enum person_kind { PERSON_SYSTEM, PERSON_ASSIGNED, PERSON_USER };

struct person {
	struct person *next;
	enum person_kind kind;
	char	*client_id, *object_id, *resource_id, *upn, *tenant;	/* "" if none */
};

enum role_kind { ROLE_NONE, ROLE_READER, ROLE_CONTRIBUTOR, ROLE_OWNER, ROLE_ACR_PULL };

struct role {
	struct role *next;
	enum role_kind kind;
	char	*oid, *account, *container;	/* account, container: NULL: all */
};

struct people {
	struct person *list;		/* in the order they were added */
	char	*tenant;		/* of this directory */
	struct jwt_key key;
	pthread_rwlock_t lock;		/* guards roles */
	struct role *roles;
};

/*
 * "kind=system|user-assigned|user,client_id=,object_id=,resource_id=,upn=,tenant="; what is left
 * out is derived from the order.  -1: bad words.
 */
int	people_add(struct people *, const char *text);
/* "oid=,role=reader|contributor|owner|acrpull,account=,container="; -1: bad words. */
int	people_add_role(struct people *, const char *text);
void	people_drop_roles(struct people *, const char *oid);	/* NULL: all */

/* How a token endpoint's query names an identity; NULL: not by this. */
struct person_selector {
	const char *client_id, *object_id, *resource_id;
};
/* A managed identity, or NULL.  *ret_many: none was named and there are several. */
const struct person *people_find(const struct people *, const struct person_selector *,
	    int *ret_many);
const struct person *people_user(const struct people *);	/* the submitter; NULL */

enum role_kind people_role(struct people *, const char *oid, const char *account,
	    const char *container);
/* 1: has AcrPull on the registry. */
int	people_may_pull(struct people *, const char *oid, const char *registry);
/* 1: a resource that tokens are known to exist for. */
int	people_knows_resource(const char *resource);
void	people_claims(const struct people *, const struct person *, const char *resource,
	    int64_t lifetime_s, struct jwt_claims *ret);

#endif
