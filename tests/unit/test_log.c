/* log: one line, one write; text and JSON; nothing from elsewhere breaks it. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "check.h"

static char got[2 * PIPE_BUF];

/* stderr is a pipe between these two; got is what was written. */
static int ends[2], real_stderr;

static void
capture(void)
{
	check_int(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
}

static const char *
captured(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(ends[0]);
	close(ends[1]);
	got[n > 0 ? n : 0] = '\0';
	return (got);
}

static void
lines_of_text(void)
{
	log_setup(0, LOG_TEXT);
	capture();
	log_error("plain");
	check_str(captured(), "amlshim error plain\n");
	log_set_process("mount data");
	capture();
	errno = 77;
	log_warning("cache is small mib=%d", 3);
	check_int(errno, 77);
	check_str(captured(), "amlshim[mount data] warning cache is small mib=3\n");
	capture();
	log_error("a\nb\x1b[1m%s", "\xff");
	check_str(captured(), "amlshim[mount data] error a b [1m?\n");
	log_set_process("a name of more than sixty-three bytes is cut where it ends, not later");
	capture();
	log_error("x");
	check_str(captured(), "amlshim[a name of more than sixty-three bytes is cut where it ends, "
	    "not] error x\n");
	log_set_process("agent");
}

static void
verbosity_chooses(void)
{
	static const char *const want[3] = {
		"amlshim[p] error e\namlshim[p] warning w\namlshim[p] notice n\n",
		"amlshim[p] error e\namlshim[p] warning w\namlshim[p] notice n\n"
		    "amlshim[p] info i\n",
		"amlshim[p] error e\namlshim[p] warning w\namlshim[p] notice n\namlshim[p] info i\n"
		    "amlshim[p] debug d\n"
	};
	int v;

	log_set_process("p");
	for (v = 0; v < 3; v++) {
		log_setup(v, LOG_TEXT);
		capture();
		log_error("e");
		log_warning("w");
		log_notice("n");
		log_info("i");
		log_debug("d");
		check_str(captured(), want[v]);
	}
	check(log_wants(LOG_DEBUG));
	log_setup(-1, LOG_TEXT);
	check(log_wants(LOG_NOTICE) && !log_wants(LOG_INFO));
	log_set_process("agent");
}

static struct err
example(void)
{
	struct err e = ERR_EMPTY;

	err_set(&e, ERR_DENIED, REMEDY_REHYDRATE, "read", "%s", "Blob\"Archived\n");
	err_on(&e, "https://h/c/b");
	err_as(&e, "account key");
	e.http_status = 409;
	return (e);
}

static void
failures_in_text(void)
{
	struct err e = example();

	log_setup(0, LOG_TEXT);
	capture();
	errno = 5;
	log_err(&e);
	check_int(errno, 5);
	check_str(captured(), "amlshim[agent] error cannot read https://h/c/b as account key: 409 "
	    "Blob\"Archived ; rehydrate https://h/c/b: move it out of the archive tier (az storage "
	    "blob set-tier --tier Hot) and wait until that is done\n");
	log_setup(1, LOG_TEXT);
	capture();
	log_err(&e);
	check_str(captured(), "amlshim[agent] error cannot read: 409 Blob\"Archived \n"
	    "    resource  https://h/c/b\n"
	    "    identity  account key\n"
	    "    cause     Blob\"Archived \n"
	    "    remedy    rehydrate https://h/c/b: move it out of the archive tier (az storage "
	    "blob set-tier --tier Hot) and wait until that is done\n");
}

static const char *
field(const struct json *line, const char *key)
{
	return (json_string(json_get(line, key)));
}

static void
lines_of_json(void)
{
	struct err e = example();
	struct json *line;
	int64_t status = 0;

	log_setup(0, LOG_JSON);
	capture();
	log_warning("say \"%s\"\n", "\xc3\xa9\xff");
	captured();
	check(strchr(got, '\n') == got + strlen(got) - 1);
	line = json_parse(got, strlen(got));
	check_str(field(line, "level"), "warning");
	check_str(field(line, "process"), "agent");
	check_str(field(line, "message"), "say \"\xc3\xa9\xef\xbf\xbd\"\n");
	check(field(line, "time") != NULL && strlen(field(line, "time")) == 24);
	json_free(line);

	capture();
	log_err(&e);
	captured();
	check(strchr(got, '\n') == got + strlen(got) - 1);
	line = json_parse(got, strlen(got));
	check_str(field(line, "level"), "error");
	check_str(field(line, "kind"), "denied");
	check_str(field(line, "op"), "read");
	check_str(field(line, "resource"), "https://h/c/b");
	check_str(field(line, "identity"), "account key");
	check_str(field(line, "cause"), "Blob\"Archived\n");
	check(field(line, "remedy") != NULL);
	check(str_starts(field(line, "remedy"), "rehydrate https"));
	check(json_int(json_get(line, "status"), &status) == 0 && status == 409);
	json_free(line);
}

static void
long_lines_are_cut(void)
{
	struct err e = ERR_EMPTY;
	struct json *line;
	char text[3 * PIPE_BUF];

	memset(text, 1, sizeof(text));	/* \u0001: the longest there is */
	text[sizeof(text) - 1] = '\0';
	log_setup(0, LOG_JSON);
	capture();
	log_error("%s", text);
	captured();
	check(strlen(got) <= PIPE_BUF && strlen(got) > PIPE_BUF - 64);
	line = json_parse(got, strlen(got));
	check(field(line, "message") != NULL);
	json_free(line);

	err_set(&e, ERR_BUG, REMEDY_SAME_TENANT, text, "%s", text);
	err_on(&e, "%s", text);
	err_as(&e, text);
	e.http_status = 500;
	capture();
	log_err(&e);
	captured();
	check(strlen(got) <= PIPE_BUF);
	line = json_parse(got, strlen(got));
	check(field(line, "message") != NULL && field(line, "op") != NULL);
	json_free(line);

	memset(text, 'x', sizeof(text) - 1);
	log_setup(1, LOG_TEXT);
	capture();
	log_error("%s", text);
	captured();
	check(strlen(got) <= PIPE_BUF && strlen(got) > PIPE_BUF - 64 && str_ends(got, "x\n"));
	capture();
	log_err(&e);
	captured();
	check(strlen(got) <= PIPE_BUF && str_ends(got, "\n"));
}

int
main(void)
{
	lines_of_text();
	verbosity_chooses();
	failures_in_text();
	lines_of_json();
	long_lines_are_cut();
	return (check_done());
}
