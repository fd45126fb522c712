#include "cli/options.h"

#include <stddef.h>
#include <string.h>

#include "cli/options_table.h"
#include "plan/plan.h"

#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
	{ "job", 'j', ROW_TEXT, "AMLSHIM_JOB", AT(job), "FILE|TEXT",
	    "job or deployment spec, YAML or JSON", MAIN },
	{ "step", 0, ROW_TEXT, "AMLSHIM_STEP", AT(step), "NAME",
	    "the step to run, when the job is a pipeline", MAIN },
	{ "datastore", 'd', ROW_LIST, "AMLSHIM_DATASTORES", AT(datastores), "FILE|DIR|TEXT",
	    "datastore definitions; may be repeated", MAIN },
	{ "workspace", 0, ROW_TEXT, "AMLSHIM_WORKSPACE", AT(workspace), "SUB/GROUP/NAME",
	    "Azure ML workspace that knows datastores and assets", MAIN },
	{ "resolve", 0, ROW_YES, "AMLSHIM_RESOLVE", AT(resolve), NULL,
	    "plan: ask the workspace for what no file describes", COMMANDS },
	{ "compute", 0, ROW_TEXT, "AMLSHIM_COMPUTE", AT(compute), "FILE|TEXT",
	    "identities of the compute: a file, none, system_assigned, or client ids", MAIN },
	{ "cloud", 0, ROW_TEXT, "AMLSHIM_CLOUD", AT(cloud), "NAME|FILE",
	    "AzureCloud, AzureUSGovernment, AzureChinaCloud, or a JSON description", MAIN },
	{ "root", 0, ROW_TEXT, "AMLSHIM_ROOT", AT(root), "DIR",
	    "where inputs and outputs appear (/mnt/amlshim)", MAIN },
	{ "cache-dir", 0, ROW_TEXT, "AMLSHIM_CACHE_DIR", AT(cache_dir), "DIR",
	    "where outputs are staged (/tmp/amlshim)", MAIN },
	{ "fuse", 0, ROW_FUSE, "AMLSHIM_FUSE", AT(fuse_copy), "require|copy",
	    "without FUSE: fail (default) or copy the data", MAIN },
	{ "memory", 0, ROW_SIZE, "AMLSHIM_MEMORY", AT(tuning.memory_bytes), "SIZE",
	    "memory for all mounts (256M, or a quarter of less than 1G)", MOUNT },
	{ "write-behind", 0, ROW_YES, "AMLSHIM_WRITE_BEHIND", AT(tuning.write_behind), NULL,
	    "outputs: close does not wait for the upload, fsync does", MOUNT },
	{ "acl", 0, ROW_YES, "AMLSHIM_ACL", AT(tuning.acl), NULL,
	    "show and set the modes and owners that ADLS Gen2 keeps", MOUNT },
	{ "disk-cache", 0, ROW_SIZE_OR_0, "AMLSHIM_DISK_CACHE", AT(tuning.disk_cache_bytes), "SIZE",
	    "keep what mounts read in CACHE-DIR/.blocks, for later runs too (0)", MOUNT },
	{ "attr-ttl", 0, ROW_DURATION, "AMLSHIM_ATTR_TTL", AT(tuning.attr_ttl_ms), "TIME",
	    "how long names and attributes are believed (1h; 30s if writable)", MOUNT },
	{ "io-timeout", 0, ROW_DURATION, "AMLSHIM_IO_TIMEOUT", AT(tuning.io_timeout_ms), "TIME",
	    "the longest wait for the store before EIO, or never (5m)", MOUNT },
	{ "uid", 0, ROW_ID, "AMLSHIM_UID", AT(tuning.uid), "UID",
	    "owner of what is mounted (the job's)", MOUNT },
	{ "gid", 0, ROW_ID, "AMLSHIM_GID", AT(tuning.gid), "GID",
	    "its group (the job's)", MOUNT },
	{ "umask", 0, ROW_MASK, "AMLSHIM_UMASK", AT(tuning.umask), "MASK",
	    "permissions that nobody has on it, octal (022)", MOUNT },
	{ "allow-other", 0, ROW_YES, "AMLSHIM_ALLOW_OTHER", AT(tuning.allow_other), NULL,
	    "users besides the owner may use mounts (yes; =no)", MOUNT },
	{ "stats", 0, ROW_YES, "AMLSHIM_STATS", AT(tuning.stats), NULL,
	    "log each mount's counters at its end; SIGUSR1 to it: now", MOUNT },
	{ "snapshot", 0, ROW_TEXT, "AMLSHIM_SNAPSHOT", AT(snapshot), "FILE",
	    "what the code is checked against (CODE/.amlshim-snapshot)", MAIN },
	{ "registry", 0, ROW_TEXT, "AMLSHIM_REGISTRIES", AT(registries), "HOST[,HOST]",
	    "docker-credential: Azure registries with a name of their own", COMMANDS },
	{ "broker", 0, ROW_DIALECTS, "AMLSHIM_BROKER", AT(broker_dialects), "LIST",
	    "token endpoints for the job: aml,appservice (default), imds", MAIN },
	{ "audit", 0, ROW_TEXT, "AMLSHIM_AUDIT", AT(audit), "FILE",
	    "append who got which token, and who did not, as JSON", MAIN },
	{ "export-token", 0, ROW_PAIRS, "AMLSHIM_EXPORT_TOKENS", AT(export_tokens), "AUDIENCE=VAR",
	    "a token in the job's environment; may be repeated", MAIN },
	{ "token-file", 0, ROW_PAIRS, "AMLSHIM_TOKEN_FILES", AT(token_files), "AUDIENCE=PATH",
	    "a token in a file, kept fresh; may be repeated", MAIN },
	{ "resource", 0, ROW_TEXT, "AMLSHIM_RESOURCE", AT(resource), "URI",
	    "token: what it is for", COMMANDS },
	{ "client-id", 0, ROW_TEXT, "AMLSHIM_CLIENT_ID", AT(client_id), "ID",
	    "token: of this managed identity, not the default one", COMMANDS },
	{ "claims", 0, ROW_YES, "AMLSHIM_CLAIMS", AT(claims), NULL,
	    "token: print what it says, not the token", COMMANDS },
	{ "long", 'l', ROW_YES, "AMLSHIM_LONG", AT(list_long), NULL,
	    "ls: with size and time", COMMANDS },
	{ "recursive", 'R', ROW_YES, "AMLSHIM_RECURSIVE", AT(recursive), NULL,
	    "ls, cp: everything below", COMMANDS },
	{ "range", 0, ROW_TEXT, "AMLSHIM_RANGE", AT(range), "FIRST-LAST",
	    "cat: these bytes, counted from 0; FIRST- to the end, -N the last N", COMMANDS },
	{ "dry-run", 'n', ROW_YES, "AMLSHIM_DRY_RUN", AT(dry_run), NULL,
	    "print the plan and stop", MAIN },
	{ "explain", 0, ROW_YES, "AMLSHIM_EXPLAIN", AT(explain), NULL,
	    "print the plan to stderr, then run", MAIN },
	{ "json", 0, ROW_YES, "AMLSHIM_JSON", AT(json), NULL,
	    "print the plan, token, findings or listing as JSON", MAIN },
	{ "write", 0, ROW_YES, "AMLSHIM_WRITE", AT(write_check), NULL,
	    "doctor: put and delete a small blob where outputs go", COMMANDS },
	{ "trace", 0, ROW_TEXT, "AMLSHIM_TRACE", AT(trace), "FILE",
	    "write a timeline of phases and requests, for Perfetto", MAIN },
	{ "report", 0, ROW_TEXT, "AMLSHIM_REPORT", AT(report), "FILE",
	    "write how the run went, as JSON, when it ends", MAIN },
	{ "hold-on-failure", 0, ROW_HOLD, "AMLSHIM_HOLD_ON_FAILURE", AT(hold_ms), NULL,
	    "after a failure keep all as it is, for =TIME or until a stop signal", MAIN },
	{ "verbose", 'v', ROW_COUNT, "AMLSHIM_VERBOSE", AT(verbosity), NULL,
	    "say what is done; -vv: each request", MAIN },
	{ "log-format", 0, ROW_LOG_FORMAT, "AMLSHIM_LOG_FORMAT", AT(log_json), "text|json",
	    "how log lines look (text)", MAIN },
	{ "grace", 0, ROW_DURATION, "AMLSHIM_GRACE", AT(grace_ms), "TIME",
	    "from a stop signal to SIGKILL: 10s, 2m, never (never)", INIT },
	{ "leftover", 0, ROW_DURATION, "AMLSHIM_LEFTOVER", AT(leftover_ms), "TIME",
	    "for processes that outlive the command (1500ms)", INIT },
	{ "flush-timeout", 0, ROW_DURATION, "AMLSHIM_FLUSH_TIMEOUT", AT(flush_ms), "TIME",
	    "for uploads after the command (30m)", INIT },
	{ "start-timeout", 0, ROW_DURATION, "AMLSHIM_START_TIMEOUT", AT(start_ms), "TIME",
	    "without progress before the command starts (2m)", INIT },
	{ "watchdog", 0, ROW_BEATS, "AMLSHIM_WATCHDOG", AT(watchdog_ms), "TIME",
	    "a worker without a sign of life for so long is replaced (30s)", INIT },
	{ "drain", 0, ROW_DURATION, "AMLSHIM_DRAIN", AT(drain_ms), "TIME",
	    "a stop signal: not ready, and passed on after that time (0)", INIT },
	{ "restart", 0, ROW_RESTART, "AMLSHIM_RESTART", AT(again), "WHEN",
	    "start the command again: no, on-failure[:N], always (no)", INIT },
	{ "probe", 0, ROW_PROBE, "AMLSHIM_PROBE", AT(probe), "PORT[/PATH]",
	    "where the command's server says that it is well", INIT },
	{ "health-listen", 0, ROW_PORT, "AMLSHIM_HEALTH_LISTEN", AT(health_port), "PORT",
	    "serve /live and /ready there, for Kubernetes", INIT },
	{ "control", 0, ROW_YES, "AMLSHIM_CONTROL", AT(control), NULL,
	    "the socket for status and healthcheck (with a job; =no)", INIT },
	{ "live", 0, ROW_YES, "AMLSHIM_LIVE", AT(for_live), NULL,
	    "healthcheck: is it alive", COMMANDS },
	{ "ready", 0, ROW_NO, "AMLSHIM_READY", AT(for_live), NULL,
	    "healthcheck: is it ready (default)", COMMANDS },
	{ "model", 0, ROW_MODEL, "AMLSHIM_MODEL", AT(mount_model), "download|mount",
	    "how a deployment's model gets here (download)", MOUNT },
	{ "group", 'g', ROW_YES, "AMLSHIM_GROUP", AT(group), NULL,
	    "signal the whole process group (default for shell commands)", INIT },
	{ "child-only", 'c', ROW_NO, "AMLSHIM_CHILD_ONLY", AT(group), NULL,
	    "signal only the command itself", INIT },
	{ "no-subreaper", 0, ROW_YES, "AMLSHIM_NO_SUBREAPER", AT(no_subreaper), NULL,
	    "not PID 1: do not adopt orphans", INIT },
	{ "parent-death-signal", 'p', ROW_SIGNAL, "AMLSHIM_PARENT_DEATH_SIGNAL",
	    AT(parent_death_signal), "SIGNAL", "for amlshim, when its parent dies", INIT },
	{ "remap-exit", 'e', ROW_CODES, "AMLSHIM_REMAP_EXIT", AT(exit_as_zero), "CODE[,CODE]",
	    "exit codes of the command that mean success", INIT },
	{ "rewrite", 'r', ROW_REWRITE, "AMLSHIM_REWRITE", AT(launch.rewrite), "SIGNAL:SIGNAL",
	    "forward another one instead, or 0: none; may be repeated", INIT },
	{ "setsid", 0, ROW_YES, "AMLSHIM_SETSID", AT(launch.new_session), NULL,
	    "a session of its own for the command, with the terminal", INIT },
	{ "user", 'u', ROW_TEXT, "AMLSHIM_USER", AT(user), "USER[:GROUP]",
	    "run the command as: names of /etc/passwd and group, or numbers", INIT },
	{ "chdir", 0, ROW_TEXT, "AMLSHIM_CHDIR", AT(launch.cwd), "DIR",
	    "start the command there", INIT },
	{ "rlimit", 0, ROW_LIMITS, "AMLSHIM_RLIMIT", AT(launch), "NAME=SOFT[:HARD]",
	    "its limits: nofile=65536, core=0:0; may be repeated", INIT },
	{ "oom-score-adj", 0, ROW_SCORE, "AMLSHIM_OOM_SCORE_ADJ", AT(launch.oom_score_adj),
	    "NUMBER", "how early it is killed without memory, -1000 to 1000", INIT },
	{ "no-new-privs", 0, ROW_YES, "AMLSHIM_NO_NEW_PRIVS", AT(launch.no_new_privs), NULL,
	    "no program gives it more rights than it has", INIT },
	{ "cap-drop", 0, ROW_CAPS, "AMLSHIM_CAP_DROP", AT(launch.dropped_caps), "NAME[,NAME]|all",
	    "take capabilities from it, for good; may be repeated", INIT },
};

