#ifndef INIT_IGNORE_H
#define INIT_IGNORE_H

/*
 * ignore -- which files of a code folder Azure ML would not upload: .amlignore,
 * else .gitignore, of the folder itself.
 *
 * Patterns as git reads them: '#' comments, '!' takes back, the last that fits
 * counts, a '/' at the end means directories, one elsewhere ties the pattern to
 * the folder, '*' '?' '[...]' stay within a name, "**" spans names.  What is
 * below an ignored directory is ignored.  Which file, and that others below do
 * not count: Azure/azure-sdk-for-python
 * sdk/ml/azure-ai-ml/azure/ai/ml/_utils/_asset_utils.py get_ignore_file().
 */

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

struct ignore_rule {
	const char	*pattern;	/* without '!' and '/' at either end */
	int		 keep, directory, anchored;
};

struct ignore {
	struct ignore_rule *rules;
	size_t		 n;
};

void	ignore_parse(struct ignore *ret, const char *text, size_t len, struct arena *);
/* Neither file there: no rule. */
int	ignore_load(struct ignore *ret, const char *dir, struct arena *, struct err *);
/* path: relative to the folder.  Its directories are the caller's to ask for first. */
int	ignore_matches(const struct ignore *, const char *path, int is_directory);

#endif
