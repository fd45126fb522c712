#include "init/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <paths.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/sys.h"
#include "base/wire.h"
#include "init/oom.h"

#define QUEUE_TRIES	300

#define TOKEN_MS	115000		/* the agent gives up before */

enum { CHILD_AT_EXEC, CHILD_AT_CHDIR, CHILD_AT_TOKEN, CHILD_AT_LAUNCH };
struct child_report {			/* through the pipe; nothing when exec worked */
	int at, error;			/* at the token: its number */
	int step;			/* of launch.h */
};

struct terminal {
	int	fd;			/* the controlling one; -1: none */
	int	is_ours;		/* amlshim's group is in its foreground */
};

static struct terminal
open_terminal(void)
{
	struct terminal t = { .fd = open(_PATH_TTY, O_RDWR | O_CLOEXEC | O_NOCTTY) };

	t.is_ours = t.fd >= 0 && tcgetpgrp(t.fd) == getpgrp();
	return (t);
}

/*
 * A new session can take the terminal when the leader of the one that has it lets go.
 * The kernel then sends SIGHUP and SIGCONT to the foreground group: if that is ours
 * and they were not there before, they are nobody's message to the job.
 */
static void
let_go_of_terminal(const struct terminal *t)
{
	uint64_t before = sys_pending_signals(), own = SYS_SIG(SIGHUP) | SYS_SIG(SIGCONT);

	if (t->fd < 0 || getsid(0) != getpid() || ioctl(t->fd, TIOCNOTTY) != 0)
		return;
	while (sys_take_signal(own & ~before) > 0)
		;
}

/* execve, and the shell for a script without "#!": glibc's execvp has it, musl's not. */
static void
exec_file(const char *path, char *const *argv, char *const *envp)
{
	char **words;
	size_t n;

	execve(path, argv, envp);
	if (errno != ENOEXEC)
		return;
	for (n = 0; argv[n] != NULL; n++)
		;
	words = mem_alloc((n + 2) * sizeof(*words));
	words[0] = (char *)(uintptr_t)_PATH_BSHELL;
	words[1] = (char *)(uintptr_t)path;
	memcpy(&words[2], &argv[1], n * sizeof(*words));
	execve(_PATH_BSHELL, words, envp);
	free(words);
	errno = ENOEXEC;
}

static const char *
environ_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp != NULL; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return (*envp + len + 1);
	return (NULL);
}

/* Not there, nor is a directory on a file server that is away (as glibc has it). */
static int
is_absence(int error)
{
	return (error == ENOENT || error == ENOTDIR || error == ESTALE || error == ENODEV ||
	    error == ETIMEDOUT);
}

/* As execvp does: what may not be executed does not end the search.  errno: why. */
static void
exec_search(char *const *argv, char *const *envp)
{
	const char *path = environ_get(envp, "PATH"), *end;
	char file[PATH_MAX];
	int denied = 0;

	if (argv[0][0] == '\0') {
		errno = ENOENT;
		return;
	}
	if (strchr(argv[0], '/') != NULL) {
		exec_file(argv[0], argv, envp);
		return;
	}
	if (path == NULL)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	for (;; path = end + 1) {
		end = strchrnul(path, ':');
		if (str_format(file, sizeof(file), "%.*s%s%s", (int)(end - path), path,
		    end == path ? "" : "/", argv[0]) == 0) {
			exec_file(file, argv, envp);
			if (errno == EACCES)
				denied = 1;
			else if (!is_absence(errno))
				return;
		}
		if (*end == '\0')
			break;
	}
	errno = denied ? EACCES : ENOENT;
}

/* Socket activation names the process that gets the sockets: now the job. */
static void
fix_listen_pid(char **envp, pid_t init_pid)
{
	static char text[32];
	char was[32];
	size_t i;

	str_format(was, sizeof(was), "LISTEN_PID=%d", (int)init_pid);
	for (i = 0; envp[i] != NULL; i++)
		if (strcmp(envp[i], was) == 0) {
			str_format(text, sizeof(text), "LISTEN_PID=%d", (int)getpid());
			envp[i] = text;
		}
}

static void
report(int fd, int at, int error, int step)
{
	const struct child_report message = { at, error, step };

	if (write(fd, &message, sizeof(message)) < 0)
		_exit(125);		/* init is gone */
}

