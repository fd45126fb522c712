/* download_url: a public file, from a server that redirects, breaks off and changes its mind. */

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/wire.h"
#include "check.h"
#include "mount/transfer.h"
#include "origin.h"

#define SIZE	(1 << 20)
#define CUT	300000

static char dir[64], body[2][SIZE];	/* the second one replaces the first */

/*
 * The server is a process of its own: this one has a single thread when it forks, so that
 * no lock of another is held in the worker for ever.
 */
static struct {
	atomic_int	 seen, ranges;
	atomic_int	 ready;
	char		 url[64];
} *server;

static struct {
	int	ready, failed;
	struct err err;
	struct wire_stats stats;
} told;

static enum origin_end
send_body(struct origin_conn *c, const char *head, const char *bytes, size_t len)
{
	if (origin_send(c, head) != 0)
		return (ORIGIN_CLOSE);
	while (len > 0) {
		ssize_t n = write(c->fd, bytes, len);

		if (n <= 0)
			return (ORIGIN_CLOSE);
		bytes += n;
		len -= (size_t)n;
	}
	return (ORIGIN_CLOSE);
}

/* The whole of version v, broken off after cut bytes. */
static enum origin_end
send_whole(struct origin_conn *c, int v, const char *headers, size_t cut)
{
	char head[256];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", SIZE,
	    headers);
	return (send_body(c, head, body[v], cut));
}

/* Only if it asks for what is missing, of the version it has; at most so much of it. */
static enum origin_end
send_some(struct origin_conn *c, const char *version, long long most)
{
	char head[256];
	long long first = -1, len;

	if (sscanf(origin_header(c, "range"), "bytes=%lld-", &first) != 1 || first <= 0 ||
	    first >= SIZE || strcmp(origin_header(c, "if-range"), version) != 0)
		return (ORIGIN_CLOSE);
	server->ranges++;
	len = SIZE - first < most ? SIZE - first : most;
	snprintf(head, sizeof(head), "HTTP/1.1 206 Partial Content\r\nContent-Length: %lld\r\n"
	    "Content-Range: bytes %lld-%lld/%d\r\nETag: \"one\"\r\n\r\n", len, first,
	    first + len - 1, SIZE);
	return (send_body(c, head, body[0] + first, (size_t)len));
}

static enum origin_end
send_rest(struct origin_conn *c, const char *version)
{
	return (send_some(c, version, SIZE));
}

