/*
 * What the agent's parts do without threads, descriptors or memory: the error
 * says what could not be had, nothing hangs, and what can go on does.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "check.h"
#include "denied.h"
#include "identity/audit.h"
#include "identity/broker.h"
#include "identity/caller.h"
#include "identity/keeper.h"
#include "identity/peer.h"
#include "identity/tokenfile.h"
#include "tinyserver.h"

#define STORAGE	"https://storage.azure.com/"
#define AML	"GET /MSI/auth?api-version=2017-09-01&resource=" \
		"https%3A%2F%2Fstorage.azure.com%2F HTTP/1.1\r\nHost: a\r\nsecret: sesame\r\n\r\n"
#define LONG	40000		/* a secret of this many bytes needs memory of its own */
#define PATIENCE_MS 5000

static const struct plan_identity managed = { .kind = PLAN_ID_MANAGED,
	.label = "managed identity A" };
static _Atomic int token_size = 6, token_life_s = 3600, hang_ms, is_refusing, requests;

/* The platform's endpoint: a token of that many bytes, to be renewed after a second. */
static int
upstream(struct httpd_conn *conn)
{
	static char body[LONG + 128];

	static const char refusal[] = "{\"error\":\"invalid_request\"}";

	requests++;
	clock_sleep_ms(hang_ms);
	if (is_refusing)
		return (httpd_reply(conn, 400, "", refusal, strlen(refusal)));
	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"access_token\":\"", 17);
	str_format(body + 17 + token_size, 64, "\",\"expires_in\":%d,\"refresh_in\":1}",
	    token_life_s);
	return (httpd_reply(conn, 200, "", body, strlen(body)));
}

static struct facts facts;
static struct http *http;
static char endpoint[64];

static int64_t
soon(void)
{
	return (clock_ms() + PATIENCE_MS);
}

static void
test_cache(void)
{
	static char text[LONG];
	struct plan_identity principal = { .kind = PLAN_ID_SERVICE_PRINCIPAL, .label = "sp" };
	struct token t = { .generation = 0 };
	struct secret got = { NULL, 0 };
	struct caller caller;
	struct cache_counts counts;
	struct cache *cache;
	struct err err = ERR_EMPTY;
	uint64_t generation;

	deny(DENIED_PTHREAD_CREATE, 0, 0, EAGAIN);
	check(cache_new(&facts, http, &err) == NULL);
	deny_nothing();
	check_str(err.op, "start a thread");
	check_str(err.resource, "token keeper");
	check_int(err.sys_errno, EAGAIN);
	cache_free(NULL);
	cache = cache_new(&facts, http, &err);
	/* Its own copy of a secret. */
	memset(text, 'k', sizeof(text));
	check_int(secret_set(&principal.secret, text, sizeof(text), &err), 0);
	err = ERR_EMPTY;
	deny(DENIED_MMAP, 0, 0, ENOMEM);
	check_int(cache_get(cache, &principal, STORAGE, 0, soon(), &t, &err), -1);
	deny_nothing();
	check_str(err.op, "keep a secret");
	check_int(err.sys_errno, ENOMEM);
	cache_counts(cache, &counts);
	check_int(counts.entries, 0);
	secret_done(&principal.secret);
	/* The caller's copy of a token that is there. */
	token_size = LONG;
	check_int(cache_get(cache, &managed, STORAGE, 0, soon(), &t, &err), 0);
	check_int(t.text.len, LONG);
	caller_init(&caller, cache, &managed);
	err = ERR_EMPTY;
	deny(DENIED_MMAP, 0, 0, ENOMEM);
	check_int(cache_get(cache, &managed, STORAGE, 0, soon(), &t, &err), -1);
	check_str(err.op, "keep a secret");
	check_int(t.text.len, LONG);		/* the one it had */
	check_int(caller.bearer.get(caller.bearer.arg, STORAGE, 0, soon(), &got, &generation,
	    &err), -1);
	check(denied_count() >= 2);
	deny_nothing();
	token_done(&t);
	token_size = 6;
	cache_free(cache);
}

static void *
ask_for_long(void *arg)
{
	static char there[] = "a token";
	struct token t = { .generation = 0 };
	int failed = cache_get(arg, &managed, STORAGE, 0, soon(), &t, NULL);

	token_done(&t);
	return (failed == 0 ? there : NULL);
}

