#include "init/worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "identity/agent.h"
#include "identity/broker.h"
#include "init/oom.h"
#include "mount/mountd.h"
#include "mount/transfer.h"

#define BROKER_SECRET_BYTES	24
#define MOUNT_READAHEAD_KIB	1024

/* The descriptors that one worker needs, made before any is forked. */
struct ends {
	int	init_side, worker_side;		/* init <-> worker */
	int	agent_side, ask_side;		/* agent <-> worker; -1 for the agent itself */
	int	fuse_fd;
};

static const char *
kind_word(const struct plan_access *access)
{
	switch (access->action) {
	case PLAN_MOUNT_RO:
	case PLAN_MOUNT_RW:
		return ("mount");
	case PLAN_DOWNLOAD:
		return ("download");
	case PLAN_UPLOAD:
		return ("upload");
	case PLAN_PASS:
		break;
	}
	return (NULL);
}

static int
is_mount(const struct plan_access *access)
{
	return (access->action == PLAN_MOUNT_RO || access->action == PLAN_MOUNT_RW);
}

static int64_t
memory_share(const struct plan *plan)
{
	size_t i, users = 0;

	for (i = 0; i < plan->naccesses; i++)
		users += plan->accesses[i].action != PLAN_PASS;
	return (plan->tuning.memory_bytes / (int64_t)(users == 0 ? 1 : users));
}

static int
make_ends(struct ends *ends, int with_agent, struct err *err)
{
	int pair[2];

	*ends = (struct ends){ -1, -1, -1, -1, -1 };
	if (wire_pair(pair, err) != 0)
		return (-1);
	ends->init_side = pair[0];
	ends->worker_side = pair[1];
	if (!with_agent)
		return (0);
	if (wire_pair(pair, err) != 0) {
		mem_close_fd(&ends->init_side);
		return (-1);
	}
	ends->agent_side = pair[0];
	ends->ask_side = pair[1];
	return (0);
}

static void
close_ends(struct ends *ends, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		mem_close_fd(&ends[i].worker_side);
		mem_close_fd(&ends[i].agent_side);
		mem_close_fd(&ends[i].ask_side);
		mem_close_fd(&ends[i].fuse_fd);
	}
}

void
worker_become(const char *name, enum confine_kind kind, const int *keep, size_t nkeep,
    pid_t init_pid)
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
	if (confine_self(kind) != 0)
		log_info("this kernel filters no system calls: %s", strerror(errno));
}

/* What only the agent gets: its ends of sockets, and the file. */
struct services {
	int	broker_fd, unix_fd, job_fd, audit_fd;	/* -1: none */
};

static void
close_services(struct services *s)
{
	mem_close_fd(&s->broker_fd);
	mem_close_fd(&s->unix_fd);
	mem_close_fd(&s->job_fd);
	mem_close_fd(&s->audit_fd);
}

static void __attribute__((noreturn))
run_agent(const struct workers *w, const struct workers_options *opt, struct ends *ends,
    const struct services *services, pid_t init_pid)
{
	struct agent_options agent = { .plan = opt->plan, .facts = opt->facts,
	    .init_fd = ends[0].worker_side, .broker_fd = services->broker_fd,
	    .broker_unix_fd = services->unix_fd, .job_fd = services->job_fd,
	    .audit_fd = services->audit_fd, .init_pid = (int)init_pid,
	    .broker_secret = &w->broker_secret, .vitals = w->list[0].vitals };
	const int own[] = { services->broker_fd, services->unix_fd, services->job_fd,
	    services->audit_fd, ends[0].worker_side };
	int *access_fds = mem_alloc((opt->plan->naccesses + 1) * sizeof(*access_fds));
	int *keep = mem_alloc((w->n + LENGTH(own) + 1) * sizeof(*keep));
	size_t i, nkeep = 0;

	for (i = 0; i < opt->plan->naccesses; i++)
		access_fds[i] = -1;
	for (i = 1; i < w->n; i++) {
		access_fds[w->list[i].access - opt->plan->accesses] = ends[i].agent_side;
		keep[nkeep++] = ends[i].agent_side;
	}
	for (i = 0; i < LENGTH(own); i++)
		if (own[i] >= 0)
			keep[nkeep++] = own[i];
	keep[nkeep++] = trace_fd();
	agent.access_fds = access_fds;
	worker_become("agent", CONFINE_NETWORK, keep, nkeep, init_pid);
	agent_main(&agent);
}

