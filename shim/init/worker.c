#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "init/safe.h"
#include "init/worker_parts.h"
#include "mount/mountd.h"

#define BROKER_SECRET_BYTES	24
#define MOUNT_READAHEAD_KIB	1024

static const struct worker_fds no_fds = { -1, -1, -1, -1 };
static const struct worker_services no_services = { -1, -1, -1, -1, -1 };

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

int
worker_is_mount(const struct plan_access *access)
{
	return (access->action == PLAN_MOUNT_RO || access->action == PLAN_MOUNT_RW);
}

/* The socket with the agent, the memory of a mount. */
static int
make_fds(struct worker *self, struct err *err)
{
	int pair[2];

	if (self->access == NULL)
		return (0);
	if (wire_pair(pair, err) != 0)
		return (-1);
	self->fds.agent_side = pair[0];
	self->fds.ask_side = pair[1];
	if (worker_is_mount(self->access) && (self->fds.state_fd = sys_memfd("mount state")) < 0)
		return (err_errno(err, "make memory for a mount", self->name));
	return (0);
}

static void
close_fds(struct worker *self)
{
	mem_close_fd(&self->fds.agent_side);
	mem_close_fd(&self->fds.ask_side);
	mem_close_fd(&self->fds.fuse_fd);
	mem_close_fd(&self->fds.state_fd);
}

static void
close_services(struct worker_services *s)
{
	mem_close_fd(&s->broker_fd);
	mem_close_fd(&s->unix_fd);
	mem_close_fd(&s->audit_fd);
	mem_close_fd(&s->job_fd);
	mem_close_fd(&s->safe_fd);
}

/* What was said to the one before was said to it: the socket is a new one. */
int
worker_fork(struct workers *w, struct worker *self, struct err *err)
{
	pid_t init_pid = getpid();
	int pair[2];

	if (wire_pair(pair, err) != 0)
		return (-1);
	atomic_store(&self->vitals->beat_ms, 0);	/* its own, not that of the one before */
	self->began_us = trace_begin();
	self->pid = self->life == 0 ? sys_fork() : fork();	/* a successor comes again */
	if (self->pid == 0) {
		if (self->wants_new)
			worker_execute(w, self, pair[1], init_pid);
		worker_run(w, self, pair[1], init_pid);
	}
	mem_close_fd(&pair[1]);
	if (self->pid < 0) {
		self->pid = 0;
		mem_close_fd(&pair[0]);
		return (err_errno(err, "start a worker process", self->name));
	}
	self->fd = pair[0];
	self->state = WORKER_STARTING;
	self->restart.born_ms = clock_ms();
	watch_begin(&self->watch, self->restart.born_ms);
	self->again_ms = 0;
	self->hung = 0;
	self->untried = self->wants_new;
	self->wants_new = 0;
	return (0);
}

static int
attach(struct worker *self, const struct plan_tuning *tuning, struct err *err)
{
	const struct plan_access *access = self->access;

	if (!worker_is_mount(access))
		return (0);
	if (mountd_attach(access->target, *access->container != '\0' ? access->container :
	    access->account, access->action == PLAN_MOUNT_RO, tuning, &self->fds.fuse_fd, err) != 0)
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
	w->list[0] = (struct worker){ .name = "agent", .fd = -1, .fds = no_fds };
	w->n = 1;
	for (i = 0; i < plan->naccesses; i++) {
		word = kind_word(&plan->accesses[i]);
		if (word == NULL)
			continue;
		w->list[w->n++] = (struct worker){ .access = &plan->accesses[i], .fd = -1,
		    .fds = no_fds, .name = arena_printf(&w->mem, "%s %s", word,
		    plan->accesses[i].name) };
	}
}

static int
share_vitals(struct workers *w, struct err *err)
{
	size_t i;

	if ((w->vitals = vitals_new(w->n, &w->vitals_fd, err)) == NULL)
		return (-1);
	for (i = 0; i < w->n; i++)
		w->list[i].vitals = &w->vitals[i];
	return (0);
}

void
worker_announce(const struct workers *w, const struct worker *other)
{
	struct wire_msg msg = { .type = WIRE_WORKER, .value = other->pid };

	if (other->pid != 0 && w->list[0].pid != 0 &&
	    wire_send_now(w->list[0].fd, &msg, sizeof(msg)) != 0)
		log_debug("the agent is not told of %s: %s", other->name, strerror(errno));
}

