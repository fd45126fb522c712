/* blocks: pages fetched once, joined, pinned, evicted; failures; versions kept apart. */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>

#include "check.h"
#include "fakestore.h"
#include "mount/blocks.h"

#define MIB	((int64_t)1 << 20)

static struct blocks *pool;
static int64_t pool_bytes = 16 * MIB;
static struct disk *disk;
static char disk_dir[64];

static void
new_pool(void)
{
	struct blocks_options o = { .store = store_new(NULL, NULL), .memory_bytes = pool_bytes,
	    .timeout_ms = 10000, .user_bytes = 16, .disk = disk };
	struct err err = ERR_EMPTY;

	pool = blocks_new(&o, &err);
	if (pool == NULL)
		abort();
}

static void
begin(void)
{
	fake_reset();
	new_pool();
}

static void
end(void)
{
	blocks_free(pool);
}

/* With a disk cache; its directory stays until end_disk(). */
static void
begin_disk(void)
{
	struct disk_options o = { .dir = disk_dir, .bytes = 64 * MIB, .reserve_bytes = 1,
	    .place = "p", .kept = blocks_kept };

	disk = disk_new(&o, NULL);
	if (disk == NULL)
		abort();
	new_pool();
}

/* The next has to find it there. */
static void
restart_disk(void)
{
	blocks_free(pool);
	disk_free(disk);
	begin_disk();
}

static void
end_disk(void)
{
	blocks_free(pool);
	disk_free(disk);
	disk = NULL;
	if (fd_remove_tree(disk_dir, NULL) != 0)
		abort();
}

static struct blocks_file *
open_blob(const char *name, uint64_t key)
{
	struct store_attr a;
	struct err err;

	if (store_stat(NULL, name, 1, &a, &err) != 0)
		abort();
	return (blocks_open(pool, key, name, a.etag, a.size));
}

/* 0, or -1; then *err. */
static int
read_span(struct blocks_file *f, int64_t offset, size_t len, int64_t until, struct blocks_span *s,
    int64_t timeout_ms, struct err *err)
{
	struct blocks_range r = { offset, len, offset, until };
	struct blocks_wait w;
	int missing, rc;

	blocks_wait_init(&w, clock_ms() + timeout_ms);
	rc = blocks_start(pool, f, &r, &w, s, &missing, err);
	if (rc == 0 && blocks_wait(pool, s, &w, err) != 0) {
		blocks_put(pool, s);
		rc = -1;
	}
	blocks_wait_done(&w);
	return (rc);
}

static int
is_pattern(const struct blocks_span *s)
{
	int64_t at = s->offset;
	unsigned int i;
	size_t k;

	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->iov[i].iov_len; k++, at++)
			if (((unsigned char *)s->iov[i].iov_base)[k] != fake_byte(at))
				return (0);
	return (at == s->offset + (int64_t)s->len);
}

static int
read_ok(struct blocks_file *f, int64_t offset, size_t len)
{
	struct blocks_span s;
	struct err err = ERR_EMPTY;
	int ok;

	if (read_span(f, offset, len, offset + (int64_t)len, &s, 5000, &err) != 0)
		return (0);
	ok = is_pattern(&s);
	blocks_put(pool, &s);
	return (ok);
}

static int
read_fails(struct blocks_file *f, int64_t offset, size_t len, struct err *err)
{
	struct blocks_span s;

	*err = ERR_EMPTY;
	return (read_span(f, offset, len, offset + (int64_t)len, &s, 5000, err) != 0);
}

static void
wait_for_reads(int n)
{
	int64_t until_ms = clock_ms() + 5000;

	while (fake_get(reads) < n && clock_ms() < until_ms)
		clock_sleep_ms(1);
}

/* A reader goes on when its bytes came; the fetch that brought them ends a little later. */
static void
counts_at_rest(int64_t idle_chunks, struct blocks_counts *ret)
{
	int64_t until_ms = clock_ms() + 5000;

	do {
		blocks_counts(pool, ret);
		if (ret->idle_chunks == idle_chunks)
			return;
		clock_sleep_ms(1);
	} while (clock_ms() < until_ms);
}

