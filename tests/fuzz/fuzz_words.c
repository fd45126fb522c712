/*
 * Small words: of --limit, --drop-cap, --rewrite, --signal, --probe, cat --range, a pid, a
 * compute in short, a workspace, a time in ISO 8601, a certificate's thumbprint.  What is taken is
 * within its bounds.
 */

#include "cli/data.c"
#include "cli/inquiry.h"
#include "fuzz.h"
#include "init/launch.h"
#include "spec/parts.h"

static void
launch_words(const char *text)
{
	struct launch l = { .limited = 0 };
	uint64_t caps = 0, again = 0;
	int sig = launch_parse_signal(text), i;

	must(sig == -1 || (sig >= 1 && sig <= 64));
	if (launch_parse_limits(&l, text) == 0)
		must(l.limited != 0 && l.limited < 1u << LAUNCH_LIMITS);
	if (launch_parse_caps(&caps, text) == 0) {
		must(caps != 0);
		must(launch_parse_caps(&again, text) == 0 && again == caps);
	}
	if (launch_parse_rewrites(l.rewrite, text) == 0)
		for (i = 0; i < 65; i++)
			must(l.rewrite[i] <= 64 || l.rewrite[i] == LAUNCH_SWALLOW);
}

static void
probe_and_pid(char *text)
{
	char *const words[] = { text, NULL };
	const char *path = NULL;
	struct err err = ERR_EMPTY;
	int port = 0;
	pid_t pid = -1;

	if (options_read_probe(text, &port, &path) == 0) {
		must(port > 0 && port <= 65535 && path[0] == '/');
		must(strpbrk(path, " \r\n") == NULL);
	}
	if (inquiry_read_pid(words, &pid, &err) == 0)
		must(pid > 0);
	else
		must(err.kind == ERR_USAGE);
}

static void
spec_words(const char *text, struct arena *mem)
{
	struct spec_compute compute = { .given = 0 };
	struct facts facts = { .uid = 0 };
	long long seconds = -1;
	size_t i;

	if (job_parse_duration(text, &seconds) == 0)
		must(seconds >= 0);
	if (compute_read_short(&compute, text, mem) == 0)
		for (i = 0; i < compute.nuais; i++)
			must(str_is_guid(compute.uais[i].client_id));
	if (facts_set_workspace(&facts, text, mem, NULL) == 0)
		must(strcmp(arena_printf(mem, "%s/%s/%s", facts.subscription,
		    facts.resource_group, facts.workspace), text) == 0);
}

static void
range(const char *text, int64_t size)
{
	int64_t first = -1, end = -1;
	struct err err = ERR_EMPTY;

	if (parse_range(text, size, &first, &end, &err) == 0)
		must(first >= 0 && first <= end && end <= size);
	else
		must(err.kind == ERR_USAGE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	char *text;

	while (in.left > 0) {
		text = input_line(&in, &mem);
		launch_words(text);
		probe_and_pid(text);
		spec_words(text, &mem);
		range(text, 0);
		range(text, 4096);
		range(text, INT64_MAX);
	}
	arena_done(&mem);
	return (0);
}
