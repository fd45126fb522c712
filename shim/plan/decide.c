#include "plan/plan.h"

#include <stdarg.h>
#include <string.h>

#include "base/uri.h"
#include "plan/issuer.h"
#include "plan/parts.h"
#include "plan/policy.h"
#include "spec/expr.h"

#define ROOT_DEFAULT	"/mnt/amlshim"
#define CACHE_DEFAULT	"/tmp/amlshim"

int
plan_err_at(struct err *err, const struct spec_at *at, const char *field_fmt, ...)
{
	char field[160];
	va_list ap;

	va_start(ap, field_fmt);
	(void)vsnprintf(field, sizeof(field), field_fmt, ap);
	va_end(ap);
	if (at->file == NULL || at->line == 0)
		return (err_on(err, "%s", field));
	return (err_on(err, "%s:%d:%d: %s", at->file, at->line, at->column, field));
}

int
plan_is_path_style(const char *endpoint)
{
	char host[256];
	size_t len = endpoint[0] == '[' ? strcspn(endpoint, "]") + 1 : strcspn(endpoint, ":");

	if (len >= sizeof(host) || len > strlen(endpoint))
		return (0);
	memcpy(host, endpoint, len);
	host[len] = '\0';
	return (uri_is_path_style_host(host));
}

static void __attribute__((format(printf, 5, 0)))
add_text(struct deciding *d, struct plan_warning **list, size_t *n, const char *rule,
    const char *fmt, va_list ap)
{
	struct plan_warning *grown;
	char text[1024];
	size_t i;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	for (i = 0; i < *n; i++)
		if (strcmp((*list)[i].text, text) == 0)
			return;
	grown = arena_alloc(d->mem, (*n + 1) * sizeof(*grown));
	if (*n != 0)
		memcpy(grown, *list, *n * sizeof(*grown));
	grown[*n].rule = rule;
	grown[(*n)++].text = arena_strdup(d->mem, text);
	*list = grown;
}

void
deciding_warn(struct deciding *d, const char *rule, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(d, &d->plan->warnings, &d->plan->nwarnings, rule, fmt, ap);
	va_end(ap);
}

void
deciding_note(struct deciding *d, const char *rule, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(d, &d->plan->notes, &d->plan->nnotes, rule, fmt, ap);
	va_end(ap);
}

const char *
deciding_join(const struct deciding *d, const char *dir, const char *path)
{
	char *joined, *from, *to;

	joined = path[0] == '/' || dir == NULL ? arena_strdup(d->mem, path) :
	    arena_printf(d->mem, "%s/%s", dir, path);
	for (from = to = joined; *from != '\0';) {
		if (from[0] == '/' && from[1] == '/')
			from++;
		else if (from[0] == '.' && (from[1] == '/' || from[1] == '\0') &&
		    (to == joined || to[-1] == '/'))
			from += from[1] == '/' ? 2 : 1;
		else
			*to++ = *from++;
	}
	while (to > joined + 1 && to[-1] == '/')
		to--;
	*to = '\0';
	return (joined);
}

struct looking {
	const struct plan	*plan;
	int			 unknown;
};

static enum expr_found
look_up(void *arg, int is_output, const char *name, const char **ret_value)
{
	struct looking *l = arg;
	const struct plan_value *v = l->plan->values, *end = v + l->plan->nvalues;

	for (; v < end; v++)
		if (v->is_output == is_output && strcmp(v->name, name) == 0) {
			*ret_value = v->value;
			return (v->value != NULL ? EXPR_VALUE : EXPR_ABSENT);
		}
	l->unknown = 1;
	return (EXPR_UNKNOWN);
}

