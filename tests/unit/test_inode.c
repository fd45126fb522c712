/* inode: names, attributes, versions; how often the service is asked for them. */

#include <errno.h>
#include <sys/stat.h>

#include "check.h"
#include "fakestore.h"
#include "mount/inode.h"

static struct tree *tree;
static int replaced, hidden;
static char replaced_name[256], hidden_why[256];

static void
on_replaced(void *arg, struct inode *parent, const char *name)
{
	(void)arg;
	(void)parent;
	replaced++;
	str_format(replaced_name, sizeof(replaced_name), "%s", name);
}

static void
on_hidden(void *arg, const char *directory, const char *name, const char *why)
{
	(void)arg;
	hidden++;
	str_format(hidden_why, sizeof(hidden_why), "%s|%s|%s", directory, name, why);
}

static void
make(const char *prefix, int64_t ttl_ms, int writable, int is_file)
{
	struct tree_options o = { .store = store_new(NULL, NULL), .prefix = prefix,
	    .ttl_ms = ttl_ms, .writable = writable, .is_file = is_file, .uid = 7, .gid = 8,
	    .replaced = on_replaced, .hidden = on_hidden };

	replaced = hidden = 0;
	tree = tree_new(&o);
}

static void
begin(const char *prefix)
{
	fake_reset();
	make(prefix, 60000, 0, 0);
}

static void
end(void)
{
	tree_free(tree);
}

/* The inode, counted once more; NULL: there is none (or it failed: then *err). */
static struct inode *
look(struct inode *parent, const char *name, struct inode_attr *a)
{
	struct inode_attr mine;
	struct inode *i = NULL;
	struct err err = ERR_EMPTY;

	return (tree_lookup(tree, parent, name, &i, a != NULL ? a : &mine, &err) == 0 ? i : NULL);
}

static int
look_fails(const char *name)
{
	struct inode_attr a;
	struct inode *i;
	struct err err = ERR_EMPTY;

	return (tree_lookup(tree, &tree->root, name, &i, &a, &err) != 0 ? err.kind != ERR_NONE ?
	    (err.sys_errno != 0 ? err.sys_errno : (int)err.kind) : -1 : 0);
}

static int
by_text(const void *a, const void *b)
{
	return (strcmp(a, b));
}

