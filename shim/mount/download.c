#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uri.h"
#include "base/wire.h"
#include "mount/name.h"
#include "mount/transfer_parts.h"
#include "plan/tuning.h"

#define PIECE_BYTES	((int64_t)4 << 20)
#define SMALL_BYTES	((int64_t)256 << 10)
#define LANES		64
#define WIDE_MIN	2
#define WIDE_MAX	32
#define WAIT_MS		100
#define TRIES		3		/* of a file that is replaced while it is fetched */
#define RESERVE_PART	10		/* left free: at most this part of a small file system */
#define DEPTH_MAX	128
#define TEMPORARY	".amlshim-"

struct file {
	struct pool_item item;
	char		*relative;	/* below the target; as allocated with the struct */
	char		*blob;
	char		 etag[HTTP_ETAG_MAX];
	int64_t		 size, mtime_unix_s;
	int		 fd;
	uint64_t	 nonce, ino;	/* of the temporary file, for its pieces' records */
	int		 tries;
};

struct download {
	struct transfer	 t;
	int64_t		 free_bytes;	/* at the start, without the reserve */
	/* The listing thread's, until the pool is complete. */
	int64_t		 need_bytes;
	struct journal_map seen;	/* names that the listing has, when there is a journal */
	int		 any, is_short;
};

/* ---- what earlier runs did --------------------------------------------- */

static void
key_of(struct journal_key *key, const char *what, const char *relative)
{
	journal_key(key, "%s\n%s", what, relative);
}

/* Where the temporary file stands that this version of the blob is fetched into. */
static void
nonce_key(struct journal_key *key, const struct file *f)
{
	journal_key(key, "part\n%s\n%lld\n%s", f->etag, (long long)f->size, f->relative);
}

static void
piece_key(struct journal_key *key, const struct file *f, size_t index)
{
	journal_key(key, "piece\n%016llx\n%llu\n%zu\n%s", (unsigned long long)f->nonce,
	    (unsigned long long)f->ino, index, f->relative);
}

/*
 * The file of an earlier run, untouched since, of the same version of the blob: nobody can
 * set the time of the last change that the fingerprint holds.
 */
static int
is_whole(const struct download *d, const struct file *f)
{
	struct journal_key key;
	struct stat st;
	uint64_t was;

	key_of(&key, "whole", f->relative);
	return (f->etag[0] != '\0' && journal_find(d->t.journal, &key, &was) &&
	    fstatat(d->t.target_fd, f->relative, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size == f->size &&
	    transfer_fingerprint(f->etag, &st) == was);
}

static const char *
temporary_name(const struct file *f, char *buf, size_t size)
{
	const char *slash = strrchr(f->relative, '/');
	int dir = slash == NULL ? 0 : (int)(slash - f->relative) + 1;

	str_format(buf, size, "%.*s" TEMPORARY "%016llx", dir, f->relative,
	    (unsigned long long)hash_bytes(f->relative, strlen(f->relative)));
	return (buf);
}

/* ---- one file ---------------------------------------------------------- */

/* The disk is full: how much is missing. */
static int
write_failed(struct download *d, const struct file *f, const char *op, struct err *err)
{
	char need[24], avail[24];
	int64_t missing;

	err_errno(err, op, f->relative);
	if (err->sys_errno != ENOSPC && err->sys_errno != EDQUOT)
		return (-1);
	err->remedy = REMEDY_FREE_DISK;
	pthread_mutex_lock(&d->t.lock);
	missing = d->t.bytes_found - d->t.stats.bytes_read;
	pthread_mutex_unlock(&d->t.lock);
	str_format(err->cause, sizeof(err->cause), "the disk is full: %s are still to come, "
	    "%s are free", str_bytes(missing, need),
	    str_bytes(fd_disk_free(d->t.target_fd, NULL), avail));
	return (-1);
}

/* Neighbours share a folder: it is made once. */
static int
make_folder(const struct download *d, const struct file *f, struct pool_lane *lane,
    struct err *err)
{
	const char *slash = strrchr(f->relative, '/');
	size_t len = slash != NULL ? (size_t)(slash - f->relative) : 0;

	if (slash == NULL || (strncmp(lane->folder, f->relative, len) == 0 &&
	    lane->folder[len] == '\0'))
		return (0);
	if (fd_mkdir_parents_at(d->t.target_fd, f->relative, 0755, err) != 0)
		return (-1);
	str_format(lane->folder, sizeof(lane->folder), "%.*s", (int)len, f->relative);
	return (0);
}

/* The temporary file of an earlier run, with what it got. */
static int
open_again(struct download *d, struct file *f, const char *name)
{
	struct journal_key key;
	struct stat st;
	uint64_t unused;
	size_t i;

	nonce_key(&key, f);
	if (f->etag[0] == '\0' || !journal_find(d->t.journal, &key, &f->nonce))
		return (-1);
	f->fd = openat(d->t.target_fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd < 0)
		return (-1);
	if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != f->size) {
		mem_close_fd(&f->fd);
		return (-1);
	}
	f->ino = st.st_ino;
	f->item.there = mem_zalloc(f->item.pieces);
	for (i = 0; i < f->item.pieces; i++) {
		piece_key(&key, f, i);
		f->item.there[i] = (unsigned char)journal_find(d->t.journal, &key, &unused);
	}
	return (0);
}

