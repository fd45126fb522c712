/* inode_state, staged_state: what the successor of a killed process makes of its records. */

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "fakestore.h"
#include "base/sys.h"
#include "mount/handle.h"
#include "mount/names.h"
#include "mount/staged.h"

#define MIB	((int64_t)1 << 20)

static struct state *state;
static struct blocks *pool;
static struct reader *reader;
static struct tree *tree;
static struct writer *writer;
static char top[64], staging[80];
static int memory, told_stale;
static struct err err;

static void
on_pages_stale(void *arg, struct inode *i, int64_t offset, int64_t len)
{
	(void)arg;
	(void)i;
	(void)offset;
	(void)len;
	told_stale++;
}

/* As mountd.c does it. */
static void
start(void)
{
	struct blocks_options b = { .store = store_new(NULL, NULL), .memory_bytes = 16 * MIB,
	    .user_bytes = sizeof(struct reader_streams) };
	struct tree_options t = { .store = b.store, .prefix = "out", .ttl_ms = 60000,
	    .writable = 1, .drop_staged = writer_drop_staged, .pages_stale = on_pages_stale };
	struct writer_options w = { .store = b.store, .staging = staging, .keep_bytes = MIB };

	t.state = state = state_open(memory, &err);
	w.blocks = pool = blocks_new(&b, &err);
	w.reader = reader = reader_new(pool);
	if (state == NULL || pool == NULL)
		abort();
	w.tree = tree = tree_new(&t);
	if (state_is_resumed(state))
		tree_restore(tree);
	if ((writer = writer_new(&w, &err)) == NULL)
		abort();
	if (state_is_resumed(state))
		return;
	if (tree_probe(tree, 0, &err) != 0)
		abort();
	tree_note_root(tree);
	state_put(state, STATE_META, STATE_INIT_REPLY, "x", 1);
}

/* One life, in a process of its own, that ends as if killed. */
static void
live(void (*life)(void))
{
	int status;
	pid_t pid;

	str_format(staging, sizeof(staging), "%s/staging", top);
	memory = sys_memfd("test");
	if ((pid = fork()) == 0) {
		fake_begin();
		start();
		life();
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid && status == 0);
}

/* All is uploaded, and nothing is left. */
static void
end(void)
{
	struct writer_end done;
	struct stat st;

	writer_finish(writer, clock_ms() + 5000, NULL, NULL, &done);
	check_int(done.failed, 0);
	check(stat(staging, &st) != 0);
	writer_free(writer);
	tree_free(tree);
	blocks_free(pool);
	reader_free(reader);
	state_close(state);
	close(memory);
	fake_end();
}

static struct inode *
look(const char *name)
{
	struct inode_attr a;
	struct inode *i = NULL;

	return (tree_lookup(tree, &tree->root, name, &i, &a, &err) == 0 ? i : NULL);
}

static struct inode *
write_file(const char *name, int exclusive)
{
	struct names_create how = { .mode = 0640, .exclusive = exclusive };
	struct inode_attr a;
	struct inode *i;

	if (names_create(writer, &tree->root, name, &how, &i, &a, &err) != 0 ||
	    writer_write(writer, i, "data", 4, 0, &err) != 0)
		_exit(1);
	return (i);
}

/* ---- what nobody has open, and the kernel has forgotten ------------------------------ */

static void
is_forgotten(void)
{
	struct inode *i = write_file("f", 0);

	fake_fail_with(ERR_UNREACHABLE, 503, EIO);
	fake_set(fail_uploads, 1);
	if (writer_release(writer, i, &err) == 0)
		_exit(1);
	tree_forget(tree, i, 1);
}

static void
test_forgotten(void)
{
	live(is_forgotten);
	fake_begin();
	start();
	check_int(writer_dirty(writer), 1);
	end();
}

/* ---- an upload whose answer was lost ------------------------------------------------- */

static void
send(struct inode *i)
{
	struct staged *s = staged_of(writer, i);

	pthread_mutex_lock(&s->lock);
	s->sending = 1;
	s->sent_size = 4;
	staged_note(writer, s);
	pthread_mutex_unlock(&s->lock);
}

static void
is_sent(void)
{
	send(write_file("f", 1));
}

static void
test_sent(void)
{
	live(is_sent);
	fake_begin();
	fake_put_text("out/f", "data");
	fake_fail_with(ERR_UNREACHABLE, 503, EIO);
	fake_set(fail_stats, 2);		/* of the beginning, and of the first flush */
	start();
	check(writer_flush(writer, look("f"), &err) != 0);
	check_int(err.http_status, 503);
	check_int(fake_get(uploads), 0);
	check_int(writer_flush(writer, look("f"), &err), 0);
	end();
	/* Somebody else's. */
	live(is_sent);
	fake_begin();
	fake_put_text("out/f", "DATA");
	start();
	check(writer_flush(writer, look("f"), &err) != 0);
	check_int(err.kind, ERR_CHANGED);
	check(fake_is("out/f", "DATA"));
	fake_delete("out/f");
	end();
}

