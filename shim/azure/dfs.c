#include "azure/dfs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uri.h"

#define PARTS_MAX	100000		/* requests that one rename may take */

static void
dfs_op_init(struct blob_op *op, struct store *s, const char *what, const char *method,
    const char *name)
{
	blob_op_init(op, s, what, method, name);
	op->is_dfs = 1;
}

static int
has_code(const struct blob_op *op, const char *code)
{
	return (strcmp(op->call.response.error_code, code) == 0);
}

int
dfs_check_managed(const struct store *s, const char *name, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	const char *slash = name != NULL ? strchr(name, '/') : NULL;

	if (!s->onelake || name == NULL || (slash != NULL && strchr(slash + 1, '/') != NULL))
		return (0);
	errno = EPERM;
	err_errno(err, "change", NULL);
	err_on(err, "%s: an item of Fabric and the folders right below it are not ours to change",
	    blob_url(s, name, NULL, &mem));
	arena_done(&mem);
	return (-1);
}

/* ---- directories ------------------------------------------------------- */

int
dfs_mkdir(struct store *s, const char *name, struct err *err)
{
	struct blob_op op;
	struct err e;
	int rc;

	dfs_op_init(&op, s, "make the directory", "PUT", name);
	op.query = "resource=directory";
	blob_op_condition(&op, "*");
	rc = blob_op_run(&op, &e);
	if (rc != 0 && has_code(&op, "PathAlreadyExists"))
		rc = -blob_is_file(s, name);
	if (rc != 0 && err != NULL)
		*err = e;
	blob_op_done(&op);
	return (rc);
}

static int
make_parent(struct store *s, const char *name)
{
	auto_buf struct buf parent = BUF_EMPTY;
	const char *slash = strrchr(name, '/');

	if (slash == NULL)
		return (-1);
	buf_add(&parent, name, (size_t)(slash - name));
	return (dfs_mkdir(s, buf_str(&parent), NULL));
}

/* ---- rename ------------------------------------------------------------ */

static int
is_gone(struct store *s, const char *name)
{
	struct store_attr attr;
	struct err e = ERR_EMPTY;

	return (blob_head(s, name, &attr, NULL, &e) != 0 && e.http_status == 404);
}

/*
 * A repeated request was refused: was the first one carried out, its answer lost?  Then the source
 * is gone, and what it was has the new name.
 */
static int
was_renamed(struct store *s, const struct store_rename *r, const struct blob_op *op)
{
	struct store_attr now;

	if (op->call.tries < 2 || (op->call.response.status != 404 &&
	    op->call.response.status != 409 && op->call.response.status != 412) ||
	    !is_gone(s, r->from) || blob_head(s, r->to, &now, NULL, NULL) != 0)
		return (0);
	return (now.is_dir == r->is_dir &&
	    (r->is_dir || r->etag[0] == '\0' || strcmp(now.etag, r->etag) == 0));
}

/* How it was refused. */
struct refused {
	int	no_parent;	/* of the new name */
	int	other;		/* from has another ETag */
};

/* One request; continuation is what the one before left over, and what this one does. */
static int
rename_part(struct store *s, const struct store_rename *r, struct buf *continuation,
    char etag[HTTP_ETAG_MAX], struct refused *ret, struct err *err)
{
	auto_buf struct buf query = BUF_EMPTY;
	struct blob_op op;
	int rc;

	buf_adds(&query, "mode=posix");
	if (continuation->len > 0) {
		buf_adds(&query, "&continuation=");
		uri_encode(&query, continuation->data, continuation->len, 0);
	}
	dfs_op_init(&op, s, "rename to", "PUT", r->to);
	op.query = query.data;
	op.rename_from = r->from;
	if (continuation->len == 0)
		blob_op_condition(&op, r->no_replace ? "*" : r->replaces);
	if (!r->is_dir && r->etag[0] != '\0' && !ret->other)
		blob_op_header(&op, "x-ms-source-if-match", r->etag);
	rc = blob_op_run(&op, err);
	buf_reset(continuation);
	if (rc == 0) {
		buf_add(continuation, buf_str(&op.call.response.continuation),
		    op.call.response.continuation.len);
		if (op.call.response.etag[0] != '\0')
			memcpy(etag, op.call.response.etag, HTTP_ETAG_MAX);
	} else if (was_renamed(s, r, &op))
		rc = 0;
	ret->no_parent = rc != 0 && has_code(&op, "RenameDestinationParentPathNotFound");
	ret->other |= rc != 0 && has_code(&op, "SourceConditionNotMet");
	blob_op_done(&op);
	return (rc);
}

