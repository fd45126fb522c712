/*
 * Any text: what is parsed keeps the promises of dsuri.h, what is refused has
 * a cause of one line that shows nothing behind a '?'.
 */

#include "spec/dsuri.h"
#include "fuzz.h"

static void
check_path(const char *path)
{
	const char *s;

	must(*path != '/');
	must(strncmp(path, "../", 3) != 0 && strcmp(path, "..") != 0);
	must(strstr(path, "/../") == NULL && strstr(path, "/./") == NULL);
	for (s = path; *s != '\0'; s++)
		must((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void
check_uri(const struct dsuri *u)
{
	must(u->path != NULL);
	if (u->form != DSURI_LOCAL)
		check_path(u->path);
	switch (u->form) {
	case DSURI_DATASTORE:
		must(u->datastore != NULL && *u->datastore != '\0');
		must((u->workspace == NULL) == (u->subscription == NULL));
		break;
	case DSURI_ASSET:
		must(u->asset != NULL && *u->asset != '\0');
		must((u->asset_name == NULL) == (u->asset_version == NULL &&
		    u->asset_label == NULL));
		must(u->asset_name == NULL || strchr(u->asset_name, '/') == NULL);
		break;
	case DSURI_BLOB:
	case DSURI_GEN2:
		must(u->container != NULL && *u->container != '\0');
		must(strcmp(u->scheme, "https") == 0 || strcmp(u->scheme, "http") == 0);
		must(strchr(u->container, '/') == NULL);
		check_path(u->container);
		/* FALLTHROUGH */
	case DSURI_GEN1:
		must(u->account != NULL && *u->account != '\0');
		must(u->suffix != NULL && *u->suffix != '\0');
		break;
	case DSURI_HTTP:
		must(u->suffix != NULL);
		break;
	case DSURI_LOCAL:
		must(*u->path != '\0');
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct dsuri u;
	char *text = arena_strndup(&mem, (const char *)data, size), line[2048];

	if (dsuri_parse(&u, text, &mem, &err) == 0) {
		check_uri(&u);
	} else {
		must(err.kind == ERR_USAGE && err.cause[0] != '\0');
		err_line(&err, line, sizeof(line));
		must(strchr(line, '\n') == NULL);
		must(strstr(text, "?sig=SECRET") == NULL || strstr(line, "SECRET") == NULL ||
		    strstr(text, "SECRET") < strchr(text, '?'));
	}
	arena_done(&mem);
	return (0);
}
