/*
 * posix DIR [CASE...]: what a mount does for a program, case by case, each in a directory of its
 * own below DIR.  The cases are docs/SEMANTICS.md's, which names them; posix -l lists them.
 *
 * Each prints "ok CASE" or "FAILED CASE: what was not so, with errno"; the status is 1 if any
 * failed.  What a file system may refuse is either refused as the table says or done right.
 * "readonly" is for a read-only mount that holds the files "file" and "dir/file", and is not
 * among those of a plain run.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *problem;
static int problem_line, problem_errno;

static int
note(const char *what, int line)
{
	problem = what;
	problem_line = line;
	problem_errno = errno;
	return (1);
}

#define WANT(what) do { errno = 0; if (!(what)) return (note(#what, __LINE__)); } while (0)
#define FAILS(number, call) \
	do { errno = 0; if ((call) >= 0 || errno != (number)) \
	    return (note(#call " fails with " #number, __LINE__)); } while (0)

/* ---- helpers ------------------------------------------------------------------------- */

/* A file with this text; 0: made. */
static int
put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t len = strlen(text);

	if (fd < 0)
		return (-1);
	if (write(fd, text, len) != (ssize_t)len) {
		close(fd);
		return (-1);
	}
	return (close(fd));
}

/* 1: the descriptor's file has this text and no more. */
static int
fd_has(int fd, const char *text)
{
	char buf[4096];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	return (n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0);
}

static int
has(const char *name, const char *text)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), same;

	if (fd < 0)
		return (0);
	same = fd_has(fd, text);
	return (close(fd) == 0 && same);
}

static off_t
size_of(const char *name)
{
	struct stat st;

	return (stat(name, &st) == 0 ? st.st_size : -1);
}

static int
is_there(const char *name)
{
	struct stat st;

	return (lstat(name, &st) == 0);
}

/* Names but "." and ".."; -1: it cannot be read. */
static int
count(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	if (d == NULL)
		return (-1);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return (n);
}

/* Of what a file system need not have. */
static int
is_refusal(int number)
{
	return (number == EOPNOTSUPP || number == ENOSYS || number == EXDEV);
}

