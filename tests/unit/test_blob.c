/*
 * store (Blob): listings with their traps, stat, ranged reads, uploads, against a server in this
 * process that answers as each test says.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "azure/refusal.h"
#include "azure/store.h"
#include "base/clock.h"
#include "base/sys.h"
#include "base/uri.h"
#include "check.h"
#include "origin.h"

#define PAGE(inside, next) \
	"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults " \
	"ServiceEndpoint=\"http://x/\" ContainerName=\"data\"><Prefix>p</Prefix><Blobs>" inside \
	"</Blobs><NextMarker>" next "</NextMarker></EnumerationResults>"
#define FILE_OF(name, size) \
	"<Blob><Name>" name "</Name><Properties><Last-Modified>Mon, 23 Nov 2026 22:12:00 GMT" \
	"</Last-Modified><Etag>0x1</Etag><Content-Length>" size "</Content-Length></Properties>" \
	"</Blob>"
#define PREFIX_OF(name)	"<BlobPrefix><Name>" name "</Name></BlobPrefix>"

#define BLOB_SIZE	(17 << 20)	/* three blocks */

/* ---- the service -------------------------------------------------------- */

static origin_fn *scene;		/* what the service does in this test */
static atomic_int step;			/* requests so far in this test */
static pthread_mutex_t noting = PTHREAD_MUTEX_INITIALIZER;	/* a thread a connection */
static char ids[8][64];			/* x-ms-client-request-id of the first ones */
static char said[8][640];		/* METHOD, target, conditions of the first ones */

/* One of these, as the thread that wrote it has left it. */
static const char *
noted(const char *text)
{
	pthread_mutex_lock(&noting);
	pthread_mutex_unlock(&noting);
	return (text);
}

static enum origin_end
serve(struct origin_conn *c)
{
	const struct httpd_request *q = &c->http.req;
	int n = atomic_fetch_add(&step, 1);

	pthread_mutex_lock(&noting);
	if (n < 8) {
		str_format(ids[n], sizeof(ids[n]), "%s",
		    origin_header(c, "x-ms-client-request-id"));
		str_format(said[n], sizeof(said[n]), "%s %s [%s%s%s]", q->method, q->target,
		    origin_header(c, "x-ms-range"), origin_header(c, "if-match"),
		    origin_header(c, "if-none-match"));
	}
	pthread_mutex_unlock(&noting);
	c->nth = n;
	return (scene(c));
}

static enum origin_end
answer(struct origin_conn *c, int status, const char *headers, const char *body)
{
	static _Thread_local char rest[65536];

	while (httpd_read_body(&c->http, rest, sizeof(rest)) > 0)
		continue;
	return (httpd_reply(&c->http, status, headers, body, strlen(body)) == 0 &&
	    c->http.req.keep_alive ? ORIGIN_KEEP : ORIGIN_CLOSE);
}

/* ---- the client --------------------------------------------------------- */

static struct origin origin;
static struct http *http;
static struct cred *key, *anonymous;

static struct store *
store_with(struct cred *cred)
{
	struct store_options o = { .base_url = origin.url, .account = "acct",
	    .container = "data", .cred = cred, .http = http, .timeout_ms = 5000 };
	struct err err;

	return (store_new(&o, &err));
}

/* A service of its own for each test: the requests that an earlier one gave up would count here. */
static struct store *
begin(origin_fn *fn)
{
	origin_stop(&origin);
	origin_start(&origin, serve, NULL);
	scene = fn;
	atomic_store(&step, 0);
	memset(ids, 0, sizeof(ids));
	memset(said, 0, sizeof(said));
	return (store_with(anonymous));
}

static int
steps(void)
{
	return (atomic_load(&step));
}

struct names {
	struct buf	 text;		/* "name size|" or "name/|" */
	int		 stop_after;
	struct store_attr last;
};

static int
note(void *arg, const char *name, size_t len, const struct store_attr *a)
{
	struct names *n = arg;

	if (a->is_dir)
		buf_printf(&n->text, "%.*s/|", (int)len, name);
	else
		buf_printf(&n->text, "%.*s %lld|", (int)len, name, (long long)a->size);
	n->last = *a;
	return (n->stop_after > 0 && --n->stop_after == 0);
}

static void
check_list(struct store *s, const char *prefix, int delimited, int max, const char *want)
{
	struct names n = { .text = BUF_EMPTY };
	struct err err = ERR_EMPTY;

	check_int(store_list(s, prefix, delimited, max, note, &n, &err), 0);
	check_str(buf_str(&n.text), want);
	buf_done(&n.text);
}

/* ---- listing ------------------------------------------------------------ */

static enum origin_end
traps(struct origin_conn *c)
{
	return (answer(c, 200, NULL, PAGE(
	    FILE_OF("p/plain", "10")
	    FILE_OF("p/a&amp;b &#xE9;", "1")
	    "<Blob><Name Encoded=\"true\">p/odd%EF%BF%BF%2525</Name><Properties><Etag>\"0x2\""
	    "</Etag><Content-Length>2</Content-Length></Properties></Blob>"
	    "<Blob><Name Encoded=\"true\">p/nul%00</Name></Blob>"
	    "<Blob><Name Encoded=\"true\">p/bad%zz</Name></Blob>"
	    "<Blob><Name></Name></Blob>"
	    "<Blob><Name>p/marker</Name><Properties><Content-Length>0</Content-Length>"
	    "</Properties><Metadata><Hdi_IsFolder>True</Hdi_IsFolder></Metadata></Blob>"
	    "<Blob><Name>p/keys</Name><Properties><Content-Length>3</Content-Length></Properties>"
	    "<Metadata><Name>wrong</Name><Blob>x</Blob><Metadata>y</Metadata><Etag>z</Etag>"
	    "<Content-Length>9</Content-Length><NextMarker>no</NextMarker></Metadata></Blob>"
	    "<Blob><Name>p/tree</Name><Properties><ResourceType>directory</ResourceType>"
	    "</Properties></Blob>"
	    FILE_OF("p/", "0")
	    FILE_OF("p/other/", "0")
	    PREFIX_OF("p/sub/")
	    "<BlobPrefix><Name>p/hns/</Name><Properties><Last-Modified>"
	    "Mon, 23 Nov 2026 22:12:00 GMT</Last-Modified><Etag>0x3</Etag></Properties>"
	    "</BlobPrefix>", "")));
}

