/*
 * store (ADLS Gen1): pages, reads, uploads and what refusals come to.  Tokens go over https only,
 * so azure/http.h is played here: each request gets the next answer of a list.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "azure/gen1.h"
#include "azure/http_answer.h"
#include "azure/refusal.h"
#include "base/fd.h"
#include "base/sys.h"
#include "check.h"

#define ROOT	"https://lake.test.local"
#define STATUS(length, time) \
	"{\"FileStatus\":{\"length\":" length ",\"pathSuffix\":\"\",\"type\":\"FILE\"," \
	"\"modificationTime\":" time "}}"
#define ENTRY(name, type, length) \
	"{\"length\":" length ",\"pathSuffix\":\"" name "\",\"type\":\"" type "\"," \
	"\"modificationTime\":1548980218336}"
#define PAGE(entries, rest) \
	"{\"FileStatuses\":{" rest "\"FileStatus\":[" entries "]}}"
#define FAILURE(exception) \
	"{\"RemoteException\":{\"exception\":\"" exception "\",\"message\":\"no\"," \
	"\"javaClassName\":\"x\"}}"
#define YES	"{\"boolean\":true}"
#define NO	"{\"boolean\":false}"
#define OF_5	"\"168a66abce0-5\""	/* what stands for an ETag: 1548980239584, 5 bytes */
#define STATUS_5 STATUS("5", "1548980239584")
#define DIRECTORY \
	"{\"FileStatus\":{\"length\":4096,\"type\":\"DIRECTORY\",\"modificationTime\":1}}"

/* ---- azure/http.h, played ----------------------------------------------- */

#define SAID_SIZE	16

static struct answer {
	int	 status;		/* 0: none comes */
	const char *body;
	int	 cut;			/* the connection breaks after it */
} script[SAID_SIZE];
static char said[SAID_SIZE][400];	/* METHOD PATH?QUERY LENGTH@OFFSET */
static int nsaid, refused, in_call;

static void
note(const struct http_request *q)
{
	char text[sizeof(said[0])], *always;

	str_format(text, sizeof(text), "%s %s", q->method, q->url + strlen(ROOT));
	if ((always = strstr(text, "&api-version=2018-09-01")) != NULL)
		memmove(always, always + 23, strlen(always + 23) + 1);
	if (q->body_len > 0)
		str_format(said[nsaid], sizeof(said[0]), "%s %zu@%lld", text, q->body_len,
		    (long long)q->body_offset);
	else
		memcpy(said[nsaid], text, sizeof(text));
}

/* -1: its receiver stops it. */
static int
deliver(struct http_call *c, const struct answer *a)
{
	struct http_response *r = &c->response;
	size_t len = strlen(a->body);

	if (a->status < 300 && c->sink != NULL) {
		if (len > 0 && c->sink(c, r->body_received, a->body, len) != 0)
			return (-1);
	} else
		buf_add(&r->error_body, a->body, len);
	if (a->status < 300)
		r->body_received += (int64_t)len;
	return (0);
}

/* 1: once more. */
static int
try(struct http_call *c, int *ret_ok, struct err *err)
{
	struct http_request q = { .body_fd = -1 };
	const struct answer *a;
	int delay_ms = -1;

	arena_done(&c->scratch);
	if (!c->resumable || c->sink == NULL)
		c->response.body_received = 0;
	if (c->prepare(c, &q, err) != 0)
		return (0);
	check(nsaid < SAID_SIZE);
	note(&q);
	a = &script[nsaid++];
	c->tries++;
	http_answer_reset(&c->response);
	c->response.status = a->status;
	err_set(err, ERR_UNREACHABLE, REMEDY_CHECK_DNS, c->op, "Could not resolve host");
	if (a->status == 0)
		return (0);
	if (deliver(c, a) != 0)
		return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, c->op, "refused") + 1);
	if (a->cut)
		return (1);
	switch (c->judge(c, &c->response, &delay_ms)) {
	case HTTP_OK:
		*ret_ok = 1;
		return (0);
	case HTTP_RETRY:
		return (1);
	case HTTP_FAIL:
		break;
	}
	http_answer_err(&c->response, err);
	err_on(err, "%s", "as http names it");
	return (0);
}

