#include "mount/name.h"

#include <limits.h>
#include <string.h>

int
name_is_safe(const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX || memchr(name, '/', len) != NULL ||
	    memchr(name, '\0', len) != NULL)
		return (0);
	return (!(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))));
}

int
name_is_safe_path(const char *path)
{
	size_t len;

	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (!name_is_safe(path, len))
			return (0);
		if (path[len] == '\0')
			return (1);
	}
}
