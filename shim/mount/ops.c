#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "azure/refusal.h"
#include "base/clock.h"
#include "base/log.h"
#include "mount/access.h"
#include "mount/link.h"
#include "mount/names.h"
#include "mount/open_dir.h"
#include "mount/ops.h"
#include "mount/ops_refuse.h"
#include "mount/stats.h"
#include "mount/xattr.h"

#define STATFS_BLOCK	4096
#define STATFS_BLOCKS	(UINT64_C(1) << 38)	/* 1 PiB: read-only, somebody else's */
#define PLUS_MAX	100000	/* names of a directory whose attributes nobody asked for */
#define READ_AHEAD	(16 << 20)	/* at most; the bdi's value may be less */
#define BACKGROUND	256
#define NO_BACKING	"the kernel does not read from the disk cache by itself: %s"

static struct ops *
ops_of(fuse_req_t req)
{
	return (fuse_req_userdata(req));
}

/* There is always one: what the kernel names it was told of. */
static struct inode *
inode_of(const struct ops *o, fuse_ino_t ino)
{
	struct inode *i;

	if (ino == FUSE_ROOT_ID)
		return (&o->tree->root);
	i = state_object(o->state, STATE_NODE, ino);
	return (i != NULL ? i : &o->tree->lost);
}

/* What the job did wrong is its own matter; the rest is told. */
static int
is_told(const struct err *e)
{
	return (e->http_status != 0 || (e->kind != ERR_SYSTEM && e->kind != ERR_NOT_FOUND) ||
	    e->sys_errno == ENOSPC || e->sys_errno == EIO ||
	    e->sys_errno == EMFILE || e->sys_errno == ENFILE);	/* ours, not the job's */
}

static void
fail(fuse_req_t req, const struct err *e)
{
	if (is_told(e))
		report_failure(ops_of(req)->report, e);
	fuse_reply_err(req, refusal_errno(e));
}

/* ---- attributes ---------------------------------------------------------------------- */

static double
seconds(int64_t ms)
{
	return ((double)ms / 1000);
}

static void
fill_stat(const struct inode_attr *a, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = a->ino;
	st->st_mode = a->mode;
	st->st_nlink = a->nlink;
	st->st_uid = a->uid;
	st->st_gid = a->gid;
	st->st_size = a->size;
	st->st_blocks = (a->size + 511) / 512;
	st->st_mtim.tv_sec = a->mtime_s;
	st->st_mtim.tv_nsec = a->mtime_ns;
	st->st_atim = st->st_ctim = st->st_mtim;
}

static void
fill_entry(const struct inode *i, const struct inode_attr *a, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = i != NULL ? a->node : 0;
	e->attr_timeout = e->entry_timeout = seconds(a->ttl_ms);
	if (i != NULL)
		fill_stat(a, &e->attr);
}

static void
reply_entry(fuse_req_t req, struct inode *i, const struct inode_attr *a)
{
	struct ops *o = ops_of(req);
	struct fuse_entry_param e;

	if (i != NULL && a->node == 0) {
		tree_forget(o->tree, i, 1);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fill_entry(i, a, &e);
	if (fuse_reply_entry(req, &e) != 0 && i != NULL)
		tree_forget(o->tree, i, 1);	/* the kernel never learnt of it */
}

static void
reply_attr(fuse_req_t req, struct inode *i)
{
	struct ops *o = ops_of(req);
	struct inode_attr a;
	struct stat st;

	pthread_mutex_lock(&o->tree->lock);
	tree_attr(o->tree, i, &a);
	pthread_mutex_unlock(&o->tree->lock);
	fill_stat(&a, &st);
	fuse_reply_attr(req, &st, seconds(a.ttl_ms));
}

static void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	stats_add(STATS_LOOKUPS, 1);
	if (tree_lookup(o->tree, inode_of(o, parent), name, &i, &a, &err) != 0)
		fail(req, &err);
	else
		reply_entry(req, i, &a);
}

static void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct ops *o = ops_of(req);

	tree_forget(o->tree, inode_of(o, ino), n);
	fuse_reply_none(req);
}

