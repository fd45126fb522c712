#ifndef TESTS_UNIT_FAKESTORE_H
#define TESTS_UNIT_FAKESTORE_H

/*
 * fakestore -- azure/store.h inside the test: blobs in memory, one "network" thread.
 *
 * Include it in one file of a test: its functions take the place of the library's
 * when the test is linked.  fake.hold keeps reads back (release: fake_release), the
 * fail_ counters make the next so many calls fail with fake.error, and each call
 * is counted.  Blocks are as strict as the service's: a list that names what is not
 * there is refused, what it does not name is gone, and ids have one length.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "azure/store.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define FAKE_PIECE	16384		/* bytes a call of sink */

struct fake_block {
	char	 id[STORE_BLOCK_ID_SIZE];
	char	*data;
	int64_t	 size;
	int	 is_committed;
};

struct fake_blob {
	struct fake_blob *next;
	struct fake_block *blocks;	/* committed ones in order, then uncommitted ones */
	size_t	 nblocks;
	int	 is_uncommitted;	/* it has nothing but blocks: not there yet */
	char	*name;
	char	*data;
	int64_t	 size;
	int64_t	 version;		/* its ETag */
	int	 is_dir;
};

static struct {
	pthread_mutex_t	 lock;		/* guards the rest */
	pthread_cond_t	 changed;
	struct fake_blob *blobs;	/* by name */
	int64_t		 versions;
	struct store_read *queue[512];
	size_t		 nqueue;
	int		 hold;		/* reads stay in the queue */
	int64_t		 hold_after;	/* >= 0: a read being answered stops there */
	struct store_put *puts[64];
	size_t		 nputs;
	int		 hold_puts;	/* they stay in the queue */
	int		 puts_done, commits, block_lists, fail_puts, fail_commits;
	int64_t		 put_bytes;
	void		(*on_commit)(void);	/* before it */
	void		(*on_copy)(void);	/* after it, while it is not answered */
	int		 hurries;
	int		 lists, stats, reads, uploads, deletes, mkdirs, copies;
	int		 hns;		/* renames are one step */
	int		 renames, accesses;
	struct store_access last_access;	/* that was set */
	struct store_rename last_rename;	/* without its names */
	int64_t		 read_bytes;
	int		 fail_lists, fail_reads, fail_uploads, fail_deletes, fail_copies;
	int		 fail_renames, fail_stats;
	const char	*stray;		/* a name that each listing has; NULL: none */
	int		 kill_in;	/* store_reads until the process kills itself; 0: no */
	int		 cut_reads;	/* the next so many say "all", after half */
	struct err	 error;
	int		 delay_ms;	/* of lists, stats, uploads */
	char		 last_props[256];	/* that were set */
	const char	*stat_props;	/* of files, as store_stat() tells them; NULL: not */
	char		 last_if_match[HTTP_ETAG_MAX];	/* of the last upload; "" none */
	void		(*on_upload)(const char *name, const char *data, int64_t size);
	pthread_t	 thread;
	int		 running;
} fake = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER,
    .hold_after = -1 };

static inline void
fake_etag(const struct fake_blob *b, char etag[HTTP_ETAG_MAX])
{
	str_format(etag, HTTP_ETAG_MAX, "\"0x%llX\"", (unsigned long long)b->version);
}

/* Lock held. */
static inline struct fake_blob *
fake_find(const char *name)
{
	struct fake_blob *b;

	for (b = fake.blobs; b != NULL; b = b->next)
		if (strcmp(b->name, name) == 0)
			return (b->is_uncommitted ? NULL : b);
	return (NULL);
}

static inline void
fake_drop_blocks(struct fake_blob *b)
{
	size_t i;

	for (i = 0; i < b->nblocks; i++)
		free(b->blocks[i].data);
	free(b->blocks);
	b->blocks = NULL;
	b->nblocks = 0;
}

