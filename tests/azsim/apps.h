#ifndef AZSIM_APPS_H
#define AZSIM_APPS_H

/*
 * apps -- applications of the simulated directory, and what proves to be one of them.
 *
 * A client secret, a certificate, or a federated token that a test names word by
 * word (the issuer's key is not looked up).
 */

#include <pthread.h>

#include <bearssl.h>

#include "model.h"
#include "people.h"

struct app {
	struct app *next;
	struct person person;		/* as whom it gets tokens */
	char	*secret;		/* "" none */
	char	*federated;		/* tokens that are accepted, separated by ';' */
	int	 secret_expired;
	int	 has_cert;
	unsigned char sha1[br_sha1_SIZE], sha256[br_sha256_SIZE];	/* of the DER */
	br_rsa_public_key key;
};

struct apps {
	pthread_mutex_t lock;		/* guards what apps_change() changes */
	struct app *list;
};

/*
 * "client_id=,oid=,tenant=,secret=,federated=,cert=FILE,expired=0|1"; tenant: the directory's
 * own unless given.  -1: bad words, or no RSA certificate in the file.
 */
int	apps_add(struct apps *, const char *text, const char *tenant);
/* What proves one that is there: secret, federated, expired.  -1: no such app. */
int	apps_change(struct apps *, const struct pairs *);
/* NULL: none with this id. */
struct app *apps_find(struct apps *, const char *client_id);

enum proof { PROOF_OK, PROOF_WRONG, PROOF_EXPIRED };
enum proof apps_check_secret(struct apps *, const struct app *, const char *secret);
/* 1: it is one of those named. */
int	apps_is_federated(struct apps *, const struct app *, const char *token);

/*
 * A client assertion, by certificate-credentials.md: RS256 or PS256, x5t or x5t#S256, aud,
 * iss, sub, jti, nbf, exp.  0, or the AADSTS code that says what is wrong with it.
 */
int	apps_check_assertion(const struct app *, const char *jwt, const char *audience);

#endif
