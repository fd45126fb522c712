#include "plan/plan.h"

#include <string.h>

#include "base/json.h"

const char *
plan_action_name(enum plan_action action)
{
	static const char *const names[] = {
		[PLAN_MOUNT_RO] = "ro_mount", [PLAN_MOUNT_RW] = "rw_mount",
		[PLAN_DOWNLOAD] = "download", [PLAN_UPLOAD] = "upload", [PLAN_PASS] = "pass",
	};

	return ((size_t)action < LENGTH(names) ? names[action] : "?");
}

const char *
plan_identity_kind_name(enum plan_identity_kind kind)
{
	static const char *const names[] = {
		[PLAN_ID_ACCOUNT_KEY] = "account_key", [PLAN_ID_SAS] = "sas",
		[PLAN_ID_SERVICE_PRINCIPAL] = "service_principal",
		[PLAN_ID_CERTIFICATE] = "certificate", [PLAN_ID_USER] = "user",
		[PLAN_ID_MANAGED] = "managed", [PLAN_ID_NONE] = "none",
	};

	return ((size_t)kind < LENGTH(names) ? names[kind] : "?");
}

static const char *
broker_name(enum plan_broker broker)
{
	return (broker == PLAN_BROKER_USER ? "user" :
	    broker == PLAN_BROKER_MANAGED ? "managed" : "none");
}

/* Names of variables that users keep secrets in. */
static int
looks_secret(const char *name)
{
	static const char *const words[] = {
		"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PWD", "SAS", "CREDENTIAL",
		"CONNECTION_STRING",
	};
	size_t i, len, at, left = strlen(name);

	for (i = 0; i < LENGTH(words); i++) {
		len = strlen(words[i]);
		for (at = 0; at + len <= left; at++)
			if (strncasecmp(name + at, words[i], len) == 0)
				return (1);
	}
	return (0);
}

/* Text without the signature of a SAS, wherever one stands in it. */
static void
add_clean(struct buf *to, const char *text)
{
	const char *p;

	for (p = text; *p != '\0';) {
		if ((p != text && strchr("?&; \t\n\"'", p[-1]) == NULL) ||
		    strncasecmp(p, "sig=", 4) != 0) {
			buf_addc(to, *p++);
			continue;
		}
		buf_add(to, p, 4);
		buf_adds(to, "(hidden)");
		p += 4 + strcspn(p + 4, "&; \t\n\"'");
	}
}

/* As add_clean, and nothing that moves a terminal's cursor. */
static void
add_line(struct buf *to, const char *text)
{
	auto_buf struct buf clean = BUF_EMPTY;
	const char *p;
	size_t n, left;

	add_clean(&clean, text);
	p = buf_str(&clean);
	for (left = strlen(p); left > 0; p += n, left -= n) {
		n = str_utf8_printable(p, left);
		if (n > 0)
			buf_add(to, p, n);
		else if (*p == '\n' || *p == '\t')
			buf_adds(to, *p == '\n' ? "\\n" : "\\t");
		else
			buf_printf(to, "\\x%02x", (unsigned char)*p);
		n += n == 0;
	}
}

/* A word as one would type it. */
static void
add_word(struct buf *to, const char *word)
{
	const char *p;

	if (*word != '\0' && strcspn(word, " \t\n'\"\\$`|&;<>()*?[]{}~#!") == strlen(word)) {
		add_line(to, word);
		return;
	}
	buf_addc(to, '\'');
	for (p = word; *p != '\0'; p++)
		if (*p == '\'')
			buf_adds(to, "'\\''");
		else
			buf_addc(to, *p);
	buf_addc(to, '\'');
}

static void
add_argv(struct buf *to, char *const *argv)
{
	auto_buf struct buf words = BUF_EMPTY;

	for (; *argv != NULL; argv++) {
		if (words.len != 0)
			buf_addc(&words, ' ');
		add_word(&words, *argv);
	}
	add_line(to, buf_str(&words));
}

#define COLUMN		11	/* where a row's text starts */
#define LINE_MAX_COLUMNS 100

