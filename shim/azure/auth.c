#include <bearssl_hash.h>
#include <bearssl_hmac.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "azure/auth.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/uri.h"

#define KEY_MAX		256	/* bytes of a decoded account key; the service's have 64 */

/* ---- the string to sign ------------------------------------------------ */

static const char *
header_value(const struct http_request *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->nheaders; i++)
		if (strcasecmp(q->headers[i].name, name) == 0)
			return (q->headers[i].value);
	return ("");
}

/*
 * The service sorts header names as .NET's en-US does: hyphens do not count
 * unless all else is equal, '_' comes before digits, digits before letters.
 * (Azure/azure-sdk-for-go sdk/storage/azblob/internal/exported/shared_key_credential.go.)
 */
static int
weight(char c)
{
	unsigned char u = (unsigned char)c;

	if (u == '_')
		return (1);
	return (isalnum(u) ? 0x100 + tolower(u) : 0x10 + u);
}

static int
compare_names(const char *a, const char *b)
{
	const char *p = a, *q = b;

	for (;;) {
		while (*p == '-')
			p++;
		while (*q == '-')
			q++;
		if (*p == '\0' || *q == '\0' || weight(*p) != weight(*q))
			break;
		p++, q++;
	}
	if (*p != '\0' || *q != '\0')
		return (*p == '\0' ? -1 : *q == '\0' ? 1 : weight(*p) - weight(*q));
	/* Equal without hyphens: the one that has its hyphen later is first. */
	while (*a != '\0' && (*a == '-') == (*b == '-'))
		a++, b++;
	return ((*a == '-') - (*b == '-'));
}

static int
compare_headers(const void *a, const void *b)
{
	const struct http_header *const *p = a, *const *q = b;

	return (compare_names((*p)->name, (*q)->name));
}

