#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"
#include "mount/chunks.h"

#define FETCHES		128	/* GETs under way */
#define FETCHES_AHEAD	64	/* of those, nobody waits for */
#define FETCH_CHUNKS	(BLOCKS_FETCH_MAX / BLOCKS_CHUNK + 1)
#define FILE_BUCKETS	1024
#define TIMEOUT_MS	(5 * 60 * 1000)
#define KEEPING_PART	4	/* of the pool: what may wait for the disk */
#define LEND_MAX	64	/* chunks that go or come at once: 16 MiB */

_Static_assert(DISK_CHUNK == BLOCKS_CHUNK, "a chunk is the unit of both");

struct blocks_file {
	struct chunk_owner owner;		/* first; its key is the file's */
	struct blocks_file *next_hash;
	char		*name;
	char		 etag[HTTP_ETAG_MAX];
	int64_t		 size;
	unsigned int	 opens, nfetches;
	int		 changed;		/* the service has another version */
	struct err	*failure;		/* of the last fetch that failed; NULL: none yet */
	void		*user;
	struct blocks	*blocks;
	struct disk_entry *entry;		/* NULL: no disk cache */
};

struct fetch {
	struct store_read read;
	struct fetch	*next;
	struct blocks	*blocks;
	struct blocks_file *file;
	int64_t		 first_page;
	unsigned int	 npages, pages_done;
	size_t		 len, got;
	int		 ahead;			/* 1: nobody waited for it when it began */
	int		 active, hurried;
	unsigned int	 nchunks;
	struct chunk	*chunks[FETCH_CHUNKS];
};

struct blocks {
	struct blocks_options opt;
	_Atomic int64_t	 memory;		/* of chunks not lent; written with the lock */
	/*
	 * Guards everything below and the structs above, but for a chunk's memory:
	 * pending pages belong to their fetch, valid ones do not change while pinned.
	 * Innermost but for the disk cache's and the network's.
	 */
	pthread_mutex_t	 lock;
	struct chunks	 chunks;
	struct fetch	*fetches, *idle_fetches;
	unsigned int	 nfetches, nahead;	/* under way */
	size_t		 nkeeping;		/* chunks on their way to the disk */
	struct blocks_wait *room_waiters;
	struct blocks_file *files[FILE_BUCKETS];
	struct blocks_counts counts;
};

/* ---- waiting ------------------------------------------------------------------------- */

void
blocks_wait_init(struct blocks_wait *w, int64_t deadline_ms)
{
	memset(w, 0, sizeof(*w));
	w->deadline_ms = deadline_ms;
	cond_init(&w->cond);
}

void
blocks_wait_done(struct blocks_wait *w)
{
	pthread_cond_destroy(&w->cond);
}

void
blocks_interrupt(struct blocks *b, struct blocks_wait *w)
{
	pthread_mutex_lock(&b->lock);
	w->interrupted = 1;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&b->lock);
}

static int
give_up(int why, struct err *err)
{
	errno = why;
	if (why == EINTR)
		return (err_errno(err, "read", NULL));
	err_set(err, ERR_UNREACHABLE, REMEDY_RETRY_LATER, "read", "no data in the time given");
	if (err != NULL)
		err->sys_errno = ETIMEDOUT;
	return (-1);
}

/* Sleep once, in the list; the caller looks again at what it waits for. */
static int
sleep_in(struct blocks *b, struct blocks_wait **list, struct blocks_wait *w, struct err *err)
{
	int64_t left_ms = w->deadline_ms - clock_ms();
	struct blocks_wait **p;

	if (w->interrupted)
		return (give_up(EINTR, err));
	if (left_ms <= 0)
		return (give_up(ETIMEDOUT, err));
	w->next = *list;
	*list = w;
	cond_wait_ms(&w->cond, &b->lock, left_ms);
	for (p = list; *p != w; p = &(*p)->next)
		continue;
	*p = w->next;
	return (w->interrupted ? give_up(EINTR, err) : 0);
}

