/*
 * Get Blob, Get Blob Properties, Get Block List.
 *
 * learn.microsoft.com/rest/api/storageservices/get-blob, get-blob-properties, get-block-list,
 * specifying-the-range-header-for-blob-service-operations.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fd.h"
#include "blob.h"
#include "dfs.h"
#include "sum.h"

#define SUM_RANGE_MAX	(INT64_C(4) << 20)
#define SUM_SLICE	65536

/* The current version, held, or NULL with the refusal recorded. */
static struct version *
find_version(struct exchange *ex)
{
	struct container *c = blob_container(ex);
	struct version *v = NULL;
	struct blob *b;

	if (c == NULL)
		return (NULL);
	pthread_rwlock_rdlock(&c->lock);
	b = model_find(c, ex->blob);
	if (b != NULL && b->now != NULL)
		v = version_hold(b->now);
	pthread_rwlock_unlock(&c->lock);
	if (v == NULL)
		refuse(ex, "BlobNotFound");
	return (v);
}

struct range {
	int	 given;
	int64_t	 first, last;		/* last: included; INT64_MAX: to the end */
};

/* "bytes=A-B" or "bytes=A-": the service takes no suffix and no list. */
static int
parse_range(struct exchange *ex, struct range *ret)
{
	const char *name = "x-ms-range", *text = exchange_header(ex, name), *dash;
	char first[24];
	long long n;

	if (text == NULL)
		text = exchange_header(ex, name = "range");
	*ret = (struct range){ text != NULL, 0, INT64_MAX };
	if (text == NULL)
		return (0);
	str_format(ex->range, sizeof(ex->range), "%s", text);
	if (!str_starts(text, "bytes=") || (dash = strchr(text, '-')) == NULL ||
	    str_format(first, sizeof(first), "%.*s", (int)(dash - text - 6), text + 6) != 0 ||
	    str_to_i64(first, 0, INT64_MAX, &n) != 0)
		return (refuse_header(ex, "InvalidHeaderValue", name, text));
	ret->first = n;
	if (dash[1] == '\0')
		return (0);
	if (str_to_i64(dash + 1, ret->first, INT64_MAX, &n) != 0)
		return (refuse_header(ex, "InvalidHeaderValue", name, text));
	ret->last = n;
	return (0);
}

static void
add_copy_headers(struct exchange *ex, const struct version *v)
{
	int pending = version_is_pending(v);
	char date[CLOCK_RFC1123_SIZE];

	if (v->copy_id == NULL)
		return;
	answer_header(ex, "x-ms-copy-id", "%s", v->copy_id);
	answer_header(ex, "x-ms-copy-source", "%s", v->copy_source);
	answer_header(ex, "x-ms-copy-status", "%s", pending ? "pending" : "success");
	answer_header(ex, "x-ms-copy-progress", "%" PRId64 "/%" PRId64, pending ? 0 : v->size,
	    v->size);
	if (!pending) {
		clock_format_rfc1123(v->copied_unix_s, date);
		answer_header(ex, "x-ms-copy-completion-time", "%s", date);
	}
}

