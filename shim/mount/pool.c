#include "mount/pool.h"

#include <errno.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/mem.h"

#define STACK		(256 * 1024)
#define QUEUE_MAX	8192
#define NARROW_AFTER_MS	1000

enum take { TAKE_NOTHING, TAKE_ITEM, TAKE_PIECE };

struct lane_start {
	struct pool	*pool;
	int		 is_narrow;
};

/* ---- queues; the lock is held ------------------------------------------ */

static void
wake_all(struct pool *p)
{
	pthread_cond_broadcast(&p->work[0]);
	pthread_cond_broadcast(&p->work[1]);
}

static void
push(struct pool *p, struct pool_item *i)
{
	struct pool_item ***end = i->is_small ? &p->small_end : &p->large_end;

	i->next = NULL;
	**end = i;
	*end = &i->next;
	p->queued++;
	/* One that was woken and has not run yet still counts as waiting. */
	if (i->is_small)
		pthread_cond_signal(&p->work[1]);
	if (!i->is_small || p->waiting[1] == 0 || p->queued > 1)
		pthread_cond_signal(&p->work[0]);
}

static struct pool_item *
pop(struct pool_item **head, struct pool_item ***end)
{
	struct pool_item *i = *head;

	if (i == NULL)
		return (NULL);
	*head = i->next;
	if (*head == NULL)
		*end = head;
	return (i);
}

static void
leave_out(struct pool_item *i)
{
	while (i->next_piece < i->pieces && i->there != NULL && i->there[i->next_piece])
		i->next_piece++;
}

/* Of the file that was opened first. */
static struct pool_item *
take_piece(struct pool *p, size_t *ret_index)
{
	struct pool_item *i = p->open;

	if (i == NULL)
		return (NULL);
	*ret_index = i->next_piece++;
	i->at_work++;
	leave_out(i);
	if (i->next_piece == i->pieces)
		p->open = i->next;
	return (i);
}

static void
unlist(struct pool *p, struct pool_item *item)
{
	struct pool_item **link;

	for (link = &p->open; *link != NULL; link = &(*link)->next)
		if (*link == item) {
			*link = item->next;
			return;
		}
}

static enum take
try_take(struct pool *p, const struct pool_lane *lane, struct pool_item **ret, size_t *ret_index)
{
	*ret = NULL;
	if (!lane->is_narrow) {
		if ((*ret = take_piece(p, ret_index)) != NULL)
			return (TAKE_PIECE);
		*ret = pop(&p->large, &p->large_end);
	}
	if (*ret == NULL)
		*ret = pop(&p->small, &p->small_end);
	if (*ret == NULL)
		return (TAKE_NOTHING);
	p->queued--;
	pthread_cond_signal(&p->room);
	return (TAKE_ITEM);
}

/* ---- a lane ------------------------------------------------------------ */

static enum take
take(struct pool *p, const struct pool_lane *lane, struct pool_item **ret, size_t *ret_index)
{
	enum take got = TAKE_NOTHING;

	pthread_mutex_lock(&p->lock);
	while (!p->is_stopping &&
	    (got = try_take(p, lane, ret, ret_index)) == TAKE_NOTHING &&
	    (!p->is_complete || p->at_work > 0 || p->queued > 0)) {
		p->waiting[lane->is_narrow]++;
		pthread_cond_wait(&p->work[lane->is_narrow], &p->lock);
		p->waiting[lane->is_narrow]--;
	}
	if (got != TAKE_NOTHING)
		p->at_work++;
	pthread_mutex_unlock(&p->lock);
	return (got);
}

static void
finish_work(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (--p->at_work == 0 && p->is_complete)
		wake_all(p);		/* perhaps that was the last */
	pthread_mutex_unlock(&p->lock);
}

