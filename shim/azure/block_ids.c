#include <string.h>
#include <sys/random.h>

#include "azure/store.h"
#include "base/uri.h"

#define BLOCK_FIRST	STORE_SINGLE_MAX
#define BLOCK_MAX	((int64_t)4000 << 20)
#define DOUBLE_AFTER	5000
#define RAW_LEN		24
#define RAW_MAX		64

int64_t
store_block_size(size_t i)
{
	size_t doublings = i / DOUBLE_AFTER;
	int64_t size = doublings < 32 ? BLOCK_FIRST << doublings : BLOCK_MAX;

	return (size < BLOCK_MAX ? size : BLOCK_MAX);
}

int
store_ids_init(struct store_ids *ids, const char *like)
{
	unsigned char raw[RAW_MAX];
	ssize_t len = like == NULL ? RAW_LEN :
	    base64_decode(raw, sizeof(raw), like, strlen(like));

	memset(ids, 0, sizeof(*ids));
	if (len < (ssize_t)(sizeof(ids->random) + sizeof(ids->next)) ||
	    getrandom(ids->random, sizeof(ids->random), 0) != (ssize_t)sizeof(ids->random))
		return (-1);
	ids->raw_len = (size_t)len;
	return (0);
}

void
store_ids_next(struct store_ids *ids, char id[STORE_BLOCK_ID_SIZE])
{
	auto_buf struct buf b = BUF_EMPTY;
	unsigned char raw[RAW_MAX] = { 0 };
	uint32_t n = ids->next++;

	memcpy(raw, ids->random, sizeof(ids->random));
	raw[8] = (unsigned char)(n >> 24);
	raw[9] = (unsigned char)(n >> 16);
	raw[10] = (unsigned char)(n >> 8);
	raw[11] = (unsigned char)n;
	base64_encode(&b, raw, ids->raw_len);
	str_format(id, STORE_BLOCK_ID_SIZE, "%s", b.data);
}
