/*
 * Every source against every failure: what comes of it, after how many requests, within what time.
 * The sources run side by side, each with a network thread of its own.  Run from the top of the
 * tree: the certificates are made by scripts/test-certs.sh.
 */

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../azsim/tls.c"	/* the server side of TLS */
#include "base/clock.h"
#include "base/httpd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/uri.h"
#include "check.h"
#include "identity/arc.h"
#include "identity/source.h"

#define CLIENT	"11111111-1111-1111-1111-111111111111"
#define STORAGE	"https://storage.azure.com/"
#define SLACK_MS 8000		/* a loaded machine, with sanitizers */

enum { FABRIC, APPSERVICE, AML, CLOUDSHELL, ARC, ARC_CHALLENGE, WORKLOAD, IMDS, OBO, SECRET,
	CERTIFICATE, SOURCES };

static const char *const names[SOURCES] = { "fabric", "appservice", "aml", "cloudshell", "arc",
	"arc's challenge", "workload", "imds", "obo", "secret", "certificate" };

enum how { ANSWER, RESET, STALL, GARBAGE, OVERSIZED, EMPTY };

struct row {
	const char	*name;
	enum how	 how;
	int		 status, retry_after;	/* retry_after -1: none */
	const char	*body;			/* NULL: an OAuth refusal */
	int		 times;			/* then a token; 0: always so */
	int		 deadline_ms;
	enum err_kind	 want;			/* ERR_NONE: a token */
	int		 least, most;		/* requests; most 0: as many as there is time for */
	int		 least_ms;
};

static const char wrapped[] = "InternalError - :{\n \"error\": \"failed to get token from MSI, "
    "status code: 404\"}";
static const char busy[] = "{\"error\":\"temporarily_unavailable\","
    "\"error_description\":\"AADSTS90006: busy\"}";

/* Endpoints must not, and some repeat what they were sent. */
static const char repeated[] = "{\"error\":\"invalid_client\",\"error_description\":"
    "\"header secret was s3cret, form was open~sesame\"}";

/* ... and the message ends in the middle of it. */
#define LONG	"an answer that is longer than a message. "
static const char repeated_late[] = "{\"error\":\"invalid_client\",\"error_description\":\""
    LONG LONG LONG LONG "these two, as sent: s3cret, open~sesame\"}";

static const struct row rows[] = {
	{ "ok", ANSWER, 200, -1, NULL, 0, 20000, ERR_NONE, 1, 1, 0 },
	{ "400", ANSWER, 400, -1, NULL, 0, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "401", ANSWER, 401, -1, NULL, 0, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "403", ANSWER, 403, -1, NULL, 0, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "404 once", ANSWER, 404, -1, NULL, 1, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "410 once", ANSWER, 410, -1, NULL, 1, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "429 once", ANSWER, 429, 1, NULL, 1, 20000, ERR_NONE, 2, 2, 900 },
	{ "429 for long", ANSWER, 429, 60, NULL, 0, 20000, ERR_UNREACHABLE, 1, 1, 0 },
	{ "500 once", ANSWER, 500, -1, NULL, 1, 20000, ERR_NONE, 2, 2, 0 },
	{ "503 always", ANSWER, 503, -1, NULL, 0, 1500, ERR_UNREACHABLE, 2, 0, 0 },
	{ "501", ANSWER, 501, -1, NULL, 0, 900, ERR_UNREACHABLE, 1, 1, 0 },
	{ "500 for a refusal", ANSWER, 500, -1, wrapped, 0, 900, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "400, transient", ANSWER, 400, -1, busy, 1, 20000, ERR_NONE, 2, 2, 0 },
	{ "400, repeats", ANSWER, 400, -1, repeated, 0, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "400, repeats late", ANSWER, 400, -1, repeated_late, 0, 20000, ERR_NO_IDENTITY, 1, 1, 0 },
	{ "reset once", RESET, 0, -1, NULL, 1, 20000, ERR_NONE, 2, 2, 0 },
	{ "reset always", RESET, 0, -1, NULL, 0, 1500, ERR_UNREACHABLE, 2, 0, 0 },
	{ "stall", STALL, 0, -1, NULL, 0, 700, ERR_UNREACHABLE, 1, 1, 600 },
	{ "garbage", GARBAGE, 200, -1, NULL, 0, 20000, ERR_PROTOCOL, 1, 1, 0 },
	{ "oversized", OVERSIZED, 200, -1, NULL, 0, 20000, ERR_PROTOCOL, 1, 1, 0 },
	{ "empty", EMPTY, 200, -1, NULL, 0, 20000, ERR_PROTOCOL, 1, 1, 0 },
};

