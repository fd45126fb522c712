/*
 * The resolver as a process: what init is told of each question, and how it ends.  The workspace is
 * two functions here.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "azure/arm.h"
#include "base/clock.h"
#include "base/mem.h"
#include "check.h"
#include "denied.h"
#include "identity/resolve.h"

#define PATIENCE_MS	20000

int
arm_datastore(const struct arm *arm, const struct spec_workspace *of, const char *name,
    struct wire_datastore *ret, struct err *err)
{
	if (strcmp(of->name, "ws") != 0 || strcmp(arm->resource, "https://management.azure.com"))
		return (-1);			/* without a reason: ours to find */
	if (name != NULL && strcmp(name, "none") == 0)
		return (err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_NAME, "get", "no such datastore"));
	str_format(ret->name, sizeof(ret->name), "%s", name == NULL ? "the default" : name);
	return (0);
}

/* An asset of that name stands for just that. */
int
arm_asset(const struct arm *arm, const struct spec_workspace *of, int is_model, const char *name,
    const char *version, struct wire_asset *ret, struct err *err)
{
	(void)arm;
	(void)of;
	if (strcmp(name, "none") == 0)
		return (err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_NAME, "get", "no such asset"));
	str_format(ret->uri, sizeof(ret->uri), "%s", name);
	str_format(ret->version, sizeof(ret->version), "%s%s", is_model ? "model " : "",
	    version == NULL ? "latest" : version);
	return (0);
}

static int init[2];
static pid_t pid;

static void
start(enum denied what, int after)
{
	static const struct facts facts = { .cwd = "/", .arm_api_version = "2024-10-01" };
	static const struct plan_identity as = { .kind = PLAN_ID_MANAGED, .label = "the compute" };
	struct resolve_options opt = { .facts = &facts, .as = &as };

	check_int(wire_pair(init, NULL), 0);
	opt.init_fd = init[1];
	opt.deadline_ms = clock_ms() + PATIENCE_MS;
	pid = fork();
	if (pid == 0) {
		close(init[0]);
		deny(what, after, 0, EAGAIN);
		resolve_main(&opt);
	}
	close(init[1]);
}

static int
ended(void)
{
	int64_t until = clock_ms() + PATIENCE_MS;
	int status;

	close(init[0]);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_ms() > until) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return (-1);
		}
		clock_sleep_ms(2);
	}
	return (WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status));
}

static struct wire_found found;

/* Asks, and has the answer in found; its id. */
static int
ask(uint32_t kind, const char *workspace, const char *name, const char *version)
{
	static uint32_t id;
	struct wire_want want = { .kind = kind, .id = id + 1 };

	id++;
	str_format(want.workspace, sizeof(want.workspace), "%s", workspace);
	str_format(want.name, sizeof(want.name), "%s", name);
	str_format(want.version, sizeof(want.version), "%s", version);
	check_int(wire_send(init[0], &want, sizeof(want)), 0);
	memset(&found, 0xff, sizeof(found));
	return (check_int(wire_recv(init[0], &found, sizeof(found), PATIENCE_MS), 1) &&
	    check_int(found.id, id));
}

static void
test_answers(void)
{
	start(DENIED_NOTHING, 0);
	ask(WIRE_WANT_DATASTORE, "ws", "images", "");
	check_int(found.err.kind, ERR_NONE);
	check_str(found.datastore.name, "images");
	ask(WIRE_WANT_DEFAULT, "ws", "", "");
	check_str(found.datastore.name, "the default");
	ask(WIRE_WANT_DATASTORE, "ws", "none", "");
	check_int(found.err.kind, ERR_NOT_FOUND);
	ask(WIRE_WANT_DATASTORE, "elsewhere", "images", "");
	check_int(found.err.kind, ERR_BUG);
	check_str(found.err.cause, "it failed without a reason");
	ask(99, "ws", "images", "");
	check_int(found.err.kind, ERR_BUG);
	check_str(found.err.cause, "a question of unknown kind 99");
	ask(WIRE_WANT_ASSET, "ws", "azureml://datastores/d/paths/p", "");
	check_int(found.err.kind, ERR_NONE);
	check_str(found.asset.version, "latest");
	ask(WIRE_WANT_MODEL, "ws", "https://a.blob.core.windows.net/c/m", "3");
	check_int(found.err.kind, ERR_NONE);
	check_str(found.asset.version, "model 3");
	ask(WIRE_WANT_ASSET, "ws", "none", "1");
	check_str(found.err.cause, "no such asset");
	/* What it stands for must be data, not a file of this machine or another name. */
	ask(WIRE_WANT_ASSET, "ws", "/etc/shadow", "1");
	check_int(found.err.kind, ERR_PROTOCOL);
	check_int(found.err.remedy, REMEDY_CHECK_WORKSPACE);
	check_str(found.err.resource, "/etc/shadow of workspace ws");
	ask(WIRE_WANT_ASSET, "ws", "azureml:other:1", "1");
	check_int(found.err.kind, ERR_PROTOCOL);
	ask(WIRE_WANT_ASSET, "ws", "azureml://nonsense", "1");
	check(found.err.kind != ERR_NONE);
	check_int(ended(), 0);
}

/* As many threads as there are; without the network's or any there is nobody to ask. */
static void
test_threads(void)
{
	int n, status = -1;

	for (n = 0; n < 20 && status != 0; n++) {
		start(DENIED_PTHREAD_CREATE, n);
		status = ended();
		check(status == 0 || status == 125);
	}
	check(n >= 3 && status == 0);
}

static void
test_without_init(void)
{
	struct wire_want want = { .kind = WIRE_WANT_DEFAULT, .workspace = "ws" };

	start(DENIED_SEND, 0);
	check_int(wire_send(init[0], &want, sizeof(want)), 0);
	check_int(ended(), 0);
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_answers();
	test_threads();
	test_without_init();
	return (check_done());
}