/* Those whose pages are all there, or no longer on their way. */
static void
wake(const struct chunk *c)
{
	struct blocks_wait *w;

	for (w = c->waiters; w != NULL; w = w->next)
		if ((w->need & ~c->valid) == 0 || (w->need & ~(c->valid | c->pending)) != 0)
			pthread_cond_signal(&w->cond);
}

static void
wake_for_room(const struct blocks *b)
{
	struct blocks_wait *w;

	for (w = b->room_waiters; w != NULL; w = w->next)
		pthread_cond_signal(&w->cond);
}

/* ---- files --------------------------------------------------------------------------- */

static struct blocks_file **
file_place(struct blocks *b, uint64_t key)
{
	struct blocks_file **p = &b->files[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 54];

	while (*p != NULL && (*p)->owner.key != key)
		p = &(*p)->next_hash;
	return (p);
}

static void
file_release(struct blocks *b, struct blocks_file *f)
{
	if (f->opens > 0 || f->nfetches > 0 || f->owner.nchunks > 0)
		return;
	*file_place(b, f->owner.key) = f->next_hash;
	disk_close(f->entry);
	free(f->name);
	free(f->failure);
	free(f->user);
	free(f);
}

struct blocks_file *
blocks_find(struct blocks *b, uint64_t key)
{
	struct blocks_file *f;

	pthread_mutex_lock(&b->lock);
	if ((f = *file_place(b, key)) != NULL)
		f->opens++;
	pthread_mutex_unlock(&b->lock);
	return (f);
}

struct blocks_file *
blocks_open(struct blocks *b, uint64_t key, const char *name, const char *etag, int64_t size)
{
	struct blocks_file **p, *f, *spare = mem_zalloc(sizeof(*spare));

	spare->owner.key = key;
	spare->name = mem_strdup(name);
	str_format(spare->etag, sizeof(spare->etag), "%s", etag);
	spare->size = size;
	spare->user = mem_zalloc(b->opt.user_bytes);
	spare->blocks = b;
	if (b->opt.disk != NULL)
		spare->entry = disk_open(b->opt.disk, name, etag, size);
	pthread_mutex_lock(&b->lock);
	p = file_place(b, key);
	if (*p == NULL) {
		*p = spare;
		spare = NULL;
	}
	f = *p;
	f->opens++;
	pthread_mutex_unlock(&b->lock);
	if (spare != NULL) {
		disk_close(spare->entry);
		free(spare->name);
		free(spare->user);
		free(spare);
	}
	return (f);
}

void
blocks_close(struct blocks *b, struct blocks_file *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	f->opens--;
	file_release(b, f);
	pthread_mutex_unlock(&b->lock);
}

int64_t
blocks_size(const struct blocks_file *f)
{
	return (f->size);
}

int
blocks_keeps(const struct blocks_file *f)
{
	return (f->entry != NULL);
}

int
blocks_whole(struct blocks_file *f)
{
	return (f->entry != NULL ? disk_whole(f->entry) : -1);
}

void *
blocks_user(struct blocks_file *f)
{
	return (f->user);
}

void
blocks_forget(struct blocks *b, uint64_t key)
{
	struct blocks_file *f;

	pthread_mutex_lock(&b->lock);
	if ((f = *file_place(b, key)) != NULL)
		chunks_forget(&b->chunks, &f->owner);
	pthread_mutex_unlock(&b->lock);
}

static void
on_left(void *arg, struct chunk_owner *o)
{
	file_release(arg, (struct blocks_file *)(void *)o);
}

static void
unpin(struct blocks *b, struct chunk *c)
{
	if (chunks_unpin(&b->chunks, c))
		wake_for_room(b);
}

/* ---- the disk cache ------------------------------------------------------------------ */

/* The pages that the file has in this chunk. */
static uint64_t
pages_in(const struct blocks_file *f, int64_t index)
{
	int64_t n = (f->size - index * BLOCKS_CHUNK + BLOCKS_PAGE - 1) / BLOCKS_PAGE;

	return (n >= CHUNK_PAGES ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1);
}

