/*
 * Any text as a cloud's description: what is taken is whole and well-formed, what is refused has a
 * complaint of one line that names the text.
 */

#include "spec/cloud.h"
#include "fuzz.h"

static void
check_cloud(const struct cloud *c)
{
	must(c->name != NULL && *c->name != '\0' && c->storage_suffix != NULL &&
	    c->storage_resource != NULL && c->vault_suffix != NULL && c->vault_resource != NULL &&
	    c->registry_suffix != NULL && c->registry_resource != NULL && c->aml_resource != NULL);
	must(strncmp(c->authority, "https://", 8) == 0);
	must(strpbrk(c->authority + 8, "/@?# ") == NULL);
	must(strncmp(c->arm, "https://", 8) == 0 && strpbrk(c->arm + 8, "/@?# ") == NULL);
	must(*c->storage_suffix != '.' && strpbrk(c->storage_suffix, "/@ ") == NULL);
	must((c->gen1_suffix == NULL) == (c->gen1_resource == NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	const struct cloud *c = cloud_parse((const char *)data, size, "fuzz.json", &mem, &err);
	char line[2048];

	if (c != NULL) {
		check_cloud(c);
	} else {
		must(err.kind == ERR_USAGE && err.cause[0] != '\0');
		must(strncmp(err.resource, "fuzz.json", 9) == 0);
		must(strchr(err_line(&err, line, sizeof(line)), '\n') == NULL);
	}
	arena_done(&mem);
	return (0);
}
