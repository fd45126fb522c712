/*
 * Shared access signatures: learn.microsoft.com "Create an account SAS", "Create a service SAS",
 * "Create a user delegation SAS".
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/uri.h"
#include "gate.h"

/* The query a SAS is read from: the request's own, or that of a copy's source. */
struct sas {
	struct exchange *ex;
	struct account *account;
	const char *container, *blob;
	const char *query;		/* NULL: the request's parameters */
};

/* "" if absent. */
static const char *
sas_field(const struct sas *s, const char *name)
{
	const char *value = s->query == NULL ? exchange_param(s->ex, name) :
	    uri_query_get(s->query, name, &s->ex->mem);

	return (value != NULL ? value : "");
}

static void
add_fields(const struct sas *s, struct buf *to, const char *names)
{
	char *rest = arena_strdup(&s->ex->mem, names), *name;

	while ((name = strsep(&rest, " ")) != NULL)
		buf_printf(to, "%s\n", sas_field(s, name));
}

/* /blob/ACCOUNT/CONTAINER[/NAME]; a directory SAS covers the first sdd names of the path. */
static void
add_sas_resource(const struct sas *s, struct buf *to)
{
	const char *sr = sas_field(s, "sr"), *end = s->blob;
	long long depth;

	buf_printf(to, "/blob/%s/%s", s->account->name, s->container);
	if (strcmp(sr, "b") == 0 && s->blob != NULL)
		buf_printf(to, "/%s", s->blob);
	if (strcmp(sr, "d") == 0 && s->blob != NULL &&
	    str_to_i64(sas_field(s, "sdd"), 0, 63, &depth) == 0 && depth > 0) {
		while (*end != '\0' && (*end != '/' || --depth > 0))
			end++;
		buf_printf(to, "/%.*s", (int)(end - s->blob), s->blob);
	}
	buf_addc(to, '\n');
}

static void
account_sas_text(const struct sas *s, struct buf *to)
{
	buf_printf(to, "%s\n", s->account->name);
	add_fields(s, to, "sp ss srt st se sip spr sv");
	if (strcmp(sas_field(s, "sv"), "2020-12-06") >= 0)
		add_fields(s, to, "ses");
}

static void
service_sas_text(const struct sas *s, struct buf *to)
{
	add_fields(s, to, "sp st se");
	add_sas_resource(s, to);
	add_fields(s, to, "si sip spr sv sr");
	buf_addc(to, '\n');		/* no snapshot */
	if (strcmp(sas_field(s, "sv"), "2020-12-06") >= 0)
		add_fields(s, to, "ses");
	add_fields(s, to, "rscc rscd rsce rscl");
	buf_adds(to, sas_field(s, "rsct"));
}

static void
user_sas_text(const struct sas *s, struct buf *to)
{
	const char *sv = sas_field(s, "sv");

	add_fields(s, to, "sp st se");
	add_sas_resource(s, to);
	add_fields(s, to, "skoid sktid skt ske sks skv");
	if (strcmp(sv, "2020-02-10") >= 0)
		add_fields(s, to, "saoid suoid scid");
	if (strcmp(sv, "2025-07-05") >= 0)
		add_fields(s, to, "skdutid sduoid");
	add_fields(s, to, "sip spr sv sr");
	buf_addc(to, '\n');
	if (strcmp(sv, "2020-12-06") >= 0)
		add_fields(s, to, "ses");
	add_fields(s, to, "rscc rscd rsce rscl");
	buf_adds(to, sas_field(s, "rsct"));
}

void
gate_user_delegation_key(const struct exchange *ex, const char *oid, const char *tid,
    const char *start, const char *expiry, const char *service, const char *version,
    unsigned char out[32])
{
	auto_buf struct buf text = BUF_EMPTY;
	br_hmac_key_context k;
	br_hmac_context h;

	buf_printf(&text, "%s\n%s\n%s\n%s\n%s\n%s\n", oid, tid, start, expiry, service, version);
	br_hmac_key_init(&k, &br_sha256_vtable, ex->sim->people.key.bytes,
	    sizeof(ex->sim->people.key.bytes));
	br_hmac_init(&h, &k, 0);
	br_hmac_update(&h, text.data, text.len);
	br_hmac_out(&h, out);
}

static enum auth_kind
sas_kind(const struct sas *s)
{
	if (sas_field(s, "ss")[0] != '\0' || sas_field(s, "srt")[0] != '\0')
		return (AUTH_ACCOUNT_SAS);
	return (sas_field(s, "skoid")[0] != '\0' ? AUTH_USER_SAS : AUTH_SERVICE_SAS);
}

static void
sas_signature(const struct sas *s, enum auth_kind kind, struct buf *text, struct buf *ret)
{
	unsigned char key[32];

	if (kind != AUTH_USER_SAS) {
		(kind == AUTH_ACCOUNT_SAS ? account_sas_text : service_sas_text)(s, text);
		gate_sign(s->account, buf_str(text), text->len, ret);
		return;
	}
	user_sas_text(s, text);
	gate_user_delegation_key(s->ex, sas_field(s, "skoid"), sas_field(s, "sktid"),
	    sas_field(s, "skt"), sas_field(s, "ske"), sas_field(s, "sks"), sas_field(s, "skv"),
	    key);
	gate_hmac(key, sizeof(key), buf_str(text), text->len, ret);
}

