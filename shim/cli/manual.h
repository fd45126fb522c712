#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

/*
 * manual -- what the tables of flags and commands look like: help screens, man page, completions.
 *
 * Formats: man(7) of groff; bash(1) "Programmable Completion"; zshcompsys(1), _arguments.
 */

#include <stdio.h>

#include "base/err.h"

/*
 * topic: NULL (one screen), "commands", "init", "mount", "man", "completion-bash",
 * "completion-zsh".
 * fails  ERR_USAGE: no such topic
 */
int	manual_print(FILE *, const char *topic, struct err *);

#endif