/* Blocks are taken now, so that a full disk is told at once; where that cannot be, later. */
static int
reserve(int fd, int64_t size)
{
	if (fallocate(fd, 0, 0, size) == 0)
		return (0);
	if (errno == ENOSPC || errno == EDQUOT)
		return (-1);
	return (ftruncate(fd, size));
}

/* What earlier records say of a file of this name ends with the new number. */
static int
open_new(struct download *d, struct file *f, const char *name, struct err *err)
{
	int shared = f->item.pieces > 1;
	struct journal_key key;
	struct stat st;

	if (shared) {
		if (unlinkat(d->t.target_fd, name, 0) != 0 && errno != ENOENT)
			return (err_errno(err, "remove a temporary file", f->relative));
		if (getrandom(&f->nonce, sizeof(f->nonce), 0) != (ssize_t)sizeof(f->nonce))
			return (err_errno(err, "create a file", f->relative));
		nonce_key(&key, f);
		journal_add(d->t.journal, &key, f->nonce);
	}
	f->fd = openat(d->t.target_fd, name, O_WRONLY | O_CREAT | (shared ? O_EXCL : O_TRUNC) |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	if (f->fd < 0 || (shared && (reserve(f->fd, f->size) != 0 || fstat(f->fd, &st) != 0)))
		return (write_failed(d, f, "create a file", err));
	f->ino = shared ? st.st_ino : 0;
	return (0);
}

static int
file_open(void *arg, struct pool_item *item, struct pool_lane *lane, struct err *err)
{
	struct download *d = arg;
	struct file *f = (struct file *)item;
	char name[PATH_MAX];

	if (make_folder(d, f, lane, err) != 0)
		return (-1);
	temporary_name(f, name, sizeof(name));
	if (item->pieces > 1 && open_again(d, f, name) == 0)
		return (0);
	return (open_new(d, f, name, err));
}

static int
file_piece(void *arg, struct pool_item *item, size_t index, struct pool_lane *lane,
    struct err *err)
{
	struct download *d = arg;
	struct file *f = (struct file *)item;
	int64_t offset = (int64_t)index * PIECE_BYTES, left = f->size - offset;
	size_t len = (size_t)(left < PIECE_BYTES ? left : PIECE_BYTES), got = 0;
	struct journal_key key;

	if (len != 0 && store_read(d->t.store, f->blob, f->etag, offset, lane->buf, len, &got,
	    NULL, err) != 0)
		return (-1);
	if (got != len) {
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, "download",
		    "%zu of %zu bytes at offset %lld", got, len, (long long)offset);
		return (err_on(err, "%s", f->blob));
	}
	if (fd_pwrite_all(f->fd, lane->buf, len, (off_t)offset) != 0)
		return (write_failed(d, f, "write a file", err));
	if (item->pieces > 1 && f->etag[0] != '\0') {
		piece_key(&key, f, index);
		journal_add(d->t.journal, &key, 1);
	}
	transfer_count(&d->t, &d->t.stats.bytes_read, (int64_t)len);
	return (0);
}

