#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/mem.h"
#include "base/xml.h"

#define NAME_BYTES_MAX	256
#define ATTRIBUTES_MAX	16
#define SLICE		16384
/* Bytes of one token (a comment, a start tag) that expat may gather before it tells us. */
#define QUIET_MAX	(2 * XML_TEXT_MAX)

struct xml {
	const struct xml_handler *handler;
	void	*arg;
	XML_Parser parser;
	struct buf text;
	int	 depth;
	int	 is_leaf;	/* no child ended in the open element so far */
	size_t	 quiet;		/* bytes fed since expat last told us something */
	const char *refusal;	/* why the document was refused; NULL: it was not */
	int	 failed;
};

static void
refuse(struct xml *x, const char *why)
{
	if (x->refusal != NULL)
		return;
	x->refusal = why;
	XML_StopParser(x->parser, XML_FALSE);
}

/* In one pass: a listing of 100,000 names has millions of elements.  len: with the prefix. */
static const char *
without_prefix(const char *name, size_t *len)
{
	const char *p, *local = name;

	for (p = name; *p != '\0'; p++)
		if (*p == ':')
			local = p + 1;
	*len = (size_t)(p - name);
	return (local);
}

static int
is_namespace(const char *attribute)
{
	return (strcmp(attribute, "xmlns") == 0 || str_starts(attribute, "xmlns:"));
}

static void
on_begin(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	const char *kept[2 * ATTRIBUTES_MAX + 1];
	const char *local;
	struct xml *x = arg;
	size_t n = 0, len;

	x->quiet = 0;
	if (x->refusal != NULL)
		return;
	if (++x->depth > XML_DEPTH_MAX) {
		refuse(x, "it is nested too deeply");
		return;
	}
	local = without_prefix(name, &len);
	if (len > NAME_BYTES_MAX) {
		refuse(x, "a name is too long");
		return;
	}
	for (; *attributes != NULL; attributes += 2) {
		if (is_namespace(attributes[0]))
			continue;
		kept[n] = without_prefix(attributes[0], &len);
		if (n == 2 * ATTRIBUTES_MAX || len > NAME_BYTES_MAX ||
		    strlen(attributes[1]) > XML_TEXT_MAX) {
			refuse(x, "the attributes of an element are too many or too long");
			return;
		}
		kept[n + 1] = attributes[1];
		n += 2;
	}
	kept[n] = NULL;
	x->is_leaf = 1;
	buf_reset(&x->text);
	x->handler->begin(x->arg, local, kept);
}

static void
on_end(void *arg, const XML_Char *name)
{
	struct xml *x = arg;
	size_t len;

	x->quiet = 0;
	if (x->refusal != NULL)
		return;
	if (!x->is_leaf)
		buf_reset(&x->text);
	x->handler->end(x->arg, without_prefix(name, &len), buf_str(&x->text), x->text.len);
	x->is_leaf = 0;
	x->depth--;
}

static void
on_text(void *arg, const XML_Char *text, int len)
{
	struct xml *x = arg;

	x->quiet = 0;
	if (x->refusal == NULL && x->is_leaf && buf_add(&x->text, text, (size_t)len) != 0)
		refuse(x, "the text of an element is too long");
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid,
    int has_internal_subset)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)has_internal_subset;
	refuse(arg, "it has a document type");
}

struct xml *
xml_new(const struct xml_handler *handler, void *arg)
{
	static const XML_Memory_Handling_Suite memory = { mem_alloc, mem_grow, free };
	struct xml *x = mem_zalloc(sizeof(*x));

	x->handler = handler;
	x->arg = arg;
	x->text.max = XML_TEXT_MAX;
	x->parser = XML_ParserCreate_MM(NULL, &memory, NULL);
	if (x->parser == NULL)
		abort();	/* only for want of memory, and mem_alloc never returns NULL */
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_begin, on_end);
	XML_SetCharacterDataHandler(x->parser, on_text);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	return (x);
}

static int
fail(struct xml *x, struct err *err)
{
	const char *why = x->refusal;

	x->failed = 1;
	if (why == NULL)
		why = XML_ErrorString(XML_GetErrorCode(x->parser));
	return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "read the XML answer", "line %lu: %s",
	    (unsigned long)XML_GetCurrentLineNumber(x->parser),
	    why != NULL ? why : "not well-formed"));
}

int
xml_feed(struct xml *x, const char *bytes, size_t len, int final, struct err *err)
{
	size_t n;
	int last;

	if (x->failed)
		return (fail(x, err));
	do {
		n = len < SLICE ? len : SLICE;
		last = final && n == len;
		x->quiet += n;
		if (XML_Parse(x->parser, n > 0 ? bytes : "", (int)n, last) != XML_STATUS_OK)
			return (fail(x, err));
		if (x->quiet > QUIET_MAX) {
			refuse(x, "a part of it is too long");
			return (fail(x, err));
		}
		bytes = n > 0 ? bytes + n : bytes;
		len -= n;
	} while (len > 0);
	return (0);
}

void
xml_free(struct xml *x)
{
	if (x == NULL)
		return;
	XML_ParserFree(x->parser);
	buf_done(&x->text);
	free(x);
}
