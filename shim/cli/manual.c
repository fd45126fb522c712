#include "cli/manual.h"

#include <string.h>

#include "base/mem.h"
#include "cli/options_table.h"

#define EXIT_CODES	"the command's own code; 2 bad spec or usage, 120 data unreachable, " \
			"121 no identity,\n122 access denied, 123 outputs lost, 124 time limit, " \
			"125 other failure, 126/127 command, 128+n signal.\n"

static const char *const topic_titles[ROW_TOPICS] = {
	[MAIN] = "Flags", [COMMANDS] = "Flags of single commands", [INIT] = "Flags of PID 1",
	[MOUNT] = "Flags of mounts and copies",
};

/* " TIME", "[=TIME]", "": what stands behind the flag. */
static const char *
argument_of(const struct row *row, char *buf, size_t size)
{
	str_format(buf, size, "%s%s", row->argument != NULL ? " " : "",
	    row->argument != NULL ? row->argument : row->type == ROW_HOLD ? "[=TIME]" : "");
	return (buf);
}

/* One of a few words: "require|copy". */
static int
is_choice(const struct row *row)
{
	return (row->argument != NULL && row->argument[0] >= 'a' && row->argument[0] <= 'z');
}

static int
is_path(const struct row *row)
{
	return (row->argument != NULL && (strstr(row->argument, "FILE") != NULL ||
	    strstr(row->argument, "DIR") != NULL || strstr(row->argument, "PATH") != NULL));
}

/* Its letters, each c in from as to says. */
static void
put_escaped(FILE *out, const char *text, const char *from, const char *const *to)
{
	const char *found;

	for (; *text != '\0'; text++)
		if ((found = strchr(from, *text)) != NULL)
			fputs(to[found - from], out);
		else
			fputc(*text, out);
}

/* ---- help -------------------------------------------------------------- */

static void
print_rows(FILE *out, enum row_topic topic)
{
	char left[64], argument[48];
	const struct row *row;
	size_t n;

	for (row = options_rows(&n); n > 0; n--, row++) {
		if (row->topic != topic)
			continue;
		argument_of(row, argument, sizeof(argument));
		if (row->letter != 0)
			str_format(left, sizeof(left), "-%c, --%s%s", row->letter, row->flag,
			    argument);
		else
			str_format(left, sizeof(left), "    --%s%s", row->flag, argument);
		fprintf(out, "  %-34s %s\n", left, row->help);
	}
}

static void
print_usage(FILE *out)
{
	const struct command *c;
	const char *before = "usage:";
	char left[64];
	size_t n;

	for (c = options_commands(&n); n > 0; n--, c++, before = "      ") {
		str_format(left, sizeof(left), "%s%s%s", c->command != OPTIONS_RUN ? c->name : "",
		    c->command != OPTIONS_RUN ? " " : "", c->words);
		fprintf(out, "%s amlshim %-32s%s\n", before, left, c->help);
	}
	fputs("\n", out);
}

static void
help_main(FILE *out)
{
	print_usage(out);
	print_rows(out, MAIN);
	fputs("\nFlags of PID 1: amlshim help init; of mounts and copies: help mount; "
	    "of single commands: help commands.\n"
	    "Each flag has a variable: "
	    "AMLSHIM_JOB for --job, AMLSHIM_DATASTORES for --datastore, ...\n"
	    "Exit: " EXIT_CODES, out);
}

static void
help_commands(FILE *out)
{
	print_rows(out, COMMANDS);
}

static void
help_init(FILE *out)
{
	print_rows(out, INIT);
}

static void
help_mount(FILE *out)
{
	print_rows(out, MOUNT);
}

/* ---- man page ---------------------------------------------------------- */

static void
put_troff(FILE *out, const char *text)
{
	static const char *const to[] = { "\\-", "\\e", "\\(aq" };

	put_escaped(out, text, "-\\'", to);
}

