#ifndef AZURE_CRED_H
#define AZURE_CRED_H

/*
 * cred -- the credential of one datastore, always fresh, in a mount process.
 *
 * Asks the agent (wire_ask / wire_cred over its socket) at the start, again
 * from refresh_unix_s on, and at once when the service refused it.  A thread
 * does the asking; users never wait for it except for the very first one and
 * after a refusal.  The old one stays in use while it is valid and a refresh fails.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/wire.h"

struct cred;

/* Takes the socket.  Asks once and waits for it: fails as the agent says. */
struct cred *cred_new(int agent_fd, struct err *);
/*
 * The same, for who cannot give up (the successor of a process whose files are in use): asks
 * until there is one.  Before that, requests end with ERR_NO_IDENTITY.
 */
struct cred *cred_patient(int agent_fd, struct err *);
/* So long without an answer the agent is asked again, from the next question on; else 30 s. */
void	cred_patience(struct cred *, int ms);
/* Waits for the first one, at most so long.  1: it is there. */
int	cred_wait(struct cred *, int ms);
/* Without an agent: a fixed one (tests, transfers with a key in hand).  Copies text. */
struct cred *cred_fixed(enum wire_cred_kind, const char *text);
void	cred_free(struct cred *);

/*
 * The current credential: kind, its generation, and its text copied to scratch
 * memory that the caller wipes with its arena.  Never blocks.
 */
void	cred_current(struct cred *, enum wire_cred_kind *ret_kind, uint64_t *ret_generation,
	    const char **ret_text, struct arena *);
/*
 * The service refused this generation.  1: a newer one is there, try again now;
 * 0: it is being asked for, try again in a moment; -1: refreshing failed or gave
 * the same refusal twice: final.  One that was accepted before is not given up for
 * one refusal: when no other is to be had it is tried once more, and one that was
 * born of a refusal, accepted and then refused is replaced again, six times in
 * half a minute.
 */
int	cred_refused(struct cred *, uint64_t generation);
/* The service took it. */
void	cred_accepted(struct cred *, uint64_t generation);

#endif
