#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/secret_mem.h"
#include "base/sys.h"
#include "base/trace.h"
#include "identity/agent.h"
#include "init/oom.h"
#include "init/safe.h"
#include "init/worker_parts.h"
#include "mount/mountd.h"
#include "mount/transfer.h"

#define TELL_MS		2000	/* from a failure to its line in the log */

static int64_t
memory_share(const struct plan *plan)
{
	size_t i, users = 0;

	for (i = 0; i < plan->naccesses; i++)
		users += plan->accesses[i].action != PLAN_PASS;
	return (plan->tuning.memory_bytes / (int64_t)(users == 0 ? 1 : users));
}

/*
 * To see which process a connection comes from, the agent reads /proc/PID/fd of the job's.  The
 * kernel asks for one of: CAP_SYS_PTRACE; every capability that the other one has; that it is
 * another user without any, and CAP_SETUID to look as that one (identity/peer.c).
 */
static uint64_t
agent_caps(const struct facts *facts)
{
	struct sys_caps own;

	if (facts->uid != geteuid())
		return (WORKER_CAPS | SYS_CAP(CAP_SETUID) | SYS_CAP(CAP_SETGID) |
		    SYS_CAP(CAP_CHOWN));	/* its token files */
	if (sys_get_caps(&own) == 0 && (own.permitted & SYS_CAP(CAP_SYS_PTRACE)) == 0)
		return (own.permitted);
	return (WORKER_CAPS | SYS_CAP(CAP_SYS_PTRACE));
}

/* FUSE_DEV_IOC_BACKING_OPEN: the kernel reads cached files by itself. */
static uint64_t
files_caps(const struct plan_access *access, const struct plan_tuning *tuning)
{
	return (access->action == PLAN_MOUNT_RO && tuning->disk_cache_bytes > 0 ?
	    WORKER_CAPS | SYS_CAP(CAP_SYS_ADMIN) : WORKER_CAPS);
}

static void
confine(enum confine_kind kind, uint64_t caps)
{
	if (kind == CONFINE_FILES && confine_sight() != 0)
		log_info("this kernel has no Landlock, or an older one: %s", strerror(errno));
	if (sys_keep_caps(caps) != 0)
		log_info("capabilities stay: %s", strerror(errno));
	if (confine_self(kind) != 0)
		log_info("this kernel filters no system calls: %s", strerror(errno));
}

void
worker_become(const char *name, enum confine_kind kind, uint64_t caps, const int *keep,
    size_t nkeep, pid_t init_pid)
{
	char text[64];

	fd_close_except(3, keep, nkeep);
	oom_unprotect();
	if (chdir("/") != 0)
		log_debug("chdir /: %s", strerror(errno));
	str_format(text, sizeof(text), "amlshim:%s", name);
	sys_set_comm(text);
	log_set_process(name);
	trace_process(text);
	if (sys_harden_worker(init_pid) != 0)
		_exit(125);
	secret_mem_lock();
	confine(kind, caps);
}

static void __attribute__((noreturn))
give_up(int init_fd, const struct err *err)
{
	struct wire_msg msg = { .type = WIRE_FAILED, .err = *err };

	if (wire_send(init_fd, &msg, sizeof(msg)) != 0)
		log_err(err);
	_exit(err_exit_status(err));
}

size_t
worker_kept_fds(const struct workers *w, const struct worker *self, int init_fd, int *ret)
{
	const struct worker_services *s = &w->services;
	const int agents[] = { s->broker_fd, s->unix_fd, s->job_fd, s->audit_fd, s->safe_fd };
	const int others[] = { self->fds.ask_side, self->fds.fuse_fd, self->fds.state_fd };
	int is_agent = self->access == NULL;
	const int *own = is_agent ? agents : others;
	size_t i, n = 0;

	ret[n++] = init_fd;
	ret[n++] = trace_fd();
	for (i = 0; i < (is_agent ? LENGTH(agents) : LENGTH(others)); i++)
		ret[n++] = own[i];
	for (i = 1; is_agent && i < w->n; i++)
		ret[n++] = w->list[i].fds.agent_side;
	return (n);
}

