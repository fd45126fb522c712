/*
 * A value on the first line, then a command line and an environment, a word a line; "NAME=VALUE"
 * with AMLSHIM_ in front is of the environment.  The command's words arrive as they are, and the
 * value means the same to a flag and to its variable.
 */

#include "cli/options_table.h"
#include "fuzz.h"

#define WORDS	64

struct words {
	char	*argv[WORDS + 1], *envp[WORDS + 1];
	int	 argc;
};

static void
must_hold(const struct options *o, const struct words *w)
{
	int i, n;

	must(o->argv != NULL && o->command <= OPTIONS_HELP);
	must(o->grace_ms >= -1 && o->drain_ms >= -1 && o->watchdog_ms >= -1);
	for (n = 0; o->argv[n] != NULL; n++)
		;
	must(n < w->argc || n == 0);
	for (i = 0; o->command == OPTIONS_RUN && i < n; i++)
		must(o->argv[n - 1 - i] == w->argv[w->argc - 1 - i]);
}

/* Those whose field is a number, so that two structs can be compared as bytes. */
static int
is_plain(const struct row *r)
{
	switch (r->type) {
	case ROW_DURATION: case ROW_BEATS: case ROW_HOLD: case ROW_SIZE: case ROW_SIZE_OR_0:
	case ROW_SIGNAL: case ROW_CODES: case ROW_REWRITE: case ROW_LIMITS: case ROW_CAPS:
	case ROW_SCORE: case ROW_FUSE: case ROW_DIALECTS: case ROW_ID: case ROW_MASK:
	case ROW_PORT: case ROW_RESTART: case ROW_MODEL:
		return (r->variable != NULL && r->flag != NULL);
	default:
		return (0);
	}
}

static void
flag_and_variable(const struct row *r, const char *value, struct arena *mem)
{
	char *flag = arena_printf(mem, "--%s=%s", r->flag, value), *none[] = { NULL };
	char *with[] = { arena_strdup(mem, "amlshim"), flag, NULL };
	char *without[] = { with[0], NULL };
	char *variable[] = { arena_printf(mem, "%s=%s", r->variable, value), NULL };
	struct options *a = arena_alloc(mem, sizeof(*a)), *b = arena_alloc(mem, sizeof(*b));
	struct err err = ERR_EMPTY;
	int failed = options_parse(a, 2, with, none, mem, &err) != 0;

	if (failed)
		must_complain(&err, ERR_USAGE);
	must((options_parse(b, 1, without, variable, mem, NULL) != 0) == failed);
	if (failed)
		return;
	a->argv = b->argv = NULL;
	must(memcmp(a, b, sizeof(*a)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct words w = { .argv = { NULL }, .argc = 1 };
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct options opt;
	const struct row *rows;
	char *word, *value;
	size_t i, n, nenv = 0;

	value = input_line(&in, &mem);
	w.argv[0] = arena_strdup(&mem, "amlshim");
	while (in.left > 0 && w.argc < WORDS && nenv < WORDS) {
		word = input_line(&in, &mem);
		if (strncmp(word, "AMLSHIM_", 8) == 0)
			w.envp[nenv++] = word;
		else
			w.argv[w.argc++] = word;
	}
	w.argv[w.argc] = w.envp[nenv] = NULL;
	if (options_parse(&opt, w.argc, w.argv, w.envp, &mem, &err) == 0)
		must_hold(&opt, &w);
	else
		must_complain(&err, ERR_USAGE);
	rows = options_rows(&n);
	for (i = 0; value[0] != '\0' && i < n; i++)
		if (is_plain(&rows[i]))
			flag_and_variable(&rows[i], value, &mem);
	arena_done(&mem);
	return (0);
}
