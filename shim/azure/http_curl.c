#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "azure/ca.h"
#include "azure/http_answer.h"
#include "azure/http_lib.h"
#include "azure/trust.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/secret.h"

#define ERROR_BODY_MAX		16384
#define BODY_MAX		(1 << 20)
#define KEEPALIVE_S		30L	/* Azure's load balancers forget idle flows after 4 min */
#define IDLE_MAX_S		60L	/* the service closes idle connections after some minutes */
#define RECEIVE_SIZE		(256L * 1024)
#define EVENTS			64
#define NO_TLS_1_2		"BearSSL: connection error 0x0003"	/* unsupported version */

/*
 * AES-GCM first: with AES instructions it is more than ten times as fast as
 * ChaCha20, which BearSSL prefers.  Forward secrecy and AEAD only.
 */
#define CIPHERS \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* An easy handle and what belongs to it; used again and again. */
struct handle {
	struct http_lib	*lib;
	CURL		*easy;
	struct trust_slot *slot;
	struct http_try	*try;		/* that uses it */
	int		 is_pinned;
	unsigned char	 pin[HTTP_PIN_SIZE];
	struct curl_slist lines[HTTP_HEADERS_MAX + 1];
	char		 cause[CURL_ERROR_SIZE];
	int		 socket_errno;	/* why there was no socket for it; 0 */
	struct handle	*next;		/* of the idle ones */
};

struct http_lib {
	int		 connect_timeout_ms;
	char		*user_agent, *ca_file;
	struct trust	*trust;			/* NULL: libcurl reads the roots itself */
	CURLM		*multi;
	int		 wake_fd, epoll_fd;
	int64_t		 timer_ms;		/* libcurl's, -1: none */
	struct handle	*idle;
};

/* ---- libcurl's callbacks ----------------------------------------------- */

static size_t
on_header(char *line, size_t one, size_t len, void *arg)
{
	struct http_try *t = arg;

	(void)one;
	t->progress_ms = clock_ms();
	if (t->call->response.head_ms < 0)
		t->call->response.head_ms = (int)(t->progress_ms - t->started_ms);
	http_answer_line(&t->call->response, line, len);
	return (len);
}

static int
keep(struct http_try *t, const char *data, size_t len)
{
	struct http_call *call = t->call;
	struct http_response *r = &call->response;
	size_t max = call->body_max > 0 ? call->body_max : BODY_MAX;
	size_t room;

	if (r->status >= 300) {		/* cut: it is only explained to people */
		room = ERROR_BODY_MAX - r->error_body.len;
		return (buf_add(&r->error_body, data, len < room ? len : room));
	}
	if (len > max - r->error_body.len) {
		t->stop = HTTP_STOP_TOO_LONG;
		return (-1);
	}
	r->body_received += (int64_t)len;
	return (buf_add(&r->error_body, data, len));
}

static size_t
on_body(char *data, size_t one, size_t len, void *arg)
{
	struct http_try *t = arg;
	struct http_call *call = t->call;
	struct http_response *r = &call->response;

	(void)one;
	t->progress_ms = clock_ms();
	if (call->sink == NULL || r->status >= 300)
		return (keep(t, data, len) == 0 ? len : CURL_WRITEFUNC_ERROR);
	if (call->sink(call, r->body_received, data, len) != 0) {
		t->stop = HTTP_STOP_SINK;
		return (CURL_WRITEFUNC_ERROR);
	}
	r->body_received += (int64_t)len;
	return (len);
}

/* libcurl repeats by itself what got no answer on a kept connection. */
static int
on_request(void *arg, char *to, char *from, int to_port, int from_port)
{
	struct http_try *t = arg;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	t->stage = HTTP_AT_ANSWER;
	if (t->sent++ > 0)
		t->call->tries++;	/* the other side may have acted on the first */
	return (CURL_PREREQFUNC_OK);
}

static size_t
on_send(char *to, size_t one, size_t size, void *arg)
{
	struct http_try *t = arg;
	const struct http_request *q = &t->request;
	size_t left = q->body_len - (size_t)t->body_sent;
	ssize_t n;

	(void)one;
	t->progress_ms = clock_ms();
	if (size > left)
		size = left;
	if (size == 0)
		return (0);
	if (q->body_fd < 0) {
		memcpy(to, (const char *)q->body + t->body_sent, size);
		n = (ssize_t)size;
	} else {
		n = fd_pread_full(q->body_fd, to, size, q->body_offset + t->body_sent);
		if (n <= 0) {
			t->stop = HTTP_STOP_BODY;
			t->stop_errno = n < 0 ? errno : 0;
			return (CURL_READFUNC_ABORT);
		}
	}
	t->body_sent += n;
	return ((size_t)n);
}

