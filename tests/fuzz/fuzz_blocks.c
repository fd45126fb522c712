/*
 * A blob's list of blocks, whole and in two chunks; ids that go with one that is there.
 */

#include "azure/blob_block.c"
#include "fuzz.h"

static void
ids_like(const char *like)
{
	char id[STORE_BLOCK_ID_SIZE], other[STORE_BLOCK_ID_SIZE];
	struct store_ids ids;

	if (store_ids_init(&ids, like) != 0)
		return;
	store_ids_next(&ids, id);
	store_ids_next(&ids, other);
	must(strlen(id) == strlen(like) && strlen(other) == strlen(like));
	must(strcmp(id, other) != 0 && store_ids_init(&ids, id) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = input_exact(data, size);
	const struct buf xml = { .data = text, .len = size };
	struct arena mem = ARENA_EMPTY;
	struct listing l = { .mem = &mem };
	struct err err = ERR_EMPTY;
	size_t i;

	if (size > 0 && parse_list(&xml, &l, &err) == 0)
		for (i = 0; i < l.n; i++) {
			must(l.blocks[i].size >= 0 && l.blocks[i].id != NULL);
			must(strlen(l.blocks[i].id) < STORE_BLOCK_ID_SIZE);
			ids_like(l.blocks[i].id);
		}
	else if (size > 0)
		must_complain(&err, ERR_PROTOCOL);
	ids_like(arena_strndup(&mem, text, size < 64 ? size : 64));
	free(l.blocks);
	arena_done(&mem);
	return (0);
}