/* ranged: Content-MD5 is that of the whole and goes under another name. */
static void
add_properties(struct exchange *ex, const struct version *v, int ranged)
{
	char date[CLOCK_RFC1123_SIZE];
	size_t i;

	blob_add_identity(ex, v);
	clock_format_rfc1123(v->created_unix_s, date);
	answer_header(ex, "x-ms-creation-time", "%s", date);
	for (i = 0; i < v->headers.n; i++) {
		const struct pair *p = &v->headers.list[i];

		answer_header(ex, ranged && strcmp(p->name, "Content-MD5") == 0 ?
		    "x-ms-blob-content-md5" : p->name, "%s", p->value);
	}
	if (pairs_get(&v->headers, "Content-Type") == NULL)
		answer_header(ex, "Content-Type", "application/octet-stream");
	for (i = 0; i < v->meta.n; i++) {
		char name[256];

		str_format(name, sizeof(name), "x-ms-meta-%s", v->meta.list[i].name);
		answer_header(ex, name, "%s", v->meta.list[i].value);
	}
	if (v->is_dir && pairs_get(&v->meta, "hdi_isfolder") == NULL)
		answer_header(ex, "x-ms-meta-hdi_isfolder", "true");
	answer_header(ex, "x-ms-blob-type", "BlockBlob");
	answer_header(ex, "x-ms-lease-status", "unlocked");
	answer_header(ex, "x-ms-lease-state", "available");
	answer_header(ex, "x-ms-server-encrypted", "true");
	answer_header(ex, "Accept-Ranges", "bytes");
	if (ex->account->hns) {
		answer_header(ex, "x-ms-resource-type", v->is_dir ? "directory" : "file");
		dfs_add_access(ex, &v->access, v->is_dir, 0);
	}
	add_copy_headers(ex, v);
}

static int
sum_range(const struct exchange *ex, const struct version *v, int64_t offset, int64_t len,
    struct sum *sum)
{
	char *slice = mem_alloc(SUM_SLICE);
	int failed = 0;

	while (len > 0 && !failed) {
		struct piece piece;
		size_t n;

		version_piece(v, &ex->sim->model.depot, offset, &piece);
		if (piece.len > len)
			piece.len = len;
		n = piece.len < SUM_SLICE ? (size_t)piece.len : SUM_SLICE;
		failed = fd_pread_full(piece.fd, slice, n, piece.offset) != (ssize_t)n;
		sum_add(sum, slice, n);
		offset += (int64_t)n;
		len -= (int64_t)n;
	}
	free(slice);
	return (failed ? -1 : 0);
}

static int
is_true(const char *text)
{
	return (text != NULL && strcasecmp(text, "true") == 0);
}

/* x-ms-range-get-content-md5, -crc64: of a range of at most 4 MiB. */
static int
add_range_sums(struct exchange *ex, const struct version *v, int ranged, int64_t offset,
    int64_t len)
{
	int md5 = is_true(exchange_header(ex, "x-ms-range-get-content-md5"));
	int crc64 = is_true(exchange_header(ex, "x-ms-range-get-content-crc64"));
	auto_buf struct buf text = BUF_EMPTY;
	struct sum sum;

	if (!md5 && !crc64)
		return (0);
	if (!ranged || len > SUM_RANGE_MAX || (md5 && crc64))
		return (refuse_header(ex, "InvalidHeaderValue", md5 ? "x-ms-range-get-content-md5" :
		    "x-ms-range-get-content-crc64", "true"));
	sum_init(&sum, md5, crc64);
	if (sum_range(ex, v, offset, len, &sum) != 0)
		return (refuse(ex, "InternalError"));
	if (md5) {
		sum_md5(&sum, &text);
		answer_header(ex, "Content-MD5", "%s", buf_str(&text));
	} else {
		sum_crc64(&sum, &text);
		answer_header(ex, "x-ms-content-crc64", "%s", buf_str(&text));
	}
	return (0);
}

static int
send_blob(struct exchange *ex, const struct version *v)
{
	struct range range;
	int64_t last;

	if (parse_range(ex, &range) != 0)
		return (-1);
	if (range.given && range.first >= v->size) {
		answer_header(ex, "Content-Range", "bytes */%" PRId64, v->size);
		return (refuse(ex, "InvalidRange"));
	}
	last = range.last < v->size ? range.last : v->size - 1;
	if (range.given)
		answer_header(ex, "Content-Range", "bytes %" PRId64 "-%" PRId64 "/%" PRId64,
		    range.first, last, v->size);
	add_properties(ex, v, range.given);
	if (add_range_sums(ex, v, range.given, range.first, last - range.first + 1) != 0)
		return (-1);
	return (answer_bytes(ex, range.given ? 206 : 200, v, range.first,
	    last - range.first + 1));
}

