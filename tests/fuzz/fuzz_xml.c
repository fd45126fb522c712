/* xml_feed, whole and in two chunks: the events are the same, and within bounds. */

#include "base/mem.h"
#include "base/xml.h"
#include "fuzz.h"

struct seen {
	uint64_t hash;
	int	 depth;
};

static void
mix(struct seen *s, const char *text)
{
	for (; *text != '\0'; text++)
		s->hash = (s->hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	s->hash = (s->hash ^ 0x1ff) * UINT64_C(0x100000001b3);
}

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	struct seen *s = arg;

	if (++s->depth > XML_DEPTH_MAX || strchr(name, ':') != NULL)
		abort();
	mix(s, name);
	for (; *attributes != NULL; attributes++)
		mix(s, *attributes);
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct seen *s = arg;

	if (--s->depth < 0 || strlen(text) != len || len > XML_TEXT_MAX)
		abort();
	mix(s, name);
	mix(s, text);
}

static int
run(const char *text, size_t size, size_t first, struct seen *s)
{
	static const struct xml_handler handler = { on_begin, on_end };
	struct err e = ERR_EMPTY;
	struct xml *x = xml_new(&handler, s);
	int r = xml_feed(x, text, first, 0, &e);

	if (r == 0)
		r = xml_feed(x, text + first, size - first, 1, &e);
	if ((r == 0) != (e.kind == ERR_NONE) || (r == 0 && s->depth != 0))
		abort();
	xml_free(x);
	return (r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct seen whole = { 0 }, halves = { 0 };
	int r;

	if (size > 65536)	/* where a long silence is noticed depends on the cuts */
		return (0);
	r = run(text, size, 0, &whole);
	if (run(text, size, size / 2, &halves) != r || (r == 0 && whole.hash != halves.hash))
		abort();
	return (0);
}
