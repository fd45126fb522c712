#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

#define TREE_DEPTH_MAX	256

int
fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return (taken);
}

int
fd_write_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	for (; size > 0; p += n, size -= (size_t)n) {
		n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return (-1);
	}
	return (0);
}

int
fd_pwrite_all(int fd, const void *data, size_t size, off_t at)
{
	const char *p = data;
	ssize_t n;

	for (; size > 0; p += n, size -= (size_t)n, at += n) {
		n = pwrite(fd, p, size, at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return (-1);
	}
	return (0);
}

ssize_t
fd_pread_full(int fd, void *data, size_t size, off_t at)
{
	char *p = data;
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, p + done, size - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (-1);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return ((ssize_t)done);
}

/* To the end of fd; -1 with errno, EFBIG if there is more than max. */
static int
read_to_end(int fd, struct buf *to, size_t max)
{
	char chunk[4096];
	ssize_t n;

	buf_add(to, "", 0);
	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (max - to->len < (size_t)n) {
			errno = EFBIG;
			n = -1;
			break;
		}
		buf_add(to, chunk, (size_t)n);
	}
	explicit_bzero(chunk, sizeof(chunk));	/* the file can be a token's */
	return ((int)n);
}

int
fd_read_file(const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
	struct buf text = BUF_EMPTY;
	int is_stdin = strcmp(path, "-") == 0;
	auto_close int fd = -1;

	if (!is_stdin) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return (err_errno(err, "open", path));
	}
	if (read_to_end(is_stdin ? STDIN_FILENO : fd, &text, max_bytes) != 0) {
		int too_long = errno == EFBIG;

		buf_done(&text);
		if (!too_long)
			return (err_errno(err, "read", path));
		err_set(err, ERR_USAGE, REMEDY_NONE, "read",
		    "it has more than %zu bytes", max_bytes);
		return (err_on(err, "%s", path));
	}
	buf_done(ret);
	*ret = text;
	return (0);
}

static int
make_directory(const char *path, mode_t mode)
{
	struct stat st;
	int saved;

	if (mkdir(path, mode) == 0)
		return (0);
	saved = errno;	/* EEXIST, or what a read-only parent says before it looks */
	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return (0);
		saved = ENOTDIR;
	}
	errno = saved;
	return (-1);
}

int
fd_mkdir_p(const char *path, mode_t mode, struct err *err)
{
	auto_free char *copy = mem_strdup(path);
	char *p = copy;

	if (*p == '\0') {
		errno = ENOENT;
		return (err_errno(err, "make directory", path));
	}
	while (*p != '\0') {
		char c;

		p += strspn(p, "/");
		p += strcspn(p, "/");
		c = *p;
		*p = '\0';
		if (make_directory(copy, mode) != 0)
			return (err_errno(err, "make directory", copy));
		*p = c;
	}
	return (0);
}

/* A relative name whose components are all plain names. */
static int
is_plain(const char *relative)
{
	size_t n;

	for (;;) {
		n = strcspn(relative, "/");
		if (n == 0 || n > NAME_MAX || (n == 1 && relative[0] == '.') ||
		    (n == 2 && relative[0] == '.' && relative[1] == '.'))
			return (0);
		if (relative[n] == '\0')
			return (1);
		relative += n + 1;
	}
}

int
fd_mkdir_parents_at(int dirfd, const char *relative, mode_t mode, struct err *err)
{
	auto_close int owned = -1;
	char name[NAME_MAX + 1];
	const char *slash;
	int at = dirfd;

	if (!is_plain(relative)) {
		err_set(err, ERR_USAGE, REMEDY_CHECK_NAME, "make directories",
		    "this name cannot be a local path: it has an empty or too long component, "
		    "\".\" or \"..\"");
		return (err_on(err, "%s", relative));
	}
	for (; (slash = strchr(relative, '/')) != NULL; relative = slash + 1) {
		size_t n = (size_t)(slash - relative);
		int next;

		memcpy(name, relative, n);
		name[n] = '\0';
		if (mkdirat(at, name, mode) != 0 && errno != EEXIST)
			return (err_errno(err, "make directory", name));
		next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return (err_errno(err, "open directory", name));
		mem_close_fd(&owned);
		at = owned = next;
	}
	return (0);
}

static int	remove_at(int, const char *, dev_t, int);

/* Empties the directory fd, which becomes the stream's. */
static int
empty_directory(int fd, dev_t dev, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;
	int failed = 0, saved;

	if (d == NULL) {
		mem_close_fd(&fd);
		return (-1);
	}
	for (;;) {
		errno = 0;
		entry = readdir(d);
		if (entry == NULL) {
			failed = errno != 0;
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_at(dirfd(d), entry->d_name, dev, depth) != 0) {
			failed = 1;
			break;
		}
	}
	saved = errno;
	closedir(d);
	errno = saved;
	return (failed ? -1 : 0);
}

