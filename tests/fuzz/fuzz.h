#ifndef FUZZ_H
#define FUZZ_H

/*
 * fuzz -- what the fuzzers share: must(), and an input taken apart into texts and numbers.
 *
 * A target is one file, fuzz_NAME.c; its seeds are tests/fuzz/corpus/NAME, words it may use
 * tests/fuzz/NAME.dict, and the functions it is for stand in tests/fuzz/PARSERS.  A target whose
 * parser is static includes the parser's file.  Inputs of several parts have lines of "%%"
 * between them, so that seeds can be read and written by hand.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define FUZZ_CUT	"\n%%\n"

struct input {
	const char	*at;
	size_t		 left;
};

#define must(cond)	must_line((cond) ? 1 : 0, __FILE__, __LINE__, #cond)

static inline void
must_line(int holds, const char *file, int line, const char *words)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, words);
	abort();
}

/* The next bytes up to cut, which is skipped, or all that is left; ends in a NUL. */
static inline char *
input_until(struct input *in, const char *cut, struct arena *mem, size_t *ret_len)
{
	const char *end = in->left == 0 ? NULL : memmem(in->at, in->left, cut, strlen(cut));
	size_t len = end != NULL ? (size_t)(end - in->at) : in->left;
	size_t taken = end != NULL ? len + strlen(cut) : len;
	char *text = arena_alloc(mem, len + 1);

	if (len > 0)
		memcpy(text, in->at, len);
	in->at += taken;
	in->left -= taken;
	if (ret_len != NULL)
		*ret_len = len;
	return (text);
}

static inline char *
input_part(struct input *in, struct arena *mem)
{
	return (input_until(in, FUZZ_CUT, mem, NULL));
}

static inline char *
input_line(struct input *in, struct arena *mem)
{
	return (input_until(in, "\n", mem, NULL));
}

/* Fills what it can; the rest is zero. */
static inline void
input_bytes(struct input *in, void *to, size_t size)
{
	size_t n = in->left < size ? in->left : size;

	memset(to, 0, size);
	if (n > 0)
		memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

/* A copy of exactly these bytes: the sanitizer sees who reads behind them.  To be freed. */
static inline char *
input_exact(const uint8_t *data, size_t size)
{
	char *copy = mem_alloc(size);

	if (size > 0)
		memcpy(copy, data, size);
	return (copy);
}

/* A complaint for a person: of this kind, with a cause, on one line. */
static inline void
must_complain(const struct err *err, enum err_kind kind)
{
	char line[4096];

	must(err->kind == kind && err->cause[0] != '\0');
	must(memchr(err->cause, '\0', sizeof(err->cause)) != NULL);
	must(strpbrk(err_line(err, line, sizeof(line)), "\r\n\x1b") == NULL);
}

/* A file of its own for this process, with these bytes in it; the same path each time. */
static inline const char *
input_file(const void *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	return (path);
}

/* What the code under test prints is not looked at; the fuzzer itself writes to stderr. */
static inline void
input_mute(void)
{
	static int done;

	if (!done)
		done = freopen("/dev/null", "w", stdout) != NULL;
}

#endif
