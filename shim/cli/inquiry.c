#include "cli/inquiry.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/wire.h"

#define PATIENCE_MS	5000
#define PARENTS_MAX	100

int
inquiry_read_pid(char *const *argv, pid_t *ret, struct err *err)
{
	long long pid = 0;

	if (argv[0] != NULL &&
	    (argv[1] != NULL || str_to_i64(argv[0], 1, INT32_MAX, &pid) != 0)) {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options",
		    "expected the pid of an amlshim, or nothing");
		return (err_on(err, "%s", argv[0]));
	}
	*ret = (pid_t)pid;
	return (0);
}

/* A socket to the init of that pid; -1: it has none. */
static int
connect_to(pid_t pid)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_un address;
	struct ucred peer;
	socklen_t len, size = sizeof(peer);
	int fd;

	if (control_address(pid, &address, &len) != 0)
		return (-1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return (-1);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const void *)&address, len) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid)
		return (fd);
	close(fd);
	return (-1);
}

static int
try(struct inquiry *r, pid_t pid)
{
	r->fd = connect_to(pid);
	r->pid = pid;
	return (r->fd >= 0);
}

static int
try_parents(struct inquiry *r)
{
	struct proc_stat stat;
	pid_t pid = getpid();
	int i;

	for (i = 0; i < PARENTS_MAX && pid > 1; i++) {
		if (proc_read_stat(pid, &stat) != 0)
			return (0);
		pid = stat.parent;
		if (pid > 1 && try(r, pid))
			return (1);
	}
	return (0);
}

struct search {
	struct inquiry	*inquiry;
	pid_t		 others[2];
	int		 n;
};

static int
visit(void *arg, pid_t pid)
{
	struct search *s = arg;
	struct inquiry here;

	if (!try(&here, pid))
		return (0);
	s->others[s->n++] = pid;
	if (s->n == 2) {
		close(here.fd);
		return (1);
	}
	*s->inquiry = here;
	return (0);
}

static int
search_all(struct inquiry *r, struct err *err)
{
	struct search s = { .inquiry = r };

	r->fd = -1;
	(void)proc_each(visit, &s);
	if (s.n == 1)
		return (0);
	inquiry_end(r);
	if (s.n == 0)
		return (err_set(err, ERR_NOT_FOUND, REMEDY_NONE, "find a running amlshim", "none "
		    "answers in this container (one without a job spec does with --control)"));
	return (err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "find a running amlshim",
	    "there are several, pids %d and %d among them: name one", (int)s.others[0],
	    (int)s.others[1]));
}

int
inquiry_find(struct inquiry *r, pid_t pid, struct err *err)
{
	if (pid != 0) {
		if (try(r, pid))
			return (0);
		err_set(err, ERR_NOT_FOUND, REMEDY_NONE, "ask amlshim", "it does not answer");
		return (err_on(err, "pid %d", (int)pid));
	}
	if (try(r, 1) || try_parents(r))
		return (0);
	return (search_all(r, err));
}

/* ---- answers ----------------------------------------------------------- */

#define TIME_MAX	(INT64_C(1) << 40)	/* Unix seconds */
#define SEAL(field)	seal_text((field), sizeof(field))

static void
seal_text(char *text, size_t size)
{
	size_t left, n;

	text[size - 1] = '\0';
	for (left = strlen(text); left > 0; text += n, left -= n)
		if ((n = str_utf8_printable(text, left)) == 0) {
			*text = '?';
			n = 1;
		}
}

static void
seal_number(int64_t *number, int64_t max)
{
	if (*number < 0 || *number > max)
		*number = 0;
}

static void
seal_head(struct control_head *h)
{
	int64_t *const times[] = { &h->started_unix_s, &h->job_started_unix_s, &h->now_unix_s };
	size_t i;

	SEAL(h->program);
	SEAL(h->phase);
	SEAL(h->job);
	SEAL(h->live_flaw);
	SEAL(h->ready_flaw);
	SEAL(h->live_path);
	SEAL(h->ready_path);
	for (i = 0; i < LENGTH(times); i++)
		seal_number(times[i], TIME_MAX);
	seal_number(&h->orphans, INT64_MAX);
}

void
inquiry_seal(struct control_answer *a)
{
	switch (a->part) {
	case CONTROL_HEAD:
		seal_head(&a->head);
		break;
	case CONTROL_WORKER:
		SEAL(a->worker.name);
		SEAL(a->worker.state);
		break;
	case CONTROL_ACCESS:
		SEAL(a->access.name);
		SEAL(a->access.action);
		SEAL(a->access.target);
		SEAL(a->access.uri);
		SEAL(a->access.identity);
		seal_number(&a->access.token_expiry_s, TIME_MAX);
		break;
	}
}

static int
ask_once(struct inquiry *r, const struct control_request *request, struct control_answer *ret)
{
	if (r->fd < 0 || wire_send(r->fd, request, sizeof(*request)) != 0 ||
	    wire_recv(r->fd, ret, sizeof(*ret), PATIENCE_MS) != 1)
		return (-1);
	if (ret->version != CONTROL_VERSION || ret->part != request->part ||
	    ret->index != request->index)
		return (-1);
	inquiry_seal(ret);
	return (0);
}

/* Many others may be asking, too: then we are cut off before our turn comes. */
int
inquiry_ask(struct inquiry *r, enum control_part part, uint32_t index, struct control_answer *ret,
    struct err *err)
{
	const struct control_request request = { .version = CONTROL_VERSION,
	    .part = (uint32_t)part, .index = index };
	int64_t deadline_ms = clock_ms() + PATIENCE_MS;

	for (;;) {
		if (ask_once(r, &request, ret) == 0)
			return (0);
		mem_close_fd(&r->fd);
		if (clock_ms() >= deadline_ms)
			break;
		clock_sleep_ms(1);
		r->fd = connect_to(r->pid);
	}
	err_set(err, ERR_UNREACHABLE, REMEDY_NONE, "ask amlshim", "it does not answer");
	return (err_on(err, "pid %d", (int)r->pid));
}

void
inquiry_end(struct inquiry *r)
{
	mem_close_fd(&r->fd);
}
