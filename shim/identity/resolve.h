#ifndef IDENTITY_RESOLVE_H
#define IDENTITY_RESOLVE_H

/*
 * resolve -- the process that asks the workspace what names stand for.
 *
 * Forked by init before the plan, only when a name is not described by a file;
 * gone before the agent starts.  Answers each struct wire_want on its socket
 * with a struct wire_found, several at once, in any order; ends when init closes
 * the socket.  It reads descriptions, never secrets.
 */

#include <stdint.h>

#include "plan/facts.h"
#include "plan/plan.h"

struct resolve_options {
	const struct facts *facts;
	const struct plan_identity *as;
	int		 init_fd;
	int64_t		 deadline_ms;	/* clock_ms(), for all of it */
};

/* Does not return. */
void	resolve_main(const struct resolve_options *) __attribute__((noreturn));

#endif
