/*
 * List, Create, Append, Flush, Get Status, Delete of paths.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uri.h"
#include "blob.h"
#include "dfs.h"

#define PAGE_MAX	5000
#define APPEND_MAX	(INT64_C(100) << 20)

/* ---- List ------------------------------------------------------------------------------------ */

static void
add_path(struct exchange *ex, struct json_out *out, const char *name, const struct version *v)
{
	char text[32], date[CLOCK_RFC1123_SIZE], symbolic[ACCESS_SYMBOLIC_SIZE];

	json_out_begin(out, '{');
	str_format(text, sizeof(text), "%" PRId64, v->size);
	json_out_kstring(out, "contentLength", text);
	blob_etag(v->etag, text);
	json_out_kstring(out, "etag", text);
	json_out_kstring(out, "group", access_group(&v->access));
	if (v->is_dir)
		json_out_kstring(out, "isDirectory", "true");
	clock_format_rfc1123(v->modified_unix_s, date);
	json_out_kstring(out, "lastModified", date);
	json_out_kstring(out, "name", name);
	json_out_kstring(out, "owner", access_owner(&v->access));
	json_out_kstring(out, "permissions", ex->account->onelake ? "---------" :
	    access_symbolic(&v->access, v->is_dir, symbolic));
	json_out_end(out, '}');
}

static int
read_flag(struct exchange *ex, const char *name, int must, int *ret)
{
	const char *text = exchange_param(ex, name);

	*ret = text != NULL && strcmp(text, "true") == 0;
	if (text == NULL)
		return (must ? refuse(ex, "MissingRequiredQueryParameter") : 0);
	return (*ret || strcmp(text, "false") == 0 ? 0 :
	    refuse(ex, "InvalidQueryParameterValue"));
}

static int
read_max(struct exchange *ex, int64_t *ret)
{
	const char *text = exchange_param(ex, "maxResults");
	int64_t knob = ex->sim->knobs.list_page_max;
	long long n = PAGE_MAX;

	if (text != NULL && str_to_i64(text, 1, INT64_MAX, &n) != 0)
		return (refuse(ex, "OutOfRangeQueryParameterValue"));
	*ret = n < PAGE_MAX ? n : PAGE_MAX;
	if (knob > 0 && *ret > knob)
		*ret = knob;
	return (0);
}

/* The name that a token of ours stands for; NULL: none of ours. */
static const char *
read_continuation(struct exchange *ex, const char *text)
{
	unsigned char plain[4200];
	ssize_t n = base64_decode(plain, sizeof(plain) - 1, text, strlen(text));

	if (n < 2 || plain[0] != '>')
		return (NULL);
	plain[n] = '\0';
	return (arena_strdup(&ex->mem, (char *)plain + 1));
}

static void
add_continuation(struct exchange *ex, const char *name)
{
	auto_buf struct buf text = BUF_EMPTY;
	const char *plain = arena_printf(&ex->mem, ">%s", name);

	base64_encode(&text, plain, strlen(plain));
	answer_header(ex, "x-ms-continuation", "%s", text.data);
}

static int
check_directory(struct exchange *ex, const struct container *c, const char *directory)
{
	struct blob *b = directory[0] != '\0' ? model_find(c, directory) : NULL;

	if (directory[0] == '\0')
		return (0);
	if (b == NULL || b->now == NULL)
		return (refuse(ex, "PathNotFound"));
	return (b->now->is_dir ? 0 : refuse(ex, "ResourceTypeMismatch"));
}

/* With the container's lock. */
static void
fill_page(struct exchange *ex, struct json_out *out, const struct container *c, const char *prefix,
    const char *start, int recursive, int64_t max)
{
	struct blob *b = model_seek(c, strcmp(start, prefix) > 0 ? start : prefix);
	size_t n = strlen(prefix);
	int64_t count = 0;

	for (; b != NULL && strncmp(b->name, prefix, n) == 0; b = b->next[0]) {
		if (b->now == NULL || (!recursive && strchr(b->name + n, '/') != NULL))
			continue;
		if (count++ == max) {
			add_continuation(ex, b->name);
			return;
		}
		add_path(ex, out, b->name, b->now);
	}
}