/* Of the body, when on_request is told of another sending. */
static int
on_rewind(void *arg, curl_off_t offset, int origin)
{
	struct http_try *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->request.body_len)
		return (CURL_SEEKFUNC_FAIL);
	t->body_sent = offset;
	return (CURL_SEEKFUNC_OK);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_lib *lib = arg;
	struct epoll_event ev = { .data.fd = fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(lib->epoll_fd, EPOLL_CTL_DEL, fd, NULL);	/* may be closed already */
		return (0);
	}
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(lib->epoll_fd, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
	    &ev) != 0 &&
	    (errno != ENOENT || epoll_ctl(lib->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) &&
	    (errno != EEXIST || epoll_ctl(lib->epoll_fd, EPOLL_CTL_MOD, fd, &ev) != 0))
		return (-1);
	curl_multi_assign(lib->multi, fd, lib);
	return (0);
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_lib *lib = arg;

	(void)multi;
	lib->timer_ms = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
	return (0);
}

static CURLcode
on_tls(CURL *easy, void *tls, void *arg)
{
	struct handle *handle = arg;

	(void)easy;
	handle->try->stage = HTTP_AT_TLS;
	if (handle->is_pinned) {
		trust_apply_pin(handle->slot, handle->pin, tls);
		return (CURLE_OK);
	}
	return (trust_apply(handle->lib->trust, handle->slot, tls) == 0 ? CURLE_OK :
	    CURLE_SSL_CACERT_BADFILE);
}

/* ---- one try ----------------------------------------------------------- */

/* Our own roots, or libcurl's reading of them. */
static void
set_trust(const struct handle *handle, int own)
{
	const struct http_lib *lib = handle->lib;
	struct curl_blob roots = { .len = amlshim_ca_bundle_pem_len, .flags = CURL_BLOB_COPY };

	if (own) {
		curl_easy_setopt(handle->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
		curl_easy_setopt(handle->easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(handle->easy, CURLOPT_CAINFO_BLOB, NULL);
		return;
	}
	curl_easy_setopt(handle->easy, CURLOPT_SSL_CTX_FUNCTION, NULL);
	if (lib->ca_file != NULL) {
		curl_easy_setopt(handle->easy, CURLOPT_CAINFO, lib->ca_file);
		return;
	}
	memcpy(&roots.data, &(const char *){ amlshim_ca_bundle_pem },
	    sizeof(roots.data));	/* libcurl only reads it, its type says else */
	curl_easy_setopt(handle->easy, CURLOPT_CAINFO_BLOB, &roots);
}

/*
 * libcurl's own check is off, on_tls puts ours in its place.  The pin stands in as
 * the CA blob, which nobody reads then: libcurl compares blobs before it lets a request use a
 * connection.  A resumed session would show no certificate: none is kept.
 */
static CURLcode
set_pin(struct handle *handle, const unsigned char *pin)
{
	struct curl_blob blob = { .data = handle->pin, .len = HTTP_PIN_SIZE,
	    .flags = CURL_BLOB_COPY };
	CURL *easy = handle->easy;

	handle->is_pinned = pin != NULL;
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, pin != NULL ? 0L : 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, pin != NULL ? 0L : 1L);
	if (pin == NULL)
		return (CURLE_OK);
	if (handle->lib->trust == NULL)
		return (CURLE_NOT_BUILT_IN);	/* another TLS library: it cannot pin */
	memcpy(handle->pin, pin, HTTP_PIN_SIZE);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	return (curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob));
}

/*
 * The name is known: the connection begins.  As libcurl does it, but it would forget why it could
 * not.
 */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct handle *handle = arg;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);

	(void)purpose;
	handle->try->stage = HTTP_AT_CONNECT;
	if (fd >= 0 || errno != EAFNOSUPPORT)	/* without IPv6 the next address may do */
		handle->socket_errno = fd >= 0 ? 0 : errno;
	return (fd);
}

/* What is the same for every try. */
static void
set_common(struct handle *handle)
{
	CURL *easy = handle->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);	/* wait for no resolver thread */
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, handle->lib->user_agent);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, CIPHERS);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, handle);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->cause);
}

