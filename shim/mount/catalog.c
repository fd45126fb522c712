#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/uri.h"
#include "mount/catalog.h"

#define ENTRIES		1024		/* a chunk */
#define POOL_BITS	16
#define POOL		((size_t)1 << POOL_BITS)	/* bytes of names a block */
#define INDEX_FIRST	4096

enum { IS_DIR = 1, IS_LINK = 2, TEXT_ETAG = 4, DOUBTED = 8 };

struct entry {
	uint32_t	 at;		/* block and offset of the name; then a text ETag */
	uint8_t		 len, flags;
	uint16_t	 etag_len;
	int64_t		 size;
	uint64_t	 etag;
	uint32_t	 mtime_s, mtime_ns;
};

struct catalog {
	struct entry	**chunks;
	size_t		 n, nchunks, dropped;	/* chunks */
	char		**blocks;
	size_t		*last;		/* of each block: the ordinal of its last name */
	size_t		 nblocks, used;	/* of the last block */
	size_t		 blocks_dropped;
	uint32_t	*index;		/* ordinal + 1; NULL: none */
	size_t		 index_size;
};

struct catalog *
catalog_new(void)
{
	return (mem_zalloc(sizeof(struct catalog)));
}

void
catalog_free(struct catalog *c)
{
	size_t i;

	for (i = 0; i < c->nchunks; i++)
		free(c->chunks[i]);
	for (i = 0; i < c->nblocks; i++)
		free(c->blocks[i]);
	free(c->chunks);
	free(c->blocks);
	free(c->last);
	free(c->index);
	free(c);
}

size_t
catalog_count(const struct catalog *c)
{
	return (c->n);
}

size_t
catalog_bytes(const struct catalog *c)
{
	return ((c->nchunks - c->dropped) * ENTRIES * sizeof(struct entry) +
	    (c->nblocks - c->blocks_dropped) * POOL + c->index_size * sizeof(*c->index));
}

static struct entry *
entry_at(const struct catalog *c, size_t ordinal)
{
	struct entry *chunk = ordinal < c->n ? c->chunks[ordinal / ENTRIES] : NULL;

	return (chunk != NULL ? &chunk[ordinal % ENTRIES] : NULL);
}

static char *
name_of(const struct catalog *c, const struct entry *e)
{
	return (c->blocks[e->at >> POOL_BITS] + (e->at & (POOL - 1)));
}

/* ---- the index ----------------------------------------------------------------------- */

static void
index_add(struct catalog *c, size_t ordinal)
{
	const struct entry *e = entry_at(c, ordinal);
	size_t i;

	if (e == NULL)			/* dropped */
		return;
	i = hash_bytes(name_of(c, e), e->len) & (c->index_size - 1);
	while (c->index[i] != 0)
		i = (i + 1) & (c->index_size - 1);
	c->index[i] = (uint32_t)ordinal + 1;
}

void
catalog_index(struct catalog *c)
{
	size_t i, size = c->index_size > 0 ? c->index_size : INDEX_FIRST;

	while (size < 2 * (c->n + 1))
		size *= 2;
	free(c->index);
	c->index = mem_zalloc(size * sizeof(*c->index));
	c->index_size = size;
	for (i = 0; i < c->n; i++)
		index_add(c, i);
}

long
catalog_find(const struct catalog *c, const char *name)
{
	size_t len = strlen(name), i;
	const struct entry *e;

	if (c->index == NULL)
		return (-1);
	i = hash_bytes(name, len) & (c->index_size - 1);
	for (; c->index[i] != 0; i = (i + 1) & (c->index_size - 1)) {
		e = entry_at(c, c->index[i] - 1);
		if (e != NULL && e->len == len && memcmp(name_of(c, e), name, len) == 0)
			return ((long)c->index[i] - 1);
	}
	return (-1);
}

void
catalog_doubt(struct catalog *c, size_t ordinal)
{
	struct entry *e = entry_at(c, ordinal);

	if (e != NULL)
		e->flags |= DOUBTED;
}

int
catalog_is_doubted(const struct catalog *c, size_t ordinal)
{
	const struct entry *e = entry_at(c, ordinal);

	return (e == NULL || (e->flags & DOUBTED) != 0);
}

/* ---- entries ------------------------------------------------------------------------- */

