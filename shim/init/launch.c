#include "init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"

/* A name's place is the kernel's number: linux/capability.h, asm-generic/resource.h. */
static const char cap_names[] =
    "chown\0dac_override\0dac_read_search\0fowner\0fsetid\0kill\0setgid\0setuid\0setpcap\0"
    "linux_immutable\0net_bind_service\0net_broadcast\0net_admin\0net_raw\0ipc_lock\0ipc_owner\0"
    "sys_module\0sys_rawio\0sys_chroot\0sys_ptrace\0sys_pacct\0sys_admin\0sys_boot\0sys_nice\0"
    "sys_resource\0sys_time\0sys_tty_config\0mknod\0lease\0audit_write\0audit_control\0setfcap\0"
    "mac_override\0mac_admin\0syslog\0wake_alarm\0block_suspend\0audit_read\0perfmon\0bpf\0"
    "checkpoint_restore\0";
static const char limit_names[] =
    "cpu\0fsize\0data\0stack\0core\0rss\0nproc\0nofile\0memlock\0as\0locks\0sigpending\0"
    "msgqueue\0nice\0rtprio\0rttime\0";
static const char signal_names[] =
    "hup\0int\0quit\0ill\0trap\0abrt\0bus\0fpe\0kill\0usr1\0segv\0usr2\0pipe\0alrm\0term\0"
    "stkflt\0chld\0cont\0stop\0tstp\0ttin\0ttou\0urg\0xcpu\0xfsz\0vtalrm\0prof\0winch\0io\0pwr\0"
    "sys\0";

enum { AT_LIMITS, AT_SCORE, AT_CAPS, AT_USER, AT_PRIVS, AT_CWD };
static const char step_flags[] = "--rlimit\0--oom-score-adj\0--cap-drop\0--user\0--no-new-privs\0"
    "--chdir\0";

#define RTMIN_OF_PROGRAMS	34	/* glibc's and musl's first two or three are their own */

const char *
launch_step_flag(int step)
{
	const char *flag = step_flags;

	for (; step > 0 && step <= AT_CWD; step--)
		flag += strlen(flag) + 1;
	return (flag);
}

/* --- words ------------------------------------------------------------------------ */

/* Its place in the list, whatever the case of its letters; -1: it is not there. */
static int
find_name(const char *names, const char *name)
{
	int i;

	for (i = 0; *names != '\0'; i++, names += strlen(names) + 1)
		if (str_same(name, names))
			return (i);
	return (-1);
}

/* The next of several words, terminated; -1: it is empty or too long, or none comes behind it. */
static int
next_word(const char **text, char *ret, size_t size)
{
	size_t len = strcspn(*text, ", \t\n");

	if (len == 0 || len >= size)
		return (-1);
	memcpy(ret, *text, len);
	ret[len] = '\0';
	*text += len;
	if (**text == '\0')
		return (0);
	(*text)++;
	return (**text == '\0' ? -1 : 0);
}

int
launch_parse_signal(const char *text)
{
	long long number;
	int place;

	if (str_to_i64(text, 1, 64, &number) == 0)
		return ((int)number);
	if ((text[0] | 32) == 's' && (text[1] | 32) == 'i' && (text[2] | 32) == 'g')
		text += 3;
	if (str_starts(text, "RTMIN")) {
		number = 0;
		if (text[5] != '\0' && (text[5] != '+' || str_to_i64(text + 6, 0,
		    64 - RTMIN_OF_PROGRAMS, &number) != 0))
			return (-1);
		return (RTMIN_OF_PROGRAMS + (int)number);
	}
	place = find_name(signal_names, text);
	return (place < 0 ? -1 : place + 1);
}

int
launch_parse_rewrites(unsigned char rewrite[65], const char *text)
{
	char word[32], *colon;
	int from, to;

	do {
		if (next_word(&text, word, sizeof(word)) != 0 ||
		    (colon = strchr(word, ':')) == NULL)
			return (-1);
		*colon = '\0';
		from = launch_parse_signal(word);
		to = str_same(colon + 1, "0") ? LAUNCH_SWALLOW : launch_parse_signal(colon + 1);
		if (from < 0 || to < 0 || from == SIGKILL || from == SIGSTOP || from == SIGCHLD)
			return (-1);	/* these never come to us as signals to pass on */
		rewrite[from] = (unsigned char)to;
	} while (*text != '\0');
	return (0);
}

int
launch_parse_caps(uint64_t *ret, const char *text)
{
	char word[40];
	int place;

	do {
		if (next_word(&text, word, sizeof(word)) != 0)
			return (-1);
		if (str_same(word, "all")) {
			*ret = ~UINT64_C(0);
			continue;
		}
		place = find_name(cap_names, word + (strncasecmp(word, "cap_", 4) == 0 ? 4 : 0));
		if (place < 0)
			return (-1);
		*ret |= UINT64_C(1) << place;
	} while (*text != '\0');
	return (0);
}

