/* sys: masks and dispositions of all 64 signals; workers; descriptors. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

/* The exit status of f in a child. */
static int
in_child(int (*f)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(f());
	if (child < 0 || waitpid(child, &status, 0) != child)
		return (-1);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* 33: libc's own, 34: the first that glibc gives to programs. */
static int
block_and_read_signal_34(void)
{
	uint64_t all = SYS_SIG_ALL, old = 1, now = 0;
	struct signalfd_siginfo info;
	struct pollfd p = { .events = POLLIN };

	if (sys_sigprocmask(SIG_SETMASK, &all, &old) != 0 || (old & SYS_SIG(34)) != 0)
		return (1);
	if (sys_sigprocmask(SIG_SETMASK, NULL, &now) != 0 ||
	    now != (SYS_SIG_ALL & ~SYS_SIG(SIGKILL) & ~SYS_SIG(SIGSTOP)))
		return (2);
	p.fd = sys_signalfd(-1, SYS_SIG(34) | SYS_SIG(SIGTERM));
	if (p.fd < 0 || (fcntl(p.fd, F_GETFD) & FD_CLOEXEC) == 0 ||
	    (fcntl(p.fd, F_GETFL) & O_NONBLOCK) == 0)
		return (3);
	if (read(p.fd, &info, sizeof(info)) >= 0 || errno != EAGAIN)
		return (4);
	if (kill(getpid(), 34) != 0 || poll(&p, 1, 5000) != 1 ||
	    read(p.fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || info.ssi_signo != 34)
		return (5);
	if (sys_signalfd(p.fd, SYS_SIG(SIGHUP)) != p.fd || kill(getpid(), SIGHUP) != 0 ||
	    poll(&p, 1, 5000) != 1 || read(p.fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
	    info.ssi_signo != SIGHUP)
		return (6);
	return (sys_sigprocmask(SIG_SETMASK, &old, NULL) == 0 ? 0 : 7);
}

static int
ignore_and_restore(void)
{
	uint64_t before = 0, after = 0;

	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (sys_get_ignored(&before) != 0 || (before & SYS_SIG(SIGPIPE)) == 0 ||
	    (before & SYS_SIG(SIGHUP)) != 0)
		return (1);
	if (sys_set_ignored(SIGHUP, 1) != 0 || sys_set_ignored(SIGPIPE, 0) != 0 ||
	    sys_set_ignored(34, 1) != 0 || sys_get_ignored(&after) != 0)
		return (2);
	if (((before | SYS_SIG(SIGHUP) | SYS_SIG(34)) & ~SYS_SIG(SIGPIPE)) != after)
		return (3);
	if (kill(getpid(), SIGHUP) != 0 || kill(getpid(), 34) != 0)
		return (4);
	return (sys_set_ignored(SIGKILL, 1) == -1 && sys_set_ignored(65, 1) == -1 ? 0 : 5);
}

static int
harden(void)
{
	if (sys_harden_worker(0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return (1);
	if (sys_harden_worker(getppid()) != 0)
		return (2);
	return (sys_harden_worker(getpid()) == -1 && errno == ESRCH ? 0 : 3);
}

/* The grandchild holds the pipe's end until it dies with its parent. */
static void
a_worker_dies_with_its_parent(void)
{
	int fds[2], ready[2], status;
	struct pollfd p = { .events = POLLIN };
	pid_t child, me;
	char c = 0;

	if (!check(pipe2(fds, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0))
		return;
	child = fork();
	if (child == 0) {
		me = getpid();
		if (fork() == 0) {
			if (sys_harden_worker(me) == 0 && fd_write_all(ready[1], "x", 1) == 0)
				poll(NULL, 0, 20000);
			_exit(0);
		}
		close(ready[1]);
		_exit(read(ready[0], &c, 1) == 1 ? 0 : 1);
	}
	close(fds[1]);
	close(ready[0]);
	close(ready[1]);
	waitpid(child, &status, 0);
	check_int(status, 0);
	p.fd = fds[0];
	check_int(poll(&p, 1, 10000), 1);
	check_int(read(fds[0], &c, 1), 0);
	close(fds[0]);
}

static void
descriptors(void)
{
	int pidfd, memfd, status, a, b;
	struct pollfd p = { .events = POLLIN };
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	pidfd = sys_pidfd_open(child);
	if (pidfd < 0 && errno == ENOSYS)
		check_skip("pidfd_open is not known here (Linux before 5.3, valgrind)");
	else {
		check(pidfd >= 0 && (fcntl(pidfd, F_GETFD) & FD_CLOEXEC) != 0);
		p.fd = pidfd;
		check_int(poll(&p, 1, 5000), 1);
		close(pidfd);
	}
	waitpid(child, &status, 0);
	check_int(sys_pidfd_open(-1), -1);

	memfd = sys_memfd("test");
	check(memfd >= 0 && (fcntl(memfd, F_GETFD) & FD_CLOEXEC) != 0);
	check_int(fd_pwrite_all(memfd, "x", 1, 5), 0);
	a = fcntl(memfd, F_DUPFD_CLOEXEC, 50);
	b = fcntl(memfd, F_DUPFD_CLOEXEC, 60);
	if (sys_close_range(50, 55) == 0) {
		check_int(fcntl(a, F_GETFD), -1);
		check(fcntl(b, F_GETFD) >= 0);
	} else {
		check(errno == ENOSYS || errno == EPERM);	/* an old kernel, a filter */
		close(a);
	}
	close(b);
	close(memfd);
}

static void
comm(void)
{
	struct err e = ERR_EMPTY;
	auto_buf struct buf b = BUF_EMPTY;

	sys_set_comm("amlshim: a long name");
	check_int(fd_read_file("/proc/self/comm", 100, &b, &e), 0);
	check_str(buf_str(&b), "amlshim: a long\n");
}

int
main(void)
{
	check_int(in_child(block_and_read_signal_34), 0);
	check_int(in_child(ignore_and_restore), 0);
	check_int(in_child(harden), 0);
	a_worker_dies_with_its_parent();
	descriptors();
	comm();
	return (check_done());
}
