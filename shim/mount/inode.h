#ifndef MOUNT_INODE_H
#define MOUNT_INODE_H

/*
 * inode -- the names of a mount: what is where, with which attributes, how long that is true.
 *
 * One tree holds every name that a listing or a lookup has told of, whether the
 * kernel knows it or not.  A file's inode is one version (ETag) of a blob: when
 * the service shows another one, a new inode takes its place, the old one goes on
 * for who has it open, and the kernel keeps the pages of each apart.  A complete
 * listing answers every lookup in its directory until its time is over, also those
 * for names that are not there.
 *
 * A large directory (tree_options.large) keeps its listing in a catalog instead, an
 * eighth of the size, and inodes only of names that are in use.  Names for which there is
 * no room in it (names_bytes) only pass by on their way to who reads the directory; the
 * listing waits for him, and lookups ask for these one by one.
 *
 * An inode's number (st_ino) is a hash of its path, the same in every mount of
 * the same data; where two hashes meet, where a name was made or renamed here, it
 * is a counter with the top bit set.
 *
 * Names from the service are not trusted: what cannot be one component of a path
 * ("", ".", "..", '/', NUL, more than 255 bytes) is hidden and told once.  Where a
 * blob and a directory have one name, the directory is shown.
 *
 * The tree's mutex guards all fields below; it is innermost but for blocks' own,
 * and never held over the network.  listing.c and lookup.c fill the tree from the
 * service; names.c changes it.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "azure/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "mount/state.h"

#define INODE_NAME_MAX		255
#define INODE_PATH_MAX		(4 * STORE_NAME_MAX + 1)	/* bytes of a blob's name */
#define INODE_FOR_EVER		(INT64_MAX / 4)

struct tree;

struct inode {
	struct inode	*parent;	/* NULL: the root, or no longer in the tree */
	struct inode	*next_hash;	/* by parent and name */
	struct inode	*prev, *next;	/* in parent->dir->children */
	char		*text;		/* name NUL etag NUL props NUL */
	uint64_t	 ino;
	uint64_t	 key;		/* for blocks: this version under this name */
	uint64_t	 lookups;	/* of the kernel */
	uint64_t	 epoch;		/* tree->epoch when last confirmed */
	uint64_t	 listing;	/* epoch of the listing that it was in last */
	int64_t		 size;
	int64_t		 mtime_s;
	int64_t		 valid_until_ms;
	uint32_t	 mtime_ns;
	uint32_t	 refs;
	uint32_t	 mode;		/* with its type */
	uint32_t	 uid, gid;
	uint32_t	 node;		/* the kernel's number of it; 0: none */
	uint16_t	 etag_at, props_at;	/* in text */
	unsigned int	 changed : 1;	/* the service has another version: ask again */
	unsigned int	 local : 1;	/* file: staged here; directory: made here, perhaps only */
	unsigned int	 stale : 1;	/* staged here, and changed over there */
	unsigned int	 filled : 1;	/* file: the kernel asked for its data, or was given it */
	unsigned int	 marker : 1;	/* directory: it may have a blob of its own */
	unsigned int	 has_uid : 1, has_gid : 1;	/* they are the service's, or should be */
	unsigned int	 knows_props : 1;	/* those in text are all there are */
	unsigned int	 said_mtime : 1;	/* set by the job: it goes out with the bytes */
	unsigned int	 noted : 1;	/* its record is true */
	unsigned int	 direct : 1;	/* file: written past the kernel's pages (writer.h) */
	unsigned int	 watched : 1;	/* others opened it meanwhile: there may be pages of then */
	struct directory *dir;		/* of directories; NULL: nothing known yet */
	void		*staged;	/* the writer's; NULL: none */
};

struct directory {
	struct inode	*children, *last;	/* in the service's order */
	size_t		 nchildren;
	int64_t		 listed_until_ms;	/* children is complete until then; 0: it is not */
	int		 lookups;		/* single ones since it was last complete */
	int		 starting, listing;	/* a thread is about to list it; is at it */
	struct tree_names *stream;	/* what it brought so far; NULL: nobody may read along */
	int		 changing;		/* threads that add or remove names over there */
	int		 too_large;		/* to have an inode for each name */
	struct tree_names *large;	/* its catalog, if it has one, perhaps not yet complete */
	uint64_t	 asked;			/* lookups in it */
	uint64_t	 completed;		/* complete listings of it so far */
	uint64_t	 version;		/* grows with each change made here */
	uint64_t	 names, kernel_names;	/* grows with each name added or removed; what it
						   was when the kernel last read them */
	struct err	*failure;		/* of the last listing; NULL: it worked */
	unsigned int	 failures;	/* listings that failed so far */
	struct inode	*older, *newer;		/* listed directories by time of use */
};

