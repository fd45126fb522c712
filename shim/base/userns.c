#include "base/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define MAP_BYTES	(64 * 1024)
#define UIDS_MAPPED	1
#define GIDS_MAPPED	2

/* "INSIDE OUTSIDE COUNT" lines, as they are here, become "INSIDE INSIDE COUNT". */
static int
same_ids(const char *path, struct buf *ret)
{
	auto_buf struct buf text = BUF_EMPTY;
	unsigned long first, count;
	char *at, *end;

	if (fd_read_file(path, MAP_BYTES, &text, NULL) != 0)
		return (-1);
	for (at = text.data; at != NULL && *at != '\0'; at = end + strspn(end, " \n")) {
		first = strtoul(at, &end, 10);
		strtoul(end, &end, 10);
		count = strtoul(end, &end, 10);
		if (count == 0)
			return (-1);
		buf_printf(ret, "%lu %lu %lu\n", first, first, count);
	}
	return (0);
}

static int
write_map(const char *process, const char *file, const char *text)
{
	auto_close int fd = -1;
	char path[64];

	str_format(path, sizeof(path), "/proc/%s/%s", process, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* A map is one write(2), and the only one. */
	return (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1);
}

/*
 * From outside, for `process`, which enters once this one runs and says so by closing its end of
 * the pipe.  Returns what could be mapped.
 */
static int
map_all(pid_t process, int entered)
{
	auto_buf struct buf uids = BUF_EMPTY, gids = BUF_EMPTY;
	char name[16], byte;
	int mapped = 0;

	if (same_ids("/proc/self/uid_map", &uids) != 0 ||
	    same_ids("/proc/self/gid_map", &gids) != 0)
		return (0);
	str_format(name, sizeof(name), "%d", (int)process);
	while (read(entered, &byte, 1) < 0 && errno == EINTR)
		continue;
	if (write_map(name, "gid_map", buf_str(&gids)) == 0)
		mapped |= GIDS_MAPPED;
	if (write_map(name, "uid_map", buf_str(&uids)) == 0)
		mapped |= UIDS_MAPPED;
	return (mapped);
}

/* From inside. */
static int
map_own(int mapped, uid_t uid, gid_t gid)
{
	char text[64];

	if ((mapped & GIDS_MAPPED) == 0) {
		str_format(text, sizeof(text), "%u %u 1\n", gid, gid);
		if (write_map("self", "setgroups", "deny") != 0 ||
		    write_map("self", "gid_map", text) != 0)
			return (-1);
	}
	str_format(text, sizeof(text), "%u %u 1\n", uid, uid);
	return ((mapped & UIDS_MAPPED) != 0 ? 0 : write_map("self", "uid_map", text));
}

static int
failed(struct err *err, const char *op)
{
	err_errno(err, op, NULL);
	if (err != NULL)
		err->remedy = REMEDY_GIVE_FUSE;
	return (-1);
}

int
userns_enter(struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	pid_t self = getpid(), helper;
	int fds[2], rc, why, status = 0;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return (failed(err, "make a pipe"));
	helper = fork();
	if (helper == 0) {
		close(fds[1]);
		_exit(map_all(self, fds[0]));
	}
	rc = helper < 0 ? -1 : unshare(CLONE_NEWUSER | CLONE_NEWNS);
	why = errno;
	close(fds[0]);
	close(fds[1]);
	while (helper > 0 && waitpid(helper, &status, 0) < 0 && errno == EINTR)
		continue;
	errno = why;
	if (rc != 0)
		return (failed(err, "make a user namespace"));
	if (map_own(WIFEXITED(status) ? WEXITSTATUS(status) : 0, uid, gid) != 0)
		return (failed(err, "map the ids of a user namespace"));
	return (0);
}

static int
mount_fuse(const char *device)
{
	auto_close int fd = open(device, O_RDWR | O_CLOEXEC);
	char data[96];

	if (fd < 0)
		return (-1);
	str_format(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fd,
	    geteuid(), getegid());
	return (mount("amlshim", "/", "fuse.amlshim", MS_NOSUID | MS_NODEV, data));
}

int
userns_can_mount(const char *fuse_device)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)		/* namespaces and mount go with it */
		_exit(userns_enter(NULL) == 0 && mount_fuse(fuse_device) == 0 ? 0 : 1);
	if (pid < 0)
		return (0);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return (0);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
