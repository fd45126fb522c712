/*
 * store (dfs): renames with all that can go wrong between, directories, modes, what kind of
 * account it is, against a server in this process that answers as each test says.
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "azure/backend.h"
#include "azure/refusal.h"
#include "base/clock.h"
#include "base/sys.h"
#include "check.h"
#include "origin.h"

#define LISTING(inside) \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>" inside \
	"</Blobs><NextMarker/></EnumerationResults>"
#define FILE_WITH(more) \
	"<Blob><Name>d/f</Name><Properties><Etag>0x1</Etag><Content-Length>3</Content-Length>" \
	more "</Properties></Blob>"

static origin_fn *scene;
static atomic_int step;
static char said[12][640];	/* METHOD, target, rename source, conditions, permissions */

static enum origin_end
serve(struct origin_conn *c)
{
	const struct httpd_request *q = &c->http.req;
	int n = atomic_fetch_add(&step, 1);

	if (n < (int)LENGTH(said))
		str_format(said[n], sizeof(said[n]), "%s %s [%s|%s%s|%s,%s,%s]", q->method,
		    q->target, origin_header(c, "x-ms-rename-source"), origin_header(c, "if-match"),
		    origin_header(c, "if-none-match"), origin_header(c, "x-ms-permissions"),
		    origin_header(c, "x-ms-owner"), origin_header(c, "x-ms-group"));
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

static enum origin_end
refuse(struct origin_conn *c, int status, const char *code)
{
	char headers[128], body[192];

	str_format(headers, sizeof(headers), "x-ms-error-code: %s\r\n", code);
	str_format(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"Said so.\\n"
	    "RequestId:1\"}}", code);
	return (answer(c, status, headers, body));
}

static struct origin origin;
static struct http *http;
static struct cred *anonymous, *sas;

static struct store *
begin_as(origin_fn *fn, const struct store_options *more)
{
	struct store_options o = *more;
	struct err err;
	char url[96];

	origin_stop(&origin);
	origin_start(&origin, serve, NULL);
	scene = fn;
	atomic_store(&step, 0);
	memset(said, 0, sizeof(said));
	str_format(url, sizeof(url), "%s/acct", origin.url);
	o.base_url = url;
	o.account = "acct";
	o.container = "data";
	o.http = http;
	o.timeout_ms = 5000;
	if (o.cred == NULL)
		o.cred = anonymous;
	return (store_new(&o, &err));
}

static struct store *
begin(origin_fn *fn)
{
	const struct store_options o = { .hns = 1 };

	return (begin_as(fn, &o));
}

static int
steps(void)
{
	return (atomic_load(&step));
}

/* ---- rename ------------------------------------------------------------- */

static enum origin_end
renaming(struct origin_conn *c)
{
	return (answer(c, 201, NULL, ""));
}

static void
test_rename(void)
{
	const struct store_options with_sas = { .hns = 1, .cred = sas };
	struct store_rename r = { .from = "a b/x", .to = "c/ü?", .etag = "\"0x1\"" };
	struct store *s = begin(renaming);
	char etag[HTTP_ETAG_MAX];
	struct err err;

	check_int(store_rename(s, &r, etag, &err), 0);
	check_str(said[0], "PUT /acct/data/c/%C3%BC%3F?mode=posix [/acct/data/a%20b/x||,,]");
	check_str(etag, "\"0x1\"");		/* nobody told another */
	r.no_replace = 1;
	check_int(store_rename(s, &r, NULL, &err), 0);
	check_str(said[1], "PUT /acct/data/c/%C3%BC%3F?mode=posix [/acct/data/a%20b/x|*|,,]");
	r.no_replace = 0;
	r.replaces = "\"0x7\"";
	check_int(store_rename(s, &r, NULL, &err), 0);
	check(strstr(said[2], "|\"0x7\"|") != NULL);
	store_free(s);
	s = begin_as(renaming, &with_sas);	/* each URL has it */
	r = (struct store_rename){ .from = "a", .to = "b", .etag = "" };
	check_int(store_rename(s, &r, etag, &err), 0);
	check_str(said[0], "PUT /acct/data/b?mode=posix&sv=1&sr=c&sig=x%2By "
	    "[/acct/data/a?sv=1&sr=c&sig=x%2By||,,]");
	check_str(etag, "");
	store_free(s);
}

static enum origin_end
in_parts(struct origin_conn *c)
{
	return (answer(c, 201, c->nth == 0 ? "x-ms-continuation: a+b==\r\n" : c->nth == 1 ?
	    "x-ms-continuation: c\r\n" : NULL, ""));
}

static void
test_continuation(void)
{
	struct store_rename r = { .from = "a", .to = "b", .etag = "", .is_dir = 1,
	    .no_replace = 1 };
	struct store *s = begin(in_parts);
	struct err err;

	check_int(store_rename(s, &r, NULL, &err), 0);
	check_str(said[0], "PUT /acct/data/b?mode=posix [/acct/data/a|*|,,]");
	check_str(said[1], "PUT /acct/data/b?mode=posix&continuation=a%2Bb%3D%3D "
	    "[/acct/data/a||,,]");
	check_str(said[2], "PUT /acct/data/b?mode=posix&continuation=c [/acct/data/a||,,]");
	check_int(steps(), 3);
	store_free(s);
}

/* The first answer is lost; then the source is gone, or was never there. */
static const char *to_etag, *to_type, *second;
static int kept;	/* requests that the connection has served before */

static enum origin_end
lost_answer(struct origin_conn *c)
{
	char headers[128];

	if (strstr(c->http.req.target, "resource=directory") != NULL)
		return (answer(c, 201, NULL, ""));
	if (strcmp(c->http.req.method, "PUT") == 0 && c->nth == kept)
		return (ORIGIN_RESET);
	if (strcmp(c->http.req.method, "PUT") == 0)
		return (refuse(c, strcmp(second, "PathAlreadyExists") == 0 ? 409 : 404, second));
	if (strstr(c->http.req.target, "/from") != NULL)
		return (refuse(c, 404, "BlobNotFound"));
	if (to_etag == NULL)
		return (refuse(c, 404, "BlobNotFound"));
	str_format(headers, sizeof(headers), "ETag: %s\r\nx-ms-resource-type: %s\r\n", to_etag,
	    to_type);
	return (answer(c, 200, headers, ""));
}

static int
lose(const char *etag, int is_dir, const char *there, const char *type, const char *code)
{
	struct store_rename r = { .from = "from", .to = "to", .etag = etag, .is_dir = is_dir };
	struct store *s;
	struct err err = ERR_EMPTY;
	int rc;

	to_etag = there;
	to_type = type;
	second = code;
	s = begin(lost_answer);
	if (kept > 0)
		check_int(store_mkdir(s, "d", &err), 0);
	rc = store_rename(s, &r, NULL, &err);
	store_free(s);
	return (rc == 0 ? 0 : refusal_errno(&err));
}

static void
test_lost_answer(void)
{
	check_int(lose("\"0x1\"", 0, "\"0x1\"", "file", "SourcePathNotFound"), 0);
	check_int(lose("\"0x1\"", 0, "\"0x1\"", "file", "PathNotFound"), 0);
	check_int(lose("\"0x1\"", 0, "\"0x1\"", "file", "PathAlreadyExists"), 0);
	check_int(lose("\"0x1\"", 0, "\"0x2\"", "file", "SourcePathNotFound"), ENOENT);
	check_int(lose("\"0x1\"", 0, "\"0x1\"", "directory", "SourcePathNotFound"), ENOENT);
	check_int(lose("\"0x1\"", 0, NULL, "file", "SourcePathNotFound"), ENOENT);
	check_int(lose("", 1, "\"0x9\"", "directory", "SourcePathNotFound"), 0);
	check_int(lose("", 1, "\"0x9\"", "file", "SourcePathNotFound"), ENOENT);
	kept = 1;		/* then libcurl asks again without a word */
	check_int(lose("", 1, "\"0x9\"", "directory", "SourcePathNotFound"), 0);
	kept = 0;
}

static enum origin_end
not_there(struct origin_conn *c)
{
	return (refuse(c, 404, "SourcePathNotFound"));
}

static enum origin_end
no_parent(struct origin_conn *c)
{
	return (c->nth == 0 ? refuse(c, 404, "RenameDestinationParentPathNotFound") :
	    answer(c, 201, NULL, ""));
}

static enum origin_end
another(struct origin_conn *c)
{
	return (c->nth == 0 ? refuse(c, 412, "SourceConditionNotMet") :
	    answer(c, 201, "ETag: \"0x2\"\r\n", ""));
}

/* Somebody has changed it: renamed, but its ETag is not taken for that of our bytes. */
static void
test_changed(void)
{
	struct store_rename r = { .from = "from", .to = "to", .etag = "\"0x1\"" };
	struct store *s = begin(another);
	char etag[HTTP_ETAG_MAX];
	struct err err;

	check_int(store_rename(s, &r, etag, &err), 0);
	check_str(etag, "\"0x1\"");
	check_int(steps(), 2);
	store_free(s);
}

static enum origin_end
denied(struct origin_conn *c)
{
	return (refuse(c, 403, "AuthorizationPermissionMismatch"));
}

static enum origin_end
in_the_way(struct origin_conn *c)
{
	if (strcmp(c->http.req.method, "HEAD") == 0)
		return (answer(c, 200, strstr(c->http.req.path, "directory") != NULL ?
		    "x-ms-resource-type: directory\r\n" : "x-ms-resource-type: file\r\n", ""));
	return (refuse(c, 409, "PathAlreadyExists"));
}

static void
test_refused(void)
{
	struct store_rename r = { .from = "from", .to = "p/q/to", .etag = "" };
	struct store_access a = { .has_mode = 1 };
	struct store *s = begin(not_there);
	char etag[HTTP_ETAG_MAX];
	struct err err;

	check_int(store_rename(s, &r, NULL, &err), -1);
	check_int(refusal_errno(&err), ENOENT);
	check_int(steps(), 1);			/* the first try was the only one: it is true */
	store_free(s);
	s = begin(no_parent);
	check_int(store_rename(s, &r, NULL, &err), 0);
	check_str(said[1], "PUT /acct/data/p/q?resource=directory [|*|,,]");
	check_str(said[2], "PUT /acct/data/p/q/to?mode=posix [/acct/data/from||,,]");
	check_int(steps(), 3);
	store_free(s);
	s = begin(denied);
	check_int(store_rename(s, &r, NULL, &err), -1);
	check_int(refusal_errno(&err), EACCES);
	check_int(err.remedy, REMEDY_GRANT_CONTRIBUTOR_OR_ACL);
	check_str(err.cause, "AuthorizationPermissionMismatch: Said so.");
	check(strstr(err.resource, "/acct/data/p/q/to") != NULL);
	check_int(store_set_access(s, "f", &a, NULL, etag, &err), -1);
	check_int(err.remedy, REMEDY_GRANT_DATA_OWNER);
	store_free(s);
	s = begin(in_the_way);
	check_int(store_rename(s, &r, NULL, &err), -1);
	check_int(refusal_errno(&err), EEXIST);
	check_int(store_mkdir(s, "directory", &err), 0);	/* that one may be there */
	check_int(store_mkdir(s, "file", &err), -1);
	check_int(refusal_errno(&err), EEXIST);
	store_free(s);
}

/* ---- modes -------------------------------------------------------------- */

static enum origin_end
modes(struct origin_conn *c)
{
	static const char *const headers[] = {
	    "x-ms-permissions: rwxr-x--x+\r\nx-ms-owner: 1000\r\nx-ms-group: $superuser\r\n",
	    "x-ms-permissions: rwxr-xr-T\r\nx-ms-owner: 0b1e-aa\r\nx-ms-group: 7\r\n",
	    "x-ms-permissions: odd\r\n", "ETag: \"0x5\"\r\n" };

	return (answer(c, 200, headers[c->nth < 3 ? c->nth : 3], ""));
}

static void
test_modes(void)
{
	struct store *s = begin(modes);
	struct store_access a;
	char etag[HTTP_ETAG_MAX];
	struct err err;

	check_int(store_get_access(s, "f", &a, &err), 0);
	check_str(said[0], "HEAD /acct/data/f?action=getAccessControl [||,,]");
	check(a.has_mode && a.has_uid && !a.has_gid);
	check_int(a.mode, 0751);
	check_int(a.uid, 1000);
	check_int(store_get_access(s, "f", &a, &err), 0);
	check(a.has_mode && !a.has_uid && a.has_gid);
	check_int(a.mode, 01754);
	check_int(a.gid, 7);
	check_int(store_get_access(s, "f", &a, &err), 0);
	check(!a.has_mode && !a.has_uid && !a.has_gid);
	a = (struct store_access){ .has_mode = 1, .mode = 0640, .has_uid = 1, .uid = 12 };
	check_int(store_set_access(s, "f", &a, "\"0x4\"", etag, &err), 0);
	check_str(said[3], "PATCH /acct/data/f?action=setAccessControl [|\"0x4\"|0640,12,]");
	check_str(etag, "\"0x5\"");
	store_free(s);
}

/* ---- what kind it is ---------------------------------------------------- */

static const char *listing;		/* NULL: permissions are refused */
static int listing_status;
static const char *listing_code = "InvalidQueryParameterValue";

static enum origin_end
unknown_kind(struct origin_conn *c)
{
	if (strcmp(c->http.req.method, "GET") == 0 && listing_status != 200)
		return (refuse(c, listing_status, listing_code));
	if (strcmp(c->http.req.method, "GET") == 0)
		return (answer(c, 200, NULL, listing));
	return (answer(c, 201, NULL, ""));
}

static int
rename_on(const char *text, int status, int *ret_again)
{
	const struct store_options o = { .hns = 0 };
	struct store_rename r = { .from = "d/f", .to = "d/g", .etag = "" };
	struct store *s;
	struct err err;
	int rc, before;

	listing = text;
	listing_status = status;
	s = begin_as(unknown_kind, &o);
	rc = store_rename(s, &r, NULL, &err);
	before = steps();
	check_int(store_rename(s, &r, NULL, &err), rc);
	*ret_again = steps() - before - (rc == 0);	/* questions asked again */
	store_free(s);
	return (rc);
}

static void
test_kind(void)
{
	const struct store_options o = { .hns = 0 };
	struct store *s;
	struct err err;
	int again;

	check_int(rename_on(NULL, 400, &again), 1);
	check_str(said[0], "GET /acct/data?restype=container&comp=list&include=metadata%2C"
	    "permissions&prefix=d%2Ff&maxresults=1 [||,,]");
	check_int(again, 0);
	check_int(rename_on(LISTING(FILE_WITH("<ResourceType>file</ResourceType>")), 200,
	    &again), 0);
	check_int(again, 0);
	check_int(rename_on(LISTING(FILE_WITH("")), 200, &again), 1);	/* it did not understand */
	check_int(again, 0);
	check_int(rename_on(LISTING(FILE_WITH("<ResourceType />")), 200, &again), 1);
	check_int(again, 0);
	check_int(rename_on(LISTING(""), 200, &again), 1);
	check_int(again, 1);
	listing_code = "AuthorizationPermissionMismatch";
	check_int(rename_on(NULL, 403, &again), 1);
	check_int(again, 1);
	listing_code = "InvalidHeaderValue";	/* that is about something else */
	check_int(rename_on(NULL, 400, &again), 1);
	check_int(again, 1);
	/* Any listing tells. */
	listing = LISTING(FILE_WITH("<ResourceType>file</ResourceType>"));
	listing_status = 200;
	s = begin_as(unknown_kind, &o);
	check_int(store_hns(s), 0);
	check_int(store_probe(s, "", &err), 0);
	check_int(store_hns(s), 1);
	store_free(s);
}

struct seen {
	struct store_access access;
	int n;
};

static int
see(void *arg, const char *name, size_t len, const struct store_attr *a)
{
	struct seen *seen = arg;

	(void)name;
	(void)len;
	seen->access = a->access;
	seen->n++;
	return (0);
}

static enum origin_end
telling(struct origin_conn *c)
{
	if (strstr(c->http.req.target, "permissions") == NULL)
		return (answer(c, 200, NULL, LISTING(FILE_WITH(""))));
	if (c->nth == 0 && listing_status == 400)
		return (refuse(c, 400, "InvalidQueryParameterValue"));
	return (answer(c, 200, NULL, LISTING(FILE_WITH("<ResourceType>file</ResourceType>"
	    "<Owner>12</Owner><Group>$superuser</Group><Permissions>rw-r-----</Permissions>"))));
}

static void
test_listed_modes(void)
{
	const struct store_options o = { .access = 1 };
	struct seen seen = { .n = 0 };
	struct store *s;
	struct err err;

	listing_status = 200;
	s = begin_as(telling, &o);
	check_int(store_list(s, "d/", 1, 0, see, &seen, &err), 0);
	check(seen.access.has_mode && seen.access.has_uid && !seen.access.has_gid);
	check_int(seen.access.mode, 0640);
	check_int(seen.access.uid, 12);
	store_free(s);
	listing_status = 400;			/* flat: without them, and never again with */
	s = begin_as(telling, &o);
	check_int(store_list(s, "d/", 1, 0, see, &seen, &err), 0);
	check(!seen.access.has_mode);
	check_int(seen.n, 2);
	check_int(store_list(s, "d/", 1, 0, see, &seen, &err), 0);
	check_int(steps(), 3);
	store_free(s);
}

/* ---- the endpoint, OneLake, blocks that are refused --------------------- */

static void
test_endpoint(void)
{
	static const struct { const char *base, *dfs; } urls[] = {
		{ "https://a.blob.core.windows.net", "https://a.dfs.core.windows.net" },
		{ "https://a.blob.core.windows.net/", "https://a.dfs.core.windows.net" },
		{ "https://x.z12.onelake.blob.fabric.microsoft.com",
		    "https://x.z12.onelake.dfs.fabric.microsoft.com" },
		{ "https://localhost:1/a", "https://localhost:1/a" },
		{ "https://localhost:1/a.blob.b", "https://localhost:1/a.blob.b" },
	};
	struct err err;
	size_t i;

	for (i = 0; i < LENGTH(urls); i++) {
		struct store_options o = { .base_url = urls[i].base, .container = "c",
		    .cred = anonymous, .http = http };
		struct store *s = store_new(&o, &err);

		check_str(s->dfs_root, urls[i].dfs);
		store_free(s);
	}
}

static void
test_onelake(void)
{
	const struct store_options o = { .kind = SPEC_ONELAKE };
	struct store_rename r = { .from = "i.Lakehouse/Files/a", .to = "i.Lakehouse/b",
	    .etag = "" };
	struct store *s = begin_as(renaming, &o);
	int fd = sys_memfd("empty");
	struct err err;

	check_int(store_hns(s), 1);
	check_int(store_rename(s, &r, NULL, &err), -1);
	check_int(refusal_errno(&err), EPERM);
	r = (struct store_rename){ .from = "i.Lakehouse/Files", .to = "i.Lakehouse/Files/b/c",
	    .etag = "" };
	check_int(store_rename(s, &r, NULL, &err), -1);
	check_int(refusal_errno(&err), EPERM);
	check_int(store_mkdir(s, "i.Lakehouse/Tables", &err), -1);
	check_int(refusal_errno(&err), EPERM);
	check_int(store_delete(s, "i.Lakehouse", &err), -1);
	check_int(refusal_errno(&err), EPERM);
	check_int(store_upload(s, "i.Lakehouse/file", fd, 0, NULL, NULL, NULL, NULL, &err), -1);
	check_int(refusal_errno(&err), EPERM);
	check_int(steps(), 0);
	check_int(store_mkdir(s, "i.Lakehouse/Files/d", &err), 0);
	check_int(steps(), 1);
	close(fd);
	store_free(s);
}

static int nmetadata;

static const char *
many_props(void *arg, const char *name, struct arena *mem)
{
	auto_buf struct buf props = BUF_EMPTY;
	int i;

	(void)arg;
	for (i = 0; i < (strcmp(name, "many") == 0 ? 50 : 90); i++)
		buf_printf(&props, "xkey%d=%d\n", i, i);
	return (arena_strdup(mem, buf_str(&props)));
}

static enum origin_end
count_metadata(struct origin_conn *c)
{
	size_t i;

	nmetadata = 0;
	for (i = 0; i < c->http.req.nheaders; i++)
		nmetadata += strncasecmp(c->http.req.headers[i].name, "x-ms-meta-", 10) == 0;
	return (answer(c, 201, "ETag: \"0x3\"\r\n", ""));
}

/* All of it goes out with the bytes, or nothing does. */
static void
test_much_metadata(void)
{
	struct store *s = begin(count_metadata);
	int fd = sys_memfd("data");
	struct err err;

	s->props_of = many_props;
	check_int(store_upload(s, "many", fd, 0, NULL, NULL, NULL, NULL, &err), 0);
	check_int(nmetadata, 50);
	check_int(store_upload(s, "more", fd, 0, NULL, NULL, NULL, NULL, &err), -1);
	check_int(err.sys_errno, E2BIG);
	check_int(steps(), 1);
	close(fd);
	store_free(s);
}

static char beside_key[32];

static const char *
props_of(void *arg, const char *name, struct arena *mem)
{
	(void)arg;
	(void)mem;
	return (strcmp(name, "f") == 0 ? "xkey=value\n" : NULL);
}

/* "f" was written by append and flush: it takes no blocks, others do. */
static enum origin_end
no_blocks(struct origin_conn *c)
{
	const struct httpd_request *q = &c->http.req;

	if (strstr(q->target, "/f?comp=block&") != NULL ||
	    strstr(q->target, "/f?comp=blocklist") != NULL)
		return (refuse(c, 409, "InvalidBlobType"));
	if (strstr(q->target, "mode=posix") != NULL)
		return (answer(c, 201, "x-ms-said: renamed\r\n", ""));
	if (strstr(q->target, "comp=blocklist") != NULL)
		str_format(beside_key, sizeof(beside_key), "%s",
		    httpd_header(q, "x-ms-meta-key") != NULL ? httpd_header(q, "x-ms-meta-key") :
		    "none");
	return (answer(c, 201, "ETag: \"0x3\"\r\n", ""));
}

static void
test_beside(void)
{
	const int64_t size = (9 << 20);
	struct store *s = begin(no_blocks);
	int fd = sys_memfd("data"), n;
	char etag[HTTP_ETAG_MAX];
	struct err err;

	if (ftruncate(fd, size) != 0)
		abort();
	s->props_of = props_of;
	check_int(store_upload(s, "f", fd, size, "\"0x2\"", etag, NULL, NULL, &err), 0);
	check_str(beside_key, "value");
	check_str(etag, "\"0x3\"");		/* of what was put beside it: it is that now */
	n = steps();
	check(n <= (int)LENGTH(said));
	check(strstr(said[n - 1], "PUT /acct/data/f?mode=posix [/acct/data/f.") == said[n - 1]);
	check(strstr(said[n - 1], "|\"0x2\"|") != NULL);
	close(fd);
	store_free(s);
}

int
main(void)
{
	const struct http_options o = { .max_connections = 4 };
	struct err err;

	http = http_new(&o, &err);
	anonymous = cred_fixed(WIRE_CRED_ANONYMOUS, "");
	sas = cred_fixed(WIRE_CRED_SAS, "?sv=1&sr=c&sig=x%2By");
	origin_start(&origin, serve, NULL);
	test_rename();
	test_continuation();
	test_lost_answer();
	test_changed();
	test_much_metadata();
	test_refused();
	test_modes();
	test_kind();
	test_listed_modes();
	test_endpoint();
	test_onelake();
	test_beside();
	origin_stop(&origin);
	http_free(http);
	cred_free(anonymous);
	cred_free(sas);
	return (check_done());
}
