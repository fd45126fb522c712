#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "mount/stream.h"

struct part {
	int64_t		 at, len;	/* the last one may reach beyond the file's end */
	uint64_t	 changed;	/* when; see stream.clock */
	uint64_t	 sent;		/* id stands for what was there then */
	int64_t		 sent_len;
	char		*id;		/* NULL: the service has nothing of it */
	struct sending	*sending;	/* NULL: not on its way */
	unsigned int	 is_committed : 1;
	unsigned int	 complete : 1;	/* written to its last byte: may go in the background */
};

enum phase { WRITING, FINISHING, COMMITTING };

/* All of it is guarded by all->lock. */
struct stream {
	struct streams	*all;
	struct stream	*prev, *next;	/* of those with something to send */
	int		 is_waiting;	/* it is in that list */
	struct part	*parts;		/* without gaps from 0 */
	size_t		 n, size;
	size_t		 first;		/* parts before it have nothing to send */
	uint64_t	 clock;		/* counts changes */
	unsigned int	 under_way;
	struct store_ids ids;
	int		 fd;		/* -1: nothing was sent since the last list */
	char		*name;		/* of the blob */
	enum phase	 phase;
	int		 stopped;	/* a send failed: the next one is the flush's */
	int		 freed;		/* waits for what is under way */
	/* Of the phases after writing. */
	int64_t		 end;		/* the file's size then */
	uint64_t	 since;		/* what changed after this is the next flush's */
	int		 failed;	/* as store_commit() returns it */
	struct err	 why;
};

struct streams {
	struct store	*store;
	unsigned int	 limit;
	pthread_mutex_t	 lock;		/* guards the rest */
	pthread_cond_t	 ended;		/* a send */
	unsigned int	 under_way;
	struct stream	*waiting, *last;
};

struct sending {
	struct store_put put;
	struct stream	*stream;
	size_t		 part;
	uint64_t	 as_of;
	int		 finishing;
	char		 name[];
};

/* ---- parts --------------------------------------------------------------------------- */

static int64_t
end_of(const struct part *p)
{
	return (p->at + p->len);
}

static int64_t
covered(const struct stream *s)
{
	return (s->parts != NULL && s->n > 0 ? end_of(&s->parts[s->n - 1]) : 0);
}

static struct part *
add_part(struct stream *s, int64_t len)
{
	int64_t at = covered(s);

	if (s->parts == NULL || s->n == s->size) {
		s->size = s->size > 0 ? 2 * s->size : 16;
		s->parts = mem_grow(s->parts, s->size * sizeof(*s->parts));
	}
	s->parts[s->n] = (struct part){ .at = at, .len = len, .changed = s->clock };
	return (&s->parts[s->n++]);
}

static void
drop_id(struct part *p)
{
	free(p->id);
	p->id = NULL;
	p->is_committed = 0;
}

/* Only the first n stay. */
static void
drop_parts(struct stream *s, size_t n)
{
	while (s->n > n)
		drop_id(&s->parts[--s->n]);
	s->first = 0;
}

/* As far as there may be blocks.  An adopted list's last one is made as long as ours. */
static void
cover(struct stream *s, int64_t to)
{
	struct part *last = s->n > 0 ? &s->parts[s->n - 1] : NULL;

	if (last != NULL && end_of(last) < to && last->len < store_block_size(s->n - 1))
		last->len = store_block_size(s->n - 1);
	while (covered(s) < to && s->n < STORE_BLOCKS_MAX)
		add_part(s, store_block_size(s->n));
}

/* The part that has this byte; the last one if none has. */
static size_t
find_part(const struct stream *s, int64_t at)
{
	size_t low = 0, high = s->n, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (s->parts[mid].at <= at)
			low = mid;
		else
			high = mid;
	}
	return (low);
}

static int64_t
wanted_len(const struct stream *s, const struct part *p)
{
	int64_t left = s->end - p->at;

	return (s->phase == WRITING || p->len < left ? p->len : left);
}

/* The service has what the next list has to name. */
static int
is_there(const struct stream *s, const struct part *p)
{
	return (p->id != NULL && p->sent_len == wanted_len(s, p) && (p->sent >= p->changed ||
	    (s->phase != WRITING && p->sent >= s->since)));
}

static int
may_go(const struct stream *s, const struct part *p)
{
	if (p->sending != NULL || is_there(s, p))
		return (0);
	return (s->phase == FINISHING ? p->at < s->end : p->complete);
}

/* A part to send, or NULL. */
static struct part *
next_part(struct stream *s)
{
	if (s->phase == COMMITTING || (s->phase == WRITING && s->stopped) || s->failed)
		return (NULL);
	for (; s->first < s->n; s->first++)
		if (may_go(s, &s->parts[s->first]))
			return (&s->parts[s->first]);
	return (NULL);
}

