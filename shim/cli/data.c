#include "cli/data.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/place.h"

#define CHUNK		((size_t)4 << 20)	/* of cat: what one connection brings in 70 ms */
#define STATUS_PIPE	(128 + SIGPIPE)

/* What a command does with one place. */
typedef int place_fn(struct reach *, const struct options *, struct err *);

static int
write_failed(int why, struct err *err)
{
	errno = why;
	return (err_errno(err, "write", "standard output"));
}

/* ---- ls ---------------------------------------------------------------- */

struct lister {
	const struct options *opt;
	size_t		 skip;		/* of each name: the place */
	int		 for_terminal;
	int		 failed;	/* errno of standard output; 0: none */
};

static void
print_name(const char *name, size_t len, int for_terminal)
{
	size_t n;

	if (!for_terminal) {
		fwrite(name, 1, len, stdout);
		return;
	}
	for (; len > 0; name += n, len -= n)
		if ((n = str_utf8_printable(name, len)) == 0) {
			putchar('?');		/* it must not speak to the terminal */
			n = 1;
		} else
			fwrite(name, 1, n, stdout);
}

static void
print_json(const char *name, size_t len, const struct store_attr *attr, const char *date)
{
	auto_buf struct buf text = BUF_EMPTY, whole = BUF_EMPTY;
	struct json_out o;

	buf_add(&whole, name, len);
	json_out_init(&o, &text, 0);
	json_out_begin(&o, '{');
	json_out_kstring(&o, "name", buf_str(&whole));
	json_out_kstring(&o, "type", attr->is_dir ? "folder" : attr->is_link ? "link" : "file");
	json_out_kint(&o, "size", attr->size);
	json_out_kstring(&o, "modified", date);
	json_out_kstring(&o, "etag", attr->etag[0] != '\0' ? attr->etag : NULL);
	json_out_end(&o, '}');
	puts(buf_str(&text));
}

static void
print_entry(const struct lister *l, const char *name, size_t len, const struct store_attr *attr)
{
	char date[CLOCK_ISO8601_SIZE];

	if (attr->mtime_unix_s != 0)
		clock_format_iso8601(attr->mtime_unix_s, date);
	if (l->opt->json) {
		print_json(name, len, attr, attr->mtime_unix_s != 0 ? date : NULL);
		return;
	}
	if (l->opt->list_long)
		printf("%14lld  %-20s  ", (long long)attr->size,
		    attr->mtime_unix_s != 0 ? date : "-");
	print_name(name, len, l->for_terminal);
	puts(attr->is_dir ? "/" : "");
}

static int
list_one(void *arg, const char *name, size_t len, const struct store_attr *attr)
{
	struct lister *l = arg;

	if (len > l->skip)
		print_entry(l, name + l->skip, len - l->skip, attr);
	l->failed = ferror(stdout) ? errno : 0;
	return (l->failed);
}

static int
list_folder(struct reach *r, struct lister *l, struct err *err)
{
	const char *prefix = r->place->access->prefix;
	auto_buf struct buf below = BUF_EMPTY;

	if (prefix[0] != '\0')
		buf_printf(&below, "%s/", prefix);
	l->skip = below.len;
	return (store_list(r->store, buf_str(&below), !l->opt->recursive, 0, list_one, l, err));
}

static int
list_place(struct reach *r, const struct options *opt, struct err *err)
{
	const struct plan_access *a = r->place->access;
	struct lister l = { .opt = opt, .for_terminal = isatty(STDOUT_FILENO) };
	struct store_attr attr = { .is_dir = 1 };
	const char *slash = strrchr(a->prefix, '/');
	int failed = 0;

	if (opt->argv[1] != NULL && !opt->json)
		printf("%s:\n", r->place->text);
	if (a->prefix[0] != '\0')
		failed = store_stat(r->store, a->prefix, a->is_file, &attr, err);
	if (failed == 0 && attr.is_dir)
		failed = list_folder(r, &l, err);
	else if (failed == 0)
		list_one(&l, slash != NULL ? slash + 1 : a->prefix,
		    strlen(slash != NULL ? slash + 1 : a->prefix), &attr);
	free(attr.props);
	if (failed == 0 && l.failed == 0 && fflush(stdout) != 0)
		l.failed = errno;
	if (failed == 0 && l.failed != 0)
		return (write_failed(l.failed, err));
	return (failed);
}

/* ---- cat --------------------------------------------------------------- */

static int
bad_range(struct err *err, const char *range, const char *why)
{
	err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read a range", "%s", why);
	return (err_on(err, "%s", range));
}