static int
run(struct http_call *c, struct err *err)
{
	int ok = 0;

	*err = ERR_EMPTY;
	while (try(c, &ok, err))
		continue;
	return (ok ? 0 : -1);
}

int
http_do(struct http *h, struct http_call *c, struct err *err)
{
	(void)h;
	return (run(c, err));
}

void
http_submit(struct http *h, struct http_call *c)
{
	struct err err;
	int ok = run(c, &err) == 0;

	(void)h;
	in_call++;
	c->done(c, ok, &err);
	in_call--;
}

/* Not used here, but all of http.c has to be: else the library's own is linked as well. */
void
http_cancel(struct http *h, struct http_call *c)
{
	(void)h;
	(void)c;
}

void
http_hurry(struct http *h, struct http_call *c)
{
	(void)h;
	(void)c;
}

void
http_call_done(struct http_call *c)
{
	arena_done(&c->scratch);
	buf_done(&c->response.error_body);
}

/* ---- the client --------------------------------------------------------- */

static struct cred *token;

static void
begin(size_t n, const struct answer *answers)
{
	memset(said, 0, sizeof(said));
	memset(script, 0, sizeof(script));
	memcpy(script, answers, n * sizeof(*answers));
	nsaid = 0;
}

#define BEGIN(...) do {								\
	static const struct answer answers_[] = { __VA_ARGS__ };		\
	begin(LENGTH(answers_), answers_);					\
} while (0)

static struct store *
store_at(const char *url, struct cred *cred)
{
	struct store_options o = { .kind = SPEC_GEN1, .base_url = url, .account = "lake",
	    .cred = cred, .hns = 1, .timeout_ms = 5000, .datastore = "old",
	    .identity = "somebody" };
	struct err err;

	return (store_new(&o, &err));
}

/* ---- pages -------------------------------------------------------------- */

struct names {
	struct buf	 text;		/* "name size|" or "name/|" */
	int		 stop_after;
};

static int
add_name(struct names *n, const char *name, const struct store_attr *a)
{
	if (a->is_dir)
		buf_printf(&n->text, "%s/|", name);
	else
		buf_printf(&n->text, "%s %lld %s|", name, (long long)a->size, a->etag);
	return (n->stop_after > 0 && --n->stop_after == 0);
}

static int
on_suffix(void *arg, const char *suffix, const struct store_attr *a)
{
	return (add_name(arg, suffix, a));
}

static int
on_name(void *arg, const char *name, size_t len, const struct store_attr *a)
{
	check_int(strlen(name), len);
	return (add_name(arg, name, a));
}

