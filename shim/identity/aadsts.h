#ifndef IDENTITY_AADSTS_H
#define IDENTITY_AADSTS_H

/*
 * aadsts -- what Entra ID's error codes mean and what to do about them: a table.
 *
 * Entra's own endpoint gives them as error_codes; managed identity endpoints
 * hand them on inside error_description ("AADSTS50001: ...").  The numbers only
 * choose the advice; whether to try again follows OAuth's error and three codes
 * that Entra documents as transient.
 *
 * MicrosoftDocs/entra-docs docs/identity-platform/reference-error-codes.md.
 */

#include "base/err.h"
#include "base/json.h"

/* The first code of an answer; 0: it has none. */
int	aadsts_code(const struct json *answer);
/* What is to be done about it; REMEDY_NONE: the code is not in the table. */
enum err_remedy aadsts_remedy(int code);
/* 1: the same request may succeed later (temporarily_unavailable, server_error, AADSTS90006...). */
int	aadsts_is_transient(const struct json *answer);
/*
 * "ERROR: DESCRIPTION; trace T, correlation C" for err->cause; the description is
 * cut at its first line.  error, description: as the endpoint named them, or NULL.
 */
void	aadsts_cause(const struct json *answer, const char *error, const char *description,
	    char *out, size_t size);

#endif
