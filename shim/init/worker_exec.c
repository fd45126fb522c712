#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "init/handover.h"
#include "init/oom.h"
#include "init/worker_parts.h"

static const char op[] = "start a worker from amlshim's file";

/*
 * It gets what holds credentials: nobody may have written it who is not root already.  Opened
 * once, so that what is looked at is what is executed.
 */
static int
open_file(const char *path, struct err *err)
{
	struct stat st;
	int fd;

	if (path == NULL)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, op,
		    "/proc did not tell where it was when it began"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		err_errno(err, op, path);
		mem_close_fd(&fd);
		return (-1);
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		mem_close_fd(&fd);
		err_set(err, ERR_SYSTEM, REMEDY_NONE, op,
		    "it has to be a file of root that nobody else may write");
		return (err_on(err, "%s", path));
	}
	return (fd);
}

/* What is between fork and exec in the order that worker_become() has: nobody gets in before. */
static int
prepare(const int *keep, size_t n, pid_t init_pid)
{
	size_t i;

	fd_close_except(3, keep, n);
	oom_unprotect();
	if (sys_harden_worker(init_pid) != 0)
		return (-1);
	for (i = 0; i < n; i++)
		if (keep[i] >= 0 && fcntl(keep[i], F_SETFD, 0) != 0)
			return (-1);
	return (0);
}

static void
execute(int exe_fd, int state_fd, char *const *envp)
{
	char name[] = "amlshim", command[] = WORKER_TAKE_OVER, number[16];
	char *const argv[] = { name, command, number, NULL };

	str_format(number, sizeof(number), "%d", state_fd);
	fexecve(exe_fd, argv, envp);
}

void
worker_execute(struct workers *w, const struct worker *self, int init_fd, pid_t init_pid)
{
	struct handover h = { .workers = w, .self = (size_t)(self - w->list), .init_fd = init_fd,
	    .trace_fd = trace_fd(), .init_pid = init_pid, .log_json = !log_is_text(),
	    .verbosity = log_wants(LOG_DEBUG) ? 2 : log_wants(LOG_INFO) ? 1 : 0 };
	auto_free int *keep = mem_alloc((WORKER_KEPT_MAX(w->n) + 3) * sizeof(*keep));
	size_t n = worker_kept_fds(w, self, init_fd, keep);
	struct err err = ERR_EMPTY;
	int exe_fd, state_fd = -1;

	log_set_process(self->name);
	exe_fd = open_file(w->exe, &err);
	if (exe_fd >= 0)
		state_fd = handover_write(&h, &err);
	if (state_fd >= 0) {
		keep[n++] = w->vitals_fd;
		keep[n++] = state_fd;
		keep[n++] = exe_fd;
		if (prepare(keep, n, init_pid) == 0 && fcntl(exe_fd, F_SETFD, FD_CLOEXEC) == 0)
			execute(exe_fd, state_fd, environ);
		err_errno(&err, op, w->exe);
	}
	log_err(&err);
	log_warning("what was there before goes on");
}

static int
share_vitals(struct workers *w, struct err *err)
{
	size_t i;

	if ((w->vitals = vitals_map(w->vitals_fd, w->n, err)) == NULL)
		return (-1);
	for (i = 0; i < w->n; i++)
		w->list[i].vitals = &w->vitals[i];
	return (0);
}

int
worker_take_over(const char *fd)
{
	static struct workers w;
	struct handover h = { .workers = &w };
	struct err err = ERR_EMPTY;
	long long number;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);	/* exec has made it dumpable */
	if (str_to_i64(fd, 3, INT_MAX, &number) != 0)
		number = -1;
	if (handover_read((int)number, &h, &err) != 0 || share_vitals(&w, &err) != 0) {
		log_err(&err);
		return (err_exit_status(&err));
	}
	log_setup(h.verbosity, h.log_json ? LOG_JSON : LOG_TEXT);
	log_set_process(w.list[h.self].name);
	log_notice("amlshim version %s takes over", AMLSHIM_VERSION);
	trace_adopt(h.trace_fd);
	worker_run(&w, &w.list[h.self], h.init_fd, h.init_pid);
}
