#include "words.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int
is_known(const char *name, const char *const known[])
{
	while (*known != NULL && strcmp(*known, name) != 0)
		known++;
	return (*known != NULL);
}

int
words_parse(struct pairs *ret, const char *text, const char *const known[])
{
	char *copy = mem_strdup(text), *rest = copy, *word, *value;
	int failed = 0;

	while (!failed && (word = strsep(&rest, ",")) != NULL) {
		if (*word == '\0')
			continue;
		value = strchr(word, '=');
		if (value != NULL)
			*value++ = '\0';
		failed = value == NULL || !is_known(word, known);
		if (!failed)
			pairs_add(ret, word, value);
	}
	free(copy);
	return (failed ? -1 : 0);
}