/* Prose, broken at blanks; the first line starts at `column`. */
static void
add_prose(struct buf *to, size_t column, const char *text)
{
	auto_buf struct buf line = BUF_EMPTY;
	const char *p;
	size_t len, at = column;

	add_line(&line, text);
	for (p = buf_str(&line); *p != '\0'; p += len + (p[len] == ' ')) {
		len = strcspn(p, " ");
		if (at != column && at + 1 + len > LINE_MAX_COLUMNS) {
			buf_printf(to, "\n%*s", (int)column, "");
			at = column;
		}
		if (at != column) {
			buf_addc(to, ' ');
			at++;
		}
		buf_add(to, p, len);
		at += len;
	}
	buf_addc(to, '\n');
}

static void
add_prose_row(struct buf *to, int indent, const char *label, const char *text)
{
	buf_printf(to, "%*s%-*s", indent, "", COLUMN - indent, label);
	add_prose(to, COLUMN, text);
}

/* "  label     text\n" */
static void
add_row(struct buf *to, int indent, const char *label, const char *text)
{
	buf_printf(to, "%*s%-*s", indent, "", COLUMN - indent, label);
	add_line(to, text);
	buf_addc(to, '\n');
}

static const char *
words_of(enum plan_action action)
{
	static const char *const words[] = {
		[PLAN_MOUNT_RO] = "mounted read-only", [PLAN_MOUNT_RW] = "mounted read-write",
		[PLAN_DOWNLOAD] = "downloaded before the job",
		[PLAN_UPLOAD] = "uploaded after the job", [PLAN_PASS] = "passed as it is",
	};

	return (words[action]);
}

const char *
plan_place(const struct plan_access *a, const char *path, struct arena *mem)
{
	return (arena_printf(mem, "%s%s%s/%s", a->base_url, *a->container != '\0' ? "/" : "",
	    a->container, path));
}

static void
add_place(struct buf *to, const struct plan_access *a)
{
	auto_buf struct buf text = BUF_EMPTY;

	if (a->action == PLAN_PASS) {
		add_row(to, 2, a->is_output ? "to" : "from", a->uri);
		return;
	}
	buf_adds(&text, a->base_url);
	if (*a->container != '\0')
		buf_printf(&text, "/%s", a->container);
	if (*a->prefix != '\0')
		buf_printf(&text, "/%s", a->prefix);
	if (!a->is_file)
		buf_addc(&text, '/');
	if (a->only != NULL && a->action == PLAN_DOWNLOAD)
		buf_adds(&text, a->only);
	add_row(to, 2, a->is_output ? "to" : "from", buf_str(&text));
	add_row(to, 2, "at", a->target);
}

static void
add_because(struct buf *to, const struct plan_identity *id)
{
	auto_buf struct buf text = BUF_EMPTY;

	buf_printf(&text, "%s [%s]", id->reason, id->rule);
	add_prose_row(to, 2, "because", buf_str(&text));
}

static void
add_access(struct buf *to, const struct plan_access *a)
{
	buf_printf(to, "\n%s ", a->is_output ? "OUTPUT" : "INPUT");
	add_line(to, a->name);
	buf_printf(to, ": %s, %s", spec_type_name(a->type), words_of(a->action));
	if (a->action != PLAN_PASS && a->url == NULL)
		buf_printf(to, ", %s%s (%s)", a->datastore != NULL ? "datastore " : "no datastore",
		    a->datastore != NULL ? a->datastore : "", spec_store_name(a->store));
	buf_addc(to, '\n');
	add_place(to, a);
	if (a->staging != NULL)
		add_row(to, 2, "staging", a->staging);
	add_row(to, 2, "as", a->identity.label);
	if (a->identity.source != NULL)
		add_row(to, 2, "through", a->identity.source);
	add_because(to, &a->identity);
	add_row(to, 2, "value", a->value);
}

static void
add_broker(struct buf *to, const struct plan *plan)
{
	auto_buf struct buf text = BUF_EMPTY;
	const struct spec_uai *uai;
	size_t i;

	if (plan->broker == PLAN_BROKER_NONE) {
		add_row(to, 0, "tokens", "none for the job's code");
		return;
	}
	buf_printf(&text, "%s [%s]", plan->broker_default.label, plan->broker_default.rule);
	if (plan->broker_default.source != NULL)
		buf_printf(&text, ", through the %s", plan->broker_default.source);
	for (i = 0; i < plan->nbroker_uais; i++) {
		uai = &plan->broker_uais[i];
		if (uai->client_id != NULL && (plan->broker_default.client_id == NULL ||
		    !str_same(uai->client_id, plan->broker_default.client_id)))
			buf_printf(&text, ", on request %s", uai->client_id);
	}
	if (plan->broker_any_client_id)
		buf_adds(&text, ", on request any client id");
	add_prose_row(to, 0, "tokens", buf_str(&text));
}

