#ifndef AZSIM_SIM_H
#define AZSIM_SIM_H

/*
 * sim -- the whole of the simulator's state, made once in main().
 */

#include <stddef.h>
#include <stdint.h>

#include "acl.h"
#include "apps.h"
#include "fault.h"
#include "journal.h"
#include "model.h"
#include "people.h"
#include "plane.h"
#include "tls.h"

/* What can be turned while it runs (--knob NAME=N, POST /_azsim/knob). */
struct knobs {
	_Atomic int64_t latency_ms;		/* before the first byte of a storage answer */
	_Atomic int64_t token_latency_ms;	/* the same of token endpoints */
	_Atomic int64_t rate_bytes_per_s;	/* of each connection and direction; 0: none */
	_Atomic int64_t idle_ms;		/* an idle connection is closed after it */
	_Atomic int64_t token_lifetime_s;	/* 0: 24 h, a person's 75 min */
	_Atomic int64_t list_page_max;		/* 0: as asked; else a page has at most so many */
	_Atomic int64_t list_empty_pages;	/* 1: before each page comes an empty one */
	_Atomic int64_t dfs_batch;		/* > 0: paths that one rename or delete takes */
	_Atomic int64_t copy_pending_ms;	/* a copy is pending for so long */
	_Atomic int64_t obo_empty;		/* 1: OBO/token answers 200, empty */
	_Atomic int64_t sas_lifetime_s;		/* of a SAS from listSecrets; 0: as asked */
	_Atomic int64_t compute_instance;	/* 1: MSI/auth wants no clientid */
	_Atomic int64_t arc_bad;		/* what is wrong with Arc's challenges: arc.c */
	_Atomic int64_t registry_no_arm;	/* 1: exchange refuses tokens for ARM */
	_Atomic int64_t registry_only_arm;	/* 1: ... and those for containerregistry */
	_Atomic int64_t clock_ahead_s;		/* of the storage service, before ours */
	_Atomic int64_t gen1_open_max;		/* OPEN gives at most so many bytes; 0: all */
	_Atomic int64_t log;			/* 0: nothing is recorded */
};
int	knobs_set(struct knobs *, const char *name, int64_t value);	/* -1: no such knob */
/* Calls fn for each. */
void	knobs_each(const struct knobs *, void (*fn)(void *, const char *, int64_t), void *arg);

struct stats {
	_Atomic int64_t requests, bytes_in, bytes_out;
	_Atomic int64_t connections, connections_now, connections_peak;
	_Atomic int64_t inflight, inflight_peak;
};

struct sim {
	struct knobs knobs;
	struct stats stats;
	struct model model;
	struct people people;
	struct apps apps;
	struct acls acls;
	struct plane plane;
	struct faults faults;
	struct journal journal;
	struct tls_server *tls;
	struct tls_server *self_tls;	/* of the port whose certificate nobody has signed */
	const char *secret;		/* of MSI/auth, msi/token and Service Fabric */
	const char *arc_dir;		/* where Arc's key files go; NULL: no Arc here */
	const char *registry_realm;	/* host of the challenge's realm; NULL: its own */
	uint64_t marker_key;		/* markers of listings are ours */
	int64_t	 started_ms;
};

/* The storage service's clock, Unix seconds. */
int64_t	sim_now(const struct sim *);

#endif
