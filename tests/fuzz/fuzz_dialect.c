/*
 * The broker's reading of a request: whatever is sent, an answer without the right secret is never
 * that it is well formed, and a selector is a text of the request or nothing.
 */

#include "base/httpd.h"
#include "identity/broker_dialect.h"
#include "fuzz.h"

#define UNKNOWN	"4f1d8c77e2a95b3066d2914c0b7e8f5a4f1d8c77e2a95b3066d2"

/* knows: the request may have the secret. */
static void
read_as(const struct httpd_request *req, enum plan_broker kind, const char *secret_text,
    int knows)
{
	struct dialect_selector by = { NULL, NULL, NULL };
	struct secret secret = { NULL, 0 };
	struct arena mem = ARENA_EMPTY;
	const struct dialect *d;
	const char *resource = NULL;
	enum refusal refusal;

	secret_set(&secret, secret_text, strlen(secret_text), NULL);
	d = dialect_find(7, kind, req->path, &secret);
	if (d != NULL) {
		refusal = dialect_read(d, req, &secret, &resource, &by, &mem);
		if (refusal == REFUSED_NOTHING) {
			if (resource == NULL || resource[0] == '\0' ||
			    (by.client_id != NULL) + (by.object_id != NULL) +
			    (by.resource_id != NULL) > 1)
				abort();
			if (!knows && strcmp(dialect_name(d), "imds") != 0)
				abort();
		} else if (dialect_reason(d, refusal) == NULL)
			abort();
	}
	arena_done(&mem);
	secret_done(&secret);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *head = mem_alloc(size + 1);
	auto_free struct httpd_request *req = mem_alloc(sizeof(*req));

	memcpy(head, data, size);
	if (httpd_parse_head(head, size, req) != 0)
		return (0);
	read_as(req, PLAN_BROKER_MANAGED, "sesame", 1);
	read_as(req, PLAN_BROKER_USER, "sesame", 1);
	read_as(req, PLAN_BROKER_MANAGED, UNKNOWN,
	    memmem(data, size, UNKNOWN, strlen(UNKNOWN)) != NULL);
	return (0);
}
