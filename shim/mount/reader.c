#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mount/reader.h"

#define FIRST		(1 << 20)	/* of a stream; the kernel's first readahead is as long */
#define QUICK		(16 << 20)	/* up to here the window grows fourfold */
#define NEAR		(64 << 10)	/* a second read so close makes a stream of the first */
#define ROUND		(64 << 10)	/* a third one around there fetches so much */
#define ROW_MAX		64		/* reads of a row that are fetched ahead */
#define ROW_BYTES	(8 << 20)	/* of those */
#define PROMOTE_STEP	(4 << 20)
#define PROMOTE_WINDOW	(32 << 20)
#define BACK		(4 << 20)	/* readahead that was overtaken */
#define GAP		(1 << 20)	/* skipped forward */
#define STEP_MIN	(1 << 20)
#define IN_FLIGHT	32		/* GETs that make a window */
#define RECENT		64		/* streams that share the pool */
#define RECENT_MS	2000

struct recent {
	const void	*file;
	unsigned int	 slot;
	int64_t		 when_ms;
};

struct reader {
	struct blocks	*blocks;
	/* Guards the rest and every struct reader_streams; nothing is locked inside. */
	pthread_mutex_t	 lock;
	uint64_t	 clock;
	int64_t		 window_max;
	struct recent	 recent[RECENT];
};

/* What to do about one read. */
struct plan {
	struct reader_stream *stream;	/* NULL: small file */
	unsigned int	 slot;
	int		 is_new;	/* the first read of its stream: nothing ahead of it */
	int		 is_random;
	struct blocks_range range;
	/* Of its row: those after it from one on, up to another. */
	int64_t		 stride;
	unsigned int	 row_from, row_until;
};

struct reader *
reader_new(struct blocks *b)
{
	struct reader *r = mem_zalloc(sizeof(*r));

	r->blocks = b;
	r->window_max = READER_WINDOW_MAX;
	pthread_mutex_init(&r->lock, NULL);
	return (r);
}

void
reader_bound(struct reader *r, int64_t bytes)
{
	if (bytes > 0 && bytes < READER_WINDOW_MAX)
		r->window_max = bytes;
}

