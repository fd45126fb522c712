#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "azure/cred.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/wire.h"
#include "mount/access.h"
#include "mount/beat.h"
#include "mount/mountd.h"
#include "mount/session.h"
#include "mount/stats.h"

#define TTL_READ_ONLY_MS	(60 * 60 * 1000)	/* inputs stand still while a job runs */
#define TTL_WRITABLE_MS		(30 * 1000)		/* other nodes may write there as well */
#define NEVER_MS		(10LL * 365 * 24 * 3600 * 1000)
#define FIRST_TIMEOUT_MS	(30 * 1000)	/* of the first listing: init waits for it */
#define LAST_FLUSH_MS		(60 * 1000)	/* when nobody said how long it may take */
#define HIDDEN_TOLD		10
#define DISK_DRAIN_MS		2000	/* for what was read last to get into the disk cache */
#define REST_PART	16	/* of --memory: connections, threads, the processes themselves */
#define GIVE_WAY_MS		500	/* for what is under way, before an upgrade */
#define CRED_LOOK_MS	200		/* how often init is listened to meanwhile */
#define CRED_LOOKS_TOLD	50
#define BEAT_MARGIN_MS		(10 * 1000)
#define NAMES_PART		4
#define NAMES_MIN		((int64_t)16 << 20)

struct mountd {
	const struct mountd_options *opt;
	struct report	*report;
	struct state	*state;
	struct cred	*cred;
	struct http	*http;
	struct store	*store;
	struct disk	*disk;			/* NULL: no disk cache */
	struct blocks	*blocks;
	struct reader	*reader;
	struct session	*session;
	struct tree	*tree;
	struct writer	*writer;		/* NULL: read-only */
	struct beat	*beat;
	int64_t		 moved, moved_ms;	/* the beat's: what moved so far, since when */
	_Atomic int	 hidden;
	pthread_mutex_t	 end_lock;		/* taken once, for ever, by who ends the process */
};

/* ---- what init is told --------------------------------------------------------------- */

static void
tell(struct mountd *m, struct wire_msg *msg)
{
	if (wire_send(m->opt->init_fd, msg, sizeof(*msg)) != 0)
		log_debug("init does not listen: %s", strerror(errno));
}

static void __attribute__((noreturn))
fail(struct mountd *m, struct err *err)
{
	struct wire_msg msg = { .type = WIRE_FAILED };
	const char *staging = m->opt->access->staging;

	if (staging != NULL && rmdir(staging) != 0 && errno != ENOENT)
		log_debug("%s stays: %s", staging, strerror(errno));
	err_as(err, m->opt->access->identity.label);
	msg.err = *err;
	tell(m, &msg);
	_exit(err_exit_status(err));
}

static void
tell_ready(void *arg)
{
	struct wire_msg msg = { .type = WIRE_READY };

	tell(arg, &msg);
}

static void
tell_lost(void *arg, const struct err *err)
{
	struct mountd *m = arg;
	struct wire_msg msg = { .type = WIRE_LOST, .err = *err };

	err_as(&msg.err, m->opt->access->identity.label);
	tell(m, &msg);
}

static void
tell_hidden(void *arg, const char *directory, const char *name, const char *why)
{
	struct mountd *m = arg;

	if (atomic_fetch_add(&m->hidden, 1) < HIDDEN_TOLD)
		log_warning("hiding \"%s\" in \"/%s\": %s (and perhaps more there)", name,
		    directory, why);
}

/* ---- counters ------------------------------------------------------------------------ */

static void
log_stats(struct mountd *m)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct http_counts counts;
	char *line, *rest;

	http_counts(m->http, &counts);
	stats_print(&counts, m->tree, m->blocks, m->disk, &text);
	for (line = strtok_r(text.data, "\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\n", &rest))
		log_notice("stats: %s", line);
}


/* ---- the end ------------------------------------------------------------------------- */

static void __attribute__((noreturn))
end(struct mountd *m, int64_t flush_ms)
{
	struct wire_msg msg = { .type = WIRE_DONE };
	struct writer_end flushed = { .files = 0 };

	pthread_mutex_lock(&m->end_lock);
	if (m->writer != NULL)
		writer_finish(m->writer, flush_ms < 0 ? 0 : clock_ms() + flush_ms, tell_lost, m,
		    &flushed);
	if (m->disk != NULL)
		disk_drain(m->disk, DISK_DRAIN_MS);
	if (m->opt->tuning->stats)
		log_stats(m);
	beat_count(m->beat);
	msg.stats.bytes_read = m->opt->vitals->bytes_read;
	msg.stats.bytes_written = m->opt->vitals->bytes_written;
	msg.stats.requests = m->opt->vitals->requests;
	msg.stats.retries = m->opt->vitals->retries;
	msg.stats.files_done = flushed.files;
	msg.stats.files_failed = flushed.failed;
	tell(m, &msg);
	_exit(0);
}

