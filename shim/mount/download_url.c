#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/uri.h"
#include "base/wire.h"
#include "mount/transfer_parts.h"

#define PROGRESS_MS	1000
#define REDIRECTS_MAX	5
#define TRIES		3		/* without a byte more; of beginning anew */
#define STREAM_MS	(24LL * 3600 * 1000)	/* of one; what stands still ends sooner */
#define TEMPORARY	".amlshim-url"

/*
 * A file of a public server: one stream, no credentials.  A stream that breaks goes on where
 * it was, with Range and If-Range (RFC 9110, 14.2 and 13.1.5), if the server told which version
 * it sends; else it begins anew.  What an earlier run fetched is not used.
 */
struct fetch {
	struct transfer	 t;
	const char	*name;
	char		*url;
	int		 fd;
	int64_t		 have;		/* bytes in the file; base: when the request began */
	int64_t		 base, total, mtime_unix_s;	/* total: -1 not told */
	char		 version[HTTP_ETAG_MAX];	/* If-Range; "": cannot go on */
	int		 fault;		/* errno of a write; or -1: another version came */
	int		 restarts;	/* that threw away what had come */
	int		 over;		/* t.lock */
	struct err	 err;		/* t.lock until over; kind NONE: it came */
};

static void
begin_anew(struct fetch *f)
{
	f->restarts += f->have > 0;
	f->have = 0;
	f->version[0] = '\0';
	pthread_mutex_lock(&f->t.lock);
	f->t.stats.bytes_read = 0;
	pthread_mutex_unlock(&f->t.lock);
}

static int
prepare(struct http_call *call, struct http_request *q, struct err *err)
{
	struct fetch *f = call->arg;

	(void)err;
	f->base = f->have;
	q->method = "GET";
	q->url = f->url;
	if (f->base == 0)
		return (0);
	q->headers[q->nheaders++] = (struct http_header){ "Range",
	    arena_printf(&call->scratch, "bytes=%lld-", (long long)f->base) };
	q->headers[q->nheaders++] = (struct http_header){ "If-Range", f->version };
	return (0);
}

/* Weak ETags do not tell whether bytes are the same. */
static void
take_version(struct fetch *f, const struct http_response *r)
{
	f->mtime_unix_s = r->last_modified_unix_s;
	f->total = r->content_length;
	if (r->etag[0] == '"')
		memcpy(f->version, r->etag, sizeof(f->version));
	else if (r->last_modified_unix_s != 0)
		clock_format_rfc1123(r->last_modified_unix_s, f->version);
	pthread_mutex_lock(&f->t.lock);
	f->t.stats.files_total = 1;
	f->t.stats.bytes_total = r->content_length > 0 ? r->content_length : 0;
	pthread_mutex_unlock(&f->t.lock);
}

static int
sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct fetch *f = call->arg;
	const struct http_response *r = &call->response;

	(void)offset;		/* of this request's body; each try begins one at f->base */
	if (f->have == f->base && (r->status == 206 ? r->range_first : 0) != f->base) {
		f->fault = -1;
		return (-1);
	}
	if (f->have == 0)
		take_version(f, r);
	if (fd_pwrite_all(f->fd, bytes, len, (off_t)f->have) != 0) {
		f->fault = errno;
		return (-1);
	}
	f->have += (int64_t)len;
	transfer_count(&f->t, &f->t.stats.bytes_read, (int64_t)len);
	return (0);
}

/* Where a redirection leads: a whole address or a path, and not from https to http. */
static int
follow(struct fetch *f, const char *location, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct uri from, to;
	char *next = NULL;

	if (location[0] == '/' && location[1] != '/' && uri_parse(&from, f->url, &mem) == 0)
		location = from.port == 0 ?
		    arena_printf(&mem, "%s://%s%s", from.scheme, from.host, location) :
		    arena_printf(&mem, "%s://%s:%d%s", from.scheme, from.host, from.port, location);
	if (uri_parse(&to, location, &mem) == 0 && to.user[0] == '\0' &&
	    (strcmp(to.scheme, "https") == 0 ||
	    (strcmp(to.scheme, "http") == 0 && str_starts(f->url, "http:"))))
		next = mem_strdup(location);
	arena_done(&mem);
	if (next == NULL)
		return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "download",
		    "the server redirects to where this cannot follow"));
	free(f->url);
	f->url = next;
	begin_anew(f);
	return (0);
}

enum answer { ANSWER_FAILED, ANSWER_WHOLE, ANSWER_AGAIN, ANSWER_ELSEWHERE };

/* A whole answer need not be the rest of the file (RFC 9110, 15.3.7: less than was asked for). */
static enum answer
look_at_end(struct fetch *f, const struct http_response *r, struct err *err)
{
	int64_t total = r->range_total >= 0 ? r->range_total : f->total;

	if (r->status == 206 ? f->have >= total : f->base == 0)
		return (ANSWER_WHOLE);
	err_set(err, ERR_PROTOCOL, REMEDY_RETRY_LATER, "download",
	    "the server does not send the rest of it");
	if (r->status != 206)
		begin_anew(f);
	return (ANSWER_AGAIN);
}