static int
start_all(struct workers *w, struct err *err)
{
	const struct workers_options *opt = &w->opt;
	size_t i;

	for (i = 0; i < w->n; i++)
		if (make_fds(&w->list[i], err) != 0)
			return (-1);
	if (worker_fork(w, &w->list[0], err) != 0)
		return (-1);
	for (i = 1; i < w->n; i++) {
		if (attach(&w->list[i], &opt->plan->tuning, err) != 0 ||
		    worker_fork(w, &w->list[i], err) != 0)
			return (-1);
		worker_announce(w, &w->list[i]);
	}
	return (0);
}

/* A socket is a convenience: where there is no place for it there is still the port. */
static int
open_broker(struct workers *w, struct err *err)
{
	struct worker_services *s = &w->services;
	struct err why = ERR_EMPTY;
	char line[512];

	if (w->opt.plan->broker == PLAN_BROKER_NONE)
		return (0);
	s->broker_fd = broker_listen(&w->broker_port, err);
	if (s->broker_fd < 0 ||
	    secret_random_hex(&w->broker_secret, BROKER_SECRET_BYTES, err) != 0)
		return (-1);
	s->unix_fd = broker_listen_unix(w->broker_socket, sizeof(w->broker_socket), &why);
	if (s->unix_fd < 0) {
		w->broker_socket[0] = '\0';
		log_info("%s", err_line(&why, line, sizeof(line)));
	}
	return (0);
}

static int
open_services(struct workers *w, struct err *err)
{
	const struct workers_options *opt = &w->opt;
	struct worker_services *s = &w->services;
	int pair[2];

	s->safe_fd = safe_close((struct plan *)(uintptr_t)opt->plan, opt->spec, opt->facts, err);
	if (s->safe_fd < 0 || open_broker(w, err) != 0)
		return (-1);
	if (opt->audit_file != NULL && (s->audit_fd = audit_open(opt->audit_file, err)) < 0)
		return (-1);
	if (opt->plan->nvariables_with_token == 0)
		return (0);
	if (wire_pair(pair, err) != 0)
		return (-1);
	s->job_fd = pair[0];
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
	const struct plan_token *files = w->opt.plan->files_with_token;
	size_t i, n = w->opt.plan->nfiles_with_token;

	w->files_before = arena_alloc(&w->mem, (n + 1) * sizeof(*w->files_before));
	for (i = 0; i < n; i++)
		w->files_before[i] = inode_of(files[i].place);
	if (w->opt.facts->uid == geteuid())
		return;
	w->token_homes = arena_alloc(&w->mem, (n + 1) * sizeof(*w->token_homes));
	for (i = 0; i < n; i++)
		fd_home_of(files[i].place, &w->token_homes[i]);
}

/* Now: once it is replaced, /proc tells " (deleted)". */
static void
find_exe(struct workers *w)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

	if (len > 0 && (size_t)len < sizeof(path) && path[0] == '/')
		w->exe = arena_strndup(&w->mem, path, (size_t)len);
}

int
workers_start(struct workers *w, const struct workers_options *opt, struct err *err)
{
	int failed;

	*w = (struct workers){ .opt = *opt, .services = no_services, .job_fd = -1,
	    .vitals_fd = -1 };
	find_exe(w);
	list_workers(w, opt->plan);
	look_at_token_files(w);
	failed = share_vitals(w, err);
	if (failed != 0)
		w->n = 0;		/* what looks at one looks at its vitals */
	if (failed == 0)
		failed = open_services(w, err);
	if (failed == 0)
		failed = start_all(w, err);
	return (failed);
}

static int
lives(const struct worker *self)
{
	return (self->pid != 0 || self->again_ms != 0);
}

/* What is left of the time to flush; < 0: no bound. */
static int64_t
flush_time_left(const struct workers *w)
{
	int64_t left = w->stop_by_ms - clock_ms();

	return (w->stop_by_ms == 0 ? -1 : left < 0 ? 0 : left);
}

/* Whoever waits for an answer of the agent is told that none comes. */
static void
close_desks(struct workers *w)
{
	size_t i;

	close_services(&w->services);
	for (i = 0; i < w->n; i++)
		mem_close_fd(&w->list[i].fds.agent_side);
}

