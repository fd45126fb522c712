#ifndef INIT_CONTROL_H
#define INIT_CONTROL_H

/*
 * control -- the socket on which init tells `amlshim status` and `healthcheck` how things are.
 *
 * An abstract Unix socket (no file: it works on a read-only root) of SOCK_SEQPACKET, whose
 * name is made of the PID namespace's inode and init's pid in it, so that whoever runs in
 * the container finds it, and containers that share a network do not meet.  One request of
 * fixed size, one answer of fixed size; the client asks for one part after the other, and init
 * keeps nothing of it: no thread, no allocation, no waiting.  Answered are root, init's user and
 * the job's, in the same PID namespace (SO_PEERCRED); who sends anything else, or does not read
 * what it asked for, is cut off.  Nothing secret crosses: numbers, names, places.
 */

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

#define CONTROL_CLIENTS	8		/* the one that is quiet for longest makes room */
#define CONTROL_VERSION	1

enum control_part { CONTROL_HEAD = 1, CONTROL_WORKER, CONTROL_ACCESS };

struct control_request {
	uint32_t version;		/* CONTROL_VERSION */
	uint32_t part;			/* enum control_part */
	uint32_t index;			/* of the worker or access */
	uint32_t unused;
};

/* Texts end in NUL.  Times: Unix seconds, 0: none. */
struct control_head {
	char	program[32];		/* version of amlshim */
	char	phase[32];		/* supervise_state_name() */
	char	job[128];		/* its first word */
	int32_t	pid, job_pid;		/* job_pid 0: it does not run */
	int32_t	restarts;		/* of the job */
	int32_t	last_status;		/* exit status of its last run; -1: none ended */
	int32_t	is_live, is_ready;
	char	live_flaw[96], ready_flaw[256];		/* "": none */
	int32_t	live_port, ready_port;	/* of the job's server; 0: it is not probed */
	char	live_path[128], ready_path[128];
	int32_t	live_failures, ready_failures;	/* in a row */
	uint32_t nworkers, naccesses;
	int64_t	started_unix_s, job_started_unix_s, now_unix_s;
	int64_t	orphans;		/* reaped */
};

struct control_worker {
	char	name[128];
	int32_t	pid;			/* 0: not alive */
	int32_t	is_mount;
	int32_t	life;			/* how many were before this one */
	char	state[16];		/* starting, ready, stopping, done, gone */
	/* Of base/vitals.h, and what it told of itself. */
	int64_t	beat_age_ms;		/* since its last sign of life; -1: it gives none */
	int64_t	requests, retries, bytes_read, bytes_written, in_flight;
	int64_t	waiting, open_files, dirty_files;
	int64_t	files_done, files_total;
	int64_t	tokens;			/* agent: given to the job */
};

struct control_access {
	char	name[128];
	int32_t	is_output;
	char	action[24];		/* plan_action_name() */
	char	target[256];
	char	uri[320];
	char	identity[256];		/* as whom; "nobody" */
	int64_t	token_expiry_s;		/* 0: it has no expiry, or is not known yet */
};

struct control_answer {
	uint32_t version, part, index, unused;
	union {
		struct control_head head;
		struct control_worker worker;
		struct control_access access;
	};
};

/* Fills the answer to a request of this version; -1: there is no such part. */
typedef int control_answerer(void *arg, const struct control_request *, struct control_answer *);

struct control {
	int	 listen_fd;		/* -1: there is none */
	struct {
		int	 fd;		/* -1: free */
		uint64_t last;		/* when it last asked, in requests */
	} clients[CONTROL_CLIENTS];
	uint64_t requests;
	uid_t	 job_uid;		/* set by the caller: may ask, too */
	control_answerer *answerer;
	void	*arg;
};

#define CONTROL_POLLS	(1 + CONTROL_CLIENTS)

/* The address of the init with that pid in this PID namespace.  -1: /proc does not say which. */
int	control_address(pid_t init_pid, struct sockaddr_un *, socklen_t *ret_len);

void	control_init(struct control *);
/* Fails: /proc is not there, the name is taken. */
int	control_open(struct control *, control_answerer *, void *arg, struct err *);
/* CONTROL_POLLS entries, to be polled with init's own. */
void	control_fill(const struct control *, struct pollfd *);
void	control_handle(struct control *, const struct pollfd *);
/* Its descriptors, CONTROL_POLLS at most; how many. */
size_t	control_fds(const struct control *, int *ret);
void	control_close(struct control *);

#endif