/* "\"0x8DE2F0A1B2C3D4E\"", as the service makes them, in eight bytes.  0: another form. */
static int
pack_etag(const char *text, uint64_t *ret)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t len = strlen(text), i;
	const char *digit;

	if (len < 5 || len > 20 || strncmp(text, "\"0x", 3) != 0 || text[len - 1] != '"' ||
	    text[3] == '0')
		return (0);
	for (*ret = 0, i = 3; i < len - 1; i++) {
		if ((digit = memchr(digits, text[i], 16)) == NULL)
			return (0);
		*ret = *ret << 4 | (uint64_t)(digit - digits);
	}
	return (1);
}

static uint32_t
keep(struct catalog *c, const char *name, size_t len, const char *etag, size_t etag_len)
{
	char *to;

	if (c->nblocks == 0 || c->used + len + etag_len > POOL) {
		c->blocks = mem_grow(c->blocks, (c->nblocks + 1) * sizeof(*c->blocks));
		c->last = mem_grow(c->last, (c->nblocks + 1) * sizeof(*c->last));
		c->blocks[c->nblocks++] = mem_alloc(POOL);
		c->used = 0;
	}
	to = c->blocks[c->nblocks - 1] + c->used;
	memcpy(to, name, len);
	memcpy(to + len, etag, etag_len);
	c->last[c->nblocks - 1] = c->n;
	c->used += len + etag_len;
	return ((uint32_t)((c->nblocks - 1) << POOL_BITS | (c->used - len - etag_len)));
}

void
catalog_add(struct catalog *c, const char *name, uint32_t type, const struct store_attr *a)
{
	struct entry e = { .size = a->size, .len = (uint8_t)strlen(name),
	    .mtime_s = (uint32_t)a->mtime_unix_s, .mtime_ns = (uint32_t)a->mtime_ns };

	e.flags = S_ISDIR(type) ? IS_DIR : S_ISLNK(type) ? IS_LINK : 0;
	if (!pack_etag(a->etag, &e.etag)) {
		e.flags |= TEXT_ETAG;
		e.etag_len = (uint16_t)strlen(a->etag);
	}
	e.at = keep(c, name, e.len, a->etag, e.etag_len);
	if (c->n == c->nchunks * ENTRIES) {
		c->chunks = mem_grow(c->chunks, (c->nchunks + 1) * sizeof(*c->chunks));
		c->chunks[c->nchunks++] = mem_alloc(ENTRIES * sizeof(struct entry));
	}
	c->chunks[c->n / ENTRIES][c->n % ENTRIES] = e;
	c->n++;
	if (c->index != NULL && 2 * c->n > c->index_size)
		catalog_index(c);
	else if (c->index != NULL)
		index_add(c, c->n - 1);
}

int
catalog_get(const struct catalog *c, size_t ordinal, char *name, uint32_t *ret_type,
    struct store_attr *a)
{
	const struct entry *e = entry_at(c, ordinal);

	if (e == NULL)
		return (0);
	memcpy(name, name_of(c, e), e->len);
	name[e->len] = '\0';
	*ret_type = (e->flags & IS_DIR) != 0 ? S_IFDIR : (e->flags & IS_LINK) != 0 ? S_IFLNK :
	    S_IFREG;
	*a = (struct store_attr){ .size = e->size, .mtime_unix_s = e->mtime_s,
	    .mtime_ns = (long)e->mtime_ns, .is_dir = (e->flags & IS_DIR) != 0,
	    .is_link = (e->flags & IS_LINK) != 0 };
	if ((e->flags & TEXT_ETAG) != 0)
		memcpy(a->etag, name_of(c, e) + e->len, e->etag_len);
	else
		str_format(a->etag, sizeof(a->etag), "\"0x%llX\"", (unsigned long long)e->etag);
	return (1);
}

void
catalog_drop(struct catalog *c, size_t ordinal)
{
	free(c->index);
	c->index = NULL;
	c->index_size = 0;
	for (; (c->dropped + 1) * ENTRIES <= ordinal && c->dropped < c->nchunks; c->dropped++) {
		free(c->chunks[c->dropped]);
		c->chunks[c->dropped] = NULL;
	}
	for (; c->blocks_dropped + 1 < c->nblocks &&
	    c->last[c->blocks_dropped] < c->dropped * ENTRIES; c->blocks_dropped++) {
		free(c->blocks[c->blocks_dropped]);
		c->blocks[c->blocks_dropped] = NULL;
	}
}
