#include "cli/story.h"

#include <string.h>

#include "base/account.h"
#include "base/log.h"
#include "cli/workspace.h"

static int
is_text(const char *source)		/* not a path: see spec.h */
{
	return (source[0] == '{' || strchr(source, '\n') != NULL);
}

static void
wipe(const char *text)
{
	secret_wipe((char *)(uintptr_t)text, strlen(text));
}

void
story_wipe_variables(char *const *envp, const char *const *names, size_t n)
{
	size_t i;

	for (; *envp != NULL; envp++)
		for (i = 0; i < n; i++)
			if (str_starts(*envp, names[i]))
				wipe(*envp + strlen(names[i]));
}

void
story_hide_inputs(const struct options *opt, char *const *envp)
{
	static const char *const names[] = { "AMLSHIM_JOB=", "AMLSHIM_DATASTORES=",
	    "AMLSHIM_COMPUTE=", "MSI_SECRET=", "IDENTITY_HEADER=" };
	size_t i;

	story_wipe_variables(envp, names, LENGTH(names));
	for (i = 0; i < opt->ndatastores; i++)		/* --datastore TEXT stands in argv */
		if (is_text(opt->datastores[i]))
			wipe(opt->datastores[i]);
	if (opt->job != NULL && is_text(opt->job))
		wipe(opt->job);
}

static void
log_remarks(const struct spec *spec)
{
	size_t i;

	for (i = 0; i < spec->nremarks; i++) {
		const struct spec_remark *r = &spec->remarks[i];

		if (r->kind == SPEC_REMARK_UNUSED)
			log_info("%s:%d:%d: %s", r->at.file, r->at.line, r->at.column, r->text);
		else
			log_warning("%s:%d:%d: %s", r->at.file, r->at.line, r->at.column, r->text);
	}
}

/* --cloud wins over the platform's word; a cloud that nobody describes must not become another. */
static int
settle_cloud(struct story *story, const struct options *opt, struct err *err)
{
	struct facts *f = &story->facts;
	const struct cloud *cloud;

	if (opt->cloud != NULL) {
		if ((cloud = cloud_load(opt->cloud, &story->mem, err)) == NULL)
			return (-1);
		f->cloud = cloud;
		return (0);
	}
	if (f->unknown_cloud == NULL)
		return (0);
	err_set(err, ERR_USAGE, REMEDY_DESCRIBE_CLOUD, "find the cloud",
	    "no cloud is called \"%.64s\"; known are %s", f->unknown_cloud,
	    cloud_names(&story->mem));
	return (err_on(err, "AZUREML_CURRENT_CLOUD"));
}

int
story_reads_data(const struct options *opt)
{
	return (opt->command == OPTIONS_LS || opt->command == OPTIONS_CAT ||
	    opt->command == OPTIONS_CP);
}

/* The workspace, for what no file describes. */
static int
may_ask(const struct options *opt)
{
	return (opt->resolve || story_reads_data(opt) ||
	    (opt->command == OPTIONS_RUN && !opt->dry_run));
}

int
story_wants_tokens(const struct options *opt)
{
	return (opt->command == OPTIONS_TOKEN || opt->broker_dialects != 0 ||
	    opt->nexport_tokens + opt->ntoken_files != 0);
}

/* No job is named, and the only endpoint gives the submitter's tokens: inside such a job. */
static int
is_for_user_only(const struct facts *facts)
{
	return (facts->obo_endpoint != NULL && facts->msi_endpoint == NULL &&
	    facts->identity_endpoint == NULL);
}

/* Mounts, sockets and files are for whom the job runs as. */
static int
settle_user(struct story *story, const struct options *opt, struct err *err)
{
	struct account account;

	if (opt->user == NULL)
		return (0);
	if (account_find(&account, opt->user, err) != 0)
		return (-1);
	story->facts.uid = account.uid;
	story->facts.gid = account.gid;
	return (0);
}

int
story_read(struct story *story, const struct options *opt, char *const *envp, struct err *err)
{
	struct spec_sources sources = { .job = opt->job, .step = opt->step,
	    .datastores = opt->datastores, .ndatastores = opt->ndatastores,
	    .compute = opt->compute };

	if (facts_gather(&story->facts, envp, &story->mem, err) != 0 ||
	    settle_cloud(story, opt, err) != 0 ||
	    spec_load(&story->spec, &sources, &story->mem, err) != 0)
		return (-1);
	log_remarks(&story->spec);
	if (settle_user(story, opt, err) != 0)
		return (-1);
	if (opt->workspace != NULL &&
	    facts_set_workspace(&story->facts, opt->workspace, &story->mem, err) != 0)
		return (-1);
	if (opt->job == NULL && (story_wants_tokens(opt) || story_reads_data(opt)) &&
	    is_for_user_only(&story->facts))
		story->spec.job.identity.type = SPEC_IDENTITY_USER;
	if (may_ask(opt))
		story_hide_inputs(opt, envp);
	return (0);
}

int
story_decide(struct story *story, const struct options *opt, struct err *err)
{
	struct plan_options plan = { .argv = opt->argv, .root = opt->root,
	    .cache_dir = opt->cache_dir, .fuse_copy = opt->fuse_copy,
	    .tuning = opt->tuning, .mount_model = opt->mount_model,
	    .broker_dialects = opt->broker_dialects,
	    .export_tokens = opt->export_tokens, .nexport_tokens = opt->nexport_tokens,
	    .token_files = opt->token_files, .ntoken_files = opt->ntoken_files,
	    .wants_tokens = story_wants_tokens(opt),
	    .only_broker = opt->command == OPTIONS_DOCKER_CREDENTIAL ||
	    opt->command == OPTIONS_TOKEN };

	if (opt->user != NULL && plan.tuning.uid == PLAN_UNSAID)
		plan.tuning.uid = story->facts.uid;
	if (opt->user != NULL && plan.tuning.gid == PLAN_UNSAID)
		plan.tuning.gid = story->facts.gid;

	if (may_ask(opt))
		return (workspace_plan(story, opt, &plan, err));
	return (plan_decide(&story->plan, &story->spec, &story->facts, &plan, &story->mem, err));
}

int
story_tell(struct story *story, const struct options *opt, char *const *envp, struct err *err)
{
	if (story_read(story, opt, envp, err) != 0)
		return (-1);
	return (story_decide(story, opt, err));
}
