#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/trace.h"
#include "identity/broker_dialect.h"
#include "init/answer.h"
#include "init/cgroup.h"
#include "init/front.h"
#include "init/job.h"
#include "init/leftover.h"
#include "init/oom.h"
#include "init/progress.h"
#include "init/shed.h"
#include "init/supervise.h"
#include "init/worker.h"
#include "plan/export.h"

#define EXIT_TIME_LIMIT		124
#define TERM_GRACE_MS		10000	/* when amlshim itself ends the job and no grace was set */
#define KILL_AGAIN_MS		1000
#define DRAIN_MARGIN_MS		5000	/* workers bound themselves; then they are killed */
#define START_DRAIN_MS		500	/* nothing is lost yet: a probe need not end by itself */
#define REAP_BATCH		256
#define SIGNALS_MAX		1024	/* taken from the kernel and not handled yet */
#define MESSAGES_AT_ONCE	16	/* of one worker */
#define KILL_ROUNDS		100
#define KILL_WORKERS_ROUNDS	5	/* once a second: then they are left to the kernel */

/* While the job is prepared, what will be its signals stays queued in the kernel. */
#define PREPARING_SIGNALS	(SYS_SIG(SIGCHLD) | SYS_SIG(SIGTERM) | SYS_SIG(SIGINT) | \
				    SYS_SIG(SIGQUIT) | SYS_SIG(SIGHUP))

enum { POLL_SIGNALS, POLL_REPORT, POLL_WORKERS };
#define KEPT_FDS	3	/* signals, the report, the trace; then the workers' */

struct init {
	const struct init_options *opt;
	const struct launch *launch;
	struct workers	 workers;
	struct job	 job;
	enum sup_state	 state;
	int64_t		 deadline_ms;		/* of the state; 0: none */
	int64_t		 since_us;		/* of the state, for the trace */
	int64_t		 start_us;		/* of the command */
	int64_t		 limit_ms;		/* the job's time limit; 0: none */
	int64_t		 leftover_deadline_ms;	/* 0: not waiting for leftovers */
	int64_t		 again_ms;		/* a worker is to be started then; 0: none */
	int64_t		 watch_ms;		/* next look at the workers; 0: none */
	int		 signal_fd;
	struct pollfd	*polls;			/* signals, the child before exec, the workers */
	int		*kept_fds;		/* room for all descriptors of ours */
	struct pollfd	 own_polls[POLL_WORKERS];	/* without workers nothing is allocated */
	int		 own_fds[KEPT_FDS];
	const struct signalfd_siginfo *signal;	/* being handled */
	struct signalfd_siginfo *signals;	/* [SIGNALS_MAX] */
	size_t		 nsignals;
	struct front	*front;			/* NULL: nothing is shown to the outside */
	struct again	 again;
	int64_t		 pause_ms;		/* before the job is started again */
	int64_t		 job_start_ms, job_start_unix_s, began_unix_s;
	int		 run;			/* how often the job was started */
	int		 last_status;		/* of its last run; -1: none ended */
	int		 stop_signal;		/* the last one; 0: none */
	int		 start_failure;		/* 126, 127: exit status; 0: none */
	struct err	 failure;		/* ours, before the job ended */
	int		 job_started, timed_out;
	int		 hurried;		/* a stop signal came while outputs go out */
	int		 out_of_grace;		/* nobody is asked any more: SIGKILL */
	int		 outputs_lost;
	int		 was_interrupted;	/* a stop signal ended the preparation */
	int		 kill_rounds;		/* of the workers */
	int64_t		 orphans;
	long		 kills_before;		/* for lack of memory, by the kernel's count */
	struct rusage	 job_usage;
	long		 kills_seen;		/* the same, at the last death of a worker */
	char		 how[64];		/* that worker ended */
	struct progress	 progress;
	struct arena	 mem;
	struct arena	 job_mem;		/* its environment, while it is started */
};

/*
 * A closed 0, 1 or 2 must not become a socket of ours.  Reading and writing
 * this one fails as before, and it needs no /dev; the job still finds it closed.
 */
static void
hold_standard_fds(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH | O_CLOEXEC) < 0)
			return;
}

int
init_take_over(struct init_inherited *ret)
{
	const uint64_t all = SYS_SIG_ALL;
	struct sigaction chld;

	if (sys_sigprocmask(SIG_SETMASK, &all, &ret->mask) != 0 ||
	    sigaction(SIGCHLD, NULL, &chld) != 0)
		return (-1);
	ret->ignore_chld = chld.sa_handler == SIG_IGN;
	hold_standard_fds();
	return (ret->ignore_chld ? sys_set_ignored(SIGCHLD, 0) : 0);
}

static int
is_stop_signal(int sig)
{
	return (sig == SIGTERM || sig == SIGINT || sig == SIGQUIT);
}

static int64_t
after(int64_t ms)
{
	return (ms < 0 ? 0 : clock_ms() + ms);
}

/* 0 stands for never. */
static int64_t
sooner(int64_t a, int64_t b)
{
	return (a == 0 || (b != 0 && b < a) ? b : a);
}

static void
keep_failure(struct init *in, const struct err *err)
{
	int over = in->state >= SUP_DRAINING || (in->job.gone && in->state != SUP_WAITING);

	if (in->failure.kind == ERR_NONE && !over)
		in->failure = *err;
}

/* --- the job ----------------------------------------------------------------- */

static void
offer_managed(struct init *in, struct export_broker *broker)
{
	const struct plan *plan = in->opt->plan;
	const char *base = arena_printf(&in->job_mem, "http://127.0.0.1:%d",
	    in->workers.broker_port);

	if ((plan->broker_dialects & PLAN_DIALECT_AML) != 0) {
		broker->msi_endpoint = arena_printf(&in->job_mem, "%s" DIALECT_AML_PATH, base);
		broker->msi_secret = in->workers.broker_secret.text;
	}
	if ((plan->broker_dialects & PLAN_DIALECT_APPSERVICE) != 0) {
		broker->identity_endpoint = arena_printf(&in->job_mem,
		    "%s" DIALECT_APPSERVICE_PATH, base);
		broker->identity_header = in->workers.broker_secret.text;
	}
	if ((plan->broker_dialects & PLAN_DIALECT_IMDS) != 0)
		broker->pod_identity_authority_host = base;
	broker->default_client_id = plan->broker_default.client_id;
}

