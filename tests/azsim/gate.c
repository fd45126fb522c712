#include "gate.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/uri.h"

#define DATE_SKEW_S	900		/* "Authorize with Shared Key": 15 minutes */
#define BEARER_SKEW_S	300
#define SIGNATURE_MAX	64
#define HEADERS_MAX	64

/* Azure/Azurite src/blob/utils/constants.ts, and newer ones that SDKs send. */
static const char versions[] = " 2009-04-14 2009-07-17 2009-09-19 2011-08-18 2012-02-12 2013-08-15 "
    "2014-02-14 2015-02-21 2015-04-05 2015-07-08 2015-12-11 2016-05-31 2017-04-17 2017-07-29 "
    "2017-11-09 2018-03-28 2018-11-09 2019-02-02 2019-07-07 2019-10-10 2019-12-12 2020-02-10 "
    "2020-04-08 2020-06-12 2020-08-04 2020-10-02 2020-12-06 2021-02-12 2021-04-10 2021-06-08 "
    "2021-08-06 2021-10-04 2021-12-02 2022-11-02 2023-01-03 2023-08-03 2023-11-03 2024-02-04 "
    "2024-05-04 2024-08-04 2024-11-04 2025-01-05 2025-05-05 2025-07-05 2025-11-05 2026-02-06 "
    "2026-06-06 2026-10-06 ";

static int
check_version(struct exchange *ex)
{
	const char *sv = exchange_param(ex, "sv");
	char spaced[40];

	if (ex->version[0] == '\0') {
		if (exchange_header(ex, "authorization") != NULL)
			return (refuse_header(ex, "MissingRequiredHeader", "x-ms-version", NULL));
		if (sv == NULL)
			return (0);	/* nobody in particular: the oldest */
		ex->version = sv;
	}
	if (strchr(ex->version, ' ') != NULL ||
	    str_format(spaced, sizeof(spaced), " %s ", ex->version) != 0 ||
	    strstr(versions, spaced) == NULL)
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-version", ex->version));
	return (0);
}

static void
hmac_base64(const unsigned char *key, size_t key_len, const char *text, size_t len,
    struct buf *ret)
{
	unsigned char mac[32];
	br_hmac_key_context k;
	br_hmac_context h;

	br_hmac_key_init(&k, &br_sha256_vtable, key, key_len);
	br_hmac_init(&h, &k, 0);
	br_hmac_update(&h, text, len);
	br_hmac_out(&h, mac);
	buf_reset(ret);
	base64_encode(ret, mac, sizeof(mac));
}

static void
sign_with_account_key(struct account *a, const char *text, size_t len, struct buf *ret)
{
	pthread_rwlock_rdlock(&a->lock);
	hmac_base64(a->key, a->key_len, text, len, ret);
	pthread_rwlock_unlock(&a->lock);
}

/* ---- SharedKey: learn.microsoft.com "Authorize with Shared Key" -------------------------------- */

/* Weight in the service's order of header names: hyphens have none, '_' is below the digits. */
static int
weight_of(char c)
{
	return (c == '-' ? 0 : c == '_' ? 1 : (unsigned char)c);
}

static int
compare_header_names(const char *a, const char *b)
{
	const char *x = a, *y = b;

	for (;;) {
		while (*x == '-')
			x++;
		while (*y == '-')
			y++;
		if (*x == '\0' || *y == '\0' || weight_of(*x) != weight_of(*y))
			break;
		x++;
		y++;
	}
	if (*x != '\0' || *y != '\0')
		return (*x == '\0' ? -1 : *y == '\0' ? 1 : weight_of(*x) - weight_of(*y));
	/* Only the hyphens differ: the one that has one first comes later. */
	for (; *a == *b && *a != '\0'; a++, b++)
		;
	return (*a == *b ? 0 : *a == '-' ? 1 : -1);
}

static int
by_header_name(const void *a, const void *b)
{
	const struct httpd_header *const *x = a, *const *y = b;

	return (compare_header_names((*x)->name, (*y)->name));
}

