#include "plan/tuning.h"

#define MEMORY_DEFAULT	((int64_t)256 << 20)

void
plan_tuning_settle(struct plan_tuning *t)
{
	if (t->memory_bytes == 0)
		t->memory_bytes = MEMORY_DEFAULT;
}