/* A random read asks for its pages and nothing else; what is there is not asked for again. */
static void
test_exact(void)
{
	struct blocks_file *f;

	begin();
	fake_put_pattern("f", 10 * MIB + 123);
	f = open_blob("f", 1);
	check(read_ok(f, 5 * MIB + 10, 1));
	check_int(fake_get(read_bytes), BLOCKS_PAGE);
	check(read_ok(f, 5 * MIB + 4090, 10));		/* over the end of the page */
	check_int(fake_get(read_bytes), 2 * BLOCKS_PAGE);
	check(read_ok(f, 5 * MIB, 8192));
	check_int(fake_get(reads), 2);
	check(read_ok(f, BLOCKS_CHUNK - 100, 200));	/* two chunks, one GET */
	check_int(fake_get(reads), 3);
	check(read_ok(f, 10 * MIB + 100, 23));		/* the last page is short */
	check_int(fake_get(read_bytes), 4 * BLOCKS_PAGE + 123);
	check(read_ok(f, 7 * MIB - 5, BLOCKS_READ_MAX));
	check(read_ok(f, 3 * MIB, 8192) && read_ok(f, 3 * MIB + 16384, 4096));
	check_int(fake_get(reads), 7);
	check(read_ok(f, 3 * MIB, 32768));		/* what is missing between and after them */
	check_int(fake_get(reads), 9);
	blocks_close(pool, f);
	end();
}

/* until: one GET brings more than what is needed. */
static void
test_stretch(void)
{
	struct blocks_range r = { 500000, 1000, 0, 900001 };
	struct blocks_counts c;
	struct blocks_file *f;
	struct blocks_span s;
	struct blocks_wait w;
	struct err err = ERR_EMPTY;
	int missing = 0;

	begin();
	fake_put_pattern("f", 900001);
	f = open_blob("f", 1);
	blocks_wait_init(&w, clock_ms() + 5000);
	check_int(blocks_start(pool, f, &r, &w, &s, &missing, &err), 0);
	check_int(missing, 2);
	check_int(blocks_wait(pool, &s, &w, &err), 0);
	check(is_pattern(&s));
	blocks_put(pool, &s);
	check(read_ok(f, 0, 400000) && read_ok(f, 400000, 500001));
	blocks_counts(pool, &c);
	check_int(c.fetches, 1);
	check_int(c.fetched_bytes, 900001);
	r.offset = 900000;
	check(blocks_start(pool, f, &r, &w, &s, &missing, &err) != 0);	/* out of bounds: a bug */
	check_int(err.kind, ERR_BUG);
	blocks_wait_done(&w);
	blocks_close(pool, f);
	end();
}

struct job {
	struct blocks_file *file;
	int64_t offset;
	size_t len;
	int ok;
	_Atomic int over;
};

static void *
reader_main(void *arg)
{
	struct job *j = arg;

	j->ok = read_ok(j->file, j->offset, j->len);
	j->over = 1;
	return (NULL);
}

/* Readers of the same bytes share one GET, and each goes on when its own bytes came. */
static void
test_join(void)
{
	struct job jobs[3] = { { .offset = 0, .len = 4096 }, { .offset = 8192, .len = 100000 },
	    { .offset = 500000, .len = 500000 } };
	struct blocks_span s;
	struct blocks_range r = { 0, 4096, 0, MIB };
	struct blocks_wait w;
	struct err err = ERR_EMPTY;
	pthread_t threads[3];
	struct blocks_file *f;
	int i, missing = 0;
	int64_t until_ms;

	begin();
	fake_put_pattern("f", 4 * MIB);
	fake_set(hold_after, 200000);
	f = open_blob("f", 1);
	blocks_wait_init(&w, clock_ms() + 5000);
	check_int(blocks_start(pool, f, &r, &w, &s, &missing, &err), 0);
	for (i = 0; i < 3; i++) {
		jobs[i].file = f;
		pthread_create(&threads[i], NULL, reader_main, &jobs[i]);
	}
	until_ms = clock_ms() + 5000;
	while (!(jobs[0].over && jobs[1].over) && clock_ms() < until_ms)
		clock_sleep_ms(1);
	check(jobs[0].over && jobs[1].over);
	check(!jobs[2].over);
	check_int(blocks_wait(pool, &s, &w, &err), 0);	/* its first page is there */
	fake_set(hold_after, -1);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	check(jobs[0].ok && jobs[1].ok && jobs[2].ok);
	check_int(fake_get(reads), 1);
	blocks_put(pool, &s);
	blocks_wait_done(&w);
	blocks_close(pool, f);
	end();
}

