#include "mount/transfer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "azure/cred.h"
#include "azure/http.h"
#include "azure/store.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uri.h"
#include "base/wire.h"
#include "mount/name.h"

#define RANGE_BYTES	(4 << 20)
#define THREADS_MIN	2
#define THREADS_MAX	32
#define UPLOADERS	4
#define PROGRESS_MS	1000
#define DEPTH_MAX	128
#define FIRST_TIMEOUT_MS (30 * 1000)	/* of a page of the listing: init waits for it */

struct file {
	struct file	*next;
	const char	*relative;	/* below the target */
	const char	*blob;		/* full name */
	struct store_attr attr;
	int		 fd;		/* -1: not open */
	int64_t		 asked;		/* bytes handed to threads */
	int64_t		 arrived;
	int		 settled;	/* uploaded, or told to be lost */
};

struct transfer {
	const struct transfer_options *opt;
	const struct plan_access *access;
	struct cred	*cred;
	struct http	*http;
	struct store	*store;
	int		 target_fd;
	struct arena	 mem;
	/* Guards all below. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;	/* a thread ended */
	struct file	*files, **files_end;
	struct file	*current;	/* the next to hand out */
	size_t		 running;	/* threads */
	int		 stopping;
	int64_t		 deadline_ms;	/* of the upload; 0: none */
	struct err	 failure;	/* the first; kind NONE: none */
	struct wire_stats stats;
};

static void
send_msg(struct transfer *t, enum wire_type type, const struct err *err)
{
	struct wire_msg msg = { .type = type };
	struct http_counts counts;

	pthread_mutex_lock(&t->lock);
	if (t->http != NULL) {
		http_counts(t->http, &counts);
		t->stats.requests = counts.requests;
		t->stats.retries = counts.retries;
	}
	msg.stats = t->stats;
	pthread_mutex_unlock(&t->lock);
	if (err != NULL)
		msg.err = *err;
	if (wire_send(t->opt->init_fd, &msg, sizeof(msg)) != 0)
		_exit(0);		/* init is gone, and the job with it */
}

static void __attribute__((noreturn))
fail(struct transfer *t, const struct err *err)
{
	struct err full = *err;

	err_as(&full, t->access->identity.label);
	send_msg(t, WIRE_FAILED, &full);
	_exit(err_exit_status(err));
}

static void
keep_failure(struct transfer *t, const struct err *err)
{
	pthread_mutex_lock(&t->lock);
	if (t->failure.kind == ERR_NONE)
		t->failure = *err;
	t->stopping = 1;
	pthread_mutex_unlock(&t->lock);
}

static void
begin(struct transfer *t, const struct transfer_options *opt)
{
	const struct plan_access *access = opt->access;
	struct store_options store = { .kind = access->store, .base_url = access->base_url,
	    .account = access->account, .container = access->container, .hns = access->hns,
	    .onelake = access->store == SPEC_ONELAKE, .datastore = access->datastore,
	    .identity = access->identity.label, .is_output = access->is_output };
	struct http_options http = { .max_connections = THREADS_MAX + UPLOADERS };
	pthread_condattr_t attr;
	struct err err = ERR_EMPTY;

	*t = (struct transfer){ .opt = opt, .access = access, .target_fd = -1 };
	t->files_end = &t->files;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	t->http = http_new(&http, &err);
	if (t->http != NULL)
		t->cred = cred_new(opt->agent_fd, &err);
	store.cred = t->cred;
	store.http = t->http;
	if (t->cred != NULL)
		t->store = store_new(&store, &err);
	if (t->store == NULL)
		fail(t, &err);
	if (fd_mkdir_p(access->target, 0755, &err) != 0)
		fail(t, &err);
	t->target_fd = open(access->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->target_fd < 0) {
		err_errno(&err, "open the target directory", access->target);
		fail(t, &err);
	}
}

static void
add_file(struct transfer *t, const char *relative, const char *blob,
    const struct store_attr *attr)
{
	struct file *f = arena_alloc(&t->mem, sizeof(*f));

	f->relative = relative;
	f->blob = blob;
	f->attr = *attr;
	f->fd = -1;
	*t->files_end = f;
	t->files_end = &f->next;
	t->stats.files_total++;
	t->stats.bytes_total += attr->size;
}