static void __attribute__((noreturn))
run_access(struct workers *w, const struct worker *self, const struct workers_options *opt,
    struct ends *ends, pid_t init_pid)
{
	const int keep[] = { ends->worker_side, ends->ask_side, ends->fuse_fd, trace_fd() };
	struct transfer_options transfer = { .access = self->access, .init_fd = ends->worker_side,
	    .agent_fd = ends->ask_side, .memory_bytes = memory_share(opt->plan),
	    .tuning = &opt->plan->tuning, .vitals = self->vitals };
	struct mountd_options mount = { .access = self->access, .fuse_fd = ends->fuse_fd,
	    .init_fd = ends->worker_side, .agent_fd = ends->ask_side,
	    .memory_bytes = memory_share(opt->plan), .tuning = &opt->plan->tuning,
	    .job_uid = opt->facts->uid, .job_gid = opt->facts->gid,
	    .writable_root = self->access->action == PLAN_MOUNT_RW, .vitals = self->vitals };

	worker_become(self->name, CONFINE_FILES, keep, LENGTH(keep), init_pid);
	secret_done(&w->broker_secret);		/* it asks the agent, not the broker */
	if (is_mount(self->access))
		mountd_main(&mount);
	if (self->access->action == PLAN_DOWNLOAD)
		transfer_download_main(&transfer);
	transfer_upload_main(&transfer);
}

static int
fork_worker(struct worker *self, struct err *err)
{
	self->pid = fork();
	if (self->pid < 0) {
		self->pid = 0;
		return (err_errno(err, "start a worker process", self->name));
	}
	self->state = WORKER_STARTING;
	return (0);
}

/* The agent has its copy now; nobody else keeps one. */
static void
forget_secrets(const struct workers_options *opt)
{
	struct plan *plan = (struct plan *)(uintptr_t)opt->plan;
	size_t i;

	for (i = 0; i < plan->naccesses; i++)
		plan->accesses[i].identity.secret = (struct secret){ NULL, 0 };
	plan->broker_default.secret = (struct secret){ NULL, 0 };
	spec_forget_secrets(opt->spec);
	facts_forget_secrets(opt->facts);
}

static int
attach(struct worker *self, const struct plan_tuning *tuning, struct ends *ends,
    struct err *err)
{
	const struct plan_access *access = self->access;

	if (!is_mount(access))
		return (0);
	if (mountd_attach(access->target, *access->container != '\0' ? access->container :
	    access->account, access->action == PLAN_MOUNT_RO, tuning, &ends->fuse_fd, err) != 0)
		return (err_doing(err, "mount"));
	self->mounted = 1;
	if (mountd_raise_readahead(access->target, MOUNT_READAHEAD_KIB) != 0)
		log_info("kernel readahead of %s stays at its default: sysfs cannot be written",
		    access->target);
	return (0);
}

static void
list_workers(struct workers *w, const struct plan *plan)
{
	const char *word;
	size_t i;

	w->list = arena_alloc(&w->mem, (plan->naccesses + 1) * sizeof(*w->list));
	w->list[0] = (struct worker){ .name = "agent", .fd = -1 };
	w->n = 1;
	for (i = 0; i < plan->naccesses; i++) {
		word = kind_word(&plan->accesses[i]);
		if (word == NULL)
			continue;
		w->list[w->n++] = (struct worker){ .access = &plan->accesses[i], .fd = -1,
		    .name = arena_printf(&w->mem, "%s %s", word, plan->accesses[i].name) };
	}
}

static int
share_vitals(struct workers *w, struct err *err)
{
	size_t i;

	if ((w->vitals = vitals_new(w->n, err)) == NULL)
		return (-1);
	for (i = 0; i < w->n; i++)
		w->list[i].vitals = &w->vitals[i];
	return (0);
}

/* So that the agent does not take it for the job's. */
static void
tell_agent(const struct workers *w, const struct worker *other)
{
	struct wire_msg msg = { .type = WIRE_WORKER, .value = other->pid };

	if (wire_send(w->list[0].fd, &msg, sizeof(msg)) != 0)
		log_debug("the agent is gone");
}