static void
test_list_traps(void)
{
	struct store *s = begin(traps);
	struct names n = { .text = BUF_EMPTY };
	struct err err;

	check_int(store_list(s, "p/", 1, 0, note, &n, &err), 0);
	check_str(buf_str(&n.text), "p/plain 10|p/a&b \xc3\xa9 1|p/odd\xef\xbf\xbf%25 2|"
	    "p/marker/|p/keys 3|p/tree/|p/other/|p/sub/|p/hns/|");
	check_int(n.last.mtime_unix_s, 1795471920);
	check_str(n.last.etag, "\"0x3\"");
	check_str(noted(said[0]), "GET /data?restype=container&comp=list&include=metadata"
	    "&prefix=p%2F&delimiter=%2F []");
	buf_reset(&n.text);
	n.stop_after = 1;
	check_int(store_list(s, "p/", 1, 0, note, &n, &err), 0);
	check_str(buf_str(&n.text), "p/plain 10|");
	check_str(n.last.etag, "\"0x1\"");
	buf_done(&n.text);
	store_free(s);
}

/* Pages: names, nothing but a marker, names that are cut off in the first try, the end. */
static enum origin_end
pages(struct origin_conn *c)
{
	struct arena mem = ARENA_EMPTY;
	const char *marker = uri_query_get(c->http.req.query, "marker", &mem);
	const char *body = PAGE(FILE_OF("last", "4"), "");
	static atomic_int cuts;
	char cut[512];

	if (marker == NULL)
		body = PAGE(FILE_OF("one", "1"), "m 1/&amp;");
	else if (strcmp(marker, "m 1/&") == 0)
		body = PAGE("", "2!");
	else if (strcmp(marker, "2!") == 0)
		body = PAGE(FILE_OF("two", "2") FILE_OF("three", "3"), "3");
	arena_done(&mem);
	if (strstr(body, "three") != NULL && atomic_fetch_add(&cuts, 1) % 2 == 0) {
		str_format(cut, sizeof(cut), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%.*s",
		    strlen(body), 400, body);
		(void)origin_send(c, cut);
		return (ORIGIN_CLOSE);
	}
	return (answer(c, 200, NULL, body));
}

static void
test_list_pages(void)
{
	struct store *s = begin(pages);

	check_list(s, "", 0, 0, "one 1|two 2|three 3|last 4|");
	check_int(steps(), 5);
	check_str(noted(said[0]),
	    "GET /data?restype=container&comp=list&include=metadata []");
	check_str(noted(said[1]), "GET /data?restype=container&comp=list&include=metadata"
	    "&marker=m%201%2F%26 []");
	check_list(s, "", 0, 2, "one 1|two 2|three 3|last 4|");
	check_str(noted(ids[2]), noted(ids[3]));	/* one id an operation, over its tries */
	check(strcmp(noted(ids[0]), noted(ids[1])) != 0);
	store_free(s);
}

/* What stands last looks like the marker, but there is more to it: the parser's word counts. */
static enum origin_end
split_marker(struct origin_conn *c)
{
	struct arena mem = ARENA_EMPTY;
	const char *marker = uri_query_get(c->http.req.query, "marker", &mem);
	const char *body = PAGE(FILE_OF("wrong", "2"), "");

	if (marker == NULL)
		body = PAGE(FILE_OF("one", "1"), "a</NextMarker><NextMarker>b");
	else if (strcmp(marker, "ab") == 0)
		body = PAGE(FILE_OF("right", "3"), "");
	arena_done(&mem);
	return (answer(c, 200, NULL, body));
}

static void
test_split_marker(void)
{
	struct store *s = begin(split_marker);

	check_list(s, "", 0, 0, "one 1|right 3|");
	store_free(s);
}

static enum origin_end
one_bad_list(struct origin_conn *c)
{
	struct arena mem = ARENA_EMPTY;
	const char *prefix = uri_query_get(c->http.req.query, "prefix", &mem);
	int which = prefix != NULL ? prefix[0] : 0;

	arena_done(&mem);
	if (which == 'h')
		return (answer(c, 200, NULL, "<html><p>Log in to the hotel</p></html>"));
	if (which == 'c')
		return (answer(c, 200, NULL, "<EnumerationResults><Blobs>"));
	if (which == 's')
		return (answer(c, 200, NULL, PAGE("", "same")));
	if (which == 'l')
		return (answer(c, 200, NULL, PAGE(FILE_OF("l", "9223372036854775807"), "")));
	if (which == 'd')
		return (answer(c, 403, "x-ms-error-code: AuthorizationPermissionMismatch\r\n", ""));
	return (answer(c, 404, "x-ms-error-code: ContainerNotFound\r\n", ""));
}

