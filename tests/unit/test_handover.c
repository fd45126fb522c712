/* handover: a worker of another binary is told what init knew, and believes nothing damaged. */

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "init/handover.h"

#define DAMAGES	20000

static struct plan_access accesses[] = {
	{ .name = "out", .is_output = 1, .type = SPEC_URI_FOLDER, .action = PLAN_MOUNT_RW,
	    .store = SPEC_GEN2, .uri = "azureml://datastores/s/paths/p/", .hns = 1,
	    .base_url = "https://a.blob.core.windows.net", .account = "a", .container = "c",
	    .prefix = "p", .target = "/mnt/amlshim/out", .value = "/mnt/amlshim/out",
	    .staging = "/tmp/amlshim/out", .identity = { .kind = PLAN_ID_MANAGED,
	    .client_id = "id", .label = "managed identity id", .audience = "https://storage/" } },
	{ .name = "uri", .action = PLAN_PASS, .identity = { .kind = PLAN_ID_NONE } },
	{ .name = "in", .type = SPEC_URI_FILE, .action = PLAN_DOWNLOAD, .base_url = "https://b",
	    .prefix = "", .target = "/in", .is_file = 1, .identity = { .kind = PLAN_ID_SAS,
	    .secret_from = SPEC_SECRET_WORKSPACE, .workspace = { "s", "g", "w" } } },
};
static struct plan_token token_variables[] = { { "https://vault/", "TOKEN" } };
static struct plan_token token_files[] = { { "https://vault/", "/run/1" },
	{ "https://storage/", "/run/2" } };
static struct fd_home homes[] = { { 7, 8 }, { UINT64_MAX, 9 } };
static const struct spec_uai uais[] = { { "c1", NULL, NULL }, { NULL, "o2", "r2" } };
static struct plan plan;
static struct facts facts = { .msi_endpoint = "http://127.0.0.1:1/msi", .uid = 65533,
	.gid = UINT32_MAX, .assertion_rs256 = 1 };
static struct worker list[3];
static struct workers workers;
static struct handover given;

static void
fill(size_t self)
{
	int i;

	plan = (struct plan){ .accesses = accesses, .naccesses = 3, .cloud = &cloud_public,
	    .broker = PLAN_BROKER_MANAGED, .broker_uais = uais, .nbroker_uais = 2,
	    .broker_dialects = PLAN_DIALECTS_DEFAULT, .variables_with_token = token_variables,
	    .nvariables_with_token = 1, .files_with_token = token_files,
	    .nfiles_with_token = 2, .tuning = PLAN_TUNING_UNSAID };
	plan.tuning.memory_bytes = INT64_C(1) << 40;
	plan.tuning.disk_cache = "/cache";
	list[0] = (struct worker){ .name = "agent" };
	list[1] = (struct worker){ .name = "mount out", .access = &accesses[0], .life = 3,
	    .was_ready = 1 };
	list[2] = (struct worker){ .name = "download in", .access = &accesses[2] };
	for (i = 0; i < 3; i++)
		list[i].fds = (struct worker_fds){ i == 0 ? -1 : 0, i == 0 ? -1 : 1,
		    i == 1 ? 2 : -1, i == 1 ? 0 : -1 };
	workers.opt.plan = &plan;
	workers.opt.facts = &facts;
	workers.list = list;
	workers.n = 3;
	workers.vitals_fd = 1;
	workers.token_homes = homes;
	workers.services = (struct worker_services){ 0, -1, 1, -1, 2 };
	given = (struct handover){ .workers = &workers, .self = self, .init_fd = 2,
	    .trace_fd = -1, .init_pid = 1, .verbosity = 2, .log_json = 1 };
}

static void
release(struct handover *h)
{
	secret_done(&h->workers->broker_secret);
	arena_done(&h->workers->mem);
}