static void
add_ms_headers(const struct http_request *q, struct buf *to)
{
	const struct http_header *sorted[HTTP_HEADERS_MAX] = { NULL };
	const char *p;
	size_t i, n = 0, len;

	for (i = 0; i < q->nheaders && n < HTTP_HEADERS_MAX; i++)
		if (strncasecmp(q->headers[i].name, "x-ms-", 5) == 0)
			sorted[n++] = &q->headers[i];
	qsort(sorted, n, sizeof(sorted[0]), compare_headers);
	for (i = 0; i < n; i++) {
		for (p = sorted[i]->name; *p != '\0'; p++)
			buf_addc(to, (char)tolower((unsigned char)*p));
		p = sorted[i]->value + strspn(sorted[i]->value, " \t");
		for (len = strlen(p); len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'); len--)
			continue;
		buf_addc(to, ':');
		buf_add(to, p, len);
		buf_addc(to, '\n');
	}
}

struct parameter {
	char	*name, *value;
};

static int
compare_parameters(const void *a, const void *b)
{
	const struct parameter *p = a, *q = b;
	int order = strcmp(p->name, q->name);

	return (order != 0 ? order : strcmp(p->value, q->value));
}

/* Splits and decodes query in place; -1 if an escape is wrong. */
static int
split_query(char *query, struct parameter *parameters, size_t *ret_n)
{
	char *p, *part, *rest = query;
	size_t n = 0;

	while ((part = strsep(&rest, "&")) != NULL) {
		struct parameter *to = &parameters[n];

		if (*part == '\0')
			continue;
		to->name = part;
		if ((to->value = strchr(part, '=')) != NULL)
			*to->value++ = '\0';
		else
			to->value = part + strlen(part);
		if (uri_decode(to->name) < 0 || uri_decode(to->value) < 0)
			return (-1);
		for (p = to->name; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		n++;
	}
	qsort(parameters, n, sizeof(*parameters), compare_parameters);
	*ret_n = n;
	return (0);
}

static int
add_query(const char *text, struct buf *to)
{
	auto_free char *query = mem_strdup(text);
	auto_free struct parameter *parameters = NULL;
	const char *p;
	size_t i, n = 1;

	for (p = text; *p != '\0'; p++)
		n += *p == '&';
	parameters = mem_zalloc(n * sizeof(*parameters));
	if (split_query(query, parameters, &n) != 0)
		return (-1);
	for (i = 0; i < n; i++) {
		if (i > 0 && strcmp(parameters[i].name, parameters[i - 1].name) == 0)
			buf_printf(to, ",%s", parameters[i].value);
		else
			buf_printf(to, "\n%s:%s", parameters[i].name, parameters[i].value);
	}
	return (0);
}

static int
add_resource(const char *account, const char *url, struct buf *to)
{
	const char *host = strstr(url, "://"), *path, *query;
	size_t len;

	if (host == NULL)
		return (-1);
	path = host + 3 + strcspn(host + 3, "/?");
	len = strcspn(path, "?");
	query = path[len] == '?' ? path + len + 1 : "";
	buf_addc(to, '/');
	buf_adds(to, account);
	if (len == 0)
		buf_addc(to, '/');
	buf_add(to, path, len);
	return (add_query(query, to));
}

int
auth_string_to_sign(const char *account, const struct http_request *q, struct buf *ret)
{
	static const char *const fixed[] = { "Date", "If-Modified-Since", "If-Match",
	    "If-None-Match", "If-Unmodified-Since", "Range" };
	size_t i;

	buf_printf(ret, "%s\n%s\n%s\n", q->method, header_value(q, "Content-Encoding"),
	    header_value(q, "Content-Language"));
	if (q->body_len > 0)
		buf_printf(ret, "%zu", q->body_len);
	buf_printf(ret, "\n%s\n%s\n", header_value(q, "Content-MD5"),
	    header_value(q, "Content-Type"));
	for (i = 0; i < LENGTH(fixed); i++)
		buf_printf(ret, "%s\n", header_value(q, fixed[i]));
	add_ms_headers(q, ret);
	return (add_resource(account, q->url, ret));
}

int
auth_hmac_sha256_base64(const char *key_base64, const char *text, size_t len, struct buf *ret)
{
	unsigned char key[KEY_MAX], mac[br_sha256_SIZE];
	br_hmac_key_context kc;
	br_hmac_context hc;
	ssize_t n;

	n = base64_decode(key, sizeof(key), key_base64, strlen(key_base64));
	if (n < 0)
		return (-1);
	br_hmac_key_init(&kc, &br_sha256_vtable, key, (size_t)n);
	br_hmac_init(&hc, &kc, 0);
	br_hmac_update(&hc, text, len);
	br_hmac_out(&hc, mac);
	secret_wipe(key, sizeof(key));
	secret_wipe(&kc, sizeof(kc));
	secret_wipe(&hc, sizeof(hc));
	return (base64_encode(ret, mac, sizeof(mac)));
}

/* ---- completing a request ---------------------------------------------- */

static int
add_header(struct http_request *q, const char *name, const char *value, struct err *err)
{
	if (q->nheaders == HTTP_HEADERS_MAX)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "sign request",
		    "too many headers"));
	q->headers[q->nheaders++] = (struct http_header){ name, value };
	return (0);
}

/*
 * A token or SAS on an open wire is anybody's.  A SAS may be meant for http
 * (spr); it is let through to emulators, whose hosts are no public names.
 */
static int
check_wire(const char *url, int is_sas, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct uri u;
	int fine = strncasecmp(url, "https://", 8) == 0;

	if (!fine && is_sas)
		fine = uri_parse(&u, url, &mem) == 0 && uri_is_path_style_host(u.host);
	arena_done(&mem);
	if (fine)
		return (0);
	return (err_set(err, ERR_USAGE, REMEDY_USE_HTTPS, "sign request",
	    "a %s must not be sent without TLS", is_sas ? "SAS" : "token"));
}