/* Lock held.  The blob, or the place for one. */
static inline struct fake_blob *
fake_place(const char *name)
{
	struct fake_blob *b, **p = &fake.blobs;

	while (*p != NULL && strcmp((*p)->name, name) < 0)
		p = &(*p)->next;
	if (*p != NULL && strcmp((*p)->name, name) == 0)
		return (*p);
	b = mem_zalloc(sizeof(*b));
	b->name = mem_strdup(name);
	b->next = *p;
	b->is_uncommitted = 1;
	*p = b;
	return (b);
}

/* Lock held. */
static inline struct fake_blob *
fake_store(const char *name, const void *data, int64_t size, int is_dir)
{
	struct fake_blob *b = fake_place(name);

	fake_drop_blocks(b);
	b->is_uncommitted = 0;
	free(b->data);
	b->data = mem_alloc((size_t)size);
	if (size > 0)
		memcpy(b->data, data, (size_t)size);
	b->size = size;
	b->is_dir = is_dir;
	b->version = ++fake.versions;
	return (b);
}

static inline void
fake_put(const char *name, const void *data, int64_t size)
{
	pthread_mutex_lock(&fake.lock);
	fake_store(name, data, size, 0);
	pthread_mutex_unlock(&fake.lock);
}

static inline void
fake_put_text(const char *name, const char *text)
{
	fake_put(name, text, (int64_t)strlen(text));
}

/* Lock held. */
static inline int
fake_remove(const char *name)
{
	struct fake_blob **p, *b;

	for (p = &fake.blobs; (b = *p) != NULL; p = &b->next)
		if (strcmp(b->name, name) == 0) {
			*p = b->next;
			fake_drop_blocks(b);
			free(b->name);
			free(b->data);
			free(b);
			return (1);
		}
	return (0);
}

static inline void
fake_delete(const char *name)
{
	pthread_mutex_lock(&fake.lock);
	fake_remove(name);
	pthread_mutex_unlock(&fake.lock);
}

/* The blob's text is this. */
static inline int
fake_is(const char *name, const char *text)
{
	struct fake_blob *b;
	int is;

	pthread_mutex_lock(&fake.lock);
	b = fake_find(name);
	is = b != NULL && b->size == (int64_t)strlen(text) &&
	    memcmp(b->data, text, strlen(text)) == 0;
	pthread_mutex_unlock(&fake.lock);
	return (is);
}

static inline int
fake_exists(const char *name)
{
	int exists;

	pthread_mutex_lock(&fake.lock);
	exists = fake_find(name) != NULL;
	pthread_mutex_unlock(&fake.lock);
	return (exists);
}

/* A file of size bytes whose byte at i is fake_byte(i). */
static inline unsigned char
fake_byte(int64_t i)
{
	uint64_t x = (uint64_t)(i / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return ((unsigned char)(x >> (i % 8 * 8)));
}

static inline void
fake_put_pattern(const char *name, int64_t size)
{
	unsigned char *data = mem_alloc((size_t)size);
	int64_t i;

	for (i = 0; i < size; i++)
		data[i] = fake_byte(i);
	fake_put(name, data, size);
	free(data);
}

/* One field or counter, safely. */
#define fake_get(field)	__extension__ ({				\
	__typeof__(fake.field) fake_value;				\
	pthread_mutex_lock(&fake.lock);					\
	fake_value = fake.field;					\
	pthread_mutex_unlock(&fake.lock);				\
	fake_value;							\
})
#define fake_set(field, value)	do {					\
	pthread_mutex_lock(&fake.lock);					\
	fake.field = (value);						\
	pthread_cond_broadcast(&fake.changed);				\
	pthread_mutex_unlock(&fake.lock);				\
} while (0)

static inline void
fake_fail_with(enum err_kind kind, int http_status, int sys_errno)
{
	pthread_mutex_lock(&fake.lock);
	fake.error = (struct err){ .kind = kind, .http_status = http_status,
	    .sys_errno = sys_errno, .op = "read blob", .cause = "fake" };
	pthread_mutex_unlock(&fake.lock);
}

static inline int
fake_refuse(struct err *err, enum err_kind kind, int status, const char *name)
{
	*err = (struct err){ .kind = kind, .http_status = status, .op = "ask" };
	return (err_on(err, "%s", name));
}

