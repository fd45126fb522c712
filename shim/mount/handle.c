#include "mount/handle.h"

#include <stdlib.h>
#include <string.h>

#include "base/uri.h"
#include "mount/inflight.h"

#define NAMES_MAX	(UINT64_C(1) << 26)	/* of one directory; more is damage */
#define PENDING_MAX	16384	/* names of one answer: of half a MiB, if they are short */

uint32_t
handle_open(struct state *st, enum handle_kind kind, const struct inode *i, int backing_id,
    void *object)
{
	struct handle h = { .kind = kind, .node = i->node, .backing_id = backing_id,
	    .unique = inflight_unique() };
	uint32_t fh = state_new_id(st, STATE_HANDLE);

	if (fh == 0)
		return (0);
	if (state_put(st, STATE_HANDLE, fh, &h, sizeof(h)) != 0) {
		state_free_id(st, STATE_HANDLE, fh);
		return (0);
	}
	state_set_object(st, STATE_HANDLE, fh, object);
	return (fh);
}

int
handle_get(struct state *st, uint64_t fh, struct handle *ret)
{
	auto_buf struct buf b = BUF_EMPTY;

	if (fh == 0 || fh > UINT32_MAX || !state_get(st, STATE_HANDLE, (uint32_t)fh, &b) ||
	    b.len != sizeof(*ret))
		return (0);
	memcpy(ret, b.data, sizeof(*ret));
	return (1);
}

uint32_t
handle_again(struct state *st, struct handle *ret)
{
	uint64_t unique = inflight_unique();
	uint32_t fh, top = state_top(st, STATE_HANDLE);

	if (!inflight_is_again())
		return (0);
	for (fh = 1; fh < top; fh++)
		if (handle_get(st, fh, ret) && ret->unique == unique)
			return (fh);
	return (0);
}

void
handle_end_direct(struct state *st, uint64_t fh, struct handle *h)
{
	if (h->kind != HANDLE_DIRECT)
		return;
	h->kind = HANDLE_WRITE;
	/* No longer than what it takes the place of: there is room. */
	state_put(st, STATE_HANDLE, (uint32_t)fh, h, sizeof(*h));
}

void
handle_close(struct state *st, uint64_t fh)
{
	if (fh != 0 && fh <= UINT32_MAX)
		state_drop(st, STATE_HANDLE, (uint32_t)fh);
}

void
handle_reuse(struct state *st, uint64_t fh)
{
	if (fh != 0 && fh <= UINT32_MAX)
		state_free_id(st, STATE_HANDLE, (uint32_t)fh);
}

/* ---- names of directories ------------------------------------------------------------ */

/* Then 64-bit hashes. */
struct given {
	uint32_t	fh, unused;
	uint64_t	first;		/* ordinal */
};

uint64_t
handle_hash(const char *name)
{
	return (hash_bytes(name, strlen(name)));
}

int
handle_names_full(const struct handle_names *n)
{
	return (n->npending == PENDING_MAX);
}

void
handle_names_add(struct handle_names *n, size_t at, const char *name)
{
	if (at != n->given + n->npending || handle_names_full(n))
		return;			/* given before, and wanted once more */
	if (n->npending == n->size) {
		n->size = n->size > 0 ? n->size * 2 : 256;
		n->pending = mem_grow(n->pending, n->size * sizeof(*n->pending));
	}
	n->pending[n->npending++] = handle_hash(name);
}

void
handle_names_save(struct handle_names *n, struct state *st, uint32_t fh)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct given g = { .fh = fh, .first = n->given };
	uint32_t id;

	if (n->npending == 0 || (id = state_new_id(st, STATE_GIVEN)) == 0)
		return;
	buf_add(&b, &g, sizeof(g));
	buf_add(&b, n->pending, n->npending * sizeof(*n->pending));
	n->ids = mem_grow(n->ids, (n->nids + 1) * sizeof(*n->ids));
	n->ids[n->nids++] = id;
	if (state_put(st, STATE_GIVEN, id, b.data, b.len) == 0)
		n->given += n->npending;
	n->npending = 0;
}

void
handle_names_drop(struct handle_names *n, struct state *st)
{
	while (n->nids > 0) {
		state_drop(st, STATE_GIVEN, n->ids[--n->nids]);
		state_free_id(st, STATE_GIVEN, n->ids[n->nids]);
	}
	free(n->ids);
	free(n->pending);
	memset(n, 0, sizeof(*n));
}

/* Record id into the array, if it is one of fh's. */
static uint64_t *
restore_one(struct handle_names *n, struct state *st, uint32_t fh, uint32_t id, uint64_t *hashes)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct given g;
	size_t count;

	if (!state_get(st, STATE_GIVEN, id, &b) || b.len < sizeof(g))
		return (hashes);
	memcpy(&g, b.data, sizeof(g));
	count = (b.len - sizeof(g)) / sizeof(*hashes);
	if (g.fh != fh || g.first > NAMES_MAX)
		return (hashes);
	n->ids = mem_grow(n->ids, (n->nids + 1) * sizeof(*n->ids));
	n->ids[n->nids++] = id;
	if (g.first + count > n->given) {
		hashes = mem_grow(hashes, (size_t)(g.first + count) * sizeof(*hashes));
		if (g.first > n->given)		/* what lies between is not known yet */
			memset(hashes + n->given, 0, (size_t)(g.first - n->given) *
			    sizeof(*hashes));
		n->given = (size_t)(g.first + count);
	}
	if (hashes != NULL)
		memcpy(hashes + g.first, b.data + sizeof(g), count * sizeof(*hashes));
	return (hashes);
}

uint64_t *
handle_names_restore(struct handle_names *n, struct state *st, uint32_t fh)
{
	uint32_t id, top = state_top(st, STATE_GIVEN);
	uint64_t *hashes = NULL;

	for (id = 1; id < top; id++)
		hashes = restore_one(n, st, fh, id, hashes);
	return (hashes);
}
