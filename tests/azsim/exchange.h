#ifndef AZSIM_EXCHANGE_H
#define AZSIM_EXCHANGE_H

/*
 * exchange -- one request and its answer, and how each service answers.
 *
 * A handler returns 0 when it has answered, or -1: what refuse() recorded is
 * then sent, in the form of the service; nothing recorded means that the
 * connection is broken.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/httpd.h"
#include "base/mem.h"
#include "fault.h"
#include "peer.h"
#include "sim.h"

#define PARAMS_MAX	48

enum auth_kind {
	AUTH_ANONYMOUS, AUTH_SHARED_KEY, AUTH_ACCOUNT_SAS, AUTH_SERVICE_SAS, AUTH_USER_SAS,
	AUTH_BEARER, AUTH_SECRET,
};

enum service {
	SERVICE_BLOB,
	SERVICE_DFS,
	SERVICE_GEN1,
	SERVICE_IMDS,
	SERVICE_AML,
	SERVICE_APPSERVICE,
	SERVICE_OBO,
	SERVICE_ARC,
	SERVICE_FABRIC,
	SERVICE_CLOUDSHELL,
	SERVICE_ENTRA,
	SERVICE_REGISTRY,
	SERVICE_ARM,
	SERVICE_VAULT,
	SERVICE_CONTROL,
};

struct param {
	char	*name, *value;		/* decoded */
};

struct exchange {
	struct sim *sim;
	struct peer *peer;
	struct httpd_conn *conn;
	struct httpd_request *req;
	uint64_t conn_id;
	int64_t	 began_us;
	struct arena mem;
	struct param params[PARAMS_MAX];
	size_t	 nparams;
	/* What is asked for. */
	enum service service;
	const char *op;			/* name in the journal; never NULL */
	struct account *account;
	char	*container, *blob;	/* decoded; NULL: not at this level */
	int	 path_style;		/* the account is in the path */
	const char *version;		/* x-ms-version; "" if none */
	/* By whom. */
	enum auth_kind auth;
	char	 oid[64];
	const char *sas_permissions;	/* NULL: no SAS */
	/* What became of it. */
	char	 request_id[40];
	int	 status;		/* 0: not answered yet */
	const char *code;		/* of the refusal; NULL: none */
	struct buf detail;		/* XML elements that go into the refusal */
	struct buf head;		/* header lines of the answer */
	int	 chunked;		/* the answer's body, without a length */
	int64_t	 body_in, body_out;
	char	 range[48];		/* of a read, for the journal */
	int	 has_fault;
	struct fault_action fault;
};

/* The first value of a query parameter; NULL if absent. */
const char *exchange_param(const struct exchange *, const char *name);
const char *exchange_header(const struct exchange *, const char *name);	/* NULL */
/*
 * The whole body, of at most max bytes.  -1: too long, cut short (a refusal is
 * recorded if one can be sent).
 */
int	exchange_read_body(struct exchange *, size_t max, struct buf *ret);
/* 1: of the storage service, whichever endpoint. */
int	exchange_is_storage(const struct exchange *);
/* Serves a connection until it ends. */
void	exchange_serve(struct sim *, struct peer *, uint64_t conn_id);

/* A header line of the answer. */
void	answer_header(struct exchange *, const char *name, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* type NULL: no Content-Type.  0 or -1. */
int	answer(struct exchange *, int status, const char *type, const void *body, size_t len);
int	answer_text(struct exchange *, int status, const char *type, const char *text);
/* len bytes of v at offset. */
int	answer_bytes(struct exchange *, int status, const struct version *v, int64_t offset,
	    int64_t len);
/* An HEAD's: a length and no body. */
int	answer_length(struct exchange *, int status, int64_t len);

/* Storage refusals: the table in answer.c has status and message by code.  Return -1. */
static inline int
refuse(struct exchange *ex, const char *code)
{
	ex->code = code;
	return (-1);
}
/* With <ELEMENT>text</ELEMENT> in the body; the text is escaped. */
int	refuse_detail(struct exchange *, const char *code, const char *element, const char *fmt,
	    ...) __attribute__((format(printf, 4, 5)));
int	refuse_header(struct exchange *, const char *code, const char *name, const char *value);
int	refuse_param(struct exchange *, const char *code, const char *name, const char *value);
void	answer_refusal(struct exchange *);
void	xml_escape(struct buf *, const char *text);

#endif