/* All bytes are there: the file appears under its name. */
static int
file_close(void *arg, struct pool_item *item, struct err *err)
{
	struct download *d = arg;
	struct file *f = (struct file *)item;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = (time_t)f->mtime_unix_s } };
	struct journal_key key;
	char name[PATH_MAX];
	struct stat st;

	if (f->mtime_unix_s != 0 && futimens(f->fd, times) != 0)
		log_debug("time of %s: %s", f->relative, strerror(errno));
	if (close(fd_take(&f->fd)) != 0)
		return (write_failed(d, f, "write a file", err));
	if (renameat(d->t.target_fd, temporary_name(f, name, sizeof(name)), d->t.target_fd,
	    f->relative) != 0)
		return (err_errno(err, "finish a file", f->relative));
	if (f->etag[0] != '\0' &&
	    fstatat(d->t.target_fd, f->relative, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		key_of(&key, "whole", f->relative);
		journal_add(d->t.journal, &key, transfer_fingerprint(f->etag, &st));
	}
	return (0);
}

static void
set_version(struct file *f, const struct store_attr *attr)
{
	memcpy(f->etag, attr->etag, sizeof(f->etag));
	f->size = attr->size;
	f->mtime_unix_s = attr->mtime_unix_s;
	f->item.pieces = transfer_pieces(f->size, PIECE_BYTES);
	f->item.is_small = f->size <= SMALL_BYTES;
}

/* Without the headers and metadata, which are the caller's of store_stat(). */
static int
stat_blob(struct download *d, const char *blob, int exact, struct store_attr *ret,
    struct err *err)
{
	if (store_stat(d->t.store, blob, exact, ret, err) != 0)
		return (-1);
	free(ret->props);
	ret->props = NULL;
	return (0);
}

/* One that was replaced meanwhile is fetched anew, as it is now. */
static int
file_failed(void *arg, struct pool_item *item, struct err *err)
{
	struct download *d = arg;
	struct file *f = (struct file *)item;
	struct store_attr now;
	struct err why = ERR_EMPTY;

	mem_close_fd(&f->fd);
	if (err->kind == ERR_CHANGED && ++f->tries < TRIES &&
	    stat_blob(d, f->blob, 1, &now, &why) == 0 && !now.is_dir) {
		log_info("%s was replaced while it was fetched: once more", f->relative);
		transfer_count(&d->t, &d->t.bytes_found, now.size - f->size);
		set_version(f, &now);
		return (1);
	}
	transfer_keep_failure(&d->t, err);
	return (0);
}

static void
file_settled(void *arg, struct pool_item *item, const struct err *err)
{
	struct download *d = arg;

	if (err == NULL)
		transfer_count(&d->t, &d->t.stats.files_done, 1);
	free(item);
}

static const struct pool_ops file_ops = { file_open, file_piece, file_close, file_failed,
	file_settled };

/* ---- the listing ------------------------------------------------------- */

static struct file *
new_file(const char *blob, size_t len, const char *relative, const struct store_attr *attr)
{
	size_t n = strlen(relative) + 1;
	struct file *f = mem_zalloc(sizeof(*f) + n + len + 1);

	f->fd = -1;
	f->relative = (char *)(f + 1);
	f->blob = f->relative + n;
	memcpy(f->relative, relative, n);
	memcpy(f->blob, blob, len);
	set_version(f, attr);
	return (f);
}

/* Bytes on the disk that this file will not need again. */
static int64_t
has_already(const struct download *d, const struct file *f)
{
	char name[PATH_MAX];
	struct stat st;

	if (f->item.pieces == 1 || journal_known(d->t.journal) == 0 ||
	    fstatat(d->t.target_fd, temporary_name(f, name, sizeof(name)), &st,
	    AT_SYMLINK_NOFOLLOW) != 0 || st.st_size != f->size)
		return (0);
	return (st.st_blocks * 512 < f->size ? st.st_blocks * 512 : f->size);
}

/* Non-zero: no more is wanted. */
static int
found(struct download *d, struct file *f)
{
	struct journal_key key;

	if (journal_known(d->t.journal) != 0) {
		key_of(&key, "whole", f->relative);
		journal_map_put(&d->seen, &key, 1);
		if (is_whole(d, f)) {
			transfer_count(&d->t, &d->t.stats.files_kept, 1);
			free(f);
			return (0);
		}
	}
	transfer_found(&d->t, f->size);
	d->need_bytes += f->size - has_already(d, f);
	if (d->need_bytes > d->free_bytes && !d->is_short) {
		d->is_short = 1;	/* the rest is only counted, to say how much is missing */
		pool_stop(&d->t.pool);
	}
	if (pool_add(&d->t.pool, &f->item) != 0) {
		free(f);
		return (!d->is_short);
	}
	return (0);
}

