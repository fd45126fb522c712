/*
 * The life of the workers around a job: init as it is, with agent, mounts and transfers whose
 * behaviour is in the name of their access.  What they do goes to a page that all processes share.
 */

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/wire.h"
#include "check.h"
#include "identity/agent.h"
#include "init/init.h"
#include "mount/mountd.h"
#include "mount/transfer.h"

#define LIMIT_MS	20000		/* no run takes so long */

static struct {
	atomic_uint	len;
	char		text[4000];
} *story;

static void
tell(const char *what, const char *who)
{
	char line[64];
	size_t len;

	snprintf(line, sizeof(line), "%s %s\n", what, who);
	len = strlen(line);
	memcpy(story->text + atomic_fetch_add(&story->len, (unsigned)len), line, len);
}

static int
told(const char *what)
{
	return (strstr(story->text, what) != NULL);
}

/* 1: both were told, in this order. */
static int
in_order(const char *first, const char *second)
{
	const char *at = strstr(story->text, first);

	return (at != NULL && strstr(at, second) != NULL);
}

/* --- the processes in place of the real ones ------------------------------------------- */

static void
say(int fd, enum wire_type type, enum err_kind kind)
{
	struct wire_msg msg = { .type = type };

	if (kind != ERR_NONE)
		err_set(&msg.err, kind, REMEDY_NONE, "test", "as told");
	if (wire_send(fd, &msg, sizeof(msg)) != 0)
		_exit(99);
}

static void
wait_for_stop(int fd, struct vitals *vitals)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct proc_stat stat;		/* kill(2) is not for a worker */
	struct wire_msg msg;

	for (;;) {
		atomic_store(&vitals->beat_ms, clock_ms());
		if (poll(&p, 1, 20) == 0)
			continue;
		if (wire_recv(fd, &msg, sizeof(msg), -1) != 1)
			_exit(98);
		if (msg.type == WIRE_STOP)
			return;
		if (msg.type == WIRE_WORKER)
			tell("agent knows", proc_read_stat((pid_t)msg.value, &stat) == 0 ?
			    "a worker" : "nobody");
	}
}

static void __attribute__((noreturn))
hang(void)
{
	for (;;)
		pause();
}

/* More than anybody can read. */
static void
talk_until_stop(int fd)
{
	struct wire_msg msg;
	int i;

	for (;;) {
		for (i = 0; i < 100; i++)
			say(fd, WIRE_PROGRESS, ERR_NONE);
		if (wire_recv(fd, &msg, sizeof(msg), 0) == 1 && msg.type == WIRE_STOP)
			return;
	}
}

static const char *agent_does = "";

static int
does(const char *name, const char *what)
{
	return (strstr(name, what) != NULL);
}

/* Which life, as it was told and as its memory has it. */
static void
tell_life(int life, int was_ready, int state_fd)
{
	char byte = 'x', text[32];
	long long lives = lseek(state_fd, 0, SEEK_END);

	snprintf(text, sizeof(text), "%d %d %lld", life, was_ready, lives);
	tell("life", text);
	if (write(state_fd, &byte, 1) != 1)
		_exit(96);
}

static void __attribute__((noreturn))
live(const char *name, int fd, int life, struct vitals *vitals)
{
	tell("began", name);
	if (does(name, "dies-early"))
		raise(SIGKILL);
	if (does(name, "denied") && (life > 0 || !does(name, "later"))) {
		say(fd, WIRE_FAILED, ERR_DENIED);
		_exit(3);
	}
	if (does(name, "takes-its-time"))
		clock_sleep_ms(500);
	if (!does(name, "never-ready"))
		say(fd, WIRE_READY, ERR_NONE);
	if (does(name, "dies-later")) {
		clock_sleep_ms(300);
		raise(SIGKILL);
	}
	if (does(name, "denied later")) {
		clock_sleep_ms(2300);
		raise(SIGKILL);
	}
	if (does(name, "closes-early") && life == 0) {
		close(fd);
		clock_sleep_ms(1500);
		raise(SIGKILL);
	}
	if (does(name, "dies-twice") && life < 2) {
		clock_sleep_ms(100);
		raise(SIGKILL);
	}
	if (does(name, "gets-stuck") && life == 0) {
		vitals->beat_ms = clock_ms();
		hang();
	}
	if (does(name, "talks"))
		talk_until_stop(fd);
	else
		wait_for_stop(fd, vitals);
	tell("stop", name);
	if (does(name, "dies-flushing") && (life < 1 || does(name, "always")))
		raise(SIGKILL);
	if (does(name, "hangs"))
		hang();
	if (does(name, "loses"))
		say(fd, WIRE_LOST, ERR_OUTPUT);
	clock_sleep_ms(100);
	tell("done", name);
	say(fd, WIRE_DONE, ERR_NONE);
	_exit(0);
}

