#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "mount/place.h"

/* The C libraries differ in the type that they have for it. */
#ifdef __GLIBC__
#define REQUEST(n)	(n)
#else
#define REQUEST(n)	((int)(n))
#endif

/* No matter whether it works. */
static void
spread_below(int fd)
{
	int flags;

	if (ioctl(fd, REQUEST(FS_IOC_GETFLAGS), &flags) != 0 || (flags & FS_TOPDIR_FL) != 0)
		return;
	flags |= FS_TOPDIR_FL;
	ioctl(fd, REQUEST(FS_IOC_SETFLAGS), &flags);
}

/* Under a name of chance, which decides the group, and then its own.  -1: the usual way. */
static int
make_elsewhere(int parent, const char *name)
{
	char chance[32];

	str_format(chance, sizeof(chance), ".new-%016" PRIx64,
	    (uint64_t)clock_jitter(0, INT64_MAX - 1));
	if (mkdirat(parent, chance, 0700) != 0)
		return (-1);
	if (renameat(parent, chance, parent, name) == 0)
		return (0);
	unlinkat(parent, chance, AT_REMOVEDIR);
	return (-1);
}

int
place_directory(const char *path, struct err *err)
{
	auto_free char *copy = mem_strdup(path);
	auto_close int parent = -1;
	char *slash = strrchr(copy, '/');

	if (slash == NULL || slash == copy || slash[1] == '\0')
		return (fd_mkdir_p(path, 0700, err));
	*slash = '\0';
	if (fd_mkdir_p(copy, 0700, err) != 0)
		return (-1);
	parent = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0 && faccessat(parent, slash + 1, F_OK, 0) != 0) {
		spread_below(parent);
		if (make_elsewhere(parent, slash + 1) == 0)
			return (0);
	}
	return (fd_mkdir_p(path, 0700, err));
}