int
dfs_list(struct exchange *ex)
{
	const char *directory = exchange_param(ex, "directory"), *prefix = "", *start = "";
	const char *continuation = exchange_param(ex, "continuation");
	struct container *c = model_container(ex->account, ex->container);
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;
	int recursive, failed;
	int64_t max;

	if (c == NULL)
		return (refuse(ex, "FilesystemNotFound"));
	if (read_flag(ex, "recursive", 1, &recursive) != 0 || read_max(ex, &max) != 0)
		return (-1);
	directory = directory == NULL ? "" : directory + (directory[0] == '/');
	if (directory[0] != '\0')
		prefix = arena_printf(&ex->mem, "%s/", directory);
	if (continuation != NULL && (start = read_continuation(ex, continuation)) == NULL)
		return (refuse(ex, "InvalidQueryParameterValue"));
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "paths");
	json_out_begin(&out, '[');
	pthread_rwlock_rdlock(&c->lock);
	failed = check_directory(ex, c, directory);
	if (failed == 0)
		fill_page(ex, &out, c, prefix, start, recursive, max);
	pthread_rwlock_unlock(&c->lock);
	json_out_end(&out, ']');
	json_out_end(&out, '}');
	return (failed != 0 ? -1 :
	    answer(ex, 200, "application/json;charset=utf-8", body.data, body.len));
}

/* ---- Create ---------------------------------------------------------------------------------- */

static int
publish(struct exchange *ex, struct container *c, const struct conditions *conditions,
    struct version *v)
{
	struct blob *b = model_find(c, ex->blob);
	const struct version *now = b != NULL ? b->now : NULL;

	if (now != NULL && conditions->none_match != NULL &&
	    strcmp(conditions->none_match, "*") == 0)
		return (refuse(ex, "PathAlreadyExists"));
	if (conditions_check_write(ex, conditions, now) != 0)
		return (-1);
	if (now != NULL && now->is_dir != v->is_dir)
		return (refuse(ex, "PathConflict"));
	/* A directory that is there stays as it is. */
	if ((now == NULL || !now->is_dir) &&
	    model_publish(&ex->sim->model, c, ex->blob, version_hold(v)) != 0)
		return (refuse(ex, "PathConflict"));
	blob_add_identity(ex, model_find(c, ex->blob)->now);
	return (0);
}

int
dfs_create(struct exchange *ex)
{
	int is_dir = strcmp(exchange_param(ex, "resource"), "directory") == 0, failed;
	struct container *c = model_container(ex->account, ex->container);
	struct conditions conditions;
	struct version *v;

	if (c == NULL)
		return (refuse(ex, "FilesystemNotFound"));
	if (ex->blob[0] == '\0')
		return (refuse(ex, "InvalidUri"));
	if (conditions_read(ex, 0, &conditions) != 0)
		return (-1);
	v = version_new(0);
	v->is_dir = is_dir;
	blob_own(ex, v);
	if (dfs_read_permissions(ex, is_dir, &v->access) != 0) {
		version_drop(v);
		return (-1);
	}
	pthread_rwlock_wrlock(&c->lock);
	failed = publish(ex, c, &conditions, v);
	pthread_rwlock_unlock(&c->lock);
	version_drop(v);
	if (failed != 0)
		return (-1);
	answer_header(ex, "x-ms-request-server-encrypted", "true");
	return (answer(ex, 201, NULL, "", 0));
}

/* ---- Append, Flush --------------------------------------------------------------------------- */

static int
read_position(struct exchange *ex, int64_t *ret)
{
	const char *text = exchange_param(ex, "position");
	long long n;

	if (text == NULL)
		return (refuse(ex, "MissingRequiredQueryParameter"));
	if (str_to_i64(text, 0, INT64_MAX / 2, &n) != 0)
		return (refuse(ex, "InvalidQueryParameterValue"));
	*ret = n;
	return (0);
}

static int
by_position(const void *a, const void *b)
{
	const struct appended *x = a, *y = b;

	return ((x->position > y->position) - (x->position < y->position));
}

/* What the Blob endpoint has written cannot be appended to here. */
static int
check_appendable(struct exchange *ex, const struct blob *b)
{
	if (b->now->is_dir)
		return (refuse(ex, "ResourceTypeMismatch"));
	return (b->now->size > 0 && !b->now->is_flushed ? refuse(ex, "InvalidFlushOperation") : 0);
}

/* Everything up to length, without a gap, becomes the file.  Lock held. */
static int
flush(struct exchange *ex, struct blob *b, int64_t length)
{
	struct version *v = version_again(b->now);
	size_t i;

	if (b->nappended > 0)
		qsort(b->appended, b->nappended, sizeof(*b->appended), by_position);
	for (i = 0; i < b->nappended && b->appended[i].position == v->size; i++) {
		version_add_segment(v, extent_hold(b->appended[i].extent), NULL);
		v->size += b->appended[i].extent->size;
	}
	if (i < b->nappended || v->size != length) {
		version_drop(v);
		return (refuse(ex, "InvalidFlushPosition"));
	}
	v->is_flushed = 1;
	blob_drop_staged(b);
	version_drop(b->now);
	b->now = v;
	blob_add_identity(ex, v);
	return (0);
}