static void
test_pages(void)
{
	static const struct { const char *page, *want, *after, *next; int rc; } rows[] = {
		{ PAGE("", ""), "", "", "", 0 },
		{ PAGE(ENTRY("a", "FILE", "7") "," ENTRY("d", "DIRECTORY", "3"), ""),
		    "a 7 \"168a66a69e0-7\"|d/|", "", "d", 0 },
		{ PAGE(ENTRY("a", "FILE", "7"), ""), "a 7 \"168a66a69e0-7\"|", "", "", 0 },
		{ PAGE(ENTRY("a", "FILE", "7"), "\"continuationToken\":\"t?/\","),
		    "a 7 \"168a66a69e0-7\"|", "", "t?/", 0 },
		{ PAGE(ENTRY("a", "FILE", "7") "," ENTRY("b", "FILE", "0"),
		    "\"continuationToken\":\"\","),
		    "a 7 \"168a66a69e0-7\"|b 0 \"168a66a69e0-0\"|", "", "", 0 },
		/* A file that was listed itself. */
		{ PAGE(ENTRY("", "FILE", "7"), ""), "", "", "", 0 },
		{ PAGE(ENTRY("a", "FILE", "7"), "\"continuationToken\":\"a\","),
		    "a 7 \"168a66a69e0-7\"|", "a", "", -1 },
		{ PAGE(ENTRY("a/b", "FILE", "7"), ""), "", "", "", -1 },
		{ PAGE(ENTRY("..", "DIRECTORY", "0"), ""), "", "", "", -1 },
		{ PAGE(ENTRY("a\\u0000b", "FILE", "7"), ""), "", "", "", -1 },
		{ PAGE(ENTRY("a", "SYMLINK", "7"), ""), "", "", "", -1 },
		{ PAGE(ENTRY("a", "FILE", "-7"), ""), "", "", "", -1 },
		{ PAGE(ENTRY("a", "FILE", "7.5"), ""), "", "", "", -1 },
		{ PAGE("{\"type\":\"FILE\"}", ""), "", "", "", -1 },
		{ "{\"FileStatuses\":{\"FileStatus\":{}}}", "", "", "", -1 },
		{ "<html>", "", "", "", -1 },
		{ "", "", "", "", -1 },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		struct names n = { .text = BUF_EMPTY };
		auto_buf struct buf next = BUF_EMPTY;
		struct err err = ERR_EMPTY;
		int more = 0, rc;

		buf_adds(&next, rows[i].after);
		rc = gen1_read_page(rows[i].page, strlen(rows[i].page), 2, on_suffix, &n, &next,
		    &more, &err);
		check_int(rc, rows[i].rc);
		check_str(buf_str(&n.text), rows[i].want);
		if (rc == 0)
			check_str(buf_str(&next), rows[i].next);
		check_int(more, rc == 0 && rows[i].next[0] != '\0');
		check_int(err.kind, rc != 0 ? ERR_PROTOCOL : ERR_NONE);
		buf_done(&n.text);
	}
}

