/*
 * What a person calls data on the command line of ls, cat and cp: an input, an output, with or
 * without braces, or an address whose query is not to be shown.
 */

#include "cli/place.c"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spec_io inputs[] = { { .name = "data" }, { .name = "d" } };
	static struct spec_io outputs[] = { { .name = "model" } };
	static const struct spec_job job = { .file = "job.yml", .inputs = inputs, .ninputs = 2,
	    .outputs = outputs, .noutputs = 1 };
	struct arena mem = ARENA_EMPTY;
	char *text = arena_strndup(&mem, (const char *)data, size);
	const char *name = without_braces(text, &mem), *below = NULL, *shown;
	struct err err = ERR_EMPTY;
	struct spec_io io;
	int is_output = -1;

	must(strlen(name) <= strlen(text));
	if (str_starts(name, "inputs.") || str_starts(name, "outputs.")) {
		must(str_starts(text, "${{") || !place_is_here(text));
		if (find_io(&job, name, &is_output, &io, &below, &err) == 0) {
			must(below != NULL && (below[0] == '\0' || below[0] == '/'));
			must(is_output == str_starts(name, "outputs."));
		} else
			must_complain(&err, ERR_USAGE);
	}
	shown = printable(text, &mem);
	if (strstr(text, "://") != NULL)
		must(strchr(shown, '?') == NULL);
	arena_done(&mem);
	return (0);
}
