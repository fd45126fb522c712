/* answer: what init says of itself is its own, whatever stands in memory that others can write. */

#include "check.h"
#include "init/answer.h"

static struct control_head
head_of(const struct answer_view *view)
{
	struct control_request request = { .version = CONTROL_VERSION, .part = CONTROL_HEAD };
	struct control_answer answer = { .version = 0 };

	check_int(answer_make(view, &request, &answer), 0);
	return (answer.head);
}

int
main(void)
{
	struct health health = { .phase = SUP_RUNNING, .job_runs = 1, .run = 1 };
	struct workers workers = { .n = 0 };
	struct job job = { .pid = 7 };
	struct probe_options probe = { .listen_port = 0 };
	struct answer_view view = { .workers = &workers, .job = &job, .phase = SUP_RUNNING,
	    .health = &health, .probe = &probe, .command = "serve", .last_status = -1 };
	struct control_request beyond = { .version = CONTROL_VERSION, .part = CONTROL_WORKER };
	struct control_answer none;
	struct control_head head = head_of(&view);

	check_str(head.phase, "running");
	check_str(head.job, "serve");
	check(head.is_live && head.is_ready);
	health.phase = 1 << 30;
	head = head_of(&view);
	check_str(head.phase, "running");
	check(head.is_live && !head.is_ready);
	check_int(answer_make(&view, &beyond, &none), -1);
	beyond.part = CONTROL_ACCESS;
	check_int(answer_make(&view, &beyond, &none), -1);
	beyond.part = 99;
	check_int(answer_make(&view, &beyond, &none), -1);
	return (check_done());
}
