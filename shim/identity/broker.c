#include "identity/broker.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/httpd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/uri.h"

#define CONNECTIONS_MAX	256
#define BACKLOG		256
#define REQUEST_MS	30000
#define TOKEN_WAIT_MS	60000
#define RESOURCE_MAX	512

struct connection {
	struct connection *next;
	struct broker	*broker;
	int		 fd;
	int64_t		 deadline_ms;	/* for the bytes under way */
	int64_t		 idle_since_ms;	/* guarded by the broker's lock; 0: busy */
};

struct broker {
	struct broker_options opt;
	pthread_t	 acceptor;
	/* Guards all below. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct connection *connections;
	size_t		 nconnections;
	int		 stopping;
	int64_t		 grants;
};

int
broker_listen(int *ret_port, struct err *err)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
		err_errno(err, "listen for the job's token requests", "127.0.0.1");
		mem_close_fd(&fd);
		return (-1);
	}
	*ret_port = ntohs(addr.sin_port);
	return (fd);
}

/* --- one request ------------------------------------------------------------------ */

struct ask {
	struct httpd_conn *http;
	const char	*resource;
	struct plan_identity identity;
	struct arena	 mem;
};

static int
reply_error(struct ask *ask, int status, const char *code, const char *message)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	log_warning("token request refused: %s resource=%s", message,
	    ask->resource == NULL ? "-" : ask->resource);
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "error", code);
	json_out_kstring(&out, "error_description", message);
	json_out_end(&out, '}');
	return (httpd_reply(ask->http, status, "Content-Type: application/json\r\n",
	    buf_str(&body), body.len));
}

static int
reply_token(struct broker *b, struct ask *ask, const struct token *t)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kstring(&out, "access_token", t->text.text);
	json_out_kint(&out, "expires_on", t->expires_unix_s);
	json_out_kstring(&out, "resource", ask->resource);
	json_out_kstring(&out, "token_type", "Bearer");
	if (ask->identity.client_id != NULL)
		json_out_kstring(&out, "client_id", ask->identity.client_id);
	json_out_end(&out, '}');
	pthread_mutex_lock(&b->lock);
	b->grants++;
	pthread_mutex_unlock(&b->lock);
	log_info("token granted: %s resource=%s expires_in=%llds", ask->identity.label,
	    ask->resource, (long long)(t->expires_unix_s - clock_wall_s()));
	return (httpd_reply(ask->http, 200,
	    "Content-Type: application/json\r\nCache-Control: no-store\r\n", buf_str(&body),
	    body.len));
}

static int
grant(struct broker *b, struct ask *ask)
{
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	char line[1024];
	int sent;

	if (cache_get(b->opt.cache, &ask->identity, ask->resource, 0,
	    clock_ms() + TOKEN_WAIT_MS, &t, &err) != 0)
		return (reply_error(ask, err.kind == ERR_UNREACHABLE ? 503 : 400,
		    err.kind == ERR_UNREACHABLE ? "temporarily_unavailable" : "invalid_request",
		    err_line(&err, line, sizeof(line))));
	sent = reply_token(b, ask, &t);
	token_done(&t);
	return (sent);
}

static int
is_id(const char *have, const char *named)
{
	return (have != NULL && str_same(have, named));
}

/* The identity of the compute that has this object or resource id. */
static const struct spec_uai *
find_uai(const struct plan *plan, const char *id)
{
	size_t i;

	for (i = 0; i < plan->nbroker_uais; i++)
		if (is_id(plan->broker_uais[i].object_id, id) ||
		    is_id(plan->broker_uais[i].resource_id, id))
			return (&plan->broker_uais[i]);
	return (NULL);
}

static int
may_have(const struct plan *plan, const char *client_id)
{
	size_t i;

	if (plan->broker_any_client_id)
		return (1);
	for (i = 0; i < plan->nbroker_uais; i++)
		if (is_id(plan->broker_uais[i].client_id, client_id))
			return (1);
	return (0);
}

/* By object or resource id: some clients pass these on to an endpoint that knows neither. */
static int
choose_by_other_id(struct broker *b, struct ask *ask, const char *id)
{
	const struct plan_identity *by_default = &b->opt.plan->broker_default;
	const struct spec_uai *uai;

	if (is_id(by_default->object_id, id) || is_id(by_default->resource_id, id))
		return (0);
	uai = find_uai(b->opt.plan, id);
	if (uai == NULL)
		return (-1);
	ask->identity.client_id = uai->client_id;
	ask->identity.object_id = uai->client_id != NULL ? NULL : uai->object_id;
	ask->identity.resource_id = uai->client_id != NULL || uai->object_id != NULL ? NULL :
	    uai->resource_id;
	ask->identity.label = arena_printf(&ask->mem, "managed identity %s", id);
	return (0);
}

