#include "init/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

/* Where it is mounted: alone, or beside version 1. */
static const char roots[][32] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

const char *
cgroup_parse_path(char *text)
{
	char *line = text, *end;

	for (; line != NULL; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		if (str_starts(line, "0::/"))
			return (line + strlen("0::"));
	}
	return (NULL);
}

/* The root group has no cgroup.kill: of a host it is not ours to use. */
static int
is_usable(const char *dir)
{
	struct statfs fs;
	char file[600];

	return (statfs(dir, &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC &&
	    str_format(file, sizeof(file), "%s/cgroup.kill", dir) == 0 && access(file, W_OK) == 0);
}

static int
write_file(const struct cgroup *c, const char *name, const char *text)
{
	auto_close int fd = openat(c->dir_fd, name, O_WRONLY | O_CLOEXEC);

	return (fd >= 0 && write(fd, text, strlen(text)) > 0 ? 0 : -1);
}

int
cgroup_make(struct cgroup *ret)
{
	char text[4096], dir[480];
	auto_close int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : fd_pread_full(fd, text, sizeof(text) - 1, 0);
	const char *own;
	size_t i;

	*ret = (struct cgroup){ .dir_fd = -1 };
	text[len < 0 ? 0 : len] = '\0';
	own = cgroup_parse_path(text);
	for (i = 0; own != NULL && i < LENGTH(roots); i++) {
		if (str_format(dir, sizeof(dir), "%s%s", roots[i], own) != 0 || !is_usable(dir))
			continue;
		str_format(ret->path, sizeof(ret->path), "%s/amlshim-%d", dir, (int)getpid());
		if (mkdir(ret->path, 0755) == 0 || errno == EEXIST)
			ret->dir_fd = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (ret->dir_fd >= 0)
			return (0);
	}
	return (-1);
}

int
cgroup_add(const struct cgroup *c, pid_t pid)
{
	char text[16];

	str_format(text, sizeof(text), "%d", (int)pid);
	return (write_file(c, "cgroup.procs", text));
}

int
cgroup_kill(const struct cgroup *c)
{
	return (write_file(c, "cgroup.kill", "1"));
}

void
cgroup_done(struct cgroup *c)
{
	if (c->dir_fd < 0)
		return;
	mem_close_fd(&c->dir_fd);
	rmdir(c->path);
}
