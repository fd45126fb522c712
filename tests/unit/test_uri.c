/* uri: URLs, percent-encoding, queries, base64, hash. */

#include "base/uri.h"
#include "check.h"

static void
urls(void)
{
	static const struct {
		const char *text, *scheme, *user, *host;
		int port;
		const char *path, *query;
	} good[] = {
		{ "https://Acct.Blob.core.windows.net/C/a%20b?x=1&y=?2", "https", "",
		    "acct.blob.core.windows.net", 0, "/C/a%20b", "x=1&y=?2" },
		{ "HTTP://127.0.0.1:10000/devstore", "http", "", "127.0.0.1", 10000,
		    "/devstore", "" },
		{ "http://[::1]:80?q", "http", "", "[::1]", 80, "", "q" },
		{ "http://[FE80::1]", "http", "", "[fe80::1]", 0, "", "" },
		{ "abfss://Data@acct.dfs.core.windows.net/p//q/", "abfss", "Data",
		    "acct.dfs.core.windows.net", 0, "/p//q/", "" },
		{ "azureml://datastores/My_Store/paths/\xc3\xa9", "azureml", "", "datastores", 0,
		    "/My_Store/paths/\xc3\xa9", "" },
		{ "a+b-c.1://h", "a+b-c.1", "", "h", 0, "", "" },
		{ "http://h/a@b:c", "http", "", "h", 0, "/a@b:c", "" },
	};
	static const char *const bad[] = {
		"", "h", "//h", "http:/h", "http://", "http:///p", "http://h:0", "http://h:65536",
		"http://h:", "http://h:x", "http://h:80:80/", "http://h h", "http://h/a b",
		"http://h/\n", "http://h/\x7f", "http://h/p#f", "1http://h", "ht_tp://h", "://h",
		"http://a@b@h", "http://u@", "http://h%41", "http://[::1", "http://::1/",
		"http://[::1]x", "http://[g]", "http://[]", "http://h\\x", "http://\xc3\xa9/",
		"http://[1.2.3.4]/", "/p?u=http://h"
	};
	struct arena mem = ARENA_EMPTY;
	struct uri u;
	size_t i;

	for (i = 0; i < LENGTH(good); i++) {
		if (!check_int(uri_parse(&u, good[i].text, &mem), 0))
			continue;
		check_str(u.scheme, good[i].scheme);
		check_str(u.user, good[i].user);
		check_str(u.host, good[i].host);
		check_int(u.port, good[i].port);
		check_str(u.path, good[i].path);
		check_str(u.query, good[i].query);
	}
	for (i = 0; i < LENGTH(bad); i++)
		if (!check_int(uri_parse(&u, bad[i], &mem), -1))
			printf("# %s\n", bad[i]);
	arena_done(&mem);
}

static void
hosts(void)
{
	check(uri_is_path_style_host("127.0.0.1") && uri_is_path_style_host("[::1]"));
	check(uri_is_path_style_host("localhost") && uri_is_path_style_host("azurite"));
	check(!uri_is_path_style_host("a.blob.core.windows.net"));
	check(!uri_is_path_style_host("1.2.3.4.5"));
	check(uri_is_loopback_host("127.0.0.1") && uri_is_loopback_host("127.255.0.9"));
	check(uri_is_loopback_host("[::1]") && uri_is_loopback_host("LocalHost"));
	check(!uri_is_loopback_host("128.0.0.1") && !uri_is_loopback_host("[::2]"));
	check(!uri_is_loopback_host("localhost.example"));
	check(!uri_is_loopback_host("127.0.0.1.nip.io"));
	check(!uri_is_loopback_host(""));
}