int
blob_get(struct exchange *ex)
{
	struct conditions conditions;
	struct version *v;
	int failed;

	if (conditions_read(ex, 0, &conditions) != 0 || (v = find_version(ex)) == NULL)
		return (-1);
	failed = conditions_check_read(ex, &conditions, v);
	if (failed == 0 && version_is_pending(v))
		failed = refuse(ex, "PendingCopyOperation");
	if (failed == 0)
		failed = send_blob(ex, v);
	version_drop(v);
	return (failed);
}

int
blob_get_properties(struct exchange *ex)
{
	struct conditions conditions;
	struct version *v;
	int failed;

	if (conditions_read(ex, 0, &conditions) != 0 || (v = find_version(ex)) == NULL)
		return (-1);
	failed = conditions_check_read(ex, &conditions, v);
	if (failed == 0) {
		add_properties(ex, v, 0);
		answer_header(ex, "x-ms-access-tier", "Hot");
		answer_header(ex, "x-ms-access-tier-inferred", "true");
		failed = answer_length(ex, 200, v->size);
	}
	version_drop(v);
	return (failed);
}

static void
add_block(struct buf *to, const char *id, int64_t size)
{
	buf_adds(to, "<Block><Name>");
	xml_escape(to, id);
	buf_printf(to, "</Name><Size>%" PRId64 "</Size></Block>", size);
}

/* Of blocks with one id the last staged is listed. */
static void
add_staged(const struct blob *b, struct buf *to)
{
	size_t i, k;

	for (i = 0; i < b->nstaged; i++) {
		for (k = i + 1; k < b->nstaged; k++)
			if (strcmp(b->staged[i].id, b->staged[k].id) == 0)
				break;
		if (k == b->nstaged)
			add_block(to, b->staged[i].id, b->staged[i].extent->size);
	}
}

static void
add_committed(const struct version *v, struct buf *to)
{
	size_t i;

	for (i = 0; i < v->nsegments; i++)
		if (v->segments[i].id != NULL)
			add_block(to, v->segments[i].id, v->segments[i].extent->size);
}

int
blob_get_block_list(struct exchange *ex)
{
	const char *type = exchange_param(ex, "blocklisttype");
	auto_buf struct buf body = BUF_EMPTY;
	struct container *c = blob_container(ex);
	struct blob *b;
	int found = 0;

	if (c == NULL)
		return (-1);
	if (type == NULL)
		type = "committed";
	if (strcasecmp(type, "committed") != 0 && strcasecmp(type, "uncommitted") != 0 &&
	    strcasecmp(type, "all") != 0)
		return (refuse_param(ex, "InvalidQueryParameterValue", "blocklisttype", type));
	buf_adds(&body, "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	pthread_rwlock_rdlock(&c->lock);
	b = model_find(c, ex->blob);
	found = b != NULL;
	if (b != NULL && strcasecmp(type, "uncommitted") != 0) {
		buf_adds(&body, "<CommittedBlocks>");
		if (b->now != NULL)
			add_committed(b->now, &body);
		buf_adds(&body, "</CommittedBlocks>");
	}
	if (b != NULL && strcasecmp(type, "committed") != 0) {
		buf_adds(&body, "<UncommittedBlocks>");
		add_staged(b, &body);
		buf_adds(&body, "</UncommittedBlocks>");
	}
	if (b != NULL && b->now != NULL) {
		blob_add_identity(ex, b->now);
		answer_header(ex, "x-ms-blob-content-length", "%" PRId64, b->now->size);
	}
	pthread_rwlock_unlock(&c->lock);
	if (!found)
		return (refuse(ex, "BlobNotFound"));
	buf_adds(&body, "</BlockList>");
	return (answer(ex, 200, "application/xml", body.data, body.len));
}