static char *const *
job_environ(struct init *in)
{
	const struct plan *plan = in->opt->plan;
	struct export_broker broker = { .msi_endpoint = NULL };

	if (plan == NULL)
		return (in->opt->envp);
	if (plan->broker == PLAN_BROKER_MANAGED)
		offer_managed(in, &broker);
	else if (plan->broker == PLAN_BROKER_USER)
		broker.obo_endpoint = arena_printf(&in->job_mem, "http://127.0.0.1:%d/OBO/%s/token",
		    in->workers.broker_port, in->workers.broker_secret.text);
	if (in->workers.broker_socket[0] != '\0')
		broker.socket = in->workers.broker_socket;
	return (export_environ(plan, in->opt->facts, &broker, &in->job_mem));
}

/*
 * From here on nothing of the caller's is held open or pinned; but a job that may be started
 * again is to find then what it finds now.
 */
static void
let_go_of_inheritance(struct init *in)
{
	size_t n = 0;

	if (in->again.policy != AGAIN_NO)
		return;
	in->kept_fds[n++] = in->signal_fd;
	in->kept_fds[n++] = in->job.report_fd;
	in->kept_fds[n++] = trace_fd();
	n += workers_fds(&in->workers, &in->kept_fds[n]);
	if (in->front != NULL)
		n += front_fds(in->front, &in->kept_fds[n]);
	fd_close_except(3, in->kept_fds, n);
	if (chdir("/") != 0)
		log_debug("chdir /: %s", strerror(errno));
}

/*
 * What amlshim made for the job, when that runs as somebody else.  Before its first run: after
 * that a place may be a link of the job's to what is not its own.
 */
static void
hand_over(const struct init *in, const struct account *a)
{
	const struct worker *w;
	size_t i;

	if (in->workers.broker_socket[0] != '\0' &&
	    broker_give_unix(in->workers.broker_socket, a->uid, a->gid) != 0)
		log_warning("cannot give %s to the job: %s", in->workers.broker_socket,
		    strerror(errno));
	for (i = 1; i < in->workers.n; i++) {
		w = &in->workers.list[i];
		if (w->access->action == PLAN_UPLOAD &&
		    lchown(w->access->target, a->uid, a->gid) != 0)
			log_warning("cannot give %s to the job: %s", w->access->target,
			    strerror(errno));
	}
}

/* Without tables and variables of others the job cannot be started again, nor a report written. */
static int
may_shed(const struct init *in)
{
	const struct report *report = in->opt->report;

	return (in->opt->shed && in->opt->plan == NULL && in->front == NULL &&
	    in->again.policy == AGAIN_NO && (report == NULL || report->file[0] == '\0'));
}

static int
start_job(struct init *in)
{
	const struct plan *plan = in->opt->plan;
	struct job_options job = { .argv = plan != NULL ? plan->argv : in->opt->argv,
	    .envp = job_environ(in),
	    .cwd = plan != NULL ? plan->cwd : NULL,
	    .old_mask = in->opt->inherited.mask,
	    .ignore_chld = in->opt->inherited.ignore_chld,
	    .launch = in->launch,
	    .token_fd = in->workers.job_fd,
	    .tokens = plan != NULL ? plan->variables_with_token : NULL,
	    .ntokens = plan != NULL ? plan->nvariables_with_token : 0,
	    .parent_death_signal = getpid() == 1 ? 0 : SIGKILL };
	static struct err err;		/* not on the stack: it would stay in memory */
	int failed;

	if (in->run != 0)
		job_reclaim_terminal(&in->job);
	else if (in->launch->account != NULL)
		hand_over(in, in->launch->account);
	in->out_of_grace = 0;
	in->start_us = trace_begin();
	progress_clear(&in->progress);
	if (job.argv[0] == NULL) {	/* amlshim cp: to bring and take the data is all */
		in->job_started = in->job.gone = 1;
		return (0);
	}
	in->job.group = in->opt->group >= 0 ? in->opt->group :
	    plan != NULL && plan->through_shell;
	failed = job_start(&in->job, &job, &err);
	arena_done(&in->job_mem);	/* with the broker's secret: workers are forked from here */
	if (failed != 0) {
		log_err(&err);
		keep_failure(in, &err);
		return (-1);
	}
	if (in->again.policy == AGAIN_NO)
		mem_close_fd(&in->workers.job_fd);
	in->job_started = 1;
	in->run++;
	in->job.gone = in->job.stopped = 0;
	in->job_start_ms = clock_ms();
	in->job_start_unix_s = clock_wall_s();
	log_info("started %s, pid %d", job.argv[0], (int)in->job.pid);
	oom_protect_self();
	if (in->run == 1)
		in->kills_before = oom_kills();
	let_go_of_inheritance(in);
	if (in->workers.n != 0)
		sys_signalfd(in->signal_fd, SYS_SIG_ALL);
	if (may_shed(in))
		shed_tables();
	return (0);
}

static void
read_report(struct init *in)
{
	struct err err = ERR_EMPTY;
	int failed = job_read_report(&in->job, &err) < 0;

	if (in->job.report_fd < 0)
		trace_span("phase", "exec", in->start_us, NULL, "failed", failed);
	if (!failed)
		return;
	log_err(&err);
	in->start_failure = err.remedy != REMEDY_CHECK_COMMAND ? err_exit_status(&err) :
	    err.kind == ERR_NOT_FOUND ? 127 : 126;
	if (in->run == 1)
		in->job_started = 0;
}

/* --- what is left of the job --------------------------------------------------- */