static int
parse_limit(const char *text, uint64_t *ret)
{
	long long number;

	if (str_same(text, "unlimited") || str_same(text, "infinity")) {
		*ret = RLIM_INFINITY;
		return (0);
	}
	if (str_to_i64(text, 0, INT64_MAX, &number) != 0)
		return (-1);
	*ret = (uint64_t)number;
	return (0);
}

int
launch_parse_limits(struct launch *l, const char *text)
{
	char word[96], *value, *hard;
	int place;

	do {
		if (next_word(&text, word, sizeof(word)) != 0 ||
		    (value = strchr(word, '=')) == NULL)
			return (-1);
		*value++ = '\0';
		hard = strchr(value, ':');
		if (hard != NULL)
			*hard++ = '\0';
		place = find_name(limit_names, word);
		if (place < 0 || parse_limit(value, &l->limits[place].soft) != 0 ||
		    (hard != NULL && (parse_limit(hard, &l->limits[place].hard) != 0 ||
		    l->limits[place].soft > l->limits[place].hard)))
			return (-1);
		l->limits[place].keeps_hard = hard == NULL;
		l->limited |= 1u << place;
	} while (*text != '\0');
	return (0);
}

/* --- in the child ------------------------------------------------------------------- */

static int
set_limits(const struct launch *l)
{
	struct rlimit limit, old;
	int i;

	for (i = 0; i < LAUNCH_LIMITS; i++) {
		if ((l->limited & 1u << i) == 0)
			continue;
		if (getrlimit(i, &old) != 0)
			return (-1);
		limit.rlim_cur = l->limits[i].soft;
		limit.rlim_max = l->limits[i].keeps_hard ? old.rlim_max : l->limits[i].hard;
		if (setrlimit(i, &limit) != 0)
			return (-1);
	}
	return (0);
}

/* From the bounding set: what is not in it cannot come back with any exec. */
static int
bound_caps(uint64_t dropped)
{
	int cap, has;

	for (cap = 0; cap < 64 && (has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (has == 1 && (dropped & UINT64_C(1) << cap) != 0 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return (-1);
	return (0);
}

/* An image that always says --user also runs where the runtime has switched already. */
static int
is_already(const struct account *a)
{
	return (getuid() != 0 && getuid() == a->uid && geteuid() == a->uid &&
	    getgid() == a->gid && getegid() == a->gid);
}

static int
switch_user(const struct account *a)
{
	if (is_already(a))
		return (0);
	return (setgroups(a->ngroups, a->groups) != 0 ||
	    setresgid(a->gid, a->gid, a->gid) != 0 ||
	    setresuid(a->uid, a->uid, a->uid) != 0 ? -1 : 0);
}

static int
drop_caps(uint64_t dropped)
{
	struct sys_caps caps;

	if (dropped == 0)
		return (0);
	if (sys_get_caps(&caps) != 0)
		return (-1);
	caps.effective &= ~dropped;
	caps.permitted &= ~dropped;
	caps.inheritable &= ~dropped;	/* the ambient set follows it */
	return (sys_set_caps(&caps));
}

int
launch_apply(const struct launch *l, int *ret_step)
{
	*ret_step = AT_LIMITS;
	if (set_limits(l) != 0)
		return (-1);
	*ret_step = AT_SCORE;
	if (l->oom_score_adj != LAUNCH_KEEP_SCORE && sys_set_oom_score_adj(l->oom_score_adj) != 0)
		return (-1);
	*ret_step = AT_CAPS;
	if (l->dropped_caps != 0 && bound_caps(l->dropped_caps) != 0)
		return (-1);
	*ret_step = AT_USER;
	if (l->account != NULL && switch_user(l->account) != 0)
		return (-1);
	*ret_step = AT_CAPS;
	if (drop_caps(l->dropped_caps) != 0)
		return (-1);
	*ret_step = AT_PRIVS;
	if (l->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return (-1);
	*ret_step = AT_CWD;
	return (l->cwd != NULL ? chdir(l->cwd) : 0);
}

char **
launch_environ(const struct launch *l, char **envp)
{
	char **copy, *home;
	size_t n, i, len;

	if (l->account == NULL)
		return (envp);
	for (n = 0; envp[n] != NULL; n++)
		;
	len = strlen("HOME=") + strlen(l->account->home) + 1;
	copy = mem_alloc((n + 2) * sizeof(*copy));
	home = mem_alloc(len);
	str_format(home, len, "HOME=%s", l->account->home);
	memcpy(copy, envp, n * sizeof(*copy));
	for (i = 0; i < n && !str_starts(copy[i], "HOME="); i++)
		;
	copy[i] = home;
	copy[i == n ? n + 1 : n] = NULL;
	return (copy);
}
