#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * clock -- time, in milliseconds, and dates on the wire.
 *
 * clock_ms() counts from boot and never steps; deadlines use it.  Wall time
 * appears only where a protocol has it.
 */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

int64_t	clock_ms(void);			/* CLOCK_BOOTTIME */
int64_t	clock_us(void);
int64_t	clock_wall_s(void);		/* Unix seconds */
void	clock_sleep_ms(int64_t);
/* A whole number in [low, high], uniformly (not for secrets). */
int64_t	clock_jitter(int64_t low, int64_t high);

#define CLOCK_RFC1123_SIZE	30	/* "Mon, 23 Nov 2026 22:12:00 GMT" + NUL */
void	clock_format_rfc1123(int64_t unix_s, char out[CLOCK_RFC1123_SIZE]);
#define CLOCK_ISO8601_SIZE	21	/* "2026-11-23T22:12:00Z" + NUL */
void	clock_format_iso8601(int64_t unix_s, char out[CLOCK_ISO8601_SIZE]);
/* 0, or -1 if the text is not such a date (UTC only). */
int	clock_parse_rfc1123(const char *, int64_t *ret_unix_s);
/*
 * The date texts that token endpoints send: RFC 3339 (Z or an offset, fractions
 * dropped, seconds optional as in a SAS), date only,
 * "MM/DD/YYYY HH:MM:SS[ AM|PM][ +00:00]", "YYYY-MM-DD HH:MM:SS[ +00:00]".
 * Without a zone it is UTC.
 */
int	clock_parse_date(const char *, int64_t *ret_unix_s);

#endif
