#include "cli/healthcheck.h"

#include <stdio.h>

#include "cli/reach.h"

static int
tell(const char *what, const char *flaw)
{
	printf("%s%s%s%s\n", flaw != NULL ? "not " : "", what, flaw != NULL ? ": " : "",
	    flaw != NULL ? flaw : "");
	return (fflush(stdout) == 0 && flaw == NULL ? 0 : 1);
}

int
healthcheck_command(const struct options *opt)
{
	static struct control_answer a;
	const char *what = opt->for_live ? "live" : "ready";
	struct reach reach = { .fd = -1 };
	struct err err = ERR_EMPTY;
	char line[512];
	pid_t pid;
	int failed;

	failed = reach_read_pid(opt->argv, &pid, &err) != 0 || reach_find(&reach, pid, &err) != 0 ||
	    reach_ask(&reach, CONTROL_HEAD, 0, &a, &err) != 0;
	reach_end(&reach);
	if (failed)
		return (tell(what, err_line(&err, line, sizeof(line))));
	if (opt->for_live)
		return (tell(what, a.head.is_live ? NULL : a.head.live_flaw));
	return (tell(what, a.head.is_ready ? NULL : a.head.ready_flaw));
}
