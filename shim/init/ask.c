#include "init/ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/trace.h"
#include "identity/resolve.h"
#include "init/worker.h"

#define NO_BOUND_MS	(10 * 60 * 1000)	/* where there is no start timeout */
#define MARGIN_MS	2000			/* the resolver ends by itself, with a reason */
#define AHEAD		16			/* questions under way: no socket buffer fills */
#define STOP_SIGNALS	(SYS_SIG(SIGTERM) | SYS_SIG(SIGINT) | SYS_SIG(SIGQUIT) | SYS_SIG(SIGHUP))

static const char op[] = "ask the workspace";

static void __attribute__((noreturn))
run_resolver(const struct ask_options *opt, int fd, int64_t deadline_ms, pid_t init_pid)
{
	struct resolve_options resolve = { .facts = opt->facts, .as = opt->as, .init_fd = fd,
	    .deadline_ms = deadline_ms };
	const int keep[] = { fd, trace_fd() };

	worker_become("resolver", CONFINE_NETWORK, WORKER_CAPS, keep, LENGTH(keep), init_pid);
	spec_forget_secrets(opt->spec);
	resolve_main(&resolve);
}

int
ask_start(struct ask *a, const struct ask_options *opt, struct err *err)
{
	int64_t now = clock_ms(), call_deadline_ms;
	pid_t init_pid = getpid();
	int pair[2];

	*a = (struct ask)ASK_NONE;
	call_deadline_ms = now + (opt->start_ms < 0 ? NO_BOUND_MS : opt->start_ms);
	a->deadline_ms = opt->start_ms < 0 ? 0 : call_deadline_ms + MARGIN_MS;
	if (opt->parent_death_signal != 0)
		prctl(PR_SET_PDEATHSIG, opt->parent_death_signal, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	a->signal_fd = sys_signalfd(-1, STOP_SIGNALS);
	if (a->signal_fd < 0)
		return (err_errno(err, "watch signals", NULL));
	if (wire_pair(pair, err) != 0) {
		ask_end(a);
		return (-1);
	}
	a->fd = pair[0];
	a->pid = sys_fork();
	if (a->pid == 0)
		run_resolver(opt, pair[1], call_deadline_ms, init_pid);
	close(pair[1]);
	if (a->pid < 0) {
		a->pid = 0;
		err_errno(err, "start a worker process", "resolver");
		ask_end(a);
		return (-1);
	}
	return (0);
}

static int
wait_ms(const struct ask *a)
{
	int64_t left;

	if (a->deadline_ms == 0)
		return (-1);
	left = a->deadline_ms - clock_ms();
	return (left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
}

static int
stop_signal(const struct ask *a)
{
	struct signalfd_siginfo info;

	return (read(a->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ?
	    (int)info.ssi_signo : 0);
}

/* Until an answer can be read. */
static int
wait_for_answer(const struct ask *a, int *ret_signal, struct err *err)
{
	struct pollfd p[] = { { .fd = a->fd, .events = POLLIN },
	    { .fd = a->signal_fd, .events = POLLIN } };
	int n;

	do
		n = poll(p, LENGTH(p), wait_ms(a));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return (err_errno(err, op, NULL));
	if (n == 0)
		return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, op,
		    "no answer within the start timeout (--start-timeout)"));
	if (p[1].revents != 0 && (*ret_signal = stop_signal(a)) != 0)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, op, "stopped by signal %d",
		    *ret_signal));
	return (0);
}

static int
resolver_is_gone(struct ask *a, struct err *err)
{
	int status = 0;

	waitpid(a->pid, &status, 0);
	a->pid = 0;
	if (WIFSIGNALED(status))
		return (err_set(err, ERR_SYSTEM, REMEDY_REPORT_BUG, op,
		    "the resolver ended by signal %d", WTERMSIG(status)));
	return (err_set(err, ERR_SYSTEM, REMEDY_REPORT_BUG, op, "the resolver ended with %d",
	    WEXITSTATUS(status)));
}

static int
read_answer(struct ask *a, struct wire_found *found, size_t n, struct err *err)
{
	struct wire_found *got = mem_alloc(sizeof(*got));
	int status = wire_recv(a->fd, got, sizeof(*got), 0), failed = 0;

	if (status == 0 || (status < 0 && errno != ETIMEDOUT))
		failed = status == 0 ? resolver_is_gone(a, err) :
		    err_set(err, ERR_BUG, REMEDY_REPORT_BUG, op, "a malformed answer");
	else if (status == 1 && got->id >= n)
		failed = err_set(err, ERR_BUG, REMEDY_REPORT_BUG, op,
		    "an answer to a question that was not asked");
	else if (status == 1) {
		err_seal(&got->err);
		found[got->id] = *got;
	}
	free(got);
	return (failed != 0 ? -1 : status == 1);
}

int
ask_round(struct ask *a, struct wire_want *wants, struct wire_found *found, size_t n,
    int *ret_signal, struct err *err)
{
	size_t asked = 0, answered = 0;
	int got;

	*ret_signal = 0;
	while (answered < n) {
		for (; asked < n && asked < answered + AHEAD; asked++) {
			wants[asked].id = (uint32_t)asked;
			if (wire_send(a->fd, &wants[asked], sizeof(*wants)) != 0)
				return (resolver_is_gone(a, err));
		}
		if (wait_for_answer(a, ret_signal, err) != 0)
			return (-1);
		got = read_answer(a, found, n, err);
		if (got < 0)
			return (-1);
		answered += (size_t)got;
	}
	return (0);
}

void
ask_end(struct ask *a)
{
	mem_close_fd(&a->fd);
	mem_close_fd(&a->signal_fd);
	if (a->pid != 0) {
		kill(a->pid, SIGKILL);		/* it has nothing to lose */
		waitpid(a->pid, NULL, 0);
	}
	*a = (struct ask)ASK_NONE;
}
