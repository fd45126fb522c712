/*
 * The broker by itself: each dialect's requests, answers and refusals, byte for byte where an SDK
 * looks; who may ask; what is recorded; patience with slow clients, and 200 of them at once.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "check.h"
#include "identity/broker.h"
#include "identity/whose.h"
#include "tinyserver.h"

#define CLIENT_A "11111111-1111-1111-1111-111111111111"
#define CLIENT_B "22222222-2222-2222-2222-222222222222"
#define OBJECT_A "33333333-3333-3333-3333-333333333333"
#define R	"resource=https%3A%2F%2Fstorage.azure.com%2F"
#define GOOD	"sesame"

static _Atomic int upstream_requests, upstream_hang_ms;

static const struct plan_identity managed_a = { .kind = PLAN_ID_MANAGED, .client_id = CLIENT_A,
	.label = "managed identity A" };
static const struct plan_identity user = { .kind = PLAN_ID_USER, .label = "the submitter" };

/* The platform's endpoint: an opaque token, an hour of life. */
static int
upstream(struct httpd_conn *conn)
{
	char body[128];

	upstream_requests++;
	if (upstream_hang_ms != 0)
		clock_sleep_ms(upstream_hang_ms);
	str_format(body, sizeof(body), "{\"access_token\":\"opaque\",\"expires_in\":3600}");
	return (httpd_reply(conn, 200, "Content-Type: application/json\r\n", body, strlen(body)));
}

/* --- a broker for a test --- */

static struct {
	struct plan	 plan;
	struct facts	 facts;
	struct http	*http;
	struct cache	*cache;
	struct secret	 secret;
	struct broker_options opt;
	struct broker	*broker;
	int		 port;
	char		 path[BROKER_PATH_SIZE], audit_path[64], endpoint[64];
} b;

static const struct spec_uai uais[] = {
	{ .client_id = CLIENT_A, .object_id = OBJECT_A, .resource_id = "/r/a" },
};

static void
begin(enum plan_broker kind, struct peers *peers)
{
	static const struct http_options options = { .max_connections = 8 };
	struct err err = ERR_EMPTY;
	int fd;

	memset(&b, 0, sizeof(b));
	str_format(b.endpoint, sizeof(b.endpoint), "http://127.0.0.1:%d/ep", tinyserver.port);
	secret_set(&b.facts.msi_secret, "x", 1, NULL);
	b.facts.msi_endpoint = kind == PLAN_BROKER_MANAGED ? b.endpoint : NULL;
	b.facts.obo_endpoint = kind == PLAN_BROKER_USER ? b.endpoint : NULL;
	b.plan = (struct plan){ .broker = kind, .broker_uais = uais, .nbroker_uais = 1,
	    .broker_dialects = kind == PLAN_BROKER_MANAGED ? 7 : 0,
	    .broker_default = kind == PLAN_BROKER_USER ? user : managed_a };
	b.http = http_new(&options, &err);
	b.cache = cache_new(&b.facts, b.http, &err);
	secret_set(&b.secret, GOOD, strlen(GOOD), NULL);
	str_format(b.audit_path, sizeof(b.audit_path), "/tmp/test_broker.%d", (int)getpid());
	unlink(b.audit_path);
	fd = audit_open(b.audit_path, &err);
	check(fd >= 0);
	b.opt = (struct broker_options){ .listen_fd = broker_listen(&b.port, &err),
	    .unix_fd = broker_listen_unix(b.path, sizeof(b.path), &err), .peers = peers,
	    .audit = audit_new(fd), .plan = &b.plan, .cache = b.cache, .secret = &b.secret };
	upstream_requests = upstream_hang_ms = 0;
}

static void
start(void)
{
	struct err err = ERR_EMPTY;

	b.broker = broker_new(&b.opt, &err);
	check(b.broker != NULL);
}