static int
check_sas_times(const struct sas *s)
{
	const char *st = sas_field(s, "st"), *se = sas_field(s, "se");
	int64_t now = sim_now(s->ex->sim), start = 0, expiry;
	char text[CLOCK_ISO8601_SIZE];

	if (clock_parse_date(se, &expiry) != 0)
		return (refuse_detail(s->ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Signed expiry time is missing or malformed"));
	if (st[0] != '\0' && clock_parse_date(st, &start) != 0)
		return (refuse_detail(s->ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Signed start time is malformed"));
	clock_format_iso8601(now, text);
	if (now < start || now >= expiry)
		return (refuse_detail(s->ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Signature not valid in the specified time frame: Start [%s] - Expiry [%s] - "
		    "Current [%s]", st, se, text));
	return (0);
}

/* "A.B.C.D" or a range of two, against loopback: all our callers are there. */
static int
check_sas_address(const struct sas *s)
{
	char *low = arena_strdup(&s->ex->mem, sas_field(s, "sip")), *high = strchr(low, '-');
	struct in_addr from, to;

	if (low[0] == '\0')
		return (0);
	if (high != NULL)
		*high++ = '\0';
	if (inet_pton(AF_INET, low, &from) == 1 &&
	    inet_pton(AF_INET, high != NULL ? high : low, &to) == 1 &&
	    ntohl(from.s_addr) <= INADDR_LOOPBACK && ntohl(to.s_addr) >= INADDR_LOOPBACK)
		return (0);
	return (refuse(s->ex, "AuthorizationSourceIPMismatch"));
}

static int
check_sas(const struct sas *s, enum auth_kind kind)
{
	auto_buf struct buf text = BUF_EMPTY, want = BUF_EMPTY;
	struct exchange *ex = s->ex;

	if (strcmp(sas_field(s, "sv"), "2018-11-09") < 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "sv is missing, or too old for the simulator"));
	if (kind == AUTH_SERVICE_SAS && sas_field(s, "si")[0] != '\0')
		return (refuse(ex, "NotImplemented"));
	sas_signature(s, kind, &text, &want);
	if (strcmp(buf_str(&want), sas_field(s, "sig")) != 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Signature did not match. String to sign used was %s", buf_str(&text)));
	if (kind != AUTH_USER_SAS && !s->account->shared_key)
		return (refuse(ex, "KeyBasedAuthenticationNotPermitted"));
	if (check_sas_times(s) != 0 || check_sas_address(s) != 0)
		return (-1);
	if (strcmp(sas_field(s, "spr"), "https") == 0 && ex->peer->tls == NULL)
		return (refuse(ex, "AuthorizationProtocolMismatch"));
	return (0);
}

int
gate_sas(struct exchange *ex)
{
	struct sas s = { ex, ex->account, ex->container != NULL ? ex->container : "", ex->blob,
	    NULL };
	enum auth_kind kind = sas_kind(&s);

	ex->auth = kind;
	if (check_sas(&s, kind) != 0)
		return (-1);
	ex->sas_permissions = sas_field(&s, "sp");
	if (kind == AUTH_USER_SAS)
		str_format(ex->oid, sizeof(ex->oid), "%s", sas_field(&s, "skoid"));
	return (0);
}

int
gate_sas_allows(struct exchange *ex, const char *blob, const char *query, const char *letters)
{
	struct sas s = { ex, ex->account, ex->container, blob, query };

	return (sas_field(&s, "sig")[0] != '\0' && check_sas(&s, sas_kind(&s)) == 0 &&
	    gate_has_any(sas_field(&s, "sp"), letters));
}

int
gate_may_read(struct exchange *ex, struct account *account, const char *container,
    const char *blob, const char *query)
{
	struct sas s = { ex, account, container, blob, query };
	struct container *c;

	if (sas_field(&s, "sig")[0] != '\0')
		return (check_sas(&s, sas_kind(&s)) == 0 && gate_has_any(sas_field(&s, "sp"), "r"));
	if (account != ex->account)
		return (0);
	if (ex->auth == AUTH_SHARED_KEY || ex->auth == AUTH_ACCOUNT_SAS)
		return (ex->auth == AUTH_SHARED_KEY || gate_has_any(ex->sas_permissions, "r"));
	if (ex->auth == AUTH_BEARER)
		return (people_role(&ex->sim->people, ex->oid, account->name, container) !=
		    ROLE_NONE);
	c = model_container(account, container);
	return (c != NULL && account->public_allowed && c->public_access != PUBLIC_NONE);
}

void
gate_make_sas(struct exchange *ex, struct account *account, const char *container,
    int64_t expiry_unix_s, struct buf *ret)
{
	auto_buf struct buf text = BUF_EMPTY, signature = BUF_EMPTY;
	struct sas s = { ex, account, container, NULL, NULL };
	char expiry[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(expiry_unix_s, expiry);
	s.query = arena_printf(&ex->mem, "sv=2021-12-02&sr=c&sp=racwdxltmeop&spr=https&se=%s",
	    expiry);
	service_sas_text(&s, &text);
	gate_sign(account, buf_str(&text), text.len, &signature);
	buf_printf(ret, "?%s&sig=", s.query);
	uri_encode(ret, buf_str(&signature), signature.len, 0);
}