static void
check_same_plan(const struct plan *p)
{
	check_int(p->naccesses, 3);
	check_str(p->accesses[0].target, "/mnt/amlshim/out");
	check_int(p->accesses[0].hns, 1);
	check_int(p->accesses[0].store, SPEC_GEN2);
	check_str(p->accesses[0].identity.client_id, "id");
	check_str(p->accesses[0].journal, NULL);
	check_str(p->accesses[1].target, NULL);
	check_str(p->accesses[2].prefix, "");
	check_str(p->accesses[2].identity.workspace.name, "w");
	check_int(p->accesses[2].identity.secret_from, SPEC_SECRET_WORKSPACE);
	check_int(p->broker, PLAN_BROKER_MANAGED);
	check_str(p->broker_uais[1].resource_id, "r2");
	check_int(p->broker_dialects, PLAN_DIALECTS_DEFAULT);
	check_str(p->variables_with_token[0].place, "TOKEN");
	check_str(p->files_with_token[1].place, "/run/2");
	check_int(p->tuning.memory_bytes, INT64_C(1) << 40);
	check_int(p->tuning.uid, PLAN_UNSAID);
	check_str(p->tuning.disk_cache, "/cache");
	check_str(p->cloud->authority, cloud_public.authority);
}

static void
test_mount(void)
{
	static struct workers w;
	struct handover got = { .workers = &w };
	struct err err = ERR_EMPTY;
	int fd;

	fill(1);
	if (!check(secret_set(&workers.broker_secret, "hush", 4, &err) == 0) ||
	    !check((fd = handover_write(&given, &err)) >= 0) ||
	    !check_int(handover_read(fd, &got, &err), 0))
		return;
	check_int(fcntl(fd, F_GETFD), FD_CLOEXEC);
	check_same_plan(w.opt.plan);
	check_int(got.self, 1);
	check_int(got.init_pid, 1);
	check_int(got.init_fd, 2);
	check_int(got.trace_fd, -1);
	check(got.verbosity == 2 && got.log_json == 1);
	check_int(w.n, 3);
	check(w.list[1].access == &w.opt.plan->accesses[0]);
	check(w.list[2].access == &w.opt.plan->accesses[2]);
	check(w.list[1].life == 3 && w.list[1].was_ready == 1);
	check(w.list[1].fds.ask_side == 1 && w.list[1].fds.fuse_fd == 2 &&
	    w.list[1].fds.state_fd == 0);
	check(w.opt.facts->uid == 65533 && w.opt.facts->gid == UINT32_MAX);
	/* Nothing of the others, and nothing of the agent's. */
	check(w.list[2].fds.ask_side == -1 && w.list[1].fds.agent_side == -1);
	check(w.services.broker_fd == -1 && w.services.safe_fd == -1);
	check_str(w.broker_secret.text, NULL);
	close(fd);
	release(&got);
	secret_done(&workers.broker_secret);
}

static void
test_agent(void)
{
	static struct workers w;
	struct handover got = { .workers = &w };
	struct err err = ERR_EMPTY;
	int fd;

	fill(0);
	if (!check(secret_set(&workers.broker_secret, "hush", 4, &err) == 0) ||
	    !check((fd = handover_write(&given, &err)) >= 0) ||
	    !check_int(handover_read(fd, &got, &err), 0))
		return;
	check_same_plan(w.opt.plan);
	check_str(w.opt.facts->msi_endpoint, "http://127.0.0.1:1/msi");
	check_str(w.opt.facts->identity_endpoint, NULL);
	check_int(w.opt.facts->assertion_rs256, 1);
	check(w.list[0].access == NULL);
	check(w.list[1].fds.agent_side == 0 && w.list[1].fds.fuse_fd == -1);
	check(w.services.broker_fd == 0 && w.services.unix_fd == -1 && w.services.safe_fd == 2);
	check_str(w.broker_secret.text, "hush");
	check(w.token_homes[0].ino == 8 && w.token_homes[1].dev == UINT64_MAX);
	close(fd);
	release(&got);
	secret_done(&workers.broker_secret);
}

/* An agent that does not know them would write wherever the job leads it. */
static void
test_homes_are_missing(void)
{
	struct err err = ERR_EMPTY;

	fill(0);
	workers.token_homes = NULL;
	check_int(handover_write(&given, &err), -1);
}

