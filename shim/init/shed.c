#include "init/shed.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker's: what follows the tables, and the end of all data. */
extern const char tables_end[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));
extern const char data_end[] __asm__("_end") __attribute__((visibility("hidden")));

/* The first of the tables that are not needed, by the order of linking. */
static const void *const shed_marker __attribute__((used)) = &shed_marker;
/* The same of what is zero at the start. */
static char shed_zeroes[1] __attribute__((used));

static uintptr_t
round_up(const void *at, uintptr_t page)
{
	return (((uintptr_t)at + page - 1) / page * page);
}

void
shed_tables(void)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t begin = round_up(&shed_marker, page), end = (uintptr_t)tables_end / page * page;

	if (begin < end)
		munmap((void *)begin, end - begin);
	/* A library has set a number here before main; it may be zero again. */
	begin = round_up(shed_zeroes, page);
	end = round_up(data_end, page);
	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
