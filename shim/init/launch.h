#ifndef INIT_LAUNCH_H
#define INIT_LAUNCH_H

/*
 * launch -- what the command's process changes about itself before it becomes the command.
 *
 * Nothing, unless a flag asks.  The order matters and is fixed: what needs
 * privilege first (limits, OOM score, the bounding set), then the user, then the
 * capabilities that are left, then the directory, as that user.
 * Sources: capabilities(7), setrlimit(2), proc_pid_oom_score_adj(5), credentials(7).
 */

#include <stdint.h>

#include "base/account.h"

#define LAUNCH_LIMITS		16	/* RLIM_NLIMITS of Linux */
#define LAUNCH_KEEP_SCORE	(-2000)	/* no oom_score_adj was asked for */
#define LAUNCH_SWALLOW		255	/* in rewrite */

struct launch {
	int		 new_session;
	int		 no_new_privs;
	const char	*cwd;			/* NULL: no --chdir */
	int		 oom_score_adj;		/* or LAUNCH_KEEP_SCORE */
	uint64_t	 dropped_caps;		/* bit n: capability n */
	uint32_t	 limited;		/* bit n: limits[n] is to be set */
	struct { uint64_t soft, hard; int keeps_hard; } limits[LAUNCH_LIMITS];
	unsigned char	 rewrite[65];		/* by number; 0: as it is, else what to send */
	const struct account *account;		/* NULL: stay who we are */
};

/* Words of flags; 0, or -1 for what is none.  Several words are separated by commas. */
int	launch_parse_limits(struct launch *, const char *text);	/* NAME=SOFT[:HARD] */
int	launch_parse_caps(uint64_t *ret, const char *text);	/* all, net_raw, CAP_SYS_ADMIN */
/* TERM:INT, HUP:0 */
int	launch_parse_rewrites(unsigned char rewrite[65], const char *text);
/* A signal's name, with or without SIG, or number: 1 to 64, RTMIN+1; -1: none. */
int	launch_parse_signal(const char *text);

/*
 * In the child, between fork and exec.
 * fails  with errno; *ret_step: which flag could not be followed
 */
int	launch_apply(const struct launch *, int *ret_step);
const char *launch_step_flag(int step);
/* With the user's HOME: an array of this process; without --user envp itself. */
char	**launch_environ(const struct launch *, char **envp);

#endif
