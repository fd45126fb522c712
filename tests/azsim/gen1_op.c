#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "blob.h"
#include "gen1.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define PART_MAX	(INT64_C(4) << 20)	/* of CREATE and APPEND */
#define LIST_MAX	4000
#define BLOCK_SIZE	(INT64_C(256) << 20)

static struct container *
tree(struct exchange *ex)
{
	return (model_container(ex->account, GEN1_CONTAINER));
}

/* Lock held.  NULL: nothing has that name; of the root there is no version. */
static struct version *
find(const struct container *c, const char *path)
{
	struct blob *b = model_find(c, path);

	return (b != NULL ? b->now : NULL);
}

static int
is_dir(const struct container *c, const char *path)
{
	const struct version *v = find(c, path);

	return (path[0] == '\0' || (v != NULL && v->is_dir));
}

static int
read_number(const struct exchange *ex, const char *name, int64_t otherwise, int64_t *ret)
{
	const char *text = exchange_param(ex, name);
	long long n = otherwise;

	if (text != NULL && str_to_i64(text, 0, INT64_MAX, &n) != 0)
		return (-1);
	*ret = n;
	return (0);
}

/* 1, 0; -1: neither. */
static int
read_flag(const struct exchange *ex, const char *name, int otherwise)
{
	const char *text = exchange_param(ex, name);

	if (text == NULL)
		return (otherwise);
	return (strcasecmp(text, "true") == 0 ? 1 : strcasecmp(text, "false") == 0 ? 0 : -1);
}

static int
say(struct exchange *ex, int yes)
{
	return (answer_text(ex, 200, JSON_TYPE, yes ? "{\"boolean\":true}" :
	    "{\"boolean\":false}"));
}

/* ---- status ------------------------------------------------------------ */

static void
add_status(struct json_out *out, const char *suffix, const struct version *v, int dir)
{
	json_out_begin(out, '{');
	json_out_kint(out, "length", v != NULL && !dir ? v->size : 0);
	json_out_kstring(out, "pathSuffix", suffix);
	json_out_kstring(out, "type", dir ? "DIRECTORY" : "FILE");
	json_out_kint(out, "blockSize", dir ? 0 : BLOCK_SIZE);
	json_out_kint(out, "accessTime", v != NULL ? v->modified_ms : 0);
	json_out_kint(out, "modificationTime", v != NULL ? v->modified_ms : 0);
	json_out_kint(out, "replication", dir ? 0 : 1);
	json_out_kstring(out, "permission", "770");
	json_out_kstring(out, "owner", "49b2f9ec-818a-49ca-9424-249e1f19f7d7");
	json_out_kstring(out, "group", "49b2f9ec-818a-49ca-9424-249e1f19f7d7");
	json_out_kint(out, "msExpirationTime", 0);
	json_out_kbool(out, "aclBit", 1);
	json_out_end(out, '}');
}

int
gen1_get_file_status(struct exchange *ex)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct container *c = tree(ex);
	const struct version *v;
	struct json_out out;
	int found;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "FileStatus");
	pthread_rwlock_rdlock(&c->lock);
	v = find(c, ex->blob);
	found = v != NULL || ex->blob[0] == '\0';
	add_status(&out, "", v, is_dir(c, ex->blob));
	pthread_rwlock_unlock(&c->lock);
	json_out_end(&out, '}');
	if (!found)
		return (refuse(ex, "FileNotFoundException"));
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

struct listing {
	struct exchange	*ex;
	const char	*after, *before;
	int64_t		 size, n;
	const char	*last;		/* in ex->mem */
	int		 more;
};

