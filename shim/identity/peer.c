#include "identity/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define CHAIN_MAX	4096	/* more parents than this: not ours */
#define RECENT_MAX	16	/* processes that asked last */
#define EXCLUDED_MAX	256
#define LOOKS		3	/* a parent may end while we look: its children have another then */
#define STRANGERS_MAX	2000	/* looked at to name one that is refused */

/* The kernel's interface: linux/sock_diag.h, linux/inet_diag.h; not in musl. */
#define NETLINK_SOCK_DIAG_	4
#define SOCK_DIAG_BY_FAMILY_	20
#define NLM_F_REQUEST_		1
#define NO_COOKIE		UINT32_MAX

struct netlink_head {
	uint32_t len;
	uint16_t type, flags;
	uint32_t seq, pid;
};
struct diag_id {
	uint16_t sport, dport;		/* network byte order, as the addresses */
	uint32_t src[4], dst[4], ifindex, cookie[2];
};
struct diag_request {
	struct netlink_head head;
	uint8_t	 family, protocol, ext, pad;
	uint32_t states;
	struct diag_id id;
};
struct diag_answer {
	struct netlink_head head;
	uint8_t	 family, state, timer, retrans;
	struct diag_id id;
	uint32_t expires, rqueue, wqueue, uid, inode;
};

struct known {
	pid_t	 pid;
	uint64_t start;
};

struct peers {
	pid_t	 init;
	uint32_t uid;
	int	 no_netlink;
	/* Guards all below; held for memory only. */
	pthread_mutex_t lock;
	struct known excluded[EXCLUDED_MAX];
	size_t	 nexcluded;
	pid_t	 recent[RECENT_MAX];	/* the last one first */
};

struct socket_owner {
	uint32_t uid;
	uint64_t inode;
};

struct peers *
peers_new(pid_t init, uint32_t uid, int no_netlink)
{
	struct peers *p = mem_zalloc(sizeof(*p));

	p->init = init;
	p->uid = uid;
	p->no_netlink = no_netlink;
	pthread_mutex_init(&p->lock, NULL);
	return (p);
}

void
peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Workers that died and were started again, over a long time. */
static void
forget_ended(struct peers *p)
{
	struct proc_stat stat;
	size_t i, kept = 0;

	for (i = 0; i < p->nexcluded; i++)
		if (proc_read_stat(p->excluded[i].pid, &stat) == 0 &&
		    stat.start == p->excluded[i].start)
			p->excluded[kept++] = p->excluded[i];
	p->nexcluded = kept;
}

void
peers_exclude(struct peers *p, pid_t pid)
{
	struct proc_stat stat;

	if (proc_read_stat(pid, &stat) != 0)
		return;			/* it is gone already */
	pthread_mutex_lock(&p->lock);
	if (p->nexcluded == EXCLUDED_MAX)
		forget_ended(p);
	if (p->nexcluded < EXCLUDED_MAX)
		p->excluded[p->nexcluded++] = (struct known){ pid, stat.start };
	pthread_mutex_unlock(&p->lock);
}

/* --- is it the job's? ------------------------------------------------------------- */

static int
is_excluded(struct peers *p, pid_t pid, uint64_t start)
{
	size_t i;
	int found = 0;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i < p->nexcluded && !found; i++)
		found = p->excluded[i].pid == pid && p->excluded[i].start == start;
	pthread_mutex_unlock(&p->lock);
	return (found);
}

/* Below init, and not through a worker. */
static int
is_in_tree(struct peers *p, pid_t pid)
{
	struct proc_stat stat;
	int hops;

	for (hops = 0; pid > 0 && pid != p->init && hops < CHAIN_MAX; hops++) {
		if (proc_read_stat(pid, &stat) != 0 || is_excluded(p, pid, stat.start))
			return (0);
		if (stat.parent == p->init)
			return (1);
		pid = stat.parent;
	}
	return (0);
}

static void
remember(struct peers *p, pid_t pid)
{
	size_t i;

	pthread_mutex_lock(&p->lock);
	for (i = 0; i + 1 < RECENT_MAX && p->recent[i] != pid; i++)
		;
	memmove(&p->recent[1], &p->recent[0], i * sizeof(p->recent[0]));
	p->recent[0] = pid;
	pthread_mutex_unlock(&p->lock);
}

/* --- which process holds a socket --------------------------------------------------- */

/*
 * The descriptors of a process are shown to its own user, or with CAP_SYS_PTRACE, which root in a
 * container has not: the thread looks as that user.
 */
static int
holds_socket(pid_t pid, uint64_t inode)
{
	struct stat st;
	char path[32];
	int found;

	str_format(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) != 0 || st.st_uid == geteuid())
		return (proc_has_socket(pid, inode));
	setfsgid(st.st_gid);
	setfsuid(st.st_uid);
	found = proc_has_socket(pid, inode);
	setfsuid(geteuid());
	setfsgid(getegid());
	return (found);
}