/* 1: init wants us to end (or is gone). */
static int
told_to_stop(struct transfer *t, int wait_ms, int64_t *ret_value)
{
	struct wire_msg msg;
	struct pollfd p = { .fd = t->opt->init_fd, .events = POLLIN };

	if (poll(&p, 1, wait_ms) <= 0)
		return (0);
	if (wire_recv(t->opt->init_fd, &msg, sizeof(msg), 0) != 1)
		_exit(0);
	if (ret_value != NULL)
		*ret_value = msg.value;
	return (msg.type == WIRE_STOP);
}

/* --- download ----------------------------------------------------------------------- */

static int
list_one(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	struct transfer *t = arg;
	size_t skip = strlen(t->access->prefix);
	const char *blob = arena_strndup(&t->mem, name, len), *relative = blob + skip;
	struct err err = ERR_EMPTY;

	if (skip != 0 && *relative == '/')
		relative++;
	if (*relative == '\0')
		return (0);		/* the marker of the folder itself */
	if (!name_is_safe_path(relative)) {
		err_set(&err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "download",
		    "the blob's name cannot be a file name");
		err_on(&err, "%s", plan_place(t->access, blob, &t->mem));
		keep_failure(t, &err);
		return (1);
	}
	if (attr->is_dir) {
		if (fd_mkdir_parents_at(t->target_fd, arena_printf(&t->mem, "%s/x", relative), 0755,
		    &err) != 0) {
			keep_failure(t, &err);
			return (1);
		}
		return (0);
	}
	add_file(t, relative, blob, attr);
	return (0);
}

static int
list_input(struct transfer *t, struct err *err)
{
	const struct plan_access *access = t->access;
	const char *slash = strrchr(access->prefix, '/');
	struct store_attr attr;

	if (access->is_file) {
		if (store_stat(t->store, access->prefix, 1, &attr, err) != 0)
			return (-1);
		add_file(t, slash == NULL ? access->prefix : slash + 1, access->prefix, &attr);
		return (0);
	}
	if (store_list(t->store, access->prefix[0] == '\0' ? "" :
	    arena_printf(&t->mem, "%s/", access->prefix), 0, 0, list_one, t, err) != 0)
		return (-1);
	if (t->failure.kind != ERR_NONE) {
		*err = t->failure;
		return (-1);
	}
	if (t->files == NULL && store_stat(t->store, access->prefix, 0, &attr, err) != 0)
		return (access->prefix[0] == '\0' ? 0 : -1);
	return (0);
}

static const char *
temporary_name(const struct file *f, char *buf, size_t size)
{
	const char *slash = strrchr(f->relative, '/');
	int dir = slash == NULL ? 0 : (int)(slash - f->relative) + 1;

	str_format(buf, size, "%.*s.amlshim-%016llx", dir, f->relative,
	    (unsigned long long)hash_bytes(f->relative, strlen(f->relative)));
	return (buf);
}

static int
open_file(struct transfer *t, struct file *f, struct err *err)
{
	char name[PATH_MAX];

	if (fd_mkdir_parents_at(t->target_fd, f->relative, 0755, err) != 0)
		return (-1);
	f->fd = openat(t->target_fd, temporary_name(f, name, sizeof(name)),
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (f->fd < 0 || (f->attr.size > 0 && ftruncate(f->fd, f->attr.size) != 0)) {
		err_errno(err, "create a file", f->relative);
		if (err->sys_errno == ENOSPC)
			err->remedy = REMEDY_FREE_DISK;
		return (-1);
	}
	return (0);
}

/* All bytes are there: the file appears under its name. */
static int
finish_file(struct transfer *t, struct file *f, struct err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = (time_t)f->attr.mtime_unix_s } };
	char name[PATH_MAX];
	int fd = fd_take(&f->fd);

	if (f->attr.mtime_unix_s != 0 && futimens(fd, times) != 0)
		log_debug("time of %s: %s", f->relative, strerror(errno));
	if (close(fd) != 0 ||
	    renameat(t->target_fd, temporary_name(f, name, sizeof(name)), t->target_fd,
	    f->relative) != 0)
		return (err_errno(err, "finish a file", f->relative));
	pthread_mutex_lock(&t->lock);
	t->stats.files_done++;
	pthread_mutex_unlock(&t->lock);
	return (0);
}