static int
rename_all(struct store *s, const struct store_rename *r, char etag[HTTP_ETAG_MAX],
    struct refused *ret, struct err *err)
{
	auto_buf struct buf continuation = BUF_EMPTY;
	int parts, rc;

	for (parts = 0; parts < PARTS_MAX; parts++) {
		rc = rename_part(s, r, &continuation, etag, ret, err);
		if (rc != 0 || continuation.len == 0)
			return (rc);
	}
	return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "rename", "it does not come to an end"));
}

int
dfs_rename(struct store *s, const struct store_rename *r, char ret_etag[HTTP_ETAG_MAX],
    struct err *err)
{
	char etag[HTTP_ETAG_MAX];
	struct refused how = { .other = 0 };
	struct err e = ERR_EMPTY;
	int rc;

	if (!store_find_hns(s, r->from))
		return (1);
	if (dfs_check_managed(s, r->from, err) != 0)
		return (-1);
	str_format(etag, sizeof(etag), "%s", r->etag);
	rc = rename_all(s, r, etag, &how, &e);
	/* Data can be put where no directory is, so names can be moved there, too. */
	if (how.no_parent && make_parent(s, r->to) == 0)
		rc = rename_all(s, r, etag, &how, &e);
	if (rc != 0 && how.other)
		rc = rename_all(s, r, etag, &how, &e);
	if (how.other)
		str_format(etag, sizeof(etag), "%s", r->etag);
	if (rc != 0 && err != NULL)
		*err = e;
	if (rc == 0 && ret_etag != NULL)
		memcpy(ret_etag, etag, sizeof(etag));
	return (rc);
}

/* ---- owners and modes -------------------------------------------------- */

static int
read_number(const char *text, uint32_t *ret)
{
	long long n;

	if (str_to_i64(text, 0, UINT32_MAX - 1, &n) != 0)
		return (0);
	*ret = (uint32_t)n;
	return (1);
}

void
dfs_read_access(const char *permissions, const char *owner, const char *group,
    struct store_access *ret)
{
	size_t i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < 9 && permissions[i] != '\0'; i++) {
		if (permissions[i] == "rwxrwxrwx"[i])
			ret->mode |= 0400u >> i;
		else if (i == 8 && (permissions[i] == 't' || permissions[i] == 'T'))
			ret->mode |= permissions[i] == 't' ? 01001 : 01000;
		else if (permissions[i] != '-')
			break;
	}
	ret->has_mode = i == 9;
	ret->has_uid = read_number(owner, &ret->uid) != 0;
	ret->has_gid = read_number(group, &ret->gid) != 0;
}

int
dfs_get_access(struct store *s, const char *name, struct store_access *ret, struct err *err)
{
	const struct http_response *r;
	struct blob_op op;
	int rc;

	if (s->onelake || !store_find_hns(s, name))
		return (1);
	dfs_op_init(&op, s, "get the mode of", "HEAD", name);
	op.query = "action=getAccessControl";
	rc = blob_op_run(&op, err);
	r = &op.call.response;
	if (rc == 0)
		dfs_read_access(r->permissions, r->owner, r->group, ret);
	blob_op_done(&op);
	return (rc);
}

int
dfs_set_access(struct store *s, const char *name, const struct store_access *a,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	char mode[8], owner[16], group[16];
	struct blob_op op;
	int rc;

	if (s->onelake || !store_find_hns(s, name))
		return (1);
	dfs_op_init(&op, s, "set the mode of", "PATCH", name);
	op.query = "action=setAccessControl";
	op.writing = BLOB_SETS_ACCESS;
	str_format(mode, sizeof(mode), "%04o", a->mode & 01777);
	str_format(owner, sizeof(owner), "%u", a->uid);
	str_format(group, sizeof(group), "%u", a->gid);
	if (a->has_mode)
		blob_op_header(&op, "x-ms-permissions", mode);
	if (a->has_uid)
		blob_op_header(&op, "x-ms-owner", owner);
	if (a->has_gid)
		blob_op_header(&op, "x-ms-group", group);
	blob_op_condition(&op, if_match);
	rc = blob_op_run(&op, err);
	if (rc == 0)
		memcpy(ret_etag, op.call.response.etag, HTTP_ETAG_MAX);
	blob_op_done(&op);
	return (rc);
}
