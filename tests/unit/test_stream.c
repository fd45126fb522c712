/* stream: a large file as blocks, sent while it is written; only what changed is sent again. */

#include <errno.h>
#include <sys/mman.h>

#include "base/uri.h"
#include "check.h"
#include "fakestore.h"
#include "mount/stream.h"

#define MIB	((int64_t)1 << 20)
#define BLOCK	STORE_SINGLE_MAX
#define NAME	"big"

static struct streams *streams;
static struct stream *stream;
static int fd;
static int64_t size;
static char last_etag[HTTP_ETAG_MAX];
static unsigned char seed;
static int counted;			/* of fake.puts_done */

static void
begin(unsigned int in_flight)
{
	fake_reset();
	streams = streams_new(store_new(NULL, NULL), in_flight);
	stream = stream_new(streams);
	fd = memfd_create("staged", MFD_CLOEXEC);
	size = counted = 0;
	if (fd < 0)
		abort();
}

static void
end(void)
{
	stream_free(stream);
	streams_free(streams);
	close(fd);
}

/* As the writer does it: the bytes first, then the note. */
static void
put(int64_t from, int64_t len)
{
	unsigned char *data = mem_alloc((size_t)len);

	memset(data, ++seed, (size_t)len);
	data[0] = 'a';
	if (fd_pwrite_all(fd, data, (size_t)len, from) != 0)
		abort();
	free(data);
	if (size < from + len)
		size = from + len;
	if (stream_changed(stream, from, from + len))
		stream_send(stream, NAME, fd);
}

static void
resize(int64_t to)
{
	if (ftruncate(fd, to) != 0)
		abort();
	if (to < size)
		stream_cut(stream, to);
	else
		stream_zeroed(stream, size, to);
	size = to;
}

/* The service has what the file has. */
static int
is_same(void)
{
	struct fake_blob *b;
	char *p;
	int same;

	pthread_mutex_lock(&fake.lock);
	b = fake_find(NAME);
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	same = b != NULL && b->size == size && p != MAP_FAILED &&
	    memcmp(b->data, p, (size_t)size) == 0;
	munmap(p, (size_t)size);
	pthread_mutex_unlock(&fake.lock);
	return (same);
}

static int
commit(const char *if_match, struct err *err)
{
	return (stream_commit(stream, NAME, fd, size, if_match, last_etag, err));
}

static void
wait_for_puts(int n)
{
	int64_t until = clock_ms() + 10000;

	while (fake_get(puts_done) < n && clock_ms() < until)
		clock_sleep_ms(1);
	check_int(fake_get(puts_done), n);
}

/* Commit, with exactly so many blocks sent since the last time, in the background or now. */
static void
commit_with(int puts, const char *if_match)
{
	struct err err = ERR_EMPTY;
	int commits = fake_get(commits);

	check_int(commit(if_match, &err), 0);
	check_int(fake_get(puts_done) - counted, puts);
	counted = fake_get(puts_done);
	check_int(fake_get(commits) - commits, 1);
	check(is_same());
}

static void
test_plan(void)
{
	int64_t sum = 0, last = 0;
	size_t i;

	check_int(store_block_size(0), BLOCK);
	check_int(store_block_size(4999), BLOCK);
	check_int(store_block_size(5000), 2 * BLOCK);
	check_int(store_block_size(SIZE_MAX), 4000 * MIB);
	for (i = 0; i < STORE_BLOCKS_MAX && store_block_size(i) >= last; i++)
		sum += last = store_block_size(i);
	check_int(i, STORE_BLOCKS_MAX);		/* they never become smaller */
	check_int(sum / MIB >> 20, 38);
}

static void
test_ids(void)
{
	char id[STORE_BLOCK_ID_SIZE], next[STORE_BLOCK_ID_SIZE];
	struct store_ids ids;

	check_int(store_ids_init(&ids, NULL), 0);
	store_ids_next(&ids, id);
	store_ids_next(&ids, next);
	check_int(strlen(id), 32);
	check(strcmp(id, next) != 0);
	check_int(store_ids_init(&ids, "AAAAAAAAAAAAAAAAAAAAAA=="), 0);	/* 16 bytes */
	store_ids_next(&ids, id);
	check_int(strlen(id), 24);
	check_int(store_ids_init(&ids, "AAAAAA=="), -1);	/* too short to be nobody else's */
	check_int(store_ids_init(&ids, "no base64 at all"), -1);
}

