#include "mount/open_dir.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
asked_of(struct tree *t, struct inode *dir)
{
	uint64_t asked;

	pthread_mutex_lock(&t->lock);
	asked = tree_dir(t, dir)->asked;
	pthread_mutex_unlock(&t->lock);
	return (asked);
}

static struct open_dir *
make(struct state *st, struct tree *t, struct inode *dir)
{
	struct open_dir *d = mem_zalloc(sizeof(*d));

	d->state = st;
	d->tree = t;
	d->dir = dir;
	d->fresh = 1;
	d->asked = asked_of(t, dir);
	return (d);
}

struct open_dir *
open_dir_new(struct state *st, struct tree *t, struct inode *dir, struct err *err)
{
	struct open_dir *d = make(st, t, dir);

	if (tree_names_new(t, dir, &d->names, err) == 0)
		return (d);
	free(d);
	return (NULL);
}

int
open_dir_number(struct open_dir *d)
{
	d->fh = handle_open(d->state, HANDLE_DIR, d->dir, 0, d);
	return (d->fh != 0 ? 0 : -1);
}

struct open_dir *
open_dir_of(struct state *st, struct tree *t, uint64_t fh)
{
	struct open_dir *d = state_object(st, STATE_HANDLE, fh);
	struct inode *dir;
	struct handle h;

	if (d != NULL || !handle_get(st, fh, &h) || h.kind != HANDLE_DIR)
		return (d);
	dir = h.node == t->root.node ? &t->root : state_object(st, STATE_NODE, h.node);
	if (dir == NULL)
		return (NULL);
	d = make(st, t, dir);
	d->fh = (uint32_t)fh;
	d->before = handle_names_restore(&d->given, st, d->fh);
	d->fresh = d->before == NULL;
	state_set_object(st, STATE_HANDLE, d->fh, d);
	return (d);
}

static void
drop_order(struct open_dir *d)
{
	free(d->before);
	free(d->order);
	d->before = NULL;
	d->order = NULL;
}

void
open_dir_free(struct open_dir *d)
{
	tree_names_free(d->tree, d->names);
	handle_names_drop(&d->given, d->state);
	handle_close(d->state, d->fh);
	drop_order(d);
	free(d);
}

/* The names that there are now. */
static int
renew(struct open_dir *d, struct err *err)
{
	struct tree_names *names;

	if (tree_names_new(d->tree, d->dir, &names, err) != 0)
		return (-1);
	tree_names_free(d->tree, d->names);
	d->names = names;
	return (0);
}

int
open_dir_rewind(struct open_dir *d, struct err *err)
{
	if (renew(d, err) != 0)
		return (-1);
	drop_order(d);
	handle_names_drop(&d->given, d->state);
	return (0);
}

/* ---- what earlier processes gave ----------------------------------------------------- */

struct place {
	uint64_t	hash;
	long		at;		/* in the names of now */
};

static int
by_hash(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->hash < y->hash ? -1 : x->hash > y->hash);
}

/* All names of now, by hash; NULL: failed, or (*gone) they do not stay long enough. */
static struct place *
all_names(struct open_dir *d, size_t *ret_n, int *gone, struct err *err)
{
	struct place *p = NULL;
	struct tree_entry e;
	size_t n = 0, size = 0;
	int state;

	while ((state = tree_names_get(d->tree, d->dir, d->names, n, 1, &e, err)) == 1) {
		if (n == size) {
			size = size > 0 ? size * 2 : 256;
			p = mem_grow(p, size * sizeof(*p));
		}
		p[n] = (struct place){ handle_hash(e.name), (long)n };
		n++;
	}
	*gone = state == TREE_NAMES_GONE;
	if (state != 0) {
		free(p);
		return (NULL);
	}
	*ret_n = n;
	if (p == NULL)
		return (mem_zalloc(sizeof(*p)));
	qsort(p, n, sizeof(*p), by_hash);
	return (p);
}

/* Those that were given have their ordinals, then come the others. */
static void
put_in_order(struct open_dir *d, struct place *p, size_t n)
{
	char *is_given = mem_zalloc(n + 1);
	struct place key = { .hash = 0 }, *found;
	size_t k;

	d->order = mem_alloc((d->given.given + n + 1) * sizeof(*d->order));
	for (k = 0; k < d->given.given; k++) {
		key.hash = d->before[k];
		found = bsearch(&key, p, n, sizeof(*p), by_hash);
		d->order[k] = found != NULL ? found->at : -1;
		if (found != NULL)
			is_given[found->at] = 1;
	}
	d->norder = d->given.given;
	for (k = 0; k < n; k++)
		if (!is_given[k])
			d->order[d->norder++] = (long)k;
	free(is_given);
}

int
open_dir_ready(struct open_dir *d, struct err *err)
{
	struct place *p;
	size_t n = 0;
	int gone = 0;

	if (d->names == NULL && renew(d, err) != 0)
		return (-1);
	if (d->before == NULL || d->order != NULL)
		return (0);
	p = all_names(d, &n, &gone, err);
	if (p == NULL && !gone)
		return (-1);
	if (p != NULL)
		put_in_order(d, p, n);
	free(d->before);		/* without an order: by ordinals alone */
	d->before = NULL;
	free(p);
	return (0);
}

int
open_dir_entry(struct open_dir *d, size_t at, int wait, struct tree_entry *ret, struct err *err)
{
	int state;

	if (d->order != NULL) {
		if (at >= d->norder)
			return (0);
		if (d->order[at] < 0)
			return (OPEN_DIR_GONE);
		at = (size_t)d->order[at];
	}
	while ((state = tree_names_get(d->tree, d->dir, d->names, at, wait, ret, err)) ==
	    TREE_NAMES_GONE)		/* somebody went back, or is slower than another */
		if (!wait || renew(d, err) != 0)
			return (wait ? -1 : 0);
	return (state);
}
