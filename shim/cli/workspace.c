#include "cli/workspace.h"

#include <string.h>

#include "base/log.h"
#include "init/ask.h"

#define ROUNDS_MAX	4	/* an asset, its datastore; one to spare */
#define WANTS_MAX	1000

/* ---- answers ----------------------------------------------------------- */

#define IS_TEXT(field)	wire_is_text((field), sizeof(field))

static int
texts_are_sound(const struct wire_datastore *w)
{
	return (IS_TEXT(w->name) && IS_TEXT(w->account) && IS_TEXT(w->container) &&
	    IS_TEXT(w->endpoint) && IS_TEXT(w->artifact) && IS_TEXT(w->tenant_id) &&
	    IS_TEXT(w->client_id) && IS_TEXT(w->thumbprint) && IS_TEXT(w->authority_url) &&
	    IS_TEXT(w->resource_url));
}

static const char *
text_or_null(const char *text, struct arena *mem)
{
	return (*text != '\0' ? arena_strdup(mem, text) : NULL);
}

static int
bad_answer(struct err *err, const struct plan_want *want, const char *flaw)
{
	err_set(err, ERR_PROTOCOL, REMEDY_CHECK_WORKSPACE, "use what the workspace says of", "%s",
	    flaw);
	return (err_on(err, "%s of workspace %s", want->text != NULL ? want->text :
	    want->name != NULL ? want->name : "the default datastore", want->workspace.name));
}

static int
is_own(const struct spec_workspace *w, const struct facts *f)
{
	return (f->workspace != NULL && f->resource_group != NULL && f->subscription != NULL &&
	    str_same(w->name, f->workspace) && str_same(w->resource_group, f->resource_group) &&
	    str_same(w->subscription, f->subscription));
}

static void
append(struct spec *spec, const struct spec_datastore *ds, struct arena *mem)
{
	struct spec_datastore *grown;
	size_t i;

	for (i = 0; i < spec->ndatastores; i++) {
		struct spec_datastore *old = &spec->datastores[i];

		if (old->workspace.name != NULL && strcmp(old->name, ds->name) == 0 &&
		    str_same(old->workspace.name, ds->workspace.name) &&
		    str_same(old->workspace.resource_group, ds->workspace.resource_group) &&
		    str_same(old->workspace.subscription, ds->workspace.subscription)) {
			old->is_default |= ds->is_default;	/* asked for by name, too */
			return;
		}
	}
	grown = arena_alloc(mem, (spec->ndatastores + 1) * sizeof(*grown));
	if (spec->ndatastores != 0)
		memcpy(grown, spec->datastores, spec->ndatastores * sizeof(*grown));
	grown[spec->ndatastores++] = *ds;
	spec->datastores = grown;
}

static int
add_datastore(struct spec *spec, const struct plan_want *want, const struct facts *facts,
    const struct wire_datastore *w, struct arena *mem, struct err *err)
{
	struct spec_datastore ds = { .protocol = "https", .workspace = want->workspace };
	const char *flaw;

	if (!texts_are_sound(w) || w->type < SPEC_BLOB || w->type > SPEC_ONELAKE ||
	    w->credential < SPEC_CRED_NONE || w->credential > SPEC_CRED_CERTIFICATE)
		return (bad_answer(err, want, "a malformed description"));
	if (want->name != NULL && !str_same(want->name, w->name))
		return (bad_answer(err, want, "the description of another datastore"));
	ds.name = want->name != NULL ? want->name : arena_strdup(mem, w->name);
	ds.type = (enum spec_store_type)w->type;
	ds.account = arena_strdup(mem, w->account);
	ds.container = arena_strdup(mem, w->container);
	ds.endpoint = text_or_null(w->endpoint, mem);
	ds.artifact = text_or_null(w->artifact, mem);
	if (ds.type == SPEC_ONELAKE)
		spec_split_onelake(mem, &ds);
	ds.credential = (enum spec_credential)w->credential;
	ds.tenant_id = text_or_null(w->tenant_id, mem);
	ds.client_id = text_or_null(w->client_id, mem);
	ds.thumbprint = text_or_null(w->thumbprint, mem);
	ds.authority_url = text_or_null(w->authority_url, mem);
	ds.resource_url = text_or_null(w->resource_url, mem);
	ds.is_default = w->is_default != 0 && is_own(&want->workspace, facts);
	if (ds.credential != SPEC_CRED_NONE)
		ds.secret_from = SPEC_SECRET_WORKSPACE;
	flaw = spec_datastore_flaw(&ds);
	if (flaw != NULL)
		return (bad_answer(err, want, flaw));
	append(spec, &ds, mem);
	return (0);
}

