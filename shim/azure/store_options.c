#include "azure/store.h"
#include "plan/plan.h"

struct store_options
store_options_of(const struct plan_access *a)
{
	return ((struct store_options){ .kind = a->store, .base_url = a->base_url,
	    .account = a->account, .container = a->container, .hns = a->hns,
	    .datastore = a->datastore, .identity = a->identity.label,
	    .is_output = a->is_output });
}
