#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

/*
 * plan -- what will be done, as whom, and why; the value that every later stage carries out.
 *
 * plan_decide() is pure: spec + facts + options in, plan out, the same each
 * time, nothing fetched, nothing opened.  `amlshim plan` prints it; the golden
 * tests compare it.  Identities are chosen by the table in policy.h.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/wire.h"
#include "plan/facts.h"
#include "plan/tuning.h"
#include "spec/spec.h"

enum plan_identity_kind {
	PLAN_ID_ACCOUNT_KEY, PLAN_ID_SAS,		/* cached with the datastore */
	PLAN_ID_SERVICE_PRINCIPAL, PLAN_ID_CERTIFICATE,	/* cached with the datastore */
	PLAN_ID_USER,					/* the submitter, on behalf of */
	PLAN_ID_MANAGED,				/* a managed identity of the compute */
	PLAN_ID_NONE,			/* nobody: direct mode, local paths, public HTTP */
};

/* Whose token a source is asked for.  At most one selector is set; none: the default (system). */
struct plan_identity {
	enum plan_identity_kind kind;
	const char	*client_id, *object_id, *resource_id;
	const char	*label;		/* for people: "managed identity 3f2a... (named ...)" */
	const char	*source;	/* who is asked for the token, for people; NULL: nobody */
	const char	*rule;		/* id of the policy row: "none-sai-fallback" */
	const char	*reason;	/* one sentence */
	struct secret	 secret;	/* borrowed text of the datastore's secret; agent only */
	/* Where the secret stands; elsewhere than HERE the agent fetches it, as plan->readers
	   says. */
	enum spec_secret_from secret_from;
	const char	*secret_url;	/* VAULT: of the secret */
	const char	*secret_of;	/* WORKSPACE: the datastore's name */
	struct spec_workspace workspace;	/* WORKSPACE */
	const char	*tenant_id, *authority_url;
	const char	*thumbprint;	/* certificate: SHA-1 that the datastore names; NULL: any */
	const char	*audience;	/* resource to ask a token for; NULL: no token is used */
};

enum plan_action {
	PLAN_MOUNT_RO, PLAN_MOUNT_RW, PLAN_DOWNLOAD, PLAN_UPLOAD,
	PLAN_PASS,			/* direct: only the URI is passed; literals; local paths */
};

struct plan_access {		/* one input or output that is data */
	const char	*name;
	int		 is_output;
	enum spec_type	 type;
	enum plan_action action;
	const char	*datastore;	/* name, or NULL for a raw URI */
	enum spec_store_type store;
	const char	*uri;		/* as the job names it */
	/* The service side.  base_url: "https://ACCT.blob.core.windows.net" or, path-style,
	   "https://HOST:PORT/ACCT"; no trailing '/'.  Gen1 has no container: "". */
	const char	*base_url, *account, *container;
	const char	*prefix;	/* decoded, no '/' at either end; "" = whole container */
	int		 is_file;	/* prefix names one blob */
	const char	*only;		/* a model's: a download fetches of the prefix nothing but
					   this, a file or a folder; NULL: all */
	int		 is_model;	/* AZUREML_MODEL_DIR names its target */
	const char	*file_name;	/* download of one blob: its file's; NULL: the blob's */
	int		 hns;		/* ADLS, OneLake: known to be hierarchical */
	const char	*url;		/* a public file, whole; then base_url is its server, and
					   nobody is asked for a credential.  NULL: none */
	/* The local side. */
	const char	*target;	/* absolute: the directory mounted, filled or collected */
	const char	*value;		/* what ${{...}} and AZURE_ML_..._NAME give: path or URI */
	const char	*staging;	/* RW mount, upload: directory for data on its way out */
	const char	*journal;	/* download, upload: file of what is copied; NULL: none */
	struct plan_identity identity;
};

struct plan_value {		/* a name the expressions know */
	const char	*name;
	int		 is_output;
	const char	*value;		/* NULL: optional, absent */
};

struct plan_warning {
	const char	*rule;		/* short id: "cached-beats-user" */
	const char	*text;		/* what is odd and what was done instead */
};

enum plan_broker {		/* whose tokens the job's code may have */
	PLAN_BROKER_NONE,		/* no identity at all */
	PLAN_BROKER_USER,		/* only the submitter's */
	PLAN_BROKER_MANAGED,		/* only managed identities of the compute */
};

/* What no file describes and the workspace may know. */
struct plan_want {
	enum wire_want_kind kind;
	struct spec_workspace workspace;
	const char	*name, *version;	/* version NULL: the latest */
	const char	*text;		/* an asset as the job writes it */
};
struct plan_wants {
	struct plan_want *list;
	size_t		 n;
};