/* All names in order, each behind a space, a directory's with '/'. */
static const char *
names_of(struct inode *dir)
{
	static char text[16384], list[300][300];
	struct tree_names *names;
	struct tree_entry e;
	struct err err = ERR_EMPTY;
	size_t n, i, at = 0;

	if (tree_names_new(tree, dir, &names, &err) != 0)
		return ("failed");
	for (n = 0; n < 300 && tree_names_get(tree, dir, names, n, 1, &e, &err) == 1; n++)
		str_format(list[n], sizeof(list[n]), "%s%s", e.name, S_ISDIR(e.mode) ? "/" : "");
	tree_names_free(tree, names);
	qsort(list, n, sizeof(list[0]), by_text);
	text[0] = '\0';
	for (i = 0; i < n && at < sizeof(text) - 400; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", list[i]);
	return (text);
}

static void
test_listing_answers(void)
{
	struct inode_attr a;
	struct inode *i, *sub;
	struct err err = ERR_EMPTY;
	char buf[INODE_PATH_MAX];

	begin("data/in");
	fake_put_text("data/in/a.txt", "hello");
	fake_put_text("data/in/sub/b.txt", "hi");
	fake_put_text("data/in/sub/deep/c.txt", "");
	fake_put_text("data/in-other", "x");
	check_int(tree_probe(tree, 1, &err), 0);
	check_int(fake_get(lists), 1);
	i = look(&tree->root, "a.txt", &a);
	check(i != NULL);
	check_int(a.size, 5);
	check_int(a.mode, S_IFREG | 0555);
	check_int(a.uid, 7);
	check_int(a.gid, 8);
	check(a.mtime_s > 1700000000 && a.ttl_ms > 50000 && a.ttl_ms <= 60000);
	check(look(&tree->root, "a.txt", NULL) == i);
	check_int(i->lookups, 2);
	check(look(&tree->root, "nope", &a) == NULL);
	check(a.ttl_ms > 50000);
	check_int(fake_get(stats), 0);		/* all from the listing */
	sub = look(&tree->root, "sub", &a);
	check_int(a.mode, S_IFDIR | 0555);
	check_str(names_of(sub), " b.txt deep/");
	check_str(names_of(sub), " b.txt deep/");
	check_int(fake_get(lists), 2);
	i = look(sub, "b.txt", NULL);
	pthread_mutex_lock(&tree->lock);
	check_int(tree_path(tree, i, buf), 0);
	check_str(buf, "sub/b.txt");
	check_int(tree_blob_name(tree, i, buf), 0);
	check_str(buf, "data/in/sub/b.txt");
	check_int(tree_blob_name(tree, &tree->root, buf), 0);
	check_str(buf, "data/in");
	pthread_mutex_unlock(&tree->lock);
	memset(buf, 'n', 256);
	buf[256] = '\0';
	check_int(look_fails(buf), ENAMETOOLONG);
	end();
}

/* The same numbers in another mount of the same data. */
static void
test_numbers(void)
{
	struct inode_attr a, b, c;

	begin("");
	fake_put_text("d/one", "1");
	fake_put_text("d/two", "2");
	look(look(&tree->root, "d", &c), "one", &a);
	look(look(&tree->root, "d", NULL), "two", &b);
	check(a.ino != b.ino && a.ino != c.ino && a.ino > 1);
	check(a.ino < (UINT64_C(1) << 63));
	end();
	make("", 60000, 0, 0);
	look(look(&tree->root, "d", NULL), "one", &c);
	check(a.ino == c.ino);
	end();
}

/* Lookups in a directory that nobody lists: the third one lists it. */
static void
test_lookups_list(void)
{
	struct inode *d;
	int i;
	char name[8];

	begin("");
	for (i = 0; i < 9; i++) {
		str_format(name, sizeof(name), "d/f%d", i);
		fake_put_text(name, "x");
	}
	d = look(&tree->root, "d", NULL);
	check_int(fake_get(stats), 1);
	check(look(d, "f1", NULL) != NULL);
	check(look(d, "none", NULL) == NULL);
	check_int(fake_get(stats), 3);
	check_int(fake_get(lists), 0);
	for (i = 2; i < 9; i++) {
		str_format(name, sizeof(name), "f%d", i);
		check(look(d, name, NULL) != NULL);
	}
	check(look(d, "none2", NULL) == NULL);
	check_int(fake_get(lists), 1);
	check_int(fake_get(stats), 3);
	end();
}

static void
test_untrusted_names(void)
{
	static const char *const bad[] = { "in/..", "in/.", "in/../x", "in/a//b", "in/./y" };
	char long_name[400];
	size_t i;

	begin("in");
	fake_put_text("in/good", "x");
	for (i = 0; i < LENGTH(bad); i++)
		fake_put_text(bad[i], "x");
	memset(long_name, 'n', sizeof(long_name));
	memcpy(long_name, "in/", 3);
	long_name[sizeof(long_name) - 1] = '\0';
	fake_put_text(long_name, "x");
	long_name[3 + 255] = '\0';
	fake_put_text(long_name, "x");
	check(strlen(names_of(&tree->root)) == strlen(" a/ good ") + 255);
	check_int(hidden, 1);			/* once a listing */
	check(strstr(hidden_why, "no names") != NULL);
	check(look(&tree->root, "..", NULL) == NULL);
	check_str(names_of(look(&tree->root, "a", NULL)), "");
	end();
}

static void
test_one_name_twice(void)
{
	begin("");
	fake_put_text("both", "a file");
	fake_put_text("both/inner", "x");
	pthread_mutex_lock(&fake.lock);
	fake_store("dir", "", 0, 1);		/* a marker blob, and names below it */
	pthread_mutex_unlock(&fake.lock);
	fake_put_text("dir/x", "x");
	check(strstr(names_of(&tree->root), "both/") != NULL);
	check_int(hidden, 1);
	check(inode_is_dir(look(&tree->root, "both", NULL)));
	check(inode_is_dir(look(&tree->root, "dir", NULL)));
	check_str(names_of(look(&tree->root, "dir", NULL)), " x");
	end();
}

/* A new version is a new inode with the same number; the old one lives as long as it is held. */
static void
test_versions(void)
{
	struct inode_attr a, b;
	struct inode *old, *new, *other, *gone;

	fake_reset();
	make("", 40, 0, 0);
	fake_put_text("f", "old");
	fake_put_text("same", "same");
	fake_put_text("gone", "gone");
	check(strcmp(names_of(&tree->root), " f gone same") == 0);
	old = look(&tree->root, "f", &a);
	other = look(&tree->root, "same", NULL);
	gone = look(&tree->root, "gone", NULL);
	check(gone != NULL);
	fake_put_text("f", "newer");
	fake_delete("gone");
	fake_put_text("added", "x");
	clock_sleep_ms(50);
	check_str(names_of(&tree->root), " added f same");
	check_int(replaced, 2);			/* f and gone */
	new = look(&tree->root, "f", &b);
	check(new != old);
	check_int(b.size, 5);
	check_int(a.ino == b.ino, 1);
	check(new->key != old->key);
	check(look(&tree->root, "same", NULL) == other);
	check_str(inode_name(old), "f");
	check_int(old->size, 3);
	tree_forget(tree, old, 1);		/* the last who held it */
	tree_forget(tree, new, 1);
	check(look(&tree->root, "f", NULL) == new);	/* forgotten by the kernel, kept here */
	tree_forget(tree, gone, 1);
	end();
	/* What a reader found out. */
	fake_reset();
	make("", 60000, 0, 0);
	fake_put_text("f", "old");
	check_str(names_of(&tree->root), " f");
	old = look(&tree->root, "f", NULL);
	fake_put_text("f", "newer");
	check(look(&tree->root, "f", NULL) == old);
	tree_mark_changed(tree, old);
	tree_mark_changed(tree, old);
	check_int(replaced, 1);
	check_str(replaced_name, "f");
	new = look(&tree->root, "f", &b);
	check(new != NULL && new != old);
	check_int(b.size, 5);
	check_int(fake_get(stats), 1);
	tree_mark_changed(tree, new);
	fake_delete("f");
	check(look(&tree->root, "f", NULL) == NULL);
	tree_forget(tree, old, 2);
	tree_forget(tree, new, 1);
	end();
}

struct reader {
	struct inode *dir;
	int failed;
	size_t n;
};

static void *
reader_main(void *arg)
{
	struct reader *r = arg;
	struct tree_names *names;
	struct tree_entry e;
	struct err err;

	r->failed = tree_names_new(tree, r->dir, &names, &err) != 0;
	if (r->failed)
		return (NULL);
	while (tree_names_get(tree, r->dir, names, r->n, 1, &e, &err) == 1)
		r->n++;
	tree_names_free(tree, names);
	return (NULL);
}

/* Many want the same directory at once: one listing. */
static void
test_single_flight(void)
{
	struct reader r[8];
	pthread_t threads[8];
	char name[16];
	int i, n = 0, failed = 0;

	begin("");
	for (i = 0; i < 1000; i++) {
		str_format(name, sizeof(name), "d/%d", i);
		fake_put_text(name, "x");
	}
	r[0].dir = look(&tree->root, "d", NULL);
	fake_set(delay_ms, 30);
	for (i = 0; i < 8; i++) {
		r[i] = (struct reader){ .dir = r[0].dir };
		pthread_create(&threads[i], NULL, reader_main, &r[i]);
	}
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		n += r[i].n == 1000;
	}
	check_int(n, 8);
	check_int(fake_get(lists), 1);
	end();
	begin("");
	fake_put_text("d/f", "x");
	r[0].dir = look(&tree->root, "d", NULL);
	fake_set(delay_ms, 30);
	fake_fail_with(ERR_DENIED, 403, 0);
	fake_set(fail_lists, 1);
	for (i = 0; i < 8; i++) {
		r[i] = (struct reader){ .dir = r[0].dir };
		pthread_create(&threads[i], NULL, reader_main, &r[i]);
	}
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		failed += r[i].failed;
	}
	check(failed >= 1);
	fake_set(delay_ms, 0);
	check_str(names_of(r[0].dir), " f");	/* tried again */
	end();
}