/* The next range to fetch; 0: nothing left.  Opens the file on its first range. */
static int
next_range(struct transfer *t, struct file **ret_file, int64_t *ret_offset, size_t *ret_len)
{
	struct err err = ERR_EMPTY;
	struct file *f;
	int got = 0;

	pthread_mutex_lock(&t->lock);
	while (!t->stopping && (f = t->current) != NULL) {
		if (f->asked == 0 && open_file(t, f, &err) != 0) {
			t->failure = err;
			t->stopping = 1;
			break;
		}
		*ret_file = f;
		*ret_offset = f->asked;
		*ret_len = (size_t)(f->attr.size - f->asked < RANGE_BYTES ?
		    f->attr.size - f->asked : RANGE_BYTES);
		f->asked += (int64_t)*ret_len;
		if (f->asked == f->attr.size)
			t->current = f->next;
		got = 1;
		break;
	}
	pthread_mutex_unlock(&t->lock);
	return (got);
}

static int
fetch_range(struct transfer *t, struct file *f, int64_t offset, size_t len, void *buf,
    struct err *err)
{
	size_t got = 0;
	int whole;

	if (len != 0 && store_read(t->store, f->blob, f->attr.etag, offset, buf, len, &got, NULL,
	    err) != 0)
		return (-1);
	if (got != len) {
		err_set(err, ERR_CHANGED, REMEDY_KEEP_INPUT_STILL, "download",
		    "%zu of %zu bytes at offset %lld", got, len, (long long)offset);
		return (err_on(err, "%s", f->blob));
	}
	if (fd_pwrite_all(f->fd, buf, len, (off_t)offset) != 0) {
		err_errno(err, "write a file", f->relative);
		if (err->sys_errno == ENOSPC)
			err->remedy = REMEDY_FREE_DISK;
		return (-1);
	}
	pthread_mutex_lock(&t->lock);
	f->arrived += (int64_t)len;
	t->stats.bytes_read += (int64_t)len;
	whole = f->arrived == f->attr.size;
	pthread_mutex_unlock(&t->lock);
	return (whole ? finish_file(t, f, err) : 0);
}

static void
thread_ends(struct transfer *t)
{
	pthread_mutex_lock(&t->lock);
	t->running--;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void *
downloader(void *arg)
{
	struct transfer *t = arg;
	void *buf = mem_alloc(RANGE_BYTES);
	struct err err = ERR_EMPTY;
	struct file *f;
	int64_t offset;
	size_t len;

	while (next_range(t, &f, &offset, &len))
		if (fetch_range(t, f, offset, len, buf, &err) != 0) {
			keep_failure(t, &err);
			break;
		}
	free(buf);
	thread_ends(t);
	return (NULL);
}

static void
start_threads(struct transfer *t, size_t n, void *(*body)(void *))
{
	struct err err = ERR_EMPTY;
	pthread_t thread;
	size_t i;

	t->running = n;
	for (i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, body, t) != 0) {
			err_errno(&err, "start a thread", "transfer");
			fail(t, &err);
		} else {
			pthread_detach(thread);
		}
}

/* Tell init how far we are until all threads ended, or the time is over. */
static void
wait_for_threads(struct transfer *t, int heed_stop)
{
	struct timespec at;
	size_t running;

	do {
		pthread_mutex_lock(&t->lock);
		clock_gettime(CLOCK_MONOTONIC, &at);
		at.tv_sec += PROGRESS_MS / 1000;
		if (t->running != 0)
			pthread_cond_timedwait(&t->changed, &t->lock, &at);
		running = t->running;
		pthread_mutex_unlock(&t->lock);
		if (running != 0)
			send_msg(t, WIRE_PROGRESS, NULL);
		if (heed_stop && told_to_stop(t, 0, NULL))
			_exit(0);
	} while (running != 0 && (t->deadline_ms == 0 || clock_ms() < t->deadline_ms));
}

