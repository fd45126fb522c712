#ifndef AZURE_HTTP_ANSWER_H
#define AZURE_HTTP_ANSWER_H

/*
 * http_answer -- what an answer's head says, without the library it came by.
 *
 * The part of http that can be fed with bytes: header lines into struct
 * http_response, statuses into verdicts, failures into struct err.
 */

#include <stddef.h>

#include "azure/http.h"
#include "base/err.h"

/* Forget the last try's answer; body_received and the memory of error_body stay. */
void	http_answer_reset(struct http_response *);
/* One line of the head, with or without its CRLF.  A status line resets what came before. */
void	http_answer_line(struct http_response *, const char *line, size_t len);
/* Kind, remedy, status and a first cause for an answer that is no success. */
void	http_answer_err(const struct http_response *, struct err *);
/* No answer for so long (0: in the time given): the stage says what was waited for. */
void	http_answer_silence(const struct http_response *, int64_t silent_ms, struct err *);
/* Did the service say that it is asked too much? */
int	http_answer_throttled(const struct http_response *);
/*
 * How long to wait before the next try: what the service asked for, else full
 * jitter below an exponential that starts at 100 ms and ends at 10 s.
 * failures counts the tries in a row that brought nothing.
 */
int	http_answer_delay_ms(const struct http_response *, int failures);

#endif
