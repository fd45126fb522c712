#include "base/relro.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker's: where the file's header is, which is the beginning of what was loaded. */
extern const ElfW(Ehdr) header __asm__("__ehdr_start") __attribute__((visibility("hidden")));

void
relro_protect(void)
{
	const uintptr_t base = (uintptr_t)&header, page = (uintptr_t)getpagesize();
	const ElfW(Phdr) *p = (const ElfW(Phdr) *)(base + header.e_phoff);
	uintptr_t begin, end;
	int i;

	for (i = 0; i < header.e_phnum; i++) {
		if (p[i].p_type != PT_GNU_RELRO)
			continue;
		begin = (base + p[i].p_vaddr) / page * page;
		end = (base + p[i].p_vaddr + p[i].p_memsz) / page * page;
		(void)mprotect((void *)begin, end - begin, PROT_READ);
	}
}
