#ifndef MOUNT_MOUNTD_H
#define MOUNT_MOUNTD_H

/*
 * mountd -- a mount process, from start to end: one access of the plan as files.
 *
 * Init has opened /dev/fuse and done the mount(2); this process serves the
 * descriptor with libfuse's low-level API, reads ahead, stages and uploads what
 * the job writes (read-write mounts), and says WIRE_READY once the kernel's
 * INIT is answered and the service has let us in (a denied container fails here,
 * before the job starts).  It never touches its own mount point.
 *
 * On WIRE_STOP it uploads what is left within the time given, sends WIRE_LOST
 * for each file that did not get out (and keeps it in the staging directory),
 * then WIRE_DONE.
 */

#include <stdint.h>

#include "base/vitals.h"
#include "plan/plan.h"

struct mountd_options {
	const struct plan_access *access;
	int		 fuse_fd;
	int		 init_fd;
	int		 agent_fd;
	int		 state_fd;	/* memfd that init keeps for a successor; empty at first */
	int		 life;		/* 0: the first; n: the n-th successor on this fuse_fd */
	int64_t		 first_wait_ms;	/* of the first request; 0: half a minute */
	int		 was_ready;	/* an earlier life said WIRE_READY: the job may run */
	int64_t		 memory_bytes;		/* this mount's share */
	const struct plan_tuning *tuning;
	uint32_t	 job_uid, job_gid;	/* owner of the files, if tuning names none */
	int		 writable_root;
	struct vitals	*vitals;	/* to be kept up to date */
};

/* Does not return.  SIGUSR1: counters are logged; SIGUSR2: ends with WIRE_EXIT_UPGRADE. */
void	mountd_main(const struct mountd_options *) __attribute__((noreturn));

/*
 * Open /dev/fuse and mount it at target (made if missing).  For init: it has the
 * privilege and keeps the descriptor.  Always nosuid, nodev; read_only adds MS_RDONLY.
 * Modes and owners count (default_permissions), for everybody or, with allow_other
 * off, for one user: the owner of the files, root left out (Linux:
 * fuse_allow_current_process).
 * fails  remedy REMEDY_GIVE_FUSE when the device or the privilege is missing
 */
int	mountd_attach(const char *target, const char *source, int read_only,
	    const struct plan_tuning *, int *ret_fuse_fd, struct err *);
/* Lazy unmount; missing is fine. */
int	mountd_detach(const char *target, struct err *);
/* read_ahead_kb of the mount's bdi, best effort (private sysfs mount).  0 or -1. */
int	mountd_raise_readahead(const char *target, int kib);

#endif
