/* A registry's challenge, a docker client's server URL, a list of registries. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "azure/acr.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

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
	names(text);
	free(text);
	return (0);
}
