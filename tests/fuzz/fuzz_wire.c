/*
 * Messages of amlshim's own processes, one of which may have been taken over: a credential, what
 * the workspace says, a worker's words, the child's report before exec.  What is taken holds
 * texts that end; what is not has a complaint.  The first byte says which.
 */

#include <fcntl.h>
#include <stddef.h>

#include "azure/cred.c"
#include "base/wire.h"
#include "cli/workspace.h"
#include "fuzz.h"
#include "init/job.h"

static void
credential(struct input *in)
{
	static struct wire_cred w;
	struct cred *c = cred_fixed(WIRE_CRED_SAS, "sig=first");
	struct err err = ERR_EMPTY;

	input_bytes(in, &w, sizeof(w));
	if (take(c, &w, &err) == 0) {
		must(w.len <= WIRE_CRED_TEXT_MAX && c->kind <= WIRE_CRED_ANONYMOUS);
		must(secret_equal(&c->text, w.text, w.len));
		must(w.len == 0 || strlen(c->text.text) == w.len);
	} else
		must_complain(&err, ERR_BUG);
	cred_free(c);
}

static void
refusal(struct input *in)
{
	static struct wire_cred w;
	struct err err = ERR_EMPTY;
	char line[4096];

	input_bytes(in, &w, offsetof(struct wire_cred, text));
	w.kind &= 1;
	if (told(&w, &err) == 0)
		must(w.kind != WIRE_CRED_NONE);
	err_line(&err, line, sizeof(line));
	must(strpbrk(line, "\r\n\x1b") == NULL);
}

static void
must_hold(const struct spec *spec)
{
	size_t i;

	for (i = 0; i < spec->ndatastores; i++) {
		must(spec->datastores[i].name != NULL && spec->datastores[i].account != NULL);
		must(spec_store_name(spec->datastores[i].type) != NULL);
		must(spec_datastore_flaw(&spec->datastores[i]) == NULL);
	}
}

static void
found(struct input *in, enum wire_want_kind kind)
{
	static struct wire_found w;
	struct arena mem = ARENA_EMPTY;
	struct spec_io input = { .name = "a", .path = "azureml:a:1" };
	struct spec spec = { .job = { .inputs = &input, .ninputs = 1 } };
	struct facts facts = { .subscription = "s", .resource_group = "g", .workspace = "w" };
	const struct plan_want want = { .kind = kind, .workspace = { "s", "g", "w" },
	    .name = in->left % 2 == 0 ? NULL : "data", .text = "azureml:a:1" };
	struct err err = ERR_EMPTY;

	input_bytes(in, kind == WIRE_WANT_ASSET ? (void *)&w.asset : (void *)&w.datastore,
	    kind == WIRE_WANT_ASSET ? sizeof(w.asset) : sizeof(w.datastore));
	if (workspace_add(&spec, &want, &facts, &w, &mem, &err) == 0)
		must_hold(&spec);
	else
		must_complain(&err, ERR_PROTOCOL);
	arena_done(&mem);
}

static void
said(struct input *in)
{
	static struct wire_msg msg;
	char line[4096];

	input_bytes(in, &msg, sizeof(msg));
	err_seal(&msg.err);
	err_line(&msg.err, line, sizeof(line));
	must(strlen(line) < sizeof(line) && strpbrk(line, "\r\n\x1b") == NULL);
	must(err_kind_name(msg.err.kind) != NULL);
	must(msg.err.kind == ERR_NONE || err_exit_status(&msg.err) > 0);
}

static void
report(struct input *in)
{
	static const struct plan_token tokens[] = { { "https://vault/", "TOKEN" } };
	struct job job = { .command = "train", .cwd = "/", .tokens = tokens, .ntokens = 1 };
	struct err err = ERR_EMPTY;
	int fds[2], rc;

	must(pipe2(fds, O_CLOEXEC) == 0);
	must(in->left == 0 || write(fds[1], in->at, in->left < 4096 ? in->left : 4096) > 0);
	close(fds[1]);
	job.report_fd = fds[0];
	while ((rc = job_read_report(&job, &err)) == 0)
		;
	must(rc == 1 || err.kind != ERR_NONE);
	must(job.report_fd == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data + 1, size - 1 };

	if (size == 0)
		return (0);
	switch (data[0]) {
	case 'c':
		credential(&in);
		break;
	case 'q':
		refusal(&in);
		break;
	case 'd':
		found(&in, in.left % 3 == 0 ? WIRE_WANT_DEFAULT : WIRE_WANT_DATASTORE);
		break;
	case 'a':
		found(&in, WIRE_WANT_ASSET);
		break;
	case 'r':
		report(&in);
		break;
	default:
		said(&in);
		break;
	}
	return (0);
}
