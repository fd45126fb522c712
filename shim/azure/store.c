#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "azure/backend.h"
#include "base/uri.h"

#define TIMEOUT_MS	(5 * 60 * 1000)

static int
is_single_blob(struct cred *cred)
{
	struct arena mem = ARENA_EMPTY;
	enum wire_cred_kind kind;
	uint64_t generation;
	const char *text, *sr;
	int single;

	cred_current(cred, &kind, &generation, &text, &mem);
	sr = kind == WIRE_CRED_SAS ? uri_query_get(text + strspn(text, "?&"), "sr", &mem) : NULL;
	single = sr != NULL && strcmp(sr, "b") == 0;
	arena_done(&mem);
	return (single);
}

/* The '$' of $root, $web and $logs stays: it is how everybody writes them. */
static char *
encode_container(const char *name)
{
	struct buf b = BUF_EMPTY;
	size_t skip = name[0] == '$';

	buf_add(&b, name, skip);
	uri_encode(&b, name + skip, strlen(name + skip), 0);
	return (b.data);
}

char *
store_dfs_url(const char *base_url)
{
	const char *host = strstr(base_url, "://") + 3, *end = host + strcspn(host, "/");
	const char *blob = strstr(host, ".blob.");
	struct buf b = BUF_EMPTY;

	if (blob == NULL || blob > end)
		return (mem_strdup(base_url));
	buf_add(&b, base_url, (size_t)(blob - base_url));
	buf_printf(&b, ".dfs.%s", blob + strlen(".blob."));
	return (b.data);
}

static int
check_options(const struct store_options *o, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct uri u;
	int ok = uri_parse(&u, o->base_url, &mem) == 0 && u.query[0] == '\0' &&
	    (strcmp(u.scheme, "https") == 0 || strcmp(u.scheme, "http") == 0);

	arena_done(&mem);
	if (!ok)
		return (err_set(err, ERR_USAGE, REMEDY_CHECK_ENDPOINT, "open the store",
		    "the endpoint is no http or https URL"));
	if (o->kind != SPEC_GEN1 && (o->container == NULL || o->container[0] == '\0'))
		return (err_set(err, ERR_USAGE, REMEDY_CHECK_NAME, "open the store",
		    "no container is named"));
	return (0);
}

int
store_is_single(const struct store *s)
{
	return (s->single_blob);
}

void
store_set_timeout(struct store *s, int64_t timeout_ms)
{
	atomic_store(&s->timeout_ms, timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
}

struct store *
store_new(const struct store_options *o, struct err *err)
{
	struct store *s;
	size_t len;

	if (check_options(o, err) != 0)
		return (NULL);
	s = mem_zalloc(sizeof(*s));
	s->backend = o->kind == SPEC_GEN1 ? &gen1_backend : &blob_backend;
	s->root = mem_strdup(o->base_url);
	for (len = strlen(s->root); len > 0 && s->root[len - 1] == '/'; len--)
		s->root[len - 1] = '\0';
	s->dfs_root = store_dfs_url(s->root);
	s->container = o->kind == SPEC_GEN1 ? mem_strdup("") : encode_container(o->container);
	s->account = mem_strdup(o->account != NULL ? o->account : "");
	s->version = o->version != NULL ? mem_strdup(o->version) : NULL;
	s->datastore = o->datastore != NULL ? mem_strdup(o->datastore) : NULL;
	s->identity = o->identity != NULL ? mem_strdup(o->identity) : NULL;
	s->onelake = o->kind == SPEC_ONELAKE;
	s->namespace = o->hns || s->onelake ? NAMESPACE_HIERARCHICAL : NAMESPACE_UNKNOWN;
	s->access = o->access && !s->onelake;	/* it tells "---------" of all */
	s->is_output = o->is_output;
	s->props_of = o->props_of;
	s->props_arg = o->props_arg;
	s->auth = (struct auth){ s->account, o->cred, s->version };
	s->http = o->http;
	store_set_timeout(s, o->timeout_ms);
	s->single_blob = is_single_blob(o->cred);
	return (s);
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	free(s->root);
	free(s->dfs_root);
	free(s->container);
	free(s->account);
	free(s->version);
	free(s->datastore);
	free(s->identity);
	free(s);
}

/* ---- what each service does in its own way ------------------------------ */

int
store_list(struct store *s, const char *prefix, int delimited, int max_results,
    store_entry_fn *fn, void *arg, struct err *err)
{
	return (s->backend->list(s, prefix, delimited, max_results, fn, arg, err));
}

int
store_stat(struct store *s, const char *name, int exact, struct store_attr *ret, struct err *err)
{
	return (s->backend->stat(s, name, exact, ret, err));
}

int
store_probe(struct store *s, const char *prefix, struct err *err)
{
	return (s->backend->probe(s, prefix, err));
}

void
store_read_submit(struct store_read *r)
{
	r->store->backend->read_submit(r);
}

void
store_read_hurry(struct store_read *r)
{
	http_hurry(r->store->http, &r->call);
}

int
store_read(struct store *s, const char *name, const char *etag, int64_t offset, void *buf,
    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *err)
{
	return (s->backend->read(s, name, etag, offset, buf, len, ret_len, ret_attr, err));
}

int
store_upload(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
    struct err *err)
{
	return (s->backend->upload(s, name, fd, size, if_match, ret_etag, progress, arg, err));
}

static int
cannot(const char *what, const char *name, struct err *err)
{
	errno = EOPNOTSUPP;
	return (err_errno(err, what, name));
}

int
store_symlink(struct store *s, const char *name, const char *target,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->symlink == NULL ? cannot("make a link", name, err) :
	    s->backend->symlink(s, name, target, ret_etag, err));
}