static const struct command commands[] = {
	{ "run", OPTIONS_RUN, 0, "[FLAGS] [--] COMMAND [ARG...]",
	    "run it with the job's data and identity" },
	{ "plan", OPTIONS_PLAN, 0, "[FLAGS] [-- COMMAND...]",
	    "print what would be done, as whom, and why" },
	{ "doctor", OPTIONS_DOCTOR, 0, "[FLAGS]",
	    "check all that the job needs, say what to do" },
	{ "status", OPTIONS_STATUS, 0, "[PID]", "what the one that runs here does" },
	{ "healthcheck", OPTIONS_HEALTHCHECK, 0, "[--live] [PID]",
	    "is it ready (or live)? one line, and 0 or 1" },
	{ "ls", OPTIONS_LS, 1, "[-lR] PLACE...",
	    "list data as the job would: a URI, or inputs.NAME" },
	{ "cat", OPTIONS_CAT, 1, "[--range A-B] PLACE...", "print its bytes" },
	{ "cp", OPTIONS_CP, 1, "[-R] FROM TO", "copy it to a path here, or a path here to it" },
	{ "token", OPTIONS_TOKEN, 0, "--resource URI", "print a token, as the job gets it" },
	{ "snapshot", OPTIONS_SNAPSHOT, 0, "DIR [--output FILE]",
	    "write the checksums that the code is checked against" },
	{ "docker-credential", OPTIONS_DOCKER_CREDENTIAL, 0, "ACTION",
	    "a docker client's helper for Azure registries" },
	{ "version", OPTIONS_VERSION, 0, "[-v]",
	    "print the version; -v: of what is linked in, too" },
	{ "help", OPTIONS_HELP, 0, "[TOPIC]",
	    "TOPIC: commands, init, mount, man, completion-bash, completion-zsh" },
};

