#ifndef CLI_OPTIONS_TABLE_H
#define CLI_OPTIONS_TABLE_H

/*
 * options_table -- the rows that options.c parses and manual.c prints.  Nobody else includes this.
 */

#include <stddef.h>

#include "cli/options.h"

enum row_type {
	ROW_TEXT, ROW_LIST, ROW_YES, ROW_NO, ROW_COUNT, ROW_DURATION, ROW_BEATS, ROW_HOLD, ROW_SIZE,
	ROW_SIZE_OR_0, ROW_SIGNAL, ROW_CODES, ROW_REWRITE, ROW_LIMITS, ROW_CAPS, ROW_SCORE,
	ROW_FUSE, ROW_LOG_FORMAT, ROW_PAIRS, ROW_DIALECTS, ROW_ID, ROW_MASK,
	ROW_PORT, ROW_PROBE, ROW_RESTART, ROW_MODEL,
};

/* Which screen of help shows it: --help, "help commands", "help init" or "help mount". */
enum row_topic { MAIN, COMMANDS, INIT, MOUNT, ROW_TOPICS };

struct row {
	const char	*flag;		/* without -- */
	char		 letter;	/* 0: none */
	enum row_type	 type;
	const char	*variable;
	size_t		 offset;
	const char	*argument;	/* NULL: takes none; "a|b" in small letters: one of these */
	const char	*help;
	enum row_topic	 topic;
};

struct command {
	const char	*name;
	enum options_command command;
	int		 mixes;		/* its words may have flags among them */
	const char	*words;		/* that follow the name, for people */
	const char	*help;
};

const struct row *options_rows(size_t *ret_n);
const struct command *options_commands(size_t *ret_n);

#endif
