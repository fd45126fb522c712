/*
 * List Blobs: one page of a container's names.
 *
 * learn.microsoft.com/rest/api/storageservices/list-blobs; the fields of an entry as in
 * Azure/azure-rest-api-specs specification/storage/data-plane/Microsoft.BlobStorage, on accounts
 * with a hierarchical namespace as Azure/azure-storage-fuse component/azstorage/block_blob.go
 * reads them.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/uri.h"
#include "blob.h"
#include "dfs.h"

#define PAGE_MAX	5000

struct listing {
	struct exchange *ex;
	const struct container *container;
	const char *prefix, *delimiter;	/* "" if none */
	int64_t	 max;
	int	 with_metadata, with_uncommitted, with_permissions, encodes;
	int	 only_dirs, only_files;
	struct buf xml;
	int64_t	 count;
	char	 next[4 * 1024 + 8];	/* the first name of the next page; "" none */
};

static int
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");

		if (len == n && strncasecmp(list, word, n) == 0)
			return (1);
		list += len + (list[len] == ',');
	}
	return (0);
}

static int
check_include(struct exchange *ex, const char *include)
{
	static const char known[] = "snapshots,metadata,uncommittedblobs,copy,deleted,tags,"
	    "versions,permissions,immutabilitypolicy,legalhold,deletedwithversions";
	char *rest, *word;

	if (include == NULL)
		return (0);
	rest = arena_strdup(&ex->mem, include);
	while ((word = strsep(&rest, ",")) != NULL)
		if (!has_word(known, word) ||
		    (strcasecmp(word, "permissions") == 0 && !ex->account->hns))
			return (refuse_param(ex, "InvalidQueryParameterValue", "include", include));
	return (0);
}

/* XML 1.0 has no way to write these. */
static int
is_writable(const char *name)
{
	const unsigned char *c;

	for (c = (const unsigned char *)name; *c != '\0'; c++)
		if ((*c < ' ' && *c != '\t' && *c != '\n' && *c != '\r') ||
		    (*c == 0xef && c[1] == 0xbf && (c[2] == 0xbe || c[2] == 0xbf)))
			return (0);
	return (1);
}

static void
add_name(const struct listing *l, struct buf *to, const char *element, const char *name)
{
	if (l->encodes && !is_writable(name)) {
		buf_printf(to, "<%s Encoded=\"true\">", element);
		uri_encode(to, name, strlen(name), 1);
	} else {
		buf_printf(to, "<%s>", element);
		xml_escape(to, name);
	}
	buf_printf(to, "</%s>", element);
}

static void
add_element(struct buf *to, const char *name, const char *value)
{
	buf_addc(to, '<');
	buf_adds(to, name);
	if (value == NULL || value[0] == '\0') {
		buf_adds(to, " />");
		return;
	}
	buf_addc(to, '>');
	xml_escape(to, value);
	buf_adds(to, "</");
	buf_adds(to, name);
	buf_addc(to, '>');
}

static void
add_properties(const struct listing *l, struct buf *to, const struct version *v)
{
	static const char *const names[] = { "Content-Encoding", "Content-Language",
	    "Content-CRC64", "Content-MD5", "Cache-Control", "Content-Disposition" };
	const char *type = pairs_get(&v->headers, "Content-Type");
	char date[CLOCK_RFC1123_SIZE], etag[ETAG_SIZE], symbolic[ACCESS_SYMBOLIC_SIZE];
	auto_buf struct buf acl = BUF_EMPTY;
	size_t i;

	buf_adds(to, "<Properties>");
	clock_format_rfc1123(v->created_unix_s, date);
	add_element(to, "Creation-Time", date);
	clock_format_rfc1123(v->modified_unix_s, date);
	add_element(to, "Last-Modified", date);
	blob_etag(v->etag, etag);
	add_element(to, "Etag", etag);
	if (l->ex->account->hns)
		add_element(to, "ResourceType", v->is_dir ? "directory" : "file");
	if (l->with_permissions) {
		add_element(to, "Owner", access_owner(&v->access));
		add_element(to, "Group", access_group(&v->access));
		add_element(to, "Permissions", access_symbolic(&v->access, v->is_dir, symbolic));
		access_add_acl(&v->access, v->is_dir, &acl);
		add_element(to, "Acl", buf_str(&acl));
	}
	buf_printf(to, "<Content-Length>%" PRId64 "</Content-Length>", v->size);
	add_element(to, "Content-Type", type != NULL ? type : "application/octet-stream");
	for (i = 0; i < LENGTH(names); i++)
		add_element(to, names[i], pairs_get(&v->headers, names[i]));
	buf_adds(to, "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
	    "<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>"
	    "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted>"
	    "</Properties>");
}

static void
add_metadata(struct buf *to, const struct version *v)
{
	size_t i;

	if (v->meta.n == 0 && !v->is_dir) {
		buf_adds(to, "<Metadata />");
		return;
	}
	buf_adds(to, "<Metadata>");
	for (i = 0; i < v->meta.n; i++)
		add_element(to, v->meta.list[i].name, v->meta.list[i].value);
	if (v->is_dir && pairs_get(&v->meta, "hdi_isfolder") == NULL)
		add_element(to, "hdi_isfolder", "true");
	buf_adds(to, "</Metadata>");
}