/*
 * A successor of another version takes over.  It is told again what has no answer (inflight.h):
 * to wait for a moment without is a courtesy, and requests go on being served meanwhile.
 */
static void __attribute__((noreturn))
give_way(struct mountd *m)
{
	int64_t until_ms = clock_ms() + GIVE_WAY_MS;
	struct inflight_look l;

	pthread_mutex_lock(&m->end_lock);
	if (m->disk != NULL)
		disk_drain(m->disk, DISK_DRAIN_MS);
	if (m->opt->tuning->stats)
		log_stats(m);
	for (;;) {
		session_look(m->session, &l);
		if (l.waiting == 0 || clock_ms() >= until_ms)
			_exit(WIRE_EXIT_UPGRADE);
		clock_sleep_ms(1);
	}
}

/* The job's own signals go to the job: who wants this names the mount's process. */
static void *
signals_main(void *arg)
{
	sigset_t signals;
	int number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	while (sigwait(&signals, &number) == 0) {
		if (number == SIGUSR2)
			give_way(arg);
		log_stats(arg);
	}
	return (NULL);
}

static void *
listen_to_init(void *arg)
{
	struct mountd *m = arg;
	struct wire_msg msg;
	int rc;

	do
		rc = wire_recv(m->opt->init_fd, &msg, sizeof(msg), -1);
	while (rc == 1 && msg.type != WIRE_STOP);
	end(m, rc == 1 ? msg.value : LAST_FLUSH_MS);
	return (NULL);
}

static int
start_thread(struct mountd *m, void *(*thread_main)(void *), struct err *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	rc = pthread_create(&thread, &attr, thread_main, m);
	pthread_attr_destroy(&attr);
	errno = rc;
	return (rc == 0 ? 0 : err_errno(err, "start a thread", NULL));
}

/* ---- the sign of life ---------------------------------------------------------------- */

static int64_t
or_never(int64_t ms)
{
	return (ms < 0 || ms > NEVER_MS ? NEVER_MS : ms);
}

/* Who waits for a lock that is never given back gives no sign of life. */
static void
touch_locks(struct mountd *m)
{
	if (m->writer != NULL)
		writer_touch(m->writer);
	pthread_mutex_lock(&m->tree->lock);
	pthread_mutex_unlock(&m->tree->lock);
}

/*
 * No request waits longer than one to the service may take.  Those that move whole files may,
 * as long as anything moves.
 */
static int
look(void *arg, int64_t now_ms, int64_t moved)
{
	struct mountd *m = arg;
	struct vitals *v = m->opt->vitals;
	int64_t limit_ms = or_never(m->opt->tuning->io_timeout_ms) + BEAT_MARGIN_MS;
	struct inflight_look l;

	session_look(m->session, &l);
	v->waiting = l.waiting;
	v->open_files = state_count(m->state, STATE_HANDLE);
	v->dirty_files = m->writer != NULL ? writer_dirty(m->writer) : 0;
	touch_locks(m);
	blocks_lend(m->blocks, state_memory(m->state));
	if (moved != m->moved || l.oldest_long_ms == 0) {
		m->moved = moved;
		m->moved_ms = now_ms;
	}
	return ((l.oldest_ms == 0 || now_ms - l.oldest_ms < limit_ms) &&
	    (l.oldest_long_ms == 0 || now_ms - l.oldest_long_ms < limit_ms ||
	    now_ms - m->moved_ms < limit_ms));
}

static int
start_beat(struct mountd *m, struct err *err)
{
	struct beat_options o = { .vitals = m->opt->vitals, .http = m->http, .look = look,
	    .arg = m };

	m->beat = beat_new(&o, err);
	return (m->beat != NULL ? 0 : -1);
}

/* ---- the beginning ------------------------------------------------------------------- */

static void
raise_fd_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &r) != 0)
			log_debug("descriptors stay at %llu", (unsigned long long)r.rlim_cur);
	}
}