static int
add_bearer(struct http_request *q, const char *token, struct arena *scratch, struct err *err)
{
	if (check_wire(q->url, 0, err) != 0)
		return (-1);
	return (add_header(q, "Authorization", arena_printf(scratch, "Bearer %s", token), err));
}

static int
add_shared_key(const struct auth *a, struct http_request *q, const char *key,
    struct arena *scratch, struct err *err)
{
	auto_buf struct buf text = BUF_EMPTY, mac = BUF_EMPTY;

	if (a->account == NULL)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "sign request", "no account"));
	if (auth_string_to_sign(a->account, q, &text) != 0)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "sign request",
		    "the URL cannot be signed"));
	if (auth_hmac_sha256_base64(key, text.data, text.len, &mac) != 0)
		return (err_set(err, ERR_DENIED, REMEDY_RENEW_KEY, "sign request",
		    "the account key is not base64"));
	return (add_header(q, "Authorization",
	    arena_printf(scratch, "SharedKey %s:%s", a->account, mac.data), err));
}

/* Never decoded: a "sig" that is encoded twice is refused. */
static int
add_sas(struct http_request *q, const char *sas, struct arena *scratch, struct err *err)
{
	if (check_wire(q->url, 1, err) != 0)
		return (-1);
	sas += strspn(sas, "?&");
	q->url = arena_printf(scratch, "%s%c%s", q->url,
	    strchr(q->url, '?') != NULL ? '&' : '?', sas);
	return (0);
}

int
auth_storage_request(const struct auth *a, struct http_request *q, const char *request_id,
    struct arena *scratch, uint64_t *ret_generation, struct err *err)
{
	char *date = arena_alloc(scratch, CLOCK_RFC1123_SIZE);
	enum wire_cred_kind kind;
	uint64_t generation;
	const char *text;

	cred_current(a->cred, &kind, &generation, &text, scratch);
	clock_format_rfc1123(clock_wall_s(), date);
	if (add_header(q, "x-ms-version",
	    a->version != NULL ? a->version : AUTH_STORAGE_VERSION, err) != 0 ||
	    add_header(q, "x-ms-date", date, err) != 0 ||
	    add_header(q, "x-ms-client-request-id", request_id, err) != 0)
		return (-1);
	switch (kind) {
	case WIRE_CRED_BEARER:
		if (add_bearer(q, text, scratch, err) != 0)
			return (-1);
		break;
	case WIRE_CRED_SHARED_KEY:
		if (add_shared_key(a, q, text, scratch, err) != 0)
			return (-1);
		break;
	case WIRE_CRED_SAS:
		if (add_sas(q, text, scratch, err) != 0)
			return (-1);
		break;
	case WIRE_CRED_ANONYMOUS:
		break;
	default:
		return (err_set(err, ERR_NO_IDENTITY, REMEDY_NONE, "sign request",
		    "no credential at hand"));
	}
	*ret_generation = generation;
	return (0);
}

int
auth_bearer_request(const struct auth *a, struct http_request *q, const char *request_id,
    struct arena *scratch, uint64_t *ret_generation, struct err *err)
{
	enum wire_cred_kind kind;
	const char *text;

	cred_current(a->cred, &kind, ret_generation, &text, scratch);
	if (kind != WIRE_CRED_BEARER)
		return (err_set(err, ERR_USAGE, REMEDY_FIX_SPEC, "sign request",
		    "this service takes tokens of Entra ID only"));
	if (add_header(q, "x-ms-client-request-id", request_id, err) != 0)
		return (-1);
	return (add_bearer(q, text, scratch, err));
}

int64_t
auth_sas_expiry(const char *sas)
{
	struct arena mem = ARENA_EMPTY;
	int64_t when = 0;
	const char *se;

	se = uri_query_get(sas + strspn(sas, "?&"), "se", &mem);
	if (se == NULL || clock_parse_date(se, &when) != 0)
		when = 0;
	arena_done(&mem);
	return (when);
}