void
blocks_kept(void *arg, void *token, int is_kept)
{
	struct chunk *c = token;
	struct blocks_file *f = (struct blocks_file *)(void *)c->owner;
	struct blocks *b = f->blocks;

	(void)arg;
	pthread_mutex_lock(&b->lock);
	b->nkeeping--;
	if (is_kept)
		c->unread = 0;	/* its memory may go: it is near */
	unpin(b, c);
	pthread_mutex_unlock(&b->lock);
}

/*
 * A chunk that is all here stays pinned until it is on the disk; a slow disk must not have
 * all of the pool.  Lock held.
 */
static void
offer(struct blocks_file *f, struct chunk *c)
{
	struct blocks *b = f->blocks;

	if (f->entry == NULL || c->on_disk || c->valid != pages_in(f, c->index))
		return;
	c->on_disk = 1;		/* also if there is no room for it: not asked again */
	if (b->nkeeping >= chunks_usable(&b->chunks) / KEEPING_PART)
		return;
	chunks_pin(c);
	b->nkeeping++;
	if (disk_keep(f->entry, c->index, c->memory, c) != 0) {
		c->pins--;	/* who brought it still has it pinned */
		b->nkeeping--;
	}
}

/* ---- fetches ------------------------------------------------------------------------- */

static void
copy_in(const struct fetch *x, size_t at, const char *data, size_t n)
{
	size_t skip = (size_t)(x->first_page % CHUNK_PAGES) * BLOCKS_PAGE + at, part;

	for (; n > 0; n -= part, data += part, skip += part) {
		part = BLOCKS_CHUNK - skip % BLOCKS_CHUNK;
		if (part > n)
			part = n;
		memcpy(x->chunks[skip / BLOCKS_CHUNK]->memory + skip % BLOCKS_CHUNK, data, part);
	}
}

static struct chunk *
chunk_of_page(const struct fetch *x, unsigned int i)
{
	int64_t page = x->first_page + i;

	return (x->chunks[page / CHUNK_PAGES - x->first_page / CHUNK_PAGES]);
}

/* Pages up to done (not counting it) are no longer under way.  Lock held. */
static void
pages_end(struct fetch *x, unsigned int done, int valid)
{
	struct chunk *c;
	int64_t page;

	while (x->pages_done < done) {
		page = x->first_page + x->pages_done;
		c = chunk_of_page(x, x->pages_done++);
		c->pending &= ~chunk_bit(page);
		if (valid)
			c->valid |= chunk_bit(page);
		else
			c->unread &= ~chunk_bit(page);
		if (x->pages_done == done || (page + 1) % CHUNK_PAGES == 0) {
			wake(c);
			offer(x->file, c);
		}
	}
}

static int
on_bytes(struct store_read *r, size_t at, const void *data, size_t n)
{
	struct fetch *x = r->arg;
	size_t again = at < x->got ? x->got - at : 0;
	unsigned int done;

	if (at > x->got || n > x->len - at)
		return (-1);
	if (again >= n)
		return (0);		/* a try that began anew */
	copy_in(x, x->got, (const char *)data + again, n - again);
	x->got = at + n;
	done = x->got == x->len ? x->npages : (unsigned int)(x->got / BLOCKS_PAGE);
	if (done > x->pages_done) {
		pthread_mutex_lock(&x->blocks->lock);
		pages_end(x, done, 1);
		pthread_mutex_unlock(&x->blocks->lock);
	}
	return (0);
}

static void
remember(struct blocks_file *f, const struct err *err)
{
	if (f->changed)
		return;			/* nothing that comes later says more */
	if (f->failure == NULL)
		f->failure = mem_alloc(sizeof(*f->failure));
	*f->failure = *err;
	if (err->kind == ERR_CHANGED || err->kind == ERR_NOT_FOUND)
		f->changed = 1;
}

