#ifndef AZURE_REST_H
#define AZURE_REST_H

/*
 * rest -- one JSON call to a control plane: bearer token, https only, a bounded answer.
 *
 * Who mints tokens is below this layer's knowledge: struct bearer asks for one.
 * A token that is refused with 401 is replaced by a newer one, once.  Retries
 * are http's.
 */

#include <stdint.h>

#include "azure/http.h"
#include "base/err.h"
#include "base/secret.h"

struct bearer {
	/* A token for resource of a later generation than newer_than; -1 with *err. */
	int	(*get)(void *arg, const char *resource, uint64_t newer_than, int64_t deadline_ms,
		    struct secret *ret, uint64_t *ret_generation, struct err *);
	void	*arg;
	const char *label;		/* as whom, for messages */
};

#define REST_BODY_MAX	(256 * 1024)

struct rest {
	/* Filled by the caller, zeroed before. */
	const char	*op, *method, *url;
	const char	*body;			/* JSON, or NULL */
	const char	*resource;		/* NULL: no Authorization */
	const struct bearer *bearer;
	int64_t		 deadline_ms;
	/* Read-only for the caller. */
	struct secret	 token;
	struct http_call call;
};

/* 0: 2xx, the body is in call.response.error_body.  *err names URL and identity. */
int	rest_do(struct http *, struct rest *, struct err *);
/* Wipes token and answer. */
void	rest_done(struct rest *);

/* error.code, error.innererror.code and error.message of an answer; "" where there is none. */
struct rest_refusal {
	char	code[96], inner[96], message[768];
};
void	rest_read_refusal(const char *body, size_t len, struct rest_refusal *ret);
/* "CODE: MESSAGE", each line break a blank. */
const char *rest_refusal_text(const struct rest_refusal *, char *buf, size_t size);

#endif
