#include "init/leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define CHAIN_MAX	4096		/* more parents than this: it is not ours */

/* The parent of pid, or -1; *ret_zombie tells a process that is only waiting to be reaped. */
static pid_t
parent_of(pid_t pid, int *ret_zombie)
{
	char path[32], text[512], *at;
	long long parent;
	ssize_t len;
	int fd;

	str_format(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (-1);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return (-1);
	text[len] = '\0';
	at = strrchr(text, ')');	/* the name may hold anything; then comes " S PARENT " */
	if (at == NULL || strlen(at) < strlen(") S 1"))
		return (-1);
	*ret_zombie = at[2] == 'Z' || at[2] == 'X';
	at += strlen(") S ");
	at[strcspn(at, " ")] = '\0';
	return (str_to_i64(at, 0, INT32_MAX, &parent) != 0 ? -1 : (pid_t)parent);
}

static int
descends_from_us(pid_t pid)
{
	pid_t self = getpid();
	int hops, zombie;

	for (hops = 0; pid > 1 && hops < CHAIN_MAX; hops++) {
		pid = parent_of(pid, &zombie);
		if (pid == self)
			return (1);
	}
	return (0);
}

/* 0: /proc is another namespace's, its numbers mean other processes. */
static int
is_own_proc(void)
{
	char text[16];
	long long number;
	ssize_t len = readlink("/proc/self", text, sizeof(text) - 1);

	if (len <= 0)
		return (0);
	text[len] = '\0';
	return (str_to_i64(text, 1, INT32_MAX, &number) == 0 && number == getpid());
}

static int
walk(DIR *proc, const struct leftover_options *opt, int sig)
{
	struct dirent *entry;
	long long number;
	int found = 0, zombie;
	pid_t pid;

	while ((entry = readdir(proc)) != NULL) {
		if (str_to_i64(entry->d_name, 2, INT32_MAX, &number) != 0)
			continue;
		pid = (pid_t)number;
		if (pid == getpid() || opt->is_ours(opt->arg, pid) ||
		    parent_of(pid, &zombie) < 0 || zombie ||
		    (getpid() != 1 && !descends_from_us(pid)))
			continue;
		if (sig == 0 || kill(pid, sig) == 0)
			found++;
	}
	return (found);
}

int
leftover_signal(const struct leftover_options *opt, int sig)
{
	siginfo_t info;
	DIR *proc;
	int found;

	if (!opt->has_workers) {
		if (getpid() == 1)
			return (kill(-1, sig) == 0);
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
			return (0);
	}
	proc = is_own_proc() ? opendir("/proc") : NULL;
	if (proc == NULL)
		return (opt->group_id > 0 && kill(-opt->group_id, sig) == 0);
	found = walk(proc, opt, sig);
	closedir(proc);
	return (found);
}