static void
on_done(struct store_read *r, struct err *err)
{
	struct fetch *x = r->arg;
	struct blocks *b = x->blocks;
	struct blocks_file *f = x->file;
	struct err short_body;
	unsigned int i;

	if (err == NULL && x->got != x->len) {
		err = &short_body;
		err_set(err, ERR_PROTOCOL, REMEDY_CHECK_ENDPOINT, "read blob",
		    "%zu bytes came of %zu", x->got, x->len);
		err_on(err, "%s", f->name);
	}
	pthread_mutex_lock(&b->lock);
	if (err != NULL)
		remember(f, err);
	pages_end(x, x->npages, 0);
	for (i = 0; i < x->nchunks; i++)
		unpin(b, x->chunks[i]);
	x->active = 0;
	b->nfetches--;
	b->nahead -= (unsigned int)x->ahead;
	f->nfetches--;
	file_release(b, f);
	x->next = b->idle_fetches;
	b->idle_fetches = x;
	wake_for_room(b);
	pthread_mutex_unlock(&b->lock);
}

static void
submit(struct fetch *x, int64_t deadline_ms)
{
	struct fetch *next;

	for (; x != NULL; x = next) {
		next = x->next;
		x->read.deadline_ms = deadline_ms;
		store_read_submit(&x->read);
	}
}

static int64_t
fetch_deadline(const struct blocks *b)
{
	return (clock_ms() + (b->opt.timeout_ms > 0 ? b->opt.timeout_ms : TIMEOUT_MS));
}

/*
 * A fetch of the missing pages from first on, before end: at least one.  Pages before
 * ahead_from are somebody's need and their chunks are there; the others are taken as
 * far as there is room.  NULL: no fetch is free, or the first page has no room.
 */
static struct fetch *
fetch_new(struct blocks *b, struct blocks_file *f, int64_t first, int64_t end, int64_t ahead_from)
{
	struct fetch *x = b->idle_fetches;
	struct chunk *c = NULL;
	int64_t page;

	if (x == NULL)
		return (NULL);
	if (end > first + BLOCKS_FETCH_MAX / BLOCKS_PAGE)
		end = first + BLOCKS_FETCH_MAX / BLOCKS_PAGE;
	x->nchunks = 0;
	for (page = first; page < end; page++) {
		if (c == NULL || page % CHUNK_PAGES == 0) {
			c = chunks_get(&b->chunks, &f->owner, page / CHUNK_PAGES,
			    page >= ahead_from);
			if (c == NULL || !chunk_is_missing(c, page))
				break;
			chunks_pin(c);
			x->chunks[x->nchunks++] = c;
		}
		if (!chunk_is_missing(c, page))
			break;
		c->pending |= chunk_bit(page);
		if (page >= ahead_from)
			c->unread |= chunk_bit(page);
	}
	if (page == first)
		return (NULL);
	b->idle_fetches = x->next;
	x->next = NULL;
	x->file = f;
	x->first_page = first;
	x->npages = (unsigned int)(page - first);
	x->pages_done = 0;
	x->got = 0;
	x->len = (size_t)x->npages * BLOCKS_PAGE;
	if ((int64_t)x->len > f->size - first * BLOCKS_PAGE)
		x->len = (size_t)(f->size - first * BLOCKS_PAGE);
	x->ahead = first >= ahead_from;
	x->active = 1;
	x->hurried = 0;
	f->nfetches++;
	b->nfetches++;
	b->nahead += (unsigned int)x->ahead;
	b->counts.fetches++;
	b->counts.fetched_bytes += (int64_t)x->len;
	memset(&x->read, 0, sizeof(x->read));
	x->read.store = b->opt.store;
	x->read.name = f->name;
	memcpy(x->read.etag, f->etag, sizeof(x->read.etag));
	x->read.offset = first * BLOCKS_PAGE;
	x->read.len = x->len;
	x->read.priority = x->ahead;
	x->read.sink = on_bytes;
	x->read.done = on_done;
	x->read.arg = x;
	return (x);
}