static const struct { const char *name; enum plan_dialect dialect; } dialects[] = {
	{ "aml", PLAN_DIALECT_AML }, { "appservice", PLAN_DIALECT_APPSERVICE },
	{ "imds", PLAN_DIALECT_IMDS },
};

static int
bad_value(struct err *err, const char *where, const char *value, const char *wanted)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options", "expected %s, got \"%s\"",
	    wanted, value);
	return (err_on(err, "%s", where));
}

/* A number with one of the units; -1 if it is neither. */
static int
number_with_unit(const char *text, const char *const *units, const int64_t *factors, size_t n,
    int64_t max, int64_t *ret)
{
	size_t digits = strspn(text, "0123456789"), i;
	char number[20];
	long long value;

	if (digits == 0 || digits >= sizeof(number))
		return (-1);
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (str_to_i64(number, 0, max, &value) != 0)
		return (-1);
	for (i = 0; i < n; i++)
		if (str_same(text + digits, units[i])) {
			if (value > max / factors[i])
				return (-1);
			*ret = value * factors[i];
			return (0);
		}
	return (-1);
}

static int
parse_duration(const char *text, int64_t *ret_ms)
{
	static const char *const units[] = { "", "s", "ms", "m", "h" };
	static const int64_t factors[] = { 1000, 1000, 1, 60000, 3600000 };

	if (str_same(text, "never")) {
		*ret_ms = -1;
		return (0);
	}
	return (number_with_unit(text, units, factors, LENGTH(units), 30LL * 24 * 3600 * 1000,
	    ret_ms));
}

