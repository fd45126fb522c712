#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fd.h"
#include "mount/filler.h"

#define SMALL		(1 << 20)
#define HOT_READS	8		/* of one directory, none longer ago than */
#define HOT_MS		5000
#define FIRST_FILES	256		/* filled before the next miss is waited for */
#define FILES_PER_MISS	32
#define IDLE_MS		3000		/* without a miss: the job does something else */
#define RING		56		/* files under way */
#define FILES_MAX	100000		/* of one directory */
#define FREE_PART	4
#define ROOM_WAIT_MS	5
#define FILE_TIMEOUT_MS	60000
#define STACK		(256 * 1024)

struct filler {
	struct filler_options opt;
	pthread_t	 thread;
	/* Guards the rest; tree.lock is taken inside. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct inode	*hot;		/* directory to fill, a reference; NULL: none */
	struct inode	*from;		/* after which of its files, a reference */
	/* The directory seen last. */
	struct inode	*seen;		/* only compared */
	int		 reads;
	int64_t		 seen_ms;
	size_t		 done, allowed;	/* files */
	int64_t		 pushed_bytes, budget_bytes;
	int		 stopping;
};

struct item {
	struct inode	*inode;		/* a reference */
	struct blocks_file *file;	/* NULL: left out */
	int64_t		 size;
};

/* ---- how much memory is free --------------------------------------------------------- */

static int64_t
read_number(const char *path, const char *key)
{
	auto_buf struct buf text = BUF_EMPTY;
	const char *at;
	char *end;
	long long n;

	if (fd_read_file(path, 65536, &text, NULL) != 0 ||
	    (at = strstr(buf_str(&text), key)) == NULL)
		return (-1);
	at += strlen(key);
	n = strtoll(at, &end, 10);
	return (end != at ? n : -1);
}

static int64_t
free_memory(void)
{
	int64_t available = read_number("/proc/meminfo", "MemAvailable:");
	int64_t max = read_number("/sys/fs/cgroup/memory.max", "");
	int64_t used = read_number("/sys/fs/cgroup/memory.current", "");
	int64_t cache = read_number("/sys/fs/cgroup/memory.stat", "inactive_file ");

	available = available > 0 ? available * 1024 : 0;
	if (max > 0 && used >= 0) {
		used -= cache > 0 ? cache : 0;
		if (max - used < available)
			available = max - used;
	}
	return (available > 0 ? available : 0);
}

/* ---- what was seen ------------------------------------------------------------------- */

static void
drop_hot(struct filler *f)
{
	struct tree *t = f->opt.tree;

	pthread_mutex_lock(&t->lock);
	if (f->hot != NULL)
		tree_unref(t, f->hot);
	if (f->from != NULL)
		tree_unref(t, f->from);
	pthread_mutex_unlock(&t->lock);
	f->hot = f->from = NULL;
}

/* Lock held: count a miss in this directory.  1: it is worth being filled. */
static int
count(struct filler *f, struct inode *dir)
{
	int64_t now_ms = clock_ms();

	if (f->seen != dir || now_ms - f->seen_ms > HOT_MS) {
		f->seen = dir;
		f->reads = 0;
		f->done = 0;
		f->allowed = FIRST_FILES;
	}
	f->seen_ms = now_ms;
	f->reads++;
	if (f->allowed < f->done * 2)
		f->allowed = f->done * 2;
	else
		f->allowed += FILES_PER_MISS;
	pthread_cond_signal(&f->changed);
	return (f->reads >= HOT_READS && f->hot == NULL);
}

void
filler_saw(struct filler *f, struct inode *i)
{
	struct tree *t = f->opt.tree;
	struct inode *dir = NULL;

	pthread_mutex_lock(&f->lock);
	pthread_mutex_lock(&t->lock);
	if (!i->filled && i->size <= SMALL) {
		i->filled = 1;
		dir = i->parent;
	}
	if (dir != NULL && count(f, dir)) {
		tree_ref(dir);
		tree_ref(i);
		f->hot = dir;
		f->from = i;
	}
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_unlock(&f->lock);
}

/* ---- filling ------------------------------------------------------------------------- */

/* 1: the kernel knows it and has not asked for it. */
static int
is_wanted(const struct inode *i)
{
	return (!inode_is_dir(i) && i->lookups > 0 && !i->filled && !i->changed && i->size > 0 &&
	    i->size <= SMALL);
}

/* The files of the directory from one on and around, with references. */
static struct item *
collect(struct filler *f, struct inode *dir, struct inode *from, size_t *ret_n)
{
	struct tree *t = f->opt.tree;
	struct inode *i, *first;
	struct item *items;
	size_t n = 0, k;

	pthread_mutex_lock(&t->lock);
	items = mem_zalloc((dir->dir->nchildren + 1) * sizeof(*items));
	first = from->parent == dir ? from : dir->dir->children;
	for (i = first, k = 0; i != NULL && k < dir->dir->nchildren && n < FILES_MAX; k++) {
		if (is_wanted(i)) {
			tree_ref(i);
			items[n++].inode = i;
		}
		i = i->next != NULL ? i->next : dir->dir->children;
	}
	pthread_mutex_unlock(&t->lock);
	*ret_n = n;
	return (items);
}