static void
test_failures(void)
{
	begin("");
	fake_put_text("f", "x");
	fake_fail_with(ERR_DENIED, 403, EACCES);
	fake_set(fail_lists, 1);
	check_str(names_of(&tree->root), "failed");
	check_str(names_of(&tree->root), " f");
	end();
}

static void
test_probe(void)
{
	struct inode_attr a;
	struct inode *i;
	struct err err = ERR_EMPTY;

	begin("nothing/here");
	fake_put_text("nothing/hereabouts", "x");
	check(tree_probe(tree, 1, &err) != 0);
	check_int(err.kind, ERR_NOT_FOUND);
	check_int(err.remedy, REMEDY_CHECK_NAME);
	check_int(tree_probe(tree, 0, &err), 0);	/* an output may be new */
	end();
	begin("dir");
	check_int(store_mkdir(NULL, "dir", &err), 0);
	check_int(tree_probe(tree, 1, &err), 0);	/* an empty directory is one */
	end();
	begin("f");
	fake_put_text("f", "x");
	check(tree_probe(tree, 1, &err) != 0);
	check_int(err.kind, ERR_USAGE);
	end();
	begin("");
	check_int(tree_probe(tree, 1, &err), 0);
	fake_fail_with(ERR_DENIED, 403, 0);
	fake_set(fail_lists, 1);
	check(tree_probe(tree, 1, &err) != 0);
	check_int(err.kind, ERR_DENIED);
	end();
	/* One blob: nothing is listed. */
	fake_reset();
	fake_put_text("d/one.bin", "12345");
	fake_put_text("d/two.bin", "x");
	make("d/one.bin", 60000, 0, 1);
	check_int(tree_probe(tree, 1, &err), 0);
	check_str(names_of(&tree->root), " one.bin");
	check(look(&tree->root, "one.bin", &a) != NULL);
	check_int(a.size, 5);
	check(look(&tree->root, "two.bin", NULL) == NULL);
	check_int(fake_get(lists), 0);
	check_int(fake_get(stats), 1);
	fake_put_text("d/one.bin", "123456");
	i = look(&tree->root, "one.bin", NULL);
	tree_mark_changed(tree, i);
	check(look(&tree->root, "one.bin", &a) != NULL);
	check_int(a.size, 6);
	tree_forget(tree, i, 2);
	end();
	fake_reset();
	make("d/none", 60000, 0, 1);
	check(tree_probe(tree, 1, &err) != 0);
	check_int(err.kind, ERR_NOT_FOUND);
	end();
}

