#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uri.h"
#include "base/wire.h"
#include "mount/parts.h"
#include "mount/transfer_parts.h"

#define LANES		32		/* Put Blobs, or blocks of 8 MiB; from files: no memory */
#define WAIT_MS		100
#define NAMING_MS	3000		/* what is not sent in time is named; init waits longer */
#define DEPTH_MAX	128
#define SEGMENTS_MAX	254

struct file {
	struct pool_item item;
	char		*relative;	/* below the target; as allocated with the struct */
	char		*blob;
	int		 is_folder;	/* an empty one */
	int		 is_kept;	/* sent by an earlier run */
	int		 fd;
	struct stat	 found, st;	/* by the walk; as it was opened */
	struct parts	 parts;		/* of one that goes out in blocks */
	atomic_int	 at_once;	/* blocks of ours cannot be had: store_upload */
	char		 etag[HTTP_ETAG_MAX];	/* that it got */
};

struct upload {
	struct transfer	 t;
	struct journal_map remote;	/* ETags, hashed, when there is a journal */
};

/* ---- what does not go out ---------------------------------------------- */

static void
lost(struct upload *u, const char *relative, const struct err *why)
{
	struct err err = *why;
	char line[512];

	if (err.remedy != REMEDY_UPLOAD_BY_HAND)
		err_fold_remedy(&err);
	err_set(&err, ERR_OUTPUT, REMEDY_UPLOAD_BY_HAND, "upload", "%s",
	    err.cause[0] != '\0' ? err.cause : err_line(why, line, sizeof(line)));
	err.http_status = why->http_status;
	err.sys_errno = why->sys_errno;
	err_as(&err, why->identity[0] != '\0' ? why->identity : u->t.access->identity.label);
	err_on(&err, "%s/%s", u->t.access->target, relative);
	transfer_count(&u->t, &u->t.stats.files_failed, 1);
	transfer_send(&u->t, WIRE_LOST, &err);
}

static void
lost_errno(struct upload *u, const char *relative, const char *op)
{
	struct err err = ERR_EMPTY;

	err_errno(&err, op, relative);
	lost(u, relative, &err);
}

static void
lost_because(struct upload *u, const char *relative, const char *why)
{
	struct err err = ERR_EMPTY;

	err_set(&err, ERR_OUTPUT, REMEDY_UPLOAD_BY_HAND, "upload", "%s", why);
	lost(u, relative, &err);
}

/*
 * Why the service would not take the name (learn.microsoft.com/rest/api/storageservices,
 * naming and referencing containers, blobs, and metadata).
 */
static const char *
name_fault(const char *blob)
{
	size_t left = strlen(blob), characters = 0, segments = 1, n;
	const char *s;

	for (s = blob; left > 0; s += n, left -= n, characters++) {
		n = str_utf8_printable(s, left);
		if (n == 0)
			return ("a blob's name has no control characters, and is UTF-8");
		segments += *s == '/';
	}
	if (characters > STORE_NAME_MAX)
		return ("a blob's name has at most 1024 characters");
	if (segments > SEGMENTS_MAX)
		return ("a blob's name has at most 254 segments");
	return (NULL);
}

/* ---- what earlier runs did --------------------------------------------- */

static void
sent_key(struct journal_key *key, const struct file *f)
{
	journal_key(key, "sent\n%s", f->relative);
}

/* The same file untouched: the same blocks. */
static void
blocks_key(struct journal_key *key, const struct file *f)
{
	journal_key(key, "blocks\n%016llx\n%s", (unsigned long long)
	    transfer_fingerprint("", &f->st), f->relative);
}

static void
remote_key(struct journal_key *key, const char *blob)
{
	journal_key(key, "remote\n%s", blob);
}

static uint64_t
sent_value(uint64_t etag, const struct stat *st)
{
	char text[24];

	str_format(text, sizeof(text), "%016llx", (unsigned long long)etag);
	return (transfer_fingerprint(text, st));
}

/* The blob is still the one that this very file became. */
static int
is_sent(const struct upload *u, const struct file *f)
{
	struct journal_key key;
	uint64_t was, etag;

	sent_key(&key, f);
	if (!journal_find(u->t.journal, &key, &was))
		return (0);
	remote_key(&key, f->blob);
	return (journal_map_get(&u->remote, &key, &etag) && sent_value(etag, &f->st) == was);
}