static void
let_go(struct filler *f, struct item *it)
{
	struct tree *t = f->opt.tree;

	blocks_close(f->opt.blocks, it->file);
	it->file = NULL;
	if (it->inode == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	tree_unref(t, it->inode);
	pthread_mutex_unlock(&t->lock);
	it->inode = NULL;
}

/* Have it under way.  0: there is no room now. */
static int
begin(struct filler *f, struct item *it)
{
	char name[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	struct tree *t = f->opt.tree;
	uint64_t key;
	int wanted;

	pthread_mutex_lock(&t->lock);
	wanted = is_wanted(it->inode) && tree_blob_name(t, it->inode, name) == 0;
	key = it->inode->key;
	it->size = it->inode->size;
	str_format(etag, sizeof(etag), "%s", inode_etag(it->inode));
	pthread_mutex_unlock(&t->lock);
	if (!wanted)
		return (1);
	it->file = blocks_open(f->opt.blocks, key, name, etag, it->size);
	if (blocks_ahead(f->opt.blocks, it->file, 0, it->size, SMALL) >= it->size)
		return (1);
	blocks_close(f->opt.blocks, it->file);
	it->file = NULL;
	return (0);
}

static int
push_span(struct filler *f, struct inode *i, const struct blocks_span *span)
{
	int64_t offset = 0;
	unsigned int k;

	for (k = 0; k < span->n; k++) {
		if (f->opt.push(f->opt.arg, i, offset, &span->iov[k]) != 0)
			return (-1);
		offset += (int64_t)span->iov[k].iov_len;
	}
	return (0);
}

/* Wait for it, push it.  A failure is found again by who reads the file. */
static void
finish(struct filler *f, struct item *it)
{
	struct blocks_range all = { 0, (size_t)it->size, 0, it->size };
	struct tree *t = f->opt.tree;
	struct blocks_wait wait;
	struct blocks_span span;
	int missing, wanted;

	if (it->file == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	wanted = is_wanted(it->inode);
	pthread_mutex_unlock(&t->lock);
	blocks_wait_init(&wait, clock_ms() + FILE_TIMEOUT_MS);
	if (wanted && blocks_start(f->opt.blocks, it->file, &all, &wait, &span, &missing,
	    NULL) == 0) {
		if (blocks_wait(f->opt.blocks, &span, &wait, NULL) == 0 &&
		    push_span(f, it->inode, &span) == 0) {
			pthread_mutex_lock(&t->lock);
			it->inode->filled = 1;
			pthread_mutex_unlock(&t->lock);
		}
		blocks_put(f->opt.blocks, &span);
	}
	blocks_wait_done(&wait);
}

/* 1: go on; 0: this directory is given up. */
static int
may_go_on(struct filler *f, size_t done)
{
	int go_on;

	pthread_mutex_lock(&f->lock);
	f->done = done;
	while (!f->stopping && f->seen == f->hot && done >= f->allowed)
		if (cond_wait_ms(&f->changed, &f->lock, IDLE_MS) != 0)
			break;
	go_on = !f->stopping && f->seen == f->hot && done < f->allowed &&
	    f->pushed_bytes < f->budget_bytes;
	pthread_mutex_unlock(&f->lock);
	return (go_on);
}

static void
fill(struct filler *f, struct item *items, size_t n)
{
	size_t begun = 0, done = 0;

	while (done < n) {
		while (begun < n && begun - done < RING && begin(f, &items[begun]))
			begun++;
		if (begun == done) {
			clock_sleep_ms(ROOM_WAIT_MS);
			if (!may_go_on(f, done))
				break;
			continue;
		}
		finish(f, &items[done]);
		f->pushed_bytes += items[done].size;
		let_go(f, &items[done]);
		if (!may_go_on(f, ++done))
			break;
	}
	for (; done < n; done++)
		let_go(f, &items[done]);
}

static void *
filler_main(void *arg)
{
	struct filler *f = arg;
	struct item *items;
	size_t n;

	pthread_mutex_lock(&f->lock);
	while (!f->stopping) {
		if (f->hot == NULL) {
			pthread_cond_wait(&f->changed, &f->lock);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		f->budget_bytes = f->opt.budget_bytes != 0 ? f->opt.budget_bytes :
		    f->pushed_bytes + free_memory() / FREE_PART;
		items = collect(f, f->hot, f->from, &n);
		fill(f, items, n);
		free(items);
		pthread_mutex_lock(&f->lock);
		drop_hot(f);
		f->reads = 0;
	}
	drop_hot(f);
	pthread_mutex_unlock(&f->lock);
	return (NULL);
}

struct filler *
filler_new(const struct filler_options *o, struct err *err)
{
	struct filler *f = mem_zalloc(sizeof(*f));
	pthread_attr_t attr;
	int rc;

	f->opt = *o;
	pthread_mutex_init(&f->lock, NULL);
	cond_init(&f->changed);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	rc = pthread_create(&f->thread, &attr, filler_main, f);
	pthread_attr_destroy(&attr);
	if (rc != 0) {
		errno = rc;
		err_errno(err, "start a thread", NULL);
		free(f);
		return (NULL);
	}
	return (f);
}

void
filler_free(struct filler *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->stopping = 1;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
	free(f);
}