/* until: 1, or the time is over. */
static int
have_been_asked(int n)
{
	int64_t until = soon();

	while (requests < n && clock_ms() < until)
		clock_sleep_ms(5);
	return (requests >= n);
}

/* What is told meanwhile to those who have less time, and to those who ask again. */
static void
test_waiting(void)
{
	struct cache *cache = cache_new(&facts, http, NULL);
	struct token t = { .generation = 0 };
	struct err err = ERR_EMPTY;
	pthread_t thread;
	uint64_t first;
	void *got;

	requests = 0;
	hang_ms = 300;
	check_int(pthread_create(&thread, NULL, ask_for_long, cache), 0);
	check(have_been_asked(1));
	check_int(cache_get(cache, &managed, STORAGE, 0, clock_ms() + 20, &t, &err), -1);
	check_int(err.kind, ERR_UNREACHABLE);
	check_str(err.cause, "no answer in time");
	check_str(err.identity, "managed identity A");
	pthread_join(thread, &got);
	check(got != NULL);
	hang_ms = 0;
	/* A renewal that is refused: what is there serves on, and is not asked for once more. */
	is_refusing = 1;
	check(have_been_asked(2));
	check_int(cache_get(cache, &managed, STORAGE, 0, soon(), &t, &err), 0);
	first = t.generation;
	check_int(cache_get(cache, &managed, STORAGE, first, soon(), &t, &err), -1);
	check_int(err.kind, ERR_NO_IDENTITY);
	check_int(cache_get(cache, &managed, STORAGE, first, soon(), &t, &err), -1);
	check_int(requests, 2);
	is_refusing = 0;
	token_done(&t);
	cache_free(cache);
}

/* --- the broker --- */

static struct broker_options opt;
static struct plan plan = { .broker = PLAN_BROKER_MANAGED, .broker_default =
	{ .kind = PLAN_ID_MANAGED, .label = "managed identity A" }, .broker_dialects = 7 };
static struct secret sesame;
static int port;

static int
connect_tcp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	check_int(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return (fd);
}

/* The status of an answer; 0: the connection was closed; -1: none in time. */
static int
answer_of(int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return (n == 0 || errno == ECONNRESET ? 0 : -1);
	text[n] = '\0';
	return (atoi(text + strlen("HTTP/1.1 ")));
}

static int
ask(int fd)
{
	size_t left = strlen(AML);

	check_int(write(fd, AML, left), (int64_t)left);
	return (answer_of(fd));
}

