/*
 * Any text as Entra's refusal: it is explained in bounds and on one line.
 */

#include "azure/http_answer.h"
#include "identity/source.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 400, 401, 429, 500, 503 };
	struct http_response r = { .status = 0 };
	struct err err = ERR_EMPTY;
	char line[2048];
	size_t i;

	for (i = 0; i < LENGTH(statuses) && size <= SOURCE_ANSWER_MAX; i++) {
		http_answer_reset(&r);
		r.status = statuses[i];
		buf_add(&r.error_body, data, size);
		http_answer_err(&r, &err);
		source_explain(&r, &err);
		if (err.kind != ERR_NO_IDENTITY && err.kind != ERR_UNREACHABLE)
			abort();
		if (memchr(err.cause, '\0', sizeof(err.cause)) == NULL ||
		    err.remedy == REMEDY_NONE || source_verdict(&r) == HTTP_OK)
			abort();
		if (strchr(err_line(&err, line, sizeof(line)), '\n') != NULL)
			abort();
	}
	buf_done(&r.error_body);
	return (0);
}