static int
start_all(struct workers *w, const struct workers_options *opt, struct ends *ends,
    const struct services *services, struct err *err)
{
	pid_t init_pid = getpid();
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (make_ends(&ends[i], i != 0, err) != 0)
			return (-1);
		w->list[i].fd = ends[i].init_side;
	}
	if (fork_worker(&w->list[0], err) != 0)
		return (-1);
	if (w->list[0].pid == 0)
		run_agent(w, opt, ends, services, init_pid);
	forget_secrets(opt);
	for (i = 1; i < w->n; i++) {
		if (attach(&w->list[i], &opt->plan->tuning, &ends[i], err) != 0 ||
		    fork_worker(&w->list[i], err) != 0)
			return (-1);
		if (w->list[i].pid == 0)
			run_access(w, &w->list[i], opt, &ends[i], init_pid);
		tell_agent(w, &w->list[i]);
		mem_close_fd(&ends[i].fuse_fd);
	}
	return (0);
}

/* A socket is a convenience: where there is no place for it there is still the port. */
static int
open_broker(struct workers *w, const struct workers_options *opt, struct services *ret,
    struct err *err)
{
	struct err why = ERR_EMPTY;
	char line[512];

	if (opt->plan->broker == PLAN_BROKER_NONE)
		return (0);
	ret->broker_fd = broker_listen(&w->broker_port, err);
	if (ret->broker_fd < 0 ||
	    secret_random_hex(&w->broker_secret, BROKER_SECRET_BYTES, err) != 0)
		return (-1);
	ret->unix_fd = broker_listen_unix(w->broker_socket, sizeof(w->broker_socket), &why);
	if (ret->unix_fd < 0) {
		w->broker_socket[0] = '\0';
		log_info("%s", err_line(&why, line, sizeof(line)));
	}
	return (0);
}

static int
open_services(struct workers *w, const struct workers_options *opt, struct services *ret,
    struct err *err)
{
	int pair[2];

	if (open_broker(w, opt, ret, err) != 0)
		return (-1);
	if (opt->audit_file != NULL && (ret->audit_fd = audit_open(opt->audit_file, err)) < 0)
		return (-1);
	if (opt->plan->nvariables_with_token == 0)
		return (0);
	if (wire_pair(pair, err) != 0)
		return (-1);
	ret->job_fd = pair[0];
	w->job_fd = pair[1];
	return (0);
}

/* The agent replaces files: another inode is one of its own, also when it never got ready. */
static ino_t
inode_of(const char *path)
{
	struct stat st;

	return (lstat(path, &st) == 0 ? st.st_ino : 0);
}

static void
look_at_token_files(struct workers *w)
{
	size_t i, n = w->plan->nfiles_with_token;

	w->files_before = arena_alloc(&w->mem, (n + 1) * sizeof(*w->files_before));
	for (i = 0; i < n; i++)
		w->files_before[i] = inode_of(w->plan->files_with_token[i].place);
}

int
workers_start(struct workers *w, const struct workers_options *opt, struct err *err)
{
	struct services services = { -1, -1, -1, -1 };
	struct ends *ends;
	size_t i;
	int failed;

	*w = (struct workers){ .list = NULL, .job_fd = -1, .plan = opt->plan };
	list_workers(w, opt->plan);
	look_at_token_files(w);
	ends = arena_alloc(&w->mem, w->n * sizeof(*ends));
	for (i = 0; i < w->n; i++)
		ends[i] = (struct ends){ -1, -1, -1, -1, -1 };
	failed = share_vitals(w, err);
	if (failed == 0)
		failed = open_services(w, opt, &services, err);
	if (failed == 0)
		failed = start_all(w, opt, ends, &services, err);
	close_ends(ends, w->n);
	close_services(&services);
	return (failed);
}

static void
send_stop(struct worker *self, int64_t flush_ms)
{
	struct wire_msg msg = { .type = WIRE_STOP, .value = flush_ms };

	if (self->pid == 0 || self->state == WORKER_STOPPING)
		return;
	self->state = WORKER_STOPPING;
	if (wire_send(self->fd, &msg, sizeof(msg)) != 0)
		log_debug("%s is gone before it was asked to stop", self->name);
}

void
workers_stop(struct workers *w, int64_t flush_ms)
{
	size_t i, others = 0;

	for (i = 1; i < w->n; i++) {
		send_stop(&w->list[i], flush_ms);
		others += w->list[i].pid != 0;
	}
	if (others == 0 && w->n != 0)
		send_stop(&w->list[0], flush_ms);
}