static void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	struct ops *o = ops_of(req);
	size_t k;

	for (k = 0; k < count; k++)
		tree_forget(o->tree, inode_of(o, f[k].ino), f[k].nlookup);
	fuse_reply_none(req);
}

static void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	stats_add(STATS_GETATTRS, 1);
	reply_attr(req, inode_of(ops_of(req), ino));
}

static void
set_time(struct inode *i, const struct stat *st, int now)
{
	struct timespec t = st->st_mtim;

	if (now)
		clock_gettime(CLOCK_REALTIME, &t);
	i->mtime_s = t.tv_sec;
	i->mtime_ns = (uint32_t)t.tv_nsec;
	i->said_mtime = !now;
}

/*
 * Times are kept as long as this mount lives, but for one that is set before the bytes go out
 * (cp -p, tar): metadata beside them costs nothing.  Modes and owners too, unless the job wants
 * those of the service (access.h).
 */
static void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct inode *i = inode_of(o, ino);
	struct err err = ERR_EMPTY;

	stats_add(STATS_CHANGES, 1);
	(void)fi;
	if ((what & FUSE_SET_ATTR_SIZE) != 0 &&
	    writer_truncate(o->writer, i, st->st_size, &err) != 0) {
		fail(req, &err);
		return;
	}
	if (access_change(o->writer, i, st, what, &err) != 0) {
		fail(req, &err);
		return;
	}
	pthread_mutex_lock(&o->tree->lock);
	if ((what & FUSE_SET_ATTR_MODE) != 0)
		i->mode = (i->mode & S_IFMT) | (st->st_mode & 07777);
	if ((what & FUSE_SET_ATTR_UID) != 0)
		i->uid = st->st_uid;
	if ((what & FUSE_SET_ATTR_GID) != 0)
		i->gid = st->st_gid;
	if ((what & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) != 0)
		set_time(i, st, (what & FUSE_SET_ATTR_MTIME_NOW) != 0);
	if ((what & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0)
		i->mode &= ~(mode_t)(S_ISUID | S_ISGID);	/* HANDLE_KILLPRIV_V2 */
	i->noted = 0;
	tree_renote(o->tree, i);
	pthread_mutex_unlock(&o->tree->lock);
	reply_attr(req, i);
}

static void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	struct statvfs v = { .f_bsize = STATFS_BLOCK, .f_frsize = STATFS_BLOCK,
	    .f_blocks = STATFS_BLOCKS };

	(void)ino;
	if (o->writer != NULL && writer_statfs(o->writer, &v, &err) != 0) {
		fail(req, &err);
		return;
	}
	v.f_namemax = INODE_NAME_MAX;
	fuse_reply_statfs(req, &v);
}

/* ---- directories --------------------------------------------------------------------- */

static uint64_t
asked_of(struct ops *o, struct inode *dir)
{
	uint64_t asked;

	pthread_mutex_lock(&o->tree->lock);
	asked = tree_dir(o->tree, dir)->asked;
	pthread_mutex_unlock(&o->tree->lock);
	return (asked);
}

/* The answer to the same request was lost with an earlier process. */
static struct open_dir *
opened_before(struct ops *o)
{
	struct handle h;
	uint32_t fh = handle_again(o->state, &h);

	return (fh != 0 ? open_dir_of(o->state, o->tree, fh) : NULL);
}

static void
op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct open_dir *d = opened_before(o);
	struct err err = ERR_EMPTY;

	if (d == NULL && (d = open_dir_new(o->state, o->tree, inode_of(o, ino), &err)) == NULL) {
		fail(req, &err);
		return;
	}
	if (d->fh == 0 && open_dir_number(d) != 0) {	/* it has no number then */
		open_dir_free(d);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = d->fh;
	if (o->writer == NULL) {
		fi->cache_readdir = 1;
		fi->keep_cache = d->names != NULL && d->names->is_unchanged != 0;
	}
	if (fuse_reply_open(req, fi) != 0) {
		open_dir_free(d);
		handle_reuse(o->state, fi->fh);
	}
}

