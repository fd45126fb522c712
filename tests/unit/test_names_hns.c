/* names and access on a hierarchical account: renames are one request, modes go to the service. */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"
#include "fakestore.h"
#include "mount/access.h"
#include "mount/names.h"
#include "mount/ops.h"

#define MIB	((int64_t)1 << 20)

static struct blocks *pool;
static struct reader *reader;
static struct tree *tree;
static struct writer *writer;
static char staging[64];
static struct inode *held[64];
static size_t nheld;

static void
begin(int access)
{
	struct blocks_options b = { .store = store_new(NULL, NULL), .memory_bytes = 16 * MIB,
	    .user_bytes = sizeof(struct reader_streams) };
	struct tree_options t = { .store = b.store, .prefix = "out", .ttl_ms = 60000,
	    .writable = 1, .uid = 1000, .gid = 1000, .drop_staged = writer_drop_staged };
	struct writer_options w = { .store = b.store, .staging = staging, .access = access,
	    .keep_bytes = MIB };
	struct err err = ERR_EMPTY;

	fake_reset();
	fake_set(hns, 1);
	str_format(staging, sizeof(staging), "/tmp/test_names_hns.%d/staging", (int)getpid());
	w.blocks = pool = blocks_new(&b, &err);
	w.reader = reader = reader_new(pool);
	w.tree = tree = tree_new(&t);
	writer = writer_new(&w, &err);
	if (pool == NULL || writer == NULL || tree_probe(tree, 0, &err) != 0)
		abort();
}

static void
on_lost(void *arg, const struct err *err)
{
	(void)arg;
	(void)err;
}

static void
end(void)
{
	struct writer_end done;
	struct err err;
	char dir[64];

	writer_finish(writer, clock_ms() + 5000, on_lost, NULL, &done);
	check_int(done.failed, 0);
	while (nheld > 0)
		tree_forget(tree, held[--nheld], 1);
	writer_free(writer);
	tree_free(tree);
	blocks_free(pool);
	reader_free(reader);
	str_format(dir, sizeof(dir), "/tmp/test_names_hns.%d", (int)getpid());
	fd_remove_tree(dir, &err);
}

static struct inode *
hold(struct inode *i)
{
	if (i != NULL && nheld < LENGTH(held))
		held[nheld++] = i;
	return (i);
}

static struct inode *
look(struct inode *parent, const char *name)
{
	struct inode_attr a;
	struct inode *i = NULL;
	struct err err = ERR_EMPTY;

	return (tree_lookup(tree, parent, name, &i, &a, &err) == 0 ? hold(i) : NULL);
}

/* Open for writing, with this text in it. */
static struct inode *
open_file(struct inode *parent, const char *name, const char *text)
{
	struct names_create how = { .mode = 0600 };
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	if (names_create(writer, parent, name, &how, &i, &a, &err) != 0 ||
	    writer_write(writer, i, text, strlen(text), 0, &err) != 0)
		return (NULL);
	return (hold(i));
}

static int
shut(struct inode *i)
{
	struct err err = ERR_EMPTY;
	int rc = writer_flush(writer, i, &err);

	writer_release(writer, i, NULL);
	return (rc);
}

static struct inode *
make_dir(struct inode *parent, const char *name)
{
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	return (names_mkdir(writer, parent, name, 0700, &i, &a, &err) == 0 ? hold(i) : NULL);
}

/* 0, or the errno. */
static int
move(struct inode *from, const char *name, struct inode *to, const char *new_name, int no_replace)
{
	struct err err = ERR_EMPTY;

	if (names_rename(writer, from, name, to, new_name, no_replace, &err) == 0)
		return (0);
	return (err.sys_errno != 0 ? err.sys_errno : -1);
}