static void
handle_free(struct handle *handle)
{
	curl_easy_cleanup(handle->easy);
	trust_slot_free(handle->slot);
	free(handle);
}

static struct handle *
handle_take(struct http_lib *lib)
{
	struct handle *handle = lib->idle;

	if (handle != NULL) {
		lib->idle = handle->next;
		return (handle);
	}
	handle = mem_zalloc(sizeof(*handle));
	handle->lib = lib;
	handle->slot = trust_slot_new();
	if ((handle->easy = curl_easy_init()) == NULL) {
		handle_free(handle);
		return (NULL);
	}
	set_common(handle);
	return (handle);
}

static void
handle_give(struct http_lib *lib, struct http_try *t)
{
	struct handle *handle = t->handle;

	curl_multi_remove_handle(lib->multi, handle->easy);
	t->handle = NULL;
	handle->next = lib->idle;
	lib->idle = handle;
}

/* List nodes of our own, in the call's scratch: libcurl only reads them. */
static struct curl_slist *
header_lines(struct handle *handle, const struct http_try *t)
{
	const struct http_request *q = &t->request;
	struct arena *mem = &t->call->scratch;
	struct curl_slist *lines = handle->lines;
	size_t i;

	/* A round trip for each block, else. */
	lines[0].data = arena_strdup(mem, "Expect:");
	for (i = 0; i < q->nheaders; i++) {
		const struct http_header *field = &q->headers[i];

		/* "Name;" is how libcurl is told to send an empty one. */
		lines[i + 1].data = field->value[0] == '\0' ?
		    arena_printf(mem, "%s;", field->name) :
		    arena_printf(mem, "%s: %s", field->name, field->value);
		lines[i].next = &lines[i + 1];
	}
	lines[q->nheaders].next = NULL;
	return (lines);
}

static int
takes_body(const char *method)
{
	return (strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 ||
	    strcmp(method, "PATCH") == 0);
}

static void
set_method(CURL *easy, const struct http_request *q)
{
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (q->body_len > 0 || takes_body(q->method)) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
	} else if (strcmp(q->method, "GET") != 0)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
}

static CURLcode
set_request(struct handle *handle, struct http_try *t)
{
	const struct http_request *q = &t->request;
	int64_t left_ms = t->deadline_ms - t->started_ms;
	int connect_ms = handle->lib->connect_timeout_ms;
	CURL *easy = handle->easy;

	set_method(easy, q);
	set_trust(handle, handle->lib->trust != NULL);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, header_lines(handle, t));
	curl_easy_setopt(easy, CURLOPT_NOPROXY, q->no_proxy ? "*" : NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (set_pin(handle, q->pin_sha1) != CURLE_OK)
		return (CURLE_NOT_BUILT_IN);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(left_ms < connect_ms ? left_ms : connect_ms));
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)t->fresh);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	return (curl_easy_setopt(easy, CURLOPT_URL, q->url));
}

int
http_lib_start(struct http_lib *lib, struct http_try *t, struct err *err)
{
	struct handle *handle = handle_take(lib);

	if (handle == NULL)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, t->call->op, "out of memory"));
	t->handle = handle;
	handle->try = t;
	t->stage = HTTP_AT_NAME;
	t->started_ms = t->progress_ms = clock_ms();
	t->body_sent = 0;
	t->sent = 0;
	t->stop = HTTP_STOP_NONE;
	t->stop_errno = t->complete = t->stale = t->hopeless = 0;
	handle->cause[0] = '\0';
	handle->socket_errno = 0;
	if (set_request(handle, t) != CURLE_OK ||
	    curl_multi_add_handle(lib->multi, handle->easy) != CURLM_OK) {
		handle_give(lib, t);
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, t->call->op,
		    "libcurl did not take the request"));
	}
	return (0);
}

/* ---- the end of a try -------------------------------------------------- */

struct failure {
	CURLcode	 code;
	enum err_kind	 kind;
	enum err_remedy	 remedy;
	int		 hopeless;
};

