#ifndef INIT_PROBE_H
#define INIT_PROBE_H

/*
 * probe -- a process of its own that asks the job's server how it is, and answers who asks us.
 *
 * It sends GET to 127.0.0.1 by the rules of Kubernetes: the first one after initial_delay,
 * then one a period; a status from 200 to 399 within the timeout is a success; failure_threshold
 * failures in a row are a verdict, success_threshold successes another.  Liveness counts
 * as good before, readiness does not.  With --health-listen it serves GET /live and /ready (200 or
 * 503 and one line) on all addresses, for httpGet probes.  All it knows stands in struct
 * health; init is woken when the liveness verdict turns bad.  It has no secret and no
 * descriptor besides, and dies with init, which starts it again when it ends.
 *
 * Sources: kubernetes.io "Configure Liveness, Readiness and Startup Probes";
 * kubernetes/kubernetes pkg/probe/http/http.go (what counts as success),
 * pkg/kubelet/prober/worker.go (thresholds).
 */

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/secret.h"
#include "init/health.h"
#include "spec/spec.h"

struct probe_options {
	struct spec_probe liveness, readiness;	/* port 0: none */
	int	listen_port;			/* 0: none */
	struct secret *hidden;			/* init's, wiped in the prober; NULL: none */
};

/* Zero but for fd and listen_fd, which are -1: there is none. */
struct probe {
	struct probe_options opt;
	struct health	*health;
	pid_t		 pid;			/* 0: not alive */
	int		 fd;			/* to it */
	int		 listen_fd;
	int64_t		 again_ms;		/* when to start it again; 0: it lives */
};

/* 1: there is something to do for it. */
int	probe_is_wanted(const struct probe_options *);
/* Listens and forks.  health is shared with init.  Fails: the port is taken, no process. */
int	probe_start(struct probe *, const struct probe_options *, struct health *, struct err *);
/* The phase or the run has changed: it looks at the page. */
void	probe_nudge(const struct probe *);
/* init's fd is readable: 1: the liveness verdict of this run is bad. */
int	probe_read(struct probe *);
/* Its process was reaped; it is started again by probe_tick() a second later. */
void	probe_reaped(struct probe *);
void	probe_tick(struct probe *);
void	probe_end(struct probe *);

/* prober.c: the process.  fd: to init; listen_fd: -1 or where it is asked. */
void	prober_main(const struct probe_options *, struct health *, int fd, int listen_fd)
	    __attribute__((noreturn));
/* For tests: the status in an answer's first line; 0: it is none. */
int	probe_read_status(const char *text, size_t len);

#endif
