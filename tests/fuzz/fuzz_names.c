/*
 * Names of blobs, a line each: which may be names of files, what becomes of them in a catalog, on a
 * URL and back; and a path that is safe, taken apart and put together.
 */

#include <sys/stat.h>

#include "base/uri.h"
#include "fuzz.h"
#include "mount/catalog.h"
#include "mount/name.h"
#include "mount/names.c"

#define NAMES	64

static void
path(const char *text, struct arena *mem)
{
	auto_buf struct buf again = BUF_EMPTY, encoded = BUF_EMPTY;
	char *rest = arena_strdup(mem, text), *part, *url;
	int is_safe = 1;

	uri_encode(&encoded, text, strlen(text), 1);
	url = arena_strdup(mem, buf_str(&encoded));
	must(strspn(url, "/") == strspn(text, "/"));
	must(uri_decode(url) == (ssize_t)strlen(text) && strcmp(url, text) == 0);
	while ((part = strsep(&rest, "/")) != NULL) {
		is_safe &= name_is_safe(part, strlen(part));
		buf_printf(&again, "%s%s", again.len > 0 ? "/" : "", part);
	}
	must(name_is_safe_path(text) == is_safe);
	must(!is_safe || strcmp(buf_str(&again), text) == 0);
	if (is_safe)
		must(text[0] != '/' && strstr(text, "//") == NULL && strcmp(text, "..") != 0 &&
		    strncmp(text, "../", 3) != 0 && strstr(text, "/../") == NULL);
}

static void
fault(const char *text)
{
	size_t len = strlen(text);
	int why = blob_name_fault(text);

	must(why == 0 || why == EILSEQ || why == ENAMETOOLONG);
	must(why != ENAMETOOLONG || len > STORE_NAME_MAX);
	must(why != 0 || len <= 4 * STORE_NAME_MAX);
}

/* Names come out as they went in, by place and by name. */
static void
list(char *const *names, size_t n)
{
	struct catalog *c = catalog_new();
	struct store_attr a = { .size = 7, .etag = "\"e\"" }, got;
	char name[256];
	uint32_t type;
	size_t i;

	for (i = 0; i < n; i++)
		catalog_add(c, names[i], i % 2 == 0 ? S_IFREG : S_IFDIR, &a);
	must(catalog_count(c) == n);
	catalog_index(c);
	for (i = 0; i < n; i++) {
		must(catalog_get(c, i, name, &type, &got) && strcmp(name, names[i]) == 0);
		must(got.size == 7 && type == (i % 2 == 0 ? S_IFREG : S_IFDIR));
		must(catalog_find(c, names[i]) >= 0);
	}
	must(catalog_find(c, "a name that is /not/ there") < 0);
	catalog_drop(c, n / 2);
	for (i = n / 2; i < n; i++)
		must(catalog_get(c, i, name, &type, &got) && strcmp(name, names[i]) == 0);
	catalog_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	char *names[NAMES], *text;
	size_t n = 0;

	while (in.left > 0) {
		text = input_line(&in, &mem);
		path(text, &mem);
		fault(text);
		if (n < NAMES && name_is_safe(text, strlen(text)))
			names[n++] = text;
	}
	list(names, n);
	arena_done(&mem);
	return (0);
}