/* No successor comes: nothing is held for one any more. */
static void
bury(struct workers *w, struct worker *self)
{
	self->again_ms = 0;
	mem_close_fd(&self->fd);
	workers_detach(self);
	close_fds(self);
	if (self == &w->list[0])
		close_desks(w);
}

void
worker_stop(const struct workers *w, struct worker *self)
{
	struct wire_msg msg = { .type = WIRE_STOP, .value = flush_time_left(w) };

	self->state = WORKER_STOPPING;
	if (self->pid != 0 && wire_send_now(self->fd, &msg, sizeof(msg)) != 0)
		log_debug("%s cannot be asked to stop: %s", self->name, strerror(errno));
}

static void
stop(struct workers *w, struct worker *self)
{
	if (self->pid == 0 && (self->access == NULL || !self->access->is_output))
		bury(w, self);		/* what it would come back for is over */
	else if (self->state != WORKER_STOPPING)
		worker_stop(w, self);
}

void
workers_stop(struct workers *w, int64_t flush_ms)
{
	size_t i, others = 0;

	if (w->stop_by_ms == 0 && flush_ms >= 0)
		w->stop_by_ms = clock_ms() + flush_ms;
	for (i = 1; i < w->n; i++) {
		if (lives(&w->list[i]))
			stop(w, &w->list[i]);
		if (lives(&w->list[i]))
			others++;
	}
	if (others == 0 && w->n != 0 && lives(&w->list[0]))
		stop(w, &w->list[0]);
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

		if (!lives(self))
			continue;
		if (self->access != NULL && self->access->is_output && !self->done) {
			unflushed++;
			if (!self->told)
				log_error("%s was not flushed in time: what is left stands in %s",
				    self->name, worker_data(self));
		}
		self->told = 1;
		if (self->pid != 0)
			kill(self->pid, SIGKILL);
		else
			bury(w, self);
	}
	return (unflushed);
}

void
workers_abandon(struct workers *w)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		w->list[i].again_ms = 0;
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
		if (lives(&w->list[i]))
			alive++;
	return (alive);
}

int
workers_only_agent(const struct workers *w)
{
	return (workers_alive(w) == 1 && lives(&w->list[0]));
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
	bury(w, self);
	if (was_stopping && self != &w->list[0])
		workers_stop(w, flush_ms);
}

size_t
workers_fds(const struct workers *w, int *ret)
{
	const struct worker_services *s = &w->services;
	const int services[] = { s->broker_fd, s->unix_fd, s->audit_fd, s->job_fd,
	    s->safe_fd, w->vitals_fd };
	size_t i, k, n = 0;

	for (k = 0; w->n != 0 && k < LENGTH(services); k++)
		if (services[k] >= 0)
			ret[n++] = services[k];
	for (i = 0; i < w->n; i++) {
		const struct worker_fds *fds = &w->list[i].fds;
		const int own[] = { w->list[i].fd, fds->agent_side, fds->ask_side, fds->fuse_fd,
		    fds->state_fd };

		for (k = 0; k < LENGTH(own); k++)
			if (own[k] >= 0)
				ret[n++] = own[k];
	}
	return (n);
}

/* What the agent left behind: it has ended. */
static void
remove_traces(const struct workers *w)
{
	const char *place;
	size_t i;

	if (w->broker_socket[0] != '\0')
		broker_remove_unix(w->broker_socket);
	for (i = 0; i < w->opt.plan->nfiles_with_token; i++) {
		place = w->opt.plan->files_with_token[i].place;
		if (!w->list[0].was_ready && inode_of(place) == w->files_before[i])
			continue;
		if ((w->token_homes == NULL ? unlink(place) :
		    fd_home_unlink(&w->token_homes[i], place)) != 0 && errno != ENOENT)
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
	for (i = 0; i < w->n; i++)
		bury(w, &w->list[i]);
	if (w->n != 0)
		remove_traces(w);
	secret_done(&w->broker_secret);
	vitals_free(w->vitals, w->n);
	if (w->n != 0)
		mem_close_fd(&w->vitals_fd);
	arena_done(&w->mem);
	*w = (struct workers){ .list = NULL, .services = no_services, .job_fd = -1,
	    .vitals_fd = -1 };
}
