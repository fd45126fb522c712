#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

/*
 * check -- a unit test in TAP: each check prints one line, check_done the plan.
 *
 *	int main(void) { check(1 + 1 == 2); check_int(f(), 3); return (check_done()); }
 *
 * Checks return 1 if they hold, so that a test can leave early.  Each line is
 * flushed: a test may fork; a child that checks must not reach check_done.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static _Atomic int check_count, check_failures;	/* servers in threads check, too */

static inline int
check_line(int ok, const char *file, int line, const char *words)
{
	check_failures += !ok;
	flockfile(stdout);
	printf("%sok %d - %s:%d: ", ok ? "" : "not ", ++check_count, file, line);
	for (; *words != '\0'; words++)	/* TAP gives # a meaning */
		putchar(*words == '#' || *words == '\n' ? ' ' : *words);
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
	return (ok);
}

static inline int
check_line_str(const char *got, const char *want, const char *file, int line, const char *words)
{
	int ok = got == want || (got != NULL && want != NULL && strcmp(got, want) == 0);

	check_line(ok, file, line, words);
	if (!ok)
		printf("#    got: %s\n#   want: %s\n", got != NULL ? got : "(NULL)",
		    want != NULL ? want : "(NULL)");
	return (ok);
}

static inline int
check_line_int(int64_t got, int64_t want, const char *file, int line, const char *words)
{
	check_line(got == want, file, line, words);
	if (got != want)
		printf("#    got: %" PRId64 "\n#   want: %" PRId64 "\n", got, want);
	return (got == want);
}

#define check(cond)		check_line((cond) ? 1 : 0, __FILE__, __LINE__, #cond)
#define check_str(got, want)	check_line_str(got, want, __FILE__, __LINE__, #got " is " #want)
#define check_int(got, want)	\
	check_line_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got " is " #want)

/* For what this machine cannot do: counted, and seen as a skip. */
static inline void
check_skip(const char *why)
{
	printf("ok %d # SKIP %s\n", ++check_count, why);
	fflush(stdout);
}

/* The plan; the test's exit status. */
static inline int
check_done(void)
{
	printf("1..%d\n", check_count);
	return (check_failures > 0);
}

#endif