static enum answer
request(struct fetch *f, int *redirects, struct err *err)
{
	struct http_call call = { .op = "download", .prepare = prepare, .sink = sink, .arg = f,
	    .max_tries = 1, .deadline_ms = clock_ms() + STREAM_MS };
	enum answer answer = ANSWER_FAILED;
	int status, rc;

	f->fault = 0;
	rc = http_do(f->t.http, &call, err);
	status = call.response.status;
	if (rc == 0) {
		answer = look_at_end(f, &call.response, err);
	} else if (f->fault > 0) {
		errno = f->fault;
		err_errno(err, "write a file", f->name);
		if (f->fault == ENOSPC)
			err->remedy = REMEDY_FREE_DISK;
	} else if (f->fault < 0 || status == 416) {
		begin_anew(f);		/* another version */
		answer = ANSWER_AGAIN;
	} else if (status >= 300 && status < 400) {
		if (++*redirects > REDIRECTS_MAX)
			err_set(err, ERR_PROTOCOL, REMEDY_CHECK_NAME, "download",
			    "more than %d redirections", REDIRECTS_MAX);
		else if (follow(f, call.response.location, err) == 0)
			answer = ANSWER_ELSEWHERE;
	} else if (status < 300 ||
	    http_default_verdict(&call.response) == HTTP_RETRY) {
		if (f->version[0] == '\0')
			begin_anew(f);
		answer = ANSWER_AGAIN;
	}
	http_call_done(&call);
	return (answer);
}

static int
fetch(struct fetch *f, struct err *err)
{
	int redirects = 0, tries = 0;
	enum answer answer;
	int64_t had;

	for (;;) {
		had = f->have;
		answer = request(f, &redirects, err);
		if (answer == ANSWER_WHOLE || answer == ANSWER_FAILED)
			return (answer == ANSWER_WHOLE ? 0 : -1);
		if (answer == ANSWER_ELSEWHERE)
			continue;
		if (f->restarts >= TRIES)
			return (err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "download",
			    "it broke off %d times, and the server cannot go on where it was, or "
			    "has another version each time", f->restarts));
		tries = f->have > had ? 0 : tries + 1;
		if (tries >= TRIES)
			return (-1);
		clock_sleep_ms(clock_jitter(0, (int64_t)100 << (2 * tries)));
	}
}

static int
put_in_place(struct fetch *f, struct err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = (time_t)f->mtime_unix_s } };

	if (ftruncate(f->fd, (off_t)f->have) != 0)	/* of a longer version before */
		return (err_errno(err, "write a file", f->name));
	if (f->mtime_unix_s != 0 && futimens(f->fd, times) != 0)
		return (err_errno(err, "write a file", f->name));
	if (close(fd_take(&f->fd)) != 0 ||
	    renameat(f->t.target_fd, TEMPORARY, f->t.target_fd, f->name) != 0)
		return (err_errno(err, "finish a file", f->name));
	return (0);
}

static void *
fetcher(void *arg)
{
	struct fetch *f = arg;
	struct err err = ERR_EMPTY;
	char url[320];
	int rc = fetch(f, &err);

	if (rc == 0)
		rc = put_in_place(f, &err);
	if (rc != 0)
		err_on(&err, "%s", http_printable_url(f->t.access->url, url, sizeof(url)));
	pthread_mutex_lock(&f->t.lock);
	f->err = rc != 0 ? err : ERR_EMPTY;
	f->t.stats.files_done = rc == 0;
	f->over = 1;
	pthread_mutex_unlock(&f->t.lock);
	return (NULL);
}

static int
is_over(struct fetch *f, struct err *ret)
{
	int over;

	pthread_mutex_lock(&f->t.lock);
	over = f->over;
	*ret = f->err;
	pthread_mutex_unlock(&f->t.lock);
	return (over);
}

void
transfer_url_main(const struct transfer_options *opt)
{
	static struct fetch f;
	const char *slash = strrchr(opt->access->prefix, '/');
	struct err err = ERR_EMPTY;
	pthread_t thread;

	transfer_begin(&f.t, opt, 1);
	f.name = opt->access->file_name != NULL ? opt->access->file_name :
	    slash != NULL ? slash + 1 : opt->access->prefix;
	f.url = mem_strdup(opt->access->url);
	f.fd = openat(f.t.target_fd, TEMPORARY,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (f.fd < 0) {
		err_errno(&err, "create a file", f.name);
		transfer_fail(&f.t, &err);
	}
	if ((errno = pthread_create(&thread, NULL, fetcher, &f)) != 0) {
		err_errno(&err, "start a thread", "download");
		transfer_fail(&f.t, &err);
	}
	pthread_detach(thread);
	while (!is_over(&f, &err)) {
		if (transfer_told_to_stop(&f.t, PROGRESS_MS / 20, NULL))
			_exit(0);
		transfer_progress(&f.t);
	}
	if (err.kind != ERR_NONE)
		transfer_fail(&f.t, &err);
	transfer_send(&f.t, WIRE_PROGRESS, NULL);
	transfer_send(&f.t, WIRE_READY, NULL);
	_exit(0);
}