static int
remember_remote(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	struct upload *u = arg;
	struct journal_key key;

	(void)len;
	remote_key(&key, name);
	journal_map_put(&u->remote, &key, hash_bytes(attr->etag, strlen(attr->etag)));
	return (0);
}

/* One listing tells what all files of earlier runs have become; without it all are sent. */
static void
look_at_remote(struct upload *u)
{
	auto_buf struct buf prefix = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	char line[512];

	if (journal_known(u->t.journal) == 0)
		return;
	if (u->t.access->prefix[0] != '\0')
		buf_printf(&prefix, "%s/", u->t.access->prefix);
	if (store_list(u->t.store, buf_str(&prefix), 0, 0, remember_remote, u, &err) == 0)
		return;
	journal_map_done(&u->remote);
	log_info("all files are uploaded again: %s", err_line(&err, line, sizeof(line)));
}

/* ---- one file ---------------------------------------------------------- */

static int
has_changed(const struct stat *a, const struct stat *b)
{
	return (a->st_ino != b->st_ino || a->st_size != b->st_size ||
	    a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec);
}

/* A process that outlived the job, perhaps: what went out may be a mixture. */
static int
check_still(const struct file *f, struct err *err)
{
	struct stat now;

	if (fstat(f->fd, &now) == 0 && !has_changed(&f->st, &now))
		return (0);
	return (err_set(err, ERR_CHANGED, REMEDY_UPLOAD_BY_HAND, "upload",
	    "it was written to while it was uploaded"));
}