/* Where a source has rules of its own. */
static const struct { int source; const char *row; struct row instead; } exceptions[] = {
	/* Being updated: how-to-use-vm-token.md.  Transient: wait a second at least. */
	{ IMDS, "404 once", { .want = ERR_NONE, .least = 2, .most = 2, .least_ms = 900 } },
	{ IMDS, "410 once", { .want = ERR_NONE, .least = 2, .most = 2, .least_ms = 900 } },
	{ IMDS, "500 once", { .want = ERR_NONE, .least = 2, .most = 2, .least_ms = 900 } },
	{ IMDS, "503 always", { .want = ERR_UNREACHABLE, .least = 1, .most = 2 } },
};

/* What each source's endpoint does now, and how often it was asked. */
static struct {
	const struct row *row;
	_Atomic int asked;
	_Atomic int challenged;
} endpoints[SOURCES];

static char certs[] = "/tmp/amlshim-sources-XXXXXX";
static char tokens_dir[128], token_file[128];
static struct tls_server *tls;
static int plain_port, tls_port;

/* What the last request of test_requests() was. */
static struct {
	pthread_mutex_t lock;
	char target[1024], body[8192], method[8], secret[64], type[64], metadata[8];
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the server ---- */

struct peer {
	int	 fd;
	struct tls_conn *tls;
};

static ssize_t
peer_recv(void *arg, void *data, size_t size)
{
	struct peer *p = arg;

	return (p->tls != NULL ? tls_recv(p->tls, data, size) : recv(p->fd, data, size, 0));
}

static int
peer_send(void *arg, const void *data, size_t len)
{
	struct peer *p = arg;

	if (p->tls != NULL)
		return (tls_send(p->tls, data, len, 0));
	return (send(p->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1);
}

static void
token_body(int source, struct buf *body)
{
	auto_buf struct buf claims = BUF_EMPTY;
	int person = source == CLOUDSHELL || source == OBO;

	buf_printf(&claims, "{\"appid\":\"" CLIENT "\",\"oid\":\"o\",%s}",
	    person ? "\"scp\":\"x\",\"idtyp\":\"user\"" : "\"idtyp\":\"app\"");
	buf_adds(body, "{\"access_token\":\"e30.");
	base64url_encode(body, claims.data, claims.len);
	buf_printf(body, ".x\",\"expires_in\":3600}");
}

static int
reset_peer(const struct peer *p)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return (-1);
}

static int
stall_peer(struct httpd_conn *conn, const struct peer *p)
{
	static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"acc";
	struct pollfd gone = { .fd = p->fd, .events = POLLRDHUP };

	conn->send(conn->arg, part, sizeof(part) - 1);
	poll(&gone, 1, 30000);
	return (-1);
}

static int
reply_as(struct httpd_conn *conn, const struct row *row)
{
	auto_buf struct buf body = BUF_EMPTY;
	char headers[64] = "";

	if (row->how == GARBAGE)
		buf_adds(&body, "<html>no</html>");
	while (row->how == OVERSIZED && body.len <= SOURCE_ANSWER_MAX)
		buf_adds(&body, "{\"access_token\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"");
	if (row->how == ANSWER)
		buf_adds(&body, row->body != NULL ? row->body : "{\"error\":\"invalid_request\","
		    "\"error_description\":\"Identity not found\"}");
	if (row->retry_after >= 0)
		str_format(headers, sizeof(headers), "Retry-After: %d\r\n", row->retry_after);
	return (httpd_reply(conn, row->status, headers, buf_str(&body), body.len));
}

static int
challenge(struct httpd_conn *conn)
{
	char header[256];

	str_format(header, sizeof(header), "WWW-Authenticate: Basic realm=%s/a.key\r\n",
	    tokens_dir);
	return (httpd_reply(conn, 401, header, "", 0));
}

/* "/3/..." or, as a tenant, "/t3/...". */
static int
source_of(const char *path)
{
	path++;
	path += *path == 't';
	return (atoi(path) % SOURCES);
}

static void
note(struct httpd_conn *conn)
{
	const char *secret = httpd_header(&conn->req, "secret");
	const char *header = httpd_header(&conn->req, "x-identity-header");
	const char *type = httpd_header(&conn->req, "content-type");
	const char *metadata = httpd_header(&conn->req, "metadata");
	size_t at = 0;
	ssize_t n;

	pthread_mutex_lock(&seen.lock);
	str_format(seen.method, sizeof(seen.method), "%s", conn->req.method);
	str_format(seen.target, sizeof(seen.target), "%s", conn->req.target);
	str_format(seen.secret, sizeof(seen.secret), "%s", secret != NULL ? secret :
	    header != NULL ? header : "");
	str_format(seen.type, sizeof(seen.type), "%s", type != NULL ? type : "");
	str_format(seen.metadata, sizeof(seen.metadata), "%s", metadata != NULL ? metadata : "");
	while (at < sizeof(seen.body) - 1 &&
	    (n = httpd_read_body(conn, seen.body + at, sizeof(seen.body) - 1 - at)) > 0)
		at += (size_t)n;
	seen.body[at] = '\0';
	pthread_mutex_unlock(&seen.lock);
}

static int
give_token(struct httpd_conn *conn, int source)
{
	auto_buf struct buf body = BUF_EMPTY;

	token_body(source, &body);
	return (httpd_reply(conn, 200, NULL, body.data, body.len));
}

static int
handle(struct httpd_conn *conn)
{
	int source = source_of(conn->req.path), nth;
	int has_key = httpd_header(&conn->req, "authorization") != NULL;
	const struct row *row = endpoints[source].row;

	note(conn);
	if (source == ARC && !has_key)
		return (challenge(conn));
	if (source == ARC_CHALLENGE && has_key)
		return (give_token(conn, source));
	nth = ++endpoints[source].asked;
	if ((row->times == 0 || nth <= row->times) && strcmp(row->name, "ok") != 0) {
		if (row->how == RESET)
			return (reset_peer(conn->arg));
		return (row->how == STALL ? stall_peer(conn, conn->arg) : reply_as(conn, row));
	}
	return (source == ARC_CHALLENGE ? challenge(conn) : give_token(conn, source));
}

struct guest { int fd, is_tls; };

static void *
serve(void *arg)
{
	struct guest guest = *(struct guest *)arg;
	struct peer p = { .fd = guest.fd };
	struct httpd_conn *conn = mem_zalloc(sizeof(*conn));

	free(arg);
	if (guest.is_tls)
		p.tls = tls_conn_new(tls, p.fd);
	conn->recv = peer_recv;
	conn->send = peer_send;
	conn->arg = &p;
	while (httpd_next(conn) == 1 && handle(conn) == 0 && conn->req.keep_alive)
		continue;
	close(p.fd);
	tls_conn_free(p.tls);
	free(conn);
	return (NULL);
}

static void *
accept_all(void *arg)
{
	struct guest listener = *(struct guest *)arg, *guest;
	pthread_t thread;
	int fd;

	while ((fd = accept(listener.fd, NULL, NULL)) >= 0) {
		guest = mem_alloc(sizeof(*guest));
		*guest = (struct guest){ fd, listener.is_tls };
		if (pthread_create(&thread, NULL, serve, guest) != 0)
			abort();
		pthread_detach(thread);
	}
	return (NULL);
}

static int
listen_on(struct guest *g, int is_tls, pthread_t *thread)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	g->is_tls = is_tls;
	g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(g->fd, (struct sockaddr *)&at, len) != 0 || listen(g->fd, 256) != 0 ||
	    getsockname(g->fd, (struct sockaddr *)&at, &len) != 0 ||
	    pthread_create(thread, NULL, accept_all, g) != 0)
		abort();
	return (ntohs(at.sin_port));
}

