/* confine: what a worker may still do, and what ends it. */

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/mem.h"
#include "base/sys.h"
#include "check.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* How a confined process that does this ends: its errno, or 1000 + the signal. */
static int
outcome(enum confine_kind kind, int (*deed)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || confine_self(kind) != 0)
			_exit(250);
		errno = 0;
		_exit(deed() < 0 ? errno : 0);
	}
	check(child > 0 && waitpid(child, &status, 0) == child);
	return (WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int
run(void)
{
	char *argv[] = { (char *)(uintptr_t)"/bin/true", NULL }, *envp[] = { NULL };

	return (execve(argv[0], argv, envp));
}

static int
trace(void)
{
	return ((int)ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int
mount_something(void)
{
	return (mount("none", "/nowhere", "tmpfs", 0, NULL));
}

static int
read_another(void)
{
	return ((int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int
new_process(void)
{
	return ((int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0));
}

static int
kill_init(void)
{
	return (kill(1, 0));
}

static int
new_identity(void)
{
	return ((int)syscall(SYS_setuid, 12345));
}

static void *
code_page(int protection)
{
	/* Not by libc: musl makes ENOMEM of EPERM. */
	return ((void *)syscall(SYS_mmap, NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0));
}

static int
new_code(void)
{
	return (code_page(PROT_READ | PROT_EXEC) == MAP_FAILED ? -1 : 0);
}

static int
late_code(void)
{
	void *page = code_page(PROT_READ | PROT_WRITE);

	return (page == MAP_FAILED ? 0 : mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int
raw_packets(void)
{
	return (socket(AF_PACKET, SOCK_RAW, 0));
}

static int
type_into_terminal(void)
{
	char c = 'x';

	return (ioctl(0, TIOCSTI, &c));
}

static int
be_traceable(void)
{
	return (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int
make_directory(void)
{
	return (mkdir("/tmp", 0700));
}

static void *
nothing(void *arg)
{
	return (arg);
}

/* What workers live on. */
static int
work(void)
{
	pthread_t thread;
	char byte = 'x';
	int pair[2], fd, rc;

	rc = pthread_create(&thread, NULL, nothing, NULL);
	if (rc != 0 || pthread_join(thread, NULL) != 0)
		return (-1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 ||
	    send(pair[0], &byte, 1, 0) != 1 || recv(pair[1], &byte, 1, 0) != 1)
		return (-1);
	if ((fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) < 0 || read(fd, &byte, 1) != 1)
		return (-1);
	if (code_page(PROT_READ | PROT_WRITE) == MAP_FAILED)
		return (-1);
	return (prctl(PR_SET_NAME, "worker", 0, 0, 0));
}

/* Of the process that tests, which is of the same user and as capable. */
static int
open_memory(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	return (open(path, O_RDWR | O_CLOEXEC));
}

/* Between directories, which Landlock could also refuse. */
static int
move_file(void)
{
	char from[] = "/tmp/confine-XXXXXX", name[64], to[64];
	int fd, rc;

	if (mkdtemp(from) == NULL)
		return (-1);
	snprintf(name, sizeof(name), "%s/file", from);
	snprintf(to, sizeof(to), "%s.moved", from);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	rc = fd < 0 ? -1 : rename(name, to);
	unlink(to);
	unlink(name);
	rmdir(from);
	return (rc);
}

static int
nothing_at_all(void)
{
	return (0);
}

/* Of a process that does this with less sight, or fewer capabilities. */
static int
outcome_without(int sight, int caps, int (*deed)(void))
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		    (sight && confine_sight() != 0) ||
		    (caps && sys_keep_caps(SYS_CAP(CAP_DAC_OVERRIDE)) != 0))
			_exit(250);
		errno = 0;
		_exit(deed() < 0 ? errno : 0);
	}
	check(child > 0 && waitpid(child, &status, 0) == child);
	return (WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void
no_memory_of_others(void)
{
	check_int(outcome_without(0, 0, open_memory), 0);	/* so it could */
	if (outcome_without(1, 0, nothing_at_all) == 250) {
		check_skip("this kernel has no Landlock");
	} else {
		check_int(outcome_without(1, 0, open_memory), EACCES);
		check_int(outcome_without(1, 0, run), EACCES);
		check_int(outcome_without(1, 0, move_file), 0);
		check_int(outcome_without(1, 0, work), 0);
	}
	if (geteuid() != 0)
		check_skip("needs root");
	else
		check_int(outcome_without(0, 1, open_memory), EACCES);
}

static void
workers_can_work(void)
{
	check_int(outcome(CONFINE_NETWORK, work), 0);
	check_int(outcome(CONFINE_FILES, work), 0);
}

static void
intruders_end_the_process(void)
{
	static int (*const deeds[])(void) = { run, trace, mount_something, read_another };
	size_t i;

	for (i = 0; i < LENGTH(deeds); i++) {
		check_int(outcome(CONFINE_NETWORK, deeds[i]), 1000 + SIGSYS);
		check_int(outcome(CONFINE_FILES, deeds[i]), 1000 + SIGSYS);
	}
}

static void
what_no_worker_needs_is_refused(void)
{
	static int (*const deeds[])(void) = { new_process, kill_init, new_identity, new_code,
	    late_code, raw_packets, type_into_terminal, be_traceable };
	size_t i;

	for (i = 0; i < LENGTH(deeds); i++) {
		check_int(outcome(CONFINE_NETWORK, deeds[i]), EPERM);
		check_int(outcome(CONFINE_FILES, deeds[i]), EPERM);
	}
}

static void
only_those_that_stage_files_make_directories(void)
{
	check_int(outcome(CONFINE_NETWORK, make_directory), EPERM);
	check_int(outcome(CONFINE_FILES, make_directory), EEXIST);
}

#endif

int
main(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	workers_can_work();
	no_memory_of_others();
	intruders_end_the_process();
	what_no_worker_needs_is_refused();
	only_those_that_stage_files_make_directories();
#else	/* nothing is confined here: sanitizers call what the program does not */
	check_int(confine_self(CONFINE_FILES), 0);
#endif
	return (check_done());
}