static void
test_file(void)
{
	char etag[HTTP_ETAG_MAX];
	struct err err = ERR_EMPTY;
	struct inode *i, *d;

	begin(0);
	d = make_dir(&tree->root, "d");
	/* A checkpoint: one request, no copy, the ETag stays. */
	i = open_file(&tree->root, "tmp", "data");
	check_int(shut(i), 0);
	str_format(etag, sizeof(etag), "%s", inode_etag(i));
	check_int(move(&tree->root, "tmp", d, "final", 0), 0);
	check(fake_is("out/d/final", "data") && !fake_exists("out/tmp"));
	check_int(fake_get(renames), 1);
	check_int(fake_get(copies) + fake_get(deletes), 0);
	check_str(inode_etag(i), etag);
	/* Over an existing one; changed, and not uploaded: it follows when it is. */
	i = open_file(&tree->root, "tmp", "more");
	check_int(shut(i), 0);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(writer_write(writer, i, "!", 1, 4, &err), 0);
	check_int(move(&tree->root, "tmp", d, "final", 0), 0);
	check(fake_is("out/d/final", "more") && !fake_exists("out/tmp"));
	check_int(shut(i), 0);
	check(fake_is("out/d/final", "more!"));
	check_int(fake_get(copies), 0);
	/* Never uploaded: no request at all. */
	i = open_file(&tree->root, "open", "x");
	check_int(move(&tree->root, "open", d, "moved", 0), 0);
	check_int(fake_get(renames), 2);
	check_int(shut(i), 0);
	check(fake_is("out/d/moved", "x") && !fake_exists("out/open"));
	/* Not uploaded and not to replace: it must not when it is. */
	i = open_file(&tree->root, "open", "y");
	check_int(move(&tree->root, "open", d, "new", 1), 0);
	fake_put_text("out/d/new", "somebody else");
	check(shut(i) != 0);
	check(fake_is("out/d/new", "somebody else"));
	fake_delete("out/d/new");
	end();
}

static void
test_no_replace(void)
{
	struct inode *i;

	begin(0);
	i = open_file(&tree->root, "a", "a");
	check_int(shut(i), 0);
	check(look(&tree->root, "b") == NULL);
	fake_put_text("out/b", "theirs");	/* nobody here has seen it */
	check_int(move(&tree->root, "a", &tree->root, "b", 1), EEXIST);
	check(fake_is("out/a", "a") && fake_is("out/b", "theirs"));
	check_int(move(&tree->root, "a", &tree->root, "c", 1), 0);
	check(fake_get(last_rename).no_replace);
	check_int(move(&tree->root, "c", &tree->root, "b", 0), 0);
	check(fake_is("out/b", "a"));
	end();
}

static void
test_directory(void)
{
	struct inode *d, *open, *closed, *leaf;
	uint64_t key;
	char etag[HTTP_ETAG_MAX];

	begin(0);
	d = make_dir(&tree->root, "d");
	check(make_dir(d, "sub") != NULL);
	closed = open_file(d, "closed", "closed");
	check_int(shut(closed), 0);
	leaf = open_file(look(d, "sub"), "leaf", "leaf");
	check_int(shut(leaf), 0);
	open = open_file(d, "open", "op");
	str_format(etag, sizeof(etag), "%s", inode_etag(leaf));
	key = leaf->key;
	check_int(move(&tree->root, "d", &tree->root, "e", 0), 0);
	check_int(fake_get(renames), 1);
	check_int(fake_get(copies) + fake_get(deletes), 0);
	check(fake_is("out/e/sub/leaf", "leaf") && !fake_exists("out/d"));
	check(look(look(look(&tree->root, "e"), "sub"), "leaf") == leaf);
	check_str(inode_etag(leaf), etag);
	check(leaf->key != key);		/* its bytes are asked for under another name */
	check_int(shut(open), 0);
	check(fake_is("out/e/open", "op") && !fake_exists("out/d/open"));
	/* An empty directory in the way goes first, a full one stays. */
	check(make_dir(&tree->root, "empty") != NULL);
	check_int(move(&tree->root, "e", &tree->root, "empty", 0), 0);
	check(fake_is("out/empty/closed", "closed"));
	check(make_dir(&tree->root, "other") != NULL);
	check_int(move(&tree->root, "other", &tree->root, "empty", 0), ENOTEMPTY);
	/* A failure leaves everything where it was. */
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_renames, 1);
	check_int(move(&tree->root, "empty", &tree->root, "f", 0), EACCES);
	check(look(&tree->root, "empty") != NULL && fake_is("out/empty/closed", "closed"));
	end();
}

