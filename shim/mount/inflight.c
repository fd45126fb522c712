#include "mount/inflight.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"

/* Not in the headers of Debian 12. */
#define NOTIFY_RESEND	7
#define HAS_RESEND2	(1U << (39 - 32))	/* in flags2 of INIT */
#define INIT_EXT	(1U << 30)
#define ALLOW_MMAP2	(1U << (36 - 32))
#define PASSTHROUGH2	(1U << (37 - 32))
#define STACK_DEPTH_AT	(offsetof(struct fuse_init_out, flags2) + sizeof(uint32_t))
#define RESENT		(UINT64_C(1) << 63)

#define CALLS		128		/* twice what session.c has threads */
#define REPLY_MAX	256		/* none of those that are saved is longer */
#define REQUEST_MAX	((size_t)1280 << 10)
#define TRACE_FROM_US	1000

enum step { IDLE, TAKEN, BEGUN, ANSWERED };

/* In shared memory: what a successor has to know of one request. */
struct note {
	_Atomic uint64_t unique;
	_Atomic uint32_t step;
	uint32_t	 reply_len;
	char		 reply[REPLY_MAX];
};

struct room {
	struct note	 notes[CALLS];
	char		 requests[CALLS][REQUEST_MAX];	/* of old kernels */
};
_Static_assert(sizeof(struct room) <= STATE_ROOM, "room");

/* A thread's place. */
struct call {
	struct inflight	*owner;
	struct note	*note;
	char		*request;
	int		 is_taken;	/* by a thread, or kept for a request that comes again */
	int		 is_old;
	int		 is_again, is_repeat;
	uint32_t	 opcode;
	uint64_t	 unique;	/* of the request that is being answered; 0: none */
	_Atomic int64_t	 since_ms;	/* 0: none */
	int64_t		 began_us;	/* for the trace */
};

enum phase { BEGINNING, NEGOTIATING, SERVING };

struct inflight {
	struct state	*state;
	int		 fd;
	int		 keeps;		/* requests are kept in shared memory */
	_Atomic int	 nold;		/* requests of the process before that have no answer yet */
	_Atomic enum phase phase;
	pthread_mutex_t	 lock;		/* guards the rest, and is_taken and is_old of calls */
	pthread_cond_t	 served;
	pthread_key_t	 key;		/* gives a thread's call back */
	int		 refused;
	uint64_t	 init_unique;
	struct call	 calls[CALLS];
};

static _Thread_local struct call *mine;

/* ---- a thread's place ---------------------------------------------------------------- */

static struct fuse_in_header *
header_of(const struct call *c)
{
	return ((struct fuse_in_header *)(void *)c->request);
}

/* Its request is answered, or needs no answer. */
static void
finish(struct call *c)
{
	if (c->owner->keeps)
		header_of(c)->len = 0;
	if (c->note->step != IDLE) {
		atomic_store(&c->note->step, IDLE);
		atomic_store(&c->note->unique, 0);
	}
	c->unique = 0;
	c->is_again = c->is_repeat = 0;
	atomic_store_explicit(&c->since_ms, 0, memory_order_relaxed);
}

static void
leave(void *arg)
{
	struct call *c = arg;

	pthread_mutex_lock(&c->owner->lock);
	finish(c);
	c->is_taken = 0;
	pthread_mutex_unlock(&c->owner->lock);
}

/* Old requests that never come again were answered a moment before the process died. */
static struct call *
find_place(struct inflight *f)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		if (!f->calls[i].is_taken)
			return (&f->calls[i]);
	for (i = 0; i < CALLS; i++)
		if (f->calls[i].is_old) {
			f->calls[i].is_old = 0;
			f->nold--;
			finish(&f->calls[i]);
			return (&f->calls[i]);
		}
	return (NULL);			/* there are fewer threads */
}

