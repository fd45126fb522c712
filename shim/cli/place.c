#include "cli/place.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sys.h"
#include "spec/dsuri.h"

#define TOKEN_MS	110000	/* longer than the 70 s of a metadata service being updated */
#define RENEW_S		300

/* ---- which ------------------------------------------------------------- */

int
place_is_here(const char *text)
{
	return (strstr(text, "://") == NULL && !str_starts(text, "azureml:") &&
	    !str_starts(text, "${{") && !str_starts(text, "inputs.") &&
	    !str_starts(text, "outputs."));
}

static int
refuse(struct err *err, const char *text, const char *why)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "find the data", "%s", why);
	return (err_on(err, "%s", text));
}

/* For messages: the query of an address may be a SAS. */
static const char *
printable(const char *text, struct arena *mem)
{
	char url[1024];

	return (strstr(text, "://") == NULL ? text :
	    arena_strdup(mem, http_printable_url(text, url, sizeof(url))));
}

/* "${{inputs.data}}/a" as "inputs.data/a". */
static const char *
without_braces(const char *text, struct arena *mem)
{
	const char *end = str_starts(text, "${{") ? strstr(text, "}}") : NULL;
	size_t blanks;

	if (end == NULL)
		return (text);
	text += 3;
	blanks = strspn(text, " ");
	text += blanks;
	for (blanks = 0; end > text + blanks && end[-1 - (int)blanks] == ' '; blanks++)
		;
	return (arena_printf(mem, "%.*s%s", (int)((size_t)(end - text) - blanks), text, end + 2));
}

/* The input or output that is named, from what the job has. */
static int
find_io(const struct spec_job *job, const char *text, int *ret_is_output, struct spec_io *ret,
    const char **ret_below, struct err *err)
{
	int is_output = str_starts(text, "outputs.");
	const char *name = strchr(text, '.') + 1;
	const struct spec_io *list = is_output ? job->outputs : job->inputs;
	size_t i, len = strcspn(name, "/"), n = is_output ? job->noutputs : job->ninputs;

	for (i = 0; i < n; i++)
		if (strlen(list[i].name) == len && strncmp(list[i].name, name, len) == 0) {
			*ret = list[i];
			*ret_is_output = is_output;
			*ret_below = name + len;
			return (0);
		}
	return (refuse(err, text, job->file == NULL ? "there is no job: --job names one" :
	    is_output ? "the job has no such output" : "the job has no such input"));
}

/* A public server has single files. */
static enum spec_type
type_of(const struct story *story, const char *text, struct arena *mem)
{
	struct err why = ERR_EMPTY;
	struct dsuri uri;

	return (dsuri_parse_in(facts_cloud(&story->facts), &uri, text, mem, &why) == 0 &&
	    uri.form == DSURI_HTTP ? SPEC_URI_FILE : SPEC_URI_FOLDER);
}

/* The job becomes one that has nothing but this. */
static int
reduce(struct story *story, const struct spec_job *whole, const char *text, int is_target,
    const char **ret_below, struct err *err)
{
	struct spec_job *job = &story->spec.job;
	struct spec_io *io = arena_alloc(&story->mem, sizeof(*io));
	int is_output = is_target;

	*ret_below = "";
	*io = (struct spec_io){ .name = "data", .type = type_of(story, text, &story->mem),
	    .path = text };
	if (str_starts(text, "inputs.") || str_starts(text, "outputs."))
		if (find_io(whole, text, &is_output, io, ret_below, err) != 0)
			return (-1);
	if (is_target && !is_output)
		return (refuse(err, text, "an input is not written to"));
	io->mode = is_output ? SPEC_UPLOAD : SPEC_DOWNLOAD;
	job->inputs = is_output ? NULL : io;
	job->ninputs = !is_output;
	job->outputs = is_output ? io : NULL;
	job->noutputs = is_output != 0;
	job->nvariables = 0;
	return (0);
}

