/*
 * Owners, modes and access control lists of paths.
 *
 * learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/update (setAccessControl,
 * setAccessControlRecursive), "Access control lists (ACLs) in Azure Data Lake Storage".
 */

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "blob.h"
#include "dfs.h"

#define MODE_FILE	0640
#define MODE_DIRECTORY	0750
#define UMASK		0027
#define RECORDS_MAX	2000

static int
mode_of(const struct access *a, int is_dir)
{
	return (a->mode != 0 ? a->mode & 01777 : is_dir ? MODE_DIRECTORY : MODE_FILE);
}

const char *
access_symbolic(const struct access *a, int is_dir, char out[ACCESS_SYMBOLIC_SIZE])
{
	int mode = mode_of(a, is_dir), i;

	for (i = 0; i < 9; i++)
		out[i] = (mode >> (8 - i)) & 1 ? "rwxrwxrwx"[i] : '-';
	if (mode & 01000)
		out[8] = mode & 1 ? 't' : 'T';
	out[9] = '\0';
	return (out);
}

const char *
access_owner(const struct access *a)
{
	return (a->owner != NULL ? a->owner : "$superuser");
}

const char *
access_group(const struct access *a)
{
	return (a->group != NULL ? a->group : "$superuser");
}

void
access_add_acl(const struct access *a, int is_dir, struct buf *to)
{
	char s[ACCESS_SYMBOLIC_SIZE];

	access_symbolic(a, is_dir, s);
	if (a->acl != NULL)
		buf_adds(to, a->acl);
	else
		buf_printf(to, "user::%.3s,group::%.3s,other::%.3s", s, s + 3, s + 6);
}

void
dfs_add_access(struct exchange *ex, const struct access *a, int is_dir, int with_acl)
{
	auto_buf struct buf acl = BUF_EMPTY;
	char symbolic[ACCESS_SYMBOLIC_SIZE];
	int onelake = ex->account->onelake;

	answer_header(ex, "x-ms-owner", "%s", onelake ? "$superuser" : access_owner(a));
	answer_header(ex, "x-ms-group", "%s", onelake ? "$superuser" : access_group(a));
	answer_header(ex, "x-ms-permissions", "%s%s", onelake ? "---------" :
	    access_symbolic(a, is_dir, symbolic), !onelake && a->acl != NULL ? "+" : "");
	if (!with_acl)
		return;
	access_add_acl(a, is_dir, &acl);
	answer_header(ex, "x-ms-acl", "%s", buf_str(&acl));
}

/* "0750", "750" or "rwxr-x---"; -1: neither. */
static int
parse_mode(const char *text)
{
	size_t n = strlen(text), i;
	int mode = 0;

	if (n >= 3 && n <= 4 && strspn(text, "01234567") == n) {
		for (i = 0; i < n; i++)
			mode = mode * 8 + (text[i] - '0');
		return (mode <= 01777 ? mode : -1);
	}
	if (n != 9)
		return (-1);
	for (i = 0; i < 9; i++) {
		if (i == 8 && (text[i] == 't' || text[i] == 'T'))
			mode |= 01000 | (text[i] == 't');
		else if (text[i] == "rwxrwxrwx"[i])
			mode |= 0400 >> i;
		else if (text[i] != '-')
			return (-1);
	}
	return (mode);
}

static int
read_mode(struct exchange *ex, const char *header, int *ret)
{
	const char *text = exchange_header(ex, header);
	int mode;

	if (text == NULL)
		return (0);
	mode = parse_mode(text);
	if (mode < 0)
		return (refuse(ex, "InvalidHeaderValue"));
	*ret = mode;
	return (0);
}

int
dfs_read_permissions(struct exchange *ex, int is_dir, struct access *ret)
{
	int mode = is_dir ? 0777 : 0666, umask = UMASK;

	if (ex->account->onelake)
		return (0);
	if (exchange_header(ex, "x-ms-acl") != NULL || exchange_header(ex, "x-ms-owner") != NULL ||
	    exchange_header(ex, "x-ms-group") != NULL)
		return (refuse(ex, "NotImplemented"));
	if (read_mode(ex, "x-ms-permissions", &mode) != 0 ||
	    read_mode(ex, "x-ms-umask", &umask) != 0)
		return (-1);
	ret->mode = (mode & ~umask) | 010000;	/* 0 is a mode, too */
	return (0);
}