static pid_t
find_among_recent(struct peers *p, uint64_t inode)
{
	pid_t recent[RECENT_MAX];
	size_t i;

	pthread_mutex_lock(&p->lock);
	memcpy(recent, p->recent, sizeof(recent));
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < RECENT_MAX && recent[i] != 0; i++)
		if (holds_socket(recent[i], inode) && is_in_tree(p, recent[i]))
			return (recent[i]);
	return (0);
}

struct relative { pid_t pid, parent; };

/* All processes, in the order of /proc: ascending. */
struct family {
	struct relative *list;
	size_t	 n, cap;
};

static int
add_relative(void *arg, pid_t pid)
{
	struct family *f = arg;
	struct proc_stat stat;

	if (proc_read_stat(pid, &stat) != 0)
		return (0);
	if (f->n == f->cap) {
		f->cap = f->cap * 2 + 64;
		f->list = mem_grow(f->list, f->cap * sizeof(*f->list));
	}
	f->list[f->n++] = (struct relative){ pid, stat.parent };
	return (0);
}

static int
by_pid(const void *a, const void *b)
{
	const struct relative *x = a, *y = b;

	return ((x->pid > y->pid) - (x->pid < y->pid));
}

/* As the snapshot has it: is_in_tree() has the last word. */
static int
seems_in_tree(const struct peers *p, const struct family *f, pid_t pid)
{
	const struct relative *at = NULL;
	struct relative key = { pid, 0 };
	int hops;

	for (hops = 0; hops < CHAIN_MAX; hops++) {
		at = bsearch(&key, f->list, f->n, sizeof(*f->list), by_pid);
		if (at == NULL || at->parent == p->init)
			break;
		key.pid = at->parent;
	}
	return (at != NULL && at->parent == p->init);
}

static pid_t
find_among_job(struct peers *p, uint64_t inode)
{
	struct family f = { NULL, 0, 0 };
	pid_t found = 0;
	size_t i;

	if (proc_each(add_relative, &f) == 0 && f.n != 0)
		qsort(f.list, f.n, sizeof(*f.list), by_pid);
	for (i = 0; i < f.n && found == 0; i++)
		if (seems_in_tree(p, &f, f.list[i].pid) &&
		    holds_socket(f.list[i].pid, inode) && is_in_tree(p, f.list[i].pid))
			found = f.list[i].pid;
	free(f.list);
	return (found);
}

struct stranger {
	uint64_t inode;
	uint32_t uid;
	pid_t	 found;
	int	 looked_at;
};

static int
is_stranger(void *arg, pid_t pid)
{
	struct stranger *s = arg;
	struct stat st;
	char path[32];

	str_format(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) != 0 || st.st_uid != s->uid)
		return (0);
	if (proc_has_socket(pid, s->inode) || holds_socket(pid, s->inode))
		s->found = pid;
	return (s->found != 0 || ++s->looked_at == STRANGERS_MAX);
}

/* For the record only: who it was that is refused. */
static pid_t
find_stranger(const struct socket_owner *owner)
{
	struct stranger s = { .inode = owner->inode, .uid = owner->uid };

	proc_each(is_stranger, &s);
	return (s.found);
}

/* --- the other end ------------------------------------------------------------------- */

/* 0: found; -1: the kernel does not know it, or does not tell (errno). */
static int
ask_netlink(const struct sockaddr_in *peer, const struct sockaddr_in *own,
    struct socket_owner *ret)
{
	struct diag_request req = { .head = { .len = sizeof(req), .type = SOCK_DIAG_BY_FAMILY_,
	    .flags = NLM_F_REQUEST_ }, .family = AF_INET, .protocol = IPPROTO_TCP,
	    .states = UINT32_MAX, .id = { .sport = peer->sin_port, .dport = own->sin_port,
	    .src = { peer->sin_addr.s_addr }, .dst = { own->sin_addr.s_addr },
	    .cookie = { NO_COOKIE, NO_COOKIE } } };
	struct timeval patience = { .tv_sec = 1 };
	union {
		struct diag_answer answer;
		char	bytes[1024];
	} got;
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG_);
	ssize_t n;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
	    send(fd, &req, sizeof(req), 0) != (ssize_t)sizeof(req))
		return (-1);
	do
		n = recv(fd, &got, sizeof(got), 0);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)sizeof(got.answer) || got.answer.head.type != SOCK_DIAG_BY_FAMILY_ ||
	    got.answer.id.sport != peer->sin_port || got.answer.inode == 0)
		return (-1);
	*ret = (struct socket_owner){ got.answer.uid, got.answer.inode };
	return (0);
}

/* Fields of a line of /proc/net/tcp, by number; at most n of them. */
static size_t
split(char *line, char **fields, size_t n)
{
	char *rest = NULL, *field = strtok_r(line, " \n", &rest);
	size_t i;

	for (i = 0; field != NULL && i < n; i++) {
		fields[i] = field;
		field = strtok_r(NULL, " \n", &rest);
	}
	return (i);
}

