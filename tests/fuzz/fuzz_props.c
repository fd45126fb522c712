/*
 * What stands beside a blob's bytes: the text of properties, extended attributes of it, modes and
 * owners of a hierarchical account, a time in metadata.  First the text, then the words.
 */

#include <sys/stat.h>

#include "azure/dfs.h"
#include "azure/props.h"
#include "base/clock.h"
#include "fuzz.h"
#include "mount/inode.h"
#include "mount/xattr.h"

/* Line by line into another text, which is the same when that is done again. */
static void
rebuild(const char *props, struct buf *ret, struct arena *mem)
{
	struct props_line l;
	const char *at = props, *was;

	while (was = at, props_next(&at, &l)) {
		must(at > was && at <= props + strlen(props));
		must(l.value >= was && l.value + l.len <= at);
		props_add(ret, l.letter,
		    l.name != NULL ? arena_strndup(mem, l.name, l.name_len) : NULL, l.value, l.len);
	}
}

static void
change(const char *props, const char *name, const char *value)
{
	auto_buf struct buf changed = BUF_EMPTY, without = BUF_EMPTY;
	const char *got;
	size_t len = 0;

	if (name[0] == '\0' || strpbrk(name, "=\n") != NULL || strchr(value, '\n') != NULL)
		return;
	if (strlen(props) + strlen(name) + strlen(value) > PROPS_MAX)
		return;			/* there is no room for it, perhaps */
	props_change(&changed, props, PROPS_META, name, value, strlen(value));
	got = props_get(buf_str(&changed), PROPS_META, name, &len);
	must(got != NULL && len == strlen(value) && memcmp(got, value, len) == 0);
	props_change(&without, buf_str(&changed), PROPS_META, name, NULL, 0);
	must(props_get(buf_str(&without), PROPS_META, name, &len) == NULL);
}

/* Each name that is listed has a value. */
static void
attributes(const char *props)
{
	auto_buf struct buf names = BUF_EMPTY, value = BUF_EMPTY;
	const struct tree_options o = { .prefix = "", .ttl_ms = 60000 };
	struct tree *t = tree_new(&o);
	struct inode *i = tree_add(t, &t->root, "f", S_IFREG | 0644);
	size_t at;

	tree_set_props(i, "\"etag\"", props);
	xattr_list(t, i, &names);
	for (at = 0; at < names.len; at += strlen(names.data + at) + 1) {
		must(strncmp(names.data + at, "user.", 5) == 0);
		buf_reset(&value);
		must(xattr_get(t, i, names.data + at, &value) == 0);
	}
	tree_free(t);
}

static void
words(const char *permissions, const char *owner, const char *group)
{
	struct store_access a;
	char text[PROPS_MTIME_SIZE];
	long long said = 0;
	int64_t s = 0;

	dfs_read_access(permissions, owner, group, &a);
	must((a.mode & ~07777u) == 0);
	must(!a.has_uid || (str_to_i64(owner, 0, UINT32_MAX - 1, &said) == 0 && a.uid == said));
	if (str_to_i64(owner, 0, INT64_C(253402300799), &said) == 0) {
		props_mtime(said, 123456789, text);
		must(clock_parse_date(text, &s) == 0 && s == said);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf once = BUF_EMPTY, twice = BUF_EMPTY;
	struct input in = { (const char *)data, size };
	struct arena mem = ARENA_EMPTY;
	const char *props = input_part(&in, &mem), *permissions = input_line(&in, &mem);
	const char *owner = input_line(&in, &mem), *group = input_line(&in, &mem);

	rebuild(props, &once, &mem);
	rebuild(buf_str(&once), &twice, &mem);
	must(strcmp(buf_str(&once), buf_str(&twice)) == 0);
	if (once.len < PROPS_MAX) {
		change(buf_str(&once), owner, group);
		attributes(buf_str(&once));
	}
	words(permissions, owner, group);
	arena_done(&mem);
	return (0);
}
