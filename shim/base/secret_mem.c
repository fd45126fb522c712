#include "base/secret_mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNIT		128u
#define FIRST_BYTES	(16u * 1024)	/* what is locked counts against the limit at once */
#define MORE_BYTES	(64u * 1024)

struct pool {
	struct pool	*next;
	char		*memory;
	size_t		 nunits;
	pid_t		 locked_by;	/* tried to, at least */
	unsigned char	 used[];	/* one a unit */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* guards the pools; innermost */
static struct pool *pools;

static size_t
units_of(size_t size)
{
	return (size / UNIT + 1);
}

static void
lock_pages(struct pool *p)
{
	pid_t self = getpid();
	int saved = errno;

	if (p->locked_by == self)
		return;
	p->locked_by = self;
	if (mlock(p->memory, p->nunits * UNIT) != 0)
		errno = saved;		/* the limit */
}

static struct pool *
new_pool(size_t units)
{
	size_t bytes = pools == NULL ? FIRST_BYTES : MORE_BYTES;
	struct pool *p;
	int saved = errno;

	while (bytes < units * UNIT)
		bytes += MORE_BYTES;
	p = calloc(1, sizeof(*p) + bytes / UNIT);
	if (p == NULL)
		return (NULL);
	p->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		free(p);
		return (NULL);
	}
	if (madvise(p->memory, bytes, MADV_DONTDUMP) != 0)
		errno = saved;
	p->nunits = bytes / UNIT;
	p->next = pools;
	pools = p;
	return (p);
}

/* So many free ones in a row: the first of them; SIZE_MAX: there are none. */
static size_t
find_room(const struct pool *p, size_t units)
{
	size_t i, run = 0;

	for (i = 0; i < p->nunits; i++) {
		run = p->used[i] ? 0 : run + 1;
		if (run == units)
			return (i + 1 - units);
	}
	return (SIZE_MAX);
}

void *
secret_mem_new(size_t size)
{
	size_t units = units_of(size), at = SIZE_MAX;
	struct pool *p;

	pthread_mutex_lock(&lock);
	for (p = pools; p != NULL; p = p->next)
		if ((at = find_room(p, units)) != SIZE_MAX)
			break;
	if (p == NULL && (p = new_pool(units)) != NULL)
		at = 0;
	if (p != NULL) {
		memset(p->used + at, 1, units);
		lock_pages(p);
	}
	pthread_mutex_unlock(&lock);
	return (p != NULL ? p->memory + at * UNIT : NULL);
}

void
secret_mem_free(void *memory, size_t size)
{
	uintptr_t offset;
	struct pool *p;

	if (memory == NULL)
		return;
	pthread_mutex_lock(&lock);
	for (p = pools; p != NULL; p = p->next) {
		offset = (uintptr_t)memory - (uintptr_t)p->memory;
		if (offset >= p->nunits * UNIT)
			continue;
		explicit_bzero(memory, size);
		memset(p->used + offset / UNIT, 0, units_of(size));
		break;
	}
	pthread_mutex_unlock(&lock);
}

void
secret_mem_lock(void)
{
	struct pool *p;

	pthread_mutex_lock(&lock);
	for (p = pools; p != NULL; p = p->next)
		lock_pages(p);
	pthread_mutex_unlock(&lock);
}

void
secret_mem_unlock(void)
{
	struct pool *p;
	int saved = errno;

	pthread_mutex_lock(&lock);
	for (p = pools; p != NULL; p = p->next)
		if (munlock(p->memory, p->nunits * UNIT) != 0)
			errno = saved;		/* it was not locked */
	pthread_mutex_unlock(&lock);
}
