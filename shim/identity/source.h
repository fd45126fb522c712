#ifndef IDENTITY_SOURCE_H
#define IDENTITY_SOURCE_H

/*
 * source -- where tokens come from: one dialect a file, one ordered list.
 *
 *   src_fabric.c      IDENTITY_ENDPOINT + IDENTITY_HEADER + IDENTITY_SERVER_THUMBPRINT
 *   src_appservice.c  IDENTITY_ENDPOINT + IDENTITY_HEADER (online endpoints, App Service)
 *   src_aml.c         MSI_ENDPOINT + MSI_SECRET (Azure ML compute)
 *   src_cloudshell.c  MSI_ENDPOINT alone
 *   src_arc.c         IDENTITY_ENDPOINT + IMDS_ENDPOINT, or the Arc agent on disk
 *   src_workload.c    AZURE_FEDERATED_TOKEN_FILE (Kubernetes workload identity)
 *   src_imds.c        otherwise: the VM's metadata service, after a probe
 *   src_obo.c         OBO_ENDPOINT: the submitter's token, for user identity only
 *   src_secret.c      a service principal's client secret, cached with the datastore
 *   src_certificate.c a service principal's certificate, cached with the datastore
 *
 * Which of the managed ones is asked is decided in plan/issuer.h, in the Azure SDKs' order.
 * A source is asked by an identity of the plan; retries follow the source's own
 * published rules; who came back is compared with who was asked for.
 */

#include "azure/http.h"
#include "base/err.h"
#include "identity/token.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct source {
	const char	*name;			/* "Azure ML endpoint" */
	enum plan_identity_kind kind;		/* PLAN_ID_MANAGED or PLAN_ID_USER */
	int	gives_user;			/* its token is rightly a person's */
	int	(*detect)(const struct facts *);	/* 1: the environment shows it */
	/* resource: audience URI as a v1 resource.  Waits; bounded by deadline_ms (clock_ms). */
	int	(*acquire)(const struct facts *, struct http *, const struct plan_identity *,
		    const char *resource, int64_t deadline_ms, struct token *ret, struct err *);
};

/* The source for this kind of identity here; NULL: ERR_NO_IDENTITY names what was looked for. */
const struct source *source_find(enum plan_identity_kind, const struct facts *, struct err *);
/* find + acquire + check that the token is for whom it was asked. */
int	source_acquire(const struct facts *, struct http *, const struct plan_identity *,
	    const char *resource, int64_t deadline_ms, struct token *ret, struct err *);

extern const struct source source_fabric, source_appservice, source_aml, source_cloudshell,
	source_arc, source_workload, source_imds;
extern const struct source source_obo;
extern const struct source source_secret;
extern const struct source source_certificate;

/*
 * For the sources: one GET or form POST, with what they have in common (no
 * proxy for local endpoints, retries, the answer parsed, a refusal put in words,
 * but not if it repeats a secret that was sent).
 */
struct source_call {
	const char	*url;			/* complete */
	/* POST: appends a try's form fields, on the network thread.  NULL: GET.  -1: final. */
	int		(*fill)(void *arg, struct buf *form, struct err *);
	void		*arg;
	const char	*header_name, *header_value;	/* the endpoint's secret, or NULL */
	const char	*form_secret;		/* that fill() sends, or NULL */
	const unsigned char *pin_sha1;		/* of the server's certificate (http.h), or NULL */
	int		 metadata;		/* send Metadata: true */
	int		 use_proxy;		/* not a local endpoint */
	/* Statuses that this endpoint gives while it is being updated (0-terminated), and
	   for how long they are retried. */
	const int	*transient;
	int64_t		 transient_ms;
	/* > 0: every 5xx is retried, and it and 429 after so long at least. */
	int		 busy_ms;
};
#define SOURCE_ANSWER_MAX 65536
int	source_do(struct http *, const struct source_call *, int64_t deadline_ms, struct token *ret,
	    struct err *);
/* URL + ("?" or "&") + name=encoded value.  Memory from the arena. */
const char *source_url_add(const char *url, const char *name, const char *value, struct arena *);

/* 2xx: OK; busy (408, 429, 5xx but for 501 and the like) or transient: RETRY; else FAIL. */
enum http_verdict source_verdict(const struct http_response *);
/* What an answer that is no success says: kind, remedy and cause of err. */
void	source_explain(const struct http_response *, struct err *);
/* -1: the identity is named by an id, and this endpoint (why) takes none. */
int	source_no_selector(const struct plan_identity *, const char *why, struct err *);

#endif