static int
parse_size(const char *text, int64_t *ret_bytes)
{
	static const char *const units[] = { "", "k", "m", "g", "kib", "mib", "gib", "kb", "mb",
	    "gb" };
	static const int64_t factors[] = { 1, 1 << 10, 1 << 20, 1 << 30, 1 << 10, 1 << 20,
	    1 << 30, 1 << 10, 1 << 20, 1 << 30 };

	return (number_with_unit(text, units, factors, LENGTH(units), INT64_C(1) << 50,
	    ret_bytes));
}

/* A user's or group's number, and an octal mask. */
static int
parse_id(const char *text, int64_t *ret)
{
	long long value;

	if (str_to_i64(text, 0, UINT32_MAX - 1, &value) != 0)
		return (-1);
	*ret = value;
	return (0);
}

static int
parse_mask(const char *text, int64_t *ret)
{
	size_t n = strspn(text, "01234567");

	if (n == 0 || n > 4 || text[n] != '\0' || (n == 4 && text[0] != '0'))
		return (-1);
	for (*ret = 0; *text != '\0'; text++)
		*ret = *ret * 8 + (*text - '0');
	return (0);
}

static int
parse_codes(const char *text, unsigned char codes[256])
{
	char number[4];
	size_t len;
	long long code;

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		if (len == 0 || len >= sizeof(number))
			return (-1);
		memcpy(number, text, len);
		number[len] = '\0';
		if (str_to_i64(number, 0, 255, &code) != 0)
			return (-1);
		codes[code] = 1;
		if (text[len] == '\0')
			return (0);
	}
}

