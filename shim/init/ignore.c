#include "init/ignore.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define TEXT_MAX	(1 << 20)
#define NAME_MAX_	255

/* A line without its end; 0: no rule. */
static int
read_rule(struct ignore_rule *r, const char *line, size_t len, struct arena *mem)
{
	*r = (struct ignore_rule){ .pattern = NULL };
	while (len > 0 && (line[len - 1] == '\r' || (line[len - 1] == ' ' &&
	    (len < 2 || line[len - 2] != '\\'))))
		len--;
	if (len == 0 || line[0] == '#')
		return (0);
	if (line[0] == '!') {
		r->keep = 1;
		line++;
		len--;
	}
	if (len > 0 && line[len - 1] == '/') {
		r->directory = 1;
		len--;
	}
	if (len > 0 && line[0] == '/') {
		r->anchored = 1;
		line++;
		len--;
	}
	if (len == 0)
		return (0);
	r->pattern = arena_strndup(mem, line, len);
	if (strchr(r->pattern, '/') != NULL)
		r->anchored = 1;
	return (1);
}

void
ignore_parse(struct ignore *ret, const char *text, size_t len, struct arena *mem)
{
	const char *end = text + len, *nl;
	size_t lines = 1, i;

	for (i = 0; i < len; i++)
		lines += text[i] == '\n';
	ret->rules = arena_alloc(mem, lines * sizeof(*ret->rules));
	ret->n = 0;
	for (; text < end; text = nl + 1) {
		nl = memchr(text, '\n', (size_t)(end - text));
		if (nl == NULL)
			nl = end;
		ret->n += (size_t)read_rule(&ret->rules[ret->n], text, (size_t)(nl - text), mem);
	}
}

int
ignore_load(struct ignore *ret, const char *dir, struct arena *mem, struct err *err)
{
	static const char *const names[] = { ".amlignore", ".gitignore" };
	auto_buf struct buf text = BUF_EMPTY;
	const char *path;
	size_t i;

	*ret = (struct ignore){ NULL, 0 };
	for (i = 0; i < LENGTH(names); i++) {
		path = arena_printf(mem, "%s/%s", dir, names[i]);
		if (access(path, F_OK) != 0 && errno == ENOENT)
			continue;
		if (fd_read_file(path, TEXT_MAX, &text, err) != 0)
			return (-1);
		ignore_parse(ret, buf_str(&text), text.len, mem);
		return (0);
	}
	return (0);
}

/* One name of the path against one of the pattern. */
static int
name_matches(const char *pattern, size_t plen, const char *name, size_t nlen)
{
	char p[NAME_MAX_ + 1], n[NAME_MAX_ + 1];

	if (plen > NAME_MAX_ || nlen > NAME_MAX_)
		return (0);
	memcpy(p, pattern, plen);
	p[plen] = '\0';
	memcpy(n, name, nlen);
	n[nlen] = '\0';
	return (fnmatch(p, n, 0) == 0);
}

/* NULL: that was the last one. */
static const char *
next_name(const char *text, size_t len)
{
	return (text[len] == '/' ? text + len + 1 : NULL);
}

/* Name by name; "**" stands for any number of them, at the end for one or more. */
static int
path_matches(const char *pattern, const char *path)
{
	size_t plen, nlen;

	while (pattern != NULL && path != NULL) {
		plen = strcspn(pattern, "/");
		nlen = strcspn(path, "/");
		if (plen == 2 && strncmp(pattern, "**", 2) == 0) {
			pattern = next_name(pattern, plen);
			while (pattern != NULL && strncmp(pattern, "**/", 3) == 0)
				pattern += 3;
			if (pattern == NULL)
				return (1);
			for (; path != NULL; path = next_name(path, strcspn(path, "/")))
				if (path_matches(pattern, path))
					return (1);
			return (0);
		}
		if (!name_matches(pattern, plen, path, nlen))
			return (0);
		pattern = next_name(pattern, plen);
		path = next_name(path, nlen);
	}
	return (pattern == NULL && path == NULL);
}

int
ignore_matches(const struct ignore *ig, const char *path, int is_directory)
{
	const char *name = strrchr(path, '/');
	size_t i = ig->n;

	name = name != NULL ? name + 1 : path;
	while (i-- > 0) {
		const struct ignore_rule *r = &ig->rules[i];

		if (r->directory && !is_directory)
			continue;
		if (path_matches(r->pattern, r->anchored ? path : name))
			return (!r->keep);
	}
	return (0);
}
