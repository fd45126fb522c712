#include "base/vitals.h"

#include <sys/mman.h>

struct vitals *
vitals_new(size_t n, struct err *err)
{
	void *p = mmap(NULL, n * sizeof(struct vitals), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		err_errno(err, "share memory with a worker", NULL);
		return (NULL);
	}
	return (p);
}

void
vitals_free(struct vitals *v, size_t n)
{
	if (v != NULL)
		munmap(v, n * sizeof(struct vitals));
}