static void
op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct open_dir *d = open_dir_of(o->state, o->tree, fi->fh);

	(void)ino;
	if (d != NULL)
		open_dir_free(d);
	fuse_reply_err(req, 0);
	if (d != NULL)
		handle_reuse(o->state, fi->fh);
}

struct dir_buf {
	char	*data;
	size_t	 size, used;
};

/*
 * Offsets: 1 and 2 are after "." and "..", k + 3 after entry k.  0: it is full.  In
 * the long form an entry without a node id is only a name to the kernel.
 */
static int
put_name(fuse_req_t req, struct dir_buf *b, const char *name, uint64_t ino, uint32_t mode,
    off_t next, int plus)
{
	struct fuse_entry_param e = { .attr = { .st_ino = ino, .st_mode = mode } };
	size_t left = b->size - b->used, n;

	n = plus ? fuse_add_direntry_plus(req, b->data + b->used, left, name, &e, next) :
	    fuse_add_direntry(req, b->data + b->used, left, name, &e.attr, next);
	if (n > left)
		return (0);
	b->used += n;
	return (1);
}

static int
put_plus(fuse_req_t req, struct dir_buf *b, struct inode *dir, const struct tree_names *names,
    const struct tree_entry *t, off_t next)
{
	struct ops *o = ops_of(req);
	struct fuse_entry_param e;
	struct inode_attr a;
	struct inode *i;
	size_t n;

	if (!tree_names_lookup(o->tree, dir, names, t, &i, &a))
		/* Gone meanwhile, or what is known of it is old: it will be asked for. */
		return (names->is_large ? put_name(req, b, t->name, t->ino, t->mode, next, 1) : 1);
	fill_entry(i, &a, &e);
	n = fuse_add_direntry_plus(req, b->data + b->used, b->size - b->used, t->name, &e, next);
	if (n > b->size - b->used) {
		tree_forget(o->tree, i, 1);
		return (0);
	}
	b->used += n;
	return (1);
}

static int
put_dot(fuse_req_t req, struct dir_buf *b, const struct tree_names *names, off_t at, int plus)
{
	return (put_name(req, b, at == 0 ? "." : "..", at == 0 ? names->ino : names->parent_ino,
	    S_IFDIR, at + 1, plus));
}

/* One entry more, if there is room for it: 1; 0: none; -1: failed. */
static int
put_next(fuse_req_t req, struct dir_buf *b, struct open_dir *d, off_t at, int plus, int attributes,
    struct err *err)
{
	struct tree_entry t;
	int state;

	if (at < 2)
		return (put_dot(req, b, d->names, at, plus));
	if (handle_names_full(&d->given))
		return (0);
	state = open_dir_entry(d, (size_t)at - 2, b->used == 0, &t, err);
	if (state <= 0 || state == OPEN_DIR_GONE)
		return (state);
	if (!(attributes ? put_plus(req, b, d->dir, d->names, &t, at + 1) :
	    put_name(req, b, t.name, t.ino, t.mode, at + 1, plus)))
		return (0);
	handle_names_add(&d->given, (size_t)at - 2, t.name);
	return (1);
}

static void
read_names(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi,
    int plus)
{
	struct ops *o = ops_of(req);
	struct open_dir *d = open_dir_of(o->state, o->tree, fi->fh);
	struct err err = ERR_EMPTY;
	struct dir_buf b = { .size = size };
	int room = 1, attributes;

	stats_add(STATS_READDIRS, 1);
	(void)ino;
	if (d == NULL) {
		fuse_reply_err(req, EBADF);
		return;
	}
	/* rewinddir() shows what is there now. */
	if ((at == 0 && !d->fresh && open_dir_rewind(d, &err) != 0) ||
	    open_dir_ready(d, &err) != 0) {
		fail(req, &err);
		return;
	}
	d->fresh = 0;
	attributes = plus && (at < PLUS_MAX || asked_of(o, d->dir) != d->asked);
	b.data = mem_alloc(size);
	for (; room > 0; at++)
		room = put_next(req, &b, d, at, plus, attributes, &err);
	handle_names_save(&d->given, o->state, d->fh);
	if (room < 0)
		fail(req, &err);
	else
		fuse_reply_buf(req, b.data, b.used);
	free(b.data);
}