static size_t
thread_count(const struct transfer *t)
{
	int64_t n = t->opt->memory_bytes / RANGE_BYTES;

	return ((size_t)(n < THREADS_MIN ? THREADS_MIN : n > THREADS_MAX ? THREADS_MAX : n));
}

void
transfer_download_main(const struct transfer_options *opt)
{
	static struct transfer t;
	struct err err = ERR_EMPTY;

	begin(&t, opt);
	store_set_timeout(t.store, FIRST_TIMEOUT_MS);
	if (list_input(&t, &err) != 0) {
		err_doing(&err, "download");
		fail(&t, &err);
	}
	store_set_timeout(t.store, 0);
	t.current = t.files;
	start_threads(&t, thread_count(&t), downloader);
	wait_for_threads(&t, 1);
	if (t.failure.kind != ERR_NONE)
		fail(&t, &t.failure);
	send_msg(&t, WIRE_PROGRESS, NULL);
	send_msg(&t, WIRE_READY, NULL);
	_exit(0);
}

/* --- upload -------------------------------------------------------------------------- */

static void
lost(struct transfer *t, const char *relative, const struct err *why)
{
	struct err err = *why;
	char line[512];

	if (err.remedy != REMEDY_UPLOAD_BY_HAND)
		err_fold_remedy(&err);
	err_set(&err, ERR_OUTPUT, REMEDY_UPLOAD_BY_HAND, "upload", "%s",
	    err.cause[0] != '\0' ? err.cause : err_line(why, line, sizeof(line)));
	err.http_status = why->http_status;
	err.sys_errno = why->sys_errno;
	err_as(&err, why->identity[0] != '\0' ? why->identity : t->access->identity.label);
	err_on(&err, "%s/%s", t->access->target, relative);
	pthread_mutex_lock(&t->lock);
	t->stats.files_failed++;
	pthread_mutex_unlock(&t->lock);
	send_msg(t, WIRE_LOST, &err);
}

static void
lost_errno(struct transfer *t, const char *relative, const char *op)
{
	struct err err = ERR_EMPTY;

	err_errno(&err, op, relative);
	lost(t, relative, &err);
}

static void	collect(struct transfer *, int, const char *, int);

/* A link to a regular file inside the target counts as that file. */
static int
link_stays_inside(struct transfer *t, int dir_fd, const char *name, struct stat *st)
{
	char link[PATH_MAX], path[PATH_MAX], root[PATH_MAX], resolved[PATH_MAX];
	ssize_t n;

	str_format(link, sizeof(link), "/proc/self/fd/%d/%s", dir_fd, name);
	str_format(path, sizeof(path), "/proc/self/fd/%d", t->target_fd);
	n = readlink(path, root, sizeof(root) - 1);
	if (n <= 0 || realpath(link, resolved) == NULL || fstatat(dir_fd, name, st, 0) != 0)
		return (0);
	root[n] = '\0';
	return (str_starts(resolved, root) && resolved[n] == '/' && S_ISREG(st->st_mode));
}

static void
collect_entry(struct transfer *t, int dir_fd, const char *name, const char *relative, int depth)
{
	struct err err = ERR_EMPTY;
	struct store_attr attr = { .size = 0 };
	struct stat st;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		lost_errno(t, relative, "upload");
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			lost_errno(t, relative, "read a directory");
		else
			collect(t, fd, relative, depth + 1);
		return;
	}
	if (!S_ISREG(st.st_mode) &&
	    !(S_ISLNK(st.st_mode) && link_stays_inside(t, dir_fd, name, &st))) {
		err_set(&err, ERR_OUTPUT, REMEDY_UPLOAD_BY_HAND, "upload",
		    "it is no regular file, nor a link to one in the same output");
		lost(t, relative, &err);
		return;
	}
	attr.size = st.st_size;
	add_file(t, relative, t->access->prefix[0] == '\0' ? relative :
	    arena_printf(&t->mem, "%s/%s", t->access->prefix, relative), &attr);
}

