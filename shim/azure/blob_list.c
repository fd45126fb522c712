#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure/blob.h"
#include "azure/dfs.h"
#include "azure/props.h"
#include "base/clock.h"
#include "base/uri.h"
#include "base/xml.h"

#define PAGE_BYTES_MAX	(256 << 20)	/* 5000 names of 4 KiB, percent-encoded, with metadata */
#define STAT_RESULTS	8		/* room for the names between NAME and NAME/ */
#define PROBE_MS	30000
#define TAIL_MAX	4096		/* of a page: room for a marker */
#define SLICE		65536		/* parsed before it is looked whether all has come */

/* ---- a page, parsed ---------------------------------------------------- */

struct entry {
	const char	*name;		/* in the page's arena */
	size_t		 len;
	struct store_attr attr;
};

struct page {
	struct arena	 names;
	struct entry	*entries;
	size_t		 n, size;
	int		 has_self;	/* the prefix "dir/" itself is a blob: a marker */
	int		 is_listing;	/* the root element was there */
	int		 has_bad_length;	/* of a blob: to show it as empty would be a lie */
	struct buf	 next;		/* NextMarker */
};

enum inside { NOTHING, BLOB, BLOB_PREFIX };

struct reader {
	struct page	*page;
	const char	*prefix;
	enum inside	 inside;
	int		 in_metadata;	/* 1 + depth of keys: they may be called anything */
	int		 name_is_encoded;
	int		 with_access, knows_type;
	struct buf	 name, props;
	struct store_attr attr;
	char		 permissions[16], owner[64], group[64];
};

static void
page_reset(struct page *p)
{
	arena_done(&p->names);
	p->n = 0;
	p->has_self = p->is_listing = p->has_bad_length = 0;
	buf_reset(&p->next);
}

static void
page_done(struct page *p)
{
	page_reset(p);
	buf_done(&p->next);
	free(p->entries);
}