static int
rename_flags(const char *from, const char *to, unsigned int flags)
{
	return ((int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

/* The status of a child that runs fn. */
static int
in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return (-1);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

/* ---- open, create -------------------------------------------------------------------- */

static int
case_create(void)
{
	struct stat st;
	int fd;

	umask(027);
	fd = open("new", O_RDWR | O_CREAT, 0666);
	umask(022);
	WANT(fd >= 0);
	WANT(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640);
	WANT(st.st_size == 0 && st.st_uid == geteuid());
	WANT(is_there("new"));		/* before it is closed */
	WANT(close(fd) == 0);
	WANT(size_of("new") == 0);
	return (0);
}

static int
case_exclusive(void)
{
	int fd = open("new", O_WRONLY | O_CREAT | O_EXCL, 0644);

	WANT(fd >= 0 && close(fd) == 0);
	FAILS(EEXIST, open("new", O_WRONLY | O_CREAT | O_EXCL, 0644));
	WANT(mkdir("dir", 0755) == 0);
	FAILS(EEXIST, open("dir", O_WRONLY | O_CREAT | O_EXCL, 0644));
	WANT(unlink("new") == 0);
	fd = open("new", O_WRONLY | O_CREAT | O_EXCL, 0644);
	WANT(fd >= 0 && close(fd) == 0);
	return (0);
}

static int
one_of_many(void *arg)
{
	char name[16];
	int i, fd, won = 0;

	(void)arg;
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "%d", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
		won += fd >= 0;
		if ((fd < 0 && errno != EEXIST) || (fd >= 0 && close(fd) != 0))
			return (255);
	}
	return (won);
}

/* Of processes that want the same new name one gets it. */
static int
case_exclusive_race(void)
{
	pid_t pid[4];
	int i, status, won = 0;

	for (i = 0; i < 4; i++)
		if ((pid[i] = fork()) == 0)
			_exit(one_of_many(NULL));
	for (i = 0; i < 4; i++) {
		WANT(waitpid(pid[i], &status, 0) == pid[i]);
		WANT(WIFEXITED(status) && WEXITSTATUS(status) != 255);
		won += WEXITSTATUS(status);
	}
	WANT(won == 50);
	return (0);
}

static int
case_errors(void)
{
	char longest[257];

	memset(longest, 'n', 256);
	longest[256] = '\0';
	WANT(put("file", "x") == 0 && mkdir("dir", 0755) == 0);
	FAILS(ENOENT, open("missing", O_RDONLY));
	FAILS(ENOENT, open("missing/file", O_RDWR | O_CREAT, 0644));
	FAILS(ENOTDIR, open("file/below", O_RDWR | O_CREAT, 0644));
	FAILS(EISDIR, open("dir", O_WRONLY));
	FAILS(ENOTDIR, open("file", O_RDONLY | O_DIRECTORY));
	FAILS(ENAMETOOLONG, open(longest, O_RDWR | O_CREAT, 0644));
	longest[255] = '\0';
	WANT(put(longest, "long") == 0 && has(longest, "long"));
	return (0);
}

static int
case_access_mode(void)
{
	char c;
	int fd;

	WANT(put("file", "text") == 0);
	WANT((fd = open("file", O_RDONLY)) >= 0);
	FAILS(EBADF, write(fd, "x", 1));
	FAILS(EINVAL, ftruncate(fd, 0));
	WANT(close(fd) == 0 && (fd = open("file", O_WRONLY)) >= 0);
	FAILS(EBADF, read(fd, &c, 1));
	WANT(close(fd) == 0 && has("file", "text"));
	return (0);
}

/* ---- reading and writing ------------------------------------------------------------- */

static int
case_visible(void)
{
	int writer = open("file", O_WRONLY | O_CREAT, 0644), reader;

	WANT(writer >= 0 && write(writer, "abc", 3) == 3);
	WANT(size_of("file") == 3);
	WANT((reader = open("file", O_RDONLY)) >= 0 && fd_has(reader, "abc"));
	WANT(write(writer, "def", 3) == 3 && fd_has(reader, "abcdef"));
	WANT(ftruncate(writer, 2) == 0 && fd_has(reader, "ab"));
	WANT(close(writer) == 0 && fd_has(reader, "ab"));
	WANT(put("file", "quite another") == 0 && fd_has(reader, "quite another"));
	WANT(close(reader) == 0);
	return (0);
}

static int
case_random_write(void)
{
	int fd;

	WANT(put("file", "0123456789") == 0);
	WANT((fd = open("file", O_RDWR)) >= 0);
	WANT(pwrite(fd, "AB", 2, 7) == 2 && pwrite(fd, "C", 1, 0) == 1);
	WANT(fd_has(fd, "C123456AB9"));
	WANT(lseek(fd, -1, SEEK_END) == 9 && write(fd, "ZZ", 2) == 2);
	WANT(close(fd) == 0 && has("file", "C123456ABZZ"));
	return (0);
}

static int
case_append(void)
{
	int one, two;

	WANT(put("file", "start ") == 0);
	WANT((one = open("file", O_WRONLY | O_APPEND)) >= 0);
	WANT((two = open("file", O_WRONLY | O_APPEND)) >= 0);
	WANT(write(one, "a", 1) == 1 && write(two, "b", 1) == 1 && write(one, "c", 1) == 1);
	WANT(close(one) == 0 && write(two, "d", 1) == 1 && close(two) == 0);
	WANT(has("file", "start abcd"));
	return (0);
}

static int
append_lines(void *arg)
{
	const char *line = arg;
	int fd = open("log", O_WRONLY | O_APPEND | O_CREAT, 0644), i, failed = fd < 0;

	for (i = 0; i < 100 && !failed; i++)
		failed = write(fd, line, 20) != 20;
	return (failed || close(fd) != 0);
}

static int
case_append_together(void)
{
	static char lines[4][21] = { "aaaaaaaaaaaaaaaaaaa\n", "bbbbbbbbbbbbbbbbbbb\n",
	    "ccccccccccccccccccc\n", "ddddddddddddddddddd\n" };
	char line[32];
	int i, status, n = 0;
	FILE *f;

	for (i = 0; i < 4; i++)
		if (fork() == 0)
			_exit(append_lines(lines[i]));
	for (i = 0; i < 4; i++)
		WANT(wait(&status) > 0 && status == 0);
	WANT((f = fopen("log", "r")) != NULL);
	for (; fgets(line, sizeof(line), f) != NULL; n++)
		for (i = 1; i < 19; i++)
			WANT(line[i] == line[0]);
	fclose(f);
	WANT(n == 400);
	return (0);
}

static int
case_holes(void)
{
	char buf[10001], zero[10000] = { 0 };
	int fd = open("file", O_RDWR | O_CREAT, 0644);

	WANT(fd >= 0 && pwrite(fd, "x", 1, 10000) == 1);
	WANT(pread(fd, buf, sizeof(buf), 0) == 10001 && memcmp(buf, zero, 10000) == 0);
	WANT(ftruncate(fd, 20000) == 0 && size_of("file") == 20000);
	WANT(pread(fd, buf, 5000, 15000) == 5000 && memcmp(buf, zero, 5000) == 0);
	WANT(ftruncate(fd, 5) == 0 && ftruncate(fd, 20000) == 0);
	WANT(pread(fd, buf, 10001, 0) == 10001 && memcmp(buf, zero, 10000) == 0 && buf[10000] == 0);
	WANT(pread(fd, buf, 10, 20000) == 0 && pread(fd, buf, 10, 30000) == 0);
	WANT(close(fd) == 0 && truncate("file", 3) == 0 && size_of("file") == 3);
	FAILS(ENOENT, truncate("missing", 0));
	FAILS(EISDIR, truncate(".", 0));
	return (0);
}

static int
case_vectors(void)
{
	char a[4] = "", b[4] = "";
	struct iovec out[2] = { { (void *)(uintptr_t)"abc", 3 }, { (void *)(uintptr_t)"def", 3 } };
	struct iovec in[2] = { { a, 3 }, { b, 3 } };
	int fd = open("file", O_RDWR | O_CREAT, 0644);

	WANT(fd >= 0 && writev(fd, out, 2) == 6 && pwritev(fd, out, 1, 6) == 3);
	WANT(preadv(fd, in, 2, 3) == 6 && strcmp(a, "def") == 0 && strcmp(b, "abc") == 0);
	WANT(close(fd) == 0 && has("file", "abcdefabc"));
	return (0);
}

static int
case_direct(void)
{
	char *buf = aligned_alloc(4096, 8192);
	int fd = open("file", O_RDWR | O_CREAT | O_DIRECT, 0644);

	WANT(fd >= 0 && buf != NULL);
	memset(buf, 'd', 8192);
	WANT(write(fd, buf, 8192) == 8192);
	memset(buf, 0, 8192);
	WANT(pread(fd, buf, 4096, 4096) == 4096 && buf[0] == 'd' && buf[4095] == 'd');
	WANT(close(fd) == 0 && size_of("file") == 8192);
	free(buf);
	return (0);
}

static int
case_copy_range(void)
{
	int from, to, why;
	ssize_t n;

	WANT(put("from", "copy me") == 0);
	WANT((from = open("from", O_RDONLY)) >= 0);
	WANT((to = open("to", O_WRONLY | O_CREAT, 0644)) >= 0);
	n = copy_file_range(from, NULL, to, NULL, 7, 0);
	why = errno;
	WANT(n == 7 || (n < 0 && is_refusal(why)));
	WANT(close(from) == 0 && close(to) == 0);
	WANT(n < 0 || has("to", "copy me"));
	return (0);
}

static int
case_seek_data(void)
{
	int fd;

	WANT(put("file", "0123456789") == 0 && (fd = open("file", O_RDONLY)) >= 0);
	WANT(lseek(fd, 0, SEEK_DATA) == 0 && lseek(fd, 3, SEEK_HOLE) == 10);
	FAILS(ENXIO, lseek(fd, 10, SEEK_DATA));
	WANT(close(fd) == 0);
	return (0);
}

/* Refused, or room is there and punched holes are zeros. */
static int
case_fallocate(void)
{
	char zero[10] = { 0 }, buf[10];
	int fd = open("file", O_RDWR | O_CREAT, 0644), why;

	WANT(fd >= 0);
	why = fallocate(fd, 0, 0, 1000) == 0 ? 0 : errno;
	WANT(why == 0 ? size_of("file") == 1000 : is_refusal(why));
	why = posix_fallocate(fd, 0, 2000);	/* a C library may write instead */
	WANT(why == 0 ? size_of("file") == 2000 : is_refusal(why));
	WANT(pwrite(fd, "xxxxxxxxxx", 10, 0) == 10);
	why = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10) == 0 ? 0 : errno;
	WANT(pread(fd, buf, 10, 0) == 10);
	WANT(why == 0 ? memcmp(buf, zero, 10) == 0 : is_refusal(why));
	WANT(why == 0 || memcmp(buf, "xxxxxxxxxx", 10) == 0);
	WANT(close(fd) == 0);
	return (0);
}

/* ---- memory maps --------------------------------------------------------------------- */

static int
case_mmap(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);
	char *shared, *private;

	WANT(fd >= 0 && ftruncate(fd, 9000) == 0);
	shared = mmap(NULL, 9000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 9000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	WANT(shared != MAP_FAILED && private != MAP_FAILED);
	memcpy(shared + 5000, "mapped", 6);
	memcpy(private, "private", 7);
	WANT(pwrite(fd, "written", 7, 8000) == 7 && memcmp(shared + 8000, "written", 7) == 0);
	WANT(msync(shared, 9000, MS_SYNC) == 0);
	WANT(munmap(shared, 9000) == 0 && munmap(private, 9000) == 0 && close(fd) == 0);
	WANT((fd = open("file", O_RDONLY)) >= 0);
	shared = mmap(NULL, 9000, PROT_READ, MAP_SHARED, fd, 0);
	WANT(shared != MAP_FAILED && memcmp(shared + 5000, "mapped", 6) == 0);
	WANT(shared[0] == 0 && memcmp(shared + 8000, "written", 7) == 0);
	WANT(munmap(shared, 9000) == 0 && close(fd) == 0);
	return (0);
}

/* ---- links, special files, attributes ------------------------------------------------ */

static int
case_hard_link(void)
{
	WANT(put("file", "x") == 0);
	FAILS(EPERM, link("file", "other"));
	WANT(!is_there("other"));
	return (0);
}

static int
case_special(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	FAILS(EPERM, mkfifo("fifo", 0644));
	FAILS(EPERM, mknod("device", S_IFCHR | 0644, 0x0103));
	WANT(s >= 0);
	FAILS(EPERM, bind(s, (struct sockaddr *)&a, sizeof(a)));
	close(s);
	WANT(count(".") == 0);
	return (0);
}

static int
case_symlink(void)
{
	char target[64] = "";
	struct stat st;

	WANT(put("file", "text") == 0 && symlink("file", "link") == 0);
	WANT(lstat("link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 4);
	WANT(readlink("link", target, sizeof(target)) == 4 && strcmp(target, "file") == 0);
	WANT(has("link", "text"));
	FAILS(EEXIST, symlink("elsewhere", "link"));
	WANT(symlink("missing", "dangling") == 0);
	FAILS(ENOENT, open("dangling", O_RDONLY));
	FAILS(ELOOP, open("link", O_RDONLY | O_NOFOLLOW));
	FAILS(EINVAL, readlink("file", target, sizeof(target)));
	WANT(rename("link", "moved") == 0 && has("moved", "text"));
	WANT(unlink("moved") == 0 && unlink("dangling") == 0 && has("file", "text"));
	WANT(symlink("file", "kept") == 0);
	return (0);
}

#define META	"user.azure.meta.note"

/* The blob's metadata, and no other names. */
static int
case_xattr(void)
{
	char value[16] = "";

	WANT(put("file", "text") == 0);
	FAILS(EOPNOTSUPP, setxattr("file", "user.other", "x", 1, 0));
	FAILS(ENODATA, getxattr("file", META, value, sizeof(value)));
	FAILS(ENODATA, setxattr("file", META, "x", 1, XATTR_REPLACE));
	WANT(setxattr("file", META, "kept", 4, 0) == 0);
	WANT(getxattr("file", META, value, sizeof(value)) == 4);
	WANT(strcmp(value, "kept") == 0);
	FAILS(EEXIST, setxattr("file", META, "x", 1, XATTR_CREATE));
	FAILS(ERANGE, getxattr("file", META, value, 2));
	WANT(listxattr("file", NULL, 0) >= (ssize_t)sizeof(META));
	WANT(removexattr("file", META) == 0);
	FAILS(ENODATA, getxattr("file", META, value, sizeof(value)));
	WANT(setxattr("file", META, "kept", 4, 0) == 0 && has("file", "text"));
	return (0);
}

static int
case_mode_owner(void)
{
	struct stat st;

	WANT(put("file", "x") == 0 && mkdir("dir", 0700) == 0);
	WANT(chmod("file", 0751) == 0 && stat("file", &st) == 0 && (st.st_mode & 07777) == 0751);
	WANT(chown("file", 12, 34) == 0 && stat("file", &st) == 0 && st.st_uid == 12);
	WANT(st.st_gid == 34 && stat("dir", &st) == 0 && (st.st_mode & 07777) == 0700);
	WANT(rename("file", "renamed") == 0 && stat("renamed", &st) == 0 && st.st_uid == 12);
	WANT((st.st_mode & 0777) == 0751);
	return (0);
}

static int
case_times(void)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 1000000000, 5000 } };
	struct stat before, st;
	int fd;

	WANT(put("file", "x") == 0 && utimensat(AT_FDCWD, "file", t, 0) == 0);
	WANT(stat("file", &before) == 0 && before.st_mtime == 1000000000);
	WANT(has("file", "x") && stat("file", &st) == 0 && st.st_mtime == 1000000000);
	WANT((fd = open("file", O_WRONLY)) >= 0 && write(fd, "y", 1) == 1);
	WANT(fstat(fd, &st) == 0 && st.st_mtime > 1700000000);
	WANT(futimens(fd, t) == 0 && close(fd) == 0);	/* as cp -p and tar do */
	WANT(stat("file", &st) == 0 && st.st_mtime == 1000000000);
	return (0);
}