/* What somebody said, and who; the rest is in help and docs/MOUNTS.md. */
static void
add_tuning(struct buf *to, const struct plan_tuning *t)
{
	auto_buf struct buf text = BUF_EMPTY;
	char value[48];
	int knob;

	for (knob = 0; knob < KNOBS; knob++)
		if (t->from[knob] != NULL &&
		    plan_tuning_text(t, (enum plan_knob)knob, value, sizeof(value)))
			buf_printf(&text, "%s%s %s (%s)", text.len > 0 ? ", " : "",
			    plan_knob_name((enum plan_knob)knob), value, t->from[knob]);
	if (text.len > 0)
		add_prose_row(to, 0, "tuning", buf_str(&text));
}

static void
add_probe(struct buf *to, const char *name, const struct spec_probe *p)
{
	auto_buf struct buf text = BUF_EMPTY;

	if (p->port == 0)
		return;
	buf_printf(&text, "http://127.0.0.1:%d%s, after %lld s, then every %lld s, for %lld s "
	    "each; %d failures count", p->port, p->path, p->initial_delay_s,
	    p->period_s, p->timeout_s, p->failure_threshold);
	add_row(to, 0, name, buf_str(&text));
}

static void
add_head(struct buf *to, const struct plan *plan)
{
	auto_buf struct buf text = BUF_EMPTY;

	add_row(to, 0, "job", plan->job_name != NULL ? plan->job_name : "(without name)");
	add_argv(&text, plan->argv);
	add_row(to, 0, "command", buf_str(&text));
	if (plan->cwd != NULL)
		add_row(to, 0, "directory", plan->cwd);
	if (plan->cloud != &cloud_public)
		add_row(to, 0, "cloud", plan->cloud->name);
	add_broker(to, plan);
	buf_reset(&text);
	buf_printf(&text, "%lld MiB for all mounts", (long long)(plan->tuning.memory_bytes >> 20));
	add_row(to, 0, "memory", buf_str(&text));
	if (plan->tuning.disk_cache_bytes > 0) {
		buf_reset(&text);
		buf_printf(&text, "%lld MiB in %s",
		    (long long)(plan->tuning.disk_cache_bytes >> 20), plan->tuning.disk_cache);
		add_row(to, 0, "disk cache", buf_str(&text));
	}
	add_tuning(to, &plan->tuning);
	if (plan->timeout_s != 0) {
		buf_reset(&text);
		buf_printf(&text, "%lld s", plan->timeout_s);
		add_row(to, 0, "timeout", buf_str(&text));
	}
	add_probe(to, "liveness", &plan->liveness);
	add_probe(to, "readiness", &plan->readiness);
}

static void
add_variable(struct buf *to, const char *prefix, const char *name, const char *value)
{
	buf_adds(to, "  ");
	buf_adds(to, prefix);
	add_line(to, name);
	buf_addc(to, '=');
	add_line(to, looks_secret(name) && *prefix == '\0' ? "(hidden)" : value);
	buf_addc(to, '\n');
}

static void
add_exports(struct buf *to, const struct plan *plan)
{
	size_t i;

	if (plan->naccesses + plan->nvariables != 0)
		buf_adds(to, "\nenvironment\n");
	for (i = 0; i < plan->naccesses; i++)
		if (!plan->accesses[i].is_model)
			add_variable(to, plan->accesses[i].is_output ? "AZURE_ML_OUTPUT_" :
			    "AZURE_ML_INPUT_", plan->accesses[i].name, plan->accesses[i].value);
	for (i = 0; i < plan->nvariables; i++)
		add_variable(to, "", plan->variables[i].name, plan->variables[i].value);
}

static void
add_texts(struct buf *to, const char *title, const struct plan_warning *list, size_t n)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	if (n != 0)
		buf_printf(to, "\n%s\n", title);
	for (i = 0; i < n; i++) {
		buf_reset(&text);
		buf_printf(&text, "%s [%s]", list[i].text, list[i].rule);
		buf_adds(to, "  ");
		add_prose(to, 2, buf_str(&text));
	}
}

