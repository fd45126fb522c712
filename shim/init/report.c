#include "init/report.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

#define SCHEMA		1

/* ---- while the run lasts ----------------------------------------------- */

static int
is_wanted(const struct report *r)
{
	return (r != NULL && r->file[0] != '\0');
}

static int64_t
wall_ms(void)
{
	struct timespec now = { 0, 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

int
report_begin(struct report **ret, const char *file, char *const *argv, struct err *err)
{
	static struct report report;
	struct report *r = *ret = &report;
	char cwd[PATH_MAX];

	if (file == NULL || file[0] == '\0')
		return (0);
	if (file[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return (err_errno(err, "find the place of the report", file));
	if (str_format(r->file, sizeof(r->file), "%s%s%s", file[0] == '/' ? "" : cwd,
	    file[0] == '/' ? "" : "/", file) != 0) {
		r->file[0] = '\0';
		return (err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "find the place of the report",
		    "its path is too long"));
	}
	r->argv = argv;
	r->began_wall_ms = wall_ms();
	r->began_us = clock_us();
	report_phase(r, "planning");
	return (0);
}

void
report_phase(struct report *r, const char *name)
{
	if (!is_wanted(r) || r->nphases == REPORT_PHASES)
		return;
	r->phases[r->nphases].name = name;
	r->phases[r->nphases++].at_us = clock_us();
}

void
report_signal(struct report *r, const struct signalfd_siginfo *info)
{
	if (!is_wanted(r) || r->stop_signal != 0)
		return;
	r->stop_signal = (int)info->ssi_signo;
	r->stop_pid = info->ssi_pid;
	r->stop_uid = info->ssi_uid;
	r->stop_at_us = clock_us();
}

void
report_lost(struct report *r, const struct err *err)
{
	if (!is_wanted(r))
		return;
	if (r->nlost < REPORT_LOST)
		r->lost[r->nlost] = *err;
	r->nlost++;
}

/* ---- what must not be told --------------------------------------------- */

/* What stands in front of a secret in a command line or an address. */
static const char *const secret_words[] = { "sig", "key", "token", "password", "passwd", "secret",
	"credential", "authorization" };

/* Length of "token=", "Bearer ", and in a flag "key "; 0: there is none. */
static size_t
secret_prefix(const char *text, const char *word)
{
	size_t i, len;

	if (strncmp(text, "eyJ", 3) == 0)
		return (3);		/* a JSON Web Token stands for itself */
	if (text == word && strncasecmp(text, "bearer ", 7) == 0)
		return (7);
	for (i = 0; i < LENGTH(secret_words); i++) {
		len = strlen(secret_words[i]);
		if (strncasecmp(text, secret_words[i], len) != 0)
			continue;
		if (text[len] == '=' || text[len] == ':' ||
		    (text[len] == ' ' && word[0] == '-'))
			return (len + 1);
	}
	return (0);
}

/* Behind a secret: to the quote that ends it, or to what cannot be a part of it. */
static const char *
skip_secret(const char *text)
{
	char quote;

	text += strspn(text, " ");
	if (strncasecmp(text, "bearer ", 7) == 0)
		text += 7;
	quote = *text;
	if ((quote != '"' && quote != '\'') || strchr(text + 1, quote) == NULL)
		return (text + strcspn(text, " \t\n\"'&"));
	return (strchr(text + 1, quote) + 1);
}

void
report_add_redacted(struct buf *to, const char *text)
{
	const char *word = text;
	size_t prefix;

	while (*text != '\0') {
		prefix = secret_prefix(text, word);
		if (prefix == 0) {
			if (strchr(" \t\n\"'", *text) != NULL)
				word = text + 1;
			buf_addc(to, *text++);
			continue;
		}
		buf_add(to, text, prefix);
		buf_adds(to, "***");
		word = text = skip_secret(text + prefix);
	}
}

/* "--password", "--api-key": the next word is one. */
static int
announces_secret(const char *word)
{
	size_t i, len = strlen(word), n;

	for (i = 0; i < LENGTH(secret_words); i++) {
		n = strlen(secret_words[i]);
		if (word[0] == '-' && len > n && strcasecmp(word + len - n, secret_words[i]) == 0)
			return (1);
	}
	return (0);
}

static void
put_command(struct json_out *o, char *const *argv)
{
	int hidden = 0;

	json_out_key(o, "command");
	json_out_begin(o, '[');
	for (; argv != NULL && *argv != NULL; argv++) {
		auto_buf struct buf word = BUF_EMPTY;

		if (hidden)
			buf_adds(&word, "***");
		else
			report_add_redacted(&word, *argv);
		json_out_string(o, buf_str(&word));
		hidden = announces_secret(*argv);
	}
	json_out_end(o, ']');
}

/* ---- the object -------------------------------------------------------- */

static void
put_date(struct json_out *o, const char *key, int64_t at_ms)
{
	char date[CLOCK_ISO8601_SIZE], text[CLOCK_ISO8601_SIZE + 8];

	clock_format_iso8601(at_ms / 1000, date);
	date[sizeof(date) - 2] = '\0';		/* without Z */
	str_format(text, sizeof(text), "%s.%03dZ", date, (int)(at_ms % 1000));
	json_out_kstring(o, key, text);
}

static int64_t
since_ms(const struct report *r, int64_t at_us)
{
	return ((at_us - r->began_us) / 1000);
}

static void
put_err(struct json_out *o, const struct err *err)
{
	char remedy[1024];

	json_out_begin(o, '{');
	json_out_kstring(o, "kind", err_kind_name(err->kind));
	json_out_kstring(o, "what", err->op);
	json_out_kstring(o, "on", err->resource);
	json_out_kstring(o, "as", err->identity);
	json_out_kint(o, "http_status", err->http_status);
	json_out_kstring(o, "cause", err->cause);
	json_out_kstring(o, "remedy", err_remedy_text(err, remedy, sizeof(remedy)));
	json_out_end(o, '}');
}

static void
put_child(struct json_out *o, const struct report_end *end)
{
	int status = end->job != NULL ? end->job->status : 0;
	int gone = end->job != NULL && end->job_started && end->job->gone;

	json_out_key(o, "child");
	json_out_begin(o, '{');
	json_out_kbool(o, "started", end->job_started);
	json_out_key(o, "exit_code");
	if (gone && WIFEXITED(status))
		json_out_int(o, WEXITSTATUS(status));
	else
		json_out_string(o, NULL);
	json_out_key(o, "signal");
	if (gone && WIFSIGNALED(status))
		json_out_int(o, WTERMSIG(status));
	else
		json_out_string(o, NULL);
	json_out_kbool(o, "core_dumped", gone && WIFSIGNALED(status) && WCOREDUMP(status));
	json_out_kint(o, "restarts", end->restarts);
	json_out_end(o, '}');
}

static int64_t
milliseconds(struct timeval t)
{
	return ((int64_t)t.tv_sec * 1000 + t.tv_usec / 1000);
}

static void
put_usage(struct json_out *o, const struct rusage *u)
{
	static const struct rusage none;

	if (u == NULL)
		u = &none;
	json_out_key(o, "usage");
	json_out_begin(o, '{');
	json_out_kint(o, "user_ms", milliseconds(u->ru_utime));
	json_out_kint(o, "system_ms", milliseconds(u->ru_stime));
	json_out_kint(o, "max_rss_bytes", (int64_t)u->ru_maxrss * 1024);
	json_out_end(o, '}');
}

static void
put_signal(struct json_out *o, const struct report *r)
{
	json_out_key(o, "stop_signal");
	if (r->stop_signal == 0) {
		json_out_string(o, NULL);
		return;
	}
	json_out_begin(o, '{');
	json_out_kint(o, "signal", r->stop_signal);
	json_out_kint(o, "pid", r->stop_pid);
	json_out_kint(o, "uid", r->stop_uid);
	json_out_kint(o, "at_ms", since_ms(r, r->stop_at_us));
	json_out_end(o, '}');
}

static void
put_phases(struct json_out *o, const struct report *r, int64_t end_us)
{
	int64_t until;
	size_t i;

	json_out_key(o, "phases");
	json_out_begin(o, '[');
	for (i = 0; i < r->nphases; i++) {
		until = i + 1 < r->nphases ? r->phases[i + 1].at_us : end_us;
		json_out_begin(o, '{');
		json_out_kstring(o, "name", r->phases[i].name);
		json_out_kint(o, "at_ms", since_ms(r, r->phases[i].at_us));
		json_out_kint(o, "duration_ms", (until - r->phases[i].at_us) / 1000);
		json_out_end(o, '}');
	}
	json_out_end(o, ']');
}

static void
put_identity(struct json_out *o, const struct plan_identity *id)
{
	json_out_key(o, "identity");
	json_out_begin(o, '{');
	json_out_kstring(o, "kind", plan_identity_kind_name(id->kind));
	json_out_kstring(o, "label", id->label);
	json_out_kstring(o, "source", id->source);
	json_out_kstring(o, "rule", id->rule);
	json_out_kstring(o, "reason", id->reason);
	json_out_end(o, '}');
}

/* What it told, or what it shows of itself: one that died told nothing. */
static void
put_count(struct json_out *o, const char *key, int64_t told, const _Atomic int64_t *shown)
{
	int64_t seen = shown != NULL ? *shown : 0;

	json_out_kint(o, key, told > seen ? told : seen);
}

static void
put_requests(struct json_out *o, const struct worker *w)
{
	const struct vitals *v = w != NULL ? w->vitals : NULL;

	put_count(o, "requests", w != NULL ? w->stats.requests : 0, v != NULL ? &v->requests :
	    NULL);
	put_count(o, "retries", w != NULL ? w->stats.retries : 0, v != NULL ? &v->retries : NULL);
}

static void
put_bytes(struct json_out *o, const struct worker *w)
{
	const struct vitals *v = w != NULL ? w->vitals : NULL;

	put_count(o, "bytes_read", w != NULL ? w->stats.bytes_read : 0,
	    v != NULL ? &v->bytes_read : NULL);
	put_count(o, "bytes_written", w != NULL ? w->stats.bytes_written : 0,
	    v != NULL ? &v->bytes_written : NULL);
}

static const struct worker *
worker_of(const struct workers *w, const struct plan_access *access)
{
	size_t i;

	for (i = 0; w != NULL && i < w->n; i++)
		if (w->list[i].access == access)
			return (&w->list[i]);
	return (NULL);
}

static const char *
state_of(const struct plan_access *a, const struct worker *w)
{
	if (a->action == PLAN_PASS)
		return ("passed");
	if (w == NULL)
		return ("not_started");
	return (w->was_ready ? "ready" : w->told ? "failed" : "not_ready");
}

static void
put_access(struct json_out *o, const struct plan_access *a, const struct worker *w)
{
	auto_buf struct buf uri = BUF_EMPTY;

	report_add_redacted(&uri, a->uri != NULL ? a->uri : "");
	json_out_begin(o, '{');
	json_out_kstring(o, "name", a->name);
	json_out_kstring(o, "direction", a->is_output ? "output" : "input");
	json_out_kstring(o, "action", plan_action_name(a->action));
	json_out_kstring(o, "state", state_of(a, w));
	json_out_kstring(o, "uri", buf_str(&uri));
	json_out_kstring(o, "datastore", a->datastore);
	json_out_kstring(o, "account", a->account);
	json_out_kstring(o, "container", a->container);
	json_out_kstring(o, "prefix", a->prefix);
	json_out_kstring(o, "target", a->target);
	put_identity(o, &a->identity);
	put_bytes(o, w);
	put_requests(o, w);
	json_out_kint(o, "restarts", w != NULL ? w->life : 0);
	json_out_kint(o, "files", w != NULL ? w->stats.files_done : 0);
	json_out_kint(o, "files_kept", w != NULL ? w->stats.files_kept : 0);
	json_out_kint(o, "files_failed", w != NULL ? w->stats.files_failed : 0);
	json_out_end(o, '}');
}

static void
put_accesses(struct json_out *o, const struct report_end *end, size_t left_out)
{
	size_t i, n = end->plan != NULL ? end->plan->naccesses : 0;

	json_out_key(o, "accesses");
	json_out_begin(o, '[');
	for (i = 0; i + left_out < n; i++)
		put_access(o, &end->plan->accesses[i],
		    worker_of(end->workers, &end->plan->accesses[i]));
	json_out_end(o, ']');
	json_out_kint(o, "accesses_left_out", (int64_t)left_out);
}

static void
put_lost(struct json_out *o, const struct report *r, int named)
{
	int64_t i;

	json_out_kint(o, "outputs_lost", r->nlost);
	json_out_key(o, "lost");
	json_out_begin(o, '[');
	for (i = 0; named && i < r->nlost && i < REPORT_LOST; i++)
		put_err(o, &r->lost[i]);
	json_out_end(o, ']');
}

static void
put_agent(struct json_out *o, const struct workers *w)
{
	const struct worker *agent = w != NULL && w->n != 0 ? &w->list[0] : NULL;

	json_out_key(o, "tokens");
	json_out_begin(o, '{');
	put_count(o, "given_to_job", agent != NULL ? agent->stats.tokens : 0,
	    agent != NULL && agent->vitals != NULL ? &agent->vitals->tokens : NULL);
	put_requests(o, agent);
	json_out_kint(o, "restarts", agent != NULL ? agent->life : 0);
	json_out_end(o, '}');
}

static void
put_memory_kills(struct json_out *o, int64_t kills)
{
	json_out_key(o, "memory_kills");
	if (kills < 0)
		json_out_string(o, NULL);
	else
		json_out_int(o, kills);
}

/* What matters most comes first: a reader may cut it. */
static void
make(struct buf *text, const struct report *r, const struct report_end *end, size_t left_out,
    int brief)
{
	int64_t now = clock_us();
	struct json_out o;

	json_out_init(&o, text, !brief);
	json_out_begin(&o, '{');
	json_out_kint(&o, "schema", SCHEMA);
	json_out_kstring(&o, "version", AMLSHIM_VERSION);
	json_out_kint(&o, "status", end->status);
	json_out_kstring(&o, "ended_by", end->ended_by);
	json_out_key(&o, "failure");
	if (end->failure != NULL && end->failure->kind != ERR_NONE)
		put_err(&o, end->failure);
	else
		json_out_string(&o, NULL);
	put_child(&o, end);
	put_signal(&o, r);
	json_out_kstring(&o, "job", end->plan != NULL ? end->plan->job_name : NULL);
	put_command(&o, brief > 1 ? NULL : end->plan != NULL ? end->plan->argv : r->argv);
	put_date(&o, "started", r->began_wall_ms);
	put_date(&o, "ended", r->began_wall_ms + since_ms(r, now));
	json_out_kint(&o, "duration_ms", since_ms(r, now));
	put_phases(&o, r, now);
	put_usage(&o, end->usage);
	put_memory_kills(&o, end->memory_kills);
	json_out_kint(&o, "orphans_reaped", end->orphans);
	put_agent(&o, end->workers);
	put_lost(&o, r, !brief);
	put_accesses(&o, end, left_out);
	json_out_end(&o, '}');
	buf_addc(text, '\n');
}

/* ---- the file ---------------------------------------------------------- */

/* 1: a regular file of our own, or nothing yet: a new one may take its place. */
static int
may_replace(const char *file)
{
	struct stat st;

	return (lstat(file, &st) != 0 || S_ISREG(st.st_mode));
}

/* As many accesses as fit; then without the command. */
static void
make_brief(struct buf *text, const struct report *r, const struct report_end *end)
{
	size_t left_out, n = end->plan != NULL ? end->plan->naccesses : 0;

	for (left_out = 0; left_out <= n; left_out++) {
		buf_reset(text);
		make(text, r, end, left_out, 1);
		if (text->len <= REPORT_IN_PLACE_MAX)
			return;
	}
	buf_reset(text);
	make(text, r, end, n, 2);
}

/*
 * What cannot be replaced stands for something: a device, a mount, a link to one, such as
 * /dev/stdout.  A link of another user is the job's, who must not choose where root writes.
 */
static int
open_in_place(const char *file)
{
	struct stat st;
	int follow = 0;

	if (lstat(file, &st) == 0 && S_ISLNK(st.st_mode))
		follow = st.st_uid == 0 || st.st_uid == geteuid();
	return (open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC |
	    (follow ? 0 : O_NOFOLLOW), 0644));
}

static int
write_in_place(const struct report *r, const struct report_end *end, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY;
	auto_close int fd = open_in_place(r->file);

	make_brief(&text, r, end);
	if (fd < 0 || fd_write_all(fd, text.data, text.len) != 0)
		return (err_errno(err, "write the report", r->file));
	return (0);
}

int
report_write(struct report *r, const struct report_end *end, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY;

	if (may_replace(r->file)) {
		make(&text, r, end, 0, 0);
		if (fd_replace_file(r->file, text.data, text.len, 0644, NULL) == 0)
			return (0);
	}
	return (write_in_place(r, end, err));
}
