#ifndef AZSIM_WORDS_H
#define AZSIM_WORDS_H

/*
 * words -- "name=value,name=value" of a flag or of a control request, as pairs.
 */

#include "model.h"

/* known ends with NULL; -1: a name that is not in it, or no '='. */
int	words_parse(struct pairs *, const char *text, const char *const known[]);

#endif