static void
become(const struct workers *w, const struct worker *self, int init_fd, pid_t init_pid)
{
	auto_free int *keep = mem_alloc(WORKER_KEPT_MAX(w->n) * sizeof(*keep));
	size_t nkeep = worker_kept_fds(w, self, init_fd, keep);

	if (self->access == NULL)
		worker_become(self->name, CONFINE_NETWORK, agent_caps(w->opt.facts), keep, nkeep,
		    init_pid);
	else
		worker_become(self->name, CONFINE_FILES,
		    files_caps(self->access, &w->opt.plan->tuning), keep, nkeep, init_pid);
}

int64_t
workers_first_wait_ms(const struct workers *w)
{
	int64_t start_ms = w->opt.start_ms;

	if (start_ms <= 0)
		return (0);
	return (start_ms > 2 * TELL_MS ? start_ms - TELL_MS : start_ms / 2);
}

static void __attribute__((noreturn))
run_agent(const struct workers *w, const struct worker *self, int init_fd, pid_t init_pid)
{
	const struct worker_services *s = &w->services;
	const struct plan *plan = w->opt.plan;
	struct agent_options agent = { .plan = plan, .facts = w->opt.facts,
	    .init_fd = init_fd, .broker_fd = s->broker_fd, .broker_unix_fd = s->unix_fd,
	    .token_homes = w->token_homes, .job_fd = s->job_fd, .audit_fd = s->audit_fd,
	    .init_pid = (int)init_pid,
	    .broker_secret = &w->broker_secret, .life = self->life,
	    .first_wait_ms = workers_first_wait_ms(w),
	    .was_ready = self->was_ready, .vitals = self->vitals };
	int *access_fds = mem_alloc((plan->naccesses + 1) * sizeof(*access_fds));
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < plan->naccesses; i++)
		access_fds[i] = -1;
	for (i = 1; i < w->n; i++)
		access_fds[w->list[i].access - plan->accesses] = w->list[i].fds.agent_side;
	agent.access_fds = access_fds;
	become(w, self, init_fd, init_pid);
	if (safe_open(s->safe_fd, (struct plan *)(uintptr_t)plan, w->opt.facts, &err) != 0)
		give_up(init_fd, &err);
	agent_main(&agent);
}

static void __attribute__((noreturn))
run_mount(const struct workers *w, const struct worker *self, int init_fd)
{
	struct mountd_options mount = { .access = self->access, .fuse_fd = self->fds.fuse_fd,
	    .init_fd = init_fd, .agent_fd = self->fds.ask_side, .state_fd = self->fds.state_fd,
	    .life = self->life, .was_ready = self->was_ready,
	    .first_wait_ms = workers_first_wait_ms(w),
	    .memory_bytes = memory_share(w->opt.plan), .tuning = &w->opt.plan->tuning,
	    .job_uid = w->opt.facts->uid, .job_gid = w->opt.facts->gid,
	    .writable_root = self->access->action == PLAN_MOUNT_RW, .vitals = self->vitals };

	mountd_main(&mount);
}

static void __attribute__((noreturn))
run_transfer(const struct workers *w, const struct worker *self, int init_fd)
{
	struct transfer_options transfer = { .access = self->access, .init_fd = init_fd,
	    .agent_fd = self->fds.ask_side, .life = self->life, .was_ready = self->was_ready,
	    .memory_bytes = memory_share(w->opt.plan), .tuning = &w->opt.plan->tuning,
	    .vitals = self->vitals };
	const uint64_t upgrade = SYS_SIG(SIGUSR2);

	/* It may end anywhere: the journal tells its successor what is done. */
	if (sys_set_ignored(SIGUSR2, 0) != 0 || sys_sigprocmask(SIG_UNBLOCK, &upgrade, NULL) != 0)
		log_debug("SIGUSR2 stays blocked: %s", strerror(errno));
	if (self->access->action == PLAN_DOWNLOAD)
		transfer_download_main(&transfer);
	transfer_upload_main(&transfer);
}

void
worker_run(struct workers *w, const struct worker *self, int init_fd, pid_t init_pid)
{
	if (self->access == NULL)
		run_agent(w, self, init_fd, init_pid);
	become(w, self, init_fd, init_pid);
	secret_done(&w->broker_secret);		/* it asks the agent, not the broker */
	if (worker_is_mount(self->access))
		run_mount(w, self, init_fd);
	run_transfer(w, self, init_fd);
}