/* A file four times the pool goes through it. */
static void
test_eviction(void)
{
	struct blocks_counts c;
	struct blocks_file *f;
	int64_t offset;
	int ok = 1;

	begin();
	fake_put_pattern("f", 64 * MIB);
	f = open_blob("f", 1);
	for (offset = 0; offset < 64 * MIB; offset += MIB)
		ok &= read_ok(f, offset, (size_t)MIB);
	check(ok);
	counts_at_rest(64, &c);
	check_int(c.chunks, 64);
	check_int(c.idle_chunks, 64);
	check_int(c.evicted, 3 * 64);
	check(read_ok(f, 63 * MIB, (size_t)MIB));	/* the last is still there */
	check_int(fake_get(reads), 64);
	check(read_ok(f, 0, (size_t)MIB));
	check_int(fake_get(reads), 65);
	blocks_close(pool, f);
	check(blocks_find(pool, 1) != NULL);	/* known: its data is here */
	blocks_close(pool, blocks_find(pool, 1));
	blocks_close(pool, f);
	check(blocks_find(pool, 2) == NULL);
	end();
}

/* What is left of the pool when so much of it is wanted elsewhere, and a file goes through it. */
static int64_t
left_beside(struct blocks_file *f, int64_t lent)
{
	int64_t offset, before;
	int i, ok = 1;

	for (i = 0; i < 8; i++) {
		before = blocks_memory(pool);
		blocks_lend(pool, lent);
		ok &= blocks_memory(pool) >= before - 16 * MIB;	/* a step at a time */
	}
	for (offset = 0; offset < 80 * MIB; offset += MIB)
		ok &= read_ok(f, offset, (size_t)MIB);
	check(ok);
	return (blocks_memory(pool));
}

/* Memory of the pool that something else takes goes, and comes back; what is pinned stays. */
static void
test_lend(void)
{
	struct blocks_span s;
	struct blocks_file *f;
	struct err err;

	pool_bytes = 64 * MIB;
	begin();
	fake_put_pattern("f", 80 * MIB);
	f = open_blob("f", 1);
	check_int(left_beside(f, 0), 64 * MIB);
	check_int(left_beside(f, 20 * MIB), 44 * MIB);
	check_int(read_span(f, 70 * MIB, (size_t)MIB, 71 * MIB, &s, 5000, &err), 0);
	check_int(left_beside(f, 1000 * MIB), 16 * MIB);
	check(is_pattern(&s));
	blocks_put(pool, &s);
	check_int(left_beside(f, 3 * MIB), 61 * MIB);
	check_int(left_beside(f, 0), 64 * MIB);
	blocks_close(pool, f);
	end();
	pool_bytes = 16 * MIB;
}