/* PATH behind the name of an input or output. */
static int
go_below(struct place *p, const char *below, struct arena *mem, struct err *err)
{
	struct plan_access *a = p->access;
	size_t len;

	p->names_folder = !a->is_file && (below[0] != '\0' ? str_ends(below, "/") :
	    strstr(p->text, "://") == NULL || str_ends(p->text, "/"));
	below += strspn(below, "/");
	for (len = strlen(below); len > 0 && below[len - 1] == '/'; len--)
		;
	if (len == 0)
		return (0);
	if (a->is_file)
		return (refuse(err, p->text, "it is a file, with nothing below"));
	a->prefix = arena_printf(mem, "%s%s%.*s", a->prefix, a->prefix[0] != '\0' ? "/" : "",
	    (int)len, below);
	return (0);
}

int
place_decide(struct place *p, struct story *story, const struct options *opt, const char *text,
    int is_target, struct err *err)
{
	static char word[] = "-";
	static char *const words[] = { word, NULL };
	struct options mine = *opt;
	struct spec_job whole = story->spec.job;
	const char *bare = without_braces(text, &story->mem), *below;
	int failed;

	*p = (struct place){ .text = printable(text, &story->mem) };
	if (place_is_here(bare))
		return (refuse(err, text, "it is a path here, not data of a store"));
	if (reduce(story, &whole, bare, is_target, &below, err) != 0)
		return (-1);
	mine.argv = words;
	mine.nexport_tokens = mine.ntoken_files = 0;
	mine.broker_dialects = 0;
	failed = story_decide(story, &mine, err);
	story->spec.job = whole;
	if (failed != 0) {
		if (err->kind == ERR_USAGE && p->text != text)	/* not of "inputs.data" */
			str_format(err->resource, sizeof(err->resource), "%s", p->text);
		return (-1);
	}
	p->plan = story->plan;
	if (p->plan.naccesses == 0 || p->plan.accesses[0].action == PLAN_PASS)
		return (refuse(err, p->text, "it is not data of a store"));
	p->access = &p->plan.accesses[0];
	return (go_below(p, below, &story->mem, err));
}

/* ---- reached ----------------------------------------------------------- */

/* PID 1 has no default actions. */
static void
end(int sig)
{
	_exit(128 + sig);
}

void
place_take_signals(const struct init_inherited *inherited)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	size_t i;

	for (i = 0; i < LENGTH(signals); i++)
		signal(signals[i], end);
	signal(SIGPIPE, SIG_IGN);	/* writing fails with EPIPE */
	sys_sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
	if (sys_harden_worker(0) != 0)
		log_debug("not hardened: %s", strerror(errno));
}

static int
open_store(struct reach *r, struct err *err)
{
	const struct plan_access *a = r->place->access;
	struct store_options store = store_options_of(a);

	if (credential_get(&r->got, &a->identity, r->cache, r->keeper, TOKEN_MS, err) != 0) {
		err_on(err, "%s", r->place->text);
		return (err_as(err, a->identity.label));
	}
	store.cred = r->got.cred;
	store.http = r->http;
	r->store = store_new(&store, err);
	return (r->store != NULL ? 0 : -1);
}

static void
close_store(struct reach *r)
{
	store_free(r->store);
	cred_free(r->got.cred);
	r->store = NULL;
	r->got.cred = NULL;
}

int
reach_open(struct reach *r, const struct place *p, const struct facts *facts, struct err *err)
{
	const struct http_options http = { .max_connections = 32 };

	*r = (struct reach){ .place = p, .facts = facts };
	if (p->access->url != NULL)
		return (refuse(err, p->text, "a public address can only be copied from (cp)"));
	log_info("%s is %s/%s/%s, reached as %s: %s", p->text, p->access->base_url,
	    p->access->container, p->access->prefix, p->access->identity.label,
	    p->access->identity.reason);
	if ((r->http = http_new(&http, err)) == NULL ||
	    (r->cache = cache_new(facts, r->http, err)) == NULL)
		return (-1);
	r->keeper = keeper_new(&p->plan, facts, r->http, r->cache);
	return (open_store(r, err));
}

int
reach_renew(struct reach *r, struct err *err)
{
	if (r->got.expires_unix_s == 0 || clock_wall_s() + RENEW_S < r->got.expires_unix_s)
		return (0);
	close_store(r);
	return (open_store(r, err));
}

void
reach_close(struct reach *r)
{
	close_store(r);
	keeper_free(r->keeper);
	cache_free(r->cache);
	http_free(r->http);
}
