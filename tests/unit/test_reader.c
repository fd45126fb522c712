/* reader: small files whole, random reads exact, streams fetched ahead. */

#include "check.h"
#include "fakestore.h"
#include "mount/reader.h"

#define MIB	((int64_t)1 << 20)

static struct blocks *pool;
static struct reader *reader;
static struct blocks_file *file;

static void
begin(int64_t size, int64_t memory)
{
	struct blocks_options o = { .store = store_new(NULL, NULL), .memory_bytes = memory,
	    .user_bytes = sizeof(struct reader_streams) };
	struct store_attr a;
	struct err err = ERR_EMPTY;

	fake_reset();
	fake_put_pattern("f", size);
	pool = blocks_new(&o, &err);
	reader = reader_new(pool);
	if (pool == NULL || store_stat(NULL, "f", 1, &a, &err) != 0)
		abort();
	file = blocks_open(pool, 1, "f", a.etag, a.size);
}

static void
end(void)
{
	blocks_close(pool, file);
	blocks_free(pool);
	reader_free(reader);
}

/* Bytes read, -1: failed or wrong. */
static int64_t
read_at(int64_t offset, size_t len)
{
	struct blocks_span s;
	struct blocks_wait w;
	struct err err = ERR_EMPTY;
	int64_t at = offset, got;
	unsigned int i;
	size_t k;

	blocks_wait_init(&w, clock_ms() + 5000);
	if (reader_read(reader, file, offset, len, &w, &s, &err) != 0) {
		blocks_wait_done(&w);
		return (-1);
	}
	for (i = 0; i < s.n; i++)
		for (k = 0; k < s.iov[i].iov_len; k++, at++)
			if (((unsigned char *)s.iov[i].iov_base)[k] != fake_byte(at))
				at = -1;
	got = at - offset;
	blocks_put(pool, &s);
	blocks_wait_done(&w);
	return (got);
}

/* Reads that nobody waits for have been answered as well. */
static int64_t
bytes_asked(void)
{
	struct blocks_counts c;

	blocks_counts(pool, &c);
	return (c.fetched_bytes);
}

/* Nothing is under way any more. */
static void
settle(void)
{
	int64_t asked, until_ms = clock_ms() + 5000;

	do {
		asked = fake_get(read_bytes);
		clock_sleep_ms(20);
	} while ((fake_get(nqueue) > 0 || fake_get(read_bytes) != asked) && clock_ms() < until_ms);
}

static void
test_small(void)
{
	begin(700000, 32 * MIB);
	check_int(read_at(650000, 1000), 1000);		/* the end first, as zip readers do */
	check_int(fake_get(reads), 1);
	check_int(read_at(0, 700000), 700000);
	check_int(fake_get(reads), 1);
	check_int(read_at(699000, 100000), 1000);
	check_int(read_at(700000, 10), 0);
	check_int(read_at(800000, 10), 0);
	check_int(read_at(0, 0), 0);
	end();
	begin(0, 32 * MIB);
	check_int(read_at(0, 4096), 0);
	check_int(fake_get(reads), 0);
	end();
}

static void
test_random(void)
{
	int i, ok = 1;

	begin(64 * MIB, 32 * MIB);
	for (i = 0; i < 100; i++)
		ok &= read_at((int64_t)(i * 37 % 100 + 1) * 640 * 1024 + 77 * 4096, 4096) == 4096;
	check(ok);
	check_int(bytes_asked(), 100 * 4096);
	check_int(fake_get(reads), 100);
	end();
}

/* An index at the end, read from its last bytes on back. */
static void
test_tail(void)
{
	begin(64 * MIB + 123, 32 * MIB);
	check_int(read_at(64 * MIB + 115, 8), 8);
	check(bytes_asked() >= READER_TAIL && bytes_asked() <= READER_TAIL + 4096);
	check_int(read_at(64 * MIB + 123 - READER_TAIL, 4096), 4096);
	check_int(read_at(64 * MIB - 20000, 20000), 20000);
	check_int(fake_get(reads), 1);
	end();
}

/* Reads at equal distances, in both directions. */
static void
test_rows(void)
{
	int64_t stride, at;
	int i, k, ok = 1;

	for (k = 0; k < 2; k++) {
		begin(32 * MIB, 64 * MIB);
		stride = k == 0 ? 100 * 4096 : -100 * 4096;
		at = k == 0 ? 4096 : 31 * MIB - 4096;
		for (i = 0; i < 3; i++)
			ok &= read_at(at + i * stride, 5000) == 5000;
		settle();
		fake_set(reads, 0);
		ok &= read_at(at + 3 * stride, 5000) == 5000;
		ok &= read_at(at + 4 * stride, 5000) == 5000;
		settle();
		for (i = 5; i < 60; i++)
			ok &= read_at(at + i * stride, 5000) == 5000;
		check(ok);
		settle();
		/* Nothing but the reads' pages, and at most ROW_MAX of those too many. */
		check(bytes_asked() <= (60 + 64) * 8192);
		check(bytes_asked() > 70 * 8192);
		end();
	}
}

/* A file from its end to its beginning: not a request for each read. */
static void
test_backwards(void)
{
	int64_t at;
	int ok = 1;

	begin(40 * MIB, 64 * MIB);
	for (at = 39 * MIB; at >= 0; at -= 65536)
		ok &= read_at(at, 65536) == 65536;
	check(ok);
	check(bytes_asked() <= 40 * MIB);
	check(fake_get(reads) < 39 * 16 / 4);
	end();
}