static int
is_our_process(void *arg, pid_t pid)
{
	struct init *in = arg;

	return (workers_find(&in->workers, pid) != NULL ||
	    (in->front != NULL && pid == front_pid(in->front)));
}

static int
signal_leftovers(struct init *in, int sig, const struct cgroup *cgroup)
{
	struct leftover_options opt = { .group_id = in->job.group_id, .is_ours = is_our_process,
	    .arg = in, .has_workers = workers_alive(&in->workers) != 0 ||
	    (in->front != NULL && front_pid(in->front) != 0), .cgroup = cgroup };

	return (leftover_signal(&opt, sig));
}

static void post(struct init *, enum sup_event);
static int reap(struct init *);

static void
kill_leftovers(struct init *in)
{
	int round, left = 0;
	struct cgroup cgroup;
	int in_cgroup = cgroup_make(&cgroup) == 0;

	log_info("processes of the command are still there: SIGKILL %s", in_cgroup ?
	    "through a cgroup" : "to each");
	for (round = 0; round < KILL_ROUNDS; round++) {
		left = signal_leftovers(in, SIGKILL, in_cgroup ? &cgroup : NULL);
		if (left == 0)
			break;
		clock_sleep_ms(round < 10 ? 1 : 10);
		reap(in);
	}
	cgroup_done(&cgroup);
	if (left != 0)
		log_warning("%d processes of the job cannot be killed; left to the kernel", left);
}

static int exit_status(const struct init *);

/* A failure that is to be held for a look at it is an event of its own. */
static enum sup_event
or_hold(struct init *in, enum sup_event event)
{
	if (in->opt->hold_ms == 0 || in->stop_signal != 0 || exit_status(in) == 0)
		return (event);
	return (EV_HOLD);
}

/* As its exit code is understood (--remap-exit). */
static int
job_status(const struct init *in)
{
	int status = job_exit_status(&in->job);

	return (in->opt->exit_as_zero != NULL && in->opt->exit_as_zero[status] ? 0 : status);
}

static int
job_restarts(const struct init *in)
{
	return (in->run > 1 ? in->run - 1 : 0);
}

/* The restart policy's word; the table has the last one.  What could not be run never will be. */
static int
is_wanted_again(struct init *in)
{
	int unhealthy = in->state == SUP_REPLACING;

	if ((in->state != SUP_RUNNING && !unhealthy) || in->start_failure != 0 || in->run == 0)
		return (0);
	in->pause_ms = again_next(&in->again, unhealthy || job_status(in) != 0,
	    clock_ms() - in->job_start_ms);
	if (in->pause_ms < 0)
		return (0);
	log_warning("the command ended with %d: it is started again in %lld ms",
	    job_exit_status(&in->job), (long long)in->pause_ms);
	return (1);
}

static void
fail_unhealthy(struct init *in)
{
	if (in->failure.kind != ERR_NONE)
		return;
	err_set(&in->failure, ERR_UNREACHABLE, REMEDY_NONE, "keep the command running",
	    "it failed its liveness probe");
	err_on(&in->failure, "port %d, path %s", in->opt->probe.liveness.port,
	    in->opt->probe.liveness.path);
	log_err(&in->failure);
}

static void
job_is_gone(struct init *in)
{
	int again;

	in->leftover_deadline_ms = 0;
	in->last_status = job_exit_status(&in->job);
	log_info("the command ended with %d", in->last_status);
	again = is_wanted_again(in);
	if (!again && in->state == SUP_REPLACING)
		fail_unhealthy(in);
	post(in, again ? EV_JOB_AGAIN : or_hold(in, EV_JOB_GONE));
}

/* How long, and what can be done meanwhile. */
static void
say_held(struct init *in)
{
	char how_long[48] = "until a stop signal";

	if (in->opt->hold_ms > 0)
		str_format(how_long, sizeof(how_long), "for %g s, or until a stop signal",
		    (double)in->opt->hold_ms / 1000);
	progress_clear(&in->progress);
	log_notice("failed with %d; all is kept as it is %s: look with docker exec CONTAINER "
	    "amlshim status, amlshim ls inputs.NAME, amlshim doctor", exit_status(in), how_long);
}

/* The first process ended: ask the others to, for a short while. */
static void
begin_leftovers(struct init *in)
{
	if (in->opt->leftover_ms == 0 || signal_leftovers(in, SIGTERM, NULL) == 0) {
		job_is_gone(in);
		return;
	}
	log_info("processes outlived the command: SIGTERM");
	in->leftover_deadline_ms = clock_ms() +
	    (in->opt->leftover_ms < 0 ? INT32_MAX : in->opt->leftover_ms);
}

static void
check_leftovers(struct init *in)
{
	if (in->leftover_deadline_ms == 0)
		return;
	if (signal_leftovers(in, 0, NULL) == 0) {
		job_is_gone(in);
	} else if (in->out_of_grace || clock_ms() >= in->leftover_deadline_ms) {
		kill_leftovers(in);
		job_is_gone(in);
	}
}

/* The first process, its group; then, once it is reaped, whatever is left. */
static void
kill_job(struct init *in)
{
	if (!in->out_of_grace)
		log_info("the grace period is over: SIGKILL");
	in->out_of_grace = 1;
	in->job.group = 1;
	job_signal(&in->job, SIGKILL, NULL);
	in->deadline_ms = clock_ms() + KILL_AGAIN_MS;
}

static void
term_job(struct init *in)
{
	int64_t grace = in->opt->grace_ms < 0 ? TERM_GRACE_MS : in->opt->grace_ms;

	job_forward(&in->job, SIGTERM, NULL);
	in->deadline_ms = clock_ms() + grace;
}

/* --- the end of the workers ----------------------------------------------------- */

/* It has nothing to flush. */
static void
bound_agent(struct init *in)
{
	if (in->state == SUP_DRAINING && workers_only_agent(&in->workers))
		in->deadline_ms = sooner(in->deadline_ms, after(DRAIN_MARGIN_MS));
}

