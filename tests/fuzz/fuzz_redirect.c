/*
 * Where a public server redirects to, and how it ends an answer: only http goes on from http, no
 * address with a user is followed, and what was fetched so far is forgotten.
 */

#include "azure/http_answer.h"
#include "fuzz.h"
#include "mount/download_url.c"

static void
redirect(const char *from, const char *location)
{
	struct fetch f = { .t.lock = PTHREAD_MUTEX_INITIALIZER, .url = mem_strdup(from),
	    .have = 7 };
	struct arena mem = ARENA_EMPTY;
	struct err err = ERR_EMPTY;
	struct uri u;

	if (follow(&f, location, &err) == 0) {
		must(uri_parse(&u, f.url, &mem) == 0 && u.user[0] == '\0' && f.have == 0);
		must(strcmp(u.scheme, "https") == 0 || (strcmp(u.scheme, "http") == 0 &&
		    str_starts(from, "http:")));
	} else {
		must_complain(&err, ERR_PROTOCOL);
		must(strcmp(f.url, from) == 0);
	}
	free(f.url);
	arena_done(&mem);
}

static void
version(const char *head, size_t len)
{
	struct fetch f = { .t.lock = PTHREAD_MUTEX_INITIALIZER, .have = 100, .base = 100,
	    .total = 100 };
	struct http_response r = { .status = 0 };
	struct err err = ERR_EMPTY;
	const char *end = head + len, *line, *next;

	http_answer_reset(&r);
	for (line = head; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next != NULL ? next + 1 : end;
		http_answer_line(&r, line, (size_t)(next - line));
	}
	if (look_at_end(&f, &r, &err) == ANSWER_AGAIN)
		must_complain(&err, ERR_PROTOCOL);
	take_version(&f, &r);
	must(f.version[0] == '\0' || f.version[0] == '"' || strlen(f.version) == 29);
	must(f.t.stats.bytes_total >= 0 && f.total >= -1);
	buf_done(&r.continuation);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *location = input_line(&in, &mem);

	redirect("https://example.org:8443/a?sig=1", location);
	redirect("http://example.org/a", location);
	version(in.at, in.left);
	arena_done(&mem);
	return (0);
}