static struct call *
my_call(struct inflight *f)
{
	if (mine != NULL)
		return (mine);
	pthread_mutex_lock(&f->lock);
	if ((mine = find_place(f)) != NULL)
		mine->is_taken = 1;
	pthread_mutex_unlock(&f->lock);
	if (mine != NULL)
		pthread_setspecific(f->key, mine);
	return (mine);
}

static void
take(struct call *c, const struct fuse_in_header *in)
{
	c->unique = in->unique & ~RESENT;
	c->opcode = in->opcode;
	c->is_again = (in->unique & RESENT) != 0;
	atomic_store_explicit(&c->since_ms, clock_ms(), memory_order_relaxed);
	c->began_us = trace_begin();
}

uint64_t
inflight_unique(void)
{
	return (mine != NULL ? mine->unique : 0);
}

int
inflight_is_again(void)
{
	return (mine != NULL && mine->is_again);
}

int
inflight_is_repeat(void)
{
	return (mine != NULL && mine->is_repeat);
}

void
inflight_begin(void)
{
	if (mine == NULL || mine->unique == 0)
		return;
	atomic_store(&mine->note->unique, mine->unique);
	atomic_store(&mine->note->step, BEGUN);
}

/* ---- answers ------------------------------------------------------------------------- */

/* Of the requests that we answer; others have no name. */
static const char *
name_of(uint32_t opcode)
{
	static const char *const names[] = {
		[FUSE_LOOKUP] = "lookup", [FUSE_GETATTR] = "getattr", [FUSE_SETATTR] = "setattr",
		[FUSE_READLINK] = "readlink", [FUSE_SYMLINK] = "symlink", [FUSE_MKNOD] = "mknod",
		[FUSE_MKDIR] = "mkdir", [FUSE_UNLINK] = "unlink", [FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename", [FUSE_LINK] = "link", [FUSE_OPEN] = "open",
		[FUSE_READ] = "read", [FUSE_WRITE] = "write", [FUSE_STATFS] = "statfs",
		[FUSE_RELEASE] = "release", [FUSE_FSYNC] = "fsync",
		[FUSE_SETXATTR] = "setxattr", [FUSE_GETXATTR] = "getxattr",
		[FUSE_LISTXATTR] = "listxattr", [FUSE_REMOVEXATTR] = "removexattr",
		[FUSE_FLUSH] = "flush", [FUSE_OPENDIR] = "opendir", [FUSE_READDIR] = "readdir",
		[FUSE_RELEASEDIR] = "releasedir", [FUSE_CREATE] = "create",
		[FUSE_FALLOCATE] = "fallocate", [FUSE_READDIRPLUS] = "readdirplus",
		[FUSE_RENAME2] = "rename",
	};

	return (opcode < LENGTH(names) && names[opcode] != NULL ? names[opcode] : "other");
}

/* Those that somebody may have noticed: all of them would be the job's own reads, mostly. */
static void
trace_answer(const struct call *c, int error)
{
	if (trace_on() && clock_us() - c->began_us >= TRACE_FROM_US)
		trace_request("fuse", name_of(c->opcode), c->began_us, NULL, "errno", error);
}

static size_t
length_of(const struct iovec *iov, int n)
{
	size_t len = 0;

	while (n-- > 0)
		len += iov[n].iov_len;
	return (len);
}

static void
flatten(const struct iovec *iov, int n, char *to)
{
	int i;

	for (i = 0; i < n; to += iov[i++].iov_len)
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
}

static int
changes_something(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP: case FUSE_GETATTR: case FUSE_READLINK: case FUSE_READ:
	case FUSE_STATFS: case FUSE_GETXATTR: case FUSE_LISTXATTR: case FUSE_READDIR:
	case FUSE_READDIRPLUS: case FUSE_IOCTL:
		return (0);
	default:
		return (1);
	}
}

