#include "init/safe.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/secret_fd.h"

#define OTHERS	3		/* the broker's default identity, the platform's two */

static struct secret **
list_secrets(struct plan *plan, struct facts *facts, size_t *ret_n)
{
	struct secret **list = mem_alloc((plan->naccesses + OTHERS) * sizeof(*list));
	size_t i, n = 0;

	for (i = 0; i < plan->naccesses; i++)
		list[n++] = &plan->accesses[i].identity.secret;
	list[n++] = &plan->broker_default.secret;
	list[n++] = &facts->msi_secret;
	list[n++] = &facts->identity_header;
	*ret_n = n;
	return (list);
}

int
safe_close(struct plan *plan, struct spec *spec, struct facts *facts, struct err *err)
{
	size_t i, n;
	auto_free struct secret **list = list_secrets(plan, facts, &n);
	int fd = secret_fd_new(list, n, err);

	for (i = 0; i < plan->naccesses; i++)		/* borrowed from the spec */
		plan->accesses[i].identity.secret = (struct secret){ NULL, 0 };
	plan->broker_default.secret = (struct secret){ NULL, 0 };
	spec_forget_secrets(spec);
	facts_forget_secrets(facts);
	return (fd);
}

int
safe_open(int fd, struct plan *plan, struct facts *facts, struct err *err)
{
	size_t n;
	auto_free struct secret **list = list_secrets(plan, facts, &n);

	return (secret_fd_open(fd, list, n, err));
}
