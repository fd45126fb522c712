#include "identity/caller.h"

static int
get(void *arg, const char *resource, uint64_t newer_than, int64_t deadline_ms,
    struct secret *ret, uint64_t *ret_generation, struct err *err)
{
	const struct caller *c = arg;
	struct token t = { .generation = 0 };
	int failed;

	if (cache_get(c->cache, c->as, resource, newer_than, deadline_ms, &t, err) != 0)
		return (-1);
	failed = secret_copy(ret, &t.text, err);
	*ret_generation = t.generation;
	token_done(&t);
	return (failed);
}

void
caller_init(struct caller *c, struct cache *cache, const struct plan_identity *as)
{
	*c = (struct caller){ .bearer = { .get = get, .arg = c, .label = as->label },
	    .cache = cache, .as = as };
}
