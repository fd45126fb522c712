#include "identity/broker.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/httpd.h"
#include "identity/broker_dialect.h"
#include "identity/whose.h"

#define THREAD_TRIES	6
#define CONNECTIONS_MAX	256
#define BACKLOG		256
#define REQUEST_MS	30000
#define TOKEN_WAIT_MS	60000

struct connection {
	struct connection *next;
	struct broker	*broker;
	int		 fd;
	int64_t		 deadline_ms;	/* for the bytes under way */
	int64_t		 idle_since_ms;	/* guarded by the broker's lock; 0: busy */
	int		 is_used;	/* a request was answered; written only while it is busy */
	int		 checked;	/* 1: the job's, -1: not, 0: not looked at yet */
	struct peer	 peer;
	struct err	 why;		/* it is not the job's */
};

struct listener {
	struct broker	*broker;
	int		 fd;
	pthread_t	 thread;
};

struct broker {
	struct broker_options opt;
	struct listener	 listeners[BROKER_LISTENERS];
	size_t		 nlisteners;
	/* Guards all below. */
	pthread_mutex_t	 lock;
	pthread_cond_t	 changed;
	struct connection *connections;
	size_t		 nconnections;
	int		 stopping;
	int		 settling;	/* no more are accepted: they wait for a successor */
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

/* A directory that only this user can enter; in memory where there is such a place. */
static int
make_private_directory(char *dir, size_t size)
{
	static const char *const places[] = { "/dev/shm", "/run", "/tmp" };
	size_t i;

	for (i = 0; i < LENGTH(places); i++) {
		str_format(dir, size, "%s/amlshim-XXXXXX", places[i]);
		if (mkdtemp(dir) != NULL)	/* mode 0700 */
			return (0);
	}
	return (-1);
}

int
broker_listen_unix(char *ret_path, size_t size, struct err *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sun_path[0] = '\0';
	if (fd >= 0 && make_private_directory(ret_path, size) == 0 &&
	    str_format(addr.sun_path, sizeof(addr.sun_path), "%s/broker", ret_path) == 0 &&
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    chmod(addr.sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0) {
		str_format(ret_path, size, "%s", addr.sun_path);
		return (fd);
	}
	err_errno(err, "make a socket for the job's token requests", "/dev/shm, /run, /tmp");
	if (addr.sun_path[0] != '\0')
		broker_remove_unix(addr.sun_path);
	mem_close_fd(&fd);
	return (-1);
}

int
broker_give_unix(const char *path, uid_t uid, gid_t gid)
{
	char dir[BROKER_PATH_SIZE];

	str_format(dir, sizeof(dir), "%s", path);
	if (strrchr(dir, '/') != NULL)
		*strrchr(dir, '/') = '\0';
	/* To be passed through; what is in it stays ours to remove. */
	return (chown(path, uid, gid) == 0 ? chmod(dir, 0711) : -1);
}

void
broker_remove_unix(const char *path)
{
	char dir[BROKER_PATH_SIZE];
	char *slash;

	str_format(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return;
	unlink(path);
	*slash = '\0';
	rmdir(dir);
}

/* --- one request ------------------------------------------------------------------ */

struct ask {
	struct connection *from;
	struct httpd_conn *http;
	const struct dialect *dialect;
	const char	*resource;
	struct plan_identity identity;
	struct arena	 mem;
};

static void
record(struct ask *ask, const char *reason, const char *text, const struct token *t)
{
	struct broker *b = ask->from->broker;
	struct audit_event e = { .peer = ask->from->checked != 0 ? &ask->from->peer : NULL,
	    .dialect = ask->dialect != NULL ? dialect_name(ask->dialect) : "none",
	    .identity = ask->identity.label, .client_id = ask->identity.client_id,
	    .audience = ask->resource, .reason = reason, .text = text,
	    .expires_unix_s = t != NULL ? t->expires_unix_s : 0 };

	audit_write(b->opt.audit, &e);
}

/* why: NULL: what the dialect says of it. */
static int
refuse(struct ask *ask, enum refusal refusal, const char *why)
{
	if (why == NULL)
		why = dialect_reason(ask->dialect, refusal);
	if (refusal != REFUSED_PROBE)
		record(ask, refusal_name(refusal), why, NULL);
	return (dialect_refuse(ask->dialect, ask->http, refusal, why) < 0 ? -1 : 0);
}

static int
refuse_path(struct ask *ask)
{
	static const char body[] =
	    "{\"error\":\"not_found\",\"error_description\":\"there is no such endpoint\"}";

	record(ask, "path", "there is no such endpoint", NULL);
	return (httpd_reply(ask->http, 404, "Content-Type: application/json\r\n", body,
	    sizeof(body) - 1));
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
		return (refuse(ask, err.kind == ERR_UNREACHABLE ? REFUSED_FOR_NOW :
		    REFUSED_BY_SOURCE, err_line(&err, line, sizeof(line))));
	pthread_mutex_lock(&b->lock);
	b->grants++;
	if (b->opt.granted != NULL)
		*b->opt.granted += 1;
	pthread_mutex_unlock(&b->lock);
	record(ask, NULL, NULL, &t);
	sent = dialect_grant(ask->dialect, ask->http, &t, ask->resource, ask->identity.client_id);
	token_done(&t);
	return (sent);
}

/* Once a connection: the same process is at its other end all the time. */
static int
is_of_the_job(struct connection *c)
{
	if (c->broker->opt.peers == NULL)
		return (1);
	if (c->checked == 0)
		c->checked = peers_check(c->broker->opt.peers, c->fd, &c->peer, &c->why) == 0 ? 1 :
		    -1;
	return (c->checked == 1);
}

static int
answer(struct broker *b, struct ask *ask)
{
	const struct httpd_request *req = &ask->http->req;
	const struct plan *plan = b->opt.plan;
	struct dialect_selector by = { NULL, NULL, NULL };
	int is_the_jobs = is_of_the_job(ask->from);
	enum refusal refusal;
	char why[512];

	ask->dialect = dialect_find(plan->broker_dialects, plan->broker, req->path, b->opt.secret);
	if (ask->dialect == NULL)
		return (refuse_path(ask));
	refusal = dialect_read(ask->dialect, req, b->opt.secret, &ask->resource, &by, &ask->mem);
	if (!is_the_jobs) {
		str_format(why, sizeof(why), "the client is not a process of the job: %s",
		    ask->from->why.cause);
		return (refuse(ask, REFUSED_PEER, why));
	}
	if (refusal != REFUSED_NOTHING)
		return (refuse(ask, refusal, NULL));
	if (!dialect_is_for(ask->dialect, plan->broker))
		return (refuse(ask, REFUSED_KIND, NULL));
	if (whose_identity(plan, by.client_id, by.object_id, by.resource_id, &ask->identity,
	    &ask->mem) != 0)
		return (refuse(ask, REFUSED_IDENTITY, NULL));
	return (grant(b, ask));
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
		struct ask ask = { .from = c, .http = http };

		more = answer(c->broker, &ask) == 0 && http->req.keep_alive;
		arena_done(&ask.mem);
		c->is_used = 1;
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

/*
 * With the lock held: one is there, and Linux takes none from the queue that was reset meanwhile.
 * NULL: it failed, errno.
 */
static struct connection *
accept_connection(struct listener *l)
{
	struct broker *b = l->broker;
	struct connection *c;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return (NULL);
	c = mem_zalloc(sizeof(*c));
	c->broker = b;
	c->fd = fd;
	c->next = b->connections;
	b->connections = c;
	b->nconnections++;
	return (c);
}

/* There may be no thread for a moment: the client, and those behind it, wait. */
static void
start_connection(struct connection *c)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc, tries;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (tries = 0; (rc = pthread_create(&thread, &attr, connection_thread, c)) == EAGAIN &&
	    tries < THREAD_TRIES; tries++)
		clock_sleep_ms(20 << tries);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		forget(c);
}

static void *
accept_thread(void *arg)
{
	struct listener *l = arg;
	struct broker *b = l->broker;
	struct connection *c;

	for (;;) {
		struct pollfd p = { .fd = l->fd, .events = POLLIN };

		/* Nobody may be there: to accept would wait, with the lock held. */
		if (poll(&p, 1, -1) != 1) {
			clock_sleep_ms(errno != EINTR ? 50 : 0);
			continue;
		}
		pthread_mutex_lock(&b->lock);
		while ((b->settling || b->nconnections >= b->opt.connections_max) && !b->stopping) {
			if (!b->settling)
				close_idlest(b);
			pthread_cond_wait(&b->changed, &b->lock);
		}
		if (b->stopping)
			break;
		c = accept_connection(l);
		pthread_mutex_unlock(&b->lock);
		if (c != NULL)
			start_connection(c);
		else if (errno != EINTR && errno != ECONNABORTED)
			clock_sleep_ms(50);	/* EMFILE and the like pass */
	}
	pthread_mutex_unlock(&b->lock);
	return (NULL);
}

/* fd -1: it is not offered. */
static int
start_listener(struct broker *b, int fd)
{
	struct listener *l = &b->listeners[b->nlisteners];

	if (fd < 0)
		return (0);
	l->broker = b;
	l->fd = fd;
	errno = pthread_create(&l->thread, NULL, accept_thread, l);
	if (errno != 0)
		return (-1);
	b->nlisteners++;
	return (0);
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
	if (start_listener(b, opt->listen_fd) != 0 || start_listener(b, opt->unix_fd) != 0) {
		err_errno(err, "start a thread", "broker");
		broker_free(b);
		return (NULL);
	}
	return (b);
}

void
broker_free(struct broker *b)
{
	struct connection *c;
	size_t i;

	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = 1;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	for (i = 0; i < b->nlisteners; i++) {
		shutdown(b->listeners[i].fd, SHUT_RDWR);
		pthread_join(b->listeners[i].thread, NULL);
	}
	pthread_mutex_lock(&b->lock);
	for (c = b->connections; c != NULL; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	while (b->nconnections != 0)
		pthread_cond_wait(&b->changed, &b->lock);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	for (i = 0; i < b->nlisteners; i++)
		close(b->listeners[i].fd);
	free(b);
}

/* Who has just connected is about to ask; who has sent something has asked. */
static int
is_busy(const struct connection *c)
{
	char byte;

	return (c->idle_since_ms == 0 || !c->is_used ||
	    recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
}

static int
settled(struct broker *b)
{
	const struct connection *c;
	int busy = 0;

	pthread_mutex_lock(&b->lock);
	b->settling = 1;
	for (c = b->connections; c != NULL && !busy; c = c->next)
		busy = is_busy(c);
	pthread_mutex_unlock(&b->lock);
	return (!busy);
}

void
broker_settle(struct broker *b, int64_t bound_ms)
{
	int64_t until_ms = clock_ms() + bound_ms;

	while (!settled(b) && clock_ms() < until_ms)
		clock_sleep_ms(1);
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