void
agent_main(const struct agent_options *opt)
{
	live(agent_does[0] != '\0' ? agent_does : "agent", opt->init_fd, opt->life, opt->vitals);
}

void
mountd_main(const struct mountd_options *opt)
{
	tell_life(opt->life, opt->was_ready, opt->state_fd);
	live(opt->access->name, opt->init_fd, opt->life, opt->vitals);
}

void
transfer_upload_main(const struct transfer_options *opt)
{
	live(opt->access->name, opt->init_fd, opt->life, opt->vitals);
}

void
transfer_download_main(const struct transfer_options *opt)
{
	tell("began", opt->access->name);
	if (does(opt->access->name, "at-first") && opt->life == 0)
		_exit(1);
	say(opt->init_fd, WIRE_READY, ERR_NONE);
	_exit(does(opt->access->name, "dies") ? 1 : 0);
}

int
mountd_attach(const char *target, const char *source, int read_only,
    const struct plan_tuning *tuning, int *ret_fuse_fd, struct err *err)
{
	(void)source;
	(void)read_only;
	(void)tuning;
	if (does(target, "unmountable"))
		return (err_set(err, ERR_SYSTEM, REMEDY_GIVE_FUSE, "mount", "as told"));
	*ret_fuse_fd = -1;
	tell("attach", target);
	return (0);
}

int
mountd_detach(const char *target, struct err *err)
{
	(void)err;
	tell("detach", target);
	return (0);
}

int
mountd_raise_readahead(const char *target, int kib)
{
	(void)target;
	(void)kib;
	return (0);
}

/* --- one run ----------------------------------------------------------------------------- */

struct run {
	const char	*command;		/* for /bin/sh -c */
	struct plan_access accesses[80];
	size_t		 naccesses;
	enum plan_broker broker;
	long long	 timeout_s;
	int64_t		 grace_ms, flush_ms, start_ms, watchdog_ms;
	uint64_t	 mask;			/* blocked when it starts */
	char		*argv[4];		/* instead of command */
	/* Signals from outside once that was told. */
	const char	*when;
	int		 sig, times;
	int64_t		 took_ms, cpu_ms;	/* processor: of all that it waited for, too */
	struct again	 again;
	int64_t		 drain_ms;
	const struct launch *launch;
};

static void
add(struct run *r, enum plan_action action, const char *name)
{
	r->accesses[r->naccesses++] = (struct plan_access){ .name = name, .action = action,
	    .is_output = action == PLAN_UPLOAD || action == PLAN_MOUNT_RW, .target = name,
	    .uri = "test", .container = "test", .value = name, .staging = "/nowhere" };
}

static int
run_inside(const struct run *r)
{
	struct plan plan = { .accesses = (struct plan_access *)(uintptr_t)r->accesses,
	    .naccesses = r->naccesses, .broker = r->broker,
	    .broker_dialects = PLAN_DIALECTS_DEFAULT, .timeout_s = r->timeout_s,
	    .tuning.memory_bytes = 1 << 20 };
	char *none[] = { NULL };
	char shell[] = "/bin/sh", c[] = "-c";
	char *argv[] = { shell, c, (char *)(uintptr_t)r->command, NULL };
	struct facts facts = { .cwd = "/", .environ = none };
	struct spec spec = { .ndatastores = 0 };
	struct init_options opt = { .plan = &plan, .spec = &spec, .facts = &facts, .envp = none,
	    .grace_ms = r->grace_ms, .leftover_ms = 1000, .flush_ms = r->flush_ms,
	    .start_ms = r->start_ms, .watchdog_ms = r->watchdog_ms, .group = -1,
	    .again = r->again, .drain_ms = r->drain_ms, .launch = r->launch };

	if (init_take_over(&opt.inherited) != 0)
		return (97);
	opt.inherited.mask = r->mask;
	plan.argv = r->argv[0] != NULL ? (char **)(uintptr_t)r->argv : argv;
	return (init_run(&opt));
}

