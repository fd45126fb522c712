#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

#define DAY_S		86400
#define LAST_S		INT64_C(253402300799)	/* 9999-12-31T23:59:59Z */

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

struct date {
	int	year, month, day;	/* 1-based */
	int	hour, minute, second;
	int	offset_s;		/* east of UTC */
};

static int64_t
read_us(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return ((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

int64_t
clock_us(void)
{
	return (read_us(CLOCK_BOOTTIME));
}

int64_t
clock_ms(void)
{
	return (clock_us() / 1000);
}

int64_t
clock_wall_s(void)
{
	return (read_us(CLOCK_REALTIME) / 1000000);
}

void
clock_sleep_ms(int64_t ms)
{
	struct timespec t;

	if (ms <= 0)
		return;
	t.tv_sec = (time_t)(ms / 1000);
	t.tv_nsec = (long)(ms % 1000) * 1000000;
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static uint64_t
random_u64(void)
{
	uint64_t x;

	if (getrandom(&x, sizeof(x), GRND_NONBLOCK) == (ssize_t)sizeof(x))
		return (x);
	/* Early at boot: the finaliser of splitmix64 over the time will do. */
	x = (uint64_t)clock_us() * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31));
}

int64_t
clock_jitter(int64_t low, int64_t high)
{
	uint64_t span, x, tail;

	if (low >= high)
		return (low);
	span = (uint64_t)high - (uint64_t)low + 1;
	if (span == 0)
		return ((int64_t)random_u64());
	tail = UINT64_MAX - UINT64_MAX % span;	/* from here on the last part is short */
	do
		x = random_u64();
	while (x >= tail);
	return ((int64_t)((uint64_t)low + x % span));
}

/*
 * Days since 1970-01-01 in the proleptic Gregorian calendar, with years that
 * start in March so that the leap day is the last one.
 */
static int64_t
days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468);
}

static int
days_in(int year, int month)
{
	static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return (29);
	return (lengths[month - 1]);
}

/* From a time between 1970 and 9999; others are moved to the nearer end. */
static struct date
split(int64_t unix_s)
{
	struct date d = { 0 };
	int64_t day, rest;

	if (unix_s < 0)
		unix_s = 0;
	if (unix_s > LAST_S)
		unix_s = LAST_S;
	day = unix_s / DAY_S;
	rest = unix_s % DAY_S;
	d.year = (int)(1970 + day / 366);	/* at most 5 years too early */
	while (days_of(d.year + 1, 1, 1) <= day)
		d.year++;
	d.month = 12;
	while (days_of(d.year, d.month, 1) > day)
		d.month--;
	d.day = (int)(day - days_of(d.year, d.month, 1)) + 1;
	d.hour = (int)(rest / 3600);
	d.minute = (int)(rest / 60 % 60);
	d.second = (int)(rest % 60);
	return (d);
}

void
clock_format_rfc1123(int64_t unix_s, char out[CLOCK_RFC1123_SIZE])
{
	struct date d = split(unix_s);
	int weekday = (int)((days_of(d.year, d.month, d.day) + 4) % 7);	/* 1970: a Thursday */
	char text[96];

	snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[weekday], d.day,
	    months[d.month - 1], d.year, d.hour, d.minute, d.second);
	memcpy(out, text, CLOCK_RFC1123_SIZE);
}

void
clock_format_iso8601(int64_t unix_s, char out[CLOCK_ISO8601_SIZE])
{
	struct date d = split(unix_s);
	char text[96];

	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", d.year, d.month, d.day,
	    d.hour, d.minute, d.second);
	memcpy(out, text, CLOCK_ISO8601_SIZE);
}

/* The take_... functions move *p behind what they read; 0, or -1 and *p anywhere. */
static int
take_number(const char **p, int min_digits, int max_digits, int *ret)
{
	int n, value = 0;

	for (n = 0; n < max_digits && **p >= '0' && **p <= '9'; n++)
		value = value * 10 + *(*p)++ - '0';
	if (n < min_digits)
		return (-1);
	*ret = value;
	return (0);
}

static int
take_char(const char **p, char c)
{
	if (**p != c)
		return (-1);
	(*p)++;
	return (0);
}

static int
take_word(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n) != 0)
		return (-1);
	*p += n;
	return (0);
}

static int
take_name(const char **p, const char (*names)[4], int count, int *ret_index)
{
	int i;

	for (i = 0; i < count; i++) {
		if (take_word(p, names[i]) == 0) {
			*ret_index = i;
			return (0);
		}
	}
	return (-1);
}

static int
to_unix(const struct date *d, int64_t *ret_unix_s)
{
	if (d->year < 1601 || d->month < 1 || d->month > 12 || d->day < 1 ||
	    d->day > days_in(d->year, d->month) || d->hour > 23 || d->minute > 59 ||
	    d->second > 60)
		return (-1);
	*ret_unix_s = days_of(d->year, d->month, d->day) * DAY_S + d->hour * 3600 +
	    d->minute * 60 + d->second - d->offset_s;
	return (0);
}

