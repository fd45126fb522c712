#ifndef PLAN_FACTS_H
#define PLAN_FACTS_H

/*
 * facts -- everything we know of the machine, gathered once, as a value.
 *
 * The only reader of the environment and of /dev, /proc.  Values of secrets
 * (MSI_SECRET, IDENTITY_HEADER) move into struct secret here; the job's
 * environment is made from a filtered copy (export.h).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"
#include "spec/cloud.h"

enum facts_fuse {
	FACTS_FUSE_OK,			/* /dev/fuse opens and mount(2) is allowed */
	FACTS_FUSE_USERNS,		/* in a user namespace of our own (base/userns.h) */
	FACTS_FUSE_NO_DEVICE,
	FACTS_FUSE_NO_ACCESS,		/* the device is not open to this user */
	FACTS_FUSE_NO_PRIVILEGE,	/* no CAP_SYS_ADMIN, and no such namespace either */
};

struct facts {
	/* Token endpoints of this compute (identity.md 1.1); NULL when absent or empty. */
	const char	*msi_endpoint, *identity_endpoint, *imds_endpoint, *obo_endpoint;
	const char	*pod_identity_authority_host;	/* AZURE_POD_IDENTITY_AUTHORITY_HOST */
	const char	*identity_server_thumbprint;
	struct secret	 msi_secret, identity_header;
	/* Workload identity: AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID, AZURE_TENANT_ID,
	   AZURE_AUTHORITY_HOST. */
	const char	*federated_token_file, *client_id, *tenant_id, *authority_host;
	int		 assertion_rs256;	/* AMLSHIM_CERTIFICATE_ALG=RS256: not PS256 */
	int		 has_himds;		/* Azure Arc's agent is installed here */
	const char	*arc_tokens_dir;	/* NULL: the agent's own */
	/* AZUREML_CURRENT_CLOUD, else that of AZURE_AUTHORITY_HOST, else the public one. */
	const struct cloud *cloud;	/* read through facts_cloud() */
	const char	*unknown_cloud;	/* AZUREML_CURRENT_CLOUD, if no table has it; or NULL */
	const char	*default_client_id;	/* DEFAULT_IDENTITY_CLIENT_ID if it is a GUID */
	const char	*default_client_id_raw;		/* as set; NULL if not */
	const char	*run_id, *experiment;		/* AZUREML_RUN_ID, ... */
	/* AZUREML_ARM_*, or --workspace */
	const char	*subscription, *resource_group, *workspace;
	const char	*workspace_id;		/* AZUREML_WORKSPACE_ID: a GUID */
	const char	*arm_endpoint;		/* AMLSHIM_ARM_ENDPOINT: instead of the cloud's */
	const char	*arm_api_version;	/* AMLSHIM_ARM_API_VERSION, or the default */
	const char	*cwd;
	uint32_t	 uid, gid;
	enum facts_fuse	 fuse;
	int64_t		 memory_limit;	/* the container's, bytes; 0: none */
	int		 is_pid1;
	int		 has_shell_sh, has_shell_bash;	/* /bin/sh, /bin/bash executable */
	char	*const	*environ;			/* a copy, for the export */
};

/*
 * envp is copied.  Probes /dev/fuse; mounts at most in a namespace of a child.  AMLSHIM_FACTS
 * ("fuse=no-device sh=no bash=yes himds=no arc-tokens=DIR": for plans of another
 * machine, and tests) stands in for what the probes find.
 */
int	facts_gather(struct facts *ret, char *const *envp, struct arena *, struct err *);
/* The same from envp alone, no probing: for tests; all else stays zero. */
int	facts_from_environ(struct facts *ret, char *const *envp, struct arena *, struct err *);
/* Why nothing can be mounted, a clause; NULL: it can. */
const char *facts_no_fuse(enum facts_fuse);
/* Never NULL: the public cloud where nothing was said. */
const struct cloud *facts_cloud(const struct facts *);
/* Where Azure Resource Manager answers: an https URL without '/' at the end. */
const char *facts_arm_endpoint(const struct facts *);
/* SUBSCRIPTION/GROUP/NAME in place of what the environment says. */
int	facts_set_workspace(struct facts *, const char *text, struct arena *, struct err *);
void	facts_forget_secrets(struct facts *);

#endif
