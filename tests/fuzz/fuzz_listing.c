/*
 * A page of a Blob listing, whole and in two chunks: the same entries, none of them without a
 * name or with a NUL in it.  The file is included for its parser.
 */

#include "azure/blob_list.c"
#include "fuzz.h"

static int
parse(const char *text, size_t size, size_t first, const char *prefix, struct page *p)
{
	struct reader r = { .page = p, .prefix = prefix };
	struct xml *x = xml_new(&page_handler, &r);
	int rc = xml_feed(x, text, first, 0, NULL);

	if (rc == 0)
		rc = xml_feed(x, text + first, size - first, 1, NULL);
	xml_free(x);
	buf_done(&r.name);
	buf_done(&r.props);
	return (rc);
}

static void
check_entry(const struct entry *e)
{
	if (e->len == 0 || strlen(e->name) != e->len || e->attr.size < 0 ||
	    (e->attr.is_dir && e->attr.size != 0) ||
	    strlen(e->attr.etag) >= sizeof(e->attr.etag))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct page a = { .n = 0 }, b = { .n = 0 };
	size_t i;

	if (size > 65536)	/* as in fuzz_xml */
		return (0);
	if (parse(text, size, 0, "dir/", &a) == 0 &&
	    (parse(text, size, size / 2, "dir/", &b) != 0 || a.n != b.n ||
	    a.has_self != b.has_self || strcmp(buf_str(&a.next), buf_str(&b.next)) != 0))
		abort();
	for (i = 0; i < a.n; i++)
		check_entry(&a.entries[i]);
	page_done(&a);
	page_done(&b);
	return (0);
}