static int
remove_at(int at, const char *name, dev_t dev, int depth)
{
	struct stat st;
	int fd;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return (0);
	if (errno != EISDIR)
		return (-1);
	if (depth >= TREE_DEPTH_MAX) {
		errno = ELOOP;
		return (-1);
	}
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return (-1);
	/* What is mounted inside is somebody's data. */
	if (fstat(fd, &st) != 0 || st.st_dev != dev) {
		mem_close_fd(&fd);
		errno = EXDEV;
		return (-1);
	}
	if (empty_directory(fd, dev, depth + 1) != 0)
		return (-1);
	return (unlinkat(at, name, AT_REMOVEDIR));
}

int
fd_remove_tree(const char *path, struct err *err)
{
	auto_buf struct buf above = BUF_EMPTY;
	struct stat st;

	if (lstat(path, &st) != 0)
		return (errno == ENOENT ? 0 : err_errno(err, "remove", path));
	/* The device of its parent: the tree itself can still be a mount. */
	buf_printf(&above, "%s/..", path);
	if (S_ISDIR(st.st_mode) && stat(above.data, &st) != 0)
		return (err_errno(err, "remove", path));
	if (remove_at(AT_FDCWD, path, st.st_dev, 0) != 0)
		return (err_errno(err, "remove", path));
	return (0);
}

static int
write_and_rename(int fd, const char *temporary, const char *path, const void *data, size_t size,
    mode_t mode)
{
	if (fchmod(fd, mode) != 0 || fd_write_all(fd, data, size) != 0)
		return (-1);
	return (rename(temporary, path));
}

int
fd_replace_file(const char *path, const void *data, size_t size, mode_t mode, struct err *err)
{
	auto_buf struct buf temporary = BUF_EMPTY;
	auto_close int fd = -1;

	buf_printf(&temporary, "%s.XXXXXX", path);
	fd = mkostemp(temporary.data, O_CLOEXEC);
	if (fd < 0)
		return (err_errno(err, "create", path));
	if (write_and_rename(fd, temporary.data, path, data, size, mode) != 0) {
		err_errno(err, "write", path);
		unlink(temporary.data);
		return (-1);
	}
	return (0);
}

static int
is_kept(int fd, const int *keep, size_t nkeep)
{
	size_t i;

	for (i = 0; i < nkeep; i++)
		if (keep[i] == fd)
			return (1);
	return (0);
}

/* For kernels before 5.9 and filters that refuse close_range. */
static void
close_listed(int first, const int *keep, size_t nkeep)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;
	long long fd;

	if (d == NULL) {
		long limit = sysconf(_SC_OPEN_MAX);

		for (fd = first; fd < (limit > 0 && limit < 65536 ? limit : 65536); fd++)
			if (!is_kept((int)fd, keep, nkeep))
				close((int)fd);
		return;
	}
	while ((entry = readdir(d)) != NULL)
		if (str_to_i64(entry->d_name, first, INT_MAX, &fd) == 0 && fd != dirfd(d) &&
		    !is_kept((int)fd, keep, nkeep))
			close((int)fd);
	closedir(d);
}

/* The lowest kept descriptor >= from, or -1. */
static int
next_kept(int from, const int *keep, size_t nkeep)
{
	int next = -1;
	size_t i;

	for (i = 0; i < nkeep; i++)
		if (keep[i] >= from && (next < 0 || keep[i] < next))
			next = keep[i];
	return (next);
}

int64_t
fd_disk_free(int fd, int64_t *ret_total)
{
	struct statvfs v;
	int failed = fstatvfs(fd, &v) != 0;

	if (ret_total != NULL)
		*ret_total = failed ? 0 : (int64_t)v.f_blocks * (int64_t)v.f_frsize;
	return (failed ? INT64_MAX : (int64_t)v.f_bavail * (int64_t)v.f_frsize);
}

void
fd_close_except(int first, const int *keep, size_t nkeep)
{
	int from = first, next;

	while ((next = next_kept(from, keep, nkeep)) >= 0) {
		if (next > from && sys_close_range((unsigned int)from,
		    (unsigned int)next - 1) != 0) {
			close_listed(first, keep, nkeep);
			return;
		}
		if (next == INT_MAX)
			return;
		from = next + 1;
	}
	if (sys_close_range((unsigned int)from, ~0U) != 0)
		close_listed(first, keep, nkeep);
}