/* All is pinned: a reader waits for room, and gets it. */
static void
test_room(void)
{
	struct job job = { .offset = 40 * MIB, .len = (size_t)MIB };
	struct blocks_span spans[16], s;
	struct err err = ERR_EMPTY;
	struct blocks_file *f;
	pthread_t thread;
	int i, ok = 1;

	begin();
	fake_put_pattern("f", 64 * MIB);
	f = open_blob("f", 1);
	for (i = 0; i < 16; i++)
		ok &= read_span(f, i * MIB, (size_t)MIB, i * MIB + MIB, &spans[i], 5000, &err) == 0;
	check(ok);
	check(read_span(f, 20 * MIB, 1, 20 * MIB + 1, &s, 50, &err) != 0);
	check_int(err.sys_errno, ETIMEDOUT);
	check_int(blocks_ahead(pool, f, 20 * MIB, 30 * MIB, (size_t)MIB), 20 * MIB);
	job.file = f;
	pthread_create(&thread, NULL, reader_main, &job);
	clock_sleep_ms(20);
	check(!job.over);
	for (i = 0; i < 16; i++)
		ok &= is_pattern(&spans[i]);
	check(ok);			/* nobody overwrote what is pinned */
	blocks_put(pool, &spans[3]);
	pthread_join(thread, NULL);
	check(job.ok);
	for (i = 0; i < 16; i++)
		if (i != 3)
			blocks_put(pool, &spans[i]);
	blocks_close(pool, f);
	end();
}

static void *
interrupter_main(void *arg)
{
	clock_sleep_ms(30);
	blocks_interrupt(pool, arg);
	return (NULL);
}

/* The waiter ends, the fetch does not. */
static void
test_interrupt(void)
{
	struct blocks_range r = { 0, 4096, 0, 4096 };
	struct blocks_file *f;
	struct blocks_span s;
	struct blocks_wait w;
	struct err err = ERR_EMPTY;
	pthread_t thread;
	int missing = 0;

	begin();
	fake_put_pattern("f", MIB);
	fake_set(hold, 1);
	f = open_blob("f", 1);
	blocks_wait_init(&w, clock_ms() + 5000);
	check_int(blocks_start(pool, f, &r, &w, &s, &missing, &err), 0);
	pthread_create(&thread, NULL, interrupter_main, &w);
	check(blocks_wait(pool, &s, &w, &err) != 0);
	check_int(err.sys_errno, EINTR);
	pthread_join(thread, NULL);
	blocks_put(pool, &s);
	blocks_wait_done(&w);
	/* Interrupted before it waits. */
	blocks_wait_init(&w, clock_ms() + 5000);
	check_int(blocks_start(pool, f, &r, &w, &s, &missing, &err), 0);
	check_int(missing, 1);
	blocks_interrupt(pool, &w);
	check(blocks_wait(pool, &s, &w, &err) != 0 && err.sys_errno == EINTR);
	blocks_put(pool, &s);
	blocks_wait_done(&w);
	fake_set(hold, 0);
	check(read_ok(f, 0, 4096));
	check_int(fake_get(reads), 1);
	blocks_close(pool, f);
	end();
}