static void
end(void)
{
	broker_free(b.broker);
	audit_free(b.opt.audit);
	broker_remove_unix(b.path);
	cache_free(b.cache);
	http_free(b.http);
	secret_done(&b.secret);
	secret_done(&b.facts.msi_secret);
	unlink(b.audit_path);
}

/* --- a client --- */

static int
connect_tcp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)b.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		mem_close_fd(&fd);
	return (fd);
}

static int
connect_unix(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	str_format(addr.sun_path, sizeof(addr.sun_path), "%s", b.path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		mem_close_fd(&fd);
	return (fd);
}

/* headers: "Name: value\r\n" lines.  The status; body has what followed the head. */
static int
talk(int fd, const char *method, const char *target, const char *headers, char *body, size_t size)
{
	char text[8192];
	const char *at, *length;
	size_t len = 0, want = sizeof(text) - 1;
	ssize_t n;

	str_format(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, target,
	    headers);
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		return (-1);
	while (len < want && (n = recv(fd, text + len, want - len, 0)) > 0) {
		len += (size_t)n;
		text[len] = '\0';
		at = strstr(text, "\r\n\r\n");
		length = strstr(text, "Content-Length: ");
		if (at != NULL && length != NULL)
			want = (size_t)(at + 4 - text) +
			    (strcmp(method, "HEAD") == 0 ? 0 : (size_t)atol(length + 16));
	}
	text[len] = '\0';
	at = strstr(text, "\r\n\r\n");
	if (at == NULL)
		return (-1);
	if (body != NULL)
		str_format(body, size, "%s", at + 4);
	return (atoi(text + strlen("HTTP/1.1 ")));
}

static int
ask(const char *method, const char *target, const char *headers, char *body, size_t size)
{
	int fd = connect_tcp();
	int status = fd < 0 ? -1 : talk(fd, method, target, headers, body, size);

	close(fd);
	return (status);
}

/* --- the dialects --- */

#define AML	"/MSI/auth?api-version=2017-09-01&" R
#define APP	"/msi/token?api-version=2019-08-01&" R
#define IMDS	"/metadata/identity/oauth2/token?api-version=2018-02-01&" R
#define OBO	"/OBO/" GOOD "/token?" R
#define MSI_OK	"secret: " GOOD "\r\n"
#define APP_OK	"X-IDENTITY-HEADER: " GOOD "\r\n"
#define META	"Metadata: true\r\n"
#define FORWARD	"X-Forwarded-For: 10.0.0.1\r\n"

/* needle: in the body, where a client looks. */
struct row {
	const char *target, *headers;
	int	 status;
	const char *needle;
};

static const struct row managed_rows[] = {
	{ AML, MSI_OK, 200, "\"expires_on\":1" },
	{ AML "&clientid=" CLIENT_A, MSI_OK, 200, "\"client_id\":\"" CLIENT_A "\"" },
	{ AML "&clientid=clientid", MSI_OK, 200, "opaque" },
	{ AML "&clientid=", MSI_OK, 200, "opaque" },
	{ AML "&clientid=" CLIENT_B, MSI_OK, 403, "\"error\":\"identity_not_allowed\"" },
	{ AML "&mi_res_id=%2Fr%2Fa", MSI_OK, 200, "opaque" },
	{ AML "&object_id=" OBJECT_A, MSI_OK, 200, "opaque" },
	{ AML "&mi_res_id=%2Fr%2Fb", MSI_OK, 403, "identity_not_allowed" },
	{ AML "&object_id=" CLIENT_A, MSI_OK, 403, "identity_not_allowed" },
	{ AML, "secret: wrong\r\n", 403, "\"error\":\"invalid_secret\"" },
	{ AML, "", 403, "invalid_secret" },
	{ AML, APP_OK, 403, "invalid_secret" },
	{ AML, MSI_OK FORWARD, 403, "forwarded" },
	{ "/MSI/auth?" R, MSI_OK, 200, "opaque" },
	{ "/MSI/auth/?" R, MSI_OK, 200, "opaque" },
	{ "/MSI/auth?api-version=2019-08-01&" R, MSI_OK, 400, "2017-09-01" },
	{ "/MSI/auth?api-version=2017-09-01", MSI_OK, 400, "\"error\":\"invalid_resource\"" },

	{ APP, APP_OK, 200, "\"expires_on\":\"1" },
	{ APP "&client_id=" CLIENT_A, APP_OK, 200, "\"client_id\":\"" CLIENT_A "\"" },
	{ APP "&object_id=" OBJECT_A, APP_OK, 200, "\"token_type\":\"Bearer\"" },
	{ APP "&principal_id=" OBJECT_A, APP_OK, 200, "opaque" },
	{ APP "&mi_res_id=%2Fr%2Fa", APP_OK, 200, "opaque" },
	{ APP "&client_id=" CLIENT_B, APP_OK, 403, "\"statusCode\":403,\"message\":\"the compute" },
	{ APP "&client_id=clientid", APP_OK, 403, "statusCode" },
	{ APP "&client_id=" CLIENT_A "&object_id=" OBJECT_A, APP_OK, 400, "more than one" },
	{ APP, "X-IDENTITY-HEADER: wrong\r\n", 403, "\"message\":\"header \\\"X-IDENTITY-HEADER" },
	{ APP, "", 403, "statusCode" },
	{ APP, MSI_OK, 403, "statusCode" },
	{ APP, APP_OK FORWARD, 403, "forwarded" },
	{ "/msi/token?" R, APP_OK, 400, "2019-08-01" },
	{ "/msi/token?api-version=2017-09-01&" R, APP_OK, 400, "2019-08-01" },
	{ "/msi/token?api-version=2019-08-01", APP_OK, 400, "\"message\":\"resource is missing\"" },

	{ IMDS, META, 200, "\"expires_in\":\"3" },
	{ IMDS "&client_id=" CLIENT_A, META, 200, "\"expires_on\":\"1" },
	{ IMDS "&msi_res_id=%2Fr%2Fa", META, 200, "opaque" },
	{ IMDS "&client_id=" CLIENT_B, META, 400, "\"error\":\"invalid_request\"" },
	{ IMDS, "", 400, "\"error\":\"bad_request_102\"" },
	{ IMDS, "Metadata: false\r\n", 400, "bad_request_102" },
	{ IMDS, META FORWARD, 400, "X-Forwarded-For" },
	{ "/metadata/identity/oauth2/token?" R, META, 400, "api-version" },
	{ "/metadata/identity/oauth2/token?api-version=2017-01-01&" R, META, 400, "api-version" },
	{ "/metadata/identity/oauth2/token?api-version=2018-02-01", META, 400, "'resource'" },

	{ OBO, "", 403, "\"error\":\"identity_not_allowed\"" },
	{ "/OBO/wrong/token?" R, "", 404, "\"error\":\"not_found\"" },
	{ "/OBO/token?" R, "", 404, "not_found" },
	{ "/metadata/instance?api-version=2021-02-01", META, 404, "not_found" },
	{ "/", MSI_OK, 404, "not_found" },
};

static const struct row user_rows[] = {
	{ OBO, "", 200, "\"expires_on\":1" },
	{ OBO, FORWARD, 403, "forwarded" },
	{ "/OBO/" GOOD "/token", "", 400, "invalid_resource" },
	{ "/OBO/wrong/token?" R, "", 404, "not_found" },
	{ AML, MSI_OK, 403, "OBO_ENDPOINT" },
	{ AML, "secret: wrong\r\n", 403, "invalid_secret" },
	{ APP, APP_OK, 403, "\"statusCode\":403" },
	{ IMDS, META, 404, "not_found" },
};

static void
check_rows(const struct row *rows, size_t n)
{
	char body[2048];
	size_t i;
	int status;

	for (i = 0; i < n; i++) {
		status = ask("GET", rows[i].target, rows[i].headers, body, sizeof(body));
		if (!check_int(status, rows[i].status) ||
		    !check(strstr(body, rows[i].needle) != NULL))
			printf("# %s %s# %s\n", rows[i].target, rows[i].headers, body);
		check(status == 200 || strstr(body, "opaque") == NULL);
	}
}

static void
test_dialects(void)
{
	char body[512];

	begin(PLAN_BROKER_MANAGED, NULL);
	start();
	check_rows(managed_rows, LENGTH(managed_rows));
	check_int(ask("POST", AML, MSI_OK, body, sizeof(body)), 405);
	check_int(ask("POST", APP, APP_OK, body, sizeof(body)), 405);
	check(strstr(body, "statusCode") != NULL);
	check_int(ask("HEAD", IMDS, META, NULL, 0), 405);
	end();
	begin(PLAN_BROKER_USER, NULL);
	start();
	check_rows(user_rows, LENGTH(user_rows));
	end();
}

/* Only what was chosen is offered. */
static void
test_offer(void)
{
	begin(PLAN_BROKER_MANAGED, NULL);
	b.plan.broker_dialects = PLAN_DIALECT_AML;
	start();
	check_int(ask("GET", AML, MSI_OK, NULL, 0), 200);
	check_int(ask("GET", APP, APP_OK, NULL, 0), 404);
	check_int(ask("GET", IMDS, META, NULL, 0), 404);
	end();
}

/* --- who asks --- */

static const char *
own_name(void)
{
	static struct proc_stat stat;

	return (proc_read_stat(getpid(), &stat) == 0 ? stat.comm : "(unknown)");
}

/* As Java does: an IPv6 socket to an IPv4 address. */
static int
connect_mapped(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)b.port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		mem_close_fd(&fd);
	return (fd);
}

