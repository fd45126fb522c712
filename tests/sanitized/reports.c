/*
 * reports -- part of the sanitized amlshim and azsim only: where the runtimes' reports go, and
 * leaks of processes that end with _exit(), as all workers do.
 *
 * A report goes to reports/report.PID beside the program, where there is such a directory:
 * the stderr of a worker may be anything.  The environment will not do to say so, for jobs
 * are run with a bare one; ASAN_OPTIONS and the like count where they are set.
 *
 * Source: sanitizer/asan_interface.h, lsan_interface.h; "Common flags" of the sanitizers' wiki.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define OPTIONS_MAX	4600		/* a path and the words around it */
#define EARLY	__attribute__((no_sanitize("address", "undefined", "thread")))

const char	*__asan_default_options(void);
const char	*__lsan_default_options(void);
const char	*__tsan_default_options(void);
const char	*__ubsan_default_options(void);
void		 __real__exit(int) __attribute__((noreturn));
void		 __wrap__exit(int) __attribute__((noreturn));

static EARLY size_t
put(char *to, size_t at, const char *text)
{
	while (*text != '\0')
		to[at++] = *text++;
	to[at] = '\0';
	return (at);
}

/*
 * what, and log_path if there is a directory for it.  Called before main() by a runtime that is
 * not ready: nothing of the libc that it intercepts.
 */
static EARLY const char *
with_path(char *ret, const char *what)
{
	size_t words = put(ret, 0, what), path, end;
	long n;

	path = put(ret, words, ":log_path='");
	n = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", ret + path, 4096);
	end = path + (size_t)(n > 0 ? n : 0);
	while (end > path && ret[end - 1] != '/')
		end--;
	end = put(ret, end, "reports");
	if (n <= 0 || syscall(SYS_faccessat, AT_FDCWD, ret + path, W_OK) != 0)
		ret[words] = '\0';
	else
		put(ret, end, "/report'");
	return (ret);
}

EARLY const char *
__asan_default_options(void)
{
	static char text[OPTIONS_MAX];

	return (with_path(text, "exitcode=99:detect_stack_use_after_return=1:"
	    "strict_string_checks=1:handle_abort=1"));
}

EARLY const char *
__lsan_default_options(void)
{
	return ("exitcode=99");
}

EARLY const char *
__tsan_default_options(void)
{
	static char text[OPTIONS_MAX];

	return (with_path(text, "exitcode=99:second_deadlock_stack=1"));
}

EARLY const char *
__ubsan_default_options(void)
{
	static char text[OPTIONS_MAX];

	return (with_path(text, "exitcode=99:print_stacktrace=1"));
}

#ifdef __SANITIZE_ADDRESS__
static int has_threads;		/* when it last forked */
static int beside_threads;	/* this process was forked by one that had */

static void
before_fork(void)
{
	struct stat st;

	/* A directory for each thread. */
	has_threads = stat("/proc/self/task", &st) == 0 && st.st_nlink > 2 + 1;
}

static void
in_child(void)
{
	beside_threads |= has_threads;
}

static void __attribute__((constructor))
look_at_forks(void)
{
	pthread_atfork(before_fork, NULL, in_child);
}
#endif

/*
 * It stops the other threads and reads their registers, for which it needs /proc.  In a process
 * that was forked beside threads it might wait for ever: for locks that they had.
 */
void
__wrap__exit(int status)
{
#ifdef __SANITIZE_ADDRESS__
	if (!beside_threads && access("/proc/self/task", R_OK) == 0)
		__lsan_do_leak_check();
#endif
	__real__exit(status);
}
