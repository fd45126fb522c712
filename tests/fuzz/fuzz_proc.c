/*
 * Texts of /proc and of cgroups: stat of a process, whose name the process chooses; paths and
 * counters; id maps, which come out as they can be written.
 */

#include "base/proc.h"
#include "base/userns.c"
#include "fuzz.h"
#include "init/cgroup.h"
#include "init/oom.h"

/* The name is everything between the first and the last parenthesis. */
static void
stat_text(const char *text, struct arena *mem)
{
	char *copy = arena_strdup(mem, text);
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct proc_stat s;

	if (proc_parse_stat(copy, &s) != 0)
		return;
	must(open != NULL && close > open && s.parent >= 0);
	must(memchr(s.comm, '\0', sizeof(s.comm)) != NULL);
	must(strncmp(s.comm, open + 1, strlen(s.comm)) == 0);
	must(s.state == close[2]);
}

static void
stat_of_name(const char *name, struct arena *mem)
{
	char *text = arena_printf(mem, "7 (%s) S 41 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	    "8412 1 2 3\n", name);
	struct proc_stat s;

	must(proc_parse_stat(text, &s) == 0);
	must(s.state == 'S' && s.parent == 41 && s.start == 8412);
}

static void
id_map(const char *text, size_t len)
{
	auto_buf struct buf map = BUF_EMPTY, again = BUF_EMPTY;

	if (same_ids(input_file(text, len), &map) != 0 || map.len >= MAP_BYTES)
		return;
	must(same_ids(input_file(map.data, map.len), &again) == 0);
	must(strcmp(buf_str(&map), buf_str(&again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *path;
	size_t len;
	char *text = input_until(&in, FUZZ_CUT, &mem, &len);

	stat_text(text, &mem);
	stat_of_name(text, &mem);
	id_map(text, len);
	must(oom_parse_kills(text) >= -1);
	path = cgroup_parse_path(arena_strdup(&mem, text));
	must(path == NULL || (path[0] == '/' && strchr(path, '\n') == NULL));
	arena_done(&mem);
	return (0);
}