static void
add_blob(struct listing *l, const struct blob *b)
{
	static const struct version nothing;	/* uncommitted: no bytes, no ETag */

	buf_adds(&l->xml, "<Blob>");
	add_name(l, &l->xml, "Name", b->name);
	add_properties(l, &l->xml, b->now != NULL ? b->now : &nothing);
	if (l->with_metadata && b->now != NULL)
		add_metadata(&l->xml, b->now);
	buf_adds(&l->xml, "<OrMetadata /></Blob>");
	l->count++;
}

/* dir: the directory's own entry on HNS, else NULL. */
static void
add_prefix(struct listing *l, const char *name, const struct version *dir)
{
	buf_adds(&l->xml, "<BlobPrefix>");
	add_name(l, &l->xml, "Name", name);
	if (dir != NULL)
		add_properties(l, &l->xml, dir);
	buf_adds(&l->xml, "</BlobPrefix>");
	l->count++;
}

/* The first name that has not the prefix group; group ends in the delimiter. */
static struct blob *
seek_behind(const struct listing *l, char *group)
{
	size_t n = strlen(group);

	group[n - 1]++;
	return (model_seek(l->container, group));
}

static int
is_shown(const struct listing *l, const struct blob *b)
{
	if (b->now == NULL)
		return (l->with_uncommitted && b->nstaged > 0);
	if (b->now->is_dir)
		return (!l->only_files);
	return (!l->only_dirs);
}

/* The length of the part of name that the delimiter folds, or 0. */
static size_t
group_len(const struct listing *l, const char *name)
{
	const char *at;

	if (l->delimiter[0] == '\0')
		return (0);
	at = strstr(name + strlen(l->prefix), l->delimiter);
	return (at == NULL ? 0 : (size_t)(at - name) + strlen(l->delimiter));
}

/* Adds what b stands for; returns where to go on. */
static struct blob *
add_entry(struct listing *l, struct blob *b)
{
	char group[4 * 1024 + 8];
	size_t n = group_len(l, b->name);

	if (n > 0 && l->ex->account->hns)
		return (b->next[0]);	/* its directory's own entry stands for it */
	if (n > 0) {
		str_format(group, sizeof(group), "%.*s", (int)n, b->name);
		add_prefix(l, group, NULL);
		return (seek_behind(l, group));
	}
	if (l->delimiter[0] != '\0' && b->now != NULL && b->now->is_dir) {
		str_format(group, sizeof(group), "%s/", b->name);
		add_prefix(l, group, b->now);
	} else {
		add_blob(l, b);
	}
	return (b->next[0]);
}

/* On HNS what lies deeper than one level is no entry of its own. */
static int
is_entry(const struct listing *l, const struct blob *b)
{
	return (is_shown(l, b) && !(l->ex->account->hns && group_len(l, b->name) > 0));
}

static void
fill_page(struct listing *l, const char *start)
{
	const char *from = strcmp(start, l->prefix) > 0 ? start : l->prefix;
	struct blob *b = model_seek(l->container, from);

	while (b != NULL && str_starts(b->name, l->prefix)) {
		char group[4 * 1024 + 8];
		size_t n;

		if (!is_entry(l, b)) {
			n = l->ex->account->hns ? group_len(l, b->name) : 0;
			str_format(group, sizeof(group), "%.*s", (int)n, b->name);
			b = n > 0 ? seek_behind(l, group) : b->next[0];
			continue;
		}
		if (l->count == l->max) {
			str_format(l->next, sizeof(l->next), "%s", b->name);
			return;
		}
		b = add_entry(l, b);
	}
}

/* ---- markers: "2!LEN!BASE64", opaque, and none but ours are taken ---------------------------- */

static uint64_t
marker_tag(const struct exchange *ex, const char *text)
{
	return (hash_bytes(text, strlen(text)) * (ex->sim->marker_key | 1) ^
	    ex->sim->marker_key);
}

/* What follows in the page: 'e' the same place again (the page was empty), 'n' the name. */
static void
add_marker(const struct listing *l, struct buf *to, char kind, const char *name)
{
	auto_buf struct buf plain = BUF_EMPTY, text = BUF_EMPTY;

	buf_printf(&plain, "%016" PRIx64 "%c%s", marker_tag(l->ex, name), kind, name);
	base64_encode(&text, plain.data, plain.len);
	buf_printf(to, "<NextMarker>2!%zu!%s</NextMarker>", text.len, buf_str(&text));
}

