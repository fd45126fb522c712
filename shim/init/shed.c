#include "init/shed.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker's: what follows the tables. */
extern const char _DYNAMIC[] __attribute__((visibility("hidden")));

/* The first of the tables that are not needed, by the order of linking. */
static const void *const shed_marker __attribute__((used)) = &shed_marker;

void
shed_tables(void)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t begin = ((uintptr_t)&shed_marker + page - 1) / page * page;
	uintptr_t end = (uintptr_t)_DYNAMIC / page * page;

	if (begin < end)
		munmap((void *)begin, end - begin);
}
