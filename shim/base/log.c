#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* Set before the first thread; only read afterwards. */
static struct {
	enum log_level	threshold;
	enum log_format	format;
	char		process[64];
} setup = { .threshold = LOG_NOTICE };

/* One line in the making; text beyond its end is dropped. */
struct line {
	size_t	len, limit;
	char	text[PIPE_BUF];
};

#define LINE_EMPTY	{ .limit = PIPE_BUF - 8 }	/* the rest: quotes, braces, newline */
#define PATIENCE_MS	200	/* for a reader of stderr */
#define CAUSE_ROOM	512	/* kept free for what follows the message of a failure */

void
log_setup(int verbosity, enum log_format format)
{
	setup.threshold = verbosity <= 0 ? LOG_NOTICE : verbosity == 1 ? LOG_INFO : LOG_DEBUG;
	setup.format = format;
}

void
log_set_process(const char *name)
{
	snprintf(setup.process, sizeof(setup.process), "%s", name);
}

int
log_wants(enum log_level level)
{
	return (level <= setup.threshold);
}

/* Ends that must not be lost (quotes, braces) go beyond the limit. */
static void
put_raw(struct line *l, const char *s)
{
	size_t n = strlen(s);

	if (n > sizeof(l->text) - l->len)
		n = sizeof(l->text) - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void
put(struct line *l, const char *s)
{
	if (l->len + strlen(s) <= l->limit)
		put_raw(l, s);
}

int
log_is_text(void)
{
	return (setup.format == LOG_TEXT);
}

/* A newline or escape sequence from elsewhere may not start a line of its own. */
static void
put_text(struct line *l, const char *s)
{
	size_t n, left = strlen(s);

	for (; left > 0 && l->len + 4 <= l->limit; s += n, left -= n) {
		n = str_utf8_printable(s, left);
		if (n == 0) {
			l->text[l->len++] = (unsigned char)*s < 0x80 ? ' ' : '?';
			n = 1;
			continue;
		}
		memcpy(l->text + l->len, s, n);
		l->len += n;
	}
}

static void
put_json_string(struct line *l, const char *s)
{
	char out[JSON_ESCAPE_SIZE];
	size_t n;

	put_raw(l, "\"");
	while (*s != '\0') {
		n = json_escape_char(&s, out);
		if (l->len + n > l->limit)
			break;
		memcpy(l->text + l->len, out, n);
		l->len += n;
	}
	put_raw(l, "\"");
}

/* ,"key":"value" unless there is no value or not enough room for some of it. */
static void
put_json_field(struct line *l, const char *key, const char *value)
{
	if (value[0] == '\0' || l->len + strlen(key) + 16 > l->limit)
		return;
	put_raw(l, ",\"");
	put_raw(l, key);
	put_raw(l, "\":");
	put_json_string(l, value);
}

static void
put_json_start(struct line *l, enum log_level level, const char *message)
{
	char second[CLOCK_ISO8601_SIZE], when[CLOCK_ISO8601_SIZE + 8];
	struct timespec now = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	clock_format_iso8601(now.tv_sec, second);
	second[sizeof(second) - 2] = '\0';	/* without Z */
	snprintf(when, sizeof(when), "%s.%03dZ", second, (int)(now.tv_nsec / 1000000) % 1000);
	put_raw(l, "{\"time\":");
	put_json_string(l, when);
	put_json_field(l, "level", level_names[level]);
	put_json_field(l, "process", setup.process);
	put_json_field(l, "message", message);
}

static void
put_text_start(struct line *l, enum log_level level, const char *message)
{
	put(l, "amlshim");
	if (setup.process[0] != '\0') {
		put(l, "[");
		put_text(l, setup.process);
		put(l, "]");
	}
	put(l, " ");
	put(l, level_names[level]);
	put(l, " ");
	put_text(l, message);
}

/*
 * Whoever does not read stderr must not hold up the signals of the job: what
 * cannot be written soon is dropped, and while it stays so, at once.
 */
void
log_raw(const char *text, size_t len)
{
	static atomic_int stuck;
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	int saved = errno, ready;

	ready = poll(&p, 1, stuck ? 0 : PATIENCE_MS);
	if (ready == 0) {
		stuck = 1;
	} else {
		stuck = 0;
		while (write(STDERR_FILENO, text, len) < 0 && errno == EINTR)
			;
	}
	errno = saved;
}

static void
send_line(struct line *l)
{
	put_raw(l, "\n");
	log_raw(l->text, l->len);
}

/* Not inline: what nobody wants to read must not cost 8 KiB of stack. */
static void __attribute__((format(printf, 2, 0), noinline))
log_message(enum log_level level, const char *fmt, va_list ap)
{
	struct line line = LINE_EMPTY;
	char message[PIPE_BUF];
	int saved = errno;

	if (vsnprintf(message, sizeof(message), fmt, ap) < 0)
		message[0] = '\0';
	if (setup.format == LOG_JSON) {
		put_json_start(&line, level, message);
		put_raw(&line, "}");
	} else
		put_text_start(&line, level, message);
	send_line(&line);
	errno = saved;
}

#define LOG_FUNCTION(name, level)		\
void						\
name(const char *fmt, ...)			\
{						\
	va_list ap;				\
						\
	if (!log_wants(level))			\
		return;				\
	va_start(ap, fmt);			\
	log_message(level, fmt, ap);		\
	va_end(ap);				\
}

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_notice, LOG_NOTICE)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)