static void
is_sent_whole(void)
{
	send(write_file("f", 0));
}

/* It replaces whatever is there: nothing is compared, and its old name does not stay. */
static void
test_sent_whole(void)
{
	live(is_sent_whole);
	fake_begin();
	fake_put_text("out/f", "data");
	start();
	check_int(fake_get(reads), 0);
	check_int(names_rename(writer, &tree->root, "f", &tree->root, "g", 0, &err), 0);
	check_int(writer_flush(writer, look("g"), &err), 0);
	check(fake_is("out/g", "data") && !fake_exists("out/f"));
	end();
}

/* ---- a file that is open and loses its name ------------------------------------------ */

static void
loses_name(void)
{
	struct inode *i = write_file("f", 0);

	if (i->node != 2 || handle_open(state, HANDLE_WRITE, i, 0, i) == 0)
		_exit(1);
	staged_park(writer, staged_of(writer, i), "f");
	pthread_mutex_lock(&tree->lock);
	tree_detach(tree, i);
	pthread_mutex_unlock(&tree->lock);
}

static void
test_loses_name(void)
{
	struct inode *i;

	live(loses_name);
	fake_begin();
	start();
	i = state_object(state, STATE_NODE, 2);
	check(i != NULL && staged_of(writer, i)->unlinked);
	check_int(writer_write(writer, i, "more", 4, 4, &err), 0);
	check_int(i->size, 8);
	check_int(writer_release(writer, i, &err), 0);
	check_int(writer_dirty(writer), 0);
	tree_forget(tree, i, 1);
	check_int(fake_get(uploads), 0);
	end();
}

/* ---- a file that is written past the kernel's pages ----------------------------------- */

static void
is_direct(void)
{
	struct inode *i = write_file("f", 0);

	if (i->node != 2 || handle_open(state, HANDLE_DIRECT, i, 0, i) == 0)
		_exit(1);
}

/* Who else has it open no record tells. */
static void
test_direct(void)
{
	struct inode *i;

	live(is_direct);
	fake_begin();
	start();
	i = state_object(state, STATE_NODE, 2);
	check(i != NULL && writer_is_direct(writer, i));
	check_int(writer_drop_pages(writer, i, 0, 5), 1);
	check_int(told_stale, 1);
	check_int(writer_release(writer, i, &err), 0);
	check(!writer_is_direct(writer, i));
	tree_forget(tree, i, 1);
	check(fake_is("out/f", "data"));
	end();
}

/* It was closed when its process died, and somebody else had it open by then: it is as any file. */
static void
was_direct(void)
{
	struct inode *i = write_file("f", 0);
	uint32_t fh = handle_open(state, HANDLE_DIRECT, i, 0, i);
	struct handle h;

	if (i->node != 2 || fh == 0 || !handle_get(state, fh, &h))
		_exit(1);
	handle_end_direct(state, fh, &h);
	if (writer_open(writer, i, 0, &err) != 0 || handle_open(state, HANDLE_WRITE, i, 0, i) == 0)
		_exit(1);
}

static void
test_was_direct(void)
{
	struct inode *i;

	live(was_direct);
	fake_begin();
	start();
	i = state_object(state, STATE_NODE, 2);
	check(i != NULL && !writer_is_direct(writer, i));
	check_int(writer_release(writer, i, &err), 0);
	check_int(writer_release(writer, i, &err), 0);
	tree_forget(tree, i, 1);
	check(fake_is("out/f", "data"));
	end();
}

/* ---- numbers ------------------------------------------------------------------------- */

/* Nobody else gets the number of an inode that somebody holds: pages are pushed by number. */
static void
test_number_held(void)
{
	struct inode *i;
	uint32_t node;

	memory = sys_memfd("test");
	fake_begin();
	fake_put_text("out/a", "a");
	fake_put_text("out/b", "b");
	fake_put_text("out/c", "c");
	start();
	i = look("a");
	node = i->node;
	tree_ref(i);
	tree_forget(tree, i, 1);
	check(look("b")->node != node);
	pthread_mutex_lock(&tree->lock);
	tree_unref(tree, i);
	pthread_mutex_unlock(&tree->lock);
	check_int(look("c")->node, node);
	tree_forget(tree, look("b"), 2);
	tree_forget(tree, look("c"), 2);
	end();
}

int
main(void)
{
	str_format(top, sizeof(top), "/tmp/test_successor.%d", (int)getpid());
	test_forgotten();
	test_sent();
	test_sent_whole();
	test_loses_name();
	test_direct();
	test_was_direct();
	test_number_held();
	fd_remove_tree(top, &err);
	return (check_done());
}