static void
print_text(const struct plan *plan, struct buf *to)
{
	size_t i;

	add_head(to, plan);
	for (i = 0; i < plan->naccesses; i++)
		add_access(to, &plan->accesses[i]);
	add_exports(to, plan);
	add_texts(to, "notes", plan->notes, plan->nnotes);
	add_texts(to, "warnings", plan->warnings, plan->nwarnings);
}

static void
json_text(struct json_out *o, const char *key, const char *value)
{
	auto_buf struct buf clean = BUF_EMPTY;

	if (value != NULL)
		add_clean(&clean, value);
	json_out_kstring(o, key, value != NULL ? buf_str(&clean) : NULL);
}

static void
json_identity(struct json_out *o, const char *key, const struct plan_identity *id)
{
	json_out_key(o, key);
	json_out_begin(o, '{');
	json_out_kstring(o, "kind", plan_identity_kind_name(id->kind));
	json_text(o, "label", id->label);
	json_text(o, "source", id->source);
	json_text(o, "client_id", id->client_id);
	json_text(o, "object_id", id->object_id);
	json_text(o, "resource_id", id->resource_id);
	json_text(o, "tenant_id", id->tenant_id);
	json_text(o, "authority_url", id->authority_url);
	json_text(o, "audience", id->audience);
	if (id->secret_from != SPEC_SECRET_HERE)
		json_out_kstring(o, "secret_from", id->secret_from == SPEC_SECRET_VAULT ?
		    "key_vault" : "workspace");
	if (id->secret_url != NULL)
		json_text(o, "secret_url", id->secret_url);
	json_out_kstring(o, "rule", id->rule);
	json_out_kstring(o, "reason", id->reason);
	json_out_end(o, '}');
}

static void
json_access(struct json_out *o, const struct plan_access *a)
{
	int served = a->action != PLAN_PASS;

	json_out_begin(o, '{');
	json_out_kstring(o, "name", a->name);
	json_out_kstring(o, "direction", a->is_output ? "output" : "input");
	json_out_kstring(o, "type", spec_type_name(a->type));
	json_out_kstring(o, "action", plan_action_name(a->action));
	json_text(o, "uri", a->uri);
	json_out_kstring(o, "datastore", a->datastore);
	json_out_kstring(o, "store", served && a->url == NULL ? spec_store_name(a->store) : NULL);
	json_text(o, "base_url", a->base_url);
	json_text(o, "account", a->account);
	json_text(o, "container", a->container);
	json_text(o, "prefix", a->prefix);
	if (a->only != NULL)
		json_text(o, "only", a->only);
	json_out_kbool(o, "is_file", a->is_file);
	json_out_kbool(o, "hns", a->hns);
	json_text(o, "target", a->target);
	json_text(o, "staging", a->staging);
	json_text(o, "value", a->value);
	json_identity(o, "identity", &a->identity);
	json_out_end(o, '}');
}

static void
json_broker(struct json_out *o, const struct plan *plan)
{
	size_t i;

	json_out_key(o, "broker");
	json_out_begin(o, '{');
	json_out_kstring(o, "tokens", broker_name(plan->broker));
	if (plan->broker != PLAN_BROKER_NONE)
		json_identity(o, "default", &plan->broker_default);
	json_out_kbool(o, "any_client_id", plan->broker_any_client_id);
	json_out_key(o, "others");
	json_out_begin(o, '[');
	for (i = 0; i < plan->nbroker_uais; i++) {
		json_out_begin(o, '{');
		json_text(o, "client_id", plan->broker_uais[i].client_id);
		json_text(o, "object_id", plan->broker_uais[i].object_id);
		json_text(o, "resource_id", plan->broker_uais[i].resource_id);
		json_out_end(o, '}');
	}
	json_out_end(o, ']');
	json_out_end(o, '}');
}

static void
json_tuning(struct json_out *o, const struct plan_tuning *t)
{
	char text[48];
	int knob;

	json_out_key(o, "tuning");
	json_out_begin(o, '{');
	for (knob = 0; knob < KNOBS; knob++) {
		if (!plan_tuning_text(t, (enum plan_knob)knob, text, sizeof(text)))
			continue;
		json_out_key(o, plan_knob_name((enum plan_knob)knob));
		json_out_begin(o, '{');
		if (knob == KNOB_UMASK)		/* no number that people write: octal */
			json_out_kstring(o, "value", text);
		else
			json_out_kint(o, "value", plan_tuning_value(t, (enum plan_knob)knob));
		json_out_kstring(o, "from", t->from[knob] != NULL ? t->from[knob] : "default");
		json_out_end(o, '}');
	}
	json_out_end(o, '}');
}