static void
save_answer(struct call *c, const struct iovec *iov, int n)
{
	size_t len = length_of(iov, n);

	if (len > REPLY_MAX || (c->note->step != BEGUN &&
	    !(c->owner->keeps && changes_something(c->opcode))))
		return;
	flatten(iov, n, c->note->reply);
	c->note->reply_len = (uint32_t)len;
	atomic_store(&c->note->unique, c->unique);
	atomic_store(&c->note->step, ANSWERED);
}

/* The answer that was saved, to the request as it came this time. */
static void
answer_again(struct inflight *f, struct call *old, uint64_t unique)
{
	struct fuse_out_header *out = (struct fuse_out_header *)(void *)old->note->reply;

	out->unique = unique;
	if (write(f->fd, old->note->reply, old->note->reply_len) < 0 && errno != ENOENT)
		log_debug("an answer given again: %s", strerror(errno));
}

/* ---- INIT ---------------------------------------------------------------------------- */

static void
set_phase(struct inflight *f, enum phase phase)
{
	pthread_mutex_lock(&f->lock);
	f->phase = phase;
	pthread_cond_broadcast(&f->served);
	pthread_mutex_unlock(&f->lock);
}

static void
unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

/* 1: this thread has to get INIT answered. */
static int
wait_for_init(struct inflight *f)
{
	int first;

	pthread_mutex_lock(&f->lock);
	pthread_cleanup_push(unlock, &f->lock);
	while (f->phase == NEGOTIATING)
		pthread_cond_wait(&f->served, &f->lock);
	first = f->phase == BEGINNING;
	if (first)
		f->phase = NEGOTIATING;
	pthread_cleanup_pop(1);
	return (first);
}

static int
kernel_resends(const void *request, size_t len)
{
	const char *p = request;
	struct fuse_init_in in = { .major = 0 };
	size_t skip = sizeof(struct fuse_in_header), size = len > skip ? len - skip : 0;

	memcpy(&in, p + skip, size < sizeof(in) ? size : sizeof(in));
	return (getenv("AMLSHIM_TEST_NO_RESEND") == NULL &&
	    (in.flags & INIT_EXT) != 0 && (in.flags2 & HAS_RESEND2) != 0);
}

/* The request that begins it all, from the kernel or as an earlier process got it. */
static ssize_t
read_init(struct inflight *f, void *buf, size_t len)
{
	auto_buf struct buf saved = BUF_EMPTY;
	ssize_t n;

	if (state_get(f->state, STATE_META, STATE_INIT_REQUEST, &saved) && saved.len <= len &&
	    saved.len >= sizeof(struct fuse_in_header)) {
		memcpy(buf, saved.data, saved.len);
		n = (ssize_t)saved.len;
	} else {
		n = read(f->fd, buf, len);
		if (n < (ssize_t)sizeof(struct fuse_in_header)) {
			int why = errno;

			/* Those who wait find out by themselves, or try INIT again. */
			set_phase(f, n < 0 && (why == EINVAL || why == EINTR) ? BEGINNING :
			    SERVING);
			errno = why;
			return (n);
		}
		state_put(f->state, STATE_META, STATE_INIT_REQUEST, buf, (size_t)n);
	}
	f->init_unique = ((struct fuse_in_header *)buf)->unique;
	f->keeps = !kernel_resends(buf, (size_t)n);
	return (n);
}

static void
resend(struct inflight *f)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = NOTIFY_RESEND };

	if (!f->keeps && write(f->fd, &out, sizeof(out)) != (ssize_t)sizeof(out))
		log_warning("requests of the job that were under way are lost: %s",
		    strerror(errno));
}

static int
same_answer(const struct buf *saved, const struct iovec *iov, int n)
{
	auto_free char *now = mem_alloc(length_of(iov, n));

	flatten(iov, n, now);
	return (saved->len == length_of(iov, n) && memcmp(saved->data, now, saved->len) == 0);
}