static void
test_mapped_peer(int no_netlink)
{
	struct peers *mine = peers_new(getppid(), geteuid(), no_netlink);
	struct err err = ERR_EMPTY;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	struct peer who;

	if (fd < 0) {
		printf("# no IPv6 here\n");
		peers_free(mine);
		return;
	}
	close(fd);
	begin(PLAN_BROKER_MANAGED, NULL);
	fd = connect_mapped();
	other = accept(b.opt.listen_fd, NULL, NULL);
	check_int(peers_check(mine, other, &who, &err), 0);
	check_int(who.pid, getpid());
	close(fd);
	close(other);
	peers_free(mine);
	start();
	end();
}

/* What peers_check says of a connection of this process, or of a child that has become uid. */
static int
judge(struct peers *peers, int use_unix, uint32_t uid, struct peer *ret, struct err *err)
{
	int fd, other, verdict, listener = use_unix ? b.opt.unix_fd : b.opt.listen_fd;
	pid_t child = 0;

	*err = ERR_EMPTY;
	if (uid != 0) {
		child = fork();
		if (child == 0) {
			if (setresuid(uid, uid, uid) != 0)
				_exit(1);
			fd = use_unix ? connect_unix() : connect_tcp();
			pause();
			_exit(fd);
		}
		fd = -1;
	} else {
		fd = use_unix ? connect_unix() : connect_tcp();
		check(fd >= 0);
	}
	other = accept(listener, NULL, NULL);
	verdict = peers_check(peers, other, ret, err);
	close(fd);
	close(other);
	if (child != 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return (verdict);
}

/* A worker that dies, and is no more. */
static void
exclude_one_that_ends(struct peers *peers)
{
	pid_t worker = fork();

	if (worker == 0) {
		pause();
		_exit(0);
	}
	peers_exclude(peers, worker);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

static void
test_peers(int no_netlink)
{
	struct peers *mine = peers_new(getppid(), geteuid(), no_netlink), *peers;
	struct peer who;
	struct err err;
	pid_t outsider;
	int use_unix, i;

	begin(PLAN_BROKER_MANAGED, NULL);
	for (use_unix = 0; use_unix <= 1; use_unix++) {
		check_int(judge(mine, use_unix, 0, &who, &err), 0);
		check_int(who.pid, getpid());
		check_int(who.uid, geteuid());
		check_str(who.comm, own_name());
		check_int(judge(mine, use_unix, 0, &who, &err), 0);	/* found again */
		/* a tree that this process is not in */
		outsider = fork();
		if (outsider == 0) {
			pause();
			_exit(0);
		}
		peers = peers_new(outsider, geteuid(), no_netlink);
		check_int(judge(peers, use_unix, 0, &who, &err), -1);
		check(strstr(err.cause, "no process of the job") != NULL);
		check_int(who.pid, getpid());		/* named all the same */
		peers_free(peers);
		kill(outsider, SIGKILL);
		waitpid(outsider, NULL, 0);
		/* a worker of ours; another process that got its number is none */
		peers = peers_new(getppid(), geteuid(), no_netlink);
		peers_exclude(peers, 1 << 30);
		check_int(judge(peers, use_unix, 0, &who, &err), 0);
		peers_exclude(peers, getpid());
		check_int(judge(peers, use_unix, 0, &who, &err), -1);
		peers_free(peers);
		/* however many were before it */
		peers = peers_new(getppid(), geteuid(), no_netlink);
		for (i = 0; i < 300; i++)
			exclude_one_that_ends(peers);
		peers_exclude(peers, getpid());
		check_int(judge(peers, use_unix, 0, &who, &err), -1);
		peers_free(peers);
		/* another user */
		peers = peers_new(getppid(), geteuid() + 1, no_netlink);
		check_int(judge(peers, use_unix, 0, &who, &err), -1);
		check(strstr(err.cause, "another user") != NULL);
		peers_free(peers);
		if (geteuid() == 0 && !use_unix) {
			check_int(judge(mine, use_unix, 65534, &who, &err), -1);
			check_int(who.uid, 65534);
			check(who.pid != 0 && who.pid != getpid());
		}
	}
	peers_free(mine);
	start();
	end();
}

/* A client whose parent ends at that moment, as a daemon's does, is the job's all the time. */
static void
test_orphaned_peers(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	int i, fd, other, refused = 0;
	struct err err = ERR_EMPTY;
	struct peer who;
	char c;

	begin(PLAN_BROKER_MANAGED, NULL);
	check_int(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	signal(SIGCHLD, SIG_IGN);		/* nobody has to wait for them */
	for (i = 0; i < 250; i++) {
		if (fork() == 0) {
			if (fork() == 0) {
				fd = connect_unix();
				_exit(read(fd, &c, 1) < 0);
			}
			usleep((useconds_t)(i % 300));
			_exit(0);
		}
		other = accept(b.opt.unix_fd, NULL, NULL);
		refused += peers_check(peers, other, &who, &err) != 0;
		close(other);
	}
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	check_int(refused, 0);
	peers_free(peers);
	start();
	end();
}

/* The check costs a look at the process that asked last, and a chain of parents. */
static void
test_peer_cost(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	int fd, other, i, failures = 0;
	struct err err = ERR_EMPTY;
	struct peer who;
	int64_t began;

	begin(PLAN_BROKER_MANAGED, NULL);
	fd = connect_tcp();
	other = accept(b.opt.listen_fd, NULL, NULL);
	failures += peers_check(peers, other, &who, &err) != 0;
	began = clock_us();
	for (i = 0; i < 200; i++)
		failures += peers_check(peers, other, &who, &err) != 0;
	printf("# a check takes %lld us\n", (long long)(clock_us() - began) / 200);
	check_int(failures, 0);
	check(clock_us() - began < 200 * 50000);
	peers_free(peers);
	began = clock_us();
	for (i = 0; i < 20; i++) {
		peers = peers_new(getppid(), geteuid(), 0);	/* it remembers nobody */
		failures += peers_check(peers, other, &who, &err) != 0;
		peers_free(peers);
	}
	printf("# a search takes %lld us\n", (long long)(clock_us() - began) / 20);
	check_int(failures, 0);
	close(fd);
	close(other);
	start();
	end();
}

static void
test_proc_stat(void)
{
	static const char tail[] = " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 99\n";
	static const struct { const char *text, *comm; int ok; } rows[] = {
		{ "12 (sh)", "sh", 1 }, { "12 (a) R 1 (b)", "a) R 1 (b", 1 }, { "12 ()", "", 1 },
		{ "12 sh", "", 0 }, { ")12 (", "", 0 }, { "", "", 0 },
	};
	struct proc_stat stat;
	char text[256];
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		str_format(text, sizeof(text), "%s%s", rows[i].text, tail);
		check_int(proc_parse_stat(text, &stat), rows[i].ok ? 0 : -1);
		if (!rows[i].ok)
			continue;
		check_str(stat.comm, rows[i].comm);
		check_int(stat.parent, 7);
		check_int(stat.start, 123456);
		check_int(stat.state, 'S');
	}
	str_format(text, sizeof(text), "12 (sh) S 7 8");
	check_int(proc_parse_stat(text, &stat), -1);
	check_int(proc_read_stat(getpid(), &stat), 0);
	check_int(stat.parent, getppid());
}

/* Refused over the wire, in each dialect's shape, although the secret is right. */
static void
test_refused_peer(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	char body[512];
	int fd;

	begin(PLAN_BROKER_MANAGED, peers);
	start();
	fd = connect_tcp();
	check_int(talk(fd, "GET", AML, MSI_OK, NULL, 0), 200);
	peers_exclude(peers, getpid());
	check_int(talk(fd, "GET", AML, MSI_OK, NULL, 0), 200);	/* asked once a connection */
	close(fd);
	check_int(ask("GET", AML, MSI_OK, body, sizeof(body)), 403);
	check(strstr(body, "\"error\":\"client_not_allowed\"") != NULL);
	check_int(ask("GET", APP, APP_OK, body, sizeof(body)), 403);
	check(strstr(body, "\"statusCode\":403,\"message\":\"the client is not") != NULL);
	check_int(ask("GET", IMDS, META, body, sizeof(body)), 403);
	fd = connect_unix();
	check_int(talk(fd, "GET", AML, MSI_OK, NULL, 0), 403);
	close(fd);
	end();
	peers_free(peers);
}

static void
test_unix_socket(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	char dir[BROKER_PATH_SIZE];
	struct stat st;
	int fd;

	begin(PLAN_BROKER_MANAGED, peers);
	start();
	str_format(dir, sizeof(dir), "%s", b.path);
	*strrchr(dir, '/') = '\0';
	check_int(stat(dir, &st), 0);
	check_int(st.st_mode & 07777, 0700);
	check_int(st.st_uid, geteuid());
	fd = connect_unix();
	check_int(talk(fd, "GET", AML, MSI_OK, NULL, 0), 200);
	check_int(talk(fd, "GET", APP, APP_OK, NULL, 0), 200);
	check_int(talk(fd, "GET", AML, "", NULL, 0), 403);
	close(fd);
	end();
	check_int(stat(dir, &st), -1);
	peers_free(peers);
}

/* --- the record --- */

static const char *
member(const struct json *line, const char *name)
{
	const char *text = json_string(json_get(line, name));

	return (text != NULL ? text : "(null)");
}

/* Line n of the record; NULL: there are fewer. */
static struct json *
audit_line(int n)
{
	auto_buf struct buf text = BUF_EMPTY;
	const char *at;
	size_t len;

	if (fd_read_file(b.audit_path, 1 << 20, &text, NULL) != 0)
		return (NULL);
	for (at = buf_str(&text); n > 0 && (at = strchr(at, '\n')) != NULL; n--)
		at++;
	len = at == NULL ? 0 : strcspn(at, "\n");
	return (len == 0 ? NULL : json_parse(at, len));
}

static void
test_audit(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	struct json *line;
	struct stat st;
	int64_t number;
	int i, n;

	begin(PLAN_BROKER_MANAGED, peers);
	start();
	check_int(stat(b.audit_path, &st), 0);
	check_int(st.st_mode & 07777, 0600);
	check_int(ask("GET", APP, APP_OK, NULL, 0), 200);
	check_int(ask("GET", AML "&clientid=" CLIENT_B, MSI_OK, NULL, 0), 403);
	check_int(ask("GET", IMDS, "", NULL, 0), 400);		/* a probe: not recorded */
	for (i = 0; i < 60; i++)
		check_int(ask("GET", AML, "secret: sesame2\r\n", NULL, 0), 403);
	line = audit_line(0);
	check_str(member(line, "outcome"), "granted");
	check_str(member(line, "dialect"), "appservice");
	check_str(member(line, "identity"), "managed identity A");
	check_str(member(line, "client_id"), CLIENT_A);
	check_str(member(line, "audience"), "https://storage.azure.com/");
	check_str(member(line, "comm"), own_name());
	check_int(json_int(json_get(line, "pid"), &number) == 0 ? number : -1, getpid());
	check_int(json_int(json_get(line, "uid"), &number) == 0 ? number : -1, geteuid());
	check_int(strlen(member(line, "time")), 20);
	check_int(strlen(member(line, "expires")), 20);
	json_free(line);
	line = audit_line(1);
	check_str(member(line, "outcome"), "refused");
	check_str(member(line, "reason"), "identity");
	check_str(member(line, "client_id"), CLIENT_B);
	json_free(line);
	line = audit_line(2);
	check_str(member(line, "reason"), "secret");
	json_free(line);
	for (n = 0; (line = audit_line(n)) != NULL; n++)
		json_free(line);
	check(n >= 1 + REFUSALS_AT_ONCE && n < 60);	/* bounded */
	end();
	peers_free(peers);
}

static void
test_audit_has_no_secret(void)
{
	auto_buf struct buf text = BUF_EMPTY;

	begin(PLAN_BROKER_USER, NULL);
	start();
	check_int(ask("GET", OBO, "", NULL, 0), 200);
	check_int(ask("GET", OBO, FORWARD, NULL, 0), 403);
	check_int(ask("GET", "/OBO/x" GOOD "/token", "", NULL, 0), 404);
	check_int(fd_read_file(b.audit_path, 1 << 20, &text, NULL), 0);
	check(strstr(buf_str(&text), "granted") != NULL);
	check(strstr(buf_str(&text), GOOD) == NULL);
	check(strstr(buf_str(&text), "opaque") == NULL);
	end();
}

/* --- many clients, slow clients --- */

#define CLIENTS	200
#define EACH	4

static void *
client(void *arg)
{
	int *served = arg, i, fd = connect_tcp();

	for (i = 0; i < EACH; i++)
		*served += talk(fd, "GET", AML, MSI_OK, NULL, 0) == 200;
	close(fd);
	return (NULL);
}

static void
test_many(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	static pthread_t threads[CLIENTS];
	static int served[CLIENTS];
	pthread_attr_t attr;
	int64_t began = clock_ms();
	int i, sum = 0;

	begin(PLAN_BROKER_MANAGED, peers);
	upstream_hang_ms = 300;
	start();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (i = 0; i < CLIENTS; i++)
		check(pthread_create(&threads[i], &attr, client, &served[i]) == 0);
	for (i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		sum += served[i];
	}
	pthread_attr_destroy(&attr);
	printf("# %d clients in %lld ms\n", CLIENTS, (long long)(clock_ms() - began));
	check_int(sum, CLIENTS * EACH);
	check_int(upstream_requests, 1);
	check_int(broker_grants(b.broker), CLIENTS * EACH);
	end();
	peers_free(peers);
}

/* ms until the broker closes on a client that sends a byte every 50 ms. */
static int64_t
drip(void)
{
	static const char line[] = "GET /MSI/auth HTTP/1.1\r\nHost: a\r\nX: ";
	int64_t began = clock_ms();
	int fd = connect_tcp();
	size_t at = 0;
	char byte;

	while (clock_ms() - began < 5000 &&
	    send(fd, at < sizeof(line) - 1 ? &line[at] : "x", 1, MSG_NOSIGNAL) == 1) {
		at++;
		clock_sleep_ms(50);
		if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
			break;
	}
	close(fd);
	return (clock_ms() - began);
}

static void
test_patience(void)
{
	int idle[4];
	int64_t ms, began;
	size_t i;
	char byte;

	begin(PLAN_BROKER_MANAGED, NULL);
	b.opt.request_ms = 600;
	start();
	ms = drip();
	check(ms >= 500 && ms < 4500);
	end();
	begin(PLAN_BROKER_MANAGED, NULL);
	b.opt.request_ms = 20000;
	b.opt.connections_max = 4;
	start();
	for (i = 0; i < LENGTH(idle); i++) {
		idle[i] = connect_tcp();
		clock_sleep_ms(50);
	}
	began = clock_ms();
	check_int(ask("GET", AML, MSI_OK, NULL, 0), 200);	/* one makes room */
	check(clock_ms() - began < 15000);
	check_int(recv(idle[0], &byte, 1, 0), 0);		/* the first */
	check_int(recv(idle[3], &byte, 1, MSG_DONTWAIT), -1);
	for (i = 0; i < LENGTH(idle); i++)
		close(idle[i]);
	end();
}

/* Whose token is meant: the plan's default by any of its ids, one of the compute's, nobody's. */
static void
test_whose(void)
{
	static const struct { const char *client, *object, *resource, *label; } rows[] = {
		{ NULL, NULL, NULL, "managed identity A" },
		{ CLIENT_A, NULL, NULL, "managed identity A" },
		{ NULL, "0bject", NULL, "managed identity A" },
		{ NULL, NULL, "/R/default", "managed identity A" },
		{ NULL, OBJECT_A, NULL, "managed identity " OBJECT_A },
		{ CLIENT_B, NULL, NULL, NULL }, { NULL, CLIENT_B, NULL, NULL },
		{ NULL, NULL, "/r/b", NULL },
	};
	struct plan plan = { .broker_uais = uais, .nbroker_uais = 1, .broker_default = managed_a };
	struct arena mem = ARENA_EMPTY;
	struct plan_identity who;
	size_t i;

	plan.broker_default.object_id = "0bject";
	plan.broker_default.resource_id = "/r/default";
	for (i = 0; i < LENGTH(rows); i++) {
		check_int(whose_identity(&plan, rows[i].client, rows[i].object, rows[i].resource,
		    &who, &mem), rows[i].label != NULL ? 0 : -1);
		if (rows[i].label != NULL)
			check_str(who.label, rows[i].label);
	}
	plan.broker_any_client_id = 1;
	check_int(whose_identity(&plan, CLIENT_B, NULL, NULL, &who, &mem), 0);
	check_str(who.client_id, CLIENT_B);
	check_int(whose_identity(&plan, "no guid", NULL, NULL, &who, &mem), -1);
	arena_done(&mem);
}

int
main(void)
{
	log_setup(-1, LOG_TEXT);
	tinyserver_start(upstream);
	test_proc_stat();
	test_dialects();
	test_offer();
	test_peers(0);
	test_peers(1);
	test_mapped_peer(0);
	test_mapped_peer(1);
	test_orphaned_peers();
	test_peer_cost();
	test_refused_peer();
	test_unix_socket();
	test_audit();
	test_audit_has_no_secret();
	test_many();
	test_patience();
	tinyserver_stop();
	test_whose();
	return (check_done());
}
