#include "cli/healthcheck.h"

#include <stdio.h>

#include "cli/inquiry.h"

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
	struct inquiry inquiry = { .fd = -1 };
	struct err err = ERR_EMPTY;
	char line[512];
	pid_t pid;
	int failed;

	failed = inquiry_read_pid(opt->argv, &pid, &err) != 0 ||
	    inquiry_find(&inquiry, pid, &err) != 0 ||
	    inquiry_ask(&inquiry, CONTROL_HEAD, 0, &a, &err) != 0;
	inquiry_end(&inquiry);
	if (failed)
		return (tell(what, err_line(&err, line, sizeof(line))));
	if (opt->for_live)
		return (tell(what, a.head.is_live ? NULL : a.head.live_flaw));
	return (tell(what, a.head.is_ready ? NULL : a.head.ready_flaw));
}
