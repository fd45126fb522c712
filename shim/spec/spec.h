#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H

/*
 * spec -- what is asked: a job, its datastores, its compute; as written.
 *
 * The Azure ML CLI v2 command job (also one step of a pipeline job), datastore
 * and compute files, in YAML or JSON, and the ARM JSON form of a job
 * (properties.jobType ...).  Loading is pure: files in, structs or complaints
 * out; nothing is resolved, nothing is fetched.  Everything lives in the arena
 * given; secrets are struct secret and are dropped with spec_forget_secrets().
 *
 * Sources: Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_schema/job/
 * (command_job.py, identity.py, input_output_entry.py), _schema/_datastore/,
 * _schema/compute/; MicrosoftDocs/azure-ai-docs reference-yaml-job-command.md.
 */

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

/* Where a value stands: "job.yml:12:5".  line 0: not from a text. */
struct spec_at {
	const char *file;
	int line, column;		/* from 1 */
};

enum spec_type {	/* of an input or output */
	SPEC_LITERAL,			/* inputs only: number, boolean, string */
	SPEC_URI_FOLDER, SPEC_URI_FILE, SPEC_MLTABLE,
	SPEC_MLFLOW_MODEL, SPEC_CUSTOM_MODEL, SPEC_TRITON_MODEL,
};

enum spec_mode {
	SPEC_MODE_DEFAULT,		/* not given: ro_mount for inputs, rw_mount for outputs */
	SPEC_RO_MOUNT, SPEC_RW_MOUNT, SPEC_DOWNLOAD, SPEC_UPLOAD, SPEC_DIRECT,
	SPEC_EVAL_MOUNT, SPEC_EVAL_DOWNLOAD,
};

struct spec_io {		/* one input or output */
	struct spec_at	 at;
	const char	*name;
	enum spec_type	 type;
	enum spec_mode	 mode;
	const char	*value;		/* SPEC_LITERAL: as text; NULL for an optional input without
					   value or path, whatever type was declared */
	const char	*path;		/* as written (URI or local path, an output's with
					   ${{name}} and the like); NULL: default location */
	struct spec_at	 path_at;
	const char	*asset;		/* as written, when the workspace told what path stands
					   for it; or NULL */
	enum spec_type	 asset_type;	/* what the workspace says it is; SPEC_LITERAL: nothing */
	const char	*path_on_compute;	/* absolute path without file:, or NULL */
	int		 optional;
	int		 is_model;	/* of a deployment: AZUREML_MODEL_DIR tells of it */
	const char	*asset_version;	/* what the workspace calls it, where it said; or NULL */
};

enum spec_identity_type {
	SPEC_IDENTITY_NONE, SPEC_IDENTITY_USER, SPEC_IDENTITY_MANAGED, SPEC_IDENTITY_AML_TOKEN,
};

struct spec_identity {
	struct spec_at	 at;
	enum spec_identity_type type;
	const char	*client_id, *object_id, *resource_id;	/* at most one is set */
};

struct spec_variable {
	const char *name, *value;
};

/* How the server is asked whether it lives, and whether it takes requests. */
struct spec_probe {
	int		 port;		/* 0: it is not known where, so it is not asked */
	const char	*path;		/* begins with '/' */
	long long	 initial_delay_s, period_s, timeout_s;
	int		 success_threshold, failure_threshold;
};
#define SPEC_PROBE_DEFAULT	{ .path = "/", .initial_delay_s = 10, .period_s = 10, \
	.timeout_s = 2, .success_threshold = 1, .failure_threshold = 30 }

/*
 * An online deployment (managed or Kubernetes), what a job has not.  Defaults are filled in.
 * Sources: Azure/azure-sdk-for-python sdk/ml/azure-ai-ml/azure/ai/ml/_schema/_deployment/
 * deployment.py, online/{online_deployment,liveness_probe,request_settings_schema}.py,
 * code_configuration_schema.py, _schema/assets/{model,environment}.py;
 * MicrosoftDocs/azure-ai-docs reference-yaml-deployment-managed-online.md (defaults).
 */