/* "user::rwx,group::r-x,other::---[,user:ID:r-x][,mask::rwx][,default:...]". */
static int
parse_acl(struct exchange *ex, const char *text, int *ret_mode)
{
	static const char *const scopes[] = { "user::", "group::", "other::" };
	char *rest = arena_strdup(&ex->mem, text), *entry;
	int mode = 0, seen = 0, bits;
	size_t i;

	while ((entry = strsep(&rest, ",")) != NULL) {
		const char *rights = strrchr(entry, ':');

		if (rights == NULL || strlen(++rights) != 3)
			return (refuse(ex, "InvalidInput"));
		for (bits = 0, i = 0; i < 3; i++) {
			if (rights[i] != "rwx"[i] && rights[i] != '-')
				return (refuse(ex, "InvalidInput"));
			bits |= rights[i] != '-' ? 4 >> i : 0;
		}
		for (i = 0; i < LENGTH(scopes); i++)
			if (str_starts(entry, scopes[i]) &&
			    strlen(entry) == strlen(scopes[i]) + 3) {
				mode |= bits << (6 - 3 * i);
				seen |= 1 << i;
			}
	}
	if (seen != 7)
		return (refuse(ex, "InvalidInput"));	/* the three base entries are a must */
	*ret_mode = mode | 010000;
	return (0);
}

static int
is_bare(const char *acl)
{
	const char *c;
	int commas = 0;

	for (c = acl; *c != '\0'; c++)
		commas += *c == ',';
	return (commas == 2);
}

int
dfs_look(struct exchange *ex, struct dfs_seen *ret, int writing)
{
	struct container *c = model_container(ex->account, ex->container);

	memset(ret, 0, sizeof(*ret));
	if (c == NULL)
		return (refuse(ex, "FilesystemNotFound"));
	if (writing)
		pthread_rwlock_wrlock(&c->lock);
	else
		pthread_rwlock_rdlock(&c->lock);
	ret->container = c;
	if (ex->blob[0] == '\0')
		return (0);
	ret->blob = model_find(c, ex->blob);
	if (ret->blob != NULL && ret->blob->now != NULL)
		return (0);
	pthread_rwlock_unlock(&c->lock);
	return (refuse(ex, "PathNotFound"));
}

void
dfs_unlook(struct dfs_seen *s)
{
	pthread_rwlock_unlock(&s->container->lock);
}

/* Versions are shared with readers: a change is a new one, of the same ETag but for its time. */
static struct access *
access_for_change(struct exchange *ex, struct dfs_seen *s)
{
	struct version *v;

	if (s->blob == NULL)
		return (&s->container->root);
	v = version_again(s->blob->now);
	version_drop(s->blob->now);
	s->blob->now = v;
	blob_add_identity(ex, v);
	return (&v->access);
}

static void
set_text(char **to, const char *text)
{
	if (text == NULL)
		return;
	free(*to);
	*to = mem_strdup(text);
}

/* Who owns it, or owns all data: "Storage Blob Data Owner"; keys and SAS were looked at before. */
static int
may_set(struct exchange *ex, const struct dfs_seen *s)
{
	const struct access *now = s->blob != NULL ? &s->blob->now->access : &s->container->root;

	return ((ex->auth != AUTH_BEARER && ex->auth != AUTH_USER_SAS) ||
	    (now->owner != NULL && strcmp(now->owner, ex->oid) == 0) ||
	    people_role(&ex->sim->people, ex->oid, ex->account->name, ex->container) ==
	    ROLE_OWNER);
}