static void
kill_workers(struct init *in)
{
	if (in->kill_rounds++ == KILL_WORKERS_ROUNDS) {
		workers_abandon(&in->workers);
		return;
	}
	if (workers_kill(&in->workers) != 0 && in->job_started)
		in->outputs_lost = 1;
	in->deadline_ms = clock_ms() + KILL_AGAIN_MS;
}

/* --- the table, carried out ---------------------------------------------------- */

/* Of a job that was told to stop. */
static int64_t
stop_deadline(const struct init *in)
{
	int64_t grace = in->opt->grace_ms;

	if (in->timed_out)		/* it was amlshim that told it */
		return (after(grace < 0 ? TERM_GRACE_MS : grace));
	return (sooner(after(grace), in->limit_ms));
}

static void
enter_state(struct init *in, enum sup_state state)
{
	const struct plan *plan = in->opt->plan;

	if (state == in->state)
		return;
	log_debug("%s -> %s", supervise_state_name(in->state), supervise_state_name(state));
	trace_span("phase", supervise_state_name(in->state), in->since_us, NULL, NULL, 0);
	if (state != SUP_ENDED)
		report_phase(in->opt->report, supervise_state_name(state));
	in->since_us = trace_begin();
	in->state = state;
	switch (state) {
	case SUP_RUNNING:
		if (in->limit_ms == 0 && plan != NULL && plan->timeout_s != 0)
			in->limit_ms = after(plan->timeout_s * 1000);
		in->deadline_ms = in->limit_ms;
		break;
	case SUP_WAITING:
		in->deadline_ms = after(in->pause_ms);
		break;
	case SUP_LINGERING:
		in->deadline_ms = sooner(after(in->opt->drain_ms), in->limit_ms);
		log_info("signal %d: not ready any more; it is passed on later (--drain)",
		    in->stop_signal);
		break;
	case SUP_STOPPING:
		in->deadline_ms = stop_deadline(in);
		break;
	case SUP_DRAINING:
		in->deadline_ms = !in->job_started ? after(START_DRAIN_MS) :
		    in->opt->flush_ms < 0 ? 0 : after(in->opt->flush_ms + DRAIN_MARGIN_MS);
		break;
	case SUP_HOLDING:
		in->deadline_ms = after(in->opt->hold_ms);
		say_held(in);
		break;
	case SUP_PREPARING:
	case SUP_REPLACING:		/* term_job() sets it */
	case SUP_ENDED:
	case SUP_STATES:
		in->deadline_ms = 0;
		break;
	}
}

static void
carry_out(struct init *in, enum sup_action action)
{
	switch (action) {
	case DO_START_JOB:
		if (start_job(in) != 0)
			post(in, or_hold(in, EV_JOB_GONE));
		break;
	case DO_FORWARD:
		job_forward(&in->job, in->stop_signal, in->signal);
		break;
	case DO_TERM_JOB:
		term_job(in);
		break;
	case DO_KILL_JOB:
		kill_job(in);
		break;
	case DO_STOP_WORKERS:
		workers_stop(&in->workers, in->opt->flush_ms);
		bound_agent(in);
		break;
	case DO_KILL_WORKERS:
		kill_workers(in);
		break;
	case DO_NOTHING:
	case DO_EXIT:
	case SUP_ACTIONS:
		break;
	}
}

static void
post(struct init *in, enum sup_event event)
{
	struct sup_step step = supervise_step(in->state, event);

	enter_state(in, step.next);
	carry_out(in, step.action);
}

/* --- workers ------------------------------------------------------------------- */

/*
 * A successor that could not begin for want of memory, descriptors, disk: that may be over when
 * the next one tries, and the job waits meanwhile.
 */
static int
may_do_better(const struct init *in, const struct worker *w, const struct err *err)
{
	return (in->job_started && w->was_ready && w->state != WORKER_READY &&
	    err->kind == ERR_SYSTEM);
}

static void
worker_said(struct init *in, struct worker *w, const struct wire_msg *msg)
{
	if (msg->type != WIRE_PROGRESS)
		progress_clear(&in->progress);
	switch (msg->type) {
	case WIRE_READY:
		if (w->state == WORKER_STARTING)
			w->state = WORKER_READY;
		w->was_ready = 1;
		w->untried = 0;
		w->done = w->access != NULL && w->access->action == PLAN_DOWNLOAD;
		log_info("%s is ready", w->name);
		trace_request("worker", "get ready", w->began_us, w->name, NULL, 0);
		if (workers_all_ready(&in->workers))
			post(in, EV_READY);
		break;
	case WIRE_PROGRESS:
		w->stats = msg->stats;
		progress_show(&in->progress, &in->workers, w);
		break;
	case WIRE_FAILED:
		if (w->untried || may_do_better(in, w, &msg->err)) {
			log_err(&msg->err);
			break;
		}
		/* Without the agent the others cannot but fail, too. */
		if (w->access == NULL || !in->workers.list[0].told || in->job_started)
			log_err(&msg->err);
		keep_failure(in, &msg->err);
		w->told = 1;
		break;
	case WIRE_LOST:
		log_err(&msg->err);
		report_lost(in->opt->report, &msg->err);
		in->outputs_lost = 1;
		break;
	case WIRE_DONE:
		w->stats = msg->stats;
		w->done = 1;
		workers_detach(w);
		break;
	default:
		log_error("%s sent a message of unknown type %u", w->name, msg->type);
		break;
	}
	if (in->state == SUP_PREPARING)		/* progress: not stuck */
		in->deadline_ms = after(in->opt->start_ms);
}

/* 1: there was one, and there may be more. */
static int
read_message(struct init *in, struct worker *w)
{
	struct wire_msg msg;
	int got = w->fd < 0 ? 0 : wire_recv(w->fd, &msg, sizeof(msg), 0);

	if (got == 0)		/* closed: poll would not wait until its process has ended */
		mem_close_fd(&w->fd);
	if (got != 1)
		return (0);
	err_seal(&msg.err);
	worker_said(in, w, &msg);
	return (1);
}