/* A failure reaches all who wait; the next reader tries again. */
static void
test_failure(void)
{
	struct job jobs[2] = { { .offset = 0, .len = 4096 }, { .offset = 4096, .len = 4096 } };
	struct blocks_file *f;
	struct err err;
	pthread_t threads[2];
	int i;

	begin();
	fake_put_pattern("f", 4 * MIB);
	fake_fail_with(ERR_DENIED, 403, 0);
	fake_set(fail_reads, 2);
	fake_set(hold, 1);
	f = open_blob("f", 1);
	for (i = 0; i < 2; i++) {
		jobs[i].file = f;
		pthread_create(&threads[i], NULL, reader_main, &jobs[i]);
	}
	wait_for_reads(2);
	fake_set(hold, 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	check(!jobs[0].ok && !jobs[1].ok);
	check(read_ok(f, 0, 8192));
	fake_set(fail_reads, 1);
	check(read_fails(f, MIB, 10, &err));
	check_int(err.kind, ERR_DENIED);
	check_int(err.http_status, 403);
	/* Half of the bytes, and no word of it: never a short read. */
	fake_set(cut_reads, 1);
	check(read_fails(f, 2 * MIB, 65536, &err));
	check_int(err.kind, ERR_PROTOCOL);
	check(read_ok(f, 2 * MIB, 65536));
	blocks_close(pool, f);
	end();
}

static void
test_versions(void)
{
	struct blocks_file *old, *new;
	struct err err;

	begin();
	fake_put_pattern("f", 4 * MIB);
	old = open_blob("f", 1);
	check(read_ok(old, 0, 4096));
	fake_put_pattern("f", 4 * MIB);
	check(read_fails(old, MIB, 4096, &err));
	check_int(err.kind, ERR_CHANGED);
	check(read_fails(old, 0, 4096, &err));		/* for ever, also what was there */
	check_int(err.kind, ERR_CHANGED);
	new = open_blob("f", 2);
	check(read_ok(new, 0, 4096) && read_ok(new, MIB, 4096));
	fake_delete("f");
	check(read_fails(new, 2 * MIB, 4096, &err));
	check_int(err.kind, ERR_NOT_FOUND);
	check(read_fails(new, 0, 4096, &err));
	blocks_close(pool, old);
	blocks_close(pool, new);
	end();
}

/* Reading ahead takes neither what is unread nor the last eighth. */
static void
test_ahead(void)
{
	struct blocks_counts c;
	struct blocks_file *f, *g;
	int64_t reached;

	begin();
	fake_put_pattern("f", 64 * MIB);
	fake_put_pattern("g", 64 * MIB);
	f = open_blob("f", 1);
	g = open_blob("g", 2);
	reached = blocks_ahead(pool, f, 0, 64 * MIB, (size_t)MIB);
	check_int(reached, 14 * MIB);
	wait_for_reads(14);
	check_int(blocks_ahead(pool, g, 0, 64 * MIB, (size_t)MIB), 0);
	check_int(blocks_ahead(pool, f, 0, 10 * MIB, (size_t)MIB), 10 * MIB);
	check(read_ok(g, 0, 4096));			/* demand has its part */
	check(read_ok(f, 0, (size_t)MIB) && read_ok(f, MIB, (size_t)MIB));
	check_int(fake_get(reads), 15);
	check(blocks_ahead(pool, f, reached, 64 * MIB, (size_t)MIB) > reached);
	blocks_forget(pool, 1);
	check(blocks_ahead(pool, g, 32 * MIB, 64 * MIB, (size_t)MIB) > 32 * MIB);
	blocks_close(pool, f);
	blocks_close(pool, g);
	blocks_counts(pool, &c);
	check(c.evicted > 0);
	end();
}

static void
test_user_memory(void)
{
	struct blocks_file *f, *again;

	begin();
	fake_put_pattern("f", 10);
	f = open_blob("f", 7);
	((char *)blocks_user(f))[15] = 'x';
	again = blocks_open(pool, 7, "other", "\"e\"", 99);
	check(again == f);
	check_int(((char *)blocks_user(again))[15], 'x');
	check_int(blocks_size(again), 10);
	blocks_close(pool, again);
	blocks_close(pool, f);
	check(blocks_find(pool, 7) == NULL);	/* nothing of it is here */
	end();
}

struct stress {
	struct blocks_file *files[3];
	unsigned int seed;
	_Atomic int *bad, *good;
};

static void *
stress_main(void *arg)
{
	struct stress *x = arg;
	unsigned int r = x->seed;
	int64_t offset;
	struct blocks_span s;
	struct err err;
	size_t len;
	int i;

	for (i = 0; i < 400; i++) {
		r = r * 1103515245 + 12345;
		offset = (int64_t)(r >> 4) % (24 * MIB - 1);
		len = 1 + (r >> 7) % (r % 3 == 0 ? BLOCKS_READ_MAX : 20000);
		if (offset + (int64_t)len > 24 * MIB)
			len = (size_t)(24 * MIB - offset);
		if (r % 5 == 0)
			blocks_ahead(pool, x->files[r % 3], offset, 24 * MIB, (size_t)MIB);
		if (read_span(x->files[r % 3], offset, len, offset + (int64_t)len, &s, 10000,
		    &err) != 0)
			continue;
		*(is_pattern(&s) ? x->good : x->bad) += 1;
		blocks_put(pool, &s);
	}
	return (NULL);
}

static void
stress(void)
{
	struct stress x[8];
	_Atomic int bad = 0, good = 0;
	pthread_t threads[8];
	int i, k;

	fake_put_pattern("f", 24 * MIB);
	fake_fail_with(ERR_UNREACHABLE, 503, 0);
	for (i = 0; i < 8; i++) {
		for (k = 0; k < 3; k++)
			x[i].files[k] = open_blob("f", (uint64_t)k + 1);
		x[i].seed = (unsigned int)i * 7919 + 1;
		x[i].bad = &bad;
		x[i].good = &good;
		pthread_create(&threads[i], NULL, stress_main, &x[i]);
	}
	for (i = 0; i < 20; i++) {
		fake_set(fail_reads, 2);
		clock_sleep_ms(5);
	}
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		for (k = 0; k < 3; k++)
			blocks_close(pool, x[i].files[k]);
	}
	check_int(bad, 0);
	check(good > 2000);
}

