#include "identity/whose.h"

#include <string.h>

static int
is_id(const char *have, const char *named)
{
	return (have != NULL && str_same(have, named));
}

/* The identity of the compute that has this object or resource id. */
static const struct spec_uai *
find_uai(const struct plan *plan, const char *id)
{
	size_t i;

	for (i = 0; i < plan->nbroker_uais; i++)
		if (is_id(plan->broker_uais[i].object_id, id) ||
		    is_id(plan->broker_uais[i].resource_id, id))
			return (&plan->broker_uais[i]);
	return (NULL);
}

static int
may_have(const struct plan *plan, const char *client_id)
{
	size_t i;

	if (plan->broker_any_client_id)
		return (str_is_guid(client_id));
	for (i = 0; i < plan->nbroker_uais; i++)
		if (is_id(plan->broker_uais[i].client_id, client_id))
			return (1);
	return (0);
}

static int
by_client_id(const struct plan *plan, const char *id, struct plan_identity *ret,
    struct arena *mem)
{
	if (is_id(plan->broker_default.client_id, id))
		return (0);
	ret->client_id = id;
	ret->object_id = ret->resource_id = NULL;
	ret->label = arena_printf(mem, "managed identity %s", id);
	return (may_have(plan, id) ? 0 : -1);
}

static int
by_other_id(const struct plan *plan, const char *id, struct plan_identity *ret,
    struct arena *mem)
{
	const struct spec_uai *uai;

	if (is_id(plan->broker_default.object_id, id) ||
	    is_id(plan->broker_default.resource_id, id))
		return (0);
	uai = find_uai(plan, id);
	if (uai == NULL)
		return (-1);
	ret->client_id = uai->client_id;
	ret->object_id = uai->client_id != NULL ? NULL : uai->object_id;
	ret->resource_id = uai->client_id != NULL || uai->object_id != NULL ? NULL :
	    uai->resource_id;
	ret->label = arena_printf(mem, "managed identity %s", id);
	return (0);
}

int
whose_identity(const struct plan *plan, const char *client_id, const char *object_id,
    const char *resource_id, struct plan_identity *ret, struct arena *mem)
{
	*ret = plan->broker_default;
	if (client_id != NULL)
		return (by_client_id(plan, client_id, ret, mem));
	if (object_id != NULL || resource_id != NULL)
		return (by_other_id(plan, object_id != NULL ? object_id : resource_id, ret, mem));
	return (0);
}
