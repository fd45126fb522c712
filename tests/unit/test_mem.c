/* mem: arena, buf, strings, and the end of memory. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"

static void
arena_gives_zeroed_aligned_memory(void)
{
	struct arena a = ARENA_EMPTY;
	size_t i, j, dirty = 0, crooked = 0;

	for (i = 0; i < 2000; i++) {
		unsigned char *p = arena_alloc(&a, i % 97);

		crooked += (uintptr_t)p % _Alignof(max_align_t) != 0;
		for (j = 0; j < i % 97; j++)
			dirty += p[j] != 0;
		memset(p, 0xff, i % 97);
	}
	check_int(dirty, 0);
	check_int(crooked, 0);
	memset(arena_alloc(&a, 1000000), 1, 1000000);
	check_str(arena_strdup(&a, "abc"), "abc");
	check_str(arena_strndup(&a, "abcdef", 2), "ab");
	check_str(arena_strndup(&a, NULL, 0), "");
	check_str(arena_printf(&a, "%s-%d", "x", 7), "x-7");
	arena_done(&a);
	check(a.head == NULL);
	arena_done(&a);
}

static void
buf_grows_up_to_its_bound(void)
{
	auto_buf struct buf b = BUF_EMPTY;
	int i;

	check_str(buf_str(&b), "");
	for (i = 0; i < 1000; i++)
		buf_addc(&b, (char)('a' + i % 26));
	check_int(b.len, 1000);
	check(b.data[1000] == '\0' && b.data[999] == 'a' + 999 % 26);
	buf_reset(&b);
	check_str(buf_str(&b), "");
	check_int(buf_printf(&b, "%d %s", 12, "x"), 0);
	check_int(buf_adds(&b, "y"), 0);
	check_int(buf_add(&b, NULL, 0), 0);
	check_str(buf_str(&b), "12 xy");
	b.max = 7;
	check_int(buf_adds(&b, "abc"), -1);
	check_int(buf_printf(&b, "%s", "abc"), -1);
	check_str(buf_str(&b), "12 xy");
	check_int(buf_adds(&b, "ab"), 0);
	check_int(buf_addc(&b, 'c'), -1);
	check_str(buf_str(&b), "12 xyab");
	buf_done(&b);
	check(b.data == NULL && b.len == 0 && b.cap == 0);
}

static void
scope_ends_release(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), kept = fd;

	check(fd >= 0);
	{
		auto_close int scoped = fd;
		auto_free char *text = mem_strdup("x");

		check_str(text, "x");
		errno = 42;
		(void)scoped;
	}
	check_int(errno, 42);
	check_int(fcntl(kept, F_GETFD), -1);
}

static void
strings(void)
{
	char small[4];

	check_int(str_format(small, sizeof(small), "%d", 123), 0);
	check_int(str_format(small, sizeof(small), "%d", 1234), -1);
	check_str(small, "123");
	check(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc"));
	check(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("bc", "abc"));
	check(str_same("AbC", "aBc") && !str_same("a", "ab") && !str_same("[", "{"));
	check(str_same_loose("User_Identity", "useridentity"));
	check(str_same_loose("_a__b_", "AB") && str_same_loose("", "__"));
	check(!str_same_loose("ab", "a") && !str_same_loose("a-b", "ab"));
	check(str_is_guid("01234567-89ab-CDEF-0123-456789abcdef"));
	check(!str_is_guid("clientid") && !str_is_guid(""));
	check(!str_is_guid("01234567-89ab-cdef-0123-456789abcdef0"));
	check(!str_is_guid("01234567-89ab-cdef-0123-456789abcde"));
	check(!str_is_guid("01234567-89ab-cdeg-0123-456789abcdef"));
	check(!str_is_guid("0123456789ab-cdef-0123-456789abcdef00"));
}

static void
numbers(void)
{
	static const char *const bad[] = {
		"", "-", "+1", " 1", "1 ", "1x", "0x1", "1.0", "--1", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999999"
	};
	long long v = 5;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++)
		check_int(str_to_i64(bad[i], LLONG_MIN, LLONG_MAX, &v), -1);
	check_int(v, 5);
	check_int(str_to_i64("-9223372036854775808", LLONG_MIN, LLONG_MAX, &v), 0);
	check(v == LLONG_MIN);
	check_int(str_to_i64("9223372036854775807", 0, LLONG_MAX, &v), 0);
	check(v == LLONG_MAX);
	check_int(str_to_i64("007", 0, 7, &v), 0);
	check_int(v, 7);
	check_int(str_to_i64("8", 0, 7, &v), -1);
	check_int(str_to_i64("-1", 0, 7, &v), -1);
}

static void
utf8(void)
{
	static const struct {
		const char *text;
		size_t want;
	} cases[] = {
		{ "a", 1 }, { "\xc3\xa9", 2 }, { "\xe2\x82\xac", 3 }, { "\xf0\x9f\x98\x80", 4 },
		{ "", 0 }, { "\n", 0 }, { "\x7f", 0 }, { "\x80", 0 }, { "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 }, { "\xc2\x80", 0 }, { "\xc2\x9b", 0 }, { "\xc2\xa0", 2 },
		{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xed\xa0\x80", 0 },
		{ "\xed\x9f\xbf", 3 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 }, { "\xff", 0 },
		{ "\xe2\x82", 0 }, { "\xe2\x28\xa1", 0 }
	};
	size_t i;

	for (i = 0; i < LENGTH(cases); i++)
		check_int(str_utf8_printable(cases[i].text, strlen(cases[i].text)), cases[i].want);
}

static void
out_of_memory_ends_with_a_message(void)
{
	char text[128] = "";
	int fds[2], status = 0;
	pid_t child;
	ssize_t n;

	if (!check_int(pipe2(fds, O_CLOEXEC), 0))
		return;
	child = fork();
	if (child == 0) {
		struct buf b = { .data = NULL, .len = SIZE_MAX / 2 + 1 };

		dup2(fds[1], STDERR_FILENO);
		buf_addc(&b, 'x');
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	check_int(waitpid(child, &status, 0), child);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 125);
	check(n > 0 && strstr(text, "out of memory") != NULL && str_ends(text, "\n"));
}

int
main(void)
{
	arena_gives_zeroed_aligned_memory();
	buf_grows_up_to_its_bound();
	scope_ends_release();
	strings();
	numbers();
	utf8();
	out_of_memory_ends_with_a_message();
	return (check_done());
}