static ssize_t
write_init(struct inflight *f, const struct iovec *iov, int n)
{
	auto_buf struct buf saved = BUF_EMPTY;
	auto_free char *now = NULL;
	size_t len = length_of(iov, n);

	if (state_get(f->state, STATE_META, STATE_INIT_REPLY, &saved)) {
		f->refused = !same_answer(&saved, iov, n);
		if (!f->refused)
			resend(f);
		set_phase(f, SERVING);
		return ((ssize_t)len);
	}
	/* ENOENT: a process before this one died between the answer and saving it. */
	if (writev(f->fd, iov, n) < 0 && errno != ENOENT)
		return (-1);
	now = mem_alloc(len);
	flatten(iov, n, now);
	state_put(f->state, STATE_META, STATE_INIT_REPLY, now, len);
	set_phase(f, SERVING);
	return ((ssize_t)len);
}

/* fuse_init_out.flags2 and the depth after it; -1: nothing is agreed upon yet. */
static int
agreed(struct inflight *f, uint32_t *flags2, uint32_t *depth)
{
	const size_t skip = sizeof(struct fuse_out_header);
	auto_buf struct buf saved = BUF_EMPTY;

	*flags2 = *depth = 0;
	if (!state_get(f->state, STATE_META, STATE_INIT_REPLY, &saved))
		return (-1);
	if (saved.len < skip + STACK_DEPTH_AT + sizeof(*depth))
		return (0);
	memcpy(flags2, saved.data + skip + offsetof(struct fuse_init_out, flags2),
	    sizeof(*flags2));
	memcpy(depth, saved.data + skip + STACK_DEPTH_AT, sizeof(*depth));
	return (0);
}

int
inflight_stack_depth(struct inflight *f)
{
	uint32_t flags2, depth;

	if (agreed(f, &flags2, &depth) != 0)
		return (-1);
	return ((flags2 & PASSTHROUGH2) != 0 ? (int)depth : 0);
}

int
inflight_maps_direct(struct inflight *f)
{
	uint32_t flags2, depth;

	if (agreed(f, &flags2, &depth) != 0)
		return (-1);
	return ((flags2 & ALLOW_MMAP2) != 0);
}

int
inflight_refused(struct inflight *f, struct err *err)
{
	if (f->refused)
		err_set(err, ERR_SYSTEM, REMEDY_REPORT_BUG, "go on with a mount",
		    "it would be served in another way than before");
	return (f->refused);
}

/* ---- requests ------------------------------------------------------------------------ */

/* The place of a request that an earlier process had; it is this thread's to resolve now. */
static struct call *
find_old(struct inflight *f, uint64_t unique)
{
	struct call *found = NULL;
	size_t i;

	pthread_mutex_lock(&f->lock);
	for (i = 0; i < CALLS && found == NULL; i++)
		if (f->calls[i].is_old && (unique == 0 || f->calls[i].unique == unique))
			found = &f->calls[i];
	if (found != NULL) {
		found->is_old = 0;
		f->nold--;
	}
	pthread_mutex_unlock(&f->lock);
	return (found);
}

/* What the old one knew is in the new place first: a death in between leaves both. */
static void
take_over(struct call *c, struct call *old)
{
	if (old->note->step == BEGUN) {
		c->is_repeat = 1;
		atomic_store(&c->note->unique, c->unique);
		atomic_store(&c->note->step, BEGUN);
	}
	leave(old);
}

/* 1: it is answered. */
static int
resolve(struct inflight *f, struct call *c, const struct fuse_in_header *in)
{
	struct call *old;

	if ((in->unique & RESENT) == 0 || f->nold == 0 ||
	    (old = find_old(f, in->unique & ~RESENT)) == NULL)
		return (0);
	if (old->note->step != ANSWERED) {
		take_over(c, old);
		return (0);
	}
	answer_again(f, old, in->unique);
	leave(old);
	return (1);
}

/* Its length comes last: whoever dies here leaves one whole request, in the old place. */
static void
copy_request(struct call *c, const struct call *old, uint32_t n)
{
	const size_t skip = sizeof(n);

	memcpy(c->request + skip, old->request + skip, n - skip);
	__atomic_store_n(&header_of(c)->len, n, __ATOMIC_RELEASE);
}

