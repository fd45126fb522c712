#include "init/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bearssl.h>

#include "base/fd.h"
#include "init/ignore.h"
#include "init/manifest.h"

#define TEXT_MAX	(64u << 20)	/* of a manifest */
#define DEPTH_MAX	64
#define CHUNK		(256 * 1024)

struct walk {
	const char	*dir;
	struct arena	*mem;
	const struct ignore *ignore;	/* NULL: nothing */
	int		(*stop)(void);
	/* sum NULL: neither a file nor a link.  -1: *err says why. */
	int		(*entry)(struct walk *, const char *path, int is_link,
			    const unsigned char *sum, struct err *);
	unsigned char	*chunk;
	size_t		 n;
	/* Of the writer. */
	struct manifest_entry *list;
	size_t		 cap;
	/* Of the verifier. */
	struct manifest	*manifest;
	unsigned char	 own_sum[MANIFEST_SUM];		/* of the manifest's text */
	struct snapshot_report *report;
};

static int
fail(struct walk *w, const char *path, struct err *err)
{
	char where[320];

	str_format(where, sizeof(where), "%s/%s", w->dir, path);
	return (err_errno(err, "read the code", where));
}

static void
sum_bytes(const void *data, size_t len, unsigned char sum[MANIFEST_SUM])
{
	br_sha256_context h;

	br_sha256_init(&h);
	br_sha256_update(&h, data, len);
	br_sha256_out(&h, sum);
}

static int
sum_file(struct walk *w, int fd, const char *path, unsigned char sum[MANIFEST_SUM],
    struct err *err)
{
	br_sha256_context h;
	off_t at = 0;
	ssize_t n;

	br_sha256_init(&h);
	while ((n = fd_pread_full(fd, w->chunk, CHUNK, at)) > 0) {
		br_sha256_update(&h, w->chunk, (size_t)n);
		at += n;
		if (w->stop != NULL && w->stop())
			return (err_set(err, ERR_SYSTEM, REMEDY_NONE, "read the code",
			    "stopped by a signal"));
	}
	br_sha256_out(&h, sum);
	return (n < 0 ? fail(w, path, err) : 0);
}

/* --- one entry of a directory ------------------------------------------------------- */

static int
take_link(struct walk *w, int dirfd, const char *name, const char *path, struct err *err)
{
	unsigned char sum[MANIFEST_SUM];
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0)
		return (fail(w, path, err));
	sum_bytes(target, (size_t)n, sum);
	return (w->entry(w, path, 1, sum, err));
}

static int
take_file(struct walk *w, int dirfd, const char *name, const char *path, struct err *err)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	unsigned char sum[MANIFEST_SUM];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return (fail(w, path, err));
	if (!S_ISREG(st.st_mode))	/* it was one a moment ago */
		return (w->entry(w, path, 0, NULL, err));
	if (sum_file(w, fd, path, sum, err) != 0)
		return (-1);
	return (w->entry(w, path, 0, sum, err));
}

static int	walk_directory(struct walk *, int fd, const char *prefix, int depth,
		    struct err *);

static int
take_directory(struct walk *w, int dirfd, const char *name, const char *path, int depth,
    struct err *err)
{
	int fd;

	if (depth == DEPTH_MAX) {
		errno = ENAMETOOLONG;
		return (fail(w, path, err));
	}
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return (fail(w, path, err));
	return (walk_directory(w, fd, arena_printf(w->mem, "%s/", path), depth + 1, err));
}