static void
percent_encoding(void)
{
	auto_buf struct buf b = BUF_EMPTY;
	char text[64];
	size_t i;
	static const char *const bad[] = { "%", "a%2", "%g0", "%0g", "%00", "a%00b", "%%41" };

	uri_encode(&b, "aZ09-._~ /%+\xc3\xa9\n", 15, 0);
	check_str(buf_str(&b), "aZ09-._~%20%2F%25%2B%C3%A9%0A");
	buf_reset(&b);
	uri_encode(&b, "a b/c", 5, 1);
	check_str(buf_str(&b), "a%20b/c");
	b.max = b.len + 2;
	check_int(uri_encode(&b, " ", 1, 0), -1);

	snprintf(text, sizeof(text), "a%%20B%%2fc%%C3%%a9+%%25");
	check_int(uri_decode(text), 9);
	check_str(text, "a B/c\xc3\xa9+%");
	snprintf(text, sizeof(text), "%s", "");
	check_int(uri_decode(text), 0);
	for (i = 0; i < LENGTH(bad); i++) {
		snprintf(text, sizeof(text), "%s", bad[i]);
		check_int(uri_decode(text), -1);
	}
}

static void
queries(void)
{
	static const char query[] = "a=1&resource=https%3A%2F%2Fh%2F&empty=&flag&"
	    "x%20y=z&a=2&bad=%zz";
	struct arena mem = ARENA_EMPTY;

	check_str(uri_query_get(query, "a", &mem), "1");
	check_str(uri_query_get(query, "resource", &mem), "https://h/");
	check_str(uri_query_get(query, "empty", &mem), "");
	check_str(uri_query_get(query, "flag", &mem), "");
	check_str(uri_query_get(query, "x y", &mem), "z");
	check(uri_query_get(query, "A", &mem) == NULL);
	check(uri_query_get(query, "bad", &mem) == NULL);
	check(uri_query_get(query, "none", &mem) == NULL);
	check(uri_query_get("", "a", &mem) == NULL);
	arena_done(&mem);
}

static void
base64(void)
{
	/* RFC 4648, section 10 */
	static const char *const pairs[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xbe", "/+++" }
	};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zm9vY", "Z===", "====", "Zg==Zg==", "Zm9 ", "Zm9\n", "Zm9_",
		"Z=g=", "Zm9v="
	};
	auto_buf struct buf b = BUF_EMPTY;
	unsigned char out[64], all[256], back[256];
	char text[8];
	size_t i;

	for (i = 0; i < LENGTH(pairs); i++) {
		buf_reset(&b);
		base64_encode(&b, pairs[i][0], strlen(pairs[i][0]));
		check_str(buf_str(&b), pairs[i][1]);
		check_int(base64_decode(out, sizeof(out), b.data, b.len), strlen(pairs[i][0]));
		check(memcmp(out, pairs[i][0], strlen(pairs[i][0])) == 0);
	}
	for (i = 0; i < LENGTH(bad); i++)
		check_int(base64_decode(out, sizeof(out), bad[i], strlen(bad[i])), -1);
	check_int(base64_decode(out, 2, "Zm9v", 4), -1);
	check_int(base64_decode(out, 3, "Zm9v", 4), 3);

	buf_reset(&b);
	base64url_encode(&b, "\xff\xef\xbe\xff", 4);
	check_str(buf_str(&b), "_---_w");
	check_int(base64url_decode(out, sizeof(out), "_---_w", 6), 4);
	check(memcmp(out, "\xff\xef\xbe\xff", 4) == 0);
	check_int(base64url_decode(out, sizeof(out), "_---_w==", 8), 4);
	check_int(base64url_decode(out, sizeof(out), "_---_w=", 7), -1);
	check_int(base64url_decode(out, sizeof(out), "/+++", 4), -1);
	check_int(base64url_decode(out, sizeof(out), "_---_", 5), -1);

	memcpy(text, "Zm9vYg==", 8);	/* onto itself */
	check_int(base64_decode((unsigned char *)text, 8, text, 8), 4);
	check(memcmp(text, "foob", 4) == 0);
	for (i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	for (i = 0; i <= 256; i++) {
		buf_reset(&b);
		base64url_encode(&b, all, i);
		if (base64url_decode(back, i, buf_str(&b), b.len) != (ssize_t)i ||
		    memcmp(all, back, i) != 0)
			check(0);
	}
}

static void
hash(void)
{
	/* Vectors of the FNV authors' test suite. */
	check(hash_bytes("", 0) == UINT64_C(0xcbf29ce484222325));
	check(hash_bytes("a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	check(hash_bytes("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int
main(void)
{
	urls();
	hosts();
	percent_encoding();
	queries();
	base64();
	hash();
	return (check_done());
}