static int
attribute_is_true(const char **attributes, const char *name)
{
	for (; *attributes != NULL; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return (strcmp(attributes[1], "true") == 0);
	return (0);
}

static void
begin_entry(struct reader *r, enum inside what)
{
	r->inside = what;
	memset(&r->attr, 0, sizeof(r->attr));
	r->permissions[0] = r->owner[0] = r->group[0] = '\0';
	r->attr.is_dir = what == BLOB_PREFIX;
	buf_reset(&r->name);
	buf_reset(&r->props);
}

static void
on_begin(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;

	if (r->in_metadata > 0) {
		r->in_metadata++;
	} else if (r->inside == NOTHING) {
		if (strcmp(name, "Blob") == 0)
			begin_entry(r, BLOB);
		else if (strcmp(name, "BlobPrefix") == 0)
			begin_entry(r, BLOB_PREFIX);
		else if (strcmp(name, "EnumerationResults") == 0)
			r->page->is_listing = 1;
	} else if (name[0] == 'N' && strcmp(name, "Name") == 0) {
		r->name_is_encoded = attribute_is_true(attributes, "Encoded");
	} else if (name[0] == 'M' && strcmp(name, "Metadata") == 0)
		r->in_metadata = 1;
}

/* Listings give ETags without the quotes that If-Match wants. */
static void
take_etag(struct store_attr *a, const char *text, size_t len)
{
	int bare = text[0] != '"' && strncmp(text, "W/", 2) != 0;

	if (str_format(a->etag, sizeof(a->etag), bare ? "\"%.*s\"" : "%.*s", (int)len, text) != 0)
		a->etag[0] = '\0';
}

/* Only where they were asked for. */
static void
on_access(struct reader *r, const char *name, const char *text)
{
	if (strcmp(name, "Permissions") == 0)
		str_format(r->permissions, sizeof(r->permissions), "%s", text);
	else if (strcmp(name, "Owner") == 0)
		str_format(r->owner, sizeof(r->owner), "%s", text);
	else if (strcmp(name, "Group") == 0)
		str_format(r->group, sizeof(r->group), "%s", text);
}

/* What a file's extended attributes show. */
static void
keep_property(struct reader *r, const char *name, const char *text, size_t len)
{
	char letter = len > 0 ? props_letter(name) : 0;

	if (letter != 0 && (letter != PROPS_TYPE || strcmp(text, PROPS_OCTETS) != 0))
		props_add(&r->props, letter, NULL, text, len);
}

/* The first letter decides: there are twenty properties a blob, and few that count. */
static void
on_property(struct reader *r, const char *name, const char *text, size_t len)
{
	struct store_attr *a = &r->attr;
	long long size;
	int64_t t;

	switch (name[0]) {
	case 'C':
		if (strcmp(name, "Content-Length") != 0)
			keep_property(r, name, text, len);
		else if (str_to_i64(text, 0, HTTP_LENGTH_MAX, &size) == 0)
			a->size = size;
		else
			r->page->has_bad_length |= len > 0;
		break;
	case 'A':
		keep_property(r, name, text, len);
		break;
	case 'L':
		/* Metadata comes behind the properties, and is better informed. */
		if (strcmp(name, "Last-Modified") == 0 && clock_parse_rfc1123(text, &t) == 0)
			a->mtime_unix_s = t;
		break;
	case 'E':
		if (strcasecmp(name, "Etag") == 0)
			take_etag(a, text, len);
		break;
	case 'R':
		if (strcmp(name, "ResourceType") != 0)
			break;
		a->is_dir |= strcmp(text, "directory") == 0;
		r->knows_type |= a->is_dir || strcmp(text, "file") == 0;
		break;
	default:
		if (r->with_access)
			on_access(r, name, text);
		break;
	}
}

/* "dir/" is the directory "dir", except when it is what was asked for. */
static void
add_entry(struct reader *r)
{
	struct page *p = r->page;
	ssize_t n = (ssize_t)r->name.len;
	struct entry *e;

	if (r->name_is_encoded && n > 0)
		n = uri_decode(r->name.data);
	if (n <= 0)
		return;		/* no name, or one that no file can have */
	if (r->name.data[n - 1] == '/') {
		if (r->inside == BLOB && strcmp(r->name.data, r->prefix) == 0) {
			p->has_self = 1;
			return;
		}
		r->attr.is_dir = 1;
		if (--n == 0)
			return;
	}
	if (p->n == p->size) {
		p->size = p->size > 0 ? 2 * p->size : 64;
		p->entries = mem_grow(p->entries, p->size * sizeof(*p->entries));
	}
	if (r->attr.is_dir)
		r->attr.size = 0;
	if (r->with_access)
		dfs_read_access(r->permissions, r->owner, r->group, &r->attr.access);
	e = &p->entries[p->n++];
	e->name = arena_strndup(&p->names, r->name.data, (size_t)n);
	e->len = (size_t)n;
	e->attr = r->attr;
	if (r->inside == BLOB)
		e->attr.props = arena_strndup(&p->names, buf_str(&r->props), r->props.len);
}

/* "2026-11-28T08:17:45.123456789Z" */
static void
take_mtime(struct store_attr *a, const char *text)
{
	const char *dot = strchr(text, '.');
	long ns = 0, unit = 100000000;
	int64_t t;

	if (clock_parse_date(text, &t) != 0)
		return;
	for (; dot != NULL && dot[1] >= '0' && dot[1] <= '9' && unit > 0; dot++, unit /= 10)
		ns += (dot[1] - '0') * unit;
	a->mtime_unix_s = t;
	a->mtime_ns = ns;
}

static void
on_metadata_end(struct reader *r, const char *name, const char *text, size_t len)
{
	int is_true = strcasecmp(text, "true") == 0;

	if (--r->in_metadata != 1)
		return;
	if (strcasecmp(name, "hdi_isfolder") == 0)
		r->attr.is_dir |= is_true;
	else if (strcasecmp(name, PROPS_LINK) == 0)
		r->attr.is_link = is_true;
	else if (strcasecmp(name, PROPS_MTIME) == 0)
		take_mtime(&r->attr, text);
	props_add(&r->props, PROPS_META, name, text, len);
}

static void
on_end(void *arg, const char *name, const char *text, size_t len)
{
	struct reader *r = arg;

	if (r->in_metadata > 0) {
		on_metadata_end(r, name, text, len);
		return;
	}
	if (r->inside == NOTHING) {
		if (strcmp(name, "NextMarker") == 0)
			buf_add(&r->page->next, text, len);
	} else if (name[0] == 'N' && strcmp(name, "Name") == 0) {
		buf_reset(&r->name);
		buf_add(&r->name, text, len);
	} else if (name[0] == 'B' && (strcmp(name, "Blob") == 0 ||
	    strcmp(name, "BlobPrefix") == 0)) {
		add_entry(r);
		r->inside = NOTHING;
	} else
		on_property(r, name, text, len);
}

static const struct xml_handler page_handler = { on_begin, on_end };

/* ---- fetching: bytes arrive on the network thread, are parsed on ours -- */

struct fetch {
	struct blob_op	 op;
	struct buf	 query;
	int		 is_open;	/* submitted and not waited for */
	pthread_mutex_t	 lock;		/* guards the rest; nothing is locked inside */
	pthread_cond_t	 cond;
	struct buf	 arrived;	/* not parsed yet */
	int64_t		 received;
	char		 tail[TAIL_MAX];	/* the end of what was received */
	size_t		 tail_len;
	int		 restarted;	/* a new try began the page anew */
	int		 over, ok;
	struct err	 err;
};

struct listing {
	struct store	*store;
	const char	*prefix;
	int		 delimited, max_results, with_access;
	int64_t		 deadline_ms;
	struct fetch	 fetches[2];
	struct page	 page;
	struct buf	 early;		/* the marker that the next fetch was started with */
};

/* Lock held. */
static void
keep_tail(struct fetch *f, const char *bytes, size_t len)
{
	size_t old = f->tail_len + len > TAIL_MAX ? (len < TAIL_MAX ? TAIL_MAX - len : 0) :
	    f->tail_len;

	if (len > TAIL_MAX) {
		bytes += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	memmove(f->tail, f->tail + f->tail_len - old, old);
	memcpy(f->tail + old, bytes, len);
	f->tail_len = old + len;
}

static int
fetch_sink(struct http_call *call, int64_t offset, const void *bytes, size_t len)
{
	struct fetch *f = ((struct blob_op *)call->arg)->owner;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	if (offset == 0 && f->received > 0) {
		buf_reset(&f->arrived);
		f->received = 0;
		f->tail_len = 0;
		f->restarted = 1;
	}
	f->received += (int64_t)len;
	if (f->received > PAGE_BYTES_MAX)
		rc = -1;
	else {
		buf_add(&f->arrived, bytes, len);
		keep_tail(f, bytes, len);
	}
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->lock);
	return (rc);
}

static void
fetch_over(struct http_call *call, int ok, struct err *err)
{
	struct fetch *f = ((struct blob_op *)call->arg)->owner;

	pthread_mutex_lock(&f->lock);
	f->over = 1;
	f->ok = ok;
	f->err = *err;
	pthread_cond_signal(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

static void
add_parameter(struct buf *q, const char *name, const char *value)
{
	buf_printf(q, "&%s=", name);
	uri_encode(q, value, strlen(value), 0);
}

static void
fetch_start(struct listing *l, struct fetch *f, const char *marker)
{
	blob_op_init(&f->op, l->store, "list", "GET", NULL);
	buf_reset(&f->query);
	buf_adds(&f->query, "restype=container&comp=list&include=metadata");
	if (l->with_access)
		buf_adds(&f->query, "%2Cpermissions");
	if (l->prefix[0] != '\0')
		add_parameter(&f->query, "prefix", l->prefix);
	if (l->delimited)
		add_parameter(&f->query, "delimiter", "/");
	if (l->max_results > 0)
		buf_printf(&f->query, "&maxresults=%d", l->max_results);
	if (marker[0] != '\0')
		add_parameter(&f->query, "marker", marker);
	f->op.query = f->query.data;
	f->op.owner = f;
	f->op.call.sink = fetch_sink;
	f->op.call.done = fetch_over;
	if (l->deadline_ms != 0)
		f->op.call.deadline_ms = l->deadline_ms;
	f->received = 0;
	f->tail_len = 0;
	f->restarted = f->over = f->ok = 0;
	buf_reset(&f->arrived);
	f->is_open = 1;
	http_submit(l->store->http, &f->op.call);
}

/* Takes what has arrived into *ret (swapped).  Returns 0 when no more will come. */
static int
fetch_next(struct fetch *f, struct buf *ret, int *ret_restarted)
{
	struct buf swap;
	int more;

	buf_reset(ret);
	pthread_mutex_lock(&f->lock);
	while (!f->over && f->arrived.len == 0)
		pthread_cond_wait(&f->cond, &f->lock);
	swap = *ret;
	*ret = f->arrived;
	f->arrived = swap;
	*ret_restarted = f->restarted;
	f->restarted = 0;
	more = !f->over || ret->len > 0;
	pthread_mutex_unlock(&f->lock);
	return (more);
}

static int
fetch_failed(struct listing *l, struct fetch *f, struct err *err)
{
	blob_explain(l->store, &f->op.call.response, 0, &f->err);
	if (err != NULL)
		*err = f->err;
	return (-1);
}

static int
ends_with(const char *text, size_t *len, const char *end)
{
	size_t n = strlen(end);

	if (*len < n || memcmp(text + *len - n, end, n) != 0)
		return (0);
	*len -= n;
	return (1);
}

/*
 * The marker is the last thing of a page: once all has come, the next page can be asked for before
 * this one is parsed.  Only where the text cannot mean anything else; the parser has the last word.
 */
static void
start_early(struct listing *l, struct fetch *f)
{
	static const char begin[] = "<NextMarker>";
	struct fetch *next = &l->fetches[f == l->fetches];
	const char *from;
	size_t len;

	if (l->max_results != 0 || l->early.len > 0)
		return;
	pthread_mutex_lock(&f->lock);
	len = f->over && f->ok ? f->tail_len : 0;
	while (len > 0 && strchr(" \r\n\t", f->tail[len - 1]) != NULL)
		len--;
	if (ends_with(f->tail, &len, "</EnumerationResults>") &&
	    ends_with(f->tail, &len, "</NextMarker>") &&
	    (from = memrchr(f->tail, '<', len)) != NULL &&
	    (size_t)(f->tail + len - from) > strlen(begin) &&
	    memcmp(from, begin, strlen(begin)) == 0 &&
	    memchr(from, '&', (size_t)(f->tail + len - from)) == NULL)
		buf_add(&l->early, from + strlen(begin),
		    (size_t)(f->tail + len - from) - strlen(begin));
	pthread_mutex_unlock(&f->lock);
	if (l->early.len > 0)
		fetch_start(l, next, buf_str(&l->early));
}

static int
feed(struct listing *l, struct fetch *f, struct xml *x, const struct buf *chunk, struct err *err)
{
	size_t at, n;

	for (at = 0; at < chunk->len; at += n) {
		n = chunk->len - at < SLICE ? chunk->len - at : SLICE;
		start_early(l, f);
		if (xml_feed(x, chunk->data + at, n, 0, err) != 0)
			return (-1);
	}
	return (0);
}

/* Waits for the page and parses it while it comes. */
static int
fetch_page(struct listing *l, struct fetch *f, struct err *err)
{
	struct reader r = { .page = &l->page, .prefix = l->prefix,
	    .with_access = l->with_access };
	struct xml *x = xml_new(&page_handler, &r);
	struct err parse_err = ERR_EMPTY;
	auto_buf struct buf chunk = BUF_EMPTY;
	int bad = 0, restarted;

	page_reset(&l->page);
	while (fetch_next(f, &chunk, &restarted)) {
		if (restarted) {
			xml_free(x);
			buf_done(&r.name);
			buf_done(&r.props);
			r = (struct reader){ .page = &l->page, .prefix = l->prefix,
			    .with_access = l->with_access };
			x = xml_new(&page_handler, &r);
			page_reset(&l->page);
			bad = 0;
		}
		if (!bad)
			bad = feed(l, f, x, &chunk, &parse_err) != 0;
	}
	f->is_open = 0;
	if (f->ok && !bad)
		bad = xml_feed(x, "", 0, 1, &parse_err) != 0;
	xml_free(x);
	buf_done(&r.name);
	buf_done(&r.props);
	if (!f->ok)
		return (fetch_failed(l, f, err));
	if (r.knows_type)		/* flat accounts have no such property */
		atomic_store(&l->store->namespace, NAMESPACE_HIERARCHICAL);
	if (!bad && (!l->page.is_listing || l->page.has_bad_length))
		bad = err_set(&parse_err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "list",
		    !l->page.is_listing ? "the answer is no listing" :
		    "a blob's length in it is none") != 0;
	if (bad && err != NULL) {
		*err = parse_err;
		err_on(err, "%s/%s", l->store->root, l->store->container);
	}
	return (bad ? -1 : 0);
}

static void
fetch_abandon(struct listing *l, struct fetch *f)
{
	if (!f->is_open)
		return;
	http_cancel(l->store->http, &f->op.call);
	pthread_mutex_lock(&f->lock);
	while (!f->over)
		pthread_cond_wait(&f->cond, &f->lock);
	pthread_mutex_unlock(&f->lock);
	f->is_open = 0;
}

static void
listing_init(struct listing *l, struct store *s, const char *prefix, int delimited,
    int max_results)
{
	size_t i;

	memset(l, 0, sizeof(*l));
	l->store = s;
	l->prefix = prefix;
	l->delimited = delimited;
	l->max_results = max_results;
	l->with_access = s->access && atomic_load(&s->namespace) != NAMESPACE_FLAT;
	for (i = 0; i < LENGTH(l->fetches); i++) {
		pthread_mutex_init(&l->fetches[i].lock, NULL);
		pthread_cond_init(&l->fetches[i].cond, NULL);
	}
}

static void
listing_done(struct listing *l)
{
	size_t i;

	for (i = 0; i < LENGTH(l->fetches); i++) {
		struct fetch *f = &l->fetches[i];

		fetch_abandon(l, f);
		blob_op_done(&f->op);
		buf_done(&f->query);
		buf_done(&f->arrived);
		pthread_cond_destroy(&f->cond);
		pthread_mutex_destroy(&f->lock);
	}
	page_done(&l->page);
	buf_done(&l->early);
}

/* Told of each page; non-zero: stop. */
typedef int page_fn(void *arg, const struct page *);

/* 1: the next page is on its way.  What was begun with another marker is given up. */
static int
is_early(struct listing *l, const struct buf *marker, struct fetch *next)
{
	int right = l->early.len > 0 && l->early.len == marker->len &&
	    memcmp(l->early.data, marker->data, marker->len) == 0;

	if (l->early.len > 0 && !right) {
		fetch_abandon(l, next);
		blob_op_done(&next->op);
	}
	buf_reset(&l->early);
	return (right);
}

/* The next page is on its way while this one is told, if all are wanted anyway. */
static int
follow(struct listing *l, page_fn *fn, void *arg, struct err *err)
{
	auto_buf struct buf marker = BUF_EMPTY;
	int ahead = l->max_results == 0, turn = 0;

	fetch_start(l, &l->fetches[0], "");
	for (;; turn = !turn) {
		struct fetch *next = &l->fetches[!turn];

		if (fetch_page(l, &l->fetches[turn], err) != 0)
			return (-1);
		blob_op_done(&l->fetches[turn].op);
		if (l->page.next.len > 0 && marker.len == l->page.next.len &&
		    memcmp(marker.data, l->page.next.data, marker.len) == 0)
			return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "list",
			    "the listing does not advance"));
		buf_reset(&marker);
		buf_add(&marker, buf_str(&l->page.next), l->page.next.len);
		if (!is_early(l, &marker, next) && ahead && marker.len > 0)
			fetch_start(l, next, marker.data);
		if (fn(arg, &l->page) != 0 || marker.len == 0)
			return (0);
		if (!ahead)
			fetch_start(l, next, marker.data);
	}
}

/*
 * Flat accounts refuse to tell permissions: 400 InvalidQueryParameterValue, before any entry (List
 * Blobs, "include=permissions"; Azure/azure-storage-fuse asks so, too).  Another 400 says nothing
 * of the account.
 */
static int
is_refused_as_flat(const struct listing *l)
{
	const struct http_response *r = &l->fetches[0].op.call.response;

	return (r->status == 400 && strcmp(r->error_code, "InvalidQueryParameterValue") == 0);
}

/* Who asks does not always know what kind it is; then it is known. */
static int
follow_either(struct listing *l, page_fn *fn, void *arg, struct err *err)
{
	struct err e = ERR_EMPTY;
	int knew = atomic_load(&l->store->namespace) != NAMESPACE_UNKNOWN;
	int rc = follow(l, fn, arg, &e);

	if (rc != 0 && l->with_access && !knew && is_refused_as_flat(l)) {
		atomic_store(&l->store->namespace, NAMESPACE_FLAT);
		l->with_access = 0;
		blob_op_done(&l->fetches[0].op);
		rc = follow(l, fn, arg, &e);
	}
	if (rc != 0 && err != NULL)
		*err = e;
	return (rc);
}

/* ---- listing ----------------------------------------------------------- */

struct told {
	store_entry_fn	*fn;
	void		*arg;
};

static int
tell_entries(void *arg, const struct page *p)
{
	const struct told *t = arg;
	size_t i;

	for (i = 0; i < p->n; i++)
		if (t->fn(t->arg, p->entries[i].name, p->entries[i].len,
		    &p->entries[i].attr) != 0)
			return (1);
	return (0);
}

int
blob_list(struct store *s, const char *prefix, int delimited, int max_results,
    store_entry_fn *fn, void *arg, struct err *err)
{
	struct told told = { fn, arg };
	struct listing l;
	int rc;

	listing_init(&l, s, prefix, delimited, max_results);
	rc = follow_either(&l, tell_entries, &told, err);
	listing_done(&l);
	return (rc);
}

/* ---- one name ---------------------------------------------------------- */

struct wanted {
	const char	*name;
	size_t		 len;
	int		 is_file, is_dir;
	int		 is_cut;	/* there are more pages than were looked at */
	struct store_attr file, dir;
};

/*
 * NAME is the first name that begins with NAME, so the first entries tell
 * whether there is such a blob.  NAME/ can be any number of names later.
 */
static int
find_name(void *arg, const struct page *p)
{
	struct wanted *w = arg;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct entry *e = &p->entries[i];

		if (e->len != w->len || memcmp(e->name, w->name, e->len) != 0)
			continue;
		if (!e->attr.is_dir) {
			w->is_file = 1;
			free(w->file.props);
			w->file = e->attr;
			w->file.props = e->attr.props != NULL ? mem_strdup(e->attr.props) : NULL;
		} else {
			/* A marker knows more than a prefix. */
			if (!w->is_dir || e->attr.mtime_unix_s != 0)
				w->dir = e->attr;
			w->dir.props = NULL;
			w->is_dir = 1;
		}
	}
	w->is_cut = p->next.len > 0;
	return (p->n > 0);	/* an empty page can come before the first name */
}

