/* Who a user is: lines of /etc/passwd and /etc/group, hostile ones too. */

#include <stdlib.h>

#include "base/account.h"
#include "base/mem.h"
#include "check.h"

static const char passwd[] =
    "root:x:0:0:root:/root:/bin/bash\n"
    "\n"
    "+::::::\n"
    "broken\n"
    "short:x:5\n"
    "negative:x:-1:5::/:\n"
    "huge:x:4294967296:5::/:\n"
    "all:x:4294967295:5::/:\n"
    "nogroup:x:70:\n"
    "1000:x:77:77::/home/digits:/bin/sh\n"
    "job:x:1000:100:A job,,,:/home/job:/bin/sh\n"
    "job:x:2000:200::/second:/bin/sh\n"
    "relative:x:71:71::home:/bin/sh\n"
    "last:x:72:72::/home/last:/bin/sh";

static const char group[] =
    "root:x:0:\n"
    "users:x:100:job\n"
    "video:x:44:root,job,other\n"
    "jobs:x:45:ajob,jobs,job2\n"
    "render:x:46:job\n"
    "bad:x:x:job\n"
    "minus:x:-1:job\n"
    "short\n"
    "empty:x:47:,,\n"
    "end:x:48:last,job";

static struct account a;
static struct err err;

static int
parse(const char *words)
{
	err = ERR_EMPTY;
	return (account_parse(&a, words, passwd, group, &err));
}

static void
test_found(void)
{
	check_int(parse("job"), 0);
	check_int(a.uid, 1000);
	check_int(a.gid, 100);
	check_str(a.home, "/home/job");
	check_int(a.ngroups, 4);
	check(a.groups[0] == 100 && a.groups[1] == 44 && a.groups[2] == 46 && a.groups[3] == 48);
	check_int(parse("1000"), 0);		/* the number, not the name of digits */
	check_int(a.uid, 1000);
	check_int(a.ngroups, 4);
	check_int(parse("job:video"), 0);
	check_int(a.gid, 44);
	check_int(a.ngroups, 1);
	check_int(parse("12345:678"), 0);
	check_int(a.uid, 12345);
	check_int(a.gid, 678);
	check_str(a.home, "/");
	check_int(parse("last"), 0);		/* its line has no newline */
	check_int(a.groups[1], 48);
	check_int(parse("relative"), 0);
	check_str(a.home, "/");
	check_int(account_parse(&a, "7:8", "", "", &err), 0);	/* a scratch image */
}

static void
refused(const char *words)
{
	check_int(parse(words), -1);
	check_int(err.kind, ERR_USAGE);
	check_str(err.resource, words);
}

static void
test_refused(void)
{
	static const char *const words[] = { "", ":", ":100", "nobody", "job:", "job:nosuch",
	    "job:100:7", "12345", "negative", "huge", "all", "broken", "short", "nogroup", "-1",
	    "4294967295", "4294967295:0", "99999999999999999999:1", "job:4294967295",
	    "1000:99999999999999999999", "+", "job:bad", "job:minus", "jo", "job ", " job" };
	size_t i;

	for (i = 0; i < LENGTH(words); i++)
		refused(words[i]);
}

/* More groups than there is room for are no quiet loss. */
static void
test_many_groups(void)
{
	struct buf text = BUF_EMPTY;
	int i;

	for (i = 0; i < ACCOUNT_GROUPS - 1; i++)
		buf_printf(&text, "g%d:x:%d:job\n", i, 500 + i);
	check_int(account_parse(&a, "job", passwd, text.data, &err), 0);
	check_int(a.ngroups, ACCOUNT_GROUPS);
	buf_adds(&text, "more:x:499:job\n");
	check_int(account_parse(&a, "job", passwd, text.data, &err), -1);
	buf_done(&text);
}

/* Any bytes in the files, any cut of them: an answer, no fault (the sanitizers look). */
static void
test_noise(void)
{
	static const char bytes[] = ":::,\n\n0159xjob-\xff ";
	char text[200];
	unsigned seed = 1;
	int round, i;

	for (round = 0; round < 20000; round++) {
		for (i = 0; i < (int)sizeof(text) - 1; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = bytes[seed >> 16 & 15];
		}
		text[round % (int)sizeof(text)] = '\0';
		text[sizeof(text) - 1] = '\0';
		account_parse(&a, "job", text, text, &err);
		account_parse(&a, "1:job", passwd, text, &err);
		account_parse(&a, text, passwd, group, &err);
	}
	check(1);
	for (i = 0; i < (int)sizeof(passwd) - 1; i++) {
		char *cut = strndup(passwd, (size_t)i);

		account_parse(&a, "job", cut, group, &err);
		free(cut);
	}
	check(1);
}

int
main(void)
{
	test_found();
	test_refused();
	test_many_groups();
	test_noise();
	return (check_done());
}