/* A missing, empty or non-GUID client id means the default, as on Azure ML. */
static int
choose_identity(struct broker *b, struct ask *ask, const char *query)
{
	static const char *const others[] = {
		"object_id", "principal_id", "mi_res_id", "msi_res_id",
	};
	const struct plan *plan = b->opt.plan;
	const char *id = uri_query_get(query, "clientid", &ask->mem);
	size_t i;

	ask->identity = plan->broker_default;
	if (id == NULL)
		id = uri_query_get(query, "client_id", &ask->mem);
	if (id != NULL && str_is_guid(id)) {
		if (is_id(plan->broker_default.client_id, id))
			return (0);
		ask->identity.client_id = id;
		ask->identity.object_id = ask->identity.resource_id = NULL;
		ask->identity.label = arena_printf(&ask->mem, "managed identity %s", id);
		return (may_have(plan, id) ? 0 : -1);
	}
	for (i = 0; i < LENGTH(others); i++) {
		id = uri_query_get(query, others[i], &ask->mem);
		if (id != NULL && id[0] != '\0')
			return (choose_by_other_id(b, ask, id));
	}
	return (0);
}

static int
answer_msi(struct broker *b, struct ask *ask, const char *query)
{
	const char *secret = httpd_header(&ask->http->req, "secret");
	const char *version = uri_query_get(query, "api-version", &ask->mem);

	if (secret == NULL || !secret_equal(b->opt.secret, secret, strlen(secret)))
		return (reply_error(ask, 403, "invalid_secret",
		    "header \"secret\" is missing or wrong: send MSI_SECRET"));
	if (version != NULL && strcmp(version, "2017-09-01") != 0)
		return (reply_error(ask, 400, "invalid_request",
		    "api-version must be 2017-09-01"));
	if (b->opt.plan->broker != PLAN_BROKER_MANAGED)
		return (reply_error(ask, 403, "identity_not_allowed",
		    "this job runs under user identity: managed identities are not for it; use "
		    "OBO_ENDPOINT"));
	if (choose_identity(b, ask, query) != 0)
		return (reply_error(ask, 403, "identity_not_allowed",
		    "the compute does not have the managed identity that was named"));
	return (grant(b, ask));
}

static int
answer_obo(struct broker *b, struct ask *ask)
{
	if (b->opt.plan->broker != PLAN_BROKER_USER)
		return (reply_error(ask, 403, "identity_not_allowed",
		    "this job does not run under user identity; use MSI_ENDPOINT"));
	ask->identity = b->opt.plan->broker_default;
	return (grant(b, ask));
}

/* The client of this dialect sends no secret, so the path holds it: /OBO/SECRET/token. */
static int
is_obo_path(const struct broker *b, const char *path)
{
	const char *secret, *end;

	if (!str_starts(path, "/OBO/"))
		return (0);
	secret = path + strlen("/OBO/");
	end = strchr(secret, '/');
	return (end != NULL && strcmp(end, "/token") == 0 &&
	    secret_equal(b->opt.secret, secret, (size_t)(end - secret)));
}

static int
answer(struct broker *b, struct ask *ask)
{
	const struct httpd_request *req = &ask->http->req;

	if (strcmp(req->method, "GET") != 0)
		return (reply_error(ask, 405, "invalid_request", "only GET is known here"));
	ask->resource = uri_query_get(req->query, "resource", &ask->mem);
	if (httpd_header(req, "x-forwarded-for") != NULL)
		return (reply_error(ask, 403, "invalid_request", "forwarded requests are refused"));
	if (strcmp(req->path, "/MSI/auth") != 0 && strcmp(req->path, "/MSI/auth/") != 0 &&
	    !is_obo_path(b, req->path))
		return (reply_error(ask, 404, "not_found", "there is no such endpoint"));
	if (ask->resource == NULL || ask->resource[0] == '\0' ||
	    strlen(ask->resource) > RESOURCE_MAX)
		return (reply_error(ask, 400, "invalid_resource", "resource is missing"));
	if (req->path[1] == 'M')
		return (answer_msi(b, ask, req->query));
	return (answer_obo(b, ask));
}

/* --- connections -------------------------------------------------------------------- */

/* 0: it can be read from or written to, -1: not before the deadline. */
static int
wait_for(const struct connection *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int64_t left_ms;
	int n;

	do {
		left_ms = c->deadline_ms - clock_ms();
		n = poll(&p, 1, left_ms < 0 ? 0 : (int)left_ms);
	} while (n < 0 && errno == EINTR);
	return (n == 1 ? 0 : -1);
}