/* ---- the machines, as their environment shows them ---- */

static void
write_token(const char *text)
{
	if (fd_replace_file(token_file, text, strlen(text), 0600, NULL) != 0)
		abort();
}

static void
thumbprint(char out[2 * HTTP_PIN_SIZE + 1])
{
	unsigned char sha[br_sha1_SIZE];
	br_sha1_context c;
	size_t i;

	br_sha1_init(&c);
	br_sha1_update(&c, tls->chain[0].data, tls->chain[0].data_len);
	br_sha1_out(&c, sha);
	for (i = 0; i < sizeof(sha); i++)
		str_format(out + 2 * i, 3, "%02X", sha[i]);
}

static struct facts
machine(int source, struct arena *mem)
{
	struct facts f = { .cwd = "/" };
	const char *base = arena_printf(mem, "http://127.0.0.1:%d/%d", plain_port, source);
	char *pin = arena_alloc(mem, 2 * HTTP_PIN_SIZE + 1);

	switch (source) {
	case FABRIC:
		thumbprint(pin);
		f.identity_endpoint = arena_printf(mem, "https://127.0.0.1:%d/%d", tls_port,
		    source);
		f.identity_server_thumbprint = pin;
		secret_set(&f.identity_header, "s3cret", 6, NULL);
		break;
	case APPSERVICE:
		f.identity_endpoint = base;
		secret_set(&f.identity_header, "s3cret", 6, NULL);
		break;
	case AML:
		f.msi_endpoint = base;
		secret_set(&f.msi_secret, "s3cret", 6, NULL);
		break;
	case CLOUDSHELL:
		f.msi_endpoint = base;
		break;
	case ARC:
	case ARC_CHALLENGE:
		f.identity_endpoint = base;
		f.imds_endpoint = "http://127.0.0.1:1";
		f.arc_tokens_dir = tokens_dir;
		break;
	case WORKLOAD:
		f.federated_token_file = token_file;
		f.client_id = CLIENT;
		f.tenant_id = arena_printf(mem, "t%d", source);
		f.authority_host = arena_printf(mem, "localhost:%d/", tls_port);
		break;
	case IMDS:
		f.pod_identity_authority_host = base;
		break;
	case OBO:
		f.obo_endpoint = base;
		break;
	default:
		break;
	}
	return (f);
}