static void
test_list_failures(void)
{
	struct store *s = begin(one_bad_list);
	struct names n = { .text = BUF_EMPTY };
	struct err err;

	check_int(store_list(s, "h", 1, 0, note, &n, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(store_list(s, "c", 1, 0, note, &n, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(store_list(s, "s", 1, 0, note, &n, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(store_list(s, "l", 1, 0, note, &n, &err), -1);
	check_int(err.kind, ERR_PROTOCOL);
	check_int(store_list(s, "d", 1, 0, note, &n, &err), -1);
	check_int(err.remedy, REMEDY_GRANT_DATA_READER);
	check_str(err.op, "list");
	check_int(store_list(s, "", 1, 0, note, &n, &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
	check_int(store_probe(s, "d", &err), -1);
	check_int(err.kind, ERR_DENIED);
	check_str(buf_str(&n.text), "");
	buf_done(&n.text);
	store_free(s);
}

/* ---- one name ----------------------------------------------------------- */

static enum origin_end
crowd(struct origin_conn *c)
{
	struct arena mem = ARENA_EMPTY;
	const char *prefix = uri_query_get(c->http.req.query, "prefix", &mem);
	const char *marker = uri_query_get(c->http.req.query, "marker", &mem);
	const char *body = PAGE("", "");
	char name[32];

	str_format(name, sizeof(name), "%s", prefix != NULL ? prefix : "");
	if (strcmp(c->http.req.method, "HEAD") == 0) {
		arena_done(&mem);
		return (answer(c, strstr(c->http.req.path, "gone") == NULL ? 200 : 404,
		    "ETag: \"0x9\"\r\nLast-Modified: Mon, 23 Nov 2026 22:12:00 GMT\r\n"
		    "x-ms-error-code: BlobNotFound\r\n", "12345"));
	}
	if (strcmp(name, "file") == 0)
		body = PAGE(FILE_OF("file", "7") FILE_OF("file-a", "1") PREFIX_OF("filed/"), "x");
	else if (strcmp(name, "both") == 0)	/* a marker blob and its prefix, far apart */
		body = PAGE("<Blob><Name>both</Name><Properties><Last-Modified>Mon, 23 Nov 2026 "
		    "22:12:00 GMT</Last-Modified><Content-Length>0</Content-Length></Properties>"
		    "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob>"
		    FILE_OF("both-a", "1") PREFIX_OF("both/"), "");
	else if (strcmp(name, "clash") == 0)
		body = PAGE(FILE_OF("clash", "5") PREFIX_OF("clash/"), "");
	else if (strcmp(name, "far") == 0 || strcmp(name, "near") == 0)
		body = PAGE(FILE_OF("far!1", "1") FILE_OF("far!2", "1"), "more");
	else if (strcmp(name, "far/") == 0)
		body = marker == NULL ? PAGE("", "more") : PAGE(FILE_OF("far/x", "1"), "");
	else if (strcmp(name, "late") == 0)	/* nothing on the first page */
		body = marker == NULL ? PAGE("", "more") : PAGE(FILE_OF("late", "6"), "");
	else if (strcmp(name, "hollow") == 0)
		body = PAGE(FILE_OF("hollow!1", "1"), "more");
	else if (strcmp(name, "hollow/") == 0)	/* only the marker "hollow/" itself */
		body = PAGE(FILE_OF("hollow/", "0"), "");
	arena_done(&mem);
	return (answer(c, 200, NULL, body));
}

static void
check_stat(struct store *s, const char *name, int exact, int want_dir, int64_t want_size,
    int want_steps)
{
	struct store_attr a = { .size = -1 };
	struct err err = ERR_EMPTY;
	int rc;

	atomic_store(&step, 0);
	rc = store_stat(s, name, exact, &a, &err);
	if (want_size < 0) {
		check_int(rc, -1);
		check_int(err.kind, ERR_NOT_FOUND);
		check_int(refusal_errno(&err), ENOENT);
	} else {
		check_int(rc, 0);
		check_int(a.is_dir, want_dir);
		check_int(a.size, want_size);
		free(a.props);
	}
	check_int(steps(), want_steps);
}

static void
test_stat(void)
{
	struct store *s = begin(crowd);
	struct cred *sas = cred_fixed(WIRE_CRED_SAS, "sv=1&sr=b&sig=x");
	struct store *single;
	struct err err;

	check_stat(s, "", 0, 1, 0, 0);
	check_stat(s, "file", 0, 0, 7, 1);
	check_stat(s, "both", 0, 1, 0, 1);
	check_stat(s, "clash", 0, 1, 0, 1);
	check_stat(s, "far", 0, 1, 0, 3);
	check_stat(s, "near", 0, 0, -1, 2);
	check_stat(s, "late", 0, 0, 6, 2);
	check_stat(s, "hollow", 0, 1, 0, 2);
	check_stat(s, "none", 0, 0, -1, 1);
	check_stat(s, "file", 1, 0, 5, 1);
	check_stat(s, "gone", 1, 0, -1, 1);
	store_free(s);

	single = store_with(sas);		/* can only be asked about its blob */
	check_stat(single, "file", 0, 0, 5, 1);
	check(str_starts(noted(said[0]), "HEAD /data/file?sv=1&sr=b&sig=x"));
	check_int(store_probe(single, "dir/file/", &err), 0);
	check(str_starts(noted(said[1]), "HEAD /data/dir/file?"));
	check_int(store_probe(single, "", &err), 0);
	store_free(single);
	cred_free(sas);
}

/* ---- reading ------------------------------------------------------------ */

static char content[1000];
static atomic_int reads_broken;	/* how the service errs */
enum { FINE, CUT_ONCE, CHANGE_ON_RESUME, WRONG_RANGE, WHOLE, SMALLER, ENDLESS, DENY_OLD };

static enum origin_end
readable(struct origin_conn *c)
{
	const char *range = origin_header(c, "x-ms-range");
	const char *match = origin_header(c, "if-match");
	long long first = 0, last = 0, total = reads_broken == SMALLER ? 600 : 1000;
	int resumed, status = 206;
	char head[512];
	size_t len;

	if (reads_broken == DENY_OLD && strcmp(origin_header(c, "authorization"), "") != 0 &&
	    strstr(origin_header(c, "authorization"), "acct:") != NULL && c->nth == 0)
		return (answer(c, 401, "x-ms-error-code: InvalidAuthenticationInfo\r\n", ""));
	if (sscanf(range, "bytes=%lld-%lld", &first, &last) != 2)
		return (answer(c, 400, NULL, ""));
	resumed = c->nth > 0;
	if (match[0] != '\0' && strcmp(match, reads_broken == CHANGE_ON_RESUME && resumed ?
	    "\"e2\"" : "\"e1\"") != 0)
		return (answer(c, 412, "x-ms-error-code: ConditionNotMet\r\n", ""));
	if (first >= total)
		return (answer(c, 416, "x-ms-error-code: InvalidRange\r\n"
		    "Content-Range: bytes */1000\r\n", ""));
	if (last >= total)
		last = total - 1;
	if (reads_broken == WRONG_RANGE)
		first++;
	if (reads_broken == WHOLE) {
		status = 200;
		first = 0;
		last = total - 1;
	}
	len = (size_t)(last - first + 1);
	str_format(head, sizeof(head), "HTTP/1.1 %d X\r\nETag: \"e1\"\r\nContent-Length: %zu\r\n"
	    "Last-Modified: Mon, 23 Nov 2026 22:12:00 GMT\r\n", status, len +
	    (reads_broken == ENDLESS ? 5 : 0));
	if (status == 206)
		str_format(head + strlen(head), sizeof(head) - strlen(head),
		    "Content-Range: bytes %lld-%lld/%lld\r\n", first, last, total);
	strcat(head, "\r\n");
	if (origin_send(c, head) != 0)
		return (ORIGIN_CLOSE);
	if ((reads_broken == CUT_ONCE || reads_broken == CHANGE_ON_RESUME) && !resumed)
		len /= 2;
	if (c->http.send(c->http.arg, content + first, len) != 0)
		return (ORIGIN_CLOSE);
	if (reads_broken == ENDLESS)
		(void)origin_send(c, "extra");
	return (ORIGIN_CLOSE);
}

struct reading {
	struct store_read r;
	char		 got[1000];
	atomic_int	 over;
	struct err	 err;
};

static int
take(struct store_read *r, size_t at, const void *bytes, size_t len)
{
	struct reading *t = r->arg;

	memcpy(t->got + at, bytes, len);
	return (0);
}

static void
read_over(struct store_read *r, struct err *err)
{
	struct reading *t = r->arg;

	if (err != NULL)
		t->err = *err;
	atomic_store(&t->over, err == NULL ? 1 : -1);
}

static int
run_read(struct store *s, struct reading *t, const char *etag, int64_t offset, size_t len)
{
	int64_t until = clock_ms() + 10000;

	memset(t, 0, sizeof(*t));
	t->r = (struct store_read){ .store = s, .name = "dir/a b", .offset = offset, .len = len,
	    .sink = take, .done = read_over, .arg = t };
	strcpy(t->r.etag, etag);
	atomic_store(&step, 0);
	store_read_submit(&t->r);
	while (atomic_load(&t->over) == 0 && clock_ms() < until)
		clock_sleep_ms(1);
	return (atomic_load(&t->over));
}

static void
test_read(void)
{
	struct store *s = begin(readable);
	struct reading t;
	struct store_attr a;
	struct err err;
	char buf[64];
	size_t n;

	reads_broken = FINE;
	check_int(run_read(s, &t, "\"e1\"", 10, 900), 1);
	check(memcmp(t.got, content + 10, 900) == 0);
	check_str(noted(said[0]), "GET /data/dir/a%20b [bytes=10-909\"e1\"]");
	check_int(run_read(s, &t, "\"e1\"", 10, 0), 1);
	check_int(steps(), 0);
	check_int(run_read(s, &t, "\"e0\"", 0, 10), -1);
	check_int(t.err.kind, ERR_CHANGED);
	check_int(refusal_errno(&t.err), ESTALE);
	check(str_ends(t.err.resource, "/data/dir/a%20b"));
	check_int(run_read(s, &t, "", 900, 101), -1);	/* its size was told wrong */
	check_int(t.err.kind, ERR_CHANGED);
	check_int(run_read(s, &t, "", 1000, 1), -1);
	check_int(t.err.kind, ERR_CHANGED);

	reads_broken = CUT_ONCE;
	check_int(run_read(s, &t, "", 100, 500), 1);
	check(memcmp(t.got, content + 100, 500) == 0);
	check_str(noted(said[1]), "GET /data/dir/a%20b [bytes=350-599\"e1\"]");
	check_str(t.r.etag, "\"e1\"");
	reads_broken = CHANGE_ON_RESUME;		/* never two versions in one read */
	check_int(run_read(s, &t, "", 100, 500), -1);
	check_int(t.err.kind, ERR_CHANGED);
	reads_broken = WRONG_RANGE;
	check_int(run_read(s, &t, "", 100, 500), -1);
	check_int(t.err.kind, ERR_PROTOCOL);
	reads_broken = WHOLE;
	check_int(run_read(s, &t, "", 100, 500), -1);
	check_int(t.err.kind, ERR_PROTOCOL);
	check_int(run_read(s, &t, "", 0, 1000), 1);
	check_int(run_read(s, &t, "", 0, 500), -1);	/* more than was asked for */
	reads_broken = ENDLESS;
	check_int(run_read(s, &t, "", 0, 500), -1);
	check_int(t.err.kind, ERR_PROTOCOL);

	reads_broken = SMALLER;
	check_int(store_read(s, "x", "\"e1\"", 590, buf, sizeof(buf), &n, &a, &err), 0);
	check_int(n, 10);
	check_int(a.size, 600);
	check_str(a.etag, "\"e1\"");
	check_int(a.mtime_unix_s, 1795471920);
	check(memcmp(buf, content + 590, 10) == 0);
	check_int(store_read(s, "x", NULL, 600, buf, sizeof(buf), &n, NULL, &err), 0);
	check_int(n, 0);
	check_int(store_read(s, "x", "\"e9\"", 0, buf, sizeof(buf), &n, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	reads_broken = FINE;
	store_free(s);
}

/* ---- one that is slow is asked for twice --------------------------------- */

enum slowness { QUICK, HELD, LATE, RACING, REFUSED, SECOND_REFUSED };
static _Atomic enum slowness slowness;

/* The first request of a read is slow, the second is not. */
static enum origin_end
slow(struct origin_conn *c)
{
	int is_first = c->nth == 0;

	switch (slowness) {
	case HELD:
		if (is_first) {
			origin_hold(c);
			return (ORIGIN_CLOSE);
		}
		break;
	case LATE:
		if (is_first)
			clock_sleep_ms(400);
		break;
	case RACING:
		clock_sleep_ms(is_first ? clock_jitter(90, 130) : clock_jitter(0, 20));
		break;
	case REFUSED:
		clock_sleep_ms(is_first ? 200 : 3000);
		if (is_first)
			return (answer(c, 404, "x-ms-error-code: BlobNotFound\r\n", ""));
		break;
	case SECOND_REFUSED:
		if (!is_first)
			return (answer(c, 404, "x-ms-error-code: BlobNotFound\r\n", ""));
		clock_sleep_ms(400);
		break;
	default:
		break;
	}
	return (readable(c));
}

/* As many as pay for one repeated request. */
static void
be_usual(struct store *s, int reads)
{
	struct reading t;

	slowness = QUICK;
	while (reads-- > 0)
		if (run_read(s, &t, "\"e1\"", 10, 500) != 1)
			abort();
}

static int
run_slow(struct store *s, struct reading *t, enum slowness how)
{
	int over;

	slowness = how;
	over = run_read(s, t, "\"e1\"", 100, 700);
	slowness = QUICK;
	return (over == 1 && memcmp(t->got, content + 100, 700) != 0 ? -2 : over);
}

static void
test_slow(void)
{
	struct store *s = begin(slow);
	struct reading t;
	int i, ok = 1;

	reads_broken = FINE;
	be_usual(s, 9);
	check_int(run_slow(s, &t, HELD), 1);
	check_int(steps(), 2);
	check_str(noted(said[0]), "GET /data/dir/a%20b [bytes=100-799\"e1\"]");
	check_str(noted(said[1]), noted(said[0]));
	check_int(run_slow(s, &t, LATE), 1);	/* that was its share: no second request */
	check_int(steps(), 1);
	be_usual(s, 40);
	check_int(run_slow(s, &t, SECOND_REFUSED), 1);
	check_int(steps(), 2);
	be_usual(s, 40);
	check_int(run_slow(s, &t, REFUSED), -1);	/* nobody waits for the second then */
	check_int(t.err.kind, ERR_NOT_FOUND);
	check_int(steps(), 2);
	for (i = 0; i < 12; i++) {
		be_usual(s, 34);
		ok &= run_slow(s, &t, RACING) == 1;
	}
	check(ok);
	store_free(s);
}

/* ---- a credential that has to be refreshed ------------------------------ */

static void *
agent(void *arg)
{
	static const char *const keys[] = { "b25l", "dHdv" };
	int *fd = arg, n;
	struct wire_ask ask;

	for (n = 0; n < 2 && wire_recv(*fd, &ask, sizeof(ask), 5000) == 1; n++) {
		struct wire_cred c = { .kind = WIRE_CRED_SHARED_KEY,
		    .generation = (uint64_t)n + 1, .serial = ask.serial, .len = 4 };

		memcpy(c.text, keys[n], 4);
		if (wire_send(*fd, &c, sizeof(c)) != 0)
			break;
	}
	return (NULL);
}

static void
test_refresh(void)
{
	struct store *s = begin(readable);
	struct reading t;
	struct cred *cred;
	pthread_t thread;
	struct err err;
	int fds[2];

	store_free(s);
	if (wire_pair(fds, &err) != 0 || pthread_create(&thread, NULL, agent, &fds[0]) != 0)
		exit(1);
	cred = cred_new(fds[1], &err);
	s = store_with(cred);
	reads_broken = DENY_OLD;
	check_int(run_read(s, &t, "", 0, 100), 1);
	check(t.r.generation == 2);
	check(steps() >= 2);
	store_free(s);
	cred_free(cred);
	pthread_join(thread, NULL);
	close(fds[0]);
	s = store_with(key);			/* and one that cannot be */
	check_int(run_read(s, &t, "", 0, 100), -1);
	check_int(t.err.kind, ERR_DENIED);
	check_int(steps(), 1);
	reads_broken = FINE;
	store_free(s);
}

/* ---- writing ------------------------------------------------------------ */

static char *depot;			/* what the service holds: blocks by their offset */
static char staged[4][96];		/* their ids, by index */
static char committed[1024];
static ssize_t committed_len;
static atomic_int commits_broken, single_size;
enum { COMMIT_FINE, ANSWER_LOST, OTHER_WRITER, BLOCK_DENIED };

static void
stage(struct origin_conn *c, const char *id)
{
	unsigned char raw[64];
	char *at;
	int64_t index, n = 0;
	ssize_t got;

	if (base64_decode(raw, sizeof(raw), id, strlen(id)) != 24)
		return;
	index = raw[11];
	if (index > 2)
		return;
	at = depot + index * (8 << 20);
	pthread_mutex_lock(&noting);
	while (n < (8 << 20) && (got = httpd_read_body(&c->http, at + n, 1 << 16)) > 0)
		n += got;
	str_format(staged[index], sizeof(staged[index]), "%s", id);
	pthread_mutex_unlock(&noting);
}

static enum origin_end
writable(struct origin_conn *c)
{
	struct arena mem = ARENA_EMPTY;
	const char *comp = uri_query_get(c->http.req.query, "comp", &mem);
	const char *id = uri_query_get(c->http.req.query, "blockid", &mem);
	char date[CLOCK_RFC1123_SIZE], head[512];
	static atomic_int commits;
	int nth, is_block = comp != NULL && strcmp(comp, "block") == 0;

	clock_format_rfc1123(clock_wall_s(), date);
	str_format(head, sizeof(head), "Date: %s\r\nLast-Modified: %s\r\nETag: \"new\"\r\n", date,
	    date);
	if (is_block)
		stage(c, id);
	arena_done(&mem);
	if (is_block)
		return (commits_broken == BLOCK_DENIED ? answer(c, 403,
		    "x-ms-error-code: AuthorizationPermissionMismatch\r\n", "") :
		    answer(c, 201, NULL, ""));
	if (strcmp(c->http.req.method, "HEAD") == 0) {
		str_format(head + strlen(head), sizeof(head) - strlen(head),
		    "Content-Length: %d\r\n\r\n", single_size > 0 ? single_size : BLOB_SIZE);
		(void)origin_send(c, "HTTP/1.1 200 OK\r\n");
		return (origin_send(c, head) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
	}
	if (strcmp(c->http.req.method, "GET") == 0 && single_size > 0) {
		if (commits_broken == OTHER_WRITER)
			committed[50] ^= 1;
		str_format(head, sizeof(head), "Content-Range: bytes 0-%d/%d\r\n",
		    single_size - 1, single_size);
		return (httpd_reply(&c->http, 206, head, committed, (size_t)single_size) == 0 ?
		    ORIGIN_KEEP : ORIGIN_CLOSE);
	}
	if (strcmp(c->http.req.method, "GET") == 0) {
		str_format(head, sizeof(head), "<BlockList><CommittedBlocks><Block><Name>%s</Name>"
		    "<Size>8388608</Size></Block><Block><Name>%s</Name><Size>8388608</Size>"
		    "</Block>",
		    staged[0], staged[1]);
		if (commits_broken != OTHER_WRITER)
			str_format(head + strlen(head), sizeof(head) - strlen(head),
			    "<Block><Name>%s</Name><Size>1048576</Size></Block>", staged[2]);
		strcat(head, "</CommittedBlocks></BlockList>");
		return (answer(c, 200, "ETag: \"new\"\r\n", head));
	}
	pthread_mutex_lock(&noting);
	committed_len = httpd_read_body(&c->http, committed, sizeof(committed) - 1);
	committed[committed_len > 0 ? committed_len : 0] = '\0';
	pthread_mutex_unlock(&noting);
	nth = commits_broken == COMMIT_FINE ? 0 : atomic_fetch_add(&commits, 1) % 2;
	if (commits_broken != COMMIT_FINE && nth == 0)
		return (ORIGIN_CLOSE);		/* done perhaps, but nobody hears of it */
	if (commits_broken != COMMIT_FINE) {
		strcat(head, "x-ms-error-code: ConditionNotMet\r\n");
		return (answer(c, 412, head, ""));
	}
	return (answer(c, 201, head, ""));
}

static int64_t acknowledged;

static void
progress(void *arg, int64_t more)
{
	(void)arg;
	acknowledged += more;
}

static int
make_file(void)
{
	int fd = sys_memfd("blob");
	char *p;
	size_t i;

	if (fd < 0 || ftruncate(fd, BLOB_SIZE) != 0)
		exit(1);
	p = mmap(NULL, BLOB_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		exit(1);
	for (i = 0; i < BLOB_SIZE; i++)
		p[i] = (char)(i * 2654435761u >> 15);
	munmap(p, BLOB_SIZE);
	return (fd);
}

static void
check_depot(int fd)
{
	char *p = mmap(NULL, BLOB_SIZE, PROT_READ, MAP_SHARED, fd, 0), want[512];

	check(p != MAP_FAILED && memcmp(p, depot, BLOB_SIZE) == 0);
	munmap(p, BLOB_SIZE);
	str_format(want, sizeof(want), "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"
	    "<Latest>%s</Latest><Latest>%s</Latest><Latest>%s</Latest></BlockList>", staged[0],
	    staged[1], staged[2]);
	check_str(committed, want);
	check_int(strlen(staged[0]), 32);
	check_int(strlen(staged[2]), 32);
}

static void
test_upload(void)
{
	struct store *s = begin(writable);
	char etag[HTTP_ETAG_MAX] = "", first[96];
	int fd = make_file();
	struct err err;

	depot = mem_zalloc(3 * (8 << 20) + (1 << 16));
	commits_broken = COMMIT_FINE;
	check_int(store_upload(s, "b", fd, 100, "*", etag, progress, NULL, &err), 0);
	check_str(noted(said[0]), "PUT /data/b [*]");
	check_str(etag, "\"new\"");
	check_int(acknowledged, 100);
	check_int(committed_len, 100);
	check_int(store_upload(s, "b", fd, 0, "\"old\"", NULL, NULL, NULL, &err), 0);
	check_str(noted(said[1]), "PUT /data/b [\"old\"]");

	acknowledged = 0;
	check_int(store_upload(s, "b", fd, BLOB_SIZE, NULL, etag, progress, NULL, &err), 0);
	check_int(acknowledged, BLOB_SIZE);
	check_depot(fd);
	strcpy(first, staged[0]);
	check_int(store_upload(s, "b", fd, BLOB_SIZE, NULL, etag, NULL, NULL, &err), 0);
	check(strcmp(first, staged[0]) != 0);	/* no two uploads share a block */

	commits_broken = ANSWER_LOST;
	etag[0] = '\0';
	check_int(store_upload(s, "b", fd, BLOB_SIZE, "\"old\"", etag, NULL, NULL, &err), 0);
	check_str(etag, "\"new\"");
	check_depot(fd);
	commits_broken = OTHER_WRITER;
	check_int(store_upload(s, "b", fd, BLOB_SIZE, "\"old\"", etag, NULL, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	single_size = 100;			/* the same without blocks */
	check_int(store_upload(s, "b", fd, 100, "*", etag, NULL, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	commits_broken = ANSWER_LOST;
	check_int(store_upload(s, "b", fd, 100, "*", etag, NULL, NULL, &err), 0);
	check_int(store_upload(s, "b", fd, 99, "*", etag, NULL, NULL, &err), -1);
	single_size = 0;
	commits_broken = BLOCK_DENIED;
	check_int(store_upload(s, "b", fd, BLOB_SIZE, NULL, etag, NULL, NULL, &err), -1);
	check_int(err.remedy, REMEDY_GRANT_DATA_CONTRIBUTOR);
	commits_broken = COMMIT_FINE;
	check_int(store_upload(s, "b", fd, BLOB_SIZE + 1, NULL, etag, NULL, NULL, &err), -1);
	check_int(err.kind, ERR_CHANGED);	/* the file is shorter than it was said to be */
	check_int(store_upload(s, "b", fd, INT64_MAX, NULL, etag, NULL, NULL, &err), -1);
	check_int(refusal_errno(&err), EFBIG);
	close(fd);
	store_free(s);
}

/* ---- the rest ----------------------------------------------------------- */

static enum origin_end
refusing(struct origin_conn *c)
{
	const char *path = c->http.req.path;
	int is_put = strcmp(c->http.req.method, "PUT") == 0;

	if (strstr(path, "missing") != NULL)
		return (answer(c, 404, "x-ms-error-code: BlobNotFound\r\n", ""));
	if (strstr(path, "there") != NULL && !is_put)
		return (answer(c, 200, strstr(path, "folder") != NULL ?
		    "ETag: \"f\"\r\nx-ms-meta-hdi_isfolder: true\r\n" : "ETag: \"f\"\r\n", ""));
	if (strstr(path, "there") != NULL)
		return (answer(c, 409, "x-ms-error-code: BlobAlreadyExists\r\n", ""));
	if (strstr(path, "nowhere") != NULL)
		return (answer(c, 404, "x-ms-error-code: ContainerNotFound\r\n", ""));
	if (strstr(path, "copy") != NULL) {
		if (is_put && strcmp(origin_header(c, "x-ms-copy-source"), "") == 0)
			return (answer(c, 400, NULL, ""));
		if (strstr(path, "failed") != NULL && !is_put)
			return (answer(c, 200, "x-ms-copy-status: failed\r\n", ""));
		return (answer(c, is_put ? 202 : 200, c->nth < 3 ?
		    "ETag: \"p\"\r\nx-ms-copy-status: pending\r\n" :
		    "ETag: \"c\"\r\nx-ms-copy-status: success\r\n", ""));
	}
	if (strcmp(path, "/data") == 0 && !is_put)	/* permissions are asked for: it is flat */
		return (answer(c, 400, "x-ms-error-code: InvalidQueryParameterValue\r\n", ""));
	if (strcmp(path, "/data") == 0)
		return (answer(c, 409, "x-ms-error-code: ContainerAlreadyExists\r\n", ""));
	return (answer(c, 201, NULL, ""));
}

static void
test_rest(void)
{
	struct store *s = begin(refusing);
	char etag[HTTP_ETAG_MAX] = "";
	struct err err;

	check_int(store_delete(s, "missing", &err), 0);
	check_int(store_delete(s, "nowhere", &err), -1);
	check_int(err.kind, ERR_NOT_FOUND);
	check_int(store_mkdir(s, "folder-there", &err), 0);
	check_int(store_mkdir(s, "file-there", &err), -1);
	check_int(err.sys_errno, EEXIST);
	check_int(store_mkdir(s, "new", &err), 0);
	check_str(noted(said[7]), "PUT /data/new [*]");	/* what kind it is was asked for once */
	check_int(store_mkdir(s, "nowhere", &err), -1);
	check_int(store_create_container(s, &err), 0);
	atomic_store(&step, 0);
	check_int(store_copy(s, "from", "copy", NULL, etag, &err), 0);
	check_str(etag, "\"c\"");
	check_int(steps(), 4);
	atomic_store(&step, 0);
	check_int(store_copy(s, "from", "copy-failed", "\"f\"", etag, &err), -1);
	check(strstr(err.cause, "failed") != NULL);
	store_free(s);
}

/* The first answer is lost, the second says that the condition does not hold. */
static const char *there;		/* what is there by then: a link's target, or metadata */

static enum origin_end
unheard(struct origin_conn *c)
{
	char date[CLOCK_RFC1123_SIZE], head[256], page[1024];

	clock_format_rfc1123(clock_wall_s(), date);
	str_format(head, sizeof(head), "Date: %s\r\nLast-Modified: %s\r\nETag: \"0x7\"\r\n", date,
	    date);
	if (c->nth == 0)
		return (ORIGIN_CLOSE);
	if (c->nth == 1) {
		strcat(head, "x-ms-error-code: ConditionNotMet\r\n");
		return (answer(c, 412, head, ""));
	}
	if (strcmp(c->http.req.method, "HEAD") == 0) {
		str_format(head + strlen(head), sizeof(head) - strlen(head),
		    "Content-Length: %zu\r\n\r\n", strlen(there));
		(void)origin_send(c, "HTTP/1.1 200 OK\r\n");
		return (origin_send(c, head) == 0 ? ORIGIN_KEEP : ORIGIN_CLOSE);
	}
	if (strcmp(c->http.req.path, "/data") != 0) {
		str_format(head + strlen(head), sizeof(head) - strlen(head),
		    "Content-Range: bytes 0-%zu/%zu\r\n", strlen(there) - 1, strlen(there));
		return (answer(c, 206, head, there));
	}
	str_format(page, sizeof(page), PAGE("<Blob><Name>f</Name><Properties><Etag>0x7</Etag>"
	    "<Content-Type>image/png</Content-Type></Properties><Metadata>%s</Metadata></Blob>",
	    ""), there);
	return (answer(c, 200, NULL, page));
}

static void
test_unheard(void)
{
	struct store *s;
	char etag[HTTP_ETAG_MAX] = "";
	struct err err = ERR_EMPTY;

	there = "../target";
	s = begin(unheard);
	check_int(store_symlink(s, "link", "../target", etag, &err), 0);
	check_str(etag, "\"0x7\"");
	store_free(s);
	s = begin(unheard);
	check_int(store_symlink(s, "link", "../others", etag, &err), -1);
	check_int(refusal_errno(&err), EEXIST);
	store_free(s);
	there = "<a>1</a><B>2</B>";
	s = begin(unheard);
	etag[0] = '\0';
	check_int(store_set_props(s, "f", "cimage/png\nxb=2\nxa=1\n", 1, "\"0x1\"", etag, &err), 0);
	check_str(etag, "\"0x7\"");
	store_free(s);
	s = begin(unheard);
	check_int(store_set_props(s, "f", "xb=2\nxa=0\n", 1, "\"0x1\"", etag, &err), -1);
	check_int(err.kind, ERR_CHANGED);
	store_free(s);
	s = begin(unheard);
	check_int(store_set_props(s, "f", "xb=2\n", 1, "\"0x1\"", etag, &err), -1);
	store_free(s);
	s = begin(unheard);
	check_int(store_set_props(s, "f", "cimage/png\n", 0, "\"0x1\"", etag, &err), 0);
	store_free(s);
	s = begin(unheard);
	check_int(store_set_props(s, "f", "cimage/jpg\n", 0, "\"0x1\"", etag, &err), -1);
	store_free(s);
}

static void
test_options(void)
{
	static const char *const bad[] = { "", "acct.blob.core.windows.net", "ftp://h",
	    "https://h?sig=x" };
	struct store_options o = { .account = "a", .container = "c", .cred = anonymous };
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		o.base_url = bad[i];
		check(store_new(&o, &err) == NULL);
		check_int(err.kind, ERR_USAGE);
	}
	o.base_url = "https://h";
	o.container = "";
	check(store_new(&o, &err) == NULL);
	store_free(NULL);
}

int
main(void)
{
	struct http_options options = { .max_connections = 8, .stall_timeout_ms = 2000 };
	struct err err;
	size_t i;

	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	for (i = 0; i < sizeof(content); i++)
		content[i] = (char)('a' + i * i % 26);
	origin_start(&origin, serve, NULL);
	http = http_new(&options, &err);
	anonymous = cred_fixed(WIRE_CRED_ANONYMOUS, "");
	key = cred_fixed(WIRE_CRED_SHARED_KEY, "b25l");
	if (http == NULL || anonymous == NULL || key == NULL)
		return (1);
	test_list_traps();
	test_list_pages();
	test_split_marker();
	test_list_failures();
	test_stat();
	test_read();
	test_slow();
	test_refresh();
	test_upload();
	test_rest();
	test_unheard();
	test_options();
	http_free(http);
	origin_stop(&origin);
	free(depot);
	cred_free(key);
	cred_free(anonymous);
	return (check_done());
}