/* What init itself has is as it was, also when it cannot be told. */
static void
test_not_to_be_told(void)
{
	struct err err = ERR_EMPTY;

	fill(1);
	accesses[0].action = (enum plan_action)77;
	check_int(handover_write(&given, &err), -1);
	check_int(accesses[0].action, 77);
	check_str(accesses[2].target, "/in");
	check_int(accesses[2].identity.secret_from, SPEC_SECRET_WORKSPACE);
	accesses[0].action = PLAN_MOUNT_RW;
}

/* ---- damage ------------------------------------------------------------------------- */

static char *
written(size_t *ret_len)
{
	struct err err = ERR_EMPTY;
	struct stat st;
	char *bytes;
	int fd;

	fill(0);
	fd = handover_write(&given, &err);
	if (fd < 0 || fstat(fd, &st) != 0)
		return (NULL);
	*ret_len = (size_t)st.st_size;
	bytes = mem_alloc(*ret_len);
	if (pread(fd, bytes, *ret_len, 0) != st.st_size)
		*ret_len = 0;
	close(fd);
	return (bytes);
}

/* 1: it was believed. */
static int
parse(const char *bytes, size_t len)
{
	struct workers w = { .n = 0 };
	struct handover got = { .workers = &w };
	struct err err = ERR_EMPTY;
	auto_free char *exact = mem_alloc(len + (len == 0));	/* so that sanitizers see its end */
	size_t i;
	int failed;

	memcpy(exact, bytes, len);
	failed = handover_parse(exact, len, &got, &err);
	for (i = 0; failed == 0 && i < w.n; i++)
		failed = (w.list[i].access == NULL) != (i == 0) || w.list[i].name == NULL ||
		    got.self >= w.n;
	release(&got);
	return (failed == 0);
}

static void
test_cut(void)
{
	size_t len, n, believed = 0;
	auto_free char *bytes = written(&len), *longer = NULL;

	check(parse(bytes, len));
	for (n = 0; n < len; n++)
		believed += (size_t)parse(bytes, n);
	check_int(believed, 0);
	longer = mem_zalloc(len + 1);
	memcpy(longer, bytes, len);
	check(!parse(longer, len + 1));
}

static void
test_another_format(void)
{
	size_t len, i;
	auto_free char *bytes = written(&len);

	/* The magic number, the format, the sizes of what is shared: six numbers. */
	for (i = 0; i < 6 * sizeof(int64_t); i++) {
		bytes[i] ^= 1;
		check(!parse(bytes, len));
		bytes[i] ^= 1;
	}
	check(parse(bytes, len));
}

/* Whatever the bytes are: refused, or within bounds (sanitizers look). */
static void
test_damaged(void)
{
	size_t len, at, refused = 0;
	auto_free char *bytes = written(&len);
	uint32_t seed = 1;
	char was;
	int i;

	for (i = 0; i < DAMAGES; i++) {
		seed = seed * 1664525 + 1013904223;
		at = (seed >> 8) % len;
		was = bytes[at];
		bytes[at] = (char)(seed >> 3);
		refused += (size_t)!parse(bytes, len);
		bytes[at] = was;
	}
	check(refused > DAMAGES / 4);
	check(parse(bytes, len));
}

static void
test_descriptor(void)
{
	struct workers w = { .n = 0 };
	struct handover got = { .workers = &w };
	struct err err = ERR_EMPTY;
	size_t len;
	auto_free char *bytes = written(&len);
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (!check(write(fd, bytes, len) == (ssize_t)len))
		return;
	check_int(handover_read(fd, &got, &err), -1);
	check_int(handover_read(-1, &got, &err), -1);
	check_int(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_WRITE), 0);
	check_int(handover_read(fd, &got, &err), 0);
	close(fd);
	release(&got);
	/* One that it names is not there. */
	fill(0);
	given.init_fd = 1000;
	fd = handover_write(&given, &err);
	w = (struct workers){ .n = 0 };
	check_int(handover_read(fd, &got, &err), -1);
	close(fd);
	release(&got);
}

int
main(void)
{
	test_mount();
	test_agent();
	test_homes_are_missing();
	test_not_to_be_told();
	test_cut();
	test_another_format();
	test_damaged();
	test_descriptor();
	return (check_done());
}
