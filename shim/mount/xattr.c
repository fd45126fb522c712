#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "azure/props.h"
#include "base/clock.h"
#include "mount/inflight.h"
#include "mount/staged.h"
#include "mount/xattr.h"

#define META	"user.azure.meta."
#define ETAG	"user.azure.etag"
#define METAS_MAX	24		/* that one request can set */
#define VALUE_MAX	8192		/* of all metadata, the service says */

static const struct { const char *name; char letter; } rows[] = {
	{ "user.mime_type", PROPS_TYPE }, { "user.azure.content_encoding", 'e' },
	{ "user.azure.content_language", 'l' }, { "user.azure.cache_control", 'k' },
	{ "user.azure.content_disposition", 'd' }, { "user.azure.md5", PROPS_MD5 },
	{ "user.azure.tier", PROPS_TIER },
};

struct key {
	char		 letter;	/* 0: none of ours */
	const char	*meta;		/* name of metadata */
};

static struct key
key_of(const char *name)
{
	size_t i;

	if (str_starts(name, META))
		return ((struct key){ PROPS_META, name + strlen(META) });
	for (i = 0; i < LENGTH(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return ((struct key){ rows[i].letter, NULL });
	return ((struct key){ 0, NULL });
}

/* ---- reading ------------------------------------------------------------------------- */

/* Mutex held. */
static int
get(const struct inode *i, const char *name, struct buf *ret)
{
	struct key key = key_of(name);
	const char *value;
	size_t len;

	if (!S_ISREG(i->mode))
		return (ENODATA);
	if (strcmp(name, ETAG) == 0 && inode_etag(i)[0] != '\0') {
		buf_adds(ret, inode_etag(i));
		return (0);
	}
	value = key.letter == 0 ? NULL : props_get(inode_props(i), key.letter, key.meta, &len);
	if (value != NULL)
		buf_add(ret, value, len);
	else if (key.letter == PROPS_TYPE && i->knows_props)
		buf_adds(ret, PROPS_OCTETS);
	else
		return (ENODATA);
	return (0);
}

int
xattr_get(struct tree *t, struct inode *i, const char *name, struct buf *ret)
{
	int failed;

	if (!str_starts(name, "user."))
		return (EOPNOTSUPP);
	pthread_mutex_lock(&t->lock);
	failed = get(i, name, ret);
	pthread_mutex_unlock(&t->lock);
	return (failed);
}

static void
list_line(const struct props_line *l, struct buf *ret)
{
	size_t i;

	if (l->letter == PROPS_META) {
		if (l->name == NULL)
			return;
		buf_adds(ret, META);
		buf_add(ret, l->name, l->name_len);
		buf_addc(ret, '\0');
		return;
	}
	for (i = 0; i < LENGTH(rows); i++)
		if (rows[i].letter == l->letter && l->letter != PROPS_TYPE)
			buf_add(ret, rows[i].name, strlen(rows[i].name) + 1);
}

void
xattr_list(struct tree *t, struct inode *i, struct buf *ret)
{
	struct props_line l;
	const char *at;

	pthread_mutex_lock(&t->lock);
	if (S_ISREG(i->mode)) {
		if (i->knows_props)
			buf_add(ret, rows[0].name, strlen(rows[0].name) + 1);
		if (inode_etag(i)[0] != '\0')
			buf_add(ret, ETAG, sizeof(ETAG));
		for (at = inode_props(i); props_next(&at, &l);)
			list_line(&l, ret);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- setting ------------------------------------------------------------------------- */

static int
refuse(int why, const char *name, struct err *err)
{
	errno = why;
	return (err_errno(err, "set the attribute", name));
}

/* A C# identifier, which is what the service takes ("Naming and referencing ... metadata"). */
static int
is_identifier(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if (!(isalpha((unsigned char)*p) || *p == '_' ||
		    (p > name && isdigit((unsigned char)*p))) || (unsigned char)*p > 0x7e)
			return (0);
	return (p > name);
}

static int
is_header_value(const char *value, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return (0);
	return (len > 0 && value[0] != ' ' && value[len - 1] != ' ');
}

static int
is_reserved(const char *meta)
{
	return (strcasecmp(meta, "hdi_isfolder") == 0 || strcasecmp(meta, PROPS_LINK) == 0 ||
	    strcasecmp(meta, PROPS_MTIME) == 0);
}

static int
check(const char *name, struct key key, const char *value, size_t len, struct err *err)
{
	if (key.letter == 0 && strcmp(name, ETAG) != 0)
		return (refuse(EOPNOTSUPP, name, err));
	if (key.meta != NULL ? is_reserved(key.meta) : !props_is_settable(key.letter))
		return (refuse(EPERM, name, err));
	if (key.meta != NULL && !is_identifier(key.meta))
		return (refuse(EINVAL, name, err));
	if (value != NULL && !is_header_value(value, len))
		return (refuse(EINVAL, name, err));
	return (0);
}

static int
is_too_much(const char *props)
{
	struct props_line l;
	size_t n = 0, bytes = 0;

	while (props_next(&props, &l))
		if (l.letter == PROPS_META) {
			n++;
			bytes += l.name_len + l.len;
		}
	return (n > METAS_MAX || bytes > VALUE_MAX);
}

/* The staged file is busy. */
static int
learn(struct writer *w, struct inode *i, struct err *err)
{
	struct tree *t = w->opt.tree;
	int known;

	if (tree_learn_props(t, i, err) != 0)
		return (-1);
	pthread_mutex_lock(&t->lock);
	known = i->knows_props || i->local;
	pthread_mutex_unlock(&t->lock);
	return (known ? 0 : refuse(ESTALE, NULL, err));
}

struct change {
	const char	*name, *value;
	size_t		 len;
	int		 flags;
	struct key	 key;
};

/* Mutex held: the new text. */
static int
make(const struct inode *i, const struct change *c, struct buf *props, struct err *err)
{
	size_t len;
	int there = props_get(inode_props(i), c->key.letter, c->key.meta, &len) != NULL;

	if (there && (c->flags & XATTR_CREATE) != 0 && !inflight_is_repeat())
		return (refuse(EEXIST, c->name, err));
	if (!there && !inflight_is_repeat() &&
	    ((c->flags & XATTR_REPLACE) != 0 || c->value == NULL))
		return (refuse(ENODATA, c->name, err));
	props_change(props, inode_props(i), c->key.letter, c->key.meta, c->value, c->len);
	return (is_too_much(buf_str(props)) ? refuse(E2BIG, c->name, err) : 0);
}

/* The service has it: the file's version is another, its bytes are the same. */
static void
take(struct writer *w, struct staged *s, struct inode *i, const char *etag, const char *props)
{
	pthread_mutex_lock(&s->lock);
	if (s->is_local)
		str_format(s->etag, sizeof(s->etag), "%s", etag);
	staged_note(w, s);
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_set_props(i, etag, props);
	tree_renote(w->opt.tree, i);
	tree_new_key(w->opt.tree, i);
	i->epoch = ++w->opt.tree->epoch;
	i->valid_until_ms = clock_ms() + w->opt.tree->opt.ttl_ms;
	pthread_mutex_unlock(&w->opt.tree->lock);
}

/* Nothing over there to change yet, or no longer: it goes out with the bytes. */
static int
waits_for_bytes(struct staged *s)
{
	int waits;

	pthread_mutex_lock(&s->lock);
	waits = s->is_local && (staged_is_dirty(s) || s->etag[0] == '\0');
	pthread_mutex_unlock(&s->lock);
	return (waits);
}

static int
change(struct writer *w, struct staged *s, struct inode *i, const struct change *c,
    struct err *err)
{
	char blob[INODE_PATH_MAX], etag[HTTP_ETAG_MAX], new_etag[HTTP_ETAG_MAX];
	auto_buf struct buf props = BUF_EMPTY;
	struct tree *t = w->opt.tree;
	int failed, waits = waits_for_bytes(s);

	pthread_mutex_lock(&t->lock);
	failed = make(i, c, &props, err);
	if (!failed && waits) {
		tree_set_props(i, inode_etag(i), buf_str(&props));
		tree_renote(t, i);
	}
	str_format(etag, sizeof(etag), "%s", inode_etag(i));
	if (!failed && !waits && tree_blob_name(t, i, blob) != 0)
		failed = refuse(ESTALE, c->name, err);
	pthread_mutex_unlock(&t->lock);
	if (failed || waits)
		return (failed);
	inflight_begin();
	if (store_set_props(w->opt.store, blob, buf_str(&props), c->key.meta != NULL, etag,
	    new_etag, err) != 0)
		return (-1);
	take(w, s, i, new_etag, buf_str(&props));
	return (0);
}

/* By an earlier process, which died before it could say so: the ETag is another one now. */
static int
is_done(struct writer *w, struct staged *s, struct inode *i, const struct change *c)
{
	struct store_attr a = { .props = NULL };
	char blob[INODE_PATH_MAX];
	struct err why = ERR_EMPTY;
	const char *value;
	size_t len = 0;
	int gone, done;

	if (!inflight_is_repeat())
		return (0);
	pthread_mutex_lock(&w->opt.tree->lock);
	gone = tree_blob_name(w->opt.tree, i, blob);
	pthread_mutex_unlock(&w->opt.tree->lock);
	if (gone || store_stat(w->opt.store, blob, 0, &a, &why) != 0 || a.props == NULL)
		return (0);
	value = props_get(a.props, c->key.letter, c->key.meta, &len);
	done = value == NULL ? c->value == NULL : c->value != NULL && len == c->len &&
	    memcmp(value, c->value, len) == 0;
	if (done)
		take(w, s, i, a.etag, a.props);
	free(a.props);
	return (done);
}

int
xattr_set(struct writer *w, struct inode *i, const char *name, const char *value, size_t len,
    int flags, struct err *err)
{
	struct change c = { name, value, len, flags, key_of(name) };
	struct staged *s;
	int failed;

	if (!S_ISREG(i->mode))
		return (refuse(EOPNOTSUPP, name, err));
	if (check(name, c.key, value, len, err) != 0)
		return (-1);
	s = staged_of(w, i);
	staged_begin(s);
	failed = !is_done(w, s, i, &c) &&
	    (learn(w, i, err) != 0 || change(w, s, i, &c, err) != 0) ? -1 : 0;
	staged_end(s);
	return (failed);
}
