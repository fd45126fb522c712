/* A trace: whole events, one write each, and no more of them than are allowed for. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/trace.h"
#include "check.h"

static off_t
size_of(int fd)
{
	struct stat st;

	return (fstat(fd, &st) == 0 ? st.st_size : -1);
}

static void
test_events(const char *path)
{
	char text[4096];
	struct json *json;
	const struct json *e;
	size_t n;
	int events = 0;
	FILE *f;

	trace_span("phase", "a \"name\"", trace_begin(), "what", "number", -3);
	trace_request("http", "read", trace_begin(), NULL, NULL, 0);
	trace_close();
	check_int(trace_on(), 0);
	trace_span("phase", "too late", 0, NULL, NULL, 0);
	f = fopen(path, "re");
	check(f != NULL);
	if (f == NULL)
		return;
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	json = json_parse(text, n);
	check(json != NULL);
	for (e = json_first(json); e != NULL; e = json_next(e))
		events++;
	check_int(events, 5);		/* two names of init, a span, a pair */
	json_free(json);
}

static void
test_bound(const char *path)
{
	struct err err = ERR_EMPTY;
	off_t before;

	check_int(trace_open(path, &err), 0);
	before = size_of(trace_fd());
	trace_span("phase", "fits", trace_begin(), NULL, NULL, 0);
	check(size_of(trace_fd()) > before);
	/* As if others had written so much: nobody has but a moment, and no disk is filled. */
	check_int(ftruncate(trace_fd(), TRACE_BYTES_MAX), 0);
	trace_span("phase", "the last one", trace_begin(), NULL, NULL, 0);
	before = size_of(trace_fd());
	check(before > TRACE_BYTES_MAX);
	trace_span("phase", "one too many", trace_begin(), NULL, NULL, 0);
	trace_request("http", "one too many", trace_begin(), NULL, NULL, 0);
	check_int(size_of(trace_fd()), before);
	trace_close();			/* it ends all the same */
}

int
main(void)
{
	char path[] = "/tmp/test_trace.XXXXXX";
	struct err err = ERR_EMPTY;
	int fd = mkstemp(path);

	check(fd >= 0);
	close(fd);
	check_int(trace_open(path, &err), 0);
	test_events(path);
	test_bound(path);
	unlink(path);
	return (check_done());
}