const char *
worker_data(const struct worker *self)
{
	if (self->access == NULL || self->access->staging == NULL)
		return (NULL);
	return (self->access->action == PLAN_UPLOAD ? self->access->target :
	    self->access->staging);
}

size_t
workers_kill(struct workers *w)
{
	size_t i, unflushed = 0;

	for (i = workers_only_agent(w) ? 0 : 1; i < w->n; i++) {
		struct worker *self = &w->list[i];

		if (self->pid == 0)
			continue;
		if (self->access != NULL && self->access->is_output && !self->done) {
			unflushed++;
			if (!self->told)
				log_error("%s was not flushed in time: what is left stands in %s",
				    self->name, worker_data(self));
		}
		self->told = 1;
		kill(self->pid, SIGKILL);
	}
	return (unflushed);
}

void
workers_abandon(struct workers *w)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (w->list[i].pid == 0)
			continue;
		log_error("%s, pid %d, cannot be killed; left to the kernel", w->list[i].name,
		    (int)w->list[i].pid);
		w->list[i].pid = 0;
	}
}

size_t
workers_alive(const struct workers *w)
{
	size_t i, alive = 0;

	for (i = 0; i < w->n; i++)
		alive += w->list[i].pid != 0;
	return (alive);
}

int
workers_only_agent(const struct workers *w)
{
	return (workers_alive(w) == 1 && w->list[0].pid != 0);
}

int
workers_all_ready(const struct workers *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->list[i].state != WORKER_READY && !w->list[i].done)
			return (0);
	return (1);
}

const char *
workers_waited_for(const struct workers *w, char *buf, size_t size)
{
	size_t i, len = 0;

	buf[0] = '\0';
	for (i = 0; i < w->n && len + 1 < size; i++) {
		if (w->list[i].state != WORKER_STARTING || w->list[i].done)
			continue;
		str_format(buf + len, size - len, "%s%s", len == 0 ? "" : ", ", w->list[i].name);
		len += strlen(buf + len);
	}
	return (buf);
}

struct worker *
workers_find(struct workers *w, pid_t pid)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->list[i].pid == pid)
			return (&w->list[i]);
	return (NULL);
}

void
workers_detach(struct worker *self)
{
	struct err err = ERR_EMPTY;

	if (!self->mounted)
		return;
	self->mounted = 0;
	if (mountd_detach(self->access->target, &err) != 0)
		log_err(&err);
}

void
workers_reaped(struct workers *w, struct worker *self, int64_t flush_ms)
{
	int was_stopping = self->state == WORKER_STOPPING;

	self->pid = 0;
	mem_close_fd(&self->fd);
	workers_detach(self);
	if (was_stopping && self != &w->list[0])
		workers_stop(w, flush_ms);
}

/* What the agent left behind: it has ended. */
static void
remove_traces(const struct workers *w)
{
	const char *place;
	size_t i;

	if (w->broker_socket[0] != '\0')
		broker_remove_unix(w->broker_socket);
	for (i = 0; i < w->plan->nfiles_with_token; i++) {
		place = w->plan->files_with_token[i].place;
		if (!w->list[0].was_ready && inode_of(place) == w->files_before[i])
			continue;
		if (unlink(place) != 0 && errno != ENOENT)
			log_warning("cannot remove %s: %s", place, strerror(errno));
	}
}

void
workers_forget_journals(const struct workers *w)
{
	const struct plan_access *a;
	size_t i;

	for (i = 0; i < w->n; i++) {
		a = w->list[i].access;
		if (a != NULL && a->action == PLAN_DOWNLOAD && a->journal != NULL &&
		    unlink(a->journal) != 0 && errno != ENOENT)
			log_debug("%s stays: %s", a->journal, strerror(errno));
	}
}

void
workers_done(struct workers *w)
{
	size_t i;

	mem_close_fd(&w->job_fd);
	for (i = 0; i < w->n; i++) {
		mem_close_fd(&w->list[i].fd);
		workers_detach(&w->list[i]);
	}
	if (w->n != 0)
		remove_traces(w);
	secret_done(&w->broker_secret);
	vitals_free(w->vitals, w->n);
	arena_done(&w->mem);
	*w = (struct workers){ .list = NULL, .job_fd = -1 };
}