int
dfs_set_access(struct exchange *ex)
{
	const char *owner = exchange_header(ex, "x-ms-owner");
	const char *group = exchange_header(ex, "x-ms-group");
	const char *acl = exchange_header(ex, "x-ms-acl");
	struct conditions conditions;
	struct access *a;
	struct dfs_seen s;
	int mode = -1;

	if (exchange_header(ex, "x-ms-permissions") != NULL && acl != NULL)
		return (refuse(ex, "InvalidInput"));
	if (exchange_header(ex, "x-ms-permissions") == NULL && acl == NULL && owner == NULL &&
	    group == NULL)
		return (refuse(ex, "MissingRequiredHeader"));
	if (read_mode(ex, "x-ms-permissions", &mode) != 0 ||
	    (acl != NULL && parse_acl(ex, acl, &mode) != 0) ||
	    conditions_read(ex, 0, &conditions) != 0 || dfs_look(ex, &s, 1) != 0)
		return (-1);
	if (!may_set(ex, &s)) {
		dfs_unlook(&s);
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	}
	if (s.blob != NULL && conditions_check_write(ex, &conditions, s.blob->now) != 0) {
		dfs_unlook(&s);
		return (-1);
	}
	a = access_for_change(ex, &s);
	set_text(&a->owner, owner);
	set_text(&a->group, group);
	if (mode >= 0) {
		a->mode = mode | 010000;
		free(a->acl);
		a->acl = acl != NULL && !is_bare(acl) ? mem_strdup(acl) : NULL;
	}
	dfs_unlook(&s);
	return (answer(ex, 200, NULL, "", 0));
}

static int
answer_counts(struct exchange *ex, int64_t directories, int64_t files)
{
	auto_buf struct buf body = BUF_EMPTY;
	struct json_out out;

	json_out_init(&out, &body, 0);
	json_out_begin(&out, '{');
	json_out_kint(&out, "directoriesSuccessful", directories);
	json_out_key(&out, "failedEntries");
	json_out_begin(&out, '[');
	json_out_end(&out, ']');
	json_out_kint(&out, "failureCount", 0);
	json_out_kint(&out, "filesSuccessful", files);
	json_out_end(&out, '}');
	return (answer(ex, 200, "application/json;charset=utf-8", body.data, body.len));
}

/* mode=set alone, up to 2000 paths at once: what the tests ask for. */
int
dfs_set_access_recursive(struct exchange *ex)
{
	const char *mode = exchange_param(ex, "mode"), *acl = exchange_header(ex, "x-ms-acl");
	int64_t files = 0, directories = 0;
	struct dfs_seen s;
	struct blob *b;
	size_t n = strlen(ex->blob);
	int bits;

	if (mode == NULL)
		return (refuse(ex, "MissingRequiredQueryParameter"));
	if (acl == NULL)
		return (refuse(ex, "MissingRequiredHeader"));
	if (strcmp(mode, "set") != 0)
		return (refuse(ex, strcmp(mode, "modify") == 0 || strcmp(mode, "remove") == 0 ?
		    "NotImplemented" : "InvalidQueryParameterValue"));
	if (parse_acl(ex, acl, &bits) != 0 || dfs_look(ex, &s, 1) != 0)
		return (-1);
	if (!may_set(ex, &s)) {
		dfs_unlook(&s);
		return (refuse(ex, "AuthorizationPermissionMismatch"));
	}
	for (b = model_seek(s.container, ex->blob); b != NULL && strncmp(b->name, ex->blob, n) == 0;
	    b = b->next[0]) {
		struct dfs_seen one = { s.container, b };
		struct access *a;

		if (files + directories == RECORDS_MAX)
			break;
		if (b->now == NULL || (n > 0 && b->name[n] != '\0' && b->name[n] != '/'))
			continue;
		*(b->now->is_dir ? &directories : &files) += 1;
		a = access_for_change(ex, &one);
		a->mode = bits;
		free(a->acl);
		a->acl = is_bare(acl) ? NULL : mem_strdup(acl);
		buf_reset(&ex->head);
	}
	dfs_unlook(&s);
	return (answer_counts(ex, directories, files));
}
