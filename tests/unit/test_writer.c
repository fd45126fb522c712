/* writer and names: staged files, uploads, conditions, renames, the end. */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "fakestore.h"
#include "mount/names.h"
#include "mount/staged.h"

#define MIB	((int64_t)1 << 20)

static struct blocks *pool;
static struct reader *reader;
static struct tree *tree;
static struct writer *writer;
static char staging[64];
static int with_access;			/* as --acl */
static struct inode *held[256];		/* what the kernel would have to forget */
static size_t nheld;
static int lost_files;
static char lost_resource[512], lost_cause[512];
static enum err_kind lost_kind;
static enum err_remedy lost_remedy;
static int write_behind, told_failures, told_stale;
static int with_direct;			/* new files are */

static void
on_failed(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
	__atomic_fetch_add(&told_failures, 1, __ATOMIC_SEQ_CST);
}

static void
on_pages_stale(void *arg, struct inode *i, int64_t offset, int64_t len)
{
	(void)arg;
	(void)i;
	(void)offset;
	(void)len;
	told_stale++;
}

static void
start(int hns, int64_t keep_bytes, int64_t ttl_ms)
{
	struct blocks_options b = { .store = store_new(NULL, NULL), .memory_bytes = 16 * MIB,
	    .user_bytes = sizeof(struct reader_streams) };
	struct tree_options t = { .store = b.store, .prefix = "out", .ttl_ms = ttl_ms,
	    .writable = 1, .drop_staged = writer_drop_staged, .pages_stale = on_pages_stale };
	struct writer_options w = { .store = b.store, .staging = staging, .access = with_access,
	    .keep_bytes = keep_bytes, .write_behind = write_behind, .failed = on_failed };
	struct err err = ERR_EMPTY;

	fake_set(hns, hns);
	str_format(staging, sizeof(staging), "/tmp/test_writer.%d/staging", (int)getpid());
	w.blocks = pool = blocks_new(&b, &err);
	w.reader = reader = reader_new(pool);
	w.tree = tree = tree_new(&t);
	writer = writer_new(&w, &err);
	if (pool == NULL || writer == NULL || tree_probe(tree, 0, &err) != 0)
		abort();
}

static void
begin(void)
{
	fake_reset();
	start(0, MIB, 60000);
}

static void
on_lost(void *arg, const struct err *err)
{
	(void)arg;
	lost_files++;
	lost_kind = err->kind;
	lost_remedy = err->remedy;
	str_format(lost_resource, sizeof(lost_resource), "%s", err->resource);
	str_format(lost_cause, sizeof(lost_cause), "%s", err->cause);
}

static struct writer_end
finish(int64_t ms)
{
	struct writer_end done;

	lost_files = 0;
	writer_finish(writer, clock_ms() + ms, on_lost, NULL, &done);
	return (done);
}

static struct inode *
hold(struct inode *i)
{
	if (i != NULL && nheld < LENGTH(held))
		held[nheld++] = i;
	return (i);
}

static void
stop(void)
{
	struct err err;
	char dir[64];

	while (nheld > 0)
		tree_forget(tree, held[--nheld], 1);
	writer_free(writer);
	tree_free(tree);
	blocks_free(pool);
	reader_free(reader);
	str_format(dir, sizeof(dir), "/tmp/test_writer.%d", (int)getpid());
	fd_remove_tree(dir, &err);
}

/* It ends well, and nothing is left. */
static void
end(void)
{
	struct stat st;

	check_int(finish(5000).failed, 0);
	check(stat(staging, &st) != 0);
	stop();
}

static struct inode *
look(struct inode *parent, const char *name)
{
	struct inode_attr a;
	struct inode *i = NULL;
	struct err err = ERR_EMPTY;

	return (tree_lookup(tree, parent, name, &i, &a, &err) == 0 ? hold(i) : NULL);
}

static int64_t
size_of(struct inode *i)
{
	struct inode_attr a;

	pthread_mutex_lock(&tree->lock);
	tree_attr(tree, i, &a);
	pthread_mutex_unlock(&tree->lock);
	return (a.size);
}

/* Open for writing; NULL: errno. */
static struct inode *
create(struct inode *parent, const char *name, int flags)
{
	struct names_create how = { .mode = 0640, .exclusive = (flags & O_EXCL) != 0,
	    .truncate = (flags & O_TRUNC) != 0, .direct = with_direct };
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	if (names_create(writer, parent, name, &how, &i, &a, &err) == 0)
		return (hold(i));
	errno = err.sys_errno;
	return (NULL);
}

static int
put(struct inode *i, int64_t offset, const char *text)
{
	struct err err = ERR_EMPTY;

	return (writer_write(writer, i, text, strlen(text), offset, &err));
}

/* flush and release, as close() does it; the flush's result. */
static int
shut(struct inode *i, struct err *err)
{
	int rc = writer_close(writer, i, err);

	writer_release(writer, i, NULL);
	return (rc);
}

static struct inode *
make_file(struct inode *parent, const char *name, const char *text)
{
	struct err err = ERR_EMPTY;
	struct inode *i = create(parent, name, O_TRUNC);

	if (i == NULL || put(i, 0, text) != 0 || shut(i, &err) != 0)
		return (NULL);
	return (i);
}

/* As the kernel would read it: staged or remote. */
static const char *
content(struct inode *i)
{
	static char text[4096];
	struct blocks_file *f;
	struct blocks_span s;
	struct blocks_wait w;
	struct err err = ERR_EMPTY;
	char name[INODE_PATH_MAX];
	ssize_t n = 0;
	int fd, local = writer_hold(writer, i, &fd, &err);

	if (local > 0) {
		n = fd_pread_full(fd, text, sizeof(text) - 1, 0);
		writer_unhold(writer, i);
	} else {
		pthread_mutex_lock(&tree->lock);
		tree_blob_name(tree, i, name);
		f = blocks_open(pool, i->key, name, inode_etag(i), i->size);
		pthread_mutex_unlock(&tree->lock);
		blocks_wait_init(&w, clock_ms() + 5000);
		if (reader_read(reader, f, 0, 4000, &w, &s, &err) != 0) {
			blocks_wait_done(&w);
			blocks_close(pool, f);
			return (err_kind_name(err.kind));
		}
		if (s.n > 0)
			memcpy(text, s.iov[0].iov_base, s.iov[0].iov_len);
		n = s.n > 0 ? (ssize_t)s.iov[0].iov_len : 0;
		blocks_put(pool, &s);
		blocks_wait_done(&w);
		blocks_close(pool, f);
	}
	text[n < 0 ? 0 : n] = '\0';
	return (text);
}