static void
look_again(struct stream *s, size_t part)
{
	if (s->first > part)
		s->first = part;
}

/* ---- sending ------------------------------------------------------------------------- */

static void
list_add(struct stream *s)
{
	struct streams *all = s->all;

	if (s->is_waiting)
		return;
	s->next = NULL;
	s->prev = all->last;
	*(all->last != NULL ? &all->last->next : &all->waiting) = s;
	all->last = s;
	s->is_waiting = 1;
}

static void
list_remove(struct stream *s)
{
	struct streams *all = s->all;

	if (!s->is_waiting)
		return;
	*(s->prev != NULL ? &s->prev->next : &all->waiting) = s->next;
	*(s->next != NULL ? &s->next->prev : &all->last) = s->prev;
	s->is_waiting = 0;
}

static void
destroy(struct stream *s)
{
	list_remove(s);
	drop_parts(s, 0);
	mem_close_fd(&s->fd);
	free(s->parts);
	free(s->name);
	free(s);
}

static void	on_sent(struct store_put *, struct err *);

static void
send_part(struct stream *s, struct part *p)
{
	size_t size = strlen(s->name) + 1;
	struct sending *g = mem_zalloc(sizeof(*g) + size);

	memcpy(g->name, s->name, size);
	g->stream = s;
	g->part = (size_t)(p - s->parts);
	g->as_of = s->clock;
	g->finishing = s->phase == FINISHING;
	g->put = (struct store_put){ .store = s->all->store, .name = g->name, .fd = s->fd,
	    .offset = p->at, .len = (size_t)wanted_len(s, p), .done = on_sent, .arg = g };
	store_ids_next(&s->ids, g->put.id);
	p->sending = g;
	s->under_way++;
	s->all->under_way++;
	store_put_submit(&g->put);
}

/* One part of each in turn. */
static void
pump(struct streams *all)
{
	struct stream *s;
	struct part *p;

	while (all->under_way < all->limit && (s = all->waiting) != NULL) {
		list_remove(s);
		if ((p = next_part(s)) == NULL)
			continue;
		send_part(s, p);
		list_add(s);
	}
}

/* The part is still the one that was sent. */
static void
note_sent(struct part *p, const struct sending *g)
{
	drop_id(p);
	p->id = mem_strdup(g->put.id);
	p->sent = g->as_of;
	p->sent_len = (int64_t)g->put.len;
}

/* In the background: the file may have been cut, and the next flush sends it anyway. */
static void
note_failed(struct stream *s, const struct part *p, const struct sending *g, struct err *err)
{
	if (!g->finishing)
		s->stopped |= p->changed <= g->as_of;
	else if (!s->failed) {
		s->failed = g->put.length_differs ? 1 : -1;
		s->why = *err;
	}
}

static void
on_sent(struct store_put *put, struct err *err)
{
	struct sending *g = put->arg;
	struct stream *s = g->stream;
	struct streams *all = s->all;
	struct part *p;

	pthread_mutex_lock(&all->lock);
	p = g->part < s->n ? &s->parts[g->part] : NULL;
	if (p != NULL && p->sending == g) {
		p->sending = NULL;
		if (err == NULL)
			note_sent(p, g);
		else
			note_failed(s, p, g, err);
		look_again(s, g->part);
		list_add(s);
	}
	s->under_way--;
	all->under_way--;
	if (s->freed && s->under_way == 0)
		destroy(s);
	pump(all);
	pthread_cond_broadcast(&all->ended);
	pthread_mutex_unlock(&all->lock);
	free(g);
}

/* ---- what the writer tells ----------------------------------------------------------- */

/* Lock held.  1: a block is complete. */
static int
mark(struct stream *s, int64_t from, int64_t to, int written)
{
	struct part *p;
	int complete = 0;
	size_t i;

	s->clock++;
	cover(s, to);
	i = find_part(s, from);
	look_again(s, i);
	for (; i < s->n && (p = &s->parts[i])->at < to; i++) {
		p->changed = s->clock;
		p->complete = written && to >= end_of(p);
		complete |= p->complete;
	}
	return (complete);
}

int
stream_changed(struct stream *s, int64_t from, int64_t to)
{
	int complete;

	pthread_mutex_lock(&s->all->lock);
	complete = mark(s, from, to, 1);
	pthread_mutex_unlock(&s->all->lock);
	return (complete);
}

void
stream_zeroed(struct stream *s, int64_t from, int64_t to)
{
	pthread_mutex_lock(&s->all->lock);
	mark(s, from, to, 0);
	pthread_mutex_unlock(&s->all->lock);
}

