#include "base/account.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"

#define FILE_MAX	(4 << 20)

/* A part of a line: not terminated. */
struct word {
	const char	*at;
	size_t		 len;
};

enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS };

static int
is_word(struct word w, const char *text, size_t len)
{
	return (w.len == len && memcmp(w.at, text, len) == 0);
}

/* -1: it is no number, or none that an id can have. */
static int
to_id(struct word w, uint32_t *ret)
{
	char text[16];
	long long number;

	if (w.len >= sizeof(text))
		return (-1);
	memcpy(text, w.at, w.len);
	text[w.len] = '\0';
	if (strspn(text, "0123456789") != w.len ||
	    str_to_i64(text, 0, UINT32_MAX - 1, &number) != 0)
		return (-1);
	*ret = (uint32_t)number;
	return (0);
}

/* The n-th field; empty beyond the last. */
static struct word
field(struct word line, int n)
{
	const char *end = line.at + line.len, *colon;

	for (; n > 0; n--) {
		colon = memchr(line.at, ':', (size_t)(end - line.at));
		if (colon == NULL)
			return ((struct word){ end, 0 });
		line.at = colon + 1;
	}
	colon = memchr(line.at, ':', (size_t)(end - line.at));
	return ((struct word){ line.at, (size_t)((colon != NULL ? colon : end) - line.at) });
}

/* 0 at the end of the text. */
static int
next_line(const char **text, struct word *ret)
{
	size_t len = strcspn(*text, "\n");

	if (**text == '\0')
		return (0);
	*ret = (struct word){ *text, len };
	*text += len + ((*text)[len] == '\n');
	return (1);
}

/* The line of a name, or of a number in field id; entries whose ids are none are passed over. */
static int
find_line(const char *text, struct word key, int by_number, int id, struct word *ret)
{
	uint32_t wanted = 0, number;
	struct word line;

	if (by_number && to_id(key, &wanted) != 0)
		return (-1);
	while (next_line(&text, &line))
		if (to_id(field(line, id), &number) == 0 && (by_number ? number == wanted :
		    is_word(field(line, PASSWD_NAME), key.at, key.len))) {
			*ret = line;
			return (0);
		}
	return (-1);
}

static int
is_number(struct word w)
{
	size_t i;

	for (i = 0; i < w.len; i++)
		if (w.at[i] < '0' || w.at[i] > '9')
			return (0);
	return (w.len != 0);
}

static int
refuse(struct err *err, const char *words, const char *why)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "find the user", "%s", why);
	return (err_on(err, "%s", words));
}

static int
lists_member(struct word members, struct word name)
{
	const char *end = members.at + members.len, *comma;

	for (; members.at < end; members.at = comma + 1) {
		comma = memchr(members.at, ',', (size_t)(end - members.at));
		if (comma == NULL)
			comma = end;
		if (is_word((struct word){ members.at, (size_t)(comma - members.at) }, name.at,
		    name.len))
			return (1);
	}
	return (0);
}

static int
add_memberships(struct account *a, const char *group, struct word name)
{
	struct word line;
	uint32_t gid;

	while (next_line(&group, &line)) {
		if (to_id(field(line, GROUP_GID), &gid) != 0 || gid == a->gid ||
		    !lists_member(field(line, GROUP_MEMBERS), name))
			continue;
		if (a->ngroups == ACCOUNT_GROUPS)
			return (-1);
		a->groups[a->ngroups++] = gid;
	}
	return (0);
}

static int
take_group(struct account *a, struct word key, const char *group)
{
	struct word line;

	if (is_number(key) ? to_id(key, &a->gid) != 0 :
	    find_line(group, key, 0, GROUP_GID, &line) != 0 ||
	    to_id(field(line, GROUP_GID), &a->gid) != 0)
		return (-1);
	return (0);
}

static void
take_home(struct account *a, struct word home)
{
	if (home.len != 0 && home.at[0] == '/' && home.len < sizeof(a->home))
		memcpy(a->home, home.at, home.len);
	else
		a->home[0] = '/';
}

int
account_parse(struct account *ret, const char *words, const char *passwd, const char *group,
    struct err *err)
{
	struct account a = { .ngroups = 0 };
	struct word key = { words, strcspn(words, ":") }, line = { "", 0 };
	struct word of_group = { words + key.len + 1, 0 };
	int has_group = words[key.len] == ':', known;

	if (key.len == 0)
		return (refuse(err, words, "expected a user's name or number"));
	known = find_line(passwd, key, is_number(key), PASSWD_UID, &line) == 0;
	if (to_id(known ? field(line, PASSWD_UID) : key, &a.uid) != 0)
		return (refuse(err, words, is_number(key) ? "the number is too large" :
		    "/etc/passwd has no such user"));
	if (has_group)
		of_group.len = strlen(of_group.at);
	if (has_group && take_group(&a, of_group, group) != 0)
		return (refuse(err, words, "/etc/group has no such group"));
	if (!has_group && !known)
		return (refuse(err, words, "/etc/passwd does not tell its group: add :GROUP"));
	if (!has_group && to_id(field(line, PASSWD_GID), &a.gid) != 0)
		return (refuse(err, words, "the group in its line of /etc/passwd is no number"));
	a.groups[a.ngroups++] = a.gid;
	if (!has_group && add_memberships(&a, group, field(line, PASSWD_NAME)) != 0)
		return (refuse(err, words, "it is in more groups than 64"));
	take_home(&a, field(line, PASSWD_HOME));
	*ret = a;
	return (0);
}

/* A file that is not there is an empty one. */
static int
read_text(const char *path, struct buf *ret, struct err *err)
{
	struct err failed = ERR_EMPTY;

	if (fd_read_file(path, FILE_MAX, ret, &failed) == 0 || failed.sys_errno == ENOENT ||
	    failed.sys_errno == ENOTDIR)
		return (0);
	if (err != NULL)
		*err = failed;
	return (-1);
}

int
account_find(struct account *ret, const char *words, struct err *err)
{
	auto_buf struct buf passwd = BUF_EMPTY, group = BUF_EMPTY;

	if (read_text("/etc/passwd", &passwd, err) != 0 ||
	    read_text("/etc/group", &group, err) != 0)
		return (-1);
	return (account_parse(ret, words, buf_str(&passwd), buf_str(&group), err));
}