/* ---- reading ------------------------------------------------------------------------- */

static int
check_usable(const struct blocks_file *f, struct err *err)
{
	if (!f->changed)
		return (0);
	if (err != NULL)
		*err = *f->failure;
	return (-1);
}

static void
unpin_span(struct blocks *b, struct blocks_span *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		unpin(b, s->chunks[i]);
	s->n = 0;
}

/* All chunks of the span or none: who held some and waited for more could wait for ever. */
static int
try_pin_span(struct blocks *b, struct blocks_span *s)
{
	int64_t first = s->offset / BLOCKS_CHUNK;
	int64_t last = (s->offset + (int64_t)s->len - 1) / BLOCKS_CHUNK;
	unsigned int i, n = (unsigned int)(last - first) + 1;
	size_t missing = 0, own_idle = 0;

	for (i = 0; i < n; i++) {
		s->chunks[i] = chunks_find(&b->chunks, &s->file->owner, first + i);
		missing += s->chunks[i] == NULL;
		own_idle += s->chunks[i] != NULL && s->chunks[i]->list != NULL;
	}
	if (missing > chunks_room(&b->chunks) - own_idle)
		return (-1);
	s->n = n;
	for (i = 0; i < n; i++)
		if (s->chunks[i] != NULL)
			chunks_pin(s->chunks[i]);
	for (i = 0; i < n; i++)
		if (s->chunks[i] == NULL) {
			s->chunks[i] = chunks_get(&b->chunks, &s->file->owner, first + i, 0);
			chunks_pin(s->chunks[i]);
		}
	return (0);
}

static void
fill_iov(struct blocks_span *s)
{
	size_t skip = (size_t)(s->offset % BLOCKS_CHUNK), left = s->len;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		s->iov[i].iov_base = s->chunks[i]->memory + skip;
		s->iov[i].iov_len = BLOCKS_CHUNK - skip < left ? BLOCKS_CHUNK - skip : left;
		left -= s->iov[i].iov_len;
		skip = 0;
	}
}

/* The pages of the span in its chunk i. */
static uint64_t
need_of(const struct blocks_span *s, unsigned int i)
{
	int64_t base = (s->offset / BLOCKS_CHUNK + i) * CHUNK_PAGES;
	int64_t first = s->offset / BLOCKS_PAGE - base;
	int64_t last = (s->offset + (int64_t)s->len - 1) / BLOCKS_PAGE - base;

	if (first < 0)
		first = 0;
	if (last >= CHUNK_PAGES)
		last = CHUNK_PAGES - 1;
	return (~UINT64_C(0) >> (63 - (last - first)) << first);
}

static int
is_valid(const struct blocks_span *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if ((need_of(s, i) & ~s->chunks[i]->valid) != 0)
			return (0);
	return (1);
}

/* How far back a fetch that has to begin at page may begin. */
static int64_t
stretch_back(struct blocks *b, struct blocks_file *f, int64_t page, int64_t from)
{
	struct chunk *c;

	for (; page > from; page--) {
		c = chunks_get(&b->chunks, &f->owner, (page - 1) / CHUNK_PAGES, 1);
		if (c == NULL || !chunk_is_missing(c, page - 1))
			break;
	}
	return (page);
}

/*
 * The disk had it and then had not: all of it from the service, for those as well who wait
 * for it already.  Lock held, given up while no fetch is free.
 */
static int
fetch_instead(struct blocks *b, struct blocks_file *f, struct chunk *c, struct blocks_wait *w,
    struct fetch **list, struct err *err)
{
	uint64_t all = pages_in(f, c->index);
	int64_t first = c->index * CHUNK_PAGES, end = first + __builtin_popcountll(all);
	struct err why = ERR_EMPTY;
	struct fetch *x;