static int
case_statfs(void)
{
	struct statvfs v;

	WANT(statvfs(".", &v) == 0 && v.f_bavail > 0 && v.f_namemax == 255);
	return (0);
}

static int
run_itself(void *arg)
{
	(void)arg;
	execl("./program", "program", "-l", (char *)NULL);
	return (126);
}

static int
case_execute(void)
{
	static char buf[65536];
	int from = open("/proc/self/exe", O_RDONLY), to = open("program", O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	WANT(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		WANT(write(to, buf, (size_t)n) == n);
	WANT(close(from) == 0 && close(to) == 0);
	if (freopen("/dev/null", "w", stdout) == NULL)
		return (1);
	WANT(in_child(run_itself, NULL) == 0);
	return (0);
}

/* ---- unlink, rmdir ------------------------------------------------------------------- */

static int
case_unlink(void)
{
	WANT(put("file", "x") == 0 && mkdir("dir", 0755) == 0);
	WANT(unlink("file") == 0 && !is_there("file") && count(".") == 1);
	FAILS(ENOENT, unlink("file"));
	FAILS(EISDIR, unlink("dir"));
	FAILS(ENOENT, open("file", O_RDONLY));
	return (0);
}

/* A file that was written here, and has lost its name. */
static int
case_unlink_open(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);

	WANT(fd >= 0 && write(fd, "first", 5) == 5 && fsync(fd) == 0);
	WANT(unlink("file") == 0 && !is_there("file"));
	WANT(fd_has(fd, "first") && pwrite(fd, "F", 1, 0) == 1 && fd_has(fd, "First"));
	WANT(put("file", "second") == 0 && has("file", "second") && fd_has(fd, "First"));
	WANT(ftruncate(fd, 2) == 0 && fd_has(fd, "Fi") && fsync(fd) == 0);
	WANT(close(fd) == 0 && has("file", "second"));
	return (0);
}

static int
case_directories(void)
{
	WANT(mkdir("dir", 0755) == 0 && mkdir("dir/sub", 0755) == 0);
	FAILS(EEXIST, mkdir("dir", 0755));
	FAILS(ENOENT, mkdir("missing/dir", 0755));
	FAILS(ENOTEMPTY, rmdir("dir"));
	WANT(put("dir/sub/file", "x") == 0 && count("dir") == 1 && count("dir/sub") == 1);
	FAILS(ENOTDIR, mkdir("dir/sub/file/dir", 0755));
	FAILS(EEXIST, mkdir("dir/sub/file", 0755));
	FAILS(ENOTDIR, rmdir("dir/sub/file"));
	FAILS(ENOTEMPTY, rmdir("dir/sub"));
	WANT(unlink("dir/sub/file") == 0 && is_there("dir/sub"));
	WANT(rmdir("dir/sub") == 0 && rmdir("dir") == 0 && !is_there("dir"));
	FAILS(ENOENT, rmdir("dir"));
	WANT(mkdir("dir", 0755) == 0 && count("dir") == 0 && rmdir("dir") == 0);
	return (0);
}

/* ---- rename -------------------------------------------------------------------------- */

static int
case_rename(void)
{
	WANT(put("a", "first") == 0 && put("b", "second") == 0 && mkdir("dir", 0755) == 0);
	WANT(rename("a", "c") == 0 && !is_there("a") && has("c", "first"));
	WANT(rename("c", "b") == 0 && !is_there("c") && has("b", "first") && count(".") == 2);
	WANT(rename("b", "b") == 0 && has("b", "first"));
	WANT(rename("b", "dir/b") == 0 && has("dir/b", "first") && count(".") == 1);
	WANT(put("a", "new") == 0);
	FAILS(EISDIR, rename("a", "dir"));
	FAILS(ENOTDIR, rename("dir", "a"));
	FAILS(ENOENT, rename("missing", "a"));
	FAILS(ENOENT, rename("a", "missing/a"));
	WANT(has("a", "new"));
	return (0);
}

static int
case_rename_flags(void)
{
	WANT(put("a", "first") == 0 && put("b", "second") == 0);
	FAILS(EEXIST, rename_flags("a", "b", RENAME_NOREPLACE));
	WANT(has("a", "first") && has("b", "second"));
	WANT(rename_flags("a", "c", RENAME_NOREPLACE) == 0 && has("c", "first"));
	FAILS(EINVAL, rename_flags("b", "c", RENAME_EXCHANGE));
	WANT(has("b", "second") && has("c", "first"));
	return (0);
}

static int
case_rename_directory(void)
{
	int fd;

	WANT(mkdir("dir", 0755) == 0 && mkdir("dir/sub", 0755) == 0 && mkdir("full", 0755) == 0);
	WANT(mkdir("empty", 0755) == 0 && put("dir/sub/file", "deep") == 0);
	WANT(put("full/file", "x") == 0 && put("dir/top", "t") == 0);
	WANT((fd = open("dir/sub/file", O_RDWR)) >= 0);
	FAILS(ENOTEMPTY, rename("dir", "full"));
	FAILS(EINVAL, rename("dir", "dir/sub/dir"));
	WANT(rename("dir", "empty") == 0 && !is_there("dir"));
	WANT(has("empty/sub/file", "deep") && has("empty/top", "t") && count("empty") == 2);
	WANT(pwrite(fd, "D", 1, 0) == 1 && close(fd) == 0 && has("empty/sub/file", "Deep"));
	WANT(rename("empty/sub", "sub") == 0 && has("sub/file", "Deep") && count("empty") == 1);
	WANT(mkdir("dir", 0755) == 0 && count("dir") == 0);
	return (0);
}

/* What is written after the rename is in the file of the new name. */
static int
case_rename_open(void)
{
	int fd = open("tmp", O_RDWR | O_CREAT, 0644), other;

	WANT(fd >= 0 && write(fd, "before ", 7) == 7);
	WANT(rename("tmp", "final") == 0 && write(fd, "after", 5) == 5);
	WANT(has("final", "before after") && !is_there("tmp"));
	WANT((other = open("tmp", O_WRONLY | O_CREAT | O_EXCL, 0644)) >= 0);
	WANT(write(other, "other", 5) == 5 && close(other) == 0 && close(fd) == 0);
	WANT(has("final", "before after") && has("tmp", "other"));
	return (0);
}

/* A file whose name was given to another goes on for who has it open. */
static int
case_rename_over_open(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644);

	WANT(fd >= 0 && write(fd, "old", 3) == 3 && put("tmp", "new") == 0);
	WANT(rename("tmp", "file") == 0 && has("file", "new") && fd_has(fd, "old"));
	WANT(write(fd, "er", 2) == 2 && fd_has(fd, "older"));
	WANT(close(fd) == 0 && has("file", "new"));
	return (0);
}

