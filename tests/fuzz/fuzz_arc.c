/*
 * Any text as the Arc agent's WWW-Authenticate: a file that it names stands directly in the agent's
 * directory and ends in .key; what is refused has a complaint of one line.
 */

#include "identity/arc.h"
#include "fuzz.h"

#define DIR	"/var/opt/azcmagent/tokens"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	const char *header = arena_strndup(&mem, (const char *)data, size);
	char name[ARC_NAME_MAX + 1], line[2048];
	size_t len;

	if (arc_key_name(header, DIR, name, &err) == 0) {
		len = strlen(name);
		must(len > 4 && strcmp(name + len - 4, ".key") == 0);
		must(strpbrk(name, "/=\"\r\n\t ") == NULL || strchr(name, '"') != NULL);
		must(strchr(name, '/') == NULL && name[0] != '.');
		must(strstr(header, DIR "/") != NULL && strlen(header) == strlen(DIR) + 13 + len);
	} else {
		must(err.kind == ERR_NO_IDENTITY && err.cause[0] != '\0');
		must(strchr(err_line(&err, line, sizeof(line)), '\n') == NULL);
	}
	arena_done(&mem);
	return (0);
}
