#include "acl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "words.h"

static int
is_permissions(const char *text)
{
	size_t i;

	for (i = 0; i < 3; i++)
		if (text[i] != "rwx"[i] && text[i] != '-')
			return (0);
	return (text[3] == '\0');
}

static void
acl_free(struct acl *a)
{
	free(a->oid);
	free(a->account);
	free(a->container);
	free(a->path);
	free(a);
}

int
acl_add(struct acls *acls, const char *text)
{
	static const char *const known[] = { "oid", "account", "container", "path", "permissions",
	    "default", NULL };
	struct pairs words = { NULL, 0 };
	const char *value[5];
	struct acl *a;
	size_t i;
	int failed;

	failed = words_parse(&words, text, known);
	for (i = 0; i < LENGTH(value); i++) {
		value[i] = pairs_get(&words, known[i]);
		failed = failed != 0 || value[i] == NULL;
	}
	if (failed == 0 && is_permissions(value[4])) {
		a = mem_zalloc(sizeof(*a));
		a->oid = mem_strdup(value[0]);
		a->account = mem_strdup(value[1]);
		a->container = mem_strdup(value[2]);
		a->path = mem_strdup(value[3]);
		memcpy(a->permissions, value[4], sizeof(a->permissions));
		a->is_default = pairs_get(&words, "default") != NULL;
		pthread_rwlock_wrlock(&acls->lock);
		a->next = acls->list;
		acls->list = a;
		pthread_rwlock_unlock(&acls->lock);
	} else
		failed = 1;
	pairs_done(&words);
	return (failed ? -1 : 0);
}

void
acl_drop_all(struct acls *acls)
{
	struct acl *a;

	pthread_rwlock_wrlock(&acls->lock);
	while ((a = acls->list) != NULL) {
		acls->list = a->next;
		acl_free(a);
	}
	pthread_rwlock_unlock(&acls->lock);
}

/* The first len bytes of path are below the directory, or it itself. */
static int
is_below(const char *path, size_t len, const char *directory)
{
	size_t n = strlen(directory);

	return (n == 0 || (len >= n && strncmp(path, directory, n) == 0 &&
	    (len == n || path[n] == '/')));
}

/* All of wanted ("rx"), on the first len bytes of path. */
static int
has(const struct acls *acls, const struct acl *who, const char *path, size_t len,
    const char *wanted)
{
	const struct acl *a;

	for (a = acls->list; a != NULL; a = a->next) {
		if (!str_same(a->oid, who->oid) || strcmp(a->account, who->account) != 0 ||
		    strcmp(a->container, who->container) != 0 || !is_below(path, len, a->path) ||
		    (!a->is_default && strlen(a->path) != len))
			continue;
		return (strspn(wanted, a->permissions) == strlen(wanted));
	}
	return (0);
}

/* --x on the root and on each directory above what stands at path. */
static int
may_traverse(const struct acls *acls, const struct acl *who, const char *path)
{
	const char *slash;

	if (path[0] != '\0' && !has(acls, who, path, 0, "x"))
		return (0);
	for (slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
		if (!has(acls, who, path, (size_t)(slash - path), "x"))
			return (0);
	return (1);
}

int
acl_allows(struct acls *acls, const char *oid, const char *account, const char *container,
    const char *path, enum acl_need need)
{
	const struct acl who = { .oid = (char *)(uintptr_t)oid,
	    .account = (char *)(uintptr_t)account, .container = (char *)(uintptr_t)container };
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path), parent = slash != NULL ? (size_t)(slash - path) : 0;
	int allowed;

	pthread_rwlock_rdlock(&acls->lock);
	allowed = may_traverse(acls, &who, path);
	switch (need) {
	case ACL_READ:
		allowed = allowed && has(acls, &who, path, len, "r");
		break;
	case ACL_TRAVERSE:	/* to what stands there */
		break;
	case ACL_LIST:
		allowed = allowed && has(acls, &who, path, len, "rx");
		break;
	case ACL_WRITE:		/* a file there is written to, or one is made in its directory */
		allowed = allowed && (has(acls, &who, path, len, "w") ||
		    has(acls, &who, path, parent, "wx"));
		break;
	}
	pthread_rwlock_unlock(&acls->lock);
	return (allowed);
}