static int
find_anything(void *arg, const struct page *p)
{
	struct wanted *w = arg;

	w->is_dir = w->is_dir || p->n > 0 || p->has_self;
	return (w->is_dir);
}

static int
list_until(struct store *s, const char *prefix, int max_results, page_fn *fn, void *arg,
    struct err *err)
{
	struct listing l;
	int rc;

	listing_init(&l, s, prefix, 1, max_results);
	rc = follow_either(&l, fn, arg, err);
	listing_done(&l);
	return (rc);
}

static int
not_found(struct store *s, const char *name, struct err *err)
{
	struct arena mem = ARENA_EMPTY;

	err_set(err, ERR_NOT_FOUND, REMEDY_CHECK_NAME, "find", "no such blob or directory");
	err_on(err, "%s", blob_url(s, name, NULL, &mem));
	arena_done(&mem);
	return (-1);
}

int
blob_stat(struct store *s, const char *name, int exact, struct store_attr *ret, struct err *err)
{
	struct wanted w = { .name = name, .len = strlen(name) };
	auto_buf struct buf below = BUF_EMPTY;

	if (name[0] == '\0') {
		*ret = (struct store_attr){ .is_dir = 1 };
		return (0);
	}
	if (exact || s->single_blob)
		return (blob_head(s, name, ret, NULL, err));
	if (list_until(s, name, STAT_RESULTS, find_name, &w, err) != 0)
		return (-1);
	if (!w.is_file && !w.is_dir && w.is_cut) {
		buf_printf(&below, "%s/", name);
		if (list_until(s, below.data, 1, find_anything, &w, err) != 0)
			return (-1);
	}
	if (!w.is_dir && !w.is_file)
		return (not_found(s, name, err));
	*ret = w.is_dir ? w.dir : w.file;
	ret->is_dir = w.is_dir;
	if (w.is_dir)
		free(w.file.props);
	return (0);
}