static const struct failure failures[] = {
	{ CURLE_COULDNT_RESOLVE_HOST,	ERR_UNREACHABLE, REMEDY_CHECK_DNS, 0 },
	{ CURLE_COULDNT_RESOLVE_PROXY,	ERR_UNREACHABLE, REMEDY_CHECK_DNS, 0 },
	{ CURLE_COULDNT_CONNECT,	ERR_UNREACHABLE, REMEDY_CHECK_ENDPOINT, 0 },
	{ CURLE_OPERATION_TIMEDOUT,	ERR_UNREACHABLE, REMEDY_CHECK_ENDPOINT, 0 },
	{ CURLE_PROXY,			ERR_UNREACHABLE, REMEDY_CHECK_ENDPOINT, 0 },
	{ CURLE_SSL_CONNECT_ERROR,	ERR_UNREACHABLE, REMEDY_CHECK_TLS, 0 },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_UNREACHABLE, REMEDY_CHECK_TLS, 1 },
	{ CURLE_SSL_CACERT_BADFILE,	ERR_UNREACHABLE, REMEDY_CHECK_TLS, 1 },
	{ CURLE_SSL_CIPHER,		ERR_UNREACHABLE, REMEDY_CHECK_TLS, 1 },
	{ CURLE_URL_MALFORMAT,		ERR_USAGE, REMEDY_CHECK_ENDPOINT, 1 },
	{ CURLE_UNSUPPORTED_PROTOCOL,	ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, 1 },
	{ CURLE_OUT_OF_MEMORY,		ERR_SYSTEM, REMEDY_MORE_MEMORY, 0 },
	{ CURLE_WEIRD_SERVER_REPLY,	ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, 0 },
};

/* The certificate, in more words than libcurl's, whose first ones may be of another connection. */
static int
describe_trust(const struct handle *handle, struct http_try *t)
{
	int64_t end_s = trust_slot_expiry(handle->slot);
	const char *op = t->call->op;
	char date[CLOCK_ISO8601_SIZE];

	switch (trust_slot_fault(handle->slot)) {
	case TRUST_ENDED:
		if (end_s == 0 || end_s > clock_wall_s())
			return (err_set(&t->err, ERR_UNREACHABLE, REMEDY_CHECK_TLS_DATES, op,
			    "a certificate that stands for the server's has expired"));
		clock_format_iso8601(end_s, date);
		return (err_set(&t->err, ERR_UNREACHABLE, REMEDY_CHECK_TLS_DATES, op,
		    "the server's certificate has expired, %s", date));
	case TRUST_NOT_YET:
		return (err_set(&t->err, ERR_UNREACHABLE, REMEDY_CHECK_TLS_DATES, op,
		    "the server's certificate is not valid yet"));
	case TRUST_OTHER_NAME:
		return (err_set(&t->err, ERR_UNREACHABLE, REMEDY_CHECK_TLS_NAME, op,
		    "the server's certificate is for other names (server name not found in it)"));
	case TRUST_NO_ISSUER:
		return (err_set(&t->err, ERR_UNREACHABLE, REMEDY_CHECK_TLS, op,
		    "nobody who is trusted vouches for the server's certificate"));
	case TRUST_NO_FAULT:
	case TRUST_BAD_CHAIN:
		break;
	}
	return (0);
}

/* It could not be reached, or did not let the connection through. */
static int
is_proxy_fault(const struct http_response *r, CURLcode code)
{
	return (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY ||
	    r->proxy_status >= 300 || r->stage == HTTP_AT_PROXY);
}

/* What a failure without a row of its own is about: how far it came. */
static enum err_remedy
remedy_at(const struct http_response *r, const struct failure *f)
{
	if (is_proxy_fault(r, f->code))
		return (REMEDY_CHECK_PROXY);
	return (r->stage == HTTP_AT_TLS && !f->hopeless ? REMEDY_CHECK_HANDSHAKE : f->remedy);
}

/* There are none in the file; or it cannot be read, which may pass. */
static void
describe_roots(struct http_try *t, const struct failure *f)
{
	const struct handle *handle = t->handle;
	const struct http_lib *lib = handle->lib;
	const struct err *why = lib->trust != NULL ? trust_failure(lib->trust) : NULL;

	if (why == NULL) {
		err_set(&t->err, f->kind, f->remedy, t->call->op, "no CA certificate in %s",
		    lib->ca_file);
		return;
	}
	t->hopeless = why->sys_errno == ENOENT || why->sys_errno == ENOTDIR ||
	    why->sys_errno == EISDIR || why->sys_errno == EACCES || why->sys_errno == 0;
	err_set(&t->err, f->kind, why->remedy != REMEDY_NONE ? why->remedy : f->remedy, t->call->op,
	    "cannot %s the CA certificates in %s: %s", why->op, lib->ca_file, why->cause);
}