/* The tree is made later than the store. */
static const char *
props_of(void *arg, const char *name, struct arena *mem)
{
	return (tree_props_of(((struct mountd *)arg)->tree, name, mem));
}

/* It has said so, or is gone.  The message stays for listen_to_init(). */
static int
is_to_stop(struct mountd *m)
{
	struct wire_msg msg;
	int rc;

	while ((rc = wire_peek(m->opt->init_fd, &msg, sizeof(msg), 0)) == 1 &&
	    msg.type != WIRE_STOP)
		wire_recv(m->opt->init_fd, &msg, sizeof(msg), 0);
	return (rc >= 0 || errno != ETIMEDOUT);
}

/*
 * Of a successor: the job uses its files already, and waits as long as the source of tokens is
 * away.  Told to end it goes on without, and says what it could not upload.
 */
static struct cred *
wait_for_credential(struct mountd *m, struct err *err)
{
	struct cred *c = cred_patient(m->opt->agent_fd, err);
	int looks = 0;

	while (c != NULL && !cred_wait(c, CRED_LOOK_MS) && !is_to_stop(m)) {
		atomic_store(&m->opt->vitals->beat_ms, clock_ms());
		if (++looks == CRED_LOOKS_TOLD)
			log_warning("there is no credential for its successor yet: who uses its "
			    "files waits");
	}
	return (c);
}

static int
connect_store(struct mountd *m, struct err *err)
{
	const struct plan_tuning *t = m->opt->tuning;
	struct http_options http = { .max_connections = (int)t->connections,
	    .threads = HTTP_THREADS, .max_tries = (int)t->tries };
	struct store_options store = store_options_of(m->opt->access);

	m->cred = m->opt->was_ready ? wait_for_credential(m, err) :
	    cred_new(m->opt->agent_fd, err);
	if (m->cred == NULL ||
	    (m->http = http_new(&http, err)) == NULL)
		return (-1);
	store.cred = m->cred;
	store.http = m->http;
	store.access = t->acl;
	store.timeout_ms = or_never(t->io_timeout_ms);
	store.props_of = props_of;
	store.props_arg = m;
	m->store = store_new(&store, err);
	return (m->store != NULL ? 0 : -1);
}

static void
tell_disk(void *arg, int is_bad, const char *text)
{
	(void)arg;
	if (is_bad)
		log_warning("disk cache: %s", text);
	else
		log_info("disk cache: %s", text);
}

/* Without it everything works as well, but slower. */
static void
make_disk(struct mountd *m)
{
	const struct plan_access *a = m->opt->access;
	const struct plan_tuning *t = m->opt->tuning;
	auto_buf struct buf place = BUF_EMPTY;
	struct disk_options disk = { .dir = t->disk_cache, .bytes = t->disk_cache_bytes,
	    .reserve_bytes = t->disk_free_bytes,
	    .note = tell_disk, .kept = blocks_kept };
	struct err err = ERR_EMPTY;
	char line[1024];

	if (t->disk_cache_bytes <= 0)
		return;
	buf_printf(&place, "%s/%s", a->base_url, a->container);
	disk.place = buf_str(&place);
	if ((m->disk = disk_new(&disk, &err)) == NULL)
		log_warning("no disk cache: %s", err_line(&err, line, sizeof(line)));
}

static int
make_reader(struct mountd *m, struct err *err)
{
	int64_t rest = m->opt->memory_bytes / REST_PART;
	struct blocks_options blocks = { .store = m->store,
	    .memory_bytes = m->opt->memory_bytes - rest,
	    .timeout_ms = or_never(m->opt->tuning->io_timeout_ms),
	    .user_bytes = sizeof(struct reader_streams) };
	struct session_options session = { .fuse_fd = m->opt->fuse_fd, .report = m->report,
	    .timeout_ms = or_never(m->opt->tuning->io_timeout_ms), .ready = tell_ready, .arg = m };

	make_disk(m);
	blocks.disk = session.disk = m->disk;
	if ((m->blocks = blocks_new(&blocks, err)) == NULL)
		return (-1);
	m->reader = reader_new(m->blocks);
	reader_bound(m->reader, m->opt->tuning->read_ahead_bytes);
	session.blocks = m->blocks;
	session.reader = m->reader;
	session.state = m->state;
	m->session = session_new(&session, err);
	return (m->session != NULL ? 0 : -1);
}

