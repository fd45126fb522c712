/*
 * Inodes as records (state.h): those that the kernel knows, those that are staged or exist
 * only here, and the directories above them.
 *
 * A record is written before the kernel learns of the inode, and again when what it says
 * changes; how often the kernel looked it up is its word.  Sizes and times of staged files are
 * those of the files.  What the service says of others may be older than what this process
 * knew: it is asked again when its time is over.
 */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mount/inode_state.h"

enum { CHANGED = 1, LOCAL = 2, STALE = 4, MARKER = 8, HAS_UID = 16, HAS_GID = 32, KNOWS_PROPS = 64,
    SAID_MTIME = 128 };
#define COUNTED_INO	(UINT64_C(1) << 63)
#define NODE_SMALL	512		/* a record that needs no memory of its own */

/* Then name, ETag and props, each ended by a NUL. */
struct node_record {
	uint64_t	ino;
	int64_t		size, mtime_s, valid_until_ms;
	uint32_t	mtime_ns, mode, uid, gid;
	uint32_t	parent;		/* node; 0: none */
	uint32_t	flags;
};

/* ---- writing ------------------------------------------------------------------------- */

static uint32_t
flags_of(const struct inode *i)
{
	return ((uint32_t)((i->changed ? CHANGED : 0) | (i->local ? LOCAL : 0) |
	    (i->stale ? STALE : 0) | (i->marker ? MARKER : 0) | (i->has_uid ? HAS_UID : 0) |
	    (i->has_gid ? HAS_GID : 0) | (i->knows_props ? KNOWS_PROPS : 0) |
	    (i->said_mtime ? SAID_MTIME : 0)));
}

static int
put_record(struct tree *t, const struct inode *i)
{
	struct node_record r = { .ino = i->ino, .size = i->size, .mtime_s = i->mtime_s,
	    .mtime_ns = i->mtime_ns, .valid_until_ms = i->valid_until_ms, .mode = i->mode,
	    .uid = i->uid, .gid = i->gid, .flags = flags_of(i),
	    .parent = i->parent != NULL ? i->parent->node : 0 };
	size_t text = i->props_at + strlen(inode_props(i)) + 1;
	char small[NODE_SMALL], *p = small;
	int failed;

	if (sizeof(r) + text > sizeof(small))
		p = mem_alloc(sizeof(r) + text);
	memcpy(p, &r, sizeof(r));
	memcpy(p + sizeof(r), i->text, text);
	failed = state_put(t->opt.state, STATE_NODE, i->node, p, sizeof(r) + text);
	if (p != small)
		free(p);
	return (failed);
}

static void
set_word(struct tree *t, const struct inode *i)
{
	*state_word(t->opt.state, STATE_NODE, i->node) =
	    i->lookups < UINT32_MAX ? (uint32_t)i->lookups : UINT32_MAX;
}

static void
put(struct tree *t, struct inode *i)
{
	if (i->node == 0)
		i->node = state_new_id(t->opt.state, STATE_NODE);
	if (i->node == 0)
		return;
	set_word(t, i);
	if (put_record(t, i) != 0) {
		tree_unnote(t, i);
		return;
	}
	state_set_object(t->opt.state, STATE_NODE, i->node, i);
	i->noted = 1;
}

void
tree_note(struct tree *t, struct inode *i)
{
	struct inode *up;

	if (t->opt.state == NULL)
		return;
	for (up = i->parent; up != NULL && up->node == 0; up = up->parent)
		tree_note(t, up);
	put(t, i);
}

/*
 * Somebody has to find it again, or what is below it; or somebody has its number in hand, and
 * another inode must not get it meanwhile (pages are pushed by number).
 */
static int
is_needed(const struct inode *i)
{
	return (i->lookups > 0 || i->refs > 0 || i->local || i->parent == NULL ||
	    (i->dir != NULL && i->dir->nchildren > 0));
}

void
tree_renote(struct tree *t, struct inode *i)
{
	if (i->node == 0)
		return;
	if (i != &t->root && !is_needed(i))
		tree_unnote(t, i);
	else if (i->noted)
		set_word(t, i);
	else
		tree_note(t, i);
}

void
tree_note_root(struct tree *t)
{
	struct inode *only;

	pthread_mutex_lock(&t->lock);
	tree_note(t, &t->root);
	only = t->opt.is_file ? t->root.dir->children : NULL;
	if (only != NULL) {
		only->lookups++;	/* it is never forgotten */
		tree_note(t, only);
	}
	pthread_mutex_unlock(&t->lock);
}

void
tree_unnote(struct tree *t, struct inode *i)
{
	if (i->node == 0)
		return;
	state_drop(t->opt.state, STATE_NODE, i->node);
	state_free_id(t->opt.state, STATE_NODE, i->node);
	i->node = 0;
	i->noted = 0;
}

