#include "init/manifest.h"

#include <stdlib.h>
#include <string.h>

#define LINK	"#link "
#define HEX	((size_t)2 * MANIFEST_SUM)

void
manifest_add_line(struct buf *to, const struct manifest_entry *e)
{
	const char *p;
	size_t i;

	if (e->is_link)
		buf_adds(to, LINK);
	if (strpbrk(e->path, "\\\n\r") != NULL)
		buf_addc(to, '\\');
	for (i = 0; i < MANIFEST_SUM; i++)
		buf_printf(to, "%02x", e->sum[i]);
	buf_adds(to, "  ");
	for (p = e->path; *p != '\0'; p++) {
		if (*p == '\\' || *p == '\n' || *p == '\r')
			buf_addc(to, '\\');
		buf_addc(to, (char)(*p == '\n' ? 'n' : *p == '\r' ? 'r' : *p));
	}
	buf_addc(to, '\n');
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

static int
read_sum(const char *text, unsigned char sum[MANIFEST_SUM])
{
	int high, low;
	size_t i;

	for (i = 0; i < MANIFEST_SUM; i++) {
		high = hex_digit(text[2 * i]);
		low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return (-1);
		sum[i] = (unsigned char)(high << 4 | low);
	}
	return (0);
}

/* In place; -1: a '\' before something else. */
static int
unescape(char *path)
{
	char *to = path;

	for (; *path != '\0'; path++) {
		if (*path != '\\') {
			*to++ = *path;
			continue;
		}
		path++;
		if (*path != '\\' && *path != 'n' && *path != 'r')
			return (-1);
		*to++ = (char)(*path == 'n' ? '\n' : *path == 'r' ? '\r' : '\\');
	}
	*to = '\0';
	return (0);
}

static int
is_plain_path(const char *path)
{
	size_t len;

	if (strlen(path) > MANIFEST_PATH_MAX)
		return (0);
	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return (0);
		if (path[len] == '\0')
			return (1);
	}
}

/* One line, without its end; NULL, or what is wrong with it. */
static const char *
read_line(struct manifest_entry *e, const char *line, size_t len, struct arena *mem)
{
	int escaped;
	char *path;

	if (memchr(line, '\0', len) != NULL)
		return ("a NUL byte");
	e->is_link = len > strlen(LINK) && strncmp(line, LINK, strlen(LINK)) == 0;
	if (e->is_link) {
		line += strlen(LINK);
		len -= strlen(LINK);
	}
	escaped = len > 0 && line[0] == '\\';
	line += escaped;
	len -= (size_t)escaped;
	if (len <= HEX + 2 || read_sum(line, e->sum) != 0 || line[HEX] != ' ' ||
	    (line[HEX + 1] != ' ' && line[HEX + 1] != '*'))
		return ("expected 64 hexadecimal digits, two spaces and a path");
	path = arena_strndup(mem, line + HEX + 2, len - HEX - 2);
	if (escaped && unescape(path) != 0)
		return ("expected \\\\, \\n or \\r after a \\");
	if (!is_plain_path(path))
		return ("expected a path below the code's folder");
	e->path = path;
	return (NULL);
}

static int
by_path(const void *a, const void *b)
{
	return (strcmp(((const struct manifest_entry *)a)->path,
	    ((const struct manifest_entry *)b)->path));
}

void
manifest_sort(struct manifest_entry *entries, size_t n)
{
	if (n > 0)
		qsort(entries, n, sizeof(*entries), by_path);
}

struct manifest_entry *
manifest_find(const struct manifest *m, const char *path)
{
	const struct manifest_entry key = { .path = path };

	return (m->n == 0 ? NULL : bsearch(&key, m->entries, m->n, sizeof(key), by_path));
}

static int
refuse(struct err *err, const char *file, size_t line, const char *cause)
{
	err_set(err, ERR_USAGE, REMEDY_CODE_SNAPSHOT, "read the snapshot", "%s", cause);
	return (err_on(err, "%s:%zu", file, line));
}

static int
check_twice(const struct manifest *m, const char *file, struct err *err)
{
	size_t i;

	for (i = 1; i < m->n; i++)
		if (strcmp(m->entries[i - 1].path, m->entries[i].path) == 0) {
			err_set(err, ERR_USAGE, REMEDY_CODE_SNAPSHOT, "read the snapshot",
			    "%s is there twice", m->entries[i].path);
			return (err_on(err, "%s", file));
		}
	return (0);
}

static size_t
count_lines(const char *text, size_t len)
{
	const char *p = text;
	size_t n = 0;

	while ((p = memchr(p, '\n', len - (size_t)(p - text))) != NULL) {
		n++;
		p++;
	}
	return (n);
}

int
manifest_parse(struct manifest *ret, const char *file, const char *text, size_t len,
    struct arena *mem, struct err *err)
{
	size_t lines = count_lines(text, len), line = 1, n;
	struct manifest m = { NULL, 0 };
	const char *end = text + len, *wrong;
	const char *first = len > 0 ? memchr(text, '\n', len) : NULL;

	n = first != NULL ? (size_t)(first - text) : len;
	if (n >= len || n != strlen(MANIFEST_HEADER) || strncmp(text, MANIFEST_HEADER, n) != 0)
		return (refuse(err, file, 1, "expected the line \"" MANIFEST_HEADER "\""));
	if (lines > 2 * MANIFEST_FILES_MAX)
		return (refuse(err, file, lines, "too many lines"));
	m.entries = arena_alloc(mem, (lines + 1) * sizeof(*m.entries));
	for (text += n + 1; text < end; text += n + 1) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));

		line++;
		if (nl == NULL)
			return (refuse(err, file, line, "the last line is cut off"));
		n = (size_t)(nl - text);
		if (n >= 2 && text[0] == '#' && text[1] == ' ')
			continue;
		if (m.n == MANIFEST_FILES_MAX)
			return (refuse(err, file, line, "more than 100000 files"));
		if ((wrong = read_line(&m.entries[m.n], text, n, mem)) != NULL)
			return (refuse(err, file, line, wrong));
		m.n++;
	}
	manifest_sort(m.entries, m.n);
	if (check_twice(&m, file, err) != 0)
		return (-1);
	*ret = m;
	return (0);
}
