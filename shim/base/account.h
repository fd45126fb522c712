#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

/*
 * account -- who NAME or UID[:GROUP] is, by /etc/passwd and /etc/group alone.
 *
 * No NSS: a static program has no modules to load, and an image that needs LDAP to
 * start is none.  Numbers need no file at all, so that a scratch image works.
 * Source: passwd(5), group(5); who belongs to what as initgroups(3) has it.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define ACCOUNT_GROUPS	64		/* more of them are refused, not forgotten */

struct account {
	uid_t	uid;
	gid_t	gid;
	gid_t	groups[ACCOUNT_GROUPS];	/* supplementary ones, gid among them */
	size_t	ngroups;
	char	home[256];		/* "/" if not known, as container runtimes have it */
};

/*
 * words: a name or number, maybe ':' and a group's.  Without a group it is the entry's,
 * and the groups that list the user come along; with one, it is the only one.
 * fails  ERR_USAGE: no such name; a number without an entry and without a group; too
 *        many groups; ERR_SYSTEM: a file that is there cannot be read
 */
int	account_find(struct account *ret, const char *words, struct err *);
/* The same from the files' texts. */
int	account_parse(struct account *ret, const char *words, const char *passwd,
	    const char *group, struct err *);

#endif