static int
new_prefix(struct upload *u, struct file *f, uint64_t *ret, struct err *err)
{
	struct journal_key key;

	if (getrandom(ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
		return (err_errno(err, "upload", f->relative));
	blocks_key(&key, f);
	journal_add(u->t.journal, &key, *ret);
	return (0);
}

/* In blocks; some may be there. */
static int
open_parts(struct upload *u, struct file *f, int64_t block_size, struct err *err)
{
	struct err why = ERR_EMPTY;
	struct journal_key key;
	int again;

	f->item.pieces = transfer_pieces(f->st.st_size, block_size);
	f->parts = (struct parts){ .store = u->t.store, .name = f->blob, .fd = f->fd,
	    .size = f->st.st_size, .block_size = block_size };
	blocks_key(&key, f);
	again = journal_find(u->t.journal, &key, &f->parts.prefix);
	if (!again)
		return (new_prefix(u, f, &f->parts.prefix, err));
	f->item.there = mem_zalloc(f->item.pieces);
	if (parts_find(&f->parts, f->item.there, &why) != 0)
		log_debug("blocks of %s: %s", f->relative, why.cause);	/* all are sent again */
	return (0);
}

static int
file_open(void *arg, struct pool_item *item, struct pool_lane *lane, struct err *err)
{
	struct upload *u = arg;
	struct file *f = (struct file *)item;
	int64_t block_size;

	(void)lane;
	if (f->is_folder)
		return (0);
	f->fd = openat(u->t.target_fd, f->relative, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &f->st) != 0)
		return (err_errno(err, "upload", f->relative));
	if (f->st.st_ino != f->found.st_ino || f->st.st_dev != f->found.st_dev)
		return (err_set(err, ERR_CHANGED, REMEDY_UPLOAD_BY_HAND, "upload",
		    "another file has come in its place"));
	f->is_kept = is_sent(u, f);
	block_size = f->is_kept || f->at_once ? 0 :
	    parts_block_size(u->t.store, f->st.st_size);
	return (block_size == 0 ? 0 : open_parts(u, f, block_size, err));
}

static void
count_bytes(void *arg, int64_t bytes)
{
	struct upload *u = arg;

	transfer_count(&u->t, &u->t.stats.bytes_written, bytes);
}

static int
file_piece(void *arg, struct pool_item *item, size_t index, struct pool_lane *lane,
    struct err *err)
{
	struct upload *u = arg;
	struct file *f = (struct file *)item;
	int differs = 0;

	(void)lane;
	if (f->is_folder)
		return (store_mkdir(u->t.store, f->blob, err));
	if (f->is_kept)
		return (0);
	if (item->pieces == 1)
		return (store_upload(u->t.store, f->blob, f->fd, f->st.st_size, NULL, f->etag,
		    count_bytes, u, err));
	if (parts_put(&f->parts, index, &differs, err) != 0) {
		if (differs)
			f->at_once = 1;
		return (-1);
	}
	count_bytes(u, parts_len(&f->parts, index));
	return (0);
}

static int
file_close(void *arg, struct pool_item *item, struct err *err)
{
	struct upload *u = arg;
	struct file *f = (struct file *)item;
	struct journal_key key;
	int rc = 0;

	if (f->is_folder || f->is_kept)
		return (0);
	if (check_still(f, err) != 0)
		return (-1);
	if (item->pieces > 1)
		rc = parts_commit(&f->parts, f->etag, err);
	if (rc != 0) {
		f->at_once = rc == 1;	/* somebody else wrote the blob meanwhile */
		return (-1);
	}
	if (f->etag[0] != '\0') {
		sent_key(&key, f);
		journal_add(u->t.journal, &key,
		    sent_value(hash_bytes(f->etag, strlen(f->etag)), &f->st));
	}
	return (0);
}

/* Once more, and then whole: what an upload at once does about blocks of others is its matter. */
static int
file_failed(void *arg, struct pool_item *item, struct err *err)
{
	struct file *f = (struct file *)item;

	(void)arg;
	(void)err;
	if (!f->at_once || item->pieces == 1)
		return (0);
	mem_close_fd(&f->fd);
	item->pieces = 1;
	return (1);
}

static void
file_settled(void *arg, struct pool_item *item, const struct err *err)
{
	struct upload *u = arg;
	struct file *f = (struct file *)item;

	mem_close_fd(&f->fd);
	if (err != NULL)
		lost(u, f->relative, err);
	else if (!f->is_folder)
		transfer_count(&u->t, f->is_kept ? &u->t.stats.files_kept :
		    &u->t.stats.files_done, 1);
	free(f);
}

static const struct pool_ops file_ops = { file_open, file_piece, file_close, file_failed,
	file_settled };

/* ---- the walk ---------------------------------------------------------- */

static void	walk(struct upload *, int, const char *, int);

static int
path_of(int fd, char ret[PATH_MAX])
{
	char link[64];
	ssize_t n;

	str_format(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n <= 0)
		return (-1);
	ret[n] = '\0';
	return (0);
}

/*
 * A link to a regular file inside the target counts as that file.  Where it is and what it is
 * are asked of one descriptor: links change while who made them lives.
 */
static int
link_stays_inside(struct upload *u, int dir_fd, const char *name, struct stat *st)
{
	auto_close int fd = openat(dir_fd, name, O_PATH | O_CLOEXEC);
	char root[PATH_MAX], path[PATH_MAX];

	return (fd >= 0 && fstat(fd, st) == 0 && path_of(u->t.target_fd, root) == 0 &&
	    path_of(fd, path) == 0 && str_starts(path, root) && path[strlen(root)] == '/');
}

static void
add(struct upload *u, const char *relative, const struct stat *st, int is_folder)
{
	auto_free char *blob = transfer_blob(&u->t, relative);
	const char *fault = name_fault(blob);
	size_t n = strlen(relative) + 1, m = strlen(blob) + 1;
	struct file *f;

	if (fault != NULL) {
		lost_because(u, relative, fault);
		return;
	}
	f = mem_zalloc(sizeof(*f) + n + m);
	f->item.pieces = 1;
	f->relative = (char *)(f + 1);
	f->blob = f->relative + n;
	memcpy(f->relative, relative, n);
	memcpy(f->blob, blob, m);
	f->found = *st;
	f->is_folder = is_folder;
	f->fd = -1;
	if (!is_folder)
		transfer_found(&u->t, st->st_size);
	if (pool_add(&u->t.pool, &f->item) != 0) {
		lost_because(u, relative, "the flush timeout was over");
		free(f);
	}
}

/*
 * Data that the job put here by a link to elsewhere does not get out, and that is a failure.
 * What holds no data of its own (pipes, sockets, devices, links to nothing, links to
 * folders that are here anyway) is left out with a warning.
 */
static void
add_special(struct upload *u, int dir_fd, const char *name, const char *relative,
    const struct stat *st)
{
	struct stat to;

	if (!S_ISLNK(st->st_mode) || fstatat(dir_fd, name, &to, 0) != 0)
		log_warning("%s/%s is not uploaded: %s", u->t.access->target, relative,
		    S_ISLNK(st->st_mode) ? "a link to nothing" : "it is no regular file");
	else if (!link_stays_inside(u, dir_fd, name, &to))
		lost_because(u, relative, "it is a link to what is not in this output");
	else if (S_ISREG(to.st_mode))
		add(u, relative, &to, 0);
	else
		log_warning("%s/%s is not uploaded: a link to no regular file",
		    u->t.access->target, relative);
}

static void
walk_entry(struct upload *u, int dir_fd, const char *name, const char *relative, int depth)
{
	struct stat st;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		lost_errno(u, relative, "upload");
	} else if (S_ISDIR(st.st_mode)) {
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			lost_errno(u, relative, "read a directory");
		else
			walk(u, fd, relative, depth + 1);
	} else if (S_ISREG(st.st_mode)) {
		add(u, relative, &st, 0);
	} else
		add_special(u, dir_fd, name, relative, &st);
}