static void
add_canonical_headers(const struct exchange *ex, struct buf *to)
{
	const struct httpd_header *sorted[HTTPD_HEADERS_MAX];
	size_t n = 0, i;

	for (i = 0; i < ex->req->nheaders; i++)
		if (str_starts(ex->req->headers[i].name, "x-ms-"))
			sorted[n++] = &ex->req->headers[i];
	qsort(sorted, n, sizeof(sorted[0]), by_header_name);
	for (i = 0; i < n; i++)
		buf_printf(to, "%s:%s\n", sorted[i]->name, sorted[i]->value);
}

static int
by_param_name(const void *a, const void *b)
{
	const struct param *x = a, *y = b;
	int order = strcasecmp(x->name, y->name);

	return (order != 0 ? order : strcmp(x->value, y->value));
}

static void
add_canonical_resource(const struct exchange *ex, struct buf *to)
{
	struct param sorted[PARAMS_MAX];
	const char *c;
	size_t i;

	buf_printf(to, "/%s%s", ex->account->name, ex->req->path);
	memcpy(sorted, ex->params, ex->nparams * sizeof(sorted[0]));
	qsort(sorted, ex->nparams, sizeof(sorted[0]), by_param_name);
	for (i = 0; i < ex->nparams; i++) {
		if (i > 0 && strcasecmp(sorted[i].name, sorted[i - 1].name) == 0) {
			buf_printf(to, ",%s", sorted[i].value);
			continue;
		}
		buf_addc(to, '\n');
		for (c = sorted[i].name; *c != '\0'; c++)
			buf_addc(to, *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c);
		buf_printf(to, ":%s", sorted[i].value);
	}
}

static void
string_to_sign(const struct exchange *ex, struct buf *to)
{
	static const char *const lines[] = { "content-encoding", "content-language",
	    "content-length", "content-md5", "content-type", "date", "if-modified-since",
	    "if-match", "if-none-match", "if-unmodified-since", "range" };
	size_t i;

	buf_printf(to, "%s\n", ex->req->method);
	for (i = 0; i < LENGTH(lines); i++) {
		const char *value = exchange_header(ex, lines[i]);

		if (value == NULL ||
		    (strcmp(lines[i], "content-length") == 0 && strcmp(value, "0") == 0) ||
		    (strcmp(lines[i], "date") == 0 && exchange_header(ex, "x-ms-date") != NULL))
			value = "";
		buf_printf(to, "%s\n", value);
	}
	add_canonical_headers(ex, to);
	add_canonical_resource(ex, to);
}

static int
check_date(struct exchange *ex)
{
	const char *text = exchange_header(ex, "x-ms-date");
	int64_t date;

	if (text == NULL)
		text = exchange_header(ex, "date");
	if (text == NULL)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "The Date header is missing"));
	if (clock_parse_rfc1123(text, &date) != 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "The Date header in the request is incorrect."));
	if (llabs(date - clock_wall_s()) > DATE_SKEW_S)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Request date header too old: '%s'", text));
	return (0);
}

/* credential: "ACCOUNT:SIGNATURE" */
static int
authenticate_shared_key(struct exchange *ex, const char *credential)
{
	auto_buf struct buf text = BUF_EMPTY, want = BUF_EMPTY;
	size_t n = strcspn(credential, ":");

	ex->auth = AUTH_SHARED_KEY;
	if (credential[n] != ':')
		return (refuse(ex, "InvalidAuthenticationInfo:400"));
	if (strlen(ex->account->name) != n || strncmp(credential, ex->account->name, n) != 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "The account being accessed is %s, the one that signed is another.",
		    ex->account->name));
	if (check_date(ex) != 0)
		return (-1);
	string_to_sign(ex, &text);
	sign_with_account_key(ex->account, buf_str(&text), text.len, &want);
	if (strcmp(buf_str(&want), credential + n + 1) != 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "The MAC signature found in the HTTP request '%s' is not the same as any "
		    "computed signature. Server used following string to sign: '%s'.",
		    credential + n + 1, buf_str(&text)));
	if (!ex->account->shared_key)
		return (refuse(ex, "KeyBasedAuthenticationNotPermitted"));
	return (0);
}

