/* secret, secret_fd: owned, bounded, wiped; kept for a process that is forked later. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/secret_fd.h"
#include "base/secret_mem.h"
#include "base/sys.h"
#include "check.h"

static void
set_copy_and_drop(void)
{
	struct secret a = { 0 }, b = { 0 };
	struct err e = ERR_EMPTY;
	char *big = calloc(1, SECRET_MAX + 1);

	check_int(secret_set(&a, "token-1", 5, &e), 0);
	check_str(a.text, "token");
	check_int(a.len, 5);
	check_int(secret_set(&a, a.text + 1, 3, &e), 0);	/* from itself */
	check_str(a.text, "oke");
	check_int(secret_copy(&b, &a, &e), 0);
	check(b.text != a.text);
	check_str(b.text, "oke");
	check_int(secret_copy(&b, &b, &e), 0);
	check_str(b.text, "oke");

	memset(big, 'x', SECRET_MAX + 1);
	check_int(secret_set(&a, big, SECRET_MAX, &e), 0);
	check_int(a.len, SECRET_MAX);
	check_int(secret_set(&a, big, SECRET_MAX + 1, &e), -1);
	check_int(a.len, SECRET_MAX);
	check_int(secret_set(&a, "a\0b", 3, &e), -1);
	check(strstr(e.cause, "NUL") != NULL);
	free(big);

	secret_done(&a);
	secret_done(&a);
	check(a.text == NULL && a.len == 0);
	check_int(secret_copy(&b, &a, &e), 0);	/* of an empty one */
	check_int(b.len, 0);
	secret_done(&b);
}

static void
comparison(void)
{
	struct secret s = { 0 };
	struct err e = ERR_EMPTY;

	check(secret_equal(&s, "", 0));
	check(!secret_equal(&s, "a", 1));
	secret_set(&s, "abc", 3, &e);
	check(secret_equal(&s, "abc", 3));
	check(!secret_equal(&s, "abd", 3) && !secret_equal(&s, "xbc", 3));
	check(!secret_equal(&s, "ab", 2) && !secret_equal(&s, "abcd", 4));
	secret_done(&s);
}

static void
random_digits(void)
{
	struct secret a = { 0 }, b = { 0 };
	struct err e = ERR_EMPTY;
	int i, seen[256] = { 0 }, distinct = 0;

	check_int(secret_random_hex(&a, 32, &e), 0);
	check_int(secret_random_hex(&b, 32, &e), 0);
	check_int(a.len, 64);
	check_int(strspn(a.text, "0123456789abcdef"), 64);
	check(!secret_equal(&a, b.text, b.len));
	check_int(secret_random_hex(&a, 4096, &e), 0);
	check_int(strspn(a.text, "0123456789abcdef"), 8192);
	for (i = 0; i < 4096; i++) {
		char pair[3] = { a.text[2 * i], a.text[2 * i + 1], '\0' };

		distinct += seen[strtol(pair, NULL, 16)]++ == 0;
	}
	check(distinct > 250);
	check_int(secret_random_hex(&a, 0, &e), 0);
	check_int(a.len, 0);
	check_int(secret_random_hex(&a, SECRET_MAX / 2 + 1, &e), -1);
	check_int(secret_random_hex(&a, (size_t)-1, &e), -1);
	secret_done(&a);
	secret_done(&b);
}

static void
wiping(void)
{
	char memory[16] = "password";
	static const char zero[16];

	secret_wipe(memory, sizeof(memory));
	check(memcmp(memory, zero, sizeof(memory)) == 0);
	secret_wipe(NULL, 0);
}

/* The memory is memfd_secret(2)'s if this kernel gives any; its number is the same everywhere. */
static int
is_as_secret_as_can_be(int fd)
{
	long probe = syscall(447, 0);
	char path[32], name[64] = "";

	if (probe < 0)
		return (1);
	close((int)probe);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return (0);
	return (strstr(name, "secretmem") != NULL);
}

/* What a later child finds; and not the process that made it. */
static void
kept_for_children(void)
{
	struct secret key = { 0 }, none = { 0 }, other = { 0 }, got[3] = { { 0 } };
	struct secret *const in[] = { &key, &none, &other };
	struct secret *const out[] = { &got[0], &got[1], &got[2] };
	struct err e = ERR_EMPTY;
	int life, fd, status;

	check_int(secret_set(&key, "the account's key", 17, &e), 0);
	check_int(secret_set(&other, "x", 1, &e), 0);
	fd = secret_fd_new(in, 3, &e);
	check(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	check(is_as_secret_as_can_be(fd));
	secret_done(&key);
	secret_done(&other);
	for (life = 0; life < 2; life++) {
		if (fork() == 0)
			_exit(secret_fd_open(fd, out, 3, &e) != 0 || got[0].len != 17 ||
			    strcmp(got[0].text, "the account's key") != 0 || got[1].text != NULL ||
			    got[1].len != 0 || got[2].len != 1 || got[2].text[0] != 'x');
		check(wait(&status) > 0);
		check_int(status, 0);
	}
	check_int(secret_fd_open(fd, out, 2, &e), -1);
	check_int(e.kind, ERR_BUG);
	close(fd);
	check_int(secret_fd_open(fd, out, 3, &e), -1);
	check_int(e.kind, ERR_SYSTEM);
}

/* Docker's limit of 64 KiB, which the secrets that were inherited have used up. */
static void
kept_within_the_limit(void)
{
	enum { MANY = 16, EACH = 5000 };
	static const struct rlimit limit = { 65536, 65536 };
	static const struct sys_caps nothing;
	struct secret many[MANY] = { { 0 } }, key = { 0 }, got = { 0 };
	struct secret *const in[] = { &key }, *const out[] = { &got };
	struct err e = ERR_EMPTY;
	char *text = calloc(1, EACH);
	int i, fd, status = 0;

	memset(text, 'x', EACH);
	for (i = 0; i < MANY; i++)
		check_int(secret_set(&many[i], text, EACH, &e), 0);
	check_int(secret_set(&key, "the account's key", 17, &e), 0);
	fd = secret_fd_new(in, 1, &e);
	if (fork() == 0) {
		if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || sys_set_caps(&nothing) != 0)
			_exit(2);
		secret_mem_lock();
		_exit(secret_fd_open(fd, out, 1, &e) != 0 ||
		    strcmp(got.text, "the account's key") != 0);
	}
	check(wait(&status) > 0);
	check_int(status, 0);
	close(fd);
	for (i = 0; i < MANY; i++)
		secret_done(&many[i]);
	secret_done(&key);
	free(text);
}