static void
json_command(struct json_out *o, const struct plan *plan)
{
	auto_buf struct buf clean = BUF_EMPTY;
	char *const *word;

	json_text(o, "job", plan->job_name);
	json_text(o, "command", plan->command);
	json_out_key(o, "argv");
	json_out_begin(o, '[');
	for (word = plan->argv; *word != NULL; word++) {
		buf_reset(&clean);
		add_clean(&clean, *word);
		json_out_string(o, buf_str(&clean));
	}
	json_out_end(o, ']');
	json_out_kbool(o, "through_shell", plan->through_shell);
	json_text(o, "directory", plan->cwd);
	json_text(o, "cloud", plan->cloud->name);
	json_out_kint(o, "timeout_s", plan->timeout_s);
	json_out_kint(o, "memory_bytes", plan->tuning.memory_bytes);
	if (plan->tuning.disk_cache_bytes > 0)
		json_out_kint(o, "disk_cache_bytes", plan->tuning.disk_cache_bytes);
	json_tuning(o, &plan->tuning);
}

static void
json_probe(struct json_out *o, const char *key, const struct spec_probe *p)
{
	if (p->port == 0)
		return;
	json_out_key(o, key);
	json_out_begin(o, '{');
	json_out_kint(o, "port", p->port);
	json_out_kstring(o, "path", p->path);
	json_out_kint(o, "initial_delay_s", p->initial_delay_s);
	json_out_kint(o, "period_s", p->period_s);
	json_out_kint(o, "timeout_s", p->timeout_s);
	json_out_kint(o, "success_threshold", p->success_threshold);
	json_out_kint(o, "failure_threshold", p->failure_threshold);
	json_out_end(o, '}');
}

static void
json_values(struct json_out *o, const struct plan *plan)
{
	const struct spec_variable *v = plan->variables;
	size_t i;

	json_out_key(o, "values");
	json_out_begin(o, '[');
	for (i = 0; i < plan->nvalues; i++) {
		json_out_begin(o, '{');
		json_out_kstring(o, "name", plan->values[i].name);
		json_out_kstring(o, "direction", plan->values[i].is_output ? "output" : "input");
		json_text(o, "value", plan->values[i].value);
		json_out_end(o, '}');
	}
	json_out_end(o, ']');
	json_out_key(o, "environment_variables");
	json_out_begin(o, '{');
	for (i = 0; i < plan->nvariables; i++)
		json_text(o, v[i].name, looks_secret(v[i].name) ? "(hidden)" : v[i].value);
	json_out_end(o, '}');
}

static void
json_texts(struct json_out *o, const char *key, const struct plan_warning *list, size_t n)
{
	size_t i;

	json_out_key(o, key);
	json_out_begin(o, '[');
	for (i = 0; i < n; i++) {
		json_out_begin(o, '{');
		json_out_kstring(o, "rule", list[i].rule);
		json_text(o, "text", list[i].text);
		json_out_end(o, '}');
	}
	json_out_end(o, ']');
}

static void
print_json(const struct plan *plan, int pretty, struct buf *to)
{
	struct json_out o;
	size_t i;

	json_out_init(&o, to, pretty);
	json_out_begin(&o, '{');
	json_command(&o, plan);
	json_broker(&o, plan);
	json_out_key(&o, "accesses");
	json_out_begin(&o, '[');
	for (i = 0; i < plan->naccesses; i++)
		json_access(&o, &plan->accesses[i]);
	json_out_end(&o, ']');
	json_values(&o, plan);
	json_probe(&o, "liveness_probe", &plan->liveness);
	json_probe(&o, "readiness_probe", &plan->readiness);
	if (plan->nnotes != 0)
		json_texts(&o, "notes", plan->notes, plan->nnotes);
	json_texts(&o, "warnings", plan->warnings, plan->nwarnings);
	json_out_end(&o, '}');
	buf_addc(to, '\n');
}

int
plan_print(const struct plan *plan, int json, FILE *to)
{
	auto_buf struct buf out = BUF_EMPTY;

	if (json)
		print_json(plan, json != PLAN_JSON_LINE, &out);
	else
		print_text(plan, &out);
	if (fwrite(buf_str(&out), 1, out.len, to) != out.len || fflush(to) != 0)
		return (-1);
	return (0);
}