static int
parse_dialects(const char *text, unsigned *ret)
{
	unsigned found = 0;
	size_t len, i;

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		for (i = 0; i < LENGTH(dialects); i++)
			if (strlen(dialects[i].name) == len &&
			    strncmp(dialects[i].name, text, len) == 0)
				break;
		if (i == LENGTH(dialects))
			return (-1);
		found |= (unsigned)dialects[i].dialect;
		if (text[len] == '\0')
			break;
	}
	*ret = found;
	return (0);
}

static int
is_inline_text(const char *text)
{
	return (text[0] == '{' || strchr(text, '\n') != NULL);
}

/* A list in struct options: an array and, behind it, its length. */
struct list {
	const char	**items;
	size_t		  n;
};

static struct list
list_of(const struct options *opt, const struct row *row)
{
	struct list list;

	memcpy(&list, (const char *)opt + row->offset, sizeof(list));
	return (list);
}

static void
list_put(struct options *opt, const struct row *row, struct list list)
{
	memcpy((char *)opt + row->offset, &list, sizeof(list));
}

static void
list_add(struct options *opt, const struct row *row, struct arena *mem, const char *value)
{
	struct list list = list_of(opt, row);
	const char **grown;

	grown = arena_alloc(mem, (list.n + 1) * sizeof(*grown));
	if (list.n != 0)
		memcpy(grown, list.items, list.n * sizeof(*grown));
	grown[list.n] = value;
	list_put(opt, row, (struct list){ grown, list.n + 1 });
}

/* A variable holds one inline text, or paths separated by colons; pairs: by blanks. */
static void
list_add_variable(struct options *opt, const struct row *row, struct arena *mem,
    const char *value)
{
	const char *separators = row->type == ROW_PAIRS ? " \t\n" : ":";
	size_t len;

	if (row->type == ROW_LIST && is_inline_text(value)) {
		list_add(opt, row, mem, value);
		return;
	}
	for (; *value != '\0'; value += len + (value[len] != '\0')) {
		len = strcspn(value, separators);
		if (len != 0)
			list_add(opt, row, mem, arena_strndup(mem, value, len));
	}
}

static int
parse_yes(const char *value, int *ret)
{
	static const char *const yes[] = { "", "1", "yes", "true", "on" };
	static const char *const no[] = { "0", "no", "false", "off" };
	size_t i;

	for (i = 0; i < LENGTH(yes); i++)
		if (str_same(value, yes[i])) {
			*ret = 1;
			return (0);
		}
	for (i = 0; i < LENGTH(no); i++)
		if (str_same(value, no[i])) {
			*ret = 0;
			return (0);
		}
	return (-1);
}

/* 0: not at all; -1: without end. */
static int
parse_hold(const char *value, int64_t *ret_ms)
{
	int yes;

	if (parse_yes(value, &yes) != 0)
		return (parse_duration(value, ret_ms));
	*ret_ms = yes ? -1 : 0;
	return (0);
}

/* "no", "on-failure", "on-failure:3", "always". */
static int
parse_restart(const char *text, struct again *ret)
{
	static const char prefix[] = "on-failure:";
	long long max = 0;

	if (str_starts(text, prefix) &&
	    str_to_i64(text + strlen(prefix), 1, INT32_MAX, &max) != 0)
		return (-1);
	if (max != 0 || str_same(text, "on-failure"))
		*ret = (struct again){ AGAIN_ON_FAILURE, (int)max, 0 };
	else if (str_same(text, "always") || str_same(text, "no"))
		*ret = (struct again){ str_same(text, "no") ? AGAIN_NO : AGAIN_ALWAYS, 0, 0 };
	else
		return (-1);
	return (0);
}

