/*
 * The account and its containers.
 *
 * learn.microsoft.com/rest/api/storageservices/list-containers2, get-account-information,
 * get-user-delegation-key, create-container, delete-container, get-container-properties,
 * set-container-metadata.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/uri.h"
#include "base/xml.h"
#include "blob.h"
#include "gate.h"

#define XML_HEAD	"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
#define PAGE_MAX	5000
#define KEY_DAYS_MAX	7

static const char *const access_names[] = { "", "blob", "container" };

static void
add_container(const struct container *c, struct buf *to)
{
	char etag[ETAG_SIZE], date[CLOCK_RFC1123_SIZE];

	blob_etag(c->etag, etag);
	clock_format_rfc1123(c->modified_unix_s, date);
	buf_printf(to, "<Container><Name>%s</Name><Properties><Last-Modified>%s</Last-Modified>"
	    "<Etag>\"%s\"</Etag><LeaseStatus>unlocked</LeaseStatus>"
	    "<LeaseState>available</LeaseState>", c->name, date, etag);
	if (c->public_access != PUBLIC_NONE)
		buf_printf(to, "<PublicAccess>%s</PublicAccess>", access_names[c->public_access]);
	buf_adds(to, "</Properties></Container>");
}

/* The marker is the next container's name. */
int
blob_list_containers(struct exchange *ex)
{
	const char *prefix = exchange_param(ex, "prefix"), *marker = exchange_param(ex, "marker");
	const char *text = exchange_param(ex, "maxresults"), *next = "";
	auto_buf struct buf body = BUF_EMPTY;
	const char *host = exchange_header(ex, "host");
	const struct container *c;
	long long max = PAGE_MAX, n = 0;

	if (text != NULL && str_to_i64(text, 1, INT64_MAX, &max) != 0)
		return (refuse_param(ex, "OutOfRangeQueryParameterValue", "maxresults", text));
	if (max > PAGE_MAX)
		max = PAGE_MAX;
	buf_printf(&body, XML_HEAD "<EnumerationResults ServiceEndpoint=\"%s://%s/%s\">",
	    ex->peer->tls != NULL ? "https" : "http", host != NULL ? host : "",
	    ex->path_style ? ex->account->name : "");
	if (prefix != NULL) {
		buf_adds(&body, "<Prefix>");
		xml_escape(&body, prefix);
		buf_adds(&body, "</Prefix>");
	}
	buf_adds(&body, "<Containers>");
	pthread_rwlock_rdlock(&ex->account->lock);
	for (c = ex->account->containers; c != NULL; c = c->next) {
		if (c->is_deleted || (prefix != NULL && !str_starts(c->name, prefix)) ||
		    (marker != NULL && strcmp(c->name, marker) < 0))
			continue;
		if (n == max) {
			next = c->name;
			break;
		}
		add_container(c, &body);
		n++;
	}
	pthread_rwlock_unlock(&ex->account->lock);
	buf_printf(&body, "</Containers><NextMarker>%s</NextMarker></EnumerationResults>", next);
	return (answer(ex, 200, "application/xml", body.data, body.len));
}

int
blob_get_account_info(struct exchange *ex)
{
	if (ex->auth == AUTH_BEARER)	/* needs more than a data role */
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	answer_header(ex, "x-ms-sku-name", "Standard_LRS");
	answer_header(ex, "x-ms-account-kind", "StorageV2");
	answer_header(ex, "x-ms-is-hns-enabled", "%s", ex->account->hns ? "true" : "false");
	return (answer(ex, 200, NULL, "", 0));
}

struct key_info {
	char	start[40], expiry[40];
};

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	(void)arg;
	(void)name;
	(void)attributes;
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct key_info *info = arg;

	(void)len;
	if (strcmp(name, "Start") == 0)
		str_format(info->start, sizeof(info->start), "%s", text);
	if (strcmp(name, "Expiry") == 0)
		str_format(info->expiry, sizeof(info->expiry), "%s", text);
}

static int
read_key_info(struct exchange *ex, struct key_info *info)
{
	static const struct xml_handler handler = { on_begin, on_end };
	auto_buf struct buf body = BUF_EMPTY;
	int64_t start, expiry, now = clock_wall_s();
	struct xml *x;
	int failed;

	memset(info, 0, sizeof(*info));
	if (exchange_read_body(ex, 65536, &body) != 0)
		return (-1);
	x = xml_new(&handler, info);
	failed = xml_feed(x, buf_str(&body), body.len, 1, NULL);
	xml_free(x);
	if (failed != 0)
		return (refuse(ex, "InvalidXmlDocument"));
	if (clock_parse_date(info->start, &start) != 0 ||
	    clock_parse_date(info->expiry, &expiry) != 0 || expiry <= now || expiry <= start ||
	    expiry > now + KEY_DAYS_MAX * 86400)
		return (refuse(ex, "InvalidXmlNodeValue"));
	return (0);
}

