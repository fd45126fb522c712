/*
 * Put Blob, Put Block, Put Block List, Delete Blob, Set Blob Metadata, Set Blob Properties.
 *
 * learn.microsoft.com/rest/api/storageservices/put-blob, put-block, put-block-list, delete-blob,
 * set-blob-metadata, set-blob-properties; limits: "Scalability and performance targets for Blob
 * storage".
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/uri.h"
#include "base/xml.h"
#include "blob.h"
#include "sum.h"

#define MIB		(INT64_C(1) << 20)
#define BLOCK_ID_MAX	64
#define BLOCKS_MAX	50000
#define STAGED_MAX	100000
#define LIST_BODY_MAX	(16 << 20)

static int64_t
max_put(const struct exchange *ex)
{
	return ((blob_version_from(ex, "2019-12-12") ? 5000 :
	    blob_version_from(ex, "2016-05-31") ? 256 : 64) * MIB);
}

static int64_t
max_block(const struct exchange *ex)
{
	return ((blob_version_from(ex, "2019-12-12") ? 4000 :
	    blob_version_from(ex, "2016-05-31") ? 100 : 4) * MIB);
}

/* Content-MD5 and x-ms-content-crc64 of a body, as given. */
static int
read_sums(struct exchange *ex, const char **md5, const char **crc64)
{
	unsigned char raw[32];

	*md5 = exchange_header(ex, "content-md5");
	*crc64 = exchange_header(ex, "x-ms-content-crc64");
	if (*md5 != NULL && base64_decode(raw, sizeof(raw), *md5, strlen(*md5)) != 16)
		return (refuse(ex, "InvalidMd5"));
	if (*crc64 != NULL && (*md5 != NULL ||
	    base64_decode(raw, sizeof(raw), *crc64, strlen(*crc64)) != 8))
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-content-crc64", *crc64));
	return (0);
}

static int
check_sums(struct exchange *ex, const struct sum *sum, const char *md5, const char *crc64)
{
	auto_buf struct buf got = BUF_EMPTY;

	if (md5 != NULL) {
		sum_md5(sum, &got);
		if (strcmp(buf_str(&got), md5) != 0)
			return (refuse(ex, "Md5Mismatch"));
	}
	if (crc64 != NULL) {
		sum_crc64(sum, &got);
		if (strcmp(buf_str(&got), crc64) != 0)
			return (refuse(ex, "Crc64Mismatch"));
		answer_header(ex, "x-ms-content-crc64", "%s", crc64);
	}
	return (0);
}

int
blob_receive(struct exchange *ex, struct sum *sum, struct extent **ret)
{
	int64_t len = ex->req->content_length, at = 0;
	struct depot *d = &ex->sim->model.depot;
	struct extent *x = extent_new(d, len);
	ssize_t n = 0;

	if (ex->peer->scratch == NULL)
		ex->peer->scratch = mem_alloc(PEER_SCRATCH);
	while (at < len && (n = httpd_read_body(ex->conn, ex->peer->scratch,
	    PEER_SCRATCH)) > 0) {
		if (sum != NULL)
			sum_add(sum, ex->peer->scratch, (size_t)n);
		if (fd_pwrite_all(d->fd, ex->peer->scratch, (size_t)n, x->offset + at) != 0)
			break;
		at += n;
	}
	ex->body_in += at;
	if (at == len) {
		*ret = x;
		return (0);
	}
	extent_drop(x);
	return (n > 0 ? refuse(ex, "InternalError") : -1);
}