static void
test_stress(void)
{
	begin();
	stress();
	end();
	fake_reset();
	begin_disk();
	stress();
	end_disk();
}

/* Who waits for what was fetched ahead makes it urgent: that GET alone, once. */
static void
test_hurry(void)
{
	struct job j = { .offset = 3 * MIB + 70000, .len = 5000 };
	int64_t until_ms = clock_ms() + 5000;
	struct blocks_file *f;
	pthread_t thread;

	begin();
	fake_put_pattern("f", 8 * MIB);
	fake_set(hold, 1);
	f = open_blob("f", 1);
	check_int(blocks_ahead(pool, f, MIB, 5 * MIB, (size_t)MIB), 5 * MIB);
	check_int(fake_get(hurries), 0);
	j.file = f;
	pthread_create(&thread, NULL, reader_main, &j);
	while (fake_get(hurries) == 0 && clock_ms() < until_ms)
		clock_sleep_ms(1);
	check_int(fake_get(hurries), 1);
	fake_set(hold, 0);
	pthread_join(thread, NULL);
	check(j.ok);
	check(read_ok(f, 3 * MIB, MIB) && read_ok(f, MIB, MIB));
	check_int(fake_get(reads), 4);
	blocks_close(pool, f);
	end();
}

/* What one run read the next has without a request. */
static void
test_disk(void)
{
	struct blocks_file *f, *small;

	fake_reset();
	begin_disk();
	fake_put_pattern("f", 5 * MIB + 123);
	fake_put_pattern("small", 70000);
	f = open_blob("f", 1);
	small = open_blob("small", 2);
	check(read_ok(f, 0, MIB) && read_ok(f, 2 * MIB, 3 * BLOCKS_CHUNK));
	check(read_ok(f, 5 * MIB, 123) && read_ok(small, 0, 70000));
	check(read_ok(f, 4 * MIB, 4096));		/* no whole chunk: not kept */
	check_int(blocks_whole(f), -1);
	blocks_close(pool, f);
	blocks_close(pool, small);
	restart_disk();
	fake_set(reads, 0);
	f = open_blob("f", 1);
	small = open_blob("small", 2);
	check(read_ok(f, 0, MIB) && read_ok(f, 2 * MIB, 3 * BLOCKS_CHUNK));
	check(read_ok(f, 5 * MIB, 123) && read_ok(small, 60000, 10000));
	check(blocks_ahead(pool, f, 0, MIB, (size_t)MIB) == MIB);
	check_int(fake_get(reads), 0);
	check(read_ok(f, 4 * MIB, 4096));
	check_int(fake_get(reads), 1);
	check_int(blocks_ahead(pool, f, 0, 5 * MIB + 123, (size_t)MIB), 5 * MIB + 123);
	check(read_ok(f, 3 * MIB, MIB) && read_ok(f, 4 * MIB, MIB) && read_ok(f, MIB, MIB));
	check(read_ok(f, 2 * MIB, MIB));	/* its last chunk may still be on its way */
	/* In both runs each byte once, but for that page. */
	check_int(fake_get(read_bytes), 5 * MIB + 123 + 70000 + 4096);
	disk_drain(disk, 10000);
	check(blocks_whole(f) >= 0);
	fake_put_pattern("f", 5 * MIB + 123);		/* another version */
	blocks_close(pool, f);
	f = open_blob("f", 3);
	check_int(blocks_whole(f), -1);
	blocks_close(pool, f);
	blocks_close(pool, small);
	end_disk();
}

