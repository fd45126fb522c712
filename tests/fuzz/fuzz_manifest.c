/*
 * A code snapshot's text, and an ignore file's: what is taken is written again and means the same,
 * and no path leads out of the folder.
 */

#include "init/ignore.h"
#include "init/manifest.h"
#include "fuzz.h"

static void
check_path(const char *path)
{
	if (path[0] == '\0' || path[0] == '/' || strcmp(path, "..") == 0 ||
	    strncmp(path, "../", 3) == 0 || strstr(path, "/../") != NULL ||
	    (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
		abort();
}

static void
manifest(const char *text, size_t len, struct arena *mem)
{
	auto_buf struct buf again = BUF_EMPTY;
	struct manifest m, n;
	struct err err = ERR_EMPTY;
	size_t i;

	if (manifest_parse(&m, "M", text, len, mem, &err) != 0) {
		if (err.kind != ERR_USAGE || err.resource[0] != 'M')
			abort();
		return;
	}
	buf_adds(&again, MANIFEST_HEADER "\n");
	for (i = 0; i < m.n; i++) {
		check_path(m.entries[i].path);
		if (manifest_find(&m, m.entries[i].path) != &m.entries[i])
			abort();
		manifest_add_line(&again, &m.entries[i]);
	}
	if (manifest_parse(&n, "M", again.data, again.len, mem, NULL) != 0 || n.n != m.n)
		abort();
	for (i = 0; i < m.n; i++)
		if (strcmp(m.entries[i].path, n.entries[i].path) != 0 ||
		    m.entries[i].is_link != n.entries[i].is_link ||
		    memcmp(m.entries[i].sum, n.entries[i].sum, MANIFEST_SUM) != 0)
			abort();
}

static void
ignored(const char *text, size_t len, struct arena *mem)
{
	static const char *const paths[] = { "a", "a/b", "a/b/c/d.pyc", "x*y", ".git" };
	struct ignore ig;
	size_t i;

	if (len > 200)		/* a pattern may take long: it is the author's own */
		len = 200;
	ignore_parse(&ig, text, len, mem);
	for (i = 0; i < LENGTH(paths); i++)
		ignore_matches(&ig, paths[i], i % 2 == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	char *text = arena_alloc(&mem, size + 1);

	memcpy(text, data, size);
	manifest(text, size, &mem);
	ignored(text, size, &mem);
	arena_done(&mem);
	return (0);
}
