#include "init/answer.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define PUT(to, text)	(void)str_format((to), sizeof(to), "%s", (text) != NULL ? (text) : "")

static void
put_health(const struct answer_view *v, struct control_head *head)
{
	const char *live = health_flaw(v->health, 0), *ready = health_flaw(v->health, 1);
	char names[128];

	head->is_live = live == NULL;
	head->is_ready = ready == NULL;
	PUT(head->live_flaw, live);
	PUT(head->ready_flaw, ready);
	if (v->phase == SUP_PREPARING && v->workers->n != 0)
		(void)str_format(head->ready_flaw, sizeof(head->ready_flaw),
		    "not ready yet: %s", workers_waited_for(v->workers, names, sizeof(names)));
	if (v->probe->liveness.port != 0) {
		head->live_port = v->probe->liveness.port;
		PUT(head->live_path, v->probe->liveness.path);
		head->live_failures = v->health->live_failures;
	}
	if (v->probe->readiness.port != 0) {
		head->ready_port = v->probe->readiness.port;
		PUT(head->ready_path, v->probe->readiness.path);
		head->ready_failures = v->health->ready_failures;
	}
}

static void
put_head(const struct answer_view *v, struct control_head *head)
{
	(void)str_format(head->program, sizeof(head->program), "%s", AMLSHIM_VERSION);
	PUT(head->phase, supervise_state_name(v->phase));
	PUT(head->job, v->command);
	head->pid = getpid();
	head->job_pid = v->job->pid;
	head->restarts = v->restarts;
	head->last_status = v->last_status;
	head->nworkers = (uint32_t)v->workers->n;
	head->naccesses = v->plan != NULL ? (uint32_t)v->plan->naccesses : 0;
	head->started_unix_s = v->started_unix_s;
	head->job_started_unix_s = v->job->pid != 0 ? v->job_started_unix_s : 0;
	head->now_unix_s = clock_wall_s();
	head->orphans = v->orphans;
	put_health(v, head);
}

static const char *
state_word(const struct worker *w)
{
	if (w->pid == 0)
		return (w->done ? "done" : "gone");
	switch (w->state) {
	case WORKER_STARTING:
		return ("starting");
	case WORKER_READY:
		return ("ready");
	case WORKER_STOPPING:
		break;
	}
	return ("stopping");
}

static void
put_worker(const struct worker *w, struct control_worker *ret)
{
	const struct vitals *vitals = w->vitals;
	const struct wire_stats *told = &w->stats;
	int64_t beat = vitals->beat_ms;

	PUT(ret->name, w->name);
	PUT(ret->state, state_word(w));
	ret->pid = w->pid;
	ret->is_mount = w->mounted;
	ret->life = w->life;
	ret->beat_age_ms = beat == 0 ? -1 : clock_ms() - beat;
	/* Vitals are of now; what it told, of the end or of its last progress. */
	ret->requests = vitals->requests != 0 ? vitals->requests : told->requests;
	ret->retries = vitals->retries != 0 ? vitals->retries : told->retries;
	ret->bytes_read = vitals->bytes_read != 0 ? vitals->bytes_read : told->bytes_read;
	ret->bytes_written = vitals->bytes_written != 0 ? vitals->bytes_written :
	    told->bytes_written;
	ret->in_flight = vitals->in_flight;
	ret->waiting = vitals->waiting;
	ret->open_files = vitals->open_files;
	ret->dirty_files = vitals->dirty_files;
	ret->files_done = told->files_done;
	ret->files_total = told->files_total;
	ret->tokens = vitals->tokens;
}

static void
put_access(const struct answer_view *v, uint32_t index, struct control_access *ret)
{
	const struct plan_access *a = &v->plan->accesses[index];
	uint32_t slot = index < VITALS_IDENTITIES ? index : VITALS_IDENTITIES - 1;

	PUT(ret->name, a->name);
	ret->is_output = a->is_output;
	PUT(ret->action, plan_action_name(a->action));
	PUT(ret->target, a->target != NULL ? a->target : a->value);
	PUT(ret->uri, a->uri);
	PUT(ret->identity, a->identity.label);
	if (v->workers->n != 0)
		ret->token_expiry_s = v->workers->list[0].vitals->token_expiry_s[slot];
}

int
answer_make(const struct answer_view *v, const struct control_request *request,
    struct control_answer *ret)
{
	switch (request->part) {
	case CONTROL_HEAD:
		put_head(v, &ret->head);
		return (0);
	case CONTROL_WORKER:
		if (request->index >= v->workers->n)
			return (-1);
		put_worker(&v->workers->list[request->index], &ret->worker);
		return (0);
	case CONTROL_ACCESS:
		if (v->plan == NULL || request->index >= v->plan->naccesses)
			return (-1);
		put_access(v, request->index, &ret->access);
		return (0);
	default:
		return (-1);
	}
}