static struct buf certificate;		/* PEM, with its key */
static char secret_text[] = "open~sesame";

static struct plan_identity
identity_for(int source, struct arena *mem)
{
	struct plan_identity id = { .kind = PLAN_ID_MANAGED, .label = "somebody" };

	if (source == OBO)
		id.kind = PLAN_ID_USER;
	if (source == SECRET || source == CERTIFICATE) {
		id.kind = PLAN_ID_SERVICE_PRINCIPAL;
		id.client_id = CLIENT;
		id.tenant_id = arena_printf(mem, "t%d", source);
		id.authority_url = arena_printf(mem, "https://localhost:%d", tls_port);
		id.secret = (struct secret){ secret_text, sizeof(secret_text) - 1 };
	}
	if (source == CERTIFICATE) {
		id.kind = PLAN_ID_CERTIFICATE;
		id.secret = (struct secret){ certificate.data, certificate.len };
	}
	return (id);
}

static struct http *
client(void)
{
	char ca[160];
	struct http_options options = { .max_connections = 8, .ca_file = ca };
	struct err err = ERR_EMPTY;
	struct http *http;

	str_format(ca, sizeof(ca), "%s/ca.pem", certs);
	http = http_new(&options, &err);
	if (http == NULL)
		abort();
	return (http);
}