int
options_read_probe(const char *text, int *ret_port, const char **ret_path)
{
	size_t len = strcspn(text, "/"), i;
	char number[8];
	long long port;

	if (len == 0 || len >= sizeof(number))
		return (-1);
	memcpy(number, text, len);
	number[len] = '\0';
	if (str_to_i64(number, 1, 65535, &port) != 0)
		return (-1);
	for (i = len; text[i] != '\0'; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return (-1);
	*ret_port = (int)port;
	*ret_path = text[len] != '\0' ? text + len : "/";
	return (0);
}

/* where: "--flag" or "VARIABLE". */
static int
set_value(struct options *opt, const struct row *row, const char *where, const char *value,
    int from_variable, struct arena *mem, struct err *err)
{
	char *field = (char *)opt + row->offset;
	int64_t number = 0;
	long long count;
	int yes = 0;

	switch (row->type) {
	case ROW_TEXT:
		*(const char **)(void *)field = value;
		return (0);
	case ROW_LIST:
	case ROW_PAIRS:
		if (from_variable)
			list_add_variable(opt, row, mem, value);
		else
			list_add(opt, row, mem, value);
		return (0);
	case ROW_DIALECTS:
		if (parse_dialects(value, (unsigned *)(void *)field) != 0)
			return (bad_value(err, where, value, "words of aml,appservice,imds"));
		return (0);
	case ROW_YES:
	case ROW_NO:
		if (parse_yes(value, &yes) != 0)
			return (bad_value(err, where, value, "yes or no"));
		if (row->type == ROW_YES)
			*(int *)(void *)field = yes;
		else if (yes)
			*(int *)(void *)field = 0;
		return (0);
	case ROW_COUNT:
		if (!from_variable && value[0] == '\0') {
			(*(int *)(void *)field)++;
			return (0);
		}
		if (str_to_i64(value, 0, 3, &count) != 0)
			return (bad_value(err, where, value, "0 to 3"));
		*(int *)(void *)field = (int)count;
		return (0);
	case ROW_DURATION:
		if (parse_duration(value, &number) != 0)
			return (bad_value(err, where, value,
			    "a time like 10s, 500ms, 2m or never"));
		*(int64_t *)(void *)field = number;
		return (0);
	case ROW_BEATS:		/* there is one a second */
		if (parse_duration(value, &number) != 0 || (number > 0 && number < 2000))
			return (bad_value(err, where, value, "a time of at least 2s, or never"));
		*(int64_t *)(void *)field = number;
		return (0);
	case ROW_HOLD:
		if (parse_hold(value, (int64_t *)(void *)field) != 0)
			return (bad_value(err, where, value, "yes, no, or a time like 10m"));
		return (0);
	case ROW_SIZE:
		if (parse_size(value, &number) != 0 || number < 16 << 20)
			return (bad_value(err, where, value, "a size of at least 16M"));
		*(int64_t *)(void *)field = number;
		return (0);
	case ROW_SIZE_OR_0:
		if (parse_size(value, &number) != 0 || (number != 0 && number < 16 << 20))
			return (bad_value(err, where, value, "0 or a size of at least 16M"));
		*(int64_t *)(void *)field = number;
		return (0);
	case ROW_PORT:
		if (str_to_i64(value, 1, 65535, &count) != 0)
			return (bad_value(err, where, value, "a port"));
		*(int64_t *)(void *)field = count;
		return (0);
	case ROW_PROBE:
		if (options_read_probe(value, &yes, (const char **)(void *)field) != 0)
			return (bad_value(err, where, value, "PORT or PORT/PATH"));
		*(const char **)(void *)field = value;
		return (0);
	case ROW_RESTART:
		if (parse_restart(value, (struct again *)(void *)field) != 0)
			return (bad_value(err, where, value, "no, on-failure[:N] or always"));
		return (0);
	case ROW_MODEL:
		if (!str_same(value, "download") && !str_same(value, "mount"))
			return (bad_value(err, where, value, "download or mount"));
		*(int *)(void *)field = str_same(value, "mount");
		return (0);
	case ROW_ID:
		if (parse_id(value, (int64_t *)(void *)field) != 0)
			return (bad_value(err, where, value, "a number"));
		return (0);
	case ROW_MASK:
		if (parse_mask(value, (int64_t *)(void *)field) != 0)
			return (bad_value(err, where, value, "an octal mask like 022"));
		return (0);
	case ROW_SIGNAL:
		if ((*(int *)(void *)field = launch_parse_signal(value)) < 0)
			return (bad_value(err, where, value, "a signal's name or number"));
		return (0);
	case ROW_CODES:
		if (parse_codes(value, (unsigned char *)field) != 0)
			return (bad_value(err, where, value, "exit codes, separated by commas"));
		return (0);
	case ROW_REWRITE:
		if (launch_parse_rewrites((unsigned char *)field, value) != 0)
			return (bad_value(err, where, value, "SIGNAL:SIGNAL or SIGNAL:0"));
		return (0);
	case ROW_LIMITS:
		if (launch_parse_limits((struct launch *)(void *)field, value) != 0)
			return (bad_value(err, where, value,
			    "NAME=SOFT[:HARD] with a limit's name and numbers or unlimited"));
		return (0);
	case ROW_CAPS:
		if (launch_parse_caps((uint64_t *)(void *)field, value) != 0)
			return (bad_value(err, where, value, "names of capabilities, or all"));
		return (0);
	case ROW_SCORE:
		if (str_to_i64(value, -1000, 1000, &count) != 0)
			return (bad_value(err, where, value, "-1000 to 1000"));
		*(int *)(void *)field = (int)count;
		return (0);
	case ROW_FUSE:
		if (!str_same(value, "require") && !str_same(value, "copy"))
			return (bad_value(err, where, value, "require or copy"));
		*(int *)(void *)field = str_same(value, "copy");
		return (0);
	case ROW_LOG_FORMAT:
		if (!str_same(value, "text") && !str_same(value, "json"))
			return (bad_value(err, where, value, "text or json"));
		*(int *)(void *)field = str_same(value, "json");
		return (0);
	}
	return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "read the options", "row without type"));
}

