/*
 * A WWW-Authenticate header, then a line break and the vault's URL: whatever they say, a token is
 * only for a parent of the URL's own host.
 */

#include "azure/challenge.h"
#include "azure/keyvault.h"
#include "base/uri.h"
#include "fuzz.h"

static void
check_trusted(const struct keyvault_challenge *c, const char *url)
{
	struct arena mem = ARENA_EMPTY;
	struct uri resource, own;

	must(uri_parse(&resource, c->resource, &mem) == 0);
	must(uri_parse(&own, url, &mem) == 0);
	must(strcmp(resource.scheme, "https") == 0);
	must(str_ends(own.host, resource.host));
	must(own.host[strlen(own.host) - strlen(resource.host) - 1] == '.');
	arena_done(&mem);
}

/* Whatever is filled is a string in bounds, and without what would break a line. */
static void
check_fields(const char *header)
{
	char first[8], second[300];
	const struct challenge_field fields[] = { { "a", first, sizeof(first) },
		{ "resource", second, sizeof(second) } };

	(void)challenge_read(header, "Bearer", fields, 2);
	must(memchr(first, '\0', sizeof(first)) != NULL);
	must(memchr(second, '\0', sizeof(second)) != NULL);
	must(strpbrk(first, "\r\n") == NULL && strpbrk(second, "\r\n") == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	char *header = arena_strndup(&mem, (const char *)data, size), *url = strchr(header, '\n');
	struct keyvault_challenge c;
	struct err err = ERR_EMPTY;

	if (url != NULL)
		*url++ = '\0';
	else
		url = arena_strdup(&mem, "https://v.vault.azure.net/secrets/s");
	check_fields(header);
	if (keyvault_read_challenge(header, &c, &err) != 0) {
		must(err.kind == ERR_PROTOCOL && err.cause[0] != '\0');
	} else {
		must(c.resource[0] != '\0');
		must(memchr(c.resource, '\0', sizeof(c.resource)) != NULL);
		if (keyvault_check_challenge(&c, url, &err) == 0)
			check_trusted(&c, url);
		else
			must(err.kind == ERR_DENIED);
	}
	arena_done(&mem);
	return (0);
}