/* ---- the table ---- */

struct result {
	int	 ok, asked;
	int64_t	 ms;
	struct err err;
};

struct column {
	int	 source;
	pthread_t thread;
	struct result results[LENGTH(rows)];
};

static void *
run_column(void *arg)
{
	struct column *c = arg;
	struct arena mem = ARENA_EMPTY;
	struct facts facts = machine(c->source, &mem);
	struct plan_identity id = identity_for(c->source, &mem);
	struct token t = { .generation = 0 };
	int64_t began;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct result *r = &c->results[i];
		struct http *http = client();	/* throttling is remembered by a client */

		endpoints[c->source].row = &rows[i];
		endpoints[c->source].asked = 0;
		began = clock_ms();
		r->ok = source_acquire(&facts, http, &id, STORAGE, began + rows[i].deadline_ms, &t,
		    &r->err) == 0;
		r->ms = clock_ms() - began;
		r->asked = endpoints[c->source].asked;
		token_done(&t);
		http_free(http);
	}
	secret_done(&facts.msi_secret);
	secret_done(&facts.identity_header);
	arena_done(&mem);
	return (NULL);
}

static struct row
wanted(int source, const struct row *row)
{
	struct row want = *row;
	size_t i;

	for (i = 0; i < LENGTH(exceptions); i++)
		if (exceptions[i].source == source && strcmp(exceptions[i].row, row->name) == 0) {
			want.want = exceptions[i].instead.want;
			want.least = exceptions[i].instead.least;
			want.most = exceptions[i].instead.most;
			want.least_ms = exceptions[i].instead.least_ms;
		}
	return (want);
}

/* The one that this source was sent. */
static int
repeats_secret(int source, const char *text)
{
	return (strstr(text, source == SECRET ? "open~ses" : source == FABRIC ||
	    source == APPSERVICE || source == AML ? "s3cret" : "no secret was sent") != NULL);
}

static void
check_result(int source, const struct row *row, const struct result *r)
{
	struct row want = wanted(source, row);
	char line[1024];
	int ok;

	ok = check(r->ok == (want.want == ERR_NONE)) & check(r->asked >= want.least) &
	    check(want.most == 0 || r->asked <= want.most) & check(r->ms >= want.least_ms) &
	    check(r->ms < row->deadline_ms + SLACK_MS);
	if (!r->ok)
		ok &= check_int(r->err.kind, want.want) & check_str(r->err.identity, "somebody") &
		    check(r->err.resource[0] != '\0' && r->err.cause[0] != '\0' &&
		    r->err.remedy != REMEDY_NONE) &
		    check(!repeats_secret(source, err_line(&r->err, line, sizeof(line))));
	if (!ok)
		printf("# ^ %s, %s: %d requests, %lld ms, %s\n", names[source], row->name, r->asked,
		    (long long)r->ms, r->ok ? "a token" : err_line(&r->err, line, sizeof(line)));
}

static void
test_table(void)
{
	static struct column columns[SOURCES];
	size_t i;
	int s;

	for (s = 0; s < SOURCES; s++) {
		columns[s].source = s;
		if (pthread_create(&columns[s].thread, NULL, run_column, &columns[s]) != 0)
			abort();
	}
	for (s = 0; s < SOURCES; s++) {
		pthread_join(columns[s].thread, NULL);
		for (i = 0; i < LENGTH(rows); i++)
			check_result(s, &rows[i], &columns[s].results[i]);
	}
}

/* ---- what is sent ---- */

#define R	"&resource=https%3A%2F%2Fstorage.azure.com%2F"
#define GRANT	"grant_type=client_credentials&client_id=" CLIENT
#define SCOPE	"&scope=https%3A%2F%2Fstorage.azure.com%2F%2F.default"
#define JWT	"&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3A" \
		"jwt-bearer&client_assertion="