static void
refuse_name(struct download *d, const char *blob, const char *why)
{
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;

	err_set(&err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "download", "%s", why);
	err_on(&err, "%s", plan_place(d->t.access, blob, &mem));
	arena_done(&mem);
	transfer_keep_failure(&d->t, &err);
}

static int
make_empty(struct download *d, const char *relative)
{
	auto_buf struct buf inside = BUF_EMPTY;
	struct err err = ERR_EMPTY;

	buf_printf(&inside, "%s/x", relative);
	if (fd_mkdir_parents_at(d->t.target_fd, inside.data, 0755, &err) == 0)
		return (0);
	transfer_keep_failure(&d->t, &err);
	return (1);
}

static int
list_one(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	struct download *d = arg;
	size_t skip = strlen(d->t.access->prefix);
	const char *relative = name;

	if (!d->any)
		store_set_timeout(d->t.store, 0);
	d->any = 1;
	if (!str_starts(name, d->t.access->prefix) ||
	    (skip != 0 && name[skip] != '/' && name[skip] != '\0')) {
		refuse_name(d, name, "the blob is not below what was asked for");
		return (1);
	}
	relative += skip;
	if (skip != 0 && *relative == '/')
		relative++;
	if (*relative == '\0')
		return (0);		/* the marker of the folder itself */
	if (!name_is_safe_path(relative)) {
		refuse_name(d, name, "the blob's name cannot be a file name");
		return (1);
	}
	if (attr->is_dir)
		return (make_empty(d, relative));
	return (found(d, new_file(name, len, relative, attr)));
}

static int
list_input(struct download *d, struct err *err)
{
	const struct plan_access *a = d->t.access;
	const char *slash = strrchr(a->prefix, '/');
	auto_buf struct buf prefix = BUF_EMPTY;
	struct store_attr attr;

	if (a->is_file) {
		if (stat_blob(d, a->prefix, 1, &attr, err) != 0)
			return (-1);
		found(d, new_file(a->prefix, strlen(a->prefix), a->file_name != NULL ?
		    a->file_name : slash == NULL ? a->prefix : slash + 1, &attr));
		return (0);
	}
	if (a->prefix[0] != '\0')
		buf_printf(&prefix, "%s/", a->prefix);
	if (a->only != NULL) {
		buf_adds(&prefix, a->only);
		if (stat_blob(d, buf_str(&prefix), 0, &attr, err) != 0)
			return (-1);
		if (!attr.is_dir) {
			found(d, new_file(prefix.data, prefix.len, a->only, &attr));
			return (0);
		}
		buf_addc(&prefix, '/');
	}
	if (store_list(d->t.store, buf_str(&prefix), 0, 0, list_one, d, err) != 0)
		return (-1);
	if (!d->any && a->prefix[0] != '\0')
		return (stat_blob(d, a->prefix, 0, &attr, err));
	return (0);
}

static void
tell_shortage(struct download *d)
{
	char need[24], avail[24], missing[24];
	struct err err = ERR_EMPTY;

	err_set(&err, ERR_SYSTEM, REMEDY_FREE_DISK, "download",
	    "%s are needed, %s may be used: %s are missing", str_bytes(d->need_bytes, need),
	    str_bytes(d->free_bytes > 0 ? d->free_bytes : 0, avail),
	    str_bytes(d->need_bytes - d->free_bytes, missing));
	err.sys_errno = ENOSPC;
	err_on(&err, "%s", d->t.access->target);
	transfer_keep_failure(&d->t, &err);
}

static void *
lister(void *arg)
{
	struct download *d = arg;
	struct err err = ERR_EMPTY;

	store_set_timeout(d->t.store, TRANSFER_FIRST_MS);
	if (list_input(d, &err) != 0) {
		err_doing(&err, "download");
		transfer_keep_failure(&d->t, &err);
	} else if (d->is_short) {
		tell_shortage(d);
	}
	store_set_timeout(d->t.store, 0);
	transfer_all_found(&d->t);
	pool_complete(&d->t.pool);
	return (NULL);
}

/* ---- what an earlier run left ------------------------------------------ */

static void	tidy(struct download *, int, const char *, int);

/* Temporary files, and files of ours that the store no longer has. */
static void
tidy_entry(struct download *d, int dir_fd, const char *name, const char *relative, int depth)
{
	struct journal_key key;
	struct stat st;
	uint64_t value;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			tidy(d, fd, relative, depth + 1);
		return;
	}
	key_of(&key, "whole", relative);
	if (!journal_map_get(&d->seen, &key, &value) &&
	    (str_starts(name, TEMPORARY) || journal_find(d->t.journal, &key, &value)))
		if (unlinkat(dir_fd, name, 0) == 0)
			log_info("removed %s, which an earlier run left", relative);
}

