#include "exchange.h"

#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "arm.h"
#include "blob.h"
#include "control.h"
#include "dfs.h"
#include "gen1.h"
#include "identity.h"
#include "registry.h"
#include "vault.h"

#define DRAIN_MAX	(INT64_C(64) << 20)	/* of a body that a fault refuses */

static const char *const service_names[] = {
	[SERVICE_BLOB] = "blob",
	[SERVICE_DFS] = "dfs",
	[SERVICE_GEN1] = "gen1",
	[SERVICE_IMDS] = "imds",
	[SERVICE_AML] = "aml",
	[SERVICE_APPSERVICE] = "appservice",
	[SERVICE_OBO] = "obo",
	[SERVICE_ARC] = "arc",
	[SERVICE_FABRIC] = "fabric",
	[SERVICE_CLOUDSHELL] = "cloudshell",
	[SERVICE_ENTRA] = "entra",
	[SERVICE_REGISTRY] = "registry",
	[SERVICE_ARM] = "arm",
	[SERVICE_VAULT] = "vault",
	[SERVICE_CONTROL] = "control",
};
static const char *const auth_names[] = { "anonymous", "sharedkey", "account-sas", "service-sas",
	"user-sas", "bearer", "secret" };

const char *
exchange_param(const struct exchange *ex, const char *name)
{
	size_t i;

	for (i = 0; i < ex->nparams; i++)
		if (strcasecmp(ex->params[i].name, name) == 0)
			return (ex->params[i].value);
	return (NULL);
}

const char *
exchange_header(const struct exchange *ex, const char *name)
{
	return (httpd_header(ex->req, name));
}

int
exchange_is_storage(const struct exchange *ex)
{
	return (ex->service == SERVICE_BLOB || ex->service == SERVICE_DFS ||
	    ex->service == SERVICE_GEN1);
}

int
exchange_read_body(struct exchange *ex, size_t max, struct buf *ret)
{
	char chunk[16384];
	ssize_t n;

	while ((n = httpd_read_body(ex->conn, chunk, sizeof(chunk))) > 0) {
		if (ret->len + (size_t)n > max)
			return (refuse(ex, "RequestBodyTooLarge"));
		buf_add(ret, chunk, (size_t)n);
		ex->body_in += n;
	}
	return (n < 0 ? -1 : 0);
}

/* The service reads '+' in a query as a space, as forms do. */
static int
parse_params(struct exchange *ex)
{
	char *rest = arena_strdup(&ex->mem, ex->req->query), *word, *value, *c;

	while ((word = strsep(&rest, "&")) != NULL) {
		if (*word == '\0')
			continue;
		if (ex->nparams == PARAMS_MAX)
			return (-1);
		for (c = word; *c != '\0'; c++)
			if (*c == '+')
				*c = ' ';
		value = strchr(word, '=');
		if (value != NULL)
			*value++ = '\0';
		else
			value = word + strlen(word);
		if (uri_decode(word) < 0 || uri_decode(value) < 0)
			return (-1);
		ex->params[ex->nparams++] = (struct param){ word, value };
	}
	return (0);
}

/* The query without what would give access. */
static void
add_safe_query(const struct exchange *ex, struct json_out *out)
{
	auto_buf struct buf text = BUF_EMPTY;
	size_t i;

	for (i = 0; i < ex->nparams; i++) {
		const struct param *p = &ex->params[i];

		buf_printf(&text, "%s%s=%s", i == 0 ? "" : "&", p->name,
		    strcasecmp(p->name, "sig") == 0 ? "***" : p->value);
	}
	json_out_kstring(out, "query", buf_str(&text));
}

static void
add_header_field(const struct exchange *ex, struct json_out *out, const char *key,
    const char *header)
{
	const char *value = exchange_header(ex, header);

	json_out_kstring(out, key, value != NULL ? value : "");
}

static void
record(struct exchange *ex)
{
	auto_buf struct buf line = BUF_EMPTY;
	struct journal *j = &ex->sim->journal;
	int64_t now = clock_us();
	struct json_out out;
	uint64_t seq;

	ex->sim->stats.requests++;
	ex->sim->stats.bytes_in += ex->body_in;
	ex->sim->stats.bytes_out += ex->body_out;
	if (ex->service == SERVICE_CONTROL || !ex->sim->knobs.log)
		return;
	seq = ++j->seq;
	json_out_init(&out, &line, 0);
	json_out_begin(&out, '{');
	json_out_kint(&out, "seq", (int64_t)seq);
	json_out_kint(&out, "ms", now / 1000 - ex->sim->started_ms);
	json_out_kint(&out, "conn", (int64_t)ex->conn_id);
	json_out_kint(&out, "tls", ex->peer->tls != NULL);
	json_out_kstring(&out, "service", service_names[ex->service]);
	json_out_kstring(&out, "method", ex->req->method);
	json_out_kstring(&out, "op", ex->op);
	json_out_kstring(&out, "path", ex->req->path);
	add_safe_query(ex, &out);
	json_out_kstring(&out, "auth", auth_names[ex->auth]);
	json_out_kstring(&out, "oid", ex->oid);
	json_out_kstring(&out, "account", ex->account != NULL ? ex->account->name : "");
	json_out_kint(&out, "status", ex->status);
	json_out_kstring(&out, "code", ex->code != NULL ? ex->code : "");
	json_out_kstring(&out, "range", ex->range);
	json_out_kint(&out, "in", ex->body_in);
	json_out_kint(&out, "out", ex->body_out);
	json_out_kint(&out, "took_ms", (now - ex->began_us) / 1000);
	add_header_field(ex, &out, "if_match", "if-match");
	add_header_field(ex, &out, "if_none_match", "if-none-match");
	add_header_field(ex, &out, "client_request_id", "x-ms-client-request-id");
	json_out_kbool(&out, "fault", ex->has_fault);
	json_out_end(&out, '}');
	buf_addc(&line, '\n');
	journal_add(j, line.data, line.len, seq);
}