static void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
	read_names(req, ino, size, at, fi, 0);
}

static void
op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
	read_names(req, ino, size, at, fi, 1);
}

/* ---- reading ------------------------------------------------------------------------- */

/* The version of the file that its inode stands for; NULL: it has no place in the tree any more. */
static struct blocks_file *
open_version(struct ops *o, struct inode *i)
{
	char name[INODE_PATH_MAX], etag[HTTP_ETAG_MAX];
	struct blocks_file *f;
	uint64_t key;
	int64_t size;
	int gone;

	pthread_mutex_lock(&o->tree->lock);
	key = i->key;
	pthread_mutex_unlock(&o->tree->lock);
	if ((f = blocks_find(o->blocks, key)) != NULL)
		return (f);
	pthread_mutex_lock(&o->tree->lock);
	gone = tree_blob_name(o->tree, i, name) != 0;
	str_format(etag, sizeof(etag), "%s", inode_etag(i));
	key = i->key;
	size = i->size;
	pthread_mutex_unlock(&o->tree->lock);
	return (gone ? NULL : blocks_open(o->blocks, key, name, etag, size));
}

struct waiting {
	struct blocks	*blocks;
	struct blocks_wait wait;
};

static void
on_interrupt(fuse_req_t req, void *arg)
{
	struct waiting *w = arg;

	(void)req;
	blocks_interrupt(w->blocks, &w->wait);
}

/* The service has another version, or none: this one is never read again. */
static void
fail_changed(fuse_req_t req, struct inode *i, struct err *e)
{
	struct ops *o = ops_of(req);

	tree_mark_changed(o->tree, i);
	notifier_settle(o->names);
	e->sys_errno = ESTALE;
	if (e->kind == ERR_NOT_FOUND)
		e->remedy = REMEDY_KEEP_INPUT_STILL;
	fail(req, e);
}

static void
read_remote(fuse_req_t req, struct inode *i, size_t size, off_t offset)
{
	struct ops *o = ops_of(req);
	struct blocks_file *f = open_version(o, i);
	struct waiting w = { .blocks = o->blocks };
	struct err err = ERR_EMPTY;
	struct blocks_span span;
	int failed;

	if (f == NULL) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (o->filler != NULL && blocks_size(f) <= READER_SMALL)
		filler_saw(o->filler, i);
	blocks_wait_init(&w.wait, clock_ms() + o->timeout_ms);
	fuse_req_interrupt_func(req, on_interrupt, &w);
	failed = reader_read(o->reader, f, offset, size, &w.wait, &span, &err);
	fuse_req_interrupt_func(req, NULL, NULL);
	blocks_wait_done(&w.wait);
	if (!failed) {
		stats_add(STATS_READ_BYTES, (int64_t)span.len);
		fuse_reply_iov(req, span.iov, (int)span.n);
		blocks_put(o->blocks, &span);
	} else if (err.kind == ERR_CHANGED || err.kind == ERR_NOT_FOUND)
		fail_changed(req, i, &err);
	else
		fail(req, &err);
	blocks_close(o->blocks, f);
}

static void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct inode *i = inode_of(o, ino);
	struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);
	struct err err = ERR_EMPTY;
	int local = 0;

	stats_add(STATS_READS, 1);
	(void)fi;
	if (o->writer != NULL)
		local = writer_hold(o->writer, i, &data.buf[0].fd, &err);
	if (local <= 0) {
		if (local < 0)
			fail(req, &err);
		else
			read_remote(req, i, size, offset);
		return;
	}
	data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	data.buf[0].pos = offset;
	fuse_reply_data(req, &data, 0);
	writer_unhold(o->writer, i);
}

