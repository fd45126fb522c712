/*
 * SharedKey: learn.microsoft.com "Authorize with Shared Key".
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <bearssl.h>

#include "base/clock.h"
#include "base/uri.h"
#include "gate.h"

#define DATE_SKEW_S	900		/* 15 minutes */

void
gate_hmac(const unsigned char *key, size_t key_len, const char *text, size_t len,
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

void
gate_sign(struct account *a, const char *text, size_t len, struct buf *ret)
{
	pthread_rwlock_rdlock(&a->lock);
	gate_hmac(a->key, a->key_len, text, len, ret);
	pthread_rwlock_unlock(&a->lock);
}

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
	const struct httpd_header *sorted[HTTPD_HEADERS_MAX] = { NULL };
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
	if (llabs(date - sim_now(ex->sim)) > DATE_SKEW_S)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "Request date header too old: '%s'", text));
	return (0);
}

/* credential: "ACCOUNT:SIGNATURE" */
int
gate_shared_key(struct exchange *ex, const char *credential)
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
	gate_sign(ex->account, buf_str(&text), text.len, &want);
	if (strcmp(buf_str(&want), credential + n + 1) != 0)
		return (refuse_detail(ex, "AuthenticationFailed", "AuthenticationErrorDetail",
		    "The MAC signature found in the HTTP request '%s' is not the same as any "
		    "computed signature. Server used following string to sign: '%s'.",
		    credential + n + 1, buf_str(&text)));
	if (!ex->account->shared_key)
		return (refuse(ex, "KeyBasedAuthenticationNotPermitted"));
	return (0);
}