/* Takes fd. */
static void
tidy(struct download *d, int fd, const char *base, int depth)
{
	auto_buf struct buf relative = BUF_EMPTY;
	struct dirent *entry;
	DIR *dir = depth > DEPTH_MAX ? NULL : fdopendir(fd);

	if (dir == NULL) {
		mem_close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		buf_reset(&relative);
		buf_printf(&relative, "%s%s%s", base, base[0] != '\0' ? "/" : "", entry->d_name);
		tidy_entry(d, dirfd(dir), entry->d_name, relative.data, depth);
	}
	closedir(dir);
}

/* ---- the process ------------------------------------------------------- */

/* Some of the disk is left alone: a full one is the end of more than this job. */
static int64_t
usable_bytes(int fd, const struct plan_tuning *tuning)
{
	int64_t total, reserved = tuning->disk_free_bytes, avail = fd_disk_free(fd, &total);

	if (reserved < 0)		/* nobody said */
		reserved = total / RESERVE_PART < PLAN_DISK_RESERVE ? total / RESERVE_PART :
		    PLAN_DISK_RESERVE;
	return (avail - reserved);
}

static size_t
between(int64_t n, int64_t low, int64_t high)
{
	return ((size_t)(n < low ? low : n > high ? high : n));
}

/* --download-connections, Azure ML's RSLEX_DOWNLOADER_THREADS. */
static size_t
connections(const struct transfer_options *opt)
{
	int64_t said = opt->tuning->download_connections;

	return ((size_t)(said > 0 ? said : LANES));
}

static void
start(struct download *d)
{
	/* Three quarters of the memory for whole pieces, one for what is small. */
	int64_t part = d->t.opt->memory_bytes / 4, lanes = (int64_t)connections(d->t.opt);
	size_t wide = between(3 * part / PIECE_BYTES, lanes < WIDE_MIN ? lanes : WIDE_MIN,
	    lanes < WIDE_MAX || d->t.opt->tuning->download_connections > 0 ? lanes : WIDE_MAX);
	const struct pool_options pool = { .ops = &file_ops, .arg = d, .wide = wide,
	    .narrow = between(part / SMALL_BYTES, 0, lanes - (int64_t)wide),
	    .wide_bytes = (size_t)PIECE_BYTES, .narrow_bytes = (size_t)SMALL_BYTES };
	struct err err = ERR_EMPTY;
	pthread_t thread;

	if (pool_start(&d->t.pool, &pool, &err) != 0)
		transfer_fail(&d->t, &err);
	if ((errno = pthread_create(&thread, NULL, lister, d)) != 0) {
		err_errno(&err, "start a thread", "download");
		transfer_fail(&d->t, &err);
	}
	pthread_detach(thread);
}

void
transfer_download_main(const struct transfer_options *opt)
{
	static struct download d;
	struct err failure;
	int over;

	if (opt->access->url != NULL)
		transfer_url_main(opt);
	transfer_begin(&d.t, opt, connections(opt) + 1);
	transfer_open_journal(&d.t, "download");
	d.free_bytes = usable_bytes(d.t.target_fd, opt->tuning);
	start(&d);
	do {
		over = pool_wait(&d.t.pool, WAIT_MS);
		transfer_progress(&d.t);
		if (transfer_told_to_stop(&d.t, 0, NULL))
			_exit(0);
		pthread_mutex_lock(&d.t.lock);
		failure = d.t.failure;
		pthread_mutex_unlock(&d.t.lock);
		if (failure.kind != ERR_NONE)
			transfer_fail(&d.t, &failure);
	} while (!over);
	if (journal_known(d.t.journal) != 0) {
		log_info("%lld files were there from an earlier run",
		    (long long)d.t.stats.files_kept);
		if (!opt->access->is_file)	/* else the folder may be anybody's */
			tidy(&d, dup(d.t.target_fd), "", 0);
	}
	transfer_send(&d.t, WIRE_PROGRESS, NULL);
	transfer_send(&d.t, WIRE_READY, NULL);
	journal_close(d.t.journal, 0);	/* init removes it when the run has succeeded */
	_exit(0);
}