int
clock_parse_rfc1123(const char *s, int64_t *ret_unix_s)
{
	struct date d = { 0 };
	int weekday;

	if (take_name(&s, days, 7, &weekday) != 0 || take_word(&s, ", ") != 0 ||
	    take_number(&s, 2, 2, &d.day) != 0 || take_char(&s, ' ') != 0 ||
	    take_name(&s, months, 12, &d.month) != 0 || take_char(&s, ' ') != 0 ||
	    take_number(&s, 4, 4, &d.year) != 0 || take_char(&s, ' ') != 0 ||
	    take_number(&s, 2, 2, &d.hour) != 0 || take_char(&s, ':') != 0 ||
	    take_number(&s, 2, 2, &d.minute) != 0 || take_char(&s, ':') != 0 ||
	    take_number(&s, 2, 2, &d.second) != 0 || take_word(&s, " GMT") != 0 || *s != '\0')
		return (-1);
	d.month++;
	return (to_unix(&d, ret_unix_s));
}

/* HH:MM[:SS[.fraction]] */
static int
take_time(const char **p, struct date *d)
{
	int digit;

	if (take_number(p, 1, 2, &d->hour) != 0 || take_char(p, ':') != 0 ||
	    take_number(p, 2, 2, &d->minute) != 0)
		return (-1);
	if (take_char(p, ':') != 0)
		return (0);
	if (take_number(p, 2, 2, &d->second) != 0)
		return (-1);
	if (take_char(p, '.') != 0)
		return (0);
	if (take_number(p, 1, 1, &digit) != 0)
		return (-1);
	while (take_number(p, 1, 1, &digit) == 0)
		;
	return (0);
}

/* Z, or an offset of hours and minutes */
static int
take_zone(const char **p, struct date *d)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	if (take_char(p, 'Z') == 0)
		return (0);
	if (take_char(p, sign < 0 ? '-' : '+') != 0 || take_number(p, 2, 2, &hours) != 0 ||
	    take_char(p, ':') != 0 || take_number(p, 2, 2, &minutes) != 0 || hours > 23 ||
	    minutes > 59)
		return (-1);
	d->offset_s = sign * (hours * 3600 + minutes * 60);
	return (0);
}

static int
take_half_of_day(const char **p, struct date *d)
{
	int pm = take_word(p, " PM") == 0;

	if (!pm && take_word(p, " AM") != 0)
		return (0);
	if (d->hour < 1 || d->hour > 12)
		return (-1);
	d->hour = d->hour % 12 + (pm ? 12 : 0);
	return (0);
}

/* MM/DD/YYYY HH:MM:SS[ AM|PM][ +00:00] */
static int
parse_slashes(const char *s, struct date *d)
{
	if (take_number(&s, 1, 2, &d->month) != 0 || take_char(&s, '/') != 0 ||
	    take_number(&s, 1, 2, &d->day) != 0 || take_char(&s, '/') != 0 ||
	    take_number(&s, 4, 4, &d->year) != 0 || take_char(&s, ' ') != 0 ||
	    take_time(&s, d) != 0 || take_half_of_day(&s, d) != 0)
		return (-1);
	if (*s != '\0' && (take_char(&s, ' ') != 0 || take_zone(&s, d) != 0))
		return (-1);
	return (*s == '\0' ? 0 : -1);
}

/* YYYY-MM-DD, with T and a time and a zone, or with a space and a time[ and a zone] */
static int
parse_dashes(const char *s, struct date *d)
{
	if (take_number(&s, 4, 4, &d->year) != 0 || take_char(&s, '-') != 0 ||
	    take_number(&s, 2, 2, &d->month) != 0 || take_char(&s, '-') != 0 ||
	    take_number(&s, 2, 2, &d->day) != 0)
		return (-1);
	if (*s == '\0')
		return (0);
	if (take_char(&s, 'T') == 0) {
		if (take_time(&s, d) != 0 || take_zone(&s, d) != 0)
			return (-1);
	} else {
		if (take_char(&s, ' ') != 0 || take_time(&s, d) != 0)
			return (-1);
		if (*s != '\0' && (take_char(&s, ' ') != 0 || take_zone(&s, d) != 0))
			return (-1);
	}
	return (*s == '\0' ? 0 : -1);
}

int
clock_parse_date(const char *s, int64_t *ret_unix_s)
{
	struct date d = { 0 };

	if (strchr(s, '/') != NULL ? parse_slashes(s, &d) != 0 : parse_dashes(s, &d) != 0)
		return (-1);
	return (to_unix(&d, ret_unix_s));
}