/* Several reads around one place: larger pieces, but not a stream. */
static void
test_near(void)
{
	begin(64 * MIB, 32 * MIB);
	check_int(read_at(20 * MIB + 40960, 4096), 4096);
	check_int(read_at(20 * MIB + 20480, 4096), 4096);
	check_int(bytes_asked(), 2 * 4096);
	check_int(read_at(20 * MIB + 4096, 4096), 4096);
	check(bytes_asked() > 3 * 4096 && bytes_asked() <= 65536);
	check_int(read_at(20 * MIB, 4096), 4096);
	check_int(fake_get(reads), 3);
	end();
}

/* More than half of it was read at random: the rest comes by itself, if there is room for it. */
static void
promote(int64_t size, int64_t memory, int is_wanted)
{
	unsigned int order[512], i, k, swap, n = (unsigned int)(size / 262144), ok = 1, r = 77;
	int64_t until_ms = clock_ms() + 5000;

	begin(size, memory);
	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n - 1; i > 0; i--) {
		r = r * 1103515245 + 12345;
		k = (r >> 8) % (i + 1);
		swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
	for (i = 0; i < n * 5 / 8; i++)
		ok &= read_at((int64_t)order[i] * 262144, 131072) == 131072;
	check(ok);
	for (i = 0; i < n * 5 / 8; i++)
		ok &= read_at((int64_t)order[i] * 262144 + 131072, 131072) == 131072;
	check(ok);
	while (is_wanted && fake_get(read_bytes) < size && clock_ms() < until_ms)
		clock_sleep_ms(5);
	settle();
	check(is_wanted ? fake_get(read_bytes) == size : fake_get(read_bytes) < size * 7 / 8);
	end();
}

static void
test_promotion(void)
{
	promote(24 * MIB + 65536, 128 * MIB, 1);
	promote(24 * MIB + 65536, 64 * MIB, 0);
}

static void
test_sequential(void)
{
	struct blocks_counts c;
	int64_t offset;
	int ok = 1;

	begin(96 * MIB, 64 * MIB);
	check_int(read_at(0, 131072), 131072);
	check_int(bytes_asked(), MIB);		/* nothing ahead of a first read */
	settle();
	check_int(read_at(131072, 131072), 131072);
	check(bytes_asked() <= 2 * MIB);
	for (offset = 262144; offset < 96 * MIB; offset += 131072)
		ok &= read_at(offset, 131072) == 131072;
	check(ok);
	check_int(bytes_asked(), 96 * MIB);	/* each byte once */
	blocks_counts(pool, &c);
	check(c.fetches <= 96 + 8);
	end();
}

/* A window grows when a reader waits, not when it is slow. */
static void
test_window(void)
{
	int64_t before;

	begin(96 * MIB, 64 * MIB);
	check_int(read_at(0, 131072), 131072);
	check_int(read_at(131072, 131072), 131072);
	before = bytes_asked();
	settle();
	check_int(read_at(262144, 131072), 131072);
	settle();
	check_int(read_at(393216, 131072), 131072);
	check(bytes_asked() <= before + MIB);
	end();
}

/* Several readers of one file, in turn; a reader that starts in the middle. */
static void
test_streams(void)
{
	int64_t base[4] = { 0, 20 * MIB, 40 * MIB, 60 * MIB }, step;
	int k, ok = 1;

	begin(80 * MIB, 64 * MIB);
	for (step = 0; step < 4 * MIB; step += 65536)
		for (k = 0; k < 4; k++)
			ok &= read_at(base[k] + step, 65536) == 65536;
	check(ok);
	check(fake_get(reads) < 60);		/* not one for each of 256 reads */
	/* Overtaken and skipped a little: still the same streams. */
	k = fake_get(reads);
	check_int(read_at(base[1] + 4 * MIB + 131072, 65536), 65536);
	check_int(read_at(base[1] + 4 * MIB, 65536), 65536);
	check(fake_get(reads) - k < 12);
	end();
}

/* The pool is much smaller than what the streams would like. */
static void
test_small_pool(void)
{
	int64_t base[6] = { 0, 10 * MIB, 20 * MIB, 30 * MIB, 40 * MIB, 50 * MIB }, step;
	int k, ok = 1;

	begin(60 * MIB, 16 * MIB);
	for (step = 0; step < 10 * MIB; step += 262144)
		for (k = 0; k < 6; k++)
			ok &= read_at(base[k] + step, 262144) == 262144;
	check(ok);
	check(bytes_asked() < 90 * MIB);	/* hardly anything twice */
	end();
}

static void
test_changed(void)
{
	begin(8 * MIB, 32 * MIB);
	check_int(read_at(0, 4096), 4096);
	fake_put_pattern("f", 8 * MIB);
	check_int(read_at(4 * MIB, 4096), -1);
	check_int(read_at(0, 4096), -1);
	end();
}

int
main(void)
{
	fake_begin();
	test_small();
	test_random();
	test_tail();
	test_rows();
	test_backwards();
	test_near();
	test_promotion();
	test_sequential();
	test_window();
	test_streams();
	test_small_pool();
	test_changed();
	fake_end();
	return (check_done());
}
