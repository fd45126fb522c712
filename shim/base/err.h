#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * err -- a failure as a value that a person can act on.
 *
 * Fixed size: needs no allocation, crosses a socket as it is.  Functions that
 * can fail return 0 or -1 (or a pointer or NULL) and fill the last parameter;
 * they fill it only on failure, and out-parameters ret_... only on success.
 * Each layer fills the fields it knows and never overwrites one that is set:
 * http the resource and status, refusal the kind and remedy, identity the
 * identity, the caller the operation.  Only a process's top function prints.
 */

#include <stddef.h>

enum err_kind {
	ERR_NONE = 0,
	ERR_USAGE,		/* the caller's words, a spec, a plan: exit 2 */
	ERR_NO_IDENTITY,	/* nothing to ask a token of, or it has none for us */
	ERR_DENIED,		/* identity known, access refused */
	ERR_NOT_FOUND,		/* the container, blob, file or command is not there */
	ERR_UNREACHABLE,	/* DNS, TCP, TLS, time-outs, retries used up */
	ERR_CHANGED,		/* the object is no longer the one that was opened */
	ERR_OUTPUT,		/* data that the job wrote did not get out */
	ERR_PROTOCOL,		/* an answer that the contract does not allow */
	ERR_SYSTEM,		/* a system call */
	ERR_BUG,		/* ours */
	ERR_KINDS
};

/*
 * What the user can do about it.  The texts are one table in err.c; each
 * starts with a verb and may contain %r (resource), %c (its account and
 * container, of a resource that is a URL) and %i (identity).
 */
enum err_remedy {
	REMEDY_NONE = 0,
	REMEDY_FIX_SPEC,
	REMEDY_SEE_HELP,
	REMEDY_ASSIGN_IDENTITY,
	REMEDY_NAME_ASSIGNED_IDENTITY,
	REMEDY_ONE_KIND_OF_IDENTITY,
	REMEDY_SUBMIT_WITH_USER_IDENTITY,
	REMEDY_GRANT_DATA_READER,
	REMEDY_GRANT_DATA_CONTRIBUTOR,
	REMEDY_GRANT_READER_OR_ACL,
	REMEDY_GRANT_CONTRIBUTOR_OR_ACL,
	REMEDY_GRANT_DATA_OWNER,
	REMEDY_OPEN_NETWORK,
	REMEDY_CHECK_CLOCK,
	REMEDY_RENEW_SAS,
	REMEDY_WIDEN_SAS,
	REMEDY_RENEW_KEY,
	REMEDY_SHARED_KEY_DISABLED,
	REMEDY_SAME_TENANT,
	REMEDY_TOKEN_AUDIENCE,
	REMEDY_TOKEN_EXPIRED,
	REMEDY_ASK_OWNER,
	REMEDY_CHECK_NAME,
	REMEDY_CHECK_DNS,
	REMEDY_CHECK_TLS,
	REMEDY_CHECK_TLS_DATES,
	REMEDY_CHECK_TLS_NAME,
	REMEDY_CHECK_HANDSHAKE,
	REMEDY_CHECK_ENDPOINT,
	REMEDY_CHECK_PROXY,
	REMEDY_GIVE_FUSE,
	REMEDY_ROOT_DIR,
	REMEDY_FREE_DISK,
	REMEDY_MORE_MEMORY,
	REMEDY_OPEN_FILES,
	REMEDY_PROCESSES,
	REMEDY_CACHE_DIR,
	REMEDY_RETRY_LATER,
	REMEDY_KEEP_INPUT_STILL,
	REMEDY_UPLOAD_BY_HAND,
	REMEDY_USE_HTTPS,
	REMEDY_CHECK_COMMAND,
	REMEDY_DATASTORE_FILE,
	REMEDY_ASK_WORKSPACE,
	REMEDY_GRANT_WORKSPACE,
	REMEDY_CHECK_WORKSPACE,
	REMEDY_GRANT_VAULT,
	REMEDY_OPEN_VAULT,
	REMEDY_CHECK_VAULT,
	REMEDY_ENABLE_SECRET,
	REMEDY_RENEW_VAULT_SECRET,
	REMEDY_RETIRED_GEN1,
	REMEDY_GRANT_GEN1_ACL,
	REMEDY_REHYDRATE,
	REMEDY_CHECK_TENANT,
	REMEDY_CHECK_APPLICATION,
	REMEDY_REGISTER_CERTIFICATE,
	REMEDY_RENEW_CLIENT_SECRET,
	REMEDY_SIGN_IN_POLICY,
	REMEDY_GRANT_CONSENT,
	REMEDY_ADD_FEDERATION,
	REMEDY_SUBMIT_AGAIN,
	REMEDY_OMIT_SELECTOR,
	REMEDY_READ_ARC_KEY,
	REMEDY_PROJECT_TOKEN,
	REMEDY_DESCRIBE_CLOUD,
	REMEDY_GRANT_ACR_PULL,
	REMEDY_CODE_SNAPSHOT,
	REMEDY_REPORT_BUG,
	REMEDIES
};

struct err {
	enum err_kind	kind;
	enum err_remedy	remedy;
	int	http_status;		/* 0: no HTTP answer */
	int	sys_errno;		/* 0: no system call failed */
	char	op[64];			/* what failed: "list blobs" */
	char	resource[320];		/* on what: URL without query, path, file:line:column */
	char	identity[256];		/* as whom: "managed identity 3f2a... (from ...)" */
	char	cause[640];		/* what the other side said; never a secret */
};

#define ERR_EMPTY	((struct err){ .kind = ERR_NONE })

/* Fill kind, op and cause (printf); sets err and returns -1.  NULL err is allowed. */
int	err_set(struct err *, enum err_kind, enum err_remedy, const char *op,
	    const char *cause_fmt, ...) __attribute__((format(printf, 5, 6)));

/* As err_set, kind ERR_SYSTEM, from errno (kept unchanged); resource is a path or NULL. */
int	err_errno(struct err *, const char *op, const char *resource);

/* Add what this layer knows; a field that is already set stays.  Return -1. */
int	err_on(struct err *, const char *resource_fmt, ...)
	    __attribute__((format(printf, 2, 3)));
int	err_as(struct err *, const char *identity_label);
int	err_doing(struct err *, const char *op);
/* One that came from another process: its texts end where its fields do. */
void	err_seal(struct err *);

/* The remedy's text with %r and %i filled in; "" for REMEDY_NONE.  Returns buf. */
const char *err_remedy_text(const struct err *, char *buf, size_t size);
/* The remedy becomes a part of the cause: for a caller that has one of its own as well. */
void	err_fold_remedy(struct err *);
/* The remedy's raw text: for the troubleshooting page and its test. */
const char *err_remedy_template(enum err_remedy);
const char *err_kind_name(enum err_kind);

/*
 * One line: "cannot OP RESOURCE as IDENTITY: STATUS CAUSE; REMEDY", without
 * the parts that are not known.  Returns buf.
 */
const char *err_line(const struct err *, char *buf, size_t size);

/*
 * Exit status for a failure that is amlshim's own:
 *   2 USAGE   121 NO_IDENTITY   122 DENIED   123 OUTPUT
 *   120 NOT_FOUND UNREACHABLE CHANGED   125 PROTOCOL SYSTEM BUG
 * (124: the job's limits.timeout; 126, 127: the command cannot run / not found.)
 */
int	err_exit_status(const struct err *);

#endif