/* The request's body is read first, as the service's front end does. */
static void
drain(struct exchange *ex)
{
	char sink[16384];
	ssize_t n;

	while (ex->body_in < DRAIN_MAX &&
	    (n = httpd_read_body(ex->conn, sink, sizeof(sink))) > 0)
		ex->body_in += n;
}

/* 1: the fault took the place of the answer. */
static int
apply_fault(struct exchange *ex)
{
	const struct fault_action *f = &ex->fault;

	if (!fault_match(&ex->sim->faults, ex->req->method, ex->op, ex->req->path,
	    ex->req->query, &ex->fault))
		return (0);
	ex->has_fault = 1;
	if (f->reset) {
		peer_reset(ex->peer);
		ex->conn->req.keep_alive = 0;
		return (1);
	}
	if (f->late_ms > 0)
		clock_sleep_ms(f->late_ms);
	if (f->status == 0)
		return (0);
	drain(ex);
	if (f->retry_after_s >= 0 && (f->body != NULL || f->code[0] == '\0'))
		answer_header(ex, "Retry-After", "%d", f->retry_after_s);
	if (f->body != NULL) {
		answer_text(ex, f->status, f->type, f->body);
	} else if (f->code[0] != '\0') {
		ex->code = f->code;
		answer_refusal(ex);
	} else {
		answer(ex, f->status, NULL, "", 0);
	}
	return (1);
}

static void
run(struct exchange *ex)
{
	int (*handler)(struct exchange *) = NULL;
	int failed;

	if (parse_params(ex) != 0) {
		refuse(ex, "InvalidUri");
	} else if (str_starts(ex->req->path, CONTROL_PATH)) {
		ex->service = SERVICE_CONTROL;
		ex->op = "Control";
		handler = control_handle;
	} else if (registry_route(ex) == 0) {
		handler = registry_handle;
	} else if (identity_route(ex) == 0) {
		handler = identity_handle;
	} else if (vault_route(ex) == 0) {
		handler = vault_handle;
	} else if (arm_route(ex) == 0) {
		handler = arm_handle;
	} else if (gen1_route(ex) == 0) {
		handler = gen1_handle;
	} else if (dfs_route(ex) == 0) {
		handler = dfs_handle;
	} else if (blob_route(ex) == 0) {
		handler = blob_handle;
	}
	if (ex->service != SERVICE_CONTROL && apply_fault(ex))
		return;
	failed = handler == NULL ? -1 : handler(ex);
	if (failed != 0 && ex->status == 0 && ex->code != NULL)
		answer_refusal(ex);
	else if (failed != 0)
		ex->conn->req.keep_alive = 0;	/* an answer that broke off, or none */
}

static void
peak(_Atomic int64_t *highest, int64_t now)
{
	int64_t was = *highest;

	while (now > was && !atomic_compare_exchange_weak(highest, &was, now))
		;
}

static void
serve_one(struct sim *sim, struct peer *peer, struct httpd_conn *conn, uint64_t conn_id)
{
	static _Atomic uint64_t last_request;
	struct exchange ex = { .sim = sim, .peer = peer, .conn = conn, .req = &conn->req,
	    .conn_id = conn_id, .began_us = clock_us(), .op = "Unknown" };

	/* The service's ids are GUIDs whose tail counts. */
	str_format(ex.request_id, sizeof(ex.request_id), "a25120b1-001e-00aa-%04" PRIx64
	    "-%012" PRIx64, conn_id & 0xffff, ++last_request);
	peak(&sim->stats.inflight_peak, ++sim->stats.inflight);
	run(&ex);
	sim->stats.inflight--;
	record(&ex);
	buf_done(&ex.head);
	buf_done(&ex.detail);
	arena_done(&ex.mem);
}

static int
wait_readable(const struct sim *sim, const struct httpd_conn *conn, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t limit = sim->knobs.idle_ms;

	/* With TLS a request can already be in the engine: the client sent two at once. */
	if (conn->in_len > conn->head_len)
		return (1);
	return (poll(&p, 1, (int)limit) > 0);
}

void
exchange_serve(struct sim *sim, struct peer *peer, uint64_t conn_id)
{
	struct httpd_conn *conn = mem_zalloc(sizeof(*conn));

	conn->recv = peer_recv;
	conn->send = peer_send;
	conn->arg = peer;
	sim->stats.connections++;
	peak(&sim->stats.connections_peak, ++sim->stats.connections_now);
	while (wait_readable(sim, conn, peer->fd) && httpd_next(conn) == 1) {
		serve_one(sim, peer, conn, conn_id);
		if (!conn->req.keep_alive)
			break;
	}
	peer_end(peer);
	sim->stats.connections_now--;
	free(conn);
}
