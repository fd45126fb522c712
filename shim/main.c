/* argv -> command -> exit status.  Signals are blocked before anything else. */

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/options.h"
#include "cli/run.h"
#include "init/init.h"

int	main(int, char **, char **);

int
main(int argc, char **argv, char **envp)
{
	struct init_inherited inherited;
	static struct options opt;
	static struct arena mem;
	struct err err = ERR_EMPTY;

	if (init_take_over(&inherited) != 0)
		return (125);
	if (options_parse(&opt, argc, argv, envp, &mem, &err) != 0) {
		log_err(&err);
		return (err_exit_status(&err));
	}
	log_setup(opt.verbosity, opt.log_json ? LOG_JSON : LOG_TEXT);
	switch (opt.command) {
	case OPTIONS_VERSION:
		printf("amlshim version %s\n", AMLSHIM_VERSION);
		return (fflush(stdout) == 0 ? 0 : 125);
	case OPTIONS_HELP:
		options_help(stdout);
		return (fflush(stdout) == 0 ? 0 : 125);
	case OPTIONS_RUN:
	case OPTIONS_PLAN:
		break;
	}
	return (run_command(&opt, &inherited, envp));
}