static void
test_listening(void)
{
	char path[BROKER_PATH_SIZE], dir[BROKER_PATH_SIZE];
	struct err err = ERR_EMPTY;
	struct stat st;
	int fd, unix_fd;

	deny(DENIED_SOCKET, 0, 0, EMFILE);
	check_int(broker_listen(&port, &err), -1);
	check_str(err.op, "listen for the job's token requests");
	check_int(err.sys_errno, EMFILE);
	err = ERR_EMPTY;
	deny(DENIED_MKDTEMP, 0, 0, EROFS);
	check_int(broker_listen_unix(path, sizeof(path), &err), -1);
	check_int(denied_count(), 3);
	check_str(err.resource, "/dev/shm, /run, /tmp");
	check_int(err.sys_errno, EROFS);
	err = ERR_EMPTY;
	deny(DENIED_MKDTEMP, 0, 1, EROFS);		/* the next place */
	unix_fd = broker_listen_unix(path, sizeof(path), &err);
	check(unix_fd >= 0 && str_starts(path, "/run/amlshim-"));
	close(unix_fd);
	deny_nothing();
	/* To the job's user: through the directory, to the socket. */
	check_int(broker_give_unix(path, geteuid(), getegid()), 0);
	str_format(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	check(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0711);
	broker_remove_unix(path);
	check_int(stat(dir, &st), -1);
	check_int(broker_give_unix(path, geteuid(), getegid()), -1);
	/* Nothing of it stays. */
	err = ERR_EMPTY;
	deny(DENIED_LISTEN, 0, 0, EADDRINUSE);
	check_int(broker_listen_unix(path, sizeof(path), &err), -1);
	deny_nothing();
	check_int(err.sys_errno, EADDRINUSE);
	check_int(stat(path, &st), -1);
	fd = open("denied.plain", O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
	close(fd);
	broker_remove_unix("denied.plain");		/* no path of ours */
	check_int(unlink("denied.plain"), 0);
}

static void
test_broker(void)
{
	struct cache *cache = cache_new(&facts, http, NULL);
	char path[BROKER_PATH_SIZE];
	struct broker *broker;
	struct err err = ERR_EMPTY;
	int64_t until;
	int fd, i;

	opt = (struct broker_options){ .audit = audit_new(-1), .plan = &plan, .cache = cache,
	    .secret = &sesame };
	for (i = 0; i <= 1; i++) {
		opt.listen_fd = broker_listen(&port, &err);
		opt.unix_fd = broker_listen_unix(path, sizeof(path), &err);
		err = ERR_EMPTY;
		deny(DENIED_PTHREAD_CREATE, i, 0, EAGAIN);
		check(broker_new(&opt, &err) == NULL);
		deny_nothing();
		check_str(err.op, "start a thread");
		check_int(err.sys_errno, EAGAIN);
		broker_remove_unix(path);
		if (i == 0)
			close(opt.listen_fd);
		close(opt.unix_fd);
	}
	broker_free(NULL);
	opt.listen_fd = broker_listen(&port, &err);
	opt.unix_fd = -1;
	/* Signals, before anybody has come: it waits for the first one all the same. */
	deny(DENIED_POLL, 0, 0, EINTR);
	broker = broker_new(&opt, &err);
	for (until = soon(); denied_count() < 100 && clock_ms() < until;)
		clock_sleep_ms(1);
	check(denied_count() >= 100);
	deny_nothing();
	/* No descriptor for a while: the client waits in the queue. */
	deny(DENIED_ACCEPT4, 0, 3, EMFILE);
	fd = connect_tcp();
	check_int(ask(fd), 200);
	check_int(denied_count(), 3);
	/* A client that is slow to read, and a signal. */
	deny(DENIED_SEND, 0, 1, EAGAIN);
	check_int(ask(fd), 200);
	deny(DENIED_SEND, 0, 1, EINTR);
	check_int(ask(fd), 200);
	deny(DENIED_SEND, 0, 1, EPIPE);
	check_int(ask(fd), 0);
	close(fd);
	/* No thread for a moment: it waits.  None at all: it goes, the next one is served. */
	deny(DENIED_PTHREAD_CREATE, 0, 1, EAGAIN);
	fd = connect_tcp();
	check_int(ask(fd), 200);
	check_int(denied_count(), 1);
	close(fd);
	deny(DENIED_PTHREAD_CREATE, 0, 1, ENOMEM);
	fd = connect_tcp();
	check_int(answer_of(fd), 0);
	check_int(denied_count(), 1);
	close(fd);
	deny_nothing();
	fd = connect_tcp();
	check_int(ask(fd), 200);
	close(fd);
	broker_free(broker);
	audit_free(opt.audit);
	cache_free(cache);
}

/* Room for one, who is being served: the next one waits its turn. */
static void
test_full_broker(void)
{
	struct cache *cache = cache_new(&facts, http, NULL);
	struct broker *broker;
	struct err err = ERR_EMPTY;
	int one, two;

	opt = (struct broker_options){ .audit = audit_new(-1), .plan = &plan, .cache = cache,
	    .secret = &sesame, .connections_max = 1, .unix_fd = -1,
	    .listen_fd = broker_listen(&port, &err) };
	broker = broker_new(&opt, &err);
	requests = 0;
	hang_ms = 200;
	one = connect_tcp();
	check(write(one, AML, strlen(AML)) > 0);
	check(have_been_asked(1));
	two = connect_tcp();
	check(write(two, AML, strlen(AML)) > 0);
	check_int(answer_of(one), 200);
	check_int(answer_of(two), 200);
	hang_ms = 0;
	close(one);
	close(two);
	broker_free(broker);
	audit_free(opt.audit);
	cache_free(cache);
}

/* --- who asks --- */

static void
test_peers(void)
{
	static const struct { enum denied what; int use_unix; const char *cause; } rows[] = {
		{ DENIED_GETPEERNAME, 0, "Transport endpoint" },
		{ DENIED_GETSOCKNAME, 0, "Transport endpoint" },
		{ DENIED_GETSOCKOPT, 1, "Transport endpoint" },
	};
	struct peers *peers = peers_new(getppid(), geteuid(), 0), *slow;
	int pair[2], fd, other, listener, i;
	struct peer who;
	struct err err = ERR_EMPTY;

	listener = broker_listen(&port, &err);
	fd = connect_tcp();
	other = accept(listener, NULL, NULL);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (i = 0; i < 3; i++) {
		err = ERR_EMPTY;
		deny(rows[i].what, 0, 0, ENOTCONN);
		check_int(peers_check(peers, rows[i].use_unix ? pair[0] : other, &who, &err), -1);
		check_str(err.op, "see who asks");
		check_int(err.sys_errno, ENOTCONN);
		check(who.pid == 0);
	}
	/* Without netlink, or without an answer by it, a table of the kernel's says the same. */
	deny(DENIED_SOCKET, 0, 0, EAFNOSUPPORT);
	check_int(peers_check(peers, other, &who, &err), 0);
	check_int(who.pid, getpid());
	deny(DENIED_RECV, 0, 0, EAGAIN);
	check_int(peers_check(peers, other, &who, &err), 0);
	check_int(who.pid, getpid());
	deny(DENIED_RECV, 0, 1, EINTR);
	check_int(peers_check(peers, other, &who, &err), 0);
	check_int(denied_count(), 1);
	/* Without either nobody is let in. */
	slow = peers_new(getppid(), geteuid(), 1);
	err = ERR_EMPTY;
	deny(DENIED_FOPEN, 0, 0, ENOENT);
	check_int(peers_check(slow, other, &who, &err), -1);
	check_int(err.kind, ERR_DENIED);
	check(strstr(err.cause, "does not tell whose connection this is") != NULL);
	check_int(denied_count(), 2);
	deny_nothing();
	close(fd);
	close(other);
	close(listener);
	close(pair[0]);
	close(pair[1]);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	err = ERR_EMPTY;
	check_int(peers_check(peers, fd, &who, &err), -1);
	check(strstr(err.cause, "no local connection") != NULL);
	close(fd);
	peers_free(peers);
	peers_free(slow);
	peers_free(NULL);
}

/* 300 workers are still there: that is more than can be known, and those that are stay. */
static void
test_many_workers(void)
{
	struct peers *peers = peers_new(getppid(), geteuid(), 0);
	int pair[2], i;
	struct peer who;
	struct err err = ERR_EMPTY;

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (i = 0; i < 300; i++)
		peers_exclude(peers, getpid());
	check_int(peers_check(peers, pair[0], &who, &err), -1);
	check(strstr(err.cause, "no process of the job") != NULL);
	close(pair[0]);
	close(pair[1]);
	peers_free(peers);
}

/* --- the record --- */

static void
test_audit(void)
{
	static const struct audit_event granted = { .dialect = "imds", .identity = "A" },
	    refused = { .dialect = "imds", .reason = "secret", .text = "the secret is wrong" };
	char path[64];
	auto_buf struct buf text = BUF_EMPTY;
	struct err err = ERR_EMPTY;
	struct audit *audit;
	int64_t now = clock_ms();
	int i, lines = 0;
	const char *at;

	check_int(audit_open("/proc/nowhere/audit", &err), -1);
	check_str(err.op, "open the audit file");
	check_str(err.resource, "/proc/nowhere/audit");
	audit_free(NULL);
	str_format(path, sizeof(path), "/tmp/test_denied.%d", (int)getpid());
	clock_stand(now);
	audit = audit_new(audit_open(path, &err));
	for (i = 0; i < 50; i++)
		audit_write(audit, &refused);
	clock_stand(now + 1500);	/* room for one more, which says how many there were */
	audit_write(audit, &refused);
	audit_write(audit, &refused);
	clock_stand(now + 3600000);	/* and no more than at the start, however long it was */
	for (i = 0; i < 50; i++)
		audit_write(audit, &refused);
	clock_stand(0);
	audit_free(audit);
	check_int(fd_read_file(path, 1 << 20, &text, &err), 0);
	for (at = buf_str(&text); (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	check_int(lines, 2 * REFUSALS_AT_ONCE + 1);
	check(strstr(buf_str(&text), "\"suppressed\":30") != NULL);
	unlink(path);
	/* A full disk: said once, and whoever asks is answered all the same. */
	audit = audit_new(open("/dev/full", O_WRONLY | O_CLOEXEC));
	audit_write(audit, &granted);
	audit_write(audit, &granted);
	audit_free(audit);
}

/* --- token files --- */

static char log_path[64];

static void
listen_to_log(void)
{
	int fd;

	str_format(log_path, sizeof(log_path), "/tmp/test_denied.log.%d", (int)getpid());
	fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	close(fd);
}

static int
has_said(const char *words)
{
	auto_buf struct buf text = BUF_EMPTY;
	int64_t until = soon();

	while (clock_ms() < until && (fd_read_file(log_path, 1 << 16, &text, NULL) != 0 ||
	    strstr(buf_str(&text), words) == NULL)) {
		buf_reset(&text);
		clock_sleep_ms(10);
	}
	unlink(log_path);
	return (clock_ms() < until);
}

static void
test_token_files(void)
{
	static struct plan_token files[] = { { STORAGE, "/tmp/denied.token.1" },
	    { STORAGE, "/tmp/denied.nowhere/token" } };
	struct cache *cache = cache_new(&facts, http, NULL);
	struct audit *audit = audit_new(-1);
	struct fd_home homes[2];
	struct tokenfiles *kept;
	int64_t until;
	struct err err = ERR_EMPTY;
	struct stat st;

	plan.files_with_token = files;
	plan.nfiles_with_token = 2;
	check(tokenfiles_new(&plan, &facts, NULL, cache, audit, soon(), &err) == NULL);
	check(strstr(err.resource, "/tmp/denied.nowhere") != NULL);
	check_int(err.sys_errno, ENOENT);
	check_int(stat(files[0].place, &st), -1);	/* none without all */
	/* The same in a directory of the job's user. */
	fd_home_of(files[0].place, &homes[0]);
	fd_home_of(files[1].place, &homes[1]);
	err = ERR_EMPTY;
	check(tokenfiles_new(&plan, &facts, homes, cache, audit, soon(), &err) == NULL);
	check(strstr(err.resource, "/tmp/denied.nowhere") != NULL);
	check_int(stat(files[0].place, &st), -1);
	plan.nfiles_with_token = 1;
	err = ERR_EMPTY;
	deny(DENIED_PTHREAD_CREATE, 0, 0, EAGAIN);
	check(tokenfiles_new(&plan, &facts, NULL, cache, audit, soon(), &err) == NULL);
	deny_nothing();
	check_str(err.op, "start a thread");
	check_int(stat(files[0].place, &st), -1);
	kept = tokenfiles_new(&plan, &facts, NULL, cache, audit, soon(), &err);
	check(kept != NULL && stat(files[0].place, &st) == 0 && (st.st_mode & 07777) == 0600);
	check_int(st.st_size, 6);
	tokenfiles_free(kept);
	tokenfiles_free(NULL);
	/* Its place is gone when the next token comes, and is there again later. */
	check_int(mkdir("/tmp/denied.nowhere", 0700), 0);
	plan.files_with_token = &files[1];
	cache_free(cache);
	cache = cache_new(&facts, http, NULL);
	kept = tokenfiles_new(&plan, &facts, NULL, cache, audit, soon(), &err);
	listen_to_log();
	check_int(unlink(files[1].place), 0);
	check_int(rmdir("/tmp/denied.nowhere"), 0);
	check(has_said("/tmp/denied.nowhere"));
	check_int(mkdir("/tmp/denied.nowhere", 0700), 0);
	for (until = soon(); stat(files[1].place, &st) != 0 && clock_ms() < until;)
		clock_sleep_ms(5);
	check(stat(files[1].place, &st) == 0 && (st.st_mode & 07777) == 0600);
	tokenfiles_free(kept);
	unlink(files[1].place);
	rmdir("/tmp/denied.nowhere");
	plan.files_with_token = files;
	unlink(files[0].place);
	audit_free(audit);
	cache_free(cache);
}

int
main(void)
{
	static const struct http_options options = { .max_connections = 4 };
	struct err err = ERR_EMPTY;

	tinyserver_start(upstream);
	str_format(endpoint, sizeof(endpoint), "http://127.0.0.1:%d/ep", tinyserver.port);
	facts = (struct facts){ .cwd = "/", .msi_endpoint = endpoint };
	secret_set(&facts.msi_secret, "s3cret", 6, &err);
	secret_set(&sesame, "sesame", 6, &err);
	deny(DENIED_PTHREAD_CREATE, 0, 0, EAGAIN);
	check(http_new(&options, &err) == NULL);
	check_int(err.sys_errno, EAGAIN);
	deny_nothing();
	http = http_new(&options, &err);
	test_cache();
	test_waiting();
	test_listening();
	test_broker();
	test_full_broker();
	test_peers();
	test_many_workers();
	test_audit();
	test_token_files();
	keeper_free(NULL);
	http_free(http);
	secret_done(&facts.msi_secret);
	secret_done(&sesame);
	return (check_done());
}