/* Found out by the first open.  No disk: an earlier process had one. */
static int
backing_works(struct ops *o, fuse_req_t req)
{
	if (o->disk == NULL)
		return (1);	/* what is open so stays so; all else comes to us */
	if (o->backing_works == 0) {
		o->backing_works = backing_try(req, disk_probe_fd(o->disk)) ? 1 : -1;
		if (o->backing_works < 0)
			log_info(NO_BACKING, strerror(errno));
	}
	return (o->backing_works > 0);
}

/* 1: it was open, and its number may be used again. */
static int
close_backed(fuse_req_t req, uint64_t fh)
{
	struct ops *o = ops_of(req);
	struct backing_open *opened = state_object(o->state, STATE_HANDLE, fh);

	if (opened == NULL)
		return (0);
	handle_close(o->state, fh);
	backing_end(o->backing, req, opened);
	return (1);
}

/* 1: by an earlier process, whose answer was lost. */
static int
is_backed_already(struct ops *o, struct fuse_file_info *fi)
{
	struct handle h;

	fi->fh = handle_again(o->state, &h);
	fi->backing_id = fi->fh != 0 ? h.backing_id : 0;
	return (fi->fh != 0);
}

static void
open_backed(fuse_req_t req, struct inode *i, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct blocks_file *f;
	struct backing_open *opened;

	fi->noflush = 1;
	if (is_backed_already(o, fi)) {
		fi->keep_cache = fi->backing_id <= 0;
		fuse_reply_open(req, fi);
		return;
	}
	if ((f = open_version(o, i)) == NULL) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	opened = backing_begin(o->backing, req, i, o->blocks, f, &fi->backing_id);
	fi->fh = handle_open(o->state, HANDLE_BACKED, i, fi->backing_id, opened);
	fi->keep_cache = fi->backing_id <= 0;	/* both: EIO (Linux: fs/fuse/iomode.c) */
	if (fuse_reply_open(req, fi) != 0 && close_backed(req, fi->fh))
		handle_reuse(o->state, fi->fh);
}

static void
op_open_read_only(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);

	stats_add(STATS_OPENS, 1);
	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		fuse_reply_err(req, EROFS);
	else if (o->backing != NULL && backing_works(o, req))
		open_backed(req, inode_of(o, ino), fi);
	else if (o->no_open)
		fuse_reply_err(req, ENOSYS);	/* it does not ask again */
	else {
		fi->keep_cache = 1;	/* another version is another inode */
		fi->noflush = 1;
		fuse_reply_open(req, fi);
	}
}

static void
op_release_read_only(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	int closed = close_backed(req, fi->fh);

	(void)ino;
	fuse_reply_err(req, 0);
	if (closed)
		handle_reuse(o->state, fi->fh);
}

/* Each Python open() asks whether it is a terminal. */
static void
op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi,
    unsigned int flags, const void *in, size_t in_size, size_t out_size)
{
	(void)ino;
	(void)cmd;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	(void)out_size;
	fuse_reply_err(req, ENOTTY);
}

/* ---- writing ------------------------------------------------------------------------- */

/* 1: another version has to be looked up; the kernel does so on ESTALE. */
static int
is_outdated(struct ops *o, struct inode *i)
{
	int changed, stale;

	pthread_mutex_lock(&o->tree->lock);
	changed = i->changed;
	stale = i->stale;
	pthread_mutex_unlock(&o->tree->lock);
	return (changed || (stale && writer_drop_stale(o->writer, i)));
}

/*
 * Opened for writing: its number, the same as before if the answer to this request was lost
 * with an earlier process (then it is open already).  0: there is no room.
 */
static uint64_t
number_of(struct ops *o, struct inode *i, uint32_t again, int direct)
{
	uint64_t fh = again != 0 ? again : handle_open(o->state,
	    direct ? HANDLE_DIRECT : HANDLE_WRITE, i, 0, i);

	if (fh == 0)
		writer_release(o->writer, i, NULL);
	return (fh);
}