static void
test_requests(struct http *http)
{
	static const struct { int source; const char *method, *target, *body, *secret, *metadata; }
	    requests[] = {
		{ FABRIC, "GET", "/0?api-version=2019-07-01-preview" R, "", "s3cret", "" },
		{ APPSERVICE, "GET", "/1?api-version=2019-08-01" R, "", "s3cret", "true" },
		{ AML, "GET", "/2?api-version=2017-09-01" R, "", "s3cret", "true" },
		{ CLOUDSHELL, "POST", "/3", &R[1], "", "true" },
		{ ARC, "GET", "/4?api-version=2020-06-01" R, "", "", "true" },
		{ WORKLOAD, "POST", "/t6/oauth2/v2.0/token", GRANT JWT "federated.one" SCOPE, "",
		    "" },
		{ IMDS, "GET", "/7/metadata/identity/oauth2/token?api-version=2018-02-01" R, "", "",
		    "true" },
		{ OBO, "GET", "/8?resource=https%3A%2F%2Fstorage.azure.com%2F", "", "", "" },
		{ SECRET, "POST", "/t9/oauth2/v2.0/token", GRANT "&client_secret=open~sesame" SCOPE,
		    "", "" },
	};
	struct arena mem = ARENA_EMPTY;
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(requests); i++) {
		struct facts facts = machine(requests[i].source, &mem);
		struct plan_identity id = identity_for(requests[i].source, &mem);

		endpoints[requests[i].source].row = &rows[0];
		check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err),
		    0);
		check_str(seen.method, requests[i].method);
		check_str(seen.target, requests[i].target);
		check_str(seen.body, requests[i].body);
		check_str(seen.secret, requests[i].secret);
		check_str(seen.metadata, requests[i].metadata);
		check_str(seen.type, seen.method[0] == 'P' ?
		    "application/x-www-form-urlencoded" : "");
		token_done(&t);
		secret_done(&facts.msi_secret);
		secret_done(&facts.identity_header);
	}
	arena_done(&mem);
}

/* By which ids each can be asked; what cannot be is an error before anything is sent. */
static void
test_selectors(struct http *http)
{
	static const struct { int source; const char *client, *object, *resource; } selectors[] = {
		{ FABRIC, NULL, NULL, NULL }, { CLOUDSHELL, NULL, NULL, NULL },
		{ ARC, NULL, NULL, NULL },
		{ APPSERVICE, "&client_id=" CLIENT, "&object_id=o", "&mi_res_id=%2Fa" },
		{ AML, "&clientid=" CLIENT, NULL, NULL },
		{ WORKLOAD, "&client_id=" CLIENT, NULL, NULL },
		{ IMDS, "&client_id=" CLIENT, "&object_id=o", "&msi_res_id=%2Fa" },
	};
	struct arena mem = ARENA_EMPTY;
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	size_t i;
	int by;

	for (i = 0; i < LENGTH(selectors); i++) {
		struct facts facts = machine(selectors[i].source, &mem);
		const char *const words[] = { selectors[i].client, selectors[i].object,
		    selectors[i].resource };

		endpoints[selectors[i].source].row = &rows[0];
		for (by = 0; by < 3; by++) {
			struct plan_identity id = identity_for(selectors[i].source, &mem);

			id.client_id = by == 0 ? CLIENT : NULL;
			id.object_id = by == 1 ? "o" : NULL;
			id.resource_id = by == 2 ? "/a" : NULL;
			seen.target[0] = seen.body[0] = '\0';
			check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t,
			    &err), words[by] == NULL ? -1 : 0);
			if (words[by] == NULL) {
				check_int(err.kind, ERR_USAGE);
				check_str(seen.target, "");
			} else {
				check(strstr(seen.target, words[by]) != NULL ||
				    strstr(seen.body, words[by]) != NULL);
			}
			token_done(&t);
		}
		secret_done(&facts.msi_secret);
		secret_done(&facts.identity_header);
	}
	arena_done(&mem);
}