/* What the fallback keeps is read as well, and only what fits. */
static void
kept_in_a_memfd(void)
{
	struct { uint32_t n, len[2]; char text[8]; } bytes = { 2, { 2, 3 }, "ab\0cde" };
	struct secret got[2];
	struct secret *const out[] = { &got[0], &got[1] };
	struct err e;
	int fd = sys_memfd("secrets");

	check_int(write(fd, &bytes, sizeof(bytes)), (long long)sizeof(bytes));
	check_int(secret_fd_open(fd, out, 2, &e), 0);
	check_str(got[0].text, "ab");
	check_str(got[1].text, "cde");
	bytes.len[1] = 5;			/* its NUL would be behind the end */
	check_int(pwrite(fd, &bytes, sizeof(bytes), 0), (long long)sizeof(bytes));
	check_int(secret_fd_open(fd, out, 2, &e), -1);
	bytes.len[1] = UINT32_MAX;
	check_int(pwrite(fd, &bytes, sizeof(bytes), 0), (long long)sizeof(bytes));
	check_int(secret_fd_open(fd, out, 2, &e), -1);
	bytes.len[1] = 2;			/* ends in no NUL */
	check_int(pwrite(fd, &bytes, sizeof(bytes), 0), (long long)sizeof(bytes));
	check_int(secret_fd_open(fd, out, 2, &e), -1);
	check_int(e.kind, ERR_BUG);
	close(fd);
}

/* 1: VmFlags of the mapping that holds the address have all of these words. */
static int
has_flags(const void *address, const char *const *words, size_t n)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	int here = 0, has = 0;
	char line[512];
	size_t i;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)address >= from && (uintptr_t)address < to;
		if (!here || strncmp(line, "VmFlags:", 8) != 0)
			continue;
		for (i = 0; i < n && strstr(line, words[i]) != NULL; i++)
			;
		has = i == n;
	}
	if (maps != NULL)
		fclose(maps);
	return (has);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKS	0		/* their mlock(2) does nothing */
#else
#define LOCKS	1
#endif

/* Left out of dumps and locked, also for a child that makes secrets of its own. */
static void
kept_in_memory(void)
{
	static const char *const undumped[] = { " dd" }, *const locked[] = { " dd", " lo" };
	struct rlimit limit = { 0, 0 };
	struct secret s = { 0 }, more = { 0 };
	struct err e = ERR_EMPTY;
	int can, status = 0;

	check_int(secret_set(&s, "token", 5, &e), 0);
	check_int(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	can = LOCKS && limit.rlim_cur >= 65536;
	check(has_flags(s.text, can ? locked : undumped, can ? 2 : 1));
	if (fork() == 0)
		_exit(secret_set(&more, "x", 1, &e) != 0 ||
		    !has_flags(s.text, can ? locked : undumped, can ? 2 : 1));
	check(wait(&status) > 0);
	check_int(status, 0);
	secret_done(&s);
}

/* Many of all sizes, in any order: none is another's, and what was one is wiped. */
static void
room_for_many(void)
{
	enum { MANY = 400 };
	struct secret list[MANY] = { { 0 } };
	struct err e = ERR_EMPTY;
	char *text = calloc(1, SECRET_MAX), *was;
	int i, round, wrong = 0;

	for (round = 0; round < 3; round++)
		for (i = 0; i < MANY; i++) {
			size_t len = (size_t)(i * 37 + round * 911) % 5000 + 1;

			memset(text, 'a' + (i + round) % 26, len);
			wrong += secret_set(&list[(i * 7) % MANY], text, len, &e) != 0;
		}
	for (i = 0; i < MANY; i++) {
		memset(text, 'a' + (i + 2) % 26, SECRET_MAX);
		wrong += !secret_equal(&list[(i * 7) % MANY], text,
		    (size_t)(i * 37 + 2 * 911) % 5000 + 1);
	}
	check_int(wrong, 0);
	was = list[0].text;
	for (i = 0; i < MANY; i++)
		secret_done(&list[i]);
	check(was[0] == '\0');
	free(text);
}

/* What a library lets go of. */
static void
wiped_when_freed(void)
{
	char *p = malloc(64), *q;

	memset(p, 'x', 64);
	check(secret_grow(p, 10) == p);
	q = secret_grow(p, 100000);
	check(q != p && memcmp(q, "xxxxxxxx", 8) == 0);
	secret_free(q);
	secret_free(NULL);
	q = secret_grow(NULL, 10);
	check(q != NULL);
	secret_free(q);
}

int
main(void)
{
	kept_in_memory();
	room_for_many();
	wiped_when_freed();
	kept_for_children();
	kept_within_the_limit();
	kept_in_a_memfd();
	set_copy_and_drop();
	comparison();
	random_digits();
	wiping();
	return (check_done());
}
