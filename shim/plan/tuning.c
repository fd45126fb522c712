#include "plan/tuning.h"

#include <string.h>

#define MIB		((int64_t)1 << 20)
#define MEMORY_DEFAULT	(256 * MIB)
#define MEMORY_PART	4	/* of what the container has: the rest is the job's */
#define MEMORY_MIN	(16 * MIB)
#define IO_TIMEOUT_MS	(5 * 60 * 1000)
#define UMASK		022
#define SIZE_MAX_SAID	((int64_t)1 << 50)
#define CONNECTIONS_MAX	1024
/* The data runtime's own defaults. */
#define AML_BLOCK	(2 * MIB)
#define AML_BLOCKS	32
#define AML_RETRIES	7

/* ---- the knobs ----------------------------------------------------------------------- */

enum unit { BYTES, COUNT, MS, NUMBER, MASK };

static const struct {
	const char	*name;		/* its flag, or what that would be */
	size_t		 offset;
	enum unit	 unit;
	int64_t		 unsaid;
} knobs[KNOBS] = {
#define AT(field) offsetof(struct plan_tuning, field)
	[KNOB_MEMORY] = { "--memory", AT(memory_bytes), BYTES, 0 },
	[KNOB_DISK_CACHE] = { "--disk-cache", AT(disk_cache_bytes), BYTES, PLAN_UNSAID },
	[KNOB_DISK_FREE] = { "--disk-free", AT(disk_free_bytes), BYTES, PLAN_UNSAID },
	[KNOB_READ_AHEAD] = { "--read-ahead", AT(read_ahead_bytes), BYTES, 0 },
	[KNOB_CONNECTIONS] = { "--connections", AT(connections), COUNT, 0 },
	[KNOB_DOWNLOADS] = { "--download-connections", AT(download_connections), COUNT, 0 },
	[KNOB_TRIES] = { "--tries", AT(tries), COUNT, 0 },
	[KNOB_ATTR_TTL] = { "--attr-ttl", AT(attr_ttl_ms), MS, PLAN_UNSAID },
	[KNOB_IO_TIMEOUT] = { "--io-timeout", AT(io_timeout_ms), MS, PLAN_UNSAID },
	[KNOB_UID] = { "--uid", AT(uid), NUMBER, PLAN_UNSAID },
	[KNOB_GID] = { "--gid", AT(gid), NUMBER, PLAN_UNSAID },
	[KNOB_UMASK] = { "--umask", AT(umask), MASK, PLAN_UNSAID },
#undef AT
};

static int64_t *
field_of(struct plan_tuning *t, enum plan_knob knob)
{
	return ((int64_t *)(void *)((char *)t + knobs[knob].offset));
}

int64_t
plan_tuning_value(const struct plan_tuning *t, enum plan_knob knob)
{
	int64_t value;

	memcpy(&value, (const char *)t + knobs[knob].offset, sizeof(value));
	return (value);
}

const char *
plan_knob_name(enum plan_knob knob)
{
	return (knobs[knob].name + 2);
}

int
plan_tuning_text(const struct plan_tuning *t, enum plan_knob knob, char *buf, size_t size)
{
	long long value = plan_tuning_value(t, knob);

	if (value == knobs[knob].unsaid)
		return (0);
	if (knobs[knob].unit == MS && value < 0)
		str_format(buf, size, "never");
	else if (knobs[knob].unit == MS && value % 1000 == 0)
		str_format(buf, size, "%lld s", value / 1000);
	else if (knobs[knob].unit == MS)
		str_format(buf, size, "%lld ms", value);
	else if (knobs[knob].unit == BYTES && value % MIB == 0)
		str_format(buf, size, "%lld MiB", value / MIB);
	else if (knobs[knob].unit == BYTES)
		str_format(buf, size, "%lld bytes", value);
	else
		str_format(buf, size, knobs[knob].unit == MASK ? "0%03llo" : "%lld", value);
	return (1);
}

/* ---- Azure ML's variables ------------------------------------------------------------ */

enum kind {
	IGNORED,
	MILLISECONDS,	/* a knob, as it is */
	SIZE,		/* a knob, as it is */
	CACHE_SIZE,	/* of the disk; negative: what to leave free */
	MEMORY,		/* beside the read-ahead, over there */
	BLOCK, BLOCKS,	/* their product is the knob */
	CONNECTIONS,
	RETRIES,
	DISK_SWITCH,	/* false: no disk cache */
};