/* "VARIABLE=TOKEN", or NULL. */
static char *
ask_for_token(const struct job_options *opt, size_t index)
{
	struct wire_ask ask = { .index = (uint32_t)index };
	auto_free struct wire_cred *cred = mem_zalloc(sizeof(*cred));
	const char *name = opt->tokens[index].place;
	char *item = NULL;

	if (wire_question(opt->token_fd, &ask, cred, TOKEN_MS) == 1 &&
	    cred->kind == WIRE_CRED_BEARER && cred->len <= sizeof(cred->text)) {
		item = mem_zalloc(strlen(name) + 1 + cred->len + 1);
		memcpy(item, name, strlen(name));
		item[strlen(name)] = '=';
		memcpy(item + strlen(name) + 1, cred->text, cred->len);
	}
	secret_wipe(cred, sizeof(*cred));
	return (item);
}

static size_t
count(char *const *words)
{
	size_t n;

	for (n = 0; words[n] != NULL; n++)
		;
	return (n);
}

/* Memory of this process only: exec ends it. */
static char **
add_tokens(const struct job_options *opt, int report_fd)
{
	size_t n = count(opt->envp), i, kept, len, t;
	char **envp = mem_alloc((n + opt->ntokens + 1) * sizeof(*envp)), *item;

	memcpy(envp, opt->envp, (n + 1) * sizeof(*envp));
	for (t = 0; t < opt->ntokens; t++) {
		item = ask_for_token(opt, t);
		if (item == NULL) {
			report(report_fd, CHILD_AT_TOKEN, (int)t, 0);
			_exit(121);
		}
		len = strlen(opt->tokens[t].place) + 1;
		for (i = 0, kept = 0; i < n; i++)
			if (strncmp(envp[i], item, len) != 0)
				envp[kept++] = envp[i];
		envp[kept++] = item;
		envp[n = kept] = NULL;
	}
	return (envp);
}

/* A group or a session of its own, in the foreground. */
static void
take_place(const struct job_options *opt, const struct terminal *tty)
{
	if (opt->launch->new_session) {
		setsid();
		if (tty->fd >= 0)		/* refused where another session has it */
			ioctl(tty->fd, TIOCSCTTY, 0);
		return;
	}
	setpgid(0, 0);
	if (tty->is_ours)	/* SIGTTOU is blocked here, so this cannot stop us */
		tcsetpgrp(tty->fd, getpid());
}

/* What the flags ask; then what a change of the user would have undone. */
static void
become_the_job(const struct job_options *opt, pid_t init_pid, int report_fd)
{
	const struct launch *l = opt->launch;
	int step;

	oom_unprotect();
	if (launch_apply(l, &step) != 0) {
		report(report_fd, CHILD_AT_LAUNCH, errno, step);
		_exit(125);
	}
	if (opt->parent_death_signal != 0) {
		prctl(PR_SET_PDEATHSIG, opt->parent_death_signal, 0, 0, 0);
		if (getppid() != init_pid)
			_exit(128 + opt->parent_death_signal);
	}
	if (l->cwd == NULL && opt->cwd != NULL && chdir(opt->cwd) != 0)
		report(report_fd, CHILD_AT_CHDIR, errno, 0);
}

static void __attribute__((noreturn))
run_child(const struct job_options *opt, pid_t init_pid, const struct terminal *tty,
    int report_fd)
{
	char **envp = (char **)(uintptr_t)opt->envp;
	int error;

	take_place(opt, tty);
	if (opt->ntokens != 0)
		envp = add_tokens(opt, report_fd);
	become_the_job(opt, init_pid, report_fd);
	envp = launch_environ(opt->launch, envp);
	fix_listen_pid(envp, init_pid);
	if (opt->ignore_chld)
		sys_set_ignored(SIGCHLD, 1);
	sys_sigprocmask(SIG_SETMASK, &opt->old_mask, NULL);
	exec_search(opt->argv, envp);
	error = errno;
	report(report_fd, CHILD_AT_EXEC, error, 0);
	_exit(error == ENOENT ? 127 : 126);
}

int
job_start(struct job *job, const struct job_options *opt, struct err *err)
{
	const struct terminal tty = open_terminal();
	auto_close int tty_fd = tty.fd;
	int ends[2];
	pid_t init_pid = getpid(), pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return (err_errno(err, "start the command", opt->argv[0]));
	if (opt->launch->new_session)
		let_go_of_terminal(&tty);
	pid = sys_fork();
	if (pid == 0)
		run_child(opt, init_pid, &tty, ends[1]);
	if (pid < 0)
		err_errno(err, "start the command", opt->argv[0]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return (-1);
	}
	if (!opt->launch->new_session)	/* a leader of a group could make no session */
		setpgid(pid, pid);	/* whoever is first; EACCES once it has exec'd */
	job->pid = job->group_id = pid;
	job->has_terminal = tty.fd >= 0 && !opt->launch->new_session;
	job->rewrite = opt->launch->rewrite;
	job->report_fd = ends[0];
	job->command = opt->argv[0];
	job->cwd = opt->cwd;
	job->tokens = opt->tokens;
	job->ntokens = opt->ntokens;
	return (0);
}

