#include "cli/token.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "azure/http.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/story.h"
#include "identity/source.h"
#include "identity/whose.h"

#define WAIT_MS		110000	/* longer than the 70 s of a metadata service being updated */

/* PID 1 has no default actions. */
static void
end(int sig)
{
	_exit(128 + sig);
}

static void
take_signals(const struct init_inherited *inherited)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	size_t i;

	for (i = 0; i < LENGTH(signals); i++)
		signal(signals[i], end);
	sys_sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

static int
usage(struct err *err, const char *why)
{
	return (err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "get a token", "%s", why));
}

static int
choose(const struct story *story, const struct options *opt, struct plan_identity *ret,
    struct arena *mem, struct err *err)
{
	if (opt->resource == NULL)
		return (usage(err, "--resource URI is missing"));
	if (opt->argv[0] != NULL)
		return (usage(err, "it runs no command"));
	if (opt->client_id != NULL && !str_is_guid(opt->client_id))
		return (usage(err, "--client-id is no GUID"));
	if (opt->client_id != NULL && story->plan.broker == PLAN_BROKER_USER)
		return (usage(err, "this job runs under user identity: --client-id names a managed "
		    "identity, and those are not for it"));
	if (whose_identity(&story->plan, opt->client_id, NULL, NULL, ret, mem) == 0)
		return (0);
	err_set(err, ERR_NO_IDENTITY, REMEDY_NAME_ASSIGNED_IDENTITY, "get a token",
	    "the compute does not have it");
	return (err_as(err, ret->label));
}

static void
put_claims(struct json_out *out, const struct token_claims *claims, int64_t expires)
{
	json_out_kstring(out, "tid", claims->tid);
	json_out_kstring(out, "oid", claims->oid);
	json_out_kstring(out, "appid", claims->appid);
	json_out_kstring(out, "aud", claims->aud);
	json_out_kint(out, "exp", expires);
}

static void
say_whose(const struct plan_identity *who, const struct token *t, const struct token_claims *c)
{
	log_info("token of %s [%s]: tid=%s oid=%s appid=%s aud=%s expires_in=%llds", who->label,
	    who->rule, c->tid, c->oid, c->appid, c->aud,
	    (long long)(t->expires_unix_s - clock_wall_s()));
}

static int
print(const struct options *opt, const struct plan_identity *who, const struct token *t)
{
	auto_buf struct buf text = BUF_EMPTY;
	struct token_claims claims;
	struct json_out out;

	if (token_read_claims(t->text.text, t->text.len, &claims) != 0)
		memset(&claims, 0, sizeof(claims));
	say_whose(who, t, &claims);
	if (opt->claims && !opt->json) {
		buf_printf(&text, "tid %s\noid %s\nappid %s\naud %s\nexp %lld\n", claims.tid,
		    claims.oid, claims.appid, claims.aud, (long long)t->expires_unix_s);
	} else if (opt->json) {
		json_out_init(&out, &text, 1);
		json_out_begin(&out, '{');
		if (opt->claims) {
			put_claims(&out, &claims, t->expires_unix_s);
		} else {
			json_out_kstring(&out, "access_token", t->text.text);
			json_out_kint(&out, "expires_on", t->expires_unix_s);
			json_out_kstring(&out, "resource", opt->resource);
			json_out_kstring(&out, "token_type", "Bearer");
		}
		json_out_end(&out, '}');
		buf_addc(&text, '\n');
	} else {
		buf_add(&text, t->text.text, t->text.len);
		buf_addc(&text, '\n');
	}
	return (fd_write_all(STDOUT_FILENO, text.data, text.len));
}

static int
acquire(const struct story *story, const struct options *opt, struct plan_identity *who,
    struct token *ret, struct err *err)
{
	struct http_options options = { .max_connections = 2 };
	struct http *http = http_new(&options, err);
	int failed;

	if (http == NULL)
		return (-1);
	failed = source_acquire(&story->facts, http, who, opt->resource, clock_ms() + WAIT_MS, ret,
	    err);
	http_free(http);
	return (failed);
}

int
token_command(const struct options *opt, const struct init_inherited *inherited, char **envp)
{
	static struct story story;
	struct token t = { .generation = 0 };
	struct plan_identity who = { .kind = PLAN_ID_NONE };
	struct err err = ERR_EMPTY;

	log_set_process("token");
	take_signals(inherited);
	if (story_tell(&story, opt, envp, &err) != 0 ||
	    choose(&story, opt, &who, &story.mem, &err) != 0 ||
	    acquire(&story, opt, &who, &t, &err) != 0) {
		log_err(&err);
		return (err_exit_status(&err));
	}
	if (print(opt, &who, &t) != 0) {
		err_errno(&err, "write", "standard output");
		log_err(&err);
	}
	token_done(&t);
	return (err.kind == ERR_NONE ? 0 : err_exit_status(&err));
}
