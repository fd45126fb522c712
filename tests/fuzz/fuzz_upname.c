/* Names of local files that are uploaded, and links among them: none becomes a blob's name that
   the service or a reader could take for another one. */

#include "fuzz.h"
#include "mount/upload.c"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *name, *why;
	size_t i, slashes;

	while (in.left > 0) {
		name = input_line(&in, &mem);
		why = name_fault(name);
		must(why == NULL || why[0] != '\0');
		for (i = slashes = 0; why == NULL && name[i] != '\0'; i++) {
			must((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
			slashes += name[i] == '/';
		}
		must(why != NULL || (slashes < 254 && i <= 4 * STORE_NAME_MAX));
	}
	arena_done(&mem);
	return (0);
}