static ssize_t
receive(void *arg, void *data, size_t size)
{
	const struct connection *c = arg;
	ssize_t n;

	do {
		if (wait_for(c, POLLIN) != 0)
			return (-1);
		n = recv(c->fd, data, size, MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return (n);
}

static int
send_all(void *arg, const void *data, size_t size)
{
	struct connection *c = arg;
	const char *at = data;
	ssize_t n;

	c->deadline_ms = clock_ms() + c->broker->opt.request_ms;
	while (size != 0) {
		n = send(c->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && wait_for(c, POLLOUT) == 0)
			continue;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (-1);
		at += n;
		size -= (size_t)n;
	}
	return (0);
}

static void
set_idle_since(struct connection *c, int64_t ms)
{
	struct broker *b = c->broker;

	pthread_mutex_lock(&b->lock);
	c->idle_since_ms = ms;
	if (ms != 0 && b->nconnections >= b->opt.connections_max)
		pthread_cond_broadcast(&b->changed);	/* it can make room */
	pthread_mutex_unlock(&b->lock);
}

static int
next_request(struct connection *c, struct httpd_conn *http)
{
	int64_t now = clock_ms();
	int got;

	c->deadline_ms = now + c->broker->opt.request_ms;
	set_idle_since(c, now);
	got = httpd_next(http);
	set_idle_since(c, 0);
	return (got == 1);
}

static void
serve(struct connection *c)
{
	struct httpd_conn *http = mem_zalloc(sizeof(*http));
	int more = 1;

	http->recv = receive;
	http->send = send_all;
	http->arg = c;
	while (more && next_request(c, http)) {
		struct ask ask = { .http = http, .resource = NULL };

		more = answer(c->broker, &ask) == 0 && http->req.keep_alive;
		arena_done(&ask.mem);
	}
	secret_wipe(http->in, sizeof(http->in));
	free(http);
}

static void
forget(struct connection *c)
{
	struct broker *b = c->broker;
	struct connection **at;

	pthread_mutex_lock(&b->lock);
	for (at = &b->connections; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	b->nconnections--;
	close(c->fd);
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	free(c);
}

static void *
connection_thread(void *arg)
{
	struct connection *c = arg;

	serve(c);
	forget(c);
	return (NULL);
}

/* With the lock held. */
static void
close_idlest(struct broker *b)
{
	struct connection *c, *idlest = NULL;

	for (c = b->connections; c != NULL; c = c->next)
		if (c->idle_since_ms != 0 &&
		    (idlest == NULL || c->idle_since_ms < idlest->idle_since_ms))
			idlest = c;
	if (idlest == NULL)
		return;
	idlest->idle_since_ms = 0;
	shutdown(idlest->fd, SHUT_RDWR);	/* its thread does the rest */
}

static void
add_connection(struct broker *b, int fd)
{
	struct connection *c = mem_zalloc(sizeof(*c));
	pthread_attr_t attr;
	pthread_t thread;

	c->broker = b;
	c->fd = fd;
	pthread_mutex_lock(&b->lock);
	while (b->nconnections >= b->opt.connections_max && !b->stopping) {
		close_idlest(b);
		pthread_cond_wait(&b->changed, &b->lock);
	}
	c->next = b->connections;
	b->connections = c;
	b->nconnections++;
	pthread_mutex_unlock(&b->lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, connection_thread, c) != 0)
		forget(c);
	pthread_attr_destroy(&attr);
}

static void *
accept_thread(void *arg)
{
	struct broker *b = arg;
	int fd, stopping;

	for (;;) {
		fd = accept4(b->opt.listen_fd, NULL, NULL, SOCK_CLOEXEC);
		pthread_mutex_lock(&b->lock);
		stopping = b->stopping;
		pthread_mutex_unlock(&b->lock);
		if (stopping) {
			mem_close_fd(&fd);
			return (NULL);
		}
		if (fd >= 0)
			add_connection(b, fd);
		else if (errno != EINTR && errno != ECONNABORTED)
			clock_sleep_ms(50);	/* EMFILE and the like pass */
	}
}

struct broker *
broker_new(const struct broker_options *opt, struct err *err)
{
	struct broker *b = mem_zalloc(sizeof(*b));

	b->opt = *opt;
	if (b->opt.request_ms == 0)
		b->opt.request_ms = REQUEST_MS;
	if (b->opt.connections_max == 0)
		b->opt.connections_max = CONNECTIONS_MAX;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	errno = pthread_create(&b->acceptor, NULL, accept_thread, b);
	if (errno != 0) {
		err_errno(err, "start a thread", "token broker");
		free(b);
		return (NULL);
	}
	return (b);
}

void
broker_free(struct broker *b)
{
	struct connection *c;

	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = 1;
	pthread_cond_broadcast(&b->changed);
	shutdown(b->opt.listen_fd, SHUT_RDWR);		/* wakes accept */
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->acceptor, NULL);
	pthread_mutex_lock(&b->lock);
	for (c = b->connections; c != NULL; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	while (b->nconnections != 0)
		pthread_cond_wait(&b->changed, &b->lock);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	close(b->opt.listen_fd);
	free(b);
}

int64_t
broker_grants(const struct broker *b)
{
	int64_t n;

	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&b->lock);
	n = b->grants;
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&b->lock);
	return (n);
}