/* Names that nobody uses go when there are too many. */
static void
test_bound(void)
{
	struct tree_options o = { .store = store_new(NULL, NULL), .prefix = "", .ttl_ms = 60000,
	    .max_inodes = 250 };
	struct inode *dirs[5];
	char name[16];
	int d, i;

	fake_reset();
	for (d = 0; d < 5; d++)
		for (i = 0; i < 100; i++) {
			str_format(name, sizeof(name), "d%d/%d", d, i);
			fake_put_text(name, "x");
		}
	tree = tree_new(&o);
	for (d = 0; d < 5; d++) {
		str_format(name, sizeof(name), "d%d", d);
		dirs[d] = look(&tree->root, name, NULL);
		check(strlen(names_of(dirs[d])) > 280);
	}
	check(tree->n <= 250);
	d = fake_get(lists);
	check(strlen(names_of(dirs[4])) > 280);
	check_int(fake_get(lists), d);
	check(strlen(names_of(dirs[0])) > 280);	/* asked for again */
	check_int(fake_get(lists), d + 1);
	end();
}

/* The kernel is told whether what it keeps of a directory is still right. */
static void
test_unchanged(void)
{
	struct tree_names *names;
	struct err err;

	fake_reset();
	make("", 30, 0, 0);
	fake_put_text("f", "x");
	check_str(names_of(&tree->root), " f");
	check_int(tree_names_new(tree, &tree->root, &names, &err), 0);
	check_int(names->is_unchanged, 1);
	tree_names_free(tree, names);
	fake_put_text("g", "x");
	clock_sleep_ms(40);
	check_str(names_of(&tree->root), " f g");
	fake_put_text("h", "x");
	clock_sleep_ms(40);
	check_int(tree_list(tree, &tree->root, &err), 0);
	check_int(tree_names_new(tree, &tree->root, &names, &err), 0);
	check_int(names->is_unchanged, 0);
	tree_names_free(tree, names);
	end();
}

