/*
 * Targets of symbolic links of an input, whose writer is nobody we know: one that is let through
 * leads, taken letter by letter, to a place in the mount, whatever the names on its way are.
 */

#include "fuzz.h"
#include "mount/link.c"

/* How far below the root the walk is at its lowest; INT_MIN: ".." behind a name. */
static int
lowest(char *path, int depth)
{
	int low = depth, named = 0;
	char *part;

	while ((part = strsep(&path, "/")) != NULL) {
		if (strcmp(part, "..") == 0) {
			if (named)
				return (-1);
			if (--depth < low)
				low = depth;
		} else if (part[0] != '\0' && strcmp(part, ".") != 0)
			named = 1;
	}
	return (low);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	const char *target = arena_strndup(&mem, (const char *)data, size);
	int depth, stays;

	for (depth = 0; depth < 4; depth++) {
		stays = target[0] != '/' && lowest(arena_strdup(&mem, target), depth) >= 0;
		must(leads_out(target, depth) == !stays);
	}
	arena_done(&mem);
	return (0);
}