static int
add_asset(struct spec *spec, const struct plan_want *want, const struct wire_asset *w,
    struct arena *mem, struct err *err)
{
	const char *uri;
	size_t i;

	if (!IS_TEXT(w->uri) || !IS_TEXT(w->version) || w->uri[0] == '\0' ||
	    w->type < SPEC_LITERAL || w->type > SPEC_TRITON_MODEL)
		return (bad_answer(err, want, "a malformed description"));
	uri = arena_strdup(mem, w->uri);
	for (i = 0; i < spec->job.ninputs; i++) {
		struct spec_io *io = &spec->job.inputs[i];

		if (io->path == NULL || strcmp(io->path, want->text) != 0)
			continue;
		io->asset = io->path;
		io->asset_type = (enum spec_type)w->type;
		io->asset_version = text_or_null(w->version, mem);
		io->path = uri;
	}
	return (0);
}

int
workspace_add(struct spec *spec, const struct plan_want *want, const struct facts *facts,
    const struct wire_found *found, struct arena *mem, struct err *err)
{
	if (found->err.kind != ERR_NONE) {
		if (err != NULL)
			*err = found->err;
		return (-1);
	}
	if (want->kind == WIRE_WANT_ASSET || want->kind == WIRE_WANT_MODEL)
		return (add_asset(spec, want, &found->asset, mem, err));
	return (add_datastore(spec, want, facts, &found->datastore, mem, err));
}

/* ---- questions --------------------------------------------------------- */

static int
write_want(const struct plan_want *want, struct wire_want *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = (uint32_t)want->kind;
	if (str_format(ret->subscription, sizeof(ret->subscription), "%s",
	    want->workspace.subscription) == 0 &&
	    str_format(ret->resource_group, sizeof(ret->resource_group), "%s",
	    want->workspace.resource_group) == 0 &&
	    str_format(ret->workspace, sizeof(ret->workspace), "%s", want->workspace.name) == 0 &&
	    str_format(ret->name, sizeof(ret->name), "%s",
	    want->name != NULL ? want->name : "") == 0 &&
	    str_format(ret->version, sizeof(ret->version), "%s",
	    want->version != NULL ? want->version : "") == 0)
		return (0);
	return (err_set(err, ERR_USAGE, REMEDY_CHECK_WORKSPACE, "ask the workspace",
	    "a name is longer than any that a workspace can have"));
}

static int
ask(struct story *story, struct ask *a, const struct plan_wants *wants, struct err *err)
{
	struct wire_want *questions = mem_zalloc(wants->n * sizeof(*questions));
	struct wire_found *found = mem_zalloc(wants->n * sizeof(*found));
	int failed = 0;
	size_t i;

	for (i = 0; i < wants->n && failed == 0; i++)
		failed = write_want(&wants->list[i], &questions[i], err);
	if (failed == 0)
		failed = ask_round(a, questions, found, wants->n, &story->stop_signal, err);
	for (i = 0; i < wants->n && failed == 0; i++)
		failed = workspace_add(&story->spec, &wants->list[i], &story->facts, &found[i],
		    &story->mem, err);
	free(questions);
	free(found);
	return (failed);
}

static int
start(struct story *story, const struct options *opt, struct ask *a, struct err *err)
{
	struct ask_options options = { .facts = &story->facts, .spec = &story->spec,
	    .as = &story->asked_as, .start_ms = opt->start_ms,
	    .parent_death_signal = opt->parent_death_signal };

	if (plan_choose_reader(&story->asked_as, SPEC_SECRET_WORKSPACE, &story->spec,
	    &story->facts, &story->mem, err) != 0)
		return (-1);
	log_info("asking the workspace as %s", story->asked_as.label);
	return (ask_start(a, &options, err));
}

int
workspace_plan(struct story *story, const struct options *opt, const struct plan_options *plan,
    struct err *err)
{
	struct plan_options options = *plan;
	struct plan_wants wants;
	struct ask a = ASK_NONE;
	int round, failed = 0, done = 0;

	for (round = 0; failed == 0 && !done; round++) {
		wants = (struct plan_wants){ NULL, 0 };
		options.wants = round < ROUNDS_MAX ? &wants : NULL;
		failed = plan_decide(&story->plan, &story->spec, &story->facts, &options,
		    &story->mem, err);
		done = wants.n == 0;
		if (failed != 0 || done)
			break;
		if (wants.n > WANTS_MAX)
			failed = err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "ask the workspace",
			    "more than %d names", WANTS_MAX);
		if (failed == 0 && a.pid == 0)
			failed = start(story, opt, &a, err);
		if (failed == 0)
			failed = ask(story, &a, &wants, err);
	}
	ask_end(&a);
	return (failed);
}
