#ifndef IDENTITY_AGENT_H
#define IDENTITY_AGENT_H

/*
 * agent -- the process that holds identities: tokens for the mounts, the broker for the job.
 *
 * Forked by init.  Acquires the token of every access at the start, all in
 * parallel, then says WIRE_READY (or WIRE_FAILED with the first error); answers
 * wire_ask on each worker's socket with the credential of that worker's access
 * (bearer, SharedKey or SAS) and nothing else; serves the broker; keeps the token
 * files; gives the job's process, before its exec, the tokens of its environment.
 * Ends on WIRE_STOP or when init is gone, also while it waits for a token; on SIGUSR2 with
 * WIRE_EXIT_UPGRADE, when what the job has asked for is answered.
 */

#include "base/fd_home.h"
#include "base/secret.h"
#include "base/vitals.h"
#include "plan/facts.h"
#include "plan/plan.h"

struct agent_options {
	const struct plan *plan;
	const struct facts *facts;
	int		 init_fd;
	const int	*access_fds;	/* one a plan->accesses[i]; -1: none */
	int		 broker_fd;	/* listening; -1: no broker */
	int		 broker_unix_fd;	/* likewise; -1: none */
	const struct secret *broker_secret;
	const struct fd_home *token_homes;	/* tokenfile.h */
	int		 audit_fd;	/* -1: none */
	int		 job_fd;	/* asks for plan->variables_with_token; -1: nobody will */
	int		 init_pid;	/* the root of the job's processes */
	int		 life;		/* 0: the first; n: the n-th successor */
	int64_t		 first_wait_ms;	/* for a token before WIRE_READY; 0: as at any time */
	int		 was_ready;	/* an earlier life said WIRE_READY: the job may run */
	struct vitals	*vitals;	/* to be kept up to date */
};

/* Does not return. */
void	agent_main(const struct agent_options *) __attribute__((noreturn));

#endif