/* Whole blocks go out while the file is written, the rest at the end. */
static void
test_sequential(void)
{
	int64_t at;

	begin(4);
	for (at = 0; at < 3 * BLOCK + MIB; at += MIB)
		put(at, MIB);
	wait_for_puts(3);
	check(!fake_exists(NAME));
	commit_with(4, "*");
	check_str(fake.last_if_match, "*");
	commit_with(0, last_etag);
	/* Written on: the last block, which has grown, and the new ones. */
	for (; at < 5 * BLOCK; at += MIB)
		put(at, MIB);
	wait_for_puts(6);
	commit_with(2, last_etag);
	check_int(fake_get(put_bytes), 5 * BLOCK + MIB);
	end();
}

/* Only blocks that were touched are sent again. */
static void
test_patches(void)
{
	begin(2);
	put(0, 4 * BLOCK + 5);
	commit_with(5, NULL);
	put(10, 4);				/* the header of a zip */
	put(2 * BLOCK - 1, 2);			/* across a border */
	commit_with(3, last_etag);
	check_int(fake_get(put_bytes), 7 * BLOCK + 5);
	put(9 * BLOCK, 1);			/* far beyond the end: zeros between */
	commit_with(6, last_etag);
	resize(3 * BLOCK - 7);
	commit_with(1, last_etag);
	resize(2 * BLOCK);			/* at a border: nothing has to be sent */
	commit_with(0, last_etag);
	resize(2 * BLOCK + 1);
	commit_with(1, last_etag);
	resize(BLOCK + 1);			/* cut, and longer again: zeros */
	resize(2 * BLOCK);
	commit_with(1, last_etag);
	/* Room that is made at once, and then written from its begin: zeros wait. */
	resize(20 * BLOCK);
	put(2 * BLOCK, BLOCK);
	wait_for_puts(counted + 1);
	put(3 * BLOCK, 1);
	commit_with(18, last_etag);
	end();
}

/* What is written while its block is on its way is in the next list. */
static void
test_changed_under_way(void)
{
	begin(4);
	fake_set(hold_puts, 1);
	put(0, 2 * BLOCK);			/* both of them are under way */
	put(5, 1);
	resize(BLOCK + 10);			/* the second is shorter than what was announced */
	fake_set(hold_puts, 0);
	wait_for_puts(2);
	commit_with(4, NULL);
	/* Freed with blocks under way: they end by themselves. */
	fake_set(hold_puts, 1);
	put(0, BLOCK);
	stream_free(stream);
	fake_set(hold_puts, 0);
	stream = stream_new(streams);
	end();
}

static void
write_meanwhile(void)
{
	if (fd_pwrite_all(fd, "meanwhile", 9, 20) != 0)
		abort();
	stream_changed(stream, 20, 29);
	fake_set(on_commit, NULL);
}

static void
test_changed_while_committed(void)
{
	struct err err = ERR_EMPTY;

	begin(4);
	put(0, 2 * BLOCK);
	fake_set(on_commit, write_meanwhile);
	check_int(commit(NULL, &err), 0);
	check(!is_same());
	commit_with(3, last_etag);
	end();
}

/* Append to, and change, what another program has made of blocks. */
static void
make_theirs(size_t n, int64_t len, size_t id_len)
{
	struct store_block *list = mem_zalloc(n * sizeof(*list));
	unsigned char raw[64] = { 0 };
	char etag[HTTP_ETAG_MAX];
	auto_free unsigned char *data = mem_alloc((size_t)len);
	struct fake_blob *b;
	struct err err;
	size_t i;

	memset(data, 't', (size_t)len);
	pthread_mutex_lock(&fake.lock);
	b = fake_place(NAME);
	b->blocks = mem_zalloc(n * sizeof(*b->blocks));
	b->nblocks = n;
	for (i = 0; i < n; i++) {
		auto_buf struct buf id = BUF_EMPTY;

		raw[0] = (unsigned char)i;
		base64_encode(&id, raw, id_len);
		str_format(b->blocks[i].id, sizeof(b->blocks[i].id), "%s", id.data);
		b->blocks[i].size = len;
		b->blocks[i].data = mem_alloc((size_t)len);
		memcpy(b->blocks[i].data, data, (size_t)len);
		list[i].id = b->blocks[i].id;
	}
	fake_commit(NAME, list, n, &err);
	fake_etag(fake_find(NAME), etag);
	memcpy(last_etag, etag, sizeof(etag));
	pthread_mutex_unlock(&fake.lock);
	free(list);
	for (i = 0; i < n; i++)
		if (fd_pwrite_all(fd, data, (size_t)len, (int64_t)i * len) != 0)
			abort();
	size = (int64_t)n * len;
}