/* Whatever it says, it does not keep us from the signals and from the others. */
static void
read_worker(struct init *in, struct worker *w)
{
	int n;

	for (n = 0; n < MESSAGES_AT_ONCE && read_message(in, w); n++)
		;
}

/* With a job: before it the start timeout watches. */
static void
watch_workers(struct init *in)
{
	if (in->opt->watchdog_ms <= 0 || !in->job_started || in->workers.n == 0)
		return;
	if (in->watch_ms == 0 || clock_ms() >= in->watch_ms)
		in->watch_ms = workers_watch(&in->workers, in->opt->watchdog_ms);
}

/* The kernel counts what it kills, but does not say whom. */
static const char *
why_killed(struct init *in)
{
	long kills = oom_kills(), before = in->kills_seen;

	in->kills_seen = kills;
	if (kills < 0 || before < 0)
		return (" (out of memory?)");
	return (kills > before ? ", as memory ran out" : "");
}

/* In in->how, for people. */
static void
note_end(struct init *in, const struct worker *w, int status)
{
	if (w->hung)
		str_format(in->how, sizeof(in->how), "was hung");
	else if (WIFSIGNALED(status))
		str_format(in->how, sizeof(in->how), "ended by signal %d%s", WTERMSIG(status),
		    WTERMSIG(status) == SIGKILL ? why_killed(in) : "");
	else
		str_format(in->how, sizeof(in->how), "ended with %d", WEXITSTATUS(status));
}

/* It ended without being asked, or before it was done. */
static void
worker_lost(struct init *in, struct worker *w)
{
	struct err err = ERR_EMPTY;

	if (w->access != NULL && w->access->is_output && in->job_started) {
		in->outputs_lost = 1;
		if (w->told && worker_data(w) != NULL && access(worker_data(w), F_OK) == 0)
			log_error("%s was not flushed: what is left stands in %s", w->name,
			    worker_data(w));
	}
	if (!w->told) {
		err_set(&err, ERR_SYSTEM, REMEDY_REPORT_BUG, "keep a process running", "%s%s",
		    in->how, w->restart.deaths > 1 ? ", as those before it" : "");
		err_on(&err, "%s%s%s", w->name, worker_data(w) != NULL ? ", data in " : "",
		    worker_data(w) != NULL ? worker_data(w) : "");
		log_err(&err);
		keep_failure(in, &err);
	}
}

/* 1: nothing is lost by its end. */
static int
may_end(const struct worker *w, int status)
{
	if (w->done)
		return (1);
	if (w->state != WORKER_STOPPING)
		return (0);
	return (w->access == NULL ? status == 0 : !w->access->is_output);
}

/* 1: a successor can do what it was there for.  Without a job nothing is waited for at the end. */
static int
can_be_replaced(const struct init *in, const struct worker *w)
{
	if (w->told || (w->access == NULL && w->state == WORKER_STOPPING))
		return (0);
	return (in->state == SUP_PREPARING || in->job_started);
}

/* By SIGUSR2: an exit status of its own, or the signal where it may end anywhere. */
static int
wants_upgrade(int status)
{
	return (WIFSIGNALED(status) ? WTERMSIG(status) == SIGUSR2 :
	    WEXITSTATUS(status) == WIRE_EXIT_UPGRADE);
}

/* -1: this is neither an upgrade nor one that went wrong. */
static int
upgrade_worker(struct init *in, struct worker *w, int status)
{
	int went_wrong = w->untried;

	if (!can_be_replaced(in, w) || (!went_wrong && !wants_upgrade(status)))
		return (-1);
	if (went_wrong)
		log_warning("%s: what is now in %s %s before it was ready: what was there before "
		    "goes on", w->name, in->workers.exe, in->how);
	else
		log_notice("%s is upgraded, pid %d ended for it", w->name, (int)w->pid);
	workers_begin_again(w, !went_wrong);
	return (0);
}

static int
replace_worker(struct init *in, struct worker *w)
{
	int64_t delay_ms;

	if (!can_be_replaced(in, w) || (delay_ms = workers_reaped_early(w)) < 0)
		return (-1);
	log_warning("%s %s: its successor no. %d starts in %lld ms", w->name,
	    in->how, w->life + 1, (long long)delay_ms);
	return (0);
}

static void
worker_reaped(struct init *in, struct worker *w, int status)
{
	int lost;

	while (read_message(in, w))
		;
	trace_request("worker", w->name, w->began_us, NULL, "wait_status", status);
	lost = !may_end(w, status);
	if (lost)
		note_end(in, w, status);
	if (lost && (upgrade_worker(in, w, status) == 0 || replace_worker(in, w) == 0))
		return;
	if (lost)
		worker_lost(in, w);
	workers_reaped(&in->workers, w, in->opt->flush_ms);
	bound_agent(in);
	if (lost)
		post(in, in->state == SUP_PREPARING ? or_hold(in, EV_LOST) : EV_LOST);
}

/*
 * As long as the watchdog waits for a sign of life, no longer; but what is to be flushed has all
 * the time that there is for that.
 */
static void
give_up_unborn(struct init *in)
{
	int64_t bound_ms = in->opt->watchdog_ms;
	struct err err = ERR_EMPTY;
	struct worker *w;

	if (bound_ms <= 0 || (in->state == SUP_DRAINING && in->deadline_ms != 0))
		return;
	while ((w = workers_unborn(&in->workers, bound_ms)) != NULL) {
		err_set(&err, ERR_SYSTEM, REMEDY_NONE, "go on without", "its successor could not "
		    "be started for %lld ms", (long long)bound_ms);
		err_on(&err, "%s", w->name);
		log_err(&err);
		keep_failure(in, &err);
		w->told = 1;
		worker_lost(in, w);
		workers_reaped(&in->workers, w, in->opt->flush_ms);
		bound_agent(in);
		post(in, in->state == SUP_PREPARING ? or_hold(in, EV_LOST) : EV_LOST);
	}
}

