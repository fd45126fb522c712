#include "cli/status.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/inquiry.h"

/* The parts of the answer in the order they are asked for. */
struct status {
	struct control_head	 head;
	struct control_worker	*workers;
	struct control_access	*accesses;
};

#define PARTS_MAX	100000		/* more than any job has */

static int
ask_all(struct status *s, struct inquiry *r, struct arena *mem, struct err *err)
{
	static struct control_answer a;
	uint32_t i;

	if (inquiry_ask(r, CONTROL_HEAD, 0, &a, err) != 0)
		return (-1);
	s->head = a.head;
	if (s->head.nworkers > PARTS_MAX || s->head.naccesses > PARTS_MAX) {
		err_set(err, ERR_PROTOCOL, REMEDY_REPORT_BUG, "ask amlshim",
		    "an answer that makes no sense");
		return (-1);
	}
	s->workers = arena_alloc(mem, (s->head.nworkers + 1) * sizeof(*s->workers));
	s->accesses = arena_alloc(mem, (s->head.naccesses + 1) * sizeof(*s->accesses));
	for (i = 0; i < s->head.nworkers; i++) {
		if (inquiry_ask(r, CONTROL_WORKER, i, &a, err) != 0)
			return (-1);
		s->workers[i] = a.worker;
	}
	for (i = 0; i < s->head.naccesses; i++) {
		if (inquiry_ask(r, CONTROL_ACCESS, i, &a, err) != 0)
			return (-1);
		s->accesses[i] = a.access;
	}
	return (0);
}

/* ---- for people -------------------------------------------------------- */

static const char *
duration(int64_t s, char buf[32])
{
	if (s < 120)
		str_format(buf, 32, "%lld s", (long long)(s < 0 ? 0 : s));
	else if (s < 2 * 3600)
		str_format(buf, 32, "%lld min", (long long)(s / 60));
	else if (s < 2 * 86400)
		str_format(buf, 32, "%lld h %lld min", (long long)(s / 3600),
		    (long long)(s % 3600 / 60));
	else
		str_format(buf, 32, "%lld d", (long long)(s / 86400));
	return (buf);
}

static void
print_head(const struct control_head *h)
{
	char text[32];

	printf("amlshim %s, pid %d, %s, since %s\n", h->program, h->pid, h->phase,
	    duration(h->now_unix_s - h->started_unix_s, text));
	printf("  %s%s%s\n", h->is_ready ? "ready" : "not ready", h->is_ready ? "" : ": ",
	    h->ready_flaw);
	if (!h->is_live)
		printf("  not live: %s\n", h->live_flaw);
	if (h->job_pid != 0)
		printf("command %s, pid %d, since %s", h->job, h->job_pid,
		    duration(h->now_unix_s - h->job_started_unix_s, text));
	else
		printf("command %s, not running", h->job);
	if (h->restarts != 0)
		printf(", started again %d times", h->restarts);
	if (h->last_status >= 0)
		printf(", ended with %d before", h->last_status);
	printf("\n");
	if (h->live_port != 0)
		printf("liveness probe http://127.0.0.1:%d%s, %d failures in a row\n",
		    h->live_port, h->live_path, h->live_failures);
	if (h->ready_port != 0)
		printf("readiness probe http://127.0.0.1:%d%s, %d failures in a row\n",
		    h->ready_port, h->ready_path, h->ready_failures);
}

static void
print_count(int64_t n, const char *what)
{
	if (n != 0)
		printf(", %lld %s", (long long)n, what);
}

static void
print_worker(const struct control_worker *w)
{
	char text[24];

	printf("%s, pid %d, %s", w->name, w->pid, w->state);
	if (w->beat_age_ms >= 0)
		printf(", alive %lld ms ago", (long long)w->beat_age_ms);
	print_count(w->life, "before it ended");
	print_count(w->in_flight, "requests in flight");
	print_count(w->waiting, "calls waiting");
	print_count(w->open_files, "files open");
	print_count(w->dirty_files, "files to upload");
	if (w->bytes_read != 0)
		printf(", %s read", str_bytes(w->bytes_read, text));
	if (w->bytes_written != 0)
		printf(", %s written", str_bytes(w->bytes_written, text));
	print_count(w->requests, "requests");
	print_count(w->retries, "retries");
	if (w->files_total != 0)
		printf(", %lld of %lld files", (long long)w->files_done,
		    (long long)w->files_total);
	print_count(w->tokens, "tokens for the job");
	printf("\n");
}

static void
print_access(const struct control_access *a, int64_t now_unix_s)
{
	char text[32];

	printf("%s %s: %s, %s\n  at %s\n  as %s", a->is_output ? "output" : "input", a->name,
	    a->action, a->uri, a->target, a->identity);
	if (a->token_expiry_s > now_unix_s)
		printf(", token valid for %s", duration(a->token_expiry_s - now_unix_s, text));
	else if (a->token_expiry_s != 0)
		printf(", token expired");
	printf("\n");
}

static void
print_table(const struct status *s)
{
	uint32_t i;

	print_head(&s->head);
	for (i = 0; i < s->head.nworkers; i++)
		print_worker(&s->workers[i]);
	for (i = 0; i < s->head.naccesses; i++)
		print_access(&s->accesses[i], s->head.now_unix_s);
}

