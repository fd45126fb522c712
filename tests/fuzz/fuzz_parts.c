/*
 * Ids of blocks that an earlier run may have sent: ours are found again by their number, and no
 * other id, however like ours, is taken for one.
 */

#include "fuzz.h"
#include "mount/parts.c"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	struct parts p = { .size = INT64_C(1) << 40, .block_size = STORE_SINGLE_MAX };
	const char *text = input_line(&in, &mem);
	char id[STORE_BLOCK_ID_SIZE], changed[STORE_BLOCK_ID_SIZE];
	size_t n = 50000, index, got;

	input_bytes(&in, &p.prefix, sizeof(p.prefix));
	input_bytes(&in, &index, sizeof(index));
	if (index_of(&p, text, n, &got) == 0) {
		must(got < n);
		part_id(&p, got, id);
		must(strcmp(id, text) == 0);
	}
	index %= n;
	part_id(&p, index, id);
	must(index_of(&p, id, n, &got) == 0 && got == index);
	must(index_of(&p, id, index, &got) != 0);
	memcpy(changed, id, sizeof(id));
	changed[size % strlen(id)] ^= 1;
	must(index_of(&p, changed, n, &got) != 0 || got != index);
	arena_done(&mem);
	return (0);
}