/* Ends the cause with what exists, as far as there is room. */
static void
name_values(const struct plan *plan, struct err *err)
{
	size_t len, i;

	if (err == NULL)
		return;
	for (i = 0; i < plan->nvalues; i++) {
		len = strlen(err->cause);
		str_format(err->cause + len, sizeof(err->cause) - len, "%s%s.%s",
		    i == 0 ? "; the job has " : ", ",
		    plan->values[i].is_output ? "outputs" : "inputs", plan->values[i].name);
	}
	if (plan->nvalues == 0) {
		len = strlen(err->cause);
		str_format(err->cause + len, sizeof(err->cause) - len,
		    "; the job has neither inputs nor outputs");
	}
}

int
deciding_expand(const struct deciding *d, const char *text, const struct spec_at *at,
    const char *field, const char **ret, struct err *err)
{
	struct looking l = { d->plan, 0 };
	auto_buf struct buf out = BUF_EMPTY;

	if (!expr_has(text)) {
		*ret = text;
		return (0);
	}
	if (expr_expand(text, look_up, &l, &out, err) != 0) {
		if (l.unknown)
			name_values(d->plan, err);
		return (plan_err_at(err, at, "%s", field));
	}
	*ret = arena_strdup(d->mem, buf_str(&out));
	return (0);
}

static void
add_literal(struct deciding *d, const struct spec_io *io)
{
	struct plan_value *v = &d->plan->values[d->plan->nvalues++];

	*v = (struct plan_value){ .name = io->name, .value = io->value };
}

static int
decide_values(struct deciding *d, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	struct plan *plan = d->plan;
	size_t n = job->ninputs + job->noutputs, i;

	plan->accesses = arena_alloc(d->mem, (n + 1) * sizeof(*plan->accesses));
	plan->values = arena_alloc(d->mem, (n + 1) * sizeof(*plan->values));
	for (i = 0; i < job->ninputs; i++)
		if (job->inputs[i].type == SPEC_LITERAL)
			add_literal(d, &job->inputs[i]);
		else if (access_decide(d, &job->inputs[i], 0, err) != 0)
			return (-1);
	for (i = 0; i < job->noutputs; i++)
		if (access_decide(d, &job->outputs[i], 1, err) != 0)
			return (-1);
	return (0);
}

static int
decide_variables(struct deciding *d, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	const struct spec_at nowhere = { .file = job->file };
	struct spec_variable *v;
	size_t i;

	d->plan->variables = arena_alloc(d->mem, (SERVE_VARIABLES + job->nvariables) * sizeof(*v));
	serve_decide(d);
	v = d->plan->variables + d->plan->nvariables;
	for (i = 0; i < job->nvariables; i++) {
		v[i].name = job->variables[i].name;
		if (deciding_expand(d, job->variables[i].value, &nowhere,
		    arena_printf(d->mem, "environment_variables.%s", v[i].name), &v[i].value,
		    err) != 0)
			return (-1);
	}
	d->plan->nvariables += job->nvariables;
	return (0);
}

/* Whose tokens the job's own code may have: the data's rules, without a datastore. */
static int
decide_broker(struct deciding *d, struct err *err)
{
	const struct spec *spec = d->spec;
	struct plan *plan = d->plan;
	struct plan_warning warning;
	struct err why = ERR_EMPTY;
	enum spec_identity_type type = spec->job.identity.type;
	struct policy_question q = { .job = &spec->job.identity, .compute = &spec->compute,
		.facts = d->facts, .store = SPEC_BLOB };

	if (spec->job.file == NULL && !spec->compute.given && !d->opt.wants_tokens)
		return (0);
	if (policy_choose(&plan->broker_default, &q, &warning, d->mem, &why) != 0) {
		if (why.kind != ERR_NO_IDENTITY || type == SPEC_IDENTITY_MANAGED ||
		    d->opt.wants_tokens) {
			if (err != NULL)
				*err = why;
			return (plan_err_at(err, &spec->job.identity.at, "identity"));
		}
		if (type != SPEC_IDENTITY_USER)
			return (0);
		plan->hides_endpoints = 1;
		deciding_warn(d, "no-tokens", "%s: the job's code gets no tokens", why.cause);
		return (0);
	}
	plan->broker_default.audience = NULL;
	if (plan->broker_default.kind == PLAN_ID_USER) {
		plan->broker = PLAN_BROKER_USER;
		return (0);
	}
	plan->broker = PLAN_BROKER_MANAGED;
	plan->broker_dialects = d->opt.broker_dialects != 0 ? d->opt.broker_dialects :
	    PLAN_DIALECTS_DEFAULT;
	if (issuer_find(d->facts)->by == 0)
		return (0);		/* one identity, whatever the compute's description says */
	plan->broker_uais = spec->compute.uais;
	plan->nbroker_uais = spec->compute.nuais;
	plan->broker_any_client_id = !spec->compute.given ||
	    spec->compute.kind == SPEC_COMPUTE_SERVERLESS;
	return (0);
}

