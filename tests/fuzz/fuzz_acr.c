/* A registry's challenge, a docker client's server URL, a list of registries. */

#include "azure/acr.c"
#include "fuzz.h"

static void
server(const char *text)
{
	char host[ACR_HOST_SIZE], again[ACR_HOST_SIZE];

	if (acr_host(text, host) != 0)
		return;
	if (host[0] == '\0' || strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.:") !=
	    strlen(host) || acr_host(host, again) != 0 || strcmp(host, again) != 0)
		abort();
	if (acr_is_registry(host, "azurecr.io", NULL) && !str_ends(host, ".azurecr.io"))
		abort();
	if (!acr_is_registry(host, "azurecr.io", host))
		abort();
}

static void
names(const char *text)
{
	char host[ACR_HOST_SIZE];
	size_t i;

	for (i = 0; acr_named(text, i, host) != 0; i++)
		if (i > strlen(text))
			abort();
}

/* What the registry says of a token: taken, or put in words that hold none. */
static void
answered(const char *body, size_t len)
{
	static const int statuses[] = { 200, 401, 404, 500 };
	struct http_response r = { .status = 0 };
	struct secret token = { NULL, 0 };
	size_t i;

	buf_add(&r.error_body, body, len);
	for (i = 0; i < LENGTH(statuses); i++) {
		struct err err = ERR_EMPTY;

		r.status = statuses[i];
		explain(&r, &err);
		must(strstr(err.cause, "eyJ") == NULL);
		must(memchr(err.cause, '\0', sizeof(err.cause)) != NULL);
	}
	if (take_refresh_token(&r, &token, NULL) == 0)
		must(token.len > 0 && str_is_visible(token.text, token.len));
	secret_done(&token);
	buf_done(&r.error_body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct acr_challenge c;
	char *text = mem_alloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (acr_read_challenge(text, &c) == 0 && (c.realm[0] == '\0' || c.service[0] == '\0' ||
	    memchr(c.realm, '\0', sizeof(c.realm)) == NULL))
		abort();
	server(text);
	answered(text, size);
	names(text);
	free(text);
	return (0);
}