struct spec_deployment {
	int		 given;
	/* The model is the job's only input, with is_model; these are what YAML says of it. */
	const char	*model_name, *model_version;	/* NULL: not said, or its path tells */
	const char	*model_mount_path;		/* absolute, or NULL */
	const char	*scoring_script;	/* relative to the job's code; or NULL */
	long long	 request_timeout_ms;	/* 0: not said */
	int		 app_insights;		/* -1: not said */
	struct spec_probe liveness, readiness;
};

struct spec_job {
	const char	*file;		/* for messages; relative paths start in its directory */
	const char	*name;		/* job name (a step's own, else the pipeline's), or NULL */
	const char	*step;		/* pipeline: the step that was chosen, or NULL */
	const char	*command;	/* NULL: comes from argv */
	struct spec_at	 command_at;
	const char	*code;		/* local path or asset reference, or NULL */
	struct spec_at	 code_at;
	const char	*compute;	/* or NULL */
	struct spec_io	*inputs;	size_t ninputs;
	struct spec_io	*outputs;	size_t noutputs;
	struct spec_variable *variables;	size_t nvariables;
	struct spec_identity identity;
	/* Pipeline: identity on the root that has no effect on this step; or type NONE. */
	struct spec_identity ignored_root_identity;
	int		 from_pipeline_root;	/* identity was taken from the root */
	long long	 timeout_s;	/* limits.timeout; 0: none */
	struct spec_deployment deployment;
	const char	*default_datastore;	/* pipeline settings.default_datastore, or NULL */
};

enum spec_store_type {
	SPEC_BLOB, SPEC_GEN2, SPEC_GEN1, SPEC_FILE_SHARE, SPEC_ONELAKE,
};

enum spec_credential {
	SPEC_CRED_NONE, SPEC_CRED_ACCOUNT_KEY, SPEC_CRED_SAS,
	SPEC_CRED_SERVICE_PRINCIPAL, SPEC_CRED_CERTIFICATE,
};

/* Where the secret of a datastore stands. */
enum spec_secret_from {
	SPEC_SECRET_HERE,		/* in the file: .secret */
	SPEC_SECRET_WORKSPACE,		/* in the workspace: the agent calls listSecrets */
	SPEC_SECRET_VAULT,		/* in a Key Vault: the agent reads it */
};

/* An Azure ML workspace in Azure Resource Manager; all NULL: none. */
struct spec_workspace {
	const char	*subscription, *resource_group, *name;
};

struct spec_datastore {
	struct spec_at	 at;
	const char	*name;
	enum spec_store_type type;
	const char	*account;	/* account_name; Gen1: store_name; OneLake: "onelake" */
	const char	*container;	/* container_name, filesystem, file_share_name;
					   OneLake: the workspace */
	const char	*artifact;	/* OneLake: the item, first segment of all paths; or NULL */
	const char	*endpoint;	/* NULL: the cloud's.  "core.windows.net"; a host[:port]
					   that is an address or a name without a dot means
					   path-style URLs; Gen1: "azuredatalakestore.net";
					   OneLake: "fabric.microsoft.com" */
	const char	*protocol;	/* "https"; "http" only with a path-style endpoint */
	enum spec_credential credential;
	struct secret	 secret;	/* account key, SAS (without '?'), client secret,
					   certificate */
	enum spec_secret_from secret_from;
	const char	*secret_url;	/* VAULT: https://VAULT/secrets/NAME[/VERSION] */
	struct spec_workspace workspace;	/* that told of it; none: a file did */
	const char	*tenant_id, *client_id, *thumbprint;	/* service principal, certificate */
	const char	*authority_url, *resource_url;
	int		 is_default;
};