static void
close_written(struct ops *o, struct inode *i, uint64_t fh)
{
	writer_release(o->writer, i, NULL);
	handle_close(o->state, fh);
	handle_reuse(o->state, fh);
}

static void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct inode *i = inode_of(o, ino);
	struct err err = ERR_EMPTY;
	int writes = (fi->flags & O_ACCMODE) != O_RDONLY;
	struct handle h;
	uint32_t again = writes ? handle_again(o->state, &h) : 0;

	stats_add(STATS_OPENS, 1);
	if (again == 0 && is_outdated(o, i)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (writes && again == 0 &&
	    writer_open(o->writer, i, (fi->flags & O_TRUNC) != 0, &err) != 0) {
		if (err.kind == ERR_CHANGED || err.kind == ERR_NOT_FOUND)
			fail_changed(req, i, &err);
		else
			fail(req, &err);
		return;
	}
	fi->direct_io = ((fi->flags & O_ACCMODE) == O_WRONLY ? writer_is_direct(o->writer, i) :
	    writer_watch(o->writer, i)) != 0;
	fi->fh = writes ? number_of(o, i, again, fi->direct_io) : 0;
	fi->keep_cache = !fi->direct_io;	/* all other writes go through the kernel's pages */
	fi->noflush = !writes;
	if (writes && fi->fh == 0)
		fuse_reply_err(req, ENOMEM);
	else if (fuse_reply_open(req, fi) != 0 && writes)
		close_written(o, i, fi->fh);
}

/* 1: by an earlier process, whose answer was lost; open, with a lookup counted once more. */
static int
is_created(struct ops *o, struct inode **ret, struct inode_attr *a, uint32_t *ret_fh)
{
	struct handle h;

	*ret_fh = handle_again(o->state, &h);
	*ret = *ret_fh != 0 ? state_object(o->state, STATE_NODE, h.node) : NULL;
	if (*ret == NULL)
		return (0);
	pthread_mutex_lock(&o->tree->lock);
	(*ret)->lookups++;
	tree_tell(o->tree, *ret, a);
	pthread_mutex_unlock(&o->tree->lock);
	return (1);
}

/* Logs, which others look at meanwhile, are appended to, and have little of a write to spare. */
static int
is_bulk(int flags)
{
	return ((flags & (O_ACCMODE | O_APPEND | O_DSYNC)) == O_WRONLY);
}

static void
op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct names_create how = { .mode = mode, .exclusive = (fi->flags & O_EXCL) != 0,
	    .truncate = (fi->flags & O_TRUNC) != 0,
	    .direct = o->direct && is_bulk(fi->flags) };
	struct fuse_entry_param e;
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;
	uint32_t again;

	stats_add(STATS_OPENS, 1);
	if (!is_created(o, &i, &a, &again) &&
	    names_create(o->writer, inode_of(o, parent), name, &how, &i, &a, &err) != 0) {
		fail(req, &err);
		return;
	}
	fill_entry(i, &a, &e);
	fi->direct_io = writer_is_direct(o->writer, i) != 0;
	fi->fh = a.node != 0 ? number_of(o, i, again, fi->direct_io) : 0;
	fi->keep_cache = !fi->direct_io;
	if (fi->fh == 0)
		fuse_reply_err(req, ENOMEM);
	else if (fuse_reply_create(req, &e, fi) == 0)
		return;
	else
		close_written(o, i, fi->fh);
	tree_forget(o->tree, i, 1);
}

static void
op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
    struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct inode *i = inode_of(o, ino);
	struct err err = ERR_EMPTY;
	int failed;

	stats_add(STATS_WRITES, 1);
	stats_add(STATS_WRITTEN_BYTES, (int64_t)size);
	failed = writer_write(o->writer, i, data, size, offset, &err);
	/* Also after a failure: some of it may be there.  What the kernel writes back it has. */
	if (!fi->writepage && writer_drop_pages(o->writer, i, offset, (int64_t)size))
		notifier_settle(o->pages);
	/* Without pages the kernel does not ask for a sync (Linux: fuse_direct_write_iter). */
	if (!failed && !fi->writepage && (fi->flags & O_DSYNC) != 0 &&
	    writer_is_direct(o->writer, i))
		failed = writer_flush(o->writer, i, &err);
	if (failed)
		fail(req, &err);
	else
		fuse_reply_write(req, size);
}

