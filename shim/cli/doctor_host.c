#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "azure/auth.h"
#include "azure/http.h"
#include "azure/refusal.h"
#include "azure/store.h"
#include "base/clock.h"
#include "base/uri.h"
#include "cli/doctor_parts.h"

#define SKEW_MAX_S	300	/* the service takes 15 min; tokens and SAS take less */
#define DAY_S		86400
#define EXPIRY_SOON_S	(14 * DAY_S)
#define ADDRESSES_TOLD	4

/* ---- which hosts ------------------------------------------------------- */

static int
same_origin(const char *url, const char *base_url)
{
	size_t len = strcspn(url + strcspn(url, ":") + 3, "/?") + strcspn(url, ":") + 3;

	return (strncmp(url, base_url, len) == 0 &&
	    (base_url[len] == '\0' || base_url[len] == '/'));
}

struct doctor_host *
doctor_find_host(const struct doctor *d, const char *base_url)
{
	size_t i;

	for (i = 0; i < d->nhosts; i++)
		if (same_origin(d->hosts[i].url, base_url))
			return (&d->hosts[i]);
	return (NULL);
}

/* Unsigned, it is refused, with the account's tenant. */
static const char *
url_to_ask(const struct doctor_host *h, const char *base_url, const char *scheme, struct arena *mem)
{
	if (h->is_gen1)
		return (arena_printf(mem, "%s/webhdfs/v1/?op=LISTSTATUS&listSize=1", base_url));
	if (h->is_storage)
		return (arena_printf(mem, "%s/?%s", base_url,
		    strstr(h->host, ".dfs.") != NULL ? "resource=account" : "comp=list"));
	return (arena_printf(mem, "%s://%s/", scheme, h->name));
}

static void
add_host(struct doctor *d, const char *base_url, int is_storage, int is_gen1)
{
	struct arena *mem = &d->found.mem;
	struct doctor_host *h = &d->hosts[d->nhosts];
	struct uri u;

	if (base_url == NULL || uri_parse(&u, base_url, mem) != 0 ||
	    doctor_find_host(d, base_url) != NULL)
		return;
	*h = (struct doctor_host){ .doctor = d, .is_storage = is_storage, .is_gen1 = is_gen1,
	    .host = u.host };
	h->name = u.port != 0 ? arena_printf(mem, "%s:%d", u.host, u.port) : u.host;
	h->url = url_to_ask(h, base_url, u.scheme, mem);
	d->nhosts++;
}

/* Names of what is written to a hierarchical account go through another host. */
static void
add_dfs_host(struct doctor *d, const char *base_url)
{
	auto_free char *url = store_dfs_url(base_url);

	add_host(d, arena_strdup(&d->found.mem, url), 1, 0);
}

void
doctor_list_hosts(struct doctor *d)
{
	const struct plan *plan = &d->story->plan;
	const struct plan_access *a = plan->accesses;

	d->hosts = mem_zalloc((3 * plan->naccesses + 1) * sizeof(*d->hosts));
	for (; a < plan->accesses + plan->naccesses; a++) {
		if (a->action != PLAN_PASS)
			add_host(d, a->base_url, a->url == NULL, a->store == SPEC_GEN1);
		if (a->hns && a->store != SPEC_GEN1 &&
		    (a->action == PLAN_MOUNT_RW || plan->tuning.acl))
			add_dfs_host(d, a->base_url);
		if (a->identity.kind == PLAN_ID_SERVICE_PRINCIPAL ||
		    a->identity.kind == PLAN_ID_CERTIFICATE)
			add_host(d, a->identity.authority_url, 0, 0);
	}
}

/* ---- names ------------------------------------------------------------- */

static enum address_class
class_of_v4(uint32_t a)
{
	if (a >> 24 == 127)
		return (ADDRESS_LOOPBACK);
	/* RFC 1918, RFC 6598 (carriers' NAT), RFC 3927. */
	if (a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191 ||
	    a >> 16 == 0xa9fe)
		return (ADDRESS_PRIVATE);
	return (ADDRESS_PUBLIC);
}

enum address_class
doctor_address_class(const struct sockaddr *sa)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;
	const unsigned char *b = six->sin6_addr.s6_addr;

	if (sa->sa_family == AF_INET)
		return (class_of_v4(ntohl(
		    ((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr)));
	if (sa->sa_family != AF_INET6)
		return (ADDRESS_NONE);
	if (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))
		return (ADDRESS_LOOPBACK);
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return (class_of_v4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 |
		    (uint32_t)b[14] << 8 | b[15]));
	/* RFC 4193 and link-local. */
	return ((b[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) ?
	    ADDRESS_PRIVATE : ADDRESS_PUBLIC);
}