static void
test_list(struct store *s)
{
	struct names n = { .text = BUF_EMPTY };
	struct err err = ERR_EMPTY;

	BEGIN({ 200, PAGE(ENTRY("a b", "FILE", "1"), "\"continuationToken\":\"a b\","), 0 },
	    { 503, FAILURE("RuntimeException"), 0 },
	    { 200, PAGE(ENTRY("d", "DIRECTORY", "0"), "\"continuationToken\":\"\","), 0 });
	check_int(store_list(s, "p/q r/", 1, 2, on_name, &n, &err), 0);
	check_str(buf_str(&n.text), "p/q r/a b 1 \"168a66a69e0-1\"|p/q r/d/|");
	check_str(said[0], "GET /webhdfs/v1/p/q%20r?op=LISTSTATUS&listSize=2");
	check_str(said[2], "GET /webhdfs/v1/p/q%20r?op=LISTSTATUS&listSize=2&listAfter=a%20b");
	check_int(nsaid, 3);

	/* All below, a directory at a time; one that is gone by then is an empty one. */
	buf_reset(&n.text);
	BEGIN({ 200, PAGE(ENTRY("d", "DIRECTORY", "0") "," ENTRY("e", "DIRECTORY", "0"), ""), 0 },
	    { 404, FAILURE("FileNotFoundException"), 0 },
	    { 200, PAGE(ENTRY("f", "FILE", "2"), ""), 0 });
	check_int(store_list(s, "", 0, 0, on_name, &n, &err), 0);
	check_str(buf_str(&n.text), "d/|e/|e/f 2 \"168a66a69e0-2\"|");
	check_str(said[0], "GET /webhdfs/v1/?op=LISTSTATUS&listSize=4000");
	check_str(said[2], "GET /webhdfs/v1/e?op=LISTSTATUS&listSize=4000");

	buf_reset(&n.text);
	n.stop_after = 1;
	BEGIN({ 200, PAGE(ENTRY("d", "DIRECTORY", "0") "," ENTRY("e", "FILE", "0"), ""), 0 });
	check_int(store_list(s, "", 0, 0, on_name, &n, &err), 0);
	check_str(buf_str(&n.text), "d/|");
	check_int(nsaid, 1);

	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 });
	check_int(store_probe(s, "nothing/", &err), 0);
	BEGIN({ 403, FAILURE("AccessControlException"), 0 });
	check_int(store_probe(s, "p/", &err), -1);
	check_int(err.kind, ERR_DENIED);
	check_int(err.remedy, REMEDY_GRANT_GEN1_ACL);
	check_str(err.resource, ROOT "/p (datastore old)");
	check_str(err.identity, "somebody");
	BEGIN({ 200, "<html>", 0 });
	check_int(store_list(s, "p/", 1, 0, on_name, &n, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_str(err.resource, ROOT "/p");
	buf_done(&n.text);
}

static void
test_stat(struct store *s)
{
	struct store_attr a;
	struct err err;

	BEGIN({ 200, STATUS_5, 0 });
	check_int(store_stat(s, "p/\xc3\xa9#", 0, &a, &err), 0);
	check_str(said[0], "GET /webhdfs/v1/p/%C3%A9%23?op=GETFILESTATUS");
	check_int(a.size, 5);
	check_int(a.mtime_unix_s, 1548980239);
	check_str(a.etag, OF_5);
	check_int(a.is_dir, 0);
	BEGIN({ 200, DIRECTORY, 0 });
	check_int(store_stat(s, "", 0, &a, &err), 0);
	check_int(a.is_dir, 1);
	check_int(a.size, 0);
	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
	BEGIN({ 200, "{}", 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
}

/* ---- reads -------------------------------------------------------------- */

static struct got {
	char	 bytes[64];
	int	 over, ok, nested;
	struct err err;
} got;

static int
take(struct store_read *r, size_t at, const void *bytes, size_t len)
{
	(void)r;
	if (refused || !check(at + len < sizeof(got.bytes)))
		return (-1);
	memcpy(got.bytes + at, bytes, len);
	return (0);
}

static void
read_over(struct store_read *r, struct err *err)
{
	(void)r;
	got.over++;
	got.ok = err == NULL;
	got.nested = in_call;
	if (err != NULL)
		got.err = *err;
}

static void
read_range(struct store *s, const char *etag, int64_t offset, size_t len)
{
	struct store_read r = { .store = s, .name = "f", .offset = offset, .len = len,
	    .sink = take, .done = read_over };

	str_format(r.etag, sizeof(r.etag), "%s", etag);
	memset(&got, 0, sizeof(got));
	store_read_submit(&r);
	check_int(got.over, 1);
}

static void
test_read(struct store *s)
{
	/* Answers that are short, and one that breaks off; then the version is looked at. */
	BEGIN({ 200, "a", 0 }, { 200, "b", 1 }, { 200, "cde", 0 }, { 200, STATUS_5, 0 });
	read_range(s, OF_5, 0, 5);
	check(got.ok);
	check_str(got.bytes, "abcde");
	check_str(said[0], "GET /webhdfs/v1/f?op=OPEN&read=true&offset=0&length=5");
	check_str(said[1], "GET /webhdfs/v1/f?op=OPEN&read=true&offset=1&length=4");
	check_str(said[2], "GET /webhdfs/v1/f?op=OPEN&read=true&offset=2&length=3");
	check_str(said[3], "GET /webhdfs/v1/f?op=GETFILESTATUS");

	/* Another version: nobody gets its bytes. */
	BEGIN({ 200, "xyz", 0 }, { 200, STATUS("5", "1548980239585"), 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_CHANGED);
	check_int(refusal_errno(&got.err), ESTALE);
	check_str(got.bytes, "");
	/* It became shorter: the offset is behind its end. */
	BEGIN({ 403, FAILURE("IOException"), 0 }, { 200, STATUS("1", "1548980239585"), 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_CHANGED);
	/* Not changed: then it is what the service said. */
	BEGIN({ 403, FAILURE("AccessControlException"), 0 }, { 200, STATUS_5, 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_DENIED);
	check_str(got.err.resource, ROOT "/f (datastore old)");
	BEGIN({ 200, "b", 0 }, { 200, "", 0 }, { 200, STATUS_5, 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_PROTOCOL);
	BEGIN({ 200, "bcd", 0 }, { 404, FAILURE("FileNotFoundException"), 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_NOT_FOUND);
	BEGIN({ 200, "bcd", 0 }, { 200, "{}", 0 });
	read_range(s, OF_5, 1, 3);
	check_int(got.err.kind, ERR_PROTOCOL);
	check_str(got.bytes, "");

	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 });
	read_range(s, OF_5, 0, 3);
	check_int(got.err.kind, ERR_NOT_FOUND);
	check_int(nsaid, 1);
	BEGIN({ 200, "abcdef", 0 });
	read_range(s, OF_5, 0, 3);
	check_int(got.err.kind, ERR_PROTOCOL);
	refused = 1;
	BEGIN({ 200, "abc", 0 }, { 200, STATUS_5, 0 });
	read_range(s, OF_5, 0, 3);
	check_int(got.err.kind, ERR_SYSTEM);
	refused = 0;

	/* No version is known: the bytes at once, and all of them. */
	BEGIN({ 200, "abc", 0 });
	read_range(s, "", 0, 3);
	check(got.ok);
	check_str(got.bytes, "abc");
	check_int(nsaid, 1);
	BEGIN({ 200, "ab", 0 }, { 200, "", 0 });
	read_range(s, "", 0, 3);
	check_int(got.err.kind, ERR_PROTOCOL);
	BEGIN({ 0, "", 0 });
	read_range(s, OF_5, 0, 0);
	check(got.ok);
	check_int(nsaid, 0);
}

static void
test_read_and_wait(struct store *s)
{
	struct store_attr a;
	struct err err;
	char buf[16];
	size_t n;

	BEGIN({ 200, "abcde", 0 }, { 403, FAILURE("IOException"), 0 }, { 200, STATUS_5, 0 });
	check_int(store_read(s, "f", "", 0, buf, sizeof(buf), &n, &a, &err), 0);
	check_int(n, 5);
	check_str(a.etag, OF_5);
	BEGIN({ 416, "", 0 }, { 200, STATUS_5, 0 });
	check_int(store_read(s, "f", OF_5, 5, buf, sizeof(buf), &n, NULL, &err), 0);
	check_int(n, 0);
	BEGIN({ 200, "ab", 0 });
	check_int(store_read(s, "f", NULL, 0, buf, 2, &n, NULL, &err), 0);
	check_int(nsaid, 1);
	BEGIN({ 200, "ab", 0 }, { 200, STATUS("5", "2"), 0 });
	check_int(store_read(s, "f", OF_5, 0, buf, 2, &n, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	BEGIN({ 200, "ab", 0 }, { 200, "", 0 }, { 200, STATUS_5, 0 });
	check_int(store_read(s, "f", OF_5, 0, buf, 4, &n, NULL, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	BEGIN({ 403, FAILURE("AccessControlException"), 0 }, { 200, STATUS_5, 0 });
	check_int(store_read(s, "f", NULL, 0, buf, 4, &n, NULL, &err), -1);
	check_int(err.kind, ERR_DENIED);
	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 });
	check_int(store_read(s, "f", NULL, 0, buf, 4, &n, NULL, &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
}

/* ---- uploads ------------------------------------------------------------ */

static int64_t told;

static void
on_progress(void *arg, int64_t n)
{
	(void)arg;
	told += n;
}

static int
upload(struct store *s, int64_t size, const char *if_match, char *etag, struct err *err)
{
	auto_close int fd = sys_memfd("upload");

	told = 0;
	if (!check(fd >= 0 && ftruncate(fd, size) == 0))
		return (-1);
	return (store_upload(s, "d/f", fd, size, if_match, etag, on_progress, NULL, err));
}

/* The random part of temporary names is left out. */
static const char *
plain(int i)
{
	char *p = strstr(said[i], ".amlshim-");

	if (p != NULL && strlen(p) > 25)
		memmove(p + 1, p + 25, strlen(p + 25) + 1);
	return (said[i]);
}

static void
test_upload(struct store *s)
{
	char etag[HTTP_ETAG_MAX] = "";
	struct err err;

	BEGIN({ 201, "", 0 }, { 200, STATUS_5, 0 }, { 200, YES, 0 });
	check_int(upload(s, 5, NULL, etag, &err), 0);
	check_str(plain(0), "PUT /webhdfs/v1/d/.?op=CREATE&write=true&overwrite=true&syncFlag=CLOSE"
	    " 5@0");
	check_str(plain(1), "GET /webhdfs/v1/d/.?op=GETFILESTATUS");
	check_str(plain(2), "PUT /webhdfs/v1/d/.?op=RENAME&destination=%2Fd%2Ff"
	    "&renameoptions=OVERWRITE");
	check_str(etag, OF_5);
	check_int(told, 5);

	/* In parts; one of them twice, because its answer was lost. */
	BEGIN({ 201, "", 0 }, { 200, "", 1 }, { 400, FAILURE("BadOffsetException"), 0 },
	    { 403, FAILURE("ThrottledException"), 0 }, { 200, "", 0 },
	    { 200, STATUS("9000000", "7"), 0 }, { 404, FAILURE("FileNotFoundException"), 0 },
	    { 200, YES, 0 });
	check_int(upload(s, 9000000, "*", etag, &err), 0);
	check(strstr(plain(0), "&syncFlag=DATA 4194304@0") != NULL);
	check_str(plain(1), "POST /webhdfs/v1/d/.?op=APPEND&append=true&offset=4194304"
	    "&syncFlag=DATA 4194304@4194304");
	check_str(plain(4), "POST /webhdfs/v1/d/.?op=APPEND&append=true&offset=8388608"
	    "&syncFlag=CLOSE 611392@8388608");
	check_str(plain(6), "GET /webhdfs/v1/d/f?op=GETFILESTATUS");
	check_str(plain(7), "PUT /webhdfs/v1/d/.?op=RENAME&destination=%2Fd%2Ff");
	check_int(told, 9000000);

	BEGIN({ 201, "", 0 }, { 200, STATUS("0", "7"), 0 }, { 200, YES, 0 });
	check_int(upload(s, 0, NULL, NULL, &err), 0);
}

static void
test_upload_fails(struct store *s)
{
	struct err err;

	/* Not all has arrived: it never gets its name. */
	BEGIN({ 201, "", 0 }, { 200, STATUS("4", "7"), 0 }, { 200, YES, 0 });
	check_int(upload(s, 5, NULL, NULL, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_str(err.resource, ROOT "/d/f");
	check_str(plain(2), "DELETE /webhdfs/v1/d/.?op=DELETE&recursive=false");
	BEGIN({ 403, FAILURE("IOException"), 0 }, { 200, NO, 0 },
	    { 404, FAILURE("FileNotFoundException"), 0 });
	check_int(upload(s, 5, NULL, NULL, &err), -1);
	check_str(err.resource, ROOT "/d/f (datastore old)");
	/* The condition does not hold. */
	BEGIN({ 201, "", 0 }, { 200, STATUS_5, 0 }, { 200, STATUS("5", "7"), 0 }, { 200, YES, 0 });
	check_int(upload(s, 5, OF_5, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	check(strstr(said[3], "op=DELETE") != NULL);
	BEGIN({ 201, "", 0 }, { 200, STATUS_5, 0 }, { 200, STATUS("5", "7"), 0 }, { 200, YES, 0 });
	check_int(upload(s, 5, "*", NULL, &err), -1);
	check_int(err.sys_errno, EEXIST);
	/* The rename is refused with status 200: the temporary is still there. */
	BEGIN({ 201, "", 0 }, { 200, STATUS_5, 0 }, { 200, NO, 0 }, { 200, STATUS_5, 0 },
	    { 200, STATUS_5, 0 }, { 200, YES, 0 });
	check_int(upload(s, 5, NULL, NULL, &err), -1);
	check_int(err.sys_errno, EACCES);
	check(strstr(said[5], "op=DELETE") != NULL);
	/* "false" because the first try took it away: the name has what was sent. */
	BEGIN({ 201, "", 0 }, { 200, STATUS_5, 0 }, { 200, NO, 0 },
	    { 404, FAILURE("FileNotFoundException"), 0 }, { 200, STATUS_5, 0 });
	check_int(upload(s, 5, NULL, NULL, &err), 0);
}

/* ---- names -------------------------------------------------------------- */

static int
rename_to(struct store *s, const char *to, struct store_rename r, char *ret_etag,
    struct err *err)
{
	r.from = "a";
	r.to = to;
	return (store_rename(s, &r, ret_etag, err));
}

static void
test_names(struct store *s)
{
	char etag[HTTP_ETAG_MAX] = "";
	struct err err;

	BEGIN({ 200, YES, 0 });
	check_int(rename_to(s, "d/b c", (struct store_rename){ .etag = OF_5 }, etag, &err), 0);
	check_str(said[0], "PUT /webhdfs/v1/a?op=RENAME&destination=%2Fd%2Fb%20c"
	    "&renameoptions=OVERWRITE");
	check_str(etag, OF_5);
	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 }, { 200, YES, 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = "", .no_replace = 1 }, etag,
	    &err), 0);
	check_str(said[1], "PUT /webhdfs/v1/a?op=RENAME&destination=%2Fb");
	check_str(etag, "");
	BEGIN({ 200, STATUS_5, 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = OF_5, .no_replace = 1 }, NULL,
	    &err), -1);
	check_int(err.sys_errno, EEXIST);
	check_str(err.resource, ROOT "/b");
	BEGIN({ 200, STATUS("5", "7"), 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = OF_5, .replaces = OF_5 }, NULL,
	    &err), -1);
	check_int(err.kind, ERR_CHANGED);
	check_int(refusal_errno(&err), ESTALE);
	/* "false": it is not there; or it is, and why is not told. */
	BEGIN({ 200, NO, 0 }, { 404, FAILURE("FileNotFoundException"), 0 },
	    { 200, STATUS("5", "7"), 0 }, { 404, FAILURE("FileNotFoundException"), 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = OF_5 }, NULL, &err), -1);
	check_int(err.sys_errno, ENOENT);
	BEGIN({ 200, NO, 0 }, { 200, STATUS_5, 0 }, { 200, STATUS_5, 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = OF_5 }, NULL, &err), -1);
	check_int(err.sys_errno, EACCES);
	/* The first try took it away, and its answer was lost. */
	BEGIN({ 200, NO, 0 }, { 404, FAILURE("FileNotFoundException"), 0 }, { 200, STATUS_5, 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = OF_5 }, NULL, &err), 0);
	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 },
	    { 404, FAILURE("FileNotFoundException"), 0 }, { 200, DIRECTORY, 0 });
	check_int(rename_to(s, "b", (struct store_rename){ .etag = "", .is_dir = 1 }, NULL, &err),
	    0);
	check_int(store_hns(s), 1);
	check_int(store_copy(s, "a", "b", NULL, NULL, &err), -1);
	check_int(refusal_errno(&err), ENOTSUP);

	BEGIN({ 200, YES, 0 });
	check_int(store_delete(s, "a", &err), 0);
	BEGIN({ 200, NO, 0 }, { 404, FAILURE("FileNotFoundException"), 0 });
	check_int(store_delete(s, "a", &err), 0);
	BEGIN({ 404, FAILURE("FileNotFoundException"), 0 });
	check_int(store_delete(s, "a", &err), 0);
	BEGIN({ 200, NO, 0 }, { 200, DIRECTORY, 0 });
	check_int(store_delete(s, "a", &err), -1);
	check_int(err.sys_errno, ENOTEMPTY);
	BEGIN({ 403, FAILURE("PathIsNotEmptyDirectoryException"), 0 });
	check_int(store_delete(s, "a", &err), -1);
	check_int(refusal_errno(&err), ENOTEMPTY);
	BEGIN({ 200, YES, 0 });
	check_int(store_mkdir(s, "a", &err), 0);
	check_str(said[0], "PUT /webhdfs/v1/a?op=MKDIRS");
	BEGIN({ 403, FAILURE("FileAlreadyExistsException"), 0 });
	check_int(store_mkdir(s, "a", &err), -1);
	check_int(refusal_errno(&err), EEXIST);
	BEGIN({ 200, NO, 0 });
	check_int(store_mkdir(s, "a", &err), -1);
	check_int(store_create_container(s, &err), 0);
}

/* ---- who answers, and for whom ------------------------------------------ */

static void
test_refusals(struct store *s)
{
	static const struct { int status; const char *body; enum err_kind kind;
	    enum err_remedy remedy; int sys_errno; } rows[] = {
		{ 403, FAILURE("AccessControlException"), ERR_DENIED, REMEDY_GRANT_GEN1_ACL,
		    EACCES },
		{ 401, FAILURE("SecurityException"), ERR_DENIED, REMEDY_TOKEN_AUDIENCE, EACCES },
		{ 403, FAILURE("FileAlreadyExistsException"), ERR_CHANGED, REMEDY_NONE, EEXIST },
		{ 403, FAILURE("IOException"), ERR_PROTOCOL, REMEDY_NONE, EIO },
		{ 400, FAILURE("IllegalArgumentException"), ERR_PROTOCOL, REMEDY_NONE, EIO },
		{ 403, "<html>", ERR_DENIED, REMEDY_CHECK_ENDPOINT, EACCES },
	};
	struct store_attr a;
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		begin(1, &(struct answer){ rows[i].status, rows[i].body, 0 });
		check_int(store_stat(s, "p", 0, &a, &err), -1);
		check_int(err.kind, rows[i].kind);
		check_int(err.remedy, rows[i].remedy);
		check_int(refusal_errno(&err), rows[i].sys_errno);
		check_int(err.http_status, rows[i].status);
	}
}

static void
test_retired(void)
{
	struct store *s = store_at("https://lake.azuredatalakestore.net", token);
	struct store_attr a;
	struct err err;

	BEGIN({ 0, "", 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.kind, ERR_UNREACHABLE);
	check_int(err.remedy, REMEDY_RETIRED_GEN1);
	BEGIN({ 404, "<html>parked</html>", 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.remedy, REMEDY_RETIRED_GEN1);
	/* Whoever speaks WebHDFS under that name is believed. */
	BEGIN({ 403, FAILURE("AccessControlException"), 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.remedy, REMEDY_GRANT_GEN1_ACL);
	store_free(s);
	s = store_at(ROOT, token);
	BEGIN({ 0, "", 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.remedy, REMEDY_CHECK_DNS);
	store_free(s);
}

static void
test_credentials(void)
{
	struct cred *key = cred_fixed(WIRE_CRED_SHARED_KEY, "b25l");
	struct store *s = store_at(ROOT, key);
	struct store_attr a;
	struct err err;

	BEGIN({ 200, STATUS_5, 0 });
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.kind, ERR_USAGE);
	check_int(nsaid, 0);
	store_free(s);
	s = store_at("http://lake.test.local", token);
	check_int(store_stat(s, "p", 0, &a, &err), -1);
	check_int(err.remedy, REMEDY_USE_HTTPS);
	check_int(nsaid, 0);
	store_free(s);
	cred_free(key);
}

int
main(void)
{
	struct store *s;

	token = cred_fixed(WIRE_CRED_BEARER, "token");
	s = store_at(ROOT, token);
	if (!check(s != NULL))
		return (1);
	test_pages();
	test_list(s);
	test_stat(s);
	test_read(s);
	test_read_and_wait(s);
	test_upload(s);
	test_upload_fails(s);
	test_names(s);
	test_refusals(s);
	test_retired();
	test_credentials();
	store_free(s);
	cred_free(token);
	return (check_done());
}
