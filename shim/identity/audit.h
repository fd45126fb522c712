#ifndef IDENTITY_AUDIT_H
#define IDENTITY_AUDIT_H

/*
 * audit -- who got which token, and who did not: a log line, and a line of JSON in a file.
 *
 * Never a token, secret or query.  Fields: time, outcome ("granted", "refused"),
 * dialect, pid, uid, comm (null where not known), identity, client_id, audience,
 * expires, reason, text, suppressed.  Grants are all written.  Of refusals
 * REFUSALS_AT_ONCE are, then one a second; "suppressed" of the next line counts
 * what was left out.  Thread-safe.
 */

#include <stdint.h>

#include "identity/peer.h"

#define REFUSALS_AT_ONCE	20

struct audit_event {
	const char	*dialect;	/* also "variable", "file" */
	const struct peer *peer;	/* NULL: nobody asked */
	const char	*identity, *client_id, *audience;	/* NULL: not known */
	int64_t		 expires_unix_s;
	const char	*reason;	/* NULL: granted; else one word */
	const char	*text;		/* of a refusal, for people */
};

struct audit;

/* A descriptor that appends to path (created with 0600); -1: it cannot be opened. */
int	audit_open(const char *path, struct err *);
/* fd -1: log lines only.  Owns fd. */
struct audit *audit_new(int fd);
void	audit_free(struct audit *);
/* Says how many refusals were left out since the last line. */
void	audit_flush(struct audit *);
void	audit_write(struct audit *, const struct audit_event *);

#endif