void
tree_tell(struct tree *t, struct inode *i, struct inode_attr *ret)
{
	tree_attr(t, i, ret);
	if (t->opt.state == NULL)
		return;
	if (i->node != 0 && i->noted)
		set_word(t, i);
	else
		tree_note(t, i);
	ret->node = i->node;
}

/* ---- reading ------------------------------------------------------------------------- */

/* "name NUL etag NUL props NUL" */
static int
split(const char *text, size_t len, const char *ret[3])
{
	const char *end = text + len;
	size_t k;

	for (k = 0; k < 3; k++) {
		ret[k] = text;
		text = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
		if (text == NULL)
			return (-1);
		text++;
	}
	return (text == end ? 0 : -1);
}

static void
fill(struct inode *i, const struct node_record *r, const char *text[3])
{
	tree_set_text(i, text[0], text[1], text[2]);
	i->ino = r->ino;
	i->size = r->size;
	i->mtime_s = r->mtime_s;
	i->mtime_ns = r->mtime_ns;
	i->valid_until_ms = r->valid_until_ms;
	i->mode = r->mode;
	i->uid = r->uid;
	i->gid = r->gid;
	i->changed = (r->flags & CHANGED) != 0;
	i->local = (r->flags & LOCAL) != 0 && S_ISDIR(r->mode);	/* files: staged_state.c */
	i->stale = (r->flags & STALE) != 0;
	i->marker = (r->flags & MARKER) != 0;
	i->has_uid = (r->flags & HAS_UID) != 0;
	i->has_gid = (r->flags & HAS_GID) != 0;
	i->knows_props = (r->flags & KNOWS_PROPS) != 0;
	i->said_mtime = (r->flags & SAID_MTIME) != 0;
	i->noted = 1;
}

static struct inode *
read_record(struct tree *t, uint32_t id, uint32_t *parent)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct node_record r;
	const char *text[3];
	struct inode *i;

	if (!state_get(t->opt.state, STATE_NODE, id, &b) || b.len < sizeof(r) ||
	    split(b.data + sizeof(r), b.len - sizeof(r), text) != 0)
		return (NULL);
	memcpy(&r, b.data, sizeof(r));
	i = id == t->root.node ? &t->root : mem_zalloc(sizeof(*i));
	fill(i, &r, text);
	i->node = id;
	i->key = ++t->keys;
	i->epoch = ++t->epoch;
	i->lookups = *state_word(t->opt.state, STATE_NODE, id);
	if ((i->ino & COUNTED_INO) != 0 && (i->ino & ~COUNTED_INO) > t->counter)
		t->counter = i->ino & ~COUNTED_INO;
	*parent = r.parent;
	return (i);
}

static struct inode *
node(struct tree *t, uint32_t id)
{
	return (id == t->root.node ? &t->root : state_object(t->opt.state, STATE_NODE, id));
}

static void
place(struct tree *t, struct inode *i, uint32_t parent_id)
{
	struct inode *parent = parent_id != 0 ? node(t, parent_id) : NULL;

	if (S_ISDIR(i->mode))
		tree_dir(t, i)->kernel_names = UINT64_MAX;	/* what it has cached may be old */
	if (parent != NULL && S_ISDIR(parent->mode) && !inode_is_below(parent, i) &&
	    inode_name(i)[0] != '\0' && tree_find(t, parent, inode_name(i)) == NULL)
		tree_link(t, parent, i);
}

/* What was written to it is found by its number, also when the kernel has forgotten it. */
static int
is_staged(struct tree *t, uint32_t id)
{
	auto_buf struct buf b = BUF_EMPTY;

	return (state_get(t->opt.state, STATE_STAGED, id, &b));
}

/* The one blob that is there. */
static void
restore_file(struct tree *t)
{
	if (t->root.dir->children != NULL)
		t->root.dir->listed_until_ms = INODE_FOR_EVER;
}

void
tree_restore(struct tree *t)
{
	uint32_t id, top = state_top(t->opt.state, STATE_NODE);
	uint32_t *parents = mem_zalloc((top + 1) * sizeof(*parents));
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	for (id = 1; id < top; id++)
		if ((i = read_record(t, id, &parents[id])) != NULL)
			state_set_object(t->opt.state, STATE_NODE, id, i);
	for (id = 2; id < top; id++)
		if ((i = node(t, id)) != NULL)
			place(t, i, parents[id]);
	t->root.dir->kernel_names = UINT64_MAX;
	for (id = 2; id < top; id++)
		if ((i = node(t, id)) != NULL && !is_needed(i) && !is_staged(t, id))
			tree_unnote(t, i);
	if (t->opt.is_file)
		restore_file(t);
	pthread_mutex_unlock(&t->lock);
	free(parents);
}