/* "2-5", "2-", "-3" of size bytes; both ends are within. */
static int
parse_range(const char *range, int64_t size, int64_t *ret_first, int64_t *ret_end, struct err *err)
{
	const char *dash = strchr(range, '-');
	long long first = 0, last = size - 1;
	char text[24];

	if (dash == NULL || str_format(text, sizeof(text), "%.*s", (int)(dash - range),
	    range) != 0 || (text[0] == '\0' && dash[1] == '\0') ||
	    (text[0] != '\0' && str_to_i64(text, 0, INT64_MAX - 1, &first) != 0) ||
	    (dash[1] != '\0' && str_to_i64(dash + 1, 0, INT64_MAX - 1, &last) != 0))
		return (bad_range(err, range, "expected FIRST-LAST, FIRST- or -N"));
	if (text[0] == '\0') {
		first = last < size ? size - last : 0;
		last = size - 1;
	} else if (first > last && dash[1] != '\0') {
		return (bad_range(err, range, "its last byte is before its first"));
	} else if (first >= size) {
		return (bad_range(err, range, "it begins behind the end"));
	}
	*ret_first = first;
	*ret_end = last < size ? last + 1 : size;
	return (0);
}

/* All of one version: a file that changes meanwhile is an error, not a mixture. */
static int
copy_out(struct reach *r, const struct store_attr *attr, int64_t first, int64_t end,
    struct err *err)
{
	auto_free char *chunk = mem_alloc(CHUNK);
	size_t len, got;

	for (; first < end; first += (int64_t)got) {
		len = end - first < (int64_t)CHUNK ? (size_t)(end - first) : CHUNK;
		if (reach_renew(r, err) != 0 || store_read(r->store, r->place->access->prefix,
		    attr->etag, first, chunk, len, &got, NULL, err) != 0)
			return (-1);
		if (got == 0)
			return (err_set(err, ERR_CHANGED, REMEDY_RETRY_LATER, "read",
			    "the file became shorter"));
		if (fd_write_all(STDOUT_FILENO, chunk, got) != 0)
			return (write_failed(errno, err));
	}
	return (0);
}

static int
cat_place(struct reach *r, const struct options *opt, struct err *err)
{
	const struct plan_access *a = r->place->access;
	struct store_attr attr = { .is_dir = 1 };
	int64_t first = 0, end;

	if (a->prefix[0] != '\0' &&
	    store_stat(r->store, a->prefix, a->is_file, &attr, err) != 0)
		return (-1);
	free(attr.props);
	if (attr.is_dir) {
		err_set(err, ERR_USAGE, REMEDY_SEE_HELP, "read",
		    "it is a folder: amlshim ls lists it");
		return (err_on(err, "%s", r->place->text));
	}
	end = attr.size;
	if (opt->range != NULL && parse_range(opt->range, attr.size, &first, &end, err) != 0)
		return (-1);
	return (copy_out(r, &attr, first, end, err));
}

/* ---- each place -------------------------------------------------------- */

static int
status_of(const struct err *err)
{
	if (err->sys_errno == EPIPE)
		return (STATUS_PIPE);
	log_err(err);
	return (err_exit_status(err));
}

static int
do_place(const struct place *p, const struct facts *facts, const struct options *opt,
    place_fn *fn)
{
	struct err err = ERR_EMPTY;
	struct reach r;
	int status = 0;

	if (reach_open(&r, p, facts, &err) != 0 || fn(&r, opt, &err) != 0)
		status = status_of(&err);
	reach_close(&r);
	return (status);
}

/* All are decided first: that may fork, and http may not be forked. */
static int
do_places(const struct options *opt, const struct init_inherited *inherited, char **envp,
    const char *name, place_fn *fn)
{
	static struct story story;
	struct err err = ERR_EMPTY;
	struct place *places;
	size_t i, n = 0;
	int status = 0, one;

	log_set_process(name);
	while (opt->argv[n] != NULL)
		n++;
	if (n == 0) {
		err_set(&err, ERR_USAGE, REMEDY_SEE_HELP, name, "no place is named");
		return (status_of(&err));
	}
	if (story_read(&story, opt, envp, &err) != 0)
		return (status_of(&err));
	places = arena_alloc(&story.mem, n * sizeof(*places));
	for (i = 0; i < n; i++)
		if (place_decide(&places[i], &story, opt, opt->argv[i], 0, &err) != 0)
			return (status_of(&err));
	place_take_signals(inherited);
	for (i = 0; i < n && status != STATUS_PIPE; i++) {
		one = do_place(&places[i], &story.facts, opt, fn);
		status = status == 0 ? one : status;
	}
	return (status);
}

int
ls_command(const struct options *opt, const struct init_inherited *inherited, char **envp)
{
	return (do_places(opt, inherited, envp, "ls", list_place));
}

int
cat_command(const struct options *opt, const struct init_inherited *inherited, char **envp)
{
	return (do_places(opt, inherited, envp, "cat", cat_place));
}
