/* place: the directory that is asked for, whatever its file system makes of the flag. */

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "mount/place.h"

#ifdef __GLIBC__
#define REQUEST(n)	(n)
#else
#define REQUEST(n)	((int)(n))	/* musl's has an int there */
#endif

static char root[] = "/tmp/test_place.XXXXXX";

static const char *
below(const char *name)
{
	static char path[256];

	str_format(path, sizeof(path), "%s/%s", root, name);
	return (path);
}

static void
test_made(void)
{
	struct stat st;

	check_int(place_directory(below("cache/job/data"), NULL), 0);
	check_int(lstat(below("cache/job/data"), &st), 0);
	check(S_ISDIR(st.st_mode));
	check_int(st.st_mode & 07777, 0700);
	check_int(lstat(below("cache"), &st), 0);
	check_int(st.st_mode & 07777, 0700);
	/* It was renamed, not made a second time: nothing else is there. */
	check_int(rmdir(below("cache/job/data")), 0);
	check_int(rmdir(below("cache/job")), 0);
}

/* What is there stays as it is, with what is in it, also behind a link. */
static void
test_there(void)
{
	struct stat before, now;

	check_int(mkdir(below("there"), 0755), 0);
	check_int(mkdir(below("there/data"), 0750), 0);
	check_int(symlink("data", below("there/link")), 0);
	check_int(stat(below("there/data"), &before), 0);
	check_int(place_directory(below("there/data"), NULL), 0);
	check_int(place_directory(below("there/link"), NULL), 0);
	check_int(stat(below("there/link"), &now), 0);
	check_int(now.st_ino, before.st_ino);
	check_int(now.st_mode, before.st_mode);
}

static void
test_failures(void)
{
	struct err err = ERR_EMPTY;
	int fd = open(below("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	check_int(place_directory(below("file"), &err), -1);
	check_int(err.sys_errno, ENOTDIR);
	err = ERR_EMPTY;
	check_int(place_directory(below("file/data"), &err), -1);
	check_int(err.sys_errno, ENOTDIR);
}

static void
test_flag(void)
{
	int fd, flags;

	check_int(place_directory(below("spread/data"), NULL), 0);
	fd = open(below("spread"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ioctl(fd, REQUEST(FS_IOC_GETFLAGS), &flags) == 0) {
		flags |= FS_TOPDIR_FL;
		if (ioctl(fd, REQUEST(FS_IOC_SETFLAGS), &flags) == 0) {	/* it can have one */
			check_int(rmdir(below("spread/data")), 0);
			check_int(rmdir(below("spread")), 0);
			check_int(place_directory(below("spread/data"), NULL), 0);
			close(fd);
			fd = open(below("spread"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			check_int(ioctl(fd, REQUEST(FS_IOC_GETFLAGS), &flags), 0);
			check((flags & FS_TOPDIR_FL) != 0);
		}
	}
	close(fd);
}

int
main(void)
{
	char command[64];

	if (mkdtemp(root) == NULL)
		return (1);
	test_made();
	test_there();
	test_failures();
	test_flag();
	str_format(command, sizeof(command), "rm -r %s", root);
	if (system(command) != 0)
		return (1);
	return (check_done());
}