static const struct variable {
	const char	*name;
	enum kind	 kind;
	enum plan_knob	 knob;
	const char	*meaning;	/* also docs/MOUNTS.md's */
} variables[] = {
	{ "DATASET_MOUNT_ATTRIBUTE_CACHE_TTL", MILLISECONDS, KNOB_ATTR_TTL,
	    "--attr-ttl, in milliseconds" },
	{ "DATASET_RESERVED_FREE_DISK_SPACE", SIZE, KNOB_DISK_FREE,
	    "what the disk cache and downloads leave free" },
	{ "DATASET_MOUNT_CACHE_SIZE", CACHE_SIZE, KNOB_DISK_CACHE,
	    "the bound of the disk cache; negative: what it leaves free" },
	{ "DATASET_MOUNT_BLOCK_FILE_CACHE_ENABLED", DISK_SWITCH, KNOB_DISK_CACHE,
	    "false: no disk cache" },
	{ "DATASET_MOUNT_MEMORY_CACHE_SIZE", MEMORY, KNOB_MEMORY,
	    "--memory: this and the blocks read ahead (READ_BLOCK_SIZE times "
	    "READ_BUFFER_BLOCK_COUNT), which share one pool here" },
	{ "DATASET_MOUNT_READ_BLOCK_SIZE", BLOCK, KNOB_READ_AHEAD,
	    "times READ_BUFFER_BLOCK_COUNT: the bound of one stream's read-ahead" },
	{ "DATASET_MOUNT_READ_BUFFER_BLOCK_COUNT", BLOCKS, KNOB_READ_AHEAD,
	    "times READ_BLOCK_SIZE: the bound of one stream's read-ahead" },
	{ "DATASET_MOUNT_READ_THREADS", CONNECTIONS, KNOB_CONNECTIONS,
	    "connections of a mount" },
	{ "RSLEX_DOWNLOADER_THREADS", CONNECTIONS, KNOB_DOWNLOADS,
	    "connections of a download" },
	{ "AZUREML_DATASET_HTTP_RETRY_COUNT", RETRIES, KNOB_TRIES,
	    "fewer than 7 (the default there): so many retries; else requests are retried for "
	    "as long as --io-timeout says, which is longer" },
	{ "DATASET_MOUNT_BLOCK_BASED_CACHE_ENABLED", IGNORED, KNOBS,
	    "ignored: files are always read by ranges, and whole files kept when that pays" },
	{ "DATASET_MOUNT_FILE_CACHE_PRUNE_THRESHOLD", IGNORED, KNOBS,
	    "ignored: room is made when it is needed" },
	{ "DATASET_MOUNT_FILE_CACHE_PRUNE_TARGET", IGNORED, KNOBS,
	    "ignored: room is made when it is needed, as much as is needed" },
	{ "DATASET_MOUNT_BLOCK_FILE_CACHE_MAX_QUEUE_SIZE", IGNORED, KNOBS,
	    "ignored: what waits for the disk is part of --memory" },
	{ "DATASET_MOUNT_BLOCK_FILE_CACHE_WRITE_THREADS", IGNORED, KNOBS,
	    "ignored: nobody waits for the cache's writes" },
	{ "DATASET_UNMOUNT_TIMEOUT_SECONDS", IGNORED, KNOBS,
	    "ignored: outputs have --flush-timeout" },
};

const char *
plan_tuning_variable(size_t i, const char **ret_meaning)
{
	if (i >= LENGTH(variables))
		return (NULL);
	*ret_meaning = variables[i].meaning;
	return (variables[i].name);
}

/* A whole number, perhaps negative, perhaps with KB, MB or GB. */
static int
parse_size(const char *text, int64_t *ret)
{
	static const struct { const char *unit; int shift; } units[] = { { "", 0 }, { "B", 0 },
	    { "KB", 10 }, { "MB", 20 }, { "GB", 30 } };
	int negative = text[0] == '-';
	size_t n = strspn(text += negative, "0123456789"), i;
	char digits[20], unit[4] = "";
	long long value;

	if (n == 0 || n >= sizeof(digits) ||
	    str_format(unit, sizeof(unit), "%s", text + n + strspn(text + n, " ")) != 0)
		return (-1);
	str_format(digits, sizeof(digits), "%.*s", (int)n, text);
	for (i = 0; i < LENGTH(units); i++)
		if (str_same_loose(unit, units[i].unit) &&
		    str_to_i64(digits, 0, SIZE_MAX_SAID >> units[i].shift, &value) == 0) {
			*ret = (negative ? -1 : 1) * (value << units[i].shift);
			return (0);
		}
	return (-1);
}