static void
describe(struct http_try *t, CURLcode code)
{
	const struct handle *handle = t->handle;
	const struct http_response *r = &t->call->response;
	struct failure f = { code, ERR_UNREACHABLE, REMEDY_RETRY_LATER, 0 };
	const char *cause = handle->cause[0] != '\0' ? handle->cause : curl_easy_strerror(code);
	const char *where;
	size_t i;

	for (i = 0; i < LENGTH(failures); i++)
		if (failures[i].code == code) {
			f = failures[i];
			break;
		}
	t->hopeless = f.hopeless;
	f.remedy = remedy_at(r, &f);
	if (code == CURLE_SSL_CONNECT_ERROR && strstr(cause, NO_TLS_1_2) != NULL)
		cause = "what answers speaks no TLS 1.2";
	where = f.remedy == REMEDY_CHECK_HANDSHAKE ? "in the TLS handshake: " : "";
	if (code == CURLE_PEER_FAILED_VERIFICATION && handle->is_pinned)
		err_set(&t->err, f.kind, REMEDY_CHECK_ENDPOINT, t->call->op,
		    "the server's certificate is not the pinned one (its SHA-1 differs)");
	else if (code == CURLE_PEER_FAILED_VERIFICATION && describe_trust(handle, t) != 0)
		return;
	else if (code == CURLE_OPERATION_TIMEDOUT) {
		http_answer_silence(r, clock_ms() - t->started_ms, &t->err);
		err_doing(&t->err, t->call->op);
	} else if (code == CURLE_COULDNT_CONNECT && handle->socket_errno != 0) {
		errno = handle->socket_errno;
		err_errno(&t->err, t->call->op, NULL);
	} else if (code == CURLE_SSL_CACERT_BADFILE && handle->lib->ca_file != NULL)
		describe_roots(t, &f);
	else	/* what follows a '?' could be a SAS */
		err_set(&t->err, f.kind, f.remedy, t->call->op, "%s%.*s", where,
		    (int)strcspn(cause, "?"), cause);
}

/* Before the proxy's answer to CONNECT all is between us and the proxy. */
static enum http_stage
stage_of(const struct http_try *t, const struct http_response *r)
{
	if (!r->used_proxy)
		return (t->stage);
	if (t->stage == HTTP_AT_NAME || t->stage == HTTP_AT_CONNECT ||
	    (t->stage == HTTP_AT_TLS && (r->proxy_status < 200 || r->proxy_status >= 300)))
		return (HTTP_AT_PROXY);
	return (t->stage);
}

/* What is known of the connection that was used. */
static void
tell_connection(const struct handle *handle, long connects, struct http_response *r)
{
	const char *peer = NULL;
	long proxied = 0, status = 0;

	curl_easy_getinfo(handle->easy, CURLINFO_PRIMARY_IP, &peer);
	curl_easy_getinfo(handle->easy, CURLINFO_USED_PROXY, &proxied);
	curl_easy_getinfo(handle->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	str_format(r->peer, sizeof(r->peer), "%s", peer != NULL ? peer : "");
	r->used_proxy = proxied != 0;
	r->proxy_status = (int)status;
	r->stage = stage_of(handle->try, r);
	if (connects > 0 && handle->lib->trust != NULL)
		r->tls_expiry_unix_s = trust_slot_expiry(handle->slot);
}

void
http_lib_stop(struct http_lib *lib, struct http_try *t)
{
	tell_connection(t->handle, 0, &t->call->response);
	handle_give(lib, t);
}

static void
settle(struct http_try *t, CURLcode code)
{
	const struct handle *handle = t->handle;
	long connects = 1;

	t->complete = code == CURLE_OK;
	curl_easy_getinfo(handle->easy, CURLINFO_NUM_CONNECTS, &connects);
	tell_connection(handle, connects, &t->call->response);
	if (t->complete)
		return;
	t->stale = connects == 0 && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR ||
	    code == CURLE_GOT_NOTHING);
	describe(t, code);
}

static void
collect(struct http_lib *lib, void (*ended)(void *, struct http_try *), void *arg)
{
	struct http_try *t;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(lib->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
		settle(t, m->data.result);
		handle_give(lib, t);
		ended(arg, t);
	}
}

/* ---- waiting ----------------------------------------------------------- */

static int
wait_ms(const struct http_lib *lib, int timeout_ms)
{
	int64_t left_ms;

	if (lib->timer_ms < 0)
		return (timeout_ms);
	left_ms = lib->timer_ms - clock_ms();
	if (left_ms < 0)
		left_ms = 0;
	return (timeout_ms >= 0 && timeout_ms < left_ms ? timeout_ms : (int)left_ms);
}