static int
case_directory_fd(void)
{
	int dir, fd;

	WANT(mkdir("dir", 0755) == 0 && (dir = open("dir", O_RDONLY | O_DIRECTORY)) >= 0);
	WANT(rename("dir", "moved") == 0);
	WANT((fd = openat(dir, "file", O_WRONLY | O_CREAT, 0644)) >= 0 && close(fd) == 0);
	WANT(is_there("moved/file") && fsync(dir) == 0 && close(dir) == 0);
	return (0);
}

/* ---- directories --------------------------------------------------------------------- */

#define MANY	300

static int
make_many(void)
{
	char name[32];
	int i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		if (put(name, "") != 0)
			return (-1);
	}
	return (mkdir("zz", 0755));
}

static int
is_dot(const struct dirent *e)
{
	return (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
}

/* Each name once, with its type; also when files go while it is read. */
static int
case_readdir(void)
{
	char seen[MANY] = { 0 };
	struct dirent *e;
	int files = 0, dirs = 0, dots = 0;
	DIR *d;

	WANT(make_many() == 0 && (d = opendir(".")) != NULL);
	while (errno = 0, (e = readdir(d)) != NULL) {
		dots += is_dot(e);
		if (is_dot(e))
			continue;
		WANT(e->d_type == (e->d_name[0] == 'z' ? DT_DIR : DT_REG));
		dirs += e->d_type == DT_DIR;
		if (e->d_type != DT_REG)
			continue;
		WANT(seen[atoi(e->d_name + 1)]++ == 0);
		files++;
		WANT(unlink(e->d_name) == 0);
	}
	WANT(files == MANY && dirs == 1 && dots == 2);
	WANT(rmdir("zz") == 0);
	rewinddir(d);
	while ((e = readdir(d)) != NULL)
		WANT(is_dot(e));
	closedir(d);
	WANT(put("new", "") == 0 && count(".") == 1);
	return (0);
}

static int
case_seekdir(void)
{
	char name[256];
	struct dirent *e;
	long at = 0;
	DIR *d;
	int i;

	WANT(make_many() == 0 && (d = opendir(".")) != NULL);
	for (i = 0; i < MANY / 2; i++) {
		at = telldir(d);
		WANT((e = readdir(d)) != NULL);
	}
	snprintf(name, sizeof(name), "%s", e->d_name);
	while (readdir(d) != NULL)
		;
	seekdir(d, at);
	WANT((e = readdir(d)) != NULL && strcmp(e->d_name, name) == 0);
	closedir(d);
	return (0);
}

/* ---- descriptors and processes ------------------------------------------------------- */

static int
close_it(void *arg)
{
	return (write(*(int *)arg, "child ", 6) != 6 || close(*(int *)arg) != 0);
}

/* Closing one of several descriptors of an open file uploads, and the others go on. */
static int
case_duplicates(void)
{
	int fd = open("file", O_WRONLY | O_CREAT, 0644), other = dup(fd);

	WANT(fd >= 0 && other >= 0 && write(fd, "one ", 4) == 4 && close(other) == 0);
	WANT(in_child(close_it, &fd) == 0 && write(fd, "two", 3) == 3 && close(fd) == 0);
	WANT(has("file", "one child two"));
	return (0);
}

static int
try_locks(void *arg)
{
	struct flock l = { .l_type = F_WRLCK };
	int fd = open("file", O_RDWR), taken;

	taken = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
	taken |= fcntl(fd, F_SETLK, &l) == 0;
	return (taken != *(int *)arg);
}

static int
case_locks(void)
{
	struct flock l = { .l_type = F_WRLCK };
	int fd = open("file", O_RDWR | O_CREAT, 0644), no = 0, yes = 1;

	WANT(fd >= 0 && flock(fd, LOCK_EX) == 0 && fcntl(fd, F_SETLK, &l) == 0);
	WANT(in_child(try_locks, &no) == 0);
	l.l_type = F_UNLCK;
	WANT(flock(fd, LOCK_UN) == 0 && fcntl(fd, F_SETLK, &l) == 0);
	WANT(in_child(try_locks, &yes) == 0);
	WANT(close(fd) == 0);
	return (0);
}

static int
case_sync(void)
{
	int fd = open("file", O_RDWR | O_CREAT, 0644), dir = open(".", O_RDONLY | O_DIRECTORY);

	WANT(fd >= 0 && write(fd, "text", 4) == 4 && fsync(fd) == 0 && fdatasync(fd) == 0);
	WANT(write(fd, " more", 5) == 5 && fdatasync(fd) == 0 && close(fd) == 0);
	WANT(dir >= 0 && fsync(dir) == 0 && syncfs(dir) == 0 && close(dir) == 0);
	WANT(has("file", "text more"));
	return (0);
}

static int
case_names(void)
{
	static const char *const names[] = { "with space", " leading", "trailing ", "100%", "%2F",
	    "a#b?c&d=e", "a+b", "<tag>&amp;", "quote'\"", "semi;colon:", "\xe6\x97\xa5\xe6\x9c\xac",
	    ".hidden", "dot.", "-n", "tilde~", "[x]{y}", "comma,at@" };
	size_t i, n = sizeof(names) / sizeof(names[0]);

	for (i = 0; i < n; i++)
		WANT(put(names[i], names[i]) == 0);
	for (i = 0; i < n; i++)
		WANT(has(names[i], names[i]));
	WANT(count(".") == (int)n);
	for (i = 0; i < n; i++)
		WANT(rename(names[i], "moved") == 0 && has("moved", names[i]) &&
		    unlink("moved") == 0);
	WANT(count(".") == 0);
	return (0);
}

static int
case_tmpfile(void)
{
	int fd = open(".", O_RDWR | O_TMPFILE, 0600);

	if (fd < 0) {
		FAILS(EOPNOTSUPP, open(".", O_RDWR | O_TMPFILE, 0600));
		return (0);
	}
	WANT(write(fd, "x", 1) == 1 && count(".") == 0 && close(fd) == 0);
	return (0);
}

/* ---- a read-only mount --------------------------------------------------------------- */

static int
case_readonly(void)
{
	struct timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	WANT(size_of("file") >= 0 && size_of("dir/file") >= 0);
	FAILS(EROFS, open("file", O_RDWR));
	FAILS(EROFS, open("file", O_WRONLY | O_TRUNC));
	FAILS(EROFS, open("new", O_WRONLY | O_CREAT, 0644));
	FAILS(EROFS, truncate("file", 0));
	FAILS(EROFS, unlink("file"));
	FAILS(EROFS, mkdir("new", 0755));
	FAILS(EROFS, rmdir("dir"));
	FAILS(EROFS, rename("file", "new"));
	FAILS(EROFS, link("file", "new"));
	FAILS(EROFS, symlink("file", "new"));
	FAILS(EROFS, mkfifo("new", 0644));
	FAILS(EROFS, chmod("file", 0777));
	FAILS(EROFS, chown("file", 1, 1));
	FAILS(EROFS, utimensat(AT_FDCWD, "file", t, 0));
	FAILS(EROFS, access("file", W_OK));
	return (0);
}

/* ---- the table ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	int	 (*run)(void);
} cases[] = {
	{ "create", case_create }, { "exclusive", case_exclusive },
	{ "exclusive-race", case_exclusive_race }, { "errors", case_errors },
	{ "access-mode", case_access_mode }, { "visible", case_visible },
	{ "random-write", case_random_write }, { "append", case_append },
	{ "append-together", case_append_together }, { "holes", case_holes },
	{ "vectors", case_vectors }, { "direct", case_direct }, { "copy-range", case_copy_range },
	{ "seek-data", case_seek_data }, { "fallocate", case_fallocate }, { "mmap", case_mmap },
	{ "hard-link", case_hard_link }, { "special", case_special }, { "symlink", case_symlink },
	{ "xattr", case_xattr }, { "mode-owner", case_mode_owner }, { "times", case_times },
	{ "statfs", case_statfs }, { "execute", case_execute }, { "unlink", case_unlink },
	{ "unlink-open", case_unlink_open }, { "directories", case_directories },
	{ "rename", case_rename }, { "rename-flags", case_rename_flags },
	{ "rename-directory", case_rename_directory }, { "rename-open", case_rename_open },
	{ "rename-over-open", case_rename_over_open }, { "directory-fd", case_directory_fd },
	{ "readdir", case_readdir }, { "seekdir", case_seekdir },
	{ "duplicates", case_duplicates }, { "locks", case_locks }, { "sync", case_sync },
	{ "names", case_names }, { "tmpfile", case_tmpfile }, { "readonly", case_readonly },
};
#define CASES	(sizeof(cases) / sizeof(cases[0]))

/* In a process of its own: what it leaves open or changes ends with it. */
static int
run_case(const char *dir, size_t i)
{
	int readonly = cases[i].run == case_readonly;
	pid_t pid = fork();
	int status;

	if (pid != 0)
		return (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0);
	umask(022);
	if (chdir(dir) != 0 || (!readonly && (mkdir(cases[i].name, 0755) != 0 ||
	    chdir(cases[i].name) != 0))) {
		fprintf(stderr, "FAILED %s: %s: %s\n", cases[i].name, dir, strerror(errno));
		_exit(1);
	}
	if (cases[i].run() != 0) {
		fprintf(stderr, "FAILED %s: line %d: %s (errno %d, %s)\n", cases[i].name,
		    problem_line, problem, problem_errno, strerror(problem_errno));
		_exit(1);
	}
	_exit(0);
}

static int
is_wanted(int argc, char **argv, size_t i)
{
	int k;

	for (k = 2; k < argc; k++)
		if (strcmp(argv[k], cases[i].name) == 0)
			return (1);
	return (argc == 2 && cases[i].run != case_readonly);
}

int
main(int argc, char **argv)
{
	int failed = 0, bad;
	size_t i;

	if (argc < 2) {
		fprintf(stderr, "usage: posix DIR [CASE...] | posix -l\n");
		return (2);
	}
	for (i = 0; i < CASES; i++) {
		if (strcmp(argv[1], "-l") == 0) {
			puts(cases[i].name);
			continue;
		}
		if (!is_wanted(argc, argv, i))
			continue;
		bad = run_case(argv[1], i);
		failed |= bad;
		if (!bad)
			printf("ok %s\n", cases[i].name);
		fflush(stdout);
	}
	return (failed);
}