struct tree_options {
	struct store	*store;			/* borrowed */
	struct state	*state;			/* borrowed; NULL: none, no node has a number */
	const char	*prefix;		/* no '/' at either end; "": the container */
	int		 is_file;		/* prefix names one blob: the root holds it alone */
	int		 writable;
	int64_t		 ttl_ms;		/* of attributes, names and absence */
	uint32_t	 uid, gid;
	uint32_t	 umask;		/* permissions that nobody has */
	size_t		 max_inodes;		/* then idle listings go; 0: 200,000 */
	size_t		 large;			/* names of a large directory; 0: 50,000 */
	size_t		 names_bytes;		/* of all catalogs; 0: 64 MiB */
	/* The kernel must forget parent/name; called with the mutex held: must not wait. */
	void		(*replaced)(void *arg, struct inode *parent, const char *name);
	/* The kernel must forget pages of the file; as replaced. */
	void		(*pages_stale)(void *arg, struct inode *, int64_t offset, int64_t len);
	/* A name that cannot be shown; at most once a listing. */
	void		(*hidden)(void *arg, const char *directory, const char *name,
			    const char *why);
	/* Free inode->staged. */
	void		(*drop_staged)(void *staged);
	void		*arg;
};

struct tree {
	struct tree_options opt;
	pthread_mutex_t	 lock;
	pthread_cond_t	 settled;	/* a listing or a change ended */
	struct inode	 root;
	struct inode	 lost;		/* of numbers that nobody has: it is nowhere */
	struct inode	**hash;
	size_t		 hash_size, n;
	uint64_t	 keys, counter, epoch;
	struct inode	*oldest, *newest;	/* directories with complete listings */
	int		 listers;		/* threads that list directories */
	int		 passing;		/* those of them that wait for readers */
	size_t		 catalog_bytes;		/* of complete ones */
	char		*prefix;
};

/* What the kernel is told. */
struct inode_attr {
	uint64_t ino;
	int64_t	 size, mtime_s, ttl_ms;
	uint32_t mtime_ns, mode, uid, gid, nlink;
	uint32_t node;			/* from tree_tell() */
};

struct tree *tree_new(const struct tree_options *);
void	tree_free(struct tree *);

static inline const char *
inode_name(const struct inode *i)
{
	return (i->text);
}

static inline const char *
inode_etag(const struct inode *i)
{
	return (i->text + i->etag_at);
}

/* Stored headers and metadata, as azure/props.h has them. */
static inline const char *
inode_props(const struct inode *i)
{
	return (i->text + i->props_at);
}

int	inode_is_dir(const struct inode *);
int	inode_is_link(const struct inode *);
/* 1: i is ancestor or somewhere below it.  With the mutex held. */
int	inode_is_below(const struct inode *i, const struct inode *ancestor);

/* ---- with the mutex held ---- */

struct inode *tree_find(struct tree *, const struct inode *parent, const char *name);
/* A new inode below parent; mode has its type.  The name must be free. */
struct inode *tree_add(struct tree *, struct inode *parent, const char *name, uint32_t mode);
/* It was made here: its number is none that a listing can give again. */
void	tree_make_local(struct tree *, struct inode *);
/* Take it out of the tree; freed when nobody holds it.  A catalog is in doubt of it. */
void	tree_detach(struct tree *, struct inode *);
/* The same to save memory: what a catalog says of it is true. */
void	tree_evict(struct tree *, struct inode *);
/* Last of its directory's children. */
void	tree_to_end(struct tree *, struct inode *);
/* What st_ino a new inode would have. */
uint64_t tree_number(struct tree *, const struct inode *parent, const char *name);
/* To another place and name, which must be free. */
void	tree_move(struct tree *, struct inode *, struct inode *parent, const char *name);
/* Another ETag, other bytes: what the service said of those goes (their MD5). */
void	tree_set_etag(struct inode *, const char *etag);
void	tree_set_props(struct inode *, const char *etag, const char *props);
void	tree_set_remote(struct tree *, struct inode *, const struct store_attr *);
/* What the service tells of modes and owners; the rest stays. */
void	tree_set_access(struct inode *, const struct store_access *);
void	tree_ref(struct inode *);
/* May free it. */
void	tree_unref(struct tree *, struct inode *);
struct directory *tree_dir(struct tree *, struct inode *);
void	tree_attr(struct tree *, const struct inode *, struct inode_attr *ret);
/*
 * The same for an answer that makes the kernel know it, its lookups counted already: it has a
 * number and a record from now on (inode_state.c).  ret->node 0: there is no room for that.
 */