void
reader_free(struct reader *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int64_t
min(int64_t a, int64_t b)
{
	return (a < b ? a : b);
}

static int64_t
max(int64_t a, int64_t b)
{
	return (a > b ? a : b);
}

/* 1: a read at offset goes on with this stream. */
static int
continues(const struct reader_stream *s, int64_t offset)
{
	if (s->used == 0)
		return (0);
	if (s->window == 0)
		return (offset >= s->position && offset <= s->position + NEAR);
	return (offset >= s->position - BACK && offset <= max(s->position, s->ahead) + GAP);
}

/* The stream of this read, else the least recently used place for a new one (*ret_new). */
static unsigned int
choose(const struct reader_streams *all, int64_t offset, int *ret_new)
{
	unsigned int i, best = 0, oldest = 0;
	int64_t distance, best_distance = INT64_MAX;

	for (i = 0; i < READER_STREAMS; i++) {
		const struct reader_stream *s = &all->stream[i];

		if (s->used < all->stream[oldest].used)
			oldest = i;
		if (!continues(s, offset))
			continue;
		distance = offset > s->position ? offset - s->position : s->position - offset;
		if (distance < best_distance) {
			best = i;
			best_distance = distance;
		}
	}
	*ret_new = best_distance == INT64_MAX;
	return (*ret_new ? oldest : best);
}

/* How many streams were read from lately, this one included. */
static int
count_recent(struct reader *r, const void *file, unsigned int slot)
{
	int64_t now_ms = clock_ms();
	unsigned int i, mine = RECENT, oldest = 0;
	int n = 1;

	for (i = 0; i < RECENT; i++) {
		struct recent *e = &r->recent[i];

		if (e->file == file && e->slot == slot)
			mine = i;
		else if (e->file != NULL && now_ms - e->when_ms < RECENT_MS)
			n++;
		if (e->when_ms < r->recent[oldest].when_ms)
			oldest = i;
	}
	r->recent[mine < RECENT ? mine : oldest] = (struct recent){ file, slot, now_ms };
	return (n);
}

/* The second random read around here: others will follow.  Lock held. */
static int
is_near(struct reader_streams *all, int64_t offset)
{
	unsigned int i;

	for (i = 0; i < READER_STREAMS; i++) {
		struct reader_stream *s = &all->stream[i];

		if (s->used != 0 && s->window == 0 && offset >= s->position - NEAR - BLOCKS_PAGE &&
		    offset <= s->position + NEAR)
			return (s->near++ > 0);
	}
	return (0);
}

/* Lock held. */
static void
plan_row(struct reader_row *row, struct plan *p)
{
	int64_t stride = p->range.offset - row->last, len = (int64_t)p->range.len;
	int64_t n;

	row->last = p->range.offset;
	row->ahead -= row->ahead > 0;
	if (stride != row->stride || stride == 0) {
		row->stride = stride;
		row->repeats = row->ahead = 0;
		return;
	}
	row->repeats++;
	n = row->repeats < 6 ? 1 << row->repeats : ROW_MAX;
	n = max(min(n, ROW_BYTES / len), 1);
	if (row->ahead > n / 2)
		return;
	p->stride = stride;
	p->row_from = row->ahead + 1;
	p->row_until = (unsigned int)n + 1;
	row->ahead = (unsigned int)max(row->ahead, n);
}

/* It continues nothing: its pages, but for what is usual in such files.  Lock held. */
static void
plan_random(struct reader_streams *all, int64_t size, struct plan *p)
{
	int64_t end = p->range.offset + (int64_t)p->range.len;

	p->is_random = 1;
	plan_row(&all->row, p);
	if (p->range.offset >= size - READER_TAIL) {
		p->range.from = size - READER_TAIL;
		p->range.until = size;
	} else if (is_near(all, p->range.offset) && p->range.len <= ROUND) {
		p->range.from = p->range.offset - p->range.offset % ROUND;
		p->range.until = min(size, (end + ROUND - 1) / ROUND * ROUND);
	}
}

/* Before the data is asked for.  Lock held. */
static void
plan_read(struct reader *r, struct reader_streams *all, int64_t size, struct plan *p)
{
	int64_t end = p->range.offset + (int64_t)p->range.len;
	struct reader_stream *s;

	p->range.from = p->range.offset;
	p->range.until = end;
	p->stream = NULL;
	if (size <= READER_SMALL) {
		p->range.from = 0;
		p->range.until = size;
		return;
	}
	p->slot = choose(all, p->range.offset, &p->is_new);
	if (p->is_new && p->range.offset != 0)
		plan_random(all, size, p);
	s = p->stream = &all->stream[p->slot];
	s->used = ++r->clock;
	if (p->is_new) {
		s->position = s->ahead = end;
		s->window = 0;
		s->near = 0;
		if (p->range.offset != 0)
			return;
		s->window = FIRST;
		s->ahead = p->range.until = max(end, min(size, FIRST));
		return;
	}
	if (s->window == 0)
		s->window = FIRST;
	s->position = max(s->position, end);
	s->ahead = max(s->ahead, s->position);
}

static size_t
step_of(int64_t window)
{
	size_t step = STEP_MIN;

	while (step < BLOCKS_FETCH_MAX && (int64_t)step * 2 * IN_FLIGHT <= window)
		step *= 2;
	return (step);
}

/* The window may have grown; what to have under way.  Lock held.  Returns 0: nothing. */
static int
plan_ahead(struct reader *r, struct blocks_file *f, struct plan *p, int missing,
    int64_t *ret_from, int64_t *ret_until, size_t *ret_step)
{
	int64_t share, size = blocks_size(f);
	struct reader_stream *s = p->stream;

	if (s == NULL || p->is_new)
		return (0);
	if (missing == 2)
		s->ahead = s->position;		/* what had been fetched was evicted */
	share = blocks_memory(r->blocks) / 4 * 3 / count_recent(r, f, p->slot);
	if (missing)
		s->window *= s->window < QUICK ? 4 : 2;
	s->window = max(min(s->window, min(share, r->window_max)), FIRST);
	*ret_step = step_of(s->window);
	*ret_from = s->ahead;
	*ret_until = min(size, s->position + s->window);
	/* Whole steps only, but for the end of the file. */
	if (*ret_until < size)
		*ret_until -= *ret_until % (int64_t)*ret_step;
	return (*ret_until > *ret_from);
}

static void
fetch_row(struct reader *r, struct blocks_file *f, const struct plan *p)
{
	int64_t len = (int64_t)p->range.len, offset = p->range.offset, at;
	unsigned int i;

	if (p->row_from >= p->row_until)
		return;
	if (p->stride == -len) {
		at = max(offset - (p->row_until - 1) * len, 0);
		blocks_ahead(r->blocks, f, at, max(offset - (p->row_from - 1) * len, at),
		    STEP_MIN);
		return;
	}
	for (i = p->row_from; i < p->row_until; i++) {
		at = offset + i * p->stride;
		if (at < 0 || at >= blocks_size(f))
			return;
		blocks_ahead(r->blocks, f, at, min(at + len, blocks_size(f)), STEP_MIN);
	}
}

/* What is promoted goes on with each random read, as far as there is room. */
static void
promote(struct reader *r, struct blocks_file *f, const struct plan *p, int missing)
{
	struct reader_row *row = &((struct reader_streams *)blocks_user(f))->row;
	int64_t size = blocks_size(f), from = -1, reached;
	int64_t most = blocks_keeps(f) ? READER_PROMOTE_MAX : blocks_memory(r->blocks) / 4;

	pthread_mutex_lock(&r->lock);
	if (missing == 2)
		row->bytes += (int64_t)p->range.len;
	if (size <= most && row->bytes > size / 2 && row->promoted < size)
		from = row->promoted;
	pthread_mutex_unlock(&r->lock);
	if (from < 0)
		return;
	reached = blocks_ahead(r->blocks, f, from, min(size, from + PROMOTE_WINDOW),
	    PROMOTE_STEP);
	pthread_mutex_lock(&r->lock);
	row->promoted = max(row->promoted, reached);
	pthread_mutex_unlock(&r->lock);
}

static void
fetch_ahead(struct reader *r, struct blocks_file *f, struct plan *p, int missing)
{
	int64_t from = 0, until = 0, reached;
	size_t step = 0;
	int wanted;

	pthread_mutex_lock(&r->lock);
	wanted = plan_ahead(r, f, p, missing, &from, &until, &step);
	pthread_mutex_unlock(&r->lock);
	if (!wanted)
		return;
	reached = blocks_ahead(r->blocks, f, from, until, step);
	pthread_mutex_lock(&r->lock);
	if (p->stream->ahead < reached && p->stream->ahead >= from)
		p->stream->ahead = reached;
	pthread_mutex_unlock(&r->lock);
}

int
reader_read(struct reader *r, struct blocks_file *f, int64_t offset, size_t len,
    struct blocks_wait *w, struct blocks_span *ret, struct err *err)
{
	int64_t size = blocks_size(f);
	struct plan p = { .range = { .offset = offset, .len = len } };
	int missing = 0;

	ret->n = 0;
	ret->len = 0;
	ret->file = f;
	if (offset >= size || len == 0)
		return (0);
	p.range.len = (size_t)min((int64_t)len, size - offset);
	pthread_mutex_lock(&r->lock);
	plan_read(r, blocks_user(f), size, &p);
	pthread_mutex_unlock(&r->lock);
	if (blocks_start(r->blocks, f, &p.range, w, ret, &missing, err) != 0)
		return (-1);
	fetch_ahead(r, f, &p, missing);
	if (p.is_random) {
		fetch_row(r, f, &p);
		promote(r, f, &p, missing);
	}
	if (missing && blocks_wait(r->blocks, ret, w, err) != 0) {
		blocks_put(r->blocks, ret);
		return (-1);
	}
	return (0);
}