static int
is_variable_name(const char *name)
{
	return (name[0] != '\0' && strchr("0123456789", name[0]) == NULL &&
	    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ==
	    '\0');
}

/* "AUDIENCE=PLACE": an audience has no '='. */
static int
split_token(const struct deciding *d, const char *text, const char *flag, int is_file,
    struct plan_token *ret, struct err *err)
{
	const char *equals = strchr(text, '=');

	if (equals == NULL || equals == text || equals[1] == '\0' ||
	    (!is_file && !is_variable_name(equals + 1))) {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options",
		    "expected AUDIENCE=%s, got \"%s\"", is_file ? "PATH" : "VARIABLE", text);
		return (err_on(err, "%s", flag));
	}
	ret->audience = arena_strndup(d->mem, text, (size_t)(equals - text));
	ret->place = is_file ? deciding_join(d, d->facts->cwd, equals + 1) : equals + 1;
	return (0);
}

static int
split_tokens(struct deciding *d, const char *const *texts, size_t n, const char *flag, int is_file,
    struct plan_token **ret, size_t *ret_n, struct err *err)
{
	size_t i;

	*ret = arena_alloc(d->mem, (n + 1) * sizeof(**ret));
	for (i = 0; i < n; i++)
		if (split_token(d, texts[i], flag, is_file, &(*ret)[i], err) != 0)
			return (-1);
	*ret_n = n;
	return (0);
}

static int
decide_tokens(struct deciding *d, struct err *err)
{
	struct plan *plan = d->plan;
	const struct plan_options *opt = &d->opt;

	if (split_tokens(d, opt->export_tokens, opt->nexport_tokens, "--export-token", 0,
	    &plan->variables_with_token, &plan->nvariables_with_token, err) != 0 ||
	    split_tokens(d, opt->token_files, opt->ntoken_files, "--token-file", 1,
	    &plan->files_with_token, &plan->nfiles_with_token, err) != 0)
		return (-1);
	if (plan->broker == PLAN_BROKER_NONE &&
	    plan->nvariables_with_token + plan->nfiles_with_token != 0)
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_ASSIGN_IDENTITY,
		    "get tokens for the job", "the job has no identity that could have one"));
	return (0);
}

static int
check_identities(struct deciding *d, struct err *err)
{
	const struct spec_job *job = &d->spec->job;
	const struct spec_identity *ignored = &job->ignored_root_identity;
	struct plan_warning warning;

	if (ignored->type != SPEC_IDENTITY_NONE)
		deciding_warn(d, "root-identity-ignored", "identity %s at the root of the pipeline "
		    "(%s:%d) has no effect on step %s: set identity on the step itself",
		    spec_identity_name(ignored->type),
		    ignored->at.file != NULL ? ignored->at.file : job->file, ignored->at.line,
		    job->step != NULL ? job->step : "?");
	if (policy_check_compute(&d->spec->compute, d->facts, &warning, d->mem, err) != 0)
		return (-1);
	if (warning.text != NULL)
		deciding_warn(d, warning.rule, "%s", warning.text);
	return (0);
}