static const char *
class_text(const struct doctor_host *h)
{
	switch (h->class) {
	case ADDRESS_LOOPBACK:
		return ("this machine");
	case ADDRESS_PRIVATE:
		return (h->is_storage ? "private: a private endpoint" : "private");
	case ADDRESS_PUBLIC:
		return (h->is_storage ? "public: not by a private endpoint" : "public");
	case ADDRESS_NONE:
		break;
	}
	return ("no address");
}

static void
add_address(struct doctor_host *h, const struct addrinfo *ai, struct buf *text)
{
	enum address_class class = doctor_address_class(ai->ai_addr);
	char address[NI_MAXHOST];

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, address, sizeof(address), NULL, 0,
	    NI_NUMERICHOST) != 0)
		return;
	buf_printf(text, "%s%s", text->len > 0 ? ", " : "", address);
	if (h->class == ADDRESS_NONE) {
		h->class = class;
		str_format(h->address, sizeof(h->address), "%s", address);
	}
}

/* 0: it has addresses, which text tells. */
static int
resolve(struct doctor_host *h, struct buf *text, struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	auto_free char *name = mem_strdup(h->host + (h->host[0] == '['));
	struct addrinfo *list = NULL, *ai;
	int rc, n = 0;

	name[strcspn(name, "]")] = '\0';
	rc = getaddrinfo(name, NULL, &hints, &list);
	if (rc != 0) {
		err_set(err, ERR_UNREACHABLE, REMEDY_CHECK_DNS, "resolve", "%s", gai_strerror(rc));
		return (err_on(err, "%s", h->host));
	}
	for (ai = list; ai != NULL && n < ADDRESSES_TOLD; ai = ai->ai_next, n++)
		add_address(h, ai, text);
	freeaddrinfo(list);
	return (0);
}

/* ---- one request ------------------------------------------------------- */

static int
prepare(struct http_call *call, struct http_request *req, struct err *err)
{
	const struct doctor_host *h = call->arg;

	(void)err;
	req->method = "GET";
	req->url = h->url;
	if (h->is_storage && !h->is_gen1)
		req->headers[req->nheaders++] = (struct http_header){ "x-ms-version",
		    AUTH_STORAGE_VERSION };
	return (0);
}

/* Any answer will do. */
static enum http_verdict
judge(struct http_call *call, const struct http_response *res, int *ret_delay_ms)
{
	(void)call;
	(void)res;
	(void)ret_delay_ms;
	return (HTTP_OK);
}

/* ---- what came of it, stage by stage ----------------------------------- */

/* That connections end before an answer is told of the connection. */
enum stage { STAGE_DNS, STAGE_PROXY, STAGE_CONNECT, STAGE_TLS, STAGE_NONE };

static enum stage
failed_stage(const struct http_response *r, const struct err *err)
{
	if (err->kind == ERR_NONE)
		return (STAGE_NONE);
	if (err->remedy == REMEDY_CHECK_PROXY)
		return (STAGE_PROXY);
	switch (r->stage) {
	case HTTP_AT_NAME:
		return (STAGE_DNS);
	case HTTP_AT_PROXY:
		return (STAGE_PROXY);
	case HTTP_AT_TLS:
		return (STAGE_TLS);
	case HTTP_AT_CONNECT:
	case HTTP_AT_ANSWER:
		break;
	}
	return (STAGE_CONNECT);
}

/* The variable that libcurl takes the proxy from, with its value less user and password. */
static const char *
proxy_text(int is_https, char *buf, size_t size)
{
	static const char *const https[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
	    "ALL_PROXY" };
	static const char *const http[] = { "http_proxy", "all_proxy", "ALL_PROXY" };
	const char *const *names = is_https ? https : http;
	size_t n = is_https ? LENGTH(https) : LENGTH(http), i;
	const char *value, *at, *host;

	for (i = 0; i < n; i++) {
		value = getenv(names[i]);
		if (value == NULL || value[0] == '\0')
			continue;
		host = strstr(value, "://") != NULL ? strstr(value, "://") + 3 : value;
		at = strrchr(host, '@');
		str_format(buf, size, "%s=%.*s%s", names[i], (int)(host - value), value,
		    at != NULL ? at + 1 : host);
		return (buf);
	}
	return ("a proxy");
}

/* The name of the retired service: that nothing answers is no fault of the network. */
static struct finding *
tell_failure(const struct doctor_host *h, const char *check, const struct err *err,
    struct findings *out)
{
	struct err e = *err;

	if (h->is_gen1 && strstr(h->host, cloud_public.gen1_suffix) != NULL)
		e.remedy = REMEDY_RETIRED_GEN1;
	return (findings_err(out, 1, check, h->name, &e));
}

