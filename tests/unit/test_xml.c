/* xml: events, chunks, bounds, refusals. */

#include "base/mem.h"
#include "base/xml.h"
#include "check.h"

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	struct buf *b = arg;

	buf_printf(b, "<%s", name);
	for (; *attributes != NULL; attributes += 2)
		buf_printf(b, " %s=%s", attributes[0], attributes[1]);
	buf_adds(b, ">");
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	check_failures += strlen(text) != len;
	buf_printf(arg, "%s</%s>", text, name);
}

static const struct xml_handler handler = { on_begin, on_end };

/* The events of a text that comes in chunks; "refused: CAUSE" after a failure. */
static const char *
events(struct buf *b, const char *text, size_t len, size_t chunk)
{
	struct xml *x = xml_new(&handler, b);
	struct err e = ERR_EMPTY;
	size_t n;

	buf_reset(b);
	for (; len > chunk; text += n, len -= n) {
		n = chunk;
		if (xml_feed(x, text, n, 0, &e) != 0)
			break;
	}
	if (e.kind == ERR_NONE)
		xml_feed(x, text, len, 1, &e);
	if (e.kind != ERR_NONE) {
		struct err again = ERR_EMPTY;

		check_int(e.kind, ERR_PROTOCOL);
		check_int(xml_feed(x, "", 0, 1, &again), -1);	/* it stays refused */
		buf_reset(b);
		buf_printf(b, "refused: %s", e.cause);
	}
	xml_free(x);
	return (buf_str(b));
}

static const char listing[] = "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
    "<EnumerationResults ServiceEndpoint=\"https://h/\" xmlns:i=\"urn:x\" xmlns=\"urn:y\">"
    "<Blobs>\n <Blob><Name i:Encoded=\"true\">a%20&amp;&#233;<![CDATA[<b>]]></Name><Size>1</Size>"
    "</Blob><i:Blob/></Blobs> <NextMarker /></EnumerationResults>\n";
static const char listing_events[] = "<EnumerationResults ServiceEndpoint=https://h/><Blobs><Blob>"
    "<Name Encoded=true>a%20&\xc3\xa9<b></Name><Size>1</Size></Blob><Blob></Blob></Blobs>"
    "<NextMarker></NextMarker></EnumerationResults>";

static void
a_listing_in_chunks(void)
{
	auto_buf struct buf b = BUF_EMPTY;
	size_t chunk;

	for (chunk = 1; chunk <= sizeof(listing); chunk += chunk < 8 ? 1 : 50)
		check_str(events(&b, listing, sizeof(listing) - 1, chunk), listing_events);
}

static void
bad_documents(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "no element" },
		{ "<a>", "no element" },
		{ "<a></b>", "mismatched" },
		{ "<a/><b/>", "junk" },
		{ "{\"error\":1}", "not well-formed" },
		{ "<a>&x;</a>", "undefined entity" },
		{ "<!DOCTYPE a><a/>", "document type" },
		{ "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type" },
		{ "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type" },
		{ "<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://h/\"> %p;]><a/>", "document type" },
		{ "<a>\x01</a>", "not well-formed" },
		{ "<a>\xff</a>", "not well-formed" },
		{ "<?xml version=\"1.0\" encoding=\"x-none\"?><a/>", "unknown encoding" },
	};
	auto_buf struct buf b = BUF_EMPTY;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		events(&b, bad[i].text, strlen(bad[i].text), 1000);
		if (!check(str_starts(buf_str(&b), "refused: line ") &&
		    strstr(buf_str(&b), bad[i].why) != NULL))
			printf("# %s: %s\n", bad[i].text, buf_str(&b));
	}
}

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_adds(b, s);
}

static void
bounds(void)
{
	auto_buf struct buf text = BUF_EMPTY, b = BUF_EMPTY;
	size_t over;

	for (over = 0; over <= 1; over++) {
		buf_reset(&text);
		repeat(&text, "<a>", XML_DEPTH_MAX + over);
		repeat(&text, "</a>", XML_DEPTH_MAX + over);
		events(&b, text.data, text.len, 1000);
		check_int(strstr(buf_str(&b), "nested") != NULL, over);

		buf_reset(&text);
		buf_adds(&text, "<a>");
		repeat(&text, "x", XML_TEXT_MAX + over);
		buf_adds(&text, "</a>");
		events(&b, text.data, text.len, 1000);
		check_int(strstr(buf_str(&b), "text of an element") != NULL, over);

		buf_reset(&text);
		buf_adds(&text, "<a");
		for (size_t i = 0; i < 16 + over; i++)
			buf_printf(&text, " n%zu=''", i);
		buf_adds(&text, "/>");
		events(&b, text.data, text.len, 1000);
		check_int(strstr(buf_str(&b), "attributes") != NULL, over);

		buf_reset(&text);
		buf_adds(&text, "<");
		repeat(&text, "n", 256 + over);
		buf_adds(&text, "/>");
		events(&b, text.data, text.len, 1000);
		check_int(strstr(buf_str(&b), "name is too long") != NULL, over);
	}
	buf_reset(&text);
	buf_adds(&text, "<a><!--");
	repeat(&text, "12345678", 1 << 20);
	events(&b, text.data, text.len, text.len);
	check(strstr(buf_str(&b), "a part of it is too long") != NULL);
	check_str(events(&b, "<a>", 3, 3), "refused: line 1: no element found");

	buf_reset(&text);
	buf_adds(&text, "<a>");
	repeat(&text, "<b>1</b>", 200000);	/* long answers are fine */
	buf_adds(&text, "</a>");
	events(&b, text.data, text.len, text.len);
	check_int(b.len, text.len);
}

int
main(void)
{
	a_listing_in_chunks();
	bad_documents();
	bounds();
	xml_free(NULL);
	return (check_done());
}
