/*
 * The agent as a process between init and workers that fail: what init is told, how it ends, and
 * that one worker's end, or a wrong question, takes nothing from the others.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wire.h"
#include "check.h"
#include "denied.h"
#include "identity/agent.h"
#include "identity/broker.h"
#include "tinyserver.h"

#define PATIENCE_MS	20000
#define AUDIENCE	"https://storage.azure.com/"

static _Atomic int token_status = 200;

static int
upstream(struct httpd_conn *conn)
{
	static const char token[] = "{\"access_token\":\"opaque\",\"expires_in\":3600}",
	    refused[] = "{\"error\":\"invalid_request\","
	    "\"error_description\":\"Identity not found\"}";
	const char *body = token_status == 200 ? token : refused;

	return (httpd_reply(conn, token_status, "", body, strlen(body)));
}

/* Two mounts, a variable with a token, a broker; each end of theirs is ours. */
static struct world {
	struct plan_access accesses[2];
	struct plan_token variable;
	struct plan	 plan;
	struct facts	 facts;
	struct secret	 secret;
	struct agent_options opt;
	struct vitals	*vitals;
	int		 init[2], desks[2][2], job[2], access_fds[2];
	char		 endpoint[64];
	pid_t		 pid;
} w;

static void
world_init(void)
{
	static char sas[] = "sv=2024-11-04&sig=abc";
	struct err err = ERR_EMPTY;
	int i, port, vitals_fd;

	memset(&w, 0, sizeof(w));
	token_status = 200;
	str_format(w.endpoint, sizeof(w.endpoint), "http://127.0.0.1:%d/ep", tinyserver.port);
	w.facts = (struct facts){ .cwd = "/", .msi_endpoint = w.endpoint,
	    .arm_api_version = "2024-10-01", .uid = (uint32_t)geteuid() };
	secret_set(&w.facts.msi_secret, "s3cret", 6, &err);
	secret_set(&w.secret, "sesame", 6, &err);
	for (i = 0; i < 2; i++)
		w.accesses[i] = (struct plan_access){ .name = "d",
		    .uri = "https://a.test/c/p?sig=x", .identity = { .kind = PLAN_ID_SAS,
		    .label = "the SAS", .secret = { sas, sizeof(sas) - 1 } } };
	w.variable = (struct plan_token){ AUDIENCE, "TOKEN" };
	w.plan = (struct plan){ .accesses = w.accesses, .naccesses = 2,
	    .broker = PLAN_BROKER_MANAGED, .broker_default = { .kind = PLAN_ID_MANAGED,
	    .label = "A" }, .variables_with_token = &w.variable, .nvariables_with_token = 1 };
	check(wire_pair(w.init, &err) == 0 && wire_pair(w.job, &err) == 0);
	for (i = 0; i < 2; i++) {
		check_int(wire_pair(w.desks[i], &err), 0);
		w.access_fds[i] = w.desks[i][1];
	}
	w.vitals = vitals_new(1, &vitals_fd, &err);
	close(vitals_fd);
	w.opt = (struct agent_options){ .plan = &w.plan, .facts = &w.facts, .init_fd = w.init[1],
	    .access_fds = w.access_fds, .broker_fd = broker_listen(&port, &err),
	    .broker_unix_fd = -1, .broker_secret = &w.secret, .audit_fd = -1,
	    .job_fd = w.job[1], .init_pid = getpid(), .vitals = w.vitals };
}

static void
close_pair(int pair[2])
{
	mem_close_fd(&pair[0]);
	mem_close_fd(&pair[1]);
}

static void
world_done(void)
{
	close_pair(w.init);
	close_pair(w.desks[0]);
	close_pair(w.desks[1]);
	close_pair(w.job);
	close(w.opt.broker_fd);
	vitals_free(w.vitals, 1);
	secret_done(&w.facts.msi_secret);
	secret_done(&w.secret);
}

