#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "mount/mountd.h"

#define DEVICE		"/dev/fuse"
#define TYPE		"fuse.amlshim"
#define MAX_READ	1048576
#define SYSFS_FLAGS	(MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* ---- mounting ------------------------------------------------------------------------ */

static int
no_fuse(struct err *err, const char *op, const char *resource)
{
	int why = errno;

	err_errno(err, op, resource);
	if (err != NULL && (why == ENOENT || why == ENODEV || why == ENXIO || why == EPERM ||
	    why == EACCES))
		err->remedy = REMEDY_GIVE_FUSE;
	return (-1);
}

/* A mount that a killed amlshim left: nobody answers for it any more. */
static void
drop_dead(const char *target)
{
	struct stat st;

	if (stat(target, &st) != 0 && errno == ENOTCONN)
		umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* Whose mount it is: with allow_other it does not matter. */
static unsigned int
id_or(int64_t said, unsigned int ours)
{
	return (said != PLAN_UNSAID ? (unsigned int)said : ours);
}

int
mountd_attach(const char *target, const char *source, int read_only,
    const struct plan_tuning *t, int *ret_fuse_fd, struct err *err)
{
	auto_close int fd = -1;
	unsigned long flags = MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0);
	char data[160];

	drop_dead(target);
	if (fd_mkdir_p(target, 0755, err) != 0) {
		if (err != NULL)
			err->remedy = REMEDY_ROOT_DIR;
		return (-1);
	}
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return (no_fuse(err, "open", DEVICE));
	str_format(data, sizeof(data), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,%s"
	    "default_permissions,max_read=%d", fd, id_or(t->uid, geteuid()),
	    id_or(t->gid, getegid()), t->allow_other ? "allow_other," : "", MAX_READ);
	if (mount(source, target, TYPE, flags, data) != 0)
		return (no_fuse(err, "mount", target));
	*ret_fuse_fd = fd_take(&fd);
	return (0);
}

int
mountd_detach(const char *target, struct err *err)
{
	/* EINVAL: nothing is mounted there. */
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL ||
	    errno == ENOENT)
		return (0);
	return (err_errno(err, "unmount", target));
}

/* ---- readahead ----------------------------------------------------------------------- */

/* \040 and the like, in place. */
static void
unescape(char *s)
{
	char *to = s;

	for (; *s != '\0'; to++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else
			*to = *s++;
	}
	*to = '\0';
}

/* As mountinfo spells it, without a look at the mount point: nobody answers for it yet. */
static int
absolute(const char *target, char out[PATH_MAX])
{
	auto_free char *one = mem_strdup(target), *two = mem_strdup(target);
	auto_free char *dir = realpath(dirname(one), NULL);

	if (dir == NULL)
		return (-1);
	return (str_format(out, PATH_MAX, "%s/%s", strcmp(dir, "/") != 0 ? dir : "",
	    basename(two)));
}

/* "MAJOR:MINOR" of what was mounted last at path.  text: of mountinfo; is overwritten. */
static int
find_mount(char *text, const char *path, char out[32])
{
	char *line, *next, *field[5];
	int i, found = -1;

	for (line = text; line != NULL && *line != '\0'; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		for (i = 0; i < 5 && line != NULL; i++)
			field[i] = strsep(&line, " ");
		if (i < 5)
			continue;
		unescape(field[4]);
		if (strcmp(field[4], path) == 0)
			found = str_format(out, 32, "%s", field[2]);
	}
	return (found);
}

static int
find_device(const char *target, char out[32])
{
	auto_buf struct buf text = BUF_EMPTY;
	char path[PATH_MAX];

	if (absolute(target, path) != 0 ||
	    fd_read_file("/proc/self/mountinfo", 4 << 20, &text, NULL) != 0)
		return (-1);
	return (find_mount(text.data, path, out));
}

static int
write_kib(const char *sysfs, const char *device, int kib)
{
	char path[128], text[16];
	auto_close int fd = -1;

	str_format(path, sizeof(path), "%s/class/bdi/%s/read_ahead_kb", sysfs, device);
	str_format(text, sizeof(text), "%d", kib);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return (fd >= 0 ? fd_write_all(fd, text, strlen(text)) : -1);
}

/*
 * Through a sysfs of our own in a mount namespace of our own.  It shares its
 * superblock with the container's read-only one, so that read-only has to be put
 * back before anybody sees it.
 */
static int
write_privately(const char *device, int kib)
{
	/* Not /sys: the kernel refuses the same file system twice on one mount point. */
	static const char *const places[] = { "/proc", "/dev", "/tmp", "/mnt" };
	size_t i = 0;
	int rc;

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return (-1);
	while (i < LENGTH(places) && mount("sysfs", places[i], "sysfs", SYSFS_FLAGS, NULL) != 0)
		i++;
	if (i == LENGTH(places))
		return (-1);
	rc = write_kib(places[i], device, kib);
	if (rc != 0 && errno == EROFS &&
	    mount(NULL, places[i], NULL, MS_REMOUNT | SYSFS_FLAGS, NULL) == 0) {
		rc = write_kib(places[i], device, kib);
		if (mount(NULL, places[i], NULL, MS_REMOUNT | MS_RDONLY | SYSFS_FLAGS, NULL) != 0)
			rc = -1;
	}
	umount2(places[i], MNT_DETACH);
	return (rc);
}

int
mountd_raise_readahead(const char *target, int kib)
{
	char device[32];
	int status;
	pid_t pid;

	if (find_device(target, device) != 0)
		return (-1);
	if (write_kib("/sys", device, kib) == 0)
		return (0);
	pid = fork();
	if (pid == 0)
		_exit(write_privately(device, kib) == 0 ? 0 : 1);
	if (pid < 0)
		return (-1);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return (-1);
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1);
}