/* The endpoints that the broker stands for; user identity has one of its own. */
enum plan_dialect { PLAN_DIALECT_AML = 1, PLAN_DIALECT_APPSERVICE = 2, PLAN_DIALECT_IMDS = 4 };
#define PLAN_DIALECTS_DEFAULT	(PLAN_DIALECT_AML | PLAN_DIALECT_APPSERVICE)

struct plan_token {		/* handed to the job without its asking */
	const char	*audience;
	const char	*place;		/* a variable's name, or the absolute path of a file */
};

struct plan {
	const char	*job_name;
	const struct cloud *cloud;	/* whose names are used; never NULL */
	const char	*command;	/* expanded; NULL: argv is used */
	char	       **argv;		/* what is exec'd, expanded, NULL-terminated */
	int		 through_shell;	/* argv is SHELL -c COMMAND: signals go to the group */
	const char	*cwd;		/* where the job starts; NULL: stay.  Whether it is there
					   is seen at exec (init/job.h warns and stays) */
	struct plan_access *accesses;	size_t naccesses;
	struct plan_value *values;	size_t nvalues;
	/* What a deployment's server reads, then environment_variables, expanded. */
	struct spec_variable *variables;	size_t nvariables;
	struct plan_warning *warnings;	size_t nwarnings;
	struct plan_warning *notes;	size_t nnotes;	/* what is worth knowing and not odd */
	/* As whom secrets that stand elsewhere are read, by amlshim alone; kind NONE: none do. */
	struct plan_identity readers[SPEC_SECRET_VAULT + 1];
	enum plan_broker broker;
	struct plan_identity broker_default;	/* for a client that names none */
	/* The platform's token endpoints are kept from the job without a broker, too: they
	   would give the compute's identity to a job that runs as its submitter. */
	int		 hides_endpoints;
	const struct spec_uai *broker_uais;	size_t nbroker_uais;	/* others it may give */
	int		 broker_any_client_id;	/* compute unknown: any GUID may be asked for */
	unsigned	 broker_dialects;	/* enum plan_dialect */
	struct plan_token *variables_with_token;	size_t nvariables_with_token;
	struct plan_token *files_with_token;	size_t nfiles_with_token;
	long long	 timeout_s;
	/* An online deployment. */
	int		 is_deployment;
	struct spec_probe liveness, readiness;
	const char	*model_dir;	/* AZUREML_MODEL_DIR; NULL: there is no model */
	const char	*app_root, *entry_script;	/* AML_APP_ROOT, ...; or NULL */
	struct plan_tuning tuning;	/* settled */
};

struct plan_options {
	char *const	*argv;		/* COMMAND ARG...; NULL or empty: from the spec */
	const char	*root;		/* where targets stand: default "/mnt/amlshim" */
	const char	*cache_dir;	/* staging: default "/tmp/amlshim" */
	int		 fuse_copy;	/* no FUSE: copy instead of failing */
	struct plan_tuning tuning;	/* as the flags say */
	int		 mount_model;	/* a deployment's model is mounted, not downloaded */
	int		 only_broker;	/* whose tokens alone: no data, no command */
	/* Collect what the workspace has to tell; NULL: what is not described is an error.
	   With wants->n != 0 the plan is not complete: ask, add the answers to the spec, decide
	   again. */
	struct plan_wants *wants;
	unsigned	 broker_dialects;	/* 0: default */
	/* "AUDIENCE=VARIABLE", "AUDIENCE=PATH". */
	const char *const *export_tokens;	size_t nexport_tokens;
	const char *const *token_files;	size_t ntoken_files;
	int		 wants_tokens;	/* even without a job; that there is none fails */
};

/*
 * fails    ERR_USAGE (a reference to what is not there, cwd: file:line:column),
 *          ERR_NO_IDENTITY (the policy has no identity for an access: says what
 *          to assign, where), ERR_SYSTEM (a mount, but no FUSE here)
 * owns     all in *plan lives in the arena; borrows spec and facts until exit
 */
int	plan_decide(struct plan *ret, const struct spec *, const struct facts *,
	    const struct plan_options *, struct arena *, struct err *);

/*
 * As whom secrets are read: the workspace as the job's own identity, a Key
 * Vault as the compute's, also under user identity (a vault is read by
 * amlshim, never for the job).
 */
int	plan_choose_reader(struct plan_identity *ret, enum spec_secret_from, const struct spec *,
	    const struct facts *, struct arena *, struct err *);

/* Needs a network (agent, workers)?  0: amlshim is just an init. */
int	plan_needs_agent(const struct plan *);

/* A table for people (json 0) or JSON for programs, of many lines or one; no secret in any. */
#define PLAN_JSON	1
#define PLAN_JSON_LINE	2
int	plan_print(const struct plan *, int json, FILE *);
/* "URL/CONTAINER/PATH" of something in an access's container, for messages. */
const char *plan_place(const struct plan_access *, const char *path, struct arena *);
const char *plan_action_name(enum plan_action);
const char *plan_identity_kind_name(enum plan_identity_kind);

#endif