/* In a child, as init has it: the ends that are not the agent's are closed there. */
static void
start(enum denied what, int after, int error)
{
	sigset_t upgrade;

	w.pid = fork();
	if (w.pid != 0) {
		mem_close_fd(&w.init[1]);
		mem_close_fd(&w.desks[0][1]);
		mem_close_fd(&w.desks[1][1]);
		mem_close_fd(&w.job[1]);
		return;
	}
	mem_close_fd(&w.init[0]);
	mem_close_fd(&w.desks[0][0]);
	mem_close_fd(&w.desks[1][0]);
	mem_close_fd(&w.job[0]);
	sigemptyset(&upgrade);
	sigaddset(&upgrade, SIGUSR2);
	sigprocmask(SIG_BLOCK, &upgrade, NULL);
	signal(SIGPIPE, SIG_IGN);
	deny(what, after, 0, error);
	agent_main(&w.opt);
}

/* The agent's exit status; 1000 and the signal that ended it; -1: it goes on, and is killed. */
static int
ended(void)
{
	int64_t until = clock_ms() + PATIENCE_MS;
	int status;

	while (waitpid(w.pid, &status, WNOHANG) == 0) {
		if (clock_ms() > until) {
			kill(w.pid, SIGKILL);
			waitpid(w.pid, &status, 0);
			return (-1);
		}
		clock_sleep_ms(2);
	}
	return (WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
}

static struct wire_msg
told(void)
{
	struct wire_msg msg;

	if (wire_recv(w.init[0], &msg, sizeof(msg), PATIENCE_MS) != 1)
		memset(&msg, 0, sizeof(msg));
	return (msg);
}

static void
stop(void)
{
	struct wire_msg msg = { .type = WIRE_STOP };

	check_int(wire_send(w.init[0], &msg, sizeof(msg)), 0);
	check_int(told().type, WIRE_DONE);
	check_int(ended(), 0);
	world_done();
}

/* Whichever thread cannot be started: init is told so, once, and the agent ends. */
static void
test_threads(void)
{
	struct wire_msg msg;
	int n;

	for (n = 0; n < 40; n++) {
		world_init();
		start(DENIED_PTHREAD_CREATE, n, EAGAIN);
		msg = told();
		if (msg.type == WIRE_READY)
			break;
		check_int(msg.type, WIRE_FAILED);
		check_int(msg.err.kind, ERR_SYSTEM);
		check(strstr(msg.err.op, "thread") != NULL);
		check_int(msg.err.sys_errno, EAGAIN);
		check_int(ended(), 125);
		check_int(told().type, 0);
		world_done();
	}
	/* The network's, the cache's, the broker's, the job's and two mounts' at least. */
	check(n >= 6 && n < 40);
	stop();
}

static void
test_too_long(void)
{
	static char endless[WIRE_CRED_TEXT_MAX + 2];
	struct wire_msg msg;

	memset(endless, 'x', sizeof(endless) - 1);
	world_init();
	w.accesses[1].identity.secret = (struct secret){ endless, sizeof(endless) - 1 };
	start(DENIED_NOTHING, 0, 0);
	msg = told();
	check_int(msg.type, WIRE_FAILED);
	check_str(msg.err.op, "hand on a credential");
	check_str(msg.err.cause, "it is longer than 16384 bytes");
	check_str(msg.err.resource, "https://a.test/c/p");
	check_int(ended(), 125);
	world_done();
	/* What init cannot be told is in the log, and the status is the same. */
	world_init();
	w.accesses[1].identity.secret = (struct secret){ endless, sizeof(endless) - 1 };
	w.plan.nvariables_with_token = 0;
	start(DENIED_SEND, 0, EPIPE);
	check_int(ended(), 125);
	world_done();
}

/* Nobody to be told that it is ready: no orphan stays. */
static void
test_without_init(void)
{
	world_init();
	w.plan.nvariables_with_token = 0;
	start(DENIED_SEND, 0, EPIPE);
	check_int(ended(), 0);
	world_done();
	world_init();
	mem_close_fd(&w.init[0]);
	start(DENIED_NOTHING, 0, 0);
	check_int(ended(), 0);
	world_done();
}

/*
 * A workspace that cannot be asked as this compute: the mount's credential is not to be had, be it
 * a secret to ask for a token with, or what storage itself takes.
 */
static void
no_workspace(enum plan_identity_kind kind)
{
	struct wire_msg msg;

	world_init();
	token_status = 400;
	w.plan.nvariables_with_token = 0;
	w.accesses[0].identity = (struct plan_identity){ .kind = kind,
	    .label = "the datastore's", .client_id = "c", .tenant_id = "t", .audience = AUDIENCE,
	    .secret_from = SPEC_SECRET_WORKSPACE, .secret_of = "d",
	    .workspace = { "sub", "rg", "ws" } };
	w.plan.readers[SPEC_SECRET_WORKSPACE] = (struct plan_identity){ .kind = PLAN_ID_MANAGED,
	    .label = "the compute" };
	start(DENIED_NOTHING, 0, 0);
	msg = told();
	check_int(msg.type, WIRE_FAILED);
	check_int(msg.err.kind, ERR_NO_IDENTITY);
	check_str(msg.err.identity, "the compute");
	check_int(ended(), 121);
	world_done();
}

static void
test_no_workspace(void)
{
	no_workspace(PLAN_ID_SERVICE_PRINCIPAL);
	no_workspace(PLAN_ID_ACCOUNT_KEY);
}

static void
ask_desk(int fd, int64_t serial, uint32_t index)
{
	struct wire_ask ask = { .index = index, .serial = (uint64_t)serial };

	check_int(wire_send(fd, &ask, sizeof(ask)), 0);
}

static int
answered(int fd, uint64_t serial)
{
	struct wire_cred *cred = mem_zalloc(sizeof(*cred));
	int kind = wire_recv(fd, cred, sizeof(*cred), PATIENCE_MS) == 1 && cred->serial == serial ?
	    (int)cred->kind : -1;

	free(cred);
	return (kind);
}

/* A worker and the job's process go with their question open; a question out of order. */
static void
test_who_goes(void)
{
	world_init();
	start(DENIED_NOTHING, 0, 0);
	check_int(told().type, WIRE_READY);
	kill(w.pid, SIGSTOP);		/* or the answer might be quicker than we close */
	ask_desk(w.desks[0][0], 1, 0);
	mem_close_fd(&w.desks[0][0]);
	ask_desk(w.job[0], 1, 0);
	mem_close_fd(&w.job[0]);
	kill(w.pid, SIGCONT);
	ask_desk(w.desks[1][0], 2, 0);
	check_int(answered(w.desks[1][0], 2), WIRE_CRED_SAS);
	stop();
	world_init();
	start(DENIED_NOTHING, 0, 0);
	check_int(told().type, WIRE_READY);
	ask_desk(w.job[0], 7, 0);
	check_int(answered(w.job[0], 7), WIRE_CRED_BEARER);
	ask_desk(w.job[0], 8, 1);		/* there is no such variable */
	ask_desk(w.desks[1][0], 2, 0);
	check_int(answered(w.desks[1][0], 2), WIRE_CRED_SAS);
	stop();
}

/* No token for the job's variable: not one mount may start it without. */
static void
test_no_token(void)
{
	struct wire_msg msg;

	world_init();
	token_status = 400;
	start(DENIED_NOTHING, 0, 0);
	msg = told();
	check_int(msg.type, WIRE_FAILED);
	check_int(msg.err.kind, ERR_NO_IDENTITY);
	check_str(msg.err.identity, "A");
	check(strstr(msg.err.cause, "Identity not found") != NULL);
	check_int(ended(), 121);
	world_done();
}

/* The file is there before the job is, and stays for a successor, which need not have it anew. */
static void
test_token_file(void)
{
	static struct plan_token file = { AUDIENCE, "/tmp/agent.token" };
	struct stat st;
	int was_ready;

	for (was_ready = 0; was_ready <= 1; was_ready++) {
		world_init();
		w.plan.files_with_token = &file;
		w.plan.nfiles_with_token = 1;
		w.opt.was_ready = was_ready;
		token_status = was_ready ? 400 : 200;
		start(DENIED_NOTHING, 0, 0);
		check_int(told().type, WIRE_READY);
		check(stat(file.place, &st) == 0 && st.st_size == (off_t)strlen("opaque"));
		stop();
	}
	unlink(file.place);
}

static void
test_upgrade(void)
{
	world_init();
	w.opt.was_ready = 1;		/* nothing is asked for anew */
	token_status = 400;
	start(DENIED_NOTHING, 0, 0);
	check_int(told().type, WIRE_READY);
	kill(w.pid, SIGUSR2);
	check_int(ended(), WIRE_EXIT_UPGRADE);
	world_done();
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	tinyserver_start(upstream);
	test_threads();
	test_too_long();
	test_without_init();
	test_no_workspace();
	test_who_goes();
	test_no_token();
	test_token_file();
	test_upgrade();
	return (check_done());
}
