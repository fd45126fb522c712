/* fd: whole reads and writes, files, trees, closing. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fd_home.h"
#include "check.h"

static char root[64] = "/tmp/test_fd.XXXXXX";
static char path[256];

static const char *
in_root(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", root, name);
	return (path);
}

static int
exists(const char *name)
{
	struct stat st;

	return (lstat(in_root(name), &st) == 0);
}

static void
reads_and_writes_are_whole(void)
{
	static char in[300000], out[300000];
	int fds[2], status = 0, taken;
	size_t i;
	pid_t child;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child = fork();
	if (child == 0) {
		close(fds[0]);
		_exit(fd_write_all(fds[1], in, sizeof(in)) == 0 ? 0 : 1);
	}
	close(fds[1]);
	for (i = 0; i < sizeof(out);) {
		ssize_t n = read(fds[0], out + i, 5000);

		if (n <= 0)
			break;
		i += (size_t)n;
	}
	close(fds[0]);
	waitpid(child, &status, 0);
	check_int(status, 0);
	check(memcmp(in, out, sizeof(in)) == 0);

	fds[0] = open(in_root("whole"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	check_int(fd_pwrite_all(fds[0], in, 1000, 10), 0);
	memset(out, 0, sizeof(out));
	check_int(fd_pread_full(fds[0], out, 2000, 10), 1000);
	check(memcmp(in, out, 1000) == 0);
	check_int(fd_pread_full(fds[0], out, 2000, 5000), 0);
	check_int(fd_pread_full(-1, out, 1, 0), -1);
	check_int(fd_write_all(-1, "x", 1), -1);
	check_int(fd_pwrite_all(-1, "x", 1, 0), -1);
	taken = fd_take(&fds[0]);
	check(taken >= 0 && fds[0] == -1);
	close(taken);
}

static void
whole_files(void)
{
	auto_buf struct buf b = BUF_EMPTY;
	struct err e = ERR_EMPTY;
	struct stat st;
	int saved_stdin, fds[2];

	check_int(fd_replace_file(in_root("f"), "hello", 5, 0640, &e), 0);
	check_int(stat(path, &st), 0);
	check_int(st.st_mode & 07777, 0640);
	check_int(fd_read_file(path, 5, &b, &e), 0);
	check_str(b.data, "hello");
	check_int(fd_replace_file(path, "", 0, 0600, &e), 0);
	check_int(fd_read_file(path, 0, &b, &e), 0);
	check(b.len == 0 && b.data != NULL && b.data[0] == '\0');
	check_int(fd_replace_file(path, "123456", 6, 0600, &e), 0);
	buf_adds(&b, "kept");
	check_int(fd_read_file(path, 5, &b, &e), -1);
	check_int(e.kind, ERR_USAGE);
	check_str(e.resource, path);
	check_str(b.data, "kept");
	check_int(fd_read_file(in_root("none"), 5, &b, &e), -1);
	check_int(e.sys_errno, ENOENT);
	check_int(fd_read_file(root, 5, &b, &e), -1);
	check_int(e.sys_errno, EISDIR);
	check_int(fd_replace_file(in_root("no/file"), "x", 1, 0600, &e), -1);
	check_int(fd_remove_tree(in_root("f"), &e), 0);

	check_int(mkdir(in_root("busy"), 0700), 0);
	check_int(fd_replace_file(path, "x", 1, 0600, &e), -1);	/* and no temporary is left: */
	check_int(fd_remove_tree(path, &e), 0);

	check_int(pipe2(fds, O_CLOEXEC), 0);
	check_int(fd_write_all(fds[1], "from stdin", 10), 0);
	close(fds[1]);
	saved_stdin = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	check_int(fd_read_file("-", 100, &b, &e), 0);
	check_str(b.data, "from stdin");
	dup2(saved_stdin, STDIN_FILENO);
	close(saved_stdin);
}

static void
directories(void)
{
	static const char *const refused[] = {
		"", "/a/b", "../x", "a/../x", "a//b", "a/", "./a", "a/.", "..", "a/./b"
	};
	struct err e = ERR_EMPTY;
	char long_name[400];
	int fd;
	size_t i;

	check_int(fd_mkdir_p(in_root("d/e/f"), 0700, &e), 0);
	check_int(fd_mkdir_p(in_root("d//e/f/g/"), 0700, &e), 0);
	check(exists("d/e/f/g"));
	check_int(fd_mkdir_p("/", 0700, &e), 0);
	check_int(fd_mkdir_p("", 0700, &e), -1);
	check_int(fd_replace_file(in_root("d/file"), "", 0, 0600, &e), 0);
	check_int(fd_mkdir_p(in_root("d/file/x"), 0700, &e), -1);
	check_int(e.sys_errno, ENOTDIR);

	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < LENGTH(refused); i++) {
		check_int(fd_mkdir_parents_at(fd, refused[i], 0700, &e), -1);
		check_int(e.kind, ERR_USAGE);
	}
	memset(long_name, 'x', sizeof(long_name));
	long_name[300] = '/';
	long_name[302] = '\0';
	check_int(fd_mkdir_parents_at(fd, long_name, 0700, &e), -1);
	check_int(e.kind, ERR_USAGE);
	check_int(fd_mkdir_parents_at(fd, "p/q/..r/file", 0700, &e), 0);
	check(exists("p/q/..r") && !exists("p/q/..r/file"));
	check_int(fd_mkdir_parents_at(fd, "p/q/..r/file", 0700, &e), 0);
	check_int(fd_mkdir_parents_at(fd, "plain", 0700, &e), 0);
	check(!exists("plain"));
	check_int(symlink("/tmp", in_root("p/link")), 0);
	check_int(fd_mkdir_parents_at(fd, "p/link/escaped/file", 0700, &e), -1);
	check_int(e.kind, ERR_SYSTEM);
	check_int(access("/tmp/escaped", F_OK), -1);
	check_int(fd_mkdir_parents_at(fd, "d/file/x", 0700, &e), -1);
	close(fd);
}

