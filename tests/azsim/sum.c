#include "sum.h"

#include <pthread.h>
#include <string.h>

#include "base/uri.h"

#define POLYNOMIAL	UINT64_C(0x9A6C9329AC4BC9B5)

/* table[k][b]: b, and k zero bytes behind it. */
static uint64_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
	unsigned i, k;

	for (i = 0; i < 256; i++) {
		uint64_t c = i;

		for (k = 0; k < 8; k++)
			c = (c & 1) != 0 ? (c >> 1) ^ POLYNOMIAL : c >> 1;
		table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			table[k][i] = table[0][table[k - 1][i] & 0xff] ^ (table[k - 1][i] >> 8);
}

static uint64_t
add_crc64(uint64_t c, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t w;

		memcpy(&w, p, sizeof(w));	/* little-endian, as all our machines are */
		w ^= c;
		c = table[7][w & 0xff] ^ table[6][(w >> 8) & 0xff] ^ table[5][(w >> 16) & 0xff] ^
		    table[4][(w >> 24) & 0xff] ^ table[3][(w >> 32) & 0xff] ^
		    table[2][(w >> 40) & 0xff] ^ table[1][(w >> 48) & 0xff] ^ table[0][w >> 56];
	}
	for (; len > 0; p++, len--)
		c = table[0][(c ^ *p) & 0xff] ^ (c >> 8);
	return (c);
}

void
sum_init(struct sum *s, int wants_md5, int wants_crc64)
{
	pthread_once(&once, make_table);
	s->wants_md5 = wants_md5;
	s->wants_crc64 = wants_crc64;
	s->crc64 = ~UINT64_C(0);
	br_md5_init(&s->md5);
}

void
sum_add(struct sum *s, const void *data, size_t len)
{
	if (s->wants_md5)
		br_md5_update(&s->md5, data, len);
	if (s->wants_crc64)
		s->crc64 = add_crc64(s->crc64, data, len);
}

void
sum_md5(const struct sum *s, struct buf *ret)
{
	unsigned char out[br_md5_SIZE];

	br_md5_out(&s->md5, out);
	buf_reset(ret);
	base64_encode(ret, out, sizeof(out));
}

void
sum_crc64(const struct sum *s, struct buf *ret)
{
	uint64_t c = ~s->crc64;
	unsigned char out[8];
	int i;

	for (i = 0; i < 8; i++)
		out[i] = (unsigned char)(c >> (8 * i));
	buf_reset(ret);
	base64_encode(ret, out, sizeof(out));
}