/* The name to begin with, or NULL: not one of ours. */
static const char *
read_marker(struct exchange *ex, const char *marker, int *ret_was_empty)
{
	unsigned char plain[8192];
	char tag[20];
	const char *at = strrchr(marker, '!');
	ssize_t n;

	if (!str_starts(marker, "2!") || at == NULL)
		return (NULL);
	n = base64_decode(plain, sizeof(plain) - 1, at + 1, strlen(at + 1));
	if (n < 17)
		return (NULL);
	plain[n] = '\0';
	str_format(tag, sizeof(tag), "%016" PRIx64, marker_tag(ex, (char *)plain + 17));
	if (memcmp(tag, plain, 16) != 0)
		return (NULL);
	*ret_was_empty = plain[16] == 'e';
	return (arena_strdup(&ex->mem, (char *)plain + 17));
}

static int
read_max(struct exchange *ex, int64_t *ret)
{
	const char *text = exchange_param(ex, "maxresults");
	int64_t knob = ex->sim->knobs.list_page_max;
	long long n;

	*ret = PAGE_MAX;
	if (text != NULL) {
		if (str_to_i64(text, INT64_MIN, INT64_MAX, &n) != 0)
			return (refuse_param(ex, "InvalidQueryParameterValue", "maxresults", text));
		if (n < 1)
			return (refuse_param(ex, "OutOfRangeQueryParameterValue", "maxresults",
			    text));
		*ret = n < PAGE_MAX ? n : PAGE_MAX;
	}
	if (knob > 0 && *ret > knob)
		*ret = knob;
	return (0);
}

static int
read_options(struct exchange *ex, struct listing *l)
{
	const char *include = exchange_param(ex, "include");
	const char *only = exchange_param(ex, "showonly");

	l->prefix = exchange_param(ex, "prefix");
	l->delimiter = exchange_param(ex, "delimiter");
	if (l->prefix == NULL)
		l->prefix = "";
	if (l->delimiter == NULL)
		l->delimiter = "";
	if (strlen(l->prefix) > 4 * 1024)
		return (refuse_param(ex, "InvalidQueryParameterValue", "prefix", NULL));
	if (ex->account->hns && l->delimiter[0] != '\0' && strcmp(l->delimiter, "/") != 0)
		return (refuse_param(ex, "InvalidQueryParameterValue", "delimiter", l->delimiter));
	l->only_dirs = has_word(only, "directories");
	l->only_files = has_word(only, "files");
	if (only != NULL && (!ex->account->hns || (!l->only_dirs && !l->only_files)))
		return (refuse_param(ex, "InvalidQueryParameterValue", "showonly", only));
	l->with_metadata = has_word(include, "metadata");
	l->with_uncommitted = has_word(include, "uncommittedblobs");
	l->with_permissions = has_word(include, "permissions");
	l->encodes = blob_version_from(ex, "2021-02-12");
	return (check_include(ex, include) != 0 || read_max(ex, &l->max) != 0 ? -1 : 0);
}

static void
add_head(struct listing *l, struct buf *to, const char *marker)
{
	struct exchange *ex = l->ex;
	const char *host = exchange_header(ex, "host");

	buf_printf(to, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
	    "<EnumerationResults ServiceEndpoint=\"%s://%s/%s%s\" ContainerName=\"%s\">",
	    ex->peer->tls != NULL ? "https" : "http", host != NULL ? host : "",
	    ex->path_style ? ex->account->name : "", ex->path_style ? "/" : "", ex->container);
	if (l->prefix[0] != '\0')
		add_name(l, to, "Prefix", l->prefix);
	if (marker[0] != '\0')
		add_name(l, to, "Marker", marker);
	if (exchange_param(ex, "maxresults") != NULL)
		buf_printf(to, "<MaxResults>%s</MaxResults>", exchange_param(ex, "maxresults"));
	if (l->delimiter[0] != '\0')
		add_name(l, to, "Delimiter", l->delimiter);
	buf_adds(to, "<Blobs>");
}

int
blob_list(struct exchange *ex)
{
	const char *marker = exchange_param(ex, "marker"), *start = "";
	struct container *c = blob_container(ex);
	struct listing l = { .ex = ex, .container = c };
	int was_empty = 0, failed;

	if (c == NULL || read_options(ex, &l) != 0)
		return (-1);
	if (marker == NULL)
		marker = "";
	if (marker[0] != '\0') {
		start = read_marker(ex, marker, &was_empty);
		if (start == NULL)
			return (refuse_param(ex, "InvalidQueryParameterValue", "marker", marker));
	}
	add_head(&l, &l.xml, marker);
	if (ex->sim->knobs.list_empty_pages && !was_empty) {
		buf_adds(&l.xml, "</Blobs>");
		add_marker(&l, &l.xml, 'e', start);
	} else {
		pthread_rwlock_rdlock(&c->lock);
		fill_page(&l, start);
		pthread_rwlock_unlock(&c->lock);
		buf_adds(&l.xml, "</Blobs>");
		if (l.next[0] != '\0')
			add_marker(&l, &l.xml, 'n', l.next);
		else
			buf_adds(&l.xml, "<NextMarker />");
	}
	buf_adds(&l.xml, "</EnumerationResults>");
	failed = answer(ex, 200, "application/xml", l.xml.data, l.xml.len);
	buf_done(&l.xml);
	return (failed);
}
