#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

/*
 * options -- the words on the command line and the AMLSHIM_ variables: one table.
 *
 * amlshim [FLAGS] [--] COMMAND [ARG...]     run it
 * amlshim SUBCOMMAND [FLAGS]    plan, doctor, status, healthcheck, ls, cat, cp, token, ..., help
 *
 * A flag wins over its variable.  Parsing stops at "--" or at the first word
 * that is neither a flag nor a subcommand; every later word reaches the command
 * byte for byte; those of ls, cat and cp may have flags among them.  Help, the man page and
 * the shells' completions are printed from the same rows (manual.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "init/again.h"
#include "init/launch.h"
#include "plan/tuning.h"

enum options_command {
	OPTIONS_RUN,
	OPTIONS_PLAN,
	OPTIONS_DOCTOR,
	OPTIONS_LS,
	OPTIONS_CAT,
	OPTIONS_CP,
	OPTIONS_TOKEN,
	OPTIONS_SNAPSHOT,
	OPTIONS_DOCKER_CREDENTIAL,
	OPTIONS_STATUS,
	OPTIONS_HEALTHCHECK,
	OPTIONS_VERSION,
	OPTIONS_HELP,
};

struct options {
	enum options_command command;
	char *const	*argv;		/* COMMAND ARG..., NULL-terminated, maybe empty */

	const char	*job, *step, *compute;
	const char	*cloud;
	const char	*workspace;	/* SUBSCRIPTION/GROUP/NAME */
	int		 resolve;	/* plan may ask it */
	const char	**datastores;	size_t ndatastores;
	const char	**export_tokens;	size_t nexport_tokens;
	const char	**token_files;	size_t ntoken_files;
	const char	*root, *cache_dir;
	int		 fuse_copy;	/* --fuse=copy */
	struct plan_tuning tuning;

	const char	*trace;		/* file for a timeline; NULL: none */
	const char	*report;	/* file for the exit report; NULL: none */
	int64_t		 hold_ms;	/* after a failure; 0: not; < 0: until a stop signal */
	const char	*snapshot;	/* manifest of the code; NULL: CODE's own */
	const char	*registries;	/* "HOST[:PORT],...": Azure registries by another name */

	unsigned	 broker_dialects;	/* enum plan_dialect; 0: default */
	const char	*audit;
	const char	*resource, *client_id;	/* token */
	int		 claims;	/* token --claims */
	int		 list_long, recursive;	/* ls, cp */
	const char	*range;		/* cat; NULL: all */

	int		 json;		/* plan, token, doctor, ls */
	int		 write_check;	/* doctor --write */
	int		 dry_run, explain;
	int		 verbosity;
	int		 log_json;

	int64_t		 grace_ms, leftover_ms, flush_ms, start_ms;	/* < 0: no bound */
	int64_t		 watchdog_ms;	/* < 0: off */
	int64_t		 drain_ms;	/* between a stop signal and its passing on */
	struct again	 again;		/* --restart */
	const char	*probe;		/* "PORT[/PATH]" of the command's server, checked; NULL */
	int64_t		 health_port;	/* --health-listen; 0: none */
	int		 control;	/* -1: with a job spec */
	int		 mount_model;	/* --model */
	int		 for_live;	/* healthcheck --live */
	int		 group;		/* -1: by command */
	int		 no_subreaper;
	int		 parent_death_signal;
	unsigned char	 exit_as_zero[256];	/* --remap-exit */
	const char	*user;		/* NAME|UID[:GROUP|GID]; NULL: as amlshim */
	struct launch	 launch;	/* without its account */
};

/*
 * fails  ERR_USAGE naming the flag or variable; the options are then of no use
 * owns   lists and copies in the arena; texts are borrowed from argv and envp
 */
int	options_parse(struct options *, int argc, char *const *argv, char *const *envp,
	    struct arena *, struct err *);
/* "PORT[/PATH]", as --probe has it.  -1: it is none. */
int	options_read_probe(const char *, int *ret_port, const char **ret_path);

#endif
