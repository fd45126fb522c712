#include "init/leftover.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "init/cgroup.h"

#define CHAIN_MAX	4096		/* more parents than this: it is not ours */

static int
descends_from_us(pid_t pid)
{
	struct proc_stat stat;
	pid_t self = getpid();
	int hops;

	for (hops = 0; pid > 1 && hops < CHAIN_MAX; hops++) {
		if (proc_read_stat(pid, &stat) != 0)
			return (0);
		pid = stat.parent;
		if (pid == self)
			return (1);
	}
	return (0);
}

struct walk {
	const struct leftover_options *opt;
	int	sig, found;
};

static int
visit(void *arg, pid_t pid)
{
	struct walk *w = arg;
	struct proc_stat stat;

	if (pid <= 1 || pid == getpid() || w->opt->is_ours(w->opt->arg, pid) ||
	    proc_read_stat(pid, &stat) != 0 || stat.state == 'Z' || stat.state == 'X' ||
	    (getpid() != 1 && !descends_from_us(pid)))
		return (0);
	if (w->sig == SIGKILL && w->opt->cgroup != NULL && cgroup_add(w->opt->cgroup, pid) == 0)
		w->found++;
	else if (w->sig == 0 || kill(pid, w->sig) == 0)
		w->found++;
	return (0);
}

int
leftover_signal(const struct leftover_options *opt, int sig)
{
	struct walk walk = { opt, sig, 0 };
	siginfo_t info;

	if (!opt->has_workers) {
		if (getpid() == 1 && (opt->cgroup == NULL || sig != SIGKILL))
			return (kill(-1, sig) == 0);
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
			return (0);
	}
	if (!proc_is_own() || proc_each(visit, &walk) != 0)
		return (opt->group_id > 0 && kill(-opt->group_id, sig) == 0);
	if (sig == SIGKILL && opt->cgroup != NULL && walk.found != 0)
		cgroup_kill(opt->cgroup);
	return (walk.found);
}
