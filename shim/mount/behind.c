#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mount/behind.h"

#define THREADS		16
#define STACK		(256 * 1024)
#define QUEUE_MAX	16384

struct behind {
	struct writer	*writer;
	pthread_mutex_t	 lock;		/* guards the rest; after staged.lock */
	pthread_cond_t	 more, ended;
	struct staged	*first, *last;	/* each with a reference to its inode */
	size_t		 queued;
	unsigned int	 threads, idle, busy;
	uint64_t	 done;		/* counts uploads that ended */
	int		 stopping;
};

static void
drop_reference(struct writer *w, struct inode *i)
{
	pthread_mutex_lock(&w->opt.tree->lock);
	tree_unref(w->opt.tree, i);
	pthread_mutex_unlock(&w->opt.tree->lock);
}

static void
upload(struct writer *w, struct staged *s)
{
	struct inode *i = s->inode;
	struct err err = ERR_EMPTY;
	int failed, kept;

	pthread_mutex_lock(&s->lock);
	s->is_queued = 0;
	failed = staged_commit(w, s, &err);
	if (s->unlinked && s->is_local && s->opens == 0 && s->holds == 0)
		staged_drop(w, s, NULL);
	kept = staged_rest(w, s);
	pthread_mutex_unlock(&s->lock);
	drop_reference(w, i);
	if (kept)
		staged_trim(w);
	if (failed && w->opt.failed != NULL)
		w->opt.failed(w->opt.arg, &err);
}

/* Lock held. */
static struct staged *
take(struct behind *b)
{
	struct staged *s;

	while ((s = b->first) == NULL && !b->stopping) {
		b->idle++;
		pthread_cond_wait(&b->more, &b->lock);
		b->idle--;
	}
	if (b->stopping)
		return (NULL);
	b->first = s->queued;
	if (b->first == NULL)
		b->last = NULL;
	b->queued--;
	b->busy++;
	return (s);
}

static void *
thread_main(void *arg)
{
	struct behind *b = arg;
	struct staged *s;

	pthread_mutex_lock(&b->lock);
	while ((s = take(b)) != NULL) {
		pthread_mutex_unlock(&b->lock);
		upload(b->writer, s);
		pthread_mutex_lock(&b->lock);
		b->busy--;
		b->done++;
		pthread_cond_broadcast(&b->ended);
	}
	b->threads--;
	pthread_cond_broadcast(&b->ended);
	pthread_mutex_unlock(&b->lock);
	return (NULL);
}

/* Lock held. */
static void
start_thread(struct behind *b)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, thread_main, b) == 0)
		b->threads++;
	pthread_attr_destroy(&attr);
}

int
behind_add(struct behind *b, struct staged *s)
{
	int taken;

	if (s->is_queued)
		return (1);
	pthread_mutex_lock(&b->lock);
	if (b->idle <= b->queued && b->threads < THREADS)
		start_thread(b);
	taken = b->threads > 0 && !b->stopping;
	if (taken) {
		pthread_mutex_lock(&b->writer->opt.tree->lock);
		tree_ref(s->inode);
		pthread_mutex_unlock(&b->writer->opt.tree->lock);
		s->is_queued = 1;
		s->queued = NULL;
		*(b->last != NULL ? &b->last->queued : &b->first) = s;
		b->last = s;
		b->queued++;
		pthread_cond_signal(&b->more);
	}
	pthread_mutex_unlock(&b->lock);
	return (taken);
}

int
behind_is_full(struct behind *b)
{
	int full;

	pthread_mutex_lock(&b->lock);
	full = b->queued >= QUEUE_MAX;
	pthread_mutex_unlock(&b->lock);
	return (full || !staged_has_room(b->writer, 0));
}

int
behind_wait(struct behind *b)
{
	uint64_t before;
	int waited;

	pthread_mutex_lock(&b->lock);
	before = b->done;
	waited = b->queued + b->busy > 0;
	while (b->done == before && b->queued + b->busy > 0)
		pthread_cond_wait(&b->ended, &b->lock);
	pthread_mutex_unlock(&b->lock);
	return (waited);
}

struct behind *
behind_new(struct writer *w)
{
	struct behind *b = mem_zalloc(sizeof(*b));

	b->writer = w;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->more, NULL);
	pthread_cond_init(&b->ended, NULL);
	return (b);
}

void
behind_free(struct behind *b)
{
	struct staged *s;

	pthread_mutex_lock(&b->lock);
	b->stopping = 1;
	pthread_cond_broadcast(&b->more);
	while (b->threads > 0)
		pthread_cond_wait(&b->ended, &b->lock);
	pthread_mutex_unlock(&b->lock);
	while ((s = b->first) != NULL) {
		b->first = s->queued;
		drop_reference(b->writer, s->inode);
	}
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->more);
	pthread_cond_destroy(&b->ended);
	free(b);
}