/* ---- large directories --------------------------------------------------------------- */

#define MANY	3000

static struct inode *
begin_large(int writable, size_t names_bytes)
{
	struct tree_options o = { .store = store_new(NULL, NULL), .prefix = "", .ttl_ms = 60000,
	    .large = 500, .names_bytes = names_bytes, .max_inodes = 1000, .writable = writable,
	    .replaced = on_replaced };
	char name[16];
	int i;

	fake_reset();
	replaced = 0;
	for (i = 0; i < MANY; i++) {
		str_format(name, sizeof(name), "d/f%06d", i);
		fake_put_text(name, "x");
	}
	tree = tree_new(&o);
	return (look(&tree->root, "d", NULL));
}

/*
 * All names, in order; how many there are.  What is read before it is known that the directory is
 * large has no attributes yet: the kernel asks for them by the name.
 */
static size_t
read_all(struct inode *dir, int lookups)
{
	struct tree_names *names;
	struct tree_entry e;
	struct inode_attr a;
	struct inode *i;
	struct err err;
	char want[16];
	size_t n = 0;

	if (!check_int(tree_names_new(tree, dir, &names, &err), 0))
		return (0);
	for (; tree_names_get(tree, dir, names, n, 1, &e, &err) == 1; n++) {
		str_format(want, sizeof(want), "f%06zu", n);
		if (strcmp(e.name, want) != 0)
			break;
		if (!lookups)
			continue;
		if (!tree_names_lookup(tree, dir, names, &e, &i, &a) && n < 500)
			i = look(dir, e.name, &a);
		if (i == NULL || a.size != 1)
			break;
		tree_forget(tree, i, 1);
	}
	tree_names_free(tree, names);
	return (n);
}

static void
test_large(void)
{
	struct inode *dir = begin_large(0, 0), *i;
	struct inode_attr a;
	int lists, stats;

	check_int(read_all(dir, 1), MANY);
	check(tree->n < 600);
	lists = fake_get(lists);
	stats = fake_get(stats);
	check_int(read_all(dir, 0), MANY);
	i = look(dir, "f002999", &a);
	check(i != NULL && S_ISREG(a.mode) && a.size == 1 && a.mtime_s > 1700000000);
	check_str(inode_etag(i), "\"0xBB8\"");
	check(look(dir, "f003000", NULL) == NULL);
	check(look(dir, "f000000", NULL) != NULL);
	check_int(fake_get(lists), lists);
	check_int(fake_get(stats), stats);
	end();
}

/* The kernel holds them all: it is asked to let go, and then they are gone here. */
static void
test_large_held(void)
{
	struct inode *dir = begin_large(0, 0), *held[MANY];
	struct inode_attr a;
	char name[16];
	int k;

	check_int(read_all(dir, 0), MANY);
	for (k = 0; k < MANY; k++) {
		str_format(name, sizeof(name), "f%06d", k);
		held[k] = look(dir, name, &a);
	}
	check(tree->n > 2900);
	check(replaced > 500);
	for (k = 0; k < MANY; k++)
		tree_forget(tree, held[k], 1);
	check(tree->n <= 1000);
	end();
}

