/* auth: the string to sign against documented and independently computed values, SAS, bearer. */

#include <stdlib.h>

#include "azure/auth.h"
#include "check.h"

/* The published key of the emulator's account. */
#define KEY \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

static struct http_request
request(const char *method, const char *url)
{
	struct http_request q = { .method = method, .url = url, .body_fd = -1 };

	return (q);
}

static void
add(struct http_request *q, const char *name, const char *value)
{
	q->headers[q->nheaders++] = (struct http_header){ name, value };
}

static void
check_signed(const char *account, const struct http_request *q, const char *want,
    const char *want_mac)
{
	struct buf text = BUF_EMPTY, mac = BUF_EMPTY;

	check_int(auth_string_to_sign(account, q, &text), 0);
	check_str(buf_str(&text), want);
	if (want_mac != NULL) {
		check_int(auth_hmac_sha256_base64(KEY, text.data, text.len, &mac), 0);
		check_str(buf_str(&mac), want_mac);
	}
	buf_done(&text);
	buf_done(&mac);
}

/*
 * The example of "Authorize with Shared Key" (Constructing the Authorization
 * Header), and the MAC by another implementation:
 *   hex=$(echo KEY | base64 -d | xxd -p -c 200)
 *   printf 'GET\n...' | openssl dgst -sha256 -mac HMAC -macopt hexkey:$hex -binary | base64
 */
static void
test_documented_example(void)
{
	struct http_request q = request("GET", "https://myaccount.blob.core.windows.net/"
	    "mycontainer?restype=container&comp=metadata&timeout=20");

	add(&q, "x-ms-version", "2015-02-21");
	add(&q, "x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
	check_signed("myaccount", &q,
	    "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
	    "x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\n"
	    "restype:container\ntimeout:20", "1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
}

/* Path style, so the account comes twice; encoded path, decoded query; lines 4, 6 and 9. */
static void
test_every_part(void)
{
	struct http_request q = request("PUT", "http://127.0.0.1:10000/devstoreaccount1/data/"
	    "a%20b%2Bc/%C3%A9?comp=block&blockid=AA%2B%2F%3D%3D");

	q.body = "abc";
	q.body_len = 3;
	add(&q, "X-MS-Blob-Type", "  BlockBlob \t");
	add(&q, "x-ms-version", "2021-12-02");
	add(&q, "x-ms-meta-a-b", "2");
	add(&q, "x-ms-meta-aa", "1");
	add(&q, "Content-Type", "application/octet-stream");
	add(&q, "If-Match", "\"0x1\"");
	add(&q, "x-ms-date", "Mon, 23 Nov 2026 22:12:00 GMT");
	check_signed("devstoreaccount1", &q,
	    "PUT\n\n\n3\n\napplication/octet-stream\n\n\n\"0x1\"\n\n\n\n"
	    "x-ms-blob-type:BlockBlob\nx-ms-date:Mon, 23 Nov 2026 22:12:00 GMT\n"
	    "x-ms-meta-aa:1\nx-ms-meta-a-b:2\nx-ms-version:2021-12-02\n"
	    "/devstoreaccount1/devstoreaccount1/data/a%20b%2Bc/%C3%A9\nblockid:AA+/==\n"
	    "comp:block", "QHUD4wIrXoDQ8MvfSFeXGvqUY2JwQ0Zc7YXberysTMo=");
}

static void
test_resource(void)
{
	struct http_request q = request("HEAD", "https://a.blob.example.net");
	struct buf text = BUF_EMPTY;

	add(&q, "If-None-Match", "*");
	add(&q, "Range", "bytes=0-1");
	check_signed("a", &q, "HEAD\n\n\n\n\n\n\n\n\n*\n\nbytes=0-1\n/a/", NULL);
	q = request("GET", "https://a.blob.example.net?Comp=list&b=2&B=1&&flag&prefix=x%2Cy%20z");
	check_signed("a", &q, "GET\n\n\n\n\n\n\n\n\n\n\n\n/a/\nb:1,2\ncomp:list\nflag:\n"
	    "prefix:x,y z", NULL);
	q = request("GET", "https://a.blob.example.net/?x=%zz");
	check_int(auth_string_to_sign("a", &q, &text), -1);
	buf_done(&text);
	check_int(auth_hmac_sha256_base64("not base64!", "", 0, &text), -1);
	buf_done(&text);
}

/* Names without a difference but hyphens: the later hyphen is first. */
static void
test_header_order(void)
{
	static const char *const sorted[] = { "x-ms-meta-_a", "x-ms-meta-1", "x-ms-meta-a",
	    "x-ms-meta-a_1", "x-ms-meta-a1", "x-ms-meta-ab", "x-ms-meta-a-b", "x-ms-meta-b" };
	struct buf want = BUF_EMPTY;
	struct http_request q;
	size_t i, shift;

	buf_adds(&want, "GET\n\n\n\n\n\n\n\n\n\n\n\n");
	for (i = 0; i < LENGTH(sorted); i++)
		buf_printf(&want, "%s:v\n", sorted[i]);
	buf_adds(&want, "/a/c");
	for (shift = 0; shift < LENGTH(sorted); shift++) {
		q = request("GET", "https://a.blob.example.net/c");
		for (i = 0; i < LENGTH(sorted); i++)
			add(&q, sorted[(i * 3 + shift) % LENGTH(sorted)], "v");
		check_signed("a", &q, want.data, NULL);
	}
	buf_done(&want);
}

static const char *
header(const struct http_request *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->nheaders; i++)
		if (strcmp(q->headers[i].name, name) == 0)
			return (q->headers[i].value);
	return (NULL);
}

struct signing {
	enum wire_cred_kind kind;
	const char	*text, *url;
	int		 rc;
	const char	*want_url;	/* NULL: unchanged */
	const char	*want_authorization;	/* beginning; NULL: none */
};

static void
test_kinds(void)
{
	static const struct signing rows[] = {
		{ WIRE_CRED_BEARER, "a.b.c", "https://h/c", 0, NULL, "Bearer a.b.c" },
		{ WIRE_CRED_BEARER, "a.b.c", "HTTPS://h/c", 0, NULL, "Bearer a.b.c" },
		{ WIRE_CRED_BEARER, "a.b.c", "http://127.0.0.1/c", -1, NULL, NULL },
		{ WIRE_CRED_SHARED_KEY, KEY, "http://127.0.0.1/acct/c", 0, NULL,
		    "SharedKey acct:" },
		{ WIRE_CRED_SHARED_KEY, "no base64", "https://h/c", -1, NULL, NULL },
		{ WIRE_CRED_SAS, "?sv=1&sig=a%2Bb", "https://h/c", 0,
		    "https://h/c?sv=1&sig=a%2Bb", NULL },
		{ WIRE_CRED_SAS, "sv=1&sig=a%2Bb", "https://h/c?comp=list", 0,
		    "https://h/c?comp=list&sv=1&sig=a%2Bb", NULL },
		{ WIRE_CRED_SAS, "sv=1", "http://azurite:10000/a/c", 0,
		    "http://azurite:10000/a/c?sv=1", NULL },
		{ WIRE_CRED_SAS, "sv=1", "http://a.blob.core.windows.net/c", -1, NULL, NULL },
		{ WIRE_CRED_ANONYMOUS, "", "https://h/c", 0, NULL, NULL },
		{ WIRE_CRED_NONE, "", "https://h/c", -1, NULL, NULL },
	};
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		const struct signing *t = &rows[i];
		struct cred *cred = cred_fixed(t->kind, t->text);
		struct auth a = { "acct", cred, NULL };
		struct http_request q = request("GET", t->url);
		struct arena mem = ARENA_EMPTY;
		uint64_t generation = 0;
		struct err err = ERR_EMPTY;
		const char *got;

		check_int(auth_storage_request(&a, &q, "id-1", &mem, &generation, &err), t->rc);
		if (t->rc != 0) {
			check(err.kind != ERR_NONE);
			check(strstr(err.cause, t->text) == NULL || t->text[0] == '\0');
		} else {
			check_int(generation, 1);
			check_str(q.url, t->want_url != NULL ? t->want_url : t->url);
			check_str(header(&q, "x-ms-version"), AUTH_STORAGE_VERSION);
			check_str(header(&q, "x-ms-client-request-id"), "id-1");
			check(header(&q, "x-ms-date") != NULL);
			got = header(&q, "Authorization");
			check(t->want_authorization == NULL ? got == NULL :
			    got != NULL && str_starts(got, t->want_authorization));
		}
		arena_done(&mem);
		cred_free(cred);
	}
}