static enum origin_end
redirect(struct origin_conn *c, const char *to)
{
	char head[256];

	snprintf(head, sizeof(head), "Location: %s\r\n", to);
	return (httpd_reply(&c->http, 302, head, "", 0) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
}

static enum origin_end
serve(struct origin_conn *c)
{
	static const char tags[] = "ETag: \"one\"\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT"
	    "\r\n", date[] = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n";
	const char *path = c->http.req.path;
	int first = atomic_fetch_add(&server->seen, 1) == 0;

	if (origin_header(c, "authorization")[0] != '\0')
		return (ORIGIN_RESET);
	if (strcmp(path, "/plain") == 0)
		return (send_whole(c, 0, tags, SIZE));
	if (strcmp(path, "/empty") == 0)
		return (httpd_reply(&c->http, 200, NULL, "", 0) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
	if (strcmp(path, "/cut") == 0)
		return (first ? send_whole(c, 0, tags, CUT) : send_rest(c, "\"one\""));
	if (strcmp(path, "/cut-dated") == 0)
		return (first ? send_whole(c, 0, date, CUT) :
		    send_rest(c, "Wed, 01 Jan 2025 00:00:00 GMT"));
	if (strcmp(path, "/replaced") == 0)
		return (first ? send_whole(c, 0, tags, CUT) :
		    send_whole(c, 1, "ETag: \"two\"\r\n", SIZE));
	if (strcmp(path, "/unnamed") == 0)
		return (origin_header(c, "range")[0] != '\0' ? ORIGIN_RESET :
		    send_whole(c, first ? 0 : 1, "", first ? CUT : SIZE));
	if (strcmp(path, "/in-parts") == 0)
		return (first ? send_whole(c, 0, tags, CUT) : send_some(c, "\"one\"", 200000));
	if (strcmp(path, "/empty-rest") == 0 && origin_header(c, "range")[0] != '\0')
		return (httpd_reply(&c->http, 200, NULL, "", 0) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
	if (strcmp(path, "/empty-rest") == 0)
		return (send_whole(c, 0, tags, first ? CUT : SIZE));
	if (strcmp(path, "/always-cut") == 0)		/* it knows no ranges */
		return (send_whole(c, 0, date, CUT));
	if (strcmp(path, "/busy") == 0 && first)
		return (httpd_reply(&c->http, 503, NULL, "", 0) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
	if (strcmp(path, "/busy") == 0)
		return (send_whole(c, 0, tags, SIZE));
	if (strcmp(path, "/moved") == 0)
		return (redirect(c, "/plain"));
	if (strcmp(path, "/round") == 0)
		return (redirect(c, "/round"));
	if (strcmp(path, "/file") == 0)
		return (redirect(c, "file:///etc/passwd"));
	if (strcmp(path, "/dead") == 0)
		return (ORIGIN_RESET);
	return (httpd_reply(&c->http, 404, NULL, "", 0) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
}

static void
listen_to(int fd)
{
	struct wire_msg m;

	memset(&told, 0, sizeof(told));
	while (wire_recv(fd, &m, sizeof(m), 60000) == 1) {
		told.stats = m.stats;
		told.ready += m.type == WIRE_READY;
		told.failed += m.type == WIRE_FAILED;
		if (m.type == WIRE_FAILED)
			told.err = m.err;
	}
}

static void
fetch(const char *path)
{
	char url[128], target[96];
	struct plan_access access = { .name = "x", .type = SPEC_URI_FILE, .url = url,
	    .base_url = server->url, .container = "", .prefix = "some/set.csv", .is_file = 1,
	    .target = target, .action = PLAN_DOWNLOAD };
	static const struct plan_tuning tuning = PLAN_TUNING_UNSAID;
	static struct vitals vitals;
	struct transfer_options o = { .access = &access, .tuning = &tuning, .vitals = &vitals,
	    .memory_bytes = 16 << 20,
	    .agent_fd = -1 };
	int init[2], status;
	struct err err;
	pid_t pid;

	str_format(url, sizeof(url), "%s%s", server->url, path);
	str_format(target, sizeof(target), "%s/in", dir);
	access.identity.label = "nobody";
	fd_remove_tree(dir, &err);
	server->seen = server->ranges = 0;
	if (wire_pair(init, &err) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		close(init[0]);
		o.init_fd = init[1];
		transfer_download_main(&o);
	}
	close(init[1]);
	listen_to(init[0]);
	waitpid(pid, &status, 0);
	close(init[0]);
}

static int
got(const char *bytes, size_t len)
{
	auto_buf struct buf text = BUF_EMPTY;
	char path[128];
	struct err err;

	str_format(path, sizeof(path), "%s/in/set.csv", dir);
	return (fd_read_file(path, SIZE + 1, &text, &err) == 0 && text.len == len &&
	    memcmp(buf_str(&text), bytes, len) == 0);
}

static void
test_comes(void)
{
	char path[128];
	struct stat st;

	fetch("/plain");
	check_int(told.ready, 1);
	check(got(body[0], SIZE));
	check_int(told.stats.bytes_read, SIZE);
	check_int(told.stats.files_done, 1);
	str_format(path, sizeof(path), "%s/in/set.csv", dir);
	check(stat(path, &st) == 0 && st.st_mtim.tv_sec == 1735689600);
	fetch("/empty");
	check(told.ready == 1 && got("", 0));
	fetch("/moved");
	check(told.ready == 1 && got(body[0], SIZE));
	fetch("/busy");
	check(told.ready == 1 && got(body[0], SIZE));
}

static void
test_goes_on(void)
{
	fetch("/cut");
	check(told.ready == 1 && got(body[0], SIZE));
	check_int(server->ranges, 1);
	check_int(told.stats.bytes_read, SIZE);
	fetch("/cut-dated");
	check(told.ready == 1 && got(body[0], SIZE));
	check_int(server->ranges, 1);
	fetch("/replaced");			/* never a mixture */
	check(told.ready == 1 && got(body[1], SIZE));
	fetch("/unnamed");
	check(told.ready == 1 && got(body[1], SIZE));
	fetch("/in-parts");			/* a server may send less of a range */
	check(told.ready == 1 && got(body[0], SIZE));
	check_int(server->ranges, 4);
	fetch("/empty-rest");
	check(told.ready == 1 && got(body[0], SIZE));
}

static void
test_fails(void)
{
	fetch("/missing");
	check_int(told.ready, 0);
	check_int(told.err.http_status, 404);
	check(!got("", 0));
	fetch("/round");
	check(told.failed == 1 && strstr(told.err.cause, "redirections") != NULL);
	fetch("/file");
	check(told.failed == 1 && told.err.kind == ERR_PROTOCOL);
	fetch("/dead");
	check(told.failed == 1 && told.err.kind == ERR_UNREACHABLE);
	fetch("/always-cut");			/* it ends */
	check(told.failed == 1 && strstr(told.err.cause, "cannot go on") != NULL);
	check(server->seen < 10);
}

static pid_t
start_server(void)
{
	static struct origin origin;
	int64_t deadline = clock_ms() + 60000;
	pid_t pid;

	server = mmap(NULL, sizeof(*server), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	if (server == MAP_FAILED || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);	/* the worker gives answers up */
		origin_start(&origin, serve, NULL);
		str_format(server->url, sizeof(server->url), "%s", origin.url);
		server->ready = 1;
		for (;;)
			pause();
	}
	while (!server->ready && clock_ms() < deadline)
		clock_sleep_ms(5);
	return (pid);
}

int
main(void)
{
	struct err err;
	pid_t pid;
	size_t i;

	str_format(dir, sizeof(dir), "/tmp/test_download_url.%d", (int)getpid());
	for (i = 0; i < SIZE; i++) {
		body[0][i] = (char)(i * 2654435761u >> 13);
		body[1][i] = (char)(i * 2246822519u >> 11);
	}
	pid = start_server();
	test_comes();
	test_goes_on();
	test_fails();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fd_remove_tree(dir, &err);
	return (check_done());
}
