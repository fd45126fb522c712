/* argv -> command -> exit status.  Signals are blocked before anything else. */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/relro.h"
#include "cli/data.h"
#include "cli/docker_credential.h"
#include "cli/doctor.h"
#include "cli/healthcheck.h"
#include "cli/linked.h"
#include "cli/manual.h"
#include "cli/options.h"
#include "cli/run.h"
#include "cli/snapshot.h"
#include "cli/status.h"
#include "cli/token.h"
#include "init/init.h"
#include "init/worker.h"

int	main(int, char **, char **);

/* Not on the stack: PID 1 keeps every page that it has written to there. */
static struct options opt;
static struct arena mem;

/* Called by the name that a docker client looks for: all words are the helper's. */
static int
run_helper(int argc, char **argv, char **envp, const struct init_inherited *inherited)
{
	static struct err err;

	if (options_parse(&opt, 0, argv, envp, &mem, &err) != 0)
		return (docker_credential_fail(&err));
	log_setup(opt.verbosity, opt.log_json ? LOG_JSON : LOG_TEXT);
	opt.argv = argv + (argc > 0);
	return (docker_credential(&opt, inherited, envp));
}

static int
is_helper(const char *name)
{
	const char *slash = strrchr(name, '/');

	return (strcmp(slash != NULL ? slash + 1 : name, DOCKER_CREDENTIAL_NAME) == 0);
}

int
main(int argc, char **argv, char **envp)
{
	struct init_inherited inherited;
	static struct err err;

	relro_protect();
	if (init_take_over(&inherited) != 0)
		return (125);
	if (argc == 3 && strcmp(argv[1], WORKER_TAKE_OVER) == 0)
		return (worker_take_over(argv[2]));
	if (argc > 0 && is_helper(argv[0]))
		return (run_helper(argc, argv, envp, &inherited));
	if (options_parse(&opt, argc, argv, envp, &mem, &err) != 0) {
		log_setup(opt.verbosity, opt.log_json ? LOG_JSON : LOG_TEXT);
		log_err(&err);
		return (err_exit_status(&err));
	}
	log_setup(opt.verbosity, opt.log_json ? LOG_JSON : LOG_TEXT);
	switch (opt.command) {
	case OPTIONS_VERSION:
		printf("amlshim version %s\n%s", AMLSHIM_VERSION,
		    opt.verbosity > 0 ? amlshim_linked : "");
		return (fflush(stdout) == 0 ? 0 : 125);
	case OPTIONS_HELP:
		if (manual_print(stdout, opt.argv[0], &err) != 0) {
			log_err(&err);
			return (err_exit_status(&err));
		}
		return (fflush(stdout) == 0 ? 0 : 125);
	case OPTIONS_SNAPSHOT:
		return (snapshot_command(&opt));
	case OPTIONS_DOCKER_CREDENTIAL:
		return (docker_credential(&opt, &inherited, envp));
	case OPTIONS_DOCTOR:
		return (doctor_command(&opt, &inherited, envp));
	case OPTIONS_TOKEN:
		return (token_command(&opt, &inherited, envp));
	case OPTIONS_STATUS:
		return (status_command(&opt));
	case OPTIONS_HEALTHCHECK:
		return (healthcheck_command(&opt));
	case OPTIONS_LS:
		return (ls_command(&opt, &inherited, envp));
	case OPTIONS_CAT:
		return (cat_command(&opt, &inherited, envp));
	case OPTIONS_CP:
		return (cp_command(&opt, &inherited, envp));
	case OPTIONS_RUN:
	case OPTIONS_PLAN:
		break;
	}
	return (run_command(&opt, &inherited, envp));
}