/* The stored headers of a blob: x-ms-blob-NAME, or (Put Blob) the request's own NAME. */
static void
read_headers(const struct exchange *ex, int own_too, struct pairs *ret)
{
	static const char *const names[] = { "Content-Type", "Content-Encoding",
	    "Content-Language", "Cache-Control", "Content-Disposition", "Content-MD5" };
	char name[64], *c;
	size_t i;

	for (i = 0; i < LENGTH(names); i++) {
		const char *value;

		str_format(name, sizeof(name), "x-ms-blob-%s", names[i]);
		for (c = name; *c != '\0'; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
		value = exchange_header(ex, name);
		if (value == NULL && own_too)
			value = exchange_header(ex, name + strlen("x-ms-blob-"));
		if (value != NULL && value[0] != '\0')
			pairs_add(ret, names[i], value);
	}
}

/*
 * A letter w (or no SAS) may overwrite, c alone may only create: "Create a service SAS",
 * permissions for a blob.
 */
static int
check_overwrite(struct exchange *ex, const struct version *now)
{
	if (now != NULL && ex->sas_permissions != NULL && strchr(ex->sas_permissions, 'w') == NULL)
		return (refuse(ex, "UnauthorizedBlobOverwrite"));
	return (0);
}

/* Makes v the blob if the conditions hold; v is taken over. */
static int
publish(struct exchange *ex, struct container *c, const struct conditions *conditions,
    struct version *v)
{
	struct blob *b;
	const struct version *now;
	int failed;

	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, ex->blob);
	now = b != NULL ? b->now : NULL;
	if (c->is_deleted)
		failed = refuse(ex, "ContainerNotFound");
	else if (now != NULL && version_is_pending(now))
		failed = refuse(ex, "PendingCopyOperation");
	else
		failed = conditions_check_write(ex, conditions, now) != 0 ||
		    check_overwrite(ex, now) != 0 ? -1 : 0;
	if (failed != 0) {
		version_drop(v);
	} else if (now != NULL && now->is_dir && v->is_dir) {
		version_drop(v);	/* the directory is there */
		v = b->now;
		blob_add_identity(ex, v);
	} else {
		blob_add_identity(ex, v);
		if (model_publish(&ex->sim->model, c, ex->blob, v) != 0)
			failed = refuse(ex, "ResourceTypeMismatch");
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed);
}

static int
is_folder(const struct exchange *ex, const struct version *v)
{
	const char *value = pairs_get(&v->meta, "hdi_isfolder");

	return (ex->account->hns && value != NULL && strcasecmp(value, "true") == 0 &&
	    v->size == 0);
}

static int
check_put(struct exchange *ex)
{
	const char *type = exchange_header(ex, "x-ms-blob-type");

	if (type == NULL)
		return (refuse_header(ex, "MissingRequiredHeader", "x-ms-blob-type", NULL));
	if (strcmp(type, "AppendBlob") == 0 || strcmp(type, "PageBlob") == 0)
		return (refuse(ex, "NotImplemented"));
	if (strcmp(type, "BlockBlob") != 0)
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-blob-type", type));
	if (ex->req->content_length > max_put(ex))
		return (refuse(ex, "RequestBodyTooLarge"));
	return (0);
}

int
blob_put(struct exchange *ex)
{
	auto_buf struct buf md5_text = BUF_EMPTY;
	struct conditions conditions;
	const char *md5, *crc64;
	struct container *c;
	struct extent *x = NULL;
	struct version *v;
	struct sum sum;

	if (check_put(ex) != 0 || conditions_read(ex, 0, &conditions) != 0 ||
	    read_sums(ex, &md5, &crc64) != 0 || (c = blob_container(ex)) == NULL)
		return (-1);
	sum_init(&sum, 1, crc64 != NULL);
	if (blob_receive(ex, &sum, &x) != 0)
		return (-1);
	v = version_new(x->size);
	version_add_segment(v, x, NULL);
	read_headers(ex, 1, &v->headers);
	if (check_sums(ex, &sum, md5, crc64) != 0 || blob_read_meta(ex, &v->meta) != 0) {
		version_drop(v);
		return (-1);
	}
	/* The service keeps the MD5 of what came in one piece. */
	sum_md5(&sum, &md5_text);
	if (pairs_get(&v->headers, "Content-MD5") == NULL)
		pairs_add(&v->headers, "Content-MD5", buf_str(&md5_text));
	v->is_dir = is_folder(ex, v);
	blob_own(ex, v);
	if (publish(ex, c, &conditions, v) != 0)
		return (-1);
	answer_header(ex, "Content-MD5", "%s", buf_str(&md5_text));
	answer_header(ex, "x-ms-request-server-encrypted", "true");
	return (answer(ex, 201, NULL, "", 0));
}

/* Base64 of 1 to 64 bytes. */
static int
check_block_id(struct exchange *ex, const char *id)
{
	unsigned char raw[BLOCK_ID_MAX];
	ssize_t n;

	if (id == NULL)
		return (refuse_param(ex, "MissingRequiredQueryParameter", "blockid", NULL));
	n = base64_decode(raw, sizeof(raw), id, strlen(id));
	if (n < 1)
		return (refuse_param(ex, "InvalidQueryParameterValue", "blockid", id));
	return (0);
}