static int
is_socket(char *line, const char *local, const char *remote, struct socket_owner *ret)
{
	enum { LOCAL = 1, REMOTE = 2, UID = 7, INODE = 9, FIELDS };
	char *fields[FIELDS];
	long long uid, inode;

	if (split(line, fields, FIELDS) != FIELDS || strcmp(fields[LOCAL], local) != 0 ||
	    strcmp(fields[REMOTE], remote) != 0 ||
	    str_to_i64(fields[UID], 0, UINT32_MAX, &uid) != 0 ||
	    str_to_i64(fields[INODE], 1, INT64_MAX, &inode) != 0)
		return (0);
	*ret = (struct socket_owner){ (uint32_t)uid, (uint64_t)inode };
	return (1);
}

/* mapped: of an IPv6 socket, as Java opens them: ::ffff:ADDRESS, by words of four bytes. */
static void
format_end(const struct sockaddr_in *end, int mapped, char *text, size_t size)
{
	char prefix[32] = "";

	if (mapped)
		str_format(prefix, sizeof(prefix), "%016d%08X", 0, htonl(0xffff));
	str_format(text, size, "%s%08X:%04X", prefix, end->sin_addr.s_addr, ntohs(end->sin_port));
}

static int
read_table(const char *path, int mapped, const struct sockaddr_in *peer,
    const struct sockaddr_in *own, struct socket_owner *ret)
{
	char line[512], local[48], remote[48];
	FILE *table = fopen(path, "re");
	int found = 0;

	if (table == NULL)
		return (-1);
	format_end(peer, mapped, local, sizeof(local));
	format_end(own, mapped, remote, sizeof(remote));
	while (!found && fgets(line, sizeof(line), table) != NULL)
		found = is_socket(line, local, remote, ret);
	fclose(table);
	return (found ? 0 : -1);
}

/* The same, a line a socket: slow where there are many. */
static int
read_proc_net(const struct sockaddr_in *peer, const struct sockaddr_in *own,
    struct socket_owner *ret)
{
	return (read_table("/proc/self/net/tcp", 0, peer, own, ret) == 0 ? 0 :
	    read_table("/proc/self/net/tcp6", 1, peer, own, ret));
}

static int
refuse(struct err *err, const char *why)
{
	return (err_set(err, ERR_DENIED, REMEDY_NONE, "see who asks", "%s", why));
}

static int
find_by_inode(struct peers *p, const struct socket_owner *owner, struct peer *ret)
{
	int look;

	ret->pid = find_among_recent(p, owner->inode);
	for (look = 0; ret->pid == 0 && look < LOOKS; look++) {
		if (look != 0)
			clock_sleep_ms(2);
		ret->pid = find_among_job(p, owner->inode);
	}
	if (ret->pid != 0)
		return (0);
	ret->pid = find_stranger(owner);
	return (-1);
}

static int
check_tcp(struct peers *p, int fd, const struct sockaddr_in *peer, struct peer *ret,
    struct err *err)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	struct socket_owner owner;
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) != 0)
		return (err_errno(err, "see who asks", NULL));
	if ((p->no_netlink || ask_netlink(peer, &own, &owner) != 0) &&
	    read_proc_net(peer, &own, &owner) != 0)
		return (refuse(err, "the kernel does not tell whose connection this is"));
	ret->uid = owner.uid;
	if (owner.uid != p->uid) {
		ret->pid = find_stranger(&owner);
		return (refuse(err, "it belongs to another user than the job's"));
	}
	if (find_by_inode(p, &owner, ret) != 0)
		return (refuse(err, "it comes from no process of the job"));
	return (0);
}

/* A parent may end meanwhile: find_by_inode() looks again, too. */
static int
is_in_tree_by_now(struct peers *p, pid_t pid)
{
	int look;

	for (look = 0; look < LOOKS; look++) {
		if (look != 0)
			clock_sleep_ms(2);
		if (is_in_tree(p, pid))
			return (1);
	}
	return (0);
}

static int
check_unix(struct peers *p, int fd, struct peer *ret, struct err *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return (err_errno(err, "see who asks", NULL));
	ret->pid = cred.pid;
	ret->uid = cred.uid;
	if (cred.uid != p->uid)
		return (refuse(err, "it belongs to another user than the job's"));
	if (cred.pid == 0 || !is_in_tree_by_now(p, cred.pid))
		return (refuse(err, "it comes from no process of the job"));
	return (0);
}

int
peers_check(struct peers *p, int fd, struct peer *ret, struct err *err)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);
	struct proc_stat stat;
	int failed;

	*ret = (struct peer){ .uid = UINT32_MAX };
	if (getpeername(fd, (struct sockaddr *)&addr, &len) != 0)
		return (err_errno(err, "see who asks", NULL));
	if (!proc_is_own())
		return (refuse(err, "/proc is missing or belongs to another PID namespace: mount "
		    "it in the container (mount -t proc proc /proc)"));
	failed = addr.ss_family == AF_UNIX ? check_unix(p, fd, ret, err) :
	    addr.ss_family == AF_INET ?
	    check_tcp(p, fd, (const struct sockaddr_in *)(const void *)&addr, ret, err) :
	    refuse(err, "it is no local connection");
	if (ret->pid != 0 && proc_read_stat(ret->pid, &stat) == 0)
		str_format(ret->comm, sizeof(ret->comm), "%s", stat.comm);
	if (failed == 0)
		remember(p, ret->pid);
	return (failed);
}