static void
trees_are_removed_without_following(void)
{
	struct err e = ERR_EMPTY;

	check_int(fd_mkdir_p(in_root("t/a/b/c"), 0700, &e), 0);
	check_int(fd_mkdir_p(in_root("precious"), 0700, &e), 0);
	check_int(fd_replace_file(in_root("precious/file"), "x", 1, 0600, &e), 0);
	check_int(fd_replace_file(in_root("t/a/file"), "x", 1, 0600, &e), 0);
	check_int(symlink("../precious", in_root("t/link")), 0);
	check_int(fd_remove_tree(in_root("t"), &e), 0);
	check(!exists("t") && exists("precious/file"));
	check_int(fd_remove_tree(in_root("t"), &e), 0);
	check_int(symlink("precious", in_root("link")), 0);
	check_int(fd_remove_tree(in_root("link"), &e), 0);
	check(!exists("link") && exists("precious/file"));
	/* A mount is not a tree of ours; nothing in /proc could be removed anyway. */
	check_int(fd_remove_tree("/proc", &e), -1);
	check_int(e.sys_errno, EXDEV);
}

static void
closing_all_but_some(void)
{
	int fds[6], keep[3], i, status = 0;
	pid_t child;

	for (i = 0; i < 6; i++) {
		fds[i] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 20 + 3 * i);
		check(fds[i] >= 20);
	}
	keep[0] = fds[4];
	keep[1] = fds[1];
	keep[2] = -1;
	child = fork();
	if (child == 0) {
		int ok = 1;

		fd_close_except(20, keep, 3);
		for (i = 0; i < 6; i++)
			ok &= (fcntl(fds[i], F_GETFD) >= 0) == (i == 4 || i == 1);
		ok &= fcntl(STDOUT_FILENO, F_GETFD) >= 0;
		fd_close_except(20, NULL, 0);
		for (i = 0; i < 6; i++)
			ok &= fcntl(fds[i], F_GETFD) < 0;
		_exit(ok ? 0 : 1);
	}
	waitpid(child, &status, 0);
	check_int(status, 0);
	for (i = 0; i < 6; i++)
		close(fds[i]);
}

static void
free_space(void)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t total = -1;

	check(fd_disk_free(fd, &total) < total && total < INT64_MAX);
	check(fd_disk_free(fd, NULL) >= 0);
	close(fd);
	check(fd_disk_free(fd, &total) == INT64_MAX && total == 0);
}

/* A directory that somebody has exchanged for a link to another one is not written to. */
static void
files_stay_in_their_home(void)
{
	char file[256], there[256], moved[256];
	auto_buf struct buf text = BUF_EMPTY;
	struct err e = ERR_EMPTY;
	struct fd_home home;
	struct stat st;

	snprintf(file, sizeof(file), "%s/home/token", root);
	fd_home_of(file, &home);
	check_int(home.ino, 0);
	check_int(mkdir(in_root("home"), 0755), 0);
	check_int(fd_home_replace(&home, file, "x", 1, getuid(), getgid(), &e), -1);
	fd_home_of(file, &home);
	check_int(fd_home_replace(&home, file, "one", 3, getuid(), getgid(), &e), 0);
	check_int(fd_home_replace(&home, file, "two", 3, getuid(), getgid(), &e), 0);
	check_int(fd_read_file(file, 100, &text, &e), 0);
	check_str(buf_str(&text), "two");
	check(stat(file, &st) == 0 && (st.st_mode & 07777) == 0600);

	check_int(mkdir(in_root("there"), 0755), 0);
	snprintf(there, sizeof(there), "%s/there", root);
	snprintf(moved, sizeof(moved), "%s/moved", root);
	check(rename(in_root("home"), moved) == 0 && symlink(there, in_root("home")) == 0);
	check_int(fd_home_replace(&home, file, "no", 2, getuid(), getgid(), &e), -1);
	check_int(e.sys_errno, ESTALE);
	check(fd_home_unlink(&home, file) == -1 && errno == ESTALE);
	check(!exists("there/token"));
	check(unlink(in_root("home")) == 0 && rename(moved, in_root("home")) == 0);
	check_int(fd_home_unlink(&home, file), 0);
	check(!exists("home/token"));
}

int
main(void)
{
	struct err e = ERR_EMPTY;

	umask(022);
	check(mkdtemp(root) != NULL);
	reads_and_writes_are_whole();
	whole_files();
	directories();
	trees_are_removed_without_following();
	closing_all_but_some();
	free_space();
	files_stay_in_their_home();
	check_int(fd_remove_tree(root, &e), 0);
	check_int(access(root, F_OK), -1);
	return (check_done());
}