int
plan_choose_reader(struct plan_identity *ret, enum spec_secret_from from, const struct spec *spec,
    const struct facts *facts, struct arena *mem, struct err *err)
{
	struct spec_identity job = spec->job.identity;
	struct policy_question q = { .job = &job, .compute = &spec->compute, .facts = facts,
		.store = SPEC_BLOB };
	struct plan_warning warning;

	if (from == SPEC_SECRET_VAULT && job.type == SPEC_IDENTITY_USER)
		job = (struct spec_identity){ .at = job.at, .type = SPEC_IDENTITY_NONE };
	if (policy_choose(ret, &q, &warning, mem, err) != 0)
		return (err_on(err, from == SPEC_SECRET_VAULT ?
		    "secrets in a Key Vault, which the compute's identity reads" :
		    "the workspace, which knows the datastores"));
	ret->audience = from == SPEC_SECRET_VAULT ? NULL : facts_cloud(facts)->arm;
	return (0);
}

static const char *
reader_label(const struct deciding *d, enum spec_secret_from from)
{
	return (d->plan->readers[from].label);
}

/* Who fetches the secrets that stand elsewhere. */
static int
decide_readers(struct deciding *d, struct err *err)
{
	const struct plan_access *a = d->plan->accesses, *end = a + d->plan->naccesses;
	enum spec_secret_from from;

	for (from = SPEC_SECRET_HERE; from <= SPEC_SECRET_VAULT; from++)
		d->plan->readers[from].kind = PLAN_ID_NONE;
	for (; a < end; a++) {
		from = a->identity.secret_from;
		if (from == SPEC_SECRET_HERE)
			continue;
		if (d->plan->readers[from].kind == PLAN_ID_NONE &&
		    plan_choose_reader(&d->plan->readers[from], from, d->spec, d->facts, d->mem,
		    err) != 0)
			return (-1);
		if (from == SPEC_SECRET_WORKSPACE)
			deciding_note(d, "secret-in-workspace", "the secret of datastore %s stands "
			    "in workspace %s: amlshim gets it, short-lived where the workspace "
			    "can, as %s", a->datastore, a->identity.workspace.name,
			    reader_label(d, from));
		else
			deciding_warn(d, "secret-in-key-vault", "the secret of datastore %s stands "
			    "in %s: amlshim reads it as the compute's identity (%s)%s",
			    a->datastore, a->identity.secret_url, reader_label(d, from),
			    d->spec->job.identity.type == SPEC_IDENTITY_USER ?
			    ", although the job runs as its submitter" : "");
	}
	return (0);
}

/* What was told by the workspace, and asked as whom. */
static int
note_resolved(struct deciding *d, struct err *err)
{
	const struct spec *spec = d->spec;
	struct plan_identity reader = { .kind = PLAN_ID_NONE };
	size_t i;

	for (i = 0; i < spec->ndatastores; i++) {
		const struct spec_datastore *ds = &spec->datastores[i];

		if (ds->workspace.name == NULL)
			continue;
		if (reader.kind == PLAN_ID_NONE && plan_choose_reader(&reader,
		    SPEC_SECRET_WORKSPACE, spec, d->facts, d->mem, err) != 0)
			return (-1);
		deciding_note(d, "resolved", "datastore %s: resolved from workspace %s as %s",
		    ds->name, ds->workspace.name, reader.label);
	}
	for (i = 0; i < spec->job.ninputs; i++)
		if (spec->job.inputs[i].asset != NULL)
			deciding_note(d, "resolved", "input %s: %s is %s", spec->job.inputs[i].name,
			    spec->job.inputs[i].asset, spec->job.inputs[i].path);
	return (0);
}

/* code: a directory beside the job file; references to assets and repositories are not ours. */
static const char *
decide_cwd(const struct deciding *d)
{
	const char *code = d->spec->job.code;

	if (code == NULL || str_starts(code, "azureml:") || str_starts(code, "git+") ||
	    strstr(code, "://") != NULL)
		return (NULL);
	if (str_starts(code, "file:"))
		code += strlen("file:");
	return (deciding_join(d, d->job_dir, code));
}