static void
test_adopt(void)
{
	int i;

	begin(4);
	make_theirs(5, 4 * MIB, 18);
	check(!stream_knows(stream, NAME));
	stream_adopt(stream, NAME, "\"another version\"", size);
	check(!stream_knows(stream, NAME));
	stream_adopt(stream, NAME, last_etag, size);
	check(stream_knows(stream, NAME));
	commit_with(0, last_etag);
	for (i = 0; i < 5; i++) {		/* an event file, flushed again and again */
		put(size, 100);
		commit_with(1, last_etag);
	}
	check_int(fake_get(put_bytes), 5 * 4 * MIB + 15 * 100);
	put(5 * MIB, 1);			/* their second block */
	commit_with(1, last_etag);
	check_int(fake_get(put_bytes), 6 * 4 * MIB + 15 * 100);
	check_int(fake_get(block_lists), 2);
	end();
	/* Made in one piece: there is nothing to name, all is sent. */
	begin(4);
	put(0, 2 * BLOCK);
	fake_put_pattern(NAME, size);
	stream_free(stream);
	stream = stream_new(streams);
	stream_adopt(stream, NAME, "\"0x1\"", size);
	put(size, 1);
	commit_with(5, NULL);
	end();
}

static void
test_other_lengths(void)
{
	struct err err = ERR_EMPTY;

	/* Replaced without a look at what is there, whose ids are shorter. */
	begin(4);
	make_theirs(3, 4 * MIB, 18);
	stream_free(stream);
	stream = stream_new(streams);
	put(0, 3 * BLOCK);
	check_int(commit(NULL, &err), 0);
	check(is_same());
	/* One byte: no id of ours can be as short. */
	fake_reset();
	make_theirs(3, 4 * MIB, 1);
	put(0, 3 * BLOCK);
	check_int(commit(NULL, &err), -1);
	check(strstr(err.cause, "length") != NULL);
	end();
}

/* Another writer's list has thrown our blocks away. */
static void
test_gone(void)
{
	struct err err = ERR_EMPTY;

	begin(4);
	put(0, 3 * BLOCK);
	wait_for_puts(3);
	fake_put_text(NAME, "theirs");
	check_int(commit(NULL, &err), 0);	/* the last one wins, whole */
	check_int(fake_get(puts_done), 6);
	check(is_same());
	put(0, 1);
	fake_put_text(NAME, "theirs");
	check_int(commit(last_etag, &err), -1);	/* a lineage: theirs stays */
	check_int(err.kind, ERR_CHANGED);
	check(fake_is(NAME, "theirs"));
	end();
}

static void
test_failures(void)
{
	struct err err = ERR_EMPTY;

	begin(1);
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_puts, 1);
	put(0, 3 * BLOCK);			/* the first fails: the others are not tried */
	wait_for_puts(1);
	put(0, 3 * BLOCK);
	commit_with(4, NULL);
	fake_set(fail_puts, 100);
	put(0, BLOCK);
	check_int(commit(NULL, &err), -1);
	check_int(err.http_status, 403);
	fake_set(fail_puts, 0);
	fake_set(fail_commits, 1);
	check_int(commit(NULL, &err), -1);
	counted = fake_get(puts_done);
	commit_with(0, NULL);			/* the block is there, the list was not */
	/* Another name: nothing that was sent counts. */
	check_int(stream_commit(stream, "renamed", fd, size, NULL, last_etag, &err), 0);
	check(fake_exists("renamed"));
	check(stream_knows(stream, "renamed") && !stream_knows(stream, NAME));
	check_int(stream_commit(stream, NAME, fd, INT64_MAX, NULL, last_etag, &err), -1);
	check_int(err.sys_errno, EFBIG);
	end();
}

/* Two files share what may be on its way at once. */
static void
test_two(void)
{
	struct stream *other;
	struct err err = ERR_EMPTY;

	begin(1);
	other = stream_new(streams);
	put(0, 3 * BLOCK);
	stream_changed(other, 0, 3 * BLOCK);
	stream_send(other, "other", fd);
	check_int(stream_commit(other, "other", fd, size, NULL, last_etag, &err), 0);
	commit_with(6, NULL);
	stream_free(other);
	end();
}

int
main(void)
{
	fake_begin();
	test_plan();
	test_ids();
	test_sequential();
	test_patches();
	test_changed_under_way();
	test_changed_while_committed();
	test_adopt();
	test_other_lengths();
	test_gone();
	test_failures();
	test_two();
	fake_end();
	return (check_done());
}
