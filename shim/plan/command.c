#include "plan/parts.h"

#include <string.h>

/* Words that only a shell knows, when they come first. */
static const char *const builtins[] = {
	".", ":", "!", "[[", "alias", "bg", "bind", "break", "builtin", "case", "cd", "command",
	"continue", "coproc", "declare", "dirs", "eval", "exec", "exit", "export", "fg", "for",
	"function", "hash", "if", "jobs", "let", "local", "mapfile", "popd", "pushd", "read",
	"readonly", "return", "select", "set", "shift", "shopt", "source", "time", "times", "trap",
	"type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while",
};

struct splitter {
	struct arena	*mem;
	char		**words;
	size_t		 n, cap;
	struct buf	 word;
	int		 in_word;	/* also for '' and "" */
	int		 quoted;	/* some of the word was */
};

static void
end_word(struct splitter *s)
{
	char **grown;

	if (!s->in_word)
		return;
	if (s->n + 1 >= s->cap) {
		s->cap = s->cap * 2 + 16;
		grown = arena_alloc(s->mem, s->cap * sizeof(*grown));
		if (s->n != 0)
			memcpy(grown, s->words, s->n * sizeof(*grown));
		s->words = grown;
	}
	s->words[s->n++] = arena_strdup(s->mem, buf_str(&s->word));
	s->words[s->n] = NULL;
	buf_reset(&s->word);
	s->in_word = s->quoted = 0;
}

static void
add(struct splitter *s, char c)
{
	buf_addc(&s->word, c);
	s->in_word = 1;
}

/* The text behind the closing quote, or NULL: unbalanced, or "..." with an expansion. */
static const char *
take_quoted(struct splitter *s, const char *p)
{
	char quote = *p++;

	s->in_word = s->quoted = 1;
	for (; *p != quote; p++) {
		if (*p == '\0')
			return (NULL);
		if (quote == '"' && (*p == '$' || *p == '`'))
			return (NULL);
		if (quote == '"' && *p == '\\' && p[1] != '\0' &&
		    strchr("\"\\$`\n", p[1]) != NULL) {
			if (*++p != '\n')
				add(s, *p);
			continue;
		}
		add(s, *p);
	}
	return (p + 1);
}

/* An unquoted character that means something to a shell here. */
static int
is_syntax(const struct splitter *s, char c)
{
	if (strchr("|&;<>()$`*?[]{}\n", c) != NULL)
		return (1);
	if (!s->in_word && (c == '~' || c == '#'))
		return (1);
	return (c == '=' && s->n == 0 && !s->quoted);	/* NAME=VALUE command */
}

static int
split(struct splitter *s, const char *p)
{
	while (*p != '\0') {
		if (*p == ' ' || *p == '\t') {
			end_word(s);
			p++;
		} else if (*p == '\\') {
			if (p[1] == '\0')
				return (0);
			if (p[1] != '\n')
				add(s, p[1]);
			p += 2;
		} else if (*p == '\'' || *p == '"') {
			if ((p = take_quoted(s, p)) == NULL)
				return (0);
		} else {
			if (is_syntax(s, *p))
				return (0);
			add(s, *p++);
		}
	}
	end_word(s);
	return (1);
}

static int
is_builtin(const char *word)
{
	size_t i;

	for (i = 0; i < LENGTH(builtins); i++)
		if (strcmp(word, builtins[i]) == 0)
			return (1);
	return (0);
}

int
command_split(const char *text, char ***ret, struct arena *mem)
{
	struct splitter s = { .mem = mem };
	int simple;

	simple = split(&s, text);
	buf_done(&s.word);
	if (!simple || (s.n != 0 && is_builtin(s.words[0])))
		return (0);
	*ret = s.n != 0 ? s.words : arena_alloc(mem, sizeof(**ret));
	return (1);
}

/* SHELL -c ..., -lc, -ec ... */
static int
is_shell_call(char *const *argv)
{
	static const char *const shells[] = { "sh", "bash", "dash", "ash", "zsh", "ksh" };
	const char *base;
	size_t i;

	if (argv[0] == NULL || argv[1] == NULL || argv[1][0] != '-' || argv[1][1] == '-' ||
	    strchr(argv[1], 'c') == NULL)
		return (0);
	base = strrchr(argv[0], '/');
	base = base != NULL ? base + 1 : argv[0];
	for (i = 0; i < LENGTH(shells); i++)
		if (strcmp(base, shells[i]) == 0)
			return (1);
	return (0);
}

static int
expand_argv(struct deciding *d, struct err *err)
{
	const struct spec_at nowhere = { .file = NULL };
	char *const *from = d->opt.argv;
	const char *word;
	char **argv;
	size_t n = 0, i, kept = 0;

	while (from[n] != NULL)
		n++;
	argv = arena_alloc(d->mem, (n + 1) * sizeof(*argv));
	for (i = 0; i < n; i++) {
		if (deciding_expand(d, from[i], &nowhere,
		    arena_printf(d->mem, "argument %zu of the command", i + 1), &word, err) != 0)
			return (-1);
		/* A word that was nothing but an absent $[[group]] goes with it. */
		if (word[0] != '\0' || from[i][0] == '\0')
			argv[kept++] = arena_strdup(d->mem, word);
	}
	d->plan->argv = argv;
	return (0);
}

static int
run_by_shell(struct deciding *d, const char *command, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	char **argv;

	if (!d->facts->has_shell_bash && !d->facts->has_shell_sh) {
		err_set(err, ERR_USAGE, REMEDY_CHECK_COMMAND, "plan", "the command needs a shell "
		    "(it is more than words and quotes), and the image has neither /bin/bash nor "
		    "/bin/sh");
		return (plan_err_at(err, &job->command_at, "command"));
	}
	argv = arena_alloc(d->mem, 4 * sizeof(*argv));
	argv[0] = arena_strdup(d->mem, d->facts->has_shell_bash ? "/bin/bash" : "/bin/sh");
	argv[1] = arena_strdup(d->mem, "-c");
	argv[2] = arena_strdup(d->mem, command);
	d->plan->argv = argv;
	return (0);
}

static int
expand_command(struct deciding *d, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	const char *text;
	char *trimmed;
	size_t len;

	if (deciding_expand(d, job->command, &job->command_at, "command", &text, err) != 0)
		return (-1);
	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len != 0 && strchr(" \t\r\n", text[len - 1]) != NULL &&
	    !(len > 1 && text[len - 2] == '\\'))
		len--;
	trimmed = arena_strndup(d->mem, text, len);
	if (len == 0) {
		err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "plan", "the command is empty");
		return (plan_err_at(err, &job->command_at, "command"));
	}
	d->plan->command = trimmed;
	if (!command_split(trimmed, &d->plan->argv, d->mem))
		return (run_by_shell(d, trimmed, err));
	return (0);
}

int
command_decide(struct deciding *d, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	int result;

	if (d->opt.argv != NULL && d->opt.argv[0] != NULL) {
		result = expand_argv(d, err);
	} else if (job->command != NULL) {
		result = expand_command(d, err);
	} else {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "plan", "there is no command: neither "
		    "behind -- nor in the job");
		return (job->file != NULL ? err_on(err, "%s", job->file) : -1);
	}
	if (result == 0)
		d->plan->through_shell = is_shell_call(d->plan->argv);
	return (result);
}