/* Lock held. */
static void
add_children(struct listing *l, struct container *c, struct json_out *out)
{
	const char *dir = l->ex->blob, *name;
	size_t skip = dir[0] != '\0' ? strlen(dir) + 1 : 0;
	const struct blob *b = model_seek(c, skip > 0 ? arena_printf(&l->ex->mem, "%s/", dir) :
	    "");

	for (; b != NULL && strncmp(b->name, dir, skip > 0 ? skip - 1 : 0) == 0 &&
	    (skip == 0 || b->name[skip - 1] == '/'); b = b->next[0]) {
		name = b->name + skip;
		if (b->now == NULL || strchr(name, '/') != NULL ||
		    (l->after != NULL && strcmp(name, l->after) <= 0) ||
		    (l->before != NULL && strcmp(name, l->before) >= 0))
			continue;
		if (l->n == l->size) {
			l->more = 1;
			break;
		}
		add_status(out, name, b->now, b->now->is_dir);
		l->last = arena_strdup(&l->ex->mem, name);
		l->n++;
	}
}

static int
add_listing(struct listing *l, struct json_out *out)
{
	struct container *c = tree(l->ex);
	const struct version *v;
	int found = 1;

	pthread_rwlock_rdlock(&c->lock);
	v = find(c, l->ex->blob);
	if (is_dir(c, l->ex->blob))
		add_children(l, c, out);
	else if (v != NULL)
		add_status(out, "", v, 0);
	else
		found = 0;
	pthread_rwlock_unlock(&c->lock);
	return (found ? 0 : refuse(l->ex, "FileNotFoundException"));
}

int
gen1_list_status(struct exchange *ex)
{
	struct listing l = { .ex = ex, .after = exchange_param(ex, "listAfter"),
	    .before = exchange_param(ex, "listBefore"), .last = "" };
	const char *version = exchange_param(ex, "api-version");
	int64_t knob = ex->sim->knobs.list_page_max;
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	if (read_number(ex, "listSize", LIST_MAX, &l.size) != 0 || l.size < 1)
		return (refuse(ex, "IllegalArgumentException"));
	if (l.size > LIST_MAX)
		l.size = LIST_MAX;
	/* Without a token a page that is not full is the last one. */
	if (knob > 0 && l.size > knob && version != NULL && strcmp(version, "2018-09-01") >= 0)
		l.size = knob;
	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_key(&out, "FileStatuses");
	json_out_begin(&out, '{');
	json_out_key(&out, "FileStatus");
	json_out_begin(&out, '[');
	if (add_listing(&l, &out) != 0)
		return (-1);
	json_out_end(&out, ']');
	if (version != NULL && strcmp(version, "2018-09-01") >= 0)
		json_out_kstring(&out, "continuationToken", l.more ? l.last : "");
	json_out_end(&out, '}');
	json_out_end(&out, '}');
	return (answer(ex, 200, JSON_TYPE, body.data, body.len));
}

/* ---- bytes ------------------------------------------------------------- */

int
gen1_open(struct exchange *ex)
{
	struct container *c = tree(ex);
	struct version *v = NULL;
	int64_t offset, len, knob = ex->sim->knobs.gen1_open_max;
	int failed;

	if (read_number(ex, "offset", 0, &offset) != 0 ||
	    read_number(ex, "length", INT64_MAX, &len) != 0)
		return (refuse(ex, "IllegalArgumentException"));
	str_format(ex->range, sizeof(ex->range), "%" PRId64 "+%" PRId64, offset, len);
	pthread_rwlock_rdlock(&c->lock);
	if (!is_dir(c, ex->blob) && find(c, ex->blob) != NULL)
		v = version_hold(find(c, ex->blob));
	pthread_rwlock_unlock(&c->lock);
	if (v == NULL)
		return (refuse(ex, "FileNotFoundException"));
	if (offset > 0 && offset >= v->size) {
		version_drop(v);
		return (refuse(ex, "IOException"));
	}
	if (len > v->size - offset)
		len = v->size - offset;
	if (knob > 0 && len > knob)
		len = knob;
	answer_header(ex, "Content-Type", "application/octet-stream");
	ex->chunked = 1;
	failed = answer_bytes(ex, 200, v, offset, len);
	version_drop(v);
	return (failed);
}