static int
unknown_flag(struct err *err, const char *word)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read the options", "there is no such flag");
	return (err_on(err, "%s", word));
}

/* --flag, --flag=value, --flag value; *used grows when the next word is the value. */
static int
parse_long(struct options *opt, const char *word, const char *next, int *used, struct arena *mem,
    struct err *err)
{
	size_t len = strcspn(word + 2, "="), i;
	const char *value = word[2 + len] == '=' ? word + 3 + len : NULL;
	char where[64];

	for (i = 0; i < LENGTH(rows); i++)
		if (strlen(rows[i].flag) == len && strncmp(rows[i].flag, word + 2, len) == 0)
			break;
	if (i == LENGTH(rows))
		return (unknown_flag(err, word));
	str_format(where, sizeof(where), "--%s", rows[i].flag);
	if (rows[i].argument == NULL)
		return (set_value(opt, &rows[i], where, value == NULL ? "" : value, 0, mem, err));
	if (value == NULL) {
		if (next == NULL)
			return (bad_value(err, where, "nothing", rows[i].argument));
		value = next;
		(*used)++;
	}
	return (set_value(opt, &rows[i], where, value, 0, mem, err));
}

/* -v, -vvg, -j FILE, -jFILE; also tini's -s and -w, which are always on here. */
static int
parse_short(struct options *opt, const char *word, const char *next, int *used, struct arena *mem,
    struct err *err)
{
	const char *p, *value;
	char where[3] = "- ";
	size_t i;

	for (p = word + 1; *p != '\0'; p++) {
		if (*p == 's' || *p == 'w')
			continue;
		if (*p == 'h') {
			opt->command = OPTIONS_HELP;
			continue;
		}
		for (i = 0; i < LENGTH(rows) && rows[i].letter != *p; i++)
			;
		if (i == LENGTH(rows))
			return (unknown_flag(err, word));
		where[1] = *p;
		if (rows[i].argument == NULL) {
			if (set_value(opt, &rows[i], where, "", 0, mem, err) != 0)
				return (-1);
			continue;
		}
		value = p[1] != '\0' ? p + 1 : next;
		if (value == NULL)
			return (bad_value(err, where, "nothing", rows[i].argument));
		if (value == next)
			(*used)++;
		return (set_value(opt, &rows[i], where, value, 0, mem, err));
	}
	return (0);
}