/* ---- for programs ------------------------------------------------------ */

static void
out_probe(struct json_out *out, const char *key, int port, const char *path, int failures)
{
	if (port == 0)
		return;
	json_out_key(out, key);
	json_out_begin(out, '{');
	json_out_kint(out, "port", port);
	json_out_kstring(out, "path", path);
	json_out_kint(out, "failures_in_a_row", failures);
	json_out_end(out, '}');
}

static void
out_head(struct json_out *out, const struct control_head *h)
{
	json_out_kstring(out, "version", h->program);
	json_out_kint(out, "pid", h->pid);
	json_out_kstring(out, "phase", h->phase);
	json_out_kbool(out, "live", h->is_live);
	json_out_kbool(out, "ready", h->is_ready);
	json_out_kstring(out, "live_reason", h->is_live ? NULL : h->live_flaw);
	json_out_kstring(out, "ready_reason", h->is_ready ? NULL : h->ready_flaw);
	json_out_kint(out, "uptime_s", h->now_unix_s - h->started_unix_s);
	json_out_kint(out, "orphans", h->orphans);
	json_out_key(out, "command");
	json_out_begin(out, '{');
	json_out_kstring(out, "name", h->job);
	json_out_kint(out, "pid", h->job_pid);
	json_out_kint(out, "uptime_s",
	    h->job_pid != 0 ? h->now_unix_s - h->job_started_unix_s : 0);
	json_out_kint(out, "restarts", h->restarts);
	json_out_kint(out, "last_status", h->last_status);
	json_out_end(out, '}');
	out_probe(out, "liveness_probe", h->live_port, h->live_path, h->live_failures);
	out_probe(out, "readiness_probe", h->ready_port, h->ready_path, h->ready_failures);
}

static void
out_worker(struct json_out *out, const struct control_worker *w)
{
	json_out_begin(out, '{');
	json_out_kstring(out, "name", w->name);
	json_out_kint(out, "pid", w->pid);
	json_out_kstring(out, "state", w->state);
	json_out_kbool(out, "mounted", w->is_mount);
	json_out_kint(out, "restarts", w->life);
	if (w->beat_age_ms >= 0)
		json_out_kint(out, "beat_age_ms", w->beat_age_ms);
	json_out_kint(out, "requests", w->requests);
	json_out_kint(out, "retries", w->retries);
	json_out_kint(out, "bytes_read", w->bytes_read);
	json_out_kint(out, "bytes_written", w->bytes_written);
	json_out_kint(out, "in_flight", w->in_flight);
	json_out_kint(out, "waiting", w->waiting);
	json_out_kint(out, "open_files", w->open_files);
	json_out_kint(out, "dirty_files", w->dirty_files);
	json_out_kint(out, "files_done", w->files_done);
	json_out_kint(out, "files_total", w->files_total);
	json_out_kint(out, "tokens", w->tokens);
	json_out_end(out, '}');
}

static void
out_access(struct json_out *out, const struct control_access *a, int64_t now_unix_s)
{
	json_out_begin(out, '{');
	json_out_kstring(out, "name", a->name);
	json_out_kstring(out, "kind", a->is_output ? "output" : "input");
	json_out_kstring(out, "action", a->action);
	json_out_kstring(out, "uri", a->uri);
	json_out_kstring(out, "target", a->target);
	json_out_kstring(out, "identity", a->identity);
	if (a->token_expiry_s != 0)
		json_out_kint(out, "token_valid_s", a->token_expiry_s - now_unix_s);
	json_out_end(out, '}');
}

static void
print_json(const struct status *s)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct json_out out;
	uint32_t i;

	json_out_init(&out, &text, 1);
	json_out_begin(&out, '{');
	out_head(&out, &s->head);
	json_out_key(&out, "workers");
	json_out_begin(&out, '[');
	for (i = 0; i < s->head.nworkers; i++)
		out_worker(&out, &s->workers[i]);
	json_out_end(&out, ']');
	json_out_key(&out, "accesses");
	json_out_begin(&out, '[');
	for (i = 0; i < s->head.naccesses; i++)
		out_access(&out, &s->accesses[i], s->head.now_unix_s);
	json_out_end(&out, ']');
	json_out_end(&out, '}');
	printf("%s\n", buf_str(&text));
}

int
status_command(const struct options *opt)
{
	static struct arena mem;
	struct status status = { .workers = NULL };
	struct inquiry inquiry = { .fd = -1 };
	struct err err = ERR_EMPTY;
	pid_t pid;
	int failed;

	failed = inquiry_read_pid(opt->argv, &pid, &err) != 0 ||
	    inquiry_find(&inquiry, pid, &err) != 0 ||
	    ask_all(&status, &inquiry, &mem, &err) != 0;
	inquiry_end(&inquiry);
	if (failed) {
		log_err(&err);
		return (err_exit_status(&err));
	}
	if (opt->json)
		print_json(&status);
	else
		print_table(&status);
	return (fflush(stdout) == 0 ? 0 : 125);
}
