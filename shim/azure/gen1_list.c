#include <stdlib.h>
#include <string.h>

#include "azure/gen1.h"
#include "base/clock.h"
#include "base/uri.h"

#define PAGE_SIZE	4000		/* the most that the service gives at once */
#define PAGE_BYTES_MAX	(32 << 20)
#define PROBE_MS	30000

/* ---- a page, parsed ---------------------------------------------------- */

static int
bad_page(struct err *err, const char *why)
{
	return (err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "list", "%s", why));
}

/* A name is one segment of a path; that of a file which was listed itself is "". */
static int
is_suffix(const char *name)
{
	return (name != NULL && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0);
}

static int
read_entries(const struct json *list, gen1_entry_fn *fn, void *arg, int64_t *ret_n,
    const char **ret_last, struct err *err)
{
	const struct json *j;
	struct store_attr attr;
	const char *suffix;

	for (j = json_first(list); j != NULL; j = json_next(j)) {
		suffix = json_string(json_get(j, "pathSuffix"));
		if (!is_suffix(suffix) || gen1_read_attr(j, &attr) != 0)
			return (bad_page(err, "an entry is no FileStatus"));
		++*ret_n;
		*ret_last = suffix;
		if (suffix[0] != '\0' && fn(arg, suffix, &attr) != 0)
			return (1);
	}
	return (0);
}

/* Without a token (older versions, other servers) a page that is full is not the last. */
static int
find_next(const struct json *statuses, int64_t n, int64_t asked, const char *last,
    struct buf *next, int *ret_more, struct err *err)
{
	const char *token = json_string(json_get(statuses, "continuationToken"));
	auto_buf struct buf after = BUF_EMPTY;

	buf_adds(&after, token != NULL ? token : n >= asked ? last : "");
	if (after.len > 0 && next->len == after.len &&
	    memcmp(next->data, after.data, after.len) == 0)
		return (bad_page(err, "the listing does not advance"));
	*ret_more = after.len > 0;
	buf_reset(next);
	buf_add(next, buf_str(&after), after.len);
	return (0);
}

int
gen1_read_page(const char *text, size_t len, int64_t asked, gen1_entry_fn *fn, void *arg,
    struct buf *next, int *ret_more, struct err *err)
{
	struct json *root = json_parse(text, len);
	const struct json *statuses = json_get(root, "FileStatuses");
	const struct json *list = json_get(statuses, "FileStatus");
	const char *last = "";
	int64_t n = 0;
	int rc;

	if (list == NULL || json_type(list) != JSON_ARRAY)
		rc = bad_page(err, "the answer is no listing");
	else if ((rc = read_entries(list, fn, arg, &n, &last, err)) == 0)
		rc = find_next(statuses, n, asked, last, next, ret_more, err);
	json_free(root);
	return (rc);
}

/* ---- directories ------------------------------------------------------- */

struct walk {
	struct store	*store;
	int		 delimited, page_size;
	int64_t		 deadline_ms;		/* 0: each page has its own */
	store_entry_fn	*fn;
	void		*arg;
	const char	*dir;			/* that is being listed */
	struct buf	 pending;		/* NUL-terminated: yet to be listed */
	struct buf	 name;
};

static int
on_entry(void *arg, const char *suffix, const struct store_attr *attr)
{
	struct walk *w = arg;

	buf_reset(&w->name);
	buf_printf(&w->name, "%s%s%s", w->dir, w->dir[0] != '\0' ? "/" : "", suffix);
	if (attr->is_dir && !w->delimited)
		buf_add(&w->pending, w->name.data, w->name.len + 1);
	return (w->fn(w->arg, w->name.data, w->name.len, attr));
}

static int
list_page(struct walk *w, struct buf *after, int *ret_more, struct err *err)
{
	auto_buf struct buf query = BUF_EMPTY;
	struct gen1_op op;
	int rc;

	buf_printf(&query, "&listSize=%d", w->page_size);
	if (after->len > 0)
		uri_add_field(&query, "listAfter", after->data);
	gen1_op_init(&op, w->store, "list", "GET", "LISTSTATUS", w->dir);
	op.query = query.data;
	op.call.body_max = PAGE_BYTES_MAX;
	if (w->deadline_ms != 0)
		op.call.deadline_ms = w->deadline_ms;
	rc = gen1_op_run(&op, err);
	if (rc == 0)
		rc = gen1_read_page(buf_str(&op.call.response.error_body),
		    op.call.response.error_body.len, w->page_size, on_entry, w, after, ret_more,
		    err);
	if (rc < 0)
		gen1_failed_on(w->store, w->dir, err);
	gen1_op_done(&op);
	return (rc);
}

/* A directory that is not there is an empty one, as a prefix is. */
static int
list_dir(struct walk *w, struct err *err)
{
	auto_buf struct buf after = BUF_EMPTY;
	struct err e = ERR_EMPTY;
	int more = 0, rc;

	do
		rc = list_page(w, &after, &more, &e);
	while (rc == 0 && more);
	if (rc < 0 && e.kind == ERR_NOT_FOUND && after.len == 0)
		return (0);
	if (rc < 0 && err != NULL)
		*err = e;
	return (rc);
}

static int
walk(struct walk *w, const char *prefix, struct err *err)
{
	size_t len = strlen(prefix), at = 0;
	auto_free char *dir = NULL;
	int rc;

	if (len > 0 && prefix[len - 1] == '/')
		len--;
	buf_add(&w->pending, prefix, len);
	buf_addc(&w->pending, '\0');
	do {
		free(dir);
		w->dir = dir = mem_strdup(w->pending.data + at);	/* pending can move */
		at += strlen(dir) + 1;
		rc = list_dir(w, err);
	} while (rc == 0 && at < w->pending.len);
	buf_done(&w->pending);
	buf_done(&w->name);
	return (rc < 0 ? -1 : 0);
}

int
gen1_list(struct store *s, const char *prefix, int delimited, int max_results,
    store_entry_fn *fn, void *arg, struct err *err)
{
	struct walk w = { .store = s, .delimited = delimited, .fn = fn, .arg = arg,
	    .page_size = max_results > 0 && max_results < PAGE_SIZE ? max_results : PAGE_SIZE };

	return (walk(&w, prefix, err));
}

static int
stop_at_once(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	(void)arg;
	(void)name;
	(void)len;
	(void)attr;
	return (1);
}

int
gen1_probe(struct store *s, const char *prefix, struct err *err)
{
	struct walk w = { .store = s, .delimited = 1, .fn = stop_at_once, .page_size = 1,
	    .deadline_ms = clock_ms() + (s->timeout_ms < PROBE_MS ? s->timeout_ms : PROBE_MS) };

	return (walk(&w, prefix, err));
}