static int
check_write(struct exchange *ex)
{
	const char *flag = exchange_param(ex, "syncFlag");

	if (flag != NULL && strcasecmp(flag, "DATA") != 0 && strcasecmp(flag, "METADATA") != 0 &&
	    strcasecmp(flag, "CLOSE") != 0)
		return (refuse(ex, "IllegalArgumentException"));
	if (ex->blob[0] == '\0' || ex->req->content_length < 0 ||
	    ex->req->content_length > PART_MAX)
		return (refuse(ex, "IllegalArgumentException"));
	return (0);
}

/* Lock held; v is taken over. */
static int
publish(struct exchange *ex, struct container *c, struct version *v)
{
	return (model_publish(&ex->sim->model, c, ex->blob, v) != 0 ? refuse(ex, "IOException") :
	    0);
}

int
gen1_create(struct exchange *ex)
{
	int overwrite = read_flag(ex, "overwrite", 0), failed;
	struct container *c = tree(ex);
	struct extent *x = NULL;
	struct version *v;

	if (overwrite < 0)
		return (refuse(ex, "IllegalArgumentException"));
	if (check_write(ex) != 0 || blob_receive(ex, NULL, &x) != 0)
		return (-1);
	v = version_new(x->size);
	version_add_segment(v, x, NULL);
	pthread_rwlock_wrlock(&c->lock);
	if (is_dir(c, ex->blob) || (find(c, ex->blob) != NULL && !overwrite)) {
		version_drop(v);
		failed = refuse(ex, "FileAlreadyExistsException");
	} else
		failed = publish(ex, c, v);
	pthread_rwlock_unlock(&c->lock);
	if (failed != 0)
		return (-1);
	answer_header(ex, "Location", "https://%s%s", exchange_header(ex, "host"), ex->req->path);
	return (answer(ex, 201, NULL, "", 0));
}

/* Of old bytes and x, which is taken over. */
static struct version *
longer(const struct version *old, struct extent *x)
{
	struct version *v = version_new(old->size + x->size);
	size_t i;

	for (i = 0; i < old->nsegments; i++)
		version_add_segment(v, extent_hold(old->segments[i].extent), NULL);
	if (x->size > 0)
		version_add_segment(v, x, NULL);
	else
		extent_drop(x);
	return (v);
}

int
gen1_append(struct exchange *ex)
{
	struct container *c = tree(ex);
	const struct version *now;
	struct extent *x = NULL;
	int64_t offset;
	int failed;

	if (read_number(ex, "offset", -1, &offset) != 0)
		return (refuse(ex, "IllegalArgumentException"));
	if (check_write(ex) != 0 || blob_receive(ex, NULL, &x) != 0)
		return (-1);
	pthread_rwlock_wrlock(&c->lock);
	now = find(c, ex->blob);
	if (now == NULL || now->is_dir)
		failed = refuse(ex, "FileNotFoundException");
	else if (offset >= 0 && offset != now->size)
		failed = refuse(ex, "BadOffsetException");
	else {
		failed = publish(ex, c, longer(now, x));
		x = NULL;
	}
	pthread_rwlock_unlock(&c->lock);
	extent_drop(x);
	return (failed != 0 ? -1 : answer(ex, 200, NULL, "", 0));
}

/* ---- names ------------------------------------------------------------- */

int
gen1_mkdirs(struct exchange *ex)
{
	struct container *c = tree(ex);
	struct version *v;
	int failed = 0;

	pthread_rwlock_wrlock(&c->lock);
	if (!is_dir(c, ex->blob)) {
		v = version_new(0);
		v->is_dir = 1;
		if (find(c, ex->blob) != NULL) {
			version_drop(v);
			failed = refuse(ex, "FileAlreadyExistsException");
		} else
			failed = publish(ex, c, v);
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? -1 : say(ex, 1));
}

