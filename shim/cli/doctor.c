#include "cli/doctor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "azure/ca.h"
#include "azure/trust.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/advice.h"
#include "cli/doctor_parts.h"

#define HOST_MS		(3 * DOCTOR_CHECK_MS)	/* the name, the connection */
#define ACCESS_MS	(6 * DOCTOR_CHECK_MS)	/* token, listing, blob put and deleted */

/* ---- spec and plan ----------------------------------------------------- */

static void
check_spec(struct doctor *d)
{
	const struct spec *spec = &d->story->spec;
	struct err err = ERR_EMPTY;
	size_t i, odd = 0;

	if (story_read(d->story, d->opt, d->envp, &err) != 0) {
		d->has_facts = d->story->facts.environ != NULL;
		findings_err(&d->found, 1, "spec", "", &err);
		return;
	}
	d->has_facts = d->has_spec = 1;
	for (i = 0; i < spec->nremarks; i++)
		odd += spec->remarks[i].kind != SPEC_REMARK_UNUSED;
	findings_add(&d->found, odd > 0 ? FINDING_WARN : FINDING_OK, "spec", "",
	    "%zu inputs, %zu outputs, %zu datastores described%s", spec->job.ninputs,
	    spec->job.noutputs, spec->ndatastores, odd > 0 ? "; see the remarks above" : "");
}

/* Without FUSE there is no plan: then the rest is checked as if it were there. */
static int
decide(struct doctor *d, const char **ret_note, struct err *err)
{
	*ret_note = "";
	d->fuse = d->story->facts.fuse;
	if (story_decide(d->story, d->opt, err) == 0)
		return (0);
	if (err->remedy != REMEDY_GIVE_FUSE)
		return (-1);
	d->story->facts.fuse = FACTS_FUSE_OK;
	*ret_note = "; made as if FUSE were there";
	return (story_decide(d->story, d->opt, err));
}

static void
check_plan(struct doctor *d)
{
	const struct plan *plan = &d->story->plan;
	struct err err = ERR_EMPTY;
	const char *note;
	size_t i;

	if (!d->has_spec) {
		findings_add(&d->found, FINDING_SKIP, "plan", "", "there is no spec");
		return;
	}
	if (decide(d, &note, &err) != 0) {
		struct advice_case c = { .remedy = err.remedy,
		    .compute = d->story->spec.compute.name,
		    .resource_group = d->story->facts.resource_group,
		    .workspace = d->story->facts.workspace };

		findings_err(&d->found, 1, "plan", "", &err)->run =
		    advice_command(&c, &d->found.mem);
		return;
	}
	d->has_plan = 1;
	findings_add(&d->found, FINDING_OK, "plan", "", "%zu inputs and outputs that are data%s",
	    plan->naccesses, note);
	for (i = 0; i < plan->nwarnings; i++)
		findings_add(&d->found, FINDING_WARN, "plan", plan->warnings[i].rule, "%s",
		    plan->warnings[i].text);
}

static void
check_compute(struct doctor *d)
{
	const struct spec_compute *c = &d->story->spec.compute;
	const char *id = d->has_facts ? d->story->facts.default_client_id : NULL;

	if (!d->has_spec)
		return;
	if (!c->given) {
		findings_add(&d->found, FINDING_OK, "compute", "", "not described (--compute): "
		    "its identities cannot be checked; DEFAULT_IDENTITY_CLIENT_ID is %s",
		    id != NULL ? id : "not set");
		return;
	}
	findings_add(&d->found, FINDING_OK, "compute", c->name != NULL ? c->name : "",
	    "%s, %zu user-assigned identities; DEFAULT_IDENTITY_CLIENT_ID is %s",
	    c->has_system ? "a system-assigned identity" : "no system-assigned identity",
	    c->nuais, id != NULL ? id : "not set");
}

/* ---- several at once --------------------------------------------------- */

struct task {
	pthread_t	 thread;
	int		 started;
	const char	*check, *about;		/* for one that does not end */
	void		(*run)(void *, struct findings *);
	void		*arg;
	struct findings	 found;
};

static void *
task_thread(void *arg)
{
	struct task *t = arg;

	t->run(t->arg, &t->found);
	return (NULL);
}

static struct timespec
wall_deadline(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += ms / 1000;
	return (at);
}

