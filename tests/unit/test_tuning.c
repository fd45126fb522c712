/* What flags and Azure ML's variables say together.  Run from the top of the tree. */

#include <string.h>

#include "base/fd.h"
#include "check.h"
#include "plan/tuning.h"

static const char *const *variables;	/* NAME, VALUE, ... NULL */
static int ignored, bad;

static const char *
variable(void *arg, const char *name)
{
	const char *const *v;

	(void)arg;
	for (v = variables; *v != NULL; v += 2)
		if (strcmp(*v, name) == 0)
			return (v[1]);
	return (NULL);
}

static void
remark(void *arg, const char *name, const char *value, const char *why, int is_bad)
{
	(void)arg;
	check(variable(NULL, name) == value);
	check((why[0] == '\0') == (is_bad != 0));
	bad += is_bad;
	ignored += !is_bad;
}

static int64_t limit;

static void
settle(struct plan_tuning *t, const char *const *with)
{
	struct plan_tuning_world world = { variable, remark, NULL, limit };

	variables = with;
	ignored = bad = 0;
	plan_tuning_settle(t, &world);
}

#define WITH(...)	((const char *const []){ __VA_ARGS__, NULL })
#define MIB		((int64_t)1 << 20)

/* What the mounts take is not more than a quarter of the container, unless somebody says so. */
static void
test_small_container(void)
{
	struct plan_tuning t = PLAN_TUNING_UNSAID, said = PLAN_TUNING_UNSAID;

	limit = 256 * MIB;
	settle(&t, WITH(NULL));
	check_int(t.memory_bytes, 64 * MIB);
	said.memory_bytes = 200 * MIB;
	settle(&said, WITH(NULL));
	check_int(said.memory_bytes, 200 * MIB);
	t.memory_bytes = 0;
	limit = 4096 * MIB;
	settle(&t, WITH(NULL));
	check_int(t.memory_bytes, 256 * MIB);
	limit = 0;
}

static void
test_defaults(void)
{
	struct plan_tuning t = PLAN_TUNING_UNSAID;
	char text[48];

	settle(&t, WITH(NULL));
	check_int(t.memory_bytes, 256 * MIB);
	check_int(t.io_timeout_ms, 300000);
	check_int(t.attr_ttl_ms, PLAN_UNSAID);
	check_int(t.umask, 022);
	check_int(t.allow_other, 1);
	check_int(t.connections, 0);
	check(t.from[KNOB_MEMORY] == NULL && t.from[KNOB_UID] == NULL);
	check_int(plan_tuning_text(&t, KNOB_ATTR_TTL, text, sizeof(text)), 0);
	check(plan_tuning_text(&t, KNOB_UMASK, text, sizeof(text)));
	check_str(text, "0022");
}

static void
test_variables(void)
{
	struct plan_tuning t = PLAN_TUNING_UNSAID;

	settle(&t, WITH("DATASET_MOUNT_ATTRIBUTE_CACHE_TTL", "1500",
	    "DATASET_MOUNT_CACHE_SIZE", "10 GB", "DATASET_RESERVED_FREE_DISK_SPACE", "200MB",
	    "DATASET_MOUNT_READ_THREADS", "12", "RSLEX_DOWNLOADER_THREADS", "100000",
	    "AZUREML_DATASET_HTTP_RETRY_COUNT", "3", "DATASET_MOUNT_READ_BLOCK_SIZE", "4mb",
	    "DATASET_MOUNT_READ_BUFFER_BLOCK_COUNT", "80"));
	check_int(ignored + bad, 0);
	check_int(t.attr_ttl_ms, 1500);
	check_int(t.disk_cache_bytes, 10240 * MIB);
	check_int(t.disk_free_bytes, 200 * MIB);
	check_int(t.connections, 12);
	check_int(t.download_connections, 1024);
	check_int(t.tries, 4);
	check_int(t.read_ahead_bytes, 320 * MIB);
	check_int(t.memory_bytes, 256 * MIB);
	check_str(t.from[KNOB_ATTR_TTL], "DATASET_MOUNT_ATTRIBUTE_CACHE_TTL");
	check(t.from[KNOB_MEMORY] == NULL);

	t = (struct plan_tuning)PLAN_TUNING_UNSAID;
	settle(&t, WITH("DATASET_MOUNT_CACHE_SIZE", "-5000000",
	    "DATASET_MOUNT_MEMORY_CACHE_SIZE", "0"));
	check_int(t.disk_cache_bytes, PLAN_UNSAID);
	check_int(t.disk_free_bytes, 5000000);
	check_int(t.memory_bytes, 64 * MIB);	/* what is read ahead has its place in it */

	t = (struct plan_tuning)PLAN_TUNING_UNSAID;
	settle(&t, WITH("DATASET_MOUNT_BLOCK_FILE_CACHE_ENABLED", "False",
	    "DATASET_MOUNT_READ_BUFFER_BLOCK_COUNT", "0",
	    "DATASET_MOUNT_MEMORY_CACHE_SIZE", "1"));
	check_int(t.disk_cache_bytes, 0);
	check_int(t.read_ahead_bytes, 1);
	check_int(t.memory_bytes, 16 * MIB);
}