static void
test_bounds(void)
{
	struct cred *cred = cred_fixed(WIRE_CRED_ANONYMOUS, "");
	struct auth a = { "acct", cred, "2023-11-03" };
	struct http_request q = request("GET", "https://h/c");
	struct arena mem = ARENA_EMPTY;
	uint64_t generation;
	struct err err = ERR_EMPTY;

	check_int(auth_storage_request(&a, &q, "id", &mem, &generation, &err), 0);
	check_str(header(&q, "x-ms-version"), "2023-11-03");
	while (q.nheaders < HTTP_HEADERS_MAX - 1)
		add(&q, "x-ms-meta-a", "1");
	check_int(auth_storage_request(&a, &q, "id", &mem, &generation, &err), -1);
	check_int(err.kind, ERR_BUG);
	arena_done(&mem);
	cred_free(cred);
}

static void
test_sas_expiry(void)
{
	check_int(auth_sas_expiry("sv=2021-12-02&se=2026-11-23T22%3A12%3A00Z&sig=x"), 1795471920);
	check_int(auth_sas_expiry("?se=2026-11-23T22:12:00Z"), 1795471920);
	check_int(auth_sas_expiry("se=2026-11-23"), 1795392000);
	check_int(auth_sas_expiry("sv=1&si=policy"), 0);
	check_int(auth_sas_expiry("se=soon"), 0);
	check_int(auth_sas_expiry(""), 0);
}

int
main(void)
{
	test_documented_example();
	test_every_part();
	test_resource();
	test_header_order();
	test_kinds();
	test_bounds();
	test_sas_expiry();
	return (check_done());
}
