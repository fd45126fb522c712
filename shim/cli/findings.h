#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

/*
 * findings -- what the doctor's checks found: one line each, and the exit status they add up to.
 *
 * A finding is ok, a warning, a failure, or was skipped because something before
 * it failed (or nobody asked for it).  A failure is a struct err, with the
 * message and remedy that a run of the job would end with.
 */

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"

enum finding_state { FINDING_OK, FINDING_SKIP, FINDING_WARN, FINDING_FAIL };

struct finding {
	enum finding_state state;
	const char	*check;		/* "dns" */
	const char	*about;		/* a host, an input; "" the machine */
	const char	*seen;		/* "" nothing but the error */
	struct err	 err;		/* kind ERR_NONE: seen says all */
	const char	*run;		/* the command that does what the remedy says; or NULL */
};

struct findings {
	struct arena	 mem;		/* all texts */
	struct finding	*list;
	size_t		 n, size;
};

/* The one that was added, to be completed; valid until the next. */
struct finding *findings_add(struct findings *, enum finding_state, const char *check,
	    const char *about, const char *seen_fmt, ...)
	    __attribute__((format(printf, 5, 6)));
/* State FAIL, or WARN if not needed. */
struct finding *findings_err(struct findings *, int needed, const char *check, const char *about,
	    const struct err *);
/* Behind the others; from is empty afterwards. */
void	findings_append(struct findings *, struct findings *from);
void	findings_done(struct findings *);

/*
 * 0: no failure.  Else that of the worst: 2 (nothing would be run), then 125
 * (this machine), 120 (reach), 121 (identity), 122 (rights): the first of these
 * is what the others may follow from.
 */
int	findings_exit_status(const struct findings *);

/* A table for people, or JSON.  0, or -1: it could not be written. */
int	findings_print(const struct findings *, int json, FILE *);
const char *finding_state_name(enum finding_state);

#endif