static int
stop_at_once(void *arg, const struct page *p)
{
	(void)arg;
	(void)p;
	return (1);
}

int
blob_probe(struct store *s, const char *prefix, struct err *err)
{
	auto_buf struct buf name = BUF_EMPTY;
	struct store_attr attr;
	struct listing l;
	int rc;

	if (s->single_blob) {
		buf_adds(&name, prefix);
		if (name.len > 0 && name.data[name.len - 1] == '/')
			name.data[--name.len] = '\0';
		return (name.len > 0 ? blob_head(s, name.data, &attr, NULL, err) : 0);
	}
	listing_init(&l, s, prefix, 1, 1);
	l.deadline_ms = clock_ms() + (s->timeout_ms < PROBE_MS ? s->timeout_ms : PROBE_MS);
	rc = follow_either(&l, stop_at_once, NULL, err);
	listing_done(&l);
	return (rc);
}

/*
 * A listing with permissions needs no more than a reader's rights; a flat account refuses it, and
 * one that answers names the type of each entry if it is hierarchical.  Azurite answers, and
 * does not: nothing is known then until there is an entry.
 */
int
blob_find_hns(struct store *s, const char *near)
{
	struct listing l;
	struct err e = ERR_EMPTY;

	if (s->single_blob)
		return (0);
	listing_init(&l, s, near, 0, 1);
	l.with_access = 1;
	if (follow(&l, stop_at_once, NULL, &e) != 0 ? is_refused_as_flat(&l) :
	    l.page.n > 0 && !store_hns(s))
		atomic_store(&s->namespace, NAMESPACE_FLAT);
	listing_done(&l);
	return (store_hns(s));
}