void
stream_complete(struct stream *s, int64_t to)
{
	size_t i;

	pthread_mutex_lock(&s->all->lock);
	cover(s, to);
	for (i = 0; i < s->n && end_of(&s->parts[i]) <= to; i++)
		s->parts[i].complete = 1;
	s->first = 0;
	pthread_mutex_unlock(&s->all->lock);
}

void
stream_cut(struct stream *s, int64_t to)
{
	size_t i;

	pthread_mutex_lock(&s->all->lock);
	s->clock++;
	i = find_part(s, to);
	if (i < s->n && s->parts[i].at < to) {
		s->parts[i].changed = s->clock;
		s->parts[i].complete = 0;
		i++;
	}
	drop_parts(s, i);
	pthread_mutex_unlock(&s->all->lock);
}

static void
forget(struct stream *s)
{
	drop_parts(s, 0);
	free(s->name);
	s->name = NULL;
	s->stopped = 0;
}

int
stream_knows(struct stream *s, const char *name)
{
	int knows;

	pthread_mutex_lock(&s->all->lock);
	knows = s->name != NULL && strcmp(s->name, name) == 0;
	pthread_mutex_unlock(&s->all->lock);
	return (knows);
}

void
stream_send(struct stream *s, const char *name, int fd)
{
	struct streams *all = s->all;

	pthread_mutex_lock(&all->lock);
	if (s->fd < 0)
		s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->name == NULL)
		s->name = mem_strdup(name);
	if (s->fd >= 0 && strcmp(s->name, name) == 0) {
		list_add(s);
		pump(all);
	}
	pthread_mutex_unlock(&all->lock);
}

void
stream_stop(struct stream *s)
{
	pthread_mutex_lock(&s->all->lock);
	s->stopped = 1;
	pthread_mutex_unlock(&s->all->lock);
}

/* ---- a version that others have made ------------------------------------------------- */

static int
is_usable(const struct store_block *b, size_t n, int64_t size)
{
	size_t i;

	if (n == 0 || n > STORE_BLOCKS_MAX)
		return (0);
	for (i = 0; i < n; i++) {
		if (b[i].size <= 0 || strlen(b[i].id) != strlen(b[0].id))
			return (0);
		size -= b[i].size;
	}
	return (size == 0);
}

static void
take_list(struct stream *s, const struct store_block *b, size_t n)
{
	struct part *p;
	size_t i;

	for (i = 0; i < n; i++) {
		p = add_part(s, b[i].size);
		p->changed = 0;
		p->sent = s->clock;
		p->sent_len = b[i].size;
		p->id = mem_strdup(b[i].id);
		p->is_committed = 1;
	}
}

void
stream_adopt(struct stream *s, const char *name, const char *etag, int64_t size)
{
	char have[HTTP_ETAG_MAX];
	struct arena mem = ARENA_EMPTY;
	struct store_block *b;
	size_t n, k = 0;

	if (store_list_blocks(s->all->store, name, &mem, &b, &n, have, NULL) == 0 &&
	    strcmp(have, etag) == 0) {
		while (k < n && b[k].is_committed)
			k++;
		pthread_mutex_lock(&s->all->lock);
		forget(s);
		s->name = mem_strdup(name);
		if (is_usable(b, k, size) && store_ids_init(&s->ids, b[0].id) == 0)
			take_list(s, b, k);
		pthread_mutex_unlock(&s->all->lock);
	}
	arena_done(&mem);
}

/* ---- the list ------------------------------------------------------------------------ */

/* Lock held.  Everything is planned and sent anew, with ids like those that are there. */
static int
start_again(struct stream *s, const char *like, struct err *err)
{
	forget(s);
	if (store_ids_init(&s->ids, like) == 0)
		return (0);
	return (err_set(err, ERR_PROTOCOL, REMEDY_NONE, "upload",
	    "the blob has blocks with ids of a length that cannot be matched"));
}

static int
relearn(struct stream *s, const char *name, struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	char etag[HTTP_ETAG_MAX];
	struct store_block *b;
	size_t n;
	int failed;

	if (store_list_blocks(s->all->store, name, &mem, &b, &n, etag, NULL) != 0)
		n = 0;
	pthread_mutex_lock(&s->all->lock);
	failed = start_again(s, n > 0 ? b[0].id : NULL, err);
	pthread_mutex_unlock(&s->all->lock);
	arena_done(&mem);
	return (failed);
}

