#ifndef PLAN_PARTS_H
#define PLAN_PARTS_H

/*
 * parts -- what plan_decide() is made of: one input or output, the command, complaints.
 *
 * Only decide.c, access.c, command.c and policy.c include this.  All of it is pure.
 */

#include "base/err.h"
#include "base/mem.h"
#include "plan/facts.h"
#include "plan/plan.h"
#include "spec/spec.h"

struct deciding {
	struct plan		*plan;		/* being filled */
	const struct spec	*spec;
	const struct facts	*facts;
	struct plan_options	 opt;		/* defaults filled in */
	const char		*job_dir;	/* base of relative paths */
	struct arena		*mem;
};

/* decide.c */

/* The same text is kept once. */
void	deciding_note(struct deciding *, const char *rule, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* The same text is kept once. */
void	deciding_warn(struct deciding *, const char *rule, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* path, or dir/path when it is relative; "./", "//" and trailing '/' are dropped, ".." is kept. */
const char *deciding_join(const struct deciding *, const char *dir, const char *path);
/* Resource "FILE:LINE:COLUMN: FIELD", or FIELD alone when the place is not known.  Returns -1. */
int	plan_err_at(struct err *, const struct spec_at *, const char *field_fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* HOST, HOST:PORT or [V6]:PORT that takes the account as first segment of the path. */
int	plan_is_path_style(const char *endpoint);
/* Expands ${{...}} and $[[...]] with plan->values.  field: for the complaint. */
int	deciding_expand(const struct deciding *, const char *text, const struct spec_at *,
	    const char *field, const char **ret, struct err *);

/*
 * access.c: append the plan_access and the plan_value of one input or output that is data.
 *
 *   target   ROOT/inputs/NAME, ROOT/outputs/NAME, or path_on_compute; always a directory
 *   value    the target; for uri_file TARGET/BASENAME; in direct mode the URI as written;
 *            for a local path the absolute path
 *   prefix   the path of the URI, decoded, without '/' at either end: "data/x" and "data/x/"
 *            are the same folder.  A uri_file has to name a file: no '/' at the end.
 *            is_file is set for uri_file inputs alone; a uri_file output gets the folder
 *            around it as prefix, so that the job can write it under another name first.
 *   staging  CACHE_DIR/NAME for outputs, CACHE_DIR/NAME.in for an input mounted read-write
 *   journal  CACHE_DIR/NAME.journal of an upload, CACHE_DIR/NAME.in.journal of a download
 *   default  an output without path goes to
 *            azureml://datastores/DEFAULT/paths/azureml/JOB/OUTPUT/ (uri_file: without the
 *            last '/').  JOB is the run (AZUREML_RUN_ID), else the job's name.
 *
 * A deployment's model stands at MODELS/NAME/VERSION, MODELS being model_mount_path or
 * /var/azureml-app/azureml-models, below it the last name of its path; nothing is
 * passed as AZURE_ML_INPUT_model.
 *
 * Local paths are not looked at: the plan is pure.  The models' types are folders.
 */
int	access_decide(struct deciding *, const struct spec_io *, int is_output, struct err *);

/*
 * serve.c: what a deployment's server finds: the variables that azureml-inference-server-http
 * reads, the directory it starts in, how it is probed.  plan->variables has room for
 * SERVE_VARIABLES more.
 */
#define SERVE_VARIABLES	5
void	serve_decide(struct deciding *);
/* AZUREML_MODEL_DIR of a model that is not here yet: MODELS/NAME/VERSION. */
const char *serve_model_dir(const struct deciding *, const struct spec_io *);

/*
 * command.c: argv, command and through_shell of the plan.  A command without shell
 * syntax is split as a shell would split it and executed directly; else bash or sh runs it.
 */
int	command_decide(struct deciding *, struct err *);
/*
 * 1: split into *ret (NULL-terminated, in the arena); 0: it needs a shell (expansion,
 * redirection, lists, assignments, builtins, unbalanced quotes).
 */
int	command_split(const char *text, char ***ret, struct arena *);

#endif