static void
act(struct http_lib *lib, const struct epoll_event *ev)
{
	int running, what = ((ev->events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
	    ((ev->events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
	    ((ev->events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
	uint64_t n;

	if (ev->data.fd != lib->wake_fd)
		curl_multi_socket_action(lib->multi, ev->data.fd, what, &running);
	else if (read(lib->wake_fd, &n, sizeof(n)) < 0)
		return;		/* EAGAIN: it was read already */
}

void
http_lib_wait(struct http_lib *lib, int timeout_ms, void (*ended)(void *, struct http_try *),
    void *arg)
{
	struct epoll_event events[EVENTS];
	int i, n, running;

	n = epoll_wait(lib->epoll_fd, events, EVENTS, wait_ms(lib, timeout_ms));
	for (i = 0; i < n; i++)
		act(lib, &events[i]);
	if (lib->timer_ms >= 0 && lib->timer_ms <= clock_ms()) {
		lib->timer_ms = -1;
		curl_multi_socket_action(lib->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	collect(lib, ended, arg);
}

void
http_lib_wake(struct http_lib *lib)
{
	static const uint64_t one = 1;

	while (write(lib->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* ---- begin and end ----------------------------------------------------- */

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void *
zalloc(size_t n, size_t size)
{
	size_t bytes = 0;

	return (mem_zalloc(__builtin_mul_overflow(n, size, &bytes) ? SIZE_MAX : bytes));
}

/*
 * Headers, addresses and answers hold tokens: libcurl's memory is wiped when it lets go of it.
 * None of these returns NULL: that libcurl has no memory would be an error of one request.
 */
static void
global_init(void)
{
	global_result = curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_alloc, secret_free,
	    secret_grow, mem_strdup, zalloc);
}

static int
open_multi(struct http_lib *lib, const struct http_lib_options *o, struct err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };

	pthread_once(&global_once, global_init);
	if (global_result != CURLE_OK || (lib->multi = curl_multi_init()) == NULL)
		return (err_set(err, ERR_SYSTEM, REMEDY_NONE, "start the network thread",
		    "libcurl: %s", curl_easy_strerror(global_result)));
	curl_multi_setopt(lib->multi, CURLMOPT_MAXCONNECTS, (long)o->max_connections);
	curl_multi_setopt(lib->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(lib->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(lib->multi, CURLMOPT_SOCKETDATA, lib);
	curl_multi_setopt(lib->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(lib->multi, CURLMOPT_TIMERDATA, lib);
	lib->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lib->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = lib->wake_fd;
	if (lib->wake_fd < 0 || lib->epoll_fd < 0 ||
	    epoll_ctl(lib->epoll_fd, EPOLL_CTL_ADD, lib->wake_fd, &ev) != 0)
		return (err_errno(err, "start the network thread", NULL));
	return (0);
}

static int
has_bearssl(void)
{
	const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;

	return (tls != NULL && str_starts(tls, "BearSSL"));
}

struct http_lib *
http_lib_new(const struct http_lib_options *o, struct err *err)
{
	struct http_lib *lib = mem_zalloc(sizeof(*lib));

	lib->wake_fd = lib->epoll_fd = -1;
	lib->timer_ms = -1;
	lib->connect_timeout_ms = o->connect_timeout_ms;
	lib->user_agent = mem_strdup(o->user_agent);
	lib->ca_file = o->ca_file != NULL ? mem_strdup(o->ca_file) : NULL;
	if (open_multi(lib, o, err) != 0) {
		http_lib_free(lib);
		return (NULL);
	}
	if (has_bearssl())
		lib->trust = trust_new(o->ca_file);
	return (lib);
}

void
http_lib_free(struct http_lib *lib)
{
	struct handle *handle, *next;

	if (lib == NULL)
		return;
	/* Connections first: they may still look at their handle's slot. */
	if (lib->multi != NULL)
		curl_multi_cleanup(lib->multi);
	for (handle = lib->idle; handle != NULL; handle = next) {
		next = handle->next;
		handle_free(handle);
	}
	trust_free(lib->trust);
	mem_close_fd(&lib->wake_fd);
	mem_close_fd(&lib->epoll_fd);
	free(lib->user_agent);
	free(lib->ca_file);
	free(lib);
}