/* Lock held. */
static int
prepare(struct stream *s, const char *name, int fd, int64_t size, struct err *err)
{
	if (s->name != NULL && strcmp(s->name, name) != 0)
		forget(s);
	if (s->name == NULL)
		s->name = mem_strdup(name);
	if (s->fd < 0 && (s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return (err_errno(err, "upload", name));
	cover(s, size);
	if (covered(s) < size) {	/* a list of small blocks, and no room for more */
		drop_parts(s, 0);
		cover(s, size);
	}
	if (covered(s) < size) {
		err_set(err, ERR_OUTPUT, REMEDY_NONE, "upload", "no blob can be so large");
		err->sys_errno = EFBIG;
		return (-1);
	}
	s->end = size;
	s->since = s->clock;
	s->failed = s->stopped = 0;
	s->first = 0;
	return (0);
}

/* Lock held, given up while it waits.  What has to be sent is there, and nothing is on its way. */
static int
finish(struct stream *s, struct err *err)
{
	s->phase = FINISHING;
	list_add(s);
	pump(s->all);
	while (!s->failed && (s->under_way > 0 || next_part(s) != NULL))
		pthread_cond_wait(&s->all->ended, &s->all->lock);
	s->phase = s->failed ? WRITING : COMMITTING;
	if (s->failed)
		*err = s->why;
	return (s->failed);
}

/* Lock held.  In mem: parts may change while it is sent. */
static struct store_block *
make_list(const struct stream *s, struct arena *mem, size_t *ret_n)
{
	struct store_block *b = arena_alloc(mem, (s->n + 1) * sizeof(*b));
	size_t i;

	for (i = 0; i < s->n && s->parts[i].at < s->end; i++)
		b[i] = (struct store_block){ arena_strdup(mem, s->parts[i].id),
		    s->parts[i].sent_len, s->parts[i].is_committed };
	*ret_n = i;
	return (b);
}

/* Lock held.  The service has nothing but what the list names. */
static void
note_committed(struct stream *s, const struct store_block *b, size_t n)
{
	struct part *p;
	size_t i;

	for (i = 0; i < s->n; i++) {
		p = &s->parts[i];
		if (p->id != NULL && i < n && strcmp(p->id, b[i].id) == 0)
			p->is_committed = 1;
		else
			drop_id(p);
	}
}

/* Lock held, given up for the request. */
static int
commit_list(struct stream *s, const char *if_match, char etag[HTTP_ETAG_MAX], struct err *err)
{
	struct arena mem = ARENA_EMPTY;
	struct store_block *b;
	size_t n;
	int rc;

	b = make_list(s, &mem, &n);
	pthread_mutex_unlock(&s->all->lock);
	rc = store_commit(s->all->store, s->name, b, n, if_match, etag, err);
	pthread_mutex_lock(&s->all->lock);
	if (rc == 0)
		note_committed(s, b, n);
	arena_done(&mem);
	s->phase = WRITING;
	s->first = 0;
	mem_close_fd(&s->fd);
	return (rc);
}

static int
try_commit(struct stream *s, const char *name, int fd, int64_t size, const char *if_match,
    char etag[HTTP_ETAG_MAX], struct err *err)
{
	int rc;

	pthread_mutex_lock(&s->all->lock);
	rc = prepare(s, name, fd, size, err);
	if (rc == 0)
		rc = finish(s, err);
	if (rc == 0)
		rc = commit_list(s, if_match, etag, err);
	pthread_mutex_unlock(&s->all->lock);
	return (rc);
}

int
stream_commit(struct stream *s, const char *name, int fd, int64_t size, const char *if_match,
    char ret_etag[HTTP_ETAG_MAX], struct err *err)
{
	int rc = try_commit(s, name, fd, size, if_match, ret_etag, err);

	if (rc == 1) {		/* blocks are gone, or must have other names */
		rc = relearn(s, name, err);
		if (rc == 0)
			rc = try_commit(s, name, fd, size, if_match, ret_etag, err);
	}
	return (rc == 0 ? 0 : -1);
}

/* ---- making it ----------------------------------------------------------------------- */

struct streams *
streams_new(struct store *store, unsigned int in_flight)
{
	struct streams *all = mem_zalloc(sizeof(*all));

	all->store = store;
	all->limit = in_flight;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->ended, NULL);
	return (all);
}

void
streams_free(struct streams *all)
{
	pthread_mutex_lock(&all->lock);
	while (all->under_way > 0)
		pthread_cond_wait(&all->ended, &all->lock);
	pthread_mutex_unlock(&all->lock);
	pthread_mutex_destroy(&all->lock);
	pthread_cond_destroy(&all->ended);
	free(all);
}

struct stream *
stream_new(struct streams *all)
{
	struct stream *s = mem_zalloc(sizeof(*s));

	s->all = all;
	s->fd = -1;
	if (store_ids_init(&s->ids, NULL) != 0)
		s->failed = -1;
	return (s);
}

void
stream_free(struct stream *s)
{
	struct streams *all = s->all;

	pthread_mutex_lock(&all->lock);
	list_remove(s);
	drop_parts(s, 0);
	s->freed = 1;
	if (s->under_way == 0)
		destroy(s);
	pthread_mutex_unlock(&all->lock);
}