/* An empty folder is made over there as well, as a mount does it. */
static void
add_if_empty(struct upload *u, int fd, const char *base, int entries)
{
	struct stat st;

	if (entries == 0 && base[0] != '\0' && fstat(fd, &st) == 0)
		add(u, base, &st, 1);
}

/* Takes fd. */
static void
walk(struct upload *u, int fd, const char *base, int depth)
{
	auto_buf struct buf relative = BUF_EMPTY;
	struct dirent *entry;
	int entries = 0;
	DIR *dir;

	if (depth > DEPTH_MAX || (dir = fdopendir(fd)) == NULL) {
		errno = depth > DEPTH_MAX ? ELOOP : errno;
		lost_errno(u, base, "read a directory");
		close(fd);
		return;
	}
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		entries++;
		buf_reset(&relative);
		buf_printf(&relative, "%s%s%s", base, base[0] != '\0' ? "/" : "", entry->d_name);
		walk_entry(u, dirfd(dir), entry->d_name, relative.data, depth);
	}
	if (errno != 0)
		lost_errno(u, base, "read a directory");
	else
		add_if_empty(u, dirfd(dir), base, entries);
	closedir(dir);
}

static void *
walker(void *arg)
{
	struct upload *u = arg;

	look_at_remote(u);
	walk(u, dup(u->t.target_fd), "", 0);
	transfer_all_found(&u->t);
	pool_complete(&u->t.pool);
	return (NULL);
}

/* ---- the process ------------------------------------------------------- */

static void
start(struct upload *u)
{
	const struct pool_options pool = { .ops = &file_ops, .arg = u, .wide = LANES };
	struct err err = ERR_EMPTY;
	pthread_attr_t attr;
	pthread_t thread;

	if (pool_start(&u->t.pool, &pool, &err) != 0)
		transfer_fail(&u->t, &err);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)1 << 20);	/* it recurses with the tree */
	if ((errno = pthread_create(&thread, &attr, walker, u)) != 0) {
		err_errno(&err, "start a thread", "upload");
		transfer_fail(&u->t, &err);
	}
	pthread_attr_destroy(&attr);
	pthread_detach(thread);
}

static int
is_late(const struct upload *u)
{
	return (u->t.deadline_ms != 0 && clock_ms() >= u->t.deadline_ms);
}

/* Uploads that are still under way end with the process. */
static void
lose_the_rest(struct upload *u)
{
	struct pool_item *item;

	pool_stop(&u->t.pool);
	pool_wait_added(&u->t.pool, NAMING_MS);
	while ((item = pool_take_left(&u->t.pool)) != NULL)
		lost_because(u, ((struct file *)item)->relative, "the flush timeout was over");
}

void
transfer_upload_main(const struct transfer_options *opt)
{
	static struct upload u;
	struct err err = ERR_EMPTY;
	int64_t flush_ms = 0;
	int over = 0;

	transfer_begin(&u.t, opt, LANES + 1);
	if (store_probe(u.t.store, opt->access->prefix, &err) != 0 &&
	    err.kind != ERR_NOT_FOUND) {
		err_doing(&err, "reach the output");
		transfer_fail(&u.t, &err);
	}
	transfer_send(&u.t, WIRE_READY, NULL);
	while (!transfer_told_to_stop(&u.t, -1, &flush_ms))
		;
	u.t.deadline_ms = flush_ms < 0 ? 0 : clock_ms() + flush_ms;
	transfer_open_journal(&u.t, "upload");
	start(&u);
	while (!(over = pool_wait(&u.t.pool, WAIT_MS)) && !is_late(&u))
		transfer_progress(&u.t);
	lose_the_rest(&u);
	if (over)
		journal_close(u.t.journal, u.t.stats.files_failed == 0);
	transfer_send(&u.t, WIRE_DONE, NULL);
	_exit(0);
}