	for (;;) {
		c->pending &= ~all;
		if ((x = fetch_new(b, f, first, end, end)) != NULL)
			break;
		c->pending |= all;	/* nobody else fetches them meanwhile */
		if (sleep_in(b, &b->room_waiters, w, &why) == 0)
			continue;
		c->pending &= ~all;
		remember(f, &why);
		wake(c);
		if (err != NULL)
			*err = why;
		return (-1);
	}
	x->next = *list;
	*list = x;
	return (0);
}

/* From the disk, what it has of the span.  Lock held, given up meanwhile. */
static int
load(struct blocks *b, struct blocks_span *s, struct blocks_wait *w, struct fetch **list,
    struct err *err)
{
	struct disk_entry *e = s->file->entry;
	struct chunk *c;
	uint64_t all;
	unsigned int i;
	int failed;

	for (i = 0; i < s->n; i++) {
		c = s->chunks[i];
		if ((c->valid | c->pending) != 0 || !disk_has(e, c->index))
			continue;
		c->pending = all = pages_in(s->file, c->index);
		pthread_mutex_unlock(&b->lock);
		failed = disk_read(e, c->index, c->memory);
		pthread_mutex_lock(&b->lock);
		if (failed && fetch_instead(b, s->file, c, w, list, err) != 0)
			return (-1);
		if (failed)
			continue;
		c->pending &= ~all;
		c->valid |= all;
		c->on_disk = 1;
		wake(c);
	}
	return (0);
}

/* Have all missing pages of the span under way; the fetches are added to *list. */
static int
fetch_missing(struct blocks *b, const struct blocks_range *r, struct blocks_span *s,
    struct fetch **list)
{
	int64_t end = (s->offset + (int64_t)s->len - 1) / BLOCKS_PAGE + 1;
	int64_t until = (r->until + BLOCKS_PAGE - 1) / BLOCKS_PAGE;
	int64_t base = s->offset / BLOCKS_CHUNK, page, first;
	struct fetch *x;

	for (page = s->offset / BLOCKS_PAGE; page < end; page++) {
		if (!chunk_is_missing(s->chunks[page / CHUNK_PAGES - base], page))
			continue;
		if (b->idle_fetches == NULL)
			return (-1);
		first = page;
		if (page == s->offset / BLOCKS_PAGE)
			first = stretch_back(b, s->file, page, r->from / BLOCKS_PAGE);
		x = fetch_new(b, s->file, first, until > end ? until : end, end);
		if (x == NULL)
			return (-1);
		x->next = *list;
		*list = x;
		page = first + x->npages - 1;
	}
	return (0);
}

/* Lock held, given up for a moment when a fetch or room has to be waited for. */
static int
start(struct blocks *b, const struct blocks_range *r, struct blocks_wait *w, struct blocks_span *s,
    struct fetch **list, struct err *err)
{
	struct fetch *now;

	do {
		if (check_usable(s->file, err) != 0)
			return (-1);
		if (try_pin_span(b, s) == 0)
			break;
	} while (sleep_in(b, &b->room_waiters, w, err) == 0);
	if (s->n == 0)
		return (-1);
	if (s->file->entry != NULL && load(b, s, w, list, err) != 0) {
		unpin_span(b, s);
		return (-1);
	}
	while (fetch_missing(b, r, s, list) != 0) {
		now = *list;
		*list = NULL;
		s->fetched |= now != NULL;
		if (now != NULL) {
			pthread_mutex_unlock(&b->lock);
			submit(now, fetch_deadline(b));
			pthread_mutex_lock(&b->lock);
		} else if (sleep_in(b, &b->room_waiters, w, err) != 0) {
			unpin_span(b, s);
			return (-1);
		}
	}
	return (0);
}

int
blocks_start(struct blocks *b, struct blocks_file *f, const struct blocks_range *r,
    struct blocks_wait *w, struct blocks_span *s, int *ret_missing, struct err *err)
{
	struct fetch *list = NULL;
	int failed;

