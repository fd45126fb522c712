/* inquiry: what another process answers in place of amlshim is made text and numbers. */

#include "check.h"
#include "cli/inquiry.h"

static struct control_answer a;

static void
test_head(void)
{
	memset(&a, 'x', sizeof(a));
	a.part = CONTROL_HEAD;
	memcpy(a.head.job, "a\x1b[2J\xff caf\xc3\xa9", 13);
	a.head.job[13] = '\0';
	a.head.now_unix_s = INT64_MAX;
	a.head.started_unix_s = INT64_MIN;
	inquiry_seal(&a);
	check_str(a.head.job, "a?[2J? caf\xc3\xa9");
	check_int(strlen(a.head.program), sizeof(a.head.program) - 1);
	check_int(strlen(a.head.ready_path), sizeof(a.head.ready_path) - 1);
	check_int(a.head.now_unix_s, 0);
	check_int(a.head.started_unix_s, 0);
}

static void
test_others(void)
{
	memset(&a, 'y', sizeof(a));
	a.part = CONTROL_WORKER;
	inquiry_seal(&a);
	check_int(strlen(a.worker.name), sizeof(a.worker.name) - 1);
	check_int(strlen(a.worker.state), sizeof(a.worker.state) - 1);
	memset(&a, '\n', sizeof(a));
	a.part = CONTROL_ACCESS;
	inquiry_seal(&a);
	check_int(strlen(a.access.identity), sizeof(a.access.identity) - 1);
	check(strchr(a.access.target, '\n') == NULL && a.access.uri[0] == '?');
	check_int(a.access.token_expiry_s, 0);
}

int
main(void)
{
	test_head();
	test_others();
	return (check_done());
}
