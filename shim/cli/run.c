#include "cli/run.h"

#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "base/trace.h"
#include "base/userns.h"
#include "cli/snapshot.h"
#include "cli/story.h"

static void
log_plan_warnings(const struct plan *plan)
{
	size_t i;

	for (i = 0; i < plan->nwarnings; i++)
		log_warning("%s", plan->warnings[i].text);
	for (i = 0; i < plan->nnotes; i++)
		log_info("%s", plan->notes[i].text);
}

/*
 * The copy of the environment stays for the job's.  Without a broker the
 * platform's endpoints are the job's, but for a user's job.
 */
static void
hide_inputs(struct story *story, const struct options *opt, char **envp)
{
	static const char *const inputs[] = { "AMLSHIM_JOB=", "AMLSHIM_DATASTORES=",
	    "AMLSHIM_COMPUTE=" };
	static const char *const platform[] = { "MSI_SECRET=", "IDENTITY_HEADER=" };

	story_hide_inputs(opt, envp);
	story_wipe_variables(story->facts.environ, inputs, LENGTH(inputs));
	if (story->plan.broker != PLAN_BROKER_NONE || story->plan.hides_endpoints)
		story_wipe_variables(story->facts.environ, platform, LENGTH(platform));
	if (story->plan.hides_endpoints && !plan_needs_agent(&story->plan))
		facts_forget_secrets(&story->facts);	/* nobody else does */
}

/* Before anything is started that shall see the mounts. */
static int
prepare_mounts(const struct story *story, struct err *err)
{
	size_t i;

	for (i = 0; i < story->plan.naccesses; i++)
		if (story->plan.accesses[i].action == PLAN_MOUNT_RO ||
		    story->plan.accesses[i].action == PLAN_MOUNT_RW)
			break;
	if (i == story->plan.naccesses || story->facts.fuse != FACTS_FUSE_USERNS)
		return (0);
	log_info("no CAP_SYS_ADMIN: mounting in a user namespace, where the job is too");
	return (userns_enter(err));
}

/* Nothing was started: that is reported, and held, as the end of a job is. */
static int
give_up(struct init_options *init, const struct err *err)
{
	init->failure = err;
	return (init_run(init));
}

static int
fail(struct init_options *init, const struct err *err)
{
	log_err(err);
	return (give_up(init, err));
}

static int
told_to_stop(const struct init_options *init, int status)
{
	struct report_end end = { .status = status, .ended_by = "stop_signal",
	    .memory_kills = -1 };
	struct err err = ERR_EMPTY;

	if (init->report->file[0] != '\0' && report_write(init->report, &end, &err) != 0)
		log_err(&err);
	return (status);
}

/*
 * In a session of its own the command's group is orphaned: the kernel would discard the
 * stop signals of terminals there, but SIGSTOP it obeys.
 */