static void
test_flags_win(void)
{
	struct plan_tuning t = PLAN_TUNING_UNSAID;
	char text[48];

	t.memory_bytes = 64 * MIB;
	t.attr_ttl_ms = -1;
	settle(&t, WITH("DATASET_MOUNT_ATTRIBUTE_CACHE_TTL", "1500",
	    "DATASET_MOUNT_MEMORY_CACHE_SIZE", "1GB"));
	check_int(t.memory_bytes, 64 * MIB);
	check_int(t.attr_ttl_ms, -1);
	check_str(t.from[KNOB_ATTR_TTL], "--attr-ttl");
	check(plan_tuning_text(&t, KNOB_ATTR_TTL, text, sizeof(text)));
	check_str(text, "never");
	check(plan_tuning_text(&t, KNOB_MEMORY, text, sizeof(text)));
	check_str(text, "64 MiB");
}

static void
test_refused(void)
{
	static const char *const values[] = { "x", "-1", "1.5", "10TB", "1 2",
	    "99999999999999999999", "" };
	struct plan_tuning t = PLAN_TUNING_UNSAID;
	const char *name, *meaning;
	size_t i, v;

	for (i = 0; (name = plan_tuning_variable(i, &meaning)) != NULL; i++)
		for (v = 0; v < LENGTH(values); v++) {
			if (strcmp(name, "DATASET_MOUNT_CACHE_SIZE") == 0 && v == 1)
				continue;
			settle(&t, WITH(name, values[v]));
			check_int(bad + ignored, values[v][0] != '\0');
			check_int(ignored, values[v][0] != '\0' && str_starts(meaning, "ignored"));
		}
	settle(&t, WITH("AZUREML_DATASET_HTTP_RETRY_COUNT", "7"));
	check_int(ignored, 1);
	check_int(t.tries, 0);
	check_int(t.memory_bytes, 256 * MIB);
	check_int(t.attr_ttl_ms, PLAN_UNSAID);
}

/* "| `NAME` | MEANING |" */
static void
test_docs(void)
{
	auto_buf struct buf page = BUF_EMPTY;
	const char *name, *meaning;
	char row[512];
	size_t i;

	if (!check(fd_read_file("docs/MOUNTS.md", 1 << 20, &page, NULL) == 0))
		return;
	for (i = 0; (name = plan_tuning_variable(i, &meaning)) != NULL; i++) {
		str_format(row, sizeof(row), "| `%s` | %s |\n", name, meaning);
		if (!check(strstr(buf_str(&page), row) != NULL))
			printf("# docs/MOUNTS.md lacks: %s", row);
	}
	check(i > 10);
}

/* As the plan shows them: in the unit that has no remainder. */
static void
test_text(void)
{
	static const struct { enum plan_knob knob; int64_t value; const char *text; } rows[] = {
		{ KNOB_ATTR_TTL, -1, "never" }, { KNOB_ATTR_TTL, 5000, "5 s" },
		{ KNOB_ATTR_TTL, 1500, "1500 ms" }, { KNOB_MEMORY, 3 * MIB, "3 MiB" },
		{ KNOB_MEMORY, 3 * MIB + 1, "3145729 bytes" }, { KNOB_UMASK, 027, "0027" },
		{ KNOB_UID, 1000, "1000" },
	};
	struct plan_tuning t;
	char text[32];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t = (struct plan_tuning)PLAN_TUNING_UNSAID;
		if (rows[i].knob == KNOB_ATTR_TTL)
			t.attr_ttl_ms = rows[i].value;
		else if (rows[i].knob == KNOB_MEMORY)
			t.memory_bytes = rows[i].value;
		else if (rows[i].knob == KNOB_UMASK)
			t.umask = rows[i].value;
		else
			t.uid = rows[i].value;
		check_int(plan_tuning_text(&t, rows[i].knob, text, sizeof(text)), 1);
		check_str(text, rows[i].text);
	}
}

/* Blocks that nobody has: as much as can be said, and no overflow. */
static void
test_endless(void)
{
	struct plan_tuning t = PLAN_TUNING_UNSAID;

	limit = 0;
	settle(&t, WITH("DATASET_MOUNT_READ_BLOCK_SIZE", "1048576 GB",
	    "DATASET_MOUNT_READ_BUFFER_BLOCK_COUNT", "1000"));
	check_int(bad, 0);
	check_int(t.read_ahead_bytes, INT64_C(1) << 50);
}

int
main(void)
{
	test_small_container();
	test_small_container();
	test_defaults();
	test_variables();
	test_flags_win();
	test_refused();
	test_docs();
	test_text();
	test_endless();
	return (check_done());
}
