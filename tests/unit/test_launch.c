/* The words of --rewrite, --rlimit, --cap-drop; paths of cgroups; counts of memory kills. */

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "check.h"
#include "init/cgroup.h"
#include "init/launch.h"
#include "init/oom.h"

static void
test_signals(void)
{
	static const struct { const char *text; int sig; } words[] = {
	    { "TERM", 15 }, { "SIGTERM", 15 }, { "sigterm", 15 }, { "15", 15 }, { "HUP", 1 },
	    { "SYS", 31 }, { "PWR", 30 }, { "CHLD", 17 }, { "RTMIN", 34 }, { "SIGRTMIN+3", 37 },
	    { "RTMIN+30", 64 }, { "64", 64 }, { "RTMIN+31", -1 }, { "RTMIN-1", -1 },
	    { "RTMIN+", -1 }, { "RTMINx", -1 }, { "0", -1 }, { "65", -1 }, { "-1", -1 },
	    { "", -1 }, { "SIG", -1 }, { "TERMS", -1 }, { "15 ", -1 },
	    { "99999999999999999999", -1 } };
	size_t i;

	for (i = 0; i < LENGTH(words); i++)
		check_int(launch_parse_signal(words[i].text), words[i].sig);
}

static void
test_rewrites(void)
{
	static const char *const bad[] = { "", "TERM", "TERM:", ":INT", ":", "TERM:HERP", "15::12",
	    "15:65", "0:15", "TERM:INT,", ",TERM:INT", "TERM:INT,HUP", "KILL:TERM", "STOP:TERM",
	    "CHLD:TERM", "TERM:-1", "TERM:INT:HUP",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:INT" };
	unsigned char rewrite[65] = { 0 };
	size_t i;

	check_int(launch_parse_rewrites(rewrite, "TERM:INT,HUP:0 1:31"), 0);
	check_int(rewrite[SIGTERM], SIGINT);
	check_int(rewrite[SIGHUP], 31);
	check_int(launch_parse_rewrites(rewrite, "WINCH:0"), 0);
	check_int(rewrite[SIGWINCH], LAUNCH_SWALLOW);
	check_int(rewrite[SIGTERM], SIGINT);		/* what was said before stays */
	check_int(launch_parse_rewrites(rewrite, "64:34"), 0);
	check_int(rewrite[64], 34);
	for (i = 0; i < LENGTH(bad); i++)
		check_int(launch_parse_rewrites(rewrite, bad[i]), -1);
}

static void
test_limits(void)
{
	static const char *const bad[] = { "", "nofile", "nofile=", "=1", "nofile=:5",
	    "nofile=1:", "nofile=2:1", "nofile=-1", "nofile=1k", "files=1", "nofile=1,",
	    "nofile=unlimited:5", "nofile=1:2:3", "nofile=18446744073709551616",
	    "RLIMIT_NOFILE=1", "nofile =1", "nofile=9223372036854775808" };
	struct launch l = { .limited = 0 };
	size_t i;

	check_int(launch_parse_limits(&l, "nofile=100:200,CORE=0"), 0);
	check_int(l.limited, 1 << RLIMIT_NOFILE | 1 << RLIMIT_CORE);
	check_int(l.limits[RLIMIT_NOFILE].soft, 100);
	check_int(l.limits[RLIMIT_NOFILE].hard, 200);
	check(!l.limits[RLIMIT_NOFILE].keeps_hard && l.limits[RLIMIT_CORE].keeps_hard);
	check_int(launch_parse_limits(&l, "rttime=1 memlock=unlimited:infinity"), 0);
	check(l.limits[RLIMIT_MEMLOCK].hard == RLIM_INFINITY);
	check((l.limited & 1u << 15) != 0);
	for (i = 0; i < LENGTH(bad); i++)
		check_int(launch_parse_limits(&l, bad[i]), -1);
}

static void
test_caps(void)
{
	static const char *const bad[] = { "", ",", "net_raw,", "CAP_", "cap_cap_chown", "chowns",
	    "none", "13", "chown dac_override extra" };
	uint64_t caps = 0;
	size_t i;

	check_int(launch_parse_caps(&caps, "chown,NET_RAW,CAP_SYS_ADMIN"), 0);
	check(caps == (UINT64_C(1) << 0 | UINT64_C(1) << 13 | UINT64_C(1) << 21));
	caps = 0;
	check_int(launch_parse_caps(&caps, "checkpoint_restore"), 0);
	check(caps == UINT64_C(1) << 40);
	check_int(launch_parse_caps(&caps, "ALL"), 0);
	check(caps == ~UINT64_C(0));
	for (i = 0; i < LENGTH(bad); i++)
		check_int(launch_parse_caps(&caps, bad[i]), -1);
}

static void
test_environ(void)
{
	struct account a = { .home = "/home/job" };
	struct launch l = { .account = NULL };
	char first[] = "A=1", home[] = "HOME=/root", last[] = "B=HOME=2";
	char *with[] = { first, home, last, NULL }, *without[] = { first, last, NULL }, **got;

	check(launch_environ(&l, with) == with);
	l.account = &a;
	got = launch_environ(&l, with);
	check(got[0] == first && got[2] == last && got[3] == NULL);
	check_str(got[1], "HOME=/home/job");
	free(got[1]);
	free(got);
	got = launch_environ(&l, without);
	check(got[0] == first && got[1] == last && got[3] == NULL);
	check_str(got[2], "HOME=/home/job");
	check(with[1] == home);
	free(got[2]);
	free(got);
}

static const char *
path_of(const char *text)
{
	static char copy[256];

	str_format(copy, sizeof(copy), "%s", text);
	return (cgroup_parse_path(copy));
}

static void
test_kernel_texts(void)
{
	check_str(path_of("0::/\n"), "/");
	check_str(path_of("12:memory:/a\n1:name=systemd:/b\n0::/kube/pod:0::/x\n"),
	    "/kube/pod:0::/x");
	check_str(path_of("0::/no-newline"), "/no-newline");
	check_str(path_of("0::../above\n"), NULL);
	check_str(path_of("10::/x\n"), NULL);
	check_str(path_of(""), NULL);
	check_int(oom_parse_kills("low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
	check_int(oom_parse_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), 5);
	check_int(oom_parse_kills("oom_kill 11"), 11);
	check_int(oom_parse_kills("some_oom_kill 4\n"), -1);
	check_int(oom_parse_kills("oom_kill -4\n"), -1);
	check_int(oom_parse_kills(""), -1);
}

int
main(void)
{
	test_signals();
	test_rewrites();
	test_limits();
	test_caps();
	test_environ();
	test_kernel_texts();
	return (check_done());
}
