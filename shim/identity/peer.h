#ifndef IDENTITY_PEER_H
#define IDENTITY_PEER_H

/*
 * peer -- who asks: the process at the other end of a connection, and whether it is the job's.
 *
 * The job's are the processes of its user that descend from init and not from
 * one of amlshim's own workers: the command, its children, and orphans that came
 * back to init.  Not: what `docker exec` starts (its parent is outside the
 * namespace, or not init), other containers of the pod (their processes are not
 * in our /proc), other users, the workers themselves.
 *
 * A Unix socket tells pid and uid (SO_PEERCRED).  A TCP socket's inode and owner
 * come from the kernel's socket diagnosis (netlink, one lookup), else from
 * /proc/net/tcp and tcp6; the process that holds that inode is looked for among those
 * that were found last, then among the job's.  Fails closed: without a /proc of
 * our own PID namespace nobody is the job's.
 *
 * Thread-safe.  The check is made once a connection: one handed to another process
 * (SCM_RIGHTS) is not noticed.  docs/THREAT-MODEL.md says what that stops.
 * Source: sock_diag(7), unix(7), proc(5).
 */

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/proc.h"

struct peers;

struct peer {
	pid_t	 pid;			/* 0: not found */
	uint32_t uid;			/* of the socket; UINT32_MAX: not known */
	char	 comm[PROC_COMM_SIZE];	/* "" if not known */
};

/* init: the root of the job's tree.  uid: the job's user.  no_netlink: for tests. */
struct peers *peers_new(pid_t init, uint32_t uid, int no_netlink);
void	peers_free(struct peers *);
/* A process of amlshim's own, while it lives: neither it nor its children are the job's. */
void	peers_exclude(struct peers *, pid_t);
/*
 * 0: fd's other end is the job's.  -1: it is not, or it cannot be told: why is
 * in the cause.  *ret is filled with what is known in both cases.
 */
int	peers_check(struct peers *, int fd, struct peer *ret, struct err *);

#endif