static void
settle(struct pool *p, struct pool_item *i, const struct err *err)
{
	int taken_out;

	pthread_mutex_lock(&p->lock);
	taken_out = i->left_link == NULL;
	if (!taken_out) {
		*i->left_link = i->left_next;
		if (i->left_next != NULL)
			i->left_next->left_link = i->left_link;
		p->settling++;
	}
	pthread_mutex_unlock(&p->lock);
	if (taken_out)
		return;
	free(i->there);
	free(i->err);
	p->opt.ops->settled(p->opt.arg, i, err);
	pthread_mutex_lock(&p->lock);
	p->settling--;
	pthread_cond_broadcast(&p->ended);
	pthread_mutex_unlock(&p->lock);
}

static void
give_up(struct pool *p, struct pool_item *i, struct err *err)
{
	if (!p->opt.ops->failed(p->opt.arg, i, err)) {
		settle(p, i, err);
		return;
	}
	free(i->there);
	free(i->err);
	i->there = NULL;
	i->err = NULL;
	i->next_piece = 0;
	pthread_mutex_lock(&p->lock);
	push(p, i);
	pthread_mutex_unlock(&p->lock);
}

static void
close_item(struct pool *p, struct pool_item *i)
{
	struct err err = ERR_EMPTY;

	if (p->opt.ops->close(p->opt.arg, i, &err) != 0)
		give_up(p, i, &err);
	else
		settle(p, i, NULL);
}

static void
work_on_item(struct pool *p, struct pool_item *i, struct pool_lane *lane)
{
	struct err err = ERR_EMPTY;
	int shared = 0;

	if (p->opt.ops->open(p->opt.arg, i, lane, &err) != 0) {
		give_up(p, i, &err);
		return;
	}
	if (i->pieces == 1) {
		if (p->opt.ops->piece(p->opt.arg, i, 0, lane, &err) != 0)
			give_up(p, i, &err);
		else
			close_item(p, i);
		return;
	}
	pthread_mutex_lock(&p->lock);
	leave_out(i);
	if (i->next_piece < i->pieces) {
		i->next = p->open;
		p->open = i;
		shared = 1;
		pthread_cond_broadcast(&p->work[0]);
	}
	pthread_mutex_unlock(&p->lock);
	if (!shared)
		close_item(p, i);	/* all was there */
}

static void
work_on_piece(struct pool *p, struct pool_item *i, size_t index, struct pool_lane *lane)
{
	struct err err = ERR_EMPTY;
	int failed = p->opt.ops->piece(p->opt.arg, i, index, lane, &err) != 0, last;

	pthread_mutex_lock(&p->lock);
	if (failed && i->err == NULL) {
		i->err = mem_alloc(sizeof(err));
		*i->err = err;
		unlist(p, i);
		i->next_piece = i->pieces;
	}
	last = --i->at_work == 0 && i->next_piece == i->pieces;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	if (i->err != NULL) {
		err = *i->err;
		give_up(p, i, &err);
	} else
		close_item(p, i);
}

/* A copy that is over by then has fewer connections to open. */
static void
wait_for_longer_work(struct pool *p)
{
	int64_t end_ms = clock_ms() + NARROW_AFTER_MS;

	pthread_mutex_lock(&p->lock);
	while (!p->is_stopping && !(p->is_complete && p->queued == 0 && p->at_work == 0) &&
	    cond_wait_ms(&p->work[1], &p->lock, end_ms - clock_ms()) == 0)
		;
	pthread_mutex_unlock(&p->lock);
}