void
log_numbers(enum log_level level, const char *event, const struct log_number *numbers, size_t n,
    const char *message)
{
	struct line line = LINE_EMPTY;
	char text[64];
	int saved = errno;
	size_t i;

	if (!log_wants(level))
		return;
	if (log_is_text()) {
		put_text_start(&line, level, message);
	} else {
		put_json_start(&line, level, message);
		put_json_field(&line, "event", event);
		for (i = 0; i < n; i++) {
			snprintf(text, sizeof(text), ",\"%.32s\":%lld", numbers[i].key,
			    numbers[i].value);
			put(&line, text);
		}
		put_raw(&line, "}");
	}
	send_line(&line);
	errno = saved;
}

static void
put_err_json(struct line *l, const struct err *err)
{
	char text[1024], number[16];

	l->limit -= CAUSE_ROOM;
	put_json_start(l, LOG_ERROR, err_line(err, text, sizeof(text)));
	l->limit += CAUSE_ROOM;
	put_json_field(l, "kind", err_kind_name(err->kind));
	put_json_field(l, "op", err->op);
	if (err->http_status != 0) {
		snprintf(number, sizeof(number), "%d", err->http_status);
		put(l, ",\"status\":");
		put(l, number);
	}
	put_json_field(l, "resource", err->resource);
	put_json_field(l, "identity", err->identity);
	put_json_field(l, "cause", err->cause);
	put_json_field(l, "remedy", err_remedy_text(err, text, sizeof(text)));
	put_raw(l, "}");
}

static void
put_err_field(struct line *l, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	put(l, "\n    ");
	put(l, name);
	put_text(l, value);
}

/* The fields have lines of their own, so the first line is without them. */
static void
put_err_fields(struct line *l, const struct err *err)
{
	struct err head = *err;
	char text[1024];

	head.resource[0] = head.identity[0] = '\0';
	head.remedy = REMEDY_NONE;
	put_text_start(l, LOG_ERROR, err_line(&head, text, sizeof(text)));
	put_err_field(l, "resource  ", err->resource);
	put_err_field(l, "identity  ", err->identity);
	put_err_field(l, "cause     ", err->cause);
	put_err_field(l, "remedy    ", err_remedy_text(err, text, sizeof(text)));
}

void
log_err(const struct err *err)
{
	struct line line = LINE_EMPTY;
	char text[PIPE_BUF / 2];
	int saved = errno;

	if (setup.format == LOG_JSON)
		put_err_json(&line, err);
	else if (log_wants(LOG_INFO))
		put_err_fields(&line, err);
	else
		put_text_start(&line, LOG_ERROR, err_line(err, text, sizeof(text)));
	send_line(&line);
	errno = saved;
}
