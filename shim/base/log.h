#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * log -- one event, one line, one write(2) to stderr.
 *
 * A line is "amlshim[PROCESS] LEVEL words key=value\n", or one JSON object
 * with --log-format json; it is cut below PIPE_BUF so that processes do not
 * interleave.  errno is kept.  A line that stderr does not take within 200 ms (a
 * full pipe, a stopped terminal) is dropped: logging holds nobody up.
 * Library code does not log, except debug lines.
 * Never pass a secret: there is no format for struct secret.
 */

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

#include "base/err.h"

/*
 * verbosity 0: errors, warnings and notices; 1 (-v): info (progress of long copies,
 * too); 2 (-vv): debug.
 * Call once before the first line; safe to call again after fork.
 */
void	log_setup(int verbosity, enum log_format);
/* The name in brackets, at most 63 bytes are kept: "init", "agent", "mount data". */
void	log_set_process(const char *name);
int	log_wants(enum log_level);
int	log_is_text(void);		/* 0: JSON */

void	log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A line whose JSON form has "event" and these numbers besides the message. */
struct log_number {
	const char	*key;
	long long	 value;
};
void	log_numbers(enum log_level, const char *event, const struct log_number *, size_t n,
	    const char *message);

/*
 * A failure: at verbosity 0 one line (err_line); with -v the fields follow,
 * one indented line each (resource, identity, cause, remedy).
 */
void	log_err(const struct err *);
/* Text as it is, for what is no log line: progress on a terminal. */
void	log_raw(const char *text, size_t len);

#endif