void	tree_tell(struct tree *, struct inode *, struct inode_attr *ret);
/* It, or what its record says of it, has changed, or has to outlive the process. */
void	tree_note(struct tree *, struct inode *);
/* The same if it has a record. */
void	tree_renote(struct tree *, struct inode *);
/* The root, and the one blob of a mount that has no other: what a successor does not ask for. */
void	tree_note_root(struct tree *);
/* The kernel does not know it any more, or it is no more. */
void	tree_unnote(struct tree *, struct inode *);
/*
 * The path below the root in buf (no '/' at its ends), and the blob's name with the
 * prefix.  -1: not in the tree any more, or too long.
 */
int	tree_path(struct tree *, const struct inode *, char buf[INODE_PATH_MAX]);
int	tree_blob_name(struct tree *, const struct inode *, char buf[INODE_PATH_MAX]);
/*
 * What the processes before this one told the kernel: all inodes that have records, where they
 * were.  Before anything else is in the tree.
 */
void	tree_restore(struct tree *);
/* This inode's bytes are no longer those under key. */
void	tree_new_key(struct tree *, struct inode *);

/* ---- without ---- */

/* store_options.props_of, with the tree as its argument: of the inode under this name. */
const char *tree_props_of(void *tree, const char *blob, struct arena *mem);

/*
 * The inode of name in parent, its lookups counted once more; *ret NULL: there is
 * none.  *ret_attr: ttl_ms is set in both cases.
 *
 * waits    for one List at most when the directory's listing is not known, for
 *          others' when they list it
 * fails    ENAMETOOLONG (sys_errno), and as the service says
 */
int	tree_lookup(struct tree *, struct inode *parent, const char *name, struct inode **ret,
	    struct inode_attr *ret_attr, struct err *);
/* Have the complete listing of a directory, or know that it is too large for that. */
int	tree_list(struct tree *, struct inode *dir, struct err *);
/* After that, with the mutex held. */
int	tree_is_empty(const struct inode *dir);
/*
 * What the mount asks first: the root's listing (at most one page of it is waited
 * for), or the one blob.  must_exist: an empty prefix without a marker is
 * ERR_NOT_FOUND.
 */
int	tree_probe(struct tree *, int must_exist, struct err *);
/* The kernel forgets n lookups. */
void	tree_forget(struct tree *, struct inode *, uint64_t n);
/* The service has another version of this file: the next lookup asks, the kernel is told. */
void	tree_mark_changed(struct tree *, struct inode *);

/*
 * Have the stored headers and metadata of a file's version, if neither a listing nor a lookup told
 * of them; where the service tells of none knows_props stays 0.
 * fails    ERR_CHANGED: there is another version
 */
int	tree_learn_props(struct tree *, struct inode *, struct err *);

/*
 * Between these two the directory's names may be changed over there: no listing
 * of it is under way, and none begins.  b may be NULL or a.  The inode's
 * directory must exist (tree_dir).
 */
void	tree_begin_change(struct tree *, struct inode *a, struct inode *b);
void	tree_end_change(struct tree *, struct inode *a, struct inode *b);

/* The names of a directory at one moment, perhaps still coming. */
struct tree_entry {
	char		 name[INODE_NAME_MAX + 1];
	uint64_t	 ino;
	uint32_t	 mode;
	size_t		 ordinal;
	struct store_attr attr;
};
struct tree_names {			/* guarded by the tree's mutex but for what is constant */
	struct catalog	*list, *rest;	/* rest: what list has no room for, passing by */
	size_t		 read;		/* the furthest that somebody wanted */
	unsigned int	 refs, waiting;
	int		 done;		/* no more will come */
	int		 is_large;
	size_t		 counted;	/* in catalog_bytes */
	int64_t		 listed_ms;
	uint64_t	 version;	/* of the directory, when it was listed */
	struct err	*failure;	/* it ended so */
	uint64_t	 ino, parent_ino;	/* of "." and ".." */
	int		 is_unchanged;	/* since the kernel read them last */
};
#define TREE_NAMES_GONE	(-2)
/* Waits for the first name. */
int	tree_names_new(struct tree *, struct inode *dir, struct tree_names **ret, struct err *err);
void	tree_names_free(struct tree *, struct tree_names *);
/*
 * Entry at: 1 it is in *ret; 0 there is none, or (wait == 0) it has not come yet; -1 failed;
 * TREE_NAMES_GONE: it passed by, new names have to be asked for.
 */
int	tree_names_get(struct tree *, struct inode *dir, struct tree_names *, size_t at, int wait,
	    struct tree_entry *ret, struct err *err);
/* The inode of an entry, with a lookup counted.  0: it is gone. */
int	tree_names_lookup(struct tree *, struct inode *dir, const struct tree_names *,
	    const struct tree_entry *, struct inode **ret, struct inode_attr *);

#endif
