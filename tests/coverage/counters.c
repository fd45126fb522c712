/*
 * counters -- what gcov counts stands in a file that all processes of a program share.
 *
 * gcov writes at exit, and most of amlshim's processes have none: they are killed, end by _exit(),
 * execute something else, may not open files, or are another user.  So each program of this build
 * maps COUNTERS_DIR/BUILD-ID over its counters when it starts, before main() and whatever confines
 * it; a fork inherits the mapping.  Counters are atomic (-fprofile-update=atomic), so many
 * processes may add.  Where the directory is out of sight (a chroot), nothing is counted.
 *
 * COUNTERS_DUMP=1 in the environment has a program write gcov's own files from them, merged with
 * those that are there, and end.  Compiled without --coverage; no part of any other build.
 */
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_LEN	1024
#define ID_MAX		20
#define ROUND_UP(n)	(((n) + 3) / 4 * 4)

/* From counters.ld. */
extern char counters_begin[], counters_end[];

/* libgcov's: writes the files; and what its destructors call, which is to do nothing. */
void	__gcov_dump(void);
void	__wrap___gcov_exit(void);

void
__wrap___gcov_exit(void)
{
}

struct id {
	unsigned char	bytes[ID_MAX];
	size_t		len;
};

/* The program itself comes first; one look is enough. */
static int
find_id(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct id *id = arg;
	const ElfW(Nhdr) *note;
	uintptr_t at, end;
	int i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_NOTE)
			continue;
		at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		end = at + info->dlpi_phdr[i].p_memsz;
		while (at + sizeof(*note) <= end) {
			note = (const void *)at;
			at += sizeof(*note) + ROUND_UP(note->n_namesz);
			if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= ID_MAX) {
				id->len = note->n_descsz;
				memcpy(id->bytes, (const void *)at, id->len);
			}
			at += ROUND_UP(note->n_descsz);
		}
	}
	return (1);
}

static void
map_counters(void)
{
	struct id id = { .len = 0 };
	char path[NAME_MAX_LEN];
	off_t size = counters_end - counters_begin;
	size_t i, len;
	int fd;

	dl_iterate_phdr(find_id, &id);
	len = (size_t)snprintf(path, sizeof(path), "%s/", COUNTERS_DIR);
	for (i = 0; i < id.len; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "%02x", id.bytes[i]);
	/* Not by libc's functions, which tests make fail and count. */
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	(void)syscall(SYS_fchmod, fd, 0666);
	if (syscall(SYS_ftruncate, fd, size) == 0)
		(void)syscall(SYS_mmap, counters_begin, (size_t)size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	(void)syscall(SYS_close, fd);
}

static void __attribute__((constructor))
begin(void)
{
	map_counters();
	if (getenv("COUNTERS_DUMP") != NULL) {
		__gcov_dump();
		_exit(0);
	}
}
