/* clock: time and dates. */

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "check.h"

static void
time_goes_on(void)
{
	int64_t ms = clock_ms(), us = clock_us(), wall = clock_wall_s();

	clock_sleep_ms(20);
	check(clock_ms() - ms >= 20 && clock_ms() - ms < 5000);
	check(clock_us() - us >= 20000);
	check(wall > 1700000000 && clock_wall_s() - wall <= 5);
	clock_sleep_ms(0);
	clock_sleep_ms(-5);
}

static void
jitter_stays_in_its_range(void)
{
	int64_t low = 5, high = 0, x;
	int i, seen[4] = { 0 }, outside = 0;

	for (i = 0; i < 1000; i++) {
		x = clock_jitter(-1, 2);
		outside += x < -1 || x > 2;
		if (x >= -1 && x <= 2)
			seen[x + 1]++;
		x = clock_jitter(INT64_MIN, INT64_MAX);
		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	check_int(outside, 0);
	check(seen[0] > 150 && seen[1] > 150 && seen[2] > 150 && seen[3] > 150);
	check(low < INT64_MIN / 2 && high > INT64_MAX / 2);
	check_int(clock_jitter(7, 7), 7);
	check_int(clock_jitter(7, 3), 7);
}

static const struct {
	int64_t unix_s;
	const char *rfc1123, *iso8601;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z" },
	{ 951782399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59Z" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z" },
	{ 1078012800, "Sun, 29 Feb 2004 00:00:00 GMT", "2004-02-29T00:00:00Z" },
	{ 1795472496, "Mon, 23 Nov 2026 22:21:36 GMT", "2026-11-23T22:21:36Z" },
	{ 2147483648, "Tue, 19 Jan 2038 03:14:08 GMT", "2038-01-19T03:14:08Z" },
	{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z" },
};

static void
dates_go_both_ways(void)
{
	char rfc[CLOCK_RFC1123_SIZE], iso[CLOCK_ISO8601_SIZE];
	int64_t s, back, wrong = 0;
	size_t i;

	for (i = 0; i < LENGTH(dates); i++) {
		clock_format_rfc1123(dates[i].unix_s, rfc);
		check_str(rfc, dates[i].rfc1123);
		clock_format_iso8601(dates[i].unix_s, iso);
		check_str(iso, dates[i].iso8601);
		check_int(clock_parse_rfc1123(rfc, &s), 0);
		check_int(s, dates[i].unix_s);
		check_int(clock_parse_date(iso, &s), 0);
		check_int(s, dates[i].unix_s);
	}
	/* Each half of a day, against libc. */
	for (s = 1; s < INT64_C(13) * 1000 * 1000 * 1000; s += 43193) {
		time_t t = (time_t)s;
		struct tm tm;
		char want[CLOCK_RFC1123_SIZE];

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		clock_format_rfc1123(s, rfc);
		wrong += strcmp(rfc, want) != 0 || clock_parse_rfc1123(rfc, &back) != 0 ||
		    back != s;
	}
	check_int(wrong, 0);
	clock_format_iso8601(-5, iso);
	check_str(iso, "1970-01-01T00:00:00Z");
	clock_format_iso8601(INT64_MAX, iso);
	check_str(iso, "9999-12-31T23:59:59Z");
}

static void
what_token_endpoints_send(void)
{
	static const struct {
		const char *text;
		int64_t want;
	} good[] = {
		{ "2026-11-23T22:12:00Z", 1795471920 },
		{ "2026-11-23T22:12:00.1234567Z", 1795471920 },
		{ "2026-11-23T22:12:00+00:00", 1795471920 },
		{ "2026-11-23T23:42:00+01:30", 1795471920 },
		{ "2026-11-23T20:12:00.5-02:00", 1795471920 },
		{ "2026-11-23T22:12Z", 1795471920 },
		{ "2026-11-23", 1795392000 },
		{ "2026-11-23 22:12:00", 1795471920 },
		{ "2026-11-23 22:12:00 +00:00", 1795471920 },
		{ "11/23/2026 22:12:00", 1795471920 },
		{ "11/23/2026 22:12:00 +00:00", 1795471920 },
		{ "11/23/2026 10:12:00 PM +00:00", 1795471920 },
		{ "11/23/2026 10:12:00 PM", 1795471920 },
		{ "1/5/2026 3:18:31 AM +00:00", 1767583111 },
		{ "1/5/2026 12:00:00 AM", 1767571200 },
		{ "1/5/2026 12:00:00 PM", 1767614400 },
	};
	static const char *const bad[] = {
		"", "1795471920", "2026", "2026-11-23T22:12:00", "2026-11-23T",
		"2026-11-23T22:12:00ZZ",
		"2026-11-23T22:12:00.Z", "2026-11-23T22:12:00+0000", "2026-11-23T22:12:00+24:00",
		"2026-13-01", "2026-00-01", "2026-02-29", "2026-02-00", "2026-01-32",
		"2026-11-23T24:00:00Z", "2026-11-23T23:60:00Z", "2026-11-23T23:00:61Z",
		"11/23/2026", "13/23/2026 22:12:00", "11/23/2026 13:12:00 PM",
		"11/23/2026 0:12:00 AM",
		"11/23/2026 22:12:00 XM", "11/23/2026 22:12:00 +00:00x", "2026-11-23 22:12:00 ",
		"0000-01-01", " 2026-11-23", "2026-11-23 ", "-026-11-23"
	};
	int64_t s;
	size_t i;

	for (i = 0; i < LENGTH(good); i++) {
		s = -1;
		check_int(clock_parse_date(good[i].text, &s), 0);
		check_int(s, good[i].want);
	}
	s = 42;
	for (i = 0; i < LENGTH(bad); i++)
		check_int(clock_parse_date(bad[i], &s), -1);
	check_int(s, 42);
}

static void
bad_http_dates(void)
{
	static const char *const bad[] = {
		"", "Mon, 23 Nov 2026 22:12:00", "mon, 23 Nov 2026 22:12:00 GMT",
		"Mon, 23 Nov 2026 22:12:00 UTC", "Mon, 23 Nov 2026 22:12:00 GMT ",
		"Mon, 3 Nov 2026 22:12:00 GMT", "Mon, 31 Nov 2026 22:12:00 GMT",
		"Monday, 23-Nov-26 22:12:00 GMT", "Mon Nov 23 22:12:00 2026"
	};
	int64_t s = 42;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++)
		check_int(clock_parse_rfc1123(bad[i], &s), -1);
	check_int(s, 42);
}

int
main(void)
{
	time_goes_on();
	jitter_stays_in_its_range();
	dates_go_both_ways();
	what_token_endpoints_send();
	bad_http_dates();
	return (check_done());
}