int
blob_get_user_delegation_key(struct exchange *ex)
{
	auto_buf struct buf body = BUF_EMPTY, value = BUF_EMPTY;
	const char *tid = ex->account->tenant;
	unsigned char key[32];
	struct key_info info;

	if (ex->auth != AUTH_BEARER)
		return (refuse(ex, "AuthenticationFailed"));
	if (read_key_info(ex, &info) != 0)
		return (-1);
	gate_user_delegation_key(ex, ex->oid, tid, info.start, info.expiry, "b", ex->version, key);
	base64_encode(&value, key, sizeof(key));
	buf_printf(&body, XML_HEAD "<UserDelegationKey><SignedOid>%s</SignedOid>"
	    "<SignedTid>%s</SignedTid><SignedStart>%s</SignedStart>"
	    "<SignedExpiry>%s</SignedExpiry><SignedService>b</SignedService>"
	    "<SignedVersion>%s</SignedVersion><Value>%s</Value></UserDelegationKey>", ex->oid, tid,
	    info.start, info.expiry, ex->version, buf_str(&value));
	return (answer(ex, 200, "application/xml", body.data, body.len));
}

static void
add_container_headers(struct exchange *ex, const struct container *c)
{
	char etag[ETAG_SIZE], date[CLOCK_RFC1123_SIZE];

	blob_etag(c->etag, etag);
	clock_format_rfc1123(c->modified_unix_s, date);
	answer_header(ex, "ETag", "\"%s\"", etag);
	answer_header(ex, "Last-Modified", "%s", date);
}

static int
read_access(struct exchange *ex, enum public_access *ret)
{
	const char *text = exchange_header(ex, "x-ms-blob-public-access");

	*ret = PUBLIC_NONE;
	if (text == NULL)
		return (0);
	if (strcmp(text, "blob") != 0 && strcmp(text, "container") != 0)
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-blob-public-access", text));
	if (!ex->account->public_allowed)
		return (refuse(ex, "PublicAccessNotPermitted"));
	*ret = strcmp(text, "blob") == 0 ? PUBLIC_BLOB : PUBLIC_CONTAINER;
	return (0);
}

int
blob_create_container(struct exchange *ex)
{
	struct pairs meta = { NULL, 0 };
	enum public_access access;
	struct container *c;

	if (read_access(ex, &access) != 0 || blob_read_meta(ex, &meta) != 0)
		return (-1);
	if (!model_create_container(ex->account, ex->container, &c)) {
		pairs_done(&meta);
		return (refuse(ex, "ContainerAlreadyExists"));
	}
	pthread_rwlock_wrlock(&c->lock);
	c->meta = meta;
	c->public_access = access;
	add_container_headers(ex, c);
	pthread_rwlock_unlock(&c->lock);
	return (answer(ex, 201, NULL, "", 0));
}

int
blob_delete_container(struct exchange *ex)
{
	struct container *c = blob_container(ex);

	if (c == NULL)
		return (-1);
	model_delete_container(&ex->sim->model, c);
	return (answer(ex, 202, NULL, "", 0));
}

int
blob_get_container(struct exchange *ex)
{
	struct container *c = blob_container(ex);
	size_t i;

	if (c == NULL)
		return (-1);
	pthread_rwlock_rdlock(&c->lock);
	add_container_headers(ex, c);
	for (i = 0; i < c->meta.n; i++) {
		char name[256];

		str_format(name, sizeof(name), "x-ms-meta-%s", c->meta.list[i].name);
		answer_header(ex, name, "%s", c->meta.list[i].value);
	}
	if (c->public_access != PUBLIC_NONE)
		answer_header(ex, "x-ms-blob-public-access", "%s", access_names[c->public_access]);
	pthread_rwlock_unlock(&c->lock);
	answer_header(ex, "x-ms-lease-status", "unlocked");
	answer_header(ex, "x-ms-lease-state", "available");
	answer_header(ex, "x-ms-has-immutability-policy", "false");
	answer_header(ex, "x-ms-has-legal-hold", "false");
	answer_header(ex, "x-ms-default-encryption-scope", "$account-encryption-key");
	answer_header(ex, "x-ms-deny-encryption-scope-override", "false");
	return (answer(ex, 200, NULL, "", 0));
}

int
blob_set_container_metadata(struct exchange *ex)
{
	struct container *c = blob_container(ex);
	struct pairs meta = { NULL, 0 };

	if (c == NULL || blob_read_meta(ex, &meta) != 0)
		return (-1);
	pthread_rwlock_wrlock(&c->lock);
	pairs_done(&c->meta);
	c->meta = meta;
	c->etag = model_next_etag();
	c->modified_unix_s = clock_wall_s();
	add_container_headers(ex, c);
	pthread_rwlock_unlock(&c->lock);
	return (answer(ex, 200, NULL, "", 0));
}