/* Lock held: this call has to fail. */
static inline int
fake_fails(int *counter, struct err *err)
{
	if (*counter == 0)
		return (0);
	(*counter)--;
	if (err != NULL)
		*err = fake.error;
	return (1);
}

/* ---- the network thread -------------------------------------------------------------- */

/* Lock held, given up for the callbacks. */
static inline void
fake_answer(struct store_read *r)
{
	char etag[HTTP_ETAG_MAX], *copy;
	struct err err = ERR_EMPTY;
	struct fake_blob *b = fake_find(r->name);
	int failed = fake_fails(&fake.fail_reads, &err), cut;
	size_t at, n, len = r->len;

	if (!failed && b == NULL)
		failed = fake_refuse(&err, ERR_NOT_FOUND, 404, r->name);
	if (!failed) {
		fake_etag(b, etag);
		if (r->etag[0] != '\0' && strcmp(etag, r->etag) != 0)
			failed = fake_refuse(&err, ERR_CHANGED, 412, r->name);
		else if (r->offset + (int64_t)len > b->size)
			failed = fake_refuse(&err, ERR_CHANGED, 416, r->name);
	}
	copy = mem_alloc(len);
	if (!failed)
		memcpy(copy, b->data + r->offset, len);
	fake.read_bytes += failed ? 0 : (int64_t)len;
	cut = !failed && fake.cut_reads > 0;
	fake.cut_reads -= cut;
	if (cut)
		len /= 2;
	for (at = 0; !failed && at < len; at += n) {
		while (fake.hold_after >= 0 && (int64_t)at >= fake.hold_after && fake.running)
			pthread_cond_wait(&fake.changed, &fake.lock);
		n = len - at < FAKE_PIECE ? len - at : FAKE_PIECE;
		pthread_mutex_unlock(&fake.lock);
		failed = r->sink(r, at, copy + at, n);
		pthread_mutex_lock(&fake.lock);
		if (failed)
			fake_refuse(&err, ERR_PROTOCOL, 0, r->name);
	}
	pthread_mutex_unlock(&fake.lock);
	free(copy);
	r->done(r, failed ? &err : NULL);
	pthread_mutex_lock(&fake.lock);
}

/* Lock held. */
static inline int
fake_put_block(struct store_put *p, char *data, struct err *err)
{
	struct fake_blob *b = fake_place(p->name);
	struct fake_block *k = NULL;
	size_t i;

	if (b->nblocks > 0 && strlen(b->blocks[0].id) != strlen(p->id)) {
		p->length_differs = 1;
		return (fake_refuse(err, ERR_PROTOCOL, 400, p->name));
	}
	for (i = 0; i < b->nblocks; i++)
		if (!b->blocks[i].is_committed && strcmp(b->blocks[i].id, p->id) == 0)
			k = &b->blocks[i];
	if (k == NULL) {
		b->blocks = mem_grow(b->blocks, (b->nblocks + 1) * sizeof(*b->blocks));
		k = &b->blocks[b->nblocks++];
		memset(k, 0, sizeof(*k));
	}
	free(k->data);
	str_format(k->id, sizeof(k->id), "%s", p->id);
	k->data = data;
	k->size = (int64_t)p->len;
	return (0);
}

/* Lock held, given up for the callback. */
static inline void
fake_answer_put(struct store_put *p)
{
	char *data = mem_alloc(p->len);
	struct err err = ERR_EMPTY;
	int failed = 0;

	if (fd_pread_full(p->fd, data, p->len, p->offset) != (ssize_t)p->len)
		failed = fake_refuse(&err, ERR_CHANGED, 0, p->name);
	if (!failed)
		failed = fake_fails(&fake.fail_puts, &err) || fake_put_block(p, data, &err) != 0;
	if (failed)
		free(data);
	else
		fake.put_bytes += (int64_t)p->len;
	fake.puts_done++;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
	p->done(p, failed ? &err : NULL);
	pthread_mutex_lock(&fake.lock);
}

