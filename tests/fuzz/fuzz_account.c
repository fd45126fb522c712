/*
 * Words of --user, a passwd file, a group file: who is found has bounded groups and a home, and is
 * the same one when asked for by number; who is not has a complaint.
 */

#include "base/account.h"
#include "fuzz.h"

static void
ask_again(const struct account *a, const char *passwd, const char *group)
{
	struct account same;
	char words[32];

	str_format(words, sizeof(words), "%u:%u", (unsigned)a->uid, (unsigned)a->gid);
	must(account_parse(&same, words, passwd, group, NULL) == 0);
	must(same.uid == a->uid && same.gid == a->gid && same.ngroups == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *words = input_part(&in, &mem), *passwd = input_part(&in, &mem);
	const char *group = input_part(&in, &mem);
	struct err err = ERR_EMPTY;
	struct account a;
	size_t i, n = 0;

	if (account_parse(&a, words, passwd, group, &err) != 0)
		must_complain(&err, ERR_USAGE);
	else {
		must(a.ngroups >= 1 && a.ngroups <= ACCOUNT_GROUPS);
		must(memchr(a.home, '\0', sizeof(a.home)) != NULL && a.home[0] != '\0');
		for (i = 0; i < a.ngroups; i++)
			n += a.groups[i] == a.gid;
		must(n == 1);
		ask_again(&a, passwd, group);
	}
	arena_done(&mem);
	return (0);
}