static void
send_signals(const struct run *r, pid_t pid)
{
	union sigval value = { .sival_int = 0 };
	int64_t until = clock_ms() + LIMIT_MS;

	while (r->when != NULL && !told(r->when) && clock_ms() < until)
		clock_sleep_ms(10);
	for (; value.sival_int < r->times; value.sival_int++)
		sigqueue(pid, r->sig, value);
}

static int64_t
milliseconds(const struct timeval *t)
{
	return ((int64_t)t->tv_sec * 1000 + t->tv_usec / 1000);
}

/* The exit status; -1 if it had to be killed. */
static int
finish(struct run *r, pid_t pid, int64_t began_ms)
{
	struct rusage usage = { .ru_nsignals = 0 };
	int status = 0;

	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		if (clock_ms() - began_ms > LIMIT_MS) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return (-1);
		}
		clock_sleep_ms(5);
	}
	r->took_ms = clock_ms() - began_ms;
	r->cpu_ms = milliseconds(&usage.ru_utime) + milliseconds(&usage.ru_stime);
	return (WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static int
run(struct run *r)
{
	int64_t began_ms = clock_ms();
	pid_t pid;

	memset(story, 0, sizeof(*story));
	pid = fork();
	if (pid == 0)
		_exit(run_inside(r));
	send_signals(r, pid);
	return (finish(r, pid, began_ms));
}

static struct run
plain(const char *command)
{
	return ((struct run){ .command = command, .grace_ms = -1, .flush_ms = 10000,
	    .start_ms = 10000 });
}

/* --- what is to be true -------------------------------------------------------------------- */

static void
test_order(void)
{
	struct run r = plain("exit 7");

	add(&r, PLAN_MOUNT_RO, "in");
	add(&r, PLAN_UPLOAD, "out");
	add(&r, PLAN_DOWNLOAD, "dies-when-done");
	check_int(run(&r), 7);
	check(in_order("attach in", "began in"));
	check(in_order("done in", "stop agent"));	/* the agent gives tokens to the last */
	check(in_order("done out", "stop agent"));
	check(told("done agent"));
	check(told("detach in"));
}

static void
test_attach_fails(void)
{
	struct run r = plain("exit 7");

	add(&r, PLAN_MOUNT_RO, "first");
	add(&r, PLAN_MOUNT_RO, "unmountable");
	add(&r, PLAN_UPLOAD, "third");
	check_int(run(&r), 125);
	check(in_order("done first", "stop agent"));
	check(told("detach first"));
	check(!told("began third"));
	check(!told("detach unmountable"));
}

static void
test_failures_before_the_job(void)
{
	static const struct { const char *agent, *access; int status; } rows[] = {
		{ "agent denied", "in", 122 },
		{ "", "in denied", 122 },
		{ "", "in dies-early", 125 },
		{ "agent dies-early", "in", 125 },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct run r = plain("exit 7");

		agent_does = rows[i].agent;
		add(&r, PLAN_MOUNT_RO, rows[i].access);
		add(&r, PLAN_UPLOAD, "out");
		check_int(run(&r), rows[i].status);
		check(told("done out"));
		check(r.took_ms < 8000);
		agent_does = "";
	}
}

static void
test_failures_during_the_job(void)
{
	static const char *const who[] = { "in dies-later", "agent dies-later" };
	size_t i;

	for (i = 0; i < LENGTH(who); i++) {
		struct run r = plain("trap 'exit 5' TERM; while :; do sleep 0.1; done");

		agent_does = i == 1 ? who[1] : "";
		add(&r, PLAN_MOUNT_RO, i == 0 ? who[0] : "in");
		check_int(run(&r), 125);
		check(r.took_ms < 8000);
		agent_does = "";
	}
}

static int
times_told(const char *what)
{
	const char *at = story->text;
	int n = 0;

	while ((at = strstr(at, what)) != NULL) {
		at += strlen(what);
		n++;
	}
	return (n);
}

/* Before the job, in its time, and at the end: what was there before is there again. */
static void
test_successors(void)
{
	struct run r = plain("sleep 1; exit 7");

	add(&r, PLAN_MOUNT_RO, "in dies-twice");
	add(&r, PLAN_DOWNLOAD, "data dies-at-first");
	check_int(run(&r), 7);
	check_int(times_told("began in"), 3);
	check_int(times_told("attach in"), 1);
	check_int(times_told("detach in"), 1);
	check_int(times_told("began data"), 2);
	check(told("life 0 0 0\n"));
	check(told("life 1 1 1\n"));
	check(told("life 2 1 2\n"));
	check_int(times_told("began agent"), 1);
	check_int(times_told("agent knows"), 5);
	check(times_told("agent knows a worker") >= 3);		/* some die at once */
	check(in_order("done in", "stop agent"));
}

static void
test_agent_has_successors(void)
{
	struct run r = plain("sleep 1; exit 7");

	agent_does = "agent dies-twice";
	add(&r, PLAN_MOUNT_RO, "in");
	add(&r, PLAN_UPLOAD, "out");
	check_int(run(&r), 7);
	check_int(times_told("began agent"), 3);
	check_int(times_told("agent knows a worker"), 2);	/* those before read nothing */
	check_int(times_told("began in"), 1);
	check(in_order("done out", "stop agent"));
	agent_does = "";
}

/* Its end of the socket is closed long before it ends: nobody spins on that. */
static void
test_closes_early(void)
{
	struct run r = plain("sleep 2; exit 7");

	add(&r, PLAN_MOUNT_RO, "in closes-early");
	check_int(run(&r), 7);
	check_int(times_told("began in"), 2);
	check(r.cpu_ms < 700);
}

/* Messages without end keep init neither from the job nor from the others. */
static void
test_talks(void)
{
	struct run r = plain("exit 7");

	add(&r, PLAN_MOUNT_RO, "one talks");
	add(&r, PLAN_MOUNT_RO, "two talks");
	add(&r, PLAN_MOUNT_RO, "three talks");
	check_int(run(&r), 7);
	check(told("done one"));
	check(told("done three"));
}

/* While the job waits for its next start: that this never comes is a failure. */
static void
test_lost_between_runs(void)
{
	struct run r = plain("exit 0");

	r.again.policy = AGAIN_ALWAYS;
	add(&r, PLAN_MOUNT_RO, "in denied later");
	check_int(run(&r), 122);
	check_int(times_told("began in"), 2);
}

static void
test_watchdog(void)
{
	struct run r = plain("sleep 2; exit 7");

	r.watchdog_ms = 400;
	add(&r, PLAN_MOUNT_RO, "in gets-stuck");
	add(&r, PLAN_MOUNT_RO, "other");
	check_int(run(&r), 7);
	check_int(times_told("began in"), 2);
	check_int(times_told("began other"), 1);
	r.watchdog_ms = -1;
	r.flush_ms = 0;
	check_int(run(&r), 7);
	check_int(times_told("began in"), 1);
}

/* Told to stop again; what dies each time has lost its output. */
static void
test_death_while_flushing(void)
{
	struct run r = plain("exit 0");

	add(&r, PLAN_UPLOAD, "out dies-flushing");
	add(&r, PLAN_MOUNT_RW, "rw dies-flushing");
	add(&r, PLAN_MOUNT_RO, "in dies-flushing");	/* nobody reads any more: no successor */
	check_int(run(&r), 0);
	check_int(times_told("stop out"), 2);
	check_int(times_told("stop rw"), 2);
	check_int(times_told("stop in"), 1);
	check(in_order("done rw", "stop agent"));
	r = plain("exit 0");
	add(&r, PLAN_UPLOAD, "out dies-flushing always");
	add(&r, PLAN_UPLOAD, "other");
	check_int(run(&r), 123);
	check_int(times_told("stop out"), 5);
	check(told("done other"));
	check(told("done agent"));
	check(r.took_ms < 15000);
}

static void
test_lost_outputs(void)
{
	struct run r = plain("exit 0");

	add(&r, PLAN_UPLOAD, "out loses");
	check_int(run(&r), 123);
	r.command = "exit 7";
	check_int(run(&r), 7);		/* the job's own failure says more */
	r = plain("exit 0");
	r.flush_ms = 0;
	add(&r, PLAN_MOUNT_RW, "out hangs");
	add(&r, PLAN_UPLOAD, "other");
	check_int(run(&r), 123);
	check(told("done other"));
	check(told("done agent"));
	check(r.took_ms < 15000);
}

static void
test_agent_hangs(void)
{
	struct run r = plain("exit 0");

	r.flush_ms = -1;
	agent_does = "agent hangs";
	add(&r, PLAN_UPLOAD, "out");
	check_int(run(&r), 0);		/* it has no outputs, and is not waited for without end */
	check(told("done out"));
	agent_does = "";
}

/* A stop signal while outputs go out: they have the grace time, not the flush time. */
static void
test_stop_while_flushing(void)
{
	struct run r = plain("exit 0");

	r.grace_ms = 300;
	add(&r, PLAN_UPLOAD, "out hangs");
	r.when = "stop out";
	r.sig = SIGTERM;
	r.times = 1;
	check_int(run(&r), 123);
	check(r.took_ms < 8000);
}

static void
test_stop_before_the_job(void)
{
	struct run r = plain("exit 7");

	add(&r, PLAN_MOUNT_RO, "in never-ready");
	r.when = "began in";
	r.times = 1;
	r.sig = SIGTERM;
	check_int(run(&r), 143);
	check(r.took_ms < 8000);
	r.sig = SIGHUP;
	check_int(run(&r), 129);
}

static void
test_start_timeout(void)
{
	struct run r = plain("exit 7");

	r.start_ms = 300;
	add(&r, PLAN_MOUNT_RO, "in never-ready");
	check_int(run(&r), 120);
	check(r.took_ms < 8000);
}

/* Signals that are for the job and come before it: each, and with their values. */
static void
test_early_signals(char *self)
{
	struct run r = plain(NULL);
	char mode[] = "count";

	r.argv[0] = self;
	r.argv[1] = mode;
	r.mask = UINT64_C(1) << 34;
	add(&r, PLAN_MOUNT_RO, "in takes-its-time");
	r.sig = 35;
	r.times = 50;
	r.when = "began in";
	check_int(run(&r), 50);
}

static void
test_time_limit(void)
{
	struct run r = plain("trap '' TERM; while :; do sleep 0.1; done");

	r.timeout_s = 1;
	r.grace_ms = 200;
	add(&r, PLAN_UPLOAD, "out");
	check_int(run(&r), 124);
	check(told("done out"));
	/* A stop signal without a grace time does not lift the limit. */
	r.command = "trap '' TERM; kill -TERM $PPID; while :; do sleep 0.1; done";
	r.grace_ms = -1;
	check_int(run(&r), 124);
	check(r.took_ms < 8000);
}

/* The limit comes while it serves on: it has its time to end all the same. */
static void
test_time_limit_while_lingering(void)
{
	struct run r = plain("trap 'sleep 0.7; exit 9' TERM; kill -TERM $PPID; "
	    "while :; do sleep 0.1; done");

	r.drain_ms = 15000;
	r.timeout_s = 1;
	check_int(run(&r), 124);
	check(r.took_ms >= 1600);
	check(r.took_ms < 8000);
}

/* A job that takes no signal and has no room for one does not hold up its own end. */
static void
test_full_queue(char *self)
{
	struct launch launch = { .oom_score_adj = LAUNCH_KEEP_SCORE,
	    .limited = 1u << RLIMIT_SIGPENDING };
	struct run r = plain(NULL);
	char mode[] = "deaf";

	r.argv[0] = self;
	r.argv[1] = mode;
	r.launch = &launch;
	r.mask = UINT64_C(1) << 34;
	add(&r, PLAN_MOUNT_RO, "in takes-its-time");
	r.sig = 35;
	r.times = 40;
	r.when = "began in";
	check_int(run(&r), 7);
	check(r.took_ms < 8000);
}

static void
test_broker_environment(void)
{
	struct run r = plain("case $OBO_ENDPOINT in http://127.0.0.1:*/OBO/????????*/token) ;; "
	    "*) exit 1 ;; esac; test -z \"$MSI_SECRET$MSI_ENDPOINT\"");

	r.broker = PLAN_BROKER_USER;
	check_int(run(&r), 0);
	r.command = "case $MSI_ENDPOINT in http://127.0.0.1:*/MSI/auth) ;; *) exit 1 ;; esac; "
	    "test -n \"$MSI_SECRET\" -a -z \"$OBO_ENDPOINT\" && "
	    "test \"$IDENTITY_HEADER\" = \"$MSI_SECRET\" -a -S \"$AMLSHIM_BROKER_SOCKET\" && "
	    "test \"$IDENTITY_ENDPOINT\" = \"${MSI_ENDPOINT%/MSI/auth}/msi/token\"";
	r.broker = PLAN_BROKER_MANAGED;
	check_int(run(&r), 0);
}

static void
test_command_missing(void)
{
	struct run r = plain(NULL);
	char missing[] = "/no/such/command";

	r.argv[0] = missing;
	add(&r, PLAN_UPLOAD, "out");
	check_int(run(&r), 127);
	check(told("done out"));
}

/* With many workers too nothing of the caller's stays open: a reader sees the end. */
static void
test_inherited_fds(void)
{
	struct run r = plain(NULL);
	char command[64], byte;
	int ends[2], i;
	pid_t pid;

	if (!check_int(pipe(ends), 0))
		return;
	for (i = 0; i < 70; i++)
		add(&r, PLAN_DOWNLOAD, "in");
	snprintf(command, sizeof(command), "exec %d>&-; sleep 3; exit 7", ends[1]);
	r.command = command;
	memset(story, 0, sizeof(*story));
	pid = fork();
	if (pid == 0)
		_exit(run_inside(&r));
	close(ends[1]);
	check_int(read(ends[0], &byte, 1), 0);
	check_int(waitpid(pid, NULL, WNOHANG), 0);	/* it was not the end of init */
	check_int(finish(&r, pid, clock_ms()), 7);
	close(ends[0]);
}

/* The other program of this file: how many signals 35 come, in the order of their values. */
static int
count(void)
{
	struct timespec limit = { .tv_sec = 1 };
	siginfo_t info;
	sigset_t set;
	int n = 0;

	sigemptyset(&set);
	sigaddset(&set, 35);
	while (sigtimedwait(&set, &info, &limit) == 35 && info.si_value.sival_int == n)
		n++;
	return (n);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "count") == 0)
		return (count());
	if (argc > 1 && strcmp(argv[1], "deaf") == 0) {
		clock_sleep_ms(1000);
		return (7);
	}
	log_setup(-1, LOG_TEXT);
	story = mmap(NULL, sizeof(*story), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	    0);
	if (!check(story != MAP_FAILED))
		return (check_done());
	test_order();
	test_attach_fails();
	test_failures_before_the_job();
	test_failures_during_the_job();
	test_successors();
	test_agent_has_successors();
	test_closes_early();
	test_talks();
	test_lost_between_runs();
	test_watchdog();
	test_death_while_flushing();
	test_lost_outputs();
	test_agent_hangs();
	test_stop_while_flushing();
	test_stop_before_the_job();
	test_start_timeout();
	test_early_signals(argv[0]);
	test_time_limit();
	test_time_limit_while_lingering();
	test_full_queue(argv[0]);
	test_broker_environment();
	test_command_missing();
	test_inherited_fds();
	return (check_done());
}