int
dfs_append(struct exchange *ex)
{
	const char *flushes = exchange_param(ex, "flush");
	struct dfs_seen s;
	struct extent *x;
	int64_t position;
	int failed;

	if (read_position(ex, &position) != 0)
		return (-1);
	if (ex->req->content_length == 0)
		return (refuse(ex, "InvalidHeaderValue"));
	if (ex->req->content_length > APPEND_MAX)
		return (refuse(ex, "RequestBodyTooLarge"));
	if (blob_receive(ex, NULL, &x) != 0 || dfs_look(ex, &s, 1) != 0)
		return (-1);
	failed = s.blob == NULL ? refuse(ex, "InvalidUri") : check_appendable(ex, s.blob);
	if (failed == 0) {
		s.blob->appended = mem_grow(s.blob->appended,
		    (s.blob->nappended + 1) * sizeof(*s.blob->appended));
		s.blob->appended[s.blob->nappended++] = (struct appended){ position, x };
		if (flushes != NULL && strcmp(flushes, "true") == 0)
			failed = flush(ex, s.blob, position + x->size);
	} else
		extent_drop(x);
	dfs_unlook(&s);
	return (failed != 0 ? -1 : answer(ex, 202, NULL, "", 0));
}

int
dfs_flush(struct exchange *ex)
{
	struct conditions conditions;
	struct dfs_seen s;
	int64_t position;
	int failed;

	if (read_position(ex, &position) != 0 || conditions_read(ex, 0, &conditions) != 0 ||
	    dfs_look(ex, &s, 1) != 0)
		return (-1);
	failed = s.blob == NULL ? refuse(ex, "InvalidUri") : check_appendable(ex, s.blob);
	if (failed == 0)
		failed = conditions_check_write(ex, &conditions, s.blob->now) != 0 ? -1 :
		    flush(ex, s.blob, position);
	dfs_unlook(&s);
	return (failed != 0 ? -1 : answer(ex, 200, NULL, "", 0));
}

/* ---- Get Status, Get Access Control, Delete -------------------------------------------------- */

int
dfs_get_status(struct exchange *ex)
{
	const char *action = exchange_param(ex, "action");
	int with_acl = action != NULL && strcasecmp(action, "getAccessControl") == 0, is_dir;
	const struct version *v;
	struct dfs_seen s;
	int64_t size;

	if (dfs_look(ex, &s, 0) != 0)
		return (-1);
	v = s.blob != NULL ? s.blob->now : NULL;
	is_dir = v == NULL || v->is_dir;
	size = is_dir || with_acl ? 0 : v->size;
	if (v != NULL)
		blob_add_identity(ex, v);
	if (!with_acl)
		answer_header(ex, "x-ms-resource-type", "%s", is_dir ? "directory" : "file");
	dfs_add_access(ex, v != NULL ? &v->access : &s.container->root, is_dir, with_acl);
	dfs_unlook(&s);
	return (answer_length(ex, 200, size));
}

/* One after the other from the end, so that a directory is never without its parent.  1: more. */
static int
delete_below(struct exchange *ex, struct container *c, const char *path)
{
	const char *below = arena_printf(&ex->mem, "%s/", path);
	size_t max = (size_t)ex->sim->knobs.dfs_batch, n = 0;
	struct blob *b, *last;

	for (;;) {
		last = NULL;
		for (b = model_seek(c, below); b != NULL && str_starts(b->name, below);
		    b = b->next[0])
			last = b;
		if (last == NULL)
			return (0);
		if (max > 0 && n++ == max)
			return (1);
		model_remove(&ex->sim->model, c, arena_strdup(&ex->mem, last->name));
	}
}

int
dfs_delete(struct exchange *ex)
{
	struct conditions conditions;
	struct dfs_seen s;
	int recursive, failed = 0;

	if (read_flag(ex, "recursive", 0, &recursive) != 0 ||
	    conditions_read(ex, 0, &conditions) != 0)
		return (-1);
	if (ex->blob[0] == '\0')
		return (refuse(ex, "InvalidUri"));
	if (dfs_look(ex, &s, 1) != 0)
		return (-1);
	if (s.blob->now->is_dir && exchange_param(ex, "recursive") == NULL)
		failed = refuse(ex, "MissingRequiredQueryParameter");
	else if (conditions_check_write(ex, &conditions, s.blob->now) != 0)
		failed = -1;
	else if (!recursive && model_has_children(s.container, ex->blob))
		failed = refuse(ex, "DirectoryNotEmpty");
	else if (delete_below(ex, s.container, ex->blob))
		answer_header(ex, "x-ms-continuation", "azsim-delete");
	else
		model_remove(&ex->sim->model, s.container, ex->blob);
	dfs_unlook(&s);
	return (failed != 0 ? -1 : answer(ex, 200, NULL, "", 0));
}