static int
is_staged(const char *path)
{
	char full[256];
	struct stat st;

	str_format(full, sizeof(full), "%s/%s", staging, path);
	return (stat(full, &st) == 0);
}

/* ---- files --------------------------------------------------------------------------- */

static void
test_create(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i, *again;

	begin();
	i = create(&tree->root, "f", 0);
	if (!check(i != NULL))
		return;
	check(is_staged("f"));
	check_int(put(i, 0, "hello"), 0);
	check_int(put(i, 7, "world"), 0);
	check_int(put(i, 2, "LL"), 0);
	check_int(size_of(i), 12);
	check(!fake_exists("out/f"));
	check_int(writer_flush(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);
	pthread_mutex_lock(&fake.lock);
	check_str(fake.last_if_match, "");
	check(fake_find("out/f")->size == 12 &&
	    memcmp(fake_find("out/f")->data, "heLLo\0\0world", 12) == 0);
	pthread_mutex_unlock(&fake.lock);
	check_int(writer_flush(writer, i, &err), 0);
	check_int(writer_flush(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);		/* free without a change */
	check_int(put(i, 0, "H"), 0);
	check_int(shut(i, &err), 0);
	check_int(fake_get(uploads), 2);
	check_str(fake.last_if_match, "");	/* it was created here, and is still open */
	check(create(&tree->root, "f", O_EXCL) == NULL && errno == EEXIST);
	again = create(&tree->root, "f", 0);
	check(again == i);
	check_int(size_of(i), 12);
	check_int(shut(again, &err), 0);
	check_int(fake_get(uploads), 2);
	again = create(&tree->root, "f", O_TRUNC);
	check_int(size_of(i), 0);
	check_int(shut(again, &err), 0);
	check(fake_is("out/f", ""));
	check_int(put(i, 0, "not open"), -1);
	/* Empty files are files. */
	i = create(&tree->root, "empty", O_EXCL);
	check_int(shut(i, &err), 0);
	check(fake_is("out/empty", ""));
	check_str(fake.last_if_match, "*");
	/* Names that the service would not take. */
	check(create(&tree->root, "bad\xff", 0) == NULL && errno == EILSEQ);
	check(create(&tree->root, "bad\xe3\x81", 0) == NULL && errno == EILSEQ);
	check(!is_staged("bad\xff"));
	end();
}

/* What is there already: fetched, changed, uploaded if it is still that version. */
static void
test_edit(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	fake_put_text("out/old", "0123456789");
	fake_put_pattern("out/big", 3 * MIB + 5);
	tree->root.dir->listed_until_ms = 0;
	i = look(&tree->root, "old");
	check_str(content(i), "0123456789");
	check_int(writer_open(writer, i, 0, &err), 0);
	check(is_staged("old"));
	check_int(put(i, 3, "abc"), 0);
	check_str(content(i), "012abc6789");
	check_int(put(i, 10, "!"), 0);			/* append */
	check_int(shut(i, &err), 0);
	check(fake_is("out/old", "012abc6789!"));
	check_str(fake.last_if_match, "\"0x1\"");
	check_int(writer_truncate(writer, i, 4, &err), 0);	/* nobody has it open: at once */
	check(fake_is("out/old", "012a"));
	check_int(size_of(i), 4);
	check_int(writer_truncate(writer, i, 0, &err), 0);
	check(fake_is("out/old", ""));
	i = look(&tree->root, "big");
	check_int(writer_truncate(writer, i, 3 * MIB, &err), 0);
	pthread_mutex_lock(&fake.lock);
	check_int(fake_find("out/big")->size, 3 * MIB);
	check_int((unsigned char)fake_find("out/big")->data[2 * MIB + 77], fake_byte(2 * MIB + 77));
	pthread_mutex_unlock(&fake.lock);
	end();
}

static void
test_conflict(void)
{
	struct writer_end done;
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	fake_put_text("out/f", "one");
	tree->root.dir->listed_until_ms = 0;
	i = look(&tree->root, "f");
	fake_put_text("out/f", "two");
	check(writer_open(writer, i, 0, &err) != 0);	/* another version than the one looked up */
	check_int(err.kind, ERR_CHANGED);
	check(!is_staged("f"));
	tree_mark_changed(tree, i);
	i = look(&tree->root, "f");
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 0, "mine"), 0);
	fake_put_text("out/f", "three");
	check(writer_flush(writer, i, &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/f", "three"));		/* not overwritten */
	writer_release(writer, i, NULL);
	done = finish(5000);
	check_int(done.failed, 1);
	check_int(lost_files, 1);
	check_int(lost_kind, ERR_OUTPUT);
	check_int(lost_remedy, REMEDY_UPLOAD_BY_HAND);
	check(str_ends(lost_resource, "/staging/f"));
	check(is_staged("f"));
	stop();
	/* Two who replace the whole file: the last wins, also after an upload of ours. */
	begin();
	fake_put_text("out/f", "one");
	tree->root.dir->listed_until_ms = 0;
	i = look(&tree->root, "f");
	fake_put_text("out/f", "two");
	check_int(writer_open(writer, i, 1, &err), 0);
	check_int(put(i, 0, "mine"), 0);
	fake_put_text("out/f", "three");
	check_int(shut(i, &err), 0);
	check(fake_is("out/f", "mine"));
	fake_put_text("out/f", "four");
	check_int(writer_open(writer, i, 1, &err), 0);
	check_int(writer_flush(writer, i, &err), 0);	/* as a shell's dup and close do */
	fake_put_text("out/f", "four and a half");
	check_int(put(i, 0, "again"), 0);
	check_int(shut(i, &err), 0);
	check(fake_is("out/f", "again"));
	fake_put_text("out/f", "changed");
	check_int(writer_open(writer, i, 0, &err), 0);	/* our copy is still here: append to it */
	check_int(put(i, 5, "!"), 0);
	check(shut(i, &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/f", "changed"));
	fake_put_text("out/f", "five");
	check_int(writer_truncate(writer, i, 0, &err), 0);
	check(fake_is("out/f", ""));
	check_int(finish(1000).failed, 0);
	stop();
	/* Two who create the same name, exclusively. */
	begin();
	i = create(&tree->root, "lock", O_EXCL);
	fake_put_text("out/lock", "somebody else");
	check(shut(i, &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/lock", "somebody else"));
	check_int(finish(1000).failed, 1);
	stop();
}

static void
test_failed_upload(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	fake_fail_with(ERR_UNREACHABLE, 503, EIO);
	fake_set(fail_uploads, 1);
	i = create(&tree->root, "f", 0);
	check_int(put(i, 0, "x"), 0);
	check(writer_flush(writer, i, &err) != 0);
	check_int(err.http_status, 503);
	check_int(writer_release(writer, i, &err), 0);	/* not tried twice for one close() */
	check_int(fake_get(uploads), 1);
	check_str(content(i), "x");
	check_int(finish(5000).failed, 0);		/* tried again at the end */
	check(fake_is("out/f", "x"));
	stop();
	begin();
	i = create(&tree->root, "f", 0);
	check_int(put(i, 0, "x"), 0);
	check_int(writer_release(writer, i, &err), 0);	/* never flushed: the release does it */
	check(fake_is("out/f", "x"));
	end();
}

static void *
flusher_main(void *arg)
{
	struct err err = ERR_EMPTY;

	return (writer_flush(writer, arg, &err) == 0 ? arg : NULL);
}

static void
test_single_flight(void)
{
	struct err err = ERR_EMPTY;
	pthread_t threads[6];
	struct inode *i;
	void *ret;
	int k, ok = 1;

	begin();
	i = create(&tree->root, "f", 0);
	check_int(put(i, 0, "x"), 0);
	fake_set(delay_ms, 30);
	for (k = 0; k < 6; k++)
		pthread_create(&threads[k], NULL, flusher_main, i);
	for (k = 0; k < 6; k++) {
		pthread_join(threads[k], &ret);
		ok &= ret != NULL;
	}
	check(ok);
	check_int(fake_get(uploads), 1);
	check_int(shut(i, &err), 0);
	end();
}

/* Nothing is kept for a next use: remote again after each close. */
static void
test_keep_nothing(void)
{
	char sixty[61] = "";
	struct err err = ERR_EMPTY;
	struct inode *i;

	fake_reset();
	start(0, 0, 60000);
	i = make_file(&tree->root, "f", "hello");
	check(i != NULL);
	check(!is_staged("f"));
	check_str(content(i), "hello");
	check_int(fake_get(reads), 1);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 5, " again"), 0);
	check_int(shut(i, &err), 0);
	check_str(content(i), "hello again");
	check(fake_is("out/f", "hello again"));
	check_int(i->local, 0);
	end();
	fake_reset();
	start(0, 100, 60000);
	memset(sixty, 'x', 60);
	check(make_file(&tree->root, "a", sixty) && make_file(&tree->root, "b", sixty));
	check(!is_staged("a") && is_staged("b"));	/* the older one went */
	end();
}

/* Kept, while somebody else writes: seen at the next listing, dropped at the next open. */
static void
test_stale(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	fake_reset();
	start(0, MIB, 30);
	i = make_file(&tree->root, "f", "mine");
	fake_put_text("out/f", "theirs");
	clock_sleep_ms(40);
	check_int(tree_list(tree, &tree->root, &err), 0);
	check_int(i->stale, 1);
	check_int(writer_drop_stale(writer, i), 1);
	check(!is_staged("f"));
	i = look(&tree->root, "f");
	check_str(content(i), "theirs");
	end();
}

/* ---- large files --------------------------------------------------------------------- */

#define BLOCK	STORE_SINGLE_MAX

static int
put_pattern(struct inode *i, int64_t from, int64_t to)
{
	unsigned char data[65536];
	struct err err = ERR_EMPTY;
	int64_t at, k;

	for (at = from; at < to; at += k) {
		for (k = 0; k < (int64_t)sizeof(data) && at + k < to; k++)
			data[k] = fake_byte(at + k);
		if (writer_write(writer, i, data, (size_t)k, at, &err) != 0)
			return (-1);
	}
	return (0);
}

/* The blob has size bytes of the pattern, and after that text. */
static int
is_pattern(const char *name, int64_t size, const char *text)
{
	const struct fake_blob *b;
	int64_t k = 0, len = (int64_t)strlen(text);

	pthread_mutex_lock(&fake.lock);
	b = fake_find(name);
	while (b != NULL && k < size && k < b->size && (unsigned char)b->data[k] == fake_byte(k))
		k++;
	k = b != NULL && k == size && b->size == size + len &&
	    memcmp(b->data + size, text, (size_t)len) == 0;
	pthread_mutex_unlock(&fake.lock);
	return (k != 0);
}

static void
wait_for_puts(int n)
{
	int64_t until = clock_ms() + 10000;

	while (fake_get(puts_done) < n && clock_ms() < until)
		clock_sleep_ms(1);
	check_int(fake_get(puts_done), n);
}

static void
test_large(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	fake_reset();
	start(0, 64 * MIB, 60000);
	i = create(&tree->root, "f", O_TRUNC);
	check_int(put_pattern(i, 0, 2 * BLOCK + 5), 0);
	wait_for_puts(2);			/* while it is written */
	check(!fake_exists("out/f"));
	check_int(shut(i, &err), 0);
	check_int(fake_get(puts_done), 3);
	check_int(fake_get(uploads), 0);
	check(is_pattern("out/f", 2 * BLOCK + 5, ""));
	/* Appended to in bits, each time flushed. */
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 2 * BLOCK + 5, "a"), 0);
	check_int(writer_close(writer, i, &err), 0);
	check_int(put(i, 2 * BLOCK + 6, "b"), 0);
	check_int(shut(i, &err), 0);
	check_int(fake_get(puts_done), 5);
	check_int(fake_get(commits), 3);
	check_int(fake_get(block_lists), 0);
	check(is_pattern("out/f", 2 * BLOCK + 5, "ab"));
	/* Renamed: the copy has the same blocks, and is asked for them. */
	check_int(names_rename(writer, &tree->root, "f", &tree->root, "g", 0, &err), 0);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 2 * BLOCK + 7, "c"), 0);
	check_int(shut(i, &err), 0);
	check_int(fake_get(block_lists), 1);
	check_int(fake_get(puts_done), 6);
	check(is_pattern("out/g", 2 * BLOCK + 5, "abc") && !fake_exists("out/f"));
	/* Cut to one block: in one piece. */
	check_int(writer_truncate(writer, i, BLOCK, &err), 0);
	check_int(fake_get(uploads), 1);
	check(is_pattern("out/g", BLOCK, ""));
	/* Renamed while it is written, with blocks under the old name. */
	i = create(&tree->root, "tmp", O_TRUNC);
	check_int(put_pattern(i, 0, 2 * BLOCK), 0);
	check_int(names_rename(writer, &tree->root, "tmp", &tree->root, "final", 0, &err), 0);
	check_int(put(i, 2 * BLOCK, "end"), 0);
	check_int(shut(i, &err), 0);
	check(is_pattern("out/final", 2 * BLOCK, "end") && !fake_exists("out/tmp"));
	/* Deleted while it is written. */
	i = create(&tree->root, "gone", O_TRUNC);
	check_int(put_pattern(i, 0, 2 * BLOCK), 0);
	check_int(names_unlink(writer, &tree->root, "gone", &err), 0);
	check_int(put(i, 2 * BLOCK, "end"), 0);
	check_int(shut(i, &err), 0);
	check(!fake_exists("out/gone"));
	end();
}

