#include "init/health.h"

#include <sys/mman.h>

struct health *
health_new(struct err *err)
{
	void *p = mmap(NULL, sizeof(struct health), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		err_errno(err, "share memory with the prober", NULL);
		return (NULL);
	}
	return (p);
}

void
health_free(struct health *h)
{
	if (h != NULL)
		munmap(h, sizeof(*h));
}

static const char *
flaw_of_running(const struct health *h, int for_ready)
{
	int is_told = h->probed == h->run;

	if (h->has_live && is_told && h->live == HEALTH_BAD)
		return ("the command fails its liveness probe");
	if (!for_ready)
		return (NULL);
	if (!h->job_runs)
		return ("the command is being started");
	if (!h->has_ready || (is_told && h->ready == HEALTH_GOOD))
		return (NULL);
	return (is_told && h->ready == HEALTH_BAD ? "the command fails its readiness probe" :
	    "the command has not answered its readiness probe yet");
}

const char *
health_flaw(const struct health *h, int for_ready)
{
	switch ((enum sup_state)h->phase) {
	case SUP_RUNNING:
		return (flaw_of_running(h, for_ready));
	case SUP_REPLACING:
		return ("the command failed its liveness probe and is being replaced");
	case SUP_PREPARING:
		return (for_ready ? "identities and data are being prepared" : NULL);
	case SUP_WAITING:
		return (for_ready ? "the command ended and will be started again" : NULL);
	case SUP_HOLDING:
		return (for_ready ? "it failed, and is held for somebody to look at it" : NULL);
	case SUP_LINGERING:
	case SUP_STOPPING:
	case SUP_DRAINING:
	case SUP_ENDED:
	case SUP_STATES:
		break;
	}
	return (for_ready ? "it is stopping" : NULL);
}