static void
tell_dns(struct doctor_host *h, enum stage failed, const struct http_response *r,
    const struct err *why, struct findings *out)
{
	auto_buf struct buf addresses = BUF_EMPTY;
	struct err err = ERR_EMPTY;

	if (resolve(h, &addresses, &err) == 0 && failed == STAGE_DNS)
		tell_failure(h, "dns", why, out)->seen = arena_printf(&out->mem, "%s (%s)",
		    buf_str(&addresses), class_text(h));
	else if (err.kind == ERR_NONE)
		findings_add(out, FINDING_OK, "dns", h->name, "%s (%s)", buf_str(&addresses),
		    class_text(h));
	else if (r->used_proxy)
		findings_add(out, FINDING_SKIP, "dns", h->name,
		    "does not resolve here; the proxy does that");
	else
		tell_failure(h, "dns", &err, out);
}

static void
tell_proxy(const struct doctor_host *h, enum stage failed, const struct http_response *r,
    const struct err *err, struct findings *out)
{
	char text[256];
	const char *proxy = proxy_text(str_starts(h->url, "https://"), text, sizeof(text));

	if (failed == STAGE_PROXY)
		tell_failure(h, "proxy", err, out)->seen = arena_strdup(&out->mem, proxy);
	else if (r->used_proxy)
		findings_add(out, FINDING_OK, "proxy", h->name, "%s", proxy);
}

static void
tell_connect(const struct doctor_host *h, enum stage failed, const struct http_response *r,
    const struct err *err, struct findings *out)
{
	if (failed < STAGE_CONNECT)
		findings_add(out, FINDING_SKIP, "connect", h->name, "not tried");
	else if (failed == STAGE_CONNECT)
		tell_failure(h, "connect", err, out);
	else
		findings_add(out, FINDING_OK, "connect", h->name, "%s%s answers",
		    r->used_proxy ? "through the proxy " : "", r->peer);
}

static void
tell_tls(const struct doctor_host *h, enum stage failed, const struct http_response *r,
    const struct err *err, struct findings *out)
{
	int64_t left_s = r->tls_expiry_unix_s - clock_wall_s();
	char date[CLOCK_ISO8601_SIZE] = "";

	if (!str_starts(h->url, "https://"))
		return;
	if (r->tls_expiry_unix_s != 0)
		clock_format_iso8601(r->tls_expiry_unix_s, date);
	if (failed < STAGE_TLS)
		findings_add(out, FINDING_SKIP, "tls", h->name, "not tried");
	else if (failed == STAGE_TLS)
		tell_failure(h, "tls", err, out)->seen = arena_printf(&out->mem,
		    "trusted are %s; the certificate ends %s", h->doctor->roots,
		    date[0] != '\0' ? date : "at a date that was not seen");
	else
		findings_add(out, r->tls_expiry_unix_s != 0 && left_s < EXPIRY_SOON_S ?
		    FINDING_WARN : FINDING_OK, "tls", h->name,
		    "verified with %s%s%s", h->doctor->roots,
		    date[0] != '\0' ? "; the certificate ends " : "", date);
}

static void
tell_clock(const struct doctor_host *h, enum stage failed, const struct http_response *r,
    struct findings *out)
{
	int64_t skew_s = clock_wall_s() - r->date_unix_s;
	struct err err = ERR_EMPTY;

	if (failed != STAGE_NONE || r->date_unix_s == 0) {
		findings_add(out, FINDING_SKIP, "clock", h->name, "no answer with a date");
		return;
	}
	if (llabs(skew_s) <= SKEW_MAX_S) {
		findings_add(out, FINDING_OK, "clock", h->name, "%lld s from the service's",
		    (long long)llabs(skew_s));
		return;
	}
	err_set(&err, ERR_SYSTEM, REMEDY_CHECK_CLOCK, "trust the clock",
	    "it is %lld s %s the service's", (long long)llabs(skew_s),
	    skew_s > 0 ? "ahead of" : "behind");
	err_on(&err, "of this machine");
	findings_err(out, 1, "clock", h->name, &err);
}

/* The account's own tenant, from its challenge: "authorization_uri=https://.../TENANT/oauth2". */
static void
take_tenant(struct doctor_host *h, const struct http_response *r)
{
	if (h->is_storage && refusal_challenge_tenant(r->www_authenticate, h->tenant) != 0)
		h->tenant[0] = '\0';
}

void
doctor_ask_host(void *host, struct findings *out)
{
	struct doctor_host *h = host;
	struct http_call call = { .op = "reach", .prepare = prepare, .judge = judge, .arg = h,
	    .max_tries = 1, .deadline_ms = clock_ms() + DOCTOR_CHECK_MS };
	const struct http_response *r = &call.response;
	struct err err = ERR_EMPTY;
	enum stage failed;

	if (http_do(h->doctor->http, &call, &err) == 0)
		err = ERR_EMPTY;
	failed = failed_stage(r, &err);
	h->reached = failed == STAGE_NONE;
	take_tenant(h, r);
	tell_dns(h, failed, r, &err, out);
	tell_proxy(h, failed, r, &err, out);
	tell_connect(h, failed, r, &err, out);
	tell_tls(h, failed, r, &err, out);
	tell_clock(h, failed, r, out);
	http_call_done(&call);
}