	if (r->len == 0 || r->len > BLOCKS_READ_MAX || r->offset < 0 ||
	    r->offset > f->size - (int64_t)r->len || r->until > f->size)
		return (err_set(err, ERR_BUG, REMEDY_REPORT_BUG, "read", "range out of bounds"));
	s->file = f;
	s->offset = r->offset;
	s->len = r->len;
	s->n = 0;
	s->fetched = 0;
	pthread_mutex_lock(&b->lock);
	failed = start(b, r, w, s, &list, err);
	if (!failed) {
		*ret_missing = is_valid(s) ? 0 : list == NULL && !s->fetched ? 1 : 2;
		fill_iov(s);
	}
	pthread_mutex_unlock(&b->lock);
	if (list != NULL)
		submit(list, fetch_deadline(b));
	return (failed);
}

/* What was fetched ahead is waited for now: it may stand behind what nobody waits for. */
static void
hurry(struct blocks *b, const struct blocks_file *f, const struct blocks_span *s)
{
	int64_t first = s->offset / BLOCKS_PAGE;
	int64_t last = (s->offset + (int64_t)s->len - 1) / BLOCKS_PAGE;
	struct fetch *x;

	for (x = b->fetches; x < b->fetches + FETCHES; x++)
		if (x->active && x->ahead && !x->hurried && x->file == f &&
		    x->first_page <= last && first < x->first_page + x->npages) {
			x->hurried = 1;
			store_read_hurry(&x->read);
		}
}

/* Lock held. */
static int
wait_for_chunk(struct blocks *b, const struct blocks_file *f, struct chunk *c,
    struct blocks_wait *w, struct err *err)
{
	while ((w->need & ~c->valid) != 0) {
		if ((w->need & ~(c->valid | c->pending)) != 0) {
			if (err != NULL)
				*err = *f->failure;
			return (-1);
		}
		if (sleep_in(b, &c->waiters, w, err) != 0)
			return (-1);
	}
	return (0);
}

int
blocks_wait(struct blocks *b, const struct blocks_span *s, struct blocks_wait *w, struct err *err)
{
	unsigned int i;
	int failed = 0;

	pthread_mutex_lock(&b->lock);
	if (b->nahead > 0 && !is_valid(s))
		hurry(b, s->file, s);
	for (i = 0; i < s->n && !failed; i++) {
		w->need = need_of(s, i);
		failed = wait_for_chunk(b, s->file, s->chunks[i], w, err);
	}
	w->need = 0;
	pthread_mutex_unlock(&b->lock);
	return (failed);
}

void
blocks_put(struct blocks *b, struct blocks_span *s)
{
	int64_t now_ms = clock_ms();
	unsigned int i;

	pthread_mutex_lock(&b->lock);
	for (i = 0; i < s->n; i++) {
		s->chunks[i]->unread &= ~need_of(s, i);
		s->chunks[i]->touched_ms = now_ms;
	}
	unpin_span(b, s);
	pthread_mutex_unlock(&b->lock);
}

/* Up to where from from on all is on the disk, or (on_disk == 0) nothing is. */
static int64_t
disk_run(const struct blocks_file *f, int64_t from, int64_t until, int on_disk)
{
	if (f->entry == NULL)
		return (on_disk ? from : until);
	while (from < until && disk_has(f->entry, from / BLOCKS_CHUNK) == on_disk)
		from = from - from % BLOCKS_CHUNK + BLOCKS_CHUNK;
	return (from < until ? from : until);
}

/* As blocks_ahead(), of what the disk does not have. */
static int64_t
fetch_ahead(struct blocks *b, struct blocks_file *f, int64_t from, int64_t until, size_t step)
{
	int64_t page = from / BLOCKS_PAGE, end = (until + BLOCKS_PAGE - 1) / BLOCKS_PAGE, part;
	int64_t step_pages = (int64_t)(step / BLOCKS_PAGE);
	struct fetch *list = NULL, *x;
	struct chunk *c;

	pthread_mutex_lock(&b->lock);
	while (page < end && !f->changed) {
		c = chunks_find(&b->chunks, &f->owner, page / CHUNK_PAGES);
		if (c != NULL && !chunk_is_missing(c, page)) {
			page++;
			continue;
		}
		part = page - page % step_pages + step_pages;
		if (b->nahead >= FETCHES_AHEAD || (x = fetch_new(b, f, page,
		    part < end ? part : end, page)) == NULL)
			break;
		x->next = list;
		list = x;
		page += x->npages;
	}
	/* Before anybody can hurry it. */
	submit(list, fetch_deadline(b));
	pthread_mutex_unlock(&b->lock);
	return (page * BLOCKS_PAGE < until ? page * BLOCKS_PAGE : until);
}