/* ---- the pin ---- */

static void
test_pin(struct http *http)
{
	struct arena mem = ARENA_EMPTY;
	struct facts facts = machine(FABRIC, &mem);
	struct plan_identity id = identity_for(FABRIC, &mem), sp = identity_for(SECRET, &mem);
	char *pin = arena_strdup(&mem, facts.identity_server_thumbprint);
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	int i;

	endpoints[FABRIC].row = endpoints[SECRET].row = &rows[0];
	endpoints[FABRIC].asked = 0;
	/* The same server, kept connections, with and without the pin, in turn. */
	for (i = 0; i < 3; i++) {
		check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t,
		    &err), 0);
		token_done(&t);
		check_int(source_acquire(&facts, http, &sp, STORAGE, clock_ms() + 20000, &t,
		    &err), 0);
		token_done(&t);
	}
	check_int(endpoints[FABRIC].asked, 3);
	/* One digit off: nothing is sent, whatever connections there are. */
	pin[0] = pin[0] == '0' ? '1' : '0';
	facts.identity_server_thumbprint = pin;
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), -1);
	check_int(err.kind, ERR_UNREACHABLE);
	check(strstr(err.cause, "not the pinned one") != NULL);
	check_int(endpoints[FABRIC].asked, 3);
	/* And the right one goes on as before. */
	secret_done(&facts.identity_header);
	facts = machine(FABRIC, &mem);
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), 0);
	token_done(&t);
	secret_done(&facts.identity_header);
	arena_done(&mem);
}

/* The pinned one needs no root: a client that trusts nobody. */
static void
test_pin_without_roots(void)
{
	struct http_options options = { .max_connections = 2, .ca_file = "/dev/null" };
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct http *http = http_new(&options, &err);
	struct facts facts = machine(FABRIC, &mem);
	struct plan_identity id = identity_for(FABRIC, &mem), sp = identity_for(SECRET, &mem);
	struct token t = { .generation = 0 };

	if (!check(http != NULL))
		return;
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), 0);
	token_done(&t);
	check_int(source_acquire(&facts, http, &sp, STORAGE, clock_ms() + 3000, &t, &err), -1);
	check_int(err.remedy, REMEDY_CHECK_TLS);
	http_free(http);
	secret_done(&facts.identity_header);
	arena_done(&mem);
}

/* ---- the federated token's file ---- */

static void *
rotate(void *arg)
{
	(void)arg;
	while (endpoints[WORKLOAD].asked < 1)
		clock_sleep_ms(5);
	write_token("federated.two\n");
	return (NULL);
}

/* It is read for each try, not for each call. */
static void
test_rotation(struct http *http)
{
	static const struct row slowly = { "503, twice", ANSWER, 503, 1, NULL, 2, 0, 0, 0, 0, 0 };
	struct arena mem = ARENA_EMPTY;
	struct facts facts = machine(WORKLOAD, &mem);
	struct plan_identity id = identity_for(WORKLOAD, &mem);
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	pthread_t thread;

	write_token("federated.one\n");
	endpoints[WORKLOAD].row = &slowly;
	endpoints[WORKLOAD].asked = 0;
	if (pthread_create(&thread, NULL, rotate, NULL) != 0)
		abort();
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 30000, &t, &err), 0);
	pthread_join(thread, NULL);
	check(strstr(seen.body, "client_assertion=federated.two&") != NULL);
	token_done(&t);
	endpoints[WORKLOAD].row = &rows[0];
	write_token(" \n");
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), -1);
	check_str(err.resource, token_file);
	check_int(err.remedy, REMEDY_PROJECT_TOKEN);
	write_token("two words");
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), -1);
	facts.federated_token_file = "/dev/zero";
	check_int(source_acquire(&facts, http, &id, STORAGE, clock_ms() + 20000, &t, &err), -1);
	check(strstr(err.cause, "no regular file") != NULL);
	arena_done(&mem);
}

