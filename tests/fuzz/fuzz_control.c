/*
 * The control socket, from both ends.  Whatever a client sends, init answers just what it is asked
 * for or cuts it off; whatever another process answers, what is printed is text.
 */

#include "base/wire.h"
#include "cli/status.c"
#include "fuzz.h"
#include "init/answer.h"
#include "init/control.c"

static struct plan_access accesses[] = {
	{ .name = "in", .action = PLAN_MOUNT_RO, .target = "/mnt/in", .uri = "azureml://x",
	    .identity = { .label = "managed identity m" } },
	{ .name = "n", .action = PLAN_PASS, .value = "3", .identity = { .label = "nobody" } },
};
static struct plan plan = { .accesses = accesses, .naccesses = 2 };
static struct vitals vitals[2];
static struct worker list[2] = { { .name = "agent", .vitals = &vitals[0] },
	{ .name = "mount in", .vitals = &vitals[1], .access = &accesses[0] } };
static const struct workers workers = { .list = list, .n = 2 };
static const struct job job = { .pid = 7 };
static const struct health health = { .phase = SUP_RUNNING };
static const struct probe_options probes = { .listen_port = 0 };
static const struct answer_view view = { .plan = &plan, .workers = &workers, .job = &job,
	.health = &health, .probe = &probes, .command = "train", .phase = SUP_RUNNING };

static int
answer_view(void *arg, const struct control_request *request, struct control_answer *ret)
{
	(void)arg;
	return (answer_make(&view, request, ret));
}

static int
fits(const struct control_request *q)
{
	switch (q->part) {
	case CONTROL_HEAD:
		return (1);
	case CONTROL_WORKER:
		return (q->index < workers.n);
	case CONTROL_ACCESS:
		return (q->index < plan.naccesses);
	default:
		return (0);
	}
}

static void
ask(const char *bytes, size_t size)
{
	static struct control_answer got;
	struct control c = { .answerer = answer_view };
	struct control_request request = { .version = 0 };
	int fds[2], cut;

	must(wire_pair(fds, NULL) == 0);
	must(send(fds[0], bytes, size, 0) == (ssize_t)size);
	memcpy(&request, bytes, size < sizeof(request) ? size : sizeof(request));
	cut = answer(&c, fds[1]) != 0;
	must(cut == !(size == sizeof(request) && request.version == CONTROL_VERSION &&
	    fits(&request)));
	if (!cut) {
		must(wire_recv(fds[0], &got, sizeof(got), 0) == 1);
		must(got.part == request.part && got.index == request.index);
	}
	close(fds[0]);
	close(fds[1]);
}

#define IS_TEXT(field)	wire_is_text((field), sizeof(field))

static void
must_be_text(const struct control_answer *a)
{
	switch (a->part) {
	case CONTROL_HEAD:
		must(IS_TEXT(a->head.program) && IS_TEXT(a->head.phase) && IS_TEXT(a->head.job) &&
		    IS_TEXT(a->head.live_flaw) && IS_TEXT(a->head.ready_flaw) &&
		    IS_TEXT(a->head.live_path) && IS_TEXT(a->head.ready_path));
		break;
	case CONTROL_WORKER:
		must(IS_TEXT(a->worker.name) && IS_TEXT(a->worker.state));
		break;
	default:
		must(IS_TEXT(a->access.name) && IS_TEXT(a->access.action) &&
		    IS_TEXT(a->access.target) && IS_TEXT(a->access.uri) &&
		    IS_TEXT(a->access.identity));
		break;
	}
}

static void
print(struct input *in)
{
	static struct control_answer a, again;
	static struct control_worker worker;
	static struct control_access access;
	struct status s = { .workers = &worker, .accesses = &access };
	uint32_t part;

	for (part = CONTROL_HEAD; part <= CONTROL_ACCESS; part++) {
		input_bytes(in, &a.head, sizeof(a) - offsetof(struct control_answer, head));
		a.part = part;
		inquiry_seal(&a);
		must_be_text(&a);
		again = a;
		inquiry_seal(&again);
		must(memcmp(&a, &again, sizeof(a)) == 0);
		if (part == CONTROL_HEAD)
			s.head = a.head;
		else if (part == CONTROL_WORKER)
			worker = a.worker;
		else
			access = a.access;
	}
	s.head.nworkers = s.head.naccesses = 1;
	print_table(&s);
	print_json(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, size };
	size_t first = size < 20 ? size : 20;

	input_mute();
	ask(in.at, first);
	if (first >= sizeof(struct control_request))
		ask(in.at, sizeof(struct control_request));
	print(&in);
	return (0);
}