enum spec_compute_kind { SPEC_COMPUTE_UNKNOWN, SPEC_COMPUTE_CLUSTER, SPEC_COMPUTE_INSTANCE,
	SPEC_COMPUTE_KUBERNETES, SPEC_COMPUTE_SERVERLESS };

struct spec_uai {
	const char *client_id, *object_id, *resource_id;	/* each may be NULL */
};

struct spec_compute {		/* `az ml compute show` or create YAML; also AMLSHIM_COMPUTE */
	struct spec_at	 at;
	int		 given;		/* 0: nothing is known but what the environment shows */
	const char	*name;
	enum spec_compute_kind kind;
	int		 has_system;
	const char	*system_client_id;	/* or NULL */
	struct spec_uai	*uais;		size_t nuais;
};

/* A remark that is no error. */
enum spec_remark_kind {
	SPEC_REMARK_UNKNOWN,		/* Azure ML does not know the field: warning */
	SPEC_REMARK_UNUSED,		/* Azure ML knows it, this program has no use for it: -v */
	SPEC_REMARK_WARNING,		/* anything else worth a warning */
};
struct spec_remark {
	enum spec_remark_kind kind;
	struct spec_at	 at;
	const char	*text;		/* "unknown field \"comand\" (did you mean \"command\"?)" */
};

struct spec {
	struct spec_job	 job;
	struct spec_datastore *datastores;	size_t ndatastores;
	struct spec_compute compute;
	struct spec_remark *remarks;	size_t nremarks;
};

#define SPEC_TEXT_MAX	(4u << 20)	/* bytes of one file */

struct spec_sources {
	const char	*job;		/* path, "-", or inline text (contains a newline or starts
					   with '{') */
	const char	*step;		/* pipeline step, or NULL */
	const char *const *datastores;	/* paths (file with one or more YAML documents, or a
					   directory of *.yml *.yaml *.json) or inline text */
	size_t		 ndatastores;
	const char	*compute;	/* path, inline text or NULL; also the short form
					   "system_assigned", "none", "serverless" or
					   "CLIENT_ID[,CLIENT_ID...]" */
};

/*
 * Load and check everything.
 *
 * fails    ERR_USAGE, resource "FILE:LINE:COLUMN: FIELD", cause what was
 *          expected and what stands there.  First complaint only.
 * owns     all in *spec lives in the arena, secrets on the heap
 */
int	spec_load(struct spec *ret, const struct spec_sources *, struct arena *, struct err *);
/* The same from text, for tests and fuzzers: one job / one datastore text. */
int	spec_load_job(struct spec *, const char *file, const char *text, size_t len,
	    const char *step, struct arena *, struct err *);
int	spec_load_datastores(struct spec *, const char *file, const char *text, size_t len,
	    struct arena *, struct err *);
int	spec_load_compute(struct spec *, const char *file, const char *text, size_t len,
	    struct arena *, struct err *);

/*
 * Is a datastore that did not come from a file what a file may hold: names,
 * endpoint, a kind of credential that goes with its type?  NULL, or why not.
 */
const char *spec_datastore_flaw(const struct spec_datastore *);
/* OneLake's endpoint is a whole host: account and suffix of it. */
void	spec_split_onelake(struct arena *, struct spec_datastore *);
/* The same of the text of a secret that is not in the file.  A SAS has no '?' any more. */
const char *spec_secret_flaw(enum spec_credential, const char *text, size_t len);

/* Wipe every secret: init does so once the agent has its copy. */
void	spec_forget_secrets(struct spec *);

/* The words that users write: "ro_mount", "uri_file", "user_identity", ... */
const char *spec_type_name(enum spec_type);
/* The type that text names, first or one behind it in the enum; SPEC_LITERAL: none. */
enum spec_type spec_type_find(const char *text, enum spec_type first);
const char *spec_mode_name(enum spec_mode);
const char *spec_identity_name(enum spec_identity_type);
const char *spec_store_name(enum spec_store_type);
const char *spec_credential_name(enum spec_credential);		/* "account key" */

#endif