int
job_read_report(struct job *job, struct err *err)
{
	struct child_report got;
	ssize_t n;

	while ((n = read(job->report_fd, &got, sizeof(got))) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(got) && got.at == CHILD_AT_CHDIR) {
		log_warning("cannot start in %s: %s; staying in the image's directory", job->cwd,
		    strerror(got.error));
		return (0);
	}
	mem_close_fd(&job->report_fd);
	if (n != (ssize_t)sizeof(got))
		return (1);
	if (got.at == CHILD_AT_LAUNCH) {
		err_set(err, ERR_SYSTEM, REMEDY_NONE, "start the command with", "%s",
		    strerror(got.error));
		return (err_on(err, "%s", launch_step_flag(got.step)));
	}
	if (got.at == CHILD_AT_TOKEN) {
		err_set(err, ERR_NO_IDENTITY, REMEDY_RETRY_LATER, "get the token for a variable",
		    "the agent has none");
		return ((size_t)got.error < job->ntokens ?
		    err_on(err, "%s", job->tokens[got.error].place) : -1);
	}
	err_set(err, got.error == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, REMEDY_CHECK_COMMAND,
	    "run the command", "%s", got.error == ENOENT ?
	    "not found (nor is its interpreter)" : strerror(got.error));
	if (err != NULL)
		err->sys_errno = got.error;
	return (err_on(err, "%s", job->command));
}

/*
 * With its value.  The queue may be full for a moment; a plain kill(2) would merge signals then.
 * The kernel counts what is queued for all processes of a user together: what waits for us takes
 * the room of what we pass on, so it is taken in first.  Of a job that takes none the second is
 * waited for half as long, and so on.
 */
static int
pass_on(struct job *job, int sig, const struct signalfd_siginfo *info)
{
	int tries, most = job->queue_tries != 0 ? job->queue_tries : QUEUE_TRIES;
	siginfo_t value;

	memset(&value, 0, sizeof(value));
	value.si_signo = sig;
	value.si_code = SI_QUEUE;
	value.si_pid = (pid_t)info->ssi_pid;
	value.si_uid = info->ssi_uid;
	value.si_value.sival_ptr = (void *)(uintptr_t)info->ssi_ptr;
	for (tries = 0; tries < most; tries++) {
		if (syscall(SYS_rt_sigqueueinfo, job->pid, sig, &value) == 0) {
			job->queue_tries = 0;
			return (0);
		}
		if (errno != EAGAIN)
			return (-1);
		if (job->make_room != NULL)
			job->make_room(job->room_arg);
		clock_sleep_ms(1);
	}
	job->queue_tries = (most + 1) / 2;
	return (-1);
}

void
job_signal(struct job *job, int sig, const struct signalfd_siginfo *info)
{
	if (job->pid == 0)
		return;
	if (info != NULL && info->ssi_code == SI_QUEUE && !job->group &&
	    pass_on(job, sig, info) == 0)
		return;
	if (!job->group || kill(-job->pid, sig) != 0)
		kill(job->pid, sig);
	if (sig == SIGTERM && job->stopped)
		kill(job->group ? -job->pid : job->pid, SIGCONT);
}

void
job_forward(struct job *job, int sig, const struct signalfd_siginfo *info)
{
	int as = job->rewrite != NULL && job->rewrite[sig] != 0 ? job->rewrite[sig] : sig;

	if (as == LAUNCH_SWALLOW)
		return;
	job_signal(job, as, info);
	if (sig == SIGTERM && as != sig && job->stopped)
		job_signal(job, SIGCONT, NULL);
}

void
job_reclaim_terminal(const struct job *job)
{
	auto_close int tty = -1;

	if (!job->has_terminal)
		return;
	tty = open(_PATH_TTY, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty >= 0 && tcgetpgrp(tty) == job->group_id)
		tcsetpgrp(tty, getpgrp());	/* SIGTTOU is blocked */
}

void
job_take_terminal(const struct job *job)
{
	auto_close int tty = -1;

	if (!job->has_terminal || job->pid == 0)
		return;
	tty = open(_PATH_TTY, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty >= 0 && tcgetpgrp(tty) == getpgrp())
		tcsetpgrp(tty, job->group_id);
}

int
job_exit_status(const struct job *job)
{
	if (WIFSIGNALED(job->status))
		return (128 + WTERMSIG(job->status));
	return (WEXITSTATUS(job->status));
}
