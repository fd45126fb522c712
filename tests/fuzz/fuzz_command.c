/*
 * A command's text, split as a shell would split it: quoted again, it gives the same words.  And
 * AUDIENCE=VARIABLE, AUDIENCE=PATH of tokens.
 */

#include "fuzz.h"
#include "plan/decide.c"

static void
quote(struct buf *to, const char *word)
{
	buf_adds(to, to->len > 0 ? " '" : "'");
	for (; *word != '\0'; word++)
		if (*word == '\'')
			buf_adds(to, "'\\''");
		else
			buf_addc(to, *word);
	buf_addc(to, '\'');
}

static void
command(const char *text, struct arena *mem)
{
	auto_buf struct buf quoted = BUF_EMPTY;
	char **words = NULL, **again = NULL;
	size_t i, n;

	if (!command_split(text, &words, mem))
		return;
	for (n = 0; words[n] != NULL; n++) {
		must(strlen(words[n]) <= strlen(text));
		quote(&quoted, words[n]);
	}
	if (n == 0)
		return;
	must(command_split(quoted.data, &again, mem));
	for (i = 0; i <= n; i++)
		must((words[i] == NULL) == (again[i] == NULL) &&
		    (words[i] == NULL || strcmp(words[i], again[i]) == 0));
}

static void
token(const char *text, int is_file, struct arena *mem)
{
	const struct facts facts = { .cwd = "/work" };
	struct deciding d = { .facts = &facts, .mem = mem };
	struct plan_token *list, *t;
	struct err err = ERR_EMPTY;
	size_t n = 0;

	if (split_tokens(&d, &text, 1, "--token-file", is_file, &list, &n, &err) != 0) {
		must_complain(&err, ERR_USAGE);
		return;
	}
	t = &list[0];
	must(n == 1 && t->audience[0] != '\0' && strchr(t->audience, '=') == NULL);
	must(!is_file || t->place[0] == '/');
	must(is_file || strspn(t->place, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789_") == strlen(t->place));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	const char *text = arena_strndup(&mem, (const char *)data, size);

	command(text, &mem);
	token(text, 0, &mem);
	token(text, 1, &mem);
	arena_done(&mem);
	return (0);
}