/* Variables first: a flag then replaces what they said. */
static int
parse_variables(struct options *opt, char *const *envp, struct arena *mem, struct err *err)
{
	size_t i, len;

	for (; *envp != NULL; envp++) {
		if (!str_starts(*envp, "AMLSHIM_"))
			continue;
		for (i = 0; i < LENGTH(rows); i++) {
			len = strlen(rows[i].variable);
			if (strncmp(*envp, rows[i].variable, len) != 0 || (*envp)[len] != '=')
				continue;
			if ((*envp)[len + 1] != '\0' &&
			    set_value(opt, &rows[i], rows[i].variable, *envp + len + 1, 1, mem,
			    err) != 0)
				return (-1);
		}
	}
	return (0);
}

/* How long each list is by what variables said. */
static void
count_lists(const struct options *opt, size_t had[LENGTH(rows)])
{
	size_t i;

	for (i = 0; i < LENGTH(rows); i++)
		had[i] = rows[i].type == ROW_LIST || rows[i].type == ROW_PAIRS ?
		    list_of(opt, &rows[i]).n : 0;
}

/* What a flag says replaces what its variable said. */
static void
replace_lists(struct options *opt, const size_t had[LENGTH(rows)])
{
	struct list list;
	size_t i;

	for (i = 0; i < LENGTH(rows); i++) {
		if (had[i] == 0)
			continue;
		list = list_of(opt, &rows[i]);
		if (list.n > had[i])
			list_put(opt, &rows[i], (struct list){ list.items + had[i],
			    list.n - had[i] });
	}
}

/* What was said besides flags. */
struct words {
	const struct command *command;	/* that was named; NULL: none */
	char		**list;		/* of a command whose words stand among flags; else NULL */
	size_t		 n;
};

static const struct command *
find_command(const char *name)
{
	size_t i;

	for (i = 0; i < LENGTH(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return (&commands[i]);
	return (NULL);
}

/* A word that is no flag.  1: parsing ends at it. */
static int
take_word(struct options *opt, struct words *words, char *word, int argc, struct arena *mem)
{
	const struct command *command = words->command == NULL && opt->command == OPTIONS_RUN ?
	    find_command(word) : NULL;

	if (command != NULL) {
		words->command = command;
		opt->command = command->command;
		if (command->mixes)
			words->list = arena_alloc(mem, ((size_t)argc + 1) * sizeof(*words->list));
		return (0);
	}
	if (words->list == NULL)
		return (1);
	words->list[words->n++] = word;
	return (0);
}

int
options_parse(struct options *opt, int argc, char *const *argv, char *const *envp,
    struct arena *mem, struct err *err)
{
	size_t by_variables[LENGTH(rows)];
	int i, used, verbosity_by_variable;
	struct words words = { NULL, NULL, 0 };

	*opt = (struct options){ .command = OPTIONS_RUN, .grace_ms = -1, .leftover_ms = 1500,
	    .flush_ms = 30 * 60 * 1000, .start_ms = 120 * 1000, .watchdog_ms = 30 * 1000,
	    .group = -1, .control = -1,
	    .launch.oom_score_adj = LAUNCH_KEEP_SCORE, .tuning = PLAN_TUNING_UNSAID };
	if (parse_variables(opt, envp, mem, err) != 0)
		return (-1);
	count_lists(opt, by_variables);
	verbosity_by_variable = opt->verbosity;
	opt->verbosity = 0;
	for (i = 1; i < argc; i++) {
		used = 0;
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "--help") == 0) {
			opt->command = argv[i][2] == 'v' ? OPTIONS_VERSION : OPTIONS_HELP;
			continue;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			if (take_word(opt, &words, argv[i], argc, mem))
				break;
			continue;
		}
		if ((argv[i][1] == '-' ?
		    parse_long(opt, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used, mem, err) :
		    parse_short(opt, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used, mem,
		    err)) != 0)
			return (-1);
		i += used;
	}
	if (opt->verbosity == 0)
		opt->verbosity = verbosity_by_variable;
	replace_lists(opt, by_variables);
	opt->argv = argv + (i < argc ? i : argc);
	if (words.list != NULL) {
		for (; i < argc; i++)
			words.list[words.n++] = argv[i];
		opt->argv = words.list;
	}
	return (0);
}

const struct row *
options_rows(size_t *ret_n)
{
	*ret_n = LENGTH(rows);
	return (rows);
}

const struct command *
options_commands(size_t *ret_n)
{
	*ret_n = LENGTH(commands);
	return (commands);
}
