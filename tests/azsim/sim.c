#include "sim.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static const struct {
	const char *name;
	size_t at;
} knobs[] = {
	{ "latency_ms", offsetof(struct knobs, latency_ms) },
	{ "token_latency_ms", offsetof(struct knobs, token_latency_ms) },
	{ "rate_bytes_per_s", offsetof(struct knobs, rate_bytes_per_s) },
	{ "idle_ms", offsetof(struct knobs, idle_ms) },
	{ "token_lifetime_s", offsetof(struct knobs, token_lifetime_s) },
	{ "list_page_max", offsetof(struct knobs, list_page_max) },
	{ "list_empty_pages", offsetof(struct knobs, list_empty_pages) },
	{ "copy_pending_ms", offsetof(struct knobs, copy_pending_ms) },
	{ "dfs_batch", offsetof(struct knobs, dfs_batch) },
	{ "obo_empty", offsetof(struct knobs, obo_empty) },
	{ "sas_lifetime_s", offsetof(struct knobs, sas_lifetime_s) },
	{ "compute_instance", offsetof(struct knobs, compute_instance) },
	{ "arc_bad", offsetof(struct knobs, arc_bad) },
	{ "registry_no_arm", offsetof(struct knobs, registry_no_arm) },
	{ "registry_only_arm", offsetof(struct knobs, registry_only_arm) },
	{ "clock_ahead_s", offsetof(struct knobs, clock_ahead_s) },
	{ "gen1_open_max", offsetof(struct knobs, gen1_open_max) },
	{ "log", offsetof(struct knobs, log) },
};

static _Atomic int64_t *
knob_at(const struct knobs *k, size_t at)
{
	return ((_Atomic int64_t *)((uintptr_t)k + at));
}

int
knobs_set(struct knobs *k, const char *name, int64_t value)
{
	size_t i;

	for (i = 0; i < LENGTH(knobs); i++)
		if (strcmp(knobs[i].name, name) == 0) {
			*knob_at(k, knobs[i].at) = value;
			return (0);
		}
	return (-1);
}

void
knobs_each(const struct knobs *k, void (*fn)(void *, const char *, int64_t), void *arg)
{
	size_t i;

	for (i = 0; i < LENGTH(knobs); i++)
		fn(arg, knobs[i].name, *knob_at(k, knobs[i].at));
}

int64_t
sim_now(const struct sim *sim)
{
	return (clock_wall_s() + sim->knobs.clock_ahead_s);
}