static void
on_replaced(void *arg, struct inode *parent, const char *name)
{
	session_replaced(((struct mountd *)arg)->session, parent, name);
}

static void
on_pages_stale(void *arg, struct inode *i, int64_t offset, int64_t len)
{
	session_pages_stale(((struct mountd *)arg)->session, i, offset, len);
}

static void
tell_failed(void *arg, const struct err *err)
{
	report_failure(((struct mountd *)arg)->report, err);
}

static int64_t
ttl_of(const struct mountd *m)
{
	int64_t said = m->opt->tuning->attr_ttl_ms;

	if (said == PLAN_UNSAID)
		return (m->opt->writable_root ? TTL_WRITABLE_MS : TTL_READ_ONLY_MS);
	return (or_never(said));
}

static uint32_t
id_or(int64_t said, uint32_t ours)
{
	return (said != PLAN_UNSAID ? (uint32_t)said : ours);
}

/* Of large directories: a part of what --memory says. */
static size_t
names_bytes(int64_t memory)
{
	return ((size_t)(memory / NAMES_PART > NAMES_MIN ? memory / NAMES_PART : NAMES_MIN));
}

/* Does the service let us in? */
static int
probe(struct mountd *m, struct err *err)
{
	const struct plan_tuning *t = m->opt->tuning;
	const struct plan_access *a = m->opt->access;
	int64_t first_ms = m->opt->first_wait_ms;
	struct arena mem = ARENA_EMPTY;

	if (first_ms <= 0 || first_ms > FIRST_TIMEOUT_MS)
		first_ms = FIRST_TIMEOUT_MS;
	if (or_never(t->io_timeout_ms) > first_ms)
		store_set_timeout(m->store, first_ms);
	if (tree_probe(m->tree, !a->is_output, err) == 0) {
		if (m->opt->tuning->acl)
			access_of_root(m->tree);
		tree_note_root(m->tree);
		store_set_timeout(m->store, or_never(t->io_timeout_ms));
		return (0);
	}
	err_on(err, "%s", plan_place(a, a->prefix, &mem));
	arena_done(&mem);
	return (-1);
}

static int
make_tree(struct mountd *m, struct err *err)
{
	const struct plan_tuning *t = m->opt->tuning;
	const struct plan_access *a = m->opt->access;
	struct tree_options tree = { .store = m->store, .state = m->state,
	    .prefix = a->prefix, .is_file = a->is_file,
	    .writable = m->opt->writable_root, .ttl_ms = ttl_of(m),
	    .uid = id_or(t->uid, m->opt->job_uid), .gid = id_or(t->gid, m->opt->job_gid),
	    .umask = (uint32_t)t->umask, .names_bytes = names_bytes(m->opt->memory_bytes),
	    .replaced = on_replaced, .pages_stale = on_pages_stale, .hidden = tell_hidden,
	    .drop_staged = writer_drop_staged, .arg = m };
	struct writer_options writer = { .blocks = m->blocks, .reader = m->reader,
	    .store = m->store, .staging = a->staging, .access = m->opt->tuning->acl,
	    .keep_bytes = -1, .write_behind = m->opt->tuning->write_behind,
	    .failed = tell_failed, .arg = m };

	m->tree = tree_new(&tree);
	writer.tree = m->tree;
	if (state_is_resumed(m->state))
		tree_restore(m->tree);
	if (m->opt->writable_root && (m->writer = writer_new(&writer, err)) == NULL)
		return (-1);
	return (state_is_resumed(m->state) ? 0 : probe(m, err));
}

void
mountd_main(const struct mountd_options *opt)
{
	struct mountd m = { .opt = opt, .end_lock = PTHREAD_MUTEX_INITIALIZER };
	struct err err = ERR_EMPTY;

	raise_fd_limit();
	m.report = report_new(opt->access->identity.label);
	if ((m.state = state_open(opt->state_fd, &err)) == NULL ||
	    connect_store(&m, &err) != 0 || make_reader(&m, &err) != 0 ||
	    make_tree(&m, &err) != 0 || start_thread(&m, listen_to_init, &err) != 0 ||
	    start_thread(&m, signals_main, &err) != 0 || start_beat(&m, &err) != 0)
		fail(&m, &err);
	if (session_run(m.session, m.tree, m.writer, &err) != 0)
		fail(&m, &err);
	end(&m, LAST_FLUSH_MS);
}