/* From what an earlier process kept; 0: there is nothing left. */
static ssize_t
replay(struct inflight *f, struct call *c, void *buf, size_t len)
{
	struct call *old;
	uint32_t n;

	while (f->nold > 0 && (old = find_old(f, 0)) != NULL) {
		n = header_of(old)->len;
		if (old->note->step == ANSWERED) {
			answer_again(f, old, old->unique);
			leave(old);
			continue;
		}
		if (n > len || n > REQUEST_MAX)
			continue;
		copy_request(c, old, n);
		memcpy(buf, old->request, n);
		take(c, buf);
		c->is_again = 1;
		take_over(c, old);
		return ((ssize_t)n);
	}
	return (0);
}

/* The request is in shared memory when the system call is over. */
static ssize_t
read_and_keep(struct inflight *f, struct call *c, void *buf, size_t len)
{
	ssize_t n = replay(f, c, buf, len);

	if (n != 0)
		return (n);
	n = read(f->fd, c->request, len < REQUEST_MAX ? len : REQUEST_MAX);
	if (n < (ssize_t)sizeof(struct fuse_in_header))
		return (n);
	memcpy(buf, c->request, (size_t)n);
	take(c, buf);
	return (n);
}

/* FORGET has no answer, and INTERRUPT is of another request: neither may come twice. */
static int
needs_answer(uint32_t opcode)
{
	return (opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT);
}

ssize_t
inflight_read(struct inflight *f, void *buf, size_t len)
{
	struct call *c = my_call(f);
	const struct fuse_in_header *in = buf;
	ssize_t n;

	if (c == NULL) {
		errno = ENOMEM;
		return (-1);
	}
	finish(c);
	while (f->phase != SERVING)
		if (wait_for_init(f))
			return (read_init(f, buf, len));
	if (f->refused) {
		errno = ENODEV;		/* libfuse ends its loop */
		return (-1);
	}
	do {
		n = f->keeps ? read_and_keep(f, c, buf, len) : read(f->fd, buf, len);
		if (n < (ssize_t)sizeof(*in))
			return (n);
		if (!needs_answer(in->opcode)) {
			finish(c);
			return (n);
		}
		if (!f->keeps)
			take(c, in);
	} while (resolve(f, c, in));
	return (n);
}

ssize_t
inflight_writev(struct inflight *f, struct iovec *iov, int n)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	int is_answer;
	ssize_t rc;
	int why;

	if (f->phase == NEGOTIATING && out->unique == f->init_unique)
		return (write_init(f, iov, n));
	is_answer = mine != NULL && mine->unique != 0 && (out->unique & ~RESENT) == mine->unique;
	if (is_answer) {
		trace_answer(mine, -out->error);
		save_answer(mine, iov, n);
	}
	rc = writev(f->fd, iov, n);
	why = errno;
	if (is_answer && (rc >= 0 || why == ENOENT))
		finish(mine);
	errno = why;
	return (rc);
}

/* What still stands in the pipe, which does not block, would be a part of the next answer. */
static ssize_t
throw_away(int pipe, size_t len)
{
	char scrap[4096];
	ssize_t n;

	while ((n = read(pipe, scrap, sizeof(scrap))) > 0)
		continue;
	return (n < 0 && errno != EAGAIN ? -1 : (ssize_t)len);
}

ssize_t
inflight_splice(struct inflight *f, int pipe, size_t len, unsigned int flags)
{
	ssize_t rc = splice(pipe, NULL, f->fd, NULL, len, flags);
	int why;

	/* A process before has answered it, or nobody waits; libfuse would complain on stderr. */
	if (rc < 0 && errno == ENOENT)
		rc = throw_away(pipe, len);
	why = errno;
	if (rc >= 0 && mine != NULL) {
		trace_answer(mine, 0);
		finish(mine);
	}
	errno = why;
	return (rc);
}