int
store_set_props(struct store *s, const char *name, const char *props, int metadata,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->set_props == NULL ? cannot("set the properties of", name, err) :
	    s->backend->set_props(s, name, props, metadata, if_match, ret_etag, err));
}

int
store_delete(struct store *s, const char *name, struct err *err)
{
	return (s->backend->remove(s, name, err));
}

int
store_mkdir(struct store *s, const char *name, struct err *err)
{
	return (s->backend->mkdir(s, name, err));
}

int
store_copy(struct store *s, const char *from, const char *to, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->copy(s, from, to, if_match, ret_etag, err));
}

/* None of the refusals that are about something else. */
int
store_takes_no_blocks(const struct store *s, const struct err *e)
{
	return (store_hns(s) && (e->http_status == 400 || e->http_status == 409) &&
	    e->kind == ERR_PROTOCOL);
}

int
store_hns(const struct store *s)
{
	return (atomic_load(&s->namespace) == NAMESPACE_HIERARCHICAL);
}

int
store_find_hns(struct store *s, const char *near)
{
	if (s->backend->find_hns == NULL || atomic_load(&s->namespace) != NAMESPACE_UNKNOWN)
		return (store_hns(s));
	return (s->backend->find_hns(s, near));
}

int
store_rename(struct store *s, const struct store_rename *r, char ret_etag[HTTP_ETAG_MAX],
    struct err *err)
{
	return (s->backend->rename == NULL ? 1 : s->backend->rename(s, r, ret_etag, err));
}

int
store_get_access(struct store *s, const char *name, struct store_access *ret, struct err *err)
{
	return (s->backend->get_access == NULL ? 1 : s->backend->get_access(s, name, ret, err));
}

int
store_set_access(struct store *s, const char *name, const struct store_access *a,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->set_access == NULL ? 1 :
	    s->backend->set_access(s, name, a, if_match, ret_etag, err));
}

int
store_create_container(struct store *s, struct err *err)
{
	return (s->backend->create_container(s, err));
}

/* ---- blocks ------------------------------------------------------------- */

int
store_has_blocks(const struct store *s)
{
	return (s->backend->put_submit != NULL);
}

void
store_put_submit(struct store_put *p)
{
	p->store->backend->put_submit(p);
}

void
store_put_cancel(struct store_put *p)
{
	p->store->backend->put_cancel(p);
}

int
store_commit(struct store *s, const char *name, const struct store_block *blocks, size_t n,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->commit(s, name, blocks, n, if_match, ret_etag, err));
}

int
store_list_blocks(struct store *s, const char *name, struct arena *mem, struct store_block **ret,
    size_t *ret_n, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	return (s->backend->list_blocks(s, name, mem, ret, ret_n, ret_etag, err));
}
