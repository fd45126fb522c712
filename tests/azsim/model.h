#ifndef AZSIM_MODEL_H
#define AZSIM_MODEL_H

/*
 * model -- accounts, containers, blobs: the state of the simulated storage.
 *
 * Accounts are fixed at the start; some of their settings can change.  A
 * container's names are one ordered skip list under one read-write lock that is
 * never held while bytes move: a reader takes a reference to an immutable
 * struct version and lets go.  Container structures are never freed, a deleted
 * one is only marked and emptied.
 *
 * On an account with a hierarchical namespace directories are entries too
 * (is_dir); model_publish makes the parents.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "depot.h"

#define MODEL_LEVELS	18
#define MODEL_KEY_MAX	64

struct pair {
	char	*name, *value;
};
struct pairs {
	struct pair *list;
	size_t	 n;
};
void	pairs_add(struct pairs *, const char *name, const char *value);
const char *pairs_get(const struct pairs *, const char *name);	/* any case; NULL */
void	pairs_copy(struct pairs *, const struct pairs *from);
void	pairs_done(struct pairs *);

/* A committed block, or the whole of a blob that was put at once (id NULL). */
struct segment {
	struct extent *extent;
	int64_t	 end;			/* offset behind it, in the blob */
	char	*id;			/* base64, as sent */
};

/* Who may what, on accounts with a hierarchical namespace. */
struct access {
	int	 mode;			/* 0: the default of its kind */
	char	*owner, *group, *acl;	/* NULL: $superuser; the list that mode stands for */
};
void	access_copy(struct access *, const struct access *from);
void	access_done(struct access *);

struct version {
	_Atomic int refs;
	int	 is_dir, is_synthetic;
	int	 is_flushed;		/* the dfs endpoint wrote its bytes: it has no blocks */
	struct access access;
	int64_t	 size, created_unix_s, modified_unix_s, modified_ms;
	uint64_t etag;
	uint64_t seed;			/* of a synthetic one */
	struct segment *segments;
	size_t	 nsegments;
	struct pairs headers;		/* Content-Type, ..., as answers name them */
	struct pairs meta;
	char	*copy_id, *copy_source;	/* NULL: not a copy */
	int64_t	 copy_until_ms;		/* clock_ms(): pending before */
	int64_t	 copied_unix_s;
};
/* The same in every way, with a new ETag. */
struct version *version_again(const struct version *);
struct version *version_new(int64_t size);	/* refs 1, a new ETag, the present time */
struct version *version_hold(struct version *);
void	version_drop(struct version *);		/* NULL is fine */
/* Takes over extent and copies id. */
void	version_add_segment(struct version *, struct extent *, const char *id);
int	version_is_pending(const struct version *);

/* The longest run of bytes at offset that lie in a row in one file. */
struct piece {
	int	 fd;
	int64_t	 offset, len;
};
void	version_piece(const struct version *, const struct depot *, int64_t offset,
	    struct piece *ret);

/* A staged block; of two with the same id the later counts. */
struct staged {
	char	*id;
	struct extent *extent;
	uint64_t seq;
};

/* Bytes that were appended through the dfs endpoint and not flushed. */
struct appended {
	int64_t	 position;
	struct extent *extent;
};

struct blob {
	struct version *now;		/* NULL: only uncommitted blocks */
	struct appended *appended;
	size_t	 nappended;
	struct staged *staged;
	size_t	 nstaged, staged_cap;
	size_t	 id_len;		/* of all block ids; 0: none yet */
	char	*name;
	int	 levels;
	struct blob *next[];
};

enum public_access { PUBLIC_NONE, PUBLIC_BLOB, PUBLIC_CONTAINER };

struct container {
	struct container *next;
	struct account *account;
	char	*name;
	pthread_rwlock_t lock;		/* guards all below */
	int	 is_deleted;
	enum public_access public_access;
	int64_t	 modified_unix_s;
	uint64_t etag;
	struct pairs meta;
	struct access root;
	size_t	 count;
	struct blob *head;
};

struct account {
	struct account *next;
	char	*name, *tenant;
	int	 hns, onelake;
	int	 gen1;			/* speaks WebHDFS (gen1.h), not Blob */
	_Atomic int dfs_allow;		/* 0: no way to its dfs endpoint */
	_Atomic int shared_key, network_allow, https_only, public_allowed;
	pthread_rwlock_t lock;		/* guards all below */
	unsigned char key[MODEL_KEY_MAX];
	size_t	 key_len;
	struct container *containers;	/* sorted by name */
};

struct model {
	struct account *accounts;
	struct depot depot;
	_Atomic int64_t blobs;
};

struct account *model_account(const struct model *, const char *name);
struct account *model_add_account(struct model *, const char *name);
/* -1: not base64, or too long. */
int	account_set_key(struct account *, const char *base64);
/* NULL: no such container, or deleted. */
struct container *model_container(struct account *, const char *name);
/* 1: made; 0: it was there.  Never NULL in *ret. */
int	model_create_container(struct account *, const char *name, struct container **ret);
void	model_delete_container(struct model *, struct container *);
uint64_t model_next_etag(void);

/* The functions below want container->lock: find and seek for reading, the rest for writing. */
struct blob *model_find(const struct container *, const char *name);
/* The first whose name is >= name (bytes, as strcmp). */
struct blob *model_seek(const struct container *, const char *name);
struct blob *model_insert(struct model *, struct container *, const char *name);
void	model_remove(struct model *, struct container *, const char *name);
void	blob_drop_staged(struct blob *);
/*
 * Makes v (taken over) what name holds; on HNS makes the parents.
 * -1: a parent is a file, or name is a directory and v is none (v is dropped).
 */
int	model_publish(struct model *, struct container *, const char *name, struct version *v);
/*
 * HNS: what name holds, and all below it, to another name whose parent is there; at most max
 * entries (0: all), those below a directory first.  1: there is more.
 */
int	model_rename(struct model *, struct container *, const char *name, const char *to,
	    size_t max);
/* 1: something lies below the directory name. */
int	model_has_children(const struct container *, const char *name);

#endif
