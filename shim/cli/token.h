#ifndef CLI_TOKEN_H
#define CLI_TOKEN_H

/*
 * token -- amlshim token --resource URI: an access token, as the job would get it.
 *
 * For people and scripts, in a job or beside one: the plan's identity, or that of
 * --client-id, asks its source once.  stdout has the token and a newline; with
 * --json an object like that of a token endpoint; with --claims what the token
 * says and not the token.  Nothing else on stdout; -v says on stderr whose it is.
 */

#include "cli/options.h"
#include "init/init.h"

/* The exit status. */
int	token_command(const struct options *, const struct init_inherited *, char **envp);

#endif