static int
change(struct inode *i, int what, mode_t mode)
{
	struct stat st = { .st_mode = mode, .st_uid = 1234, .st_gid = 4321 };
	struct err err = ERR_EMPTY;

	return (access_change(writer, i, &st, what, &err));
}

static int flushed;

static void *
flush(void *i)
{
	struct err err = ERR_EMPTY;

	flushed = writer_flush(writer, i, &err);
	return (NULL);
}

static void
test_access(void)
{
	struct inode *i;

	begin(0);				/* without --acl nothing is sent */
	i = open_file(&tree->root, "f", "x");
	check_int(shut(i), 0);
	check_int(change(i, FUSE_SET_ATTR_MODE, 0640), 0);
	check_int(fake_get(accesses), 0);
	end();
	begin(1);
	access_of_root(tree);
	check_int(tree->root.mode & 07777, 0750);
	i = open_file(&tree->root, "f", "x");
	check_int(change(i, FUSE_SET_ATTR_MODE, 0640), 0);
	check_int(fake_get(accesses), 0);	/* there is nothing yet that could have a mode */
	check_int(shut(i), 0);
	check_int(fake_get(accesses), 1);	/* with the upload */
	check_int(fake_get(last_access).mode, 0640);
	check(!fake_get(last_access).has_uid);
	check_int(change(i, FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID, 0751), 0);
	check_int(fake_get(last_access).mode, 0751);
	check_int(fake_get(last_access).uid, 1234);
	check(!fake_get(last_access).has_gid);
	/* The new ETag is known: the file can be read, and written again. */
	{
		struct err err = ERR_EMPTY;

		check_int(writer_open(writer, i, 0, &err), 0);
		check_int(writer_write(writer, i, "yz", 2, 0, &err), 0);
		check_int(shut(i), 0);
	}
	check(fake_is("out/f", "yz"));
	check(fake_get(last_access).has_uid);
	/* While it is uploaded: neither is lost. */
	{
		struct err err = ERR_EMPTY;
		pthread_t thread;

		check_int(writer_open(writer, i, 0, &err), 0);
		check_int(writer_write(writer, i, "zz", 2, 0, &err), 0);
		fake_set(delay_ms, 200);
		check_int(pthread_create(&thread, NULL, flush, i), 0);
		clock_sleep_ms(50);
		check_int(change(i, FUSE_SET_ATTR_MODE, 0711), 0);
		pthread_join(thread, NULL);
		check_int(flushed, 0);
		check_int(fake_get(last_access).mode, 0711);
		fake_set(delay_ms, 0);
		check_int(writer_write(writer, i, "!", 1, 2, &err), 0);
		check_int(shut(i), 0);
	}
	check(fake_is("out/f", "zz!"));
	check(make_dir(&tree->root, "d") != NULL);
	check_int(fake_get(last_access).mode, 0700);
	end();
}

/* Somebody else replaces what is being changed here: chmod must not make his ETag ours. */
static void
test_replaced(void)
{
	struct err err = ERR_EMPTY;
	struct inode *i;

	begin(1);
	i = open_file(&tree->root, "f", "x");
	check_int(shut(i), 0);
	check_int(writer_open(writer, i, 0, &err), 0);
	check_int(writer_write(writer, i, "yz", 2, 0, &err), 0);
	fake_put_text("out/f", "his");
	check_int(change(i, FUSE_SET_ATTR_MODE, 0640), 0);
	check_int(fake_get(last_access).mode, 0640);
	check_int(shut(i), -1);
	check(fake_is("out/f", "his"));
	check_int(names_unlink(writer, &tree->root, "f", &err), 0);
	end();
}

int
main(void)
{
	fake_begin();
	test_file();
	test_no_replace();
	test_directory();
	test_access();
	test_replaced();
	fake_end();
	return (check_done());
}