/* What other nodes made of blocks, edited here. */
static void
test_large_edit(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	i = create(&tree->root, "f", O_TRUNC);
	check_int(put_pattern(i, 0, 3 * BLOCK), 0);
	check_int(shut(i, &err), 0);
	check_int(finish(5000).failed, 0);
	stop();
	start(0, MIB, 60000);			/* another node */
	i = look(&tree->root, "f");
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(fake_get(block_lists), 1);
	check_int(put(i, 3 * BLOCK, "more"), 0);
	check_int(shut(i, &err), 0);
	check_int(fake_get(puts_done), 4);
	check(is_pattern("out/f", 3 * BLOCK, "more"));
	/* Emptied and written anew: nothing of it is named. */
	check_int(writer_open(writer, i, 1, &err), 0);
	check_int(put_pattern(i, 0, 2 * BLOCK + 1), 0);
	check_int(shut(i, &err), 0);
	check_int(fake_get(puts_done), 7);
	check(is_pattern("out/f", 2 * BLOCK + 1, ""));
	/* Replaced over there meanwhile: theirs stays. */
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 0, "x"), 0);
	fake_put_text("out/f", "theirs");
	check(shut(i, &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/f", "theirs"));
	check_int(finish(5000).failed, 1);
	stop();
}

static void
test_allocate(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	i = create(&tree->root, "f", O_TRUNC);
	check_int(put(i, 0, "0123456789"), 0);
	check_int(writer_flush(writer, i, &err), 0);
	check_int(writer_allocate(writer, i, FALLOC_FL_KEEP_SIZE, 0, 100, &err), 0);
	check_int(size_of(i), 10);
	check_int(writer_flush(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);	/* nothing has changed */
	check_int(writer_allocate(writer, i, 0, 5, 7, &err), 0);
	check_int(size_of(i), 12);
	check_int(writer_allocate(writer, i, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 2,
	    &err), 0);
	check_int(shut(i, &err), 0);
	pthread_mutex_lock(&fake.lock);
	check(fake_find("out/f")->size == 12 &&
	    memcmp(fake_find("out/f")->data, "0\0\0003456789\0\0", 12) == 0);
	pthread_mutex_unlock(&fake.lock);
	check(writer_allocate(writer, i, 0, 0, 1, &err) != 0);	/* not open */
	end();
}

/* ---- when files go out --------------------------------------------------------------- */

/* A shell's redirection: opened, duplicated, closed once, written, closed. */
static void
test_empty(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	i = create(&tree->root, "f", O_TRUNC);
	check_int(writer_close(writer, i, &err), 0);
	check_int(fake_get(uploads), 0);
	check_int(put(i, 0, "data"), 0);
	check_int(writer_close(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);
	check_int(writer_release(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);
	check_int(writer_open(writer, i, 1, &err), 0);	/* the same with one that was there */
	check_int(writer_close(writer, i, &err), 0);
	check_int(fake_get(uploads), 1);
	check_int(writer_release(writer, i, &err), 0);	/* it is to be empty */
	check(fake_is("out/f", ""));
	i = create(&tree->root, "synced", 0);
	check_int(writer_flush(writer, i, &err), 0);
	check(fake_is("out/synced", ""));
	check_int(writer_release(writer, i, &err), 0);
	i = create(&tree->root, "lock", O_EXCL);
	fake_put_text("out/lock", "somebody else's");
	check(writer_close(writer, i, &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check_int(writer_release(writer, i, &err), 0);
	check_int(finish(5000).failed, 1);
	stop();
	/* What fails at the release is tried again at the end. */
	begin();
	fake_fail_with(ERR_UNREACHABLE, 503, EIO);
	fake_set(fail_uploads, 1);
	i = create(&tree->root, "f", 0);
	check_int(writer_close(writer, i, &err), 0);
	check(writer_release(writer, i, &err) != 0);
	check(!fake_exists("out/f"));
	end();
	check(fake_is("out/f", ""));
}

static int
comes_true(int (*what)(void))
{
	int64_t until = clock_ms() + 10000;

	while (!what() && clock_ms() < until)
		clock_sleep_ms(1);
	return (what());
}

static int
is_f_there(void)
{
	return (fake_is("out/f", "data"));
}

static int
was_told(void)
{
	return (__atomic_load_n(&told_failures, __ATOMIC_SEQ_CST) > 0);
}

static int
close_file(const char *name, struct err *err)
{
	struct inode *i = create(&tree->root, name, O_TRUNC);
	int rc;

	if (i == NULL || put(i, 0, "data") != 0)
		return (-2);
	rc = writer_close(writer, i, err);
	if (writer_release(writer, i, err) != 0)
		return (-2);
	return (rc);
}

static void
test_write_behind(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	write_behind = 1;
	told_failures = 0;
	begin();
	fake_set(delay_ms, 200);
	check_int(close_file("f", &err), 0);
	check(!fake_exists("out/f"));		/* close did not wait */
	check(comes_true(is_f_there));
	i = create(&tree->root, "synced", 0);
	check_int(put(i, 0, "data"), 0);
	check_int(writer_flush(writer, i, &err), 0);
	check(fake_is("out/synced", "data"));	/* fsync did */
	check_int(shut(i, &err), 0);
	check_int(fake_get(uploads), 2);
	/* Renamed before, or while, it is uploaded; deleted. */
	check_int(close_file("a", &err), 0);
	check_int(names_rename(writer, &tree->root, "a", &tree->root, "b", 0, &err), 0);
	check_int(close_file("c", &err), 0);
	check_int(names_unlink(writer, &tree->root, "c", &err), 0);
	check_int(finish(5000).failed, 0);
	check(fake_is("out/b", "data") && !fake_exists("out/a") && !fake_exists("out/c"));
	stop();
	/* What fails is told, by the next close too, and tried again at the end. */
	begin();
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_uploads, 1);
	check_int(close_file("f", &err), 0);
	check(comes_true(was_told));
	i = look(&tree->root, "f");
	check_int(writer_open(writer, i, 0, &err), 0);
	check(writer_close(writer, i, &err) != 0);
	check_int(err.http_status, 403);
	check_int(writer_close(writer, i, &err), 0);	/* once */
	check_int(writer_release(writer, i, &err), 0);
	check(!is_f_there());
	check_int(finish(5000).failed, 0);
	check(is_f_there());
	stop();
	begin();
	fake_set(fail_uploads, 100);
	check_int(close_file("f", &err), 0);
	check_int(finish(5000).failed, 1);
	check(str_ends(lost_resource, "/staging/f"));
	check(is_staged("f"));
	stop();
	write_behind = 0;
}

/* ---- names --------------------------------------------------------------------------- */

static void
test_unlink(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i, *open_one;

	begin();
	make_file(&tree->root, "f", "x");
	check_int(names_unlink(writer, &tree->root, "f", &err), 0);
	check(!fake_exists("out/f") && !is_staged("f"));
	check(look(&tree->root, "f") == NULL);
	check(names_unlink(writer, &tree->root, "f", &err) != 0);
	check_int(err.sys_errno, ENOENT);
	/* Never uploaded: no request. */
	i = create(&tree->root, "g", 0);
	check_int(names_unlink(writer, &tree->root, "g", &err), 0);
	check_int(fake_get(deletes), 1);
	check_int(put(i, 0, "still open"), 0);
	check_str(content(i), "still open");
	check_int(shut(i, &err), 0);
	check(!fake_exists("out/g"));
	/* A new file of that name is another. */
	open_one = create(&tree->root, "h", 0);
	check_int(names_unlink(writer, &tree->root, "h", &err), 0);
	i = make_file(&tree->root, "h", "new");
	check(i != open_one && i->ino != open_one->ino);
	check_int(put(open_one, 0, "old"), 0);
	check_int(shut(open_one, &err), 0);
	check(fake_is("out/h", "new"));
	/* A refusal leaves it. */
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_deletes, 1);
	check(names_unlink(writer, &tree->root, "h", &err) != 0);
	check(look(&tree->root, "h") == i);
	check_str(content(i), "new");
	end();
}

static struct inode *
make_dir(struct inode *parent, const char *name)
{
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	return (names_mkdir(writer, parent, name, 0750, &i, &a, &err) == 0 ? hold(i) : NULL);
}

static void
test_directories(void)
{
	struct err err = ERR_EMPTY;
	struct inode *d, *e;

	begin();
	d = make_dir(&tree->root, "d");
	check(d != NULL && make_dir(&tree->root, "d") == NULL);
	e = make_dir(d, "e");
	check(make_dir(e, "deepest") != NULL);
	e = make_dir(&tree->root, "gone");
	check_int(names_rmdir(writer, &tree->root, "gone", &err), 0);
	check_int(fake_get(mkdirs), 0);
	check_int(fake_get(deletes), 0);
	check(names_rmdir(writer, &tree->root, "d", &err) != 0);
	check_int(err.sys_errno, ENOTEMPTY);
	make_file(d, "f", "x");
	check(fake_is("out/d/f", "x"));
	check(names_unlink(writer, &tree->root, "d", &err) != 0);
	check_int(err.sys_errno, EISDIR);
	check(names_rmdir(writer, d, "f", &err) != 0);
	check_int(err.sys_errno, ENOTDIR);
	/* The last file of a directory that the service has. */
	fake_put_text("out/theirs/f", "x");
	tree->root.dir->listed_until_ms = 0;
	check_int(names_unlink(writer, look(&tree->root, "theirs"), "f", &err), 0);
	check(look(&tree->root, "theirs") != NULL);
	end();
	check(fake_exists("out/d/e/deepest"));		/* an empty one gets a marker at the end */
	check(!fake_exists("out/d/e") && !fake_exists("out/d"));
	check(fake_exists("out/theirs"));
	fake_reset();
	start(1, MIB, 60000);				/* hierarchical: at once */
	d = make_dir(&tree->root, "d");
	check(d != NULL && fake_exists("out/d"));
	check_int(names_rmdir(writer, &tree->root, "d", &err), 0);
	check(!fake_exists("out/d"));
	end();
}

static int
move(struct inode *from, const char *name, struct inode *to, const char *new_name)
{
	struct err err = ERR_EMPTY;

	if (names_rename(writer, from, name, to, new_name, 0, &err) == 0)
		return (0);
	return (err.sys_errno != 0 ? err.sys_errno : -1);
}

static void
test_rename_file(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i, *d;
	uint64_t ino;

	begin();
	d = make_dir(&tree->root, "d");
	/* Written, closed, renamed: a checkpoint. */
	i = make_file(&tree->root, "tmp", "data");
	ino = i->ino;
	check(make_file(d, "final", "old data") != NULL);
	check_int(move(&tree->root, "tmp", d, "final"), 0);
	check(fake_is("out/d/final", "data") && !fake_exists("out/tmp"));
	check(is_staged("d/final") && !is_staged("tmp"));
	check(look(d, "final") == i && look(&tree->root, "tmp") == NULL);
	check_str(content(i), "data");
	check_int(fake_get(copies), 1);
	check_int(make_file(&tree->root, "tmp", "next")->ino == ino, 0);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 4, "!"), 0);
	check_int(shut(i, &err), 0);			/* its lineage is that of the copy */
	check(fake_is("out/d/final", "data!"));
	/* Still open, never uploaded: nothing to copy. */
	i = create(&tree->root, "a", 0);
	check_int(put(i, 0, "abc"), 0);
	check_int(move(&tree->root, "a", &tree->root, "b"), 0);
	check_int(fake_get(copies), 1);
	check(!fake_exists("out/a") && !fake_exists("out/b"));
	check_int(put(i, 3, "d"), 0);
	check_int(shut(i, &err), 0);
	check(fake_is("out/b", "abcd") && !fake_exists("out/a"));
	/* Uploaded and written again. */
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 4, "e"), 0);
	check_int(move(&tree->root, "b", &tree->root, "c"), 0);
	check(fake_is("out/c", "abcde") && !fake_exists("out/b"));
	check_int(shut(i, &err), 0);
	/* Remote. */
	fake_put_text("out/remote", "r");
	tree->root.dir->listed_until_ms = 0;
	check_int(move(&tree->root, "remote", &tree->root, "moved"), 0);
	check(fake_is("out/moved", "r") && !fake_exists("out/remote"));
	check_str(content(look(&tree->root, "moved")), "r");
	check_int(move(&tree->root, "none", &tree->root, "x"), ENOENT);
	check_int(move(&tree->root, "moved", &tree->root, "d"), EISDIR);
	check_int(move(&tree->root, "moved", &tree->root, "moved"), 0);
	check(names_rename(writer, &tree->root, "moved", &tree->root, "c", 1, &err) != 0);
	check_int(err.sys_errno, EEXIST);
	/* Over a file, before the first upload; then deleted: the service's one goes as well. */
	i = create(&tree->root, "n", 0);
	check(look(&tree->root, "c") != NULL);
	check_int(move(&tree->root, "n", &tree->root, "c"), 0);
	check(fake_is("out/c", "abcde"));
	check_int(names_unlink(writer, &tree->root, "c", &err), 0);
	check(!fake_exists("out/c"));
	check_int(shut(i, &err), 0);
	check(!fake_exists("out/c") && !fake_exists("out/n"));
	/* A copy that fails changes nothing. */
	fake_fail_with(ERR_UNREACHABLE, 503, EIO);
	fake_set(fail_copies, 1);
	check_int(move(&tree->root, "moved", &tree->root, "x"), EIO);
	check(fake_is("out/moved", "r"));
	check_str(content(look(&tree->root, "moved")), "r");
	end();
}