/* One that hangs is left to itself, with all that it may use: the process ends soon. */
static void
run_all(struct doctor *d, struct task *tasks, size_t n, int ms)
{
	struct timespec at = wall_deadline(ms);
	struct err err = ERR_EMPTY;
	size_t i;

	for (i = 0; i < n; i++)
		tasks[i].started = pthread_create(&tasks[i].thread, NULL, task_thread,
		    &tasks[i]) == 0;
	for (i = 0; i < n; i++) {
		if (tasks[i].started && pthread_timedjoin_np(tasks[i].thread, NULL, &at) == 0) {
			findings_append(&d->found, &tasks[i].found);
			continue;
		}
		err_set(&err, ERR_UNREACHABLE, REMEDY_CHECK_ENDPOINT, "check", "no end in %d s",
		    ms / 1000);
		err_on(&err, "%s", tasks[i].about);
		findings_err(&d->found, 1, tasks[i].check, tasks[i].about, &err);
		d->hanging = 1;
	}
	if (!d->hanging)
		free(tasks);
}

static void
check_hosts(struct doctor *d)
{
	struct task *tasks;
	size_t i;

	if (!d->has_plan)
		return;
	doctor_list_hosts(d);
	tasks = mem_zalloc((d->nhosts + 1) * sizeof(*tasks));
	for (i = 0; i < d->nhosts; i++)
		tasks[i] = (struct task){ .check = "connect", .about = d->hosts[i].name,
		    .run = doctor_ask_host, .arg = &d->hosts[i] };
	run_all(d, tasks, d->nhosts, HOST_MS);
}

static void
check_accesses(struct doctor *d)
{
	struct doctor_access *accesses;
	struct task *tasks;
	size_t i, n;

	if (!d->has_plan) {
		findings_add(&d->found, FINDING_SKIP, "storage", "", "there is no plan");
		return;
	}
	n = d->story->plan.naccesses;
	d->keeper = keeper_new(&d->story->plan, &d->story->facts, d->http, d->cache);
	accesses = mem_zalloc((n + 1) * sizeof(*accesses));
	tasks = mem_zalloc((n + 1) * sizeof(*tasks));
	for (i = 0; i < n; i++) {
		accesses[i] = (struct doctor_access){ d, &d->story->plan.accesses[i] };
		tasks[i] = (struct task){ .check = "storage", .about = accesses[i].access->name,
		    .run = doctor_ask_access, .arg = &accesses[i] };
	}
	run_all(d, tasks, n, ACCESS_MS);
	if (!d->hanging)
		free(accesses);
}

/* ---- the table --------------------------------------------------------- */

static const struct {
	const char	*name;
	void		(*run)(struct doctor *);
} checks[] = {
	{ "spec", check_spec },
	{ "plan", check_plan },
	{ "compute", check_compute },
	{ "environment", doctor_environment },
	{ "capabilities", doctor_capabilities },
	{ "fuse", doctor_fuse },
	{ "cache-dir", doctor_cache_dir },
	{ "proc", doctor_proc },
	{ "memory", doctor_memory },
	{ "hosts", check_hosts },
	{ "accesses", check_accesses },
};

/* As http.c chooses them. */
static const char *
describe_roots(struct arena *mem)
{
	const char *file = ca_file();
	struct trust *trust = trust_new(file);
	size_t n = trust_count(trust);

	trust_free(trust);
	return (file != NULL ? arena_printf(mem, "the %zu roots of %s", n, file) :
	    arena_printf(mem, "the %zu roots that are built in", n));
}

static int
open_network(struct doctor *d, struct err *err)
{
	const struct http_options http = { .connect_timeout_ms = DOCTOR_CHECK_MS,
	    .stall_timeout_ms = DOCTOR_CHECK_MS };

	d->roots = describe_roots(&d->found.mem);
	if ((d->http = http_new(&http, err)) == NULL)
		return (-1);
	d->cache = cache_new(&d->story->facts, d->http, err);
	return (d->cache != NULL ? 0 : -1);
}

static void
close_network(struct doctor *d)
{
	if (d->hanging)
		return;
	keeper_free(d->keeper);
	cache_free(d->cache);
	http_free(d->http);
	free(d->hosts);
	findings_done(&d->found);
}

int
doctor_command(const struct options *opt, const struct init_inherited *inherited, char **envp)
{
	static struct story story;
	static struct doctor doctor = { .story = &story };
	struct err err = ERR_EMPTY;
	int status;
	size_t i;

	/* A command like any other: it can be interrupted. */
	if (sys_sigprocmask(SIG_SETMASK, &inherited->mask, NULL) != 0)
		log_debug("signals stay blocked: %s", strerror(errno));
	if (sys_harden_worker(0) != 0)
		log_debug("not hardened: %s", strerror(errno));
	doctor.opt = opt;
	doctor.envp = envp;
	if (open_network(&doctor, &err) != 0) {
		log_err(&err);
		return (err_exit_status(&err));
	}
	for (i = 0; i < LENGTH(checks); i++) {
		log_debug("checking %s", checks[i].name);
		checks[i].run(&doctor);
	}
	status = findings_exit_status(&doctor.found);
	if (findings_print(&doctor.found, opt->json, stdout) != 0)
		status = 125;
	close_network(&doctor);
	return (status);
}