static void
man_commands(FILE *out)
{
	const struct command *c;
	size_t n;

	fputs(".SH COMMANDS\n", out);
	for (c = options_commands(&n); n > 0; n--, c++) {
		fprintf(out, ".TP\n\\fB%s\\fR ", c->command == OPTIONS_RUN ? "[run]" : c->name);
		put_troff(out, c->words);
		fputs("\n", out);
		put_troff(out, c->help);
		fputs(".\n", out);
	}
}

static void
man_flags(FILE *out, enum row_topic topic)
{
	const struct row *row;
	char argument[48];
	size_t n;

	fprintf(out, ".SS %s\n", topic_titles[topic]);
	for (row = options_rows(&n); n > 0; n--, row++) {
		if (row->topic != topic)
			continue;
		fputs(".TP\n.B ", out);
		if (row->letter != 0)
			fprintf(out, "\\-%c, ", row->letter);
		put_troff(out, "--");
		put_troff(out, row->flag);
		put_troff(out, argument_of(row, argument, sizeof(argument)));
		fputs("\n", out);
		put_troff(out, row->help);
		fprintf(out, ".\nVariable: %s.\n", row->variable);
	}
}

static void
print_man(FILE *out)
{
	enum row_topic topic;

	fputs(".TH AMLSHIM 1 2026-11-28 \"amlshim " AMLSHIM_VERSION "\"\n"
	    ".SH NAME\namlshim \\- PID 1 of Azure Machine Learning containers\n"
	    ".SH SYNOPSIS\n.B amlshim\n[FLAGS] [\\-\\-] COMMAND [ARG...]\n.br\n"
	    ".B amlshim\nSUBCOMMAND [FLAGS] [WORD...]\n"
	    ".SH DESCRIPTION\n"
	    "Reads a job spec, decides as whom each datastore is accessed, mounts or copies the\n"
	    "data, gives the job tokens, runs the command, forwards signals, reaps, and ends\n"
	    "with the command\\(aqs status. Without a job spec it is just an init.\n"
	    ".PP\nWords behind \\-\\- or behind COMMAND are the command\\(aqs own.\n"
	    "A flag wins over its variable.\n", out);
	man_commands(out);
	fputs(".SH OPTIONS\n", out);
	for (topic = MAIN; topic < ROW_TOPICS; topic++)
		man_flags(out, topic);
	fputs(".SH EXIT STATUS\n" EXIT_CODES, out);
}

/* ---- completions ------------------------------------------------------- */

/* "-j --job " of each row that is wanted. */
static void
put_flags(FILE *out, int (*wanted)(const struct row *), const char *between)
{
	const struct row *row;
	size_t n;

	for (row = options_rows(&n); n > 0; n--, row++) {
		if (!wanted(row))
			continue;
		if (row->letter != 0)
			fprintf(out, "-%c%s", row->letter, between);
		fprintf(out, "--%s%s", row->flag, between);
	}
}

static int
is_any(const struct row *row)
{
	return (row->flag != NULL);
}

static int
has_free_argument(const struct row *row)
{
	return (row->argument != NULL && !is_choice(row));
}

static void
put_words(FILE *out, const char *choice)
{
	static const char *const to[] = { " " };

	put_escaped(out, choice, "|", to);
}