static void
test_rename_directory(void)
{
	struct err err = ERR_EMPTY;
	struct inode *d, *e, *open_one, *f;
	char name[64];
	int i, ok = 1;

	begin();
	for (i = 0; i < 40; i++) {
		str_format(name, sizeof(name), "out/d/sub/%d", i);
		fake_put_text(name, name);
	}
	tree->root.dir->listed_until_ms = 0;
	d = look(&tree->root, "d");
	e = make_dir(d, "empty");
	f = make_file(d, "closed", "closed");
	open_one = create(d, "open", 0);
	check_int(put(open_one, 0, "op"), 0);
	check_str(content(look(look(d, "sub"), "7")), "out/d/sub/7");
	check_int(move(&tree->root, "d", &tree->root, "moved"), 0);
	check(look(&tree->root, "d") == NULL && look(&tree->root, "moved") == d);
	for (i = 0; i < 40; i++) {
		str_format(name, sizeof(name), "out/moved/sub/%d", i);
		ok &= fake_exists(name);
		str_format(name, sizeof(name), "out/d/sub/%d", i);
		ok &= !fake_exists(name);
	}
	check(ok);
	check_str(content(look(look(d, "sub"), "7")), "out/d/sub/7");
	check(fake_is("out/moved/closed", "closed") && !fake_exists("out/d/closed"));
	check_int(put(open_one, 2, "en"), 0);
	check_int(shut(open_one, &err), 0);
	check(fake_is("out/moved/open", "open") && !fake_exists("out/d/open"));
	check_int(writer_open(writer, f, 0, &err), 0);
	check_int(put(f, 0, "C"), 0);
	check_int(shut(f, &err), 0);
	check(fake_is("out/moved/closed", "Closed"));
	check(look(d, "empty") == e);
	/* Onto a directory: only an empty one. */
	check(make_dir(&tree->root, "other") != NULL);
	check_int(move(&tree->root, "other", &tree->root, "moved"), ENOTEMPTY);
	check_int(move(&tree->root, "moved", &tree->root, "other"), 0);
	check(fake_is("out/other/closed", "Closed"));
	end();
}

