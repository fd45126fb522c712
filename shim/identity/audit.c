#include "identity/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"

struct audit {
	/* Guards all below, and keeps lines whole. */
	pthread_mutex_t lock;
	int	 fd;
	int	 failed;		/* said once */
	int64_t	 tokens;		/* refusals that may still be written */
	int64_t	 filled_ms;		/* when there was one more */
	int64_t	 suppressed;
};

int
audit_open(const char *path, struct err *err)
{
	/* Not a FIFO without a reader, which would hold us up. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    0600);

	if (fd < 0)
		err_errno(err, "open the audit file", path);
	return (fd);
}

struct audit *
audit_new(int fd)
{
	struct audit *a = mem_zalloc(sizeof(*a));

	a->fd = fd;
	a->tokens = REFUSALS_AT_ONCE;
	a->filled_ms = clock_ms();
	pthread_mutex_init(&a->lock, NULL);
	return (a);
}

void
audit_flush(struct audit *a)
{
	int64_t suppressed;

	pthread_mutex_lock(&a->lock);
	suppressed = a->suppressed;
	a->suppressed = 0;
	pthread_mutex_unlock(&a->lock);
	if (suppressed != 0)
		log_warning("%lld more refused token requests were not logged",
		    (long long)suppressed);
}

void
audit_free(struct audit *a)
{
	if (a == NULL)
		return;
	audit_flush(a);
	mem_close_fd(&a->fd);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* Lock held.  1: this refusal is written. */
static int
take_one(struct audit *a)
{
	int64_t more = (clock_ms() - a->filled_ms) / 1000;

	if (more > 0) {
		a->filled_ms += more * 1000;
		a->tokens = a->tokens + more > REFUSALS_AT_ONCE ? REFUSALS_AT_ONCE :
		    a->tokens + more;
	}
	if (a->tokens == 0) {
		a->suppressed++;
		return (0);
	}
	a->tokens--;
	return (1);
}

static void
put_known(struct json_out *out, const char *key, int known, int64_t n)
{
	json_out_key(out, key);
	if (known)
		json_out_int(out, n);
	else
		json_out_string(out, NULL);
}

static void
format(struct buf *line, const struct audit_event *e, int64_t suppressed)
{
	const struct peer *peer = e->peer;
	char date[CLOCK_ISO8601_SIZE];
	struct json_out out;

	json_out_init(&out, line, 0);
	json_out_begin(&out, '{');
	clock_format_iso8601(clock_wall_s(), date);
	json_out_kstring(&out, "time", date);
	json_out_kstring(&out, "outcome", e->reason == NULL ? "granted" : "refused");
	json_out_kstring(&out, "dialect", e->dialect);
	put_known(&out, "pid", peer != NULL && peer->pid != 0, peer != NULL ? peer->pid : 0);
	put_known(&out, "uid", peer != NULL && peer->uid != UINT32_MAX,
	    peer != NULL ? peer->uid : 0);
	json_out_kstring(&out, "comm", peer != NULL && peer->comm[0] != '\0' ? peer->comm : NULL);
	json_out_kstring(&out, "identity", e->identity);
	json_out_kstring(&out, "client_id", e->client_id);
	json_out_kstring(&out, "audience", e->audience);
	if (e->reason == NULL) {
		clock_format_iso8601(e->expires_unix_s, date);
		json_out_kstring(&out, "expires", date);
	} else {
		json_out_kstring(&out, "reason", e->reason);
		json_out_kstring(&out, "text", e->text);
		if (suppressed != 0)
			json_out_kint(&out, "suppressed", suppressed);
	}
	json_out_end(&out, '}');
	buf_addc(line, '\n');
}

static void
log_event(const struct audit_event *e, int64_t suppressed)
{
	char who[PROC_COMM_SIZE + 64] = "", more[64] = "";

	if (e->peer != NULL && e->peer->pid != 0)
		str_format(who, sizeof(who), " pid=%d uid=%u comm=%s", (int)e->peer->pid,
		    e->peer->uid, e->peer->comm);
	if (e->reason == NULL) {
		log_info("token granted: %s resource=%s expires_in=%llds dialect=%s%s", e->identity,
		    e->audience, (long long)(e->expires_unix_s - clock_wall_s()), e->dialect, who);
		return;
	}
	if (suppressed != 0)
		str_format(more, sizeof(more), " (%lld others not logged)", (long long)suppressed);
	log_warning("token request refused: %s resource=%s dialect=%s%s%s", e->text,
	    e->audience == NULL ? "-" : e->audience, e->dialect, who, more);
}

void
audit_write(struct audit *a, const struct audit_event *e)
{
	auto_buf struct buf line = BUF_EMPTY;
	int64_t suppressed = 0;

	pthread_mutex_lock(&a->lock);
	if (e->reason != NULL && !take_one(a)) {
		pthread_mutex_unlock(&a->lock);
		return;
	}
	if (e->reason != NULL) {
		suppressed = a->suppressed;
		a->suppressed = 0;
	}
	if (a->fd >= 0) {
		format(&line, e, suppressed);
		if (fd_write_all(a->fd, line.data, line.len) != 0 && !a->failed) {
			a->failed = 1;
			log_error("the audit file cannot be written: %s", strerror(errno));
		}
	}
	pthread_mutex_unlock(&a->lock);
	log_event(e, suppressed);
}