/* Lock held.  What stands at from stands at to, as it is: a rename touches no file's time. */
static void
move_one(struct exchange *ex, struct container *c, const char *from, const char *to)
{
	struct version *v = version_hold(find(c, from));

	model_remove(&ex->sim->model, c, from);
	(void)model_publish(&ex->sim->model, c, to, v);
}

/* Lock held. */
static void
move_tree(struct exchange *ex, struct container *c, const char *from, const char *to)
{
	const char *below = arena_printf(&ex->mem, "%s/", from);
	const struct blob *b;

	move_one(ex, c, from, to);
	while ((b = model_seek(c, below)) != NULL && str_starts(b->name, below))
		move_one(ex, c, arena_strdup(&ex->mem, b->name), arena_printf(&ex->mem, "%s/%s",
		    to, b->name + strlen(below)));
}

/* Lock held.  1: done, 0: "false", -1: refused. */
static int
move(struct exchange *ex, struct container *c, const char *to, int overwrite)
{
	const struct version *from = find(c, ex->blob), *victim;
	const char *slash = strrchr(ex->blob, '/');

	if (from == NULL)
		return (0);
	if (!overwrite && is_dir(c, to) && strcmp(to, ex->blob) != 0)
		to = arena_printf(&ex->mem, "%s%s%s", to, to[0] != '\0' ? "/" : "",
		    slash != NULL ? slash + 1 : ex->blob);
	victim = find(c, to);
	if (strcmp(to, ex->blob) == 0)
		return (!from->is_dir);
	if (str_starts(to, arena_printf(&ex->mem, "%s/", ex->blob)) ||
	    (victim != NULL && !overwrite))
		return (0);
	if (victim != NULL && victim->is_dir != from->is_dir)
		return (refuse(ex, "IOException"));
	if (victim != NULL && victim->is_dir && model_has_children(c, to))
		return (refuse(ex, "PathIsNotEmptyDirectoryException"));
	slash = strrchr(to, '/');
	if (slash != NULL && !is_dir(c, arena_strndup(&ex->mem, to, (size_t)(slash - to))))
		return (0);
	if (victim != NULL)
		model_remove(&ex->sim->model, c, to);
	move_tree(ex, c, ex->blob, to);
	return (1);
}

int
gen1_rename(struct exchange *ex)
{
	const char *to = exchange_param(ex, "destination");
	const char *options = exchange_param(ex, "renameoptions");
	struct container *c = tree(ex);
	int rc;

	if (to == NULL || ex->blob[0] == '\0' || (options != NULL &&
	    strcasecmp(options, "OVERWRITE") != 0 && strcasecmp(options, "NONE") != 0))
		return (refuse(ex, "IllegalArgumentException"));
	to += strspn(to, "/");
	if (!gen1_may(ex, to, GEN1_WRITE))
		return (refuse(ex, "AccessControlException"));
	pthread_rwlock_wrlock(&c->lock);
	rc = move(ex, c, to, options != NULL && strcasecmp(options, "OVERWRITE") == 0);
	pthread_rwlock_unlock(&c->lock);
	return (rc < 0 ? -1 : say(ex, rc));
}

int
gen1_delete(struct exchange *ex)
{
	int recursive = read_flag(ex, "recursive", 0), found, failed = 0;
	struct container *c = tree(ex);
	const struct blob *b;
	const char *below;

	if (recursive < 0 || ex->blob[0] == '\0')
		return (refuse(ex, "IllegalArgumentException"));
	below = arena_printf(&ex->mem, "%s/", ex->blob);
	pthread_rwlock_wrlock(&c->lock);
	found = find(c, ex->blob) != NULL;
	if (found && !recursive && model_has_children(c, ex->blob))
		failed = refuse(ex, "PathIsNotEmptyDirectoryException");
	while (failed == 0 && (b = model_seek(c, below)) != NULL && str_starts(b->name, below))
		model_remove(&ex->sim->model, c, arena_strdup(&ex->mem, b->name));
	if (failed == 0 && found)
		model_remove(&ex->sim->model, c, ex->blob);
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? -1 : say(ex, found));
}