static void
print_bash(FILE *out)
{
	const struct command *c;
	const struct row *row;
	size_t n;

	fputs("# bash completion for amlshim (amlshim help completion-bash)\n"
	    "_amlshim()\n{\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i\n"
	    "\tCOMPREPLY=()\n"
	    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	    "\t\t[ \"${COMP_WORDS[i]}\" != -- ] || return 0\n"
	    "\tdone\n"
	    "\tif [ \"$cur\" = '=' ]; then\n\t\tcur=\n"
	    "\telif [ \"$prev\" = '=' ]; then\n\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
	    "\tcase $prev in\n\t", out);
	put_flags(out, has_free_argument, "|");
	fputs("-=)\n\t\treturn 0 ;;\n", out);
	for (row = options_rows(&n); n > 0; n--, row++)
		if (is_choice(row)) {
			fprintf(out, "\t--%s)\n\t\tCOMPREPLY=($(compgen -W \"", row->flag);
			put_words(out, row->argument);
			fputs("\" -- \"$cur\"))\n\t\treturn 0 ;;\n", out);
		}
	fputs("\tesac\n\tcase $cur in\n\t-*) COMPREPLY=($(compgen -W \"", out);
	put_flags(out, is_any, " ");
	fputs("--help\" -- \"$cur\")) ;;\n"
	    "\t*) [ \"$COMP_CWORD\" -ne 1 ] || COMPREPLY=($(compgen -c -- \"$cur\") "
	    "$(compgen -W \"", out);
	for (c = options_commands(&n); n > 0; n--, c++)
		fprintf(out, "%s ", c->name);
	fputs("\" -- \"$cur\")) ;;\n\tesac\n}\ncomplete -o default -F _amlshim amlshim\n", out);
}

/* Inside '...[...]', where a colon ends a part. */
static void
put_zsh(FILE *out, const char *text)
{
	static const char *const to[] = { "'\\''", "\\[", "\\]", "\\:" };

	put_escaped(out, text, "'[]:", to);
}

static void
zsh_flag(FILE *out, const struct row *row)
{
	const char *equals = row->argument != NULL ? "=" : "";

	fputs("\t'", out);
	if (row->type == ROW_LIST || row->type == ROW_PAIRS || row->type == ROW_COUNT)
		fputs("*", out);
	else if (row->letter != 0)
		fprintf(out, "(-%c --%s)", row->letter, row->flag);
	if (row->letter != 0)
		fprintf(out, "'{-%c%s,--%s%s}'[", row->letter, row->argument != NULL ? "+" : "",
		    row->flag, equals);
	else
		fprintf(out, "--%s%s[", row->flag, equals);
	put_zsh(out, row->help);
	fputs("]", out);
	if (is_choice(row)) {
		fputs(":word:(", out);
		put_words(out, row->argument);
		fputs(")", out);
	} else if (row->argument != NULL) {
		fputs(":", out);
		put_zsh(out, row->argument);
		fputs(is_path(row) ? ":_files" : ": ", out);
	}
	fputs("' \\\n", out);
}

static void
print_zsh(FILE *out)
{
	const struct command *c;
	const struct row *row;
	size_t n;

	fputs("#compdef amlshim\n# zsh completion (amlshim help completion-zsh)\n"
	    "_amlshim_first()\n{\n\tlocal -a commands\n\tcommands=(\n", out);
	for (c = options_commands(&n); n > 0; n--, c++) {
		fprintf(out, "\t'%s:", c->name);
		put_zsh(out, c->help);
		fputs("'\n", out);
	}
	fputs("\t)\n\t_describe -t commands command commands\n\t_command_names -e\n}\n"
	    "_arguments -s -S \\\n", out);
	for (row = options_rows(&n); n > 0; n--, row++)
		zsh_flag(out, row);
	fputs("\t--help '1: :_amlshim_first' '*: :_files'\n", out);
}

/* ------------------------------------------------------------------------ */

static const struct {
	const char	*name;
	void		(*print)(FILE *);
} topics[] = {
	{ "commands", help_commands }, { "init", help_init }, { "mount", help_mount },
	{ "man", print_man }, { "completion-bash", print_bash }, { "completion-zsh", print_zsh },
};

int
manual_print(FILE *out, const char *topic, struct err *err)
{
	size_t i;

	if (topic == NULL) {
		help_main(out);
		return (0);
	}
	for (i = 0; i < LENGTH(topics); i++)
		if (str_same(topic, topics[i].name)) {
			topics[i].print(out);
			return (0);
		}
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "show help",
	    "expected nothing, commands, init, mount, man, completion-bash or completion-zsh");
	return (err_on(err, "%s", topic));
}
