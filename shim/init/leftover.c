#include "init/leftover.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "init/cgroup.h"

#define CHAIN_MAX	4096		/* more parents than this: it is not ours */
#define LOOKS		3

/* -1: somebody on the way up has ended meanwhile: his children have another parent now. */
static int
climb(pid_t pid)
{
	struct proc_stat stat;
	pid_t self = getpid();
	int hops;

	for (hops = 0; pid > 1 && hops < CHAIN_MAX; hops++) {
		if (proc_read_stat(pid, &stat) != 0)
			return (-1);
		pid = stat.parent;
		if (pid == self)
			return (1);
	}
	return (0);
}

static int
descends_from_us(pid_t pid)
{
	int look, found = -1;

	for (look = 0; look < LOOKS && found < 0; look++)
		found = climb(pid);
	return (found > 0);
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
	if ((w->sig == SIGKILL && w->opt->cgroup != NULL &&
	    cgroup_add(w->opt->cgroup, pid) == 0) || w->sig == 0 || kill(pid, w->sig) == 0)
		w->found++;
	return (0);
}

/* Without workers the kernel knows it; one that has ended is reaped before it is asked again. */
static int
has_children(void)
{
	siginfo_t info;

	return (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD);
}

/* -1: /proc does not show them. */
static int
walk_twice(struct walk *walk)
{
	if (!proc_is_own() || proc_each(visit, walk) != 0)
		return (-1);
	/* One that forked and ended while we looked may have gone unseen with its child. */
	return (walk->found != 0 ? 0 : proc_each(visit, walk));
}

int
leftover_signal(const struct leftover_options *opt, int sig)
{
	int through_cgroup = sig == SIGKILL && opt->cgroup != NULL, alone = !opt->has_workers;
	struct walk walk = { opt, sig, 0 };

	if (alone && getpid() == 1 && !through_cgroup)
		return (kill(-1, sig) == 0);
	if (alone && getpid() != 1 && !has_children())
		return (0);
	if (walk_twice(&walk) != 0)
		return (opt->group_id > 0 && kill(-opt->group_id, sig) == 0);
	if (through_cgroup && walk.found != 0)
		cgroup_kill(opt->cgroup);
	else if (alone && walk.found == 0)
		return (getpid() == 1 ? kill(-1, sig) == 0 : has_children());
	return (walk.found);
}