static void
op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	stats_add(STATS_FLUSHES, 1);
	if (fi->fh != 0 && writer_close(o->writer, inode_of(o, ino), &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

static void
op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	stats_add(STATS_FLUSHES, 1);
	(void)data_only;
	(void)fi;
	if (writer_flush(o->writer, inode_of(o, ino), &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

/* Other modes move bytes: EOPNOTSUPP. */
static void
op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
    struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	(void)fi;
	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		fuse_reply_err(req, EOPNOTSUPP);
	else if (writer_allocate(o->writer, inode_of(o, ino), mode, offset, len, &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

static void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	struct handle h;
	int is_open = handle_get(o->state, fi->fh, &h);

	/* Nobody waits for the answer: what goes wrong now only the log learns. */
	if (is_open) {
		handle_end_direct(o->state, fi->fh, &h);
		if (writer_release(o->writer, inode_of(o, ino), &err) != 0)
			report_failure(o->report, &err);
		handle_close(o->state, fi->fh);
	}
	fuse_reply_err(req, 0);
	if (is_open)
		handle_reuse(o->state, fi->fh);
}

static void
op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	stats_add(STATS_CHANGES, 1);
	if (names_mkdir(o->writer, inode_of(o, parent), name, mode, &i, &a, &err) != 0)
		fail(req, &err);
	else
		reply_entry(req, i, &a);
}

static void
op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	stats_add(STATS_CHANGES, 1);
	if (names_unlink(o->writer, inode_of(o, parent), name, &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

static void
op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	stats_add(STATS_CHANGES, 1);
	if (names_rmdir(o->writer, inode_of(o, parent), name, &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

static void
op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
    const char *new_name, unsigned int flags)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;

	stats_add(STATS_CHANGES, 1);
	if ((flags & ~(unsigned int)RENAME_NOREPLACE) != 0)
		fuse_reply_err(req, EINVAL);
	else if (names_rename(o->writer, inode_of(o, parent), name, inode_of(o, new_parent),
	    new_name, (flags & RENAME_NOREPLACE) != 0, &err) != 0)
		fail(req, &err);
	else
		fuse_reply_err(req, 0);
}

static void
op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	struct inode_attr a;
	struct inode *i;

	stats_add(STATS_CHANGES, 1);
	if (link_make(o->writer, inode_of(o, parent), name, target, &i, &a, &err) != 0)
		fail(req, &err);
	else
		reply_entry(req, i, &a);
}

static void
op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct ops *o = ops_of(req);
	struct err err = ERR_EMPTY;
	char target[4096];

	if (link_read(o->tree, inode_of(o, ino), target, &err) != 0)
		fail(req, &err);
	else
		fuse_reply_readlink(req, target);
}

/* ---- extended attributes ------------------------------------------------------------- */

/* size 0: how long is it? */
static void
reply_xattr(fuse_req_t req, const struct buf *b, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, b->len);
	else if (b->len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, buf_str(b), b->len);
}

static void
op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct ops *o = ops_of(req);
	auto_buf struct buf value = BUF_EMPTY;
	int failed = xattr_get(o->tree, inode_of(o, ino), name, &value);

	stats_add(STATS_XATTRS, 1);
	if (failed)
		fuse_reply_err(req, failed);
	else
		reply_xattr(req, &value, size);
}

static void
op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct ops *o = ops_of(req);
	auto_buf struct buf names = BUF_EMPTY;

	stats_add(STATS_XATTRS, 1);
	xattr_list(o->tree, inode_of(o, ino), &names);
	reply_xattr(req, &names, size);
}

static void
set_xattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
    int flags)
{
	struct ops *o = ops_of(req);
	struct inode *i = inode_of(o, ino);
	struct err err = ERR_EMPTY;

	stats_add(STATS_CHANGES, 1);
	if (xattr_set(o->writer, i, name, value, size, flags, &err) == 0)
		fuse_reply_err(req, 0);
	else if (err.kind == ERR_CHANGED)
		fail_changed(req, i, &err);
	else
		fail(req, &err);
}

