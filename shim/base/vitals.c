#include "base/vitals.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"

static const char op[] = "share memory with a worker";

struct vitals *
vitals_new(size_t n, int *ret_fd, struct err *err)
{
	auto_close int fd = sys_memfd("vitals");
	struct vitals *v;

	if (fd < 0 || ftruncate(fd, (off_t)(n * sizeof(*v))) != 0) {
		err_errno(err, op, NULL);
		return (NULL);
	}
	if ((v = vitals_map(fd, n, err)) != NULL)
		*ret_fd = fd_take(&fd);
	return (v);
}

struct vitals *
vitals_map(int fd, size_t n, struct err *err)
{
	size_t bytes = n * sizeof(struct vitals);
	void *p = MAP_FAILED;
	struct stat st;

	/* Beyond its end there would be SIGBUS. */
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)bytes)
		p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_errno(err, op, NULL);
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
