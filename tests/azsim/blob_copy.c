/*
 * Copy Blob (and Copy Blob From URL), from a blob of this server.
 *
 * learn.microsoft.com/rest/api/storageservices/copy-blob, copy-blob-from-url, abort-copy-blob.
 */

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/uri.h"
#include "blob.h"
#include "gate.h"

#define SYNC_MAX	(INT64_C(256) << 20)

struct source {
	struct account *account;
	char	*container, *blob;
	const char *query;
};

/* A URL of ours, host-style or path-style. */
static int
parse_source(struct exchange *ex, const char *url, struct source *ret)
{
	struct uri u;
	char *path, *slash;

	if (strlen(url) > 2048 || uri_parse(&u, url, &ex->mem) != 0 || u.path[0] != '/')
		return (refuse_header(ex, "InvalidHeaderValue", "x-ms-copy-source", NULL));
	path = u.path + 1;
	if (!uri_is_path_style_host(u.host) && strstr(u.host, ".blob.") != NULL) {
		ret->account = model_account(&ex->sim->model,
		    arena_strndup(&ex->mem, u.host, strcspn(u.host, ".")));
	} else {
		slash = strchr(path, '/');
		if (slash == NULL)
			return (refuse(ex, "CannotVerifyCopySource"));
		*slash = '\0';
		ret->account = model_account(&ex->sim->model, path);
		path = slash + 1;
	}
	slash = strchr(path, '/');
	if (ret->account == NULL || slash == NULL)
		return (refuse(ex, "CannotVerifyCopySource"));
	*slash = '\0';
	ret->container = path;
	ret->blob = slash + 1;
	ret->query = u.query;
	if (uri_decode(ret->container) <= 0 || uri_decode(ret->blob) <= 0)
		return (refuse(ex, "CannotVerifyCopySource"));
	return (0);
}

/* The source as it is now, held; NULL with the refusal recorded. */
static struct version *
find_source(struct exchange *ex, const struct source *s)
{
	struct container *c = model_container(s->account, s->container);
	struct version *v = NULL;
	struct blob *b;

	if (!gate_may_read(ex, s->account, s->container, s->blob, s->query)) {
		refuse(ex, "CannotVerifyCopySource:403");
		return (NULL);
	}
	if (c == NULL) {
		refuse(ex, "CannotVerifyCopySource");
		return (NULL);
	}
	pthread_rwlock_rdlock(&c->lock);
	b = model_find(c, s->blob);
	if (b != NULL && b->now != NULL)
		v = version_hold(b->now);
	pthread_rwlock_unlock(&c->lock);
	if (v == NULL)
		refuse(ex, "CannotVerifyCopySource");
	return (v);
}

static struct version *
make_copy(const struct exchange *ex, const struct version *from, const char *url, int sync)
{
	struct version *v = version_new(from->size);
	int64_t pending = ex->sim->knobs.copy_pending_ms;
	auto_buf struct buf source = BUF_EMPTY;
	char id[40];
	size_t i;

	v->is_dir = from->is_dir;
	v->is_synthetic = from->is_synthetic;
	v->seed = from->seed;
	blob_own(ex, v);
	for (i = 0; i < from->nsegments; i++)
		version_add_segment(v, extent_hold(from->segments[i].extent),
		    from->segments[i].id);
	pairs_copy(&v->headers, &from->headers);
	str_format(id, sizeof(id), "c0b1ed00-0000-4000-8000-%012" PRIx64, v->etag & 0xffffffffffff);
	v->copy_id = mem_strdup(id);
	buf_add(&source, url, strcspn(url, "?"));	/* the SAS is not kept */
	v->copy_source = mem_strdup(buf_str(&source));
	v->copied_unix_s = clock_wall_s() + pending / 1000;
	if (pending > 0 && !sync)
		v->copy_until_ms = clock_ms() + pending;
	return (v);
}

static int
publish_copy(struct exchange *ex, const struct conditions *conditions, struct version *v)
{
	struct container *c = blob_container(ex);
	const struct version *now;
	struct blob *b;
	int failed = -1;

	if (c == NULL) {
		version_drop(v);
		return (-1);
	}
	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, ex->blob);
	now = b != NULL ? b->now : NULL;
	if (now != NULL && version_is_pending(now))
		refuse(ex, "PendingCopyOperation");
	else if (now != NULL && ex->sas_permissions != NULL &&
	    strchr(ex->sas_permissions, 'w') == NULL)
		refuse(ex, "UnauthorizedBlobOverwrite");
	else
		failed = conditions_check_write(ex, conditions, now);
	if (failed != 0) {
		version_drop(v);
	} else {
		blob_add_identity(ex, v);
		answer_header(ex, "x-ms-copy-id", "%s", v->copy_id);
		answer_header(ex, "x-ms-copy-status", "%s",
		    v->copy_until_ms != 0 ? "pending" : "success");
		if (model_publish(&ex->sim->model, c, ex->blob, v) != 0)
			failed = refuse(ex, "ResourceTypeMismatch");
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed);
}

int
blob_copy(struct exchange *ex)
{
	const char *url = exchange_header(ex, "x-ms-copy-source");
	const char *sync = exchange_header(ex, "x-ms-requires-sync");
	int is_sync = sync != NULL && strcasecmp(sync, "true") == 0;
	struct conditions conditions, source_conditions;
	struct version *from, *v;
	struct source source = { .query = NULL };

	if (exchange_header(ex, "x-ms-copy-source-authorization") != NULL ||
	    exchange_header(ex, "x-ms-blob-type") != NULL)	/* Put Blob From URL */
		return (refuse(ex, "NotImplemented"));
	if (ex->req->content_length != 0)
		return (refuse_header(ex, "InvalidHeaderValue", "Content-Length", NULL));
	if (conditions_read(ex, 0, &conditions) != 0 ||
	    conditions_read(ex, 1, &source_conditions) != 0 ||
	    parse_source(ex, url, &source) != 0 || (from = find_source(ex, &source)) == NULL)
		return (-1);
	if (conditions_check_source(ex, &source_conditions, from) != 0) {
		version_drop(from);
		return (-1);
	}
	if (is_sync && from->size > SYNC_MAX) {
		version_drop(from);
		return (refuse(ex, "CannotVerifyCopySource"));
	}
	v = make_copy(ex, from, url, is_sync);
	if (blob_read_meta(ex, &v->meta) != 0) {
		version_drop(from);
		version_drop(v);
		return (-1);
	}
	if (v->meta.n == 0)
		pairs_copy(&v->meta, &from->meta);
	version_drop(from);
	return (publish_copy(ex, &conditions, v) != 0 ? -1 : answer(ex, 202, NULL, "", 0));
}

int
blob_abort_copy(struct exchange *ex)
{
	const char *action = exchange_header(ex, "x-ms-copy-action");
	const char *id = exchange_param(ex, "copyid");
	struct container *c = blob_container(ex);
	struct version *v;
	struct blob *b;
	int failed = 0;

	if (c == NULL)
		return (-1);
	if (action == NULL || strcmp(action, "abort") != 0)
		return (refuse_header(ex, "MissingRequiredHeader", "x-ms-copy-action", NULL));
	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, ex->blob);
	if (b == NULL || b->now == NULL) {
		failed = refuse(ex, "BlobNotFound");
	} else if (!version_is_pending(b->now) || id == NULL || strcmp(id, b->now->copy_id) != 0) {
		failed = refuse(ex, "NoPendingCopyOperation");
	} else {
		v = version_new(0);	/* what an aborted copy leaves is empty */
		version_drop(b->now);
		b->now = v;
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? -1 : answer(ex, 204, NULL, "", 0));
}