/* --- what is shown to the outside ------------------------------------------------ */

static size_t
front_polls(const struct init *in)
{
	return (in->front != NULL ? FRONT_POLLS : 0);
}

static void
show_front(struct init *in)
{
	front_show(in->front, in->state, in->job.pid != 0 && in->job.report_fd < 0, in->run);
	front_tick(in->front);
}

static int
answer_control(void *arg, const struct control_request *request, struct control_answer *ret)
{
	const struct init *in = arg;
	const struct init_options *opt = in->opt;
	const struct answer_view view = { .plan = opt->plan, .workers = &in->workers,
	    .job = &in->job, .phase = in->state, .health = in->front->health,
	    .probe = &opt->probe,
	    .command = opt->plan != NULL ? opt->plan->argv[0] : opt->argv[0],
	    .restarts = job_restarts(in), .last_status = in->last_status,
	    .started_unix_s = in->began_unix_s, .job_started_unix_s = in->job_start_unix_s,
	    .orphans = in->orphans };

	return (answer_make(&view, request, ret));
}

/* --- reaping --------------------------------------------------------------------- */

/*
 * As a shell's job we stop too, or its prompt does not come back.  Where nobody
 * could continue us the kernel does not stop us, and after Ctrl-Z the command
 * goes on: it would not have stopped in our place.
 */
static void
stop_like_job(struct init *in, int sig)
{
	const uint64_t tstp = SYS_SIG(SIGTSTP);
	sigset_t pending;

	sys_sigprocmask(SIG_UNBLOCK, &tstp, NULL);
	kill(getpid(), SIGTSTP);
	sys_sigprocmask(SIG_BLOCK, &tstp, NULL);
	if (sig == SIGTSTP && sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 0)
		job_signal(&in->job, SIGCONT, NULL);
}

static void
job_changed(struct init *in, int status)
{
	if (WIFSTOPPED(status)) {
		in->job.stopped = 1;
		if (in->job.has_terminal && WSTOPSIG(status) != SIGSTOP)
			stop_like_job(in, WSTOPSIG(status));
		return;
	}
	if (WIFCONTINUED(status)) {
		in->job.stopped = 0;
		return;
	}
	if (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		log_debug("the command is in state %#x", (unsigned)status);
		return;
	}
	in->job.status = status;
	in->job.gone = 1;
	in->job.pid = 0;
	while (in->job.report_fd >= 0)		/* nobody can write any more: this does not wait */
		read_report(in);
}

static void
other_changed(struct init *in, pid_t pid, int status)
{
	struct worker *w = workers_find(&in->workers, pid);

	if (!WIFEXITED(status) && !WIFSIGNALED(status))
		return;
	if (w != NULL) {
		worker_reaped(in, w, status);
		return;
	}
	if (in->front != NULL && front_reaped(in->front, pid))
		return;
	in->orphans++;
	log_debug("reaped orphan %d, status %#x", (int)pid, (unsigned)status);
}

/* 1: there may be more; signals are looked at first. */
static int
reap(struct init *in)
{
	struct rusage usage;
	pid_t pid;
	int status, n;

	for (n = 0; n < REAP_BATCH; n++) {
		pid = wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &usage);
		if (pid <= 0)
			return (0);
		if (pid == in->job.pid) {
			in->job_usage = usage;
			job_changed(in, status);
		} else
			other_changed(in, pid, status);
	}
	return (1);
}

/* --- signals ----------------------------------------------------------------------- */

/* Told to stop while the outputs go out: they have the grace time, once. */
static void
hurry(struct init *in)
{
	log_info("outputs are still going out");
	if (in->hurried || in->opt->grace_ms < 0)
		return;
	in->hurried = 1;
	in->deadline_ms = sooner(in->deadline_ms, after(in->opt->grace_ms));
}

static void
handle_signal(struct init *in, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;

	if (sig == SIGCHLD || (sig == SIGPIPE && info->ssi_pid == (uint32_t)getpid()))
		return;
	log_debug("signal %d from pid %u", sig, info->ssi_pid);
	if (in->launch->rewrite[sig] == LAUNCH_SWALLOW)
		return;
	if (in->state == SUP_PREPARING) {	/* PREPARING_SIGNALS, no others */
		in->stop_signal = sig;
		in->was_interrupted = 1;
		report_signal(in->opt->report, info);
		post(in, EV_SIGNAL);
		return;
	}
	if (sig == SIGCONT && in->job.stopped)
		job_take_terminal(&in->job);
	if (is_stop_signal(sig))
		report_signal(in->opt->report, info);
	if (is_stop_signal(sig) && in->state == SUP_DRAINING) {
		hurry(in);
	} else if (is_stop_signal(sig)) {
		if (in->state != SUP_HOLDING)	/* there it only ends the holding */
			in->stop_signal = sig;
		in->signal = info;
		post(in, in->opt->drain_ms > 0 && in->state == SUP_RUNNING ? EV_LINGER :
		    EV_SIGNAL);
		in->signal = NULL;
	} else {
		job_forward(&in->job, sig, info);
	}
}

/* Also while one is being passed on: see job_signal().  What is more waits in the kernel. */
static void
take_signals(void *arg)
{
	struct init *in = arg;
	ssize_t len = 1;

	while (in->nsignals < SIGNALS_MAX && len > 0) {
		len = read(in->signal_fd, &in->signals[in->nsignals],
		    (SIGNALS_MAX - in->nsignals) * sizeof(in->signals[0]));
		if (len > 0)
			in->nsignals += (size_t)len / sizeof(in->signals[0]);
	}
}

static void
read_signals(struct init *in)
{
	size_t i;

	in->nsignals = 0;
	take_signals(in);
	for (i = 0; i < in->nsignals; i++)
		handle_signal(in, &in->signals[i]);
}

/* --- the loop ---------------------------------------------------------------------- */

