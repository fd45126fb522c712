/*
 * What a mount left in memory for its successor: records (state.c) and the tree that is made of
 * them (inode_state.c).
 *
 * A first life takes steps, 8 bytes and a text each: it adds a name, puts or drops a record of any
 * kind, and may write over its memory, which is its last step.  What it left undamaged, the second
 * life has; what is damaged is refused, or what is made of it is a tree.
 */

#include <sys/stat.h>

#include "base/sys.h"
#include "fuzz.h"
#include "mount/handle.h"
#include "mount/inode_state.h"
#include "mount/state.c"

#define IDS	40

struct step {
	uint8_t		 what, kind, id, len;
	uint32_t	 number;
};

struct life {
	struct state	*state;
	struct tree	*tree;
	struct inode	*made[IDS + 1];
	uint32_t	 n;
	int		 is_damaged, has_foreign;	/* records that no tree has written */
};

static void
live(struct life *l, int fd)
{
	struct tree_options o = { .prefix = "", .ttl_ms = 60000 };

	memset(l, 0, sizeof(*l));
	l->state = o.state = state_open(fd, NULL);
	if (l->state == NULL)
		return;
	l->tree = tree_new(&o);
	l->made[l->n++] = &l->tree->root;
}

/* Where damage is done: the beginnings of what the successor walks along. */
static void
damage(struct shared *s, const struct step *p)
{
	switch (p->kind % 6) {
	case 0:
		s->units = p->number % 256;
		break;
	case 1:
		s->top[p->id % STATE_KINDS] = p->number % (2 * IDS);
		break;
	case 2:
		heads_of(s, p->len % STATE_KINDS)[p->id % STATE_METAS].first = p->number % 64;
		break;
	case 3:
		s->unit[p->id % 64].next = p->number % 64;
		break;
	case 4:
		memcpy(s->unit[p->id % 64].data + p->len % 56, &p->number, sizeof(p->number));
		break;
	default:
		s->nodes[p->id % IDS].word = p->number;
		break;
	}
}

static void
add_name(struct life *l, const struct step *p, const char *name)
{
	struct inode *parent = l->made[p->id % l->n], *i;

	if (l->n > IDS || name[0] == '\0' || strchr(name, '/') != NULL ||
	    !inode_is_dir(parent) || tree_find(l->tree, parent, name) != NULL)
		return;
	i = tree_add(l->tree, parent, name, p->number % 2 == 0 ? S_IFDIR | 0755 : S_IFREG | 0644);
	i->lookups = 1 + p->number % 1000;
	i->size = (int64_t)(p->number >> 1);
	tree_note(l->tree, i);
	l->made[l->n++] = i;
}

static void
put(struct life *l, const struct step *p, char *data)
{
	auto_buf struct buf back = BUF_EMPTY;
	enum state_kind kind = (enum state_kind)(p->kind % STATE_KINDS);
	uint32_t id = kind == STATE_META ? p->id % STATE_METAS : p->id % IDS;

	if (kind == STATE_NODE && l->n > 1)
		return;			/* the tree gives these numbers */
	if (kind == STATE_GIVEN && p->len >= 16)
		memset(data + 10, 0, 6);	/* a small ordinal: seconds else */
	l->has_foreign |= kind == STATE_NODE;
	must(state_put(l->state, kind, id, data, p->len) == 0);
	must(state_get(l->state, kind, id, &back) && back.len == p->len);
	must(p->len == 0 || memcmp(back.data, data, p->len) == 0);
}

static void
play(struct life *l, struct input *in)
{
	char data[256];
	struct step p;

	while (in->left >= sizeof(p) && !l->is_damaged) {
		input_bytes(in, &p, sizeof(p));
		input_bytes(in, data, p.what % 4 == 3 ? 0 : p.len);
		data[p.len] = '\0';
		if (p.what % 4 == 0 && !l->has_foreign)
			add_name(l, &p, data);
		else if (p.what % 4 == 1)
			put(l, &p, data);
		else if (p.what % 4 == 2 && p.kind % STATE_KINDS != STATE_NODE)
			state_drop(l->state, p.kind % STATE_KINDS, p.id % IDS);
		else if (p.what % 4 == 3) {
			damage(l->state->shared, &p);
			l->is_damaged = 1;
		}
	}
}

/* Each inode of the first life is where it was, and is what it was. */
static void
must_be_same(struct life *a, struct life *b)
{
	char was[INODE_PATH_MAX], is[INODE_PATH_MAX];
	const struct inode *i, *k;
	int is_short;
	uint32_t n;

	for (n = 1; n < a->n; n++) {
		i = a->made[n];
		k = state_object(b->state, STATE_NODE, i->node);
		must(k != NULL && k->lookups == i->lookups && k->size == i->size);
		must(k->mode == i->mode && k->ino == i->ino);
		is_short = tree_path(a->tree, i, was) == 0;
		must((tree_path(b->tree, k, is) == 0) == is_short);
		must(!is_short || strcmp(was, is) == 0);
	}
}

/* Whatever it is made of: from each inode one comes to the root, or to one that is nowhere. */
static void
must_be_tree(struct life *l)
{
	uint32_t id, top = state_top(l->state, STATE_NODE), depth;
	struct handle_names names = { .ids = NULL };
	struct handle h;
	struct inode *i;

	for (id = 2; id < top; id++) {
		if ((i = state_object(l->state, STATE_NODE, id)) == NULL)
			continue;
		for (depth = 0; i != NULL && depth <= top; depth++)
			i = i->parent;
		must(depth <= top);
	}
	for (id = 1; id < state_top(l->state, STATE_HANDLE); id++)
		if (handle_get(l->state, id, &h)) {
			free(handle_names_restore(&names, l->state, id));
			must(names.given <= (UINT64_C(1) << 26) + 256);
			free(names.ids);
			memset(&names, 0, sizeof(names));
		}
}

/* Those that are nowhere are put somewhere, so that the tree frees them. */
static void
end(struct life *l)
{
	uint32_t id, top;
	struct inode *i;
	char name[24];

	if (l->state == NULL)
		return;
	top = state_top(l->state, STATE_NODE);
	for (id = 2; id < top; id++)
		if ((i = state_object(l->state, STATE_NODE, id)) != NULL && i->parent == NULL) {
			str_format(name, sizeof(name), "/%u", id);
			tree_set_text(i, name, "", "");
			tree_link(l->tree, &l->tree->root, i);
		}
	tree_free(l->tree);
	state_close(l->state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	auto_close int fd = sys_memfd("fuzz");
	struct life a, b;
	uint32_t n;

	live(&a, fd);
	tree_note_root(a.tree);
	play(&a, &in);
	live(&b, fd);
	must(a.is_damaged || b.state != NULL);
	if (b.state != NULL) {
		tree_restore(b.tree);
		must_be_tree(&b);
		if (!a.is_damaged && !a.has_foreign)
			must_be_same(&a, &b);
	}
	end(&b);
	for (n = 0; n < a.n; n++)	/* its records may be damaged, and are not its any more */
		a.made[n]->node = 0;
	tree_free(a.tree);
	state_close(a.state);
	return (0);
}