/* ---- how it goes --------------------------------------------------------------------- */

/* These may send or fetch a whole file. */
static int
may_be_long(uint32_t opcode)
{
	return (opcode == FUSE_FLUSH || opcode == FUSE_FSYNC || opcode == FUSE_RELEASE ||
	    opcode == FUSE_OPEN || opcode == FUSE_CREATE || opcode == FUSE_SETATTR ||
	    opcode == FUSE_RENAME || opcode == FUSE_RENAME2 || opcode == FUSE_WRITE ||
	    opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS || opcode == FUSE_OPENDIR ||
	    opcode == FUSE_RMDIR || opcode == FUSE_UNLINK);
}

void
inflight_look(struct inflight *f, struct inflight_look *ret)
{
	int64_t since_ms, *oldest;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < CALLS; i++) {
		since_ms = atomic_load_explicit(&f->calls[i].since_ms, memory_order_relaxed);
		if (since_ms == 0)
			continue;
		ret->waiting++;
		oldest = may_be_long(f->calls[i].opcode) ? &ret->oldest_long_ms : &ret->oldest_ms;
		if (*oldest == 0 || since_ms < *oldest)
			*oldest = since_ms;
	}
}

/* ---- the beginning ------------------------------------------------------------------- */

/* What the process before left in this place. */
static int
is_left(const struct inflight *f, const struct call *c)
{
	const struct fuse_in_header *in = header_of(c);

	if (!f->keeps)
		return (c->note->unique != 0 && c->note->step >= BEGUN);
	return (in->len >= sizeof(*in) && in->len <= REQUEST_MAX && needs_answer(in->opcode));
}

static struct call *
same_old(struct inflight *f, uint64_t unique)
{
	size_t i;

	for (i = 0; i < CALLS; i++)
		if (f->calls[i].is_old && f->calls[i].unique == unique)
			return (&f->calls[i]);
	return (NULL);
}

/* It died in take_over(): the request is in two places, and what is known of it in either. */
static void
merge(struct call *old, struct call *c)
{
	if (old->note->step < BEGUN)
		atomic_store(&old->note->step, c->note->step);
	finish(c);
}

/* An answer that cannot be one, of a process that ran wild: the request had begun, no more. */
static void
check_reply(struct note *note)
{
	if (note->step == ANSWERED && (note->reply_len < sizeof(struct fuse_out_header) ||
	    note->reply_len > REPLY_MAX))
		atomic_store(&note->step, BEGUN);
}

static void
adopt(struct inflight *f, struct call *c)
{
	struct call *old;

	check_reply(c->note);
	if (!is_left(f, c)) {
		finish(c);
		return;
	}
	c->unique = f->keeps ? header_of(c)->unique & ~RESENT : (uint64_t)c->note->unique;
	if (c->note->unique != c->unique)
		atomic_store(&c->note->step, IDLE);
	if ((old = same_old(f, c->unique)) != NULL) {
		merge(old, c);
		return;
	}
	c->is_old = c->is_taken = 1;
	f->nold++;
}

static int
kept_before(struct state *state)
{
	auto_buf struct buf init = BUF_EMPTY;

	return (state_get(state, STATE_META, STATE_INIT_REQUEST, &init) &&
	    !kernel_resends(init.data, init.len));
}

struct inflight *
inflight_new(struct state *state, int fd)
{
	struct inflight *f = mem_zalloc(sizeof(*f));
	struct room *room = state_room(state);
	size_t i;

	f->state = state;
	f->fd = fd;
	f->keeps = kept_before(state);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->served, NULL);
	pthread_key_create(&f->key, leave);
	for (i = 0; i < CALLS; i++) {
		f->calls[i].owner = f;
		f->calls[i].note = &room->notes[i];
		f->calls[i].request = room->requests[i];
	}
	for (i = 0; i < CALLS; i++)
		adopt(f, &f->calls[i]);
	return (f);
}
