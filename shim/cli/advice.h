#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

/*
 * advice -- the command that does what a remedy says, with the names filled in.
 *
 * Pure.  Commands are those of the Azure CLI's reference (az role assignment, az
 * storage, az ml); what is not known here (a resource group) is asked of the CLI
 * itself in the same line.
 */

#include "base/err.h"
#include "base/mem.h"

struct advice_case {
	enum err_remedy	 remedy;
	const char	*account, *container;	/* NULL: not about storage */
	int		 writing;
	const char	*object_id;		/* of the identity, NULL or "" if not known */
	int		 is_user;		/* a person, else a service principal */
	const char	*compute, *resource_group, *workspace;	/* NULL: not known */
};

/* In the arena; NULL: no single command does it. */
const char *advice_command(const struct advice_case *, struct arena *);

#endif
