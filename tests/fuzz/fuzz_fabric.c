/* IDENTITY_SERVER_THUMBPRINT: 40 digits, however they are grouped, and nothing else. */

#include "fuzz.h"
#include "identity/src_fabric.c"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	const char *text = arena_strndup(&mem, (const char *)data, size), *s;
	unsigned char pin[HTTP_PIN_SIZE], again[HTTP_PIN_SIZE];
	struct err err = ERR_EMPTY;
	char hex[2 * HTTP_PIN_SIZE + 1];
	size_t i, digits = 0;

	for (s = text; *s != '\0'; s++)
		digits += *s != ':' && *s != ' ';
	if (read_thumbprint(text, pin, &err) == 0) {
		must(digits == 2 * (size_t)HTTP_PIN_SIZE);
		for (i = 0; i < HTTP_PIN_SIZE; i++)
			str_format(hex + 2 * i, 3, "%02X", pin[i]);
		must(read_thumbprint(hex, again, NULL) == 0);
		must(memcmp(pin, again, sizeof(pin)) == 0);
	} else
		must_complain(&err, ERR_NO_IDENTITY);
	arena_done(&mem);
	return (0);
}