static void
damage_files(void)
{
	char command[256];

	snprintf(command, sizeof(command), "for f in %s/[0-9a-f]*; do case $f in *.sum) ;; "
	    "*) printf X | dd of=$f bs=1 seek=300000 conv=notrunc 2>/dev/null ;; esac; done",
	    disk_dir);
	if (system(command) != 0)
		abort();
}

/* A damaged chunk is fetched, also for those who came while it was being read. */
static void
test_disk_damage(void)
{
	struct disk_counts n;
	struct blocks_file *f;

	fake_reset();
	begin_disk();
	fake_put_pattern("f", 2 * MIB);
	f = open_blob("f", 1);
	check(read_ok(f, 0, MIB) && read_ok(f, MIB, MIB));
	blocks_close(pool, f);
	restart_disk();
	damage_files();
	fake_set(reads, 0);
	f = open_blob("f", 1);
	check(read_ok(f, BLOCKS_CHUNK + 8192, 4096));
	check_int(fake_get(reads), 1);
	check(read_ok(f, 0, MIB) && read_ok(f, MIB, MIB));
	check_int(fake_get(reads), 1);
	disk_counts(disk, &n);
	check_int(n.damaged, 1);
	disk_drain(disk, 10000);
	check(blocks_whole(f) >= 0);			/* mended */
	blocks_close(pool, f);
	restart_disk();
	damage_files();
	fake_fail_with(ERR_UNREACHABLE, 503, 0);
	fake_set(fail_reads, 1);
	f = open_blob("f", 1);
	check(!read_ok(f, BLOCKS_CHUNK, 4096));
	check(read_ok(f, BLOCKS_CHUNK, 4096));
	blocks_close(pool, f);
	end_disk();
}

/* A disk that stands still takes no room that reads need, and none waits for it. */
static void
test_disk_stuck(int64_t bytes)
{
	char state[96];
	struct blocks_file *f;
	int fd, i, ok = 1;

	fake_reset();
	pool_bytes = bytes;
	begin_disk();
	while (blocks_memory(pool) > 16 * MIB)		/* the rest is lent */
		blocks_lend(pool, bytes);
	snprintf(state, sizeof(state), "%s/.state", disk_dir);
	fd = open(state, O_RDWR | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0)
		abort();
	fake_put_pattern("f", 20 * MIB);		/* more than the pool */
	f = open_blob("f", 1);
	for (i = 0; i < 20 && ok; i++)
		ok = read_ok(f, i * MIB, MIB);
	check(ok);
	check_int(fake_get(read_bytes), 20 * MIB);
	close(fd);
	blocks_close(pool, f);
	end_disk();
	pool_bytes = 16 * MIB;
}

int
main(void)
{
	fake_begin();
	snprintf(disk_dir, sizeof(disk_dir), "/tmp/test_blocks.%d", (int)getpid());
	test_exact();
	test_stretch();
	test_join();
	test_eviction();
	test_lend();
	test_room();
	test_interrupt();
	test_failure();
	test_versions();
	test_ahead();
	test_user_memory();
	test_hurry();
	test_disk();
	test_disk_damage();
	test_disk_stuck(16 * MIB);
	test_disk_stuck(128 * MIB);
	test_stress();
	fake_end();
	return (check_done());
}
