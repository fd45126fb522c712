/*
 * Azure ML's variables of mounts, NAME=VALUE a line: whatever they say, what is settled is within
 * bounds and has words, each variable is honoured or remarked on, and saying it twice is the same.
 */

#include "fuzz.h"
#include "plan/tuning.h"

#define LINES	64

struct world {
	char	*lines[LINES];
	size_t	 n, remarks;
};

static const char *
variable(void *arg, const char *name)
{
	const struct world *w = arg;
	size_t i, len = strlen(name);

	for (i = 0; i < w->n; i++)
		if (strncmp(w->lines[i], name, len) == 0 && w->lines[i][len] == '=')
			return (w->lines[i] + len + 1);
	return (NULL);
}

static void
remark(void *arg, const char *name, const char *value, const char *why, int is_bad)
{
	struct world *w = arg;

	must(name != NULL && value[0] != '\0' && (why[0] == '\0') == (is_bad != 0));
	w->remarks++;
}

static void
must_hold(const struct plan_tuning *t)
{
	char text[64];
	int k;

	must(t->memory_bytes > 0 && t->io_timeout_ms != PLAN_UNSAID && t->umask >= 0);
	must(t->connections >= 0 && t->connections <= INT32_MAX);
	must(t->download_connections >= 0 && t->download_connections <= INT32_MAX);
	must(t->tries >= 0 && t->read_ahead_bytes >= 0);
	must(t->disk_free_bytes >= 0 || t->disk_free_bytes == PLAN_UNSAID);
	for (k = 0; k < KNOBS; k++) {
		plan_tuning_text(t, (enum plan_knob)k, text, sizeof(text));
		must(memchr(text, '\0', sizeof(text)) != NULL);
		must(plan_knob_name((enum plan_knob)k) != NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct plan_tuning a = PLAN_TUNING_UNSAID, b = PLAN_TUNING_UNSAID;
	struct arena mem = ARENA_EMPTY;
	struct world w = { .n = 0 };
	const struct plan_tuning_world world = { .variable = variable, .remark = remark,
	    .arg = &w, .memory_limit = (int64_t)size << 20 };

	while (in.left > 0 && w.n < LINES)
		w.lines[w.n++] = input_line(&in, &mem);
	plan_tuning_settle(&a, &world);
	must_hold(&a);
	plan_tuning_settle(&b, &world);
	must(memcmp(&a, &b, sizeof(a)) == 0 && w.remarks % 2 == 0);
	arena_done(&mem);
	return (0);
}
