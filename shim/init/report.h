#ifndef INIT_REPORT_H
#define INIT_REPORT_H

/*
 * report -- how a run went, as one JSON object in a file, written when it ends.
 *
 * docs/REPORT.md says what is in it.  While the run lasts only numbers and
 * pointers are noted: nothing is allocated.  Without --report no function here does
 * anything but the last, which is then not called.
 */

#include <stdint.h>
#include <sys/resource.h>

#include "base/err.h"
#include "init/job.h"
#include "init/worker.h"
#include "plan/plan.h"

#define REPORT_PATH_SIZE	4096
#define REPORT_PHASES		24	/* what is more is counted to the last */
#define REPORT_LOST		8	/* of outputs that did not get out, these are named */
/* What Kubernetes reads of a termination log ("Determine the Reason for Pod Failure"). */
#define REPORT_IN_PLACE_MAX	4096

struct report {
	char		 file[REPORT_PATH_SIZE];	/* absolute; "": none is wanted */
	char *const	*argv;
	int64_t		 began_wall_ms, began_us;
	struct { const char *name; int64_t at_us; } phases[REPORT_PHASES];
	size_t		 nphases;
	int		 stop_signal;		/* the first one; 0: none came */
	int64_t		 stop_at_us, stop_pid, stop_uid;
	struct err	 lost[REPORT_LOST];
	int64_t		 nlost;
};

/* What is known when it ends. */
struct report_end {
	int		 status;		/* of amlshim */
	const char	*ended_by;		/* command, stop_signal, time_limit, failure */
	const struct plan *plan;		/* NULL: there is none */
	const struct workers *workers;		/* NULL: none was started */
	const struct job *job;			/* NULL: it never got so far */
	int		 job_started;
	const struct rusage *usage;		/* of the job's process and those it waited for */
	const struct err *failure;		/* amlshim's own; kind NONE or NULL: none */
	int64_t		 orphans, restarts;
	int64_t		 memory_kills;		/* in its cgroup; < 0: not known */
};

/*
 * The one of this process, which init keeps when it sheds all else (shed.h).  file NULL: none is
 * wanted; else its place is found now, before anybody changes directory.
 * fails  -1; *ret is there all the same, and wants none
 */
int	report_begin(struct report **ret, const char *file, char *const *argv, struct err *);
/* The phase before ends. */
void	report_phase(struct report *, const char *name);
struct signalfd_siginfo;
void	report_signal(struct report *, const struct signalfd_siginfo *);
void	report_lost(struct report *, const struct err *);
/*
 * Replaces the file at once; what cannot be replaced (a device, a file that is a mount of
 * its own, one in a directory that is not ours to write) is written in place, and then
 * what does not fit into REPORT_IN_PLACE_MAX is left out.
 */
int	report_write(struct report *, const struct report_end *, struct err *);
/* For its test: text without what looks like a secret. */
void	report_add_redacted(struct buf *, const char *text);

#endif
