#include "base/secret_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret_mem.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447	/* the same on every machine; musl has it for some */
#endif

static const char op[] = "keep secrets for the agent";

/* How many there are, their lengths, then their texts, each with a NUL. */
static size_t
bytes_of(struct secret *const *list, size_t n)
{
	size_t i, bytes = (n + 1) * sizeof(uint32_t);

	for (i = 0; i < n; i++)
		bytes += list[i]->len + 1;
	return (bytes);
}

static void
write_down(char *to, struct secret *const *list, size_t n)
{
	uint32_t *head = (uint32_t *)(void *)to;
	char *text = to + (n + 1) * sizeof(*head);
	size_t i;

	head[0] = (uint32_t)n;
	for (i = 0; i < n; i++) {
		head[i + 1] = (uint32_t)list[i]->len;
		if (list[i]->len != 0)
			memcpy(text, list[i]->text, list[i]->len);
		text += list[i]->len + 1;
	}
}

/* Closes fd if it fails. */
static int
fill(int fd, struct secret *const *list, size_t n)
{
	size_t bytes = bytes_of(list, n);
	char *memory = MAP_FAILED;

	if (ftruncate(fd, (off_t)bytes) == 0)
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		close(fd);
		return (-1);
	}
	write_down(memory, list, n);
	munmap(memory, bytes);
	return (fd);
}

int
secret_fd_new(struct secret *const *list, size_t n, struct err *err)
{
	/* mm/secretmem.c wants O_CLOEXEC; the FD_CLOEXEC of memfd_secret(2) is refused. */
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0)			/* may be more than we may lock: then the other way */
		fd = fill(fd, list, n);
	if (fd >= 0)
		return (fd);
	fd = memfd_create("secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0)
		fd = fill(fd, list, n);
	if (fd < 0)
		return (err_errno(err, op, NULL));
	fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return (fd);
}

/* Memory of memfd_secret(2) cannot be mapped unless the limit allows it to be locked. */
static char *
map(int fd, size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	if (memory != MAP_FAILED || errno != EAGAIN)
		return (memory);
	secret_mem_unlock();
	return (mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0));
}

/* -1: that is not what was written down. */
static int
read_back(const char *from, size_t bytes, struct secret *const *list, size_t n)
{
	const uint32_t *head = (const uint32_t *)(const void *)from;
	size_t i, at = (n + 1) * sizeof(*head);

	if (bytes < at || head[0] != n)
		return (-1);
	for (i = 0; i < n; i++) {
		if (head[i + 1] >= bytes - at || from[at + head[i + 1]] != '\0')
			return (-1);
		*list[i] = (struct secret){ NULL, 0 };
		if (head[i + 1] != 0)
			*list[i] = (struct secret){ (char *)(uintptr_t)from + at, head[i + 1] };
		at += head[i + 1] + 1;
	}
	return (0);
}

int
secret_fd_open(int fd, struct secret *const *list, size_t n, struct err *err)
{
	struct stat st;
	char *memory = MAP_FAILED;

	if (fstat(fd, &st) == 0 && st.st_size > 0)
		memory = map(fd, (size_t)st.st_size);
	if (memory == MAP_FAILED)
		return (err_errno(err, op, NULL));
	/* Each may be all there is: locked if the limit allows, left out of dumps in any case. */
	if (madvise(memory, (size_t)st.st_size, MADV_DONTDUMP) != 0)
		errno = 0;
	if (mlock(memory, (size_t)st.st_size) != 0)
		errno = 0;
	if (read_back(memory, (size_t)st.st_size, list, n) != 0)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, op, "they are not as written"));
	return (0);
}