/* No room for the names: they pass by, and single ones are asked for. */
static void
test_passing(void)
{
	struct inode *dir = begin_large(0, 1);
	struct tree_names *one, *two;
	struct tree_entry e;
	struct err err;
	int stats;
	size_t n;

	check_int(read_all(dir, 1), MANY);
	check(tree->n < 600);
	stats = fake_get(stats);
	check(look(dir, "f000007", NULL) != NULL);	/* there was room for this one */
	check_int(fake_get(stats), stats);
	check(look(dir, "f002000", NULL) != NULL);
	check(look(dir, "none", NULL) == NULL);
	check_int(fake_get(stats), stats + 2);
	/* Two at a time, one of them slow; and one that leaves early. */
	check_int(tree_names_new(tree, dir, &one, &err), 0);
	check_int(tree_names_new(tree, dir, &two, &err), 0);
	for (n = 0; tree_names_get(tree, dir, one, n, 1, &e, &err) == 1; n++)
		if (n == 700)
			check_int(tree_names_get(tree, dir, two, 0, 1, &e, &err), 1);
	check_int(n, MANY);
	tree_names_free(tree, one);
	tree_names_free(tree, two);
	end();
}

/* What is changed here is not what the listing said. */
static void
test_large_changed(void)
{
	struct inode *dir = begin_large(1, 0), *i;
	int lists, stats;

	check_int(read_all(dir, 0), MANY);
	tree_begin_change(tree, dir, NULL);
	fake_delete("d/f000700");
	i = look(dir, "f000700", NULL);
	check(i != NULL);
	pthread_mutex_lock(&tree->lock);
	tree_detach(tree, i);
	pthread_mutex_unlock(&tree->lock);
	tree_end_change(tree, dir, NULL);
	tree_forget(tree, i, 1);
	stats = fake_get(stats);
	check(look(dir, "f000700", NULL) == NULL);
	check_int(fake_get(stats), stats + 1);	/* asked, not recalled */
	check(look(dir, "f000701", NULL) != NULL);
	check_int(fake_get(stats), stats + 1);
	fake_put_text("d/f000700", "x");
	lists = fake_get(lists);
	check_int(read_all(dir, 0), MANY);	/* listed again */
	check_int(fake_get(lists), lists + 1);
	check_int(tree_list(tree, dir, NULL), 0);
	check_int(tree_is_empty(dir), 0);
	end();
}

static int changing;

static void *
keep_changing(void *dir)
{
	while (__atomic_load_n(&changing, __ATOMIC_SEQ_CST)) {
		tree_begin_change(tree, dir, NULL);
		tree_end_change(tree, dir, NULL);
		clock_sleep_ms(1);
	}
	return (NULL);
}

/* A directory that is not listed is changed faster than the service answers. */
static void
test_busy_directory(void)
{
	struct inode *dir = begin_large(1, 0);
	pthread_t thread;

	check_int(read_all(dir, 0), MANY);
	pthread_mutex_lock(&tree->lock);
	dir->dir->too_large = 1;
	dir->dir->listed_until_ms = 0;
	pthread_mutex_unlock(&tree->lock);
	fake_put_text("d/late", "x");
	fake_set(delay_ms, 15);
	__atomic_store_n(&changing, 1, __ATOMIC_SEQ_CST);
	check_int(pthread_create(&thread, NULL, keep_changing, dir), 0);
	check(look(dir, "late", NULL) != NULL);
	__atomic_store_n(&changing, 0, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	end();
}

int
main(void)
{
	fake_begin();
	test_listing_answers();
	test_numbers();
	test_lookups_list();
	test_untrusted_names();
	test_one_name_twice();
	test_versions();
	test_single_flight();
	test_failures();
	test_probe();
	test_bound();
	test_unchanged();
	test_large();
	test_large_held();
	test_passing();
	test_large_changed();
	test_busy_directory();
	fake_end();
	return (check_done());
}
