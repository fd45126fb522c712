#ifndef CLI_INQUIRY_H
#define CLI_INQUIRY_H

/*
 * inquiry -- finds the amlshim that runs in this container and asks it (init/control.h).
 *
 * Pid 1 first, then our own parents, then every process: a name in the abstract namespace tells
 * whose socket it is, and the kernel that the one behind it is indeed that process.
 */

#include <sys/types.h>

#include "base/err.h"
#include "init/control.h"

struct inquiry {
	int	fd;
	pid_t	pid;		/* whom we ask */
};

/* The only word behind the subcommand, if any: whom to ask.  Absent: 0.  Fails: ERR_USAGE. */
int	inquiry_read_pid(char *const *argv, pid_t *ret, struct err *);
/*
 * pid 0: whoever is there.
 * fails  ERR_NOT_FOUND: none answers; ERR_USAGE: several do, and none is pid 1 or a parent
 */
int	inquiry_find(struct inquiry *, pid_t, struct err *);
/*
 * Asks once more over a new connection if this one is cut.  *ret is sealed.
 * fails  ERR_UNREACHABLE
 */
int	inquiry_ask(struct inquiry *, enum control_part, uint32_t index, struct control_answer *,
	    struct err *);
void	inquiry_end(struct inquiry *);
/*
 * Any process can have a socket of such a name: whatever it answers, texts end in their fields
 * and do not speak to the terminal, counts and times can be reckoned with.
 */
void	inquiry_seal(struct control_answer *);

#endif