/* x is taken over. */
static int
stage(struct exchange *ex, struct container *c, const char *id, struct extent *x)
{
	static _Atomic uint64_t last_seq;
	struct blob *b;
	int failed = 0;

	pthread_rwlock_wrlock(&c->lock);
	b = c->is_deleted ? NULL : model_insert(&ex->sim->model, c, ex->blob);
	if (b == NULL)
		failed = refuse(ex, "ContainerNotFound");
	else if (b->now != NULL && b->now->is_dir)
		failed = refuse(ex, "ResourceTypeMismatch");
	else if (b->now != NULL && b->now->is_flushed)
		failed = refuse(ex, "InvalidBlobType");
	else if (b->id_len != 0 && b->id_len != strlen(id))
		failed = refuse(ex, "InvalidBlobOrBlock");
	else if (b->nstaged >= STAGED_MAX)
		failed = refuse(ex, "BlockCountExceedsLimit");
	if (failed != 0) {
		pthread_rwlock_unlock(&c->lock);
		extent_drop(x);
		return (-1);
	}
	if (b->nstaged == b->staged_cap) {
		b->staged_cap = b->staged_cap == 0 ? 8 : 2 * b->staged_cap;
		b->staged = mem_grow(b->staged, b->staged_cap * sizeof(*b->staged));
	}
	b->staged[b->nstaged++] = (struct staged){ mem_strdup(id), x, ++last_seq };
	b->id_len = strlen(id);
	pthread_rwlock_unlock(&c->lock);
	return (0);
}

int
blob_put_block(struct exchange *ex)
{
	const char *id = exchange_param(ex, "blockid"), *md5, *crc64;
	auto_buf struct buf text = BUF_EMPTY;
	struct container *c;
	struct extent *x = NULL;
	struct sum sum;

	if (check_block_id(ex, id) != 0 || read_sums(ex, &md5, &crc64) != 0)
		return (-1);
	if (ex->req->content_length == 0)
		return (refuse_header(ex, "InvalidHeaderValue", "Content-Length", "0"));
	if (ex->req->content_length > max_block(ex))
		return (refuse(ex, "RequestBodyTooLarge"));
	if ((c = blob_container(ex)) == NULL)
		return (-1);
	sum_init(&sum, md5 != NULL, crc64 != NULL);
	if (blob_receive(ex, &sum, &x) != 0)
		return (-1);
	if (check_sums(ex, &sum, md5, crc64) != 0) {
		extent_drop(x);
		return (-1);
	}
	if (md5 != NULL) {
		sum_md5(&sum, &text);
		answer_header(ex, "Content-MD5", "%s", buf_str(&text));
	}
	if (stage(ex, c, id, x) != 0)
		return (-1);
	answer_header(ex, "x-ms-request-server-encrypted", "true");
	return (answer(ex, 201, NULL, "", 0));
}

/* ---- Put Block List -------------------------------------------------------------------------- */

enum block_kind { BLOCK_LATEST, BLOCK_COMMITTED, BLOCK_UNCOMMITTED };

struct wanted {
	enum block_kind kind;
	char	*id;
};

struct block_list {
	struct exchange *ex;
	struct wanted *list;
	size_t	 n, cap;
	int	 depth, is_bad;
};

static const char *const block_kinds[] = { "Latest", "Committed", "Uncommitted" };

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	struct block_list *l = arg;

	(void)attributes;
	if (l->depth == 0 && strcmp(name, "BlockList") != 0)
		l->is_bad = 1;
	l->depth++;
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct block_list *l = arg;
	size_t kind;

	if (--l->depth != 1)
		return;
	for (kind = 0; kind < LENGTH(block_kinds); kind++)
		if (strcmp(block_kinds[kind], name) == 0)
			break;
	if (kind == LENGTH(block_kinds) || l->n > BLOCKS_MAX) {
		l->is_bad = 1;
		return;
	}
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : 2 * l->cap;
		l->list = mem_grow(l->list, l->cap * sizeof(*l->list));
	}
	l->list[l->n++] = (struct wanted){ (enum block_kind)kind,
	    arena_strndup(&l->ex->mem, text, len) };
}

