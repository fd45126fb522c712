/*
 * A page of LISTSTATUS: each name is one segment of a path, nobody's attributes are strange, and
 * where there is another page, the name it comes after differs from the last.
 */

#include "azure/gen1.c"
#include "fuzz.h"

static int
on_entry(void *arg, const char *suffix, const struct store_attr *a)
{
	if (suffix[0] == '\0' || strchr(suffix, '/') != NULL || strcmp(suffix, ".") == 0 ||
	    strcmp(suffix, "..") == 0 || a->size < 0 || (a->is_dir && a->size != 0) ||
	    a->etag[0] != '"' || strlen(a->etag) >= sizeof(a->etag))
		abort();
	++*(int *)arg;
	return (0);
}

static void
status(const char *body, size_t len)
{
	struct http_response r = { .status = 200 };
	struct store_attr a;
	int done;

	buf_add(&r.error_body, body, len);
	if (gen1_read_status(&r, &a) == 0)
		must(a.size >= 0 && a.size <= HTTP_LENGTH_MAX && a.etag[0] == '"' &&
		    (!a.is_dir || a.size == 0));
	done = was_done(&r);
	must(done == 0 || done == 1);
	buf_done(&r.error_body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf next = BUF_EMPTY;
	int told = 0, more = 0, rc;

	buf_adds(&next, "last");
	rc = gen1_read_page((const char *)data, size, 2, on_entry, &told, &next, &more, NULL);
	if (rc > 0 || (rc == 0 && more != (next.len > 0)) ||
	    (rc == 0 && more && strcmp(next.data, "last") == 0))
		abort();
	buf_done(&next);
	status((const char *)data, size);
	return (0);
}