static void
keep_stop_signals(struct launch *launch)
{
	static const int stops[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	size_t i;

	for (i = 0; launch->new_session && i < LENGTH(stops); i++)
		if (launch->rewrite[stops[i]] == 0)
			launch->rewrite[stops[i]] = SIGSTOP;
}

/* No job spec, no datastore: just an init. */
static int
run_bare(const struct options *opt, struct init_options *init)
{
	static struct err err;

	if (opt->argv[0] == NULL) {
		err_set(&err, ERR_USAGE, REMEDY_SEE_HELP, "start",
		    "there is neither a command nor a job spec (--job, AMLSHIM_JOB)");
		return (fail(init, &err));
	}
	init->argv = opt->argv;
#ifdef AMLSHIM_SHED
	init->shed = 1;
#endif
	return (init_run(init));
}

/* The deployment's probes, timed as Azure ML does where it does not say; --probe says where. */
static void
set_probes(const struct options *opt, const struct plan *plan, struct init_options *init)
{
	struct spec_probe timing = SPEC_PROBE_DEFAULT;
	int is_deployment = plan != NULL && plan->is_deployment;
	struct spec_probe *live = &init->probe.liveness, *ready = &init->probe.readiness;

	timing.initial_delay_s = 0;		/* nobody is in a hurry to restart it */
	*live = is_deployment ? plan->liveness : timing;
	*ready = is_deployment ? plan->readiness : timing;
	if (opt->probe != NULL && options_read_probe(opt->probe, &live->port, &live->path) == 0) {
		ready->port = live->port;
		ready->path = live->path;
	}
}

static int
is_bare(const struct options *opt)
{
	return (opt->job == NULL && !opt->explain && !story_wants_tokens(opt));
}

/* The code is not that of its snapshot; why is logged. */
static int
refuse_code(struct init_options *init, int status, const struct err *err)
{
	return (status < 128 ? give_up(init, err) : told_to_stop(init, status));
}

static int
print_plan(struct story *story, const struct options *opt, char **envp)
{
	struct err err = ERR_EMPTY;

	if (story_tell(story, opt, envp, &err) == 0)
		return (plan_print(&story->plan, opt->json, stdout) == 0 ? 0 : 125);
	log_err(&err);
	return (story->stop_signal != 0 ? 128 + story->stop_signal : err_exit_status(&err));
}

static int
run_job(const struct options *opt, struct init_options *init, struct story *story, char **envp)
{
	int64_t began_us = trace_begin();
	static struct err err;		/* init's options may point to it */
	int status;

	if (story_tell(story, opt, envp, &err) != 0)
		return (story->stop_signal != 0 ? told_to_stop(init, 128 + story->stop_signal) :
		    fail(init, &err));
	trace_span("phase", "read the spec and plan", began_us, NULL, NULL, 0);
	log_plan_warnings(&story->plan);
	if (opt->explain)
		plan_print(&story->plan, opt->log_json ? PLAN_JSON_LINE : opt->json, stderr);
	status = snapshot_check(opt, story, &err);
	if (status != 0)
		return (refuse_code(init, status, &err));
	set_probes(opt, &story->plan, init);
	init->with_control = opt->control != 0;
	init->plan = &story->plan;
	init->spec = &story->spec;
	init->facts = &story->facts;
	hide_inputs(story, opt, envp);
	if (prepare_mounts(story, &err) != 0)
		return (fail(init, &err));
	return (init_run(init));
}

int
run_command(struct options *opt, const struct init_inherited *inherited, char **envp)
{
	static struct story story;
	static struct account account;
	struct init_options init = { .inherited = *inherited, .envp = envp,
	    .grace_ms = opt->grace_ms, .leftover_ms = opt->leftover_ms,
	    .flush_ms = opt->flush_ms, .start_ms = opt->start_ms,
	    .watchdog_ms = opt->watchdog_ms, .group = opt->group,
	    .no_subreaper = opt->no_subreaper, .parent_death_signal = opt->parent_death_signal,
	    .exit_as_zero = opt->exit_as_zero, .audit_file = opt->audit,
	    .drain_ms = opt->drain_ms, .again = opt->again, .with_control = opt->control > 0,
	    .probe.listen_port = (int)opt->health_port, .launch = &opt->launch,
	    .hold_ms = opt->hold_ms };
	static struct err err;
	int status;

	if (opt->dry_run || opt->command == OPTIONS_PLAN)
		return (print_plan(&story, opt, envp));
	if (report_begin(&init.report, opt->report, opt->argv, &err) != 0 ||
	    (opt->trace != NULL && trace_open(opt->trace, &err) != 0))
		return (fail(&init, &err));
	if (opt->user != NULL) {
		if (account_find(&account, opt->user, &err) != 0)
			return (fail(&init, &err));
		opt->launch.account = &account;
	}
	keep_stop_signals(&opt->launch);
	if (!is_bare(opt))
		return (run_job(opt, &init, &story, envp));
	set_probes(opt, NULL, &init);
	status = opt->snapshot != NULL ? snapshot_check(opt, NULL, &err) : 0;
	return (status != 0 ? refuse_code(&init, status, &err) : run_bare(opt, &init));
}