static int
parse_block_list(struct exchange *ex, struct block_list *l)
{
	static const struct xml_handler handler = { on_begin, on_end };
	auto_buf struct buf body = BUF_EMPTY;
	const char *md5, *crc64;
	struct sum sum;
	struct xml *x;
	int failed;

	if (read_sums(ex, &md5, &crc64) != 0 || exchange_read_body(ex, LIST_BODY_MAX, &body) != 0)
		return (-1);
	sum_init(&sum, md5 != NULL, crc64 != NULL);
	sum_add(&sum, buf_str(&body), body.len);
	if (check_sums(ex, &sum, md5, crc64) != 0)
		return (-1);
	x = xml_new(&handler, l);
	failed = xml_feed(x, buf_str(&body), body.len, 1, NULL);
	xml_free(x);
	if (failed != 0)
		return (refuse(ex, "InvalidXmlDocument"));
	if (l->n > BLOCKS_MAX)
		return (refuse(ex, "BlockListTooLong"));
	return (l->is_bad ? refuse(ex, "InvalidXmlNodeValue") : 0);
}

/* A block that can be had by its id. */
struct known {
	const char *id;
	struct extent *extent;
	uint64_t seq;
};

static int
by_id(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return (order != 0 ? order : x->seq < y->seq ? -1 : x->seq > y->seq);
}

