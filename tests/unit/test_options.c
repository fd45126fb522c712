/* Flags, variables, and where parsing stops. */

#include <signal.h>
#include <string.h>

#include "check.h"
#include "cli/options.h"

static struct arena mem;
static struct err err;

static int
parse(struct options *opt, char *const *argv, char *const *envp)
{
	int argc;

	for (argc = 0; argv[argc] != NULL; argc++)
		;
	err = ERR_EMPTY;
	return (options_parse(opt, argc, argv, envp, &mem, &err));
}

#define WORDS(...)	((char *[]){ __VA_ARGS__, NULL })
static char a0[] = "amlshim";

#define W(text)		((char[]){ text })

static void
test_launch(void)
{
	struct options opt;

	check_int(parse(&opt, WORDS(a0, W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.launch.oom_score_adj, LAUNCH_KEEP_SCORE);
	check_int(opt.launch.new_session + opt.launch.no_new_privs, 0);
	check(opt.user == NULL && opt.launch.cwd == NULL && opt.launch.limited == 0);
	check_int(parse(&opt, WORDS(a0, W("-u"), W("job:7"), W("-rTERM:INT"), W("--setsid"),
	    W("--oom-score-adj=-5"), W("--cap-drop"), W("all"), W("x")),
	    WORDS(W("AMLSHIM_USER=other"), W("AMLSHIM_REWRITE=HUP:0"),
	    W("AMLSHIM_RLIMIT=nofile=5 core=0"), W("AMLSHIM_NO_NEW_PRIVS=yes"),
	    W("AMLSHIM_CHDIR=/tmp"))), 0);
	check_str(opt.user, "job:7");
	check_int(opt.launch.rewrite[SIGTERM], SIGINT);
	check_int(opt.launch.rewrite[SIGHUP], LAUNCH_SWALLOW);
	check_int(opt.launch.oom_score_adj, -5);
	check(opt.launch.dropped_caps == ~UINT64_C(0) && opt.launch.limited == (1u << 7 | 1u << 4));
	check_int(opt.launch.new_session + opt.launch.no_new_privs, 2);
	check_str(opt.launch.cwd, "/tmp");
	check_int(parse(&opt, WORDS(a0, W("--oom-score-adj"), W("1001")), WORDS(W("A=1"))), -1);
	check_int(parse(&opt, WORDS(a0, W("x")), WORDS(W("AMLSHIM_CAP_DROP=nothing"))), -1);
	check_str(err.resource, "AMLSHIM_CAP_DROP");
}

static void
test_stops(void)
{
	struct options opt;

	check_int(parse(&opt, WORDS(a0, W("--"), W("--help")), WORDS(W("A=1"))), 0);
	check_int(opt.command, OPTIONS_RUN);
	check_str(opt.argv[0], "--help");
	check_int(parse(&opt, WORDS(a0, W("-v"), W("python"), W("-v")), WORDS(W("A=1"))), 0);
	check_str(opt.argv[0], "python");
	check_str(opt.argv[1], "-v");
	check_int(opt.verbosity, 1);
	check_int(parse(&opt, WORDS(a0, W("plan"), W("--json"), W("--"), W("plan")),
	    WORDS(W("A=1"))), 0);
	check_int(opt.command, OPTIONS_PLAN);
	check_str(opt.argv[0], "plan");
	check_int(parse(&opt, WORDS(a0), WORDS(W("A=1"))), 0);
	check(opt.argv[0] == NULL);
	check_int(parse(&opt, WORDS(a0, W("run"), W("plan"), W("--json")), WORDS(W("A=1"))), 0);
	check_int(opt.command, OPTIONS_RUN);
	check_str(opt.argv[0], "plan");		/* "run" was named: this is the command */
	check_str(opt.argv[1], "--json");
	check_int(parse(&opt, WORDS(a0, W("docker-credential"), W("--registry"), W("a.io"),
	    W("get")), WORDS(W("AMLSHIM_REGISTRIES=b.io"))), 0);
	check_int(opt.command, OPTIONS_DOCKER_CREDENTIAL);
	check_str(opt.registries, "a.io");
	check_str(opt.argv[0], "get");
	check_int(parse(&opt, WORDS(a0, W("snapshot"), W("src"), W("--output"), W("m")),
	    WORDS(W("AMLSHIM_SNAPSHOT=f"))), 0);
	check_int(opt.command, OPTIONS_SNAPSHOT);
	check_str(opt.snapshot, "f");
	check_str(opt.argv[2], "m");
	check_int(parse(&opt, WORDS(a0, W("ls"), W("a"), W("-l"), W("b"), W("--"), W("-c")),
	    WORDS(W("A=1"))), 0);
	check_int(opt.command, OPTIONS_LS);
	check_int(opt.list_long, 1);
	check_str(opt.argv[0], "a");
	check_str(opt.argv[1], "b");
	check_str(opt.argv[2], "-c");
	check(opt.argv[3] == NULL);
	check_int(parse(&opt, WORDS(a0, W("--"), W("ls"), W("-l")), WORDS(W("A=1"))), 0);
	check_int(opt.command, OPTIONS_RUN);
	check_str(opt.argv[1], "-l");
	check_int(parse(&opt, WORDS(a0, W("--verbose=2"), W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.verbosity, 2);
	check_int(parse(&opt, WORDS(a0, W("-s"), W("-g"), W("--"), W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.group, 1);
}

static void
test_values(void)
{
	struct options opt;

	check_int(parse(&opt, WORDS(a0, W("--grace=10s"), W("--flush-timeout"), W("2m"),
	    W("--leftover"), W("250ms"), W("--start-timeout=never"), W("-pKILL"), W("-e"),
	    W("143,3"), W("--memory=64M"), W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.grace_ms, 10000);
	check_int(opt.flush_ms, 120000);
	check_int(opt.leftover_ms, 250);
	check_int(opt.start_ms, -1);
	check_int(opt.parent_death_signal, SIGKILL);
	check(opt.exit_as_zero[143] && opt.exit_as_zero[3] && !opt.exit_as_zero[0]);
	check_int(opt.tuning.memory_bytes, 64 << 20);
	check_int(opt.tuning.disk_cache_bytes, PLAN_UNSAID);
	check_int(parse(&opt, WORDS(a0, W("--disk-cache=0"), W("x")),
	    WORDS(W("AMLSHIM_DISK_CACHE=2G"))), 0);
	check_int(opt.tuning.disk_cache_bytes, 0);
	check_int(parse(&opt, WORDS(a0, W("x")), WORDS(W("AMLSHIM_DISK_CACHE=2G"))), 0);
	check_int(opt.tuning.disk_cache_bytes, INT64_C(2) << 30);
}

static void
test_hold(void)
{
	struct options opt;

	check_int(parse(&opt, WORDS(a0, W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.hold_ms, 0);
	check_int(parse(&opt, WORDS(a0, W("--hold-on-failure"), W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.hold_ms, -1);
	check_str(opt.argv[0], "x");		/* no value without '=' */
	check_int(parse(&opt, WORDS(a0, W("--hold-on-failure=10m"), W("x")), WORDS(W("A=1"))), 0);
	check_int(opt.hold_ms, 600000);
	check_int(parse(&opt, WORDS(a0, W("--hold-on-failure=no"), W("x")),
	    WORDS(W("AMLSHIM_HOLD_ON_FAILURE=yes"))), 0);
	check_int(opt.hold_ms, 0);
}

static void
test_variables(void)
{
	struct options opt;
	char *const env[] = { W("AMLSHIM_JOB=/j.yml"), W("AMLSHIM_DATASTORES=/a.yml:/b.yml"),
	    W("AMLSHIM_VERBOSE=2"), W("AMLSHIM_GROUP=yes"), W("AMLSHIM_STEP="), NULL };

	check_int(parse(&opt, WORDS(a0, W("x")), env), 0);
	check_str(opt.job, "/j.yml");
	check_int(opt.ndatastores, 2);
	check_str(opt.datastores[1], "/b.yml");
	check_int(opt.verbosity, 2);
	check_int(opt.group, 1);
	check(opt.step == NULL);
	check_int(parse(&opt, WORDS(a0, W("-v"), W("-d"), W("/c.yml"), W("-c"), W("x")), env), 0);
	check_int(opt.ndatastores, 1);
	check_str(opt.datastores[0], "/c.yml");
	check_int(opt.verbosity, 1);
	check_int(opt.group, 0);
}

static void
test_refusals(void)
{
	static const char *const bad[] = { "--nope", "-z", "--grace=soon", "--grace=",
	    "--memory=1", "--disk-cache=1M", "--memory=9999999999999999999G", "--fuse=maybe",
	    "--log-format=xml", "--watchdog=1s",
	    "-pNOSUCH", "-e300", "--verbose=much", "-e1,", "--json=perhaps",
	    "--leftover=99999999999s" };
	struct options opt;
	char word[64];
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		str_format(word, sizeof(word), "%s", bad[i]);
		check_int(parse(&opt, WORDS(a0, word), WORDS(W("A=1"))), -1);
		check_int(err.kind, ERR_USAGE);
		check(err.resource[0] == '-');
	}
	check_int(parse(&opt, WORDS(a0, W("--job")), WORDS(W("A=1"))), -1);
	check_int(parse(&opt, WORDS(a0, W("x")), WORDS(W("AMLSHIM_GRACE=x"))), -1);
	check_str(err.resource, "AMLSHIM_GRACE");
}

int
main(void)
{
	test_launch();
	test_stops();
	test_values();
	test_hold();
	test_variables();
	test_refusals();
	arena_done(&mem);
	return (check_done());
}