/* What the disk has is read when it is wanted: the kernel reads ahead there by itself. */
int64_t
blocks_ahead(struct blocks *b, struct blocks_file *f, int64_t from, int64_t until, size_t step)
{
	int64_t run;

	while ((from = disk_run(f, from, until, 1)) < until) {
		run = disk_run(f, from, until, 0);
		if ((from = fetch_ahead(b, f, from, run, step)) < run)
			break;
	}
	return (from);
}

/* ---- the pool ------------------------------------------------------------------------ */

static void
note_memory(struct blocks *b)
{
	atomic_store(&b->memory, (int64_t)chunks_usable(&b->chunks) * BLOCKS_CHUNK);
}

struct blocks *
blocks_new(const struct blocks_options *o, struct err *err)
{
	struct blocks *b = mem_zalloc(sizeof(*b));
	int64_t bytes = o->memory_bytes > BLOCKS_MEMORY_MIN ? o->memory_bytes : BLOCKS_MEMORY_MIN;
	size_t i;

	b->opt = *o;
	if (chunks_init(&b->chunks, bytes, err) != 0) {
		free(b);
		return (NULL);
	}
	note_memory(b);
	b->chunks.left = on_left;
	b->chunks.arg = b;
	pthread_mutex_init(&b->lock, NULL);
	b->fetches = mem_zalloc(FETCHES * sizeof(*b->fetches));
	for (i = 0; i < FETCHES; i++) {
		b->fetches[i].blocks = b;
		b->fetches[i].next = b->idle_fetches;
		b->idle_fetches = &b->fetches[i];
	}
	return (b);
}

void
blocks_free(struct blocks *b)
{
	struct blocks_wait w;

	if (b == NULL)
		return;
	blocks_wait_init(&w, INT64_C(1) << 40);
	pthread_mutex_lock(&b->lock);
	while (b->nfetches > 0)
		sleep_in(b, &b->room_waiters, &w, NULL);
	pthread_mutex_unlock(&b->lock);
	if (b->opt.disk != NULL)
		disk_drain(b->opt.disk, INT64_C(1) << 30);
	pthread_mutex_lock(&b->lock);
	chunks_done(&b->chunks);
	pthread_mutex_unlock(&b->lock);
	blocks_wait_done(&w);
	pthread_mutex_destroy(&b->lock);
	free(b->fetches);
	free(b);
}

int64_t
blocks_memory(const struct blocks *b)
{
	return (atomic_load_explicit(&b->memory, memory_order_relaxed));
}

void
blocks_lend(struct blocks *b, int64_t bytes)
{
	size_t least = BLOCKS_MEMORY_MIN / BLOCKS_CHUNK, want = (size_t)(bytes / BLOCKS_CHUNK);

	pthread_mutex_lock(&b->lock);
	if (want > b->chunks.n - least)
		want = b->chunks.n - least;
	chunks_lend(&b->chunks, want, LEND_MAX);
	note_memory(b);
	pthread_mutex_unlock(&b->lock);
}

void
blocks_counts(struct blocks *b, struct blocks_counts *ret)
{
	pthread_mutex_lock(&b->lock);
	*ret = b->counts;
	ret->evicted = b->chunks.evicted;
	ret->chunks = (int64_t)chunks_usable(&b->chunks);
	ret->idle_chunks = (int64_t)(b->chunks.read.n + b->chunks.unread.n);
	pthread_mutex_unlock(&b->lock);
}