/* ---- Arc's challenge, word by word ---- */

static void
test_challenges(void)
{
	static const struct { const char *header, *name; } challenges[] = {
		{ "Basic realm=/keys/a.key", "a.key" }, { "basic REALM=/keys/a-1.key", "a-1.key" },
		{ "", NULL }, { "Basic", NULL }, { "Basic realm=", NULL },
		{ "Bearer realm=/keys/a.key", NULL }, { "Basic realm=\"/keys/a.key\"", NULL },
		{ "Basic realm=/keys/a.key=", NULL }, { "Basic realm=/keys/a=b.key", NULL },
		{ "Basic realm=/keys/../keys/a.key", NULL }, { "Basic realm=/keys/b/a.key", NULL },
		{ "Basic realm=/keys//a.key", NULL }, { "Basic realm=/keysa.key", NULL },
		{ "Basic realm=/key/a.key", NULL }, { "Basic realm=keys/a.key", NULL },
		{ "Basic realm=/keys/a.txt", NULL }, { "Basic realm=/keys/.key", NULL },
		{ "Basic realm=/keys/..key", NULL }, { "Basic realm=/keys/a b.key", NULL },
		{ "Basic realm=/keys/a\x01.key", NULL }, { "Basic realm=/keys/", NULL },
	};
	char name[ARC_NAME_MAX + 1];
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(challenges); i++) {
		err = ERR_EMPTY;
		check_int(arc_key_name(challenges[i].header, "/keys", name, &err),
		    challenges[i].name == NULL ? -1 : 0);
		if (challenges[i].name != NULL)
			check_str(name, challenges[i].name);
		else
			check_int(err.kind, ERR_NO_IDENTITY);
	}
}

/* ---- begin and end ---- */

static void
read_certificate(void)
{
	auto_buf struct buf key = BUF_EMPTY;
	char path[160];

	str_format(path, sizeof(path), "%s/server-rsa.pem", certs);
	if (fd_read_file(path, PEM_MAX, &certificate, NULL) != 0)
		abort();
	str_format(path, sizeof(path), "%s/server-rsa.key", certs);
	if (fd_read_file(path, PEM_MAX, &key, NULL) != 0)
		abort();
	buf_add(&certificate, key.data, key.len);
}

static void
make_files(void)
{
	char command[256], path[160], key[160];

	if (mkdtemp(certs) == NULL)
		abort();
	str_format(command, sizeof(command), "scripts/test-certs.sh %s", certs);
	if (system(command) != 0)
		abort();
	str_format(tokens_dir, sizeof(tokens_dir), "%s/tokens", certs);
	str_format(token_file, sizeof(token_file), "%s/token", certs);
	str_format(path, sizeof(path), "%s/a.key", tokens_dir);
	if (fd_mkdir_p(tokens_dir, 0700, NULL) != 0 ||
	    fd_replace_file(path, "the-key\n", 8, 0600, NULL) != 0)
		abort();
	write_token("federated.one");
	read_certificate();
	str_format(path, sizeof(path), "%s/server.pem", certs);
	str_format(key, sizeof(key), "%s/server.key", certs);
	if ((tls = tls_server_new(path, key, NULL)) == NULL)
		abort();
}

int
main(void)
{
	static struct guest plain, secure;
	pthread_t threads[2];
	struct http *http;

	log_setup(-1, LOG_TEXT);
	make_files();
	plain_port = listen_on(&plain, 0, &threads[0]);
	tls_port = listen_on(&secure, 1, &threads[1]);
	test_table();
	http = client();
	test_requests(http);
	test_selectors(http);
	test_pin(http);
	test_rotation(http);
	http_free(http);
	test_pin_without_roots();
	test_challenges();
	shutdown(plain.fd, SHUT_RDWR);
	shutdown(secure.fd, SHUT_RDWR);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	fd_remove_tree(certs, NULL);
	buf_done(&certificate);
	return (check_done());
}
