/*
 * The head of an answer, line by line: names in any case are the same, numbers are not negative,
 * texts end, and a status line forgets what came before.
 */

#include <ctype.h>
#include <strings.h>

#include "azure/http_answer.h"
#include "base/clock.h"
#include "fuzz.h"

static void
feed(struct http_response *r, const char *text, size_t size, int shout)
{
	char *line;
	const char *nl, *colon;
	size_t at, len, i;

	for (at = 0; at < size; at += len) {
		nl = memchr(text + at, '\n', size - at);
		len = nl != NULL ? (size_t)(nl - text) - at + 1 : size - at;
		line = input_exact((const uint8_t *)text + at, len);
		colon = memchr(line, ':', len);
		if (len >= 5 && strncasecmp(line, "http/", 5) == 0)
			colon = NULL;		/* a status line, or it would become one */
		for (i = 0; shout && colon != NULL && line + i < colon; i++)
			line[i] = (char)toupper((unsigned char)line[i]);
		http_answer_line(r, line, len);
		free(line);
	}
}

static void
must_hold(const struct http_response *r)
{
	must(r->content_length >= -1 && r->range_total >= -1 && r->range_first >= -1);
	must(r->retry_after_ms >= -1 && r->status >= 0 && r->status <= 999);
	must(memchr(r->etag, '\0', sizeof(r->etag)) != NULL);
	must(memchr(r->error_code, '\0', sizeof(r->error_code)) != NULL);
	must(memchr(r->www_authenticate, '\0', sizeof(r->www_authenticate)) != NULL);
	must(memchr(r->location, '\0', sizeof(r->location)) != NULL);
	must(memchr(r->permissions, '\0', sizeof(r->permissions)) != NULL);
	must(memchr(r->owner, '\0', sizeof(r->owner)) != NULL);
	must(strpbrk(r->location, "\r\n") == NULL && strpbrk(r->etag, "\r\n") == NULL);
}

/* All but the moving texts and what depends on the clock. */
static void
must_be_same(struct http_response *a, struct http_response *b)
{
	must(strcmp(buf_str(&a->continuation), buf_str(&b->continuation)) == 0);
	must(a->status == b->status && a->content_length == b->content_length);
	must(a->range_total == b->range_total && a->range_first == b->range_first);
	must(strcmp(a->etag, b->etag) == 0 && strcmp(a->location, b->location) == 0);
	must(strcmp(a->www_authenticate, b->www_authenticate) == 0);
	must(a->last_modified_unix_s == b->last_modified_unix_s);
	must(a->is_folder_meta == b->is_folder_meta);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_response a = { .status = 0 }, b = { .status = 0 };
	int64_t now_s = clock_wall_s();

	http_answer_reset(&a);
	http_answer_reset(&b);
	feed(&a, (const char *)data, size, 0);
	feed(&b, (const char *)data, size, 1);
	must_hold(&a);
	must_be_same(&a, &b);
	must(clock_wall_s() != now_s || abs(a.retry_after_ms - b.retry_after_ms) <= 1000);
	must(http_answer_delay_ms(&a, 2) >= 0);
	http_answer_line(&a, "HTTP/1.1 204 No Content\r\n", 25);
	must(a.status == 204 && a.etag[0] == '\0' && a.content_length == -1);
	buf_done(&a.continuation);
	buf_done(&b.continuation);
	return (0);
}
