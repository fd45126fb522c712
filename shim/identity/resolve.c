#include "identity/resolve.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "azure/arm.h"
#include "base/log.h"
#include "base/wire.h"
#include "identity/caller.h"
#include "spec/dsuri.h"

#define AT_ONCE		16

struct resolver {
	const struct resolve_options *opt;
	struct arm	 arm;
};

/* What an asset is may be anything; a job may only be given data of a storage account. */
static int
check_uri(const struct cloud *cloud, const char *uri, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct dsuri u;
	int failed = dsuri_parse_in(cloud, &u, uri, &mem, err);

	if (failed == 0 && (u.form == DSURI_ASSET || u.form == DSURI_LOCAL))
		failed = err_set(err, ERR_PROTOCOL, REMEDY_CHECK_WORKSPACE,
		    "use the asset", "it stands for no data in a storage account");
	arena_done(&mem);
	return (failed);
}

static int
answer(struct resolver *r, const struct wire_want *want, struct wire_found *found)
{
	const struct spec_workspace w = { want->subscription, want->resource_group,
	    want->workspace };

	switch (want->kind) {
	case WIRE_WANT_DATASTORE:
		return (arm_datastore(&r->arm, &w, want->name, &found->datastore, &found->err));
	case WIRE_WANT_DEFAULT:
		return (arm_datastore(&r->arm, &w, NULL, &found->datastore, &found->err));
	case WIRE_WANT_ASSET:
	case WIRE_WANT_MODEL:
		if (arm_asset(&r->arm, &w, want->kind == WIRE_WANT_MODEL, want->name,
		    want->version[0] != '\0' ? want->version : NULL, &found->asset,
		    &found->err) != 0)
			return (-1);
		if (check_uri(facts_cloud(r->opt->facts), found->asset.uri, &found->err) == 0)
			return (0);
		return (err_on(&found->err, "%s of workspace %s", want->name,
		    want->workspace));
	default:
		return (err_set(&found->err, ERR_BUG, REMEDY_REPORT_BUG, "ask the workspace",
		    "a question of unknown kind %u", want->kind));
	}
}

static void *
answer_thread(void *arg)
{
	struct resolver *r = arg;
	struct wire_found *found = mem_alloc(sizeof(*found));
	struct wire_want want;

	while (wire_recv(r->opt->init_fd, &want, sizeof(want), -1) == 1) {
		memset(found, 0, sizeof(*found));
		found->id = want.id;
		if (answer(r, &want, found) != 0 && found->err.kind == ERR_NONE)
			err_set(&found->err, ERR_BUG, REMEDY_REPORT_BUG, "ask the workspace",
			    "it failed without a reason");
		if (wire_send(r->opt->init_fd, found, sizeof(*found)) != 0)
			break;
	}
	free(found);
	return (NULL);
}

static void __attribute__((noreturn))
fail(const struct err *err)
{
	log_err(err);
	_exit(err_exit_status(err));
}

void
resolve_main(const struct resolve_options *opt)
{
	static struct resolver r;
	static struct caller caller;
	struct http_options http = { .max_connections = AT_ONCE };
	pthread_t threads[AT_ONCE];
	struct err err = ERR_EMPTY;
	struct cache *cache;
	size_t i, n = 0;

	r.opt = opt;
	r.arm = (struct arm){ .http = http_new(&http, &err), .bearer = &caller.bearer,
	    .endpoint = facts_arm_endpoint(opt->facts), .resource = facts_cloud(opt->facts)->arm,
	    .api_version = opt->facts->arm_api_version, .deadline_ms = opt->deadline_ms };
	if (r.arm.http == NULL || (cache = cache_new(opt->facts, r.arm.http, &err)) == NULL)
		fail(&err);
	caller_init(&caller, cache, opt->as);
	for (i = 0; i < AT_ONCE; i++)
		if (pthread_create(&threads[n], NULL, answer_thread, &r) == 0)
			n++;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	_exit(n > 0 ? 0 : 125);		/* memory with tokens goes with the process */
}