static int
take(struct walk *w, int dirfd, const char *name, const char *prefix, int depth, struct err *err)
{
	const char *path = arena_printf(w->mem, "%s%s", prefix, name);
	struct stat st;

	if (strlen(path) > MANIFEST_PATH_MAX) {
		errno = ENAMETOOLONG;
		return (fail(w, path, err));
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return (fail(w, path, err));
	if (w->ignore != NULL && ignore_matches(w->ignore, path, S_ISDIR(st.st_mode)))
		return (0);
	if (S_ISDIR(st.st_mode))
		return (take_directory(w, dirfd, name, path, depth, err));
	if (++w->n > MANIFEST_FILES_MAX) {
		err_set(err, ERR_USAGE, REMEDY_NONE, "read the code", "more than %d files",
		    MANIFEST_FILES_MAX);
		return (err_on(err, "%s", w->dir));
	}
	if (S_ISLNK(st.st_mode))
		return (take_link(w, dirfd, name, path, err));
	if (S_ISREG(st.st_mode))
		return (take_file(w, dirfd, name, path, err));
	return (w->entry(w, path, 0, NULL, err));
}

/* Takes fd. */
static int
walk_directory(struct walk *w, int fd, const char *prefix, int depth, struct err *err)
{
	const struct dirent *entry;
	int failed = 0;
	DIR *d = fdopendir(fd);

	if (d == NULL) {
		fail(w, prefix, err);
		close(fd);
		return (-1);
	}
	while (failed == 0) {
		errno = 0;
		entry = readdir(d);
		if (entry == NULL) {
			failed = errno == 0 ? 0 : fail(w, prefix, err);
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = take(w, dirfd(d), entry->d_name, prefix, depth, err);
	}
	closedir(d);
	return (failed);
}

static int
walk(struct walk *w, struct err *err)
{
	int fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;

	if (fd < 0)
		return (err_errno(err, "read the code", w->dir));
	w->chunk = mem_alloc(CHUNK);
	failed = walk_directory(w, fd, "", 0, err);
	free(w->chunk);
	return (failed);
}

/* --- writing ------------------------------------------------------------------------- */

static int
note_entry(struct walk *w, const char *path, int is_link, const unsigned char *sum,
    struct err *err)
{
	struct manifest_entry *e;
	size_t n = w->manifest->n;

	if (strcmp(path, SNAPSHOT_NAME) == 0)
		return (0);
	if (sum == NULL) {
		err_set(err, ERR_USAGE, REMEDY_NONE, "take a snapshot of the code",
		    "neither a file nor a directory nor a link");
		return (err_on(err, "%s/%s", w->dir, path));
	}
	if (n == w->cap) {
		w->cap = w->cap == 0 ? 256 : 2 * w->cap;
		w->list = mem_grow(w->list, w->cap * sizeof(*w->list));
	}
	e = &w->list[n];
	*e = (struct manifest_entry){ .path = path, .is_link = is_link };
	memcpy(e->sum, sum, MANIFEST_SUM);
	w->manifest->n = n + 1;
	return (0);
}

int
snapshot_write(const char *dir, struct buf *ret, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct ignore ignore;
	struct manifest m = { NULL, 0 };
	struct walk w = { .dir = dir, .mem = &mem, .ignore = &ignore, .entry = note_entry,
	    .manifest = &m };
	int failed = ignore_load(&ignore, dir, &mem, err);
	size_t i;

	if (failed == 0)
		failed = walk(&w, err);
	if (failed == 0) {
		manifest_sort(w.list, m.n);
		buf_reset(ret);
		buf_adds(ret, MANIFEST_HEADER "\n");
		for (i = 0; i < m.n; i++)
			manifest_add_line(ret, &w.list[i]);
	}
	free(w.list);
	arena_done(&mem);
	return (failed);
}

/* --- checking ------------------------------------------------------------------------ */

const char *
snapshot_fault_name(enum snapshot_fault fault)
{
	static const char *const names[SNAPSHOT_FAULTS] = {
		[SNAPSHOT_CHANGED] = "changed",
		[SNAPSHOT_MISSING] = "missing",
		[SNAPSHOT_EXTRA] = "extra",
	};

	return (names[fault]);
}

static void
report(struct walk *w, enum snapshot_fault fault, const char *path)
{
	struct snapshot_report *r = w->report;

	r->counts[fault]++;
	if (r->nnamed == SNAPSHOT_NAMED_MAX)
		return;
	r->named[r->nnamed].fault = fault;
	r->named[r->nnamed].path = path;
	r->nnamed++;
}

static int
check_entry(struct walk *w, const char *path, int is_link, const unsigned char *sum,
    struct err *err)
{
	struct manifest_entry *e = manifest_find(w->manifest, path);

	(void)err;
	if (e == NULL) {
		/* A copy of the manifest in its usual place is no part of the code. */
		if (strcmp(path, SNAPSHOT_NAME) == 0 && sum != NULL && !is_link &&
		    memcmp(sum, w->own_sum, MANIFEST_SUM) == 0)
			return (0);
		report(w, SNAPSHOT_EXTRA, path);
		return (0);
	}
	e->seen = 1;
	if (sum == NULL || e->is_link != is_link || memcmp(sum, e->sum, MANIFEST_SUM) != 0)
		report(w, SNAPSHOT_CHANGED, path);
	return (0);
}

static int
load(struct walk *w, const char *file, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY;

	if (fd_read_file(file, TEXT_MAX, &text, err) != 0) {
		if (err != NULL && err->sys_errno == ENOENT) {
			err->kind = ERR_USAGE;
			err->remedy = REMEDY_CODE_SNAPSHOT;
		}
		return (-1);
	}
	sum_bytes(buf_str(&text), text.len, w->own_sum);
	return (manifest_parse(w->manifest, file, buf_str(&text), text.len, w->mem, err));
}

int
snapshot_verify(const char *dir, const char *manifest, int (*stop)(void),
    struct snapshot_report *ret, struct arena *mem, struct err *err)
{
	struct manifest m = { NULL, 0 };
	struct walk w = { .dir = dir, .mem = mem, .stop = stop, .entry = check_entry,
	    .manifest = &m, .report = ret };
	size_t i;

	*ret = (struct snapshot_report){ .files = 0 };
	if (load(&w, manifest, err) != 0 || walk(&w, err) != 0)
		return (-1);
	ret->files = m.n;
	for (i = 0; i < m.n; i++)
		if (!m.entries[i].seen)
			report(&w, SNAPSHOT_MISSING, m.entries[i].path);
	if (ret->counts[SNAPSHOT_CHANGED] + ret->counts[SNAPSHOT_MISSING] +
	    ret->counts[SNAPSHOT_EXTRA] == 0)
		return (0);
	err_set(err, ERR_USAGE, REMEDY_CODE_SNAPSHOT, "trust the code in",
	    "it is not that of its snapshot %s: %zu changed, %zu missing, %zu extra", manifest,
	    ret->counts[SNAPSHOT_CHANGED], ret->counts[SNAPSHOT_MISSING],
	    ret->counts[SNAPSHOT_EXTRA]);
	return (err_on(err, "%s", dir));
}