static char sent_props[128];

/* As the blob store asks for them when it has sent all bytes. */
static void
on_upload(const char *name, const char *data, int64_t size)
{
	struct arena mem = ARENA_EMPTY;
	const char *props = tree_props_of(tree, name, &mem);

	(void)data;
	(void)size;
	str_format(sent_props, sizeof(sent_props), "%s %s", name, props != NULL ? props : "none");
	arena_done(&mem);
}

static void
set_props(struct inode *i, const char *props)
{
	pthread_mutex_lock(&tree->lock);
	tree_set_props(i, inode_etag(i), props);
	pthread_mutex_unlock(&tree->lock);
}

/* What was written goes out with its own properties, and where its blocks are. */
static void
test_rename_dirty(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i, *over;

	begin();
	fake_set(on_upload, on_upload);
	i = make_file(&tree->root, "a", "one");
	over = make_file(&tree->root, "b", "old");
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 3, "two"), 0);
	set_props(i, "xkey=mine\n");
	set_props(over, "xkey=theirs\n");
	check_int(move(&tree->root, "a", &tree->root, "b"), 0);
	check_str(sent_props, "out/a xkey=mine\n");
	check(fake_is("out/b", "onetwo") && !fake_exists("out/a"));
	/* The old one cannot be deleted: both are there, and each name has what it says. */
	check_int(put(i, 6, "!"), 0);
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_deletes, 1);
	check_int(move(&tree->root, "b", &tree->root, "c"), EACCES);
	check(fake_is("out/b", "onetwo!"));
	check(look(&tree->root, "b") == i);
	check_int(put(i, 7, "?"), 0);
	check_int(shut(i, &err), 0);
	check(fake_is("out/b", "onetwo!?"));
	/* Somebody else has changed it: his bytes are not thrown away. */
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 0, "O"), 0);
	fake_put_text("out/b", "theirs");
	check(move(&tree->root, "b", &tree->root, "d") != 0);
	check(fake_is("out/b", "theirs") && !fake_exists("out/d"));
	fake_set(on_upload, NULL);
	check_int(shut(i, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	check_int(finish(5000).failed, 1);
	stop();
}

/* A file that somebody else has changed is renamed; who has the old bytes is told. */
static void
test_rename_changed(void)
{
	struct err err = ERR_EMPTY;
	struct inode *d, *kept, *remote;

	begin();
	fake_put_text("out/remote", "one");
	fake_put_text("out/d/remote", "one");
	tree->root.dir->listed_until_ms = 0;
	check_int(tree_list(tree, &tree->root, &err), 0);
	remote = look(&tree->root, "remote");
	kept = make_file(&tree->root, "kept", "mine");
	fake_put_text("out/remote", "1+1");
	fake_put_text("out/kept", "theirs");
	check_int(move(&tree->root, "remote", &tree->root, "r"), 0);
	check_int(move(&tree->root, "kept", &tree->root, "k"), 0);
	check(fake_is("out/r", "1+1") && fake_is("out/k", "theirs"));
	check(!fake_exists("out/remote") && !fake_exists("out/kept"));
	check_str(content(remote), err_kind_name(ERR_CHANGED));
	check_int(writer_open(writer, kept, 0, &err), 0);
	check_int(put(kept, 0, "M"), 0);
	check_int(shut(kept, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/k", "theirs"));
	/* The same in a directory. */
	d = look(&tree->root, "d");
	check_int(tree_list(tree, d, &err), 0);
	remote = look(d, "remote");
	kept = make_file(d, "kept", "mine");
	fake_put_text("out/d/remote", "1+1");
	fake_put_text("out/d/kept", "theirs");
	check_int(move(&tree->root, "d", &tree->root, "e"), 0);
	check(fake_is("out/e/remote", "1+1") && fake_is("out/e/kept", "theirs"));
	check_str(content(remote), err_kind_name(ERR_CHANGED));
	check_int(writer_open(writer, kept, 0, &err), 0);
	check_int(put(kept, 0, "M"), 0);
	check_int(shut(kept, &err), -1);
	check(fake_is("out/e/kept", "theirs"));
	check_int(finish(5000).failed, 2);
	stop();
}

/* A large directory's catalog, or a HEAD, did not tell of them: they are asked for. */
static void
test_unknown_props(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	fake_put_text("out/f", "text");
	tree->root.dir->listed_until_ms = 0;
	check_int(tree_list(tree, &tree->root, &err), 0);
	i = look(&tree->root, "f");
	fake_set(stat_props, "xkey=value\n");
	fake_set(on_upload, on_upload);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(put(i, 4, "!"), 0);
	check_int(shut(i, &err), 0);
	check_str(sent_props, "out/f xkey=value\n");
	check(fake_is("out/f", "text!"));
	fake_set(stat_props, NULL);
	fake_set(on_upload, NULL);
	end();
}

static struct inode *unlink_in;
static int unlinked;

static void *
unlink_f(void *arg)
{
	struct err err = ERR_EMPTY;

	(void)arg;
	unlinked = names_unlink(writer, unlink_in, "f", &err);
	return (NULL);
}

static int held_state;
static char held_text[16];

static void *
read_held(void *i)
{
	struct err err = ERR_EMPTY;
	int fd;

	held_state = writer_hold(writer, i, &fd, &err);
	if (held_state > 0 && pread(fd, held_text, sizeof(held_text) - 1, 0) < 0)
		abort();
	if (held_state > 0)
		writer_unhold(writer, i);
	return (NULL);
}

/* Its directory is renamed while an unlink waits for the file; it is read while it has no place. */
static int
is_changing(const struct inode *dir)
{
	int changing;

	pthread_mutex_lock(&tree->lock);
	changing = dir->dir->changing != 0;
	pthread_mutex_unlock(&tree->lock);
	return (changing);
}

static void
test_renamed_meanwhile(void)
{
	struct inode *d, *i;
	pthread_t thread;
	char from[128], to[128];

	begin();
	fake_put_text("out/d/f", "text");
	tree->root.dir->listed_until_ms = 0;
	unlink_in = d = look(&tree->root, "d");
	i = look(d, "f");
	staged_begin(staged_of(writer, i));
	if (pthread_create(&thread, NULL, unlink_f, NULL) != 0)
		abort();
	while (!is_changing(d))		/* it has begun, and waits */
		clock_sleep_ms(5);
	clock_sleep_ms(50);
	check_int(move(&tree->root, "d", &tree->root, "e"), 0);
	staged_end(staged_of(writer, i));
	pthread_join(thread, NULL);
	check_int(unlinked, 0);
	check(!fake_exists("out/d/f") && !fake_exists("out/e/f"));
	i = make_file(&tree->root, "g", "kept");
	staged_begin(staged_of(writer, i));
	str_format(from, sizeof(from), "%s/g", staging);
	str_format(to, sizeof(to), "%s/h", staging);
	check_int(rename(from, to), 0);
	if (pthread_create(&thread, NULL, read_held, i) != 0)
		abort();
	clock_sleep_ms(50);
	check_int(rename(to, from), 0);
	staged_end(staged_of(writer, i));
	pthread_join(thread, NULL);
	check_int(held_state, 1);
	check_str(held_text, "kept");
	end();
}

static int
names_there(const char *name)
{
	struct inode *i;
	int n = 0;

	pthread_mutex_lock(&tree->lock);
	for (i = tree->root.dir->children; i != NULL; i = i->next)
		n += strcmp(inode_name(i), name) == 0;
	pthread_mutex_unlock(&tree->lock);
	return (n);
}

/* Others ask for both names, of which one has another version, before the rename is over. */
static void
ask_meanwhile(void)
{
	tree->root.dir->listed_until_ms = 0;
	look(&tree->root, "old")->valid_until_ms = 0;
	fake_put_text("out/old", "other");
	tree->root.dir->too_large = 1;		/* not listed, but asked for */
	check(look(&tree->root, "old") != NULL);
	check(look(&tree->root, "new") != NULL);
}

static void
test_rename_asked(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	fake_put_text("out/old", "text");
	tree->root.dir->listed_until_ms = 0;
	i = look(&tree->root, "old");
	fake.on_copy = ask_meanwhile;
	check_int(move(&tree->root, "old", &tree->root, "new"), 0);
	fake.on_copy = NULL;
	check_int(names_there("new"), 1);
	check_int(names_there("old"), 0);
	check(look(&tree->root, "new") == i && look(&tree->root, "old") == NULL);
	check_str(content(i), "text");
	check_int(names_unlink(writer, &tree->root, "new", &err), 0);
	check(look(&tree->root, "new") == NULL);
	end();
}

/* ---- the end ------------------------------------------------------------------------- */

static void
test_deadline(void)
{
	struct writer_end done;
	char name[8];
	int i;

	begin();
	for (i = 0; i < 80; i++) {
		str_format(name, sizeof(name), "f%d", i);
		if (put(create(&tree->root, name, 0), 0, name) != 0)
			abort();
	}
	fake_set(delay_ms, 1000);
	done = finish(1500);		/* 32 at a time: the first 64 are begun */
	check_int(done.files, 32);
	check_int(done.failed, 48);
	check_int(lost_files, 48);
	check_str(lost_cause, "the time for it was over");
	check(is_staged("f79") && !is_staged("f0"));
	clock_sleep_ms(1500);		/* threads that were left alone end */
	stop();
}

/* ---- past the kernel's pages --------------------------------------------------------- */

/* Nobody looks at it: there is nothing to tell. */
static void
test_direct(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	told_stale = 0;
	with_direct = 1;
	i = create(&tree->root, "f", O_EXCL);
	check(writer_is_direct(writer, i));
	check_int(put(i, 0, "hello"), 0);
	check_int(writer_drop_pages(writer, i, 0, 5), 0);
	check_int(shut(i, &err), 0);
	check(!writer_is_direct(writer, i));
	check(!writer_watch(writer, i));	/* it would be what one who opens it now asks */
	check(create(&tree->root, "f", 0) == i);
	check(!writer_is_direct(writer, i));	/* it was there before */
	check_int(shut(i, &err), 0);
	check_int(told_stale, 0);
	with_direct = 0;
	check(!writer_is_direct(writer, create(&tree->root, "g", 0)));
	check_int(shut(look(&tree->root, "g"), &err), 0);
	end();
}

/* The kernel is told after each write; it stays so until the last one closes it. */
static void
test_direct_watched(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin();
	told_stale = 0;
	with_direct = 1;
	i = create(&tree->root, "f", 0);
	with_direct = 0;
	check(writer_watch(writer, i));
	check_int(put(i, 0, "hello"), 0);
	check_int(writer_drop_pages(writer, i, 0, 5), 1);
	check_int(told_stale, 1);
	check(create(&tree->root, "f", 0) == i);	/* a second one writes it */
	check_int(shut(i, &err), 0);
	check(writer_is_direct(writer, i));
	check_int(shut(i, &err), 0);
	check(!writer_is_direct(writer, i));
	check_int(told_stale, 1);
	check(!writer_watch(writer, i));
	end();
}

int
main(void)
{
	fake_begin();
	test_create();
	test_direct();
	test_direct_watched();
	test_edit();
	test_conflict();
	test_failed_upload();
	test_single_flight();
	test_keep_nothing();
	test_stale();
	test_large();
	test_large_edit();
	test_allocate();
	test_empty();
	test_write_behind();
	test_unlink();
	test_directories();
	test_rename_file();
	test_rename_directory();
	test_rename_dirty();
	test_rename_changed();
	test_rename_asked();
	test_unknown_props();
	test_renamed_meanwhile();
	test_deadline();
	fake_end();
	return (check_done());
}