static void *
lane_main(void *arg)
{
	struct lane_start start = *(struct lane_start *)arg;
	struct pool *p = start.pool;
	struct pool_lane *lane = mem_zalloc(sizeof(*lane));
	size_t bytes = start.is_narrow ? p->opt.narrow_bytes : p->opt.wide_bytes, index = 0;
	struct pool_item *item;
	enum take got;

	free(arg);
	lane->is_narrow = start.is_narrow;
	lane->buf = bytes > 0 ? mem_alloc(bytes) : NULL;
	if (lane->is_narrow)
		wait_for_longer_work(p);
	while ((got = take(p, lane, &item, &index)) != TAKE_NOTHING) {
		if (got == TAKE_ITEM)
			work_on_item(p, item, lane);
		else
			work_on_piece(p, item, index, lane);
		finish_work(p);
	}
	free(lane->buf);
	free(lane);
	pthread_mutex_lock(&p->lock);
	p->running--;
	pthread_cond_broadcast(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return (NULL);
}

/* ---- the owner --------------------------------------------------------- */

static int
start_lane(struct pool *p, int is_narrow, struct err *err)
{
	struct lane_start *start = mem_alloc(sizeof(*start));
	pthread_attr_t attr;
	pthread_t thread;
	int failed;

	*start = (struct lane_start){ p, is_narrow };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&p->lock);
	failed = pthread_create(&thread, &attr, lane_main, start);
	p->running += !failed;
	pthread_mutex_unlock(&p->lock);
	pthread_attr_destroy(&attr);
	if (failed == 0)
		return (0);
	free(start);
	errno = failed;
	return (err_errno(err, "start a thread", "copy"));
}

int
pool_start(struct pool *p, const struct pool_options *opt, struct err *err)
{
	size_t i;

	*p = (struct pool){ .opt = *opt, .running = 1 };	/* the one that adds */
	p->large_end = &p->large;
	p->small_end = &p->small;
	pthread_mutex_init(&p->lock, NULL);
	cond_init(&p->work[0]);
	cond_init(&p->work[1]);
	cond_init(&p->room);
	cond_init(&p->ended);
	for (i = 0; i < opt->wide + opt->narrow; i++)
		if (start_lane(p, i >= opt->wide, err) != 0 && i == 0)
			return (-1);	/* with fewer it is only slower */
	return (0);
}

int
pool_add(struct pool *p, struct pool_item *i)
{
	int stopping;

	pthread_mutex_lock(&p->lock);
	while (!p->is_stopping && p->queued >= QUEUE_MAX)
		pthread_cond_wait(&p->room, &p->lock);
	stopping = p->is_stopping;
	if (!stopping) {
		i->left_next = p->left;
		i->left_link = &p->left;
		if (p->left != NULL)
			p->left->left_link = &i->left_next;
		p->left = i;
		push(p, i);
	}
	pthread_mutex_unlock(&p->lock);
	return (stopping ? -1 : 0);
}

void
pool_complete(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_complete = 1;
	p->running--;
	wake_all(p);
	pthread_cond_broadcast(&p->ended);
	pthread_mutex_unlock(&p->lock);
}

void
pool_stop(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_stopping = 1;
	wake_all(p);
	pthread_cond_broadcast(&p->room);
	pthread_mutex_unlock(&p->lock);
}

void
pool_wait_added(struct pool *p, int wait_ms)
{
	int64_t end_ms = clock_ms() + wait_ms;

	pthread_mutex_lock(&p->lock);
	while (!p->is_complete && cond_wait_ms(&p->ended, &p->lock, end_ms - clock_ms()) == 0)
		;
	pthread_mutex_unlock(&p->lock);
}

int
pool_wait(struct pool *p, int wait_ms)
{
	int64_t end_ms = clock_ms() + wait_ms;
	int ended;

	pthread_mutex_lock(&p->lock);
	while (p->running > 0 && cond_wait_ms(&p->ended, &p->lock, end_ms - clock_ms()) == 0)
		;
	ended = p->running == 0;
	pthread_mutex_unlock(&p->lock);
	return (ended);
}

struct pool_item *
pool_take_left(struct pool *p)
{
	struct pool_item *i;

	pthread_mutex_lock(&p->lock);
	i = p->left;
	if (i != NULL) {
		p->left = i->left_next;
		if (p->left != NULL)
			p->left->left_link = &p->left;
		i->left_link = NULL;
	}
	while (i == NULL && p->settling > 0)
		pthread_cond_wait(&p->ended, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return (i);
}
