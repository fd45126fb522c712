/* The date parsers; what they accept, formatted, is accepted and the same time. */

#include "base/clock.h"
#include "base/mem.h"
#include "fuzz.h"

static void
round_trip(int64_t s)
{
	char rfc[CLOCK_RFC1123_SIZE], iso[CLOCK_ISO8601_SIZE];
	int64_t a = 0, b = 0;

	clock_format_rfc1123(s, rfc);
	clock_format_iso8601(s, iso);
	if (clock_parse_rfc1123(rfc, &a) != 0 || clock_parse_date(iso, &b) != 0 || a != b ||
	    (s >= 0 && s <= INT64_C(253402300799) && a != s))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena mem = ARENA_EMPTY;
	char *text = arena_strndup(&mem, (const char *)data, size);
	int64_t s = 0;

	if (clock_parse_date(text, &s) == 0)
		round_trip(s);
	if (clock_parse_rfc1123(text, &s) == 0)
		round_trip(s);
	arena_done(&mem);
	return (0);
}