static int
wait_ms(const struct init *in)
{
	int64_t now, next = sooner(sooner(in->deadline_ms, in->front != NULL ?
	    front_next_ms(in->front) : 0), sooner(in->again_ms, in->watch_ms));

	if (next == 0 && in->leftover_deadline_ms == 0)
		return (-1);
	now = clock_ms();

	if (in->leftover_deadline_ms != 0) {
		/* An orphan of docker exec is no child of ours: nothing wakes us when it ends. */
		if (next == 0 || next > now + 20)
			next = now + 20;
	}
	return (next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now));
}

static void
wait_for_events(struct init *in, int timeout_ms)
{
	struct pollfd *p = in->polls;
	size_t i;
	int n;

	p[POLL_SIGNALS] = (struct pollfd){ .fd = in->signal_fd, .events = POLLIN };
	p[POLL_REPORT] = (struct pollfd){ .fd = in->job.report_fd, .events = POLLIN };
	for (i = 0; i < in->workers.n; i++)
		p[POLL_WORKERS + i] = (struct pollfd){ .fd = in->workers.list[i].fd,
		    .events = POLLIN };
	if (in->front != NULL)
		front_fill(in->front, &p[POLL_WORKERS + in->workers.n]);
	n = poll(p, (nfds_t)(POLL_WORKERS + in->workers.n + front_polls(in)), timeout_ms);
	if (n < 0 && errno != EINTR)
		clock_sleep_ms(10);		/* cannot happen; must not spin if it does */
	if (n <= 0)
		return;
	if (p[POLL_REPORT].revents != 0)
		read_report(in);
	for (i = 0; i < in->workers.n; i++)
		if ((p[POLL_WORKERS + i].revents & POLLIN) != 0)
			read_worker(in, &in->workers.list[i]);
		else if (p[POLL_WORKERS + i].revents != 0)	/* reaping tells that it died */
			mem_close_fd(&in->workers.list[i].fd);
	if (in->front != NULL && front_handle(in->front, &p[POLL_WORKERS + in->workers.n]))
		post(in, EV_UNHEALTHY);
}

static void
handle_deadline(struct init *in)
{
	struct err err = ERR_EMPTY;
	char names[256];

	if (in->deadline_ms == 0 || clock_ms() < in->deadline_ms)
		return;
	in->deadline_ms = 0;
	if (in->state == SUP_PREPARING) {
		err_set(&err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "get identities and data ready",
		    "no progress within the start timeout (--start-timeout); not ready: %s",
		    workers_waited_for(&in->workers, names, sizeof(names)));
		log_err(&err);
		keep_failure(in, &err);
	} else if (in->limit_ms != 0 && clock_ms() >= in->limit_ms && !in->job.gone &&
	    !in->timed_out) {
		log_error("the job's time limit of %lld s is over", in->opt->plan->timeout_s);
		in->timed_out = 1;
	}
	post(in, in->state == SUP_PREPARING ? or_hold(in, EV_DEADLINE) : EV_DEADLINE);
}

static void
loop(struct init *in)
{
	int more;

	while (in->state != SUP_ENDED) {
		more = reap(in);
		if (in->job.gone && in->leftover_deadline_ms == 0 && in->state < SUP_HOLDING &&
		    in->state != SUP_WAITING)
			begin_leftovers(in);
		check_leftovers(in);
		in->again_ms = workers_start_again(&in->workers);
		give_up_unborn(in);
		watch_workers(in);
		if (in->state == SUP_DRAINING && workers_alive(&in->workers) == 0)
			post(in, EV_EMPTY);
		if (in->state == SUP_ENDED)
			break;
		if (in->front != NULL)
			show_front(in);
		wait_for_events(in, more ? 0 : wait_ms(in));
		read_signals(in);
		handle_deadline(in);
	}
}

/* --- the end ------------------------------------------------------------------------ */

static int64_t
larger(int64_t a, int64_t b)
{
	return (a > b ? a : b);
}

static void
closing_line(const struct init *in)
{
	struct wire_stats sum = { 0 };
	char read_text[24], written_text[24];
	size_t i;

	for (i = 0; i < in->workers.n; i++) {
		const struct wire_stats *s = &in->workers.list[i].stats;
		const struct vitals *v = in->workers.list[i].vitals;

		/* The last life tells its own; those before it left what they had counted. */
		sum.bytes_read += larger(s->bytes_read, atomic_load(&v->bytes_read));
		sum.bytes_written += larger(s->bytes_written, atomic_load(&v->bytes_written));
		sum.requests += larger(s->requests, atomic_load(&v->requests));
		sum.retries += larger(s->retries, atomic_load(&v->retries));
		sum.tokens += larger(s->tokens, atomic_load(&v->tokens));
	}
	log_info("closed: read %s, wrote %s, %lld requests, %lld retries, %lld tokens for the job, "
	    "%lld orphans reaped, %d workers restarted", str_bytes(sum.bytes_read, read_text),
	    str_bytes(sum.bytes_written, written_text), (long long)sum.requests,
	    (long long)sum.retries, (long long)sum.tokens, (long long)in->orphans,
	    workers_restarts(&in->workers));
}

/* What a status alone does not tell. */
/* -1: nobody tells. */
static long
memory_kills(const struct init *in)
{
	return (in->kills_before < 0 ? -1 : oom_kills() - in->kills_before);
}

static void
explain_end(const struct init *in)
{
	long kills = memory_kills(in);
	int sig = WIFSIGNALED(in->job.status) ? WTERMSIG(in->job.status) : 0;

	if (kills > 0)
		log_warning("%ld process%s of this container %s killed for lack of memory", kills,
		    kills == 1 ? "" : "es", kills == 1 ? "was" : "were");
	else if (sig == SIGKILL && !in->out_of_grace)
		log_warning("somebody sent the command SIGKILL%s", kills == 0 ?
		    ": it was not for lack of the container's memory" : ", or memory ran out");
	else if (sig == SIGBUS)
		log_warning("the command ended with SIGBUS: often shared memory is too small "
		    "(docker run --shm-size, an emptyDir of medium Memory at /dev/shm)");
}

