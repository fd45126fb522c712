/*
 * What is signed: a URL with a query, a SAS, a key, header values.  The order of the query's
 * parameters does not matter; what is signed has the lines it has to have.
 */

#include "azure/auth.h"
#include "base/uri.h"
#include "fuzz.h"

static int
sign(const char *url, const char *value, struct buf *ret)
{
	struct http_request q = { .method = "GET", .url = url, .nheaders = 3, .headers = {
	    { "x-ms-date", value }, { "Range", "bytes=0-1" }, { "x-ms-version", "2021-12-02" } } };

	return (auth_string_to_sign("account", &q, ret));
}

static void
swapped(const char *path, const char *a, const char *b, struct arena *mem)
{
	auto_buf struct buf one = BUF_EMPTY, other = BUF_EMPTY;
	const char *host = "https://account.blob.core.windows.net";
	int failed = sign(arena_printf(mem, "%s/%s?%s&%s", host, path, a, b), "d", &one);

	if (strpbrk(path, "?") != NULL)
		return;
	must(sign(arena_printf(mem, "%s/%s?%s&%s", host, path, b, a), "d", &other) == failed);
	must(failed || strcmp(buf_str(&one), buf_str(&other)) == 0);
	must(failed || strncmp(buf_str(&one), "GET\n\n\n", 6) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf text = BUF_EMPTY, mac = BUF_EMPTY;
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *url = input_line(&in, &mem), *path = input_line(&in, &mem);
	const char *a = input_line(&in, &mem), *b = input_line(&in, &mem);
	const char *key = input_line(&in, &mem);

	must(auth_sas_expiry(url) == 0 || strstr(url, "se") != NULL || strchr(url, '%') != NULL);
	sign(url, key, &text);
	swapped(path, a, b, &mem);
	if (auth_hmac_sha256_base64(key, url, strlen(url), &mac) == 0)
		must(mac.len == 44 && mac.data[43] == '=');
	arena_done(&mem);
	return (0);
}