/* The last of those with this id, or NULL. */
static struct extent *
look_up(const struct known *list, size_t n, const char *id)
{
	size_t low = 0, high = n;

	while (low < high) {	/* the first above id */
		size_t mid = low + (high - low) / 2;

		if (strcmp(list[mid].id, id) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return (low > 0 && strcmp(list[low - 1].id, id) == 0 ? list[low - 1].extent : NULL);
}

struct shelf {
	struct known *staged, *committed;
	size_t	 nstaged, ncommitted;
};

static void
fill_shelf(struct shelf *s, const struct blob *b)
{
	const struct version *v = b->now;
	size_t i;

	s->staged = mem_alloc((b->nstaged + 1) * sizeof(*s->staged));
	for (i = 0; i < b->nstaged; i++)
		s->staged[s->nstaged++] = (struct known){ b->staged[i].id, b->staged[i].extent,
		    b->staged[i].seq };
	qsort(s->staged, s->nstaged, sizeof(*s->staged), by_id);
	s->committed = mem_alloc(((v != NULL ? v->nsegments : 0) + 1) * sizeof(*s->committed));
	for (i = 0; v != NULL && i < v->nsegments; i++)
		if (v->segments[i].id != NULL)
			s->committed[s->ncommitted++] = (struct known){ v->segments[i].id,
			    v->segments[i].extent, i };
	qsort(s->committed, s->ncommitted, sizeof(*s->committed), by_id);
}

/* Puts the wanted blocks together; b may be NULL: then nothing is known. */
static int
assemble(const struct block_list *l, const struct blob *b, struct version *v)
{
	struct shelf s = { NULL, NULL, 0, 0 };
	struct extent *x = NULL;
	size_t i;

	if (b != NULL)
		fill_shelf(&s, b);
	for (i = 0; i < l->n; i++) {
		const struct wanted *w = &l->list[i];

		x = w->kind == BLOCK_COMMITTED ? NULL : look_up(s.staged, s.nstaged, w->id);
		if (x == NULL && w->kind != BLOCK_UNCOMMITTED)
			x = look_up(s.committed, s.ncommitted, w->id);
		if (x == NULL)
			break;
		version_add_segment(v, extent_hold(x), w->id);
		v->size += x->size;
	}
	free(s.staged);
	free(s.committed);
	return (i == l->n ? 0 : -1);
}

static int
commit(struct exchange *ex, struct container *c, const struct conditions *conditions,
    const struct block_list *l, struct version *v)
{
	struct blob *b;
	const struct version *now;
	size_t id_len;
	int failed = 0;

	pthread_rwlock_wrlock(&c->lock);
	b = c->is_deleted ? NULL : model_find(c, ex->blob);
	now = b != NULL ? b->now : NULL;
	id_len = b != NULL ? b->id_len : 0;
	if (c->is_deleted)
		failed = refuse(ex, "ContainerNotFound");
	else if (now != NULL && version_is_pending(now))
		failed = refuse(ex, "PendingCopyOperation");
	else if (conditions_check_write(ex, conditions, now) != 0 ||
	    check_overwrite(ex, now) != 0)
		failed = -1;
	else if (assemble(l, b, v) != 0)
		failed = refuse(ex, "InvalidBlockList");
	if (failed != 0) {
		version_drop(v);
	} else {
		blob_add_identity(ex, v);
		if (model_publish(&ex->sim->model, c, ex->blob, v) != 0)
			failed = refuse(ex, "ResourceTypeMismatch");
		else if ((b = model_find(c, ex->blob)) != NULL)
			b->id_len = id_len;	/* committed ids bind the ones to come */
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed);
}

int
blob_put_block_list(struct exchange *ex)
{
	struct block_list l = { .ex = ex };
	struct conditions conditions;
	struct container *c;
	struct version *v;
	int failed;

	if (conditions_read(ex, 0, &conditions) != 0 || (c = blob_container(ex)) == NULL)
		return (-1);
	v = version_new(0);
	blob_own(ex, v);
	read_headers(ex, 0, &v->headers);
	if (parse_block_list(ex, &l) != 0 || blob_read_meta(ex, &v->meta) != 0) {
		version_drop(v);
		free(l.list);
		return (-1);
	}
	failed = commit(ex, c, &conditions, &l, v);
	free(l.list);
	if (failed != 0)
		return (-1);
	answer_header(ex, "x-ms-request-server-encrypted", "true");
	return (answer(ex, 201, NULL, "", 0));
}

int
blob_delete(struct exchange *ex)
{
	struct conditions conditions;
	struct container *c;
	struct blob *b;
	int failed = 0;

	if (conditions_read(ex, 0, &conditions) != 0 || (c = blob_container(ex)) == NULL)
		return (-1);
	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, ex->blob);
	if (b == NULL || b->now == NULL)
		failed = refuse(ex, "BlobNotFound");
	else if (conditions_check_write(ex, &conditions, b->now) != 0)
		failed = -1;
	else if (b->now->is_dir && model_has_children(c, ex->blob))
		failed = refuse(ex, "DirectoryIsNotEmpty");
	else
		model_remove(&ex->sim->model, c, ex->blob);
	pthread_rwlock_unlock(&c->lock);
	if (failed != 0)
		return (-1);
	answer_header(ex, "x-ms-delete-type-permanent", "true");
	return (answer(ex, 202, NULL, "", 0));
}

/* A copy of the current version with nothing but its bytes, its age and its kind. */
static struct version *
same_bytes(const struct version *from)
{
	struct version *v = version_new(from->size);
	size_t i;

	v->is_dir = from->is_dir;
	v->is_synthetic = from->is_synthetic;
	v->is_flushed = from->is_flushed;
	v->seed = from->seed;
	v->created_unix_s = from->created_unix_s;
	access_copy(&v->access, &from->access);
	for (i = 0; i < from->nsegments; i++)
		version_add_segment(v, extent_hold(from->segments[i].extent),
		    from->segments[i].id);
	return (v);
}

/* Replaces metadata or stored headers; staged blocks stay. */
static int
change(struct exchange *ex, const struct pairs *meta, const struct pairs *headers)
{
	struct conditions conditions;
	struct version *v = NULL;
	struct container *c;
	struct blob *b;
	int failed;

	if (conditions_read(ex, 0, &conditions) != 0 || (c = blob_container(ex)) == NULL)
		return (-1);
	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, ex->blob);
	if (b == NULL || b->now == NULL)
		failed = refuse(ex, "BlobNotFound");
	else if (version_is_pending(b->now))
		failed = refuse(ex, "PendingCopyOperation");
	else
		failed = conditions_check_write(ex, &conditions, b->now);
	if (failed == 0) {
		v = same_bytes(b->now);
		pairs_copy(&v->meta, meta != NULL ? meta : &b->now->meta);
		pairs_copy(&v->headers, headers != NULL ? headers : &b->now->headers);
		version_drop(b->now);
		b->now = v;
		blob_add_identity(ex, v);
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? -1 : answer(ex, 200, NULL, "", 0));
}

int
blob_set_metadata(struct exchange *ex)
{
	struct pairs meta = { NULL, 0 };
	int failed = blob_read_meta(ex, &meta);

	if (failed == 0)
		failed = change(ex, &meta, NULL);
	pairs_done(&meta);
	return (failed);
}

int
blob_set_properties(struct exchange *ex)
{
	struct pairs headers = { NULL, 0 };
	int failed;

	read_headers(ex, 0, &headers);
	failed = change(ex, NULL, &headers);
	pairs_done(&headers);
	return (failed);
}