static int
exit_status(const struct init *in)
{
	int status;

	if (in->start_failure != 0)
		return (in->start_failure);
	if (in->failure.kind != ERR_NONE)
		return (err_exit_status(&in->failure));
	if (in->was_interrupted)
		return (128 + in->stop_signal);
	if (in->timed_out)
		return (EXIT_TIME_LIMIT);
	status = job_status(in);
	if (status == 0 && in->outputs_lost)
		return (err_exit_status(&(struct err){ .kind = ERR_OUTPUT }));
	return (status);
}

static void
make_room(struct init *in)
{
	size_t n = in->workers.n, front = front_polls(in);

	in->polls = n + front == 0 ? in->own_polls :
	    arena_alloc(&in->mem, (POLL_WORKERS + n + front) * sizeof(*in->polls));
	in->kept_fds = n + front == 0 ? in->own_fds : arena_alloc(&in->mem,
	    (KEPT_FDS + WORKER_FDS_MAX(n) + FRONT_FDS_MAX) * sizeof(*in->kept_fds));
}

static int
open_front(struct init *in, struct err *err)
{
	const struct init_options *opt = in->opt;
	struct probe_options probe = opt->probe;
	struct front *front;

	probe.hidden = &in->workers.broker_secret;
	if (!opt->with_control && !probe_is_wanted(&opt->probe))
		return (0);
	front = arena_alloc(&in->mem, sizeof(*front));
	front->control.job_uid = in->launch->account != NULL ? in->launch->account->uid :
	    geteuid();
	if (front_open(front, &probe, opt->with_control, answer_control, in, err) != 0) {
		front_close(front);
		return (-1);
	}
	in->front = front;
	return (0);
}

static const char *
ended_by(const struct init *in)
{
	if (in->failure.kind != ERR_NONE)
		return ("failure");
	if (in->timed_out)
		return ("time_limit");
	return (in->was_interrupted || (in->stop_signal != 0 && in->start_failure == 0) ?
	    "stop_signal" : "command");
}

static void
write_report(const struct init *in, int status)
{
	struct report_end end = { .status = status, .ended_by = ended_by(in),
	    .plan = in->opt->plan, .workers = &in->workers, .job = &in->job,
	    .job_started = in->job_started, .usage = &in->job_usage, .failure = &in->failure,
	    .orphans = in->orphans, .restarts = job_restarts(in),
	    .memory_kills = in->job.gone ? memory_kills(in) : -1 };
	struct err err = ERR_EMPTY;

	if (report_write(in->opt->report, &end, &err) != 0)
		log_err(&err);
}

static int
start_workers(struct init *in, struct err *err)
{
	const struct init_options *opt = in->opt;
	struct workers_options workers = { .plan = opt->plan, .facts = opt->facts,
	    .start_ms = opt->start_ms,
	    .spec = opt->spec, .audit_file = opt->audit_file };

	report_phase(opt->report, supervise_state_name(SUP_PREPARING));
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	in->deadline_ms = after(opt->start_ms);
	in->kills_seen = oom_kills();
	return (workers_start(&in->workers, &workers, err));
}

static void
note_failure(struct init *in, int failed, const struct err *err)
{
	if (failed == 0)
		return;
	log_err(err);
	keep_failure(in, err);
}

/* The prober comes last: with the workers the secrets went out of this process. */
static void
begin(struct init *in)
{
	const struct init_options *opt = in->opt;
	static struct err err;
	int with_workers = opt->failure == NULL && opt->plan != NULL &&
	    plan_needs_agent(opt->plan);

	if (getpid() != 1 && !opt->no_subreaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (opt->parent_death_signal != 0)
		prctl(PR_SET_PDEATHSIG, opt->parent_death_signal, 0, 0, 0);
	in->signal_fd = sys_signalfd(-1, with_workers ? PREPARING_SIGNALS : SYS_SIG_ALL);
	if (opt->failure != NULL)
		keep_failure(in, opt->failure);
	if (in->signal_fd < 0)
		note_failure(in, err_errno(&err, "watch signals", NULL), &err);
	else if (with_workers)
		note_failure(in, start_workers(in, &err), &err);
	note_failure(in, open_front(in, &err), &err);
	make_room(in);
	if (in->failure.kind != ERR_NONE)
		post(in, or_hold(in, EV_LOST));
	else if (in->workers.n == 0)
		post(in, EV_READY);
}

int
init_run(const struct init_options *opt)
{
	static const struct launch as_we_are = { .oom_score_adj = LAUNCH_KEEP_SCORE };
	static struct init in;		/* outlives every path out of here */
	static struct signalfd_siginfo signals[SIGNALS_MAX];	/* untouched, it costs nothing */
	int status;

	in = (struct init){ .opt = opt, .signal_fd = -1, .state = SUP_PREPARING,
	    .launch = opt->launch != NULL ? opt->launch : &as_we_are,
	    .job.report_fd = -1, .job.make_room = take_signals, .job.room_arg = &in,
	    .signals = signals, .workers.job_fd = -1, .since_us = trace_begin(),
	    .again = opt->again, .last_status = -1, .began_unix_s = clock_wall_s() };
	log_set_process("init");
	begin(&in);
	loop(&in);
	progress_clear(&in.progress);
	if (in.job.gone)
		explain_end(&in);
	status = exit_status(&in);
	if (in.workers.n != 0)
		closing_line(&in);
	if (status == 0)
		workers_forget_journals(&in.workers);
	if (opt->report != NULL && opt->report->file[0] != '\0')
		write_report(&in, status);
	workers_done(&in.workers);
	if (in.front != NULL)
		front_close(in.front);
	mem_close_fd(&in.signal_fd);
	trace_close();
	arena_done(&in.job_mem);
	arena_done(&in.mem);
	return (status);
}