/* ---- SAS: "Create an account SAS", "Create a service SAS", "Create a user delegation SAS" ------- */

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
		sign_with_account_key(s->account, buf_str(text), text->len, ret);
		return;
	}
	user_sas_text(s, text);
	gate_user_delegation_key(s->ex, sas_field(s, "skoid"), sas_field(s, "sktid"),
	    sas_field(s, "skt"), sas_field(s, "ske"), sas_field(s, "sks"), sas_field(s, "skv"),
	    key);
	hmac_base64(key, sizeof(key), buf_str(text), text->len, ret);
}

static int
check_sas_times(const struct sas *s)
{
	const char *st = sas_field(s, "st"), *se = sas_field(s, "se");
	int64_t now = clock_wall_s(), start = 0, expiry;
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

static int
authenticate_sas(struct exchange *ex)
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

/* ---- bearer: "Authorize with Microsoft Entra ID" ----------------------------------------------- */

static int
is_storage_audience(const struct exchange *ex, const char *aud)
{
	char own[128];
	size_t n = strlen(aud);

	if (n > 0 && aud[n - 1] == '/')
		n--;
	str_format(own, sizeof(own), "https://%s.blob.core.windows.net", ex->account->name);
	return ((n == strlen(own) && strncmp(aud, own, n) == 0) ||
	    (n == strlen("https://storage.azure.com") &&
	    strncmp(aud, "https://storage.azure.com", n) == 0));
}

static int
refuse_token(struct exchange *ex, const char *why)
{
	return (refuse_detail(ex, "InvalidAuthenticationInfo", "AuthenticationErrorDetail", "%s",
	    why));
}

static int
authenticate_bearer(struct exchange *ex, const char *token)
{
	struct jwt_claims claims;
	int64_t now = clock_wall_s();

	ex->auth = AUTH_BEARER;
	if (ex->peer->tls == NULL)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Authentication scheme Bearer is not allowed with HTTP."));
	if (!blob_version_from(ex, "2017-11-09"))
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Authentication scheme Bearer is not supported in this version."));
	switch (jwt_verify(&ex->sim->people.key, token, strlen(token), &claims)) {
	case -1:
		return (refuse_token(ex, "The token is not a JWT."));
	case -2:
		return (refuse_token(ex, "Signature validation failed. Signature verification "
		    "failed."));
	}
	str_format(ex->oid, sizeof(ex->oid), "%s", claims.oid);
	if (claims.exp <= now)
		return (refuse_token(ex, "Lifetime validation failed. The token is expired."));
	if (claims.nbf > now + BEARER_SKEW_S)
		return (refuse_token(ex, "Lifetime validation failed. The token is not yet valid."));
	if (!is_storage_audience(ex, claims.aud))
		return (refuse_token(ex, "Audience validation failed. Audience did not match."));
	if (!str_same(claims.tid, ex->account->tenant))
		return (refuse_token(ex, "Issuer validation failed. Issuer did not match."));
	return (0);
}

int
gate_authenticate(struct exchange *ex)
{
	const char *authorization = exchange_header(ex, "authorization");

	if (check_version(ex) != 0)
		return (-1);
	if (authorization == NULL) {
		if (exchange_param(ex, "sig") != NULL)
			return (authenticate_sas(ex));
		ex->auth = AUTH_ANONYMOUS;
		return (0);
	}
	if (str_starts(authorization, "SharedKey "))
		return (authenticate_shared_key(ex, authorization + strlen("SharedKey ")));
	if (str_starts(authorization, "Bearer "))
		return (authenticate_bearer(ex, authorization + strlen("Bearer ")));
	return (refuse(ex, "InvalidAuthenticationInfo:400"));
}

/* ---- who may do what --------------------------------------------------------------------------- */

static int
has_any(const char *set, const char *letters)
{
	return (set != NULL && letters != NULL && strpbrk(set, letters) != NULL);
}

static int
authorize_anonymous(struct exchange *ex, const struct blob_op *op)
{
	struct container *c = ex->container == NULL ? NULL :
	    model_container(ex->account, ex->container);
	enum public_access access = c == NULL || !ex->account->public_allowed ? PUBLIC_NONE :
	    c->public_access;

	if (op->role == ROLE_READER && op->level == LEVEL_BLOB && access != PUBLIC_NONE)
		return (0);
	if (op->role == ROLE_READER && op->level == LEVEL_CONTAINER && access == PUBLIC_CONTAINER)
		return (0);
	/* Before the challenge there was only this; "Common REST API error codes". */
	return (refuse(ex, blob_version_from(ex, "2019-12-12") ? "NoAuthenticationInformation" :
	    "ResourceNotFound"));
}

static int
authorize_account_sas(struct exchange *ex, const struct blob_op *op)
{
	static const char letters[] = { 's', 'c', 'o' };
	const char *ss = exchange_param(ex, "ss"), *srt = exchange_param(ex, "srt");

	if (ss == NULL || strchr(ss, 'b') == NULL)
		return (refuse(ex, "AuthorizationServiceMismatch"));
	if (srt == NULL || strchr(srt, letters[op->level]) == NULL)
		return (refuse(ex, "AuthorizationResourceTypeMismatch"));
	if (!has_any(ex->sas_permissions, op->account_letters))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

static int
authorize_service_sas(struct exchange *ex, const struct blob_op *op)
{
	const char *sr = exchange_param(ex, "sr");

	if (op->letters == NULL)
		return (refuse(ex, "AuthorizationFailure"));
	if (sr == NULL || (strcmp(sr, "c") != 0 && strcmp(sr, "b") != 0 && strcmp(sr, "d") != 0))
		return (refuse_param(ex, "InvalidQueryParameterValue", "sr", sr));
	if (op->level == LEVEL_CONTAINER && strcmp(sr, "b") == 0)
		return (refuse(ex, "AuthorizationFailure"));
	if (!has_any(ex->sas_permissions, op->letters))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

static int
authorize_role(struct exchange *ex, const struct blob_op *op)
{
	if (people_role(&ex->sim->people, ex->oid, ex->account->name, ex->container) < op->role)
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	return (0);
}

int
gate_authorize(struct exchange *ex, const struct blob_op *op)
{
	switch (ex->auth) {
	case AUTH_ANONYMOUS:
		return (authorize_anonymous(ex, op));
	case AUTH_SHARED_KEY:
		return (0);
	case AUTH_ACCOUNT_SAS:
		return (authorize_account_sas(ex, op));
	case AUTH_SERVICE_SAS:
		return (authorize_service_sas(ex, op));
	case AUTH_USER_SAS:
		return (authorize_service_sas(ex, op) != 0 ? -1 : authorize_role(ex, op));
	case AUTH_BEARER:
		return (authorize_role(ex, op));
	case AUTH_SECRET:
		break;
	}
	return (refuse(ex, "InternalError"));
}

int
gate_may_read(struct exchange *ex, struct account *account, const char *container,
    const char *blob, const char *query)
{
	struct sas s = { ex, account, container, blob, query };
	struct container *c;

	if (sas_field(&s, "sig")[0] != '\0')
		return (check_sas(&s, sas_kind(&s)) == 0 && has_any(sas_field(&s, "sp"), "r"));
	if (account != ex->account)
		return (0);
	if (ex->auth == AUTH_SHARED_KEY || ex->auth == AUTH_ACCOUNT_SAS)
		return (ex->auth == AUTH_SHARED_KEY || has_any(ex->sas_permissions, "r"));
	if (ex->auth == AUTH_BEARER)
		return (people_role(&ex->sim->people, ex->oid, account->name, container) !=
		    ROLE_NONE);
	c = model_container(account, container);
	return (c != NULL && account->public_allowed && c->public_access != PUBLIC_NONE);
}
