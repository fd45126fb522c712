/*
 * Renaming a file or a directory with all that is below it.
 *
 * A parent that is missing is RenameDestinationParentPathNotFound; a destination that is a
 * directory with something in it is PathAlreadyExists, an empty one and a file are replaced
 * (apache/arrow cpp/src/arrow/filesystem/azurefs.cc); ETags stay
 * (apache/hadoop hadoop-tools/hadoop-azure/src/site/markdown/abfs.md, "etags.preserved.in.rename").
 */

#include <string.h>

#include "base/uri.h"
#include "blob.h"
#include "dfs.h"
#include "gate.h"

struct source {
	char	*path, *query;
};

/* "/FILESYSTEM/PATH[?SAS]", on path-style hosts with the account before it; same filesystem. */
static int
read_source(struct exchange *ex, struct source *ret)
{
	char *text = arena_strdup(&ex->mem, exchange_header(ex, "x-ms-rename-source")), *at = text;
	char *segment;

	if (*at != '/')
		return (refuse(ex, "InvalidSourceUri"));
	at++;
	ret->query = strchr(at, '?');
	if (ret->query != NULL)
		*ret->query++ = '\0';
	if (ex->path_style && ((segment = strsep(&at, "/")) == NULL ||
	    strcmp(segment, ex->account->name) != 0))
		return (refuse(ex, "InvalidSourceUri"));
	segment = strsep(&at, "/");
	if (segment == NULL || at == NULL || uri_decode(segment) <= 0 || uri_decode(at) <= 0 ||
	    strstr(at, "//") != NULL)
		return (refuse(ex, "InvalidSourceUri"));
	if (strcmp(segment, ex->container) != 0)
		return (refuse(ex, "NotImplemented"));	/* into another filesystem */
	if (str_ends(at, "/"))
		at[strlen(at) - 1] = '\0';
	ret->path = at;
	return (0);
}

/* The source is taken away: a right of its own. */
static int
may_take(struct exchange *ex, const struct source *s)
{
	if (ex->auth == AUTH_SERVICE_SAS || ex->auth == AUTH_ACCOUNT_SAS ||
	    ex->auth == AUTH_USER_SAS)
		return (s->query != NULL && gate_sas_allows(ex, s->path, s->query, "dm"));
	if (ex->auth != AUTH_BEARER || people_role(&ex->sim->people, ex->oid, ex->account->name,
	    ex->container) >= ROLE_CONTRIBUTOR)
		return (1);
	return (acl_allows(&ex->sim->acls, ex->oid, ex->account->name, ex->container, s->path,
	    ACL_WRITE));
}

static int
has_parent(const struct container *c, char *path)
{
	char *slash = strrchr(path, '/');
	struct blob *b;

	if (slash == NULL)
		return (1);
	*slash = '\0';
	b = model_find(c, path);
	*slash = '/';
	return (b != NULL && b->now != NULL && b->now->is_dir);
}

struct renaming {
	struct conditions conditions, source_conditions;
	const struct version *from, *to;	/* to NULL: free */
	int	 goes_on;			/* an earlier request has begun it */
};

static int
check_destination(struct exchange *ex, const struct container *c, const struct renaming *r)
{
	if (r->conditions.none_match != NULL && strcmp(r->conditions.none_match, "*") == 0 &&
	    r->to != NULL)
		return (refuse(ex, "PathAlreadyExists"));
	if (conditions_check_write(ex, &r->conditions, r->to) != 0)
		return (-1);
	if (r->to == NULL)
		return (has_parent(c, ex->blob) ? 0 :
		    refuse(ex, "RenameDestinationParentPathNotFound"));
	if (r->to->is_dir && model_has_children(c, ex->blob))
		return (refuse(ex, "PathAlreadyExists"));
	if (r->to->is_dir != r->from->is_dir)
		return (refuse(ex, "InvalidSourceOrDestinationResourceType"));
	return (0);
}

static int
check(struct exchange *ex, const struct container *c, const struct source *s,
    const struct renaming *r)
{
	size_t n = strlen(s->path);

	if (r->from == NULL)
		return (refuse(ex, "SourcePathNotFound"));
	if (conditions_check_source(ex, &r->source_conditions, r->from) != 0)
		return (-1);
	if (strncmp(ex->blob, s->path, n) == 0 &&
	    (ex->blob[n] == '/' || (ex->blob[n] == '\0' && r->from->is_dir)))
		return (refuse(ex, "InvalidRenameSourcePath"));
	return (r->goes_on ? 0 : check_destination(ex, c, r));
}

int
dfs_rename(struct exchange *ex)
{
	const char *mode = exchange_param(ex, "mode");
	const char *goes_on = exchange_param(ex, "continuation");
	struct renaming r = { .goes_on = goes_on != NULL };
	struct container *c = model_container(ex->account, ex->container);
	struct source s;
	struct blob *b;
	int failed;

	if (mode != NULL && strcmp(mode, "legacy") != 0 && strcmp(mode, "posix") != 0)
		return (refuse(ex, "InvalidQueryParameterValue"));
	if (goes_on != NULL && strcmp(goes_on, "azsim-rename") != 0)
		return (refuse(ex, "InvalidQueryParameterValue"));
	if (c == NULL)
		return (refuse(ex, "FilesystemNotFound"));
	if (read_source(ex, &s) != 0 || conditions_read(ex, 0, &r.conditions) != 0 ||
	    conditions_read(ex, 1, &r.source_conditions) != 0)
		return (-1);
	if (ex->blob[0] == '\0' || s.path[0] == '\0')
		return (refuse(ex, "InvalidSourceUri"));
	if (dfs_is_managed(ex->account, s.path))
		return (refuse(ex, "OperationNotAllowedOnManagedFolder"));
	if (!may_take(ex, &s))
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	pthread_rwlock_wrlock(&c->lock);
	b = model_find(c, s.path);
	r.from = b != NULL ? b->now : NULL;
	b = model_find(c, ex->blob);
	r.to = b != NULL ? b->now : NULL;
	failed = check(ex, c, &s, &r);
	if (failed == 0 && strcmp(s.path, ex->blob) != 0) {
		if (model_rename(&ex->sim->model, c, s.path, ex->blob,
		    (size_t)ex->sim->knobs.dfs_batch) != 0)
			answer_header(ex, "x-ms-continuation", "azsim-rename");
	}
	pthread_rwlock_unlock(&c->lock);
	return (failed != 0 ? -1 : answer(ex, 201, NULL, "", 0));
}