/* Takes fd. */
static void
collect(struct transfer *t, int fd, const char *base, int depth)
{
	struct dirent *entry;
	const char *relative;
	DIR *dir;

	if (depth > DEPTH_MAX || (dir = fdopendir(fd)) == NULL) {
		errno = depth > DEPTH_MAX ? ELOOP : errno;
		lost_errno(t, base, "read a directory");
		close(fd);
		return;
	}
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		relative = base[0] == '\0' ? arena_strdup(&t->mem, entry->d_name) :
		    arena_printf(&t->mem, "%s/%s", base, entry->d_name);
		collect_entry(t, dirfd(dir), entry->d_name, relative, depth);
	}
	if (errno != 0)
		lost_errno(t, base, "read a directory");
	closedir(dir);
}

static void
collect_output(struct transfer *t)
{
	const struct plan_access *access = t->access;
	const char *slash = strrchr(access->prefix, '/');
	const char *name = slash == NULL ? access->prefix : slash + 1;
	struct store_attr attr = { .size = 0 };
	struct stat st;

	if (!access->is_file) {
		collect(t, dup(t->target_fd), "", 0);
		return;
	}
	if (fstatat(t->target_fd, name, &st, 0) != 0) {
		lost_errno(t, name, "upload");
		return;
	}
	attr.size = st.st_size;
	add_file(t, name, access->prefix, &attr);
}

static void
count_bytes(void *arg, int64_t bytes)
{
	struct transfer *t = arg;

	pthread_mutex_lock(&t->lock);
	t->stats.bytes_written += bytes;
	pthread_mutex_unlock(&t->lock);
}

/* 1: nobody has said what became of this file; it is the caller's to say. */
static int
settle(struct transfer *t, struct file *f)
{
	int first;

	pthread_mutex_lock(&t->lock);
	first = !f->settled;
	f->settled = 1;
	pthread_mutex_unlock(&t->lock);
	return (first);
}

static void
upload_one(struct transfer *t, struct file *f)
{
	auto_close int fd = openat(t->target_fd, f->relative, O_RDONLY | O_CLOEXEC);
	struct err err = ERR_EMPTY;

	if (t->deadline_ms != 0 && clock_ms() >= t->deadline_ms)
		return;
	if (fd < 0) {
		err_errno(&err, "upload", f->relative);
	} else if (store_upload(t->store, f->blob, fd, f->attr.size, NULL, NULL, count_bytes, t,
	    &err) == 0) {
		if (settle(t, f)) {
			pthread_mutex_lock(&t->lock);
			t->stats.files_done++;
			pthread_mutex_unlock(&t->lock);
		}
		return;
	}
	if (settle(t, f))
		lost(t, f->relative, &err);
}

static void *
uploader(void *arg)
{
	struct transfer *t = arg;
	struct file *f;

	for (;;) {
		pthread_mutex_lock(&t->lock);
		f = t->current;
		if (f != NULL)
			t->current = f->next;
		pthread_mutex_unlock(&t->lock);
		if (f == NULL)
			break;
		upload_one(t, f);
	}
	thread_ends(t);
	return (NULL);
}

/* Uploads that are still under way end with the process. */
static void
lose_the_rest(struct transfer *t)
{
	struct err err = ERR_EMPTY;
	struct file *f;

	err_set(&err, ERR_OUTPUT, REMEDY_UPLOAD_BY_HAND, "upload", "the flush timeout was over");
	for (f = t->files; f != NULL; f = f->next)
		if (settle(t, f))
			lost(t, f->relative, &err);
}

void
transfer_upload_main(const struct transfer_options *opt)
{
	static struct transfer t;
	struct err err = ERR_EMPTY;
	int64_t flush_ms = 0;

	begin(&t, opt);
	if (store_probe(t.store, opt->access->prefix, &err) != 0 &&
	    err.kind != ERR_NOT_FOUND) {
		err_doing(&err, "reach the output");
		fail(&t, &err);
	}
	send_msg(&t, WIRE_READY, NULL);
	while (!told_to_stop(&t, -1, &flush_ms))
		;
	t.deadline_ms = flush_ms < 0 ? 0 : clock_ms() + flush_ms;
	collect_output(&t);
	t.current = t.files;
	start_threads(&t, UPLOADERS, uploader);
	wait_for_threads(&t, 0);
	lose_the_rest(&t);
	send_msg(&t, WIRE_DONE, NULL);
	_exit(0);
}