/* Python writes True and False. */
static int
parse_switch(const char *text, int *ret)
{
	static const char *const words[] = { "false", "0", "true", "1" };
	size_t i;

	for (i = 0; i < LENGTH(words); i++)
		if (str_same_loose(text, words[i])) {
			*ret = i >= 2;
			return (0);
		}
	return (-1);
}

struct said {			/* what must be seen together */
	int64_t	 memory, block, blocks;		/* < 0: not said */
	const char *ahead_from;
};

static void
set(struct plan_tuning *t, enum plan_knob knob, int64_t value, const char *variable)
{
	if (t->from[knob] != NULL)
		return;
	*field_of(t, knob) = value;
	t->from[knob] = variable;
}

/* NULL: taken, or nothing to take; else why not. */
static const char *
take(struct plan_tuning *t, struct said *said, const struct variable *v, const char *text)
{
	long long count;
	int64_t size;
	int on;

	switch (v->kind) {
	case IGNORED:
		return (v->meaning);
	case MILLISECONDS:
	case CONNECTIONS:
	case RETRIES:
	case BLOCKS:
		if (str_to_i64(text, v->kind == CONNECTIONS, INT32_MAX, &count) != 0)
			return ("");
		if (v->kind == RETRIES && count >= AML_RETRIES)
			return (v->meaning);
		if (v->kind == BLOCKS) {
			said->blocks = count < CONNECTIONS_MAX ? count : CONNECTIONS_MAX;
			said->ahead_from = v->name;
		} else
			set(t, v->knob, v->kind == RETRIES ? count + 1 :
			    v->kind == CONNECTIONS && count > CONNECTIONS_MAX ?
			    CONNECTIONS_MAX : count, v->name);
		return (NULL);
	case DISK_SWITCH:
		if (parse_switch(text, &on) != 0)
			return ("");
		if (!on)
			set(t, v->knob, 0, v->name);
		return (NULL);
	default:
		break;
	}
	if (parse_size(text, &size) != 0 || (size < 0 && v->kind != CACHE_SIZE))
		return ("");
	if (v->kind == BLOCK) {
		said->block = size;
		said->ahead_from = v->name;
	} else if (v->kind == MEMORY)
		said->memory = size;
	else if (size < 0)
		set(t, KNOB_DISK_FREE, -size, v->name);
	else
		set(t, v->knob, size, v->name);
	return (NULL);
}

/* Over there the blocks read ahead have memory of their own: here both are in the pool. */
static void
combine(struct plan_tuning *t, const struct said *said)
{
	int64_t ahead = (said->block > 0 ? said->block : AML_BLOCK) *
	    (said->blocks >= 0 ? said->blocks : AML_BLOCKS);

	if (ahead > SIZE_MAX_SAID)
		ahead = SIZE_MAX_SAID;
	if (said->ahead_from != NULL)
		set(t, KNOB_READ_AHEAD, ahead > 0 ? ahead : 1, said->ahead_from);
	if (said->memory < 0)
		return;
	ahead += said->memory;
	set(t, KNOB_MEMORY, ahead > MEMORY_MIN ? ahead : MEMORY_MIN,
	    "DATASET_MOUNT_MEMORY_CACHE_SIZE");
}

static void
take_variables(struct plan_tuning *t, const struct plan_tuning_world *w)
{
	struct said said = { -1, -1, -1, NULL };
	const char *text, *why;
	size_t i;

	for (i = 0; i < LENGTH(variables); i++) {
		text = w->variable(w->arg, variables[i].name);
		if (text == NULL || text[0] == '\0')
			continue;
		why = take(t, &said, &variables[i], text);
		if (why != NULL)
			w->remark(w->arg, variables[i].name, text, why, why[0] == '\0');
	}
	combine(t, &said);
}

void
plan_tuning_settle(struct plan_tuning *t, const struct plan_tuning_world *world)
{
	int knob;

	for (knob = 0; knob < KNOBS; knob++)
		if (plan_tuning_value(t, (enum plan_knob)knob) != knobs[knob].unsaid)
			t->from[knob] = knobs[knob].name;
	if (world != NULL)
		take_variables(t, world);
	if (t->memory_bytes == 0)
		t->memory_bytes = world != NULL && world->memory_limit != 0 &&
		    world->memory_limit / MEMORY_PART < MEMORY_DEFAULT ?
		    world->memory_limit / MEMORY_PART : MEMORY_DEFAULT;
	if (t->io_timeout_ms == PLAN_UNSAID)
		t->io_timeout_ms = IO_TIMEOUT_MS;
	if (t->umask == PLAN_UNSAID)
		t->umask = UMASK;
	if (t->allow_other < 0)
		t->allow_other = 1;
}
