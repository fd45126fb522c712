/* filler: small files of a directory that is read one by one. */

#include <sys/stat.h>

#include "check.h"
#include "fakestore.h"
#include "mount/filler.h"

#define FILES	1000

static struct blocks *pool;
static struct tree *tree;
static struct filler *filler;
static struct inode *dir;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* guards the rest */
static int pushes, wrong, unknown;

static int
push(void *arg, struct inode *i, int64_t offset, const struct iovec *iov)
{
	int refuse;

	(void)arg;
	pthread_mutex_lock(&lock);
	refuse = unknown;
	pushes += !refuse;
	wrong += offset != 0 || iov->iov_len != (size_t)i->size ||
	    memcmp(iov->iov_base, inode_name(i), strlen(inode_name(i))) != 0;
	pthread_mutex_unlock(&lock);
	return (refuse);
}

static int
pushed(void)
{
	int n;

	pthread_mutex_lock(&lock);
	n = pushes;
	pthread_mutex_unlock(&lock);
	return (n);
}

static void
begin(int64_t budget)
{
	struct blocks_options b = { .store = store_new(NULL, NULL), .memory_bytes = 16 << 20 };
	struct tree_options t = { .store = b.store, .prefix = "", .ttl_ms = 60000 };
	struct filler_options f = { .push = push, .budget_bytes = budget };
	struct tree_names *names;
	struct tree_entry e;
	struct inode_attr a;
	struct inode *i;
	struct err err = ERR_EMPTY;
	char name[16];
	size_t k;

	fake_reset();
	pushes = wrong = unknown = 0;
	for (k = 0; k < FILES; k++) {
		str_format(name, sizeof(name), "d/f%zu", k);
		fake_put_text(name, name + 2);
	}
	f.blocks = pool = blocks_new(&b, &err);
	f.tree = tree = tree_new(&t);
	filler = filler_new(&f, &err);
	if (filler == NULL || tree_lookup(tree, &tree->root, "d", &dir, &a, &err) != 0 ||
	    tree_names_new(tree, dir, &names, &err) != 0)
		abort();
	for (k = 0; tree_names_get(tree, dir, names, k, 1, &e, &err) == 1; k++)
		tree_names_lookup(tree, dir, names, &e, &i, &a);	/* for the kernel */
	tree_names_free(tree, names);
}

static void
end(void)
{
	filler_free(filler);
	check_int(wrong, 0);
	tree_free(tree);
	blocks_free(pool);
}

/* The job reads n files, from the first on. */
static void
miss(int first, int n)
{
	char name[16];
	struct inode *i;
	int k;

	for (k = first; k < first + n; k++) {
		str_format(name, sizeof(name), "f%d", k);
		pthread_mutex_lock(&tree->lock);
		i = tree_find(tree, dir, name);
		pthread_mutex_unlock(&tree->lock);
		filler_saw(filler, i);
	}
}

/* The job comes upon n files that are not there yet. */
static void
miss_some(int n)
{
	struct inode *i;
	int k;

	for (k = 0; k < n; k++) {
		pthread_mutex_lock(&tree->lock);
		for (i = dir->dir->last; i != NULL && i->filled; i = i->prev)
			continue;
		pthread_mutex_unlock(&tree->lock);
		if (i != NULL)
			filler_saw(filler, i);
	}
}

/* What it has pushed in the end, if that is not less than n. */
static int
settled(int n)
{
	int64_t until_ms = clock_ms() + 5000;

	while (pushed() < n && clock_ms() < until_ms)
		clock_sleep_ms(2);
	clock_sleep_ms(50);
	return (pushed());
}

int
main(void)
{
	int n;

	fake_begin();
	begin(1 << 20);
	miss(0, 7);
	clock_sleep_ms(50);
	check_int(pushed(), 0);			/* too few to tell */
	miss(0, 7);				/* the same files again say nothing */
	clock_sleep_ms(50);
	check_int(pushed(), 0);
	miss(7, 1);
	check(pushed() < FILES);
	/* Not all at once: and the next misses count from there. */
	check_int(settled(256 + 8 * 32), 256 + 8 * 32);
	miss_some(4);
	check_int(settled(FILES - 8 - 4), FILES - 8 - 4);
	check(fake_get(reads) >= pushed() && fake_get(reads) <= pushed() + 4);	/* each once */
	end();
	begin(100);				/* bytes */
	miss(0, 20);
	n = settled(1);
	check(n > 0 && n < 60);
	end();
	begin(1 << 20);
	unknown = 1;				/* the kernel has forgotten them */
	miss(0, 20);
	clock_sleep_ms(100);
	check_int(pushed(), 0);
	end();
	begin(1 << 20);				/* the end comes while it works */
	miss(0, 20);
	end();
	fake_end();
	return (check_done());
}