/* JOB of the default output location: the run's own name where there is a run. */
static const char *
decide_name(const struct deciding *d)
{
	const struct spec_job *job = &d->spec->job;

	if (d->facts->run_id != NULL)
		return (d->facts->run_id);
	if (job->step != NULL && job->name != NULL)
		return (arena_printf(d->mem, "%s.%s", job->name, job->step));
	return (job->name != NULL ? job->name : job->step);
}

static void
prepare(struct deciding *d, const struct plan_options *opt)
{
	const char *file = d->spec->job.file, *slash;

	d->opt = *opt;
	d->opt.root = deciding_join(d, d->facts->cwd, opt->root != NULL ? opt->root : ROOT_DEFAULT);
	d->opt.cache_dir = deciding_join(d, d->facts->cwd,
	    opt->cache_dir != NULL ? opt->cache_dir : CACHE_DEFAULT);
	slash = file != NULL ? strrchr(file, '/') : NULL;
	d->job_dir = slash == NULL ? d->facts->cwd : deciding_join(d, d->facts->cwd,
	    slash == file ? "/" : arena_strndup(d->mem, file, (size_t)(slash - file)));
}

/* As the job will have it. */
static const char *
job_variable(void *arg, const char *name)
{
	const struct deciding *d = arg;
	const struct spec_job *job = &d->spec->job;
	char *const *e;
	size_t i, len = strlen(name);

	for (i = 0; i < job->nvariables; i++)
		if (strcmp(job->variables[i].name, name) == 0)
			return (job->variables[i].value);
	for (e = d->facts->environ; e != NULL && *e != NULL; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=')
			return (*e + len + 1);
	return (NULL);
}

static void
remark_variable(void *arg, const char *variable, const char *value, const char *why, int is_bad)
{
	if (is_bad)
		deciding_warn(arg, "tuning-value", "%s is \"%s\": that is not understood, and "
		    "ignored", variable, value);
	else
		deciding_note(arg, "tuning-ignored", "%s: %s", variable, why);
}

static void
decide_tuning(struct deciding *d)
{
	struct plan_tuning_world world = { job_variable, remark_variable, d,
	    d->facts->memory_limit };

	d->plan->tuning = d->opt.tuning;
	plan_tuning_settle(&d->plan->tuning, d->opt.only_broker ? NULL : &world);
}

int
plan_decide(struct plan *ret, const struct spec *spec, const struct facts *facts,
    const struct plan_options *opt, struct arena *mem, struct err *err)
{
	struct plan plan = { .timeout_s = spec->job.timeout_s, .cloud = facts_cloud(facts) };
	struct deciding d = { .plan = &plan, .spec = spec, .facts = facts, .mem = mem };

	prepare(&d, opt);
	decide_tuning(&d);
	/* No input or output can have this name: it would be staged there. */
	plan.tuning.disk_cache = deciding_join(&d, d.opt.cache_dir, ".blocks");
	plan.job_name = decide_name(&d);
	plan.cwd = decide_cwd(&d);
	if (check_identities(&d, err) != 0 ||
	    (opt->only_broker ? decide_broker(&d, err) : decide_values(&d, err)) != 0)
		return (-1);
	if (opt->only_broker) {
		*ret = plan;
		return (0);
	}
	if (opt->wants != NULL && opt->wants->n != 0) {		/* half a plan: ask first */
		*ret = plan;
		return (0);
	}
	if (note_resolved(&d, err) != 0 ||
	    decide_readers(&d, err) != 0 ||
	    decide_broker(&d, err) != 0 ||
	    decide_tokens(&d, err) != 0 ||
	    command_decide(&d, err) != 0 ||
	    decide_variables(&d, err) != 0)
		return (-1);
	*ret = plan;
	return (0);
}

int
plan_needs_agent(const struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->naccesses; i++)
		if (plan->accesses[i].action != PLAN_PASS)
			return (1);
	return (plan->broker != PLAN_BROKER_NONE);
}
