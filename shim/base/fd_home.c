#include "base/fd_home.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define TRIES	100

/* The directory; *ret_name: the rest of path. */
static int
open_directory(const char *path, const char **ret_name)
{
	auto_free char *copy = mem_strdup(path);
	char *slash = strrchr(copy, '/');
	const char *dir = slash == NULL ? "." : slash == copy ? "/" : copy;

	*ret_name = slash == NULL ? path : path + (slash - copy) + 1;
	if (slash != NULL && slash != copy)
		*slash = '\0';
	return (open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

void
fd_home_of(const char *path, struct fd_home *ret)
{
	const char *name;
	auto_close int fd = open_directory(path, &name);
	struct stat st;

	*ret = (struct fd_home){ 0, 0 };
	if (fd >= 0 && fstat(fd, &st) == 0)
		*ret = (struct fd_home){ st.st_dev, st.st_ino };
}

static int
open_again(const struct fd_home *home, const char *path, const char **ret_name)
{
	auto_close int fd = open_directory(path, ret_name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return (-1);
	if (home->ino == 0 || st.st_dev != home->dev || st.st_ino != home->ino) {
		errno = ESTALE;
		return (-1);
	}
	return (fd_take(&fd));
}

/* Under a name of chance, which stays in ret. */
static int
open_temporary(int dir, const char *name, char *ret, size_t size)
{
	int fd = -1, tries;

	for (tries = 0; fd < 0 && tries < TRIES; tries++) {
		if (str_format(ret, size, "%s.%06" PRIx64, name,
		    (uint64_t)clock_jitter(0, 0xffffff)) != 0) {
			errno = ENAMETOOLONG;
			return (-1);
		}
		fd = openat(dir, ret, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	return (fd);
}

static int
write_and_rename(int dir, int fd, const char *temporary, const char *name, const void *data,
    size_t size)
{
	return (fd_write_all(fd, data, size) != 0 ? -1 : renameat(dir, temporary, dir, name));
}

int
fd_home_replace(const struct fd_home *home, const char *path, const void *data, size_t size,
    uid_t uid, gid_t gid, struct err *err)
{
	char temporary[NAME_MAX + 1];
	const char *name;
	auto_close int dir = open_again(home, path, &name);
	auto_close int fd = -1;

	if (dir >= 0)
		fd = open_temporary(dir, name, temporary, sizeof(temporary));
	if (fd < 0)
		return (err_errno(err, "create", path));
	if (fchown(fd, uid, gid) != 0 ||
	    write_and_rename(dir, fd, temporary, name, data, size) != 0) {
		err_errno(err, "write", path);
		unlinkat(dir, temporary, 0);
		return (-1);
	}
	return (0);
}

int
fd_home_unlink(const struct fd_home *home, const char *path)
{
	const char *name;
	auto_close int dir = open_again(home, path, &name);

	return (dir < 0 ? -1 : unlinkat(dir, name, 0));
}