static void
op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
    int flags)
{
	set_xattr(req, ino, name, value, size, flags);
}

static void
op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	set_xattr(req, ino, name, NULL, 0, 0);
}

/* ---- the tables ---------------------------------------------------------------------- */

static void
init_backing(struct ops *o, struct fuse_conn_info *c)
{
	int depth = inflight_stack_depth(o->inflight);

	/* What was agreed upon stays, whatever became of the disk cache (libfuse adds 1). */
	if (depth < 0)
		depth = 1 + (disk_is_stacked(o->disk) ? FUSE_BACKING_STACKED_OVER :
		    FUSE_BACKING_STACKED_UNDER);
	if (depth > 0 && fuse_set_feature_flag(c, FUSE_CAP_PASSTHROUGH)) {
		c->max_backing_stack_depth = (uint32_t)depth - 1;
		return;
	}
	o->backing_works = -1;
	log_info(NO_BACKING, depth == 0 ? "it was told so when the mount began" :
	    "it is older than Linux 6.9, or was built without");
}

static void
op_init(void *arg, struct fuse_conn_info *c)
{
	struct ops *o = arg;

	fuse_set_feature_flag(c, FUSE_CAP_PARALLEL_DIROPS);
	/* Always with attributes: they are here, and spare a lookup of each name. */
	fuse_unset_feature_flag(c, FUSE_CAP_READDIRPLUS_AUTO);
	/* A file's pages stay: a new version is a new inode. */
	fuse_unset_feature_flag(c, FUSE_CAP_AUTO_INVAL_DATA);
	fuse_set_feature_flag(c, FUSE_CAP_EXPLICIT_INVAL_DATA);
	/* A link does not change: another one is another inode. */
	fuse_set_feature_flag(c, FUSE_CAP_CACHE_SYMLINKS);
	if (o->writer != NULL) {
		fuse_set_feature_flag(c, FUSE_CAP_SPLICE_WRITE);
		/* Else the kernel asks for security.capability before each write. */
		fuse_set_feature_flag(c, FUSE_CAP_HANDLE_KILLPRIV_V2);
		/* As an earlier process has agreed upon, if there was one. */
		o->direct = inflight_maps_direct(o->inflight) != 0 &&
		    fuse_set_feature_flag(c, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
	}
	o->no_open = (c->capable_ext & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
	if (o->backing != NULL)
		init_backing(o, c);
	/* The kernel takes the smaller of this and the bdi's, which init may have raised. */
	c->max_readahead = READ_AHEAD;
	c->max_background = BACKGROUND;
	c->congestion_threshold = BACKGROUND / 4 * 3;
	o->ready(o->ready_arg);
}

/* What is not here libfuse answers with ENOSYS, and the kernel asks once: fallocate, lseek ... */
const struct fuse_lowlevel_ops ops_read_only = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.open = op_open_read_only,
	.release = op_release_read_only,
	.read = op_read,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.statfs = op_statfs,
	.ioctl = op_ioctl,
	.setattr = rofs_setattr,
	.mknod = rofs_mknod,
	.mkdir = rofs_mkdir,
	.unlink = rofs_remove,
	.rmdir = rofs_remove,
	.symlink = rofs_symlink,
	.rename = rofs_rename,
	.link = rofs_link,
	.create = rofs_create,
	.write = rofs_write,
	.setxattr = rofs_setxattr,
	.removexattr = rofs_removexattr,
};

const struct fuse_lowlevel_ops ops_writable = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.fsync = op_fsync,
	.release = op_release,
	.fallocate = op_fallocate,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.symlink = op_symlink,
	.readlink = op_readlink,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
	.link = refuse_link,
	.mknod = refuse_mknod,
	.statfs = op_statfs,
	.ioctl = op_ioctl,
};
