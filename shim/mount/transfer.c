#include "mount/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "azure/cred.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "mount/beat.h"
#include "mount/transfer_parts.h"

#define PROGRESS_MS	1000
#define LOCK_MS		5000		/* the process of a run before may be at its end */

void
transfer_send(struct transfer *t, enum wire_type type, const struct err *err)
{
	struct wire_msg msg = { .type = type };
	struct http_counts counts;

	pthread_mutex_lock(&t->lock);
	if (t->http != NULL) {
		http_counts(t->http, &counts);
		t->stats.requests = counts.requests;
		t->stats.retries = counts.retries;
	}
	msg.stats = t->stats;
	pthread_mutex_unlock(&t->lock);
	if (err != NULL)
		msg.err = *err;
	if (wire_send(t->opt->init_fd, &msg, sizeof(msg)) != 0)
		_exit(0);		/* init is gone, and the job with it */
}

void
transfer_progress(struct transfer *t)
{
	int64_t now = clock_ms(), sum;

	pthread_mutex_lock(&t->lock);
	sum = t->stats.bytes_read + t->stats.bytes_written + t->stats.files_done +
	    t->stats.files_kept + t->files_found;
	pthread_mutex_unlock(&t->lock);
	if (now < t->next_ms || sum == t->told)
		return;
	t->told = sum;
	t->next_ms = now + PROGRESS_MS;
	transfer_send(t, WIRE_PROGRESS, NULL);
}

void
transfer_fail(struct transfer *t, const struct err *err)
{
	struct err full = *err;

	err_as(&full, t->access->identity.label);
	transfer_send(t, WIRE_FAILED, &full);
	_exit(err_exit_status(err));
}

void
transfer_keep_failure(struct transfer *t, const struct err *err)
{
	pthread_mutex_lock(&t->lock);
	if (t->failure.kind == ERR_NONE)
		t->failure = *err;
	pthread_mutex_unlock(&t->lock);
	pool_stop(&t->pool);
}

static int
open_store(struct transfer *t, struct err *err)
{
	struct store_options store = store_options_of(t->access);

	t->cred = cred_new(t->opt->agent_fd, err);
	if (t->cred == NULL)
		return (-1);
	store.cred = t->cred;
	store.http = t->http;
	t->store = store_new(&store, err);
	return (t->store != NULL ? 0 : -1);
}

static int
open_target(struct transfer *t, struct err *err)
{
	if (fd_mkdir_p(t->access->target, 0755, err) != 0) {
		if (err != NULL)
			err->remedy = REMEDY_ROOT_DIR;
		return (-1);
	}
	t->target_fd = open(t->access->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->target_fd < 0)
		return (err_errno(err, "open the target directory", t->access->target));
	return (0);
}

/* Not stopped, and its lock is to be had; requests have deadlines of their own. */
static int
look(void *arg, int64_t now_ms, int64_t moved)
{
	struct transfer *t = arg;

	(void)now_ms;
	(void)moved;
	pthread_mutex_lock(&t->lock);
	pthread_mutex_unlock(&t->lock);
	return (1);
}

static int
start_beat(struct transfer *t, struct err *err)
{
	struct beat_options o = { .vitals = t->opt->vitals, .http = t->http, .look = look,
	    .arg = t };

	return (beat_new(&o, err) != NULL ? 0 : -1);
}

void
transfer_begin(struct transfer *t, const struct transfer_options *opt, size_t connections)
{
	struct http_options http = { .max_connections = (int)connections, .threads = HTTP_THREADS,
	    .max_tries = (int)opt->tuning->tries };
	struct err err = ERR_EMPTY;

	*t = (struct transfer){ .opt = opt, .access = opt->access, .target_fd = -1 };
	pthread_mutex_init(&t->lock, NULL);
	t->http = http_new(&http, &err);
	if (t->http == NULL || start_beat(t, &err) != 0 ||
	    (t->access->url == NULL && open_store(t, &err) != 0) ||
	    open_target(t, &err) != 0)
		transfer_fail(t, &err);
}

void
transfer_open_journal(struct transfer *t, const char *what)
{
	const struct plan_access *a = t->access;
	auto_buf struct buf purpose = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	char line[512];

	buf_printf(&purpose, "%s\n%s\n%s\n%s\n%d\n%s%s%s", what, a->base_url, a->container,
	    a->prefix, a->is_file, a->target, a->only != NULL ? "\n" : "",
	    a->only != NULL ? a->only : "");
	t->journal = journal_open(a->journal, purpose.data, LOCK_MS, &err);
	if (err.kind == ERR_NONE)
		return;
	if (!a->is_output)
		transfer_fail(t, &err);
	log_info("%s: an interruption would not be survived", err_line(&err, line, sizeof(line)));
}

int
transfer_told_to_stop(struct transfer *t, int wait_ms, int64_t *ret_value)
{
	struct wire_msg msg;
	struct pollfd p = { .fd = t->opt->init_fd, .events = POLLIN };

	if (poll(&p, 1, wait_ms) <= 0)
		return (0);
	if (wire_recv(t->opt->init_fd, &msg, sizeof(msg), 0) != 1)
		_exit(0);
	if (ret_value != NULL)
		*ret_value = msg.value;
	return (msg.type == WIRE_STOP);
}

void
transfer_found(struct transfer *t, int64_t bytes)
{
	pthread_mutex_lock(&t->lock);
	t->files_found++;
	t->bytes_found += bytes;
	pthread_mutex_unlock(&t->lock);
}

void
transfer_all_found(struct transfer *t)
{
	pthread_mutex_lock(&t->lock);
	t->stats.files_total = t->files_found;
	t->stats.bytes_total = t->bytes_found;
	pthread_mutex_unlock(&t->lock);
}

void
transfer_count(struct transfer *t, int64_t *counter, int64_t n)
{
	pthread_mutex_lock(&t->lock);
	*counter += n;
	pthread_mutex_unlock(&t->lock);
}

size_t
transfer_pieces(int64_t size, int64_t piece)
{
	return (size <= piece ? 1 : (size_t)((size + piece - 1) / piece));
}

char *
transfer_blob(const struct transfer *t, const char *relative)
{
	const struct plan_access *a = t->access;
	struct buf name = BUF_EMPTY;

	buf_adds(&name, a->prefix);
	if (!a->is_file)
		buf_printf(&name, "%s%s", a->prefix[0] != '\0' ? "/" : "", relative);
	return (name.data);
}

/* The time of the last change of the inode cannot be set by anybody. */
uint64_t
transfer_fingerprint(const char *etag, const struct stat *st)
{
	struct journal_key key;
	uint64_t start;

	journal_key(&key, "%s %lld %llu %lld.%09ld %lld.%09ld", etag, (long long)st->st_size,
	    (unsigned long long)st->st_ino, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
	    (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	memcpy(&start, key.bytes, sizeof(start));
	return (start);
}