static inline void *
fake_main(void *arg)
{
	struct store_read *r;
	struct store_put *p;

	pthread_mutex_lock(&fake.lock);
	while (fake.running || fake.nqueue > 0 || fake.nputs > 0) {
		if (fake.nputs > 0 && (!fake.hold_puts || !fake.running)) {
			p = fake.puts[0];
			memmove(fake.puts, fake.puts + 1, --fake.nputs * sizeof(p));
			fake_answer_put(p);
			continue;
		}
		if (fake.nqueue == 0 || (fake.hold && fake.running)) {
			pthread_cond_wait(&fake.changed, &fake.lock);
			continue;
		}
		r = fake.queue[0];
		memmove(fake.queue, fake.queue + 1, --fake.nqueue * sizeof(struct store_read *));
		fake_answer(r);
	}
	pthread_mutex_unlock(&fake.lock);
	return (arg);
}

static inline void
fake_begin(void)
{
	fake.running = 1;
	if (pthread_create(&fake.thread, NULL, fake_main, NULL) != 0)
		abort();
}

/* Forget all blobs and counters; the thread goes on. */
static inline void
fake_reset(void)
{
	pthread_mutex_lock(&fake.lock);
	while (fake.blobs != NULL)
		fake_remove(fake.blobs->name);
	fake.hold = 0;
	fake.hold_after = -1;
	fake.lists = fake.stats = fake.reads = fake.uploads = fake.deletes = 0;
	fake.hurries = fake.mkdirs = fake.copies = fake.delay_ms = fake.cut_reads = 0;
	fake.renames = fake.accesses = fake.hns = fake.fail_renames = 0;
	fake.fail_lists = fake.fail_reads = fake.fail_uploads = 0;
	fake.fail_deletes = fake.fail_copies = fake.fail_puts = fake.fail_commits = 0;
	fake.hold_puts = fake.puts_done = fake.commits = fake.block_lists = 0;
	fake.put_bytes = 0;
	fake.on_commit = NULL;
	fake.on_copy = NULL;
	fake.read_bytes = fake.versions = 0;
	fake.kill_in = 0;
	fake.stray = NULL;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

static inline void
fake_end(void)
{
	fake_reset();
	fake_set(running, 0);
	pthread_join(fake.thread, NULL);
}

/* ---- azure/store.h ------------------------------------------------------------------- */

static inline void
fake_pause(void)
{
	int ms = fake_get(delay_ms);

	if (ms > 0)
		clock_sleep_ms(ms);
}

struct store *
store_new(const struct store_options *o, struct err *err)
{
	static char anything;

	(void)o;
	(void)err;
	return ((struct store *)(void *)&anything);
}

void
store_free(struct store *s)
{
	(void)s;
}

void
store_set_timeout(struct store *s, int64_t timeout_ms)
{
	(void)s;
	(void)timeout_ms;
}

static inline void
fake_attr(const struct fake_blob *b, struct store_attr *a)
{
	memset(a, 0, sizeof(*a));
	a->size = b->size;
	a->mtime_unix_s = 1700000000 + b->version;
	a->is_dir = b->is_dir;
	fake_etag(b, a->etag);
}

struct fake_name {
	char	name[1300];
	struct store_attr attr;
};

/* A copy of what is below the prefix, so that the callback may do what it likes. */
static inline struct fake_name *
fake_collect(const char *prefix, int delimited, size_t *ret_n)
{
	struct fake_name *list = NULL;
	struct fake_blob *b;
	const char *slash;
	size_t n = 0, size = 0, len;

	for (b = fake.blobs; b != NULL; b = b->next) {
		if (b->is_uncommitted || !str_starts(b->name, prefix) ||
		    strcmp(b->name, prefix) == 0)
			continue;
		slash = delimited ? strchr(b->name + strlen(prefix), '/') : NULL;
		len = slash != NULL ? (size_t)(slash - b->name) : strlen(b->name);
		if (slash != NULL && n > 0 && list[n - 1].attr.size < 0 &&
		    strlen(list[n - 1].name) == len &&
		    strncmp(list[n - 1].name, b->name, len) == 0)
			continue;	/* the same prefix again */
		if (n == size) {
			size = size > 0 ? size * 2 : 256;
			list = mem_grow(list, size * sizeof(*list));
		}
		str_format(list[n].name, sizeof(list[n].name), "%.*s", (int)len, b->name);
		fake_attr(b, &list[n].attr);
		if (slash != NULL)
			list[n].attr = (struct store_attr){ .is_dir = 1, .size = -1 };
		n++;
	}
	*ret_n = n;
	return (list);
}

int
store_list(struct store *s, const char *prefix, int delimited, int max_results,
    store_entry_fn *fn, void *arg, struct err *err)
{
	struct fake_name *list;
	size_t n, i;
	int failed;

	(void)s;
	(void)max_results;
	fake_pause();
	pthread_mutex_lock(&fake.lock);
	fake.lists++;
	failed = fake_fails(&fake.fail_lists, err);
	list = failed ? NULL : fake_collect(prefix, delimited, &n);
	pthread_mutex_unlock(&fake.lock);
	if (failed)
		return (-1);
	if (fake.stray != NULL)
		fn(arg, fake.stray, strlen(fake.stray), &(struct store_attr){ .size = 1 });
	for (i = 0; i < n; i++) {
		if (list[i].attr.size < 0)
			list[i].attr.size = 0;
		if (fn(arg, list[i].name, strlen(list[i].name), &list[i].attr) != 0)
			break;
	}
	free(list);
	return (0);
}

int
store_stat(struct store *s, const char *name, int exact, struct store_attr *ret, struct err *err)
{
	struct fake_blob *b;
	int found = 0, failed;
	size_t len = strlen(name);

	(void)s;
	fake_pause();
	pthread_mutex_lock(&fake.lock);
	fake.stats++;
	failed = fake_fails(&fake.fail_stats, err);
	for (b = fake.blobs; b != NULL && !found; b = b->next) {
		if (b->is_uncommitted)
			continue;
		if (strcmp(b->name, name) == 0) {
			fake_attr(b, ret);
			if (fake.stat_props != NULL)
				ret->props = mem_strdup(fake.stat_props);
			found = 1;
		} else if (!exact && str_starts(b->name, name) && b->name[len] == '/') {
			*ret = (struct store_attr){ .is_dir = 1 };
			found = 1;
		}
	}
	pthread_mutex_unlock(&fake.lock);
	return (failed ? -1 : found ? 0 : fake_refuse(err, ERR_NOT_FOUND, 404, name));
}

int
store_probe(struct store *s, const char *prefix, struct err *err)
{
	(void)s;
	(void)prefix;
	(void)err;
	return (0);
}

void
store_read_submit(struct store_read *r)
{
	pthread_mutex_lock(&fake.lock);
	if (fake.nqueue == LENGTH(fake.queue))
		abort();
	fake.reads++;
	fake.queue[fake.nqueue++] = r;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

void
store_read_hurry(struct store_read *r)
{
	(void)r;
	pthread_mutex_lock(&fake.lock);
	fake.hurries++;
	pthread_mutex_unlock(&fake.lock);
}

int
store_read(struct store *s, const char *name, const char *etag, int64_t offset, void *buf,
    size_t len, size_t *ret_len, struct store_attr *ret_attr, struct err *err)
{
	char have[HTTP_ETAG_MAX];
	struct fake_blob *b;
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	fake.reads++;
	if (fake.kill_in > 0 && --fake.kill_in == 0)
		raise(SIGKILL);
	failed = fake_fails(&fake.fail_reads, err);
	b = fake_find(name);
	if (!failed && b == NULL)
		failed = fake_refuse(err, ERR_NOT_FOUND, 404, name);
	if (!failed) {
		fake_etag(b, have);
		if (etag != NULL && etag[0] != '\0' && strcmp(etag, have) != 0)
			failed = fake_refuse(err, ERR_CHANGED, 412, name);
	}
	if (!failed) {
		*ret_len = offset >= b->size ? 0 : (size_t)(b->size - offset) < len ?
		    (size_t)(b->size - offset) : len;
		memcpy(buf, b->data + offset, *ret_len);
		if (ret_attr != NULL)
			fake_attr(b, ret_attr);
	}
	pthread_mutex_unlock(&fake.lock);
	return (failed ? -1 : 0);
}

/* Lock held. */
static inline int
fake_check(const char *name, const char *if_match, struct err *err)
{
	struct fake_blob *b = fake_find(name);
	char etag[HTTP_ETAG_MAX];

	str_format(fake.last_if_match, sizeof(fake.last_if_match), "%s",
	    if_match != NULL ? if_match : "");
	if (if_match == NULL)
		return (0);
	if (strcmp(if_match, "*") == 0)
		return (b == NULL ? 0 : fake_refuse(err, ERR_CHANGED, 409, name));
	if (b == NULL)
		return (fake_refuse(err, ERR_CHANGED, 412, name));
	fake_etag(b, etag);
	return (strcmp(etag, if_match) == 0 ? 0 : fake_refuse(err, ERR_CHANGED, 412, name));
}

int
store_upload(struct store *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], void (*progress)(void *, int64_t), void *arg,
    struct err *err)
{
	char *data = mem_alloc((size_t)size);
	int failed = 0;

	(void)s;
	fake_pause();
	if (fd_pread_full(fd, data, (size_t)size, 0) != (ssize_t)size)
		failed = fake_refuse(err, ERR_CHANGED, 0, name);
	pthread_mutex_lock(&fake.lock);
	fake.uploads++;
	if (!failed)
		failed = fake_fails(&fake.fail_uploads, err) ||
		    fake_check(name, if_match, err) != 0;
	if (!failed && ret_etag != NULL)
		fake_etag(fake_store(name, data, size, 0), ret_etag);
	else if (!failed)
		fake_store(name, data, size, 0);
	if (!failed && fake.on_upload != NULL)
		fake.on_upload(name, data, size);
	pthread_mutex_unlock(&fake.lock);
	free(data);
	if (!failed && progress != NULL)
		progress(arg, size);
	return (failed ? -1 : 0);
}

int
store_symlink(struct store *s, const char *name, const char *target,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	fake.uploads++;
	failed = fake_check(name, "*", err);
	if (!failed)
		fake_etag(fake_store(name, target, (int64_t)strlen(target), 0), ret_etag);
	pthread_mutex_unlock(&fake.lock);
	return (failed);
}

int
store_set_props(struct store *s, const char *name, const char *props, int metadata,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct fake_blob *b;
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	failed = fake_check(name, if_match, err);
	b = fake_find(name);
	if (!failed && b != NULL) {
		b->version = ++fake.versions;
		fake_etag(b, ret_etag);
		str_format(fake.last_props, sizeof(fake.last_props), "%s%s",
		    metadata ? "metadata " : "headers ", props);
	}
	pthread_mutex_unlock(&fake.lock);
	return (failed);
}

int
store_delete(struct store *s, const char *name, struct err *err)
{
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	fake.deletes++;
	failed = fake_fails(&fake.fail_deletes, err);
	if (!failed)
		fake_remove(name);
	pthread_mutex_unlock(&fake.lock);
	return (failed ? -1 : 0);
}

int
store_mkdir(struct store *s, const char *name, struct err *err)
{
	(void)s;
	(void)err;
	pthread_mutex_lock(&fake.lock);
	fake.mkdirs++;
	fake_store(name, "", 0, 1);
	pthread_mutex_unlock(&fake.lock);
	return (0);
}

/* Lock held.  Committed blocks are copied with their ids. */
static inline struct fake_blob *
fake_copy(const char *to, const struct fake_blob *from)
{
	struct fake_blob *b = fake_store(to, from->data, from->size, from->is_dir);
	size_t i;

	b->blocks = mem_alloc((from->nblocks + 1) * sizeof(*b->blocks));
	for (i = 0; i < from->nblocks && from->blocks[i].is_committed; i++) {
		b->blocks[i] = from->blocks[i];
		b->blocks[i].data = mem_alloc((size_t)from->blocks[i].size);
		memcpy(b->blocks[i].data, from->blocks[i].data, (size_t)from->blocks[i].size);
		b->nblocks++;
	}
	return (b);
}

int
store_copy(struct store *s, const char *from, const char *to, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	char etag[HTTP_ETAG_MAX];
	struct fake_blob *b;
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	fake.copies++;
	failed = fake_fails(&fake.fail_copies, err);
	b = fake_find(from);
	if (!failed && b == NULL)
		failed = fake_refuse(err, ERR_NOT_FOUND, 404, from);
	if (!failed && if_match != NULL) {
		fake_etag(b, etag);
		if (strcmp(etag, if_match) != 0)
			failed = fake_refuse(err, ERR_CHANGED, 412, from);
	}
	if (!failed)
		fake_etag(fake_copy(to, b), ret_etag);
	pthread_mutex_unlock(&fake.lock);
	if (!failed && fake.on_copy != NULL)
		fake.on_copy();
	return (failed ? -1 : 0);
}

int
store_takes_no_blocks(const struct store *s, const struct err *err)
{
	(void)s;
	return (fake_get(hns) && err->http_status == 409 && err->kind == ERR_PROTOCOL);
}

int
store_hns(const struct store *s)
{
	(void)s;
	return (fake_get(hns));
}

int
store_find_hns(struct store *s, const char *near)
{
	(void)near;
	return (store_hns(s));
}

/* Lock held: those named from, or below it, in one step; versions stay. */
static inline int
fake_rename(const char *from, const char *to)
{
	struct fake_blob *b, *next, *moved = NULL, **p = &fake.blobs;
	size_t len = strlen(from);
	int64_t version;
	int n = 0;

	while ((b = *p) != NULL) {
		if (!str_starts(b->name, from) || (b->name[len] != '\0' && b->name[len] != '/')) {
			p = &b->next;
			continue;
		}
		*p = b->next;
		b->next = moved;
		moved = b;
	}
	for (b = moved; b != NULL; b = next, n++) {
		char name[1300];

		next = b->next;
		version = b->version;
		str_format(name, sizeof(name), "%s%s", to, b->name + len);
		fake_store(name, b->data, b->size, b->is_dir)->version = version;
		free(b->name);
		free(b->data);
		free(b);
	}
	return (n);
}

int
store_rename(struct store *s, const struct store_rename *r, char ret_etag[HTTP_ETAG_MAX],
    struct err *err)
{
	struct fake_blob *b;
	int failed;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	if (!fake.hns) {
		pthread_mutex_unlock(&fake.lock);
		return (1);
	}
	fake.renames++;
	fake.last_rename = *r;
	failed = fake_fails(&fake.fail_renames, err);
	if (!failed && r->no_replace && fake_find(r->to) != NULL) {
		failed = fake_refuse(err, ERR_CHANGED, 409, r->to);
		err->sys_errno = EEXIST;
	}
	if (!failed && fake_rename(r->from, r->to) == 0)
		failed = fake_refuse(err, ERR_NOT_FOUND, 404, r->from);
	if (!failed && ret_etag != NULL && (b = fake_find(r->to)) != NULL)
		fake_etag(b, ret_etag);
	pthread_mutex_unlock(&fake.lock);
	return (failed ? -1 : 0);
}

int
store_get_access(struct store *s, const char *name, struct store_access *ret, struct err *err)
{
	(void)name;
	(void)err;
	*ret = (struct store_access){ .has_mode = 1, .mode = 0750 };
	return (store_hns(s) ? 0 : 1);
}

int
store_set_access(struct store *s, const char *name, const struct store_access *a,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	struct fake_blob *b;
	int rc = store_hns(s) ? 0 : 1;

	pthread_mutex_lock(&fake.lock);
	fake.accesses++;
	fake.last_access = *a;
	b = fake_find(name);
	ret_etag[0] = '\0';
	if (rc == 0 && b == NULL)
		rc = fake_refuse(err, ERR_NOT_FOUND, 404, name);
	if (rc == 0)
		rc = fake_check(name, if_match, err);
	if (rc == 0) {
		b->version = ++fake.versions;
		fake_etag(b, ret_etag);
	}
	pthread_mutex_unlock(&fake.lock);
	return (rc);
}

int
store_create_container(struct store *s, struct err *err)
{
	(void)s;
	(void)err;
	return (0);
}

/* ---- blocks -------------------------------------------------------------------------- */

int
store_has_blocks(const struct store *s)
{
	(void)s;
	return (1);
}

void
store_put_submit(struct store_put *p)
{
	pthread_mutex_lock(&fake.lock);
	if (fake.nputs == LENGTH(fake.puts))
		abort();
	p->length_differs = 0;
	fake.puts[fake.nputs++] = p;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

void
store_put_cancel(struct store_put *p)
{
	(void)p;
}

/* Lock held. */
static inline const struct fake_block *
fake_wanted(const struct fake_blob *b, const struct store_block *w)
{
	size_t i;

	for (i = b->nblocks; i > 0; i--)
		if (strcmp(b->blocks[i - 1].id, w->id) == 0 &&
		    (!w->is_committed || b->blocks[i - 1].is_committed))
			return (&b->blocks[i - 1]);
	return (NULL);
}

/* Lock held. */
static inline int
fake_commit(const char *name, const struct store_block *blocks, size_t n, struct err *err)
{
	struct fake_blob *b = fake_place(name);
	struct fake_block *list = mem_alloc((n + 1) * sizeof(*list));
	const struct fake_block *k;
	int64_t size = 0;
	size_t i;

	for (i = 0; i < n && (k = fake_wanted(b, &blocks[i])) != NULL; i++) {
		list[i] = *k;
		list[i].is_committed = 1;
		list[i].data = mem_alloc((size_t)k->size);
		memcpy(list[i].data, k->data, (size_t)k->size);
		size += k->size;
	}
	if (i < n) {
		while (i > 0)
			free(list[--i].data);
		free(list);
		fake_refuse(err, ERR_PROTOCOL, 400, name);
		return (1);
	}
	fake_drop_blocks(b);
	free(b->data);
	b->data = mem_alloc((size_t)size);
	b->blocks = list;
	b->nblocks = n;
	b->size = size;
	b->is_uncommitted = 0;
	b->version = ++fake.versions;
	for (i = 0, size = 0; i < n; size += list[i++].size)
		memcpy(b->data + size, list[i].data, (size_t)list[i].size);
	return (0);
}

int
store_commit(struct store *s, const char *name, const struct store_block *blocks, size_t n,
    const char *if_match, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	int rc;

	(void)s;
	fake_pause();
	if (fake_get(on_commit) != NULL)
		fake.on_commit();
	pthread_mutex_lock(&fake.lock);
	fake.commits++;
	rc = fake_fails(&fake.fail_commits, err) || fake_check(name, if_match, err) != 0 ? -1 :
	    fake_commit(name, blocks, n, err);
	if (rc == 0)
		fake_etag(fake_find(name), ret_etag);
	if (rc == 0 && fake.on_upload != NULL)
		fake.on_upload(name, fake_find(name)->data, fake_find(name)->size);
	pthread_mutex_unlock(&fake.lock);
	return (rc);
}

int
store_list_blocks(struct store *s, const char *name, struct arena *mem, struct store_block **ret,
    size_t *ret_n, char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	const struct fake_blob *b;
	size_t i;

	(void)s;
	pthread_mutex_lock(&fake.lock);
	fake.block_lists++;
	for (b = fake.blobs; b != NULL && strcmp(b->name, name) != 0; b = b->next)
		continue;
	if (b != NULL) {
		*ret = arena_alloc(mem, (b->nblocks + 1) * sizeof(**ret));
		*ret_n = b->nblocks;
		fake_etag(b, ret_etag);
		for (i = 0; i < b->nblocks; i++)
			(*ret)[i] = (struct store_block){ arena_strdup(mem, b->blocks[i].id),
			    b->blocks[i].size, b->blocks[i].is_committed };
	}
	pthread_mutex_unlock(&fake.lock);
	return (b != NULL ? 0 : fake_refuse(err, ERR_NOT_FOUND, 404, name));
}

#endif
