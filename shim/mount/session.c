#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mount/ops.h"
#include "mount/session.h"

#define THREADS_READ_ONLY	64	/* readers wait in them; their buffers stay untouched */
#define THREADS_WRITABLE	32	/* a 1 MiB buffer each */
#define THREADS_IDLE		16
#define THREAD_STACK		"262144"	/* musl's default is 128 KiB */

struct session {
	struct session_options opt;
	struct ops	 ops;
	struct fuse_session *se;
	struct inflight	*inflight;
	struct notifier	*names, *pages;
};

static void
on_libfuse_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[256];

	(void)level;
	if (!log_wants(LOG_DEBUG))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libfuse: %s", text);
}

struct session *
session_new(const struct session_options *o, struct err *err)
{
	struct session *s = mem_zalloc(sizeof(*s));

	s->opt = *o;
	s->inflight = inflight_new(o->state, o->fuse_fd);
	s->names = notifier_new();
	s->pages = notifier_new();
	if (setenv("FUSE_THREAD_STACK", THREAD_STACK, 1) != 0) {
		err_errno(err, "serve the mount", NULL);
		free(s);
		return (NULL);
	}
	fuse_set_log_func(on_libfuse_log);
	return (s);
}

void
session_look(struct session *s, struct inflight_look *ret)
{
	inflight_look(s->inflight, ret);
}

/* ---- telling the kernel -------------------------------------------------------------- */

void
session_replaced(void *arg, struct inode *parent, const char *name)
{
	struct session *s = arg;

	if (parent->lookups > 0 || parent == &s->ops.tree->root)
		notifier_name(s->names, parent, name);	/* it knows the directory */
}

void
session_pages_stale(void *arg, struct inode *i, int64_t offset, int64_t len)
{
	notifier_pages(((struct session *)arg)->pages, i, offset, len);
}

/* Pages of a file that the kernel has not asked for yet. */
static int
push(void *arg, struct inode *i, int64_t offset, const struct iovec *iov)
{
	struct session *s = arg;
	struct fuse_bufvec data = FUSE_BUFVEC_INIT(iov->iov_len);
	uint32_t id;

	data.buf[0].mem = iov->iov_base;
	pthread_mutex_lock(&s->ops.tree->lock);
	id = i->node;
	pthread_mutex_unlock(&s->ops.tree->lock);
	if (id == 0)
		return (-ENOENT);
	return (fuse_lowlevel_notify_store(s->se, id, offset, &data, 0));
}

static int
start_filler(struct session *s, struct err *err)
{
	struct filler_options o = { .tree = s->ops.tree, .blocks = s->ops.blocks, .push = push,
	    .arg = s };

	if (s->ops.writer != NULL)
		return (0);
	s->ops.filler = filler_new(&o, err);
	return (s->ops.filler != NULL ? 0 : -1);
}

/* ---- serving ------------------------------------------------------------------------- */

static ssize_t
on_read(int fd, void *buf, size_t len, void *arg)
{
	(void)fd;
	return (inflight_read(((struct ops *)arg)->inflight, buf, len));
}

static ssize_t
on_write(int fd, struct iovec *iov, int n, void *arg)
{
	(void)fd;
	return (inflight_writev(((struct ops *)arg)->inflight, iov, n));
}

static ssize_t
on_splice(int in, off_t *from, int out, off_t *to, size_t len, unsigned int flags, void *arg)
{
	(void)from;
	(void)out;
	(void)to;
	return (inflight_splice(((struct ops *)arg)->inflight, in, len, flags));
}

static int
open_fuse(struct session *s, int writable, struct err *err)
{
	char program[] = "amlshim";
	char *argv[] = { program, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	const struct fuse_lowlevel_ops *table = writable ? &ops_writable : &ops_read_only;
	const struct fuse_custom_io io = { .read = on_read, .writev = on_write,
	    .splice_send = on_splice };

	s->se = fuse_session_new(&args, table, sizeof(*table), &s->ops);
	fuse_opt_free_args(&args);
	if (s->se == NULL || fuse_session_custom_io(s->se, &io, sizeof(io), s->opt.fuse_fd) != 0)
		return (err_set(err, ERR_SYSTEM, REMEDY_REPORT_BUG, "serve the mount",
		    "libfuse does not take the descriptor"));
	return (0);
}

/* Files that the kernel reads by itself, since before this process. */
static void
restore_backed(struct ops *o)
{
	uint32_t fh, top = state_top(o->state, STATE_HANDLE);
	struct inode *i;
	struct handle h;

	for (fh = 1; fh < top; fh++) {
		if (!handle_get(o->state, fh, &h) || h.kind != HANDLE_BACKED)
			continue;
		i = state_object(o->state, STATE_NODE, h.node);
		state_set_object(o->state, STATE_HANDLE, fh,
		    backing_adopt(o->backing, i, h.backing_id));
	}
}

static int
loop(struct session *s, int writable)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int rc;

	if (config == NULL)
		return (-ENOMEM);
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, writable ? THREADS_WRITABLE : THREADS_READ_ONLY);
	fuse_loop_cfg_set_idle_threads(config, writable ? THREADS_IDLE : THREADS_READ_ONLY);
	rc = fuse_session_loop_mt(s->se, config);
	fuse_loop_cfg_destroy(config);
	return (rc);
}

int
session_run(struct session *s, struct tree *tree, struct writer *writer, struct err *err)
{
	int rc;

	s->ops = (struct ops){ .tree = tree, .state = s->opt.state,
	    .inflight = s->inflight, .blocks = s->opt.blocks, .reader = s->opt.reader,
	    .disk = s->opt.disk, .writer = writer, .report = s->opt.report,
	    .timeout_ms = s->opt.timeout_ms,
	    .ready = s->opt.ready, .ready_arg = s->opt.arg, .names = s->names, .pages = s->pages };
	if (writer == NULL &&
	    (s->opt.disk != NULL || inflight_stack_depth(s->inflight) > 0)) {
		s->ops.backing = backing_new();
		restore_backed(&s->ops);
	}
	if (open_fuse(s, writer != NULL, err) != 0 ||
	    notifier_start(s->names, s->se, tree, err) != 0 ||
	    notifier_start(s->pages, s->se, tree, err) != 0 ||
	    start_filler(s, err) != 0)
		return (-1);
	rc = loop(s, writer != NULL);
	if (inflight_refused(s->ops.inflight, err))
		return (-1);
	errno = -rc;
	return (rc >= 0 ? 0 : err_errno(err, "serve the mount", NULL));
}
